"""The KMS on the wire: the AWS SDK and CLI on every operation, each exception by its class, and input from people who mean harm."""

import base64
import datetime
import hashlib
import hmac
import json
import os
import socket
import subprocess
import time

import pytest
from conftest import SIGNETFS, LIMIT, Service

AWS = "/usr/bin/aws"
NOBODY = 65534
MIB = 1024 * 1024


@pytest.fixture
def kms(kms_service):
    return kms_service.client()


@pytest.fixture
def key(kms):
    return kms.create_key(Description="test")["KeyMetadata"]


# ---- A client of our own making, for requests that no SDK would send ---------------------------------------------


def sign(service, body, target="TrentService.ListKeys", when=None, secret=None, access_key=None, scope_service="kms", skip=(),
         region="us-east-1"):
    """Headers of a SigV4 request, made here independently of both the SDK and the server."""
    when = when or datetime.datetime.now(datetime.timezone.utc)
    stamp, day = when.strftime("%Y%m%dT%H%M%SZ"), when.strftime("%Y%m%d")
    headers = {"content-type": "application/x-amz-json-1.1", "host": f"127.0.0.1:{service.port}", "x-amz-date": stamp,
               "x-amz-target": target}
    names = ";".join(sorted(n for n in headers if n not in skip))
    canonical = "POST\n/\n\n" + "".join(f"{n}:{headers[n]}\n" for n in names.split(";")) + "\n" + names + "\n"
    canonical += hashlib.sha256(body).hexdigest()
    scope = f"{day}/{region}/{scope_service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    k = ("AWS4" + (secret or service.secret)).encode()
    for part in scope.split("/"):
        k = hmac.new(k, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(k, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={access_key or service.access_key}/{scope}, "
                                f"SignedHeaders={names}, Signature={signature}")
    return headers


def connect(service):
    return socket.create_connection(("127.0.0.1", service.port), timeout=30)


def read_answer(s):
    """(status, headers, body) of one HTTP answer; None when the peer hung up."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = s.recv(65536)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {n.lower(): v for n, v in (line.split(": ", 1) for line in lines[1:])}
    while len(body) < int(headers.get("content-length", 0)):
        body += s.recv(65536)
    return int(lines[0].split()[1]), headers, body


def raw(service, headers, body, line="POST / HTTP/1.1", s=None):
    mine = s or connect(service)
    head = line + "\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items())
    if "content-length" not in {n.lower() for n in headers}:
        head += f"content-length: {len(body)}\r\n"
    try:
        mine.sendall(head.encode("utf-8", "surrogateescape") + b"\r\n" + body)
        return read_answer(mine)
    finally:
        if not s:
            mine.close()


def refusal(answer):
    assert answer is not None
    assert answer[1]["content-type"] == "application/x-amz-json-1.1"
    assert len(answer[1]["x-amzn-requestid"]) == 36
    return answer[0], json.loads(answer[2])["__type"]


def ask(service, operation, _region="us-east-1", **members):
    """One operation the SDK of this machine may be too old for; the answer, the exception's name as "__type" when refused."""
    body = json.dumps(members).encode()
    answer = raw(service, sign(service, body, target=f"TrentService.{operation}", region=_region), body)
    return json.loads(answer[2]) if answer[2] else None


def still_serves(service):
    return service.client().list_keys(Limit=1)["ResponseMetadata"]["HTTPStatusCode"] == 200


# ---- Every operation, by the SDK ----------------------------------------------------------------------------------


def test_keys(kms, key):
    assert key["KeyState"] == "Enabled" and key["KeyManager"] == "CUSTOMER" and key["Enabled"] is True
    assert key["Arn"] == f"arn:aws:kms:us-east-1:000000000000:key/{key['KeyId']}"
    assert abs(key["CreationDate"].timestamp() - time.time()) < 60
    for name in (key["KeyId"], key["Arn"]):
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == key["Arn"]
    assert {"KeyId": key["KeyId"], "KeyArn": key["Arn"]} in kms.list_keys()["Keys"]
    kms.update_key_description(KeyId=key["KeyId"], Description="new words")
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Description"] == "new words"
    kms.disable_key(KeyId=key["KeyId"])
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=key["KeyId"])
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled"


def test_listing_pages(kms):
    made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(7)}
    seen, marker = [], {}
    while True:
        page = kms.list_keys(Limit=3, **marker)
        assert len(page["Keys"]) <= 3
        seen += [k["KeyId"] for k in page["Keys"]]
        if not page["Truncated"]:
            break
        marker = {"Marker": page["NextMarker"]}
    assert len(seen) == len(set(seen)) and made <= set(seen)
    assert {k["KeyId"] for p in kms.get_paginator("list_keys").paginate() for k in p["Keys"]} == set(seen)


def test_aliases(kms, key):
    other = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/letters", TargetKeyId=key["KeyId"])
    found = [a for a in kms.list_aliases(KeyId=key["KeyId"])["Aliases"] if a["AliasName"] == "alias/letters"]
    assert found[0]["TargetKeyId"] == key["KeyId"]
    assert kms.describe_key(KeyId=found[0]["AliasArn"])["KeyMetadata"]["Arn"] == key["Arn"]
    kms.update_alias(AliasName="alias/letters", TargetKeyId=other["KeyId"])
    assert kms.describe_key(KeyId="alias/letters")["KeyMetadata"]["Arn"] == other["Arn"]
    kms.delete_alias(AliasName="alias/letters")
    with pytest.raises(kms.exceptions.NotFoundException):
        kms.describe_key(KeyId="alias/letters")


def test_cryptography(kms, key):
    context = {"purpose": "test", "größe": "✓"}
    data = kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256", EncryptionContext=context)
    assert data["KeyId"] == key["Arn"] and len(data["Plaintext"]) == 32
    opened = kms.decrypt(CiphertextBlob=data["CiphertextBlob"], EncryptionContext=dict(reversed(context.items())))
    assert opened["Plaintext"] == data["Plaintext"] and opened["KeyId"] == key["Arn"]
    assert opened["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    bare = kms.generate_data_key_without_plaintext(KeyId=key["KeyId"], NumberOfBytes=1024)
    assert "Plaintext" not in bare and len(kms.decrypt(CiphertextBlob=bare["CiphertextBlob"])["Plaintext"]) == 1024
    random = kms.generate_random(NumberOfBytes=1024)["Plaintext"]
    assert len(random) == 1024 and random != kms.generate_random(NumberOfBytes=1024)["Plaintext"]
    for size in (1, 4096):
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=random[:1] * size)["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=blob, KeyId=key["Arn"])["Plaintext"] == random[:1] * size
    other = kms.create_key()["KeyMetadata"]
    moved = kms.re_encrypt(CiphertextBlob=data["CiphertextBlob"], SourceEncryptionContext=context,
                           DestinationKeyId=other["KeyId"], DestinationEncryptionContext={"a": "b"})
    assert moved["SourceKeyId"] == key["Arn"] and moved["KeyId"] == other["Arn"]
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"],
                       EncryptionContext={"a": "b"})["Plaintext"] == data["Plaintext"]


def test_rotation(kms_service, kms, key):
    before = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"old")["CiphertextBlob"]
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is True
    assert ask(kms_service, "EnableKeyRotation", KeyId=key["KeyId"], RotationPeriodInDays=90) is None
    assert ask(kms_service, "GetKeyRotationStatus", KeyId=key["KeyId"])["RotationPeriodInDays"] == 90
    assert ask(kms_service, "RotateKeyOnDemand", KeyId=key["KeyId"]) == {"KeyId": key["Arn"]}
    rotations = ask(kms_service, "ListKeyRotations", KeyId=key["KeyId"])["Rotations"]
    assert [r["RotationType"] for r in rotations] == ["ON_DEMAND"]
    after = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"new")["CiphertextBlob"]
    assert [kms.decrypt(CiphertextBlob=b)["Plaintext"] for b in (before, after)] == [b"old", b"new"]
    kms.disable_key_rotation(KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is False


def test_deletion(kms, key):
    due = kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert due["KeyState"] == "PendingDeletion" and due["KeyId"] == key["Arn"]
    assert abs((due["DeletionDate"].timestamp() - time.time()) - 7 * 86400) < 60
    assert kms.cancel_key_deletion(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"


def test_regions_are_apart(kms_service, key):
    west = kms_service.client(region="eu-west-1")
    made = west.create_key()["KeyMetadata"]
    assert made["Arn"].startswith("arn:aws:kms:eu-west-1:")
    assert [k["KeyId"] for k in west.list_keys()["Keys"]] == [made["KeyId"]]
    with pytest.raises(west.exceptions.NotFoundException):
        west.describe_key(KeyId=key["KeyId"])


# ---- Exceptions, by their class -----------------------------------------------------------------------------------


def test_exceptions_have_their_class(kms_service, kms, key):
    nobody = "12345678-1234-1234-1234-123456789012"
    ex = kms.exceptions
    disabled, pending, other = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(3))
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    kms.disable_key(KeyId=disabled)
    kms.schedule_key_deletion(KeyId=pending)
    kms.create_alias(AliasName="alias/taken", TargetKeyId=key["KeyId"])
    cases = [
        (ex.NotFoundException, lambda: kms.describe_key(KeyId=nobody)),
        (ex.NotFoundException, lambda: kms.encrypt(KeyId="alias/none", Plaintext=b"x")),
        (ex.DisabledException, lambda: kms.encrypt(KeyId=disabled, Plaintext=b"x")),
        (ex.DisabledException, lambda: kms.generate_data_key(KeyId=disabled, KeySpec="AES_256")),
        (ex.KMSInvalidStateException, lambda: kms.enable_key(KeyId=pending)),
        ((ex.KMSInvalidStateException, ex.DisabledException), lambda: kms.encrypt(KeyId=pending, Plaintext=b"x")),
        (ex.KMSInvalidStateException, lambda: kms.cancel_key_deletion(KeyId=key["KeyId"])),
        (ex.AlreadyExistsException, lambda: kms.create_alias(AliasName="alias/taken", TargetKeyId=other)),
        (ex.InvalidCiphertextException, lambda: kms.decrypt(CiphertextBlob=blob)),
        (ex.InvalidCiphertextException, lambda: kms.decrypt(CiphertextBlob=blob[:-1] + bytes([blob[-1] ^ 1]),
                                                            EncryptionContext={"a": "b"})),
        (ex.InvalidCiphertextException, lambda: kms.decrypt(CiphertextBlob=b"\0" * 180)),
        (ex.IncorrectKeyException, lambda: kms.decrypt(CiphertextBlob=blob, KeyId=other, EncryptionContext={"a": "b"})),
        (ex.InvalidMarkerException, lambda: kms.list_keys(Marker="bm9uc2Vuc2U=")),
    ]
    for expected, call in cases:
        with pytest.raises(expected):
            call()
    with pytest.raises(ex.ClientError) as refused:
        kms.generate_data_key(KeyId=key["KeyId"], NumberOfBytes=1025)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert "numberOfBytes" in refused.value.response["Error"]["Message"]
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    dry = ask(kms_service, "Encrypt", KeyId=key["KeyId"], Plaintext="eA==", DryRun=True)
    assert dry == {"__type": "DryRunOperationException",
                   "message": "The request would have succeeded, but the DryRun option is set."}
    assert ask(kms_service, "RotateKeyOnDemand", KeyId=disabled)["__type"] == "DisabledException"


# ---- The aws command line -----------------------------------------------------------------------------------------


@pytest.mark.skipif(not os.access(AWS, os.X_OK), reason="no aws CLI on this machine")
def test_aws_cli(kms_service):
    env = dict(kms_service.box.env, AWS_ACCESS_KEY_ID=kms_service.access_key, AWS_SECRET_ACCESS_KEY=kms_service.secret,
               AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true", AWS_PAGER="")

    def aws(*args, code=0):
        done = subprocess.run([AWS, "--endpoint-url", kms_service.url, "--output", "json", "kms", *args], env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
        assert done.returncode == code, (args, done.stdout, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else done.stderr

    key = aws("create-key", "--description", "from the command line")["KeyMetadata"]["KeyId"]
    aws("create-alias", "--alias-name", "alias/cli", "--target-key-id", key)
    assert aws("describe-key", "--key-id", "alias/cli")["KeyMetadata"]["KeyId"] == key
    data = aws("generate-data-key", "--key-id", "alias/cli", "--key-spec", "AES_256", "--encryption-context", "a=b,c=d")
    blob = kms_service.box.path("blob")
    with open(blob, "wb") as f:
        f.write(base64.b64decode(data["CiphertextBlob"]))
    opened = aws("decrypt", "--ciphertext-blob", f"fileb://{blob}", "--encryption-context", "c=d,a=b")
    assert opened["Plaintext"] == data["Plaintext"]
    refused = aws("decrypt", "--ciphertext-blob", f"fileb://{blob}", code=254)
    assert "(InvalidCiphertextException) when calling the Decrypt operation" in refused
    aws("enable-key-rotation", "--key-id", key)
    assert aws("get-key-rotation-status", "--key-id", key)["KeyRotationEnabled"] is True
    assert aws("list-aliases", "--key-id", key)["Aliases"][0]["AliasName"] == "alias/cli"
    aws("disable-key", "--key-id", key)
    assert "(DisabledException)" in aws("encrypt", "--key-id", key, "--plaintext", "eA==", code=254)
    assert "DeletionDate" in aws("schedule-key-deletion", "--key-id", key, "--pending-window-in-days", "7")
    env["AWS_SECRET_ACCESS_KEY"] = "wrong"
    assert "(InvalidSignatureException)" in aws("list-keys", code=254)


# ---- Who calls ----------------------------------------------------------------------------------------------------


def test_wrong_credentials(kms_service):
    with pytest.raises(Exception) as refused:
        kms_service.client(secret="wrong").list_keys()
    assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"
    with pytest.raises(Exception) as refused:
        kms_service.client(access_key="AKIANOBODYNOBODYNOBO").list_keys()
    assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"
    assert refused.value.response["Error"]["Message"] == "The security token included in the request is invalid."


def test_deleted_access_key(kms_service):
    kms = kms_service.client()
    kms.list_keys()
    kms_service.box.run("kms", "delete-access-key", "--access-key-id", kms_service.access_key)
    with pytest.raises(Exception) as refused:
        kms.list_keys()
    assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"


def test_signature(kms_service):
    s, body = kms_service, b"{}"
    now = datetime.datetime.now(datetime.timezone.utc)

    def minutes(n):
        return now + datetime.timedelta(minutes=n)

    assert raw(s, sign(s, body), body)[0] == 200
    assert raw(s, sign(s, body, when=minutes(-4)), body)[0] == 200
    assert raw(s, sign(s, body, when=minutes(4)), body)[0] == 200
    stale = raw(s, sign(s, body, when=minutes(-6)), body)
    assert refusal(stale) == (400, "InvalidSignatureException")
    assert json.loads(stale[2])["message"].startswith("Signature expired: ")
    early = raw(s, sign(s, body, when=minutes(6)), body)
    assert refusal(early) == (400, "InvalidSignatureException")
    assert json.loads(early[2])["message"].startswith("Signature not yet current: ")
    assert refusal(raw(s, sign(s, body), b'{"Limit":1}')) == (400, "InvalidSignatureException")
    assert refusal(raw(s, dict(sign(s, body), **{"x-amz-target": "TrentService.CreateKey"}), body)) == (
        400, "InvalidSignatureException")
    assert refusal(raw(s, sign(s, body, skip=("x-amz-target",)), body)) == (400, "InvalidSignatureException")
    assert refusal(raw(s, sign(s, body, scope_service="s3"), body)) == (400, "InvalidSignatureException")
    unsigned = {n: v for n, v in sign(s, body).items() if n != "authorization"}
    assert refusal(raw(s, unsigned, body)) == (400, "MissingAuthenticationTokenException")
    assert refusal(raw(s, dict(unsigned, authorization="AWS4-HMAC-SHA256 Credential=x"), body)) == (
        400, "IncompleteSignatureException")
    with_token = dict(sign(s, body), **{"x-amz-security-token": "anything"})
    assert refusal(raw(s, with_token, body)) == (400, "InvalidSignatureException")


def test_our_client_over_tcp(kms_service):
    box = kms_service.box
    env = dict(box.env, AWS_ACCESS_KEY_ID=kms_service.access_key, AWS_SECRET_ACCESS_KEY=kms_service.secret)
    made = json.loads(box.run("kms", "create-key", "--endpoint-url", kms_service.url, env=env).stdout)
    assert json.loads(box.run("kms", "describe-key", "--key-id", made["KeyMetadata"]["KeyId"], "--kms",
                              f"unix:{kms_service.socket}").stdout)["KeyMetadata"]["Arn"] == made["KeyMetadata"]["Arn"]
    env["AWS_SECRET_ACCESS_KEY"] = "wrong"
    done = box.run("kms", "list-keys", "--endpoint-url", kms_service.url, env=env, code=5)
    assert "InvalidSignatureException" in done.stderr or "does not match" in done.stderr


def over_unix(path, uid=None):
    """ListKeys over the Unix socket as @uid, from a process of its own; the status and the exception's name."""
    program = f'''
import os, socket, sys
folder = os.open({os.path.dirname(path)!r}, os.O_PATH)  # the folders above it are closed to others
if {uid!r}: os.setgid({uid!r}); os.setuid({uid!r})
s = socket.socket(socket.AF_UNIX); s.connect(f"/proc/self/fd/{{folder}}/{os.path.basename(path)}")
s.sendall(b"POST / HTTP/1.1\\r\\nHost: x\\r\\nX-Amz-Target: TrentService.ListKeys\\r\\n"
          b"Content-Type: application/x-amz-json-1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{{}}")
sys.stdout.buffer.write(s.recv(65536))
'''
    out = subprocess.run(["/usr/bin/python3", "-c", program], stdout=subprocess.PIPE, timeout=LIMIT, check=True).stdout
    head, _, body = out.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body).get("__type")


def test_unix_socket_identity(kms_service):
    assert os.stat(kms_service.socket).st_mode & 0o777 == 0o600
    assert over_unix(kms_service.socket) == (200, None)
    if os.geteuid() != 0:
        pytest.skip("only root can call as somebody else")
    os.chmod(kms_service.socket, 0o666)
    os.chmod(kms_service.box.root, 0o711)
    assert over_unix(kms_service.socket, NOBODY) == (400, "AccessDeniedException")


# ---- Hostile input ------------------------------------------------------------------------------------------------


def test_bad_bodies(kms_service):
    s = kms_service
    for body in (b"", b"{", b"[]", b"null", b"{}{}", b"{} x", b'{"Limit":1,"Limit":2}', b'{"a":' * 40 + b"1" + b"}" * 40,
                 b"[" * 30000, b'{"a":"\xff"}', b'{"a":1e999999}', b"\x00", b"{'Limit':1}"):
        assert refusal(raw(s, sign(s, body), body)) == (400, "SerializationException"), body[:40]
    for body in (b'{"Limit":"1"}', b'{"Limit":1.5}', b'{"Limit":true}', b'{"Limit":[1]}', b'{"Marker":{}}'):
        status, kind = refusal(raw(s, sign(s, body), body))
        assert status == 400 and kind in ("SerializationException", "ValidationException"), body
    assert still_serves(s)


def test_wrong_requests(kms_service):
    s, body = kms_service, b"{}"
    assert refusal(raw(s, sign(s, body), body, line="POST /x HTTP/1.1")) == (404, "UnknownOperationException")
    assert refusal(raw(s, sign(s, body), body, line="POST /?a=1 HTTP/1.1")) == (404, "UnknownOperationException")
    assert refusal(raw(s, sign(s, body), body, line="PUT / HTTP/1.1")) == (404, "UnknownOperationException")
    for target in ("TrentService.Nothing", "TrentService.", "DynamoDB_20120810.ListTables", "ListKeys",
                   "TrentService." + "A" * 1000, "TrentService.List Keys"):
        assert refusal(raw(s, sign(s, body, target=target), body))[1] == "UnknownOperationException", target
    assert raw(s, {"host": "x"}, b"", line="GET /healthz HTTP/1.1")[::2] == (200, b"ok\n")
    assert still_serves(s)


def test_bytes_that_are_no_text_do_not_escape_the_audit_trail(kms_service):
    s, body = kms_service, b"{}"
    agent = "agent-" + b"\xff\xc3(".decode("utf-8", "surrogateescape")
    assert raw(s, sign(s, body) | {"user-agent": agent}, body)[0] == 200
    for headers, kind in ((sign(s, body, secret="wrong"), "InvalidSignatureException"),
                          (sign(s, body) | {"x-amz-date": agent}, "IncompleteSignatureException")):
        assert refusal(raw(s, headers | {"user-agent": agent}, body)) == (400, kind)
    trail = json.loads(s.box.run("kms", "audit", "--json", "--operation", "ListKeys").stdout)
    mine = [r.get("errorCode") for r in trail["Records"] if r["userAgent"] == "agent-??("]
    assert mine == [None, "InvalidSignatureException", "IncompleteSignatureException"]


def test_oversized(kms_service):
    s = kms_service
    body = b'{"Marker":"' + b"A" * (64 * 1024) + b'"}'
    assert refusal(raw(s, sign(s, body), body)) == (413, "RequestEntityTooLargeException")
    body = b" " * (900 * 1024)
    assert refusal(raw(s, sign(s, body), body)) == (413, "RequestEntityTooLargeException")
    many = {f"x-{i}": "y" for i in range(100)}
    assert refusal(raw(s, dict(sign(s, b"{}"), **many), b"{}")) == (431, "RequestHeaderSectionTooLargeException")
    try:
        answer = raw(s, {"host": "x", "x-flood": "A" * MIB}, b"")
        assert answer is None or answer[0] in (400, 413, 431)
    except (ConnectionResetError, BrokenPipeError):
        pass
    try:
        answer = raw(s, {"host": "x", "content-length": str(1 << 40)}, b" " * (4 * MIB))
        assert answer is None or answer[0] in (400, 413)
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert still_serves(s)


def resident(process):
    with open(f"/proc/{process.pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS:"))


@pytest.mark.skipif("asan" in SIGNETFS or "tsan" in SIGNETFS, reason="a sanitizer's own memory says nothing about ours")
def test_idle_and_slow_connections_do_no_harm(kms_service):
    before = resident(kms_service.process)
    idle = [connect(kms_service) for _ in range(500)]
    slow = [connect(kms_service) for _ in range(50)]
    for s in slow:
        s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n")
    start = time.monotonic()
    kms = kms_service.client()
    for _ in range(20):
        kms.list_keys()
    assert time.monotonic() - start < 5
    assert resident(kms_service.process) - before < 24 * MIB
    for s in idle + slow:
        s.close()
    assert still_serves(kms_service)


def test_keep_alive(kms_service):
    with connect(kms_service) as s:
        for _ in range(50):
            assert raw(kms_service, sign(kms_service, b"{}"), b"{}", s=s)[0] == 200


def test_hang_up_in_the_middle(kms_service):
    headers = sign(kms_service, b"{}" * 1000)
    head = "POST / HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items()) + "content-length: 2000\r\n\r\n"
    whole = head.encode() + b"{}" * 1000
    for cut in range(0, len(whole), 97):
        with connect(kms_service) as s:
            s.sendall(whole[:cut])
    assert still_serves(kms_service)


# ---- The service itself -------------------------------------------------------------------------------------------


def test_nothing_secret_on_the_audit_trail(kms_service):
    kms = kms_service.client()
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    data = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    kms.encrypt(KeyId=key, Plaintext=b"SECRET-PLAINTEXT")
    kms.decrypt(CiphertextBlob=data["CiphertextBlob"])
    with pytest.raises(Exception):
        kms_service.client(secret="SECRET-SECRET").list_keys()
    trail = kms_service.box.run("kms", "audit", "--json").stdout
    assert "GenerateDataKey" in trail and "InvalidSignatureException" in trail
    for secret in (base64.b64encode(data["Plaintext"]).decode(), data["Plaintext"].hex(), kms_service.secret,
                   "SECRET-PLAINTEXT", base64.b64encode(b"SECRET-PLAINTEXT").decode(), "SECRET-SECRET"):
        assert secret not in trail
        assert secret not in kms_service.log()


def test_two_services_share_one_keystore(kms_service):
    other = Service.__new__(Service)
    other.__dict__.update(kms_service.__dict__)
    second = subprocess.Popen([SIGNETFS, "kms", "serve", "--listen", "127.0.0.1:0"], env=kms_service.box.env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        other.url = second.stdout.readline().split()[2]
        key = kms_service.client().create_key()["KeyMetadata"]["KeyId"]
        assert other.client().describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
        other.client().disable_key(KeyId=key)
        kms = kms_service.client()
        with pytest.raises(kms.exceptions.DisabledException):
            kms.encrypt(KeyId=key, Plaintext=b"x")
    finally:
        second.terminate()
        assert second.wait(timeout=20) == 0
        second.stdout.close()


def test_stops_in_good_order(kms_box):
    service = Service(kms_box)
    idle = connect(service)
    assert service.client().list_keys()["Keys"] == []
    start = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - start < 5
    assert idle.recv(1) == b""
    assert not os.path.exists(service.socket)
    assert service.log() == ""


def test_stale_socket_is_replaced_live_one_is_not(kms_box):
    service = Service(kms_box)
    done = kms_box.run("kms", "serve", "--listen", f"unix:{service.socket}", code=1)
    assert "another service listens on" in done.stderr
    service.process.kill()
    service.process.wait()
    assert os.path.exists(service.socket)
    again = Service(kms_box)
    assert again.client().list_keys()["Keys"] == []
    assert again.stop() == 0


def test_clear_text_stays_on_this_machine(kms_box):
    done = kms_box.run("kms", "serve", "--listen", "0.0.0.0:0", code=2)
    assert "in the clear" in done.stderr
    service = Service(kms_box, "--insecure", listen=("0.0.0.0:0",))
    service.url = f"http://127.0.0.1:{service.port}"
    assert service.client().list_keys()["Keys"] == []
    assert service.stop() == 0
    for where, why in (("nonsense", "no port"), ("127.0.0.1:x", "port"), ("/tmp:80", "no host name"), ("unix:", "path")):
        assert why in kms_box.run("kms", "serve", "--listen", where, code=2).stderr
    assert "go together" in kms_box.run("kms", "serve", "--tls-cert", "x", code=2).stderr


def make_certificate(box):
    """The options that make a service use a certificate of its own."""
    cert, secret_key = box.path("cert.pem"), box.path("key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", secret_key,
                    "-out", cert], check=True, stderr=subprocess.DEVNULL)
    return "--tls-cert", cert, "--tls-key", secret_key


def test_tls(kms_box):
    options = make_certificate(kms_box)
    cert, secret_key = options[1], options[3]
    service = Service(kms_box, *options)
    assert service.url.startswith("https://127.0.0.1:")
    env = dict(kms_box.env, AWS_ACCESS_KEY_ID=service.access_key, AWS_SECRET_ACCESS_KEY=service.secret)
    try:
        trusting = kms_box.run("kms", "list-keys", "--kms", service.url, "--ca-file", cert, env=env)
        assert json.loads(trusting.stdout)["Keys"] == []
        start = time.monotonic()
        wary = kms_box.run("kms", "list-keys", "--kms", service.url, env=env, code=4)
        assert "certificate" in wary.stderr.lower()
        assert time.monotonic() - start < 5  # a certificate that is not trusted is not asked again
        with pytest.raises(Exception):
            plain = socket.create_connection(("127.0.0.1", service.port), timeout=10)
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert plain.recv(100).startswith(b"HTTP/1.1 200")
    finally:
        assert service.stop() == 0
    done = kms_box.run("kms", "serve", "--listen", "127.0.0.1:0", "--tls-cert", secret_key, "--tls-key", cert, code=2)
    assert "certificate" in done.stderr
