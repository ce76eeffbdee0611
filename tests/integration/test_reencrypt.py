"""`signetfs reencrypt` and `signetfs keys` with the real binary, KMS and mounts; what the KMS was asked is read from its audit trail."""

import fcntl
import json
import os
import random
import signal
import subprocess
import threading
import time

import pytest
from conftest import LIMIT, SIGNETFS, Box, Mounted, Service, needs_fuse

KEYS = ("old", "new")


def make_keys(box, names=KEYS):
    ids = {}
    for name in names:
        ids[name] = json.loads(box.run("kms", "create-key").stdout)["KeyMetadata"]["KeyId"]
        box.run("kms", "create-alias", "--alias-name", f"alias/{name}", "--target-key-id", ids[name])
    return ids


def calls(box):
    """How many calls of each cryptographic operation the audit trail holds."""
    counts = {}
    for line in box.run("kms", "audit").stdout.splitlines():
        words = line.split()
        counts[words[1]] = counts.get(words[1], 0) + 1
    return counts


def calls_of(box, run):
    before = calls(box)
    run()
    after = calls(box)
    return {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}


def fill(point, files=40):
    """Files of many kinds; returns what they hold by path."""
    contents = {}
    os.makedirs(os.path.join(point, "d/deep"))
    for i in range(files):
        contents[f"d/deep/f{i}"] = f"file {i}\n".encode() * (i * 50 + 1)
    contents["empty"] = b""
    contents["large"] = random.Random(1).randbytes(700_000)
    for path, data in contents.items():
        with open(os.path.join(point, path), "wb") as f:
            f.write(data)
    with open(os.path.join(point, "sparse"), "wb") as f:
        f.truncate(2_000_000)
        f.seek(1_000_000)
        f.write(b"x")
    contents["sparse"] = bytes(1_000_000) + b"x" + bytes(999_999)
    os.link(os.path.join(point, "large"), os.path.join(point, "linked"))
    contents["linked"] = contents["large"]
    os.setxattr(os.path.join(point, "large"), "user.tag", b"kept")
    os.utime(os.path.join(point, "large"), ns=(1_000_000_000, 2_000_000_001))
    return contents


def check(point, contents):
    for path, data in contents.items():
        with open(os.path.join(point, path), "rb") as f:
            assert f.read() == data, path
    large = os.stat(os.path.join(point, "large"))
    assert large.st_ino == os.stat(os.path.join(point, "linked")).st_ino and large.st_nlink == 2
    assert os.getxattr(os.path.join(point, "large"), "user.tag") == b"kept"


def check_vault(box, vault, contents, *options):
    point = box.mount(vault, *options)
    check(point, contents)
    box.umount(point)


def table(box, vault):
    return json.loads(box.run("keys", "--json", vault).stdout)["keys"]


def files_under(box, vault, key):
    return sum(row["files"] for row in table(box, vault) if row["key_arn"].endswith(key))


@pytest.fixture
def vault_box(kms_box):
    """A filled vault under alias/old, not mounted."""
    ids = make_keys(kms_box)
    vault = kms_box.make_vault("--key", "alias/old")
    point = kms_box.mount(vault)
    contents = fill(point)
    kms_box.umount(point)
    return kms_box, vault, contents, ids


INODES = 43  # of what fill() makes


@needs_fuse
@pytest.mark.parametrize("data", [False, True], ids=["rewrap", "data"])
def test_a_move_costs_calls_by_bucket_keys_and_lets_the_old_key_go(vault_box, data):
    box, vault, contents, ids = vault_box
    assert files_under(box, vault, ids["old"]) == INODES
    plan = box.run("reencrypt", vault, "--to", "alias/new", "--dry-run").stdout
    assert f"Files to move:         {INODES}\n" in plan and "$0.0000" in plan
    page = box.path("report.html")
    made = calls_of(box, lambda: box.run("reencrypt", vault, "--to", "alias/new", "--report", page, *["--data"] * data))
    with open(page) as f:
        assert "Everything that was asked for is under the new key" in f.read()
    # Opening and proving the volume key, and one old bucket key.
    assert made == {"GenerateDataKey": 1, "Decrypt": 3, "ReEncrypt": 1}
    assert "Nothing is under" in box.run("keys", vault, "--key", ids["old"]).stdout
    assert "headers name no alias" in box.run("keys", vault, "--key", "alias/old", code=2).stderr
    assert files_under(box, vault, ids["new"]) == INODES
    box.run("kms", "schedule-key-deletion", "--key-id", ids["old"], "--pending-window-in-days", "7")
    check_vault(box, vault, contents)
    assert set(os.listdir(os.path.join(vault, ".signetfs"))) <= {"bucket", "lock", "sessions", "sessions.new"}


@needs_fuse
def test_times_modes_and_holes_stay(vault_box):
    box, vault, contents, _ = vault_box
    for options in ([], ["--data"]):
        box.run("reencrypt", vault, "--to", "alias/new", *options)
        point = box.mount(vault)
        st = os.stat(os.path.join(point, "large"))
        assert st.st_mtime_ns == 2_000_000_001
        assert os.stat(os.path.join(point, "sparse")).st_blocks * 512 < 1_000_000
        box.umount(point)


@needs_fuse
def test_rotated_material(vault_box):
    box, vault, contents, ids = vault_box
    first = {row["backing_key"] for row in table(box, vault)}
    box.run("kms", "rotate-key-on-demand", "--key-id", ids["old"])
    box.run("reencrypt", vault, "--to", "alias/old")
    second = {row["backing_key"] for row in table(box, vault)}
    assert len(first) == len(second) == 1 and first != second
    # There is nothing to do now, and it is seen without touching a file.
    again = box.run("reencrypt", vault, "--to", "alias/old", "--json").stdout.splitlines()
    assert json.loads(again[-1])["moved"] == 0 and json.loads(again[-1])["kept"] == INODES
    check_vault(box, vault, contents)


@needs_fuse
def test_two_keystores(vault_box, tmp_path):
    box, vault, contents, ids = vault_box
    os.mkdir(tmp_path / "other")
    other = Box(tmp_path / "other")
    other.make_keystore()
    make_keys(other, ["there"])
    service = Service(other)
    try:
        endpoint = f"unix:{service.socket}"
        ours = calls_of(box, lambda: box.run("reencrypt", vault, "--to", "alias/there", "--endpoint-to", endpoint))
        assert ours == {"Decrypt": 2}
        assert {k: v for k, v in calls(other).items() if k in ("Encrypt", "Decrypt", "GenerateDataKey")} == {
            "Encrypt": 1, "Decrypt": 1, "GenerateDataKey": 1}
        # The old keystore is not needed any more; the new KMS is the person's to name.
        os.rename(box.keystore, box.keystore + ".gone")
        check_vault(box, vault, contents, "--kms", endpoint)
        os.rename(box.keystore + ".gone", box.keystore)
    finally:
        assert service.stop() == 0
        other.close()


@needs_fuse
def test_bucket_keys_off_to_on(kms_box):
    make_keys(kms_box)
    vault = kms_box.make_vault("--key", "alias/old", "--bucket-key", "off")
    point = kms_box.mount(vault)
    contents = fill(point, files=5)
    kms_box.umount(point)
    made = calls_of(kms_box, lambda: kms_box.run("reencrypt", vault, "--to", "alias/new"))
    assert made == {"GenerateDataKey": 1, "Decrypt": 8 + 2, "ReEncrypt": 1}
    assert calls_of(kms_box, lambda: check_vault(kms_box, vault, contents)) == {"Decrypt": 2}


# ---- Killed ----

KILLS = 100


@needs_fuse
def test_killed_at_random_every_file_opens_every_time(kms_box):
    seed = int(os.environ.get("SIGNETFS_SEED", time.time_ns() % 1_000_000))
    print(f"SIGNETFS_SEED={seed}")
    chance = random.Random(seed)
    make_keys(kms_box)
    vault = kms_box.make_vault("--key", "alias/old")
    point = kms_box.mount(vault)
    contents = fill(point, files=10)
    kms_box.umount(point)
    with_service = Service(kms_box)
    kms = ["--kms", f"unix:{with_service.socket}"]
    for n in range(KILLS):
        words = [SIGNETFS, "reencrypt", vault, "--json", "--rate", "150", "--jobs", "2", *kms]
        # Mostly a move begins where the one before was cut off; sometimes that one is resumed, or there is none.
        journal = os.path.exists(os.path.join(vault, ".signetfs/reencrypt"))
        if journal and chance.random() < 0.3:
            words += ["--resume"]
        else:
            words += ["--to", f"alias/{chance.choice(KEYS)}", *["--data"] * chance.randrange(2)]
        process = subprocess.Popen(words, env=kms_box.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if chance.random() < 0.8:
            process.stdout.readline()  # "start", or that an earlier move was not finished
        time.sleep(chance.uniform(0, 0.08))
        process.kill()
        process.wait()
        process.stdout.close()
        check_vault(kms_box, vault, contents, *kms)
    kms_box.run("reencrypt", vault, "--to", "alias/new", *kms)
    assert {row["key_arn"].rsplit("/", 1)[1] for row in table(kms_box, vault)} == {
        json.loads(kms_box.run("kms", "describe-key", "--key-id", "alias/new").stdout)["KeyMetadata"]["KeyId"]}
    check_vault(kms_box, vault, contents, *kms)
    assert with_service.stop() == 0


@needs_fuse
def test_interrupted_by_a_signal_it_ends_well_and_is_resumed(vault_box):
    box, vault, contents, ids = vault_box
    process = subprocess.Popen([SIGNETFS, "reencrypt", vault, "--to", "alias/new", "--json", "--rate", "10"], env=box.env,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert json.loads(process.stdout.readline())["event"] == "start"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT)
    end = json.loads(out.splitlines()[-1])
    assert process.returncode == 1 and end["error"] == "ERR_INTERRUPTED" and end["moved"] < INODES
    assert "--resume goes on" in err
    box.run("reencrypt", vault, "--resume")
    assert files_under(box, vault, ids["new"]) == INODES
    done = box.run("reencrypt", vault, "--resume", code=1)
    assert "nothing to resume" in done.stderr
    check_vault(box, vault, contents)


# ---- Refused ----

@needs_fuse
def test_refusals_say_why_and_change_nothing(vault_box, tmp_path):
    box, vault, contents, ids = vault_box
    box.run("kms", "disable-key", "--key-id", ids["new"])
    going = json.loads(box.run("kms", "create-key").stdout)["KeyMetadata"]["KeyId"]
    box.run("kms", "schedule-key-deletion", "--key-id", going, "--pending-window-in-days", "7")
    journal = os.path.join(vault, ".signetfs/reencrypt")
    for words, code, text in [
            ([], 2, "which key"),
            (["--to", "alias/nowhere"], 5, "alias/nowhere"),
            (["--to", "alias/new"], 5, "disabled"),
            (["--to", going], 5, "pending deletion"),
            (["--resume"], 1, "nothing to resume"),
            (["--resume", "--to", "alias/new"], 2, "leave out"),
            (["--to", "alias/old", "--only", "no/such"], 1, "no/such"),
            (["--to", "alias/old", "--jobs", "1000"], 2, "at most"),
            (["--to", "alias/old", "--endpoint-to", "unix:/no/such.sock"], 4, "/no/such.sock")]:
        done = box.run("reencrypt", vault, *words, code=code)
        assert text in done.stderr.lower() or text in done.stderr, (words, done.stderr)
        assert files_under(box, vault, ids["old"]) == INODES
        assert not os.path.exists(journal)
    with open(journal, "wb") as f:
        f.write(b"{}" + bytes(40))
    done = box.run("reencrypt", vault, "--to", "alias/old", code=2)
    assert "Nothing was changed" in done.stderr and "remove it" in done.stderr
    os.unlink(journal)
    with open(os.path.join(vault, ".signetfs/lock"), "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write("pid 17, host elsewhere, mounted on /srv/x (process 17)\n")
        lock.flush()
        done = box.run("reencrypt", vault, "--to", "alias/old", code=1)
        assert "host elsewhere" in done.stderr and "/srv/x" in done.stderr
    check_vault(box, vault, contents)


# ---- Mounted ----

class Load(threading.Thread):
    """Makes, renames, appends to and reads files until stopped; whatever fails ends it."""

    def __init__(self, point):
        super().__init__()
        self.point, self.ended, self.failure, self.rounds = point, threading.Event(), None, 0
        os.mkdir(os.path.join(point, "load"))

    def round(self):
        n = self.rounds
        a, b = (os.path.join(self.point, "load", f"{kind}{n % 20}") for kind in ("made", "moved"))
        with open(a, "wb") as f:
            f.write(b"%d" % n * 1000)
        os.rename(a, b)
        with open(b, "ab") as f:
            f.write(b"end")
        with open(b, "rb") as f:
            assert f.read() == b"%d" % n * 1000 + b"end"
        self.rounds += 1

    def run(self):
        try:
            while not self.ended.is_set():
                self.round()
        except BaseException as e:  # told by stop()
            self.failure = e

    def stop(self):
        self.ended.set()
        self.join(LIMIT)
        assert self.failure is None, self.failure


@needs_fuse
def test_a_mounted_vault_moves_under_load(vault_box):
    box, vault, contents, ids = vault_box
    mounted = Mounted(box, vault=vault)
    load = Load(mounted.point)
    load.start()
    try:
        with open(mounted.path("large"), "rb") as reader, open(mounted.path("d/deep/f3"), "ab") as writer:
            half = reader.read(350_000)
            for options in (["--to", "alias/new"], ["--to", "alias/new", "--data"]):
                end = json.loads(box.run("reencrypt", vault, "--json", *options).stdout.splitlines()[-1])
                assert end["ok"] and end["failed"] == 0 and end["moved"] >= INODES, end
            writer.write(b"more")
            writer.flush()
            assert half + reader.read() == contents["large"]
    finally:
        load.stop()
    assert load.rounds > 0
    contents["d/deep/f3"] += b"more"
    assert "Nothing is under" in box.run("keys", vault, "--key", ids["old"]).stdout
    box.run("kms", "disable-key", "--key-id", ids["old"])
    check(mounted.point, contents)
    mounted.remount()
    check(mounted.point, contents)
    with open(mounted.path("another"), "w") as f:
        f.write("under the new key\n")
    mounted.remount()
    assert files_under(box, vault, ids["old"]) == 0


@needs_fuse
def test_a_mount_moves_on_request_of_who_goes_away(vault_box):
    """Interrupted, it ends in a good state and the journal waits; refusals come through the socket as they are."""
    box, vault, contents, ids = vault_box
    mounted = Mounted(box, vault=vault)
    assert "alias/nowhere" in box.run("reencrypt", vault, "--to", "alias/nowhere", code=5).stderr
    process = subprocess.Popen([SIGNETFS, "reencrypt", vault, "--to", "alias/new", "--json", "--rate", "10"], env=box.env,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert json.loads(process.stdout.readline())["event"] == "start"
    assert "already" in box.run("reencrypt", vault, "--to", "alias/new", code=1).stderr
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT)
    assert json.loads(out.splitlines()[-1])["error"] == "ERR_INTERRUPTED" and process.returncode == 1
    check(mounted.point, contents)
    box.run("reencrypt", vault, "--resume")
    assert files_under(box, vault, ids["new"]) == INODES
    check(mounted.point, contents)


# ---- keys ----

@needs_fuse
def test_keys_lists_paths(vault_box):
    box, vault, contents, ids = vault_box
    box.run("reencrypt", vault, "--to", "alias/new", "--only", "d/deep/f1", "large")
    shown = box.run("keys", vault, "--paths", "--key", ids["new"]).stdout.split("\n")
    assert sorted(filter(None, shown))[0] == "d/deep/f1" and len(shown) == 3
    assert calls_of(box, lambda: box.run("keys", vault)) == {}
    stored = box.run("keys", vault, "--paths", "--lower", "--key", ids["new"]).stdout.split()
    assert len(stored) == 2 and all(os.path.isfile(os.path.join(vault, p)) for p in stored)
    assert box.run("keys", vault, "--lower", code=2).stderr
    rows = table(box, vault)
    assert sum(r["files"] for r in rows) == INODES
    assert [r["key_arn"].rsplit("/", 1)[1] for r in rows if r["volume_key"]] == [ids["old"]]
