"""
A differential tester of names: the same random operations in a mount and in a plain directory, step by step, as root or as
an ordinary user; every result and errno is compared, and after each round the whole trees are.
"""

import ctypes
import errno
import hashlib
import os
import random
import stat

import as_user

LIBC = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE = 1, 2
NEST = "/".join(["nest"] * 8)  # symlinks and paths that climb stay within what both sides have
# Mostly directories, mostly others: so that most paths lead somewhere, and everything still meets everything.
FOLDERS, OTHERS = [b"a", b"b", b"L" * 176], [b"c", b"d", b"\xff" * 255, b"signetfs.dir", "ü\n".encode()]


def renameat2(dir1, name1, dir2, name2, flags):
    if LIBC.renameat2(dir1, name1, dir2, name2, ctypes.c_uint(flags)):
        raise OSError(ctypes.get_errno(), "renameat2")


def kind_of(st):
    """What stat(2) says that is the same on both sides: sizes of directories, inode numbers and times are not."""
    return (stat.S_IFMT(st.st_mode), oct(stat.S_IMODE(st.st_mode)), st.st_nlink, st.st_uid, st.st_gid,
            0 if stat.S_ISDIR(st.st_mode) else st.st_size, st.st_rdev)


def read_all(fd):
    with os.fdopen(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK), "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def tree(top):
    """Path -> what it is, the contents of files and targets of links included; hard links are known by their first path."""
    found, first = {}, {}
    for folder, dirs, files in os.walk(os.fsencode(top)):
        for path in [folder] + sorted(os.path.join(folder, n) for n in dirs + files):
            if path in found:
                continue
            st, name = os.lstat(path), os.path.relpath(path, os.fsencode(top))
            inside = os.readlink(path) if stat.S_ISLNK(st.st_mode) else None
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    inside = hashlib.sha256(f.read()).hexdigest()
            found[path] = (name, kind_of(st), inside)
            first.setdefault(st.st_ino, []).append(name)
    links = sorted(tuple(sorted(names)) for names in first.values() if len(names) > 1)
    return {name: rest for name, *rest in found.values()}, links


class Side:
    """One of the two trees: directories and files that are held open, by number."""

    def __init__(self, top):
        self.dirs = [os.open(top, os.O_RDONLY | os.O_DIRECTORY)]
        self.files = []

    def close(self):
        for fd in self.dirs + self.files:
            os.close(fd)


def listed(side, place):
    fd = os.open(place[1], os.O_RDONLY | os.O_DIRECTORY, dir_fd=side.dirs[place[0]])
    try:
        with os.scandir(fd) as entries:
            found = []
            for e in entries:
                st = os.stat(e.name, dir_fd=fd, follow_symlinks=False)
                assert e.inode() == st.st_ino, (e.name, e.inode(), st.st_ino)
                found.append((os.fsencode(e.name), e.is_dir(follow_symlinks=False), e.is_symlink(),
                              e.is_file(follow_symlinks=False), kind_of(st)))
            return sorted(found)
    finally:
        os.close(fd)


def opened(side, place, flags, mode, data):
    fd = os.open(place[1], flags | os.O_NONBLOCK, mode, dir_fd=side.dirs[place[0]])
    st = os.fstat(fd)
    if data and flags & (os.O_WRONLY | os.O_RDWR) and stat.S_ISREG(st.st_mode):
        os.write(fd, data)
    if len(side.files) < 6 and stat.S_ISREG(st.st_mode):
        side.files.append(fd)
    else:
        os.close(fd)
    return kind_of(st)


def open_dir(side, place):
    fd = os.open(place[1], os.O_RDONLY | os.O_DIRECTORY, dir_fd=side.dirs[place[0]])
    side.dirs.append(fd)
    return len(side.dirs)


def drop_one(side, which):
    """Close a held file or directory; the top stays."""
    pool, keep = (side.files, 0) if which % 2 else (side.dirs, 1)
    if len(pool) > keep:
        os.close(pool.pop(keep + which // 2 % (len(pool) - keep)))
    return len(pool)


def held_file(side, which, action):
    if not side.files:
        return None
    fd = side.files[which % len(side.files)]
    return action(fd)


def went(side, place, name):
    """Go there and work from the current directory."""
    back = os.open(".", os.O_RDONLY)
    try:
        fd = os.open(place[1], os.O_PATH | os.O_DIRECTORY, dir_fd=side.dirs[place[0]])
        try:
            os.fchdir(fd)
        finally:
            os.close(fd)
        return kind_of(os.lstat(name))
    finally:
        os.fchdir(back)
        os.close(back)


def cleared(dirfd, name):
    """Remove @name and all below it, the way rm -r does; the first error ends it."""
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dirfd)
    try:
        for inside in sorted(map(os.fsencode, os.listdir(fd))):
            try:
                os.unlink(inside, dir_fd=fd)
            except IsADirectoryError:
                cleared(fd, inside)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=dirfd)


def attempt(action, side):
    try:
        return action(side)
    except OSError as e:
        return errno.errorcode[e.errno]


def watching(action):
    """The action, and of which held directories it moved the mtime; those that were removed count as still."""
    def is_still(st):
        return st.st_nlink == 0 or st.st_mtime_ns == 1

    def act(side):
        for fd in side.dirs:
            try:
                os.utime(fd, ns=(1, 1))
            except PermissionError:
                pass
        return attempt(action, side), [is_still(os.fstat(fd)) for fd in side.dirs]
    return act


class Steps:
    """The operations, each with arguments drawn before it is done on either side."""

    def __init__(self, rng):
        self.rng = rng

    def name(self, folder=0.4):
        r = self.rng
        return b"n" * 256 if r.random() < 0.01 else r.choice(FOLDERS if r.random() < folder else OTHERS)

    def place(self, folder=0.4):
        """(number of a held directory, path from there); @folder: how often the last name is one of FOLDERS"""
        r = self.rng
        parts = [self.name(0.9) if r.random() < 0.9 else r.choice([b".", b"..", b"..", b""]) for _ in range(r.choice([0, 0, 1, 1, 2]))]
        parts.append(self.name(folder) if r.random() < 0.96 else r.choice([b".", b".."]))
        return r.randrange(64), b"/".join(parts).lstrip(b"/") + (b"/" if r.random() < 0.04 else b"")

    def at(self, side, place):
        return place[1], side.dirs[place[0] % len(side.dirs)]

    def draw(self):
        """(what it is, for people; what does it to a side)"""
        what, action = getattr(self, "do_" + self.rng.choices(self.OPERATIONS, self.WEIGHTS)[0])()
        return what, watching(action) if what[0] in self.CHANGING and self.rng.random() < 0.5 else action

    def fix(self, side, place):
        return place[0] % len(side.dirs), place[1]

    def do_mkdir(self):
        p, mode = self.place(0.9), self.rng.choice([0o755, 0o755, 0o777, 0o777, 0o1777, 0o2775, 0o700, 0o500])
        return ("mkdir", p, oct(mode)), lambda s: os.mkdir(p[1], mode, dir_fd=self.at(s, p)[1])

    def do_open(self):
        p, r = self.place(0.15), self.rng
        flags = r.choice([os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
        for flag, chance in ((os.O_CREAT, 0.7), (os.O_EXCL, 0.3), (os.O_TRUNC, 0.2), (os.O_APPEND, 0.2), (os.O_NOFOLLOW, 0.2),
                             (os.O_DIRECTORY, 0.05)):
            flags |= flag if r.random() < chance else 0
        if flags & os.O_DIRECTORY:
            flags &= ~os.O_CREAT  # together they mean something else in every version of Linux
        mode, data = r.choice([0o644, 0o666, 0o600, 0o444, 0o4755]), r.randbytes(r.choice([0, 1, 100, 4096, 5000]))
        return ("open", p, oct(flags), oct(mode), len(data)), lambda s: opened(s, self.fix(s, p), flags, mode, data)

    def do_rename(self):
        folder = self.rng.choice([0.1, 0.9])
        p, q, flags = self.place(folder), self.place(folder), self.rng.choice([0] * 6 + [NOREPLACE, EXCHANGE, EXCHANGE, 3])
        return ("rename", p, q, flags), lambda s: renameat2(self.at(s, p)[1], p[1], self.at(s, q)[1], q[1], flags)

    def do_link(self):
        p, q, follow = self.place(0.1), self.place(0.2), self.rng.random() < 0.3
        return ("link", p, q, follow), lambda s: os.link(p[1], q[1], src_dir_fd=self.at(s, p)[1], dst_dir_fd=self.at(s, q)[1],
                                                         follow_symlinks=follow)

    def do_link_held(self):
        """A file that is open, and perhaps has no name any more, through /proc."""
        which, q = self.rng.randrange(64), self.place()
        return ("link_held", which, q), lambda s: held_file(s, which, lambda fd: os.link(
            f"/proc/self/fd/{fd}", q[1], dst_dir_fd=self.at(s, q)[1], follow_symlinks=True))

    def do_symlink(self):
        p, r = self.place(0.15), self.rng
        target = r.choice([self.place()[1], b"../" + self.name(), b".", b"..", b"t" * r.choice([1, 100, 1000, 3000])])
        return ("symlink", target[:60], p), lambda s: os.symlink(target, p[1], dir_fd=self.at(s, p)[1])

    def do_unlink(self):
        p = self.place(0.15)
        return ("unlink", p), lambda s: os.unlink(p[1], dir_fd=self.at(s, p)[1])

    def do_rmdir(self):
        p = self.place(0.9)
        return ("rmdir", p), lambda s: os.rmdir(p[1], dir_fd=self.at(s, p)[1])

    def do_clear(self):
        p = self.place(0.9)
        return ("clear", p), lambda s: cleared(self.at(s, p)[1], p[1])

    def do_mknod(self):
        p, r = self.place(0.15), self.rng
        kind, dev = r.choice([(stat.S_IFIFO, 0), (stat.S_IFSOCK, 0), (stat.S_IFREG, 0), (stat.S_IFBLK, os.makedev(7, 300)),
                              (stat.S_IFCHR, os.makedev(1, 3)), (stat.S_IFDIR, 0)])
        return ("mknod", p, oct(kind)), lambda s: os.mknod(p[1], kind | 0o640, dev, dir_fd=self.at(s, p)[1])

    def do_stat(self):
        p, follow = self.place(), self.rng.random() < 0.5
        return ("stat", p, follow), lambda s: kind_of(os.stat(p[1], dir_fd=self.at(s, p)[1], follow_symlinks=follow))

    def do_readlink(self):
        p = self.place(0.15)
        return ("readlink", p), lambda s: os.readlink(p[1], dir_fd=self.at(s, p)[1])

    def do_chmod(self):
        p, mode = self.place(), self.rng.choice([0o755, 0o755, 0o777, 0o700, 0o1777, 0o500, 0o300, 0o000, 0o644])
        return ("chmod", p, oct(mode)), lambda s: os.chmod(p[1], mode, dir_fd=self.at(s, p)[1])

    def do_chown(self):
        # Not (-1, -1): of somebody else's set-id file ext4 refuses even that, and FUSE has nothing to do.
        p, (uid, gid) = self.place(), self.rng.choice([(-1, 0), (0, -1), (as_user.USER, -1), (-1, as_user.USER), (as_user.OTHER, 0)])
        return ("chown", p, uid, gid), lambda s: os.chown(p[1], uid, gid, dir_fd=self.at(s, p)[1], follow_symlinks=False)

    def do_access(self):
        p, mode = self.place(), self.rng.randrange(8)
        return ("access", p, mode), lambda s: os.access(p[1], mode, dir_fd=self.at(s, p)[1])

    def do_list(self):
        p = self.place(0.9)
        return ("list", p), lambda s: listed(s, self.fix(s, p))

    def do_list_held(self):
        which = self.rng.randrange(64)
        return ("list_held", which), lambda s: sorted(map(os.fsencode, os.listdir(s.dirs[which % len(s.dirs)])))

    def do_truncate(self):
        p, size = self.place(0.15), self.rng.choice([0, 1, 4096, 10000])

        def act(s):
            fd = os.open(p[1], os.O_PATH, dir_fd=self.at(s, p)[1])
            try:
                os.truncate(f"/proc/self/fd/{fd}", size)
            finally:
                os.close(fd)
        return ("truncate", p, size), act

    def do_hold(self):
        p = self.place(0.9)
        return ("hold", p), lambda s: open_dir(s, self.fix(s, p)) if len(s.dirs) < 6 else None

    def do_drop(self):
        which = self.rng.randrange(64)
        return ("drop", which), lambda s: drop_one(s, which)

    def do_held(self):
        which, how = self.rng.randrange(64), self.rng.randrange(4)
        actions = [lambda fd: kind_of(os.fstat(fd)), read_all, lambda fd: os.fchmod(fd, 0o600), lambda fd: os.ftruncate(fd, 77)]
        return ("held", which, how), lambda s: held_file(s, which, actions[how])

    def do_go(self):
        p, name = self.place(0.9), self.name()
        return ("go", p, name), lambda s: went(s, self.fix(s, p), name)

    OPERATIONS = ["mkdir", "open", "rename", "link", "link_held", "symlink", "unlink", "rmdir", "mknod", "stat", "readlink", "chmod",
                  "access", "list", "list_held", "truncate", "hold", "drop", "held", "go", "chown",
                  "clear"]
    WEIGHTS = [10, 16, 18, 10, 2, 6, 5, 9, 4, 6, 3, 3, 2, 4, 2, 2, 3, 2, 6, 3, 1, 4]
    CHANGING = {"mkdir", "open", "rename", "link", "link_held", "symlink", "unlink", "rmdir", "mknod"}


def shortened(step):
    """For people: long names are short."""
    return repr(step).replace("L" * 176, "L*176").replace("\\xff" * 255, "ff*255").replace("n" * 256, "n*256")


def steps(seed, count, left, right):
    """@count operations on both trees; what was done when they differ, else how often each outcome was had."""
    rng = random.Random(seed)
    sides = Side(left), Side(right)
    plan = Steps(rng)
    done, outcomes = [], {}
    for number in range(count):
        what, action = plan.draw()
        got = [attempt(action, side) for side in sides]
        done.append((number, what, got[1]))
        if got[0] != got[1]:
            return "\n".join([f"step {number} {what}:", f"  mount {got[0]}", f"  plain {got[1]}", "after", *map(shortened, done[-25:])])
        result = got[1][0] if isinstance(got[1], tuple) else got[1]
        key = what[0], result if isinstance(result, str) and result in errno.errorcode.values() else "ok"
        outcomes[key] = outcomes.get(key, 0) + 1
    for side in sides:
        side.close()
    return outcomes


def round_of(uid, seed, count, left, right):
    """One round in a process of its own; its outcomes. The trees are compared afterwards, as root."""
    places = [os.path.join(top, NEST) for top in (left, right)]
    for place in places:
        if not os.path.isdir(place):
            os.makedirs(place)
    for place in places:
        os.chmod(place, 0o1777)
    fds = [os.open(place, os.O_PATH) for place in places]
    try:
        got = as_user.run(uid, steps, seed, count, *(f"/proc/self/fd/{fd}" for fd in fds))
    finally:
        for fd in fds:
            os.close(fd)
    assert isinstance(got, dict), got
    compare(left, right)
    return got


def compare(left, right):
    (a, links_a), (b, links_b) = tree(left), tree(right)
    differing = {name: (a.get(name), b.get(name)) for name in set(a) | set(b) if a.get(name) != b.get(name)}
    assert not differing, "mount, plain: " + repr(dict(sorted(differing.items())[:10]))
    assert links_a == links_b
