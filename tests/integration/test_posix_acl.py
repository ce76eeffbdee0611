"""POSIX ACLs: what they permit, how they go with modes, what is inherited; each beside a plain directory."""

import errno
import os
import socket
import subprocess

import pytest

from attribute_fuzz import GROUP, GROUP_OBJ, MASK, NOBODY, OTHER, USER, USER_OBJ, acl
from conftest import Box, Mounted, needs_fuse
from people import ALICE, BOB, CAROL, GUESTS, TEAM, acting, let_in
from programs import needs, run

pytestmark = [needs_fuse, needs("getfacl", "setfacl", "rsync", "tar"),
              pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become others")]
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """A plain directory, and a mount with ACLs."""
    box = Box(tmp_path_factory.mktemp("acl"))
    try:
        box.make_keystore()
        m = Mounted(box, "-o", "allow_other,acl")
        plain = box.path("plain")
        os.mkdir(plain)
        os.chmod(m.point, 0o755)
        let_in(m.point)
        let_in(plain)
        if told(os.setxattr, plain, ACCESS, TRIVIAL):
            pytest.skip(f"{plain}: the file system has no ACLs to compare with")
        yield plain, m.point
    finally:
        os.chdir("/")
        box.close()


def told(action, *args, **options):
    try:
        return action(*args, **options)
    except OSError as e:
        return errno.errorcode[e.errno]


def of(*entries):
    """An ACL from (tag, rights) and (tag, rights, id)."""
    return acl(*[(*e, NOBODY)[:3] for e in entries])


TRIVIAL = of((USER_OBJ, 6), (GROUP_OBJ, 4), (OTHER, 4))


def make(name, mode=0o640, owner=ALICE, group=ALICE):
    with open(name, "w") as f:
        f.write("content")
    os.chown(name, owner, group)
    os.chmod(name, mode)


def shown(name):
    """The entries, with a comma between them."""
    return run("getfacl", "-cpnE", name).strip().replace("\n", ",").replace("default:", "d:")


def mode(name):
    return f"{os.lstat(name).st_mode & 0o7777:o}"


def may(who, name):
    """Which of read, write and execute (or search) the kernel lets the user do."""
    with acting(who):
        asked = "".join(letter for letter, bit in (("r", os.R_OK), ("w", os.W_OK), ("x", os.X_OK)) if os.access(name, bit))
        if os.path.isfile(name):  # and so it is, not only said to be
            assert ("r" in asked) == (told(read, name) == "content") and ("w" in asked) == (told(touch, name) is None)
    return asked


def read(name):
    with open(name) as f:
        return f.read()


def touch(name):
    os.close(os.open(name, os.O_WRONLY))


# ---- Scenes: each is played in an empty directory of either side, and both must say what is expected ----


def named_users_and_groups():
    make("f", 0o600)
    before = [may(who, "f") for who in (ALICE, BOB, CAROL)]
    run("setfacl", "-m", f"u:{CAROL}:rw,g:{GUESTS}:r", "f")
    return before, shown("f"), mode("f"), [may(who, "f") for who in (ALICE, BOB, CAROL)]


def a_user_entry_comes_before_groups_and_others():
    make("f", 0o666, ALICE, TEAM)
    run("setfacl", "-m", f"u:{BOB}:-,u:{CAROL}:r", "f")
    return [may(who, "f") for who in (ALICE, BOB, CAROL, 0)]


def any_group_that_gives_it_will_do():
    make("f", 0o600, ALICE, TEAM)
    run("setfacl", "-m", f"g::r,g:{GUESTS}:w,o::rw", "f")
    return may(BOB, "f"), may(CAROL, "f")


def directories():
    os.mkdir("d", 0o700)
    make("d/f", 0o644)
    os.chown("d", ALICE, ALICE)
    run("setfacl", "-m", f"u:{BOB}:x,u:{CAROL}:rwx", "d")
    with acting(BOB):
        bob = (told(os.listdir, "d"), told(read, "d/f"), told(os.mkdir, "d/new"))
    with acting(CAROL):
        carol = (told(os.listdir, "d"), told(os.mkdir, "d/new"), told(os.rename, "d/new", "d/newer"), told(os.rmdir, "d/newer"))
    return bob, carol


def the_mask_and_chmod():
    make("f", 0o600)
    run("setfacl", "-m", f"u:{BOB}:rwx,g::r", "f")
    rows = [(mode("f"), shown("f"), may(BOB, "f"))]
    for bits in (0o644, 0o600, 0o670, 0o604):
        os.chmod("f", bits)
        rows.append((mode("f"), shown("f"), may(BOB, "f")))
    run("setfacl", "-n", "-m", "m::x", "f")
    return [*rows, (mode("f"), shown("f"), may(BOB, "f"))]


# Without any bit for the group in the mode, Linux does not ask the ACL: 604 lets others read.
THE_MASK_AND_CHMOD = [
    (m, f"user::{u},user:61002:rwx,group::r--,mask::{k},other::{o}", b) for m, u, k, o, b in (
        ("670", "rw-", "rwx", "---", "rwx"), ("644", "rw-", "r--", "r--", "r"), ("600", "rw-", "---", "---", ""), ("670", "rw-", "rwx", "---", "rwx"),
        ("604", "rw-", "---", "r--", "r"), ("614", "rw-", "--x", "r--", "x"))]


def an_acl_sets_the_mode():
    make("f", 0o4755, ALICE, TEAM)
    os.setxattr("f", ACCESS, of((USER_OBJ, 6), (USER, 7, BOB), (GROUP_OBJ, 0), (MASK, 5), (OTHER, 1)))
    first = mode("f"), shown("f")
    os.setxattr("f", ACCESS, of((USER_OBJ, 7), (GROUP_OBJ, 5), (OTHER, 4)))
    return first, mode("f"), told(os.getxattr, "f", ACCESS), os.listxattr("f")


def who_may_change_one():
    make("f", 0o666)
    rows = []
    for who in (ALICE, BOB, 0):
        with acting(who):
            rows.append((told(os.setxattr, "f", ACCESS, TRIVIAL), told(os.removexattr, "f", ACCESS)))
    make("g", 0o2755, ALICE, CAROL)
    with acting(ALICE):  # who is not in the file's group loses its set-group-ID bit
        os.setxattr("g", ACCESS, of((USER_OBJ, 7), (USER, 7, BOB), (GROUP_OBJ, 5), (MASK, 7), (OTHER, 5)))
    return rows, mode("g")


def removal():
    os.mkdir("d")
    run("setfacl", "-m", f"u:{BOB}:rwx,d:u:{CAROL}:r", "d")
    rows = [shown("d")]
    for how in (("-x", f"u:{BOB}"), ("-k",), ("-m", f"u:{BOB}:w,d:g:{TEAM}:r"), ("-b",)):
        run("setfacl", *how, "d")
        rows.append((mode("d"), shown("d")))
    gone = told(os.getxattr, "d", ACCESS), told(os.getxattr, "d", DEFAULT), told(os.removexattr, "d", ACCESS), told(os.removexattr, "d", DEFAULT)
    return rows, gone, os.listxattr("d")


R, DR = "user::rwx,{}group::r-x,{}other::r-x", ",d:user::rwx,{}d:group::r-x,{}d:mask::r-x,d:other::r-x"
REMOVAL = ([R.format("user:61002:rwx,", "mask::rwx,") + DR.format("d:user:61003:r--,", ""),
            ("755", R.format("", "mask::r-x,") + DR.format("d:user:61003:r--,", "")), ("755", R.format("", "mask::r-x,")),
            ("775", R.format("user:61002:-w-,", "mask::rwx,") + DR.format("", "d:group:62001:r--,")), ("755", R.format("", ""))],
           ("ENODATA", "ENODATA", None, None), [])


def inherited():
    """The umask does not count where a default ACL is, and the mode asked for bounds it."""
    os.mkdir("d", 0o755)
    run("setfacl", "-m", f"d:u:{BOB}:rwx,d:g::rx,d:o::-", "d")
    before = os.umask(0o077)
    try:
        os.close(os.open("d/666", os.O_CREAT | os.O_WRONLY, 0o666))
        os.close(os.open("d/600", os.O_CREAT | os.O_WRONLY, 0o600))
        os.mkdir("d/sub", 0o777)
        os.mkdir("d/sub/sub", 0o750)
        os.mkfifo("d/fifo", 0o666)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind("d/sock")
        os.symlink("666", "d/link")
        os.link("d/666", "d/second")
        os.close(os.open("plain", os.O_CREAT | os.O_WRONLY, 0o666))
    finally:
        os.umask(before)
    names = ("d/666", "d/600", "d/sub", "d/sub/sub", "d/fifo", "d/sock", "d/second", "plain")
    return {n: (mode(n), shown(n)) for n in names}, os.listxattr("d/link", follow_symlinks=False)


D = "d:user::rwx,d:user:61002:rwx,d:group::r-x,d:mask::rwx,d:other::---"
INHERITED = ({
    "d/666": ("660", "user::rw-,user:61002:rwx,group::r-x,mask::rw-,other::---"),
    "d/600": ("600", "user::rw-,user:61002:rwx,group::r-x,mask::---,other::---"),
    "d/sub": ("770", "user::rwx,user:61002:rwx,group::r-x,mask::rwx,other::---," + D),
    "d/sub/sub": ("750", "user::rwx,user:61002:rwx,group::r-x,mask::r-x,other::---," + D),
    "d/fifo": ("660", "user::rw-,user:61002:rwx,group::r-x,mask::rw-,other::---"),
    "d/sock": ("700", "user::rwx,user:61002:rwx,group::r-x,mask::---,other::---"),  # bind() masks by itself
    "d/second": ("660", "user::rw-,user:61002:rwx,group::r-x,mask::rw-,other::---"),
    "plain": ("600", "user::rw-,group::---,other::---")}, [])


def a_default_acl_that_is_only_a_mode():
    os.mkdir("d", 0o755)
    run("setfacl", "-m", "d:u::rw,d:g::r,d:o::-", "d")
    os.close(os.open("d/f", os.O_CREAT | os.O_WRONLY, 0o777))
    run("setfacl", "-k", "d")
    os.close(os.open("d/g", os.O_CREAT | os.O_WRONLY, 0o777))
    return mode("d/f"), shown("d/f"), mode("d/g")


def where_there_are_none():
    """Links have no ACL; only directories have a default one; other special files have one that permits."""
    os.symlink("nowhere", "link")
    os.mkfifo("fifo", 0o600)
    os.mknod("dev", 0o20600, os.makedev(1, 3))
    make("f")
    rows = [(told(os.setxattr, n, ACCESS, TRIVIAL, follow_symlinks=False), told(os.setxattr, n, DEFAULT, TRIVIAL, follow_symlinks=False),
             told(os.getxattr, n, ACCESS, follow_symlinks=False), told(os.removexattr, n, DEFAULT, follow_symlinks=False))
            for n in ("link", "fifo", "dev", "f")]
    run("setfacl", "-m", f"u:{BOB}:rw", "fifo")
    return rows, may(BOB, "fifo"), may(CAROL, "fifo")


GOOD = of((USER_OBJ, 6), (USER, 7, BOB), (GROUP_OBJ, 4), (GROUP, 4, TEAM), (MASK, 7), (OTHER, 4))
MALFORMED = {
    "cut": GOOD[:-1], "version": b"\1" + GOOD[1:], "no owner": of((GROUP_OBJ, 4), (OTHER, 4)),
    "no mask": of((USER_OBJ, 6), (USER, 7, BOB), (GROUP_OBJ, 4), (OTHER, 4)), "rights": of((USER_OBJ, 8), (GROUP_OBJ, 4), (OTHER, 4)),
    "two owners": of((USER_OBJ, 6), (USER_OBJ, 6), (GROUP_OBJ, 4), (OTHER, 4)), "order": of((OTHER, 4), (GROUP_OBJ, 4), (USER_OBJ, 6)),
    "tag": of((USER_OBJ, 6), (3, 6), (GROUP_OBJ, 4), (OTHER, 4))}


def malformed():
    make("f")
    kept = of((USER_OBJ, 6), (USER, 7, BOB), (GROUP_OBJ, 4), (MASK, 7), (OTHER, 4))
    os.setxattr("f", ACCESS, kept)
    answers = {n: told(os.setxattr, "f", ACCESS, v) for n, v in MALFORMED.items()}
    still = os.getxattr("f", ACCESS) == kept
    removing = []
    for nothing in (GOOD[:4], b""):
        os.setxattr("f", ACCESS, kept)
        removing.append((told(os.setxattr, "f", ACCESS, nothing), told(os.getxattr, "f", ACCESS)))
    return answers, still, removing


COPIES = {
    "cp -a": lambda: run("cp", "-a", "from", "to"),
    "tar --acls": lambda: run("sh", "-c", "tar --acls -cf a.tar -C from . && mkdir to && tar --acls -xpf a.tar -C to"),
    "rsync -aA": lambda: run("rsync", "-aA", "from/", "to/"),
    "setfacl --restore": lambda: run("sh", "-c", "cd from && getfacl -Rn . > ../acls && cp -r . ../to && cd ../to && setfacl --restore=../acls"),
}


def copies():
    os.mkdir("from")
    make("from/f", 0o640)
    os.mkdir("from/d")
    run("setfacl", "-m", f"u:{BOB}:rw,g:{GUESTS}:r", "from/f")
    run("setfacl", "-m", f"u:{CAROL}:rwx,d:u:{BOB}:rwx", "from/d")
    rows = {}
    for how, copy in COPIES.items():
        copy()
        rows[how] = [(mode(n), shown(n)) for n in ("to/f", "to/d")]
        run("rm", "-r", "to")
    return rows


COPIED = [("660", "user::rw-,user:61002:rw-,group::r--,group:62002:r--,mask::rw-,other::---"),
          ("775", "user::rwx,user:61003:rwx,group::r-x,mask::rwx,other::r-x," + D.replace("d:other::---", "d:other::r-x"))]

SCENES = {f.__name__: (f, expected) for f, expected in (
    (named_users_and_groups, (["rw", "", ""], "user::rw-,user:61003:rw-,group::---,group:62002:r--,mask::rw-,other::---", "660", ["rw", "r", "rw"])),
    (a_user_entry_comes_before_groups_and_others, ["rw", "", "r", "rw"]),
    (any_group_that_gives_it_will_do, ("rw", "rw")),
    (directories, (("EACCES", "content", "EACCES"), (["f"], None, None, None))),
    (the_mask_and_chmod, THE_MASK_AND_CHMOD),
    (an_acl_sets_the_mode, (("4651", "user::rw-,user:61002:rwx,group::---,mask::r-x,other::--x"), "4754", "ENODATA", [])),
    (who_may_change_one, ([(None, None), ("EPERM", "EPERM"), (None, None)], "775")),
    (removal, REMOVAL),
    (inherited, INHERITED),
    (a_default_acl_that_is_only_a_mode, ("640", "user::rw-,group::r--,other::---", "755")),
    (where_there_are_none, ([("ENOTSUP",) * 4] + [(None, "EACCES", "ENODATA", None)] * 3, "rw", "r")),
    (malformed, ({n: "ENOTSUP" if n == "version" else "EINVAL" for n in MALFORMED}, True, [(None, "ENODATA")] * 2)),
    (copies, {how: COPIED for how in COPIES}))}


@pytest.mark.parametrize("scene", SCENES)
def test_as_beside(sides, scene):
    play, expected = SCENES[scene]
    for side in sides:
        os.mkdir(f"{side}/{scene}", 0o755)
        os.chdir(f"{side}/{scene}")
        assert play() == expected, side


def test_as_large_as_below(sides):
    """What the file system below does not keep is refused, and the old one stays."""
    for count in (100, 400, 5000, 8300):
        value = of((USER_OBJ, 6), *[(USER, 4, 70000 + i) for i in range(count)], (GROUP_OBJ, 4), (MASK, 7), (OTHER, 4))
        answers = []
        for side in sides:
            path = f"{side}/large{count}"
            make(path)
            os.setxattr(path, ACCESS, GOOD)
            answers.append(told(os.setxattr, path, ACCESS, value))
            assert os.getxattr(path, ACCESS) == (GOOD if answers[-1] else value), (side, count)
        if len(value) > 4096 and answers[0] in ("ENOSPC", None):
            assert answers[1] == "E2BIG", "FUSE has room for a page"
        else:
            assert answers[0] == answers[1], count
    assert answers == ["E2BIG", "E2BIG"]


# ---- Without the option ----


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    box = Box(tmp_path_factory.mktemp("noacl"))
    try:
        box.make_keystore()
        m = Mounted(box, "-o", "allow_other")
        os.chmod(m.point, 0o755)
        let_in(m.point)
        yield m
    finally:
        os.chdir("/")
        box.close()


def test_without_the_option_they_are_refused_clearly(without):
    make(without.path("f"))
    os.mkdir(without.path("d"))
    for name, which in (("f", ACCESS), ("d", ACCESS), ("d", DEFAULT)):
        path = without.path(name)
        assert told(os.setxattr, path, which, TRIVIAL) == "ENOTSUP"
        assert told(os.getxattr, path, which) == "ENOTSUP"
        assert told(os.removexattr, path, which) == "ENOTSUP"
    assert "Operation not supported" in run("setfacl", "-m", f"u:{BOB}:r", without.path("f"), code=1)
    assert shown(without.path("f")) == "user::rw-,group::r--,other::---"
    run("cp", "-a", without.path("f"), without.path("copy"))
    run("rsync", "-a", without.path("f"), without.path("synced"))


def test_without_the_option_those_that_are_there_are_not_shown_and_stay(without):
    path = without.path("had")
    make(path)
    inode = os.stat(path).st_ino
    lower = run("find", without.vault, "-inum", inode).strip()
    if told(os.setxattr, lower, ACCESS, GOOD):
        pytest.skip("the file system below has no ACLs")
    assert told(os.getxattr, path, ACCESS) == "ENOTSUP"
    assert not [n for n in os.listxattr(path) if n.startswith("system.")]
    assert os.getxattr(lower, ACCESS) == GOOD
