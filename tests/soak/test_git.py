"""git at full tilt: thousands of files, every command that moves many of them, and what fsck says of it."""

import os
import random

import pytest

from conftest import needs_fuse
from programs import Git, needs, same_trees

pytestmark = [needs_fuse, needs("git", "rsync")]
FILES, COMMITS = 4000, 60


@pytest.fixture
def rng():
    seed = int(os.environ.get("SIGNETFS_SEED") or random.randrange(1 << 32))
    print("seed", seed)
    return random.Random(seed)


def text_of(rng):
    return "".join(f"{rng.randrange(1 << 30)}\n" for _ in range(rng.randrange(1, 80)))


def write_some(rng, top, names):
    for name in names:
        os.makedirs(os.path.dirname(f"{top}/{name}"), exist_ok=True)
        with open(f"{top}/{name}", "w") as f:
            f.write(text_of(rng))


def make_history(git, rng, top):
    names = [f"d{i % 37}/e{i % 11}/file {i}" for i in range(FILES)]
    git("init", "-q", "-b", "main", top)
    write_some(rng, top, names)
    git("add", "-A", cwd=top)
    git("commit", "-q", "-m", "all", cwd=top)
    for i in range(COMMITS):
        write_some(rng, top, rng.sample(names, 40))
        git("rm", "-q", "-f", "--ignore-unmatch", *rng.sample(names, 5), cwd=top)
        git("mv", "-k", *rng.sample(names, 3), "d0", cwd=top)
        git("add", "-A", cwd=top)
        git("commit", "-q", "-m", f"commit {i}", cwd=top)


def clean(git, top):
    return git("fsck", "--full", "--strict", "--no-dangling", "--no-progress", cwd=top) == "" and git("status", "--porcelain", cwd=top) == ""


def test_git_at_full_tilt(mounted, rng):
    git, top = Git(mounted.box), mounted.path("origin")
    make_history(git, rng, top)
    git("gc", "-q", "--aggressive", "--prune=now", cwd=top)
    assert clean(git, top)
    git("clone", "-q", "--local", top, mounted.path("clone"))
    git("clone", "-q", "--no-local", top, mounted.box.path("plain"))
    assert same_trees(mounted.box.path("plain"), mounted.path("clone"), "--exclude=.git", "--no-times") == ""
    git("worktree", "add", "-q", "-b", "side", mounted.path("side"), "HEAD~30", cwd=top)
    git("checkout", "-q", "HEAD~40", cwd=mounted.path("clone"))
    git("checkout", "-q", "main", cwd=mounted.path("clone"))
    write_some(rng, mounted.path("side"), [f"new/{i}" for i in range(200)])
    git("stash", "-q", "-u", cwd=mounted.path("side"))
    assert clean(git, mounted.path("side"))
    git("stash", "pop", "-q", cwd=mounted.path("side"))
    git("add", "-A", cwd=mounted.path("side"))
    git("commit", "-q", "-m", "side", cwd=mounted.path("side"))
    git("rebase", "-q", "main", cwd=mounted.path("side"))
    assert git("rev-list", "--count", "side", cwd=top) == f"{COMMITS + 2}\n"
    mounted.remount()
    for tree in ("origin", "clone", "side"):
        assert clean(git, mounted.path(tree)), tree
