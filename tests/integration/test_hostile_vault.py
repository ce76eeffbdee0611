"""Whoever can write to the vault: every change is noticed where it is read, and nothing beside it suffers."""

import os
import random
import shutil

import pytest

from conftest import is_mounted, needs_fuse
from hostile import DAMAGED, Watched, errno_of, lower_of, read, snapshot, write

pytestmark = needs_fuse
HEADER, STORED, PLAIN, ARN = 512, 4136, 4096, 75
SEED = int(os.environ.get("SIGNETFS_SEED") or random.randrange(1 << 32))


def content(n, size):
    return random.Random(f"{n} {size}").randbytes(size)


SIZES = {"empty": 0, "one": 1, "chunk": PLAIN, "chunk+1": PLAIN + 1, "three": 3 * PLAIN, "large": 300_000}


class Victim:
    """A vault with files, unmounted cleanly; the lower path of each is known."""

    def __init__(self, box):
        self.box, self.vault = box, box.make_vault()
        self.point = box.mount(self.vault)
        self.plain = {n: content(n, size) for n, size in SIZES.items()}
        os.mkdir(self.point + "/folder")
        self.plain["folder/inside"] = content("inside", 9000)
        for name, data in self.plain.items():
            write(f"{self.point}/{name}", data)
        os.symlink("target", self.point + "/link")
        os.setxattr(self.point + "/three", "user.note", b"attribute")
        self.lower = {n: lower_of(self.vault, f"{self.point}/{n}") for n in [*self.plain, "link", "folder"]}
        box.umount(self.point)
        self.original = {n: read(p) for n, p in self.lower.items() if os.path.isfile(p) and not os.path.islink(p)}

    def restore(self):
        for name, data in self.original.items():
            write(self.lower[name], data)

    def check_neighbours(self, *damaged):
        """Everything else reads as before, and the listing goes on."""
        for name, data in self.plain.items():
            if name not in damaged:
                assert read(f"{self.point}/{name}") == data, name
        assert sorted(os.listdir(self.point)) == sorted([*SIZES, "folder", "link"])
        assert os.listdir(self.point + "/folder") == ["inside"]


@pytest.fixture
def victim(kms_box):
    return Victim(kms_box)


def flip(path, offset, mask=1):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ mask]))


# ---- Files ----


def test_flips_in_headers_and_chunks(victim):
    """Copies of one file, each flipped at another place: every byte of it counts."""
    print(f"SIGNETFS_SEED={SEED}")
    rng = random.Random(SEED)
    size = len(victim.original["three"])
    offsets = sorted({*range(0, 16), *range(16, HEADER, 5), HEADER - 1, *(HEADER + k * STORED + d for k in range(3)
                                                                       for d in (0, 11, 12, 23, 24, 4000, STORED - 17, STORED - 16,
                                                                                 STORED - 1)), *rng.sample(range(size), 30)})
    # As many neighbours in one folder, of which every second one is damaged.
    point = victim.box.mount(victim.vault)
    os.mkdir(point + "/many")
    names = []
    for i, offset in enumerate(offsets):
        for kind in "bad", "good":
            write(f"{point}/many/{kind}{offset}", victim.plain["three"])
        names.append((f"{point}/many/bad{offset}", f"{point}/many/good{offset}", offset))
    lowers = {os.lstat(os.path.join(d, f)).st_ino: os.path.join(d, f) for d, _, fs in os.walk(victim.vault) for f in fs}
    todo = [(lowers[os.stat(bad).st_ino], offset) for bad, _, offset in names]
    victim.box.umount(point)
    for path, offset in todo:
        flip(path, offset, 1 << rng.randrange(8))
    m = Watched(victim.box, victim.vault)
    assert len(os.listdir(m.path("many"))) == 2 * len(offsets)
    for bad, good, offset in names:
        # An unknown version, suite or wrap is told apart in the log and by the errno.
        expected = ("ENOTSUP", "EIO") if 8 <= offset < 16 else ("EIO",)
        if 144 <= offset < 144 + ARN:  # names a key that there is not
            expected = ("EACCES", "EIO")
        assert errno_of(read, bad) in expected, offset
        with open(bad, "rb", buffering=0) as f:
            for chunk in range(3):
                hit = offset < HEADER or HEADER + chunk * STORED <= offset < HEADER + (chunk + 1) * STORED
                assert (errno_of(os.pread, f.fileno(), PLAIN, chunk * PLAIN) != "") == hit, (offset, chunk)
        assert read(good) == victim.plain["three"], offset
    for name, data in victim.plain.items():
        assert read(m.path(name)) == data
    assert m.log().count("error: ") >= 10, m.log()
    before = {p: read(p) for p, _ in todo}
    m.umount()
    assert {p: read(p) for p in before} == before, "what is damaged is not touched: a backup may mend it"


def test_truncation_at_every_interesting_size(victim):
    """A clean vault: any other length than the header's is damage, and is EIO."""
    name, whole = "three", victim.original["three"]
    cuts = [1, 8, 126, HEADER - 1, HEADER, HEADER + 1, HEADER + 39, HEADER + 40, HEADER + 41, HEADER + STORED - 1, HEADER + STORED,
            HEADER + STORED + 40, HEADER + 2 * STORED, len(whole) - 41, len(whole) - 1]
    for cut in cuts:
        write(victim.lower[name], whole[:cut])
        m = Watched(victim.box, victim.vault)
        assert errno_of(read, m.path(name)) == "EIO", cut
        assert errno_of(os.truncate, m.path(name), 5) == "EIO", cut
        assert errno_of(read, m.path(name)) == "EIO", "once more"
        victim.check_neighbours(name)
        assert "error: " in m.log(), cut
        m.umount()
        assert read(victim.lower[name]) == whole[:cut]
    write(victim.lower[name], b"")
    m = Watched(victim.box, victim.vault)
    assert os.path.getsize(m.path(name)) == 1, "one byte that cannot be read, so that the kernel asks"
    assert errno_of(read, m.path(name)) == "EIO", "no header, after a clean unmount"
    os.unlink(m.path(name))
    write(m.path(name), b"can be replaced")
    m.umount()
    victim.restore()
    m = Watched(victim.box, victim.vault)
    victim.check_neighbours()
    m.umount()


def test_longer_than_its_header(victim):
    """
    What was appended to a vault's file is cut off, and said; not a byte of it is shown. The kernel believes the length that it was
    told until it forgets the file: what it would fill with zeros is an error.
    """
    write(victim.lower["three"], victim.original["three"] + os.urandom(5000))
    write(victim.lower["one"], victim.original["one"] + bytes(5000))
    m = Watched(victim.box, victim.vault)
    assert errno_of(read, m.path("three")) == "EIO"
    assert errno_of(read, m.path("one")) == "EIO"
    assert "cut off" in m.log(), m.log()
    victim.check_neighbours("three", "one")
    os.truncate(m.path("one"), 1)
    assert read(m.path("one")) == victim.plain["one"]
    m.umount()
    m = Watched(victim.box, victim.vault)
    victim.check_neighbours()
    assert m.log() == "", m.log()


def test_swaps(victim, kms_box):
    """Chunks within and between files, headers between files, whole files, another vault's file."""
    three, large = victim.original["three"], victim.original["large"]

    def chunk(data, i):
        return data[HEADER + i * STORED:HEADER + (i + 1) * STORED]

    other = kms_box.make_vault(name="other")
    point = kms_box.mount(other, name="other-clear")
    write(point + "/three", victim.plain["three"])
    foreign = read(lower_of(other, point + "/three"))
    kms_box.umount(point)
    cases = {
        "chunks within": three[:HEADER] + chunk(three, 1) + chunk(three, 0) + chunk(three, 2),
        "a chunk twice": three[:HEADER] + chunk(three, 0) * 3,
        "a chunk of another file": three[:HEADER] + chunk(large, 0) + three[HEADER + STORED:],
        "another file's header": large[:HEADER] + three[HEADER:],
        "another file's body": three[:HEADER] + large[HEADER:HEADER + 3 * STORED],
        "another vault's file": foreign,
        "zeros for a chunk": three[:HEADER] + bytes(STORED) + three[HEADER + STORED:],
        "zeros for the header": bytes(HEADER) + three[HEADER:],
    }
    for what, data in cases.items():
        assert data != three
        write(victim.lower["three"], data)
        m = Watched(victim.box, victim.vault)
        assert errno_of(read, m.path("three")) == "EIO", what
        victim.check_neighbours("three")
        m.umount()
        assert read(victim.lower["three"]) == data, what
    # Documented: a lower file is bound to no name. Both are whole, and each is the other.
    write(victim.lower["three"], large)
    write(victim.lower["large"], three)
    m = Watched(victim.box, victim.vault)
    assert read(m.path("three")) == victim.plain["large"] and read(m.path("large")) == victim.plain["three"]
    m.umount()


def test_tampering_with_a_live_mount(victim):
    m = Watched(victim.box, victim.vault)
    flip(victim.lower["large"], HEADER + 40 * STORED + 100)
    flip(victim.lower["chunk"], 300)
    with open(m.path("large"), "rb", buffering=0) as f:
        assert f.read(PLAIN) == victim.plain["large"][:PLAIN]
        assert errno_of(os.pread, f.fileno(), PLAIN, 40 * PLAIN) == "EIO"
        assert os.pread(f.fileno(), PLAIN, 50 * PLAIN) == victim.plain["large"][50 * PLAIN:51 * PLAIN]
    assert errno_of(read, m.path("chunk")) == "EIO"
    os.unlink(victim.lower["one"])
    assert errno_of(read, m.path("one")) in ("ENOENT", "ESTALE", "EIO")
    # A damaged chunk can be overwritten whole: that is how the rest of a file is saved.
    with open(m.path("large"), "r+b", buffering=0) as f:
        os.pwrite(f.fileno(), b"m" * PLAIN, 40 * PLAIN)
        os.fsync(f.fileno())
    assert read(m.path("folder/inside")) == victim.plain["folder/inside"]
    m.umount()
    m = Watched(victim.box, victim.vault)
    data = victim.plain["large"]
    assert read(m.path("large")) == data[:40 * PLAIN] + b"m" * PLAIN + data[41 * PLAIN:]


# ---- Names and directories ----


def test_names(victim):
    """An entry whose name was changed is left out and logged; the others are listed, and work."""
    folder = os.path.dirname(victim.lower["three"])
    base = os.path.basename(victim.lower["three"])
    flipped = ("B" if base[5] == "A" else "A").join([base[:5], base[6:]])
    os.rename(victim.lower["three"], os.path.join(folder, flipped))
    for extra in ("plain.txt", base[:-1], base + "AA", "A" * 22, "signetfs.long." + "A" * 43, "-", "é"):
        write(os.path.join(folder, extra), b"dropped here by somebody")
    moved = os.path.join(victim.lower["folder"], os.path.basename(victim.lower["one"]))
    shutil.copy(victim.lower["one"], moved)
    m = Watched(victim.box, victim.vault)
    assert sorted(os.listdir(m.point)) == sorted((set(SIZES) - {"three"}) | {"folder", "link"})
    assert os.listdir(m.path("folder")) == ["inside"], "a name belongs to its directory"
    assert errno_of(read, m.path("three")) == "ENOENT"
    for name, data in victim.plain.items():
        if name != "three":
            assert read(m.path(name)) == data
    assert m.log().count("error: ") >= 5, m.log()
    assert flipped in m.log() and "three" not in m.log().replace(victim.box.root, "")
    write(m.path("three"), b"made anew")
    m.umount()
    assert read(os.path.join(folder, flipped)) == victim.original["three"], "what was hidden is still there"
    os.unlink(victim.lower["three"])
    os.rename(os.path.join(folder, flipped), victim.lower["three"])
    m = Watched(victim.box, victim.vault)
    assert read(m.path("three")) == victim.plain["three"]


def test_directory_ids(victim):
    path = os.path.join(victim.lower["folder"], "signetfs.dir")
    whole = read(path)
    for damage in ([whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1:] for i in range(0, 32, 3)] +
                   [whole[:n] for n in (0, 1, 16, 31)] + [whole + b"x", None, read(os.path.join(victim.vault, "signetfs.dir"))]):
        os.unlink(path)
        if damage is not None:
            write(path, damage)
        m = Watched(victim.box, victim.vault)
        copied = damage == read(os.path.join(victim.vault, "signetfs.dir"))
        if copied:  # authentic, but of another directory: no name verifies there
            assert os.listdir(m.path("folder")) == []
        else:
            assert errno_of(os.listdir, m.path("folder")) == "EIO", damage
            assert errno_of(write, m.path("folder/new"), b"") == "EIO", damage
        assert errno_of(os.rmdir, m.path("folder")) in ("EIO", "ENOTEMPTY"), damage
        for name in SIZES:
            assert read(m.path(name)) == victim.plain[name]
        assert "folder" in os.listdir(m.point)
        assert "error: " in m.log(), damage
        m.umount()
        if damage is None:
            assert not os.path.exists(path), "an id that is missing is not invented"
            write(path, b"")
    write(path, whole)
    m = Watched(victim.box, victim.vault)
    victim.check_neighbours()
    m.umount()


def test_links_and_attributes(victim):
    target = os.readlink(victim.lower["link"])
    for bad in (target[:-1], target[:10] + ("B" if target[10] == "A" else "A") + target[11:], "plain/target", "A" * 60):
        os.unlink(victim.lower["link"])
        os.symlink(bad, victim.lower["link"])
        m = Watched(victim.box, victim.vault)
        assert errno_of(os.readlink, m.path("link")) == "EIO", bad
        victim.check_neighbours()
        m.umount()
    lower = victim.lower["three"]
    [name] = [a for a in os.listxattr(lower) if a.startswith("user.signetfs.")]
    value = os.getxattr(lower, name)
    os.setxattr(lower, name, value[:-1] + bytes([value[-1] ^ 1]))
    os.setxattr(lower, "user.signetfs.AAAA", b"x")
    m = Watched(victim.box, victim.vault)
    assert errno_of(os.getxattr, m.path("three"), "user.note") == "EIO"
    assert os.listxattr(m.path("three")) == ["user.note"]
    victim.check_neighbours()


# ---- The vault's own records ----


def refused(victim, code, *words):
    before = snapshot(victim.vault)
    done = victim.box.run("mount", victim.vault, victim.point, code=code)
    assert done.stderr.startswith("signetfs: ") and not is_mounted(victim.point)
    assert snapshot(victim.vault) == before
    missing = [w for w in words if w not in done.stderr]
    assert not missing, (missing, done.stderr)


def test_descriptor(victim, kms_box):
    path = os.path.join(victim.vault, "signetfs.ini")
    text = read(path).decode()
    other = read(os.path.join(kms_box.make_vault(name="other"), "signetfs.ini")).decode()
    lines = text.splitlines(keepends=True)
    edits = {line: text.replace(line, "") for line in lines if "=" in line}
    edits |= {"# " + line: text.replace(line, "# " + line) for line in lines if "=" in line}
    edits |= {
        "cache time": text.replace("cache-time = 300", "cache-time = 301"),
        "comment": "# mine now\n" + text,
        "newline": text + "\n",
        "CRLF": text.replace("\n", "\r\n"),
        "case": text.replace("[vault]", "[Vault]"),
        "twice": text.replace("format = 1\n", "format = 1\nformat = 1\n"),
        "names": text.replace("names = encrypted", "names = plain"),
        "seal": text[:-3] + ("0" if text[-3] != "0" else "1") + text[-2:],
        "NUL": text[:50] + "\0" + text[51:],
        "huge": text + "#" * 1_000_000,
        "half": text[:len(text) // 2],
        "empty": "",
        "seal of another": text.rsplit("hmac = ", 1)[0] + "hmac = " + other.rsplit("hmac = ", 1)[1],
    }
    for what, edited in edits.items():
        assert edited != text, what
        write(path, edited.encode())
        refused(victim, DAMAGED, "signetfs.ini", victim.vault)
    write(path, text.replace("format = 1\n", "format = 2\n").encode())
    refused(victim, 1, "signetfs.ini", "newer")
    # Another vault's, which opens: then the top's id is not this descriptor's.
    write(path, other.encode())
    refused(victim, DAMAGED, victim.vault, "signetfs.dir")
    write(path, text.encode())
    m = Watched(victim.box, victim.vault)
    victim.check_neighbours()
    m.umount()


def test_top_directory_id(victim):
    path = os.path.join(victim.vault, "signetfs.dir")
    whole = read(path)
    for damage in (whole[:-1], b"", whole + b"x", bytes([whole[0] ^ 1]) + whole[1:], whole[:-1] + bytes([whole[-1] ^ 0x80]), None):
        os.unlink(path)
        if damage is not None:
            write(path, damage)
        refused(victim, DAMAGED, "signetfs.dir", victim.vault, "backup")
        if damage is None:
            write(path, b"")
    write(path, whole)
    Watched(victim.box, victim.vault)
    victim.check_neighbours()


def test_state_folder(victim):
    """Sessions: damage refuses the mount. The bucket record: reported, and one more key. The lock: made again."""
    state = os.path.join(victim.vault, ".signetfs")
    for name in ("sessions", "bucket"):
        whole = read(os.path.join(state, name))
        for damage in (whole[:-1], b"", bytes([whole[0] ^ 1]) + whole[1:], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:],
                       whole + b"x", os.urandom(3000)):
            write(os.path.join(state, name), damage)
            if name == "sessions":
                refused(victim, DAMAGED, "sessions", victim.vault)
                write(os.path.join(state, name), whole)
                continue
            m = Watched(victim.box, victim.vault)
            victim.check_neighbours()
            write(m.path("three"), victim.plain["three"])
            write(m.path("scratch"), b"a new file needs a bucket key")
            assert "bucket" in m.log(), m.log()
            assert m.stats()["kms"]["GenerateDataKey"]["ok"] == 1
            os.unlink(m.path("scratch"))
            m.umount()
    os.unlink(os.path.join(state, "lock"))
    m = Watched(victim.box, victim.vault)
    victim.check_neighbours()
    m.umount()
    os.rename(state, state + ".away")
    refused(victim, DAMAGED, ".signetfs", "backup")
    os.rename(state + ".away", state)
    m = Watched(victim.box, victim.vault)
    victim.check_neighbours()
