#!/usr/bin/env python3
"""fsck and restore of a tree of many small files and one of a large file, beside `cp -a` through a mount: time and memory.

    /usr/bin/python3 tests/bench/rescue.py [--files 100000] [--megabytes 1024]
"""

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SIGNETFS = os.environ.get("SIGNETFS") or os.path.join(HERE, "../../build/signetfs")
FOLDER = 1000


class Bench:
    """A keystore, and vaults on a tmpfs."""

    def __init__(self, root):
        self.root = root
        self.env = dict(os.environ, HOME=root, TMPDIR=root, SIGNETFS_ROOT_KEY="keyfile:" + os.path.join(root, "key"))
        with open(os.open(os.path.join(root, "key"), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
            f.write(secrets.token_bytes(32))
        self.run("kms", "init")

    def path(self, name):
        return os.path.join(self.root, name)

    def run(self, *args):
        subprocess.run([SIGNETFS, *args], env=self.env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def measure(self, *words):
        """Seconds and MiB resident at most."""
        began = time.monotonic()
        p = subprocess.Popen(words, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        assert p.returncode == 0, (words, p.returncode)
        return time.monotonic() - began, usage.ru_maxrss / 1024

    def fill(self, name, make):
        vault, point = self.path(name), self.path(name + "-clear")
        self.run("init", vault)
        os.mkdir(point)
        self.run("mount", vault, point)
        try:
            make(point)
        finally:
            self.run("umount", point)
        return vault

    def small_files(self, count, size=4096, flat=False):
        def make(point):
            for n in range(count):
                folder = point if flat else os.path.join(point, str(n // FOLDER))
                if n % FOLDER == 0 and not flat:
                    os.mkdir(folder)
                with open(os.path.join(folder, f"{n}.txt"), "wb") as f:
                    f.write(secrets.token_bytes(16) * (size // 16))
        return self.fill(f"small-{count}-{flat}", make)

    def large_file(self, megabytes):
        def make(point):
            with open(os.path.join(point, "large"), "wb") as f:
                for _ in range(megabytes):
                    f.write(secrets.token_bytes(1 << 20))
        return self.fill("large", make)

    def copy_through_mount(self, vault):
        point, out = vault + "-clear", self.path("out")
        began = time.monotonic()
        self.run("mount", vault, point)
        try:
            _, memory = self.measure("cp", "-a", point + "/.", out)
            seconds = time.monotonic() - began
        finally:
            self.run("umount", point)
        shutil.rmtree(out)
        return seconds, memory

    def restore(self, vault, *options):
        got = self.measure(SIGNETFS, "restore", *options, vault, self.path("out"))
        shutil.rmtree(self.path("out"))
        return got

    def fsck(self, vault, *options):
        return self.measure(SIGNETFS, "fsck", *options, vault)


def table(b, vault, amount, unit):
    rows = [("cp -a through a mount", b.copy_through_mount(vault)),
            ("restore", b.restore(vault)), ("restore --jobs 1", b.restore(vault, "--jobs", "1")),
            ("fsck", b.fsck(vault)), ("fsck --read-data", b.fsck(vault, "--read-data"))]
    for name, (seconds, memory) in rows:
        print(f"| {name} | {seconds:.2f} s | {amount / seconds:,.0f} {unit} | {memory:.0f} MiB |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=100000)
    parser.add_argument("--megabytes", type=int, default=1024)
    args = parser.parse_args()
    root = tempfile.mkdtemp(prefix="signetfs-rescue-", dir="/dev/shm")
    try:
        b = Bench(root)
        print(f"{args.files} files of 4 KiB in {args.files // FOLDER} folders")
        table(b, b.small_files(args.files), args.files, "files/s")
        print(f"one file of {args.megabytes} MiB")
        table(b, b.large_file(args.megabytes), args.megabytes, "MiB/s")
    finally:
        shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
