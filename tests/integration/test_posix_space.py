"""Sizes, holes and room of files in a mount, as ext4 has them."""

import errno
import mmap
import os
import random
import signal
import subprocess
import sys

import pytest

from conftest import SIGNETFS, Mounted, needs_fuse
from twin import (COLLAPSE_RANGE, INSERT_RANGE, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, check_data_map, data_map, fallocate, outcome)

pytestmark = needs_fuse


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


# ---- Sizes ----

BORDERS = sorted({0, 1, 100, *(chunk * 4096 + delta for chunk in (1, 2, 3, 31, 32, 33, 256) for delta in (-1, 0, 1))})
BIG = 257 * 4096 + 123


@pytest.fixture(scope="module")
def content():
    return random.Random(5).randbytes(BIG)


@pytest.mark.parametrize("kind", ["by path", "open", "unlinked"])
def test_truncate_to_every_size_around_chunk_borders(shared, folder, content, kind):
    """Cut to each size, and grown again by every amount of interest: what is cut comes back as zeros."""
    for size in BORDERS:
        path = f"{folder}/{size}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.write(fd, content)
        if kind == "unlinked":
            os.unlink(path)
        expected = content
        for step in (size, size + 1, size + 4096, size + 4095, size // 2, size // 2 + 1, BIG):
            os.truncate(path if kind == "by path" else fd, step)
            expected = expected[:step] + bytes(max(0, step - len(expected)))
            assert os.fstat(fd).st_size == step
            if step != BIG:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            assert os.pread(fd, BIG * 2, 0) == expected, (size, step)
        os.close(fd)
    if kind == "open":
        shared.remount()
        for size in BORDERS:
            with open(f"{folder}/{size}", "rb") as f:
                assert f.read() == content[:size // 2] + bytes(BIG - size // 2)


@pytest.mark.parametrize("start", [0, 1, 4095, 4096, 4097, 131072])
def test_writing_past_the_end_leaves_zeros(shared, folder, start):
    for gap in (1, 4095, 4096, 4097, 200_000):
        path = f"{folder}/{gap}"
        with open(path, "wb") as f:
            f.write(b"a" * start)
        fd = os.open(path, os.O_RDWR)
        os.pwrite(fd, b"end", start + gap)
        os.close(fd)
    shared.remount()
    for gap in (1, 4095, 4096, 4097, 200_000):
        with open(f"{folder}/{gap}", "rb") as f:
            assert f.read() == b"a" * start + bytes(gap) + b"end"


def test_unlinked_file_takes_everything(folder, content, fd):
    os.write(fd, content)
    os.unlink(folder + "/file")
    os.ftruncate(fd, 5000)
    os.pwrite(fd, b"far", 3 << 20)
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 100, 200)
    os.fchmod(fd, 0o4751)
    os.fchown(fd, os.geteuid(), os.getegid())
    os.utime(fd, ns=(10**18 + 1, 10**18 + 2))
    os.setxattr(fd, "user.x", b"y")
    st = os.fstat(fd)
    assert (st.st_size, st.st_nlink, st.st_mtime_ns, os.getxattr(fd, "user.x")) == ((3 << 20) + 3, 0, 10**18 + 2, b"y")
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    assert os.pread(fd, 6000, 0) == content[:100] + bytes(200) + content[300:5000] + bytes(1000)
    assert os.pread(fd, 10, 3 << 20) == b"far"
    with mmap.mmap(fd, 0) as m:
        m[50:53] = b"map"
    assert os.pread(fd, 3, 50) == b"map"
    assert outcome(lambda: os.link(f"/proc/self/fd/{fd}", folder + "/again", src_dir_fd=fd)) == "ENOENT"
    assert os.listdir(folder) == []


TiB = 1 << 40


def blocks_below(top):
    return sum(os.lstat(os.path.join(folder, n)).st_blocks for folder, _, names in os.walk(top) for n in names)


def test_sparse_files_of_a_tebibyte(shared, folder):
    before = blocks_below(shared.vault)
    for how in ("truncate", "write", "punch", "keep"):
        fd = os.open(f"{folder}/{how}", os.O_RDWR | os.O_CREAT, 0o644)
        if how == "truncate":
            os.ftruncate(fd, TiB)
        elif how == "write":
            os.pwrite(fd, b"end", TiB - 3)
        elif how == "punch":
            os.pwrite(fd, b"x" * (8 << 20), 0)
            os.ftruncate(fd, TiB)
            fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, TiB)
        else:
            os.ftruncate(fd, 4097)
            os.ftruncate(fd, TiB)
        os.fsync(fd)
        assert os.pread(fd, 100_000, TiB // 2) == bytes(100_000)
        os.close(fd)
    assert blocks_below(shared.vault) - before < (1 << 20) // 512
    shared.remount()
    for how in ("truncate", "write", "punch", "keep"):
        fd = os.open(f"{folder}/{how}", os.O_RDWR)
        assert os.fstat(fd).st_size == TiB and os.fstat(fd).st_blocks * 512 < 1 << 20
        assert data_map(fd) == ([(TiB - 4096, TiB)] if how == "write" else [])
        assert os.pread(fd, 10, TiB - 3) == (b"end" if how == "write" else bytes(3))
        os.close(fd)
        subprocess.run(["cp", "--sparse=auto", f"{folder}/{how}", f"{folder}/copy"], check=True, timeout=60)
        assert os.stat(f"{folder}/copy").st_size == TiB and os.stat(f"{folder}/copy").st_blocks * 512 < 1 << 20
        os.unlink(f"{folder}/copy")


# ---- Errors, as the plain file system gives them ----

def ranges(fd, path):
    """Calls that must fail, or not, in the same way anywhere; the file has 20,000 bytes and is in a folder with nothing else."""
    reader, writer = os.open(path, os.O_RDONLY), os.open(path, os.O_WRONLY)
    folder, (out, into) = os.open(os.path.dirname(path), os.O_RDONLY), os.pipe()
    far = (1 << 63) - 1
    yield from [
        outcome(fallocate, reader, 0, 0, 10), outcome(fallocate, folder, 0, 0, 10), outcome(fallocate, into, 0, 0, 10), outcome(fallocate, fd, 0, -1, 10),
        outcome(fallocate, fd, 0, 0, 0), outcome(fallocate, fd, 0, 0, -1), outcome(fallocate, fd, 0, far, 10), outcome(fallocate, fd, PUNCH_HOLE, 0, 10),
        outcome(fallocate, fd, PUNCH_HOLE | ZERO_RANGE | KEEP_SIZE, 0, 10), outcome(fallocate, fd, KEEP_SIZE, 30_000, 10), os.fstat(fd).st_size,
        outcome(fallocate, fd, ZERO_RANGE | KEEP_SIZE, 19_000, 50_000), os.fstat(fd).st_size, outcome(fallocate, fd, ZERO_RANGE, 19_000, 3_000),
        os.fstat(fd).st_size, outcome(fallocate, fd, PUNCH_HOLE | KEEP_SIZE, 40_000, 10_000), os.fstat(fd).st_size,
        outcome(fallocate, fd, 0, 22_000, 4_097), os.fstat(fd).st_size, os.pread(fd, 50_000, 18_990),
    ]
    yield from [
        outcome(os.ftruncate, reader, 5), outcome(os.ftruncate, fd, -1), outcome(os.truncate, path, -1), outcome(os.truncate, os.path.dirname(path), 0),
        outcome(os.ftruncate, into, 5), outcome(os.pread, writer, 5, 0), outcome(os.pwrite, reader, b"x", 0), outcome(os.pread, fd, 5, -1),
        outcome(os.pwrite, fd, b"x", -1), outcome(os.pread, folder, 5, 0), outcome(os.pread, fd, 10, far - 10),
        outcome(os.lseek, fd, -1, os.SEEK_SET), outcome(os.lseek, fd, far, os.SEEK_END), outcome(os.lseek, fd, 0, 9),
        outcome(os.lseek, fd, far, os.SEEK_DATA), outcome(os.lseek, fd, -1, os.SEEK_HOLE),
        outcome(os.posix_fadvise, fd, 0, 0, 99), outcome(os.posix_fadvise, into, 0, 0, 0),
    ]
    yield from [
        outcome(os.copy_file_range, fd, fd, 100, 0, 50), outcome(os.copy_file_range, fd, fd, 100, 0, 100), outcome(os.copy_file_range, writer, fd, 10, 0, 500),
        outcome(os.copy_file_range, fd, reader, 10, 0, 500), outcome(os.copy_file_range, fd, fd, 10, 1 << 40, 0), outcome(os.copy_file_range, fd, fd, 50, 25_000, 0),
        outcome(os.copy_file_range, fd, into, 10), outcome(os.copy_file_range, folder, fd, 10, 0, 0),
        outcome(os.copy_file_range, fd, fd, 0, 0, 0), outcome(os.sendfile, reader, fd, 0, 10), outcome(os.sendfile, fd, writer, 0, 10),
        outcome(os.sendfile, fd, into, 0, 10), os.pread(fd, 30_000, 0),
    ]
    for number in (reader, writer, folder, out, into):
        os.close(number)


def test_errors_and_answers_of_a_plain_file_system(folder, tmp_path, fd):
    answers = []
    for path in (folder + "/file", str(tmp_path / "file")):
        with open(path, "wb") as f:
            f.write(random.Random(3).randbytes(20_000))
        number = os.open(path, os.O_RDWR)
        answers.append(list(ranges(number, path)))
        os.close(number)
    assert [(i, a, b) for i, (a, b) in enumerate(zip(*answers)) if a != b] == []
    assert sum(isinstance(a, str) for a in answers[1]) > 30, "most are errors"


def test_ranges_cannot_be_collapsed_or_inserted(fd):
    """The kernel's FUSE has no such request: refused at any alignment, where ext4 refuses what is not on block borders."""
    os.write(fd, b"x" * 40_960)
    for mode in (COLLAPSE_RANGE, INSERT_RANGE):
        for offset, length in ((0, 4096), (4096, 8192), (1, 4096), (4096, 100)):
            assert outcome(fallocate, fd, mode, offset, length) == "ENOTSUP"
    assert os.pread(fd, 50_000, 0) == b"x" * 40_960


def test_file_size_limit_of_a_program(folder, tmp_path):
    program = """if True:
        import os, resource, signal, sys
        sys.path.insert(0, sys.argv[2])
        from twin import fallocate, outcome
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        fd = os.open(sys.argv[1] + "/limited", os.O_RDWR | os.O_CREAT)
        os.write(fd, b"x" * 9000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        print(outcome(os.pwrite, fd, b"y" * 3000, 9000), outcome(os.pwrite, fd, b"y", 10_000), outcome(os.ftruncate, fd, 10_001), outcome(os.ftruncate, fd, 9_999),
              outcome(fallocate, fd, 0, 0, 10_001), outcome(fallocate, fd, 1, 0, 10_001), outcome(os.copy_file_range, fd, fd, 9, 0, 10_000), os.fstat(fd).st_size)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        sys.stdout.flush()
        os.pwrite(fd, b"y", 10_000)
        """
    runs = [subprocess.run([sys.executable, "-c", program, top, os.path.dirname(__file__)], stdout=subprocess.PIPE, text=True)
            for top in (folder, str(tmp_path))]
    assert runs[0].returncode == runs[1].returncode == -signal.SIGXFSZ
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.split()[:3] == ["1000", "EFBIG", "EFBIG"], runs[0].stdout


def largest(fd):
    """The largest size that ftruncate takes."""
    low, high = 0, 1 << 63
    while high - low > 1:
        middle = (low + high) // 2
        if outcome(os.ftruncate, fd, middle) == "EFBIG":
            high = middle
        else:
            low = middle
    os.ftruncate(fd, low)
    return low


def test_largest_file(tmp_path, fd):
    """The lower tree's largest file, less the header and what each stored chunk has of its own (40 bytes). Beyond it: EFBIG from ftruncate and fallocate; a write is taken
    into the page cache, and it is fsync that says so, or close (EIO, the kernel's word)."""
    with open(tmp_path / "plain", "wb") as f:
        plain = largest(f.fileno())
    ours = largest(fd)
    chunks, rest = divmod(plain - 512, 4136)
    if ours < 1 << 62:
        assert chunks * 4096 - (1 << 20) < ours <= chunks * 4096 + rest
    assert outcome(os.ftruncate, fd, ours + 1) == "EFBIG" == outcome(fallocate, fd, 0, 0, ours + 1)
    os.pwrite(fd, b"end", ours - 3)
    os.fsync(fd)
    assert os.pread(fd, 10, ours - 3) == b"end"
    os.pwrite(fd, b"lost", ours)
    assert outcome(os.fsync, fd) == "EFBIG"
    os.pwrite(fd, b"x", ours + 4096)
    assert outcome(os.close, os.dup(fd)) == "EIO"
    os.ftruncate(fd, ours)
    assert os.pread(fd, 10, ours - 3) == b"end"


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
