"""The same random changes of attributes, by several users, in two directories: one in a mount, one plain. Both must answer alike."""

import errno
import os
import random
import stat
import struct
import time

from people import ALICE, BOB, CAROL, GUESTS, ROOT, TEAM, acting

NAMES = ["a", "b", "dir", "dir/a", "dir/b", "dir/sub", "sticky", "sticky/a", "shared", "shared/a", "shared/d", "link", "fifo"]
UIDS = [ROOT, ALICE, BOB, CAROL]
GIDS = [0, ALICE, BOB, TEAM, GUESTS]
MODES = [0, 0o400, 0o600, 0o644, 0o640, 0o660, 0o664, 0o666, 0o700, 0o755, 0o750, 0o770, 0o777, 0o1777, 0o2755, 0o2770, 0o2644,
         0o4755, 0o4644, 0o6755, 0o6777, 0o7777, 0o2000, 0o4711]
COARSE = 5  # CLOCK_REALTIME_COARSE
S = 1_000_000_000
TIMES = [0, 1, S - 1, 1_234_567_890 * S + 123_456_789, -1, -2147483648 * S, -S, 2147483648 * S + 7, 4294967296 * S, 15032385535 * S,
         15032385536 * S, 2 ** 62]
XATTRS = ["user.a", "user.b", "user." + "n" * 250, "user.", "trusted.a", "security.a", "system.posix_acl_access",
          "system.posix_acl_default", "nonsense.a", "user.c" + "\u00e4" * 5]
FIRST, LAST = -2147483648 * S, 15032385535 * S  # what ext4 can keep: 1901 to 2446
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2

# Tags of an entry of a POSIX ACL, as the kernel takes them
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
NOBODY = 0xffffffff


def acl(*entries):
    """The binary form of (tag, rights, id) entries."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


def random_acl(rng):
    def rights():
        return rng.choice([0, 1, 4, 5, 6, 7])

    named = [(USER, rights(), u) for u in sorted(rng.sample([ALICE, BOB, CAROL], rng.randrange(3)))]
    groups = [(GROUP, rights(), g) for g in sorted(rng.sample([TEAM, GUESTS], rng.randrange(2)))]
    mask = [(MASK, rights(), NOBODY)] if named or groups or rng.random() < 0.3 else []
    if rng.random() < 0.05:
        mask = []  # not valid where somebody is named
    return acl((USER_OBJ, rights(), NOBODY), *named, (GROUP_OBJ, rights(), NOBODY), *groups, *mask, (OTHER, rights(), NOBODY))


# ---- What is done: each takes the names as they are below the current directory ----

def do_create(name, mode, umask):
    old = os.umask(umask)
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    finally:
        os.umask(old)


def do_mkdir(name, mode, umask):
    old = os.umask(umask)
    try:
        os.mkdir(name, mode)
    finally:
        os.umask(old)


def do_mkfifo(name, mode, umask):
    old = os.umask(umask)
    try:
        os.mkfifo(name, mode)
    finally:
        os.umask(old)


def with_file(name, flags, action):
    fd = os.open(name, flags)
    try:
        return action(fd)
    finally:
        os.close(fd)


def do_truncate(name, size):
    """Never to the size it has: ext4 then marks the times, FUSE does not ask the file system."""
    os.truncate(name, size + 1 if os.path.isfile(name) and os.stat(name).st_size == size else size)


def do_write(name, size):
    return with_file(name, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK, lambda fd: os.write(fd, b"w" * size))


def do_allocate(name, size):
    return with_file(name, os.O_WRONLY | os.O_NONBLOCK, lambda fd: os.posix_fallocate(fd, 0, size))


def do_open(name, flags):
    return with_file(name, flags | os.O_NONBLOCK, lambda fd: None)


def do_utime(name, times, follow):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    spec = (ctypes.c_long * 4)(*times) if times else None
    if libc.utimensat(-100, os.fsencode(name), spec, 0 if follow else 0x100) != 0:
        raise OSError(ctypes.get_errno(), name)


def do_setxattr(name, attribute, value, flags, follow):
    os.setxattr(name, attribute, value, flags, follow_symlinks=follow)


def do_listxattr(name):
    return sorted(os.listxattr(name, follow_symlinks=False))


def names(rng):
    return rng.choice(NAMES)


def times_of(rng):
    if rng.random() < 0.1:
        return None
    spec = []
    for _ in range(2):
        t = rng.choice(TIMES)
        nsec = rng.choice([t % S, t % S, UTIME_NOW, UTIME_OMIT, 0, 999_999_999, 1_000_000_000])
        spec += [t // S, nsec]
    return spec


def value_of(rng, name):
    if name.startswith("system.") and rng.random() < 0.95:
        return random_acl(rng)
    return rng.choice([b"", b"v", b"x" * 100, bytes(range(256)) * 4])


def xattr_set(rng):
    name = rng.choice(XATTRS)
    return do_setxattr, (names(rng), name, value_of(rng, name), rng.choice([0, 0, os.XATTR_CREATE, os.XATTR_REPLACE]),
                         rng.random() < 0.7)


UMASKS = [0, 0o22, 0o27, 0o77]
# (weight, how to draw one)
OPERATIONS = [
    (6, lambda r: (do_create, (names(r), r.choice(MODES), r.choice(UMASKS)))),
    (5, lambda r: (do_mkdir, (names(r), r.choice(MODES), r.choice(UMASKS)))),
    (2, lambda r: (do_mkfifo, (names(r), r.choice(MODES), r.choice(UMASKS)))),
    (2, lambda r: (os.symlink, (r.choice(NAMES), names(r)))),
    (3, lambda r: (os.link, (names(r), names(r)))),
    (3, lambda r: (os.unlink, (names(r),))),
    (2, lambda r: (os.rmdir, (names(r),))),
    (4, lambda r: (os.rename, (names(r), names(r)))),
    (12, lambda r: (os.chmod, (names(r), r.choice(MODES)))),
    (10, lambda r: (os.lchown, (names(r), r.choice([-1, *UIDS]), r.choice([-1, *GIDS])))),
    (8, lambda r: (do_utime, (names(r), times_of(r), r.random() < 0.7))),
    (4, lambda r: (do_truncate, (names(r), r.choice([0, 1, 10, 5000])))),
    (6, lambda r: (do_write, (names(r), r.choice([0, 1, 10, 5000])))),
    (2, lambda r: (do_allocate, (names(r), r.choice([1, 5000])))),
    (4, lambda r: (do_open, (names(r), r.choice([os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC])))),
    (10, xattr_set),
    (5, lambda r: (os.removexattr, (names(r), r.choice(XATTRS)))),
    (5, lambda r: (os.getxattr, (names(r), r.choice(XATTRS)))),
    (3, lambda r: (do_listxattr, (names(r),))),
    (6, lambda r: (access, (names(r), r.randrange(8), r.random() < 0.5))),
    (2, lambda r: (listing, (names(r),))),
]


def access(name, mode, effective):
    return os.access(name, mode, effective_ids=effective)


def listing(name):
    return sorted(os.listdir(name))


# What changes nothing (the same value, an ACL that was not there) is a change of the inode to FUSE and none to ext4.
MORE_CTIME = (do_setxattr, os.removexattr)


# ---- Comparing ----

def outcome(action, args, uid, effective):
    with acting(uid, effective):
        try:
            return "done", action(*args)
        except OSError as e:
            return "failed", errno.errorcode.get(e.errno, e.errno)


def clock(ns, now):
    """The clock's values differ by how long things took; those that were set do not. The kernel tells a time beyond what the file
    system below can keep as it was set, until it asks again."""
    if abs(ns - now) < 3600 * S:
        return "now"
    return FIRST if ns < FIRST + S else min(ns, LAST)


def looks(name, now):
    """All that can be seen of a name, but for clock values."""
    try:
        st = os.lstat(name)
    except OSError as e:
        return errno.errorcode[e.errno]
    seen = {"mode": oct(st.st_mode), "uid": st.st_uid, "gid": st.st_gid, "nlink": st.st_nlink,
            "mtime": clock(st.st_mtime_ns, now), "atime": clock(st.st_atime_ns, now)}
    if not stat.S_ISDIR(st.st_mode):
        seen["size"] = st.st_size
    seen["xattr"] = {}
    for attribute in sorted(os.listxattr(name, follow_symlinks=False)):
        if attribute != "security.selinux":
            seen["xattr"][attribute] = os.getxattr(name, attribute, follow_symlinks=False)
    return seen


class Pair:
    """Both directories, and the changes so far."""

    def __init__(self, mounted, plain, seed, acls):
        self.tops, self.seed, self.acls = (mounted, plain), seed, acls
        self.rng = random.Random(seed)
        self.done = []
        self.held = []

    def in_both(self, action):
        results, here = [], os.open(".", os.O_RDONLY)
        for top in self.tops:
            os.chdir(top)
            try:
                results.append(action())
            finally:
                os.fchdir(here)
        os.close(here)
        return results

    def explain(self, results):
        lines = [f"seed {self.seed}, after {len(self.done)} steps:", *map(repr, self.done[-12:]),
                 f"mount: {results[0]}", f"plain: {results[1]}"]
        return "\n".join(line[:1000] for line in lines)

    def set_up(self):
        def make():
            os.chmod(".", 0o777)
            for name, mode in (("dir", 0o755), ("sticky", 0o1777), ("shared", 0o2775), ("dir/sub", 0o777)):
                os.mkdir(name)
                os.chmod(name, mode)
            os.chown("shared", ALICE, TEAM)
            os.chown("dir", BOB, TEAM)
            for name in ("a", "dir/a", "sticky/a"):
                do_create(name, 0o666, 0)
            os.chown("a", ALICE, ALICE)
            os.symlink("a", "link")

        self.in_both(make)

    def ctimes(self):
        """Held open until looked at again: the kernel must not forget what it knows and the vault learnt a moment later."""
        held, self.held = self.held, []

        def look():
            there = [n for n in NAMES if os.path.lexists(n)]
            self.held += [os.open(n, os.O_PATH | os.O_NOFOLLOW) for n in there]
            return {n: os.lstat(n).st_ctime_ns for n in there}

        found = self.in_both(look)
        for fd in held:
            os.close(fd)
        return found

    def wait_for_the_clock(self):
        """The file systems' clock goes in ticks; what happens in the next one can be told from what was."""
        start = time.clock_gettime_ns(COARSE)
        while time.clock_gettime_ns(COARSE) == start:
            time.sleep(0.001)

    def draw(self):
        _, draws = zip(*OPERATIONS)
        while True:
            action, args = self.rng.choices(draws, [w for w, _ in OPERATIONS])[0](self.rng)
            if self.acls or not any(isinstance(a, str) and a.startswith("system.posix") for a in args):
                break
        uid = self.rng.choice(UIDS)
        effective = self.rng.choice(UIDS) if action is access else uid
        return action, args, uid, effective

    def step(self):
        action, args, uid, effective = self.draw()
        self.done.append((getattr(action, "__name__", "?"), args, f"uid {uid}/{effective}"))
        before = self.ctimes()
        self.wait_for_the_clock()
        results = self.in_both(lambda: outcome(action, args, uid, effective))
        assert results[0] == results[1], self.explain(results)
        now = time.time_ns()
        results = self.in_both(lambda: {n: looks(n, now) for n in NAMES})
        for name in NAMES:
            both = [results[0][name], results[1][name]]
            # A write of a part of a page reads the page first; targets of links are read once and cached.
            if isinstance(both[0], dict) and isinstance(both[1], dict) and "now" in (both[0]["atime"], both[1]["atime"]):
                both[0]["atime"] = both[1]["atime"] = "now"
            assert both[0] == both[1], f"{name}: {self.explain(both)}"
        after = self.ctimes()
        moved = [{n for n in a if a[n] != b.get(n)} for a, b in zip(after, before)]
        assert moved[0] == moved[1] or (action in MORE_CTIME and moved[0] > moved[1]), "ctime moved: " + self.explain(moved)
        back = [n for n in after[0] if after[0][n] < before[0].get(n, 0)]
        assert not back, "ctime went back: " + self.explain([back, []])
        return results[0]


def compare(mounted, plain, seed, steps, acls):
    pair = Pair(mounted, plain, seed, acls)
    pair.set_up()
    try:
        for _ in range(steps):
            pair.step()
    finally:
        for fd in pair.held:
            os.close(fd)
