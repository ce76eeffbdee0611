"""Every way for a mount to end leaves a clean vault with everything in it, and ends nothing else."""

import ctypes
import mmap
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from conftest import SIGNETFS, Mounted, is_mounted, needs_fuse
from hostile import Watched, errno_of, read, wait_until, write
from machine import unclean_sessions
from programs import root_only

pytestmark = needs_fuse


def by_command(*words):
    def end(m, pid):
        del pid
        subprocess.run([*words, m.point], check=True, timeout=60)
    return end


def by_signal(number):
    def end(m, pid):
        del m
        os.kill(pid, number)
    return end


WAYS = {"umount": by_command("umount"), "umount -l": by_command("umount", "-l"), "fusermount3 -u": by_command("fusermount3", "-u"),
        "fusermount3 -u -z": by_command("fusermount3", "-u", "-z"), "SIGTERM": by_signal(signal.SIGTERM),
        "SIGINT": by_signal(signal.SIGINT), "SIGHUP": by_signal(signal.SIGHUP),
        "signetfs umount": lambda m, pid: m.box.run("umount", m.point),
        "signetfs umount --lazy": lambda m, pid: m.box.run("umount", "--lazy", m.point)}


def end_and_wait(m, way):
    pidfd = os.pidfd_open(m.pid())
    WAYS[way](m, m.pid())
    wait_until(lambda: is_ended(pidfd))
    os.close(pidfd)


def is_ended(pidfd):
    """A process that is nobody's child here ends for good; its descriptor says when."""
    import select
    return bool(select.select([pidfd], [], [], 0)[0])


@root_only
def test_every_way_is_clean(mounted):
    """What was written and never synced is there, and no session is left open; one vault for all ways, one after the other."""
    for way in WAYS:
        data = os.urandom(3_000_001)
        write(mounted.path(way), data)
        with open(mounted.path("log"), "a") as f:
            f.write(way + "\n")
        end_and_wait(mounted, way)
        assert not is_mounted(mounted.point), way
        assert unclean_sessions(mounted.vault) == 0, way
        assert os.listdir(mounted.point) == [], way
        mounted.box.run("mount", mounted.vault, mounted.point)
        assert read(mounted.path(way)) == data, way
    assert read(mounted.path("log")).decode().split("\n") == [*WAYS, ""]


@root_only
@pytest.mark.parametrize("way", ["umount -l", "fusermount3 -u -z", "signetfs umount --lazy", "SIGTERM"])
def test_in_use_until_the_last_user_is_done(mounted, way):
    pidfd, pid = os.pidfd_open(mounted.pid()), mounted.pid()
    with open(mounted.path("file"), "wb") as f:
        f.write(b"a" * 100_000)
        f.flush()
        WAYS[way](mounted, pid)
        wait_until(lambda: not is_mounted(mounted.point))
        assert errno_of(os.stat, mounted.path("file")) == "ENOENT"
        f.write(b"b" * 100_000)
        assert unclean_sessions(mounted.vault) == 1
    wait_until(lambda: is_ended(pidfd))
    os.close(pidfd)
    assert unclean_sessions(mounted.vault) == 0
    mounted.box.run("mount", mounted.vault, mounted.point)
    assert read(mounted.path("file")) == b"a" * 100_000 + b"b" * 100_000


def test_busy_is_refused_and_harms_nothing(mounted):
    write(mounted.path("file"), b"x" * 4096)
    with open(mounted.path("file"), "r+b") as f:
        m = mmap.mmap(f.fileno(), 0)
    for words in (["fusermount3", "-u", mounted.point], *([["umount", mounted.point]] if os.geteuid() == 0 else [])):
        assert subprocess.run(words, stderr=subprocess.DEVNULL).returncode != 0
    assert "in use" in mounted.box.run("umount", mounted.point, code=1).stderr
    m[0:1] = b"y"
    m.close()
    mounted.remount()
    assert read(mounted.path("file")) == b"y" + b"x" * 4095


def test_killed_process(kms_box):
    w = Watched(kms_box, kms_box.make_vault())
    write(w.path("file"), b"synced", sync=True)
    w.process.kill()
    w.process.wait()
    assert errno_of(os.stat, w.path("file")) == "ENOTCONN"
    assert errno_of(os.listdir, w.point) == "ENOTCONN"
    kms_box.run("umount", w.point)
    assert unclean_sessions(w.vault) == 1
    kms_box.mount(w.vault)
    assert read(w.path("file")) == b"synced"


@root_only
def test_ends_nothing_but_itself(kms_box):
    """A process that learns late that it was unmounted must not unmount what has taken its place."""
    w = Watched(kms_box, kms_box.make_vault())
    # Until it answers it is looking at its own mount, which is busy then.
    wait_until(lambda: kms_box.run("stats", w.point, code=None).returncode == 0, seconds=30)
    os.kill(w.process.pid, signal.SIGSTOP)
    assert ctypes.CDLL(None).umount2(os.fsencode(w.point), 0) == 0  # the program would ask the mount first
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "another", w.point], check=True)
    try:
        os.kill(w.process.pid, signal.SIGCONT)
        assert w.process.wait(timeout=30) == 0, w.log()
        assert is_mounted(w.point), "the other file system was unmounted"
    finally:
        subprocess.run(["umount", w.point], check=False)
    assert unclean_sessions(w.vault) == 0


@root_only
def test_mounted_elsewhere_too(mounted):
    """A bind mount keeps it alive: umount says so and does not wait for ever."""
    other = mounted.box.path("other")
    os.mkdir(other)
    subprocess.run(["mount", "--bind", mounted.point, other], check=True)
    mounted.box.mounts.append(other)
    pid = mounted.pid()
    done = mounted.box.run("umount", mounted.point)
    assert "goes on where else it is mounted" in done.stderr
    write(other + "/file", b"still works")
    pidfd = os.pidfd_open(pid)
    subprocess.run(["umount", other], check=True)
    wait_until(lambda: is_ended(pidfd))
    os.close(pidfd)
    assert unclean_sessions(mounted.vault) == 0


@root_only
def test_dies_while_it_asks_itself(kms_box):
    """
    While it starts, a mount opens a file of its own. Stopped there and killed, it waits for its own answer: in earlier versions for ever, with
    every program that looked into it. Which instruction it is stopped at is chance; the result must not be.
    """
    vault = kms_box.make_vault()
    for attempt in range(40):
        point = kms_box.path("stopped")
        os.makedirs(point, exist_ok=True)
        process = subprocess.Popen([SIGNETFS, "mount", "-f", vault, point], env=kms_box.env, stderr=subprocess.DEVNULL)
        while not is_mounted(point) and process.poll() is None:
            pass
        stop_at = time.monotonic() + attempt * 50e-6
        while time.monotonic() < stop_at:
            pass
        os.kill(process.pid, signal.SIGSTOP)
        process.kill()
        assert process.wait(timeout=60) == -signal.SIGKILL
        assert errno_of(os.stat, point) in ("ENOTCONN", "")  # without the knob in /sys the guard unmounts
        subprocess.run(["umount", "-l", point], check=False, stderr=subprocess.DEVNULL)


# ---- unused ----


def uptime(m):
    return m.stats()["uptime_seconds"]


def test_idle_ends_when_unused(kms_box):
    w = Watched(kms_box, kms_box.make_vault(), "--idle", "3s")
    write(w.path("file"), b"data" * 10_000)
    assert w.process.wait(timeout=30) == 0
    assert "unused for 3 s" in w.log() and not is_mounted(w.point)
    assert unclean_sessions(w.vault) == 0
    w = Watched(kms_box, w.vault, "-o", "idle=1h")
    assert read(w.path("file")) == b"data" * 10_000
    w.umount()


def test_idle_leaves_what_is_in_use(kms_box):
    """A silent user: no request comes for a long time. Looking at the statistics is no use of the mount."""
    vault, held, hold = kms_box.make_vault(), {}, {}
    for name in ("file", "directory", "mapping"):
        w = held[name] = Watched(kms_box, vault if name == "file" else kms_box.make_vault(name=f"vault-{name}"), "-o", "idle=4s", name=name)
        write(w.path("file"), b"data" * 10_000)
        hold[name] = os.open(w.point if name == "directory" else w.path("file"), os.O_RDONLY)
    f, directory = os.fdopen(hold["file"], "rb"), hold["directory"]
    mapping = mmap.mmap(hold["mapping"], 0, prot=mmap.PROT_READ)
    os.close(hold["mapping"])
    wait_until(lambda: min(map(uptime, held.values())) >= 9, seconds=60)
    for name, w in held.items():
        assert w.process.poll() is None and is_mounted(w.point), (name, w.log())
    assert f.read(4) == mapping[:4] == b"data" and os.listdir(directory) == ["file"]
    f.close()
    mapping.close()
    os.close(directory)
    for w in held.values():
        assert w.process.wait(timeout=30) == 0
        assert unclean_sessions(w.vault) == 0


class User(threading.Thread):
    """Does the same again and again until told to stop; how long it once did not, because the machine was busy."""

    def __init__(self, use):
        super().__init__()
        self.use, self.stopped, self.longest = use, threading.Event(), 0
        self.start()

    def run(self):
        last = time.monotonic()
        while not self.stopped.wait(0.1):
            self.use()
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now

    def stop(self):
        self.stopped.set()
        self.join()


def test_idle_sees_use_that_the_kernel_answers(kms_box):
    """Again and again what the kernel has in its memory: it is asked for often enough to keep the mount."""
    uses = {"stat": lambda m: os.path.exists(m.path("file")), "list": lambda m: os.listdir(m.point),
            "read": lambda m: os.path.exists(m.path("file")) and read(m.path("file"))}
    mounts, users = {}, {}
    try:
        for name, use in uses.items():
            m = mounts[name] = Watched(kms_box, kms_box.make_vault(name=f"vault-{name}"), "--idle", "4s", name=name)
            write(m.path("file"), b"data")
            users[name] = User(lambda use=use, m=m: use(m))
        since = time.monotonic()
        wait_until(lambda: time.monotonic() - since > 9)
    finally:
        for user in users.values():
            user.stop()
    for name, w in mounts.items():
        if users[name].longest < 3:
            assert w.process.poll() is None and is_mounted(w.point), (name, w.log())
            w.umount()


@root_only
def test_idle_below_another_mount(kms_box):
    w = Watched(kms_box, kms_box.make_vault(), "--idle", "2s")
    held = os.open(w.point, os.O_RDONLY)  # until something lies above it
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "another", w.point], check=True)
    os.close(held)
    since = time.monotonic()
    try:
        wait_until(lambda: time.monotonic() - since > 4)
        assert w.process.poll() is None
        with open("/proc/self/mountinfo") as f:
            assert sum(line.split()[4] == w.point for line in f) == 2
    finally:
        subprocess.run(["umount", w.point], check=True)
    assert w.process.wait(timeout=30) == 0, w.log()


@pytest.mark.parametrize("words, code", [(["--idle", "soon"], 2), (["--idle", "31d"], 2), (["-o", "idle"], 2), (["-o", "idle=31d"], 2)])
def test_idle_times_that_make_no_sense(kms_box, words, code):
    vault, point = kms_box.make_vault(), kms_box.path("clear")
    os.mkdir(point)
    assert "idle" in kms_box.run("mount", *words, vault, point, code=code).stderr
    assert not is_mounted(point)


def test_idle_zero_is_never(kms_box):
    m = Mounted(kms_box, "--idle", "0", "-o", "idle=1s")
    wait_until(lambda: uptime(m) >= 2)
    assert is_mounted(m.point)


# ---- whom umount waits for ----

LIAR = """if True:
    import json, os, socket, sys
    path, pid = sys.argv[1:]
    os.unlink(path)
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen()
    print("listening", flush=True)
    asker, _ = s.accept()
    asker.recv(100)
    asker.sendall(json.dumps({"pid": int(pid)}).encode() + b"\\n")
    """


@root_only
def test_umount_waits_for_who_listens_and_not_for_whom_it_names(mounted):
    """The process behind the socket names this test, which goes on; it ends itself after one answer."""
    write(mounted.path("file"), b"data")
    device = os.stat(mounted.point).st_dev
    socket = f"/run/signetfs/mount-{os.major(device)}-{os.minor(device)}.sock"
    pidfd = os.pidfd_open(mounted.pid())
    liar = subprocess.Popen([sys.executable, "-c", LIAR, socket, str(os.getpid())], stdout=subprocess.PIPE, text=True)
    try:
        assert liar.stdout.readline() == "listening\n"
        assert "goes on" not in mounted.box.run("umount", mounted.point).stderr
        assert liar.wait(timeout=30) == 0
    finally:
        liar.kill()
        liar.wait()
        liar.stdout.close()
    wait_until(lambda: is_ended(pidfd))
    os.close(pidfd)
    assert unclean_sessions(mounted.vault) == 0
