"""A move of very many files: calls grow with bucket keys and not with files, and memory does not grow."""

import os
import sys

from conftest import is_sanitized, needs_fuse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../bench"))
from migration import move  # noqa: E402
from rescue import Bench  # noqa: E402

FILES = int(os.environ.get("SIGNETFS_FILES", 1_000_000))


@needs_fuse
def test_a_million_files_cost_as_many_calls_as_a_few(tmp_path):
    b = Bench(str(tmp_path))
    few, many = FILES // 20, FILES
    vaults = [b.small_files(n, size=16) for n in (few, many)]
    (_, small, calls), (_, large, more) = (move(b, vault, n) for vault, n in zip(vaults, (few, many)))
    assert calls == {"GenerateDataKey": 1, "Decrypt": 3, "ReEncrypt": 1} == more
    assert is_sanitized() or large < small + 8, f"{small:.0f} MiB for {few}, {large:.0f} MiB for {many} files"
