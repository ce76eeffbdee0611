"""A lower tree that fails: who was not told that data is safe is told that it is not, again and again, until nobody has the file open."""

import fcntl
import mmap
import os
import platform
import struct
import subprocess
import threading
import time

import pytest

from conftest import needs_fuse
from hostile import Watched, errno_of, read, wait_until, write

pytestmark = [needs_fuse, pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and small disks need root")]
FEW = ("prlimit", "--nofile=110:110")  # so that a file is closed below soon after its last use
MIB = 1 << 20
LSEEK = {"x86_64": "8"}.get(platform.machine(), "62")  # the call's number
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
EXT4_IOC_SHUTDOWN = 0x8004587D  # everything fails from then on, as if the disk had been pulled


class Disk:
    """ext4 on a loop device whose backing file lies on a tmpfs: when that is full, blocks cannot be written (EIO)."""

    def __init__(self, box, size="48m"):
        self.under, self.path = box.path("under"), box.path("disk")
        os.mkdir(self.under)
        os.mkdir(self.path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.under], check=True)
        self.image = self.under + "/image"
        with open(self.image, "wb") as f:
            f.truncate(64 * MIB)
        # No journal: when it cannot be written, ext4 gives up altogether.
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", self.image], check=True)
        done = subprocess.run(["mount", "-o", "loop", self.image, self.path], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            subprocess.run(["umount", self.under], check=True)
            pytest.skip("no loop device: " + done.stderr.strip())

    def fail(self):
        """From now on no block is written that was not before."""
        subprocess.run(["mount", "-o", f"remount,size={max(os.stat(self.image).st_blocks * 512, 4096)}", self.under], check=True)

    def heal(self):
        subprocess.run(["mount", "-o", "remount,size=100m", self.under], check=True)

    def close(self):
        subprocess.run(["umount", "-l", self.path])
        subprocess.run(["umount", "-l", self.under])


@pytest.fixture
def disk(kms_box):
    d = Disk(kms_box)
    kms_box.run("init", d.path + "/vault")
    yield d
    for m in [s for s in kms_box.services if isinstance(s, Watched)]:
        m.kill()
    d.close()


@pytest.fixture
def small(kms_box):
    """A mount of a vault on 8 MiB."""
    path = kms_box.path("small")
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", path], check=True)
    kms_box.run("init", path + "/vault")
    m = Watched(kms_box, path + "/vault", before=FEW)
    m.disk = path
    yield m
    m.kill()
    subprocess.run(["umount", "-l", path])


def make_others(m, count=80):
    os.mkdir(m.path("others"))
    for i in range(count):
        write(m.path(f"others/{i}"), b"x")


def use_others(m, count=80):
    """The mount keeps a few dozen files open: whatever was before these is closed below now."""
    for i in range(count):
        fd = os.open(m.path(f"others/{i}"), os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.read(fd, 1) == b"x"
        os.fsync(fd)
        os.close(fd)


def sync_of(path):
    """What fsync says through a descriptor of its own."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return errno_of(os.fsync, fd)
    finally:
        os.close(fd)


def heals(path):
    """Nobody has it open for longer than a moment: the failure ends."""
    def good():
        if sync_of(path) == "":
            return True
        time.sleep(1.3)  # each try holds the file open; the promise is about a second
        return False

    wait_until(good, what=path)


def test_fsync_that_failed_below_fails_until_closed(kms_box, disk):
    m = Watched(kms_box, disk.path + "/vault", before=FEW)
    make_others(m)
    kept = os.urandom(MIB)
    write(m.path("kept"), kept, sync=True)
    os.sync()
    disk.fail()
    fd = os.open(m.path("file"), os.O_RDWR | os.O_CREAT)
    os.write(fd, os.urandom(2 * MIB))
    told = errno_of(os.fsync, fd)
    assert told in ("EIO", "ENOSPC"), "as the loop driver of this kernel calls it"
    assert [errno_of(os.fsync, fd) for _ in range(3)] == [told] * 3
    disk.heal()
    assert errno_of(os.fdatasync, fd) == told
    assert sync_of(m.path("file")) == told, "another descriptor"
    use_others(m)
    assert errno_of(os.fsync, fd) == told, "the mount had closed the file below"
    os.rename(m.path("file"), m.path("renamed"))
    os.pwrite(fd, b"more", 0)
    assert errno_of(os.fsync, fd) == told, "what came later is not known to be safe without what came before"
    assert sync_of(m.path("kept")) == "", "another file"
    os.close(fd)
    heals(m.path("renamed"))
    new = os.urandom(2 * MIB)
    write(m.path("renamed"), new, sync=True)
    assert sync_of(m.path("renamed")) == ""
    # Its last sync is told of what was lost meanwhile: the session does not end as a clean one.
    kms_box.umount(m.point)
    assert m.process.wait(timeout=30) == 1 and "syncing the vault" in m.log()
    m = Watched(kms_box, disk.path + "/vault")
    assert read(m.path("renamed")) == new and read(m.path("kept")) == kept
    m.umount()


def test_write_back_that_found_no_space_fails_until_closed(small):
    m = small
    make_others(m)
    kept = os.urandom(100_000)
    write(m.path("kept"), kept, sync=True)
    ballast = m.disk + "/ballast"
    with open(ballast, "wb") as f:
        os.posix_fallocate(f.fileno(), 0, os.statvfs(m.disk).f_bavail * os.statvfs(m.disk).f_frsize - 65536)
    fd = os.open(m.path("file"), os.O_RDWR | os.O_CREAT)
    second = os.open(m.path("file"), os.O_RDONLY)
    errno_of(os.write, fd, b"y" * MIB)
    assert errno_of(os.fsync, fd) == "ENOSPC"
    os.unlink(ballast)
    assert [errno_of(os.fsync, fd) for _ in range(3)] == ["ENOSPC"] * 3, "there is room now, but the data is gone"
    use_others(m)
    os.close(fd)
    assert errno_of(os.fsync, second) == "ENOSPC", "still open"
    mapping = mmap.mmap(second, 4096, prot=mmap.PROT_READ)
    os.close(second)
    time.sleep(2.5)
    assert sync_of(m.path("file")) == "ENOSPC", "still mapped"
    mapping.close()
    heals(m.path("file"))
    write(m.path("file"), kept, sync=True)
    m.umount()
    again = Watched(m.box, m.vault)
    assert read(again.path("file")) == kept == read(again.path("kept"))
    again.umount()


def test_new_mount_knows_of_no_failure(small):
    m = small
    with open(m.disk + "/ballast", "wb") as f:
        os.posix_fallocate(f.fileno(), 0, os.statvfs(m.disk).f_bavail * os.statvfs(m.disk).f_frsize - 65536)
    fd = os.open(m.path("file"), os.O_RDWR | os.O_CREAT)
    errno_of(os.write, fd, b"y" * MIB)
    assert errno_of(os.fsync, fd) == "ENOSPC"
    errno_of(os.close, fd)
    os.unlink(m.disk + "/ballast")
    m.umount()
    again = Watched(m.box, m.vault)
    fd = os.open(again.path("file"), os.O_RDWR)
    os.write(fd, b"z" * 1000)
    os.fsync(fd)
    os.close(fd)
    again.umount()


def test_unlinked_and_linked_files_that_failed(small):
    m = small
    write(m.path("linked"), b"x", sync=True)
    os.link(m.path("linked"), m.path("other name"))
    with open(m.disk + "/ballast", "wb") as f:
        os.posix_fallocate(f.fileno(), 0, os.statvfs(m.disk).f_bavail * os.statvfs(m.disk).f_frsize - 65536)
    linked, unlinked = (os.open(m.path(n), os.O_RDWR | os.O_CREAT) for n in ("linked", "unlinked"))
    os.unlink(m.path("unlinked"))
    for fd in (linked, unlinked):
        errno_of(os.write, fd, b"y" * MIB)
        assert errno_of(os.fsync, fd) == "ENOSPC"
    os.unlink(m.disk + "/ballast")
    assert errno_of(os.fsync, unlinked) == "ENOSPC" and sync_of(m.path("other name")) == "ENOSPC"
    os.close(unlinked)
    os.close(linked)
    heals(m.path("other name"))
    assert sync_of(m.path("linked")) == ""
    m.umount()


def test_disk_is_pulled(kms_box, disk):
    """Nothing hangs, every call says EIO, and the mount can be ended."""
    m = Watched(kms_box, disk.path + "/vault")
    write(m.path("file"), b"x" * 100_000, sync=True)
    fd = os.open(m.path("file"), os.O_RDWR)
    below = os.open(disk.path, os.O_RDONLY)
    try:
        fcntl.ioctl(below, EXT4_IOC_SHUTDOWN & 0xffffffff, struct.pack("I", 2))  # without a flush
    except OSError as e:
        pytest.skip(f"ext4 cannot be shut down here: {e}")
    finally:
        os.close(below)
    os.pwrite(fd, b"y", 0)
    assert errno_of(os.fsync, fd) == "EIO" and errno_of(os.fsync, fd) == "EIO"
    for change in (lambda: os.mkdir(m.path("d")), lambda: os.rename(m.path("file"), m.path("g")), lambda: os.unlink(m.path("file")),
                   lambda: os.chmod(m.path("file"), 0o600), lambda: os.close(os.open(m.path("new"), os.O_CREAT | os.O_WRONLY))):
        assert errno_of(change) in ("EIO", "EROFS")
    errno_of(os.close, fd)
    m.kill()


def test_below_becomes_read_only(small):
    m = small
    write(m.path("file"), b"x" * 10_000, sync=True)
    fd = os.open(m.path("file"), os.O_RDWR)
    subprocess.run(["mount", "-o", "remount,ro", m.disk], stderr=subprocess.PIPE)
    with open("/proc/mounts") as f:
        options = next(line.split()[3] for line in f if line.split()[1] == m.disk)
    if "ro" not in options.split(","):
        os.close(fd)
        # Refused while files are open for writing below: then nothing changed, and nothing fails.
        write(m.path("file"), b"y", sync=True)
        return
    assert errno_of(os.mkdir, m.path("d")) == "EROFS"
    os.close(fd)


def test_below_is_unmounted(small):
    """Refused while the vault is mounted; lazily, the mount goes on with what it holds."""
    m = small
    write(m.path("file"), b"x" * 10_000, sync=True)
    done = subprocess.run(["umount", m.disk], stderr=subprocess.PIPE, text=True)
    assert done.returncode and "busy" in done.stderr
    subprocess.run(["umount", "-l", m.disk], check=True)
    write(m.path("more"), b"y" * 10_000, sync=True)
    assert read(m.path("file")) == b"x" * 10_000 and read(m.path("more")) == b"y" * 10_000
    m.umount()


class Seek(threading.Thread):
    """In this process: another would close the descriptor on its way, and closing writes back."""

    def __init__(self, *args):
        super().__init__(daemon=True)
        self.args, self.result = args, None
        self.start()

    def run(self):
        self.result = os.lseek(*self.args)

    def is_waiting(self):
        with open(f"/proc/self/task/{self.native_id}/syscall") as f:
            return f.read().split()[:2] == [LSEEK, hex(self.args[0])]


def test_slow_seek_keeps_no_other_waiting(kms_box, disk):
    """The disk takes no writes (frozen): a seek that has to write back waits for it, one of another file does not."""
    m = Watched(kms_box, disk.path + "/vault")
    write(m.path("clean"), b"c" * 100_000, sync=True)
    write(m.path("dirty"), b"d" * 100_000, sync=True)
    clean, dirty, below = os.open(m.path("clean"), os.O_RDONLY), os.open(m.path("dirty"), os.O_RDWR), os.open(disk.path, os.O_RDONLY)
    assert os.lseek(clean, 0, os.SEEK_HOLE) == os.lseek(dirty, 0, os.SEEK_HOLE) == 100_000
    fcntl.ioctl(below, FIFREEZE, 0)
    try:
        os.pwrite(dirty, b"x" * 4096, 200_704)
        slow = Seek(dirty, 150_000, os.SEEK_DATA)
        wait_until(slow.is_waiting, seconds=30)
        fast = Seek(clean, 50_000, os.SEEK_HOLE)
        fast.join(timeout=30)
        assert fast.result == 100_000
        assert slow.result is None, "what it has to write back cannot be written"
    finally:
        fcntl.ioctl(below, FITHAW, 0)
    slow.join(timeout=30)
    assert slow.result == 200_704
    for fd in (clean, dirty, below):
        os.close(fd)
    m.umount()
