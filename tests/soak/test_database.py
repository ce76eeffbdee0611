"""PostgreSQL killed again and again under pgbench."""

import os
import time

from conftest import SOAK_SECONDS, Mounted, needs_fuse
from database import Cluster, let_others_through, needs_postgres

pytestmark = [needs_fuse, needs_postgres]


def test_postgres_crashes(kms_box):
    m = Mounted(kms_box, "-o", "allow_other")
    let_others_through(m.box.root)
    os.chmod(m.point, 0o755)
    os.mkdir(m.path("pg"))
    pg = Cluster(m.path("pg"))
    end, crashes = time.monotonic() + SOAK_SECONDS, 0
    try:
        pg.start()
        pg.do("pgbench", "-q", "-i", "-s", "10")
        while time.monotonic() < end or not crashes:
            pg.sql("truncate pgbench_history; update pgbench_accounts set abalance = 0; update pgbench_branches set bbalance = 0; "
                   "update pgbench_tellers set tbalance = 0; checkpoint")
            known = pg.crash_under("-n", "-c", "8", "-j", "2", "-T", "600")
            pg.start()
            assert int(pg.sql("select count(*) from pgbench_history")) >= known and pg.balanced()
            crashes += 1
        pg.stop()
    finally:
        pg.close()
    print(crashes, "crashes")
    m.remount("-o", "allow_other")
    assert "Bad checksums:  0" in pg.do("pg_checksums", "--check", "-D", pg.data)
