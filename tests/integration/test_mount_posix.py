"""What programs see of files and directories in a mount."""

import errno
import fcntl
import hashlib
import mmap
import os
import random
import socket
import stat
import threading

import pytest

from conftest import needs_fuse

pytestmark = needs_fuse


def write(path, data=b"content"):
    with open(path, "wb") as f:
        f.write(data)
    return path


def read(path):
    with open(path, "rb") as f:
        return f.read()


def fails(code, call, *args, **kwargs):
    with pytest.raises(OSError) as caught:
        call(*args, **kwargs)
    assert caught.value.errno == code, os.strerror(caught.value.errno)


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 65536, 1048576 + 17])
def test_content_survives_a_remount(mounted, size):
    data = random.Random(size).randbytes(size)
    write(mounted.path("file"), data)
    mounted.remount()
    assert read(mounted.path("file")) == data
    assert os.stat(mounted.path("file")).st_size == size


def test_unlinked_file_lives_while_open(folder):
    path = write(folder + "/file", b"0123456789")
    with open(path, "r+b") as f:
        os.unlink(path)
        assert not os.path.exists(path)
        assert os.fstat(f.fileno()).st_nlink == 0
        f.seek(5)
        f.write(b"ABC")
        f.flush()
        os.ftruncate(f.fileno(), 7)
        os.fchmod(f.fileno(), 0o640)
        os.fsync(f.fileno())
        assert os.fstat(f.fileno()).st_size == 7
        assert stat.S_IMODE(os.fstat(f.fileno()).st_mode) == 0o640
        assert os.pread(f.fileno(), 100, 0) == b"01234AB"
        write(path, b"another")
        assert os.pread(f.fileno(), 100, 0) == b"01234AB"
    assert read(path) == b"another"


def test_rename_over_an_open_file(folder):
    old, new = write(folder + "/old", b"old"), write(folder + "/new", b"new")
    with open(old, "rb") as f:
        os.rename(new, old)
        assert f.read() == b"old"
        assert os.fstat(f.fileno()).st_nlink == 0
    assert read(old) == b"new"
    assert os.listdir(folder) == ["old"]


def test_hard_links_are_one_file(folder):
    a, b, c = (folder + "/" + n for n in "abc")
    write(a, b"one")
    os.link(a, b)
    os.mkdir(folder + "/d")
    os.link(b, folder + "/d/c")
    assert os.stat(a).st_nlink == 3 and os.path.samefile(a, b)
    with open(b, "ab") as f:
        f.write(b" two")
    assert read(a) == b"one two" == read(folder + "/d/c")
    os.unlink(a)
    assert os.stat(b).st_nlink == 2
    assert read(b) == b"one two"
    os.rename(folder + "/d/c", c)
    os.unlink(b)
    assert read(c) == b"one two" and os.stat(c).st_nlink == 1
    fails(errno.ENOENT, os.stat, a)


def test_shared_mapping(folder):
    path = write(folder + "/file", bytes(3 * 4096 + 100))
    with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        m[4090:4100] = b"0123456789"
        m[3 * 4096:3 * 4096 + 3] = b"end"
        m.flush()
        assert os.pread(f.fileno(), 10, 4090) == b"0123456789"
        os.pwrite(f.fileno(), b"written", 100)
        assert m[100:107] == b"written"
    assert read(path)[3 * 4096:3 * 4096 + 3] == b"end"


def test_append_from_two_writers(folder):
    path = folder + "/log"

    def run(word):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for _ in range(500):
            os.write(fd, word)
        os.close(fd)

    threads = [threading.Thread(target=run, args=(w,)) for w in (b"aaaaaaa\n", b"bbbbbbb\n")]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    lines = read(path).split(b"\n")
    assert lines.count(b"aaaaaaa") == 500 and lines.count(b"bbbbbbb") == 500 and len(lines) == 1001


def test_open_flags(folder):
    path = write(folder + "/file", b"x" * 10000)
    fails(errno.EEXIST, os.open, path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))
    assert os.stat(path).st_size == 0 and read(path) == b""
    os.symlink("file", folder + "/link")
    fails(errno.ELOOP, os.open, folder + "/link", os.O_RDONLY | os.O_NOFOLLOW)
    fails(errno.ENOTDIR, os.open, path, os.O_RDONLY | os.O_DIRECTORY)
    fails(errno.EISDIR, os.open, folder, os.O_WRONLY)
    fails(errno.ENOENT, os.open, folder + "/none", os.O_RDONLY)
    fd = os.open(path, os.O_RDWR | os.O_SYNC)
    os.write(fd, b"durable")
    os.close(fd)
    assert read(path) == b"durable"


def test_direct_io(folder):
    fd = os.open(folder + "/file", os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
    buf = mmap.mmap(-1, 65536)
    buf.write(os.urandom(65536))
    assert os.pwritev(fd, [buf], 4096) == 65536
    back = mmap.mmap(-1, 65536)
    assert os.preadv(fd, [back], 4096) == 65536
    os.close(fd)
    assert back[:] == buf[:]


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 8192, 12289, 100000])
def test_truncate_around_chunk_borders(folder, size):
    data = random.Random(size).randbytes(20000)
    path = write(folder + "/file", data)
    os.truncate(path, size)
    assert read(path) == (data + bytes(100000))[:size]
    os.truncate(path, 30000)
    assert read(path) == ((data + bytes(100000))[:size] + bytes(100000))[:30000]


def test_sparse_file(folder):
    path = folder + "/sparse"
    with open(path, "wb") as f:
        f.seek(1 << 40)
        f.write(b"end")
    st = os.stat(path)
    assert st.st_size == (1 << 40) + 3
    assert st.st_blocks * 512 < 1 << 20
    with open(path, "rb") as f:
        assert f.read(4096) == bytes(4096)
        f.seek(1 << 40)
        assert f.read() == b"end"
        data = os.lseek(f.fileno(), 0, os.SEEK_DATA)
        assert 0 < data <= 1 << 40
        assert os.lseek(f.fileno(), 0, os.SEEK_HOLE) == 0


def test_punched_hole_reads_zero(folder):
    data = os.urandom(40960)
    path = write(folder + "/file", data)
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    fd = os.open(path, os.O_RDWR)
    assert libc.fallocate(fd, 1 | 2, 5000, 10000) == 0, os.strerror(ctypes.get_errno())
    assert libc.fallocate(fd, 0, 40960, 4096) == 0
    os.close(fd)
    assert read(path) == data[:5000] + bytes(10000) + data[15000:] + bytes(4096)


def test_symlinks(folder):
    for i, target in enumerate(["file", "/absolute/path", "x" * 1000, "ü\n \\", "../" * 50]):
        link = f"{folder}/link{i}"
        os.symlink(target, link)
        assert os.readlink(link) == target
        assert os.lstat(link).st_size == len(os.fsencode(target))
        assert stat.S_ISLNK(os.lstat(link).st_mode)
    fails(errno.EEXIST, os.symlink, "again", folder + "/link0")


def test_special_files(folder):
    os.mkfifo(folder + "/fifo", 0o600)
    assert stat.S_ISFIFO(os.stat(folder + "/fifo").st_mode)
    reader = os.open(folder + "/fifo", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(folder + "/fifo", os.O_WRONLY)
    os.write(writer, b"through")
    assert os.read(reader, 10) == b"through"
    os.close(reader)
    os.close(writer)
    here = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(f"/proc/self/fd/{here}/socket")
        server.listen()
        client.connect(f"/proc/self/fd/{here}/socket")
    os.close(here)
    assert stat.S_ISSOCK(os.stat(folder + "/socket").st_mode)


def test_xattrs(folder):
    path = write(folder + "/file")
    assert os.listxattr(path) == []
    os.setxattr(path, "user.one", b"1", os.XATTR_CREATE)
    fails(errno.EEXIST, os.setxattr, path, "user.one", b"2", os.XATTR_CREATE)
    fails(errno.ENODATA, os.setxattr, path, "user.two", b"2", os.XATTR_REPLACE)
    os.setxattr(path, "user.empty", b"")
    os.setxattr(path, "user.binary", bytes(range(256)))
    assert os.getxattr(path, "user.one") == b"1"
    assert os.getxattr(path, "user.empty") == b""
    assert os.getxattr(path, "user.binary") == bytes(range(256))
    assert sorted(os.listxattr(path)) == ["user.binary", "user.empty", "user.one"]
    os.removexattr(path, "user.one")
    fails(errno.ENODATA, os.getxattr, path, "user.one")
    fails(errno.ENODATA, os.removexattr, path, "user.one")
    os.setxattr(folder, "user.dir", b"too")
    assert os.getxattr(folder, "user.dir") == b"too"


@pytest.mark.skipif(os.geteuid() != 0, reason="file capabilities need root")
def test_file_capabilities_are_kept_and_cleared_by_writing(folder):
    path = write(folder + "/program")
    value = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service+ep
    fails(errno.ENODATA, os.getxattr, path, "security.capability")
    os.setxattr(path, "security.capability", value)
    assert os.getxattr(path, "security.capability") == value
    with open(path, "ab") as f:
        f.write(b"changed")
    fails(errno.ENODATA, os.getxattr, path, "security.capability")


def test_names_of_every_length_and_byte(folder):
    names = {b"n" * n for n in (1, 2, 100, 143, 170, 171, 172, 175, 176, 177, 200, 254, 255)}
    names |= {b"byte-" + bytes([c]) for c in range(1, 256) if c != 0x2f}
    names |= {b"...", b"-rf", b" ", b"signetfs.ini", b"signetfs.dir", b".signetfs"}
    top = os.fsencode(folder)
    for name in names:
        write(top + b"/" + name, name)
    assert set(os.listdir(top)) == names
    for name in names:
        assert read(top + b"/" + name) == name
    fails(errno.ENAMETOOLONG, write, top + b"/" + b"n" * 256)
    for name in names:
        os.rename(top + b"/" + name, top + b"/" + name[::-1] + b"~" if len(name) < 250 else top + b"/" + name[:-1] + b"~")
    assert len(os.listdir(top)) == len(names)
    for name in os.listdir(top):
        os.unlink(top + b"/" + name)
    assert os.listdir(top) == []


def test_statfs_and_identity(shared, folder):
    st = os.statvfs(folder)
    lower = os.statvfs(shared.vault)
    assert st.f_blocks == lower.f_blocks and st.f_namemax == 255
    os.mkdir(folder + "/d")
    write(folder + "/f")
    with os.scandir(folder) as entries:
        assert {e.name: e.inode() for e in entries} == {n: os.stat(f"{folder}/{n}").st_ino for n in ("d", "f")}


def test_mode_owner_and_times(folder):
    path = write(folder + "/file")
    for mode in (0o000, 0o444, 0o755, 0o7777, 0o644):
        os.chmod(path, mode)
        assert stat.S_IMODE(os.stat(path).st_mode) == mode
    os.utime(path, ns=(1_234_567_890_123_456_789, 987_654_321_987_654_321))
    st = os.stat(path)
    assert (st.st_atime_ns, st.st_mtime_ns) == (1_234_567_890_123_456_789, 987_654_321_987_654_321)
    if os.geteuid() == 0:
        os.chmod(path, 0o6755)
        os.chown(path, 1234, 5678)
        st = os.stat(path)
        assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (1234, 5678, 0o755)
    os.mkdir(folder + "/d", 0o750)
    assert stat.S_IMODE(os.stat(folder + "/d").st_mode) == 0o750


def test_umask_is_the_callers(folder):
    old = os.umask(0o027)
    try:
        os.close(os.open(folder + "/file", os.O_CREAT | os.O_WRONLY, 0o666))
        os.mkdir(folder + "/dir")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(folder + "/file").st_mode) == 0o640
    assert stat.S_IMODE(os.stat(folder + "/dir").st_mode) == 0o750


def test_writing_moves_mtime(folder):
    path = write(folder + "/file")
    os.utime(path, ns=(1, 1))
    with open(path, "ab") as f:
        f.write(b"more")
    assert os.stat(path).st_mtime_ns > 10**18
    os.utime(folder, ns=(1, 1))
    os.unlink(path)
    assert os.stat(folder).st_mtime_ns > 10**18


def rename2(source, target, flags):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(source), -100, os.fsencode(target), flags):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def test_rename_in_all_forms(folder):
    a, b = write(folder + "/a", b"A"), write(folder + "/b", b"B")
    fails(errno.EEXIST, rename2, a, b, 1)
    rename2(a, b, 2)
    assert (read(a), read(b)) == (b"B", b"A")
    os.makedirs(folder + "/d/e")
    fails(errno.EINVAL, os.rename, folder + "/d", folder + "/d/e/f")
    os.mkdir(folder + "/empty")
    write(folder + "/d/e/file", b"deep")
    os.rename(folder + "/d", folder + "/empty")
    assert read(folder + "/empty/e/file") == b"deep"
    os.mkdir(folder + "/full")
    write(folder + "/full/x")
    fails(errno.ENOTEMPTY, os.rename, folder + "/empty", folder + "/full")
    fails(errno.EISDIR, os.rename, a, folder + "/full")
    fails(errno.ENOTDIR, os.rename, folder + "/full", a)
    rename2(folder + "/full", a, 2)
    assert os.path.isdir(a) and read(folder + "/full") == b"B" and os.listdir(a) == ["x"]
    assert read(folder + "/empty/e/file") == b"deep"


def test_removed_directory_that_is_still_open(folder):
    os.mkdir(folder + "/d")
    fd = os.open(folder + "/d", os.O_RDONLY)
    os.rmdir(folder + "/d")
    assert os.listdir(fd) == []
    assert stat.S_ISDIR(os.fstat(fd).st_mode)
    fails(errno.ENOENT, os.open, "x", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.close(fd)
    os.mkdir(folder + "/e")
    write(folder + "/e/f")
    fails(errno.ENOTEMPTY, os.rmdir, folder + "/e")
    fails(errno.ENOTDIR, os.rmdir, folder + "/e/f")
    fails(errno.EISDIR, os.unlink, folder + "/e")


def test_listing_while_entries_come_and_go(folder):
    for i in range(3000):
        os.close(os.open(f"{folder}/f{i:05d}", os.O_CREAT | os.O_WRONLY))
    seen = []
    with os.scandir(folder) as entries:
        for i, entry in enumerate(entries):
            seen.append(entry.name)
            if i % 3 == 0:
                os.unlink(f"{folder}/{entry.name}")
    assert len(seen) == len(set(seen)) and len(seen) >= 3000
    left = sorted(os.listdir(folder))
    assert left == sorted(set(f"f{i:05d}" for i in range(3000)) - set(seen[::3]))


def test_two_listings_at_once_and_telldir(folder):
    import ctypes
    for i in range(1000):
        os.mkdir(f"{folder}/d{i:04d}")
    with os.scandir(folder) as one, os.scandir(folder) as two:
        names_one, names_two = [], []
        for a, b in zip(one, two):
            names_one.append(a.name)
            names_two.append(b.name)
    assert sorted(names_one) == sorted(names_two) == sorted(os.listdir(folder))
    libc = ctypes.CDLL(None)
    libc.opendir.restype = ctypes.c_void_p
    libc.readdir.restype = ctypes.POINTER(ctypes.c_char)
    libc.telldir.restype = ctypes.c_long
    libc.readdir.argtypes = libc.telldir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]
    libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
    d = libc.opendir(os.fsencode(folder))

    def next_name():
        entry = libc.readdir(d)
        return ctypes.string_at(ctypes.addressof(entry.contents) + 19) if entry else None

    order, places = [], []
    while True:
        places.append(libc.telldir(d))
        name = next_name()
        if name is None:
            break
        order.append(name)
    assert len(order) == 1002
    for i in random.Random(7).sample(range(1002), 50):
        libc.seekdir(d, places[i])
        assert next_name() == order[i]
    libc.closedir(d)


def test_deep_paths(folder):
    fd = os.open(folder, os.O_RDONLY)
    for i in range(200):
        name = f"level-{i}-" + "x" * 40
        os.mkdir(name, dir_fd=fd)
        deeper = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    with os.fdopen(os.open("bottom", os.O_CREAT | os.O_RDWR, dir_fd=fd), "w+b") as f:
        f.write(b"deep")
        f.seek(0)
        assert f.read() == b"deep"
    os.close(fd)
    import shutil
    shutil.rmtree(folder)


def test_locks_between_processes(folder):
    path = write(folder + "/file")
    with open(path, "r+b") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)
        pid = os.fork()
        if pid == 0:
            ok = 0
            with open(path, "r+b") as g:
                for lock in (lambda: fcntl.flock(g, fcntl.LOCK_EX | fcntl.LOCK_NB),
                             lambda: fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)):
                    try:
                        lock()
                    except BlockingIOError:
                        ok += 1
            os._exit(ok)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2


def test_programs_run_from_the_mount(folder):
    import shutil
    import subprocess
    shutil.copy("/bin/true", folder + "/program")
    assert subprocess.run([folder + "/program"]).returncode == 0
    with open(folder + "/script", "w") as f:
        f.write("#!/bin/sh\necho from the mount\n")
    os.chmod(folder + "/script", 0o755)
    assert subprocess.check_output([folder + "/script"]) == b"from the mount\n"


def test_a_file_of_mode_0444_takes_what_its_creator_writes(folder):
    fd = os.open(folder + "/file", os.O_CREAT | os.O_RDWR, 0o444)
    os.write(fd, b"a" * 100000)
    os.chmod(folder + "/file", 0)
    os.write(fd, b"b" * 100000)
    os.fsync(fd)
    assert os.fstat(fd).st_size == 200000
    os.close(fd)


def test_many_threads_on_one_file(folder):
    path = write(folder + "/file", bytes(64 * 4096))
    wrong = []

    def run(seed):
        rng = random.Random(seed)
        fd = os.open(path, os.O_RDWR)
        for n in range(300):
            at = (rng.randrange(64 // 4) * 4 + seed) * 4096
            block = hashlib.sha256(b"%d %d" % (seed, n)).digest() * 128
            os.pwrite(fd, block, at)
            if os.pread(fd, 4096, at) != block:
                wrong.append((seed, n))
        os.close(fd)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []
