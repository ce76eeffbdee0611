"""`signetfs kms …`: the AWS CLI's spelling, human and JSON output, exit codes, the local keystore's own commands."""

import base64
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest
from conftest import LIMIT, SIGNETFS

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def ask(box, *args, **options):
    """One KMS operation; its JSON answer, None where AWS answers an empty body."""
    out = box.run("kms", *args, **options).stdout
    return json.loads(out) if out else None


def on_terminal(box, *args, answers=()):
    """Run with a terminal as stdin, stdout and stderr, one answer for each question; (exit code, what it showed)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(SIGNETFS, [SIGNETFS, *args], box.env)
    shown, answered = b"", 0
    while True:
        if not select.select([fd], [], [], LIMIT)[0]:
            os.kill(pid, signal.SIGKILL)
            break
        try:
            part = os.read(fd, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
        if shown.lower().count(b"passphrase") > answered and shown.endswith(b": ") and answered < len(answers):
            time.sleep(0.2)  # echo is off by then, and what was typed before it is thrown away
            os.write(fd, answers[answered].encode() + b"\n")
            answered += 1
    os.close(fd)
    assert answered == len(answers), shown
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


@pytest.fixture
def key(kms_box):
    return ask(kms_box, "create-key", "--description", "letters & co")["KeyMetadata"]


def test_no_keystore_says_how_to_make_one(box):
    done = box.run("kms", "list-keys", code=1)
    assert f"there is no keystore at {box.keystore}" in done.stderr
    assert "signetfs kms init" in done.stderr
    assert not os.path.exists(os.path.dirname(box.keystore))


def test_init_never_replaces_a_keystore(kms_box):
    with open(kms_box.keystore, "rb") as f:
        before = f.read()
    done = kms_box.run("kms", "init", code=1)
    assert "it was not touched" in done.stderr
    with open(kms_box.keystore, "rb") as f:
        assert f.read() == before
    assert os.stat(kms_box.keystore).st_mode & 0o777 == 0o600


def test_init_says_what_to_configure(box):
    with open(os.path.join(box.home, "k"), "w") as f:
        f.write("ab" * 32)
    os.chmod(os.path.join(box.home, "k"), 0o600)
    out = box.run("kms", "init", "--root-key", "keyfile:k").stdout
    assert f"  [kms]\n  root-key = keyfile:{box.home}/k\n" in out


def test_init_refuses_a_key_file_that_others_can_read(box):
    path = os.path.join(box.home, "k")
    with open(path, "w") as f:
        f.write("ab" * 32)
    os.chmod(path, 0o644)
    box.run("kms", "init", "--root-key", f"keyfile:{path}", code=2)
    assert not os.path.exists(box.keystore)


def test_wrong_root_key_has_its_own_exit_code(kms_box):
    other = os.path.join(kms_box.home, "other")
    with open(other, "w") as f:
        f.write("cd" * 32)
    os.chmod(other, 0o600)
    for command in (["kms", "list-keys"], ["kms", "audit"], ["init", kms_box.path("vault")]):
        done = kms_box.run(*command, "--root-key", f"keyfile:{other}", code=3)
        assert "Nothing was changed" in done.stderr


def test_damaged_keystore_has_its_own_exit_code(kms_box):
    with open(kms_box.keystore, "r+b") as f:
        f.write(b"nothing like a database" * 10)
    done = kms_box.run("kms", "list-keys", code=8)
    assert kms_box.keystore in done.stderr


def test_key_life(kms_box, key):
    key_id = key["KeyId"]
    assert re.fullmatch(UUID, key_id) and key["Description"] == "letters & co" and key["KeyState"] == "Enabled"
    assert ask(kms_box, "create-alias", "--alias-name", "alias/letters", "--target-key-id", key_id) is None
    assert ask(kms_box, "describe-key", "--key-id", "alias/letters")["KeyMetadata"]["KeyId"] == key_id
    ask(kms_box, "update-key-description", "--key-id", key_id, "--description", "new words")
    ask(kms_box, "disable-key", "--key-id", key_id)
    after = ask(kms_box, "describe-key", "--key-id", key_id)["KeyMetadata"]
    assert (after["KeyState"], after["Description"]) == ("Disabled", "new words")
    done = kms_box.run("kms", "generate-data-key", "--key-id", key_id, "--key-spec", "AES_256", code=5)
    assert f"An error occurred (DisabledException) when calling the GenerateDataKey operation: {key['Arn']} is disabled." \
        in done.stderr
    assert "signetfs kms enable-key" in done.stderr and done.stdout == ""
    ask(kms_box, "enable-key", "--key-id", key_id)
    assert ask(kms_box, "get-key-rotation-status", "--key-id", key_id)["KeyRotationEnabled"] is False
    ask(kms_box, "enable-key-rotation", "--key-id", key_id, "--rotation-period-in-days", "90")
    assert ask(kms_box, "get-key-rotation-status", "--key-id", key_id)["RotationPeriodInDays"] == 90
    ask(kms_box, "rotate-key-on-demand", "--key-id", key_id)
    assert [r["RotationType"] for r in ask(kms_box, "list-key-rotations", "--key-id", key_id)["Rotations"]] == ["ON_DEMAND"]
    ask(kms_box, "disable-key-rotation", "--key-id", key_id)
    assert ask(kms_box, "schedule-key-deletion", "--key-id", key_id, "--pending-window-in-days", "7")["KeyState"] \
        == "PendingDeletion"
    assert ask(kms_box, "cancel-key-deletion", "--key-id", key_id)["KeyId"].endswith(key_id)
    assert ask(kms_box, "describe-key", "--key-id", key_id)["KeyMetadata"]["KeyState"] == "Disabled"
    ask(kms_box, "delete-alias", "--alias-name", "alias/letters")
    assert ask(kms_box, "list-aliases", "--key-id", key_id)["Aliases"] == []


def test_blobs_contexts_and_files(kms_box, key):
    secret = os.urandom(4096)
    with open(os.path.join(kms_box.home, "secret.bin"), "wb") as f:
        f.write(secret)
    sealed = ask(kms_box, "encrypt", "--key-id", key["KeyId"], "--plaintext", "fileb://secret.bin",
                 "--encryption-context", 'purpose=test,note="a,b"')["CiphertextBlob"]
    with open(os.path.join(kms_box.home, "sealed.bin"), "wb") as f:
        f.write(base64.b64decode(sealed))
    opened = ask(kms_box, "decrypt", "--ciphertext-blob", "fileb://sealed.bin",
                 "--encryption-context", json.dumps({"note": "a,b", "purpose": "test"}))
    assert base64.b64decode(opened["Plaintext"]) == secret and opened["KeyId"] == key["Arn"]
    done = kms_box.run("kms", "decrypt", "--ciphertext-blob", sealed, "--encryption-context", "purpose=other", code=1)
    assert "An error occurred (InvalidCiphertextException) when calling the Decrypt operation: \n" in done.stderr
    again = ask(kms_box, "re-encrypt", "--ciphertext-blob", sealed, "--source-encryption-context", 'purpose=test,note="a,b"',
                "--destination-key-id", key["KeyId"])
    assert base64.b64decode(ask(kms_box, "decrypt", "--ciphertext-blob", again["CiphertextBlob"])["Plaintext"]) == secret


def test_other_values(kms_box, key):
    with open(os.path.join(kms_box.home, "text"), "w") as f:
        f.write("words from a file")
    ask(kms_box, "update-key-description", "--key-id", key["KeyId"], "--description", "file://text")
    assert ask(kms_box, "describe-key", "--key-id", key["KeyId"])["KeyMetadata"]["Description"] == "words from a file"
    made = ask(kms_box, "create-key", "--tags", "TagKey=a,TagValue=b", "TagKey=c,TagValue=d", "--no-multi-region")
    assert made["KeyMetadata"]["MultiRegion"] is False
    request = json.dumps({"KeyId": key["KeyId"], "NumberOfBytes": 16})
    plain = ask(kms_box, "generate-data-key", "--cli-input-json", request, "--encryption-context", "a=b")["Plaintext"]
    assert len(base64.b64decode(plain)) == 16
    assert "Plaintext" not in ask(kms_box, "generate-data-key-without-plaintext", "--key-id", key["KeyId"],
                                  "--key-spec", "AES_128")
    assert len(base64.b64decode(ask(kms_box, "generate-random", "--number-of-bytes", "1024")["Plaintext"])) == 1024
    done = kms_box.run("kms", "generate-data-key", "--key-id", key["KeyId"], "--key-spec", "AES_256", "--dry-run", code=None)
    assert "An error occurred (DryRunOperationException)" in done.stderr and done.returncode == 1


def test_query_and_text(kms_box, key):
    def text(*args):
        return kms_box.run("kms", *args, "--output", "text").stdout

    assert text("describe-key", "--key-id", key["KeyId"], "--query", "KeyMetadata.Arn") == key["Arn"] + "\n"
    assert text("describe-key", "--key-id", key["KeyId"], "--query", "KeyMetadata.EncryptionAlgorithms") == "SYMMETRIC_DEFAULT\n"
    assert text("list-keys", "--query", "Keys[0].KeyId") == key["KeyId"] + "\n"
    assert text("list-keys", "--query", "Keys[1].KeyId") == "None\n"
    assert text("describe-key", "--key-id", key["KeyId"], "--query", "KeyMetadata.Enabled") == "True\n"
    assert ask(kms_box, "list-keys", "--query", "Keys[0]") == {"KeyId": key["KeyId"], "KeyArn": key["Arn"]}
    for path in (".", "Keys[", "Keys[x]", "Keys.", "length(Keys)."):
        assert "--query" in kms_box.run("kms", "list-keys", "--query", path, code=2).stderr


def test_lists_fetch_every_page(kms_box):
    made = {ask(kms_box, "create-key")["KeyMetadata"]["KeyId"] for _ in range(5)}
    whole = ask(kms_box, "list-keys", "--page-size", "2")
    assert {k["KeyId"] for k in whole["Keys"]} == made and len(whole["Keys"]) == 5 and whole["Truncated"] is False
    page = ask(kms_box, "list-keys", "--limit", "2")
    assert len(page["Keys"]) == 2 and page["Truncated"] is True
    rest = ask(kms_box, "list-keys", "--marker", page["NextMarker"])
    assert {k["KeyId"] for k in page["Keys"] + rest["Keys"]} == made
    few = ask(kms_box, "list-keys", "--max-items", "3", "--page-size", "2")
    assert len(few["Keys"]) == 3 and few["Truncated"] is True
    assert len(ask(kms_box, "list-keys", "--no-paginate", "--page-size", "4")["Keys"]) == 4


@pytest.mark.parametrize("args, text", [
    (["descripe-key"], 'did you mean "kms describe-key"?'),
    (["describe-key"], "the following arguments are required: --key-id"),
    (["describe-key", "--key-id"], "option --key-id needs a value"),
    (["describe-key", "--key", "x"], "there is no option --key"),
    (["describe-key", "x"], '"x" is too much'),
    (["encrypt", "--key-id", "x", "--plaintext", "no base64!"], "--plaintext: not base64"),
    (["encrypt", "--key-id", "x", "--plaintext", "fileb://missing"], "missing"),
    (["encrypt", "--key-id", "x", "--plaintext", "eA==", "--encryption-context", "a"], "neither NAME=VALUE"),
    (["encrypt", "--key-id", "x", "--plaintext", "eA==", "--encryption-context", "{\"a\": 1}"], "must be a string"),
    (["encrypt", "--key-id", "x", "--plaintext", "eA==", "--encryption-context", "a=b,a=c"], "a name twice"),
    (["generate-random", "--number-of-bytes", "many"], "not a whole number"),
    (["list-keys", "--cli-input-json", "[]"], "not a JSON object"),
    (["list-keys", "--output", "yaml"], '"yaml" is none of'),
    (["list-keys", "--kms", "ftp://x"], "ftp://x"),
    (["audit", "--since", "tomorrow"], "is no moment"),
    (["delete-access-key"], "required: --access-key-id"),
    ([], "a command is missing"),
])
def test_wrong_usage(kms_box, args, text):
    done = kms_box.run("kms", *args, code=2)
    assert text in done.stderr and done.stdout == ""


def test_help_comes_on_stdout_for_every_command(box):
    listing = box.run("kms", "help").stdout
    commands = re.findall(r"^  ([a-z-]+)  ", listing, re.M)
    assert {"init", "serve", "audit", "principal", "simulate-policy", "create-key", "decrypt", "put-key-policy",
            "create-grant"} <= set(commands)
    assert len(commands) == len(set(commands)) >= 8 + 54
    for command in commands:
        shown = box.run("kms", command, "--help").stdout
        assert shown.startswith(f"Usage: signetfs kms {command}") and "--help" in shown
        assert box.run("kms", "help", command).stdout == shown


def test_a_terminal_gets_a_form_for_people(kms_box, key):
    code, shown = on_terminal(kms_box, "kms", "describe-key", "--key-id", key["KeyId"])
    assert code == 0
    assert re.search(r"^Description: +letters & co\r$", shown, re.M)
    assert re.search(r"^CreationDate: +20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\r$", shown, re.M)
    code, shown = on_terminal(kms_box, "kms", "list-keys")
    assert shown.splitlines()[0].split() == ["KeyId", "KeyArn"] and key["KeyId"] in shown
    code, shown = on_terminal(kms_box, "kms", "list-aliases")
    assert (code, shown) == (0, "None.\r\n")
    code, shown = on_terminal(kms_box, "kms", "describe-key", "--key-id", key["KeyId"], "--json")
    assert json.loads(shown)["KeyMetadata"] == key


def test_passphrase_is_asked_for_without_echo(box):
    code, shown = on_terminal(box, "kms", "init", answers=["open sesame"] * 2)
    assert code == 0 and "sesame" not in shown and os.path.exists(box.keystore), shown
    code, shown = on_terminal(box, "kms", "list-keys", answers=["open sesame"])
    assert code == 0 and "sesame" not in shown, shown
    code, shown = on_terminal(box, "kms", "list-keys", answers=["wrong"])
    assert code == 3, shown
    assert "passphrase" in box.run("kms", "list-keys", code=2, start_new_session=True).stderr


def test_audit(kms_box, key):
    kms_box.run("kms", "create-alias", "--alias-name", "alias/a", "--target-key-id", key["KeyId"])
    kms_box.run("kms", "describe-key", "--key-id", "alias/none", code=5)
    sealed = ask(kms_box, "encrypt", "--key-id", "alias/a", "--plaintext", "c2VjcmV0IHdvcmRz")["CiphertextBlob"]
    records = json.loads(kms_box.run("kms", "audit", "--json").stdout)["Records"]
    assert [r["eventName"] for r in records] == ["CreateKey", "CreateAlias", "DescribeKey", "Encrypt"]
    assert [r.get("errorCode") for r in records] == [None, None, "NotFoundException", None]
    assert "c2VjcmV0IHdvcmRz" not in json.dumps(records) and sealed not in json.dumps(records)

    def names(*args):
        return [r["eventName"] for r in json.loads(kms_box.run("kms", "audit", "--json", *args).stdout)["Records"]]

    assert names("--limit", "1") == ["Encrypt"]
    assert names("--key", "alias/a") == names("--key", key["KeyId"]) == names("--key", key["Arn"]) \
        == ["CreateKey", "CreateAlias", "Encrypt"]
    assert names("--operation", "Encrypt") == ["Encrypt"]
    assert names("--error", "NotFoundException") == ["DescribeKey"]
    assert "DescribeKey" not in names("--error", "none")
    assert names("--since", "1h") == names("--since", "2020-01-01")
    assert names("--until", "1h") == names("--until", "2020-01-01T00:00:00Z") == []
    table = kms_box.run("kms", "audit").stdout.splitlines()
    assert table[0].split() == ["Time", "Operation", "Caller", "Key", "Result"] and len(table) == 5
    assert "there is no key alias/zzz" in kms_box.run("kms", "audit", "--key", "alias/zzz", code=1).stderr


def test_access_keys(kms_box):
    made = json.loads(kms_box.run("kms", "create-access-key", "--json").stdout)["AccessKey"]
    assert re.fullmatch(r"AKIA[A-Z0-9]{16}", made["AccessKeyId"]) and len(made["SecretAccessKey"]) == 40
    listed = kms_box.run("kms", "list-access-keys").stdout
    assert made["AccessKeyId"] in listed and made["SecretAccessKey"] not in listed
    kms_box.run("kms", "delete-access-key", "--access-key-id", made["AccessKeyId"])
    assert json.loads(kms_box.run("kms", "list-access-keys", "--json").stdout)["AccessKeyMetadata"] == []
    assert "there is no access key" in kms_box.run("kms", "delete-access-key", "--access-key-id", "AKIAX", code=1).stderr


def test_unreachable_kms_has_its_own_exit_code(box):
    done = box.run("kms", "list-keys", "--kms", "unix:/nowhere/at/all.sock", code=4)
    assert "/nowhere/at/all.sock" in done.stderr


def test_output_that_cannot_be_written_is_a_failure(kms_box):
    with open("/dev/full", "w") as full:
        done = subprocess.run([SIGNETFS, "kms", "generate-random", "--number-of-bytes", "16"], stdout=full,
                              stderr=subprocess.PIPE, env=kms_box.env, timeout=LIMIT, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and "No space left on device" in done.stderr
