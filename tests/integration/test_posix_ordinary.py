"""
The tables of test_posix_*.py once more, in mounts that an ordinary user made (fusermount3, no allow_other): root's run starts another
pytest that is such a user. Left out is what needs root, and what cannot differ.
"""

import glob
import os
import re
import shutil
import subprocess
import sys

import pytest

from as_user import USER, needs_root
from conftest import SIGNETFS, needs_fuse

pytestmark = [needs_fuse, needs_root, pytest.mark.skipif(not shutil.which("fusermount3"), reason="no fusermount3")]
HERE = os.path.dirname(os.path.abspath(__file__))
TABLES = ["own", "matrix", "open", "rename", "link", "space", "xattr", "threads", "special", "handles"]
LEAST = 70  # tests that an ordinary user can run


def copy_for_everybody(top):
    """The program and the tests, where every user can read them."""
    folder = os.path.join(top, "integration")
    os.mkdir(folder)
    for path in glob.glob(HERE + "/*.py"):
        shutil.copy(path, folder)
    shutil.copy(SIGNETFS, top)
    for place in (folder, os.path.join(top, "signetfs")):
        os.chmod(place, 0o755)
    return folder


def test_tables_as_an_ordinary_user(tmp_path):
    top, room = str(tmp_path), str(tmp_path / "room")
    os.chmod(top, 0o755)
    folder = copy_for_everybody(top)
    os.mkdir(room)
    os.chown(room, USER, USER)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "XDG_"))}
    env |= {"SIGNETFS": os.path.join(top, "signetfs"), "HOME": room, "TMPDIR": room, "PYTHONDONTWRITEBYTECODE": "1"}
    files = [f"{folder}/test_posix_{name}.py" for name in TABLES]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-rs", "--no-header", "-p", "no:cacheprovider", "-k", "not in_a_plain_directory",
                           f"--basetemp={room}/t", *files], cwd=folder, env=env, user=USER, group=USER, extra_groups=[],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout[-20000:]
    assert int(re.search(r"(\d+) passed", done.stdout).group(1)) >= LEAST, done.stdout
    skipped = re.findall(r"^SKIPPED .*", done.stdout, re.M)
    assert [line for line in skipped if "needs root" not in line] == []
