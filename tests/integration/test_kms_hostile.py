"""People who mean harm, at the port of a service: what they send is refused with the right error, and costs the others nothing."""

import json
import os
import resource
import sqlite3
import subprocess
import time

import pytest
from conftest import LIMIT, SIGNETFS, Service, is_sanitized
from test_kms_wire import ask, connect, raw, read_answer, refusal, resident, sign, still_serves
from test_mount_secrets import memory_of

MIB = 1024 * 1024
MALFORMED = (400, "MalformedHttpRequestException")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One for all tests of this file: what one of them does must not hurt the next."""
    from conftest import Box

    box = Box(tmp_path_factory.mktemp("hostile"))
    try:
        box.make_keystore()
        service = Service(box)
        yield service
        assert service.stop() == 0, service.log()
    finally:
        box.close()


def head(headers, more=""):
    return ("POST / HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items()) + more + "\r\n").encode("latin-1")


def request(service, operation="ListKeys", body=b"{}"):
    """A whole signed request, as bytes."""
    return head(sign(service, body, target=f"TrentService.{operation}"), f"content-length: {len(body)}\r\n") + body


def refusal_outside(answer):
    return answer[0], json.loads(answer[2])["__type"]


def records(service, operation):
    trail = json.loads(service.box.run("kms", "audit", "--json", "--operation", operation).stdout)
    return len(trail["Records"])


# ---- Where a body ends --------------------------------------------------------------------------------------------


SMUGGLING = {
    "two lengths": ("content-length: 2\r\ncontent-length: {all}\r\n", b"{}"),
    "two lengths, the longer first": ("content-length: {all}\r\ncontent-length: 2\r\n", b"{}"),
    "one length twice": ("content-length: 2\r\ncontent-length: 2\r\n", b"{}"),
    "chunks and a length": ("transfer-encoding: chunked\r\ncontent-length: {all}\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    "a length and chunks": ("content-length: 2\r\ntransfer-encoding: chunked\r\n", b"{}"),
    "chunks twice": ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    "a coding that is none": ("transfer-encoding: xchunked\r\ncontent-length: 2\r\n", b"{}"),
    "a coding and another": ("transfer-encoding: chunked, identity\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    "a name with a space": ("transfer-encoding : chunked\r\ncontent-length: 2\r\n", b"{}"),
    "a folded line": ("x-a: b\r\n transfer-encoding: chunked\r\ncontent-length: 2\r\n", b"{}"),
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_a_body_that_ends_in_two_places(service, name):
    """Refused, and what stands behind the first end is no request: it is neither answered nor done."""
    framing, body = SMUGGLING[name]
    hidden = request(service, "CreateKey")
    framing = framing.format(all=len(body) + len(hidden))
    before = records(service, "CreateKey")
    with connect(service) as s:
        s.sendall(head(sign(service, b"{}"), framing) + body + hidden)
        assert refusal(read_answer(s)) == MALFORMED
        try:
            assert s.recv(65536) == b"", "the connection is over"
        except ConnectionResetError:
            pass
    assert records(service, "CreateKey") == before
    assert still_serves(service)


@pytest.mark.parametrize("character", [0x01, 0x08, 0x0B, 0x0D, 0x1B, 0x1F, 0x7F])
def test_control_characters_in_a_header(service, character):
    """What another reader may take for an end, or a terminal for an order, is in no header."""
    with connect(service) as s:
        s.sendall(head(sign(service, b"{}"), f"content-length: 2\r\nuser-agent: a{chr(character)}X-B: c\r\n") + b"{}")
        assert refusal(read_answer(s)) == MALFORMED
    assert still_serves(service)


@pytest.mark.parametrize("path", ["/%00", "/%2f", "//", "/.", "/%2e", "/;a", "/?a", "/?X-Amz-Signature=a", "/#", "*", "http://127.0.0.1/"])
def test_paths_that_are_not_the_one(service, path):
    """A signature is for the path "/", so there is no other way to write it."""
    assert refusal_outside(raw(service, sign(service, b"{}"), b"{}", line=f"POST {path} HTTP/1.1")) == (404, "UnknownOperationException")


@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-target", "authorization", "x-amz-content-sha256", "x-amz-security-token"])
def test_a_header_that_is_there_twice(service, name):
    """Whichever of two another reader would have chosen: what was signed was one."""
    for order in (1, -1):
        lines = [*sign(service, b"{}").items(), ("content-length", "2"), (name, "TrentService.CreateKey")][::order]
        with connect(service) as s:
            s.sendall(("POST / HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines) + "\r\n").encode() + b"{}")
            status, kind = refusal(read_answer(s))
        assert status == 400 and kind in ("InvalidSignatureException", "IncompleteSignatureException"), name


@pytest.mark.parametrize("length", ["+2", "0x2", "2, 2", "-1", "2 2", "", "99999999999999999999999"])
def test_lengths_that_are_none(service, length):
    with connect(service) as s:
        s.sendall(head(sign(service, b"{}"), f"content-length: {length}\r\n") + b"{}")
        assert read_answer(s)[0] in (400, 413)
    assert still_serves(service)


def test_chunks(service):
    """A body in chunks is a body; one with nonsense for a size is none."""
    chunked = head(sign(service, b"{}"), "transfer-encoding: chunked\r\n")
    for chunks, status in ((b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 200), (b"zz\r\n{}\r\n0\r\n\r\n", 400), (b"f" * 40 + b"\r\n{}", 413)):
        with connect(service) as s:
            s.sendall(chunked + chunks)
            assert read_answer(s)[0] == status, chunks


def test_pipelining(service):
    """Requests behind each other are answered in their order, one by one."""
    body = b'{"NumberOfBytes":0}'
    with connect(service) as s:
        s.sendall(request(service) + request(service, "GenerateRandom", body) + request(service, "Nothing") + request(service))
        data = b""
        while data.count(b"HTTP/1.1 ") < 4 or not data.endswith(b"}"):
            data += s.recv(65536)
    statuses = [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 400, 400, 200]
    assert data.index(b"ValidationException") < data.index(b"UnknownOperationException")


# ---- What is sent ---------------------------------------------------------------------------------------------------


def test_deep_and_doubled_and_of_the_wrong_type(service):
    depth = 30000
    for body in (b'{"EncryptionContext":' * 2500 + b"1", b"[" * depth + b"]" * depth, b'{"KeyId":"a","KeyId":"b"}',
                 b'{"KeyId":"a","\\u004beyId":"b"}', b'{"Tags":[{"TagKey":"a","TagKey":"b"}]}', b'{"KeyId":"\\ud800"}',
                 b'{"KeyId":"a\\u0000b"}', b"\xef\xbb\xbf{}", b'{"KeyId":NaN}'):
        assert refusal(raw(service, sign(service, body, target="TrentService.Encrypt"), body)) == (400, "SerializationException")
    for member in ('"Plaintext":5', '"Plaintext":{}', '"KeyId":[]', '"EncryptionContext":[]', '"EncryptionContext":{"a":1}',
                   '"GrantTokens":"x"', '"GrantTokens":[1]', '"DryRun":"yes"', '"Plaintext":"no base64!"'):
        body = ("{%s}" % ",".join([member] + [m for m in ('"KeyId":"alias/x"', '"Plaintext":"aGk="') if m.split(":")[0] not in member])).encode()
        status, kind = refusal(raw(service, sign(service, body, target="TrentService.Encrypt"), body))
        assert status == 400 and kind in ("SerializationException", "ValidationException"), member
    assert still_serves(service)


def test_a_request_again(service):
    """As at AWS a captured request is good again for five minutes, as it was, and for nothing else."""
    body = b"{}"
    headers = sign(service, body)
    assert [raw(service, headers, body)[0] for _ in range(2)] == [200, 200]
    assert refusal(raw(service, headers, b'{"Limit":2}')) == (400, "InvalidSignatureException")
    assert refusal(raw(service, dict(headers, host="elsewhere"), body)) == (400, "InvalidSignatureException")
    assert refusal(raw(service, dict(headers, **{"x-amz-date": "20200101T000000Z"}), body)) == (400, "InvalidSignatureException")


# ---- How much and how slowly ----------------------------------------------------------------------------------------


needs_real_memory = pytest.mark.skipif(is_sanitized(), reason="a sanitizer's own memory says nothing about ours")


def connections(service, count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 200:
        pytest.skip(f"only {hard} open files are permitted here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    return [connect(service) for _ in range(count)]


@needs_real_memory
def test_thousands_of_idle_and_slow_connections_do_no_harm(service):
    """2,500 that say nothing, 150 that stop in the headers, 150 that stop in the body: others are served, and memory is bounded."""
    kms = service.client()
    kms.list_keys()
    before = resident(service.process)
    held = connections(service, 2800)
    try:
        headers = sign(service, b" " * 60000)
        for s in held[:150]:
            s.sendall(head(headers)[:-40])
        for s in held[150:300]:
            s.sendall(head(headers, "content-length: 60000\r\n") + b" " * 30000)
        for _ in range(50):
            assert kms.list_keys()["Keys"] == []
        grown = resident(service.process) - before
        assert grown < 80 * MIB, f"{grown / MIB:.1f} MiB"
    finally:
        for s in held:
            s.close()
    assert still_serves(service)


@needs_real_memory
def test_floods_leave_no_memory_behind(service):
    """Bodies and headers that are too much, over and over: what the service has afterwards is what it had."""
    big, body = b" " * (700 * 1024), b"[" * 60000
    flood = {f"x-{i}": "y" * 300 for i in range(100)}

    def floods(times):
        for _ in range(times):
            assert refusal(raw(service, sign(service, big), big)) == (413, "RequestEntityTooLargeException")
            assert refusal(raw(service, sign(service, body), body)) == (400, "SerializationException")
            assert refusal(raw(service, dict(sign(service, b"{}"), **flood), b"{}")) == (431, "RequestHeaderSectionTooLargeException")

    floods(20)
    before = resident(service.process)
    floods(60)
    assert resident(service.process) - before < 8 * MIB
    assert still_serves(service)


def test_nobody_fills_the_disk(kms_box):
    """Thousands of unsigned requests are some records and a sum, and none is lost from the sum."""
    service = Service(kms_box)
    unsigned = {n: v for n, v in sign(service, b"{}").items() if n != "authorization"}
    one = head(unsigned, "content-length: 2\r\n") + b"{}"
    sent, start = 3000, time.monotonic()
    with connect(service) as s:
        for _ in range(sent // 20):
            s.sendall(one * 20)
            data = b""
            while data.count(b"MissingAuthenticationTokenException") < 20:
                data += s.recv(65536)
    most = 100 + 10 * (time.monotonic() - start + 1)
    assert service.stop() == 0, service.log()
    with sqlite3.connect(kms_box.keystore) as db:
        records = [json.loads(r[0]) for r in db.execute("SELECT record FROM audit")]
    singles = [r for r in records if r.get("errorCode") == "MissingAuthenticationTokenException"]
    sums = [r["serviceEventDetails"] for r in records if r["eventName"] == "RefuseRequests"]
    assert 100 <= len(singles) <= most
    assert len(singles) + sum(d["errors"]["MissingAuthenticationTokenException"] for d in sums) == sent
    assert all("accountId" not in d for d in sums)


@pytest.mark.skipif(os.geteuid() != 0, reason="reading another process's memory needs root")
@needs_real_memory
def test_no_plaintext_stays_behind(service):
    """What was sent and answered is nowhere in the service once its connection is over."""
    canary = "Y2FuYXJ5LW9mLXRoZS1zZXJ2aWNlLTdiM2Y5MQ"
    key = ask(service, "CreateKey")["KeyMetadata"]["KeyId"]
    body = json.dumps({"KeyId": key, "Plaintext": canary + "=="}).encode()
    with connect(service) as s:
        s.sendall(request(service, "Encrypt", body))
        sealed = json.loads(read_answer(s)[2])["CiphertextBlob"]
        s.sendall(request(service, "Decrypt", json.dumps({"CiphertextBlob": sealed}).encode()))
        assert json.loads(read_answer(s)[2])["Plaintext"] == canary + "=="
    needles = [canary.encode(), b"canary-of-the-service-7b3f91"]

    def found():
        return [n for _, block in memory_of(service.process.pid) for n in needles if n in block]

    deadline = time.monotonic() + 30  # until the service has noticed that the connection is over
    while found() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found() == []
    assert any(b"TrentService" in block for _, block in memory_of(service.process.pid)), "the search sees memory"


def test_the_trail_does_not_drive_a_terminal(service):
    """Who calls says what it is called; control characters of Latin-1 are shown as they are to programs, and not to terminals."""
    ask_as = dict(sign(service, b"{}"), **{"user-agent": "evil\u009b31m"})
    assert raw(service, ask_as, b"{}")[0] == 200
    piped = service.box.run("kms", "audit", "--json", "--operation", "ListKeys").stdout
    assert "evil\u009b31m" in piped
    shown = at_a_terminal(service.box, "kms", "audit", "--json", "--operation", "ListKeys")
    assert "evil??31m" in shown and "\u009b" not in shown


def at_a_terminal(box, *args):
    ours, its = os.openpty()
    try:
        process = subprocess.Popen([SIGNETFS, *args], stdin=subprocess.DEVNULL, stdout=its, env=box.env, cwd=box.home)
        os.close(its)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # EIO: its end is closed
                break
            if not part:
                break
            shown += part
        assert process.wait(timeout=LIMIT) == 0
        return shown.decode()
    finally:
        os.close(ours)
