"""Sizes, holes and room of files in a mount, as ext4 has them."""

import errno
import os
import subprocess

import pytest

from conftest import SIGNETFS, Mounted, needs_fuse
from twin import check_data_map, data_map

pytestmark = needs_fuse


def fails(code, call, *args, **kwargs):
    with pytest.raises(OSError) as caught:
        call(*args, **kwargs)
    assert caught.value.errno == code, os.strerror(caught.value.errno)


@pytest.fixture
def fd(folder):
    """A new file, open."""
    number = os.open(folder + "/file", os.O_RDWR | os.O_CREAT, 0o644)
    yield number
    os.close(number)


# ---- Holes, and what the kernel has not written back yet ----

def test_data_that_is_only_in_the_page_cache_is_data(fd):
    os.pwrite(fd, b"x" * 100_000, 0)
    assert data_map(fd) == [(0, 100_000)]
    assert os.lseek(fd, 50_000, os.SEEK_DATA) == 50_000
    assert os.lseek(fd, 50_000, os.SEEK_HOLE) == 100_000


def test_dirty_pages_behind_and_inside_a_hole_are_data(fd):
    os.ftruncate(fd, 1 << 20)
    os.fsync(fd)
    assert data_map(fd) == []
    os.pwrite(fd, b"inside", 40 * 4096)
    os.pwrite(fd, b"behind", 2 << 20)
    assert data_map(fd) == [(40 * 4096, 41 * 4096), (2 << 20, (2 << 20) + 6)]
    os.pwrite(fd, b"y" * 4096 * 38, 2 * 4096)
    assert data_map(fd)[0] == (2 * 4096, 41 * 4096), "a hole that was filled is looked behind"


def test_many_programs_that_look_for_data_at_once(folder):
    """More than there are workers: each question waits for writes that the workers have to serve."""
    program = """if True:
        import os, sys
        fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
        for i in range(1, 60):
            os.pwrite(fd, b"z" * 4096, i * 40960)
            assert os.lseek(fd, (i - 1) * 40960 + 4096, os.SEEK_DATA) == i * 40960
            assert os.lseek(fd, i * 40960, os.SEEK_HOLE) == i * 40960 + 4096
        """
    runs = [subprocess.Popen(["/usr/bin/python3", "-c", program, f"{folder}/{i % 6}"], stderr=subprocess.PIPE) for i in range(12)]
    for run in runs:
        _, text = run.communicate(timeout=100)
        assert run.returncode == 0, text.decode()


def test_sparse_copies_of_a_file_that_is_still_being_written(folder, fd):
    """cp and tar ask for blocks and holes; what they leave out is lost."""
    os.pwrite(fd, b"begin", 0)
    os.pwrite(fd, b"middle" * 1000, 300_000)
    os.pwrite(fd, b"end", 5_000_000)
    assert os.fstat(fd).st_blocks > 0, "no blocks would mean no data"
    subprocess.run(["tar", "-C", folder, "-cSf", folder + "/archive.tar", "file"], check=True)
    subprocess.run(["cp", "--sparse=auto", folder + "/file", folder + "/copy"], check=True)
    os.mkdir(folder + "/out")
    subprocess.run(["tar", "-C", folder + "/out", "-xf", folder + "/archive.tar"], check=True)
    content = os.pread(fd, 10_000_000, 0)
    assert content.count(b"middle") == 1000
    for copy in ("/copy", "/out/file"):
        with open(folder + copy, "rb") as f:
            assert f.read() == content
            check_data_map(f.fileno(), content)


# ---- Limits of size ----

def mount_under_limit(box, limit):
    vault, point = box.make_vault(), box.path("clear")
    os.mkdir(point)
    done = subprocess.run(["sh", "-c", f"ulimit {limit}; exec {SIGNETFS} mount {vault} {point}"], env=box.env, cwd=box.home,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert done.returncode == 0, done.stdout
    box.mounts.append(point)
    return Mounted(box, vault=vault, point=point)


def test_soft_file_size_limit_of_the_mounting_shell_is_not_the_mounts(kms_box):
    m = mount_under_limit(kms_box, "-S -f 100")
    with open(m.path("file"), "wb") as f:
        f.write(b"x" * 500_000)
    m.remount()
    assert os.stat(m.path("file")).st_size == 500_000


def test_hard_file_size_limit_of_the_mounting_shell_is_an_error_and_not_the_end(kms_box):
    m = mount_under_limit(kms_box, "-f 100")  # 512-byte blocks in sh
    fd = os.open(m.path("file"), os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * 20_000)
    os.fsync(fd)
    os.pwrite(fd, b"y" * 500_000, 20_000)
    with pytest.raises(OSError) as caught:
        os.fsync(fd)
    assert caught.value.errno == errno.EFBIG
    os.close(fd)
    m.remount()
    with open(m.path("file"), "rb") as f:
        assert f.read(20_000) == b"x" * 20_000
