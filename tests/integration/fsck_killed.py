"""fsck --repair, killed at one system call after the other: how a run is killed, and what must hold afterwards."""

import os
import subprocess

from conftest import LIMIT, SIGNETFS
from rescue_world import HEADER, STORED, flip, told


def damage(world, vault):
    """One of each kind that --repair mends in its own way; what is lost by it (paths)."""
    at = lambda plain: os.path.join(vault, world.lower[plain])  # noqa: E731
    flip(at("file"), HEADER + STORED + 50)
    flip(at("n" * 200), 500)
    flip(at("one"), 500)
    os.unlink(at("dir/sub") + "/signetfs.dir")
    name, = [n for n in os.listxattr(at("dir/inside")) if n.startswith("user.signetfs.")]
    os.setxattr(at("dir/inside"), name, b"?" * 60)
    with open(at("other"), "ab") as f:
        f.write(b"half a chunk")
    os.mkdir(os.path.join(vault, "signetfs.tmp." + "0" * 32))
    flip(os.path.join(vault, ".signetfs/bucket"), 60)
    return {"file", "n" * 200, "one", "dir/two", "dir/sub", "dir/sub/deep"}


def bytes_of(vault):
    """Contents of all files, attribute values and link targets of the vault, wherever they lie, but for what a repair writes itself."""
    found = set()
    for folder, dirs, files in os.walk(vault):
        for path in (os.path.join(folder, n) for n in dirs + files):
            found |= {os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)}
            if os.path.islink(path):
                found.add(os.readlink(path).encode())
            elif os.path.isfile(path) and os.path.relpath(folder, vault) != ".signetfs":
                with open(path, "rb") as f:
                    found.add(f.read())
    return found


def killed_at(world, vault, call, n):
    """A repair that is killed at the @n-th @call of any of its threads; or its KMS agent is, which ends it, too. False: it never came so far."""
    words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}",
             SIGNETFS, "fsck", "--repair", "--read-data", "--jobs", "1", vault]
    done = subprocess.run(words, env=dict(world.box.env, ASAN_OPTIONS="detect_leaks=0"), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=LIMIT)
    assert done.returncode != 0 and b"strace:" not in done.stderr, done.stderr
    return done.returncode != 1


def kill_and_look(world, base, lost, call, n, step=1):
    """From @n on, each @step-th; returns how many were killed."""
    kills, settled = 0, world.lower["other"]
    while True:
        vault = world.fresh(base)
        with open(os.path.join(vault, settled), "rb") as f:
            before = bytes_of(vault) - {f.read()}
        killed = killed_at(world, vault, call, n)
        code, findings = world.fsck("--repair", "--read-data", vault)
        assert code in (0, 1), (call, n, findings)
        assert world.fsck("--read-data", vault, code=0)[1] == [], (call, n)
        assert before <= bytes_of(vault), (call, n, told(findings))
        if not killed:
            return kills
        kills, n = kills + 1, n + step
