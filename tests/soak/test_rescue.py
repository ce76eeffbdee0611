"""fsck and restore of many files: memory does not grow with their number, in many folders and in one. fsck --repair killed everywhere."""

import os
import shutil
import sys

import pytest
from conftest import is_sanitized, needs_fuse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../bench"))
from rescue import Bench  # noqa: E402
from fsck_killed import kill_and_look  # noqa: E402
from test_fsck_killed import world  # noqa: E402,F401

FILES = int(os.environ.get("SIGNETFS_FILES", 200_000))


@needs_fuse
@pytest.mark.parametrize("flat", [False, True], ids=["folders", "flat"])
def test_memory_does_not_grow_with_the_tree(tmp_path, flat):
    b = Bench(str(tmp_path))
    few, many = (b.small_files(n, size=16, flat=flat) for n in (FILES // 20, FILES))
    for what in (b.fsck, b.restore):
        small, large = what(few)[1], what(many)[1]
        assert is_sanitized() or large < small + 8, f"{what.__name__}: {small:.0f} MiB for {FILES // 20}, {large:.0f} MiB for {FILES} files"


CALLS = ["openat", "read,pread64", "write,pwrite64", "fsync,fdatasync,syncfs", "renameat2", "unlinkat", "mkdirat", "ftruncate,fallocate",
         "fchmod,fchmodat,fchmodat2,utimensat", "setxattr,lsetxattr,removexattr,lremovexattr", "newfstatat,fstat", "getdents64", "close"]


@needs_fuse
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("calls", CALLS)
def test_a_repair_killed_at_every_call(world, calls):  # noqa: F811
    kill_and_look(world, world.damaged, world.lost, calls, 1)
