"""Real programs at work in a mount."""

import filecmp
import os
import shutil
import subprocess

import pytest

from conftest import needs_fuse

pytestmark = needs_fuse
LIMIT = 300


def run(*args, **options):
    done = subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT, **options)
    assert done.returncode == 0, done.stdout.decode(errors="replace")
    return done.stdout.decode(errors="replace")


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A source tree with everything that trees have: many files, links of both kinds, odd modes and names."""
    top = tmp_path_factory.mktemp("tree") / "tree"
    os.mkdir(top)
    for name in ("linux", "asm-generic", "x86_64-linux-gnu"):
        if os.path.isdir(f"/usr/include/{name}"):
            shutil.copytree(f"/usr/include/{name}", top / name, symlinks=True)
    (top / "ümläut\nname").write_bytes(b"odd")
    (top / "empty").write_bytes(b"")
    os.link(top / "empty", top / "hard link")
    os.symlink("empty", top / "soft link")
    os.symlink("/nowhere", top / "broken link")
    os.mkfifo(top / "fifo")
    os.chmod(top / "empty", 0o400)
    os.mkdir(top / "private", 0o700)
    (top / "big").write_bytes(os.urandom(5_000_000))
    return str(top)


def same_trees(a, b):
    """Empty when rsync finds nothing to do: content (checksums), modes, times, owners, links of both kinds."""
    return run("rsync", "-aHXnic", "--delete", a + "/", b + "/")


@needs("rsync")
def test_tar_round_trip(mounted, tree):
    run("sh", "-c", f"tar -C {tree} -cf - . | tar -C {mounted.point} -xpf -")
    assert same_trees(tree, mounted.point) == ""
    mounted.remount()
    assert same_trees(tree, mounted.point) == ""
    back = mounted.box.path("back")
    os.mkdir(back)
    run("sh", "-c", f"tar -C {mounted.point} -cf - . | tar -C {back} -xpf -")
    assert same_trees(tree, back) == ""


@needs("rsync")
def test_rsync(mounted, tree):
    target = mounted.path("copy")
    run("rsync", "-aHX", tree + "/", target)
    assert same_trees(tree, target) == ""
    assert os.path.samefile(target + "/empty", target + "/hard link")
    shutil.rmtree(target + "/linux", ignore_errors=True)
    with open(target + "/big", "r+b") as f:
        f.seek(1000)
        f.write(b"changed")
    run("rsync", "-aHX", "--inplace", "--no-whole-file", "-c", tree + "/", target)
    assert same_trees(tree, target) == ""


@needs("git")
def test_git(mounted):
    origin, clone = mounted.path("origin"), mounted.path("clone")
    env = {**mounted.box.env, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
           "GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*args, cwd=None):
        return run("git", *args, cwd=cwd, env=env)

    git("init", "-q", "-b", "main", origin)
    shutil.copytree("/usr/include/linux", origin + "/linux", symlinks=True)
    git("add", "-A", cwd=origin)
    git("commit", "-q", "-m", "first", cwd=origin)
    for i in range(20):
        with open(f"{origin}/file{i}", "w") as f:
            f.write(f"{i}\n" * 1000)
        git("add", "-A", cwd=origin)
        git("commit", "-q", "-m", f"commit {i}", cwd=origin)
    git("clone", "-q", "--no-hardlinks", origin, clone)
    git("gc", "-q", cwd=clone)
    git("fsck", "--full", "--strict", cwd=clone)
    assert git("status", "--porcelain", cwd=clone) == ""
    mounted.remount()
    git("fsck", "--full", cwd=clone)
    assert git("status", "--porcelain", cwd=clone) == ""
    assert git("rev-list", "--count", "HEAD", cwd=clone) == "21\n"


@needs("sqlite3")
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_sqlite(mounted, journal):
    db = mounted.path("test.db")
    run("sqlite3", db, f"pragma journal_mode={journal}; create table t(a integer primary key, b blob);"
        "with recursive n(i) as (select 1 union all select i+1 from n where i<5000) insert into t select i, randomblob(500) from n;"
        "delete from t where a % 3 = 0; update t set b = zeroblob(700) where a % 5 = 0; vacuum;")
    assert run("sqlite3", db, "pragma integrity_check; select count(*) from t;") == "ok\n3334\n"
    mounted.remount()
    assert run("sqlite3", db, "pragma integrity_check; select count(*) from t;") == "ok\n3334\n"


@needs("gcc")
@needs("make")
def test_a_build(mounted):
    source = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
    work = mounted.path("build")
    shutil.copytree(source + "/kms/base", work + "/kms/base")
    sources = sorted("kms/base/" + n for n in os.listdir(work + "/kms/base") if n.endswith(".c") and "ipsec" not in n)
    objects = " ".join(n[:-1] + "o" for n in sources)
    with open(work + "/Makefile", "w") as f:
        f.write(f"libbase.a: {objects}\n\tar rcs $@ $^\n%.o: %.c\n\tgcc -std=gnu11 -D_GNU_SOURCE -I. -c -o $@ $<\n")
    run("make", "-j2", cwd=work)
    assert "up to date" in run("make", cwd=work)
    assert "siv_seal" in run("nm", "--defined-only", "libbase.a", cwd=work)
    os.utime(work + "/" + sources[0])
    assert run("make", cwd=work).count("gcc") == 1


@needs("fio")
def test_fio_verifies(mounted):
    run("fio", "--name=v", f"--directory={mounted.point}", "--rw=randrw", "--bs=512-70000", "--size=24M", "--ioengine=psync",
        "--verify=crc32c", "--do_verify=1", "--verify_fatal=1", "--norandommap=0", "--randrepeat=1", "--fallocate=none",
        "--bs_unaligned=1", "--serialize_overlap=0", "--output=/dev/null", cwd=mounted.box.home)


def test_copies_of_many_sizes(mounted, tmp_path):
    for size in (0, 1, 100, 4095, 4096, 4097, 65535, 1 << 20, (1 << 20) + 1, 3 << 20):
        source = tmp_path / f"s{size}"
        source.write_bytes(os.urandom(size))
        shutil.copyfile(source, mounted.path(f"s{size}"))
    mounted.remount()
    for source in tmp_path.glob("s*"):
        if source.is_file():
            assert filecmp.cmp(source, mounted.path(source.name), shallow=False), source
