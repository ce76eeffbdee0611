"""What the tests of real programs share: run one and see it succeed, compare two trees, be somebody."""

import os
import shutil
import subprocess

import pytest

LIMIT = 300  # seconds for one program


def run(*args, code=0, limit=LIMIT, **options):
    """The program's output, both streams; asserts its exit code (None: any)."""
    options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit, **options)
    text = done.stdout.decode(errors="replace")
    assert code is None or done.returncode == code, f"{' '.join(map(str, args))}: exit {done.returncode}\n{text[-20000:]}"
    return text


def needs(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {' '.join(missing)}")


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def same_trees(a, b, *options):
    """Empty when rsync finds nothing to do: content (checksums), modes, times, owners, links of both kinds, attributes."""
    return run("rsync", "-aHXnic", "--delete", *options, f"{a}/", f"{b}/")


class Git:
    """git as nobody's particular user, without anybody's configuration."""

    def __init__(self, box):
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "a"), ("EMAIL", "a@b"))}
        self.env = {**box.env, **who, "GIT_CONFIG_NOSYSTEM": "1", "GIT_EDITOR": "true"}

    def __call__(self, *args, cwd=None, code=0):
        return run("git", *args, cwd=cwd, env=self.env, code=code)
