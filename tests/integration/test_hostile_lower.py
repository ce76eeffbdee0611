"""Who can write to the vault puts other things in the place of what is known and open: nothing hangs, nothing outside is touched."""

import itertools
import os
import shutil
import stat

from conftest import is_mounted, needs_fuse
from hostile import Watched, errno_of, lower_of, read, write
from programs import root_only

pytestmark = needs_fuse
LONG = "n" * 200
CANARY = b"outside the vault"


def attempt(action, *args):
    """Whatever comes of it: that it returns is what counts."""
    try:
        return action(*args)
    except OSError:
        return None


def use_everything(top):
    """Calls of every kind on every name, as root or not; returns what could be read."""
    seen = []
    for name in attempt(os.listdir, top) or []:
        path = os.path.join(top, name)
        attempt(os.lstat, path)
        seen.append(attempt(read, path) if stat.S_ISREG(mode_of(path)) else None)
        seen.append(attempt(os.readlink, path))
        attempt(os.listdir, path)
        attempt(lambda p=path: os.setxattr(p, "user.a", b"b", follow_symlinks=False))
        attempt(lambda p=path: os.listxattr(p, follow_symlinks=False))
        if not stat.S_ISLNK(mode_of(path)):
            attempt(os.chmod, path, 0o640)
            attempt(os.truncate, path, 3)
        attempt(lambda p=path: os.utime(p, (1, 1), follow_symlinks=False))
    return b" ".join(filter(None, (os.fsencode(s) if isinstance(s, str) else s for s in seen)))


def mode_of(path):
    found = attempt(os.lstat, path)
    return found.st_mode if found else 0


def files_below(top):
    return sorted(os.path.join(d, f) for d, _, fs in os.walk(top) for f in fs)


def test_fifos_in_the_place_of_every_file(kms_box):
    """A FIFO that nobody writes to or reads from makes nobody wait: the vault's records, ids, long names, contents."""
    vault = kms_box.make_vault()
    m = Watched(kms_box, vault)
    os.mkdir(m.path("folder"))
    for name in ("file", "folder/inside", LONG):
        write(m.path(name), b"content")
    m.killed()  # with records of an unfinished session
    state = os.path.join(vault, ".signetfs")
    places = files_below(vault) + [os.path.join(state, n) for n in ("sessions.new", "bucket.new", "reserve")]
    for place in places:
        shutil.rmtree(kms_box.path("copy"), ignore_errors=True)
        shutil.copytree(vault, kms_box.path("copy"), symlinks=True)
        fifo = place.replace(vault, kms_box.path("copy"), 1)
        if os.path.lexists(fifo):
            os.unlink(fifo)
        os.mkfifo(fifo)
        for options in ([], ["-o", "ro"]):
            point = kms_box.path("clear")
            done = kms_box.run("mount", *options, kms_box.path("copy"), point, code=None)
            assert (done.returncode == 0) == is_mounted(point), (fifo, done)
            if done.returncode != 0:
                assert done.stderr.startswith("signetfs: "), done
                continue
            kms_box.mounts.append(point)
            use_everything(point)
            for name in ("m" * 200, LONG):
                if not stat.S_ISFIFO(mode_of(os.path.join(point, name))):
                    attempt(write, os.path.join(point, name), b"new")
            attempt(os.unlink, os.path.join(point, LONG))
            kms_box.umount(point)


# ---- Swaps below a live mount ----


def make_file(path):
    write(path, CANARY)


KINDS = {"file": make_file, "directory": os.mkdir, "fifo": os.mkfifo, "nothing": lambda path: None,
         "device": lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))}


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def snapshot(path):
    st = os.stat(path)
    return read(path), st.st_mode, st.st_uid, st.st_mtime_ns, st.st_ctime_ns, os.listxattr(path)


@root_only
def test_what_is_known_and_open_is_swapped_for_something_else(kms_box):
    """Each kind for each other; links go to a file outside, which must stay as it is and be shown to nobody."""
    m = Watched(kms_box, kms_box.make_vault(), before=("prlimit", "--nofile=110:110"))
    outside = kms_box.path("outside")
    write(outside, CANARY)
    os.mkdir(m.path("top"))
    write(m.path("beside"), b"kept")
    kinds = {**KINDS, "link": lambda path: os.symlink(outside, path)}
    was = {"file": lambda path: write(path, b"a" * 5000), "directory": os.mkdir, "link": lambda path: os.symlink("target", path),
           "fifo": os.mkfifo}
    held, swapped = [], []
    for old, new in itertools.product(was, kinds):
        path = m.path("top", f"{old} {new}")
        was[old](path)
        swapped.append((lower_of(m.vault, path), new))
        if old in ("file", "directory"):
            held.append(os.open(path, os.O_RDONLY))
    before = snapshot(outside)
    for lower, new in swapped:
        remove(lower)
        kinds[new](lower)
    for _ in range(2):
        assert CANARY not in use_everything(m.path("top"))
        for fd in held:
            for action in (lambda fd=fd: os.pread(fd, 5000, 0), lambda fd=fd: os.fchmod(fd, 0o600), lambda fd=fd: os.listdir(fd),
                           lambda fd=fd: os.setxattr(fd, "user.c", b"d"), lambda fd=fd: os.fsync(fd)):
                assert attempt(action) != CANARY
        for i in range(120):  # more than the mount may have open: what it knows is opened anew
            write(m.path(f"other{i}"), b"x")
    for fd in held:
        os.close(fd)
    for old, new in itertools.product(was, kinds):
        attempt(os.rename, m.path("top", f"{old} {new}"), m.path("top", f"{old} {new}."))
        for action in (os.unlink, os.rmdir):
            attempt(action, m.path("top", f"{old} {new}."))
            attempt(action, m.path("top", f"{old} {new}"))
    assert snapshot(outside) == before
    assert read(m.path("beside")) == b"kept" and m.process.poll() is None
    m.umount()


def test_a_directory_moved_into_itself(kms_box):
    """Below, a/b is taken out and a put into it, in the place of a directory whose name is valid there: climbing must end."""
    m = Watched(kms_box, kms_box.make_vault(), before=("prlimit", "--nofile=110:110"))
    os.makedirs(m.path("a/b/x"))
    a, b, x = (lower_of(m.vault, m.path(p)) for p in ("a", "a/b", "a/b/x"))
    fd = os.open(m.path("a/b"), os.O_RDONLY)
    shutil.rmtree(x)
    out = os.path.join(m.vault, "out")
    os.rename(b, out)
    os.rename(a, os.path.join(out, os.path.basename(x)))
    for _ in range(3):
        errno_of(os.stat, f"/proc/self/fd/{fd}/x/b/x")
        errno_of(os.listdir, f"/proc/self/fd/{fd}/x")
        errno_of(write, f"/proc/self/fd/{fd}/x/file", b"data")
        os.makedirs(m.path("many"), exist_ok=True)
        for i in range(120):
            os.makedirs(m.path("many", str(i), "sub"), exist_ok=True)
        errno_of(os.stat, m.path("a/b/x"))
        errno_of(os.listdir, fd)
    os.close(fd)
    write(m.path("works"), b"still", sync=True)
    assert read(m.path("works")) == b"still" and m.process.poll() is None
    m.umount()
