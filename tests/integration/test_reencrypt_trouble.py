"""Moves in bad places: full disks, keys that go away half-way, journals that are damaged or another vault's, mounts under other names; and
what a person is told."""

import errno
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess

import pytest
from conftest import LIMIT, SIGNETFS, Mounted, Service, needs_fuse
from killed import Killed
from test_hostile_space import root_only
from test_reencrypt import INODES, check, check_vault, fill, files_under, make_keys, vault_box  # noqa: F401 (a fixture)


def events(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("data", [False, True], ids=["rewrap", "data"])
def test_killed_at_some_calls(kms_box, data):
    """The long form, at each call there is, is in tests/soak."""
    make_keys(kms_box)
    vault = kms_box.make_vault("--key", "alias/old")
    point = kms_box.mount(vault)
    contents = fill(point, files=4)
    kms_box.umount(point)
    service = Service(kms_box)
    kms = ["--kms", f"unix:{service.socket}"]
    killed = Killed(kms_box, vault, contents, kms, kms)
    words = ["--to", "alias/new", *["--data"] * data]
    for call, threads, step in (("pwrite64", True, 12 if data else 3), ("?renameat", False, 1), ("fsync", True, 13 if data else 6)):
        assert killed.at_each(call, threads, *words, step=step) > 0, call
    assert service.stop() == 0


# ---- Full disks ----

def fill_up(folder):
    """Not a byte is left; returns what to remove."""
    path = os.path.join(folder, "ballast")
    with open(path, "wb", buffering=0) as f:
        for size in (65536, 4096, 1):
            try:
                while True:
                    f.write(b"x" * size)
            except OSError as e:
                assert e.errno == errno.ENOSPC
    return path


@root_only
@needs_fuse
@pytest.mark.parametrize("data", [False, True], ids=["rewrap", "data"])
def test_a_full_disk_keeps_everything_and_is_gone_on_with(kms_box, data):
    ids = make_keys(kms_box)
    disk = kms_box.path("disk")
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", disk], check=True)
    try:
        vault = kms_box.make_vault("--key", "alias/old", name="disk/vault")
        point = kms_box.mount(vault)
        contents = fill(point, files=5)
        kms_box.umount(point)
        ballast = fill_up(disk)
        done = kms_box.run("reencrypt", vault, "--to", "alias/new", *["--data"] * data, code=1)
        assert "No space left on device" in done.stderr, done.stderr
        check_vault(kms_box, vault, contents)
        os.unlink(ballast)
        kms_box.run("reencrypt", vault, "--to", "alias/new", *["--data"] * data)
        assert "Nothing is under" in kms_box.run("keys", vault, "--key", ids["old"]).stdout
        check_vault(kms_box, vault, contents)
    finally:
        subprocess.run(["umount", disk], check=True)


# ---- Keys that go away ----

@needs_fuse
def test_an_old_key_that_is_to_be_deleted_half_way(kms_box):
    """Without bucket keys each file is a call: those behind the moment are listed with the KMS's words, and --resume ends it."""
    box, ids = kms_box, make_keys(kms_box)
    vault = box.make_vault("--key", "alias/old", "--bucket-key", "off")
    point = box.mount(vault)
    contents = fill(point, files=12)
    box.umount(point)
    service = Service(box)
    kms = ["--kms", f"unix:{service.socket}"]
    process = subprocess.Popen([SIGNETFS, "reencrypt", vault, "--to", "alias/new", "--json", "--rate", "2", "--jobs", "1", *kms],
                               env=box.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while json.loads(process.stdout.readline()).get("moved", 0) == 0:
        pass
    process.send_signal(signal.SIGSTOP)  # however long the next command takes, some files are still to come
    box.run("kms", "schedule-key-deletion", "--key-id", ids["old"], *kms)
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate(timeout=LIMIT)
    failed = [e for e in map(json.loads, out.splitlines()) if e["event"] == "failed"]
    end = json.loads(out.splitlines()[-1])
    assert process.returncode == 1 and end["ok"] is False
    assert 0 < end["failed"] == len(failed) and end["moved"] > 0 and end["moved"] + end["failed"] == 15
    assert all(e["error"] == "ERR_KMS_INVALID_STATE" and "is pending deletion" in e["reason"] for e in failed), failed
    box.run("kms", "cancel-key-deletion", "--key-id", ids["old"], *kms)
    box.run("kms", "enable-key", "--key-id", ids["old"], *kms)
    check_vault(box, vault, contents, *kms)
    box.run("reencrypt", vault, "--resume", *kms)
    assert files_under(box, vault, ids["old"]) == 0
    check_vault(box, vault, contents, *kms)
    assert service.stop() == 0


@needs_fuse
def test_a_journal_of_another_vault_is_refused_by_name(vault_box):  # noqa: F811
    box, vault, contents, _ = vault_box
    another = box.make_vault("--key", "alias/old", name="another")
    killed = Killed(box, vault, contents)
    killed.renew()
    assert killed.run("syncfs", 1, False, "--to", "alias/new")
    journal = ".signetfs/reencrypt"
    shutil.copy(os.path.join(killed.vault, journal), os.path.join(another, journal))
    for words in (["--resume"], ["--to", "alias/new"]):
        done = box.run("reencrypt", another, *words, code=2)
        assert "the journal of an earlier move, .signetfs/reencrypt, cannot be used" in done.stderr
        assert "remove it, and begin anew with --to" in done.stderr
    os.unlink(os.path.join(another, journal))
    assert "nothing to resume" in box.run("reencrypt", another, "--resume", code=1).stderr
    # The interrupted one goes on where it stopped, and says so.
    resumed = events(box.run("reencrypt", killed.vault, "--resume", "--json"))
    assert resumed[0]["resumed"] is True and resumed[-1]["moved"] == 0 and resumed[-1]["kept"] == INODES
    check_vault(box, killed.vault, contents)


# ---- Mounts ----

@needs_fuse
def test_a_mount_under_another_name_is_found(vault_box):  # noqa: F811
    """By the process that holds the vault's lock, not by what /proc/mounts calls it."""
    box, vault, contents, ids = vault_box
    point = box.mount(vault, "-o", "fsname=something else")
    box.run("reencrypt", vault, "--to", "alias/new")
    assert files_under(box, vault, ids["new"]) == INODES
    check(point, contents)
    box.umount(point)
    # A mount that calls itself as the vault is called does not answer for it: this vault is nobody's.
    elsewhere = box.make_vault("--key", "alias/old", name="elsewhere")
    box.mount(elsewhere, "-o", f"fsname={vault}")
    box.run("reencrypt", vault, "--to", "alias/old")
    assert files_under(box, vault, ids["old"]) == INODES
    box.umount(point)
    box.mount(vault, "-o", "ro")
    assert "mounted for reading only" in box.run("reencrypt", vault, "--to", "alias/new", code=1).stderr
    box.umount(point)
    check_vault(box, vault, contents)


@needs_fuse
def test_two_kms_through_a_mount(vault_box, tmp_path):  # noqa: F811
    from conftest import Box

    box, vault, contents, _ = vault_box
    os.mkdir(tmp_path / "other")
    other = Box(tmp_path / "other")
    other.make_keystore()
    ids = make_keys(other, ["there"])
    service = Service(other)
    mounted = Mounted(box, vault=vault)
    endpoint = f"unix:{service.socket}"
    end = events(box.run("reencrypt", vault, "--to", "alias/there", "--endpoint-to", endpoint, "--json"))[-1]
    assert end["ok"] and end["moved"] == INODES
    assert files_under(box, vault, ids["there"]) == INODES
    check(mounted.point, contents)
    with open(mounted.path("after"), "w") as f:
        f.write("made under the new KMS")
    box.umount(mounted.point)
    # The first KMS is not asked any more; the second one has to be named.
    os.rename(box.keystore, box.keystore + ".gone")
    assert f"give --kms {endpoint}" in box.run("mount", vault, mounted.point, code=2).stderr
    contents["after"] = b"made under the new KMS"
    check_vault(box, vault, contents, "--kms", endpoint)
    os.rename(box.keystore + ".gone", box.keystore)
    assert service.stop() == 0
    other.close()


# ---- What a person sees ----

def on_a_terminal(words, env):
    """What a program shows on a terminal until it ends, and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(words[0], words, env)
    shown = b""
    while select.select([terminal], [], [], LIMIT)[0]:
        try:
            got = os.read(terminal, 65536)
        except OSError:  # its last holder has gone
            break
        if not got:
            break
        shown += got
    os.close(terminal)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@needs_fuse
def test_a_terminal_shows_a_bar_and_a_pipe_does_not(vault_box):  # noqa: F811
    box, vault, _, _ = vault_box
    shown, code = on_a_terminal([SIGNETFS, "reencrypt", vault, "--to", "alias/new", "--rate", "20"], box.env)
    assert code == 0, shown
    assert re.search(rf"\[#+ +\] \d+ of {INODES} files, \d+/s, \d+ s left", shown), shown
    assert f"{INODES} files moved in" in shown
    done = box.run("reencrypt", vault, "--to", "alias/old", "--rate", "40")
    assert "\r" not in done.stdout + done.stderr and "left" not in done.stderr
    assert f"{INODES} files moved in" in done.stdout


@needs_fuse
def test_deleting_a_key_that_vaults_depend_on_warns(vault_box):  # noqa: F811
    box, vault, _, ids = vault_box
    info = json.loads(box.run("info", "--json", vault).stdout)
    arns = {name: json.loads(box.run("kms", "describe-key", "--key-id", key).stdout)["KeyMetadata"]["Arn"] for name, key in ids.items()}
    delete, cancel = (["kms", verb, "--key-id", ids["old"]] for verb in ("schedule-key-deletion", "cancel-key-deletion"))
    done = box.run(*delete)
    said = f"signetfs: warning: the vault {info['volume-id']} depends on this key, and used it last at 20"
    assert done.stderr.startswith(said) and "cancel-key-deletion keeps this key" in done.stderr, done.stderr
    assert json.loads(done.stdout)["KeyState"] == "PendingDeletion"
    box.run(*cancel)
    box.run("kms", "enable-key", "--key-id", ids["old"])
    point = box.mount(vault)
    assert f"{info['volume-id']} (mounted here, from {vault}) depends on this key" in box.run(*delete).stderr
    box.run(*cancel)
    box.run("kms", "enable-key", "--key-id", ids["old"])
    box.umount(point)
    box.run("reencrypt", vault, "--to", "alias/new")
    done = box.run(*delete)
    assert f"the vault {info['volume-id']} was moved to another key and used this one last at 20" in done.stderr
    assert f"signetfs keys VAULT --key {arns['old']}" in done.stderr and "depends on this key" not in done.stderr
    assert "depends on this key" in box.run("kms", "schedule-key-deletion", "--key-id", ids["new"]).stderr
    unused = json.loads(box.run("kms", "create-key").stdout)["KeyMetadata"]["KeyId"]
    assert box.run("kms", "schedule-key-deletion", "--key-id", unused).stderr == ""
    box.run("kms", "cancel-key-deletion", "--key-id", ids["new"])
    service = Service(box)
    there = box.run("kms", "schedule-key-deletion", "--kms", f"unix:{service.socket}", "--key-id", ids["new"])
    assert re.fullmatch(r"signetfs: warning: this key was last used at 20\S+Z, for \w+: vaults under it are lost when it is destroyed\. "
                        r"signetfs keys VAULT shows what depends on it; signetfs kms cancel-key-deletion keeps it\n", there.stderr)
    assert service.stop() == 0
