"""Durable before the call returns: the mount's own system calls are watched (strace), and after the last write below comes a sync below."""

import ctypes
import mmap
import os
import platform
import re
import shutil
import subprocess

import pytest

from conftest import needs_fuse
from twin import checked, libc

pytestmark = [needs_fuse, pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")]
IO_CALLS = {"x86_64": (206, 209, 208, 207), "aarch64": (0, 2, 4, 1)}.get(platform.machine())  # setup, submit, getevents, destroy


class Trace:
    """Writes and syncs of the mount's process, in order. strace stops the process until a call is in the file."""

    def __init__(self, pid, path):
        self.path = path
        calls = "trace=fsync,fdatasync,pwrite64,pwritev,pwritev2,ftruncate,fallocate"
        self.process = subprocess.Popen(["strace", "-f", "-o", path, "-e", calls, "-p", str(pid)], stderr=subprocess.PIPE)
        assert b"attached" in self.process.stderr.readline()

    def take(self):
        with open(self.path, "r+") as f:
            lines = f.read()
            f.truncate(0)
        return re.findall(r"(fsync|fdatasync|pwrite64|pwritev2?|ftruncate|fallocate)(?:\(| resumed).*\) += [0-9]", lines)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture(scope="module")
def trace(shared, tmp_path_factory):
    t = Trace(shared.pid(), str(tmp_path_factory.mktemp("trace") / "calls"))
    yield t
    t.stop()


def direct_buffer(size=8192):
    buffer = mmap.mmap(-1, size)
    buffer[:] = os.urandom(size)
    return buffer


class ControlBlock(ctypes.Structure):
    """struct iocb of <linux/aio_abi.h>, little-endian."""
    _fields_ = [("data", ctypes.c_uint64), ("key", ctypes.c_uint32), ("rw_flags", ctypes.c_uint32), ("opcode", ctypes.c_uint16),
                ("priority", ctypes.c_int16), ("fd", ctypes.c_uint32), ("buffer", ctypes.c_uint64), ("bytes", ctypes.c_uint64),
                ("offset", ctypes.c_int64), ("reserved", ctypes.c_uint64), ("flags", ctypes.c_uint32), ("event_fd", ctypes.c_uint32)]


def asynchronous_write(fd):
    """io_submit of one write inside the file, and its completion: what databases do."""
    if IO_CALLS is None:
        pytest.skip(f"numbers of the io_ calls on {platform.machine()} are not known here")
    setup, submit, get_events, destroy = IO_CALLS
    context, event, buffer = ctypes.c_ulong(0), (ctypes.c_uint64 * 4)(), direct_buffer()
    checked(libc.syscall(setup, 8, ctypes.byref(context)))
    address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    block = ControlBlock(opcode=1, fd=fd, buffer=address, bytes=len(buffer), offset=0)
    assert checked(libc.syscall(submit, context, 1, (ctypes.c_void_p * 1)(ctypes.addressof(block)))) == 1
    assert checked(libc.syscall(get_events, context, 1, 1, event, None)) == 1 and event[2] == len(buffer)
    libc.syscall(destroy, context)


def from_pipe(fd):
    out, into = os.pipe()
    os.write(into, b"piped")
    try:
        assert os.splice(out, fd, 5) == 5
    finally:
        os.close(out)
        os.close(into)


def mapped(fd):
    with mmap.mmap(fd, 0) as m:
        m[:3] = b"abc"
        m.flush()


DURABLE = {
    "O_SYNC": (os.O_SYNC, lambda fd: os.write(fd, b"x")),
    "O_DSYNC": (os.O_DSYNC, lambda fd: os.pwrite(fd, b"x" * 10_000, 5000)),
    "O_SYNC, appending": (os.O_SYNC | os.O_APPEND, lambda fd: os.write(fd, b"x" * 5000)),
    "O_SYNC, vectors": (os.O_SYNC, lambda fd: os.pwritev(fd, [b"x", b"y" * 4096], 3)),
    "RWF_SYNC": (0, lambda fd: os.pwritev(fd, [b"x"], 0, os.RWF_SYNC)),
    "RWF_DSYNC": (0, lambda fd: os.pwritev(fd, [b"x"], 0, os.RWF_DSYNC)),
    "O_DIRECT and O_DSYNC": (os.O_DIRECT | os.O_DSYNC, lambda fd: os.pwritev(fd, [direct_buffer()], 0)),
    "O_DIRECT and O_SYNC, growing": (os.O_DIRECT | os.O_SYNC, lambda fd: os.pwritev(fd, [direct_buffer()], 1 << 20)),
    "O_DIRECT and O_DSYNC, asynchronous": (os.O_DIRECT | os.O_DSYNC, asynchronous_write),
    "O_DIRECT and O_SYNC, asynchronous": (os.O_DIRECT | os.O_SYNC, asynchronous_write),
    "sendfile to O_SYNC": (os.O_SYNC, lambda fd: os.sendfile(fd, fd, 0, 100)),
    "copy_file_range to O_SYNC": (os.O_SYNC, lambda fd: os.copy_file_range(fd, fd, 100, 0, 30_000)),
    "splice to O_SYNC": (os.O_SYNC, from_pipe),
    "msync": (0, mapped),
    "fsync": (0, lambda fd: (os.write(fd, b"x"), os.fsync(fd))),
    "fdatasync": (0, lambda fd: (os.write(fd, b"x"), os.fdatasync(fd))),
}


@pytest.mark.parametrize("how", DURABLE)
def test_durable_before_the_call_returns(folder, trace, how):
    flags, write = DURABLE[how]
    with open(folder + "/file", "wb") as f:
        f.write(os.urandom(20_000))
        os.fsync(f.fileno())
    fd = os.open(folder + "/file", os.O_RDWR | flags)
    try:
        trace.take()
        write(fd)
        calls = trace.take()
    finally:
        os.close(fd)
    assert any(c.startswith("pwrite") for c in calls), calls
    assert calls[-1] in ("fsync", "fdatasync"), calls
    if how.endswith("asynchronous"):
        assert sum(c in ("fsync", "fdatasync") for c in calls) == 1, "with the write, and not once more"


def test_no_sync_that_nobody_asked_for(folder, trace):
    trace.take()
    with open(folder + "/file", "wb") as f:
        f.write(bytes(100_000))
    fd = os.open(folder + "/file", os.O_RDWR | os.O_DIRECT)
    os.pwritev(fd, [direct_buffer()], 0)
    os.close(fd)
    calls = trace.take()
    assert any(c.startswith("pwrite") for c in calls) and not {"fsync", "fdatasync"} & set(calls), calls
