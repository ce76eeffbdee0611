"""A vault under a key file that a person holds, in the place of a KMS: everything works with it, wrong files are refused, and moves to and
from a CMK lose nothing."""

import json
import os
import secrets

import pytest
from conftest import Mounted, Service, needs_fuse
from killed import Killed
from test_reencrypt import INODES, check, check_vault, fill, make_keys, table

FSCK_CODES = {5: 8, 2: 16, 1: 8}
CUSTOMER = "arn:signetfs:kms:::customer-key/"


def make_key(box, name, data=None, mode=0o600):
    path = box.path(name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as f:
        f.write(secrets.token_bytes(32) if data is None else data)
    os.chmod(path, mode)
    return path


def under(box, vault):
    """What the vault and its files are under, by the beginning of the ARN."""
    return {"file" if row["key_arn"].startswith(CUSTOMER) else "kms" for row in table(box, vault)}


@pytest.fixture
def held(box):
    """A box without any keystore, and a vault under box.path("my.key"); the words that give it."""
    key = make_key(box, "my.key")
    vault = box.make_vault("--kms", f"keyfile:{key}")
    return box, vault, key, ["--kms", f"keyfile:{key}"]


@needs_fuse
def test_every_command_works_with_it(held):
    box, vault, key, words = held
    point = box.mount(vault, *words)
    contents = fill(point)
    assert json.loads(box.run("stats", "--json", point).stdout)["kms"]["calls"]
    box.umount(point)
    check_vault(box, vault, contents, *words)
    with open(os.path.join(vault, "signetfs.ini")) as f:
        descriptor = f.read()
    assert "endpoint = keyfile:PATH\n" in descriptor and key not in descriptor
    arn = json.loads(box.run("info", "--json", vault).stdout)["volume-key-arn"]
    assert arn.startswith(CUSTOMER) and len(arn) == len(CUSTOMER) + 32
    assert {row["key_arn"] for row in table(box, vault)} == {arn}
    assert len(box.run("keys", "--paths", *words, vault).stdout.splitlines()) == INODES
    assert f"Nothing is under {'0' * 32}" in box.run("keys", vault, "--key", "0" * 32).stdout
    box.run("fsck", "--read-data", *words, vault)
    box.run("restore", *words, vault, box.path("out"))
    check(box.path("out"), contents)
    # From configuration, as a mount at boot would have it; hexadecimal digits say the same.
    with open(key, "rb") as f:
        same = make_key(box, "same.key", f.read().hex().encode() + b"\n")
    config = box.path("there.ini")
    with open(config, "w") as f:
        f.write(f"[kms]\nendpoint = keyfile:{same}\n")
    check_vault(box, vault, contents, "--config", config)
    # There is one key: nothing to rotate, nothing to disable.
    assert "needs a KMS" in box.run("kms", "list-keys", *words, code=1).stderr


@needs_fuse
def test_files_that_are_refused(held):
    box, vault, key, words = held
    point = box.mount(vault, *words)
    contents = fill(point, files=3)
    box.umount(point)
    arn = json.loads(box.run("info", "--json", vault).stdout)["volume-key-arn"]
    wrong = make_key(box, "wrong.key")
    os.mkfifo(box.path("pipe.key"), 0o600)
    for given, code, text in [
            (wrong, 5, f"and this is under {arn}"),
            (make_key(box, "short.key", bytes(31)), 2, "short.key is no key file: it holds neither 32 bytes nor 64 hexadecimal digits"),
            (make_key(box, "long.key", bytes(33)), 2, "long.key is no key file"),
            (make_key(box, "empty.key", b""), 2, "empty.key is no key file"),
            (make_key(box, "open.key", mode=0o644), 2, "open.key is open to others (mode 0644): type chmod 600"),
            (box.path("lost.key"), 1, "lost.key does not exist"),
            (box.path("pipe.key"), 2, "pipe.key is not a regular file"),
            (box.home, 2, "is not a regular file"),
            ("my.key", 2, "absolute path")]:
        for command in (["mount", vault, box.path("clear")], ["fsck", vault], ["restore", vault, box.path("no")],
                        ["init", box.path("another")]):
            if command[0] == "init" and given == wrong:
                continue
            done = box.run(command[0], "--kms", f"keyfile:{given}", *command[1:], code=None)
            assert done.returncode == (FSCK_CODES[code] if command[0] == "fsck" else code), (command, done.stderr)
            assert text in done.stderr, (command, done.stderr)
    assert not os.path.exists(box.path("another"))
    for command, code in ((["fsck", vault], 16), (["mount", vault, box.path("clear")], 2), (["reencrypt", vault, "--to", "alias/x"], 2)):
        assert f"under a key that you hold in a file, {arn}" in box.run(*command, code=code).stderr
    assert "leave out --key" in box.run("init", *words, "--key", "alias/x", box.path("another"), code=2).stderr
    check_vault(box, vault, contents, *words)


@needs_fuse
def test_a_file_that_goes_away_ends_access_and_comes_back(held):
    box, _, key, words = held
    vault = box.make_vault(*words, "--cache-time", "1s", name="short.vault")
    point = box.mount(vault, *words)
    with open(os.path.join(point, "a"), "w") as f:
        f.write("text")
    box.umount(point)
    point = box.mount(vault, *words)
    os.rename(key, key + ".away")
    with pytest.raises(OSError):
        open(os.path.join(point, "a")).read()
    # In its place another one: nothing is made under that, which nobody could open later.
    make_key(box, "my.key")
    with pytest.raises(OSError):
        open(os.path.join(point, "a")).read()
    os.rename(key + ".away", key)
    box.umount(point)
    point = box.mount(vault, *words)
    with open(os.path.join(point, "a")) as f:
        assert f.read() == "text"
    assert len({row["key_arn"] for row in table(box, vault)}) == 1


# ---- Moves ----

@pytest.fixture
def both(kms_box):
    """A filled vault under alias/old, and a key file."""
    make_keys(kms_box)
    vault = kms_box.make_vault("--key", "alias/old")
    point = kms_box.mount(vault)
    contents = fill(point, files=4)
    kms_box.umount(point)
    return kms_box, vault, contents, make_key(kms_box, "my.key")


@needs_fuse
@pytest.mark.parametrize("mounted", [False, True], ids=["alone", "mounted"])
def test_from_a_cmk_to_a_file_and_back(both, mounted):
    box, vault, contents, key = both
    file = f"keyfile:{key}"
    mount = Mounted(box, vault=vault) if mounted else None
    back = [] if mounted else ["--kms", file]
    refused = box.run("reencrypt", vault, "--endpoint-to", f"keyfile:{box.path('none')}", code=1)
    assert "none does not exist" in refused.stderr
    assert "leave out --to" in box.run("reencrypt", vault, "--to", "alias/new", "--endpoint-to", file, code=2).stderr
    assert "to move" in box.run("reencrypt", vault, "--endpoint-to", file, "--dry-run").stdout
    box.run("reencrypt", vault, "--endpoint-to", file)
    assert under(box, vault) == {"file"}
    if mount:
        check(mount.point, contents)
    else:
        check_vault(box, vault, contents, "--kms", file)
    config = box.path("to.ini")
    with open(config, "w") as f:
        f.write(f"[kms]\nendpoint = agent\nkeystore = {box.keystore}\nroot-key = keyfile:{box.home}/root.key\n")
    box.run("reencrypt", vault, *back, "--to", "alias/new", "--config-to", config, "--data")
    assert under(box, vault) == {"kms"}
    os.unlink(key)
    if mount:
        check(mount.point, contents)
        box.umount(mount.point)
    check_vault(box, vault, contents)


@needs_fuse
def test_killed_on_either_way_it_is_resumed(both):
    box, vault, contents, key = both
    file, service = f"keyfile:{key}", Service(box)
    kms = f"unix:{service.socket}"
    killed = Killed(box, vault, contents, ["--kms", kms], ["--kms", file])
    kills = sum(killed.at_each(call, True, "--endpoint-to", file, step=2) for call in ("pwrite64", "?renameat", "unlinkat"))
    box.run("reencrypt", vault, "--kms", kms, "--endpoint-to", file)
    killed = Killed(box, vault, contents, ["--kms", file], ["--kms", kms])
    kills += sum(killed.at_each(call, True, "--endpoint-to", kms, "--to", "alias/new", step=2)
                 for call in ("pwrite64", "?renameat", "unlinkat"))
    assert kills > 10
    assert service.stop() == 0


@needs_fuse
def test_nothing_is_under_the_new_key_before_the_journal_says_so(both):
    """Or a crash would leave a vault in which nothing can be made, and nobody told why."""
    box, vault, contents, key = both
    killed = Killed(box, vault, contents)
    kept = 0
    for call in ("?renameat", "fsync"):
        for nth in range(1, 9):
            killed.renew()
            killed.run(call, nth, False, "--endpoint-to", f"keyfile:{key}")
            if not os.path.exists(os.path.join(killed.vault, ".signetfs/reencrypt")) and under(box, killed.vault) != {"file"}:
                assert under(box, killed.vault) == {"kms"}, (call, nth)
                kept += 1
    assert kept > 2
    killed.renew()
    assert killed.run("syncfs", 1, False, "--endpoint-to", f"keyfile:{key}")
    point = box.path("seen")
    os.mkdir(point)
    box.mounts.append(point)
    told = box.run("mount", killed.vault, point).stderr
    assert "a move of this vault to other keys was interrupted" in told and "--resume" in told, told


@needs_fuse
def test_half_way_it_is_resumed_with_the_same_file_only(both):
    box, vault, contents, key = both
    killed = Killed(box, vault, contents)
    killed.renew()
    vault, file = killed.vault, f"keyfile:{key}"
    assert killed.run("syncfs", 1, False, "--endpoint-to", file)  # all files are under the file, the volume key is not yet
    assert under(box, vault) == {"file", "kms"}
    assert "say so again" in box.run("reencrypt", vault, "--resume", code=2).stderr
    wrong = make_key(box, "wrong.key")
    done = box.run("reencrypt", vault, "--resume", "--endpoint-to", f"keyfile:{wrong}", code=5)
    assert "wrong.key has the key" in done.stderr
    box.run("reencrypt", vault, "--resume", "--endpoint-to", file)
    assert under(box, vault) == {"file"}
    check_vault(box, vault, contents, "--kms", file)
