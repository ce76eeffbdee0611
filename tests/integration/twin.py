"""Two directories that get the same operations: one in a mount, one in a plain file system that is the judge.

Every result (value or errno), every attribute a program can rely on and every byte is compared after each step. A failure says the seed, the step
and the operations that led there.
"""

import ctypes
import errno
import mmap
import os
import random
import stat

CHUNK = 4096
NAMES = "abcde"
SLOTS = 10
MAPS = 4
LIMIT = 2 << 20  # files stay below

KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, COLLAPSE_RANGE, INSERT_RANGE = 1, 2, 0x10, 8, 0x20

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


def checked(result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def fallocate(fd, mode, offset, length):
    return checked(libc.fallocate(fd, mode, offset, length))


def outcome(call, *args):
    """The value, or the name of the error."""
    try:
        return call(*args)
    except OSError as e:
        return errno.errorcode.get(e.errno, e.errno)


def data_map(fd):
    """[(start, end)] as SEEK_DATA and SEEK_HOLE tell it; asserts that the two agree with each other and with the size."""
    size, at, found = os.fstat(fd).st_size, 0, []
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            assert e.errno == errno.ENXIO, e
            break
        assert at <= start < size, (at, start, size)
        if start > at:
            assert os.lseek(fd, at, os.SEEK_HOLE) == at, "what is not data is a hole"
        end = os.lseek(fd, start, os.SEEK_HOLE)
        assert start < end <= size, (start, end, size)
        found.append((start, end))
        at = end
    for whence in (os.SEEK_DATA, os.SEEK_HOLE):
        assert outcome(os.lseek, fd, size, whence) == "ENXIO"
    return found


def check_data_map(fd, content):
    """What SEEK_DATA leaves out must be zeros."""
    at = 0
    for start, end in data_map(fd) + [(len(content), len(content))]:
        assert not any(content[at:start]), f"data in the hole {at}..{start}"
        at = end


class Side:
    def __init__(self, top):
        self.top, self.fds, self.maps = top, {}, {}

    def path(self, name):
        return f"{self.top}/{name}"


class Twin:
    """The operations are methods do_…; each draws its arguments once and runs them on both sides."""

    OPERATIONS = {"open": 10, "close": 6, "pwrite": 16, "write": 8, "append": 4, "pread": 12, "read": 4, "vectors": 4, "seek": 3,
                  "ftruncate": 6, "truncate": 4, "fallocate": 8, "copy_range": 6, "sendfile": 2, "splice": 2, "map": 4, "unmap": 2,
                  "store": 8, "load": 6, "flush_map": 2, "sync": 3, "drop": 3, "unlink": 3, "rename": 3, "link": 2, "chmod": 2,
                  "holes": 5, "direct": 5, "temporary": 2, "name_temporary": 1, "dup": 2, "private": 2}

    def __init__(self, mounted, plain, seed, without=()):
        self.sides = [Side(mounted), Side(plain)]
        self.seed, self.rng, self.log = seed, random.Random(seed), []
        self.names = list(self.OPERATIONS)
        self.weights = [0 if n in without else w for n, w in self.OPERATIONS.items()]
        self.done = dict.fromkeys(self.names, 0)

    # ---- Running ----

    def both(self, what, call):
        """call(side) on both; the same outcome, which is returned."""
        self.log.append(what)
        del self.log[:-60]
        ours, theirs = (outcome(call, s) for s in self.sides)
        assert ours == theirs, f"{what}: {short(ours)}, and the judge: {short(theirs)}"
        return ours

    def run(self, steps, check_every=50):
        try:
            for i in range(steps):
                op = self.rng.choices(self.names, self.weights)[0]
                getattr(self, "do_" + op)()
                self.done[op] += 1
                if i % check_every == check_every - 1:
                    self.check()
            self.check()
        except AssertionError as e:
            steps = "\n".join(self.log)
            raise AssertionError(f"SIGNETFS_SEED={self.seed}, after\n{steps}\n{e}") from e

    def close_all(self):
        for slot in list(self.sides[0].maps):
            self.unmap(slot)
        for slot in list(self.sides[0].fds):
            self.close(slot)

    # ---- Drawing ----

    def offset(self):
        r = self.rng
        kind = r.randrange(4)
        if kind == 0:
            return r.randrange(LIMIT // 8)
        if kind == 1:
            return max(0, r.choice([0, 1, 2, 3, 16, 31, 32, 33, 64, 255, 256, 257]) * CHUNK + r.randrange(-3, 4))
        if kind == 2:
            return r.randrange(40) * CHUNK
        return r.randrange(CHUNK * 3)

    def length(self):
        r = self.rng
        return r.choice([1, 2, 100, CHUNK - 1, CHUNK, CHUNK + 1, r.randrange(1, CHUNK), r.randrange(1, 8 * CHUNK),
                         r.randrange(1, 70 * CHUNK)])

    def slot(self):
        """An open one, mostly."""
        fds = self.sides[0].fds
        return self.rng.choice(list(fds)) if fds else None

    def name(self):
        return self.rng.choice(NAMES)

    def size(self, slot):
        return os.fstat(self.sides[1].fds[slot]).st_size

    # ---- Descriptors ----

    def do_open(self):
        r = self.rng
        name, slot = self.name(), r.randrange(SLOTS)
        flags = r.choice([os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR])
        for flag, chance in ((os.O_CREAT, .7), (os.O_EXCL, .1), (os.O_TRUNC, .15), (os.O_APPEND, .2), (os.O_SYNC, .05),
                             (os.O_DSYNC, .05), (os.O_NOFOLLOW, .1), (os.O_NOATIME, .05)):
            if r.random() < chance:
                flags |= flag
        self.close(slot)

        def call(side):
            side.fds[slot] = os.open(side.path(name), flags, 0o644)
            return "open"
        self.both(f"fd{slot} = open({name}, {flags:#o})", call)

    def close(self, slot):
        if slot in self.sides[0].fds:
            self.both(f"close(fd{slot})", lambda s: os.close(s.fds.pop(slot)))

    def do_close(self):
        slot = self.slot()
        if slot is not None:
            self.close(slot)

    def do_dup(self):
        old, slot = self.slot(), self.rng.randrange(SLOTS)
        if old is None or old == slot:
            return
        self.close(slot)
        self.both(f"fd{slot} = dup(fd{old})", lambda s: s.fds.update({slot: os.dup(s.fds[old])}))

    def do_temporary(self):
        slot = self.rng.randrange(SLOTS)
        flags = os.O_TMPFILE | self.rng.choice([os.O_RDWR, os.O_WRONLY]) | self.rng.choice([0, os.O_EXCL])
        self.close(slot)
        self.both(f"fd{slot} = open(., {flags:#o})", lambda s: s.fds.update({slot: os.open(s.top, flags, 0o600)}))

    def do_name_temporary(self):
        slot, name = self.slot(), self.name()
        if slot is not None:
            self.both(f"linkat(fd{slot}, {name})", lambda s: os.link(f"/proc/self/fd/{s.fds[slot]}", s.path(name), src_dir_fd=s.fds[slot]))

    def on_slot(self, what, call):
        """call(fd, slot) on an open slot."""
        slot = self.slot()
        if slot is None:
            return None
        result = self.both(f"{what} fd{slot}", lambda s: call(s.fds[slot]))
        self.compare_stat(slot)
        return result

    def compare_stat(self, slot):
        ours, theirs = (os.fstat(s.fds[slot]) for s in self.sides)
        self.same_stat(f"fstat(fd{slot})", ours, theirs)

    def same_stat(self, what, ours, theirs):
        for field in ("st_size", "st_mode", "st_nlink", "st_uid", "st_gid"):
            a, b = getattr(ours, field), getattr(theirs, field)
            assert a == b, f"{what}: {field} {a}, and the judge: {b}"
        assert ours.st_blocks or not theirs.st_blocks, f"{what}: no blocks, and the judge: {theirs.st_blocks}"

    # ---- Data ----

    def do_pwrite(self):
        off, data = self.offset(), self.rng.randbytes(self.length())
        self.on_slot(f"pwrite({off}, {len(data)})", lambda fd: os.pwrite(fd, data, off))

    def do_write(self):
        data = self.rng.randbytes(self.length())
        slot = self.slot()
        if slot is None or os.lseek(self.sides[1].fds[slot], 0, os.SEEK_CUR) > LIMIT:
            return
        self.both(f"write({len(data)}) fd{slot}", lambda s: (os.write(s.fds[slot], data), os.lseek(s.fds[slot], 0, os.SEEK_CUR)))
        self.compare_stat(slot)

    def do_append(self):
        data = self.rng.randbytes(self.length())
        slot = self.slot()
        if slot is not None and self.size(slot) < LIMIT:
            self.both(f"append({len(data)}) fd{slot}", lambda s: os.pwritev(s.fds[slot], [data], 0, os.RWF_APPEND))
            self.compare_stat(slot)

    def do_pread(self):
        off, length = self.offset(), self.length()
        self.on_slot(f"pread({off}, {length})", lambda fd: os.pread(fd, length, off))

    def do_read(self):
        length = self.length()
        self.on_slot(f"read({length})", lambda fd: (os.read(fd, length), os.lseek(fd, 0, os.SEEK_CUR)))

    def do_vectors(self):
        off, parts = self.offset(), [self.rng.randbytes(self.rng.choice([0, 1, 511, 4096, 5000])) for _ in range(self.rng.randrange(1, 9))]
        flags = self.rng.choice([0, 0, os.RWF_DSYNC, os.RWF_SYNC])
        self.on_slot(f"pwritev({off}, {[len(p) for p in parts]}, {flags})", lambda fd: os.pwritev(fd, parts, off, flags))

        def read(fd):
            buffers = [bytearray(len(p)) for p in parts]
            return os.preadv(fd, buffers, off), [bytes(b) for b in buffers]
        self.on_slot(f"preadv({off})", read)

    def do_seek(self):
        off, whence = self.rng.choice([0, 1, -1, self.offset(), -self.offset()]), self.rng.randrange(3)
        self.on_slot(f"lseek({off}, {whence})", lambda fd: os.lseek(fd, off, whence))

    def do_direct(self):
        """Aligned, as the judge demands it; through a descriptor of its own beside the buffered ones and the mappings."""
        name, off, pages = self.name(), self.rng.randrange(64) * CHUNK, self.rng.randrange(1, 20)
        data = self.rng.randbytes(pages * CHUNK)
        writes = self.rng.random() < .5

        def call(side):
            fd = os.open(side.path(name), os.O_RDWR | os.O_DIRECT)
            try:
                with mmap.mmap(-1, pages * CHUNK) as buffer:
                    buffer[:] = data
                    if writes:
                        return os.pwritev(fd, [buffer], off)
                    count = os.preadv(fd, [buffer], off)
                    return count, buffer[:count]
            finally:
                os.close(fd)
        self.both(f"direct {'write' if writes else 'read'}({name}, {off}, {len(data)})", call)

    # ---- Space ----

    def do_ftruncate(self):
        size = self.offset()
        self.on_slot(f"ftruncate({size})", lambda fd: os.ftruncate(fd, size))

    def do_truncate(self):
        name, size = self.name(), self.offset()
        self.both(f"truncate({name}, {size})", lambda s: os.truncate(s.path(name), size))

    def do_fallocate(self):
        mode = self.rng.choice([0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE,
                                PUNCH_HOLE, KEEP_SIZE | ZERO_RANGE | PUNCH_HOLE])
        off, length = self.offset(), self.rng.choice([self.length(), self.length(), 0])
        self.on_slot(f"fallocate({mode:#x}, {off}, {length})", lambda fd: fallocate(fd, mode, off, length))

    def do_holes(self):
        slot = self.slot()
        if slot is None:
            return
        fd = self.sides[0].fds[slot]
        self.log.append(f"data map of fd{slot}")
        content = outcome(os.pread, fd, LIMIT * 4, 0)
        if isinstance(content, bytes):
            check_data_map(fd, content)
            self.both(f"rewind fd{slot}", lambda s: os.lseek(s.fds[slot], 0, os.SEEK_SET))

    def do_copy_range(self):
        a, b = self.slot(), self.slot()
        src, dst, length = self.offset(), self.offset(), self.length()
        if a is not None:
            self.both(f"copy_file_range(fd{a}, {src}, fd{b}, {dst}, {length})",
                      lambda s: os.copy_file_range(s.fds[a], s.fds[b], length, src, dst))

    def do_sendfile(self):
        a, b, src, length = self.slot(), self.slot(), self.offset(), self.length()
        if a is not None and os.lseek(self.sides[1].fds[b], 0, os.SEEK_CUR) < LIMIT:
            self.both(f"sendfile(fd{b}, fd{a}, {src}, {length})", lambda s: os.sendfile(s.fds[b], s.fds[a], src, length))

    def do_splice(self):
        a, b, src, dst, length = self.slot(), self.slot(), self.offset(), self.offset(), min(self.length(), 65536)

        def call(side):
            out, into = os.pipe()
            try:
                n = os.splice(side.fds[a], into, length, offset_src=src)
                return n, n and os.splice(out, side.fds[b], n, offset_dst=dst)
            finally:
                os.close(out)
                os.close(into)
        if a is not None:
            self.both(f"splice(fd{a}, {src}, fd{b}, {dst}, {length})", call)

    # ---- Mappings ----

    def do_map(self):
        slot, at = self.slot(), self.rng.randrange(MAPS)
        if slot is None or self.size(slot) == 0:
            return
        pages = self.rng.randrange(1, 80)
        self.unmap(at)
        self.both(f"map{at} = mmap(fd{slot}, {pages} pages)", lambda s: self.map(s, at, slot, pages))

    @staticmethod
    def map(side, at, slot, pages):
        fd = os.dup(side.fds[slot])  # mmap keeps one too; sizes are asked of this
        try:
            # Longer than the file is fine for mmap(2), not for Python's: map what is there.
            length = min(pages * CHUNK, os.fstat(fd).st_size)
            side.maps[at] = mmap.mmap(fd, length), fd
        except BaseException:
            os.close(fd)
            raise

    def unmap(self, at):
        def call(side):
            if at in side.maps:
                m, fd = side.maps.pop(at)
                m.close()
                os.close(fd)
        self.both(f"munmap(map{at})", call)

    def do_unmap(self):
        self.unmap(self.rng.randrange(MAPS))

    def window(self, at):
        """A stretch of the mapping that is inside its file."""
        if at not in self.sides[1].maps:
            return None
        m, fd = self.sides[1].maps[at]
        end = min(len(m), os.fstat(fd).st_size)
        if end == 0:
            return None
        start = self.rng.randrange(end)
        return start, min(end, start + self.length())

    def do_store(self):
        at = self.rng.randrange(MAPS)
        window = self.window(at)
        if not window:
            return
        start, end = window
        data = self.rng.randbytes(end - start)

        def call(side):
            side.maps[at][0][start:end] = data
        self.both(f"map{at}[{start}:{end}] = …", call)

    def do_load(self):
        at = self.rng.randrange(MAPS)
        window = self.window(at)
        if window:
            self.both(f"map{at}[{window[0]}:{window[1]}]", lambda s: s.maps[at][0][slice(*window)])

    def do_flush_map(self):
        at = self.rng.randrange(MAPS)
        if at in self.sides[0].maps:
            self.both(f"msync(map{at})", lambda s: s.maps[at][0].flush())

    def do_private(self):
        slot = self.slot()
        if slot is None or self.size(slot) == 0:
            return
        at = self.rng.randrange(self.size(slot))

        def call(side):
            with mmap.mmap(side.fds[slot], 0, flags=mmap.MAP_PRIVATE) as m:
                m[at:at + 3] = b"abc"[:len(m) - at]
                return m[max(0, at - 10):at + 10]
        self.both(f"private mapping of fd{slot} at {at}", call)

    # ---- The rest ----

    def do_sync(self):
        which = self.rng.choice([os.fsync, os.fdatasync, lambda fd: checked(libc.sync_file_range(fd, 0, 0, 7))])
        self.on_slot("sync", which)

    def do_drop(self):
        """What is in the page cache is read again from the vault."""
        def drop(fd):
            os.fdatasync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        self.on_slot("drop", drop)

    def do_unlink(self):
        name = self.name()
        self.both(f"unlink({name})", lambda s: os.unlink(s.path(name)))

    def do_rename(self):
        a, b = self.name(), self.name()
        self.both(f"rename({a}, {b})", lambda s: os.rename(s.path(a), s.path(b)))

    def do_link(self):
        a, b = self.name(), self.name()
        self.both(f"link({a}, {b})", lambda s: os.link(s.path(a), s.path(b)))

    def do_chmod(self):
        mode = self.rng.choice([0o644, 0o600, 0o444, 0o6755])
        self.on_slot(f"fchmod({mode:#o})", lambda fd: os.fchmod(fd, mode))

    # ---- Comparing everything ----

    def check(self):
        self.both("listdir", lambda s: sorted(os.listdir(s.top)))
        for name in sorted(os.listdir(self.sides[1].top)):
            ours, theirs = (os.lstat(s.path(name)) for s in self.sides)
            self.same_stat(f"lstat({name})", ours, theirs)
            if stat.S_ISREG(theirs.st_mode):
                self.compare_content(name)
        for slot in self.sides[0].fds:
            self.compare_stat(slot)
            self.both(f"content of fd{slot}", lambda s: os.pread(s.fds[slot], LIMIT * 4, 0))

    def compare_content(self, name):
        def call(side):
            with open(side.path(name), "rb") as f:
                return f.read()
        content = self.both(f"content of {name}", call)
        with open(self.sides[0].path(name), "rb") as f:
            check_data_map(f.fileno(), content)


def short(value):
    text = repr(value)
    return text if len(text) < 200 else f"{text[:120]}… ({len(value)} of them)"
