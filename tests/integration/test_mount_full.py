"""A lower tree that runs full: the program is told, what was there stays, and freeing space heals."""

import errno
import os
import select
import shutil
import subprocess

import pytest

from conftest import Mounted, needs_fuse
from hostile import errno_of, wait_until, write
from machine import unclean_sessions

pytestmark = [needs_fuse, pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")]


@pytest.fixture
def small(kms_box):
    """A mount whose vault lies on 8 MiB."""
    disk = kms_box.path("disk")
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=400", "small", disk], check=True)
    m = None
    try:
        vault = os.path.join(disk, "vault")
        kms_box.run("init", vault)
        m = Mounted(kms_box, vault=vault)
        yield m
    finally:
        if m and m.point in kms_box.mounts:
            kms_box.umount(m.point)
        subprocess.run(["umount", disk], check=True)


def fill(path, size):
    """Write and sync; the errno that stopped it, or None."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        for _ in range(size // 65536):
            os.write(fd, os.urandom(65536))
        os.fsync(fd)
        return None
    except OSError as e:
        return e.errno
    finally:
        try:
            os.close(fd)
        except OSError:
            pass


def test_disk_full_while_writing(small):
    kept = os.urandom(1_000_000)
    with open(small.path("kept"), "wb") as f:
        f.write(kept)
        os.fsync(f.fileno())
    assert fill(small.path("big"), 20 << 20) == errno.ENOSPC
    assert open(small.path("kept"), "rb").read() == kept
    with open(small.path("kept"), "r+b") as f:  # overwriting in place needs no space to speak of
        f.seek(500_000)
        f.write(b"over")
    os.unlink(small.path("big"))
    assert fill(small.path("again"), 2 << 20) is None
    small.remount()
    assert open(small.path("kept"), "rb").read() == kept[:500_000] + b"over" + kept[500_004:]
    assert len(open(small.path("again"), "rb").read()) == 2 << 20
    assert sorted(os.listdir(small.point)) == ["again", "kept"]


def test_disk_full_while_appending(small):
    with open(small.path("log"), "wb") as f:
        f.write(b"s" * 300_000)
        os.fsync(f.fileno())
    assert fill(small.path("big"), 20 << 20) == errno.ENOSPC
    fd = os.open(small.path("log"), os.O_WRONLY | os.O_APPEND)
    stopped = None
    try:
        for _ in range(200):
            os.write(fd, b"t" * 50_000)
        os.fsync(fd)
    except OSError as e:
        stopped = e.errno
    try:
        os.close(fd)
    except OSError:
        pass
    assert stopped == errno.ENOSPC
    os.unlink(small.path("big"))  # a mount writes a few hundred bytes before anything else
    small.remount()
    data = open(small.path("log"), "rb").read()
    assert data[:300_000] == b"s" * 300_000


def test_out_of_inodes(small):
    made, stopped = [], None
    for i in range(1000):
        try:
            os.close(os.open(small.path(f"f{i}"), os.O_CREAT | os.O_WRONLY | os.O_EXCL))
            made.append(f"f{i}")
        except OSError as e:
            stopped = e.errno
            break
    assert stopped == errno.ENOSPC and len(made) > 300
    with pytest.raises(OSError) as caught:
        os.mkdir(small.path("d"))
    assert caught.value.errno == errno.ENOSPC
    assert sorted(os.listdir(small.point)) == sorted(made)
    for name in made[:10]:
        os.unlink(small.path(name))
    subprocess.run(["sh", "-c", "echo 2 > /proc/sys/vm/drop_caches"], check=True)
    os.mkdir(small.path("d"))
    with open(small.path("d/new"), "w") as f:
        f.write("fits")
    small.remount()
    assert open(small.path("d/new")).read() == "fits"
    assert len(os.listdir(small.point)) == len(made) - 10 + 1


# ---- A quota ----


@pytest.fixture
def quota(kms_box):
    """A mount whose vault lies on a btrfs subvolume that may take 16 MiB; .limit(SIZE) changes that."""
    if not shutil.which("mkfs.btrfs"):
        pytest.skip("no mkfs.btrfs (Debian: btrfs-progs) to have a quota with")
    image, disk = kms_box.path("image"), kms_box.path("disk")
    with open(image, "wb") as f:
        f.truncate(256 << 20)
    os.mkdir(disk)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(["mount", "-o", "loop", image, disk], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        pytest.skip("no btrfs on a loop device on this machine: " + done.stderr.strip())
    m = None
    try:
        for words in (["quota", "enable", disk], ["subvolume", "create", disk + "/mine"], ["qgroup", "limit", "16M", disk + "/mine"]):
            subprocess.run(["btrfs", *words], check=True, stdout=subprocess.DEVNULL)
        kms_box.run("init", disk + "/mine/vault")
        m = Mounted(kms_box, vault=disk + "/mine/vault")
        m.limit = lambda size: subprocess.run(["btrfs", "qgroup", "limit", size, disk + "/mine"], check=True)
        yield m
    finally:
        if m and m.point in kms_box.mounts:
            kms_box.umount(m.point)
        subprocess.run(["umount", disk], check=True)


def until_refused(action):
    """The errno that ended a thousand of them."""
    try:
        for i in range(1000):
            action(i)
    except OSError as e:
        return e.errno
    return None


def test_quota_reached(quota):
    kept = os.urandom(1_000_000)
    with open(quota.path("kept"), "wb") as f:
        f.write(kept)
        os.fsync(f.fileno())
    assert fill(quota.path("big"), 40 << 20) == errno.EDQUOT
    assert until_refused(lambda i: fill_one(quota.path(f"f{i}"), 60_000)) == errno.EDQUOT
    assert open(quota.path("kept"), "rb").read() == kept
    quota.limit("64M")
    assert fill(quota.path("again"), 2 << 20) is None
    quota.limit("16M")
    subprocess.run(["sync", "-f", quota.vault], check=True)
    assert until_refused(lambda i: os.setxattr(quota.path("kept"), f"user.{i}", b"v" * 3000)) == errno.EDQUOT
    assert until_refused(lambda i: os.mkdir(quota.path(f"d{i}"))) == errno.EDQUOT
    os.unlink(quota.path("big"))
    quota.remount()
    assert open(quota.path("kept"), "rb").read() == kept
    assert len(open(quota.path("again"), "rb").read()) == 2 << 20
    assert fill(quota.path("after"), 4 << 20) is None


def test_session_ends_clean_at_the_quota(quota):
    kept = os.urandom(1_000_000)
    with open(quota.path("kept"), "wb") as f:
        f.write(kept)
        os.fsync(f.fileno())
    quota.remount()
    os.close(os.open(quota.path("big"), os.O_CREAT | os.O_WRONLY))
    assert fill(quota.path("big"), 40 << 20) == errno.EDQUOT
    assert until_refused(lambda i: os.mkdir(quota.path(f"d{i}"))) == errno.EDQUOT
    quota.box.run("umount", quota.point)
    assert unclean_sessions(quota.vault) == 0
    quota.limit("64M")
    quota.box.run("mount", quota.vault, quota.point)
    assert open(quota.path("kept"), "rb").read() == kept


def fill_one(path, size):
    stopped = fill(path, size)
    if stopped:
        raise OSError(stopped, path)


# ---- Ending, and beginning, where no block is left ----


def fill_to_the_last_block(disk):
    """Beside the vault, so that the mount's own writes are what finds no room."""
    free = os.statvfs(disk)
    with open(disk + "/ballast", "wb") as f:
        os.posix_fallocate(f.fileno(), 0, free.f_bavail * free.f_frsize)
    assert os.statvfs(disk).f_bavail == 0


@pytest.mark.parametrize("lazy", [[], ["--lazy"]], ids=["umount", "lazy"])
def test_session_on_a_full_disk_ends_clean_and_another_begins(small, lazy):
    disk = os.path.dirname(small.vault)
    with open(small.path("kept"), "wb") as f:
        f.write(b"k" * 100_000)
    small.remount()
    fill_to_the_last_block(disk)
    for _ in range(3):
        assert open(small.path("kept"), "rb").read() == b"k" * 100_000
        pidfd = os.pidfd_open(small.pid())
        small.box.run("umount", *lazy, small.point)
        assert select.select([pidfd], [], [], 30)[0], "the process ends"
        os.close(pidfd)
        assert unclean_sessions(small.vault) == 0
        small.box.run("mount", small.vault, small.point)
    os.unlink(small.path("kept"))
    # The kernel lets go of a removed file a moment later.
    wait_until(lambda: errno_of(write, small.path("new"), b"n" * 50_000, True) == "", seconds=30)
    small.box.run("umount", small.point)
    assert unclean_sessions(small.vault) == 0
    small.box.run("mount", small.vault, small.point)
    assert open(small.path("new"), "rb").read() == b"n" * 50_000


@pytest.mark.parametrize("how", ["removed", "room"])
def test_file_that_got_no_header_and_then_did_not_matter(small, how):
    """Removed, or given its header at the end, once there is room: nothing is left that a crash would have to explain."""
    disk = os.path.dirname(small.vault)
    small.remount()
    os.close(os.open(small.path("first"), os.O_CREAT | os.O_WRONLY))
    assert fill(small.path("first"), 65536) is None  # the record of its key is there
    fill_to_the_last_block(disk)
    for name in ("a", "b"):
        fill(small.path(name), 65536)
    assert sorted(os.listdir(small.point)) == ["a", "b", "first"]
    if how == "removed":
        os.unlink(small.path("a"))
        os.unlink(small.path("b"))
    else:
        os.unlink(disk + "/ballast")
    small.box.run("umount", small.point)
    assert unclean_sessions(small.vault) == 0
    small.box.run("mount", small.vault, small.point)
    assert {n: os.path.getsize(small.path(n)) for n in os.listdir(small.point)} == (
        {"first": 65536} if how == "removed" else {"a": 0, "b": 0, "first": 65536})
