"""A vault that is copied by rsync while it is mounted and written to: fsck calls the copy usable, and names what was in flight."""

import json
import os
import random
import subprocess
import threading

import pytest
from conftest import LIMIT, needs_fuse
from hostile import read, wait_until, write

pytestmark = needs_fuse


class Load(threading.Thread):
    """Programs at work in @top until told to stop: append, overwrite in place, replace by rename, create, remove, cut."""

    def __init__(self, top, seed):
        super().__init__()
        self.top, self.rng, self.done, self.over = top, random.Random(seed), 0, threading.Event()
        self.failed = None

    def step(self):
        path = os.path.join(self.top, f"f{self.rng.randrange(40)}")
        what = self.rng.randrange(6)
        if what == 0:
            with open(path, "ab") as f:
                f.write(os.urandom(self.rng.randrange(1, 50000)))
        elif what == 1 and os.path.exists(path):
            with open(path, "r+b") as f:
                f.seek(self.rng.randrange(40000))
                f.write(os.urandom(20000))
        elif what == 2:
            write(path + ".new", os.urandom(30000))
            os.rename(path + ".new", path)
        elif what == 3:
            folder = os.path.join(self.top, f"d{self.rng.randrange(5)}")
            os.makedirs(folder, exist_ok=True)
            write(os.path.join(folder, "L" * 200), b"long")
        elif what == 4 and os.path.exists(path):
            os.unlink(path)
        elif os.path.exists(path):
            os.truncate(path, self.rng.randrange(60000))
        self.done += 1

    def run(self):
        try:
            while not self.over.is_set():
                try:
                    self.step()
                except FileNotFoundError:
                    pass  # the other thread removed it meanwhile
        except BaseException as e:
            self.failed = e


def fsck(box, vault, *options):
    done = box.run("fsck", "--json", *options, vault, code=None)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, [e for e in lines if e["event"] == "finding"], lines[-1]


def rsync(source, dest, *options):
    # 24: files vanished meanwhile, as they do.
    done = subprocess.run(["rsync", "-aHAX", "--delete", *options, source + "/", dest + "/"], timeout=LIMIT)
    assert done.returncode in (0, 24), done.returncode


@pytest.mark.parametrize("seed", [1, 2])
def test_a_copy_made_under_load_is_usable(mounted, seed):
    box = mounted.box
    os.mkdir(mounted.path("busy"))
    os.mkdir(mounted.path("still"))
    still = {}
    for n in range(60):
        name = f"{'n' * 180}{n}" if n % 3 == 0 else str(n)
        still[name] = os.urandom(50000)
        write(mounted.path("still", name), still[name])
    os.sync()
    loads = [Load(mounted.path("busy"), seed * 100 + n) for n in range(2)]
    for load in loads:
        load.start()
    try:
        wait_until(lambda: all(load.done > 20 or load.failed for load in loads), 60)
        before = [load.done for load in loads]
        copy = box.path("copy")
        rsync(mounted.vault, copy, "--bwlimit=8m")
        during = [load.done - b for load, b in zip(loads, before)]
        # Beside the load the vault itself is checked, too: nothing in it is damaged.
        _, live, _ = fsck(box, mounted.vault, "--read-data")
    finally:
        for load in loads:
            load.over.set()
            load.join()
    assert [load.failed for load in loads] == [None, None]
    assert sum(during) > 0
    assert [f for f in live if f["state"] in ("damaged", "unchecked")] == []
    code, findings, summary = fsck(box, copy, "--read-data")
    assert {f["state"] for f in findings} <= {"in-flight", "leftover"}, findings
    assert all(f["path"] == "busy" or f["path"].startswith("busy/") for f in findings), findings
    assert code in (0, 4) and summary["verdict"].startswith(("usable", "clean")), summary
    assert (code == 4) == ("cannot be read whole" in summary["verdict"])
    out = box.path("out")
    box.run("restore", copy, out, code=None)
    assert {n: read(os.path.join(out, "still", n)) for n in os.listdir(os.path.join(out, "still"))} == still
    # Another rsync, with nobody writing, and it is whole.
    os.sync()
    rsync(mounted.vault, copy)
    assert fsck(box, copy, "--read-data")[:2] == (0, [])
    # A repair of the first copy's kind leaves nothing behind either.
    assert fsck(box, copy, "--read-data", "--repair")[0] in (0, 1)
