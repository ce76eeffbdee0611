"""What real clients see of the KMS: boto3, the aws CLI and the AWS SDK for JavaScript, on every operation and every exception."""

import pytest
from conftest import Box, Service

pytest.importorskip("cryptography", reason="python3-cryptography is not installed: nothing to wrap key material with")
import sdk_clients  # noqa: E402
import sdk_refusals  # noqa: E402
from sdk_cases import SOUND  # noqa: E402
from sdk_world import REGION, World  # noqa: E402

CLIENTS = [sdk_clients.Boto, sdk_clients.Cli, sdk_clients.JavaScript]
STATUS = {"KMSInternalException": 500}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    boxes = [Box(tmp_path_factory.mktemp(name)) for name in ("kms", "throttled")]
    try:
        services = []
        for box, settings in zip(boxes, ("", "quotas = ListKeys=1\n")):
            box.make_keystore(settings)
            services.append(Service(box))
        yield World(*services)
        assert [s.stop() for s in services] == [0, 0], services[0].log()
    finally:
        for box in boxes:
            box.close()


@pytest.fixture(scope="module")
def started(world):
    """The clients that were started, by class."""
    made = {}
    yield made
    for client in made.values():
        client.close()


@pytest.fixture
def client(request, world, started):
    if request.param not in started:
        why = sdk_clients.missing(request.param)
        if why:
            pytest.skip(why)
        started[request.param] = request.param(world.box)
    return started[request.param]


def few(cases):
    """For a client whose calls are slow: every operation, and each exception once."""
    seen = set()
    for case in cases:
        if case.operation not in SOUND or case.expect is None or case.expect not in seen:
            seen.add(case.expect)
            yield case


def pairs():
    """(client, case) for every test."""
    every = sdk_refusals.cases()
    for client in CLIENTS:
        for case in few(every) if client is sdk_clients.Cli else every:
            yield pytest.param(client, case, id=f"{client.name}-{case.id}")


@pytest.mark.parametrize("client, case", pairs(), indirect=["client"])
def test_case(client, world, case):
    request = case.request(world)
    got = client.call(case.operation, request, world.urls["service"], REGION, world.credentials[case.who])
    assert got.error == case.expect, got
    assert got.faithful, got
    assert got.status in (None, STATUS.get(case.expect, 400)), got
    if case.check:
        assert case.check(world, request, got.answer), got


@pytest.mark.parametrize("client", CLIENTS, indirect=True, ids=[c.name for c in CLIENTS])
def test_throttling(client, world):
    """One request a second is allowed. Somebody else keeps taking it, so that how fast this client is does not matter."""
    def ask_again():
        return client.call("ListKeys", {}, world.urls["throttled"], REGION, world.credentials["throttled"])

    with world.drained():
        got = next((o for o in (ask_again() for _ in range(50)) if o.error), None)
    assert got and (got.error, got.status in (None, 400)) == ("ThrottlingException", True), got
    assert got.faithful and got.message.startswith("You have exceeded the rate at which you may call KMS."), got


# ---- The table is whole -------------------------------------------------------------------------------------------


def test_every_operation_is_in_the_table():
    assert len(sdk_clients.model().operation_names) == 54
    without = set(sdk_clients.model().operation_names) - set(SOUND)
    assert without == {"ConnectCustomKeyStore", "CreateCustomKeyStore", "DeleteCustomKeyStore", "DisconnectCustomKeyStore",
                       "UpdateCustomKeyStore"}
    refused = {c.operation for c in sdk_refusals.cases() if c.expect in ("UnsupportedOperationException", "CustomKeyStoreNotFoundException")}
    assert without <= refused
    assert without <= {c.operation for c in few(sdk_refusals.cases())}, "the command line runs every operation"


def test_every_exception_is_provoked_or_explained():
    """Each (operation, exception) of the service model is a row, or has a reason; no reason has become untrue."""
    provoked = {(c.operation, c.expect) for c in sdk_refusals.cases()}
    excused = {(o, e) for o, e in sdk_refusals.modelled()
               if e in sdk_refusals.WHY_NOT or (o, e) in sdk_refusals.NEVER or (o not in SOUND and e.startswith("CustomKeyStore"))}
    assert sdk_refusals.modelled() - provoked - excused == set()
    assert provoked & set(sdk_refusals.NEVER) == set()
    assert {e for _, e in provoked} & set(sdk_refusals.WHY_NOT) == {"KMSInternalException"}
    assert set(sdk_refusals.NEVER) <= sdk_refusals.modelled()
    assert set(sdk_refusals.WHY_NOT) <= {e for _, e in sdk_refusals.modelled()}
    assert {c.expect for c in few(sdk_refusals.cases())} == {e for _, e in provoked}, "the command line meets every exception"
