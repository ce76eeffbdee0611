"""`signetfs fsck`: every kind of damage, made on purpose in a small vault, is found by its name and nothing else is; a repair makes
the next check clean and loses no byte that could be read before."""

import base64
import hashlib
import json
import os
import shutil
import subprocess

import pytest
from conftest import Box, LIMIT, needs_fuse
from hostile import Watched, read, write
from rescue_world import CHUNK, HEADER, STORED, Sound, copy, flip, lower_names, told

pytestmark = needs_fuse

CLEAN, REPAIRED, LEFT, FAILED, USAGE = 0, 1, 4, 8, 16
LONG = "n" * 200


def fill(top):
    for name in ("file", "other", "dir/inside", "dir/sub/deep", LONG, "one"):
        os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
        write(os.path.join(top, name), (name.encode() + b"\n") * (12000 // (len(name) + 1)))
    os.link(os.path.join(top, "one"), os.path.join(top, "dir/two"))
    os.symlink("dir/inside", os.path.join(top, "link"))
    write(os.path.join(top, "empty"), b"")
    with open(os.path.join(top, "sparse"), "wb") as f:
        f.truncate(1 << 20)
        f.seek(1 << 19)
        f.write(b"x" * 5000)
    os.setxattr(os.path.join(top, "file"), "user.colour", b"green")
    os.mkfifo(os.path.join(top, "fifo"))


class World(Sound):
    """A vault that is copied for every case; `sound` ended cleanly, `crashed` did not."""

    def __init__(self, box):
        super().__init__(box, fill)
        self.sound = self.vault
        self.contents = Case(self, "sound").contents()
        assert len(self.contents) == 13
        self.crashed = box.path("crashed")
        copy(self.sound, self.crashed)
        w = Watched(box, self.crashed)
        write(w.path("during"), b"d" * 20000, sync=True)
        with open(w.path("file"), "ab") as f:
            f.write(b"appended" * 1000)
            f.flush()
            os.fsync(f.fileno())
        os.close(os.open(w.path("fresh"), os.O_CREAT | os.O_WRONLY))
        os.sync()
        self.lower_crashed = lower_names(self.crashed, w.point)
        w.killed()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    box = Box(tmp_path_factory.mktemp("fsck"))
    try:
        yield World(box)
    finally:
        box.close()


class Case:
    def __init__(self, world, base):
        self.world, self.box, self.lower = world, world.box, world.lower if base == "sound" else world.lower_crashed
        self.vault = world.fresh(getattr(world, base))

    def path(self, plain, *more):
        return os.path.join(self.vault, self.lower[plain] if plain else "", *more)

    def flip(self, plain, offset, *more):
        flip(self.path(plain, *more), offset)

    def cut(self, plain, size, *more):
        os.truncate(self.path(plain, *more), size)

    def check(self, *options, code=None):
        returned, findings = self.world.fsck(*options, self.vault)
        assert code is None or returned == code, findings
        return findings

    def contents(self, name="out"):
        """What can be read, path by path: restored, and hashed."""
        out = self.world.dest(name)
        self.box.run("restore", self.vault, out, code=None)
        found = {}
        for folder, dirs, files in os.walk(out):
            for n in dirs + files:
                path = os.path.join(folder, n)
                kind = "link " + os.readlink(path) if os.path.islink(path) else "other"
                if os.path.isfile(path) and not os.path.islink(path):
                    kind = hashlib.sha256(read(path)).hexdigest()
                found[os.path.relpath(path, out)] = kind
        return found


def new_link(c):
    target = os.readlink(c.path("link"))
    os.unlink(c.path("link"))
    os.symlink(("A" if target[0] != "A" else "B") + target[1:], c.path("link"))


def swap_chunks(c):
    with open(c.path("file"), "r+b") as f:
        data = f.read()
        one, two = data[HEADER:HEADER + STORED], data[HEADER + STORED:HEADER + 2 * STORED]
        f.seek(HEADER)
        f.write(two + one)


def swap_headers(c):
    a, b = read(c.path("file")), read(c.path("other"))
    write(c.path("file"), b[:HEADER] + a[HEADER:])


def flip_xattr(c):
    name, = [n for n in os.listxattr(c.path("file")) if n.startswith("user.signetfs.")]
    value = bytearray(os.getxattr(c.path("file"), name))
    value[30] ^= 1
    os.setxattr(c.path("file"), name, bytes(value))


def odd_xattr(c):
    os.setxattr(c.path("file"), "user.signetfs.rubbish", b"?")


def sidecar(c):
    return c.path(LONG) + ".name"


def extend(path, data=b"x" * 100):
    with open(path, "ab") as f:
        f.write(data)


def tmp_dir(c, inside):
    path = os.path.join(c.vault, "signetfs.tmp." + "0" * 32)
    os.mkdir(path)
    shutil.copy2(os.path.join(c.vault, "signetfs.dir"), path)
    if inside:
        write(os.path.join(path, "data"), b"who knows")


def foreign_file(c):
    """A file of another vault under a name of this one."""
    if not os.path.isdir(c.box.path("foreign")):
        c.box.make_vault(name="foreign")
        point = c.box.mount(c.box.path("foreign"), name="foreign-clear")
        write(os.path.join(point, "f"), b"f")
        c.foreign = lower_names(c.box.path("foreign"), point)["f"]
        c.box.umount(point)
    shutil.copy2(os.path.join(c.box.path("foreign"), c.foreign), c.path("file"))


def alias(c):
    """The name of a short entry, once more, in the form of a long one."""
    name = os.path.basename(c.lower["other"]).encode()
    text = base64.urlsafe_b64encode(hashlib.sha256(name).digest()).rstrip(b"=").decode()
    long = os.path.join(c.vault, "signetfs.long." + text)
    shutil.copy2(c.path("other"), long)
    write(long + ".name", name)


def instead(c, plain, make, *more):
    path = c.path(plain, *more)
    shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    make(path)


IN_DIR = ["dir/inside", "dir/sub", "dir/sub/deep", "dir/two"]

# What is done, what must be found, and how the repair ends (damage left: what cannot be moved).
DAMAGE = {
    "header flipped in the id": (lambda c: c.flip("file", 40), [("header", "damaged", "file")]),
    "header flipped in the magic": (lambda c: c.flip("file", 0), [("header", "damaged", "file")]),
    "header flipped in the size": (lambda c: c.flip("file", 48), [("header", "damaged", "file")]),
    "header flipped in the wrapped key": (lambda c: c.flip("file", 80), [("header", "damaged", "file")]),
    "header flipped in the blob": (lambda c: c.flip("file", 144 + 100), [("header", "damaged", "file")]),
    "header flipped in the MAC": (lambda c: c.flip("file", 500), [("header", "damaged", "file")]),
    "header of another file": (swap_headers, [("chunk", "damaged", "file")]),
    "header of a hard-linked file": (lambda c: c.flip("one", 500), [("header", "damaged", "dir/two"), ("header", "damaged", "one")]),
    "file of another vault": (foreign_file, [("header", "damaged", "file")]),
    "file emptied": (lambda c: c.cut("file", 0), [("no-header", "damaged", "file")]),
    "file cut inside the header": (lambda c: c.cut("file", 200), [("no-header", "damaged", "file")]),
    "file cut at a chunk": (lambda c: c.cut("file", HEADER + STORED), [("shorter", "damaged", "file")]),
    "file cut to its header": (lambda c: c.cut("file", HEADER), [("shorter", "damaged", "file")]),
    "file cut inside a chunk": (lambda c: c.cut("file", HEADER + STORED + 77), [("shorter", "damaged", "file")]),
    "chunk flipped": (lambda c: c.flip("file", HEADER + STORED + 100), [("chunk", "damaged", "file")]),
    "chunk of a sparse file flipped": (lambda c: c.flip("sparse", HEADER + STORED * 128 + 100), [("chunk", "damaged", "sparse")]),
    "chunks swapped": (swap_chunks, [("chunk", "damaged", "file")]),
    "file under a name of another folder": (lambda c: shutil.copy2(c.path("dir/inside"), c.vault), [("name", "damaged", "")]),
    "name twice, short and long": (alias, [("name", "damaged", "")]),
    "pipe for a directory id": (lambda c: instead(c, "dir", os.mkfifo, "signetfs.dir"), [("directory-id", "damaged", "dir")]),
    "pipe for a sidecar": (lambda c: instead(c, "", os.mkfifo, c.lower[LONG] + ".name"), [("name", "damaged", "")]),
    "name flipped": (lambda c: os.rename(c.path("other"), c.path("other")[:-6] + "AAAAAA"), [("name", "damaged", "")]),
    "name of a folder flipped": (lambda c: os.rename(c.path("dir/sub"), c.path("dir/sub")[:-6] + "AAAAAA"),
                                 [("name", "damaged", "dir")]),
    "name that is none": (lambda c: write(os.path.join(c.vault, "what.is.this"), b"?"), [("name", "damaged", "")]),
    "sidecar removed": (lambda c: os.unlink(sidecar(c)), [("name", "damaged", "")]),
    "sidecar flipped": (lambda c: c.flip("", 10, c.lower[LONG] + ".name"), [("name", "damaged", "")]),
    "sidecar cut": (lambda c: os.truncate(sidecar(c), 12), [("name", "damaged", "")]),
    "sidecar extended": (lambda c: extend(sidecar(c)), [("name", "damaged", "")]),
    "directory id removed": (lambda c: os.unlink(c.path("dir", "signetfs.dir")), [("directory-id", "damaged", "dir")]),
    "directory id flipped": (lambda c: c.flip("dir", 3, "signetfs.dir"), [("directory-id", "damaged", "dir")]),
    "directory id cut": (lambda c: c.cut("dir", 16, "signetfs.dir"), [("directory-id", "damaged", "dir")]),
    "directory id of another": (lambda c: shutil.copy(os.path.join(c.vault, "signetfs.dir"), c.path("dir")),
                                [("name", "damaged", "dir")] * 3),
    "link target flipped": (new_link, [("link", "damaged", "link")]),
    "attribute flipped": (flip_xattr, [("attribute", "damaged", "file")]),
    "attribute that is none": (odd_xattr, [("attribute", "damaged", "file")]),
    "sessions flipped": (lambda c: c.flip("", 20, ".signetfs/sessions"), [("sessions", "damaged", "")]),
    "sessions removed": (lambda c: os.unlink(os.path.join(c.vault, ".signetfs/sessions")), [("sessions", "damaged", "")]),
    "state removed": (lambda c: shutil.rmtree(os.path.join(c.vault, ".signetfs")), [("sessions", "damaged", "")]),
    "bucket record flipped": (lambda c: c.flip("", 60, ".signetfs/bucket"), [("bucket-record", "damaged", "")]),
    "bucket record of an impossible name": (lambda c: write(os.path.join(c.vault, ".signetfs/bucket." + "0" * 100), b"?"),
                                            [("bucket-record", "damaged", "")]),
    "bucket record cut": (lambda c: c.cut("", 60, ".signetfs/bucket"), [("bucket-record", "damaged", "")]),
}


# What cannot be restored afterwards, where the findings' paths do not say it: names are lost.
GONE = {
    "name flipped": {"other"},
    "name of a folder flipped": {"dir/sub", "dir/sub/deep"},
    "directory id of another": set(IN_DIR),
    **{f"directory id {how}": {"dir", *IN_DIR} for how in ("removed", "flipped", "cut")},
    "pipe for a directory id": {"dir", *IN_DIR},
    "file under a name of another folder": set(),
    "name twice, short and long": set(),
    "pipe for a sidecar": {LONG},
    **{f"sidecar {how}": {LONG} for how in ("removed", "flipped", "cut", "extended")},
}
STAY = {"attribute", "sessions", "bucket-record", "name"}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_found_and_repaired(world, what):
    damage, expected = DAMAGE[what]
    c = Case(world, "sound")
    damage(c)
    lower = {f: read(os.path.join(folder, f)) for folder, _, files in os.walk(c.vault) for f in files
             if os.path.isfile(os.path.join(folder, f)) and not os.path.islink(os.path.join(folder, f)) and f != "signetfs.dir"}
    assert told(c.check("--read-data", code=LEFT)) == sorted(expected)
    repaired = c.check("--read-data", "--repair", code=REPAIRED)
    assert told(repaired) == sorted(expected) and all(f["repaired"] for f in repaired)
    assert c.check("--read-data", code=CLEAN) == []
    # Everything else can be read as before, to the byte.
    gone = GONE.get(what, {path for kind, _, path in expected if kind not in STAY})
    assert c.contents() == {path: what for path, what in world.contents.items() if path not in gone}
    # What was moved is there, and a note that says where it was and gives no name away.
    for f in repaired:
        if "moved_to" not in f:
            continue
        moved = os.path.join(c.vault, ".signetfs/lost+found", f["moved_to"])
        assert read(moved + ".txt").decode().splitlines()[0].endswith(f["lower"]) and os.path.lexists(moved)
        last = os.path.basename(f["lower"])
        if last in lower and f["kind"] != "attribute":
            assert read(moved) == lower[last]
        if f["kind"] == "directory-id":
            assert len(os.listdir(moved)) >= 3


def test_a_sound_vault_is_clean_and_not_changed(world):
    c = Case(world, "sound")

    def state():
        return {os.path.join(f, n): (os.lstat(os.path.join(f, n)).st_mtime_ns, os.lstat(os.path.join(f, n)).st_size)
                for f, d, names in os.walk(c.vault) for n in names + d}
    before = state()
    for options in ([], ["--read-data"], ["--jobs", "1"], ["-j", "9", "--read-data"]):
        assert c.check(*options, code=CLEAN) == []
    assert state() == before
    assert c.check("--repair", "--read-data", code=CLEAN) == []
    done = world.box.run("fsck", c.vault)
    assert "clean" in done.stdout and "checked 8 files" in done.stdout, done.stdout


def test_contents_are_only_read_when_asked(world):
    c = Case(world, "sound")
    c.flip("file", HEADER + 10)
    c.flip("file", HEADER + 2 * STORED + 10)
    assert c.check(code=CLEAN) == []
    finding, = c.check("--read-data", code=LEFT)
    assert (finding["chunks"], finding["offset"], finding["length"]) == (2, 0, 12000)


LEFTOVERS = {
    "empty temporary folder": (lambda c: tmp_dir(c, False), "temporary", False),
    "temporary folder with something in it": (lambda c: tmp_dir(c, True), "temporary", True),
    "sidecar without entry": (lambda c: os.rename(c.path(LONG), os.path.join(c.vault, "..", "away")), "sidecar", False),
    "odd sidecar without entry": (lambda c: write(os.path.join(c.vault, "signetfs.long." + "A" * 43 + ".name"), b"?"), "sidecar", True),
    "stranger": (lambda c: write(os.path.join(c.vault, "signetfs.future"), b"?"), "stranger", True),
    "rest of a record": (lambda c: write(os.path.join(c.vault, ".signetfs/bucket.new"), b"?"), "record-rest", True),
}


@pytest.mark.parametrize("what", LEFTOVERS)
def test_leftovers_do_no_harm(world, what):
    make, kind, moved = LEFTOVERS[what]
    c = Case(world, "sound")
    make(c)
    assert told(c.check("--read-data", code=CLEAN)) == [(kind, "leftover", "")]
    finding, = c.check("--repair", code=REPAIRED)
    assert finding["repaired"] and ("moved_to" in finding) == moved
    assert c.check("--read-data", code=CLEAN) == []


def test_what_a_crash_left_is_usable_and_mended(world):
    c = Case(world, "crashed")
    c.cut("during", HEADER + 2 * STORED + 50)  # as a crash leaves it: shorter than the header says
    c.cut("fresh", 0)
    extend(c.path("file"), b"y" * 60)
    before = c.contents()
    expected = [("longer", "in-flight", "file"), ("no-header", "in-flight", "fresh"), ("shorter", "in-flight", "during")]
    assert told(c.check("--read-data", code=CLEAN)) == sorted(expected)
    done = c.box.run("fsck", c.vault)
    assert "usable; some files were in flight" in done.stdout and all(p in done.stderr for p in ("during", "fresh", "file"))
    repaired = c.check("--read-data", "--repair", code=REPAIRED)
    assert told(repaired) == sorted(expected) and all(f["repaired"] and "moved_to" not in f for f in repaired)
    assert c.check("--read-data", code=CLEAN) == [] and c.contents() == before
    assert before["during"] == hashlib.sha256(b"d" * 2 * CHUNK).hexdigest()
    # The list of unclean sessions is empty: what is cut now is damage.
    c.cut("during", HEADER + STORED)
    assert told(c.check(code=LEFT)) == [("shorter", "damaged", "during")]


def test_what_is_appended_is_cut_only_where_nothing_of_it_verifies(world):
    c = Case(world, "sound")
    extend(c.path("file"), b"garbage" * 1000)
    assert told(c.check("--read-data", code=CLEAN)) == [("longer", "in-flight", "file")]
    finding, = c.check("--read-data", "--repair", code=REPAIRED)
    assert finding["repaired"] and "moved_to" not in finding
    assert c.check("--read-data", code=CLEAN) == [] and c.contents() == world.contents
    # An old header, and one damaged chunk behind its end: the chunks behind that one are data.
    c = Case(world, "crashed")
    whole = read(c.path("file"))
    old = read(os.path.join(world.sound, world.lower["file"]))
    with open(c.path("file"), "r+b") as f:
        f.write(old[:HEADER])
    c.flip("file", HEADER + STORED * 2 + 50)
    flipped = read(c.path("file"))
    assert len(whole) > len(old) + STORED
    finding = [f for f in c.check("--repair") if f["path"] == "file"][0]
    assert finding["kind"] == "longer" and read(os.path.join(c.vault, ".signetfs/lost+found", finding["moved_to"])) == flipped
    assert c.check("--read-data", code=CLEAN) == []


def test_names_drive_no_terminal(world):
    """What somebody puts into the vault is printed, and written into notes, as what it is."""
    c = Case(world, "sound")
    for name in ("a\x1b[2Jb", "c\u009bd", "e\u202ef"):
        write(os.path.join(c.vault, name), b"?")
    write(os.path.join(c.vault.encode(), b"g\x9bh"), b"?")
    done = c.box.run("fsck", "--repair", c.vault, code=REPAIRED, errors="surrogateescape")
    for shown in ("in the vault: a?[2Jb", "in the vault: c??d", "in the vault: e???f", "in the vault: g?h"):
        assert shown in done.stderr, done.stderr
    assert not set(done.stderr) & {"\x1b", "\u009b", "\u202e", "\udc9b"}
    lost = os.path.join(c.vault, ".signetfs/lost+found")
    notes = b"".join(read(os.path.join(lost, n)) for n in os.listdir(lost) if n.endswith(".txt"))
    assert b"a\\033[2Jb" in notes and b"g\\233h" in notes and all(32 <= b < 127 or b == 10 for b in notes)


def test_a_chunk_torn_by_a_crash_is_told_from_damage(world):
    c = Case(world, "crashed")
    c.flip("during", HEADER + 10)
    os.utime(c.path("during"))  # written to after the session began
    c.flip("other", HEADER + 10)
    os.utime(c.path("other"), (0, 0))
    expected = [("chunk", "damaged", "other"), ("chunk", "in-flight", "during"), ("no-header", "in-flight", "fresh")]
    assert told(c.check("--read-data", code=LEFT)) == expected
    assert told(c.check("--read-data", "--repair", code=REPAIRED)) == expected
    assert c.check("--read-data", code=CLEAN) == []


def test_records_that_keep_everything_closed(world):
    for name, code, text in (("signetfs.ini", LEFT, "not a vault"), ("signetfs.dir", LEFT, "signetfs.dir")):
        c = Case(world, "sound")
        os.unlink(os.path.join(c.vault, name))
        done = c.box.run("fsck", c.vault, code=code)
        assert text in done.stderr
    c = Case(world, "sound")
    with open(os.path.join(c.vault, "signetfs.ini"), "r+") as f:
        text = f.read().replace("cache-time = 300", "cache-time = 301")
        f.seek(0)
        f.write(text)
    done = c.box.run("fsck", "--repair", c.vault, code=LEFT)
    assert "signetfs.ini" in done.stderr


def test_a_disabled_key_is_no_damage(world):
    c = Case(world, "sound")
    key = json.loads(c.box.run("kms", "create-key", "--json").stdout)["KeyMetadata"]["KeyId"]
    c.vault = c.box.make_vault("--key", key, name="keyed")
    point = c.box.mount(c.vault, name="keyed-clear")
    write(os.path.join(point, "f"), b"f")
    c.box.umount(point)
    c.box.run("kms", "disable-key", "--key-id", key)
    done = c.box.run("fsck", "--repair", c.vault, code=FAILED)
    assert "disabled" in done.stderr
    c.box.run("kms", "enable-key", "--key-id", key)
    assert c.check("--read-data", code=CLEAN) == []


def test_usage(world):
    assert world.box.run("fsck", code=USAGE).stderr.startswith("signetfs: an operand is missing")
    assert "no option --frobnicate" in world.box.run("fsck", "--frobnicate", "x", code=USAGE).stderr
    assert "is not a vault" in world.box.run("fsck", world.box.home, code=LEFT).stderr
    assert "there is no directory" in world.box.run("fsck", world.box.path("nowhere"), code=FAILED).stderr


def test_a_mounted_vault_is_checked_and_not_repaired(world):
    c = Case(world, "sound")
    w = Watched(c.box, c.vault)
    c.flip("other", HEADER + 10)
    write(w.path("new"), b"n" * 9000, sync=True)
    done = c.box.run("fsck", "--repair", c.vault, code=FAILED)
    assert "is in use" in done.stderr
    findings = c.check("--read-data")
    assert told(findings) == [("chunk", "in-flight", "other")]
    w.umount()
    assert told(c.check("--read-data", code=LEFT)) == [("chunk", "damaged", "other")]


def test_many_damages_at_once(world):
    c = Case(world, "sound")
    for what in ("header flipped in the MAC", "link target flipped", "sidecar removed", "directory id flipped"):
        DAMAGE[what][0](c)
    expected = sorted(sum((DAMAGE[w][1] for w in ("header flipped in the MAC", "link target flipped", "sidecar removed",
                                                  "directory id flipped")), []))
    for jobs in ("1", "2", "8"):
        assert told(c.check("--jobs", jobs, code=LEFT)) == expected
    assert told(c.check("--repair", code=REPAIRED)) == expected
    assert c.check("--read-data", code=CLEAN) == []
