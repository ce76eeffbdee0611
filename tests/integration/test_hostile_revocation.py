"""A key that is taken away is felt by every use of a file once the cache time is over: the page cache is no way around it."""

import json
import mmap
import os
import signal
import subprocess
import sys
import time

import pytest

from conftest import is_sanitized, needs_fuse
from hostile import Watched, drop_pages, errno_of, lower_of, new_key, read, wait_until, write

pytestmark = needs_fuse
CACHE = 8 if is_sanitized() else 4  # seconds; sanitized commands take their time
DATA = bytes(range(256)) * 400


@pytest.fixture
def revocable(kms_box):
    """A mount whose vault is under a key of its own, and a short cache time."""
    key = new_key(kms_box)
    vault = kms_box.make_vault("--key", key["KeyId"], "--cache-time", f"{CACHE}s")
    m = Watched(kms_box, vault)
    m.key = key
    return m


def touch_mapping(path):
    """Map @path in a child, tell when its first page was read, wait for a line, read it again."""
    code = ("import mmap, sys; f = open(sys.argv[1], 'rb'); m = mmap.mmap(f.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ);"
            "print(m[0], flush=True); sys.stdin.readline(); print(m[0], m[5000], flush=True)")
    child = subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == f"{DATA[0]}\n"
    return child


@pytest.mark.parametrize("take, give, reason", [
    (["disable-key"], [["enable-key"]], "DisabledException"),
    (["schedule-key-deletion", "--pending-window-in-days", "7"], [["cancel-key-deletion"], ["enable-key"]],
     "KMSInvalidStateException"),
])
def test_revoked_through_the_page_cache(revocable, take, give, reason):
    m, begun = revocable, time.monotonic()
    write(m.path("file"), DATA)
    write(m.path("idle"), DATA)
    os.mkdir(m.path("folder"))
    fd = os.open(m.path("file"), os.O_RDWR)
    assert os.read(fd, 10) == DATA[:10]
    own = mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ)
    assert own[:256] == DATA[:256]
    child = touch_mapping(m.path("file"))
    m.box.run("kms", take[0], "--key-id", m.key["KeyId"], *take[1:])
    refused = errno_of(read, m.path("file"))
    assert refused == "" or time.monotonic() - begun >= CACHE, "what is cached works until its time is over"
    wait_until(lambda: errno_of(os.pread, fd, 10, 0) == "EACCES", CACHE + 30)
    wait_until(lambda: errno_of(read, m.path("idle")) == "EACCES", 30)
    for _ in range(3):
        assert errno_of(read, m.path("file")) == "EACCES"
        assert errno_of(read, m.path("idle")) == "EACCES"
        assert errno_of(os.pread, fd, 10, 90_000) == "EACCES"
        assert errno_of(write, m.path("new"), b"x") == "EACCES"
    assert not os.path.exists(m.path("new"))
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.wait(timeout=20) == -signal.SIGBUS and child.stdout.read() == ""
    assert set(os.listdir(m.point)) >= {"file", "idle", "folder"}
    assert os.stat(m.path("file")).st_size == len(DATA), "listing and names need no bucket key"
    log = m.log()
    assert any(m.key["Arn"] in line and f"refused ({reason}" in line for line in log.splitlines()), log
    assert log.count("refused (") <= 2, "told when it begins, not for every access: " + log
    for command in give:
        m.box.run("kms", command[0], "--key-id", m.key["KeyId"])
    wait_until(lambda: errno_of(read, m.path("file")) == "")
    assert read(m.path("file")) == DATA and read(m.path("idle")) == DATA
    assert os.pread(fd, 100, 90_000) == DATA[90_000:90_100] and own[:256] == DATA[:256]
    write(m.path("new"), DATA)
    assert any(m.key["Arn"] in line and "works again" in line for line in m.log().splitlines())
    own.close()
    os.close(fd)
    m.umount()
    m.box.mount(m.vault)
    assert {n: read(m.path(n)) for n in ("file", "idle", "new")} == dict.fromkeys(("file", "idle", "new"), DATA)


# Writes when told to, and says when the key is refused. It starts no process: the copies of the descriptors that an exec closes
# would write everything down.
LATE_WRITER = """
import mmap, os, sys, time
top, size = sys.argv[1], int(sys.argv[2])
data = bytes(range(256)) * (size // 256)
written = os.open(top + "/written", os.O_RDWR | os.O_CREAT)
mapped = os.open(top + "/mapped", os.O_RDWR)
view = mmap.mmap(mapped, 0)
print("ready", flush=True)
sys.stdin.readline()
os.write(written, data)
view[:] = data
print("wrote", flush=True)
for fd in (written, mapped):
    while True:
        try:
            os.pread(fd, 10, 0)
        except PermissionError:
            break
        time.sleep(0.05)
print("refused", flush=True)
sys.stdin.readline()
"""


def test_what_was_written_before_is_on_disk(revocable):
    """Dirty pages are pushed down while their key still works, in a file and in a shared mapping."""
    m = revocable
    write(m.path("mapped"), bytes(len(DATA)), sync=True)
    child = subprocess.Popen([sys.executable, "-c", LATE_WRITER, m.point, str(len(DATA))], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
        m.box.run("kms", "disable-key", "--key-id", m.key["KeyId"])
        child.stdin.write("go\n")
        child.stdin.flush()
        assert child.stdout.readline() == "wrote\n", "in time, before the key was refused"
        assert child.stdout.readline() == "refused\n"
        m.box.run("kms", "enable-key", "--key-id", m.key["KeyId"])
        m.process.kill()  # nothing that is still in the kernel can come down now
        m.process.wait()
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
    m.killed()
    m.box.mount(m.vault)
    assert read(m.path("written")) == DATA
    assert read(m.path("mapped")) == DATA


def test_written_after_it_is_refused(revocable):
    """The writer learns it from write, fsync or close, and what was there before is as before."""
    m = revocable
    write(m.path("file"), DATA, sync=True)
    fd = os.open(m.path("file"), os.O_RDWR)
    m.box.run("kms", "disable-key", "--key-id", m.key["KeyId"])
    wait_until(lambda: errno_of(os.pread, fd, 10, 0) == "EACCES", CACHE + 30)
    time.sleep(1)

    def overwrite():
        os.pwrite(fd, b"Z" * 4096, 8192)
        os.fsync(fd)

    assert errno_of(overwrite) in ("EACCES", "EIO")
    assert errno_of(os.truncate, m.path("file"), 100) == "EACCES"
    assert os.stat(m.path("file")).st_size == len(DATA)
    os.close(fd)
    m.box.run("kms", "enable-key", "--key-id", m.key["KeyId"])
    wait_until(lambda: errno_of(read, m.path("file")) == "")
    drop_pages()
    assert read(m.path("file")) == DATA


def test_idle_mount_holds_no_key(revocable):
    m, begun = revocable, time.monotonic()
    write(m.path("file"), DATA, sync=True)
    assert len(m.stats()["cache"]["entries"]) == 1 or time.monotonic() - begun >= CACHE
    wait_until(lambda: m.stats()["cache"]["entries"] == [])
    calls = m.stats()["kms"]["calls"]
    assert read(m.path("file")) == DATA
    assert m.stats()["kms"]["calls"] == calls + 1


def test_without_bucket_keys_too(kms_box):
    key = new_key(kms_box)
    m = Watched(kms_box, kms_box.make_vault("--key", key["KeyId"], "--cache-time", f"{CACHE}s", "--bucket-key", "off"))
    write(m.path("file"), DATA, sync=True)
    fd = os.open(m.path("file"), os.O_RDONLY)
    kms_box.run("kms", "disable-key", "--key-id", key["KeyId"])
    wait_until(lambda: errno_of(os.pread, fd, 10, 0) == "EACCES", CACHE + 30)
    time.sleep(1)
    assert errno_of(read, m.path("file")) == "EACCES" and errno_of(write, m.path("new"), b"") == "EACCES"
    assert os.listdir(m.point) == ["file"]
    kms_box.run("kms", "enable-key", "--key-id", key["KeyId"])
    wait_until(lambda: errno_of(read, m.path("file")) == "")
    assert os.pread(fd, 10, 0) == DATA[:10]
    os.close(fd)


def test_neighbours_under_another_key_go_on(kms_box):
    """Two vaults, two keys, one KMS: only what is under the revoked key is refused."""
    keys = [new_key(kms_box) for _ in range(2)]
    mounts = [Watched(kms_box, kms_box.make_vault("--key", k["KeyId"], "--cache-time", "2s", name=f"v{i}"), name=f"c{i}")
              for i, k in enumerate(keys)]
    for m in mounts:
        write(m.path("file"), DATA)
    kms_box.run("kms", "disable-key", "--key-id", keys[0]["KeyId"])
    wait_until(lambda: errno_of(read, mounts[0].path("file")) == "EACCES")
    assert read(mounts[1].path("file")) == DATA
    assert lower_of(mounts[0].vault, mounts[0].path("file"))
    assert "refused" in mounts[0].log() and "refused" not in mounts[1].log()
    # A new mount of the first is refused, with the exit code that says so.
    mounts[0].umount()
    done = kms_box.run("mount", mounts[0].vault, mounts[0].point, code=5)
    assert "is disabled" in done.stderr and "enable-key" in done.stderr and keys[0]["KeyId"] in done.stderr
    assert json.loads(kms_box.run("info", "--json", mounts[0].vault).stdout)["volume-key-arn"] == keys[0]["Arn"]
