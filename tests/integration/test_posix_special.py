"""Devices, FIFOs and sockets, locks between processes, inotify: what the kernel does on top of a mount, and we must not break."""

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import stat
import struct

import pytest

from as_user import MOUNT_OPTIONS, USER, needs_root, run  # noqa: F401: the fixtures read the options
from conftest import Mounted, needs_fuse
from hostile import errno_of, read, write
from tree_diff import LIBC

pytestmark = needs_fuse

OFD_GETLK, OFD_SETLK, OFD_SETLKW = 36, 37, 38


@pytest.fixture(autouse=True)
def work_there(folder, monkeypatch):
    monkeypatch.chdir(folder)


LIMIT = 60  # seconds that either waits for the other before the test fails


class Child:
    """action(say, hear) in a process of its own: say(text) and hear() talk to this one, in lines."""

    def __init__(self, action):
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            signal.alarm(LIMIT)
            ours.close()
            lines = theirs.makefile("rw")
            code = 1
            try:
                action(lambda text: (lines.write(text + "\n"), lines.flush()), lambda: lines.readline().strip())
                code = 0
            finally:
                os._exit(code)
        theirs.close()
        ours.settimeout(LIMIT)
        self.socket, self.lines = ours, ours.makefile("rw")

    def hear(self):
        return self.lines.readline().strip()

    def say(self, text):
        self.lines.write(text + "\n")
        self.lines.flush()

    def is_silent(self):
        """It waits: a lock that is not waited for is had long before."""
        return not select.select([self.socket], [], [], 0.2)[0]

    def end(self):
        self.lines.close()
        self.socket.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


# ---- Devices ----


@needs_root
def test_devices_of_root():
    for name, kind, dev in (("null", stat.S_IFCHR, (1, 3)), ("disk", stat.S_IFBLK, (8, 17)), ("large", stat.S_IFCHR, (4000, 900_000))):
        os.mknod(name, kind | 0o666, os.makedev(*dev))
        st = os.stat(name)
        assert (stat.S_IFMT(st.st_mode), os.major(st.st_rdev), os.minor(st.st_rdev), st.st_size) == (kind, *dev, 0)
    assert errno_of(os.open, "null", os.O_RDWR) == "EACCES", "a mount is nodev"
    os.chmod(".", 0o777)
    got = run(USER, lambda: [errno_of(os.mknod, "c", stat.S_IFCHR | 0o666, os.makedev(1, 3)),
                             errno_of(os.mknod, "b", stat.S_IFBLK | 0o666, os.makedev(8, 17)),
                             errno_of(os.mknod, "p", stat.S_IFIFO | 0o666), errno_of(os.mknod, "s", stat.S_IFSOCK | 0o666),
                             errno_of(os.mknod, "d", stat.S_IFDIR | 0o777)], cwd=".")
    assert got == ["EPERM", "EPERM", "", "", "EPERM"]
    assert errno_of(os.mknod, "d", stat.S_IFDIR | 0o777) == "EPERM"
    assert errno_of(os.mknod, "l", stat.S_IFLNK | 0o777) == "EINVAL"


@needs_root
def test_devices_work_where_the_mount_says_dev(kms_box):
    m = Mounted(kms_box, "-o", "dev")
    os.mknod(m.path("null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    m.remount("-o", "dev")
    with open(m.path("null"), "r+b", buffering=0) as f:
        assert f.write(b"swallowed") == 9 and f.read() == b""


# ---- FIFOs and sockets ----


def test_fifo_between_processes():
    os.mkfifo("fifo", 0o600)
    assert errno_of(os.open, "fifo", os.O_WRONLY | os.O_NONBLOCK) == "ENXIO", "nobody reads"

    def writes(say, hear):
        with open("fifo", "wb", buffering=0) as f:  # waits for a reader
            say("open")
            f.write(b"x" * 100_000)  # more than fits
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            hear()
            say(errno_of(f.write, b"nobody"))

    child = Child(writes)
    assert child.is_silent()
    with open("fifo", "rb") as f:
        assert child.hear() == "open"
        assert f.read(100_000) == b"x" * 100_000
        os.unlink("fifo")
    child.say("closed")
    assert child.hear() == "EPIPE" and child.end() == 0


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_unix_sockets(kind):
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind("sock")
        assert stat.S_ISSOCK(os.stat("sock").st_mode)
        with socket.socket(socket.AF_UNIX, kind) as second:
            assert errno_of(second.bind, "sock") == "EADDRINUSE"
        if kind != socket.SOCK_DGRAM:
            server.listen()

        def talks(say, hear):
            with socket.socket(socket.AF_UNIX, kind) as s:
                s.connect("sock")
                os.unlink("sock")
                s.send(b"hello")
                say("sent")
                hear()

        child = Child(talks)
        peer = server.accept()[0] if kind != socket.SOCK_DGRAM else server
        assert child.hear() == "sent" and peer.recv(100) == b"hello"
        child.say("end")
        assert child.end() == 0
        with socket.socket(socket.AF_UNIX, kind) as late:
            assert errno_of(late.connect, "sock") == "ENOENT"
        peer.close()


def test_a_socket_that_nobody_listens_on_and_one_that_is_closed_to_others():
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        os.chmod("sock", 0o700)
        server.listen()
        os.rename("sock", "moved")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("moved")
        if os.geteuid() == 0:
            os.chmod(".", 0o755)

            def connects():
                with socket.socket(socket.AF_UNIX) as s:
                    return errno_of(s.connect, "moved")
            assert run(USER, connects, cwd=".") == "EACCES"
    with socket.socket(socket.AF_UNIX) as client:
        assert errno_of(client.connect, "moved") == "ECONNREFUSED"


# ---- Locks ----


def lock(how, f, start=0, length=10):
    fcntl.lockf(f, how, length, start)


def ofd(f, command, kind, start=0, length=10):
    """Open file description locks, which the interpreter has no names for."""
    return struct.unpack("hhqqi", fcntl.fcntl(f, command, struct.pack("hhqqi", kind, os.SEEK_SET, start, length, 0)))


def test_flock_waits_and_closing_releases():
    write("file", b"")
    with open("file") as ours, open("file") as again:
        fcntl.flock(ours, fcntl.LOCK_SH)
        fcntl.flock(again, fcntl.LOCK_SH)
        assert errno_of(fcntl.flock, again, fcntl.LOCK_EX | fcntl.LOCK_NB) == "EAGAIN"
        fcntl.flock(again, fcntl.LOCK_UN)
        fcntl.flock(ours, fcntl.LOCK_EX)

        def waits(say, hear):
            ours.close()  # the parent's lock belongs to what both have open
            again.close()
            with open("file") as f:
                say(errno_of(fcntl.flock, f, fcntl.LOCK_SH | fcntl.LOCK_NB))
                fcntl.flock(f, fcntl.LOCK_EX)
                say("has it")
                hear()

        child = Child(waits)
        assert child.hear() == "EAGAIN"
        assert child.is_silent()
        os.unlink("file")
        ours.close()
        assert child.hear() == "has it"
        child.say("end")
        assert child.end() == 0


def test_record_locks_wait_and_any_close_releases():
    write("file", b"x" * 100)
    with open("file", "r+b") as ours:
        lock(fcntl.LOCK_EX, ours, 0, 10)
        lock(fcntl.LOCK_SH, ours, 20, 10)

        def waits(say, hear):
            with open("file", "r+b") as f:
                say(errno_of(lock, fcntl.LOCK_SH | fcntl.LOCK_NB, f, 5, 1))
                say(errno_of(lock, fcntl.LOCK_SH | fcntl.LOCK_NB, f, 20, 5))
                say(errno_of(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, f, 25, 1))
                lock(fcntl.LOCK_EX | fcntl.LOCK_NB, f, 10, 10)
                lock(fcntl.LOCK_EX, f, 0, 100)
                say("has it")
                hear()

        child = Child(waits)
        assert [child.hear() for _ in range(3)] == ["EAGAIN", "", "EAGAIN"]
        assert child.is_silent()
        os.rename("file", "moved")
        open("moved").close()  # POSIX: closing any descriptor of the file releases the process's locks
        assert child.hear() == "has it"
        kind, _, start, length, pid = struct.unpack("hhqqi", fcntl.fcntl(ours, fcntl.F_GETLK, struct.pack(
            "hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 50, 1, 0)))
        assert (kind, start, length, pid) == (fcntl.F_WRLCK, 0, 100, child.pid)
        child.say("end")
        assert child.end() == 0
        lock(fcntl.LOCK_EX | fcntl.LOCK_NB, ours, 0, 100)


def test_two_that_wait_for_each_other_are_told():
    write("file", b"x" * 100)
    with open("file", "r+b") as ours:
        lock(fcntl.LOCK_EX, ours, 0, 1)

        def waits(say, hear):
            with open("file", "r+b") as f:
                lock(fcntl.LOCK_EX, f, 1, 1)
                say("ready")
                say(errno_of(lock, fcntl.LOCK_EX, f, 0, 1))  # waits for ours
                lock(fcntl.LOCK_UN, f, 0, 0)

        child = Child(waits)
        assert child.hear() == "ready" and child.is_silent()
        assert errno_of(lock, fcntl.LOCK_EX, ours, 1, 1) == errno.errorcode[errno.EDEADLK]
        lock(fcntl.LOCK_UN, ours, 0, 1)
        assert child.hear() == "" and child.end() == 0


def test_open_file_description_locks():
    write("file", b"x" * 100)
    with open("file", "r+b") as one, open("file", "r+b") as two:
        ofd(one, OFD_SETLK, fcntl.F_WRLCK)
        assert errno_of(ofd, two, OFD_SETLK, fcntl.F_RDLCK) == "EAGAIN", "each opening is an owner"
        assert ofd(two, OFD_GETLK, fcntl.F_RDLCK)[::4] == (fcntl.F_WRLCK, -1)
        open("file").close()
        assert errno_of(ofd, two, OFD_SETLK, fcntl.F_RDLCK) == "EAGAIN", "another close releases nothing"

        def waits(say, hear):
            one.close()
            two.close()
            with open("file", "r+b") as f:
                say(errno_of(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, f))
                ofd(f, OFD_SETLKW, fcntl.F_WRLCK)
                say("has it")

        child = Child(waits)
        assert child.hear() == "EAGAIN" and child.is_silent()
        one.close()
        assert child.hear() == "has it" and child.end() == 0
        ofd(two, OFD_SETLK, fcntl.F_RDLCK)


# ---- inotify ----

EVENTS = {"ACCESS": 1, "MODIFY": 2, "ATTRIB": 4, "CLOSE_WRITE": 8, "CLOSE_NOWRITE": 0x10, "OPEN": 0x20, "MOVED_FROM": 0x40,
          "MOVED_TO": 0x80, "CREATE": 0x100, "DELETE": 0x200, "DELETE_SELF": 0x400, "MOVE_SELF": 0x800, "IGNORED": 0x8000}
CHANGES = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800


@contextlib.contextmanager
def watch(*paths):
    """Yields a function: the events since it was last asked, as (watched path, event, name, cookie)."""
    fd = LIBC.inotify_init1(os.O_NONBLOCK)
    watched = {}
    for path in paths:
        wd = LIBC.inotify_add_watch(fd, os.fsencode(path), CHANGES)
        assert wd > 0, errno.errorcode[ctypes.get_errno()]
        watched[wd] = path

    def events():
        found, buf = [], b""
        with contextlib.suppress(BlockingIOError):
            while True:
                buf += os.read(fd, 65536)
        while buf:
            wd, mask, cookie, length = struct.unpack_from("iIII", buf)
            name = buf[16:16 + length].rstrip(b"\0").decode()
            found.append((watched[wd], next(k for k, v in EVENTS.items() if mask & v), name, cookie))
            buf = buf[16 + length:]
        return found

    yield events
    os.close(fd)


def test_inotify():
    os.makedirs("a")
    os.mkdir("b")
    write("a/file", b"")
    with watch("a", "b", "a/file") as events:
        write("a/new", b"data")
        assert [e[:3] for e in events()] == [("a", "CREATE", "new"), ("a", "MODIFY", "new"), ("a", "CLOSE_WRITE", "new")]
        os.mkdir("a/dir")
        os.symlink("x", "a/link")
        os.mkfifo("a/fifo")
        assert [e[:3] for e in events()] == [("a", "CREATE", n) for n in ("dir", "link", "fifo")]
        os.link("a/new", "b/new")
        assert [e[:3] for e in events()] == [("b", "CREATE", "new")]
        os.chmod("a/dir", 0o700)
        os.utime("a/link", ns=(1, 1), follow_symlinks=False)
        assert [e[:3] for e in events()] == [("a", "ATTRIB", "dir"), ("a", "ATTRIB", "link")]
        os.truncate("a/new", 1)
        assert ("a", "MODIFY", "new", 0) in events()
        os.rename("a/file", "b/" + "moved" * 40)
        out, into, self = events()
        assert out[:3] == ("a", "MOVED_FROM", "file") and into[:3] == ("b", "MOVED_TO", "moved" * 40) and out[3] == into[3] != 0
        assert self[:2] == ("a/file", "MOVE_SELF")
        os.unlink("a/link")
        os.rmdir("a/dir")
        assert [e[:3] for e in events()] == [("a", "DELETE", "link"), ("a", "DELETE", "dir")]
        os.unlink("b/" + "moved" * 40)
        got = [e[:2] for e in events()]
        assert ("b", "DELETE") in got and ("a/file", "DELETE_SELF") in got and ("a/file", "IGNORED") in got
        os.rename("b/new", "a/new")
        assert events() == [], "two names of one file"
        os.unlink("b/new")
        os.rmdir("b")
        assert [e[:2] for e in events()][-2:] == [("b", "DELETE_SELF"), ("b", "IGNORED")]
    assert read("a/new") == b"d"
