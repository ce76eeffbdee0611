"""kill -9 in the middle of writing: what was synced is there to the byte, the rest is old, new or a prefix."""

import os
import random
import subprocess
import sys
import threading
import time

from conftest import needs_fuse
from hostile import Watched, errno_of, lower_of, read, wait_until, write

pytestmark = needs_fuse
SEED = int(os.environ.get("SIGNETFS_SEED") or random.randrange(1 << 32))
ROUNDS = 15

# A writer of its own process: it dies of nothing when the mount does, and says on stdout what was synced.
WRITER = r"""
import os, random, sys
top, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(seed)
n = 0
def blob(i, size):
    return random.Random(f"{seed} {i}").randbytes(size)
try:
    while True:
        n += 1
        kind, size = rng.randrange(5), rng.choice([0, 1, 4095, 4096, 4097, rng.randrange(60000), rng.randrange(600000)])
        path = f"{top}/{seed}-{n}"
        print("begin", n, kind, size, flush=True)
        with open(path, "wb", buffering=0) as f:
            data = blob(n, size)
            for at in range(0, size, 50000):
                f.write(data[at:at + 50000])
            if kind != 4:
                os.fsync(f.fileno())
        if kind == 1:  # the usual careful replacement
            os.rename(path, f"{top}/{seed}-replaced")
            d = os.open(top, os.O_RDONLY)
            os.fsync(d)
            os.close(d)
        if kind == 2:  # appended to after it was synced
            print("synced", n, kind, size, flush=True)
            with open(path, "ab", buffering=0) as f:
                f.write(blob(-n, 30000))
        if kind == 3 and size > 10:  # cut after it was synced
            os.truncate(path, size // 2)
            with open(path, "rb+") as f:
                os.fsync(f.fileno())
        print("done", n, kind, size, flush=True)
except OSError as e:
    print("end", e.errno, 0, 0, flush=True)
"""


def blob(seed, i, size):
    return random.Random(f"{seed} {i}").randbytes(size)


def check(m, seed, said):
    """Compare what the writer said with what is there."""
    state = {}
    for word, n, kind, size in said:
        if word != "end":
            state[n] = (word, kind, size)
    replaced = [n for n, (word, kind, _) in state.items() if kind == 1 and word == "done"]
    checked = 0
    for n, (word, kind, size) in state.items():
        path = m.path(f"{seed}-{n}")
        whole = blob(seed, n, size)
        if kind == 1:
            continue
        there = os.path.exists(path)
        if word == "begin":
            if there:
                got = read(path)
                half = kind == 3 and got == whole[:size // 2]
                assert half or got == whole[:len(got)], (n, "is neither old nor a prefix")
            continue
        assert there, (n, word, kind, "was synced and is gone")
        got = read(path)
        if kind == 2:
            more = blob(seed, -n, 30000)
            assert got[:size] == whole and got[size:] == more[:len(got) - size], n
        elif kind == 3:
            assert got == (whole[:size // 2] if size > 10 else whole), n
        elif kind == 4:
            assert got == whole[:len(got)], n
        else:
            assert got == whole, n
        checked += 1
    if replaced:
        # The last replacement that was said, or one that was under way.
        candidates = [n for n, (_, kind, _) in state.items() if kind == 1 and n >= replaced[-1]]
        got = read(m.path(f"{seed}-replaced"))
        assert any(got == blob(seed, n, state[n][2]) for n in candidates), "the old one or the new one"
    return checked


def gather(stream, lines):
    for line in stream:
        lines.append(line)


def test_killed_while_writing(kms_box):
    print(f"SIGNETFS_SEED={SEED}")
    rng = random.Random(SEED)
    vault = kms_box.make_vault()
    standing = {f"standing{i}": rng.randbytes(20_000) for i in range(10)}
    m = Watched(kms_box, vault)
    for name, data in standing.items():
        write(m.path(name), data, sync=True)
    history, checked = [], 0
    for turn in range(ROUNDS):
        seed = rng.randrange(1 << 30)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, m.point, str(seed)], stdout=subprocess.PIPE, text=True)
        lines = []
        reader = threading.Thread(target=gather, args=(writer.stdout, lines))
        reader.start()
        # Something that can be checked; then, anywhere.
        wait_until(lambda said=lines: any(w[0] == "done" and w[2] != "1" for w in map(str.split, said)))
        time.sleep(rng.uniform(0, 0.4))
        m.process.kill()
        writer.wait(timeout=60)
        reader.join()
        writer.stdout.close()
        said = [(w[0], *map(int, w[1:])) for w in (line.split() for line in lines)]
        m.killed()
        m = Watched(kms_box, vault)
        history.append((seed, said))
        for name in os.listdir(m.point):
            assert errno_of(read, m.path(name)) == "", (SEED, turn, name, m.log())
        checked += check(m, seed, said)
        for name, data in standing.items():
            assert read(m.path(name)) == data
    for seed, said in history:
        check(m, seed, said)
    assert checked >= ROUNDS, "the rounds wrote something"
    m.umount()
    m = Watched(kms_box, vault)
    for seed, said in history:
        check(m, seed, said)
    write(m.path("new"), b"works", sync=True)
    m.umount()


def test_appending_after_a_torn_end(kms_box):
    """What a crash tore off the end is cut before the kernel learns a size, so that nothing is appended behind a gap."""
    data = os.urandom(10000)
    vault = kms_box.make_vault()
    m = Watched(kms_box, vault)
    for name in ("log", "listed"):
        write(m.path(name), data, sync=True)
    lowers = [lower_of(vault, m.path(name)) for name in ("log", "listed")]
    m.killed()
    for lower in lowers:
        with open(lower, "ab") as f:
            f.write(os.urandom(3 * 4136 + 77))
    m = Watched(kms_box, vault)
    with open(m.path("log"), "ab") as f:
        f.write(b"the next line")
    assert read(m.path("log")) == data + b"the next line"
    assert {e.name: e.stat().st_size for e in os.scandir(m.point)} == {"log": len(data) + 13, "listed": len(data)}
    m.umount()
