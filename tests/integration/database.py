"""PostgreSQL and SQLite for the tests: a cluster that can crash, and processes that write one SQLite file together."""

import glob
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile

import pytest

from hostile import wait_until
from programs import run

POSTGRES = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
needs_postgres = pytest.mark.skipif(not POSTGRES or os.geteuid() != 0, reason="needs root and Debian's postgresql")


def let_others_through(folder):
    """What pytest makes is the tester's alone."""
    for _ in range(3):
        os.chmod(folder, 0o755)
        folder = os.path.dirname(folder)


class Cluster:
    """A PostgreSQL cluster in @folder, whose owner is the user postgres; nothing but a Unix socket beside it."""

    def __init__(self, folder):
        self.server = None
        self.data = os.path.join(folder, "data")
        self.log = os.path.join(folder, "log")
        self.who = pwd.getpwnam("postgres")
        # Its socket lies outside: the path of one has 107 bytes at most.
        self.socket = tempfile.mkdtemp(prefix="signetfs-pg-")
        self.env = {"PATH": f"{POSTGRES[-1]}:/usr/bin:/bin", "PGHOST": self.socket, "PGUSER": "postgres", "PGDATABASE": "postgres",
                    "LC_ALL": "C.UTF-8"}
        for mine in (folder, self.socket):
            os.chown(mine, self.who.pw_uid, self.who.pw_gid)
        self.do("initdb", "-D", self.data, "-A", "trust", "--data-checksums")

    def words(self, *args):
        return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", *map(str, args)]

    def do(self, *args, code=0):
        return run(*self.words(*args), env=self.env, cwd="/", code=code)

    def start(self):
        with open(self.log, "ab") as log:
            self.server = subprocess.Popen(self.words("postgres", "-D", self.data, "-k", self.socket, "-c", "listen_addresses="),
                                           env=self.env, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: self.is_ready() or self.server.poll() is not None, 60)
        assert self.server.poll() is None, self.said()

    def is_ready(self):
        return self.do("pg_isready", code=None).endswith("accepting connections\n")

    def close(self):
        if self.server:
            self.server.kill()
            self.server.wait()
        shutil.rmtree(self.socket)

    def said(self):
        with open(self.log) as f:
            return f.read()[-5000:]

    def stop(self, how=signal.SIGINT):
        self.server.send_signal(how)
        self.server.wait(timeout=120)

    def sql(self, text):
        return self.do("psql", "-XAtqc", text).strip()

    def balanced(self):
        """pgbench moves money: what its four tables say must agree, whatever was cut off."""
        return len(set(self.sql("select sum(abalance) from pgbench_accounts union all select sum(bbalance) from pgbench_branches "
                                "union all select sum(tbalance) from pgbench_tellers union all "
                                "select coalesce(sum(delta), 0) from pgbench_history").split("\n"))) == 1

    def crash_under(self, *pgbench):
        """Kill every process of the server at once while pgbench is at work; returns how many transactions had been told done before."""
        client = subprocess.Popen(self.words("pgbench", *pgbench), env=self.env, cwd="/", stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        wait_until(lambda: int(self.sql("select count(*) from pgbench_history")) > 100)
        known = int(self.sql("select count(*) from pgbench_history"))
        with open(f"/proc/{self.server.pid}/task/{self.server.pid}/children") as f:
            pids = [int(p) for p in f.read().split()]
        self.server.kill()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.server.wait(timeout=60)
        client.wait(timeout=60)
        wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids))
        return known


WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
db.execute("pragma synchronous=full")
for i in range(int(sys.argv[3])):
    db.execute("begin immediate")
    db.execute("insert into t values (?, ?, randomblob(300))", (int(sys.argv[2]), i))
    db.execute("update total set n = n + 1")
    db.execute("commit")
    print(i, flush=True)
"""


def sqlite_make(path):
    db = sqlite3.connect(path, isolation_level=None)
    assert db.execute("pragma journal_mode=wal").fetchone() == ("wal",)
    db.executescript("create table t(who, i, b, primary key(who, i)); create table total(n); insert into total values (0);")
    db.close()


def sqlite_writer(path, who, count):
    return subprocess.Popen([sys.executable, "-c", WRITER, path, str(who), str(count)], stdout=subprocess.PIPE, text=True)


def sqlite_is_sound(path):
    """The rows, one for each that the counter counted."""
    db = sqlite3.connect(path, timeout=60)
    assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
    rows = db.execute("select count(*) from t").fetchone()[0]
    assert db.execute("select n from total").fetchone() == (rows,)
    db.close()
    return rows
