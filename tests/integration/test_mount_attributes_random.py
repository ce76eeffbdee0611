"""Random changes of attributes by several users: a mount answers as the file system below it does. The long run is tests/soak."""

import os
import random

import pytest

import attribute_fuzz
from conftest import Mounted, needs_fuse
from people import let_in

pytestmark = [needs_fuse, pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become others")]
SEED = int(os.environ.get("SIGNETFS_SEED") or random.SystemRandom().randrange(1 << 31))


@pytest.mark.parametrize("options", ["allow_other,acl", "allow_other,noacl"])
def test_as_a_plain_directory(kms_box, options):
    m = Mounted(kms_box, "-o", options)
    os.chmod(m.point, 0o755)
    let_in(m.point)
    mounted, plain = m.path("tree"), kms_box.path("plain")
    os.mkdir(mounted)
    os.mkdir(plain)
    print(f"SIGNETFS_SEED={SEED}")
    attribute_fuzz.compare(mounted, plain, SEED, 600, "noacl" not in options)
