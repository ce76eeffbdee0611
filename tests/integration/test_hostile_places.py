"""Wrong places to mount and wrong things to mount, and a search for plaintext wherever any could be left."""

import glob
import os
import secrets
import shutil
import subprocess

import pytest

from conftest import SIGNETFS, is_mounted, needs_fuse
from hostile import DAMAGED, MOUNT_POINT, Watched, errno_of, lower_of, read, snapshot, write

pytestmark = needs_fuse


@pytest.fixture
def vault_box(kms_box):
    """A box with a vault that holds a file."""
    kms_box.vault = kms_box.make_vault()
    point = kms_box.mount(kms_box.vault)
    write(point + "/file", b"kept")
    kms_box.umount(point)
    return kms_box


def refused(box, code, vault, point, *words, options=()):
    before = snapshot(box.vault)
    done = box.run("mount", *options, vault, point, code=code)
    assert done.stderr.startswith("signetfs: mounting ") and done.stdout == ""
    missing = [w for w in words if w not in done.stderr]
    assert not missing, (missing, done.stderr)
    assert snapshot(box.vault) == before
    return done.stderr


def works(box):
    point = box.mount(box.vault)
    assert read(point + "/file") == b"kept"
    box.umount(point)


def test_mount_points(vault_box):
    """Beyond what test_mount_life.py has: links, devices, deep places, around and inside by other names."""
    b = vault_box
    vault = b.vault

    def place(name):
        os.makedirs(b.path(name), exist_ok=True)
        return b.path(name)

    os.symlink(b.path("nowhere"), b.path("dangling"))
    refused(b, MOUNT_POINT, vault, b.path("dangling"), b.path("dangling"))
    os.mkfifo(b.path("pipe"))
    refused(b, MOUNT_POINT, vault, b.path("pipe"), "not a directory", b.path("pipe"))
    refused(b, MOUNT_POINT, vault, "/dev/null", "not a directory")
    refused(b, MOUNT_POINT, vault, b.path("a/b/c"), "does not exist")
    refused(b, None, vault, "")
    refused(b, MOUNT_POINT, vault, place("x" * 200) + "/" + "y" * 300)
    # By a link, a bind of words, a trailing slash: the same place.
    os.symlink(vault, b.path("alias"))
    refused(b, MOUNT_POINT, vault, b.path("alias"), "vault")
    refused(b, MOUNT_POINT, b.path("alias"), vault + "/", "vault")
    inner = os.path.join(vault, ".signetfs")
    refused(b, MOUNT_POINT, b.path("alias"), inner, "inside the vault", options=["-o", "nonempty"])
    os.rename(vault, os.path.join(place("outer"), "vault"))
    b.vault = b.path("outer/vault")
    refused(b, MOUNT_POINT, b.vault, b.path("outer"), options=["-o", "nonempty"])
    hidden = place("busy")
    write(hidden + "/.hidden", b"")
    refused(b, MOUNT_POINT, b.vault, hidden, "nonempty")
    assert read(hidden + "/.hidden") == b""
    works(b)


def test_a_link_to_a_good_place_will_do(vault_box):
    os.mkdir(vault_box.path("real"))
    os.symlink("real", vault_box.path("link"))
    vault_box.run("mount", vault_box.vault, vault_box.path("link"))
    vault_box.mounts.append(vault_box.path("real"))
    assert read(vault_box.path("link/file")) == b"kept"


def test_vaults_that_are_none(vault_box):
    b, point = vault_box, vault_box.path("clear")
    write(b.path("text"), b"just text")
    os.mkdir(b.path("empty"))
    os.mkdir(b.path("odd"))
    os.mkdir(b.path("odd/signetfs.ini"))
    os.mkdir(b.path("loop"))
    os.symlink("signetfs.ini", b.path("loop/signetfs.ini"))
    os.mkdir(b.path("pipe"))
    os.mkfifo(b.path("pipe/signetfs.ini"))
    refused(b, DAMAGED, b.path("text"), point, b.path("text"), "not a directory")
    refused(b, DAMAGED, b.path("empty"), point, b.path("empty"), "no signetfs.ini", "signetfs init")
    refused(b, 1, b.path("missing"), point, b.path("missing"), "no directory")
    refused(b, None, b.path("odd"), point, "signetfs.ini")
    refused(b, None, b.path("loop"), point, "signetfs.ini")
    refused(b, None, b.path("pipe"), point, "signetfs.ini")
    refused(b, DAMAGED, "/usr/include", point, "/usr/include")
    assert os.listdir(b.path("empty")) == [] and os.listdir(point) == [] and not is_mounted(point)
    works(b)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_unreadable_vault(vault_box):
    """Somebody else's vault: permission denied, with its path; nothing of it changes."""
    b = vault_box
    for folder in (b.root, os.path.dirname(b.root), os.path.dirname(os.path.dirname(b.root))):
        os.chmod(folder, 0o755)
    binary, before = shutil.copy(SIGNETFS, b.path("signetfs")), snapshot(b.vault)
    os.mkdir(b.path("theirs"), 0o777)
    os.chmod(b.path("theirs"), 0o777)
    os.chmod(b.vault, 0o700)
    env = {**b.env, "HOME": b.path("theirs")}
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", binary, "mount", b.vault,
                           b.path("theirs")], env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode in (1, MOUNT_POINT) and "ermission denied" in done.stdout and b.vault in done.stdout, done
    assert snapshot(b.vault) == before
    works(b)


def test_mounted_elsewhere(vault_box):
    """By whom: place and process. Its end, however it came, frees the vault."""
    m = Watched(vault_box, vault_box.vault)
    os.mkdir(vault_box.path("other"))
    done = vault_box.run("mount", vault_box.vault, vault_box.path("other"), code=1)
    assert f"mounted on {m.point} (process {m.process.pid})" in done.stderr, done.stderr
    done = vault_box.run("mount", "-o", "ro", vault_box.vault, vault_box.path("other"), code=None)
    if done.returncode == 0:
        vault_box.mounts.append(vault_box.path("other"))
        assert read(vault_box.path("other/file")) == b"kept"
        vault_box.umount(vault_box.path("other"))
    write(m.path("more"), b"still works")
    m.killed()
    works(vault_box)


# ---- Nothing readable is left anywhere ----


def strings_in(paths, needles):
    """(path, needle) for every needle in a name, a content, a link or an attribute below @paths."""
    found = []

    def look(path, data):
        found.extend((path, n) for n in needles if n in data)

    for top in paths:
        entries = [os.path.join(d, e) for d, ds, fs in os.walk(top) for e in ds + fs] if os.path.isdir(top) else [top]
        for path in entries:
            look(path, os.fsencode(os.path.basename(path)))
            if os.path.islink(path):
                look(path, os.fsencode(os.readlink(path)))
            elif os.path.isfile(path):
                look(path, read(path))
                for a in os.listxattr(path):
                    look(path, os.fsencode(a) + b"\0" + os.getxattr(path, a))
    return found


def test_no_plaintext_in_vault_keystore_logs_or_temporary_folders(box):
    """With everything that writes: long names, attributes, damage in the log, a crash, failing commands, a wrong passphrase."""
    mark = {k: f"cnry{secrets.token_hex(6)}".encode() for k in
            ("name", "long", "content", "target", "xname", "xvalue", "passphrase", "wrong", "gone", "renamed")}
    passfile, wrong = box.path("home/pass"), box.path("home/wrong")
    for path, key in ((passfile, "passphrase"), (wrong, "wrong")):
        write(path, mark[key] + b"\n")
        os.chmod(path, 0o600)
    temporary = glob.glob("/tmp/*") + glob.glob("/var/tmp/*") + glob.glob("/dev/shm/*")
    root_key = ["--root-key", f"passfile:{passfile}"]
    box.run("kms", "init", *root_key)
    outputs = [box.run("kms", "list-keys", "--root-key", f"passfile:{wrong}", code=3)]
    outputs.append(box.run("init", *root_key, box.path("vault")))
    m = Watched(box, box.path("vault"), *root_key)
    top = os.fsencode(m.point)
    for i in range(10):
        write(top + b"/%s%d" % (mark["name"], i), mark["content"] * 2000)
    os.mkdir(top + b"/" + mark["long"] * 12)
    write(top + b"/" + mark["long"] * 12 + b"/inner" + mark["name"], mark["content"])
    os.symlink(mark["target"] * 5, top + b"/link")
    os.setxattr(top + b"/%s0" % mark["name"], b"user." + mark["xname"], mark["xvalue"] * 10)
    os.setxattr(top + b"/%s1" % mark["name"], b"user." + mark["xname"] * 14, mark["xvalue"] * 10)
    write(top + b"/" + mark["gone"], mark["gone"] * 500, sync=True)
    os.unlink(top + b"/" + mark["gone"])
    os.rename(top + b"/%s9" % mark["name"], top + b"/" + mark["renamed"])
    # Failures, which are what gets logged.
    errno_of(os.rmdir, top + b"/" + mark["long"] * 12)
    errno_of(read, top + b"/" + mark["name"] + b"-is-not-there")
    errno_of(os.mkdir, top + b"/" + mark["name"] * 30)
    subprocess.run(["sync", "-f", m.point], check=True)
    bad = lower_of(m.vault, os.fsdecode(top + b"/%s3" % mark["name"]))
    assert len(strings_in([m.point], list(mark.values()))) >= 15, "the search itself works"
    stats = box.run("stats", m.point)
    outputs.append(stats)
    m.killed()
    with open(bad, "r+b") as f:
        f.seek(700)
        f.write(b"damaged")
    second = Watched(box, box.path("vault"), *root_key)
    assert errno_of(read, top + b"/%s3" % mark["name"]) == "EIO"
    assert read(top + b"/%s2" % mark["name"]) == mark["content"] * 2000
    assert "error: " in second.log()
    # While it is mounted, and after.
    needles = list(mark.values())
    places = [m.vault, os.path.dirname(box.keystore)]
    assert strings_in(places, needles) == []
    second.umount()
    outputs.append(box.run("info", bad, code=None))
    outputs.append(box.run("kms", "audit", "--json", *root_key))
    for path in (passfile, wrong):
        os.unlink(path)
    new = [p for p in glob.glob("/tmp/*") + glob.glob("/var/tmp/*") + glob.glob("/dev/shm/*")
           if p not in temporary and os.path.isfile(p) and os.access(p, os.R_OK)]
    assert strings_in([box.root, *new], needles) == [], "logs, keystore with its -wal, vault, temporary files"
    for done in outputs:
        assert not any(n.decode() in done.stdout + done.stderr for n in needles), done.args
    for log in ("/var/log/syslog", "/var/log/messages", "/var/log/daemon.log"):
        if os.path.isfile(log) and os.access(log, os.R_OK):
            assert not any(n in read(log) for n in needles)


def holds(pid, inode):
    """Has the process a file of that number open?"""
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            if os.stat(path).st_ino == inode:
                return True
        except FileNotFoundError:
            pass
    return False


def taken_again(m, folder, flags):
    """A new file with the number of one that was removed below the mount, which knows it still; None when another one got it."""
    write(folder + "/gone", b"secret" * 500)
    below, number = lower_of(m.vault, folder + "/gone"), os.stat(folder + "/gone").st_ino
    for i in range(200):
        if not holds(m.process.pid, number):
            break
        write(f"{folder}/{i}", b"others, until it is closed below")
    assert not holds(m.process.pid, number)
    os.unlink(below)
    found, held = None, []
    for i in range(15):
        held.append(os.open(folder if flags & os.O_DIRECTORY else f"{folder}/new{i}", os.O_RDWR | flags, 0o600))
        if os.fstat(held[-1]).st_ino == number:
            found = held.pop()
            break
    for fd in held:
        os.close(fd)
    return found


@pytest.mark.parametrize("flags", (os.O_CREAT | os.O_EXCL, os.O_TMPFILE), ids=("named", "unnamed"))
def test_a_file_removed_below_lends_its_contents_to_none(kms_box, flags):
    """Its inode number goes to the next file made; what the kernel remembers under that number must not."""
    m = Watched(kms_box, kms_box.make_vault(), before=("prlimit", "--nofile=110:110"))
    # Whoever else uses the lower file system may be faster to take the number.
    for attempt in range(50):
        os.mkdir(m.path(str(attempt)))
        fd = taken_again(m, m.path(str(attempt)), flags)
        if fd is not None:
            break
    else:
        pytest.skip("SKIP: the lower file system does not give a number out again soon")
    try:
        assert (os.fstat(fd).st_size, os.pread(fd, 100, 0)) == (0, b"")
        assert os.write(fd, b"new") == 3
        os.fsync(fd)
        assert os.pread(fd, 100, 0) == b"new"
    finally:
        os.close(fd)
    m.umount()
