"""Programs that are made to break file systems, in short; tests/soak/test_stress.py has them in full."""

import os

import pytest

from conftest import Mounted, needs_fuse
from programs import needs, root_only, run

pytestmark = needs_fuse
# fiemap says "not supported": extents of a lower file are no places of plain text.
STRESSORS = "access chmod dentry dir fallocate fcntl flock getdent link rename seek symlink xattr".split()


@needs("stress-ng")
@pytest.mark.parametrize("options", [[], ["-o", "default_permissions"]], ids=["as it comes", "default_permissions"])
def test_stress_ng(kms_box, options):
    """Each verifies what it did."""
    mounted = Mounted(kms_box, *options)
    words = [word for name in STRESSORS for word in (f"--{name}", "1", f"--{name}-ops", "20")]
    said = run("stress-ng", *words, "--verify", "--timeout", "5", "--temp-path", mounted.point)
    assert "fail:" not in said, said


@root_only
def test_root_may_not_execute_what_nobody_may(mounted):
    with open(mounted.path("file"), "w"):
        os.chmod(mounted.path("file"), 0o600)
    assert not os.access(mounted.path("file"), os.X_OK)
    assert os.access(mounted.path("file"), os.R_OK | os.W_OK) and os.access(mounted.point, os.X_OK)
    os.chmod(mounted.path("file"), 0o001)
    assert os.access(mounted.path("file"), os.X_OK)
    os.chdir(mounted.point)
    os.chdir("/")


@needs("fio")
@pytest.mark.parametrize("engine", ["psync", "libaio", "mmap", "io_uring"])
def test_fio_engines(mounted, engine):
    said = run("fio", "--name=v", f"--directory={mounted.point}", f"--ioengine={engine}", "--rw=randwrite", "--bs=4k-64k", "--size=8M",
               "--verify=crc32c", "--verify_fatal=1", "--iodepth=8", "--fallocate=none", "--minimal", cwd=mounted.box.home, code=None)
    if "Operation not permitted" in said or "Function not implemented" in said:
        pytest.skip(f"this machine has no {engine}")
    assert "verify:" not in said and "error" not in said.lower(), said


@needs("dbench")
def test_dbench(mounted):
    os.mkdir(mounted.path("d"))
    said = run("dbench", "-t", "2", "-D", mounted.path("d"), "2")
    assert "Throughput" in said, said
