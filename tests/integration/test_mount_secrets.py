"""What must not be found: plaintext outside the mount, master keys inside the mounting process."""

import json
import os
import re
import subprocess
import uuid

import pytest

from conftest import SIGNETFS, is_sanitized, needs_fuse

pytestmark = needs_fuse
NAME, CONTENT, TARGET, ATTRIBUTE = b"canary-name-5f2e", b"canary-content-91cb", b"canary-target-77aa", b"canary-value-1d4f"


def search_files(top, needles):
    found = []
    for folder, dirs, files in os.walk(os.fsencode(top)):
        for name in dirs + files:
            path = os.path.join(folder, name)
            data = name
            if os.path.islink(path):
                data += os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as f:
                    data += f.read()
                try:
                    for a in os.listxattr(path):
                        data += os.fsencode(a) + os.getxattr(path, a)
                except OSError:
                    pass
            found += [(path, n) for n in needles if n in data]
    return found


def test_no_plaintext_outside_the_mount(mounted):
    top = os.fsencode(mounted.point)
    for i in range(20):
        with open(top + b"/%s-%d" % (NAME, i), "wb") as f:
            f.write(CONTENT * 1000)
    os.mkdir(top + b"/dir-" + NAME)
    with open(top + b"/dir-" + NAME + b"/" + NAME + b"x" * 200, "wb") as f:
        f.write(CONTENT)
    os.symlink(TARGET, top + b"/link")
    os.setxattr(top + b"/%s-1" % NAME, b"user." + NAME, ATTRIBUTE)
    subprocess.run(["sync", "-f", mounted.point], check=True)
    needles = [NAME, CONTENT, TARGET, ATTRIBUTE]
    assert len(search_files(mounted.point, needles)) >= 20, "the search itself works"
    pid = mounted.pid()
    mounted.box.umount(mounted.point)
    assert search_files(mounted.box.root, needles) == []
    for log in ("/var/log/syslog", "/var/log/messages"):
        if os.path.isfile(log) and os.access(log, os.R_OK):
            with open(log, "rb") as f:
                assert not any(n in f.read() for n in needles)
    assert gone(pid)


def gone(pid):
    """True for a zombie too: in a container nobody may be there to reap it."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(") ", 1)[1][0] == "Z"
    except FileNotFoundError:
        return True


def memory_of(pid):
    """(address, bytes) of every readable mapping."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, rights = line.split()[:2]
            start, end = (int(x, 16) for x in span.split("-"))
            if rights[0] != "r" or "[v" in line:
                continue
            try:
                mem.seek(start)
                yield start, mem.read(end - start)
            except (OSError, ValueError):
                continue


def secret_memory_of(pid):
    """The mappings that are locked and kept out of core dumps: where keys live."""
    with open(f"/proc/{pid}/smaps") as f:
        text = f.read()
    spans = []
    for line in text.splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            span = tuple(int(x, 16) for x in line.split()[0].split("-"))
        elif line.startswith("VmFlags:") and {"lo", "dd"} <= set(line.split()):
            spans.append(span)
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for start, end in spans:
            mem.seek(start)
            yield mem.read(end - start)


def keys_in(blocks):
    """Every 16-byte-aligned run of 32 bytes that looks random."""
    return {b[i:i + 32] for b in blocks for i in range(0, len(b) - 31, 16) if len(set(b[i:i + 32])) > 22}


@pytest.mark.skipif(os.geteuid() != 0, reason="reading another process's memory needs root")
@pytest.mark.skipif(os.path.exists(SIGNETFS) and is_sanitized(), reason="sanitizers lock no memory, which marks the keys")
def test_no_master_key_in_the_mounting_process(mounted):
    """Nothing that looks like a key in the agent, which holds the master keys, is anywhere in the mounting process."""
    for i in range(50):
        with open(mounted.path(f"f{i}"), "w") as f:
            f.write("x" * 5000)
    with open(os.path.join(mounted.box.home, "root.key"), "rb") as f:
        root_key = f.read()
    pid = mounted.pid()
    agent = int(subprocess.check_output(["pgrep", "-x", "-P", str(pid), "exe"], text=True))
    listed = json.loads(mounted.box.run("kms", "list-keys", "--json").stdout)["Keys"]
    ids = [uuid.UUID(k["KeyId"]).bytes for k in listed]
    # A key's public id stands before it, and in every blob.
    held = {k for k in keys_in(secret_memory_of(agent)) if not any(i in k for i in ids)}
    assert held, "the agent holds keys, and the search finds them"
    memory = b"\0".join(b for _, b in memory_of(pid))
    assert len(memory) > 1 << 20 and b"signetfs" in memory, "the search sees memory"
    own = keys_in(secret_memory_of(pid))
    assert own and any(k in memory for k in own), "and would find a key there"
    assert [k for k in held | {root_key} if k in memory] == []
    with open(f"/proc/{pid}/limits") as f:
        assert re.search(r"^Max core file size +0 +0 ", f.read(), re.M)


def test_the_process_is_not_traceable_by_its_user(mounted):
    with open(f"/proc/{mounted.pid()}/status") as f:
        status = f.read()
    assert "TracerPid:\t0" in status
    # Not dumpable: its files under /proc belong to root whoever runs it.
    assert os.stat(f"/proc/{mounted.pid()}/mem").st_uid == 0
