"""`signetfs restore`: what comes out is what the mount shows, to the byte and attribute; nothing outside DEST is touched, nothing in it is
replaced unasked; damage is named and gone past."""

import hashlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading

import pytest
from as_user import USER, needs_root, run as run_as
from conftest import LIMIT, SIGNETFS, Box, Service, needs_fuse
from hostile import read, wait_until, write
from rescue_world import HEADER, STORED, Sound, copy, lower_names, told
from tree_diff import tree

pytestmark = needs_fuse
IS_ROOT = os.geteuid() == 0


def pattern(n, seed):
    return (hashlib.sha256(str(seed).encode()).digest() * (n // 32 + 1))[:n]


def fill(top):
    """Everything that a tree can have."""
    p = lambda *parts: os.path.join(top, *parts)  # noqa: E731
    os.makedirs(p("a/b/c"))
    os.makedirs(p("n" * 255))
    for name, size in (("empty", 0), ("one", 1), ("chunk", 4096), ("more", 4097), ("a/large", 3 << 20), ("a/b/c/deep", 10000)):
        write(p(name), pattern(size, name))
    write(p("n" * 255, "m" * 255), b"long")
    write(p("a", "odd\n\x01 \udcff"), b"odd")
    os.link(p("one"), p("a/b/two"))
    os.link(p("one"), p("three"))
    os.symlink("../elsewhere/" + "t" * 2000, p("a/link"))
    os.symlink("/etc/passwd", p("out"))
    os.link(p("out"), p("a/out"), follow_symlinks=False)
    os.mkfifo(p("fifo"), 0o620)
    s = socket.socket(socket.AF_UNIX)
    here = os.open(".", os.O_RDONLY)
    os.chdir(top)
    s.bind("sock")
    os.fchdir(here)
    os.close(here)
    s.close()
    with open(p("sparse"), "wb") as f:
        f.truncate(64 << 20)
        f.seek(32 << 20)
        f.write(b"middle" * 1000)
    os.setxattr(p("a/large"), "user.colour", b"green")
    os.setxattr(p("a/large"), "user." + "x" * 250, b"")
    os.setxattr(p("a"), "user.of a folder", b"\0\1\2" * 500)
    if IS_ROOT:
        os.mknod(p("null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(p("loop"), stat.S_IFBLK | 0o660, os.makedev(7, 300))
        os.chown(p("more"), 1234, 5678)
        os.chown(p("out"), 1234, 5678, follow_symlinks=False)
        os.setxattr(p("chunk"), "trusted.note", b"root's")
    subprocess.run(["setfacl", "-m", "u:12345:r", p("chunk")], check=True)
    subprocess.run(["setfacl", "-m", "u:12345:rx,d:u:54321:rwx", p("a/b")], check=True)
    os.chmod(p("more"), 0o6751)
    os.chmod(p("a/b/c"), 0o1777)
    os.chmod(p("empty"), 0o000)
    for n, name in enumerate(("a/b/c/deep", "a/b/c", "a/b", "a", "fifo", "one")):
        os.utime(p(name), ns=(10**9 * n + 123456789, -10**9 * n + 987654321))
    os.utime(p("out"), ns=(1, 2), follow_symlinks=False)


def attributes(top):
    """Path -> times of modification, extended attributes, where the holes are."""
    found = {}
    for folder, dirs, files in os.walk(top):
        for path in [folder] + [os.path.join(folder, n) for n in dirs + files]:
            st = os.lstat(path)
            names = sorted(os.listxattr(path, follow_symlinks=False))
            holes = None
            if stat.S_ISREG(st.st_mode) and st.st_size > 1 << 20:
                with open(path, "rb") as f:
                    data = os.lseek(f.fileno(), 0, os.SEEK_DATA)
                    holes = data, os.lseek(f.fileno(), data, os.SEEK_HOLE)
            found[os.path.relpath(path, top)] = (st.st_mtime_ns, holes,
                                                 [(n, os.getxattr(path, n, follow_symlinks=False)) for n in names])
    return found


def assert_same(mounted, restored):
    (a, links_a), (b, links_b) = tree(mounted), tree(restored)
    assert {n for n in set(a) | set(b) if a.get(n) != b.get(n)} == set() and links_a == links_b
    a, b = attributes(mounted), attributes(restored)
    assert {n: (a[n], b[n]) for n in a if a[n] != b[n]} == {}


class World(Sound):
    """A vault with everything in it."""

    def __init__(self, box):
        super().__init__(box, fill, "-o", "acl")

    def restore(self, *args, code=0):
        return self.events("restore", *args, code=code)[1]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    box = Box(tmp_path_factory.mktemp("restore"))
    try:
        yield World(box)
    finally:
        box.close()


def test_everything_as_the_mount_shows_it(world):
    out = world.dest()
    before = {p: os.lstat(p).st_ctime_ns for f, d, n in os.walk(world.vault) for p in [os.path.join(f, x) for x in d + n]}
    done = world.restore(world.vault, out)
    assert len(done) == 1 and done[0]["complete"] and done[0]["links"] == 3
    after = {p: os.lstat(p).st_ctime_ns for f, d, n in os.walk(world.vault) for p in [os.path.join(f, x) for x in d + n]}
    assert before == after, "the vault was changed"
    assert os.stat(os.path.join(out, "sparse")).st_blocks < 1 << 10
    point = world.box.mount(world.vault, "-o", "acl")
    assert_same(point, out)
    # Beside a mount that holds the vault, by one job, and into a folder with a default ACL: the same.
    for jobs in ("1", "8"):
        out = world.dest()
        os.mkdir(out)
        subprocess.run(["setfacl", "-d", "-m", "u:777:rwx", out], check=True)
        assert "is mounted" in world.box.run("restore", "--overwrite", "--jobs", jobs, world.vault, out).stderr
        assert_same(point, out)
    world.box.umount(point)


def test_a_part(world):
    out = world.dest()
    assert world.restore(world.vault + "/a/b", out)[-1]["files"] == 2
    assert sorted(os.listdir(out)) == ["c", "two"] and read(os.path.join(out, "c/deep")) == pattern(10000, "a/b/c/deep")
    world.restore(world.vault + "/a/large", out)
    assert read(os.path.join(out, "large")) == pattern(3 << 20, "a/large")
    world.restore(os.path.join(world.vault, "out"), out)
    assert os.readlink(os.path.join(out, "out")) == "/etc/passwd"
    before = sorted(os.listdir(out))
    summary = world.restore("--dry-run", world.vault + "/a", world.box.path("never"))[-1]
    assert summary["files"] == 4 and summary["bytes"] == (3 << 20) + 10000 + 1 + 3 and not os.path.exists(world.box.path("never"))
    for path, text in (("nothing", "No such file"), ("one/x", "is no directory"), ("a/../one", "no \".\" or \"..\"")):
        done = world.box.run("restore", f"{world.vault}/{path}", out, code=None)
        assert done.returncode in (1, 2) and text in done.stderr, done.stderr
    assert "is a vault" in world.box.run("restore", world.box.home, out, code=6).stderr
    assert "lies in the vault" in world.box.run("restore", world.vault, world.vault + "/new", code=2).stderr
    assert not os.path.exists(world.vault + "/new") and sorted(os.listdir(out)) == before


def test_what_is_there_stays_unless_asked(world):
    out = world.dest()
    os.makedirs(os.path.join(out, "one"))
    write(os.path.join(out, "more"), b"mine")
    os.symlink(world.box.path("outside"), os.path.join(out, "chunk"))
    events = world.restore(world.vault, out, code=1)
    assert {(e["event"], e["path"]) for e in events[:-1]} >= {("failed", "more"), ("failed", "chunk")}
    assert all("there already" in e["why"] for e in events[:-1])
    assert read(os.path.join(out, "more")) == b"mine" and os.path.isdir(os.path.join(out, "one"))
    os.rmdir(os.path.join(out, "one"))
    events = world.restore("--overwrite", world.vault, out)
    assert len(events) == 1 and not os.path.lexists(world.box.path("outside"))
    assert not os.path.islink(os.path.join(out, "chunk")) and read(os.path.join(out, "more")) == pattern(4097, "more")
    assert [n for f, d, names in os.walk(out) for n in names if n.startswith(".signetfs-restore.")] == []


def test_no_way_out_of_dest(world):
    out, outside = world.dest(), world.box.path("outside")
    shutil.rmtree(outside, ignore_errors=True)
    os.mkdir(outside)
    os.mkdir(out)
    os.symlink(outside, os.path.join(out, "a"))
    for options in ([], ["--overwrite"]):
        events = world.restore(*options, world.vault, out, code=1)
        assert ("failed", "a", "something else than a folder is there already") in [
            (e["event"], e["path"], e["why"]) for e in events[:-1]]
        assert os.listdir(outside) == [] and os.readlink(os.path.join(out, "a")) == outside


def damaged_vault(world):
    """Two bad chunks, a cut file, a link that does not open, a lost name."""
    vault = world.fresh()
    at = lambda plain: os.path.join(vault, world.lower[plain])  # noqa: E731
    with open(at("a/large"), "r+b") as f:
        for chunk in (3, 700):
            f.seek(HEADER + STORED * chunk + 50)
            f.write(b"????")
    os.truncate(at("a/b/c/deep"), HEADER + STORED)
    os.unlink(at("a/link"))
    os.symlink("nonsense", at("a/link"))
    os.unlink(at("n" * 255) + ".name")
    return vault


def test_damage_is_named_and_gone_past(world):
    vault, out = damaged_vault(world), world.dest()
    events = world.restore(vault, out, code=1)
    assert sorted(e["path"] for e in events[:-1]) == ["", "a/b/c/deep", "a/large", "a/link"]
    assert all(e["event"] == "failed" for e in events[:-1]) and events[-1]["failed"] == 4
    names = set(tree(out)[0])
    assert names & {b"a/large", b"a/b/c/deep", b"a/link"} == set() and names >= {b"chunk", b"a/b/two", b"sparse", b"a/b/c"}
    out = world.dest()
    events = world.restore("--partial", vault, out, code=1)
    zeroed = sorted((e["path"], e["offset"], e["length"]) for e in events if e["event"] == "zeroed")
    assert zeroed == [("a/b/c/deep", 4096, 10000 - 4096), ("a/large", 3 * 4096, 4096), ("a/large", 700 * 4096, 4096)]
    data = bytearray(pattern(3 << 20, "a/large"))
    for chunk in (3, 700):
        data[chunk * 4096:(chunk + 1) * 4096] = bytes(4096)
    assert read(os.path.join(out, "a/large")) == data
    assert read(os.path.join(out, "a/b/c/deep")) == pattern(10000, "a/b/c/deep")[:4096] + bytes(10000 - 4096)
    assert events[-1]["incomplete"] == 2 and events[-1]["failed"] == 2


def test_an_attribute_without_its_name_is_missed(world):
    vault, out = world.fresh(), world.dest()
    path = os.path.join(vault, world.lower["a/large"])
    os.setxattr(path, "user.signetfs.rubbish", b"?")
    events = world.restore(vault + "/a", out, code=1)
    assert [(e["event"], e["path"]) for e in events[:-1]] == [("attribute", "a/large")] and events[-1]["incomplete"] == 1
    assert "user.signetfs.rubbish" in events[0]["why"] and os.getxattr(os.path.join(out, "large"), "user.colour") == b"green"


def test_a_single_hole_stays_one(world):
    """However few blocks a hole saves."""
    vault = world.box.make_vault(name="holed")
    point = world.box.mount(vault)
    with open(os.path.join(point, "f"), "wb") as f:
        f.write(b"x" * (1 << 20))
        f.seek((1 << 20) + (64 << 10))
        f.write(b"y" * (1 << 20))
    world.box.umount(point)
    out = world.dest()
    world.restore(vault, out)
    with open(os.path.join(out, "f"), "rb") as f:
        hole = os.lseek(f.fileno(), 0, os.SEEK_HOLE)
        assert (hole, os.lseek(f.fileno(), hole, os.SEEK_DATA)) == (1 << 20, (1 << 20) + (64 << 10))


def test_a_folder_of_the_vaults_own_name(world):
    """Restored to where the vault lies, a folder that is called as the vault is not mixed with it."""
    vault = world.box.make_vault(name="same")
    point = world.box.mount(vault)
    os.mkdir(os.path.join(point, "same"))
    write(os.path.join(point, "same", "secret"), b"plaintext")
    write(os.path.join(point, "beside"), b"b")
    world.box.umount(point)
    place = os.path.join(world.dest("place"), "x")
    os.makedirs(place)
    vault = shutil.move(vault, os.path.join(place, "same"))
    before = sorted(os.listdir(vault))
    events = world.restore("--overwrite", vault, place, code=1)
    assert [(e["event"], e["path"]) for e in events[:-1]] == [("failed", "same")] and "the vault itself" in events[0]["why"]
    assert sorted(os.listdir(vault)) == before and read(os.path.join(place, "beside")) == b"b"


@needs_root
def test_what_cannot_be_linked_is_copied(world):
    """A folder of DEST on another disk: no hard link leads there, the data does, and what was lost is said."""
    out = world.dest()
    os.makedirs(os.path.join(out, "a"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "other", os.path.join(out, "a")], check=True)
    try:
        for jobs in ("1", "4"):
            events = world.restore("--overwrite", "--jobs", jobs, world.vault, out, code=1)
            assert events[-1]["failed"] == 0 and 1 <= events[-1]["incomplete"] <= 3
            assert {e["event"] for e in events[:-1]} == {"attribute"}
            assert all("restored as a file of its own" in e["why"] and "cross-device" in e["why"] for e in events[:-1]), events
            assert {read(os.path.join(out, n)) for n in ("one", "three", "a/b/two")} == {pattern(1, "one")}
            assert os.readlink(os.path.join(out, "a/out")) == os.readlink(os.path.join(out, "out")) == "/etc/passwd"
    finally:
        subprocess.run(["umount", os.path.join(out, "a")], check=True)


@needs_root
def test_somebody_else_exchanges_names_in_dest(world):
    """Root restores into a folder of another user, who puts links to root's files in place of what is being made."""
    out, guarded = world.dest(), world.box.path("guarded")
    os.mkdir(out)
    os.chown(out, USER, USER)
    write(guarded, b"root's")
    os.chmod(guarded, 0o600)
    over = threading.Event()

    def exchange():
        while not over.is_set():
            for name in os.listdir(out):
                if name.startswith(".signetfs-restore."):
                    try:
                        os.link(guarded, os.path.join(out, "trap"))
                        os.rename(os.path.join(out, "trap"), os.path.join(out, name))
                    except OSError:
                        pass
    racer = threading.Thread(target=exchange)
    racer.start()
    try:
        for _ in range(10):
            world.restore("--overwrite", world.vault, out, code=None)
    finally:
        over.set()
        racer.join()
    st = os.stat(guarded)
    assert (st.st_uid, stat.S_IMODE(st.st_mode), read(guarded), os.listxattr(guarded)) == (0, 0o600, b"root's", [])


def test_killed_half_way(world):
    """At whatever moment: a name that is there is whole, and a second run completes it."""
    if not hasattr(world, "many"):
        world.many = world.box.make_vault(name="many")
        point = world.box.mount(world.many)
        for n in range(20):
            os.mkdir(os.path.join(point, str(n)))
            for m in range(20):
                write(os.path.join(point, str(n), str(m)), pattern(20000 + n, m))
        world.box.umount(point)
    for count in (1, 150):
        out = world.dest()
        p = subprocess.Popen([SIGNETFS, "restore", world.many, out], env=world.box.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: p.poll() is not None or sum(len(f) for _, _, f in os.walk(out)) >= count, 60)
        p.kill()
        p.wait()
        for folder, _, files in os.walk(out):
            for name in files:
                if not name.startswith(".signetfs-restore."):
                    assert read(os.path.join(folder, name)) == pattern(20000 + int(os.path.basename(folder)), int(name))
        assert world.restore("--overwrite", world.many, out)[-1]["files"] == 400
        names = [n for _, _, files in os.walk(out) for n in files if not n.startswith(".signetfs-restore.")]
        assert len(names) == 400


def test_interrupted(world):
    """The first Ctrl-C ends it in order: what is there is whole, no temporary name is left."""
    out = world.dest()
    p = subprocess.Popen([SIGNETFS, "restore", "--jobs", "2", world.vault, out], env=world.box.env, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: os.path.isdir(out) or p.poll() is not None, 60)
    p.send_signal(signal.SIGINT)
    _, errors = p.communicate(timeout=LIMIT)
    assert p.returncode in (0, 1, -signal.SIGINT), errors
    if p.returncode == 1:
        assert "stopped before the end" in errors
        assert [n for _, _, names in os.walk(out) for n in names if n.startswith(".signetfs-restore.")] == []


@needs_root
def test_a_full_disk_and_a_read_only_vault(world):
    disk = world.box.path("disk")
    os.makedirs(disk, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "small", disk], check=True)
    try:
        out = os.path.join(disk, "out")
        done = world.box.run("restore", world.vault, out, code=1)
        assert "No space left on device" in done.stderr
        for folder, _, files in os.walk(out):
            assert [n for n in files if n.startswith(".signetfs-restore.")] == []
        assert not os.path.exists(os.path.join(out, "a/large"))
    finally:
        subprocess.run(["umount", disk], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "small", disk], check=True)
    try:
        copy(world.vault, os.path.join(disk, "vault"))
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert world.restore(os.path.join(disk, "vault"), world.dest())[-1]["complete"]
        assert "clean" in world.box.run("fsck", "--read-data", os.path.join(disk, "vault")).stdout
    finally:
        subprocess.run(["umount", disk], check=True)


def as_user_restore(env, args):
    done = subprocess.run([SIGNETFS, *args], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=LIMIT)
    return done.returncode, done.stdout, done.stderr


@needs_root
def test_as_an_ordinary_user(world):
    """Everything becomes theirs; what only root can make is named."""
    service = Service(world.box)
    home = world.box.path("user")
    os.mkdir(home)
    os.chmod(world.box.root, 0o755)
    vault = os.path.join(home, "vault")
    world.box.run("init", "--kms", service.url, vault, env=dict(
        world.box.env, AWS_ACCESS_KEY_ID=service.access_key, AWS_SECRET_ACCESS_KEY=service.secret))
    env = dict(world.box.env, HOME=home, AWS_ACCESS_KEY_ID=service.access_key, AWS_SECRET_ACCESS_KEY=service.secret,
               SIGNETFS_KMS=service.url)
    point = world.box.path("user-clear")
    os.mkdir(point)
    world.box.mounts.append(point)
    world.box.run("mount", vault, point, env=env)
    write(os.path.join(point, "mine"), b"m")
    write(os.path.join(point, "theirs"), b"t")
    os.chown(os.path.join(point, "mine"), USER, USER)
    os.chmod(os.path.join(point, "mine"), 0o4755)
    os.chmod(os.path.join(point, "theirs"), 0o6755)
    os.mknod(os.path.join(point, "null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.setxattr(os.path.join(point, "theirs"), "user.a", b"b")
    world.box.umount(point)
    for folder, dirs, files in os.walk(home):
        for path in [folder] + [os.path.join(folder, n) for n in dirs + files]:
            if os.path.realpath(path) != os.path.realpath(os.path.join(vault, "theirs")):
                os.chmod(path, stat.S_IMODE(os.lstat(path).st_mode) | (0o055 if os.path.isdir(path) else 0o044))
    os.chown(home, USER, USER)
    out = os.path.join(home, "out")
    # Somebody else's vault, that lets nobody in: that is what is said.
    os.chmod(vault, 0o700)
    for words, status in ((["fsck", vault], 8), (["fsck", "--repair", vault], 8), (["restore", vault, out], 1), (["restore", vault + "/mine", out], 1)):
        code, stdout, stderr = run_as(USER, as_user_restore, env, words)
        assert (code, stdout) == (status, "") and "Permission denied" in stderr and "backup" not in stderr, (words, code, stdout, stderr)
    os.chmod(vault, 0o755)
    assert run_as(USER, as_user_restore, env, ["fsck", "--read-data", vault])[0] == 0
    code, stdout, stderr = run_as(USER, as_user_restore, env, ["fsck", "--repair", vault])
    assert code == 8 and "Permission denied" in stderr, (code, stderr)
    code, stdout, stderr = run_as(USER, as_user_restore, env, ["restore", "--json", vault, out])
    events = [json.loads(line) for line in stdout.splitlines()]
    assert code == 1, stderr
    assert [(e["event"], e["path"]) for e in events[:-1]] == [("failed", "null")] and "Operation not permitted" in events[0]["why"]
    mine, theirs = (os.stat(os.path.join(out, n)) for n in ("mine", "theirs"))
    assert (mine.st_uid, stat.S_IMODE(mine.st_mode) & 0o6000) == (USER, 0o4000)
    assert (theirs.st_uid, stat.S_IMODE(theirs.st_mode) & 0o6000) == (USER, 0)
    assert os.getxattr(os.path.join(out, "theirs"), "user.a") == b"b" and read(os.path.join(out, "theirs")) == b"t"
    # What in it may not be read, contents and attribute, is not called damaged.
    world.box.run("mount", vault, point, env=env)
    lower = lower_names(vault, point)["theirs"]
    world.box.run("umount", point)
    os.chmod(os.path.join(vault, lower), 0)
    code, stdout, stderr = run_as(USER, as_user_restore, env, ["fsck", "--json", vault])
    findings = [json.loads(line) for line in stdout.splitlines()][:-1]
    assert code == 8 and told(findings) == [("unreadable", "unchecked", "theirs")] * 2, (code, stdout, stderr)
    assert service.stop() == 0
