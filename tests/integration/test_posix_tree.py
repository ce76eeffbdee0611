"""The differential tester of names (tree_diff.py), a few rounds with a remount after each; `make soak` runs many."""

import os
import random

import pytest

import tree_diff
from as_user import OTHER, USER
from conftest import Mounted, needs_fuse

pytestmark = needs_fuse


def rounds(kms_box, count, length, vault_options=()):
    """As root and as two ordinary users in turn, in one tree that grows and is remounted."""
    root = os.geteuid() == 0
    m = Mounted(kms_box, "-o", "allow_other,dev" if root else "rw", vault=kms_box.make_vault(*vault_options))
    plain = kms_box.path("plain")
    os.mkdir(plain, 0o700)
    seed = int(os.environ.get("SIGNETFS_SEED", random.SystemRandom().randrange(10**9)))
    print("SIGNETFS_SEED =", seed)
    outcomes = {}
    for n in range(count):
        for key, times in tree_diff.round_of((0, USER, OTHER)[n % 3] if root else 0, seed + n, length, m.point, plain).items():
            outcomes[key] = outcomes.get(key, 0) + times
        m.remount("-o", "allow_other,dev" if root else "rw")
        tree_diff.compare(m.point, plain)
    return outcomes


def test_a_mount_and_a_plain_directory_do_the_same(kms_box):
    outcomes = rounds(kms_box, 6, 2000)
    for what in ("mkdir", "open", "rename", "link", "symlink", "unlink", "rmdir", "mknod", "list"):
        assert outcomes.get((what, "ok"), 0) > 0, (what, outcomes)
    for error in ("ENOENT", "EEXIST", "ENOTDIR", "ENOTEMPTY", "EISDIR", "ELOOP", "EINVAL", "ENAMETOOLONG"):
        assert sum(times for (_, got), times in outcomes.items() if got == error) > 0, (error, outcomes)
