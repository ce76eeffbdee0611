"""Who may do what, with the tools that people use: policies, grants, roles and accounts by boto3, the AWS CLI and a mount."""

import json
import os
import subprocess
import time

import pytest
from conftest import LIMIT, Service, needs_fuse
from hostile import errno_of, read, wait_until, write

AWS = "/usr/bin/aws"
ROOT = "arn:aws:iam::000000000000:root"
OTHER = "111122223333"
NOBODY = 65534


def user(box, name, *statements, account=None):
    """A user with an access key, and policies of its own; (its ARN, its key)."""
    options = ("--account", account) if account else ()
    arn = json.loads(box.run("kms", "principal", "create", name, *options).stdout)["Arn"]
    for i, statement in enumerate(statements):
        attach(box, arn, f"p{i}", statement)
    return arn, json.loads(box.run("kms", "principal", "access-key", arn).stdout)["AccessKey"]


def attach(box, who, name, statement):
    box.run("kms", "principal", "attach", who, "--policy-name", name, "--policy",
            json.dumps({"Version": "2012-10-17", "Statement": statement}))


def role(box, name, who, *statements, **condition):
    trust = {"Effect": "Allow", "Principal": {"AWS": who}, "Action": "sts:AssumeRole"}
    if condition:
        trust["Condition"] = condition
    arn = json.loads(box.run("kms", "principal", "create", name, "--role", "--trust",
                             json.dumps({"Version": "2012-10-17", "Statement": trust})).stdout)["Arn"]
    for i, statement in enumerate(statements):
        attach(box, arn, f"p{i}", statement)
    return arn


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def policy(*statements):
    root = {"Sid": "root", "Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [root, *statements]})


def client(service, name, key, token=None):
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        name, endpoint_url=service.url, region_name="us-east-1", aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"], aws_session_token=token or key.get("SessionToken"),
        config=Config(retries={"max_attempts": 0}))


def refused(call, code, *words, **arguments):
    """The call is refused with exactly this code; its message has the words."""
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    for word in words:
        assert word in error["Message"], error
    return error["Message"]


@pytest.fixture
def key(kms_service):
    return kms_service.client().create_key()["KeyMetadata"]


def test_policies_by_boto3(kms_service, kms_box, key):
    root = kms_service.client()
    arn, credentials = user(kms_box, "alice")
    alice = client(kms_service, "kms", credentials)
    message = refused(alice.generate_data_key, "AccessDeniedException", KeyId=key["KeyId"], KeySpec="AES_256")
    assert message == (f"User: {arn} is not authorized to perform: kms:GenerateDataKey on resource: {key['Arn']} because no "
                       "identity-based policy allows the kms:GenerateDataKey action")
    assert root.list_key_policies(KeyId=key["KeyId"])["PolicyNames"] == ["default"]
    default = json.loads(root.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"])
    assert default["Statement"][0]["Principal"] == {"AWS": ROOT} and default["Statement"][0]["Action"] == "kms:*"
    use = {"Sid": "use", "Effect": "Allow", "Principal": {"AWS": arn}, "Action": ["kms:GenerateDataKey*", "kms:Decrypt"],
           "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:for": "alice"}}}
    root.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=policy(use))
    made = alice.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256", EncryptionContext={"for": "alice"})
    assert alice.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"for": "alice"})["KeyId"] == key["Arn"]
    refused(alice.decrypt, "AccessDeniedException", CiphertextBlob=made["CiphertextBlob"])
    deny = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
    root.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=policy(use, deny))
    refused(alice.decrypt, "AccessDeniedException", "with an explicit deny in a resource-based policy",
            CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"for": "alice"})
    for bad in ("{", json.dumps({"Statement": []}), policy({**use, "Colour": "blue"}),
                policy({**use, "Principal": {"AWS": "arn:aws:iam::000000000000:user/nobody"}}),
                json.dumps({"Statement": use})):
        refused(root.put_key_policy, "MalformedPolicyDocumentException", KeyId=key["KeyId"], PolicyName="default", Policy=bad)
    refused(root.put_key_policy, "LimitExceededException", KeyId=key["KeyId"], PolicyName="default", Policy=policy() + " " * 33000)


def test_grants_by_boto3(kms_service, kms_box, key):
    root = kms_service.client()
    arn, credentials = user(kms_box, "alice")
    alice = client(kms_service, "kms", credentials)
    grant = root.create_grant(KeyId=key["KeyId"], GranteePrincipal=arn, RetiringPrincipal=arn, Name="g",
                              Operations=["Encrypt", "Decrypt"], Constraints={"EncryptionContextSubset": {"a": "b"}})
    again = root.create_grant(KeyId=key["KeyId"], GranteePrincipal=arn, RetiringPrincipal=arn, Name="g",
                              Operations=["Decrypt", "Encrypt"], Constraints={"EncryptionContextSubset": {"a": "b"}})
    assert grant["GrantId"] == again["GrantId"] and grant["GrantToken"] != again["GrantToken"]
    listed = root.list_grants(KeyId=key["KeyId"])["Grants"]
    assert [(g["GrantId"], g["Operations"], g["KeyId"]) for g in listed] == [
        (grant["GrantId"], ["Decrypt", "Encrypt"], key["Arn"])]
    assert [g["GrantId"] for g in root.list_retirable_grants(RetiringPrincipal=arn)["Grants"]] == [grant["GrantId"]]
    alice.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext={"a": "b", "c": "d"}, GrantTokens=[grant["GrantToken"]])
    refused(alice.encrypt, "AccessDeniedException", KeyId=key["KeyId"], Plaintext=b"x")
    refused(alice.encrypt, "InvalidGrantTokenException", KeyId=key["KeyId"], Plaintext=b"x", GrantTokens=["AAAA"])
    refused(root.revoke_grant, "InvalidGrantIdException", KeyId=key["KeyId"], GrantId="x")
    alice.retire_grant(GrantToken=grant["GrantToken"])
    refused(alice.encrypt, "AccessDeniedException", KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext={"a": "b"})
    refused(root.revoke_grant, "NotFoundException", KeyId=key["KeyId"], GrantId=grant["GrantId"])


def test_administration_and_use_are_apart(kms_service, kms_box):
    _, ada = user(kms_box, "ada")
    _, ben = user(kms_box, "ben")
    made = json.loads(kms_box.run("kms", "create-key", "--administrators", "ada", "--users", "ben").stdout)
    key = made["KeyMetadata"]["KeyId"]
    ada, ben, root = (client(kms_service, "kms", c) for c in (
        ada, ben, {"AccessKeyId": kms_service.access_key, "SecretAccessKey": kms_service.secret}))
    ben.generate_data_key(KeyId=key, KeySpec="AES_256")
    for administrator in (ada, root):
        administrator.disable_key(KeyId=key)
        administrator.enable_key(KeyId=key)
        refused(administrator.generate_data_key, "AccessDeniedException", KeyId=key, KeySpec="AES_256")
        refused(administrator.create_grant, "AccessDeniedException", KeyId=key, GranteePrincipal=ROOT, Operations=["Decrypt"])
    refused(ben.disable_key, "AccessDeniedException", KeyId=key)
    shown = kms_box.run("kms", "simulate-policy", "--principal", "ada", "--action", "kms:Decrypt", "--key-id", key).stdout
    assert "implicitDeny: because no resource-based policy allows the kms:Decrypt action" in shown
    assert "statement Users (Allow): does not apply" in shown
    decision = json.loads(kms_box.run("kms", "simulate-policy", "--principal", "ben", "--action", "Decrypt", "--key-id", key,
                                      "--json").stdout)
    assert decision["Decision"] == "allowed" and decision["Reason"] == "the key policy allows it"


def test_roles_by_boto3(kms_service, kms_box, key):
    arn, credentials = user(kms_box, "alice")
    role(kms_box, "app", arn, allow("kms:*"), StringEquals={"sts:ExternalId": "secret"})
    sts = client(kms_service, "sts", credentials)
    identity = sts.get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == ("000000000000", arn) and identity["UserId"].startswith("AIDA")
    wanted = {"RoleArn": "arn:aws:iam::000000000000:role/app", "RoleSessionName": "work"}
    refused(sts.assume_role, "AccessDenied", f"User: {arn} is not authorized to perform: sts:AssumeRole on resource", **wanted)
    refused(sts.assume_role, "ValidationError", **wanted, ExternalId="secret", DurationSeconds=7200)
    refused(sts.assume_role, "ValidationError", "not supported", **wanted, ExternalId="secret", Tags=[{"Key": "a", "Value": "b"}])
    session = sts.assume_role(**wanted, ExternalId="secret", DurationSeconds=900)
    left = session["Credentials"]["Expiration"].timestamp() - time.time()
    assert 840 < left <= 901
    assert session["AssumedRoleUser"]["Arn"] == "arn:aws:sts::000000000000:assumed-role/app/work"
    kms = client(kms_service, "kms", session["Credentials"])
    kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256")
    narrowed = sts.assume_role(**wanted, ExternalId="secret", Policy=json.dumps(
        {"Version": "2012-10-17", "Statement": allow("kms:DescribeKey")}))["Credentials"]
    narrow = client(kms_service, "kms", narrowed)
    narrow.describe_key(KeyId=key["KeyId"])
    refused(narrow.generate_data_key, "AccessDeniedException", "because no session policy allows the kms:GenerateDataKey action",
            KeyId=key["KeyId"], KeySpec="AES_256")
    # The token belongs to its access key, and both to the secret.
    wrong = {**session["Credentials"], "SessionToken": narrowed["SessionToken"]}
    refused(client(kms_service, "kms", wrong).list_keys, "UnrecognizedClientException")
    refused(client(kms_service, "kms", {**session["Credentials"], "SessionToken": None}).list_keys, "UnrecognizedClientException")
    refused(client(kms_service, "kms", {**session["Credentials"], "SecretAccessKey": "x" * 40}).list_keys,
            "InvalidSignatureException")
    refused(client(kms_service, "sts", {**credentials, "SecretAccessKey": "x" * 40}).get_caller_identity, "SignatureDoesNotMatch")
    kms_box.run("kms", "principal", "delete", "role/app")
    # Another process did that: the service learns of it with this call, which it may have let in as the role that it remembered.
    with pytest.raises(kms.exceptions.ClientError) as first:
        kms.describe_key(KeyId=key["KeyId"])
    assert first.value.response["Error"]["Code"] in ("AccessDeniedException", "UnrecognizedClientException")
    refused(kms.describe_key, "UnrecognizedClientException", KeyId=key["KeyId"])
    events = json.loads(kms_box.run("kms", "audit", "--operation", "AssumeRole", "--json").stdout)["Records"]
    good = [e for e in events if "errorCode" not in e]
    assert len(good) == 2 and good[0]["eventSource"] == "sts.amazonaws.com" and good[0]["userIdentity"]["arn"] == arn
    assert session["Credentials"]["SecretAccessKey"] not in json.dumps(events)
    assert session["Credentials"]["SessionToken"] not in json.dumps(events)


def test_roles_by_the_aws_cli(kms_service, kms_box, key):
    arn, credentials = user(kms_box, "alice")
    role(kms_box, "app", arn, allow("kms:*"))
    config = os.path.join(kms_box.home, ".aws")
    os.mkdir(config)
    with open(os.path.join(config, "credentials"), "w") as f:
        f.write(f"[default]\naws_access_key_id = {credentials['AccessKeyId']}\n"
                f"aws_secret_access_key = {credentials['SecretAccessKey']}\n")
    env = {**kms_box.env, "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": ""}

    def aws(*args, **more):
        done = subprocess.run([AWS, *args, "--endpoint-url", kms_service.url], env={**env, **more}, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=LIMIT)
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout else done.stderr

    assert aws("sts", "get-caller-identity")["Arn"] == arn
    session = aws("sts", "assume-role", "--role-arn", "arn:aws:iam::000000000000:role/app", "--role-session-name", "cli")
    c = session["Credentials"]
    as_role = {"AWS_ACCESS_KEY_ID": c["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": c["SecretAccessKey"], "AWS_SESSION_TOKEN": c["SessionToken"]}
    assert aws("sts", "get-caller-identity", **as_role)["Arn"].endswith(":assumed-role/app/cli")
    assert aws("kms", "describe-key", "--key-id", key["KeyId"], **as_role)["KeyMetadata"]["Arn"] == key["Arn"]
    assert "(AccessDenied) when calling the AssumeRole operation" in aws(
        "sts", "assume-role", "--role-arn", "arn:aws:iam::000000000000:role/none", "--role-session-name", "cli")


def test_across_accounts(kms_service, kms_box, key):
    kms_box.run("kms", "principal", "create-account", OTHER, "other")
    arn, credentials = user(kms_box, "bea", account=OTHER)
    bea, root = client(kms_service, "kms", credentials), kms_service.client()
    refused(bea.encrypt, "AccessDeniedException", "no resource-based policies allow access", KeyId=key["Arn"], Plaintext=b"x")
    share = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}, "Action": "kms:Encrypt", "Resource": "*"}
    root.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=policy(share))
    refused(bea.encrypt, "AccessDeniedException", "no identity-based policy", KeyId=key["Arn"], Plaintext=b"x")
    attach(kms_box, arn, "use", allow("kms:*"))
    assert bea.encrypt(KeyId=key["Arn"], Plaintext=b"x")["KeyId"] == key["Arn"]
    refused(bea.describe_key, "AccessDeniedException", KeyId=key["Arn"])
    refused(bea.encrypt, "NotFoundException", KeyId=key["KeyId"], Plaintext=b"x")
    # In her own account she has nothing of the other's.
    assert bea.list_keys()["Keys"] == []
    mine = bea.create_key()["KeyMetadata"]
    assert mine["AWSAccountId"] == OTHER
    refused(root.describe_key, "AccessDeniedException", KeyId=mine["Arn"])


def test_a_user_id_is_a_user(kms_service, kms_box, key):
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    kms_box.run("kms", "principal", "create", "alice")
    os.chmod(kms_service.socket, 0o666)
    os.chmod(kms_box.root, 0o711)
    program = f'''
import os, socket, sys
folder = os.open({os.path.dirname(kms_service.socket)!r}, os.O_PATH)  # the folders above it are closed to others
os.setgid({NOBODY}); os.setuid({NOBODY})
s = socket.socket(socket.AF_UNIX); s.connect(f"/proc/self/fd/{{folder}}/{os.path.basename(kms_service.socket)}")
body = b'{{"KeyId": "{key["KeyId"]}"}}'
s.sendall(b"POST / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nX-Amz-Target: TrentService.DescribeKey\\r\\n"
          b"Content-Type: application/x-amz-json-1.1\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
print(b"".join(iter(lambda: s.recv(65536), b"")).decode())
'''

    def as_nobody():
        return subprocess.run(["/usr/bin/python3", "-c", program], stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True).stdout

    assert f"user id {NOBODY} may not use this keystore" in as_nobody()
    kms_box.run("kms", "principal", "map-uid", str(NOBODY), "alice")
    assert "no identity-based policy allows the kms:DescribeKey action" in as_nobody()
    attach(kms_box, "alice", "look", allow("kms:DescribeKey"))
    assert key["Arn"] in as_nobody() and "200 OK" in as_nobody()
    kms_box.run("kms", "principal", "unmap-uid", str(NOBODY))
    assert "AccessDeniedException" in as_nobody()


def test_a_grant_spreads(kms_box):
    service = Service(kms_box, "--grant-delay", "1h")
    try:
        root = service.client()
        key = root.create_key()["KeyMetadata"]["KeyId"]
        arn, credentials = user(kms_box, "alice")
        alice = client(service, "kms", credentials)
        token = root.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["GenerateDataKey"])["GrantToken"]
        refused(alice.generate_data_key, "AccessDeniedException", KeyId=key, KeySpec="AES_256")
        alice.generate_data_key(KeyId=key, KeySpec="AES_256", GrantTokens=[token])
    finally:
        assert service.stop() == 0


@needs_fuse
def test_a_mount_feels_a_right_that_is_taken(kms_service, kms_box, key):
    """What a mount's own user may no longer, it cannot read once the cache time is over; and it heals."""
    _, credentials = user(kms_box, "alice", allow(["kms:GenerateDataKey*", "kms:Decrypt", "kms:Encrypt", "kms:DescribeKey"]))
    kms_box.env.update(AWS_ACCESS_KEY_ID=credentials["AccessKeyId"], AWS_SECRET_ACCESS_KEY=credentials["SecretAccessKey"])
    vault = kms_box.make_vault("--kms", kms_service.url, "--key", key["Arn"], "--cache-time", "2s")
    point = kms_box.mount(vault, "--kms", kms_service.url)
    file = os.path.join(point, "letter")
    write(file, b"dear ada")
    assert read(file) == b"dear ada"
    kms_box.run("kms", "principal", "detach", "alice", "--policy-name", "p0")
    wait_until(lambda: errno_of(read, file) == "EACCES", 20)
    attach(kms_box, "alice", "again", allow("kms:*"))
    wait_until(lambda: errno_of(read, file) == "", 20)
    assert read(file) == b"dear ada"
    kms_box.umount(point)


@pytest.mark.parametrize("body, code", [
    (b"", "InvalidAction"),
    (b"Action=", "InvalidAction"),
    (b"Action=%zz", "MalformedInput"),
    (b"Action=GetCallerIdentity&Action=AssumeRole", "MalformedInput"),
    (b"Action=GetCallerIdentity%00", "MalformedInput"),
    (b"Action=GetCallerIdentity&X=%ff", "MalformedInput"),
    (b"Action=Fly&Version=2011-06-15", "InvalidAction"),
    (b"&".join(b"a%d=b" % i for i in range(70)), "MalformedInput"),
])
def test_forms_that_are_none(kms_service, body, code):
    """On the Unix socket, where nothing is signed: what the parser itself says."""
    import socket

    with socket.socket(socket.AF_UNIX) as s:
        s.connect(kms_service.socket)
        s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                  b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    assert "text/xml" in answer and f"<Code>{code}</Code>" in answer, answer
