"""Databases at work in a mount: SQLite with several processes in WAL mode, PostgreSQL; both crash and recover."""

import os
import signal

import pytest

from conftest import Mounted, needs_fuse
from database import Cluster, let_others_through, needs_postgres, sqlite_is_sound, sqlite_make, sqlite_writer

pytestmark = needs_fuse


def test_sqlite_wal_with_several_processes(mounted):
    """They share an index in a mapped file; every commit is synced."""
    db = mounted.path("test.db")
    sqlite_make(db)
    writers = [sqlite_writer(db, who, 100) for who in range(4)]
    assert [w.communicate(timeout=120)[0].count("\n") for w in writers] == [100] * 4
    assert sqlite_is_sound(db) == 400
    mounted.remount()
    assert sqlite_is_sound(db) == 400


def test_sqlite_wal_crash(mounted):
    """The writers and the mount's process are killed: what was committed is there."""
    db = mounted.path("test.db")
    sqlite_make(db)
    writers = [sqlite_writer(db, who, 100_000) for who in range(3)]
    done = [[int(w.stdout.readline()) for _ in range(20)] for w in writers]
    os.kill(mounted.pid(), signal.SIGKILL)
    for w in writers:
        w.kill()
        w.wait()
        w.stdout.close()
    mounted.box.run("umount", "-l", mounted.point)
    mounted.box.mount(mounted.vault)
    assert sqlite_is_sound(db) >= sum(map(len, done))


@needs_postgres
def test_postgres(kms_box):
    m = Mounted(kms_box, "-o", "allow_other")
    let_others_through(m.box.root)
    os.chmod(m.point, 0o755)
    os.mkdir(m.path("pg"))
    pg = Cluster(m.path("pg"))
    try:
        pg.start()
        pg.do("pgbench", "-q", "-i", "-s", "1")
        pg.do("pgbench", "-n", "-c", "4", "-j", "2", "-t", "50")
        assert pg.sql("select count(*) from pgbench_history") == "200" and pg.balanced()
        known = pg.crash_under("-n", "-c", "4", "-j", "2", "-T", "60")
        pg.start()
        assert int(pg.sql("select count(*) from pgbench_history")) >= known and pg.balanced()
        pg.stop()
    finally:
        pg.close()
    m.remount("-o", "allow_other")
    assert "Bad checksums:  0" in pg.do("pg_checksums", "--check", "-D", pg.data)
