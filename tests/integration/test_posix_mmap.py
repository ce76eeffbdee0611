"""Memory mappings of files in a mount, and programs that run from it."""

import faulthandler
import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from conftest import needs_fuse
from twin import KEEP_SIZE, PUNCH_HOLE, fallocate, outcome

pytestmark = needs_fuse
PAGE = mmap.PAGESIZE


def in_child(work):
    """How a child ends that does @work: 0, or minus the signal."""
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def fd(folder):
    number = os.open(folder + "/file", os.O_RDWR | os.O_CREAT, 0o644)
    os.write(number, bytes(range(256)) * 64)  # four pages
    yield number
    os.close(number)


def test_shared_private_and_read_see_each_other(folder, fd):
    with mmap.mmap(fd, 0) as shared, mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE) as private:
        shared[PAGE - 2:PAGE + 2] = b"shar"
        assert os.pread(fd, 4, PAGE - 2) == b"shar" == private[PAGE - 2:PAGE + 2]
        private[0:4] = b"mine"
        assert shared[0:4] == bytes(range(4)) == os.pread(fd, 4, 0)
        os.pwrite(fd, b"written", 2 * PAGE)
        assert shared[2 * PAGE:2 * PAGE + 7] == b"written"
        os.pwrite(fd, b"1234", 0)
        assert private[0:4] == b"mine"
        fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 2 * PAGE, PAGE)
        assert shared[2 * PAGE:3 * PAGE] == bytes(PAGE)


def test_mapping_is_kept_through_close_and_unlink_and_reaches_the_vault(mounted):
    path = mounted.path("file")
    with open(path, "wb") as f:
        f.write(bytes(5 * PAGE))
    fd = os.open(path, os.O_RDWR)
    os.link(path, mounted.path("other"))
    with mmap.mmap(fd, 0) as m:
        os.close(fd)
        os.unlink(path)
        m[0:5] = b"first"
        m[4 * PAGE + 100:4 * PAGE + 104] = b"last"
        m.flush()
    mounted.remount()
    with open(mounted.path("other"), "rb") as f:
        data = f.read()
    assert data == b"first" + bytes(4 * PAGE + 95) + b"last" + bytes(PAGE - 104)


def test_unflushed_stores_survive_munmap_close_and_unmount(mounted):
    fd = os.open(mounted.path("file"), os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 1 << 20)
    with mmap.mmap(fd, 0) as m:
        for i in range(0, 1 << 20, 40_000):
            m[i:i + 3] = b"abc"
        os.close(fd)
    mounted.remount()
    with open(mounted.path("file"), "rb") as f:
        assert f.read().count(b"abc") == len(range(0, 1 << 20, 40_000))


def test_access_past_the_end_is_sigbus(fd):
    m = mmap.mmap(fd, 4 * PAGE)
    os.ftruncate(fd, PAGE + 10)
    assert m[PAGE:PAGE + 10] == bytes(range(10))
    assert m[PAGE + 10:2 * PAGE] == bytes(PAGE - 10), "the rest of the last page is zeros"
    assert in_child(lambda: m[2 * PAGE]) == -signal.SIGBUS
    assert in_child(lambda: m.__setitem__(3 * PAGE, 1)) == -signal.SIGBUS
    os.ftruncate(fd, 4 * PAGE)
    assert m[2 * PAGE:4 * PAGE] == bytes(2 * PAGE), "what came back is zeros"
    m[3 * PAGE] = 7
    assert os.pread(fd, 1, 3 * PAGE) == b"\x07"
    m.close()


def test_what_was_stored_behind_the_end_never_shows(mounted, tmp_path):
    """A page has room behind the end. Stores there are nobody's: growing the file must not bring them to light."""
    for top in (str(tmp_path), mounted.point):
        path = top + "/behind"
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        os.write(fd, b"x" * 100)
        with mmap.mmap(fd, 0) as m:
            # Python checks bounds, /proc/self/mem does not.
            with open("/proc/self/maps") as maps:
                start = next(int(line.split("-")[0], 16) for line in maps if line.rstrip().endswith(path))
            with open("/proc/self/mem", "r+b", buffering=0) as memory:
                memory.seek(start + 200)
                memory.write(b"behind")
            assert m[:100] == b"x" * 100
            os.fsync(fd)
        os.ftruncate(fd, 1000)
        assert os.pread(fd, 1000, 0) == b"x" * 100 + bytes(900), top
        os.close(fd)
    mounted.remount()
    with open(mounted.path("behind"), "rb") as f:
        assert f.read() == b"x" * 100 + bytes(900)


def test_what_may_be_mapped(folder, fd):
    reader = os.open(folder + "/file", os.O_RDONLY)
    writer = os.open(folder + "/file", os.O_WRONLY)
    assert outcome(lambda: mmap.mmap(reader, 0)) == "EACCES"  # shared and writable
    assert outcome(lambda: mmap.mmap(writer, 0, prot=mmap.PROT_READ)) == "EACCES"
    with mmap.mmap(reader, 0, flags=mmap.MAP_PRIVATE) as m:
        m[0] = 255
    with mmap.mmap(reader, 0, prot=mmap.PROT_READ) as m:
        assert m[0] == 0
    os.close(reader)
    os.close(writer)


def test_stores_beside_writes_and_truncation(folder, fd):
    """One process stores through a mapping, this one writes and cuts: SIGBUS is the only thing that may happen, and what was not touched stays."""
    size = 64 * PAGE
    os.ftruncate(fd, size)
    os.pwrite(fd, b"k" * PAGE, 0)
    ready, go = os.pipe()

    def store():
        with mmap.mmap(fd, size) as m:
            os.write(go, b"x")
            rng = random.Random(1)
            while True:
                at = rng.randrange(8, 64) * PAGE + rng.randrange(PAGE - 8)
                m[at:at + 8] = b"STORSTOR"

    child = os.fork()
    if child == 0:
        faulthandler.disable()
        store()
        os._exit(1)
    assert os.read(ready, 1) == b"x"
    rng = random.Random(2)
    for _ in range(200):
        os.pwrite(fd, b"wwwwwwww", rng.randrange(1, 8) * PAGE)
        assert os.pread(fd, PAGE, 0) == b"k" * PAGE
        os.ftruncate(fd, size)
    os.ftruncate(fd, 8 * PAGE)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGBUS
    os.close(ready)
    os.close(go)
    data = os.pread(fd, size, 0)
    assert len(data) == 8 * PAGE and data[:PAGE] == b"k" * PAGE and b"STOR" not in data


# ---- Running from the mount ----

def test_programs_scripts_and_libraries_run_from_the_mount(mounted):
    shutil.copy(os.path.realpath("/bin/cat"), mounted.path("cat"))
    with open(mounted.path("script"), "w") as f:
        f.write(f"#!{mounted.path('cat')}\nsecond line\n")
    os.chmod(mounted.path("script"), 0o755)
    with open("/proc/self/maps") as maps:
        libc = next(line.split()[-1] for line in maps if "/libc.so" in line or "/libc-" in line)
    shutil.copy(libc, mounted.path("library.so"))
    for _ in range(2):
        assert subprocess.check_output([mounted.path("cat"), "/proc/self/comm"]) == b"cat\n"
        assert subprocess.check_output([mounted.path("script")]).endswith(b"second line\n")
        program = "import ctypes, sys; assert ctypes.CDLL(sys.argv[1]).abs(-3) == 3"
        subprocess.run([sys.executable, "-c", program, mounted.path("library.so")], check=True)
        mounted.remount()
    os.chmod(mounted.path("cat"), 0o644)
    assert outcome(lambda: subprocess.run([mounted.path("cat")])) == "EACCES"


def test_running_program_is_busy(folder):
    shutil.copy(os.path.realpath("/bin/sleep"), folder + "/sleep")
    running = subprocess.Popen([folder + "/sleep", "100"])
    try:
        assert outcome(os.open, folder + "/sleep", os.O_WRONLY) == "ETXTBSY"
        assert outcome(os.truncate, folder + "/sleep", 0) == "ETXTBSY"
        os.unlink(folder + "/sleep")
        shutil.copy(os.path.realpath("/bin/true"), folder + "/sleep")
        assert subprocess.run([folder + "/sleep"]).returncode == 0
        assert running.poll() is None
    finally:
        running.kill()
        running.wait()
    held = os.open(folder + "/sleep", os.O_WRONLY)
    assert outcome(lambda: subprocess.run([folder + "/sleep"])) == "ETXTBSY"
    os.close(held)


def test_mapping_shared_by_processes(folder, fd):
    """A counter behind a lock, in a mapping that four processes share, and written back meanwhile."""
    program = """if True:
        import fcntl, mmap, os, struct, sys
        fd = os.open(sys.argv[1], os.O_RDWR)
        with mmap.mmap(fd, 0) as m:
            for i in range(500):
                fcntl.lockf(fd, fcntl.LOCK_EX)
                struct.pack_into("<Q", m, PAGE, struct.unpack_from("<Q", m, PAGE)[0] + 1)
                fcntl.lockf(fd, fcntl.LOCK_UN)
                if i % 100 == 0:
                    m.flush()
        """.replace("PAGE", str(PAGE))
    os.pwrite(fd, bytes(8), PAGE)
    stop = threading.Event()

    def push():
        while not stop.is_set():
            os.fsync(fd)

    pusher = threading.Thread(target=push)
    pusher.start()
    try:
        runs = [subprocess.Popen([sys.executable, "-c", program, folder + "/file"]) for _ in range(4)]
        assert [run.wait(timeout=100) for run in runs] == [0] * 4
    finally:
        stop.set()
        pusher.join()
    assert int.from_bytes(os.pread(fd, 8, PAGE), "little") == 2000
