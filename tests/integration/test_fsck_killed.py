"""fsck --repair killed at the calls that change the vault, run again: it ends whole, and nothing is lost. All calls: tests/soak."""

import os
import shutil

import pytest
from conftest import Box, needs_fuse
from fsck_killed import damage, kill_and_look
from rescue_world import Sound
from test_fsck import fill as fill_usual

pytestmark = [needs_fuse, pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")]


def fill(top):
    fill_usual(top)
    os.setxattr(os.path.join(top, "dir/inside"), "user.kept", b"value")


class World(Sound):
    def __init__(self, box):
        super().__init__(box, fill)
        self.damaged = self.fresh(name="damaged")
        self.lost = damage(self, self.damaged)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    box = Box(tmp_path_factory.mktemp("killed"))
    try:
        yield World(box)
    finally:
        box.close()


@pytest.mark.parametrize("call,at_least", [("renameat2", 4), ("unlinkat", 2), ("removexattr,lremovexattr", 1), ("ftruncate", 2)])
def test_killed_at_each(world, call, at_least):
    assert kill_and_look(world, world.damaged, world.lost, call, 1) >= at_least


def test_what_is_left_can_be_read(world):
    vault, out = world.fresh(world.damaged), world.dest()
    world.fsck("--repair", "--read-data", vault, code=1)
    world.events("restore", vault, out)
    names = {os.path.relpath(os.path.join(f, n), out) for f, d, files in os.walk(out) for n in d + files}
    assert names == set(world.lower) - world.lost
