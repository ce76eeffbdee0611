"""Extended attributes: names, values, lists and rights, each beside a plain directory of the same kind of file system."""

import ctypes
import errno
import os
import shutil
import socket
import subprocess

import pytest

from conftest import Box, Mounted, needs_fuse
from people import ALICE, BOB, CAROL, TEAM, acting, let_in

pytestmark = [needs_fuse, pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become others")]
libc = ctypes.CDLL(None, use_errno=True)
KIB = 1024


class Pair:
    """A mount, and a plain directory beside its vault."""

    def __init__(self, box, below):
        self.plain, self.below = below + "/plain", below
        box.run("init", below + "/vault")
        self.m = Mounted(box, "-o", "allow_other", vault=below + "/vault")
        os.mkdir(self.plain)
        os.chmod(self.m.point, 0o755)
        let_in(self.m.point)
        let_in(self.plain)
        self.sides = (self.plain, self.m.point)


@pytest.fixture(scope="module", params=["disk", "tmpfs"])
def pair(tmp_path_factory, request):
    box = Box(tmp_path_factory.mktemp("xattr"))
    below = box.path("below")
    os.mkdir(below, 0o755)
    if request.param == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "tmpfs", below], check=True)
    try:
        box.make_keystore()
        p = Pair(box, below)
        try:
            os.setxattr(p.plain, "user.probe", b"")
        except OSError as e:
            pytest.skip(f"{request.param}: the file system below has no user attributes: {e}")
        yield p
    finally:
        os.chdir("/")
        box.close()
        if request.param == "tmpfs":
            subprocess.run(["umount", below], check=True)


def told(action, *args, **options):
    """What the call answers, or the errno's name."""
    try:
        return action(*args, **options)
    except OSError as e:
        return errno.errorcode[e.errno]


def lists(path):
    return sorted(n for n in os.listxattr(path, follow_symlinks=False) if not n.startswith("security."))


def raw(call, *args):
    """The call with a buffer of a size of one's own: its answer, or the errno's name."""
    n = getattr(libc, call)(*args)
    return n if n >= 0 else errno.errorcode[ctypes.get_errno()]


# ---- Scenes: each is played in an empty directory of either side, and both must say what is expected ----


def names():
    open("f", "w").close()
    put = lambda n: told(os.setxattr, "f", n, b"v")  # noqa: E731
    kept = ["user." + "n" * 250, "user.x", b"user.\xff\x01 =\xc3", "user.\u00e4\u00f6", "user.signetfs.AAAA", "user.a.b..c"]
    return ([put(n) for n in kept], [os.getxattr("f", n) for n in kept], sorted(os.fsencode(n) for n in lists("f")),
            put("user." + "n" * 251), put("user."), put("user"), put(""), put("nonsense.a"), put("system.nonsense"),
            told(os.getxattr, "f", "user." + "n" * 251), told(os.getxattr, "f", "user.not"), told(os.getxattr, "f", "user."))


NAMES = ([None] * 6, [b"v"] * 6,
         sorted([b"user." + b"n" * 250, b"user.x", b"user.\xff\x01 =\xc3", "user.äö".encode(), b"user.signetfs.AAAA", b"user.a.b..c"]),
         "ERANGE", "EINVAL", "ENOTSUP", "ERANGE", "ENOTSUP", "ENOTSUP", "ERANGE", "ENODATA", "EINVAL")


def create_and_replace():
    os.mkdir("d")
    answers = []
    for name in ("user.a", "trusted.a", "user." + "l" * 240):
        answers.append([told(os.setxattr, "d", name, b"0", os.XATTR_REPLACE), told(os.setxattr, "d", name, b"1", os.XATTR_CREATE),
                        told(os.setxattr, "d", name, b"2", os.XATTR_CREATE), os.getxattr("d", name),
                        told(os.setxattr, "d", name, b"3", os.XATTR_REPLACE), os.getxattr("d", name),
                        told(os.setxattr, "d", name, b""), os.getxattr("d", name),
                        told(os.setxattr, "d", name, b"4", os.XATTR_CREATE), told(os.setxattr, "d", name, b"5", 8),
                        told(os.removexattr, "d", name), told(os.removexattr, "d", name), told(os.getxattr, "d", name), lists("d")])
    return answers


CREATE_AND_REPLACE = [["ENODATA", None, "EEXIST", b"1", None, b"3", None, b"", "EEXIST", "EINVAL", None, "ENODATA", "ENODATA", []]] * 3


def sizes_asked_for():
    open("f", "w").close()
    os.setxattr("f", "user.ten", b"0123456789")
    os.setxattr("f", "user.none", b"")
    buf = ctypes.create_string_buffer(70000)
    values = [raw("getxattr", b"f", b"user.ten", buf, n) for n in (0, 1, 9, 10, 11, 65536, 70000)]
    empty = [raw("getxattr", b"f", b"user.none", buf, n) for n in (0, 1, 100)]
    names = [raw("listxattr", b"f", buf, n) for n in (0, 1, 18, 19, 20, 70000)]
    fd = os.open("f", os.O_PATH)
    by_path_only = raw("flistxattr", fd, buf, 100)
    os.close(fd)
    return values, empty, names, by_path_only


SIZES_ASKED_FOR = ([10, "ERANGE", "ERANGE", 10, 10, 10, 10], [0, 0, 0], [19, "ERANGE", "ERANGE", 19, 19, 19], "EBADF")


def trusted():
    for n in ("f", "d"):
        open(n, "w").close() if n == "f" else os.mkdir(n)
        os.chown(n, ALICE, ALICE)
        os.setxattr(n, "trusted.secret", b"root's")
        os.setxattr(n, "user.open", b"hers")
    with acting(ALICE):
        hers = [(told(os.getxattr, n, "trusted.secret"), told(os.setxattr, n, "trusted.secret", b""), told(os.removexattr, n, "trusted.secret"),
                 told(os.getxattr, n, "trusted.not"), lists(n)) for n in "fd"]
    return hers, [(os.getxattr(n, "trusted.secret"), lists(n)) for n in "fd"], told(os.setxattr, "f", "trusted.", b"")


TRUSTED = ([("ENODATA", "EPERM", "EPERM", "ENODATA", ["user.open"])] * 2, [(b"root's", ["trusted.secret", "user.open"])] * 2, "EINVAL")


def security():
    open("f", "w").close()
    os.chown("f", ALICE, ALICE)
    root = told(os.setxattr, "f", "security.label", b"x")
    with acting(ALICE):
        hers = (told(os.getxattr, "f", "security.label"), told(os.setxattr, "f", "security.label", b"y"), told(os.removexattr, "f", "security.label"),
                told(os.setxattr, "f", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000")))
    return root, hers, told(os.removexattr, "f", "security.label"), told(os.getxattr, "f", "security.label")


SECURITY = (None, (b"x", "EPERM", "EPERM", "EPERM"), None, "ENODATA")


def special():
    """user.* is for files and directories only."""
    os.symlink("nowhere", "link")
    os.mkfifo("fifo")
    os.mknod("dev", 0o20666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("sock")
    return [(told(os.setxattr, n, "user.a", b"", follow_symlinks=False), told(os.getxattr, n, "user.a", follow_symlinks=False),
             told(os.removexattr, n, "user.a", follow_symlinks=False), told(os.setxattr, n, "trusted.a", b"t", follow_symlinks=False),
             told(os.getxattr, n, "trusted.a", follow_symlinks=False), lists(n)) for n in ("link", "fifo", "dev", "sock")]


SPECIAL = [("EPERM", "ENODATA", "EPERM", None, b"t", ["trusted.a"])] * 4


def rights():
    """user.* goes by the rights to the contents; on a sticky directory only by ownership."""
    rows = []
    for name, mode in (("f", 0o660), ("d", 0o770), ("sticky", 0o1777)):
        open(name, "w").close() if name == "f" else os.mkdir(name)
        os.chown(name, ALICE, TEAM)
        os.chmod(name, mode)
        os.setxattr(name, "user.a", b"1")
        for who in (ALICE, BOB, CAROL):
            with acting(who):
                rows.append((told(os.getxattr, name, "user.a"), told(os.setxattr, name, "user.a", b"1"),
                             told(os.setxattr, name, f"user.{who}", b""), told(os.removexattr, name, f"user.{who}"), told(lists, name)))
    return rows


MAY, NOT = (b"1", None, None, None, ["user.a"]), ("EACCES", "EACCES", "EACCES", "EACCES", ["user.a"])
RIGHTS = [MAY, MAY, NOT] * 2 + [MAY] + [(b"1", "EPERM", "EPERM", "EPERM", ["user.a"])] * 2


def many():
    """A list of some kilobytes, grown and shrunk."""
    os.mkdir("d")
    wanted = [f"user.{i:03}" + "x" * 20 for i in range(20)]
    for n in wanted:
        os.setxattr("d", n, n[5:8].encode())
    there = lists("d")
    for n in wanted[::2]:
        os.removexattr("d", n)
    return there == wanted, lists("d") == wanted[1::2], all(os.getxattr("d", n) == n[5:8].encode() for n in wanted[1::2])


SCENES = {f.__name__: (f, expected) for f, expected in (
    (names, NAMES), (create_and_replace, CREATE_AND_REPLACE), (sizes_asked_for, SIZES_ASKED_FOR), (trusted, TRUSTED), (security, SECURITY),
    (special, SPECIAL), (rights, RIGHTS), (many, (True, True, True)))}


@pytest.mark.parametrize("scene", SCENES)
def test_as_beside(pair, scene):
    play, expected = SCENES[scene]
    for side in pair.sides:
        os.mkdir(f"{side}/{scene}", 0o755)
        os.chdir(f"{side}/{scene}")
        assert play() == expected, side


# ---- Values ----

SIZES = [0, 1, 100, 1000, 2000, 3000, 3900, 4 * KIB, 8 * KIB, 60 * KIB, 64 * KIB - 200, 64 * KIB, 64 * KIB + 1]


def test_values_as_large_as_below(pair):
    """What the file system below takes, less what encryption adds; and its error where it does not."""
    for size in SIZES:
        answers = []
        for side in pair.sides:
            path = f"{side}/size{size}"
            open(path, "w").close()
            value = os.urandom(size)
            answers.append(told(os.setxattr, path, "user.v", value))
            assert told(os.getxattr, path, "user.v") == (value if answers[-1] is None else "ENODATA"), (side, size)
        if size == 64 * KIB and answers[0] is None:
            assert answers[1] == "ENOSPC", "its encrypted form is larger than any file system takes"
        else:
            assert answers[0] == answers[1], size
    assert answers == ["E2BIG", "E2BIG"]


def test_a_value_that_does_not_fit_leaves_the_old_one(pair):
    for side in pair.sides:
        path = side + "/kept"
        open(path, "w").close()
        os.setxattr(path, "user.v", b"old")
        assert told(os.setxattr, path, "user.v", b"x" * (64 * KIB + 1)) == "E2BIG"
        if told(os.setxattr, path, "user.w", b"x" * 60 * KIB):
            assert told(os.setxattr, path, "user.v", b"x" * 60 * KIB) == "ENOSPC"
        assert os.getxattr(path, "user.v") == b"old"


# ---- What only an encrypting file system has ----


def lower_of(pair, path):
    """The file of the vault with the inode of @path."""
    inode = os.stat(path).st_ino
    found = subprocess.run(["find", pair.below + "/vault", "-inum", str(inode)], stdout=subprocess.PIPE, text=True, check=True)
    return found.stdout.strip()


def test_attributes_of_the_vaults_files_are_not_shown(pair):
    path = pair.m.path("inside")
    open(path, "w").close()
    os.setxattr(path, "user.mine", b"v")
    lower = lower_of(pair, path)
    [stored] = [n for n in os.listxattr(lower) if n.startswith("user.")]
    os.setxattr(lower, "user.foreign", b"x")
    assert lists(path) == ["user.mine"]
    for name in ("user.foreign", stored):
        assert told(os.getxattr, path, name) == "ENODATA", name
        assert told(os.removexattr, path, name) == "ENODATA", name
        os.setxattr(path, name, b"a name like any other")
        assert os.getxattr(path, name) == b"a name like any other"
    assert lists(path) == sorted(["user.mine", "user.foreign", stored])
    assert os.getxattr(lower, "user.foreign") == b"x"
    assert os.getxattr(path, "user.mine") == b"v"


def test_kept_by_the_next_mount_and_by_copies(pair):
    values = {"user.a": b"", "user." + "n" * 250: b"\0\xff" * 500, "user.b": b"b"}
    os.mkdir(pair.m.path("kept_dir"))
    open(pair.m.path("kept_dir/f"), "w").close()
    for path in ("kept_dir", "kept_dir/f"):
        for name, value in values.items():
            os.setxattr(pair.m.path(path), name, value)
    subprocess.run(["cp", "-a", pair.m.path("kept_dir"), pair.m.path("copied")], check=True)
    shutil.copytree(pair.m.path("kept_dir"), pair.plain + "/copied")
    os.link(pair.m.path("kept_dir/f"), pair.m.path("second"))
    os.rename(pair.m.path("kept_dir"), pair.m.path("renamed"))
    os.chdir("/")
    pair.m.remount("-o", "allow_other")
    for path in ("renamed", "renamed/f", "copied", "copied/f", "second", "../below/plain/copied/f"):
        assert {n: os.getxattr(pair.m.path(path), n) for n in lists(pair.m.path(path))} == values, path


def test_a_read_only_mount_changes_none(pair):
    os.chdir("/")
    path = pair.m.path("ro")
    open(path, "w").close()
    os.setxattr(path, "user.a", b"1")
    pair.m.remount("-o", "ro,allow_other")
    answers = [told(os.setxattr, path, "user.a", b"2"), told(os.removexattr, path, "user.a"), os.getxattr(path, "user.a"), lists(path)]
    pair.m.remount("-o", "allow_other")
    assert answers == ["EROFS", "EROFS", b"1", ["user.a"]]
