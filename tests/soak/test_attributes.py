"""Random changes of attributes by several users, for long: see attribute_fuzz.py."""

import os
import random

import pytest

import attribute_fuzz
from conftest import Mounted, needs_fuse, soak_rounds
from people import let_in

pytestmark = [needs_fuse, pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become others")]
ROUNDS, STEPS = 60, 1500


@pytest.mark.parametrize("options", ["allow_other,acl", "allow_other,noacl"])
def test_as_a_plain_directory(kms_box, options):
    m = Mounted(kms_box, "-o", options)
    os.chmod(m.point, 0o755)
    let_in(m.point)
    seed = int(os.environ.get("SIGNETFS_SEED") or random.SystemRandom().randrange(1 << 31))
    print("SIGNETFS_SEED =", seed)
    for i in range(soak_rounds(ROUNDS)):
        mounted, plain = m.path(f"tree{i}"), kms_box.path(f"plain{i}")
        os.mkdir(mounted)
        os.mkdir(plain)
        attribute_fuzz.compare(mounted, plain, seed + i, STEPS, "noacl" not in options)
