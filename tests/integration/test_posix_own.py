"""
What an ordinary user may do in a mount of their own (fusermount3, no allow_other): owners, modes and what only root may do, as in a plain
directory. The mount's process has no more rights than its user, and has to read and write files whose modes keep both out.
Root's run of the tests comes here through test_posix_ordinary.py.
"""

import contextlib
import os
import stat

import pytest

from conftest import needs_fuse
from twin import outcome

pytestmark = [needs_fuse, pytest.mark.skipif(os.geteuid() == 0, reason="for an ordinary user: test_posix_ordinary.py runs it as one, being root")]
STRANGER = 12345
DEVICE = os.makedev(1, 3)


def make(name, mode=0o644, data=b"data"):
    with open(name, "wb") as f:
        f.write(data)
    os.chmod(name, mode)
    return name


def make_dir(name, mode=0o755):
    os.mkdir(name)
    make(name + "/file")
    os.mkdir(name + "/dir")
    os.chmod(name, mode)
    return name


def mode_after(name, change):
    change(name)
    return oct(os.lstat(name).st_mode)


@contextlib.contextmanager
def opened(name, flags):
    fd = os.open(name, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def write_some(name):
    with opened(name, os.O_WRONLY) as fd:
        return os.write(fd, b"x")


def read_some(name):
    with opened(name, os.O_RDONLY) as fd:
        return os.read(fd, 3)


def after_chmod(name, flags, use):
    """A descriptor keeps its rights when the mode goes."""
    with opened(name, flags) as fd:
        os.chmod(name, 0)
        return use(fd)


def inherits(name):
    make_dir(name)
    os.chmod(name, 0o2755)
    os.mkdir(name + "/sub")
    make(name + "/new")
    return oct(os.stat(name + "/sub").st_mode), os.stat(name + "/new").st_gid == os.getgid()


def owner_of_new(name):
    make(name)
    st = os.stat(name)
    return st.st_uid == os.geteuid(), st.st_gid == os.getegid()


def with_umask(name):
    before = os.umask(0o077)
    try:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o6777))
        return oct(os.stat(name).st_mode)
    finally:
        os.umask(before)


# What is done, and what comes of it: the name of an errno, or the value.
TABLE = {
    "new files are their maker's": (lambda: owner_of_new("f"), (True, True)),
    "chown to another": (lambda: os.chown(make("f"), STRANGER, -1), "EPERM"),
    "chown to oneself": (lambda: os.chown(make("f"), os.geteuid(), os.getegid()), None),
    "chown to nobody in particular": (lambda: os.chown(make("f"), -1, -1), None),
    "chgrp to a group of others": (lambda: os.chown(make("f"), -1, STRANGER), "EPERM"),
    "lchown of a link": (lambda: (os.symlink("x", "l"), os.lchown("l", STRANGER, -1)), "EPERM"),
    "chown to oneself clears set-user-ID": (lambda: mode_after(make("f", 0o6755), lambda n: os.chown(n, os.geteuid(), -1)), "0o100755"),
    "writing clears set-user-ID": (lambda: mode_after(make("f", 0o6755), write_some), "0o100755"),
    "truncating clears set-user-ID": (lambda: mode_after(make("f", 0o6755), lambda n: os.truncate(n, 1)), "0o100755"),
    "set-user-ID and set-group-ID by chmod": (lambda: mode_after(make("f"), lambda n: os.chmod(n, 0o6711)), "0o106711"),
    "sticky directory": (lambda: mode_after(make_dir("d"), lambda n: os.chmod(n, 0o1777)), "0o41777"),
    "sticky file": (lambda: mode_after(make("f"), lambda n: os.chmod(n, 0o1644)), "0o101644"),
    "set-group-ID directory": (lambda: inherits("d"), ("0o42755", True)),
    "umask": (lambda: with_umask("f"), "0o106700"),
    "character device": (lambda: os.mknod("n", stat.S_IFCHR | 0o600, DEVICE), "EPERM"),
    "block device": (lambda: os.mknod("n", stat.S_IFBLK | 0o600, DEVICE), "EPERM"),
    "FIFO": (lambda: mode_after("n", lambda n: os.mknod(n, stat.S_IFIFO | 0o640)), "0o10640"),
    "socket": (lambda: mode_after("n", lambda n: os.mknod(n, stat.S_IFSOCK | 0o640)), "0o140640"),
    "reading without the right": (lambda: read_some(make("f", 0o200)), "EACCES"),
    "reading with it alone": (lambda: read_some(make("f", 0o400)), b"dat"),
    "writing without the right": (lambda: write_some(make("f", 0o400)), "EACCES"),
    "writing with it alone": (lambda: write_some(make("f", 0o200)), 1),
    "truncating without the right": (lambda: os.truncate(make("f", 0o444), 1), "EACCES"),
    "truncating with it alone": (lambda: os.truncate(make("f", 0o200), 5000), None),
    "executing without the right": (lambda: os.execv("./" + make("f"), ["f"]), "EACCES"),
    "reading on after the mode went": (lambda: after_chmod(make("f"), os.O_RDONLY, lambda fd: os.pread(fd, 3, 0)), b"dat"),
    "writing on after the mode went": (lambda: after_chmod(make("f"), os.O_RDWR, lambda fd: os.pwrite(fd, b"x" * 5000, 3)), 5000),
    "fsync after the mode went": (lambda: after_chmod(make("f"), os.O_RDWR, lambda fd: (os.write(fd, b"y" * 9000), os.fsync(fd))[0]), 9000),
    "ftruncate after the mode went": (lambda: after_chmod(make("f"), os.O_RDWR, lambda fd: (os.ftruncate(fd, 2), os.fstat(fd).st_size)[1]), 2),
    "creating with mode 0": (lambda: os.close(os.open("f", os.O_CREAT | os.O_RDWR, 0)), None),
    "creating with mode 0 and writing": (lambda: write_new("f"), 5000),
    "linking a file of mode 0": (lambda: os.link(make("f", 0), "g"), None),
    "removing a file of mode 0": (lambda: os.unlink(make("f", 0)), None),
    "xattr of a file of mode 0444": (lambda: os.setxattr(make("f", 0o444), "user.a", b"v"), "EACCES"),
    "xattr, readable only by others": (lambda: os.getxattr(make("f", 0o044), "user.a"), "EACCES"),
    "xattr of a file of mode 0200": (lambda: os.setxattr(make("f", 0o200), "user.a", b"v"), None),
    "times of a file of mode 0": (lambda: os.utime(make("f", 0), (1, 2)), None),
    "trusted attribute": (lambda: os.setxattr(make("f"), "trusted.a", b"v"), "EPERM"),
    "capability": (lambda: os.setxattr(make("f"), "security.capability", b"\1\0\0\2" + bytes(16)), "EPERM"),
    "O_NOATIME": (lambda: os.close(os.open(make("f"), os.O_RDONLY | os.O_NOATIME)), None),
    "listing without the right": (lambda: os.listdir(make_dir("d", 0o311)), "EACCES"),
    "creating where listing is not allowed": (lambda: read_some(make(make_dir("d", 0o311) + "/new")), b"dat"),
    "removing where listing is not allowed": (lambda: os.unlink(make_dir("d", 0o311) + "/file"), None),
    "making a directory where listing is not allowed": (lambda: os.mkdir(make_dir("d", 0o311) + "/new"), None),
    "removing a directory where listing is not allowed": (lambda: os.rmdir(make_dir("d", 0o311) + "/dir"), None),
    "renaming where listing is not allowed": (lambda: os.rename(make_dir("d", 0o311) + "/file", "d/new"), None),
    "listing with that right alone": (lambda: sorted(os.listdir(make_dir("d", 0o444))), ["dir", "file"]),
    "listing on after the mode went": (lambda: list_after_chmod(make_dir("d")), ["dir", "file"]),
    "looking up without search": (lambda: os.stat(make_dir("d", 0o644) + "/file"), "EACCES"),
    "creating in a read-only directory": (lambda: make(make_dir("d", 0o555) + "/new"), "EACCES"),
    "removing from a read-only directory": (lambda: os.unlink(make_dir("d", 0o555) + "/file"), "EACCES"),
    "renaming in a read-only directory": (lambda: os.rename(make_dir("d", 0o555) + "/file", "d/new"), "EACCES"),
    "linking into a read-only directory": (lambda: os.link(make("f"), make_dir("d", 0o555) + "/new"), "EACCES"),
    "moving a read-only directory away": (lambda: os.rename(make_dir("d", 0o555), "e"), None),
    "moving a read-only directory into another": (lambda: (make_dir("e"), os.rename(make_dir("d", 0o555), "e/d")), "EACCES"),
    "removing an empty directory of mode 0": (lambda: (os.mkdir("d"), os.chmod("d", 0), os.rmdir("d"))[2], None),
    "a directory made with mode 0": (lambda: (os.mkdir("d", 0), os.listdir("d")), "EACCES"),
    "O_TMPFILE in a read-only directory": (lambda: os.open(make_dir("d", 0o555), os.O_TMPFILE | os.O_RDWR, 0o600), "EACCES"),
}


def list_after_chmod(name):
    with opened(name, os.O_RDONLY) as fd:
        os.chmod(name, 0)
        return sorted(os.listdir(fd))


def write_new(name):
    with contextlib.ExitStack() as stack:
        fd = stack.enter_context(opened(name, os.O_CREAT | os.O_RDWR))
        os.fchmod(fd, 0)
        return os.write(fd, b"x" * 5000)


def act(top, number, action):
    place = f"{top}/{number}"
    os.mkdir(place)
    os.chdir(place)
    try:
        return outcome(action)
    finally:
        os.chdir("/")


def answers(top):
    return {name: act(top, i, action) for i, (name, (action, _)) in enumerate(TABLE.items())}


EXPECTED = {name: expected for name, (_, expected) in TABLE.items()}


def test_expectations_hold_in_a_plain_directory(tmp_path):
    assert answers(str(tmp_path)) == EXPECTED


def test_what_a_user_may_do_in_a_mount_of_their_own(mounted):
    assert answers(mounted.point) == EXPECTED
    before = {name: os.lstat(mounted.path(name)).st_mode for name in os.listdir(mounted.point)}
    mounted.remount()
    assert {name: os.lstat(mounted.path(name)).st_mode for name in os.listdir(mounted.point)} == before


def test_nobody_else_gets_in(mounted):
    """Root neither, without allow_other or allow_root: not even the kernel's checks by mode are asked."""
    os.chmod(mounted.point, 0o777)
    with open("/proc/self/mountinfo") as f:
        options = next(line.split(" - ")[1] for line in f if line.split()[4] == mounted.point)
    assert "allow_other" not in options and f"user_id={os.geteuid()}" in options and "default_permissions" in options
