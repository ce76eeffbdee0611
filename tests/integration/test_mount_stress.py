"""Many processes at once in one mount: names, links, renames, data; at the end every byte is accounted for."""

import os
import random
import subprocess
import sys

import pytest

from conftest import Mounted, needs_fuse

pytestmark = needs_fuse

WORKER = r'''
import errno, os, random, sys
top, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
EXPECTED = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EMLINK, errno.ELOOP,
            errno.EBUSY, errno.EPERM}

def place():
    return top + "/" + "/".join(rng.choice("abc") for _ in range(rng.randrange(1, 4))) + rng.choice(["", "1", "2"])

def content(size):
    # Self-describing: every block says which size and seed it belongs to, so a mixture is noticed.
    return (b"%012d" % size) * (size // 12) + b"x" * (size % 12)

def step():
    op = rng.randrange(12)
    p, q = place(), place()
    if op == 0:
        os.mkdir(p)
    elif op == 1:
        size = rng.choice([0, 5, 100, 4096, 5000, 70000])
        fd = os.open(p + f".{os.getpid()}", os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        os.write(fd, content(size))
        os.close(fd)
        os.rename(p + f".{os.getpid()}", p)
    elif op == 2:
        os.rename(p, q)
    elif op == 3:
        os.link(p, q)
    elif op == 4:
        os.unlink(p)
    elif op == 5:
        os.rmdir(p)
    elif op in (6, 7):
        fd = os.open(p, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            size = os.fstat(fd).st_size
            data = os.read(fd, 100000) if os.path.isfile(f"/proc/self/fd/{fd}") else b""
            if data and (len(data) != size or data != content(size)):
                print("WRONG", p, size, len(data), data[:24])
                sys.exit(3)
        finally:
            os.close(fd)
    elif op == 8:
        os.listdir(p)
    elif op == 9:
        os.symlink("target-" + str(rng.random()), p)
    elif op == 10:
        fd = os.open(p, os.O_RDONLY)
        os.unlink(p)
        os.fstat(fd)
        os.close(fd)
    else:
        os.chmod(p, 0o600 | rng.randrange(0o200), follow_symlinks=True)

for _ in range(steps):
    try:
        step()
    except OSError as e:
        if e.errno not in EXPECTED:
            print("UNEXPECTED", e, errno.errorcode[e.errno])
            sys.exit(4)
'''


def check_tree(top):
    """Walk everything by name and by number; every file's content fits its size."""
    count = 0
    for folder, dirs, files in os.walk(top):
        with os.scandir(folder) as entries:
            for e in entries:
                st = os.lstat(e.path)
                assert e.inode() == st.st_ino, e.path
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                assert os.readlink(path).startswith("target-")
                continue
            with open(path, "rb") as f:
                data = f.read()
            assert data == (b"%012d" % len(data)) * (len(data) // 12) + b"x" * (len(data) % 12), path
            count += 1
    return count


def snapshot(top):
    found = {}
    for folder, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            found[os.path.relpath(path, top)] = (st.st_mode, st.st_nlink, st.st_ino, st.st_size if not os.path.isdir(path) else 0)
    return found


@pytest.mark.parametrize("options", [[], ["-o", "threads=8,allow_other"]])
def test_processes_at_once(kms_box, options):
    if options and os.geteuid() != 0:
        options = ["-o", "threads=8"]
    m = Mounted(kms_box, *options)
    seed = int(os.environ.get("SIGNETFS_SEED", random.SystemRandom().randrange(10**9)))
    print("SIGNETFS_SEED =", seed)
    os.mkdir(m.path("top"))
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, m.path("top"), str(seed + i), "8000"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for i in range(4)]
    outputs = [w.communicate(timeout=300)[0] for w in workers]
    assert [w.returncode for w in workers] == [0] * 4, outputs
    check_tree(m.path("top"))
    requests = m.stats()["requests"]
    assert all(requests[r] > 20 for r in ("rename", "link", "unlink", "rmdir", "create", "write")), requests
    before = snapshot(m.path("top"))
    m.remount(*options)
    assert snapshot(m.path("top")) == before
    check_tree(m.path("top"))
    subprocess.run(["rm", "-rf", m.path("top")], check=True, timeout=120)
    assert os.listdir(m.point) == []
