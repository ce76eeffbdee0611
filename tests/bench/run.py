#!/usr/bin/env python3
"""Compare signetfs with the encrypting FUSE file systems that are installed, side by side in one run.

usage: run.py [--build DIR] [-r ROUNDS] [-s SIZE_MB] [-w WORKLOAD,…] [-p PEER,…] [--lower DIR]

Every peer's ciphertext lies in a folder of its own below --lower (default /dev/shm, so that no disk blurs the picture). Each
workload is run on every peer in turn, ROUNDS times; the table gives medians and the ratio to gocryptfs (or to the first
peer where that is missing). Table, raw figures and a picture (where gnuplot is installed) go to DIR/bench. Needs root (to drop caches) and fio.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from workloads import UNITS, Workloads, shell


class Peer:
    """A mounted file system. start() mounts `lower` on `mnt`; stop() unmounts."""

    def __init__(self, name, base, build):
        self.name, self.build = name, build
        self.home = os.path.join(base, name)
        self.lower, self.mnt = os.path.join(self.home, "lower"), os.path.join(self.home, "mnt")
        os.makedirs(self.lower)
        os.makedirs(self.mnt)

    def wait_mounted(self):
        for _ in range(500):
            if os.path.ismount(self.mnt):
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not mount")

    def stop(self):
        subprocess.run(["fusermount3", "-u", self.mnt], check=False)
        for _ in range(500):
            if not os.path.ismount(self.mnt):
                break
            time.sleep(0.02)


class Signetfs(Peer):
    def start(self, *before):
        key, store = f"{self.home}/root.key", f"{self.home}/kms.db"
        with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as f:
            f.write(os.urandom(32))
        binary = f"{self.build}/signetfs"
        access = ["--keystore", store, "--root-key", f"keyfile:{key}"]
        subprocess.run([binary, "kms", "init", *access], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([binary, "init", *access, self.lower], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*before, binary, "mount", *access, self.lower, self.mnt], check=True)


class Passthrough(Peer):
    def start(self):
        self.process = subprocess.Popen([f"{self.build}/tests/bench/passthrough", self.lower, self.mnt])
        self.wait_mounted()


class Gocryptfs(Peer):
    def start(self):
        subprocess.run(["gocryptfs", "-q", "-init", "-scryptn", "10", "-extpass", "echo x", self.lower], check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run(["gocryptfs", "-q", "-extpass", "echo x", self.lower, self.mnt], check=True)


class Encfs(Peer):
    def start(self):
        subprocess.run(["encfs", "--standard", "--stdinpass", self.lower, self.mnt], input=b"x\n", check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_mounted()


class Cryfs(Peer):
    def start(self):
        env = {**os.environ, "CRYFS_FRONTEND": "noninteractive", "CRYFS_NO_UPDATE_CHECK": "true",
               "CRYFS_LOCAL_STATE_DIR": f"{self.home}/state"}
        subprocess.run(["cryfs", self.lower, self.mnt], input=b"x\n", env=env, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        self.wait_mounted()


class Securefs(Peer):
    def start(self):
        subprocess.run(["securefs", "create", "--pass", "x", "--rounds", "1", self.lower], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["securefs", "mount", "-b", "--pass", "x", "--log", "/dev/null", self.lower, self.mnt],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_mounted()


PEERS = {"gocryptfs": (Gocryptfs, "gocryptfs"), "securefs": (Securefs, "securefs"), "encfs": (Encfs, "encfs"),
         "cryfs": (Cryfs, "cryfs"),
         "passthrough": (Passthrough, "{build}/tests/bench/passthrough"), "signetfs": (Signetfs, "{build}/signetfs")}


def start_peers(wanted, base, build):
    started = []
    for name in wanted:
        kind, program = PEERS[name]
        if not shutil.which(program.format(build=build)):
            print(f"# {name}: not installed, left out", file=sys.stderr)
            continue
        peer = kind(name, base, build)
        try:
            peer.start()
        except (subprocess.CalledProcessError, RuntimeError) as why:
            print(f"# {name}: left out: {why}", file=sys.stderr)
            continue
        started.append(peer)
    return started


def measure(work, names, peers, rounds):
    results = {}
    for name in names:
        rows = results.setdefault(name, {p.name: [] for p in peers})
        for _ in range(rounds):
            for peer in peers:
                try:
                    rows[peer.name].append(getattr(work, name)(peer.mnt))
                except (OSError, subprocess.CalledProcessError) as why:
                    print(f"# {name} on {peer.name}: {why}", file=sys.stderr)
        print(row_text(name, rows, peers), flush=True)
    return results


def median(values):
    return statistics.median(values) if values else float("nan")


def row_text(name, rows, peers):
    base = median(rows[peers[0].name])
    cells = [f"{median(rows[p.name]):10.4g} ({median(rows[p.name]) / base:4.2f}x)" for p in peers]
    return f"{name:13s} {UNITS[name]:8s}" + " ".join(cells)


def markdown(results, peers):
    lines = ["| workload | unit | " + " | ".join(p.name for p in peers) + " |", "|---" * (len(peers) + 2) + "|"]
    for name, rows in results.items():
        base = median(rows[peers[0].name])
        cells = [f"{median(rows[p.name]):.4g} ({median(rows[p.name]) / base:.2f}×)" for p in peers]
        lines.append(f"| {name} | {UNITS[name]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def with_earlier(results, path):
    """The rows of an earlier run, on the same peers, where this one has none."""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            results = {**json.load(f), **results}
    return {name: results[name] for name in UNITS if name in results}


PLOT = """set terminal svg size 1000,420 background 'white' font 'sans,12'
set output '{out}.svg'
set style data histogram
set style histogram cluster gap 1
set style fill solid 0.85 border -1
set ylabel 'times {base}'
set logscale y 2
set yrange [0.5:*]
set grid ytics
set key top left
set xtics rotate by -25
plot for [i=2:{last}] '{out}.dat' using i:xtic(1) title columnheader(i)
"""


def draw(results, peers, out):
    with open(out + ".dat", "w", encoding="utf-8") as f:
        f.write("workload " + " ".join(p.name for p in peers) + "\n")
        for name, rows in results.items():
            base = median(rows[peers[0].name])
            f.write(name.replace("_", "-") + " " + " ".join(f"{median(rows[p.name]) / base:.4f}" for p in peers) + "\n")
    if shutil.which("gnuplot"):
        script = PLOT.format(out=out, base=peers[0].name, last=len(peers) + 1)
        subprocess.run(["gnuplot"], input=script.encode(), check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("-r", "--rounds", type=int, default=3)
    parser.add_argument("-s", "--size", type=int, default=1024, help="MiB of the big file")
    parser.add_argument("-w", "--workloads", default=",".join(UNITS))
    parser.add_argument("-p", "--peers", default=",".join(PEERS))
    parser.add_argument("--lower", default="/dev/shm")
    parser.add_argument("--more", action="store_true", help="keep the other rows of the results that are there")
    args = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("fio"):
        sys.exit("bench: needs root (it drops the kernel's caches) and fio: apt-get install fio gocryptfs securefs gnuplot-nox")
    build = os.path.abspath(args.build)
    base = tempfile.mkdtemp(prefix="signetfs-bench-", dir=args.lower)
    work = Workloads(args.size, os.path.join(tempfile.gettempdir(), "signetfs-bench-tree.tar"))
    entries, mib = work.make_tar()
    print(f"# tree: {entries} entries, {mib} MiB; big file: {args.size} MiB; medians of {args.rounds}")
    peers = start_peers(args.peers.split(","), base, build)
    try:
        print(f"{'':13s} {'':8s}" + " ".join(f"{p.name:>18s}" for p in peers), flush=True)
        results = measure(work, args.workloads.split(","), peers, args.rounds)
    finally:
        for peer in peers:
            peer.stop()
        shell(f"rm -rf --one-file-system {base}")
    out = os.path.join(build, "bench")
    os.makedirs(out, exist_ok=True)
    if args.more:
        results = with_earlier(results, f"{out}/results.json")
    with open(f"{out}/table.md", "w", encoding="utf-8") as f:
        f.write(markdown(results, peers))
    with open(f"{out}/results.json", "w", encoding="utf-8") as f:
        json.dump(results, f, indent=1)
    draw(results, peers, f"{out}/ratios")
    print(f"# written: {out}/table.md results.json ratios.svg")


if __name__ == "__main__":
    main()
