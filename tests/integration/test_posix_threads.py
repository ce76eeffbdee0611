"""Many threads in one file: every byte is somebody's, and is what they wrote last."""

import mmap
import os
import random
import threading

import pytest

from conftest import is_sanitized, needs_fuse
from twin import KEEP_SIZE, PUNCH_HOLE, check_data_map, fallocate

pytestmark = needs_fuse
STRIPE = 3001  # no multiple of anything: every chunk is shared by neighbours
THREADS = 8
STRIPES = 40  # of each thread
ROUNDS = 60 if is_sanitized() else 250
WAYS = [0, os.O_DSYNC, os.O_DIRECT, 0]  # of opening; O_DIRECT is not aligned


def pattern(worker, stripe, version):
    return (b"%d:%d:%d;" % (worker, stripe, version) * (STRIPE // 5))[:STRIPE]


class Owner(threading.Thread):
    """Writes its stripes, one of every THREADS in the file, through its own descriptor, and knows what is in each."""

    def __init__(self, path, worker, seed):
        super().__init__()
        self.path, self.worker, self.rng, self.failure = path, worker, random.Random(seed), None
        self.versions = {}

    def run(self):
        try:
            self.work()
        except BaseException as e:
            self.failure = e

    def offset(self, stripe):
        return (stripe * THREADS + self.worker) * STRIPE

    def content(self, stripe):
        version = self.versions.get(stripe, 0)
        return pattern(self.worker, stripe, version) if version else bytes(STRIPE)

    def check(self, stripe, found):
        # The file grows as others write behind: what is not there yet reads as nothing.
        expected = self.content(stripe)
        assert found == expected[:len(found)], (self.worker, stripe)
        assert len(found) == STRIPE or not any(expected), (self.worker, stripe)

    def work(self):
        fd = os.open(self.path, os.O_RDWR | WAYS[self.worker % len(WAYS)])
        try:
            for i in range(1, ROUNDS + 1):
                self.step(fd, i)
        finally:
            os.close(fd)

    def step(self, fd, i):
        stripe, kind = self.rng.randrange(STRIPES), self.rng.randrange(10)
        if kind < 4:
            self.versions[stripe] = i
            assert os.pwrite(fd, self.content(stripe), self.offset(stripe)) == STRIPE
        elif kind == 4:
            self.versions[stripe] = 0
            fallocate(fd, PUNCH_HOLE | KEEP_SIZE, self.offset(stripe), STRIPE)
        elif kind == 5:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        elif kind == 6 and i % 10 == 0:
            os.fsync(fd)
        else:
            self.check(stripe, os.pread(fd, STRIPE, self.offset(stripe)))


def run_all(threads):
    for t in threads:
        t.start()
    for t in threads:
        t.join()


@pytest.mark.parametrize("size", [0, THREADS * STRIPES * STRIPE], ids=["growing", "of full size"])
def test_readers_and_writers_of_one_file(mounted, size):
    seed = int(os.environ.get("SIGNETFS_SEED", random.SystemRandom().randrange(10**9)))
    print("SIGNETFS_SEED =", seed)
    path = mounted.path("file")
    with open(path, "wb") as f:
        f.truncate(size)
    owners = [Owner(path, i, seed + i) for i in range(THREADS)]
    run_all(owners)
    assert [o.failure for o in owners] == [None] * THREADS
    for _ in range(2):
        with open(path, "rb") as f:
            data = f.read()
            check_data_map(f.fileno(), data)
        for o in owners:
            for stripe in range(STRIPES):
                o.check(stripe, data[o.offset(stripe):o.offset(stripe) + STRIPE])
        mounted.remount()


def test_mapped_and_written_pages_of_one_file(mounted):
    """Threads that store through one mapping, and threads that write and read pages beside theirs."""
    pages, fd = 64, os.open(mounted.path("file"), os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, pages * 4096)
    failures, last = [], {}

    def work(worker, m):
        rng = random.Random(worker)
        try:
            for i in range(ROUNDS):
                page = rng.randrange(pages // THREADS) * THREADS + worker
                data = b"%04d" % i * 1024
                if worker % 2:
                    m[page * 4096:(page + 1) * 4096] = data
                else:
                    os.pwrite(fd, data, page * 4096)
                last[page] = data
                assert os.pread(fd, 4096, page * 4096) == data == m[page * 4096:(page + 1) * 4096]
                if i % 20 == 0:
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        except BaseException as e:
            failures.append(e)

    with mmap.mmap(fd, 0) as m:
        run_all([threading.Thread(target=work, args=(i, m)) for i in range(THREADS)])
    os.close(fd)
    assert not failures
    mounted.remount()
    with open(mounted.path("file"), "rb") as f:
        data = f.read()
    assert all(data[p * 4096:(p + 1) * 4096] == last.get(p, bytes(4096)) for p in range(pages))
