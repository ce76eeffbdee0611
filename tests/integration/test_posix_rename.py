"""Rename beyond the matrix: what is open, what is inside, link counts and "..", several names of one file, other file systems."""

import os
import stat

import pytest

from conftest import needs_fuse
from hostile import errno_of, read, write
from posix_matrix import HERE
from tree_diff import EXCHANGE, NOREPLACE, renameat2

pytestmark = needs_fuse

WHITEOUT = 4
LONG, LONGER = "l" * 200, "m" * 255  # stand in the vault as hashes with a file beside each
KINDS = ["short", LONG, LONGER]


@pytest.fixture(autouse=True)
def work_there(folder, monkeypatch):
    monkeypatch.chdir(folder)


def rename2(a, b, flags):
    renameat2(HERE, os.fsencode(a), HERE, os.fsencode(b), flags)


def links(*paths):
    return [os.lstat(p).st_nlink for p in paths]


@pytest.mark.parametrize("old", KINDS, ids=len)
@pytest.mark.parametrize("new", KINDS, ids=len)
def test_every_length_to_every_length(folder, old, new):
    new = new[:-1] + "2"
    for way in ("file", "tree", "over-file", "over-dir", "swap", "across"):
        os.mkdir(way)
        os.mkdir(way + "/other")
        a, b = f"{way}/{old}", f"{way}/other/{new}" if way == "across" else f"{way}/{new}"
        if way in ("file", "over-file"):
            write(a, b"data")
        else:
            os.makedirs(f"{a}/{old}")
            write(f"{a}/{old}/f", b"data")
        if way in ("over-file", "swap"):
            write(b, b"victim")
        if way == "over-dir":
            os.mkdir(b)
        rename2(a, b, EXCHANGE if way == "swap" else 0)
        assert read(b if way in ("file", "over-file") else f"{b}/{old}/f") == b"data"
        inside = sorted([old, new, "other"]) if way == "swap" else ["other"] if way == "across" else sorted([new, "other"])
        assert sorted(os.listdir(way)) == inside
        if way == "swap":
            assert read(a) == b"victim"


def test_what_is_open_in_it_goes_along():
    os.makedirs("a/sub")
    os.mkdir("b")
    write("a/sub/file", b"before")
    with open("a/sub/file", "r+b") as f:
        inside = os.open("a/sub", os.O_RDONLY)
        back = os.getcwd()
        os.chdir("a/sub")
        os.rename("../../a", "../../b/" + LONG)
        assert os.getcwd() == f"{back}/b/{LONG}/sub"
        assert os.stat("..").st_ino == os.stat(f"{back}/b/{LONG}").st_ino
        write("new", b"made after")
        os.chdir(back)
        f.write(b"AFTER!")
        f.flush()
        assert read(f"b/{LONG}/sub/file") == b"AFTER!"
        assert sorted(os.listdir(inside)) == ["file", "new"]
        os.close(inside)


def test_link_counts_and_dotdot_follow_a_directory():
    for d in ("a/x", "b"):
        os.makedirs(d)
    assert links("a", "b") == [3, 2]
    os.rename("a/x", "b/x")
    assert links("a", "b", "b/x") == [2, 3, 2]
    assert os.stat("b/x/..").st_ino == os.stat("b").st_ino
    os.mkdir("a/y")
    os.mkdir("a/y/inside")
    rename2("a/y", "b/x", EXCHANGE)
    assert links("a", "b", "a/y", "b/x") == [3, 3, 2, 3]
    assert os.stat("b/x/..").st_ino == os.stat("b").st_ino and os.stat("a/y/..").st_ino == os.stat("a").st_ino
    write("file", b"")
    rename2("file", "a/y", EXCHANGE)
    assert links("a", "file", "a/y") == [2, 2, 1]
    os.mkdir("empty")
    before = os.stat(".").st_nlink
    os.rename("b/x", "empty")
    assert os.stat(".").st_nlink == before and links("b", "empty") == [2, 3]


def test_into_itself_and_over_its_parent():
    os.makedirs("a/b/c")
    for flags in (0, NOREPLACE):
        assert errno_of(rename2, "a", "a/new", flags) == "EINVAL"
        assert errno_of(rename2, "a", "a/b/c/new", flags) == "EINVAL"
    assert errno_of(os.rename, "a", "a/b") == "EINVAL"
    assert errno_of(rename2, "a", "a/b", EXCHANGE) == "EINVAL"
    assert errno_of(rename2, "a/b/c", "a", EXCHANGE) == "EINVAL"
    assert errno_of(os.rename, "a/b/c", "a") == "ENOTEMPTY"
    assert [folder for folder, _, _ in os.walk("a")] == ["a", "a/b", "a/b/c"]


def test_two_names_of_one_file_both_stay():
    os.mkdir("d")
    for a, b in (("one", "two"), ("one", "d/" + LONG), (LONGER, "d/three")):
        write("one", b"same")
        if not os.path.exists(a):
            os.link("one", a)
        os.link("one", b)
        count = os.stat("one").st_nlink
        for flags in (0, EXCHANGE):
            rename2(a, b, flags)
            assert read(a) == read(b) == b"same" and os.stat(a).st_nlink == count
        assert errno_of(rename2, a, b, NOREPLACE) == "EEXIST"
        os.unlink(a)
        assert os.stat(b).st_nlink == count - 1 and read(b) == b"same"


def test_a_replaced_file_lives_by_its_other_name_and_its_descriptor():
    write("victim", b"old")
    os.link("victim", "keeps")
    with open("victim", "rb") as f:
        write("new", b"new")
        os.rename("new", "victim")
        assert os.fstat(f.fileno()).st_nlink == 1
        os.unlink("keeps")
        assert os.fstat(f.fileno()).st_nlink == 0 and f.read() == b"old"
    assert read("victim") == b"new"


def test_a_replaced_directory_that_is_open():
    os.mkdir("victim")
    os.makedirs("new/inside")
    held = os.open("victim", os.O_RDONLY)
    os.rename("new", "victim")
    assert os.fstat(held).st_nlink == 0 and os.listdir(held) == []
    assert errno_of(lambda: os.mkdir("x", dir_fd=held)) == "ENOENT"
    assert errno_of(lambda: os.rename("victim", "x", dst_dir_fd=held)) == "ENOENT"
    os.close(held)
    assert os.listdir("victim") == ["inside"]


def test_flags_that_are_refused():
    write("a", b"A")
    write("b", b"B")
    for flags in (WHITEOUT, WHITEOUT | NOREPLACE, WHITEOUT | EXCHANGE, NOREPLACE | EXCHANGE, 8, 1 << 31):
        assert errno_of(rename2, "a", "c", flags) == "EINVAL", flags
    assert sorted(os.listdir(".")) == ["a", "b"]
    assert errno_of(rename2, "a", "b", NOREPLACE) == "EEXIST"
    assert errno_of(rename2, "a", "missing", EXCHANGE) == "ENOENT"
    assert errno_of(rename2, "missing", "a", EXCHANGE) == "ENOENT"
    rename2("a", "c", NOREPLACE)
    assert (read("b"), read("c")) == (b"B", b"A")


def test_every_kind_replaces_every_other_file():
    makers = {"file": lambda p: write(p, b""), "link": lambda p: os.symlink("target", p), "fifo": os.mkfifo,
              "sock": lambda p: os.mknod(p, stat.S_IFSOCK | 0o600)}
    for old, make_old in makers.items():
        for new, make_new in makers.items():
            make_old("old")
            make_new("new")
            kind = stat.S_IFMT(os.lstat("new").st_mode)
            os.rename("new", "old")
            assert stat.S_IFMT(os.lstat("old").st_mode) == kind and os.listdir(".") == ["old"]
            os.unlink("old")


def test_other_file_systems_and_the_mount_point(shared, tmp_path):
    write("file", b"")
    os.mkdir("dir")
    outside = str(tmp_path / "out")
    for what in ("file", "dir"):
        assert errno_of(os.rename, what, outside) == "EXDEV"
    assert errno_of(os.link, "file", outside) == "EXDEV"
    assert errno_of(os.rename, shared.point, shared.point + "2") == "EBUSY"
    assert errno_of(os.rmdir, shared.point) == "EBUSY"
    assert errno_of(os.rename, "dir", shared.point) == "EXDEV", "its name is outside"


def test_names_after_a_remount(mounted):
    os.chdir(mounted.point)
    os.makedirs(f"{LONG}/{LONGER}/deep")
    write(f"{LONG}/{LONGER}/deep/f", b"data")
    write("f", b"file")
    rename2(f"{LONG}/{LONGER}", "f", EXCHANGE)
    os.rename(f"{LONG}/{LONGER}", f"{LONG}/{LONG}")
    os.rename(LONG, LONGER)
    os.chdir("/")
    mounted.remount()
    assert sorted(os.listdir(mounted.point)) == ["f", LONGER]
    assert read(mounted.path("f/deep/f")) == b"data" and read(mounted.path(LONGER, LONG)) == b"file"
