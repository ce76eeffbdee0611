"""The documents do what they say: every ```sh block of README.md and doc/*.md is run, in order, in a home folder of its own.
Blocks fenced otherwise (console, text) are not commands for this test. Every command and option that exists has its place in a
man page, and the pages are free of mistakes that mandoc knows."""

import glob
import os
import re
import shutil
import subprocess

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
    (["mount"], ["signetfs-mount.8", "signetfs.1"]),
    (["umount"], ["signetfs-mount.8"]),
    (["kms", "audit"], ["signetfs-kms.1", "signetfs.1"]),
    (["kms", "serve"], ["signetfs-kms.1", "signetfs.1"]),
    (["kms", "init"], ["signetfs-kms.1", "signetfs.1"]),
    (["kms", "re-encrypt"], ["signetfs-kms.1", "signetfs.1"]),
    (["kms", "list-keys"], ["signetfs-kms.1", "signetfs.1"]),
])
def test_every_option_is_in_the_man_page(box, command, pages):
    text = "".join(map(man_text, pages))
    missing = {o for o in options_of(box, *command) if f"-{o}" not in text}
    assert missing - {"source-encryption-algorithm", "destination-encryption-algorithm"} == set()


def test_every_command_is_in_a_man_page(box):
    for group, page in (([], "signetfs.1"), (["kms"], "signetfs-kms.1")):
        text = man_text(page)
        for name in re.findall(r"^  ([a-z-]+)  ", box.run(*group, "--help").stdout, re.M):
            assert re.search(rf"^\.It Cm {name}\b", text, re.M), f"{name} is not in {page}"


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
