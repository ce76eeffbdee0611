"""Names of every length and any byte, our own hidden names, paths and link targets as long as they get."""

import os
import random
import stat

import pytest

from conftest import Mounted, needs_fuse
from hostile import errno_of, read, write

pytestmark = needs_fuse

TARGET_MAX = 3031  # doc/format.md, "Links"


def any_name(rng, length):
    while True:
        name = bytes(rng.choice([c for c in range(1, 256) if c != 0x2f]) for _ in range(length))
        if name not in (b".", b".."):
            return name


def test_names_of_every_length(mounted):
    """1 to 255 bytes of anything, invalid UTF-8 as a rule, on each kind of object, before and after a remount."""
    rng = random.Random(17)
    names = [any_name(rng, n) for n in range(1, 256)]
    makers = [lambda p: write(p, p[-9:]), os.mkdir, lambda p: os.symlink(p[-9:], p), os.mkfifo]
    top = os.fsencode(mounted.point)
    for n, name in enumerate(names):
        makers[n % 4](top + b"/" + name)
    assert sorted(os.listdir(top)) == sorted(names)
    mounted.remount()
    assert sorted(os.listdir(top)) == sorted(names)
    for n, name in enumerate(names):
        kind = stat.S_IFMT(os.lstat(top + b"/" + name).st_mode)
        assert kind == (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO)[n % 4]
    for name in names[::4]:
        assert read(top + b"/" + name) == (top + b"/" + name)[-9:]
    for name in names:
        other = name[:-1] + bytes([name[-1] ^ 0x80]) if name[-1] ^ 0x80 not in (0, 0x2f, 0x2e) else b"other%d" % len(name)
        os.rename(top + b"/" + name, top + b"/" + other)
        (os.rmdir if names.index(name) % 4 == 1 else os.unlink)(top + b"/" + other)
    assert os.listdir(top) == []


OURS = ["signetfs.ini", "signetfs.dir", ".signetfs", "signetfs.tmp.0123", "signetfs.long.x", "signetfs.anything"]
MAKERS = {"creat": lambda p: write(p, b""), "mkdir": os.mkdir, "mkfifo": os.mkfifo, "symlink": lambda p: os.symlink("t", p),
          "link": lambda p: os.link("file", p), "rename": lambda p: os.rename("other", p), "mknod": os.mknod}


@pytest.mark.parametrize("names", ["encrypted", "plain"])
def test_names_that_look_like_ours(kms_box, monkeypatch, names):
    """Like any other where names are encrypted; where they are not, they cannot be made, and what is ours is not to be seen."""
    m = Mounted(kms_box, vault=kms_box.make_vault("--names", names))
    os.mkdir(m.path("d"))
    for place in (m.point, m.path("d")):
        monkeypatch.chdir(place)
        write("file", b"")
        for ours in OURS:
            for how, make in MAKERS.items():
                if how == "rename":
                    write("other", b"")
                if names == "plain":
                    assert errno_of(make, ours) == "EPERM", (how, ours)
                    assert errno_of(os.lstat, ours) == errno_of(os.unlink, ours) == errno_of(os.rename, ours, "x") == "ENOENT"
                else:
                    make(ours)
                    (os.rmdir if how == "mkdir" else os.unlink)(ours)
        near = ["signetfs", "signetfs_ini", ".signetfs2", "Signetfs.ini"]
        for name in near:
            write(name, b"")
        assert set(near) <= set(os.listdir(".")) and not set(OURS) & set(os.listdir("."))
        monkeypatch.chdir("/")


def test_a_path_longer_than_any_call_takes(mounted):
    """80 levels of 255 bytes, by openat; a path names it no more, and it is there after a remount."""
    names = [bytes([0x61 + n % 26]) * 255 for n in range(80)]
    fd = os.open(mounted.point, os.O_RDONLY)
    for name in names:
        os.mkdir(name, dir_fd=fd)
        fd, above = os.open(name, os.O_RDONLY, dir_fd=fd), fd
        os.close(above)
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.rename("bottom", "moved", src_dir_fd=fd, dst_dir_fd=fd)
    os.close(fd)
    path = os.fsencode(mounted.point) + b"/" + b"/".join(names)
    assert errno_of(os.stat, path) == "ENAMETOOLONG"
    mounted.remount()
    fd = os.open(mounted.point, os.O_RDONLY)
    fds = [fd]
    for name in names:
        assert os.listdir(fds[-1]) == [os.fsdecode(name)]
        fds.append(os.open(name, os.O_RDONLY, dir_fd=fds[-1]))
    assert os.listdir(fds[-1]) == ["moved"]
    os.unlink("moved", dir_fd=fds[-1])
    for n in reversed(range(80)):
        os.rmdir(names[n], dir_fd=fds[n])
    for fd in fds:
        os.close(fd)
    assert os.listdir(mounted.point) == []


def test_targets_of_every_length(mounted):
    rng = random.Random(18)
    lengths = [*range(1, 70), *range(1000, 1010), *range(TARGET_MAX - 5, TARGET_MAX + 1)]
    targets = {n: bytes(rng.randrange(1, 256) for _ in range(n)) for n in lengths}
    top = os.fsencode(mounted.point)
    for n, target in targets.items():
        os.symlink(target, top + b"/%d" % n)
    # What a vault holds is longer than the target, and Linux stops at 4095: a limit that ext4 has not.
    for n in (TARGET_MAX + 1, 4000, 4095):
        assert errno_of(os.symlink, b"t" * n, top + b"/no") == "ENAMETOOLONG"
    assert errno_of(os.symlink, b"t" * 4096, top + b"/no") == "ENAMETOOLONG"
    for _ in range(2):
        for n, target in targets.items():
            assert os.readlink(top + b"/%d" % n) == target and os.lstat(top + b"/%d" % n).st_size == n
        mounted.remount()


def test_chains_of_links(folder):
    write(folder + "/0", b"end")
    for n in range(41):
        os.symlink(str(n), f"{folder}/{n + 1}")
    assert read(folder + "/40") == b"end"
    assert errno_of(os.stat, folder + "/41") == "ELOOP"
