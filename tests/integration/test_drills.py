"""`signetfs drill`: each rehearsal holds, says so in every form, leaves nothing behind, and ends with 1 when something does not hold."""

import json
import os
import shutil
import signal
import stat
import subprocess
import xml.etree.ElementTree as ET

import pytest
from conftest import LIMIT, SIGNETFS, Box, Mounted, needs_fuse

pytestmark = needs_fuse

# What each must have looked at: a drill that checks nothing would hold, too.
EXPECTED = {
    "rotation": ["No operation failed", "New files are under the new material", "The KMS lists the rotation",
                 "Key id and policy are as before", "Calls grow with bucket keys, not with files",
                 "Old and new files open after a new mount"],
    "migration": ["KMS calls grow with bucket keys, not with files", "No operation failed meanwhile",
                  "No file depends on the old key any more", "Every file opens under the new key alone",
                  "The copy from before does not open"],
    "revocation": [f"{way}: {what}" for way in ("disabled", "denied", "deletion")
                   for what in ("no file can be read any more", "felt soon after the cache time")]
                  + ["Afterwards everything is as it was"],
    "compromise": ["Wrapping anew keeps the data keys: not enough after a compromise",
                   "No file is left under an old data key", "No read failed meanwhile", "Every file has its content"],
    "throttle": ["With bucket keys no operation failed", "Without bucket keys no operation failed",
                 "Bucket keys stay below the quota", "Without them the quota was met, and what was refused was asked again",
                 "The KMS says so, too"],
    "outage": ["Work goes on with the keys that are in memory", "Then programs see an input/output error",
               "It goes on by itself, without a new mount", "Nothing that was acknowledged is lost", "Nor after a new mount"],
    "restore": ["Without policy and grant the other account is refused",
                "signetfs restore brings back every byte, without a mount", "With them it reads every byte",
                "The grant lets it make new files"],
    "crypto-erase": ["Its sealed material is in the keystore before",
                     "No byte of its sealed material is left in the keystore's files", "The waiting period runs", "Already during the waiting period no file can be read",
                     "A day early the key is still there", "The KMS has no such key any more", "It cannot be brought back",
                     "The vault cannot be mounted", "Nor a copy of it from before",
                     "The audit trail says that its material was destroyed"],
}


def left_behind(box):
    with open("/proc/self/mountinfo") as f:
        mounts = [line for line in f if f"{box.root}/signetfs-drill-" in line]
    return mounts + [n for n in os.listdir(box.root) if n.startswith("signetfs-drill-")]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_drill_holds(box, name):
    page = box.path("report.html")
    done = box.run("drill", "--json", "--files", "20", "--report", page, name, code=None)
    assert done.returncode in (0, 1), done.stderr
    result, = json.loads(done.stdout)
    broken = [c for c in result["checks"] if not c["held"]]
    assert not broken and result["held"] and done.returncode == 0, (broken, result["events"], done.stderr)
    assert sorted(EXPECTED[name]) == sorted(c["what"] for c in result["checks"] if not c["caution"])
    assert result["name"] == name and result["events"] and result["seconds"] > 0
    text = "".join(ET.parse(page).getroot().itertext())
    assert all(c["what"] in text and c["detail"] in text for c in result["checks"])
    assert left_behind(box) == []


OWN = ["Every file of your vault can be read with your KMS", "Your vault is bit for bit as it was"]


def picture(top):
    """Everything there is to know about a tree but when it was last read."""
    found = {}
    for folder, names, files in os.walk(top):
        for path in [folder, *(os.path.join(folder, n) for n in names + files)]:
            st = os.lstat(path)
            content = open(path, "rb").read() if stat.S_ISREG(st.st_mode) else None
            found[path] = (st.st_mode, st.st_ino, st.st_nlink, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, st.st_ctime_ns,
                           content, {n: os.getxattr(path, n) for n in os.listxattr(path, follow_symlinks=False)})
    return found


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A vault of a person's own, with a bit of everything, and how its KMS was asked for it."""
    box = Box(tmp_path_factory.mktemp("own"))
    try:
        box.make_keystore()
        m = Mounted(box)
        os.makedirs(m.path("folder/deep"))
        for path, content in (("letter", b"Dear Ada\n"), ("folder/large", os.urandom(300_000)), ("empty", b"")):
            with open(m.path(path), "wb") as f:
                f.write(content)
        with open(m.path("holes"), "wb") as f:
            f.write(b"x")
            f.truncate(100_000)
        os.link(m.path("letter"), m.path("folder/same letter"))
        os.symlink("letter", m.path("folder/deep/link"))
        box.umount(m.point)
        yield m
    finally:
        box.close()


@pytest.mark.parametrize("name", ["migration", "compromise", "restore", "throttle"])
def test_with_a_vault_of_ones_own(own, name):
    """It takes part, and stays bit for bit as it was; its KMS is asked to decrypt, and nothing else."""
    box, before = own.box, picture(own.vault)

    def asked():
        return [json.loads(line)["eventName"] for line in box.run("kms", "audit", "--json-lines").stdout.splitlines()]

    calls = asked()
    result, = json.loads(box.run("drill", "--json", "--files", "10", "--vault", own.vault, name).stdout)
    assert result["held"] and picture(own.vault) == before
    assert set(asked()[len(calls):]) <= {"Decrypt"}
    checks = {c["what"]: c["detail"] for c in result["checks"]}
    assert OWN[1] in checks and left_behind(box) == []
    if name == "throttle":
        assert "Your vault took no part." in checks
        return
    # letter, large, empty, holes and the second name of the first
    assert OWN[0] in checks and any(d == "5 files, every byte" for w, d in checks.items() if w.endswith("what your vault holds, too"))


def test_a_damaged_file_of_ones_own_turns_it_red(own):
    box = own.box
    copy = box.path("damaged")
    shutil.copytree(own.vault, copy, symlinks=True)
    largest = max((os.path.join(d, n) for d, _, names in os.walk(copy) for n in names), key=lambda p: os.lstat(p).st_size)
    with open(largest, "r+b") as f:
        f.seek(200_000)
        f.write(b"damage")
    done = box.run("drill", "--json", "--files", "10", "--vault", copy, "compromise", code=1)
    result, = json.loads(done.stdout)
    broken = {c["what"]: c["detail"] for c in result["checks"] if not c["held"]}
    assert set(broken) == {OWN[0], "it could be played to the end"} and "large" in broken[OWN[0]]
    assert left_behind(box) == []


def test_no_vault(own):
    done = own.box.run("drill", "--vault", own.box.path("none"), "rotation", code=None)
    assert done.returncode != 0 and "looking at the vault" in done.stderr


@pytest.mark.parametrize("name, at, how", [("outage", "The KMS is killed", signal.SIGTERM),
                                          ("migration", "signetfs reencrypt --to", signal.SIGINT)])
def test_interrupted_it_tidies_up(box, name, at, how):
    """Also when the KMS of its mount is gone, and in the middle of a move."""
    p = subprocess.Popen([SIGNETFS, "drill", name], env=box.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    try:
        assert any(at in line for line in p.stdout), "the drill did not come to that"
        p.send_signal(how)
        out, errors = p.communicate(timeout=LIMIT)
    finally:
        p.kill()
        p.communicate()
    assert p.returncode == 128 + how, (out, errors)
    assert "interrupted" in errors and "interrupted" in out
    assert left_behind(box) == []


def test_the_names(box):
    listed = [line.split()[0] for line in box.run("drill", "list").stdout.splitlines()]
    assert listed == list(EXPECTED)


@pytest.mark.parametrize("words, said", [
    (["no-such"], 'there is no drill "no-such"; the names: signetfs drill list'),
    (["--files", "9", "rotation"], "--files takes 10 to"),
    ([], "an operand is missing"),
])
def test_wrong_use(box, words, said):
    assert said in box.run("drill", *words, code=2).stderr


def test_only_a_scratch_keystore_takes_another_clock(kms_box):
    done = kms_box.run("kms", "serve", "--listen", f"unix:{kms_box.path('s')}", "--clock-ahead", "8d", code=2)
    assert "--clock-ahead is for a scratch keystore" in done.stderr and "kms.db.scratch" in done.stderr


def test_a_page_that_cannot_be_written_is_an_error(box):
    done = box.run("drill", "--files", "10", "--report", box.path("none/page.html"), "throttle", code=1)
    assert "writing the report" in done.stderr and "No such file" in done.stderr


def test_bench_counts_at_the_kms(box):
    page = box.path("bench.html")
    done = box.run("bench", "kms", "--files", "500", "--json", "--report", page)
    x = json.loads(done.stdout)
    assert x["held"] and x["audited"]
    # The volume key, made once and opened by each mount, and the same of one bucket key: by the KMS's own audit trail.
    assert (x["with"]["GenerateDataKey"], x["with"]["Decrypt"]) == (2, 4)
    assert (x["without"]["GenerateDataKey"], x["without"]["Decrypt"]) == (501, 502)
    assert x["with"]["client_calls"] == 4 and x["without"]["client_calls"] == 1002
    assert x["reduction_percent"] == pytest.approx(100 * (1 - 6 / 1003))
    assert "99.4018 %" in "".join(ET.parse(page).getroot().itertext())
    assert left_behind(box) == []


def test_bench_of_another_kms(kms_service, kms_box):
    key = json.loads(kms_box.run("kms", "create-key").stdout)["KeyMetadata"]["Arn"]
    env = dict(kms_box.env, AWS_ACCESS_KEY_ID=kms_service.access_key, AWS_SECRET_ACCESS_KEY=kms_service.secret)
    done = kms_box.run("bench", "kms", "--files", "20", "--json", "--endpoint", kms_service.url, "--key", key, env=env)
    x = json.loads(done.stdout)
    assert x["held"] and not x["audited"]
    assert x["without"]["GenerateDataKey"] == 20 and x["with"]["client_calls"] == 4
    assert "name the key" in kms_box.run("bench", "kms", "--endpoint", kms_service.url, code=2).stderr
    assert "only: signetfs bench kms" in kms_box.run("bench", "disk", code=2).stderr
