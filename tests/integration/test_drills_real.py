"""`signetfs drill --for-real`: the event is played with a vault, a key and a KMS of the person's own; every file holds what it held."""

import json
import os
import pty
import select
import signal
import stat
import subprocess

import pytest
from conftest import LIMIT, SIGNETFS, Mounted, needs_fuse
from test_drills import left_behind, picture

pytestmark = needs_fuse

SAFE = {"Your vault is sound before anything changes", "Every file of it can be read before anything changes",
        "Every file of your vault holds what it held before"}
MOVED = {"The key to move to can be used", "Every file was read, and was right, while it moved", "No file is under another key"}
EXPECTED = {
    "rotation": {"No operation failed", "Files from before and after the rotation open", "Files wrapped since then are under the new material",
                 "The KMS lists the rotation", "Key id and policy are as before", "The drill's own files are removed from your vault"},
    "migration": MOVED,
    "compromise": MOVED | {"No file is left under an old data key"},
}


def contents(top):
    """Names, modes, targets and bytes."""
    found = {}
    for folder, names, files in os.walk(top):
        for path in (os.path.join(folder, n) for n in names + files):
            st = os.lstat(path)
            found[os.path.relpath(path, top)] = (
                st.st_mode, os.readlink(path) if stat.S_ISLNK(st.st_mode) else
                open(path, "rb").read() if stat.S_ISREG(st.st_mode) else None)
    return found


class Own:
    """A small vault with a bit of everything, unmounted, and another key of its KMS."""

    def __init__(self, box, files=8, managed=False):
        self.box = box
        box.make_keystore()
        self.other, self.key = (json.loads(box.run("kms", "create-key").stdout)["KeyMetadata"]["Arn"] for _ in range(2))
        m = Mounted(box, vault=box.make_vault(*([] if managed else ["--key", self.key])))
        os.makedirs(m.path("folder/deep"))
        for i in range(files):
            with open(m.path(f"folder/{i}"), "wb") as f:
                f.write(os.urandom(1000 * i + 20))
        with open(m.path("empty"), "wb"), open(m.path("holes"), "wb") as f:
            f.write(b"x")
            f.truncate(100_000)
        os.link(m.path("folder/1"), m.path("second name"))
        os.symlink("folder/1", m.path("folder/deep/link"))
        self.before = contents(m.point)
        box.umount(m.point)
        self.vault = m.vault

    def keys(self):
        return json.loads(self.box.run("keys", "--json", self.vault).stdout)["keys"]

    def under(self):
        """Files by key and backing key."""
        return {(k["key_arn"], k["backing_key"]): k["files"] for k in self.keys() if k["files"]}

    def drill(self, name, *options, code=0):
        done = self.box.run("drill", "--json", "--files", "10", "--vault", self.vault, "--for-real", *options, name, code=code)
        assert left_behind(self.box) == []
        result, = json.loads(done.stdout)
        return result

    def contents_now(self):
        point = self.box.mount(self.vault, name="after")
        found = contents(point)
        self.box.umount(point)
        return found


@pytest.fixture
def own(box):
    return Own(box)


def held(result):
    assert result["held"], [c for c in result["checks"] if not c["held"]]
    return {c["what"] for c in result["checks"] if not c["caution"]}


def rotations(own):
    return len(json.loads(own.box.run("kms", "list-key-rotations", "--key-id", own.key).stdout)["Rotations"])


def test_rotation(own):
    under, times = own.under(), rotations(own)
    assert held(own.drill("rotation", "--yes")) == SAFE | EXPECTED["rotation"]
    assert rotations(own) == times + 1 and own.under() == under
    assert own.contents_now() == own.before
    # There is new material: what is wrapped now is under it.
    own.box.run("reencrypt", "--to", own.key, own.vault)
    (now, files), = own.under().items()
    assert now not in under and now[0] == own.key and files == sum(under.values())


def test_migration(own):
    files = sum(own.under().values())
    result = own.drill("migration", "--yes", "--to", own.other)
    assert held(result) == SAFE | EXPECTED["migration"]
    (key, _), = own.under()
    assert (key, sum(own.under().values())) == (own.other, files)
    assert any(own.key in c["detail"] for c in result["checks"] if c["what"] == "The old key is not disabled.")
    state = json.loads(own.box.run("kms", "describe-key", "--key-id", own.key).stdout)["KeyMetadata"]["KeyState"]
    assert state == "Enabled"
    own.box.run("kms", "disable-key", "--key-id", own.key)
    assert own.contents_now() == own.before


def ciphertext(vault):
    """The last bytes of each file's content: the same data key, the same bytes."""
    return {path: facts[8][-32:] for path, facts in picture(vault).items()
            if facts[8] and len(facts[8]) > 1024 and "signetfs" not in path[len(vault):] and any(facts[8][-32:])}


@pytest.mark.parametrize("to", [False, True], ids=["its own key", "another key"])
def test_compromise(own, to):
    before, files = ciphertext(own.vault), sum(own.under().values())
    options = ["--to", own.other] if to else []
    assert held(own.drill("compromise", "--yes", *options)) == SAFE | EXPECTED["compromise"]
    after = ciphertext(own.vault)
    assert len(before) >= 8 and set(before) == set(after)
    assert [p for p in before if before[p] == after[p]] == []
    assert {k: n for (k, _), n in own.under().items()} == {own.other if to else own.key: files}
    assert own.contents_now() == own.before


def test_what_does_not_go_for_real(own):
    """Each with its reason; nothing is touched."""
    before = picture(own.vault)
    vault = ["--vault", own.vault]
    for words, said in (
            (["crypto-erase"], "crypto-erase is not played for real: it would destroy the only key to your data. By hand, when you "
             "want that: signetfs keys VAULT, then signetfs kms schedule-key-deletion --key-id KEY --pending-window-in-days 30"),
            (["revocation"], "revocation is not played for real: killed in the middle, or cut off from the KMS, it would leave the "
             "key disabled, for every vault under it. By hand: signetfs kms disable-key --key-id KEY, read until it is refused, "
             "signetfs kms enable-key --key-id KEY"),
            (["throttle"], "throttle is not played for real: it sets the quotas of a KMS of its own; those of yours are not its to "
             "change"),
            (["outage"], "outage is not played for real: it kills a KMS of its own; yours others may need. By hand: stop its "
             "service, and start it again"),
            (["restore"], "restore is not played for real: it changes nothing of yours: --vault VAULT without --for-real is the "
             "real thing"),
            (["all"], "--for-real plays one drill, not all of them"),
            (["migration"], "--for-real migration: to which key? --to KEY"),
            (["rotation", "--to", own.other], "--to is for migration and compromise"),
            (["rotation"], "nobody can be asked here whether to change this vault: --yes says so; nothing was changed")):
        done = own.box.run("drill", "--for-real", *vault, *words, code=2)
        assert f"signetfs: {said}\n" in done.stderr and done.stdout == ""
    done = own.box.run("drill", "--for-real", "--yes", "rotation", code=2)
    assert "signetfs: --for-real: with which vault? --vault VAULT\n" in done.stderr
    done = own.box.run("drill", *vault, "--yes", "rotation", code=2)
    assert "signetfs: --to and --yes go with --for-real\n" in done.stderr
    assert picture(own.vault) == before and rotations(own) == 0 and left_behind(own.box) == []


def test_a_key_of_the_kms_itself_is_not_rotated(box):
    """The key that `signetfs init` has without --key is managed: the KMS refuses, and the vault is as it was."""
    own = Own(box, managed=True)
    found = broken(own.drill("rotation", "--yes", code=1))
    assert set(found) == {END} and "AccessDeniedException" in found[END] and own.contents_now() == own.before


def test_a_mounted_vault_is_refused(own):
    point = own.box.mount(own.vault)
    done = own.box.run("drill", "--for-real", "--yes", "--vault", own.vault, "rotation", code=1)
    assert f"signetfs: {own.vault} is mounted: unmount it first (signetfs umount); nothing was changed\n" in done.stderr
    own.box.umount(point)
    assert rotations(own) == 0


def broken(result):
    return {c["what"]: c["detail"] for c in result["checks"] if not c["held"]}


END = "it could be played to the end"


def test_a_damaged_vault_is_refused(own):
    largest = max((os.path.join(d, n) for d, _, names in os.walk(own.vault) for n in names),
                  key=lambda p: 0 if "signetfs" in p[len(own.vault):] else os.lstat(p).st_size)
    with open(largest, "r+b") as f:
        f.seek(-20, os.SEEK_END)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 1]))
    under = own.under()
    found = broken(own.drill("migration", "--yes", "--to", own.other, code=1))
    assert set(found) == {"Every file of it can be read before anything changes", END}
    assert found[END].startswith("nothing was changed") and own.under() == under
    with open(largest, "r+b") as f:
        f.truncate(100)
    found = broken(own.drill("rotation", "--yes", code=1))
    assert set(found) == {"Your vault is sound before anything changes", END}
    assert found[END].startswith("nothing was changed") and rotations(own) == 0


@pytest.mark.parametrize("to, said", [("same", "the vault is under that key; nothing was changed"),
                                      ("disabled", "the key to move to is not enabled; nothing was changed"),
                                      ("00000000-0000-0000-0000-000000000000", "NotFoundException")])
def test_a_key_that_cannot_be_moved_to(own, to, said):
    if to == "disabled":
        own.box.run("kms", "disable-key", "--key-id", own.other)
    under = own.under()
    found = broken(own.drill("migration", "--yes", "--to", {"same": own.key, "disabled": own.other}.get(to, to), code=1))
    assert said in found[END] and own.under() == under and own.contents_now() == own.before


def type_at(own, answer, code):
    """The drill on a terminal, and what it wrote there."""
    master, slave = pty.openpty()
    p = subprocess.Popen([SIGNETFS, "drill", "--files", "10", "--vault", own.vault, "--for-real", "--to", own.other, "migration"],
                         env=own.box.env, cwd=own.box.home, stdin=slave, stdout=subprocess.PIPE, stderr=slave, text=True)
    os.close(slave)
    seen = b""
    try:
        while b"to go on: " not in seen:
            assert select.select([master], [], [], LIMIT)[0], seen
            seen += os.read(master, 4096)
        os.write(master, answer.encode() + b"\n")
        p.communicate(timeout=LIMIT)
        while select.select([master], [], [], 0)[0]:
            seen += os.read(master, 4096)
    except OSError:
        pass  # the other end is closed
    finally:
        p.kill()
        p.communicate()
        os.close(master)
    assert p.returncode == code, seen
    return seen.decode()


def test_it_asks_on_a_terminal(own):
    before = picture(own.vault)
    for answer in ("", "yes", own.vault):
        type_at(own, answer, 1)
        assert picture(own.vault) == before
    said = type_at(own, os.path.basename(own.vault), 0)
    assert own.vault in said and own.key in said and own.other in said and "signetfs reencrypt" in said
    assert {k for k, _ in own.under()} == {own.other}


def test_a_move_that_fails(own):
    """Refused by the KMS: red, with what to do next; every file is as it was."""
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": ["kms:GenerateDataKey", "kms:Encrypt", "kms:ReEncryptTo"],
         "Resource": "*"}]}
    own.box.run("kms", "put-key-policy", "--key-id", own.other, "--policy-name", "default", "--policy", json.dumps(policy))
    under, result = own.under(), own.drill("migration", "--yes", "--to", own.other, code=1)
    found = broken(result)
    assert set(found) == {END} and "is not authorized to perform: kms:ReEncryptTo" in found[END]
    assert {c["what"]: c["detail"] for c in result["checks"]}["It may be moved in part; every file opens, under whichever key it is"] \
        == "leave both keys enabled; signetfs reencrypt --resume VAULT goes on, or says that nothing had begun"
    assert own.under() == under and own.contents_now() == own.before


@pytest.mark.parametrize("name, at, how", [("migration", "signetfs reencrypt", signal.SIGINT),
                                           ("compromise", "signetfs reencrypt", signal.SIGTERM),
                                           ("rotation", "The key is rotated", signal.SIGINT)])
def test_interrupted(box, name, at, how):
    """However far it came, to its end perhaps: every file opens, and nothing of the drill is left."""
    own = Own(box, files=150)
    to = [] if name == "rotation" else ["--to", own.other]
    p = subprocess.Popen([SIGNETFS, "drill", "--vault", own.vault, "--for-real", "--yes", *to, name], env=box.env, cwd=box.home,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert any(at in line for line in p.stdout), "the drill did not come to that"
        p.send_signal(how)
        out, errors = p.communicate(timeout=LIMIT)
    finally:
        p.kill()
        p.communicate()
    assert p.returncode in (0, 128 + how), (out, errors)
    assert left_behind(box) == []
    assert own.contents_now() == own.before
    if name != "rotation":
        assert p.returncode == 0 or "--resume VAULT goes on" in out or "The vault is moved" in out
        box.run("reencrypt", "--resume", own.vault, code=None)  # or nothing to resume: it had not begun, or was done
        assert {k for k, _ in own.under()} <= {own.key, own.other} and own.contents_now() == own.before
