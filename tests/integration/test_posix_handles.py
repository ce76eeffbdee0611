"""File handles (name_to_handle_at): one names its file as long as the kernel knows that, and never another."""

import ctypes
import errno
import os

import pytest

from as_user import needs_root
from conftest import needs_fuse
from hostile import wait_until
from tree_diff import LIBC

pytestmark = [needs_fuse, needs_root]

HANDLE_MAX = 128


class Handle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * HANDLE_MAX)]


def handle_of(path):
    handle, mount_id = Handle(bytes=HANDLE_MAX), ctypes.c_int()
    if LIBC.name_to_handle_at(-100, os.fsencode(path), ctypes.byref(handle), ctypes.byref(mount_id), 0):
        raise OSError(ctypes.get_errno(), "name_to_handle_at")
    return handle


def opened(mount, handle):
    """What the handle opens, as its contents; or the name of the errno."""
    fd = LIBC.open_by_handle_at(mount, ctypes.byref(handle), os.O_RDONLY)
    if fd < 0:
        return errno.errorcode[ctypes.get_errno()]
    with os.fdopen(fd, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def test_a_handle_opens_its_file_and_no_other(shared, folder):
    mount = os.open(folder, os.O_RDONLY)
    known = shared.stats()["inodes_known"]
    handles = {}
    for i in range(50):
        write(f"{folder}/{i}", b"%d" % i)
        handles[i] = handle_of(f"{folder}/{i}")
    for i, handle in handles.items():
        assert opened(mount, handle) == b"%d" % i
    os.rename(f"{folder}/0", f"{folder}/renamed")
    assert opened(mount, handles[0]) == b"0"
    for i in range(1, 50):
        os.unlink(f"{folder}/{i}")
    wait_until(lambda: shared.stats()["inodes_known"] <= known + 1, what="for the kernel to forget them")
    # Whatever the new files' places in memory are: the old handles are not theirs.
    for i in range(200):
        write(f"{folder}/new{i}", b"another")
    try:
        assert {opened(mount, handles[i]) for i in range(1, 50)} == {"ESTALE"}
    finally:
        os.close(mount)
