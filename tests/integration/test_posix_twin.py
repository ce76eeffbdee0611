"""The mount and a plain file system get the same operations on file data and must answer the same: twin.py."""

import os
import random

import pytest

from conftest import Mounted, needs_fuse
from twin import Twin

pytestmark = needs_fuse


def seeds(count):
    """$SIGNETFS_SEED repeats one run."""
    if "SIGNETFS_SEED" in os.environ:
        return [int(os.environ["SIGNETFS_SEED"])]
    return [random.SystemRandom().randrange(10**9) for _ in range(count)]


def run_twin(mounted, plain, seed, steps):
    """A random run, everything closed, a new mount, and all of it compared once more."""
    top = mounted.path(f"twin{seed}")
    os.mkdir(top)
    twin = Twin(top, plain, seed)
    try:
        twin.run(steps)
    finally:
        twin.close_all()
    mounted.remount()
    twin.check()
    return twin.done


@pytest.mark.parametrize("seed", seeds(3))
def test_random_operations(mounted, tmp_path, seed):
    os.mkdir(tmp_path / "plain")
    done = run_twin(mounted, str(tmp_path / "plain"), seed, 1500)
    assert sum(done.values()) == 1500 and min(done.values()) > 0, done
