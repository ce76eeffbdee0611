"""The documents do what they say: every ```sh block of README.md and doc/*.md is run, in order, in a home folder of its own.
Blocks fenced otherwise (console, text) are not commands for this test. Every command and option that exists has its place in a
man page, and the pages are free of mistakes that mandoc knows."""

import glob
import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest
from conftest import LIMIT, SIGNETFS, is_mounted, needs_fuse

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))


def blocks(path):
    with open(path) as f:
        return re.findall(r"^```sh\n(.*?)^```", f.read(), re.M | re.S)


DOCUMENTS = [p for p in [os.path.join(TOP, "README.md"), *sorted(glob.glob(os.path.join(TOP, "doc/*.md")))] if blocks(p)]


def run_document(box, path):
    """One shell for the whole document, so that what one block sets the next one has."""
    passfile = os.path.join(box.home, ".passphrase")
    with open(passfile, "w") as f:
        f.write("for tests only\n")
    os.chmod(passfile, 0o600)
    tools = box.path("bin")
    os.mkdir(tools)
    os.symlink(SIGNETFS, os.path.join(tools, "signetfs"))
    env = dict(box.env, PATH=tools + ":" + box.env["PATH"], SIGNETFS_ROOT_KEY=f"passfile:{passfile}")
    script = "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + "\n".join(blocks(path))
    return subprocess.run(["/bin/bash", "-c", script], env=env, cwd=box.home, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)


@needs_fuse
@pytest.mark.parametrize("path", DOCUMENTS, ids=[os.path.basename(p) for p in DOCUMENTS])
def test_commands_of_the_document(box, path):
    box.mounts += [os.path.join(box.home, name) for name in ("clear", "letters")]
    try:
        done = run_document(box, path)
    finally:
        box.mounts[:] = [m for m in box.mounts if is_mounted(m)]
    assert done.returncode == 0, done.stdout
    assert box.mounts == [], "the document leaves something mounted"
    if path.endswith("README.md"):
        # Read after the rotation; refused while disabled (cat says why); read again once enabled.
        assert re.search(r"Dear Ada\ncat: .*Permission denied\nno access\nDear Ada\n", done.stdout), done.stdout
        assert re.search(r"^Calls made: +[0-3]$", done.stdout, re.M), done.stdout


def test_links_lead_somewhere():
    for path in [os.path.join(TOP, "README.md"), *glob.glob(os.path.join(TOP, "doc/*.md"))]:
        with open(path) as f:
            text = f.read()
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert os.path.exists(os.path.join(os.path.dirname(path), target)), f"{path}: {target}"


def test_the_comparison_names_tests_that_exist():
    with open(os.path.join(TOP, "doc/comparison.md")) as f:
        text = f.read()
    named = [n for cell in re.findall(r"\b(?:T|R, T) (test_[a-z_, ]+)", text) for n in re.findall(r"test_\w+", cell)]
    assert len(named) > 30
    for name in set(named):
        assert glob.glob(os.path.join(TOP, f"tests/*/{name}.*")), name
    for path in re.findall(r"`((?:tests|doc)/[\w./]+)`", text):
        assert os.path.exists(os.path.join(TOP, path)), path


def man_text(name):
    with open(os.path.join(TOP, "doc/man", name)) as f:
        return f.read()


def options_of(box, *command):
    shown = box.run(*command, "--help").stdout
    return set(re.findall(r"^ +(?:-., )?--([a-z-]+)", shown, re.M)) - {"help"}


@pytest.mark.parametrize("command, pages", [
    (["init"], ["signetfs.1"]),
    (["info"], ["signetfs.1"]),
    (["stats"], ["signetfs-stats.1"]),
    (["drill"], ["signetfs-drill.1", "signetfs.1"]),
    (["bench"], ["signetfs-bench.1", "signetfs.1"]),
    (["mount"], ["signetfs-mount.8", "signetfs.1"]),
    (["umount"], ["signetfs-mount.8"]),
    (["restore"], ["signetfs-restore.1", "signetfs.1"]),
    (["fsck"], ["signetfs-fsck.8", "signetfs.1"]),
    (["reencrypt"], ["signetfs-reencrypt.1", "signetfs.1"]),
    (["keys"], ["signetfs-keys.1", "signetfs.1"]),
    (["kms", "audit"], ["signetfs-kms.1", "signetfs.1"]),
    (["kms", "serve"], ["signetfs-kms.1", "signetfs.1"]),
    (["kms", "init"], ["signetfs-kms.1", "signetfs.1"]),
    (["kms", "re-encrypt"], ["signetfs-kms.1", "signetfs.1"]),
    (["kms", "list-keys"], ["signetfs-kms.1", "signetfs.1"]),
])
def test_every_option_is_in_the_man_page(box, command, pages):
    text = "".join(map(man_text, pages))
    assert undocumented(options_of(box, *command), text) == set()


def undocumented(options, text):
    """Those that no .Fl of the page names."""
    named = set(re.findall(r"Fl -([a-z-]+)|, -([a-z-]+)", text))
    return options - {a or b for a, b in named}


def commands_of(box, *group):
    return re.findall(r"^  ([a-z-]+)  ", box.run(*group, "--help").stdout, re.M)


def test_every_option_of_the_kms_is_in_the_man_page(box):
    text = man_text("signetfs-kms.1") + man_text("signetfs.1")
    commands = [["kms", c] for c in commands_of(box, "kms") if c != "principal"]
    commands += [["kms", "principal", c] for c in commands_of(box, "kms", "principal")]
    assert len(commands) > 70
    missing = {" ".join(c): undocumented(options_of(box, *c), text) for c in commands}
    assert {c: o for c, o in missing.items() if o} == {}


def test_every_command_is_in_a_man_page(box):
    for group, page in (([], "signetfs.1"), (["kms"], "signetfs-kms.1"), (["kms", "principal"], "signetfs-kms.1")):
        names, text = commands_of(box, *group), man_text(page)
        for name in names:
            title = f"principal {name}" if "principal" in group else name
            assert re.search(rf"^\.It Cm {title}\b", text, re.M), f"{title} is not in {page}"
        assert len(names) >= 8


def test_every_operation_has_its_verb_and_every_member_its_option(box):
    """As the AWS CLI spells them; what is left to --cli-input-json is what no request can use here."""
    pytest.importorskip("botocore", reason="python3-boto3 is not installed: no service model to compare with")
    from sdk_clients import model

    def spelled(name):
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()

    verbs, left = commands_of(box, "kms"), set()
    for operation in model().operation_names:
        assert spelled(operation) in verbs
        members = {spelled(m) for m in model().operation_model(operation).input_shape.members}
        left |= members - options_of(box, "kms", spelled(operation))
    assert {o for o in left if not re.match("xks-|cloud-hsm-|custom-key-store-id$", o)} == {
        "recipient", "key-store-password", "trust-anchor-certificate", "new-custom-key-store-name"}


def test_every_exit_code_is_in_the_man_page():
    with open(os.path.join(TOP, "fs/cli/cli.h")) as f:
        codes = re.findall(r"^\tCLI_\w+ = (\d+),", f.read(), re.M)
    listed = re.findall(r"^\.It (\d+)$", man_text("signetfs.1"), re.M)
    assert listed == codes and len(codes) == 9


def test_every_setting_is_in_the_man_page():
    with open(os.path.join(TOP, "fs/cli/config.c")) as f:
        rows = re.findall(r'\{"(kms|mount)", "([a-z-]+)", \{([^}]*)\}', f.read())
    assert len(rows) >= 15
    for _, name, env in rows:
        assert name in man_text("signetfs.ini.5")
        for variable in re.findall(r'"(\w+)"', env):
            assert variable in man_text("signetfs.1")


def test_man_pages_are_clean():
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *glob.glob(os.path.join(TOP, "doc/man/*"))],
                          stdout=subprocess.PIPE, text=True, timeout=LIMIT)
    assert done.stdout == "" and done.returncode == 0


def test_every_table_of_the_keystore_is_described(box):
    with closing(sqlite3.connect(f"file:{box.make_keystore()}?mode=ro", uri=True)) as db:
        tables = {name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    with open(os.path.join(TOP, "doc/kms.md")) as f:
        chapter = f.read().split("## The keystore")[1].split("\n##")[0]
    described = {name for row in re.findall(r"^\| (`.*?`) \|", chapter, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert described == {name for name in tables if not name.startswith("sqlite_")}


def names_of_tests(name):
    """The functions of the file that doc/posix.md calls `name` or `soak:name`."""
    folder, _, file = name.rpartition(":")
    with open(os.path.join(TOP, "tests", folder or "integration", f"test_{file}.py")) as f:
        return re.findall(r"^def (test_\w+)", f.read(), re.M)


def test_every_test_that_the_documents_name_exists():
    with open(os.path.join(TOP, "doc/posix.md")) as f:
        named = re.findall(r"`((?:soak:)?\w+)::(test_\w+)`", f.read())
    assert len(named) > 60
    assert [(file, test) for file, test in named if test not in names_of_tests(file)] == []
