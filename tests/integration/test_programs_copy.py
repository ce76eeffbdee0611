"""Programs that copy trees with everything on them: sparse files, attributes, ACLs, owners, packages."""

import glob
import os
import shutil
import subprocess

import pytest

from conftest import Mounted, needs_fuse
from hostile import errno_of
from programs import needs, root_only, run, same_trees

pytestmark = needs_fuse
MIB = 1 << 20


@pytest.fixture
def acl_mount(kms_box):
    return Mounted(kms_box, "-o", "allow_other,acl")


@pytest.fixture
def rich(tmp_path):
    """A tree with everything that a backup has to keep. Made with plain calls, on a plain directory."""
    top = tmp_path / "rich"
    os.mkdir(top)
    for i, name in enumerate(["plain", "naïve\n", "with space", "-dash"]):
        (top / name).write_bytes(os.urandom(10_000 * i))
        os.utime(top / name, ns=(10**18 + i, 10**18 + 123_456_789 + i))
        os.chmod(top / name, 0o640 + i)
    with open(top / "sparse", "wb") as f:
        f.truncate(64 * MIB)
        f.seek(20 * MIB + 5)
        f.write(b"island" * 1000)
    os.link(top / "plain", top / "second name")
    os.symlink("plain", top / "soft")
    os.mkfifo(top / "fifo")
    os.setxattr(top / "plain", "user.colour", b"blue\0\xff")
    os.setxattr(top, "user.empty", b"")
    subprocess.run(["setfacl", "-m", "u:12345:rw,g:23456:r", top / "with space"], check=True)
    os.mkdir(top / "shared")
    subprocess.run(["setfacl", "-m", "d:u:12345:rwx", top / "shared"], check=True)
    if os.geteuid() == 0:
        os.chown(top / "-dash", 12345, 23456)
        os.mknod(top / "null", 0o20666, os.makedev(1, 3))
    return str(top)


def blocks(path):
    return os.stat(path).st_blocks * 512


def acls(path):
    """As getfacl says, in the order of the names."""
    return sorted(run("getfacl", "-RPpn", ".", cwd=path).split("\n\n"))


@needs("rsync", "setfacl")
def test_rsync_with_everything(acl_mount, rich):
    for options in (["-aHAX"], ["-aHAX", "--sparse"], ["-aHAX", "--inplace", "--no-whole-file"]):
        run("rsync", *options, rich + "/", acl_mount.path("copy"))
        assert same_trees(rich, acl_mount.path("copy"), "-A", "--checksum") == ""
        assert acls(acl_mount.path("copy")) == acls(rich)
    assert same_trees(acl_mount.path("copy"), rich, "-A", "--checksum") == ""
    acl_mount.remount("-o", "allow_other,acl")
    assert same_trees(rich, acl_mount.path("copy"), "-A", "--checksum") == ""


@needs("tar", "setfacl")
def test_tar_with_everything(acl_mount, rich):
    """Out of the mount again, too: the second archive is like the first."""
    archive = acl_mount.path("a.tar")
    pack = ["tar", "--xattrs", "--acls", "--sparse", "--sort=name", "--numeric-owner"]
    run(*pack, "-C", rich, "-cf", archive, ".")
    assert os.path.getsize(archive) < 8 * MIB, "the hole is not in it"
    os.mkdir(acl_mount.path("copy"))
    run("tar", "--xattrs", "--xattrs-include=*", "--acls", "-C", acl_mount.path("copy"), "-xpf", archive)
    assert same_trees(rich, acl_mount.path("copy"), "-A") == ""
    assert acls(acl_mount.path("copy")) == acls(rich)
    assert blocks(acl_mount.path("copy/sparse")) < 2 * MIB
    run(*pack, "-C", acl_mount.path("copy"), "-df", archive)
    run(*pack, "-C", acl_mount.path("copy"), "-cf", acl_mount.path("b.tar"), ".")
    assert run("tar", "-tvf", acl_mount.path("b.tar")) == run("tar", "-tvf", archive)


@pytest.mark.parametrize("how, small", [("always", True), ("auto", True), ("never", False)])
def test_cp_sparse(mounted, rich, how, small):
    """Into the mount, inside it, and out of it."""
    inner, second, outer = mounted.path("one"), mounted.path("two"), mounted.box.path("out")
    for source, target in ((rich + "/sparse", inner), (inner, second), (second, outer)):
        run("cp", f"--sparse={how}", "--reflink=auto", source, target)
        run("cmp", rich + "/sparse", target)
        assert (blocks(target) < 2 * MIB) == small, (target, blocks(target))


def test_cp_keeps_zeros_out(mounted):
    """--sparse=always makes holes of zeros that were written."""
    with open(mounted.path("zeros"), "wb") as f:
        f.write(bytes(8 * MIB))
    run("cp", "--sparse=always", mounted.path("zeros"), mounted.path("hole"))
    run("cmp", mounted.path("zeros"), mounted.path("hole"))
    assert blocks(mounted.path("hole")) < MIB <= 8 * MIB <= blocks(mounted.path("zeros"))


def test_cp_reflink(mounted, rich):
    """Two files have two keys, so they can share nothing: asked for it always, cp says that it cannot, as on ext4."""
    shutil.copyfile(rich + "/-dash", mounted.path("one"))
    run("cp", "--reflink=auto", mounted.path("one"), mounted.path("two"))
    run("cmp", mounted.path("one"), mounted.path("two"))
    assert "Operation not supported" in run("cp", "--reflink=always", mounted.path("one"), mounted.path("three"), code=1)


def packages():
    """Real packages, small ones, that this machine may download or has."""
    return ["hello", "netbase", "libsnappy1v5"]


@root_only
@needs("dpkg", "apt-get", "dpkg-deb")
def test_dpkg_root(mounted, tmp_path):
    """Packages of this machine's own archive, installed below the mount and checked there; dpkg syncs and renames all it writes."""
    done = subprocess.run(["apt-get", "download", "-q", *packages()], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=120)
    debs = glob.glob(f"{tmp_path}/*.deb")
    if len(debs) != len(packages()):
        pytest.skip(f"no package to be had: {done.stdout.decode()[-300:]}")
    root = mounted.path("root")
    os.makedirs(root + "/var/lib/dpkg/info")
    for name in ("status", "available"):
        open(f"{root}/var/lib/dpkg/{name}", "w").close()
    dpkg = ["dpkg", f"--root={root}", "--force-depends", "--force-script-chrootless", "--log=/dev/null"]
    for _ in range(2):
        run(*dpkg, "--install", *debs)
    mounted.remount()
    for deb in debs:
        name = run("dpkg-deb", "-f", deb, "Package").strip()
        assert run(*dpkg, "--verify", name) == ""
        plain = tmp_path / name
        run("dpkg-deb", "-x", deb, plain)
        for folder, _, files in os.walk(plain):
            for file in (os.path.join(folder, f) for f in files):
                there = root + file[len(str(plain)):]
                assert os.path.islink(file) or open(file, "rb").read() == open(there, "rb").read(), there
    run(*dpkg, "--purge", "--force-all", "hello")
    assert errno_of(os.stat, root + "/usr/bin/hello") == "ENOENT"
