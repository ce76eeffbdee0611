"""stress-ng's file classes beside a plain directory, fio with every engine, dbench: in full."""

import os
import re
import subprocess

import pytest

from conftest import SOAK_SECONDS, Mounted, needs_fuse
from programs import needs, run

pytestmark = needs_fuse
# Mounts of their own, or devices: no matter of this file system.
NOT_HERE = {"bind-mount", "binderfs", "rawdev", "ioprio", "procfs", "eventfd", "loop"}


def stressors():
    try:
        listed = [subprocess.run(["stress-ng", "--class", f"{c}?"], stdout=subprocess.PIPE, text=True).stdout for c in ("filesystem", "io")]
    except FileNotFoundError:
        return []
    return sorted({name for text in listed for name in text.split(":", 1)[1].split()} - NOT_HERE)


def failures(name, folder):
    """What the stressor complained of, without numbers that differ."""
    done = subprocess.run(["stress-ng", f"--{name}", "2", "--verify", "--timeout", "3", "--temp-path", folder], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300)
    return done.returncode, sorted({re.sub(r"\d+|filesystem type.*", "#", line) for line in done.stdout.splitlines() if "fail:" in line})


@needs("stress-ng")
@pytest.mark.parametrize("name", stressors())
def test_stress_ng(kms_box, tmp_path, name):
    mounted = Mounted(kms_box)
    plain = str(tmp_path / "plain")
    os.mkdir(plain)
    there = failures(name, mounted.point)
    if there[0] != 0:
        assert failures(name, plain) == there, "the mount fails where a plain directory does not, or in another way"


@needs("fio")
@pytest.mark.parametrize("engine", ["psync", "pvsync2", "libaio", "mmap", "io_uring"])
@pytest.mark.parametrize("direct", [0, 1])
def test_fio(mounted, engine, direct):
    said = run("fio", "--name=v", f"--directory={mounted.point}", f"--ioengine={engine}", "--rw=randrw", "--bs=4k-256k", "--size=256M",
               f"--direct={direct if engine != 'mmap' else 0}", "--numjobs=2", "--verify=crc32c", "--verify_fatal=1", "--iodepth=16",
               "--fallocate=none", "--verify_state_save=0", "--minimal", limit=900, code=None)
    if "Operation not permitted" in said or "Function not implemented" in said:
        pytest.skip(f"this machine has no {engine}")
    assert "verify:" not in said and "error" not in said.lower(), said


@needs("dbench")
def test_dbench(mounted):
    os.mkdir(mounted.path("d"))
    said = run("dbench", "-t", str(SOAK_SECONDS), "-D", mounted.path("d"), "8", limit=SOAK_SECONDS + 300)
    assert "Throughput" in said, said
