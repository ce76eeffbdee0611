"""One file system, whatever serves its keys: the agent, a service on a Unix socket, one over TLS, and servers that others wrote."""

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys

import pytest
from conftest import Box, Mounted, Service, is_mounted, needs_fuse
from hostile import errno_of, read, wait_until, write
from test_kms_wire import make_certificate

pytest.importorskip("cryptography", reason="python3-cryptography is not installed: no foreign KMS to test with")
pytest.importorskip("botocore", reason="python3-boto3 is not installed: no foreign KMS to test with")
from foreign_kms import ACCOUNT, ForeignKms  # noqa: E402

pytestmark = needs_fuse
DATA = bytes(range(256)) * 500
CACHE = 1  # second
LONG = 30  # seconds to wait for what must happen


class Place:
    """A box whose commands go to one KMS. A vault of its own is mounted under a key of its own."""

    heeds_states = True  # it refuses to work with a disabled key

    def __init__(self, box, endpoint=None, trust=(), credentials=None):
        self.box, self.trust, self.kms = box, trust, (*(("--kms", endpoint) if endpoint else ()), *trust)
        if credentials:
            box.env.update(AWS_ACCESS_KEY_ID=credentials[0], AWS_SECRET_ACCESS_KEY=credentials[1])
        box.env["AWS_REGION"] = "eu-west-3"
        self.key = json.loads(self.run("create-key", "--description", "a vault's", "--json").stdout)["KeyMetadata"]
        self.vault = self.make_vault("vault")
        self.mounted = Mounted(box, vault=self.vault, point=box.mount(self.vault, *self.kms))

    def run(self, *words, **options):
        return self.box.run("kms", *words, *self.kms, **options)

    def make_vault(self, name):
        return self.box.make_vault(*self.kms, "--key", self.key["Arn"], "--cache-time", f"{CACHE}s", name=name)

    def path(self, *parts):
        return self.mounted.path(*parts)

    def remount(self):
        self.mounted.remount(*self.kms)


@contextlib.contextmanager
def agent(box):
    box.make_keystore()
    yield Place(box)


@contextlib.contextmanager
def served(box, transport):
    box.make_keystore()
    options = make_certificate(box) if transport == "https" else ()
    service = Service(box, *options)
    place = Place(box, service.url if options else f"unix:{service.socket}", ("--ca-file", options[1]) if options else (),
                  (service.access_key, service.secret) if options else None)
    yield place
    place.box.umount(place.mounted.point)
    assert service.stop() == 0, service.log()


@contextlib.contextmanager
def foreign(box):
    server = ForeignKms()
    try:
        place = Place(box, server.url, credentials=(server.access_key, server.secret))
        yield place
        place.box.umount(place.mounted.point)
        check_calls(place, server.calls)
    finally:
        server.close()


def check_calls(place, calls):
    """What the foreign server saw: no key but the vault's, by its ARN, and always under a context."""
    asked = [r for name, r in calls if name in ("GenerateDataKey", "Decrypt")]
    assert {r["KeyId"] for r in asked} == {place.key["Arn"]}
    assert place.key["Arn"].startswith(f"arn:aws:kms:eu-west-3:{ACCOUNT}:key/")
    assert all(r["EncryptionContext"] for r in asked)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def moto(box):
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port), LONG, "for moto")
        place = Place(box, f"http://127.0.0.1:{port}", credentials=("testing", "testing"))
        place.run("disable-key", "--key-id", place.key["KeyId"])
        place.heeds_states = place.run("generate-data-key", "--key-id", place.key["KeyId"], "--key-spec", "AES_256", code=None).returncode != 0
        place.run("enable-key", "--key-id", place.key["KeyId"])
        yield place
        place.box.umount(place.mounted.point)
    finally:
        server.kill()
        server.wait()


PLACES = {"agent": agent, "unix": lambda box: served(box, "unix"), "tls": lambda box: served(box, "https"), "foreign": foreign}
SIGNED = ("tls", "foreign")  # by who looks at the signature: moto does not
if importlib.util.find_spec("moto"):
    PLACES["moto"] = moto


def test_moto_is_here():
    """One line for the summary where it is not; the tests below run on it where it is."""
    if "moto" not in PLACES:
        pytest.skip("moto is not installed: the file system is not tested on the emulator that most people use")


@pytest.fixture(scope="module", params=PLACES)
def place(request, tmp_path_factory):
    box = Box(tmp_path_factory.mktemp(request.param))
    try:
        with PLACES[request.param](box) as made:
            made.name = request.param
            yield made
    finally:
        box.close()


def needs_states(place):
    if not place.heeds_states:
        pytest.skip(f"{place.name} works with a disabled key as with any other")


def everything(place):
    """What a person sees of the tree that test_files makes."""
    top = place.path("folder")
    return {name: (read(os.path.join(top, name)), os.getxattr(os.path.join(top, name), "user.note"), os.stat(os.path.join(top, name)).st_mode)
            for name in sorted(os.listdir(top)) if not os.path.islink(os.path.join(top, name))}, os.readlink(os.path.join(top, "link"))


def test_files(place):
    """Made, changed, renamed, with attributes and links; the same after a new mount, and changed again there."""
    top = place.path("folder")
    os.mkdir(top)
    for name, data in (("empty", b""), ("small", b"Dear Ada"), ("large", DATA)):
        write(os.path.join(top, name), data)
        os.setxattr(os.path.join(top, name), "user.note", name.encode())
    with open(os.path.join(top, "large"), "r+b") as f:
        f.seek(5000)
        f.write(b"changed")
        f.truncate(100_000)
    os.rename(os.path.join(top, "small"), os.path.join(top, "letter"))
    os.link(os.path.join(top, "letter"), os.path.join(top, "second name"))
    os.symlink("letter", os.path.join(top, "link"))
    os.chmod(os.path.join(top, "letter"), 0o640)
    seen = everything(place)
    assert seen[0]["large"][0] == (DATA[:5000] + b"changed" + DATA[5007:])[:100_000]
    assert sorted(seen[0]) == ["empty", "large", "letter", "second name"] and seen[1] == "letter"
    place.remount()
    assert everything(place) == seen
    with open(os.path.join(top, "letter"), "ab") as f:
        f.write(b", yours")
    assert read(os.path.join(top, "second name")) == b"Dear Ada, yours"
    place.remount()
    assert read(os.path.join(top, "letter")) == b"Dear Ada, yours"
    os.unlink(os.path.join(top, "letter"))
    assert read(os.path.join(top, "second name")) == b"Dear Ada, yours"


def test_a_file_that_is_open(place):
    """Unlinked and renamed over while open: the bytes stay reachable through the descriptor."""
    write(place.path("open"), DATA)
    with open(place.path("open"), "r+b") as f:
        os.unlink(place.path("open"))
        f.seek(len(DATA))
        f.write(b"more")
        f.flush()
        f.seek(0)
        assert f.read() == DATA + b"more"
    assert not os.path.exists(place.path("open"))


def test_a_key_that_is_disabled_and_enabled(place):
    """No contents without the key, but names; everything again when it is back, without a new mount."""
    needs_states(place)
    write(place.path("secret"), DATA)
    place.run("disable-key", "--key-id", place.key["KeyId"])
    wait_until(lambda: errno_of(read, place.path("secret")) == "EACCES", LONG)
    assert errno_of(write, place.path("new"), b"x") == "EACCES"
    assert not os.path.exists(place.path("new"))
    assert "secret" in os.listdir(place.mounted.point) and os.stat(place.path("secret")).st_size == len(DATA)
    place.run("enable-key", "--key-id", place.key["KeyId"])
    wait_until(lambda: errno_of(read, place.path("secret")) == "", LONG)
    assert read(place.path("secret")) == DATA
    write(place.path("secret"), b"again")
    place.remount()
    assert read(place.path("secret")) == b"again"


@pytest.mark.parametrize("take, give, why", [
    (["disable-key"], [["enable-key"]], "is disabled."),
    (["schedule-key-deletion", "--pending-window-in-days", "7"], [["cancel-key-deletion"], ["enable-key"]], "is pending deletion."),
], ids=["disabled", "to be deleted"])
def test_nothing_begins_without_the_key(place, take, give, why):
    """Exit code 5 for a new vault and for a mount, and nothing is made; both work once the key is back."""
    needs_states(place)
    vault, other = place.make_vault(take[0]), place.box.path(take[0] + ".new")
    point = place.box.path(take[0] + ".clear")
    os.mkdir(point)
    place.run(take[0], "--key-id", place.key["KeyId"], *take[1:])
    try:
        refusals = [place.box.run("mount", *place.kms, vault, point, code=5),
                    place.box.run("init", *place.kms, "--key", place.key["Arn"], other, code=5)]
    finally:
        for command in give:
            place.run(command[0], "--key-id", place.key["KeyId"])
    assert all(f"{place.key['Arn']} {why}" in r.stderr for r in refusals), refusals
    assert not is_mounted(point) and not os.path.exists(os.path.join(other, "signetfs.ini"))
    place.box.mount(vault, *place.kms, name=take[0] + ".clear")
    write(os.path.join(point, "a"), b"b")
    place.box.umount(point)


def test_wrong_credentials(place):
    """Refused by who verifies signatures, and nothing to who knows the caller by its user id."""
    vault = place.box.path("credentials")
    env = dict(place.box.env, AWS_ACCESS_KEY_ID=place.box.env.get("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), AWS_SECRET_ACCESS_KEY="wrong")
    done = place.box.run("init", *place.kms, "--key", place.key["Arn"], vault, env=env, code=5 if place.name in SIGNED else 0)
    assert ("signature we calculated does not match" in done.stderr) == (place.name in SIGNED), done
    assert os.path.exists(os.path.join(vault, "signetfs.ini")) == (place.name not in SIGNED)
