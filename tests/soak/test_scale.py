"""Large trees, large directories, large files: under `ulimit -n 256`, with memory that stays small."""

import errno
import os
import subprocess

from as_user import needs_root
from conftest import needs_fuse
from test_mount_limits import MiB, limited, write_sparsely

pytestmark = [needs_fuse]
LINKS = 70_000  # more than ext4 takes
FILES, PER_DIRECTORY = int(os.environ.get("SIGNETFS_FILES", 1_000_000)), 100


def name_of(top, i):
    return f"{top}/{i // PER_DIRECTORY:05d}/file-{i:07d}"


def unpack(top, count):
    for i in range(count):
        if i % PER_DIRECTORY == 0:
            os.makedirs(os.path.dirname(name_of(top, i)))
        with open(name_of(top, i), "xb", buffering=0) as f:
            f.write(b"%d\n" % i)


@needs_root
def test_a_million_files(kms_box):
    m = limited(kms_box)
    empty = m.memory()
    unpack(m.path("tree"), FILES)
    assert int(subprocess.check_output(f"find {m.path('tree')} -type f -size -10c | wc -l", shell=True)) == FILES
    known, resident = m.stats()["inodes_known"], m.memory()
    assert known > FILES
    assert resident < 200 * MiB, f"{resident / MiB:.0f} MiB for {known} inodes"
    assert (resident - empty) / known < 256 + len("file-0000000")
    for i in range(0, FILES, 9973):
        with open(name_of(m.path("tree"), i), "rb") as f:
            assert f.read() == b"%d\n" % i
    subprocess.run(["rm", "-rf", m.path("tree")], check=True)
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3")
    assert m.stats()["inodes_known"] < 100 and m.stats()["descriptors_open"] < 256


def test_a_directory_of_200000_files(kms_box):
    m = limited(kms_box)
    os.mkdir(m.path("many"))
    names = [f"{i:06d}" for i in range(200_000)]
    for name in names:
        os.close(os.open(m.path("many", name), os.O_CREAT | os.O_WRONLY))
    assert sorted(os.listdir(m.path("many"))) == names
    assert m.memory() < 128 * MiB
    subprocess.run(["rm", "-rf", m.path("many")], check=True)
    assert os.listdir(m.point) == []


def test_a_sparse_file_of_200_gib_with_many_writes(kms_box):
    written = write_sparsely(limited(kms_box), 200 << 30, 20_000)
    assert written <= 20_000 * 3 * 4096 + MiB


def links_until_refused(top):
    """How many names one file can have, at most LINKS, and the errno that ended it."""
    os.mkdir(top)
    os.close(os.open(top + "/0", os.O_CREAT | os.O_WRONLY))
    for i in range(1, LINKS):
        try:
            os.link(top + "/0", f"{top}/{i}")
        except OSError as e:
            return os.stat(top + "/0").st_nlink, errno.errorcode[e.errno]
    return os.stat(top + "/0").st_nlink, None


def test_links_until_the_lower_tree_refuses(kms_box):
    m = limited(kms_box)
    plain = links_until_refused(kms_box.path("plain"))
    print(plain)
    assert links_until_refused(m.path("links")) == plain
    os.unlink(m.path("links/0"))
    os.link(m.path("links/1"), m.path("links/again"))
    assert os.stat(m.path("links/again")).st_nlink == plain[0]
