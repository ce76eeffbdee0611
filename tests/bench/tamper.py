#!/usr/bin/env python3
"""What encrypted file systems notice when somebody changes the ciphertext behind their back: the rows of doc/comparison.md.

usage: tamper.py [--build DIR] [NAME]...     (signetfs, gocryptfs, securefs; those that are installed)

Two files of random bytes are written, the file system is unmounted, the ciphertext changed in one way, and both are read after a new mount.
"noticed": reading is an error. "unnoticed": reading gives other bytes than were written, and no error."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

BLOCK = 4096
SIZE = 5 * BLOCK


def run(*words, **options):
    subprocess.run([str(w) for w in words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, **options)


class Peer:
    """A file system in a folder of its own: lower tree, mount point, and how it is made and mounted."""

    header, block = 0, BLOCK  # of a lower file: bytes before the first block, and of each block

    def __init__(self, top, build):
        self.top, self.build = top, build
        self.lower, self.point = os.path.join(top, "lower"), os.path.join(top, "clear")
        os.mkdir(self.point)
        self.env = dict(os.environ, HOME=top, XDG_CONFIG_HOME=top, XDG_DATA_HOME=top)
        self.secret = os.path.join(top, "secret")
        with open(self.secret, "w") as f:
            f.write("0123456789abcdef" * 4 + "\n")
        os.chmod(self.secret, 0o600)
        self.make()

    def mount(self):
        self.start()
        deadline = time.monotonic() + 60
        while not os.path.ismount(self.point):
            assert time.monotonic() < deadline, "the mount does not come"
            time.sleep(0.05)

    def umount(self):
        run("fusermount3", "-u", self.point)
        deadline = time.monotonic() + 60
        while os.path.ismount(self.point):
            assert time.monotonic() < deadline, "the mount does not go"
            time.sleep(0.05)
        time.sleep(0.5)  # the peers' processes end a moment after their mount


class Signetfs(Peer):
    def make(self):
        self.program = os.path.join(self.build, "signetfs")
        self.env["SIGNETFS_ROOT_KEY"] = f"keyfile:{self.secret}"
        run(self.program, "kms", "init", env=self.env)
        run(self.program, "init", self.lower, env=self.env)

    def start(self):
        run(self.program, "mount", self.lower, self.point, env=self.env)

    def umount(self):
        run(self.program, "umount", self.point, env=self.env)

    block = BLOCK + 40

    @property
    def header(self):
        largest = max(os.path.getsize(p) for p in lower_files(self.lower))
        return largest - 5 * self.block


class Gocryptfs(Peer):
    header, block = 18, BLOCK + 32

    def make(self):
        os.mkdir(self.lower)
        run("gocryptfs", "-init", "-q", "-scryptn", "10", "-passfile", self.secret, self.lower, env=self.env)

    def start(self):
        run("gocryptfs", "-q", "-passfile", self.secret, self.lower, self.point, env=self.env)


class Securefs(Peer):
    header, block = 16, BLOCK + 28

    def make(self):
        os.mkdir(self.lower)
        run("securefs", "create", "--pass", "x", "-r", "1", "--pbkdf", "pkcs5-pbkdf2-hmac-sha256", self.lower, env=self.env)

    def start(self):
        run("securefs", "mount", "-b", "--log", os.path.join(self.top, "log"), "--pass", "x", self.lower, self.point, env=self.env)


PEERS = {"signetfs": Signetfs, "gocryptfs": Gocryptfs, "securefs": Securefs}


def lower_files(top):
    return [os.path.join(d, f) for d, _, files in os.walk(top) for f in files]


def edit(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


def flip(peer, a, b, older):
    with open(a, "rb") as f:
        f.seek(os.path.getsize(a) // 2)
        byte = f.read(1)
    edit(a, os.path.getsize(a) // 2, bytes([byte[0] ^ 1]))


def cut(peer, a, b, older):
    os.truncate(a, peer.header + 2 * peer.block)


def swap_blocks(peer, a, b, older):
    with open(a, "rb") as f:
        f.seek(peer.header + peer.block)
        first, second = f.read(peer.block), f.read(peer.block)
    edit(a, peer.header + peer.block, second + first)


def swap_files(peer, a, b, older):
    os.rename(a, a + ".x")
    os.rename(b, a)
    os.rename(a + ".x", b)


def put_back(peer, a, b, older):
    shutil.copyfile(older, a)


ATTACKS = {"one bit of a file changed": flip, "a file cut at the end of a block": cut, "two blocks of a file exchanged": swap_blocks,
           "two files of one size exchanged": swap_files, "a file's older version put back": put_back}


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def largest_new(before, peer):
    """The lower file that holds what was just written."""
    return max(set(lower_files(peer.lower)) - before, key=os.path.getsize)


def attempt(peer_class, attack, build):
    with tempfile.TemporaryDirectory(prefix="tamper-") as top:
        peer = peer_class(top, build)
        wanted, lower = {}, {}
        for name in "ab":
            peer.mount()
            before = set(lower_files(peer.lower))
            wanted[name] = os.urandom(SIZE)
            write(os.path.join(peer.point, name), wanted[name])
            peer.umount()
            lower[name] = largest_new(before, peer)
        older = os.path.join(top, "older")
        shutil.copyfile(lower["a"], older)
        if attack is put_back:
            peer.mount()
            wanted["a"] = os.urandom(SIZE)
            with open(os.path.join(peer.point, "a"), "r+b") as f:
                f.write(wanted["a"])
            peer.umount()
        attack(peer, lower["a"], lower["b"], older)
        try:
            peer.mount()
        except subprocess.CalledProcessError:
            return "noticed"
        try:
            got = {}
            for name in "ab":
                with open(os.path.join(peer.point, name), "rb") as f:
                    got[name] = f.read()
            return "nothing changed" if got == wanted else "unnoticed"
        except OSError:
            return "noticed"
        finally:
            peer.umount()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--build", default="build")
    options.add_argument("names", nargs="*", metavar="NAME")
    given = options.parse_args()
    build = os.path.abspath(given.build)
    names = given.names or [n for n in PEERS if n == "signetfs" or shutil.which(n)]
    print("| | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for what, attack in ATTACKS.items():
        print(f"| {what} | " + " | ".join(attempt(PEERS[n], attack, build) for n in names) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
