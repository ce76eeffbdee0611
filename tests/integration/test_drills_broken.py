"""Each drill goes red when what it is about is broken: signetfs with one thing wrong (tests/mutants/mutants.c) plays it."""

import json
import os
import shutil
import stat
import subprocess

import pytest
from conftest import LIMIT, SIGNETFS, needs_fuse
from test_drills import left_behind
from test_drills_real import Own

MUTANTS = os.path.join(os.path.dirname(SIGNETFS), "tests/mutants/signetfs")
pytestmark = [needs_fuse, pytest.mark.skipif(not os.path.exists(MUTANTS), reason="make check builds the broken programs, and did not")]

END = "it could be played to the end"
# What is broken, the drill, the checks that do not hold then: exactly these, and perhaps what depends on when the workload comes by.
PERHAPS = {"No operation failed meanwhile"}
BROKEN = [
    ("rotate", "rotation", {"New files are under the new material", "The KMS lists the rotation"}),
    ("move", "migration", {"No file depends on the old key any more", "Every file opens under the new key alone"}),
    ("disable", "revocation", {END}),
    ("data", "compromise", {"No file is left under an old data key"}),
    ("quota", "throttle", {"Without them the quota was met, and what was refused was asked again", "The KMS says so, too"}),
    ("errno", "outage", {"Then programs see an input/output error"}),
    ("authorize", "restore", {"Without policy and grant the other account is refused"}),
    ("checkpoint", "crypto-erase", {"No byte of its sealed material is left in the keystore's files"}),
]


def play(box, program, drill, **env):
    done = subprocess.run([program, "drill", "--json", "--files", "12", drill], env=dict(box.env, **env), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
    assert left_behind(box) == []
    result, = json.loads(done.stdout)
    return done.returncode, result["held"], {c["what"] for c in result["checks"] if not c["held"]}, result


@pytest.mark.parametrize("mutant, drill, noticed", BROKEN, ids=[b[1] for b in BROKEN])
def test_it_goes_red(box, mutant, drill, noticed):
    program = box.path(f"signetfs-{mutant}")
    shutil.copy(MUTANTS, program)
    code, held, broken, result = play(box, program, drill)
    assert (code, held, broken - PERHAPS) == (1, False, noticed), result["checks"]


@pytest.mark.parametrize("mutant, drill, noticed", [
    ("move", "migration", {"No file is under another key"}),
    ("data", "compromise", {"No file is left under an old data key"}),
])
def test_it_goes_red_for_real(box, mutant, drill, noticed):
    own, program = Own(box), box.path(f"signetfs-{mutant}")
    shutil.copy(MUTANTS, program)
    to = ["--to", own.other] if drill == "migration" else []
    done = subprocess.run([program, "drill", "--json", "--files", "10", "--vault", own.vault, "--for-real", "--yes", *to, drill],
                          env=box.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=LIMIT)
    result, = json.loads(done.stdout)
    assert {c["what"] for c in result["checks"] if not c["held"]} == noticed and done.returncode == 1, result["checks"]
    assert left_behind(box) == [] and own.contents_now() == own.before


def test_a_backup_that_lost_a_file_is_noticed(box):
    """The tools are those of PATH: here a tar that leaves one file of the workload out."""
    tools = box.path("bin")
    os.mkdir(tools)
    tar = os.path.join(tools, "tar")
    with open(tar, "w") as f:
        f.write(f"""#!/bin/sh
{shutil.which("tar")} "$@" || exit
case "$*" in *-xf*) find "$2" -type f -size +100c ! -path "*.signetfs*" ! -name "signetfs.*" | sort | head -n 1 | xargs rm ;; esac
""")
    os.chmod(tar, stat.S_IRWXU)
    code, held, broken, result = play(box, SIGNETFS, "restore", PATH=f"{tools}:{box.env['PATH']}")
    assert (code, held) == (1, False)
    assert broken == {"signetfs restore brings back every byte, without a mount", "With them it reads every byte"}, result["checks"]
