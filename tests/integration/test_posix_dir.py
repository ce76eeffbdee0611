"""Listing directories: with any buffer, while entries come and go, back and forth; numbers, types and times of directories."""

import ctypes
import os
import stat
import struct
import threading
import time

import pytest

from conftest import needs_fuse
from hostile import errno_of, write
from tree_diff import EXCHANGE, LIBC, renameat2

pytestmark = needs_fuse

GETDENTS64 = {"x86_64": 217, "aarch64": 61, "riscv64": 61}.get(os.uname().machine)
STABLE = 1500
REALTIME_COARSE = 5  # from <time.h>; the interpreter has no name for it


def getdents(fd, size):
    """One call: [(name, inode, type, offset of the next)]."""
    buf = ctypes.create_string_buffer(size)
    got = LIBC.syscall(GETDENTS64, fd, buf, size)
    if got < 0:
        raise OSError(ctypes.get_errno(), "getdents64")
    found, at = [], 0
    while at < got:
        ino, off, length, kind = struct.unpack_from("<QqHB", buf.raw, at)
        found.append((buf.raw[at + 19:at + length].split(b"\0")[0].decode(), ino, kind, off))
        at += length
    return found


def all_entries(fd, size):
    found = []
    while page := getdents(fd, size):
        found += page
    return found


needs_getdents = pytest.mark.skipif(GETDENTS64 is None, reason="the number of getdents64 is not known on this machine")


@needs_getdents
def test_types_numbers_and_tiny_buffers(shared, folder):
    os.chdir(folder)
    kinds = {"file": 8, "dir": 4, "link": 10, "fifo": 1, "sock": 12, "f" * 255: 8}
    write("file", b"")
    write("f" * 255, b"")
    os.mkdir("dir")
    os.symlink("nowhere", "link")
    os.mkfifo("fifo")
    os.mknod("sock", stat.S_IFSOCK | 0o600)
    fd = os.open(".", os.O_RDONLY)
    try:
        expected = {n: (os.lstat(n).st_ino, kind) for n, kind in kinds.items()}
        expected |= {".": (os.stat(".").st_ino, 4), "..": (os.stat("..").st_ino, 4)}
        for size in (280, 300, 1000, 32768):  # a name of 255 bytes takes 280
            os.lseek(fd, 0, os.SEEK_SET)
            found = all_entries(fd, size)
            assert {name: (ino, kind) for name, ino, kind, _ in found} == expected and len(found) == len(expected)
            for n, (_, _, _, off) in enumerate(found):
                os.lseek(fd, off, os.SEEK_SET)
                assert [e[0] for e in all_entries(fd, size)] == [e[0] for e in found[n + 1:]]
        os.lseek(fd, 0, os.SEEK_SET)
        assert errno_of(getdents, fd, 10) == "EINVAL"
    finally:
        os.close(fd)
        os.chdir("/")
    top = os.open(shared.point, os.O_RDONLY)
    dots = {name: ino for name, ino, _, _ in all_entries(top, 4096) if name.startswith(".")}
    os.close(top)
    assert dots == {".": os.stat(shared.point).st_ino, "..": os.stat(shared.point).st_ino}, "as at the top of any file system"


@needs_getdents
@pytest.mark.parametrize("size", [300, 32768])
def test_every_entry_that_stays_comes_once(shared, folder, size):
    """While others are made, renamed and removed around them, and the mount is listed by several at a time."""
    for n in range(STABLE):
        os.mknod(f"{folder}/stays-{n}")
    stop, wrong = threading.Event(), []

    def churn(me):
        n = 0
        while not stop.is_set():
            a, b = f"{folder}/goes-{me}-{n % 50}", f"{folder}/moved-{me}-{n % 70}"
            os.mknod(a)
            os.rename(a, b)
            if n % 3:
                os.unlink(b)
            n += 1

    def list_it(times):
        for _ in range(times):
            fd = os.open(folder, os.O_RDONLY)
            names = [e[0] for e in all_entries(fd, size)]
            os.close(fd)
            stays = sorted(n for n in names if n.startswith("stays-"))
            if stays != sorted(f"stays-{n}" for n in range(STABLE)) or names.count(".") != 1 or names.count("..") != 1:
                wrong.append(len(stays))

    churners = [threading.Thread(target=churn, args=(i,)) for i in range(2)]
    listers = [threading.Thread(target=list_it, args=(6,)) for _ in range(2)]
    for t in churners + listers:
        t.start()
    for t in listers:
        t.join()
    stop.set()
    for t in churners:
        t.join()
    assert wrong == []
    assert len([n for n in os.listdir(folder) if n.startswith("stays-")]) == STABLE


@needs_getdents
def test_rewinding_and_going_on_after_changes(folder):
    for n in range(300):
        os.mknod(f"{folder}/f{n:03d}")
    fd = os.open(folder, os.O_RDONLY)
    first = getdents(fd, 2000)
    place = first[-1][3]
    rest = [e[0] for e in all_entries(fd, 2000)]
    for name in [e[0] for e in first if not e[0].startswith(".")] + rest[::2]:
        os.unlink(f"{folder}/{name}")
    os.lseek(fd, place, os.SEEK_SET)
    # Whether what was removed since the listing began still comes is unspecified (POSIX, readdir): the kernel's cache has it.
    again = [e[0] for e in all_entries(fd, 2000)]
    assert [name for name in again if name in rest[1::2]] == rest[1::2] and set(again) <= set(rest)
    os.mknod(f"{folder}/new")
    os.lseek(fd, 0, os.SEEK_SET)
    assert sorted(e[0] for e in all_entries(fd, 2000)) == sorted([".", "..", "new", *rest[1::2]])
    os.close(fd)


def tick():
    """Until the clock that stamps files has moved on."""
    now = time.clock_gettime_ns(REALTIME_COARSE)
    while time.clock_gettime_ns(REALTIME_COARSE) == now:
        pass


CHANGES = {  # what is done -> of which directories mtime and ctime move
    "create": (lambda: write("a/new", b""), "a"),
    "mkdir": (lambda: os.mkdir("a/new"), "a"),
    "mkdir-long": (lambda: os.mkdir("a/" + "n" * 250), "a"),
    "mkfifo": (lambda: os.mkfifo("a/new"), "a"),
    "symlink": (lambda: os.symlink("t", "a/new"), "a"),
    "link": (lambda: os.link("a/file", "b/new"), "b"),
    "unlink": (lambda: os.unlink("a/file"), "a"),
    "rmdir": (lambda: os.rmdir("a/dir"), "a"),
    "rename-within": (lambda: os.rename("a/file", "a/new"), "a"),
    "rename-across": (lambda: os.rename("a/file", "b/new"), "ab"),
    "rename-dir": (lambda: os.rename("a/dir", "b/new"), "ab"),
    "rename-over": (lambda: os.rename("a/file", "b/file"), "ab"),
    "rename-over-dir": (lambda: os.rename("a/dir", "b/dir"), "ab"),
    "exchange": (lambda: renameat2(-100, b"a/file", -100, b"b/dir", EXCHANGE), "ab"),
    "write-inside": (lambda: write("a/file", b"more"), ""),
    "chmod-inside": (lambda: os.chmod("a/file", 0o600), ""),
    "list": (lambda: os.listdir("a"), ""),
    "no-op-rename": (lambda: os.rename("a/file", "a/file"), ""),
    "failed-mkdir": (lambda: errno_of(os.mkdir, "a/dir"), ""),
    "failed-rmdir": (lambda: errno_of(os.rmdir, "a/full"), ""),
    "failed-rename": (lambda: errno_of(os.rename, "a/dir", "b/full"), ""),
}


def times_of(path):
    st = os.stat(path)
    return st.st_mtime_ns, st.st_ctime_ns


@pytest.mark.parametrize("what", CHANGES)
def test_times_of_directories(folder, monkeypatch, what):
    monkeypatch.chdir(folder)
    change, moved = CHANGES[what]
    for d in "ab":
        for inside in ("dir", "full/x"):
            os.makedirs(f"{d}/{inside}")
        write(f"{d}/file", b"")
    before = {d: times_of(d) for d in "ab"}
    tick()
    change()
    for d in "ab":
        now = times_of(d)
        assert [new > old for new, old in zip(now, before[d])] == [d in moved] * 2, (d, before[d], now)
        assert now == before[d] or now[0] == now[1]


@pytest.mark.parametrize("flags", [0, EXCHANGE])
def test_ctime_of_what_is_linked_renamed_and_unlinked(folder, monkeypatch, flags):
    monkeypatch.chdir(folder)
    write("file", b"")
    os.mkdir("dir")
    for change in (lambda: os.link("file", "second"), lambda: renameat2(-100, b"file", -100, b"second" if flags else b"new", flags),
                   lambda: os.unlink("second")):
        fd = os.open("second" if os.path.exists("second") else "file", os.O_RDONLY)
        before = os.fstat(fd)
        tick()
        change()
        after = os.fstat(fd)
        os.close(fd)
        same = flags and after.st_nlink == before.st_nlink
        assert (after.st_ctime_ns > before.st_ctime_ns) is (not same) and after.st_mtime_ns == before.st_mtime_ns


def test_inode_numbers_stay(mounted):
    os.makedirs(mounted.path("d/e"))
    write(mounted.path("d/f"), b"")
    os.symlink("t", mounted.path("d/l"))
    paths = ["", "d", "d/e", "d/f", "d/l"]
    before = [os.lstat(mounted.path(p)).st_ino for p in paths]
    mounted.remount()
    assert [os.lstat(mounted.path(p)).st_ino for p in paths] == before
    os.rename(mounted.path("d"), mounted.path("D"))
    assert [os.lstat(mounted.path(p.replace("d", "D", 1))).st_ino for p in paths] == before
    assert len(set(before)) == len(before)
