"""Links and their counts, unlinking what is in use, directories that are removed under their users."""

import os
import stat

import pytest

from as_user import MOUNT_OPTIONS, USER, needs_root, run  # noqa: F401: the fixtures read the options
from conftest import needs_fuse
from hostile import errno_of, read, write
from posix_matrix import AT_SYMLINK_FOLLOW, linkat

pytestmark = needs_fuse

AT_EMPTY_PATH = 0x1000


@pytest.fixture(autouse=True)
def work_there(folder, monkeypatch):
    monkeypatch.chdir(folder)


def test_link_counts_of_directories(mounted):
    """The top's, too: what is hidden in it is not counted."""
    def counts():
        return [os.stat(mounted.path(p)).st_nlink for p in ("", "d", "d/e")]

    if os.stat(mounted.vault).st_nlink == 1:
        pytest.skip("the file system below counts no links of directories")
    assert os.stat(mounted.point).st_nlink == 2
    os.makedirs(mounted.path("d/e"))
    write(mounted.path("d/file"), b"")
    assert counts() == [3, 3, 2]
    for n in range(5):
        os.mkdir(mounted.path(f"d/sub{n}"))
    assert counts() == [3, 8, 2]
    mounted.remount()
    assert counts() == [3, 8, 2]
    for n in range(5):
        os.rmdir(mounted.path(f"d/sub{n}"))
    os.rename(mounted.path("d/e"), mounted.path("e"))
    assert [os.stat(mounted.path(p)).st_nlink for p in ("", "d", "e")] == [4, 2, 2]
    os.rmdir(mounted.path("e"))
    os.unlink(mounted.path("d/file"))
    os.rmdir(mounted.path("d"))
    assert os.stat(mounted.point).st_nlink == 2


def test_every_kind_has_several_names():
    makers = {"file": lambda p: write(p, b"x"), "link": lambda p: os.symlink("nowhere", p), "fifo": os.mkfifo,
              "sock": lambda p: os.mknod(p, stat.S_IFSOCK | 0o600)}
    os.mkdir("d")
    for kind, make in makers.items():
        make(kind)
        names = [kind, kind + "2", "d/" + kind, "d/" + kind * 50]
        for n, name in enumerate(names[1:]):
            os.link(names[n], name, follow_symlinks=False)
        stats = [os.lstat(n) for n in names]
        assert {(s.st_ino, s.st_nlink, s.st_mode) for s in stats} == {(stats[0].st_ino, 4, stats[0].st_mode)}
        ctime = stats[0].st_ctime_ns
        for n, name in enumerate(names[:-1]):
            os.unlink(name)
            assert os.lstat(names[-1]).st_nlink == 3 - n
        assert os.lstat(names[-1]).st_ctime_ns >= ctime
    assert os.readlink("d/" + "link" * 50) == "nowhere"


def test_link_to_a_symlink_or_through_it():
    write("file", b"data")
    os.symlink("file", "symlink")
    linkat("symlink", "same", 0)
    linkat("symlink", "through", AT_SYMLINK_FOLLOW)
    assert os.lstat("same").st_ino == os.lstat("symlink").st_ino and os.readlink("same") == "file"
    assert os.lstat("through").st_ino == os.lstat("file").st_ino and os.stat("file").st_nlink == 2


def test_link_by_descriptor():
    write("file", b"data")
    fd, there = os.open("file", os.O_RDWR), os.open(".", os.O_PATH)
    linkat(f"/proc/self/fd/{fd}", "by-proc", AT_SYMLINK_FOLLOW)
    if os.geteuid() == 0:  # others need a kernel of 2024
        linkat("", "by-fd", AT_EMPTY_PATH, fd)
        assert errno_of(linkat, "", "dir", AT_EMPTY_PATH, there) == "EPERM"
        os.unlink("by-fd")
    assert os.fstat(fd).st_nlink == 2
    os.unlink("by-proc")
    os.unlink("file")
    assert os.fstat(fd).st_nlink == 0
    # As on ext4: what lost its last name stays without one.
    assert errno_of(linkat, f"/proc/self/fd/{fd}", "again", AT_SYMLINK_FOLLOW) == "ENOENT"
    os.close(fd)
    os.close(there)


def test_a_file_made_without_a_name_can_get_one():
    fd = os.open(".", os.O_RDWR | os.O_TMPFILE, 0o640)
    os.write(fd, b"finished")
    assert os.fstat(fd).st_nlink == 0 and os.listdir(".") == []
    linkat(f"/proc/self/fd/{fd}", "named", AT_SYMLINK_FOLLOW)
    linkat(f"/proc/self/fd/{fd}", "n" * 255, AT_SYMLINK_FOLLOW)
    assert os.fstat(fd).st_nlink == 2
    os.close(fd)
    assert read("named") == read("n" * 255) == b"finished" and stat.S_IMODE(os.stat("named").st_mode) == 0o640
    fd = os.open(".", os.O_RDWR | os.O_TMPFILE | os.O_EXCL, 0o600)
    assert errno_of(linkat, f"/proc/self/fd/{fd}", "never", AT_SYMLINK_FOLLOW) == "ENOENT"
    os.close(fd)


def test_unlinked_name_by_name_while_open():
    names = ["a", "b", "c" * 200]
    write("a", b"0123456789")
    for name in names[1:]:
        os.link("a", name)
    fds = [os.open(name, os.O_RDWR) for name in names]
    for n, name in enumerate(names):
        os.unlink(name)
        for fd in fds:
            os.pwrite(fd, b"%d" % n, n)
            assert os.fstat(fd).st_nlink == 2 - n
            assert os.pread(fd, 20, 0)[:n + 1] == b"012"[:n + 1]
        write(name, b"another")
        os.unlink(name)
    for fd in fds:
        os.close(fd)
    assert os.listdir(".") == []


def test_the_current_directory_removed():
    back = os.getcwd()
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir("../gone")
    try:
        assert errno_of(os.getcwd) == "ENOENT"
        assert os.stat(".").st_nlink == 0 and os.listdir(".") == []
        assert os.stat("..").st_ino == os.stat(back).st_ino
        for call in (lambda: write("f", b""), lambda: os.mkdir("d"), lambda: os.mkfifo("p"), lambda: os.symlink("t", "l"),
                     lambda: os.link(back, "h"), lambda: os.rename(back, "r"), lambda: os.stat("x"), lambda: os.rmdir("x"),
                     lambda: os.open(".", os.O_TMPFILE | os.O_RDWR)):
            assert errno_of(call) in ("ENOENT", "EPERM", "EBUSY")
        assert errno_of(os.mkdir, "d") == errno_of(write, "f", b"") == errno_of(os.symlink, "t", "l") == "ENOENT"
        assert errno_of(os.rmdir, ".") == "EINVAL"
        os.mkdir(back + "/gone")
        assert errno_of(os.mkdir, "d") == "ENOENT", "another directory of the same name"
    finally:
        os.chdir(back)


def test_open_directories_removed_with_what_hangs_on_them():
    os.makedirs("a/b/c")
    fds = [os.open(p, os.O_RDONLY) for p in ("a", "a/b", "a/b/c")]
    for p in ("a/b/c", "a/b", "a"):
        os.rmdir(p)
    for fd in fds:
        st = os.fstat(fd)
        assert (st.st_nlink, os.listdir(fd)) == (0, []) and stat.S_ISDIR(st.st_mode)
        os.fchmod(fd, 0o711)
        assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o711
        os.fsync(fd)
        assert errno_of(lambda: os.mkdir("x", dir_fd=fd)) == "ENOENT"
    assert os.stat("..", dir_fd=fds[2]).st_ino == os.fstat(fds[1]).st_ino
    for fd in fds:
        os.close(fd)


@needs_root
def test_protected_hard_links():
    """fs.protected_hardlinks, where it is on: nobody links what they could neither read nor write."""
    with open("/proc/sys/fs/protected_hardlinks") as f:
        protected = f.read().strip() == "1"
    write("secret", b"")
    write("shared", b"")
    os.chmod("secret", 0o600)
    os.chmod("shared", 0o666)
    os.chmod(".", 0o777)
    got = run(USER, lambda: [errno_of(os.link, name, name + "2") for name in ("secret", "shared")], cwd=".")
    assert got == ["EPERM" if protected else "", ""]
