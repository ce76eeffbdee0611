"""Times, owners, modes and what is cleared when: one row of a table per rule, with the values of POSIX and ext4."""

import ctypes
import errno
import mmap
import os
import stat
import subprocess
import time

import pytest

from conftest import Box, Mounted, needs_fuse
from people import ALICE, BOB, CAROL, TEAM, acting, let_in

pytestmark = [needs_fuse, pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become others")]
S = 1_000_000_000
NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service+ep
libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One mount for all, that others may enter."""
    box = Box(tmp_path_factory.mktemp("attributes"))
    try:
        box.make_keystore()
        m = Mounted(box, "-o", "allow_other,acl")
        os.chmod(m.point, 0o755)
        let_in(m.point)
        yield m
    finally:
        os.chdir("/")
        box.close()


@pytest.fixture
def here(folder):
    """Working in an empty folder that everybody may write to."""
    os.chmod(folder, 0o777)
    before = os.getcwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def make(name, mode=0o644, owner=0, group=0, data=b"content"):
    with open(name, "wb") as f:
        f.write(data)
    os.chown(name, owner, group)
    os.chmod(name, mode)
    return name


def code_of(action, *args, **options):
    """0, or the errno's name."""
    try:
        action(*args, **options)
    except OSError as e:
        return errno.errorcode[e.errno]
    return 0


def utimens(name, atime, mtime, follow=True):
    spec = (ctypes.c_long * 4)(*atime, *mtime)
    if libc.utimensat(-100, os.fsencode(name), spec, 0 if follow else 0x100) != 0:
        raise OSError(ctypes.get_errno(), name)


def mode_of(name):
    return stat.S_IMODE(os.lstat(name).st_mode)


def is_now(ns):
    return abs(ns - time.time_ns()) < 600 * S


# ---- Times ----


KINDS = {"file": make, "dir": os.mkdir, "fifo": os.mkfifo, "link": lambda n: os.symlink("nowhere", n)}


@pytest.mark.parametrize("kind", KINDS)
def test_times_are_kept_to_the_nanosecond(here, shared, kind):
    KINDS[kind]("x")
    rows = [(0, 0), (1, 999_999_999), (-1, 999_999_999), (-2147483647, 1), (2147483648, 123_456_789), (4294967296, 7),
            (15032385534, 999_999_999)]
    for i, (sec, nsec) in enumerate(rows):
        utimens("x", (sec, nsec), rows[i - 1], follow=False)
        st = os.lstat("x")
        assert (st.st_atime_ns, st.st_mtime_ns) == (sec * S + nsec, rows[i - 1][0] * S + rows[i - 1][1])
        assert is_now(st.st_ctime_ns)


def test_now_and_omit(here):
    make("x")
    utimens("x", (5, 5), (6, 6))
    utimens("x", (0, OMIT), (7, 7))
    assert (os.stat("x").st_atime_ns, os.stat("x").st_mtime_ns) == (5 * S + 5, 7 * S + 7)
    utimens("x", (8, 8), (0, OMIT))
    assert (os.stat("x").st_atime_ns, os.stat("x").st_mtime_ns) == (8 * S + 8, 7 * S + 7)
    utimens("x", (0, NOW), (0, OMIT))
    assert is_now(os.stat("x").st_atime_ns) and os.stat("x").st_mtime_ns == 7 * S + 7
    utimens("x", (9, 9), (0, NOW))
    assert os.stat("x").st_atime_ns == 9 * S + 9 and is_now(os.stat("x").st_mtime_ns)
    before = os.stat("x")
    utimens("x", (0, OMIT), (0, OMIT))
    assert os.stat("x") == before
    assert code_of(utimens, "x", (0, S), (0, 0)) == "EINVAL"
    assert code_of(utimens, "x", (0, 0), (0, -1)) == "EINVAL"


# Whose file is it (ALICE's, group TEAM), what mode, who sets the times, to what: errno
TIME_RIGHTS = [
    (0o600, ALICE, "set", 0), (0o000, ALICE, "set", 0), (0o000, ALICE, "now", 0),
    (0o660, BOB, "set", "EPERM"), (0o660, BOB, "now", 0), (0o640, BOB, "now", "EACCES"), (0o640, BOB, "set", "EPERM"),
    (0o666, CAROL, "now", 0), (0o666, CAROL, "set", "EPERM"), (0o666, CAROL, "now+omit", "EPERM"), (0o660, CAROL, "now", "EACCES"),
    (0o000, CAROL, "omit", 0), (0o000, 0, "set", 0),
]


@pytest.mark.parametrize("mode,who,what,expected", TIME_RIGHTS)
def test_who_may_set_times(here, mode, who, what, expected):
    times = {"set": ((1, 1), (2, 2)), "now": ((0, NOW), (0, NOW)), "now+omit": ((0, NOW), (0, OMIT)), "omit": ((0, OMIT), (0, OMIT))}
    make("x", mode, ALICE, TEAM)
    with acting(who):
        assert code_of(utimens, "x", *times[what]) == expected


def with_fd(name, flags, action):
    fd = os.open(name, flags)
    try:
        return action(fd)
    finally:
        os.close(fd)


def mapped_write(name):
    with open(name, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        m[0:1] = b"M"
        m.flush()


def direct_write(name):
    page = mmap.mmap(-1, 4096)
    with_fd(name, os.O_WRONLY | os.O_DIRECT, lambda fd: os.writev(fd, [page]))


# The call, what of its times moves: m(odification) and c(hange) of the file f, M and C of the directory d it is in
MARKS = {
    "write": (lambda: with_fd("d/f", os.O_WRONLY, lambda fd: os.write(fd, b"x")), "mc"),
    "write nothing": (lambda: with_fd("d/f", os.O_WRONLY, lambda fd: os.write(fd, b"")), ""),
    "append": (lambda: with_fd("d/f", os.O_WRONLY | os.O_APPEND, lambda fd: os.write(fd, b"x")), "mc"),
    "O_DIRECT": (lambda: direct_write("d/f"), "mc"),
    "O_SYNC": (lambda: with_fd("d/f", os.O_WRONLY | os.O_SYNC, lambda fd: os.write(fd, b"x")), "mc"),
    "ftruncate to the same size": (lambda: with_fd("d/f", os.O_WRONLY, lambda fd: os.ftruncate(fd, 7)), "mc"),
    "truncate shorter": (lambda: os.truncate("d/f", 3), "mc"),
    "truncate longer": (lambda: os.truncate("d/f", 9000), "mc"),
    "open with O_TRUNC": (lambda: with_fd("d/f", os.O_WRONLY | os.O_TRUNC, lambda fd: None), "mc"),
    "open with O_TRUNC, empty": (lambda: with_fd("d/e", os.O_WRONLY | os.O_TRUNC, lambda fd: None), "e"),
    "fallocate": (lambda: with_fd("d/f", os.O_WRONLY, lambda fd: os.posix_fallocate(fd, 0, 9000)), "mc"),
    "open, read, close": (lambda: with_fd("d/f", os.O_RDONLY, lambda fd: os.read(fd, 10)), ""),
    "chmod": (lambda: os.chmod("d/f", 0o600), "c"),
    "chmod to the same": (lambda: os.chmod("d/f", 0o644), "c"),
    "chown": (lambda: os.chown("d/f", ALICE, TEAM), "c"),
    "chown of nothing": (lambda: os.chown("d/f", -1, -1), "c"),
    "utime": (lambda: utimens("d/f", (0, NOW), (0, OMIT)), "c"),
    "link": (lambda: os.link("d/f", "other/new"), "c"),
    "link into": (lambda: os.link("other/g", "d/g"), "MC"),
    "unlink one of two": (lambda: os.unlink("d/second"), "cMC"),
    "rename within": (lambda: os.rename("d/f", "d/n"), "cMC"),
    "rename out": (lambda: os.rename("d/f", "n"), "cMC"),
    "rename in": (lambda: os.rename("other/g", "d/g"), "MC"),
    "create": (lambda: os.close(os.open("d/new", os.O_CREAT | os.O_WRONLY)), "MC"),
    "mkdir": (lambda: os.mkdir("d/new"), "MC"),
    "mkfifo": (lambda: os.mkfifo("d/new"), "MC"),
    "symlink": (lambda: os.symlink("x", "d/new"), "MC"),
    "unlink": (lambda: os.unlink("d/e"), "MC"),
    "rmdir": (lambda: os.rmdir("d/sub"), "MC"),
    "setxattr": (lambda: os.setxattr("d/f", "user.x", b"1"), "c"),
    "removexattr": (lambda: os.removexattr("d/f", "user.there"), "c"),
    "setxattr of the directory": (lambda: os.setxattr("d", "user.x", b"1"), "C"),
    "listing": (lambda: os.listdir("d"), ""),
    "create that fails": (lambda: code_of(os.open, "d/f", os.O_CREAT | os.O_EXCL), ""),
    "store into a mapping": (lambda: mapped_write("d/f"), "mc"),
}


def times_of(fd):
    st = os.fstat(fd)
    return st.st_mtime_ns, st.st_ctime_ns


def wait_for_the_clock():
    start = time.clock_gettime_ns(5)  # CLOCK_REALTIME_COARSE, which times are taken from
    while time.clock_gettime_ns(5) == start:
        time.sleep(0.001)


@pytest.mark.parametrize("call", MARKS)
def test_what_marks_which_time(here, call):
    action, expected = MARKS[call]
    os.mkdir("d")
    os.mkdir("other")
    os.mkdir("d/sub")
    make("d/f")
    make("d/e", data=b"")
    make("other/g")
    if call == "unlink one of two":
        os.link("d/f", "d/second")
    os.setxattr("d/f", "user.there", b"1")
    for name in ("d/f", "d/e", "d"):
        os.utime(name, ns=(S, S))
    fds = [os.open(n, os.O_RDONLY) for n in ("d/f", "d", "d/e")]
    before = [times_of(fd) for fd in fds]
    wait_for_the_clock()
    action()
    after = [times_of(fd) for fd in fds]
    for fd in fds:
        os.close(fd)
    moved = "".join(letter for letters, old, new in zip(("mc", "MC", "ex"), before, after)
                    for letter, was, is_ in zip(letters, old, new) if was != is_)
    assert moved.replace("x", "") == expected
    assert all(is_now(new[i]) for old, new in zip(before, after) for i in (0, 1) if old[i] != new[i])


def test_mtime_stays_after_it_was_flushed(here, shared):
    """What write() gave the file is its time for good: not that of the flush, of the close, nor of a later mount."""
    seen = {}
    for name in ("written", "empty", "extended", "mapped"):
        fd = os.open(name, os.O_RDWR | os.O_CREAT)
        if name != "empty":
            os.write(fd, b"x" * 10000)
        if name == "extended":
            os.ftruncate(fd, 20000)
        seen[name] = os.fstat(fd).st_mtime_ns
        wait_for_the_clock()
        os.fsync(fd)
        assert os.fstat(fd).st_mtime_ns == seen[name], name
        wait_for_the_clock()
        os.close(fd)
    os.utime("written", ns=(1, 4_000_000_007))
    seen["written"] = 4_000_000_007
    os.sync()
    subprocess.run(["sh", "-c", "echo 3 > /proc/sys/vm/drop_caches"], check=True)
    assert {n: os.stat(n).st_mtime_ns for n in seen} == seen
    os.chdir("/")
    shared.remount("-o", "allow_other,acl")
    assert {n: os.stat(f"{here}/{n}").st_mtime_ns for n in seen} == seen


def test_atime_follows_the_vaults_file_system(here, shared):
    """relatime below (the default of Linux): the first read after a write moves it."""
    with open("/proc/mounts") as f:
        mounts = [line.split() for line in f]
    below = max((m for m in mounts if shared.vault.startswith(m[1])), key=lambda m: len(m[1]))
    if "relatime" not in below[3].split(","):
        pytest.skip(f"{below[1]} is not mounted relatime")
    make("x")
    now = time.time_ns()
    os.utime("x", ns=(now - 5 * S, now - 4 * S))
    with_fd("x", os.O_RDONLY, lambda fd: os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED))
    with open("x", "rb") as f:
        f.read()
    assert os.stat("x").st_atime_ns > now - 4 * S
    os.utime("x", ns=(now - 3 * S, now - 4 * S))
    with open("x", "rb") as f:
        f.read()
    assert os.stat("x").st_atime_ns == now - 3 * S, "read since it was written: stays for a day"


def test_options_of_atime_are_taken_and_change_nothing(kms_box):
    """The vault's file system decides: read since it was written, the time stays, strictatime or not; written since, it moves."""
    vault = kms_box.make_vault()
    moved = {}
    for option in ("strictatime", "noatime", "relatime", "nodiratime"):
        m = Mounted(kms_box, "-o", option, vault=vault, point=kms_box.mount(vault, "-o", option))
        now = time.time_ns()
        seen = []
        for name, atime in (("read", now - 3 * S), ("written", now - 5 * S)):
            make(m.path(name))
            os.utime(m.path(name), ns=(atime, now - 4 * S))
            with_fd(m.path(name), os.O_RDONLY, lambda fd: os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED))
            with open(m.path(name), "rb") as f:
                f.read()
            seen.append(os.stat(m.path(name)).st_atime_ns != atime)
        moved[option] = seen
        kms_box.umount(m.point)
    assert len({tuple(v) for v in moved.values()}) == 1, moved


# ---- Owners and modes ----

# owner, mode, who, chown to, errno, mode afterwards
CHOWN = [
    (ALICE, 0o644, ALICE, (-1, TEAM), 0, 0o644),
    (ALICE, 0o644, ALICE, (ALICE, ALICE), 0, 0o644),
    (ALICE, 0o644, ALICE, (-1, CAROL), "EPERM", 0o644),
    (ALICE, 0o644, ALICE, (BOB, -1), "EPERM", 0o644),
    (ALICE, 0o644, BOB, (-1, TEAM), "EPERM", 0o644),
    (ALICE, 0o644, BOB, (BOB, -1), "EPERM", 0o644),
    (ALICE, 0o644, BOB, (-1, -1), 0, 0o644),
    (ALICE, 0o4755, BOB, (-1, -1), "EPERM", 0o4755),
    (ALICE, 0o2755, BOB, (-1, -1), "EPERM", 0o2755),
    (TEAM, 0o2644, BOB, (-1, -1), 0, 0o2644),
    (TEAM, 0o2644, CAROL, (-1, -1), "EPERM", 0o2644),
    (ALICE, 0o6755, ALICE, (-1, -1), 0, 0o755),
    (ALICE, 0o6755, ALICE, (-1, TEAM), 0, 0o755),
    (ALICE, 0o2644, ALICE, (-1, TEAM), 0, 0o2644),
    (ALICE, 0o6644, ALICE, (-1, TEAM), 0, 0o2644),
    (ALICE, 0o6755, 0, (BOB, TEAM), 0, 0o755),
    (ALICE, 0o6755, 0, (-1, -1), 0, 0o755),
    (ALICE, 0o2644, 0, (BOB, TEAM), 0, 0o2644),
    (ALICE, 0o1777, 0, (BOB, TEAM), 0, 0o1777),
]


@pytest.mark.parametrize("owner,mode,who,to,expected,after", CHOWN)
def test_chown(here, owner, mode, who, to, expected, after):
    make("x", mode, owner, owner)
    with acting(who):
        assert code_of(os.chown, "x", *to) == expected
    assert mode_of("x") == after
    st = os.stat("x")
    wanted = (owner, owner) if expected else (to[0] if to[0] >= 0 else owner, to[1] if to[1] >= 0 else owner)
    assert (st.st_uid, st.st_gid) == wanted


@pytest.mark.parametrize("mode,after", [(0o2000, 0), (0o2644, 0o644), (0o6644, 0o644), (0o6755, 0o755)])
def test_chown_of_a_file_whose_group_the_owner_is_not_in(here, mode, after):
    make("x", mode, ALICE, CAROL)
    with acting(ALICE):
        os.chown("x", ALICE, CAROL)
    assert mode_of("x") == after
    assert (os.stat("x").st_uid, os.stat("x").st_gid) == (ALICE, CAROL)


def test_chown_of_nothing_by_a_stranger(here):
    os.mkfifo("p")
    os.chmod("p", 0o4755)
    os.mkdir("d", 0o777)
    with acting(CAROL):
        assert code_of(os.chown, "p", -1, -1) == "EPERM"
        os.chown("d", -1, -1)
    assert mode_of("p") == 0o4755


def test_chown_of_a_directory_keeps_its_set_id_bits(here):
    os.mkdir("d")
    os.chmod("d", 0o6755)
    os.chown("d", ALICE, TEAM)
    assert mode_of("d") == 0o6755
    with acting(ALICE):
        os.chown("d", -1, ALICE)
    assert mode_of("d") == 0o6755 and os.stat("d").st_gid == ALICE


# group of ALICE's file, who, chmod to, errno, mode afterwards
CHMOD = [
    (TEAM, ALICE, 0o7777, 0, 0o7777), (CAROL, ALICE, 0o7777, 0, 0o5777), (CAROL, ALICE, 0o2644, 0, 0o644),
    (CAROL, 0, 0o7777, 0, 0o7777), (TEAM, BOB, 0o777, "EPERM", 0o640), (TEAM, CAROL, 0o640, "EPERM", 0o640),
]


@pytest.mark.parametrize("kind", ["file", "dir"])
@pytest.mark.parametrize("group,who,to,expected,after", CHMOD)
def test_chmod(here, kind, group, who, to, expected, after):
    KINDS[kind]("x")
    os.chmod("x", 0o640)
    os.chown("x", ALICE, group)
    with acting(who):
        assert code_of(os.chmod, "x", to) == expected
    assert mode_of("x") == after


def pwrite(fd):
    os.pwrite(fd, b"y", 1)


CHANGES = {
    "write": pwrite,
    "append": lambda fd: os.pwrite(fd, b"y", 7),
    "writev past the end": lambda fd: os.pwritev(fd, [b"y"], 50000),
    "ftruncate": lambda fd: os.ftruncate(fd, 3),
    "ftruncate longer": lambda fd: os.ftruncate(fd, 5000),
    "fallocate": lambda fd: os.posix_fallocate(fd, 0, 9000),
    "copy_file_range": lambda fd: os.copy_file_range(fd, fd, 2, 0, 4),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("who,mode,after", [(BOB, 0o6777, 0o777), (BOB, 0o4666, 0o666), (BOB, 0o2776, 0o776), (BOB, 0o2666, 0o2666),
                                            (CAROL, 0o2666, 0o666), (CAROL, 0o6666, 0o666), (BOB, 0o6666, 0o2666), (0, 0o6777, 0o6777)])
def test_changing_contents_clears_set_id_bits(here, change, who, mode, after):
    make("x", mode, ALICE, TEAM)
    with acting(who):
        with_fd("x", os.O_RDWR, CHANGES[change])
    assert mode_of("x") == after


@pytest.mark.parametrize("who,after", [(BOB, 0o777), (CAROL, 0o777), (0, 0o6777)])
def test_truncating_by_name_clears_set_id_bits(here, who, after):
    for name, change in (("x", lambda: os.truncate("x", 1)), ("y", lambda: os.close(os.open("y", os.O_WRONLY | os.O_TRUNC)))):
        make(name, 0o6777, ALICE, TEAM)
        with acting(who):
            change()
        assert mode_of(name) == after, name


# What takes a file's capabilities away, by root, too
LOSES = {"write": lambda: with_fd("x", os.O_WRONLY, pwrite), "chown": lambda: os.chown("x", 1, 1),
         "truncate": lambda: os.truncate("x", 2), "chown of nothing": lambda: os.chown("x", -1, -1),
         "fallocate": lambda: with_fd("x", os.O_WRONLY, CHANGES["fallocate"])}
KEEPS = {"chmod": lambda: os.chmod("x", 0o700), "utime": lambda: os.utime("x"), "rename": lambda: os.rename("x", "y") or os.rename("y", "x"),
         "link": lambda: os.link("x", "z"), "read": lambda: open("x").read()}


@pytest.mark.parametrize("change", [*LOSES, *KEEPS])
def test_file_capabilities(here, change):
    make("x", 0o755)
    os.setxattr("x", "security.capability", CAPABILITY)
    {**LOSES, **KEEPS}[change]()
    assert code_of(os.getxattr, "x", "security.capability") == ("ENODATA" if change in LOSES else 0)


def test_what_is_made_in_a_set_group_id_directory(here):
    os.mkdir("d")
    os.chown("d", ALICE, TEAM)
    os.chmod("d", 0o2777)
    with acting(CAROL):
        make_all = [("d/f", lambda n: os.close(os.open(n, os.O_CREAT | os.O_WRONLY, 0o2775))), ("d/d", os.mkdir), ("d/p", os.mkfifo),
                    ("d/l", lambda n: os.symlink("x", n))]
        for name, action in make_all:
            action(name)
    for name, _ in make_all:
        assert (os.lstat(name).st_uid, os.lstat(name).st_gid) == (CAROL, TEAM), name
    assert mode_of("d/d") & stat.S_ISGID and not mode_of("d/p") & stat.S_ISGID
    assert mode_of("d/f") == 0o755, "set-group-ID with a group that is not one's own is not given"


# who, name in ALICE's sticky directory: errno of unlink and rename
STICKY = [(ALICE, "bobs", 0), (BOB, "bobs", 0), (CAROL, "bobs", "EPERM"), (BOB, "alices", "EPERM"), (0, "bobs", 0), (CAROL, "bobs_dir", "EPERM"),
          (BOB, "bobs_dir", 0)]


@pytest.mark.parametrize("who,name,expected", STICKY)
def test_sticky_directory(here, who, name, expected):
    os.mkdir("t")
    os.chown("t", ALICE, ALICE)
    os.chmod("t", 0o1777)
    make("t/bobs", 0o666, BOB, TEAM)
    make("t/alices", 0o666, ALICE, TEAM)
    os.mkdir("t/bobs_dir")
    os.chown("t/bobs_dir", BOB, TEAM)
    with acting(who):
        assert code_of(os.rename, "t/" + name, "t/renamed") == expected
        if not expected:
            os.rename("t/renamed", "t/" + name)
        assert code_of(os.rmdir if "dir" in name else os.unlink, "t/" + name) == expected


# real, effective, mode of ALICE's file of TEAM, asked for: access() and faccessat(AT_EACCESS)
ACCESS = [
    (ALICE, ALICE, 0o400, os.R_OK, True, True), (ALICE, ALICE, 0o400, os.W_OK, False, False), (BOB, BOB, 0o060, os.R_OK | os.W_OK, True, True),
    (CAROL, CAROL, 0o770, os.R_OK, False, False), (CAROL, ALICE, 0o600, os.W_OK, False, True), (ALICE, CAROL, 0o600, os.W_OK, True, False),
    (0, 0, 0o000, os.R_OK | os.W_OK, True, True), (0, 0, 0o000, os.X_OK, False, False), (0, 0, 0o001, os.X_OK, True, True),
    (CAROL, 0, 0o000, os.R_OK, False, True), (CAROL, CAROL, 0o000, os.F_OK, True, True), (BOB, BOB, 0o007, os.R_OK, False, False),
]


@pytest.mark.parametrize("real,effective,mode,asked,by_real,by_effective", ACCESS)
def test_access(here, real, effective, mode, asked, by_real, by_effective):
    make("x", mode, ALICE, TEAM)
    with acting(real, effective):
        # Groups are those of the effective user; for the real one only the owner matters in these rows.
        assert os.access("x", asked) == by_real
        assert os.access("x", asked, effective_ids=True) == by_effective


@pytest.mark.parametrize("mask,asked,file_mode,dir_mode", [(0, 0o777, 0o777, 0o777), (0o022, 0o666, 0o644, 0o755), (0o077, 0o666, 0o600, 0o700),
                                                           (0o777, 0o7777, 0o7000, 0), (0o027, 0o640, 0o640, 0o750)])
def test_umask(here, mask, asked, file_mode, dir_mode):
    before = os.umask(mask)
    try:
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, asked))
        os.mkdir("d", 0o777)
        os.mkfifo("p", asked & 0o777)
    finally:
        os.umask(before)
    assert (mode_of("f"), mode_of("d"), mode_of("p")) == (file_mode, dir_mode, file_mode & 0o777)


# ---- Size on disk ----


def test_df_is_the_vaults(here, shared):
    mine, below = os.statvfs("."), os.statvfs(shared.vault)
    for what in ("f_blocks", "f_frsize", "f_bsize", "f_files"):
        assert getattr(mine, what) == getattr(below, what), what
    assert mine.f_namemax == 255
    assert mine.f_bavail <= mine.f_bfree <= mine.f_blocks
    shown = subprocess.run(["df", "--output=size,target", here], stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")[1]
    assert shown.split() == [str(below.f_blocks * below.f_frsize // 1024), shared.point]


def test_blocks_are_what_the_vault_takes(here):
    st = os.stat(make("x", data=os.urandom(1 << 20)))
    with_fd("x", os.O_RDONLY, os.fsync)
    st = os.stat("x")
    assert 1 << 20 <= st.st_blocks * 512 <= (1 << 20) + (1 << 20) // 64, "contents, and a hundredth"
    assert st.st_blksize >= 4096 and st.st_blksize & (st.st_blksize - 1) == 0
    with open("sparse", "wb") as f:
        f.truncate(1 << 40)
    assert os.stat("sparse").st_blocks * 512 < 1 << 16
