"""A move killed at every system call that changes something, one after the other."""

import json
import subprocess

import pytest
from conftest import LIMIT, Service, needs_fuse
from killed import CALLS, Killed
from test_customer_key import make_key
from test_reencrypt import fill, make_keys


@pytest.fixture
def scene(kms_box):
    make_keys(kms_box)
    vault = kms_box.make_vault("--key", "alias/old")
    point = kms_box.mount(vault)
    contents = fill(point, files=4)
    kms_box.umount(point)
    service = Service(kms_box)
    yield kms_box, vault, contents, f"unix:{service.socket}"
    assert service.stop() == 0


def kill_everywhere(killed, *words):
    counts = {call: killed.at_each(call, threads, *words) for call in CALLS for threads in (False, True)}
    print(json.dumps(counts))
    assert killed.kills > 50, counts


@needs_fuse
@pytest.mark.parametrize("data", [False, True], ids=["rewrap", "data"])
def test_killed_at_each_call(scene, data):
    box, vault, contents, kms = scene
    kill_everywhere(Killed(box, vault, contents, ["--kms", kms], ["--kms", kms]), "--to", "alias/new", *["--data"] * data)


@needs_fuse
@pytest.mark.parametrize("data", [False, True], ids=["rewrap", "data"])
def test_killed_at_each_call_between_a_cmk_and_a_file(scene, data):
    box, vault, contents, kms = scene
    file = "keyfile:" + make_key(box, "my.key")
    kill_everywhere(Killed(box, vault, contents, ["--kms", kms], ["--kms", file]), "--endpoint-to", file, *["--data"] * data)
    box.run("reencrypt", vault, "--kms", kms, "--endpoint-to", file)
    kill_everywhere(Killed(box, vault, contents, ["--kms", file], ["--kms", kms]), "--endpoint-to", kms, "--to", "alias/new",
                    *["--data"] * data)


@needs_fuse
@pytest.mark.parametrize("data", [False, True], ids=["rewrap", "data"])
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_call_that_fails_loses_nothing(scene, data, error):
    """As tests/unit/test_reencrypt_faults.c, with the whole program. What may fail without harm (a time, the lock's text) ends no move."""
    box, vault, contents, kms = scene
    killed = Killed(box, vault, contents, ["--kms", kms], ["--kms", kms])
    for call in CALLS:
        for nth in range(1, 50 if data else 15):
            killed.at(call, nth, True, "--to", "alias/new", *["--data"] * data, fault=f"error={error}")
    assert killed.kills > 20


# ---- Through a mount, whose process is killed ----

def kill_mount_at(killed, call, nth, *words):
    """The mount's process dies at the @nth @call of one of the threads that work for the move. False: the move ended before."""
    box = killed.box
    killed.renew()
    point = box.mount(killed.vault, *killed.before)
    pid = json.loads(box.run("stats", "--json", point).stdout)["pid"]
    strace = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}",
                               "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    assert "attached" in strace.stderr.readline()
    done = box.run("reencrypt", killed.vault, "--jobs", "1", *words, code=None)
    if done.returncode == 0:
        box.umount(point)
        strace.wait(LIMIT)
    else:
        assert "ended before the move did" in done.stderr, done.stderr
        strace.wait(LIMIT)
        box.run("umount", "-l", point, code=None)
        box.mounts.remove(point)
        killed.kills += 1
        killed.check(f"mount killed at {call} number {nth}")
        killed.go_on(*words)
    strace.stderr.close()
    killed.check(f"mount killed at {call} number {nth}, gone on with")
    return done.returncode != 0


@needs_fuse
@pytest.mark.parametrize("data", [False, True], ids=["rewrap", "data"])
def test_a_mount_killed_at_each_call(scene, data):
    box, vault, contents, kms = scene
    killed = Killed(box, vault, contents, ["--kms", kms], ["--kms", kms])
    for call in CALLS:
        nth = 1
        while kill_mount_at(killed, call, nth, "--to", "alias/new", *["--data"] * data):
            nth += 1
    assert killed.kills > 10
