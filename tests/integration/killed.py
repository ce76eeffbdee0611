"""A move that is killed (SIGKILL) as it enters a system call, whichever one is asked for: strace counts the calls and kills."""

import os
import shutil
import subprocess

from conftest import LIMIT, SIGNETFS

# What changes the vault: between two of these every moment is as good as any other. ("?": not every machine's kernel has it.)
CALLS = ("pwrite64", "fsync", "?renameat", "renameat2", "unlinkat", "ftruncate", "linkat", "utimensat", "syncfs")


class Killed:
    """
    A vault that is moved and killed again and again, each time from the same state: a copy of @template, which holds @contents.
    @before and @after: options that open the vault before and after the move; where they are the same, they open it at any moment.
    """

    def __init__(self, box, template, contents, before=(), after=()):
        self.box, self.template, self.contents, self.before, self.after = box, template, contents, list(before), list(after)
        self.vault = box.path("killed.vault")
        self.out = box.path("restored")
        self.kills = 0

    def renew(self):
        shutil.rmtree(self.vault, ignore_errors=True)
        subprocess.run(["cp", "-a", self.template, self.vault], check=True)

    def run(self, call, nth, threads, *words, fault="signal=KILL"):
        """
        Whether it was killed (failed, if @fault says "error=…"), at its @nth @call. The first thread opens, writes the journal and ends; @threads: the one that moves the files
        is looked at, too. Each counts for itself, so the calls that it makes before the first thread's number is reached stay untried: there
        have to be several files.
        """
        strace = ["strace", *["-f"] * threads, "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                  "-e", f"inject={call}:{fault}:when={nth}"]
        # LeakSanitizer does not work in a process that is traced.
        env = {**self.box.env, "ASAN_OPTIONS": self.box.env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        done = subprocess.run([*strace, SIGNETFS, "reencrypt", self.vault, "--jobs", "1", *self.before, *words], env=env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT)
        assert done.returncode in (0, 1) if "error" in fault else (0, -9, 137), (call, nth, done.stderr)
        self.kills += done.returncode != 0
        return done.returncode != 0

    def check(self, when):
        """Every file opens and holds what it did."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.box.run("restore", *self.after, self.vault, self.out)
        for path, data in self.contents.items():
            with open(os.path.join(self.out, path), "rb") as f:
                assert f.read() == data, (when, path)

    def go_on(self, *words):
        """As a person would: resume what has a journal, else say it again."""
        if os.path.exists(os.path.join(self.vault, ".signetfs/reencrypt")):
            there = [w for w in words if w not in ("--data", "--to") and not w.startswith("alias/")]
            self.box.run("reencrypt", self.vault, *self.before, "--resume", *there)
        else:
            self.box.run("reencrypt", self.vault, *self.before, *words)
        left = set(os.listdir(os.path.join(self.vault, ".signetfs")))
        assert left <= {"bucket", "lock", "sessions", "sessions.new", "reserve"}, left

    def at(self, call, nth, threads, *words, fault="signal=KILL"):
        """One kill, and all that must hold after it. False: the move ended before that call."""
        self.renew()
        killed = self.run(call, nth, threads, *words, fault=fault)
        when = f"killed at {call} number {nth}" if killed else f"not killed at {call} number {nth}"
        if killed and self.before == self.after:
            self.check(when)
        if killed:
            self.go_on(*words)
        self.check(when + ", resumed")
        return killed

    def at_each(self, call, threads, *words, step=1):
        """Kill at every @step-th @call there is; returns how many."""
        nth = 1
        while self.at(call, nth, threads, *words):
            nth += step
        return (nth - 1) // step
