#!/usr/bin/env python3
"""Does the time of an operation, or memory, grow with the tree?

usage: scale.py [--build DIR] [--lower DIR] [-n FILES,…]

For each number of files (10,000, 100,000 and 1,000,000, a hundred in each directory) on a new vault, mounted under `ulimit -n 256`:
unpack, walk with cold caches, stat files at random, remove; microseconds for each file, and what the mount process holds in memory
while the kernel knows every file. Table, figures and a picture (where gnuplot is installed) go to DIR/bench. Needs root (to drop
caches), and 6 GiB below --lower and 2 GiB of memory beside it for a million files.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from run import Signetfs
from workloads import drop_caches

PER_DIRECTORY, STATS = 100, 20_000
STEPS = ["unpack", "walk", "stat", "remove"]


def name_of(top, i):
    return f"{top}/{i // PER_DIRECTORY:05d}/file-{i:07d}"


def unpack(top, count):
    for i in range(count):
        if i % PER_DIRECTORY == 0:
            os.makedirs(os.path.dirname(name_of(top, i)))
        fd = os.open(name_of(top, i), os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644)
        os.write(fd, b"file %d\n" % i)
        os.close(fd)


def walk(top, count):
    seen = 0
    for _, _, files, fd in os.fwalk(top):
        for name in files:
            os.stat(name, dir_fd=fd, follow_symlinks=False)
            seen += 1
    assert seen == count, f"{seen} of {count} files found"


def stat(top, count):
    rng = random.Random(count)
    for i in [rng.randrange(count) for _ in range(STATS)]:
        assert os.stat(name_of(top, i)).st_size == len(b"file %d\n" % i), name_of(top, i)


def remove(top, _count):
    shutil.rmtree(top)


class LimitedMount(Signetfs):
    """A mount that may have 256 descriptors, and what its process holds."""

    def start(self):
        super().start("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")

    def ask(self):
        return json.loads(subprocess.check_output([f"{self.build}/signetfs", "stats", "--json", self.mnt]))

    def resident(self):
        with open(f"/proc/{self.ask()['pid']}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


def run_size(base, build, count):
    peer = LimitedMount(f"scale-{count}", base, build)
    peer.start()
    top, row = f"{peer.mnt}/tree", {"files": count}
    try:
        empty = peer.resident()
        for step in STEPS:
            if step in ("walk", "stat"):
                drop_caches()
            begin = time.monotonic()
            globals()[step](top, count)
            row[step] = (time.monotonic() - begin) * 1e6 / (STATS if step == "stat" else count)
            if step == "walk":
                row["known"], row["resident"] = peer.ask()["inodes_known"], peer.resident()
                row["per_inode"] = (row["resident"] - empty) / row["known"]
        drop_caches()
        row["known_after"], row["resident_after"] = peer.ask()["inodes_known"], peer.resident()
    finally:
        peer.stop()
        shutil.rmtree(peer.home)
    return row


def markdown(rows):
    lines = ["| files | " + " | ".join(STEPS) + " | resident | for each known inode | known after removal |",
             "|---" * (len(STEPS) + 4) + "|"]
    for r in rows:
        times = " | ".join(f"{r[s]:.1f} µs" for s in STEPS)
        lines.append(f"| {r['files']:,} | {times} | {r['resident'] / 2**20:.0f} MiB | {r['per_inode']:.0f} bytes | {r['known_after']:,} |")
    return "\n".join(lines) + "\n"


PLOT = """set terminal svg size 700,380 background 'white' font 'sans,12'
set output '{out}.svg'
set logscale x
set format x '%.0s%c'
set xlabel 'files in the tree'
set ylabel 'µs for each file'
set yrange [0:*]
set grid ytics
set key outside right
set style data linespoints
plot for [i=2:{last}] '{out}.dat' using 1:i title columnheader(i) linewidth 2
"""


def write_results(rows, out):
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with open(f"{out}.md", "w", encoding="utf-8") as f:
        f.write(markdown(rows))
    with open(f"{out}.json", "w", encoding="utf-8") as f:
        json.dump(rows, f, indent=1)
    with open(f"{out}.dat", "w", encoding="utf-8") as f:
        f.write("files " + " ".join(STEPS) + "\n")
        f.writelines(f"{r['files']} " + " ".join(f"{r[s]:.3f}" for s in STEPS) + "\n" for r in rows)
    if shutil.which("gnuplot"):
        subprocess.run(["gnuplot"], input=PLOT.format(out=out, last=len(STEPS) + 1).encode(), check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--lower", default="/dev/shm")
    parser.add_argument("-n", "--files", default="10000,100000,1000000")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench-scale: needs root (it drops the kernel's caches)")
    base = tempfile.mkdtemp(prefix="signetfs-scale-", dir=args.lower)
    out = os.path.join(os.path.abspath(args.build), "bench", "scale")
    rows = []
    try:
        for count in map(int, args.files.split(",")):
            rows.append(run_size(base, os.path.abspath(args.build), count))
            print(markdown(rows[-1:]).splitlines()[-1], flush=True)
            write_results(rows, out)
    finally:
        shutil.rmtree(base)
    print(f"# written: {out}.md .json .svg")


main()
