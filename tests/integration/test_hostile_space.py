"""A full disk under the vault or the keystore, few descriptors, no memory to lock: said, and nothing is lost."""

import os
import pwd
import resource
import shutil
import subprocess

import pytest

from conftest import SIGNETFS, is_mounted, is_sanitized, needs_fuse
from hostile import Watched, errno_of, read, write

pytestmark = needs_fuse
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")


@pytest.fixture
def small(kms_box):
    """A function that mounts a tmpfs of some size; its path."""
    made = []

    def make(name, size):
        path = kms_box.path(name)
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", path], check=True)
        made.append(path)
        return path

    yield make
    for m in [s for s in kms_box.services if isinstance(s, Watched)]:
        m.kill()
    for path in made:
        subprocess.run(["umount", "-l", path])


def fill(path, leave=0):
    """Take the lower space away by a file outside of what is tested."""
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            pass
        if leave:
            f.truncate(max(0, f.tell() - leave))


def write_until_full(path, block=64 * 1024, limit=64 << 20):
    """(bytes that were accepted and made durable, errno's name)."""
    data, sure = os.urandom(block), 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        while sure < limit:
            what = errno_of(lambda: (os.write(fd, data), os.fsync(fd)))
            if what:
                return data, sure, what
            sure += block
    finally:
        errno_of(os.close, fd)
    raise AssertionError("never full")


@root_only
def test_disk_full(kms_box, small):
    disk = small("disk", "3m")
    kms_box.run("init", disk + "/vault")
    m = Watched(kms_box, disk + "/vault")
    kept = {f"kept{i}": os.urandom(1 + 7919 * i) for i in range(20)}
    for name, data in kept.items():
        write(m.path(name), data, sync=True)
    os.setxattr(m.path("kept1"), "user.a", b"v" * 100)
    data, sure, what = write_until_full(m.path("big"))
    assert what == "ENOSPC" and sure > 0
    got = read(m.path("big"))
    assert got[:sure] == (data * (sure // len(data) + 1))[:sure], "what was synced is there"

    fill(disk + "/ballast")
    # Everything that needs space says so, and changes nothing.
    refused = {
        "mkdir": lambda: [os.mkdir(m.path(f"d{i}")) for i in range(2000)],
        "create": lambda: [write(m.path(f"c{i}"), b"x" * 5000, sync=True) for i in range(2000)],
        "append": lambda: write_until_full(m.path("kept3")) and (_ for _ in ()).throw(OSError(28, "")),
    }
    for name, action in refused.items():
        assert errno_of(action) == "ENOSPC", name
    listed = os.listdir(m.point)
    for name, content in kept.items():
        assert name in listed
        assert read(m.path(name))[:len(content)] == content, name
    before = read(m.path("kept5"))
    assert errno_of(os.rename, m.path("kept4"), m.path("kept4b")) in ("", "ENOSPC")
    assert os.path.exists(m.path("kept4")) != os.path.exists(m.path("kept4b")), "the old name or the new one"
    errno_of(os.setxattr, m.path("kept1"), "user.b", b"w" * 3000)
    assert os.getxattr(m.path("kept1"), "user.a") == b"v" * 100
    # Overwriting in place needs no space.
    with open(m.path("kept19"), "r+b") as f:
        f.write(b"Z" * 4096)
        f.flush()
        assert errno_of(os.fsync, f.fileno()) == ""
    kept["kept19"] = b"Z" * 4096 + kept["kept19"][4096:]
    assert read(m.path("kept5")) == before

    # Removing works on a full disk, and makes room.
    os.unlink(m.path("big"))
    os.unlink(disk + "/ballast")
    write(m.path("again"), data, sync=True)
    os.mkdir(m.path("folder"))
    assert "error" not in m.log() or "ENOSPC" in m.log() or "No space" in m.log(), m.log()
    m.umount()
    m = Watched(kms_box, disk + "/vault")
    if os.path.exists(m.path("kept4b")):
        kept["kept4b"] = kept.pop("kept4")
    for name, content in kept.items():
        assert read(m.path(name))[:len(content)] == content, name
    assert read(m.path("again")) == data
    for name in os.listdir(m.point):
        assert errno_of(read, m.path(name)) in ("", "EISDIR"), name
    m.umount()


@root_only
def test_mounting_and_making_on_a_full_disk(kms_box, small):
    disk = small("disk", "1m")
    kms_box.run("init", disk + "/vault")
    m = Watched(kms_box, disk + "/vault")
    write(m.path("file"), b"kept" * 1000, sync=True)
    m.umount()
    fill(disk + "/ballast")
    done = kms_box.run("init", disk + "/second", code=1)
    assert "No space left" in done.stderr and disk + "/second" in done.stderr, done.stderr
    done = kms_box.run("mount", disk + "/vault", m.point, code=None)
    if done.returncode == 0:
        kms_box.mounts.append(m.point)
        assert read(m.path("file")) == b"kept" * 1000
        kms_box.umount(m.point)
    else:
        assert "No space left" in done.stderr and done.returncode == 1, done.stderr
    kms_box.run("mount", "-o", "ro", disk + "/vault", m.point)
    kms_box.mounts.append(m.point)
    assert read(m.path("file")) == b"kept" * 1000
    kms_box.umount(m.point)
    os.unlink(disk + "/ballast")
    m = Watched(kms_box, disk + "/vault")
    assert read(m.path("file")) == b"kept" * 1000
    m.umount()


@root_only
def test_keystore_on_a_full_disk(kms_box, small):
    """What the KMS cannot write down it does not do; the mount and every later call say so; nothing is lost."""
    disk = small("keys", "1m")
    shutil.copy(kms_box.keystore, disk + "/kms.db")
    where = ["--keystore", disk + "/kms.db"]
    kms_box.run("kms", "create-key", *where)
    vault = kms_box.path("vault")
    kms_box.run("init", *where, vault)
    m = Watched(kms_box, vault, *where)
    write(m.path("file"), b"kept" * 1000, sync=True)
    m.umount()
    listed = kms_box.run("kms", "list-keys", "--json", *where).stdout
    fill(disk + "/ballast")
    done = kms_box.run("kms", "create-key", *where, code=None)
    assert done.returncode != 0 and done.stderr.startswith("signetfs: "), done
    done = kms_box.run("mount", *where, vault, m.point, code=None)
    assert done.returncode != 0 and not is_mounted(m.point), "a call that leaves no audit record is not answered"
    assert disk + "/kms.db" in done.stderr, done.stderr
    os.unlink(disk + "/ballast")
    assert kms_box.run("kms", "list-keys", "--json", *where).stdout == listed
    m = Watched(kms_box, vault, *where)
    assert read(m.path("file")) == b"kept" * 1000
    kms_box.run("kms", "create-key", *where)
    m.umount()


# ---- As an ordinary user, with little ----


@pytest.fixture
def person(kms_box):
    """Commands as nobody, with a home, keystore and vault of their own."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    who = pwd.getpwnam("nobody")
    os.chmod(kms_box.root, 0o777)
    os.chmod(os.path.dirname(kms_box.root), 0o755)
    home = kms_box.path("nobody")
    os.mkdir(home, 0o700)
    os.chown(home, who.pw_uid, who.pw_gid)
    binary = shutil.copy(SIGNETFS, kms_box.path("signetfs"))
    mode = os.stat("/dev/fuse").st_mode & 0o777
    os.chmod("/dev/fuse", 0o666)

    def run(command, before="", code=0):
        done = subprocess.run(["setpriv", "--reuid", str(who.pw_uid), "--regid", str(who.pw_gid), "--clear-groups", "sh", "-c",
                               f"{before} {command}"], env={**kms_box.env, "HOME": home}, cwd=home, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        assert code is None or done.returncode == code, done.stdout
        return done

    run.binary, run.home = binary, home
    run.root_key = f"--root-key keyfile:{home}/key"
    run("head -c 32 /dev/urandom > key; chmod 600 key; mkdir clear")
    yield run
    if is_mounted(home + "/clear"):
        subprocess.run(["umount", "-l", home + "/clear"])
    os.chmod("/dev/fuse", mode)


@pytest.mark.parametrize("limits", ["ulimit -n 256;", "ulimit -l 64;", "ulimit -l 0;", "ulimit -n 256; ulimit -l 64;"])
def test_ordinary_user_with_little(person, limits):
    """It works, or says at once which limit to raise."""
    if is_sanitized() and "-l" in limits:
        pytest.skip("sanitizers lock no memory")
    b, key = person.binary, person.root_key
    person(f"{b} kms init {key} && {b} init {key} vault")
    done = person(f"exec {b} mount {key} vault clear", before=limits, code=None)
    if done.returncode != 0:
        assert "ulimit -l" in done.stdout or "memlock" in done.stdout.lower(), done.stdout
        assert not is_mounted(person.home + "/clear")
        assert "-l" in limits
        # The vault is as before.
        person(f"{b} mount {key} vault clear && echo ok > clear/file && {b} umount clear")
        return
    person("set -e; mkdir clear/d; for i in $(seq 300); do echo $i > clear/d/f$i; done; cat clear/d/* | wc -l | grep -qx 300")
    person(f"{b} umount clear")
    person(f"{b} mount {key} vault clear && cat clear/d/f77 && {b} umount clear")


def test_descriptors_do_not_run_out(person):
    """`ulimit -n 64`: still works, or the message names the limit."""
    b, key = person.binary, person.root_key
    person(f"{b} kms init {key} && {b} init {key} vault")
    done = person(f"exec {b} mount {key} vault clear", before="ulimit -n 64;", code=None)
    if done.returncode != 0:
        assert "descriptors" in done.stdout or "Too many open files" in done.stdout, done.stdout
        return
    person("set -e; mkdir clear/d; for i in $(seq 500); do echo $i > clear/d/f$i; done; cat clear/d/* | wc -l | grep -qx 500")
    person(f"{b} umount clear")
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 64
