"""A move killed at every system call that changes something, one after the other."""

import json

import pytest
from conftest import Service, needs_fuse
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
