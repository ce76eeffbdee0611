"""init, info, settings and the command line's own manners."""

import json
import os
import re
import shlex
import shutil
import subprocess

import pytest
from conftest import LIMIT, SIGNETFS, is_mounted, needs_fuse

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))


def config(box, text, mode=0o600):
    path = os.path.join(box.home, ".config/signetfs/signetfs.ini")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def describe(box, path):
    return json.loads(box.run("info", "--json", path).stdout)


def calls(box):
    return [r["eventName"] for r in json.loads(box.run("kms", "audit", "--json").stdout)["Records"]]


def test_init_with_defaults(kms_box):
    out = kms_box.run("init", "v").stdout
    assert out.startswith("Made the vault v: names encrypted, bucket keys on, under arn:aws:kms:us-east-1:000000000000:key/")
    d = describe(kms_box, os.path.join(kms_box.home, "v"))
    assert {k: d[k] for k in ("format", "names", "bucket-keys", "bucket-lifetime-seconds", "bucket-lifetime-files",
                              "cache-seconds", "header-length", "endpoint", "region", "key")} == {
        "format": 1, "names": "encrypted", "bucket-keys": "on", "bucket-lifetime-seconds": 7 * 86400,
        "bucket-lifetime-files": 1 << 20, "cache-seconds": 300, "header-length": 512, "endpoint": "agent",
        "region": "us-east-1", "key": "alias/aws/signetfs"}
    assert calls(kms_box).count("GenerateDataKey") == 2
    described = json.loads(kms_box.run("kms", "describe-key", "--key-id", "alias/aws/signetfs").stdout)["KeyMetadata"]
    assert described["KeyManager"] == "AWS" and described["Arn"] == d["volume-key-arn"]


def test_init_with_everything(kms_box):
    kms_box.run("kms", "create-key", "--region", "eu-central-1")
    key = json.loads(kms_box.run("kms", "list-keys", "--region", "eu-central-1").stdout)["Keys"][0]
    kms_box.run("init", "--key", key["KeyArn"], "--names", "plain", "--bucket-key=off", "--bucket-lifetime", "36h",
                "--bucket-files", "10", "--cache-time", "90", "--region", "eu-central-1", kms_box.path("v"))
    d = describe(kms_box, kms_box.path("v"))
    assert (d["names"], d["bucket-keys"], d["bucket-lifetime-seconds"], d["bucket-lifetime-files"], d["cache-seconds"],
            d["region"], d["key"], d["volume-key-arn"]) == (
        "plain", "off", 36 * 3600, 10, 90, "eu-central-1", key["KeyArn"], key["KeyArn"])
    text = kms_box.run("info", kms_box.path("v")).stdout
    assert re.search(r"^Bucket key lifetime: +36h$", text, re.M) and re.search(r"^Cache time: +90s$", text, re.M)


@needs_fuse
def test_advice_can_be_pasted_into_a_shell(kms_box):
    """Places with spaces and quotes, and options that the mount needs too."""
    vault, point = kms_box.path("Ada's vault"), kms_box.path("Ada's clear")
    said = kms_box.run("init", "--keystore", os.path.join(kms_box.home, ".local/share/signetfs/kms.db"), vault).stdout

    def paste(command):
        command = command.replace("signetfs", SIGNETFS, 1)
        return subprocess.run(["/bin/sh", "-c", command], env=kms_box.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=LIMIT)

    mount = re.search(r"^Mount it with: (signetfs mount --keystore .* MOUNTPOINT)$", said, re.M)[1].replace(
        "MOUNTPOINT", shlex.quote(point))
    missing = paste(mount)
    assert missing.returncode == 7
    assert paste(re.search(r"`(mkdir .*)`", missing.stderr)[1]).returncode == 0
    kms_box.mounts.append(point)
    assert paste(mount).returncode == 0
    again = paste(mount)
    assert again.returncode == 7
    assert paste(re.search(r"`(signetfs umount .*)`", again.stderr)[1]).returncode == 0
    kms_box.mounts.remove(point)
    assert not is_mounted(point)


def test_init_refuses_what_is_not_empty_and_changes_nothing(kms_box):
    place = kms_box.path("full")
    os.mkdir(place)
    with open(os.path.join(place, "letter"), "w") as f:
        f.write("dear")
    assert place in kms_box.run("init", place, code=2).stderr
    assert os.listdir(place) == ["letter"]
    vault = kms_box.make_vault()
    with open(os.path.join(vault, "signetfs.ini")) as f:
        before = f.read()
    kms_box.run("init", vault, code=1)
    with open(os.path.join(vault, "signetfs.ini")) as f:
        assert f.read() == before


def test_init_under_a_key_that_is_not_usable(kms_box):
    done = kms_box.run("init", "--key", "alias/none", kms_box.path("v"), code=5)
    assert "signetfs kms list-aliases" in done.stderr and not os.path.exists(kms_box.path("v"))
    key = json.loads(kms_box.run("kms", "create-key").stdout)["KeyMetadata"]["KeyId"]
    kms_box.run("kms", "disable-key", "--key-id", key)
    done = kms_box.run("init", "--key", key, kms_box.path("v"), code=5)
    assert "is disabled" in done.stderr and "signetfs kms enable-key" in done.stderr
    assert not os.path.exists(kms_box.path("v"))


@pytest.mark.parametrize("args, text", [
    (["init"], "an operand is missing"),
    (["init", "a", "b"], '"b" is too much'),
    (["init", "--names", "rot13", "v"], '"rot13" is none of encrypted|plain'),
    (["init", "--cache-time", "5y", "v"], '"5y" is no length of time'),
    (["init", "--cache-time", "99999999999999999999s", "v"], "is no length of time"),
    (["init", "--bucket-files", "-1", "v"], '"-1" is not a whole number'),
    (["init", "--kms", "unix:relative.sock", "v"], "absolute path"),
    (["info"], "an operand is missing"),
    (["inti", "v"], 'did you mean "init"?'),
    (["frobnicate"], 'there is no command "frobnicate"'),
    (["help", "frobnicate"], 'there is no command "frobnicate"'),
    (["init", "-x", "v"], "there is no option -x"),
    (["-x"], "there is no option -x here"),
    (["kms", "--lsit"], "there is no option --lsit here"),
    ([], "a command is missing"),
])
def test_wrong_usage(kms_box, args, text):
    done = kms_box.run(*args, code=2)
    assert text in done.stderr and "Help: signetfs" in done.stderr or "relative.sock" in done.stderr
    assert done.stdout == "" and not os.path.exists(os.path.join(kms_box.home, "v"))


def test_help_and_version(box):
    assert re.fullmatch(r"signetfs \d+\.\d+\.\d+\n", box.run("--version").stdout)
    listing = box.run("--help").stdout
    assert listing == box.run("help").stdout
    for name in ("init", "mount", "umount", "info", "stats", "kms"):
        assert re.search(rf"^  {name} ", listing, re.M)
        assert box.run("help", name).stdout == box.run(name, "--help").stdout != ""


@needs_fuse
def test_info_of_files_needs_no_key(kms_box):
    vault = kms_box.make_vault()
    point = kms_box.mount(vault)
    with open(os.path.join(point, "letter"), "w") as f:
        f.write("x" * 10000)
    os.symlink("letter", os.path.join(point, "link"))
    os.mkdir(os.path.join(point, "folder"))
    inode = os.stat(os.path.join(point, "letter")).st_ino
    link = os.lstat(os.path.join(point, "link")).st_ino
    kms_box.umount(point)
    lower = {os.lstat(os.path.join(vault, n)).st_ino: os.path.join(vault, n) for n in os.listdir(vault)}
    shutil.rmtree(os.path.dirname(kms_box.keystore))
    d = describe(kms_box, lower[inode])
    assert (d["size-in-header"], d["size-by-length"], d["header-length"], d["holes"], d["wrap"], d["bucket"]) == (
        10000, 10000, 512, "no", "a bucket key", "the whole vault")
    assert d["volume-id"] == describe(kms_box, vault)["volume-id"] and d["key-arn"].startswith("arn:aws:kms:")
    assert "symbolic link" in kms_box.run("info", lower[link], code=2).stderr
    assert "directory's id" in kms_box.run("info", os.path.join(vault, "signetfs.dir"), code=2).stderr
    assert describe(kms_box, os.path.join(vault, "signetfs.ini")) | {"vault": vault} == describe(kms_box, vault)
    with open(lower[inode], "r+b") as f:
        f.write(b"X")
    assert lower[inode] in kms_box.run("info", lower[inode], code=6).stderr
    os.truncate(lower[inode], 100)
    assert "was cut" in kms_box.run("info", lower[inode], code=6).stderr


@pytest.mark.parametrize("damage, code", [
    (lambda text: text[:-20], 6),
    (lambda text: text.replace("format = 1", "format = 2"), 1),
    (lambda text: text.replace("names = encrypted", "names = enciphered"), 6),
    (lambda text: "nothing like it", 6),
    (lambda text: "", 6),
])
def test_info_of_a_damaged_descriptor(kms_box, damage, code):
    vault = kms_box.make_vault()
    path = os.path.join(vault, "signetfs.ini")
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(damage(text))
    done = kms_box.run("info", vault, code=code)
    assert "signetfs.ini" in done.stderr and done.stdout == ""


def test_info_of_what_is_no_vault(box):
    os.mkdir(box.path("empty"))
    assert box.run("info", box.path("empty"), code=None).returncode in (1, 6)
    assert "No such file" in box.run("info", box.path("missing"), code=1).stderr
    with open(box.path("text"), "w") as f:
        f.write("just text, " * 100)
    box.run("info", box.path("text"), code=6)


@pytest.mark.parametrize("text, said", [
    ("[kms]\nkeystor = /x\n", "2: unknown entry \"keystor\" in [kms]"),
    ("[kms]\n\n[moun]\noptions = ro\n", "4: unknown section [moun]"),
    ("[kms]\nkeystore = relative.db\n", "2: keystore = relative.db: write an absolute path"),
    ("[kms]\nkeystore =\n", "2: keystore has no value"),
    ("[kms]\nregion = a\nregion = b\n", "3: region is given twice"),
    ("[kms]\ninsecure-http = perhaps\n", "insecure-http = perhaps: write yes or no"),
    ("[kms\n", "1"),
])
def test_wrong_configuration_names_file_and_line(box, text, said):
    path = config(box, text)
    done = box.run("kms", "list-keys", code=2)
    assert said in done.stderr and (path in done.stderr or "perhaps" in said)


def test_secrets_only_in_private_files(box):
    path = config(box, "[kms]\nendpoint = http://127.0.0.1:9\naccess-key-id = AKIAX\nsecret-access-key = s3cr3t\n", 0o640)
    done = box.run("kms", "list-keys", code=2)
    assert f"others can read {path} (mode 640); chmod 600 it" in done.stderr and "s3cr3t" not in done.stderr
    os.chmod(path, 0o600)
    box.run("kms", "list-keys", code=4)


def test_later_sources_win(kms_box):
    system_wide = kms_box.keystore
    for name in ("config", "env", "option"):
        kms_box.run("kms", "init", "--keystore", kms_box.path(name + ".db"))
        kms_box.run("kms", "create-key", "--description", name, "--keystore", kms_box.path(name + ".db"))
    with open(kms_box.path("extra.ini"), "w") as f:
        f.write(f"[kms]\nkeystore = {kms_box.path('config.db')}\n")

    def seen(*args, **env):
        out = kms_box.run("kms", "list-keys", *args, env=dict(kms_box.env, **env)).stdout
        keys = json.loads(out)["Keys"]
        if not keys:
            return None
        return json.loads(kms_box.run("kms", "describe-key", "--key-id", keys[0]["KeyId"], *args,
                                      env=dict(kms_box.env, **env)).stdout)["KeyMetadata"]["Description"]

    extra = ["--config", kms_box.path("extra.ini")]
    env = {"SIGNETFS_KEYSTORE": kms_box.path("env.db")}
    assert os.path.exists(system_wide) and seen() is None
    assert seen(*extra) == "config"
    assert seen(*extra, **env) == "env"
    assert seen(*extra, "--keystore", kms_box.path("option.db"), **env) == "option"
    assert "reading the configuration" in kms_box.run("kms", "list-keys", "--config", "/missing.ini", code=2).stderr


def test_home_is_expanded_behind_keyfile(kms_box):
    config(kms_box, "[kms]\nroot-key = keyfile:~/root.key\nkeystore = ~/.local/share/signetfs/kms.db\n")
    kms_box.run("kms", "list-keys")


@needs_fuse
def test_a_vault_cannot_choose_its_kms(kms_box):
    """Whoever can write to the vault could name a KMS of theirs: an endpoint needs the person's own word."""
    vault = kms_box.make_vault()
    path = os.path.join(vault, "signetfs.ini")
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(text.replace("endpoint = agent", "endpoint = https://kms.example.net"))
    os.mkdir(kms_box.path("clear"))
    done = kms_box.run("mount", vault, kms_box.path("clear"), code=2)
    assert "nothing of yours says so" in done.stderr and "https://kms.example.net" in done.stderr


def complete(box, *words):
    script = (f"source {TOP}/contrib/completions/signetfs.bash; COMP_WORDS=({' '.join(repr(w) for w in words)}); "
              f"COMP_CWORD={len(words) - 1}; _signetfs; echo \"${{COMPREPLY[@]}}\"")
    tools = box.path("bin")
    os.makedirs(tools, exist_ok=True)
    if not os.path.exists(os.path.join(tools, "signetfs")):
        os.symlink(SIGNETFS, os.path.join(tools, "signetfs"))
    env = dict(box.env, PATH=tools + ":" + box.env["PATH"])
    return subprocess.run(["bash", "-c", script], env=env, stdout=subprocess.PIPE, text=True, timeout=LIMIT).stdout.split()


def test_completion(box):
    assert complete(box, "signetfs", "in") == ["init", "info"]
    assert complete(box, "signetfs", "kms", "create-k") == ["create-key"]
    assert complete(box, "signetfs", "init", "--buck") == ["--bucket-key", "--bucket-lifetime", "--bucket-files"]
    assert complete(box, "signetfs", "init", "--names", "p") == ["plain"]
    assert complete(box, "signetfs", "drill", "--vault", "v", "--for") == ["--for-real"]
    assert "--key-id" in complete(box, "signetfs", "kms", "encrypt", "--")
