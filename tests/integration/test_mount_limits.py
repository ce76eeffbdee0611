"""Bounds: few descriptors, little memory, few KMS calls, whatever the tree's size."""

import io
import os
import random
import resource
import subprocess
import tarfile

import pytest

from conftest import SIGNETFS, Mounted, needs_fuse

pytestmark = needs_fuse
FILES, DIRECTORIES = 30_000, 300
MiB = 1 << 20


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A tar of 30,000 small files in 300 directories."""
    path = tmp_path_factory.mktemp("archive") / "tree.tar"
    with tarfile.open(path, "w") as tar:
        for d in range(DIRECTORIES):
            info = tarfile.TarInfo(f"tree/dir-{d:03d}")
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
            for f in range(FILES // DIRECTORIES):
                data = b"%d/%d\n" % (d, f) * (1 + (d * f) % 40)
                info = tarfile.TarInfo(f"tree/dir-{d:03d}/file-{f:03d}-with-a-name-of-usual-length")
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
    return str(path)


def limited_mount(box, vault):
    """`ulimit -n 256` is both limits: the process cannot raise it."""
    point = box.path("clear")
    os.makedirs(point, exist_ok=True)
    done = subprocess.run(["sh", "-c", f"ulimit -n 256; exec {SIGNETFS} mount {vault} {point}"], env=box.env, cwd=box.home,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert done.returncode == 0, done.stdout
    box.mounts.append(point)
    return point


def tree_sum(top):
    return subprocess.check_output(
        f"cd {top} && find . -type f -print0 | sort -z | xargs -0 cat | sha256sum", shell=True, timeout=300)


def test_30000_files_with_256_descriptors(kms_box, archive):
    vault = kms_box.make_vault()
    m = Mounted(kms_box, vault=vault, point=limited_mount(kms_box, vault))
    with open(f"/proc/{m.pid()}/limits") as f:
        assert any(line.split()[:5] == ["Max", "open", "files", "256", "256"] for line in f)
    subprocess.run(["tar", "-xf", archive, "-C", m.point], check=True, timeout=300)
    assert m.stats()["kms"]["calls"] <= 3, "unpacking 30,000 files"
    listed = subprocess.check_output(["ls", "-lR", m.point], timeout=300)
    assert listed.count(b"file-") == FILES
    held = m.stats()["descriptors_open"]
    assert held < 256
    before = tree_sum(m.point)
    assert m.memory() < 64 * MiB, "after unpacking, listing and reading"

    kms_box.umount(m.point)
    limited_mount(kms_box, m.vault)
    assert tree_sum(m.point) == before
    assert subprocess.check_output(["ls", "-lR", m.point], timeout=300) == listed
    assert m.memory() < 64 * MiB, "after walking and reading"
    assert m.stats()["kms"]["calls"] <= 3, "remounting and reading everything"

    subprocess.run(["rm", "-rf", m.path("tree")], check=True, timeout=300)
    assert os.listdir(m.point) == []
    with open("/proc/sys/vm/drop_caches", "w") if os.geteuid() == 0 else open(os.devnull, "w") as f:
        f.write("2")
    if os.geteuid() == 0:
        assert m.stats()["inodes_known"] < 100, "forgotten nodes are freed"
    assert m.stats()["descriptors_open"] < 256


def test_1000_files_open_with_256_descriptors(kms_box):
    vault = kms_box.make_vault()
    point = limited_mount(kms_box, vault)
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, old[1]), old[1]))
    try:
        fds = [os.open(f"{point}/f{i}", os.O_RDWR | os.O_CREAT, 0o444) for i in range(1000)]
        for n, fd in enumerate(fds):
            os.write(fd, b"%d" % n * 1000)
        for fd in fds:
            os.fsync(fd)
        for n, fd in enumerate(fds):
            assert os.pread(fd, 10000, 0) == b"%d" % n * 1000
        for n, fd in enumerate(fds[:100]):
            os.unlink(f"{point}/f{n}")
        for n, fd in enumerate(fds):
            os.pwrite(fd, b"again", 0)
            assert os.pread(fd, 5, 0) == b"again"
            os.close(fd)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, old)
    assert len(os.listdir(point)) == 900


def test_kms_calls_of_a_remount_that_reads_everything(mounted):
    for i in range(500):
        with open(mounted.path(f"f{i}"), "w") as f:
            f.write(str(i))
    mounted.remount()
    for i in range(500):
        with open(mounted.path(f"f{i}")) as f:
            assert f.read() == str(i)
    kms = mounted.stats()["kms"]
    assert kms["calls"] == 2, kms
    assert kms["calls_without_cache"] == 501
    assert kms["calls_avoided"] == 499


def test_without_bucket_keys_every_file_is_a_call(kms_box):
    m = Mounted(kms_box, vault=kms_box.make_vault("--bucket-key", "off"))
    for i in range(50):
        with open(m.path(f"f{i}"), "w") as f:
            f.write(str(i))
    kms = m.stats()["kms"]
    assert kms["GenerateDataKey"]["ok"] == 50 and kms["calls_avoided"] == 0


def test_a_directory_of_many_files(mounted):
    os.mkdir(mounted.path("many"))
    for i in range(20_000):
        os.close(os.open(mounted.path("many", f"{i:06d}"), os.O_CREAT | os.O_WRONLY))
    assert len(os.listdir(mounted.path("many"))) == 20_000
    mounted.remount()
    assert sorted(os.listdir(mounted.path("many"))) == [f"{i:06d}" for i in range(20_000)]
    subprocess.run(["rm", "-rf", mounted.path("many")], check=True, timeout=120)
    assert mounted.memory() < 64 * MiB


def test_requests_that_the_kernel_need_not_make(mounted):
    """Opening, closing and flushing files and directories costs no request, from the first file on."""
    for i in range(100):
        with open(mounted.path(f"f{i}"), "w") as f:
            f.write(str(i))
    for _ in range(3):
        for name in os.listdir(mounted.point):
            assert open(mounted.path(name)).read() == name[1:]
            os.stat(mounted.path(name))
    requests = mounted.stats()["requests"]
    assert requests.get("open", 0) <= 1 and requests.get("opendir", 0) <= 1 and requests.get("flush", 0) <= 1, requests
    assert not {"release", "releasedir", "access"} & set(requests), requests
    assert requests["create"] == 100 and requests["write"] == 100, requests
    assert requests.get("read", 0) == 0, "what was written is in the page cache"
    assert requests["lookup"] <= 105, requests
    os.listdir(mounted.point)
    again = mounted.stats()["requests"]
    for name in os.listdir(mounted.point):
        os.stat(mounted.path(name))
    assert {k: v for k, v in mounted.stats()["requests"].items() if k not in ("getattr", "statfs")} == \
        {k: v for k, v in again.items() if k not in ("getattr", "statfs")}, "a warm listing is the kernel's alone"


def write_sparsely(m, size, count):
    """`count` blocks at random places of a file of `size` bytes, verified before and after a remount; returns the lower file's bytes."""
    rng = random.Random(count)
    path, places = m.path("sparse"), {}
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    os.ftruncate(fd, size)
    for i in range(count):
        at = rng.randrange(size // 512) * 512
        places[at] = b"%016d" % i * 32
        os.pwrite(fd, places[at], at)
    os.fsync(fd)
    assert all(os.pread(fd, 512, at) == block for at, block in places.items())
    os.close(fd)
    memory = m.memory()
    m.box.umount(m.point)
    limited_mount(m.box, m.vault)
    assert os.stat(path).st_size == size
    with open(path, "rb", buffering=0) as f:
        for at, block in places.items():
            assert os.pread(f.fileno(), 512, at) == block
            before = at - 512
            assert before < 0 or os.pread(f.fileno(), 512, before) == places.get(before, bytes(512))
    assert max(memory, m.memory()) < 64 * MiB
    return os.stat(path).st_blocks * 512


def limited(kms_box):
    vault = kms_box.make_vault()
    return Mounted(kms_box, vault=vault, point=limited_mount(kms_box, vault))


def test_a_sparse_file_of_200_gib(kms_box):
    written = write_sparsely(limited(kms_box), 200 << 30, 300)
    # A stored chunk is 4136 bytes, so it lies on two blocks of the lower file or three.
    assert written <= 300 * 3 * 4096 + MiB
