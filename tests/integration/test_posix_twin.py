"""The mount and a plain file system get the same operations on file data and must answer the same: twin.py."""

import os
import random

import pytest

from conftest import Mounted, needs_fuse
from twin import Twin

pytestmark = needs_fuse


def new_seed():
    """$SIGNETFS_SEED repeats a run. Not part of a test's name: workers that share tests out must know them by the same names."""
    seed = int(os.environ.get("SIGNETFS_SEED", random.SystemRandom().randrange(10**9)))
    print("SIGNETFS_SEED =", seed)
    return seed


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


@pytest.mark.parametrize("run", range(3))
def test_random_operations(mounted, tmp_path, run):
    os.mkdir(tmp_path / "plain")
    done = run_twin(mounted, str(tmp_path / "plain"), new_seed(), 1500)
    assert sum(done.values()) == 1500 and min(done.values()) > 0, done
