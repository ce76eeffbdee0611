"""The KMS as a service: signals, a service manager, metrics, and a trail that somebody edits."""

import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import urllib.request

import pytest
from conftest import LIMIT, SIGNETFS, Service


@pytest.fixture
def certificates(box):
    """Two certificates for 127.0.0.1, by subject, and where the service reads its own."""
    def make(name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", box.path(f"{name}.key"),
                        "-out", box.path(f"{name}.pem")], check=True, capture_output=True, timeout=LIMIT)
    make("first")
    make("second")
    return lambda name: [os.replace(box.path(f"{name}.{end}"), box.path(f"tls.{end}")) for end in ("key", "pem")]


def served_subject(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as s, context.wrap_socket(s) as tls:
        der = tls.getpeercert(binary_form=True)
    text = subprocess.run(["openssl", "x509", "-inform", "der", "-noout", "-subject"], input=der, capture_output=True, check=True)
    return text.stdout.decode().strip().rsplit(" ", 1)[1]


class Manager:
    """What a service manager is to a service: a socket for its notes."""

    def __init__(self, box):
        self.path = box.path("notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(LIMIT)

    def expect(self, what):
        note = self.socket.recv(1024).decode()
        assert note.split("\n")[0] == what, note


def test_reload_takes_the_new_certificate_and_keeps_connections(box, certificates):
    certificates("first")
    box.make_keystore(f"tls-cert = {box.path('tls.pem')}\ntls-key = {box.path('tls.key')}\n")
    manager = Manager(box)
    service = Service(box, env={**box.env, "NOTIFY_SOCKET": manager.path})
    manager.expect("READY=1")
    assert service.url.startswith("https://")
    assert served_subject(service.port) == "first"
    context = ssl.create_default_context(cafile=box.path("tls.pem"))
    with socket.create_connection(("127.0.0.1", service.port), timeout=LIMIT) as s, context.wrap_socket(s, server_hostname="127.0.0.1") as old:
        def health():
            old.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"ok\n"):
                answer += old.recv(4096)
            return answer.split(b"\r\n")[0]
        assert health() == b"HTTP/1.1 200 OK"
        certificates("second")
        service.process.send_signal(signal.SIGHUP)
        manager.expect("RELOADING=1")
        manager.expect("READY=1")
        assert served_subject(service.port) == "second"
        assert health() == b"HTTP/1.1 200 OK"
        # Nonsense is told, and everything goes on.
        with open(box.path("tls.pem"), "w") as f:
            f.write("no certificate")
        service.process.send_signal(signal.SIGHUP)
        manager.expect("RELOADING=1")
        manager.expect("READY=1")
        assert served_subject(service.port) == "second"
        assert health() == b"HTTP/1.1 200 OK"
    assert "the configuration was not reloaded: cannot serve" in service.log()
    service.process.terminate()
    manager.expect("STOPPING=1")
    assert service.process.wait(LIMIT) == 0


def configure(box, **settings):
    """The box's configuration with these entries of [kms] in place of those of the same name."""
    path = os.path.join(box.home, ".config/signetfs/signetfs.ini")
    with open(path) as f:
        lines = [line for line in f.read().splitlines() if line.split(" =")[0] not in settings]
    with open(path, "w") as f:
        f.write("\n".join(lines + [f"{name} = {value}" for name, value in settings.items()]) + "\n")


def test_reload_is_all_or_nothing(box, certificates):
    """A mistake anywhere in it, and everything stays: what is right in the same configuration, too."""
    certificates("first")
    box.make_keystore(f"tls-cert = {box.path('tls.pem')}\ntls-key = {box.path('tls.key')}\nquotas = CreateKey=1\n")
    manager = Manager(box)
    service = Service(box, env={**box.env, "NOTIFY_SOCKET": manager.path})
    manager.expect("READY=1")

    def reload():
        service.process.send_signal(signal.SIGHUP)
        manager.expect("RELOADING=1")
        manager.expect("READY=1")

    def limits():
        answer = json.loads(box.run("kms", "quotas", "--json", "--kms", f"unix:{service.socket}").stdout)
        found = {q["Quota"]: q["Limit"] for q in answer["RequestQuotas"] + answer["ResourceQuotas"]}
        return found["CreateKey"], found["keys"]

    assert limits() == (1, 100000)
    # A good certificate beside quotas that are none; good quotas beside a certificate that is none; and so on.
    certificates("second")
    configure(box, quotas="CreateKey=0")
    reload()
    assert (limits(), served_subject(service.port)) == ((1, 100000), "first")
    configure(box, quotas="CreateKey=7", **{"resource-quotas": "tags-per-key=51"})
    reload()
    assert (limits(), served_subject(service.port)) == ((1, 100000), "first")
    configure(box, quotas="CreateKey=7", **{"resource-quotas": "keys=5", "grant-delay": "2d"})
    reload()
    assert (limits(), served_subject(service.port)) == ((1, 100000), "first")
    os.rename(box.path("tls.pem"), box.path("good.pem"))
    with open(box.path("tls.pem"), "w") as f:
        f.write("no certificate")
    configure(box, **{"grant-delay": "5m"})
    reload()
    assert (limits(), served_subject(service.port)) == ((1, 100000), "first")
    assert service.log().count("the configuration was not reloaded: ") == 4
    os.rename(box.path("good.pem"), box.path("tls.pem"))
    reload()
    assert (limits(), served_subject(service.port)) == ((7, 5), "second")
    service.process.terminate()
    assert service.process.wait(LIMIT) == 0


def test_quotas_of_a_service_and_of_a_keystore(box):
    box.make_keystore("quotas = CreateKey=3\nresource-quotas = keys=2 aliases-per-key=1\n")
    service = Service(box)
    kms = service.client()
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_key()
    with pytest.raises(kms.exceptions.LimitExceededException):
        kms.create_key()
    kms.create_alias(AliasName="alias/one", TargetKeyId=key)
    with pytest.raises(kms.exceptions.LimitExceededException):
        kms.create_alias(AliasName="alias/two", TargetKeyId=key)

    def rows(*options):
        lines = box.run("kms", "quotas", *options).stdout.splitlines()
        assert lines[0].split() == ["Quota", "Account", "Region", "Limit", "Used", "Left", "Throttled", "Key"]
        return {line.split()[0]: line.split()[1:] for line in lines[1:]}

    of_service = rows("--kms", f"unix:{service.socket}")
    assert of_service["CreateKey"][:3] == ["000000000000", "us-east-1", "3"]
    assert of_service["keys"] == ["000000000000", "us-east-1", "2", "2", "0", "-", "-"]
    assert of_service["aliases-per-key"] == ["000000000000", "us-east-1", "1", "1", "0", "-", key]
    assert of_service["tags-per-key"] == ["-", "-", "50", "0", "50", "-", "-"]
    assert "GetPublicKey" not in of_service and "GetPublicKey" in rows("--all", "--kms", f"unix:{service.socket}")
    # The keystore by itself: what is there is the same, and the same limits hold for whoever opens it.
    of_keystore = rows()
    assert of_keystore["keys"] == of_service["keys"] and "CreateKey" not in of_keystore
    assert "LimitExceededException" in box.run("kms", "create-key", code=None).stderr
    # Over TCP an access key of the owner will do; a user's will not, and one without credentials gets nothing.
    env = {**box.env, "AWS_ACCESS_KEY_ID": service.access_key, "AWS_SECRET_ACCESS_KEY": service.secret}
    answer = json.loads(box.run("kms", "quotas", "--json", "--kms", service.url, env=env).stdout)
    assert answer["RequestQuotasEnforced"] is True and len(answer["RequestQuotas"]) > 50
    box.run("kms", "principal", "create", "ada")
    box.run("kms", "principal", "attach", "ada", "--policy-name", "all", "--policy", json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}))
    made = json.loads(box.run("kms", "principal", "access-key", "ada").stdout)["AccessKey"]
    env = {**box.env, "AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}
    refused = box.run("kms", "quotas", "--kms", service.url, env=env, code=None)
    assert refused.returncode != 0 and refused.stdout == "" and "not authorized" in refused.stderr
    assert service.stop() == 0


def test_a_grant_spreads_in_every_process(kms_box):
    """The delay is the configuration's: the agent of a command has it as a service has."""
    configure(kms_box, **{"grant-delay": "1h"})
    run = kms_box.run
    key = json.loads(run("kms", "create-key").stdout)["KeyMetadata"]["KeyId"]
    run("kms", "principal", "create", "ada")
    run("kms", "create-grant", "--key-id", key, "--grantee-principal", "arn:aws:iam::000000000000:user/ada", "--operations", "Encrypt")
    said = json.loads(run("kms", "simulate-policy", "--json", "--principal", "ada", "--action", "kms:Encrypt", "--key-id", key).stdout)
    assert said["Decision"] == "implicitDeny"
    configure(kms_box, **{"grant-delay": "0s"})
    said = json.loads(run("kms", "simulate-policy", "--json", "--principal", "ada", "--action", "kms:Encrypt", "--key-id", key).stdout)
    assert said["Decision"] == "allowed"
    configure(kms_box, **{"grant-delay": "forever"})
    assert "grant-delay = forever" in run("kms", "list-keys", code=None).stderr


def test_sockets_of_a_service_manager(kms_box):
    sockets = [socket.socket(socket.AF_UNIX), socket.socket(socket.AF_INET)]
    sockets[0].bind(kms_box.path("handed.sock"))
    sockets[1].bind(("127.0.0.1", 0))
    for s in sockets:
        s.listen(16)
    port = sockets[1].getsockname()[1]

    def hand_over():
        for i, s in enumerate(sockets):
            os.dup2(s.fileno(), 3 + i)
        os.environ["LISTEN_PID"] = str(os.getpid())

    script = 'exec env LISTEN_PID=$$ "$0" kms serve'
    process = subprocess.Popen(["/bin/sh", "-c", script, SIGNETFS], env={**kms_box.env, "LISTEN_FDS": "2"}, cwd=kms_box.home,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, preexec_fn=hand_over, close_fds=False)
    try:
        assert {process.stdout.readline().strip() for _ in range(2)} == {"listening on unix:fd 3", f"listening on http://127.0.0.1:{port}"}
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=LIMIT).read() == b"ok\n"
        listed = kms_box.run("kms", "list-keys", "--kms", f"unix:{kms_box.path('handed.sock')}")
        assert json.loads(listed.stdout) == {"Keys": [], "Truncated": False}
        process.send_signal(signal.SIGHUP)
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=LIMIT).read() == b"ok\n"
    finally:
        process.terminate()
    assert process.wait(LIMIT) == 0
    assert os.path.exists(kms_box.path("handed.sock")), "the manager's socket is the manager's to remove"


def test_metrics_count_operations_and_outcomes(kms_service):
    kms = kms_service.client()
    kms.list_keys()
    kms.list_keys()
    with pytest.raises(kms.exceptions.NotFoundException):
        kms.describe_key(KeyId="12345678-1234-1234-1234-123456789012")
    with pytest.raises(Exception):
        kms_service.client(secret="x" * 40).list_keys()
    text = urllib.request.urlopen(f"{kms_service.url}/metrics", timeout=LIMIT).read().decode()
    assert 'signetfs_kms_requests_total{operation="ListKeys",outcome="ok"} 2\n' in text
    assert 'signetfs_kms_requests_total{operation="DescribeKey",outcome="NotFoundException"} 1\n' in text
    assert 'signetfs_kms_requests_total{operation="",outcome="InvalidSignatureException"} 1\n' in text
    assert "signetfs_kms_request_seconds_count 4\n" in text


def test_an_edited_trail_is_noticed(kms_box):
    kms_box.run("kms", "create-key")
    kms_box.run("kms", "list-keys")
    kms_box.run("kms", "list-aliases")
    assert kms_box.run("kms", "audit", "verify").stdout == "3 records are what was written, and none is missing\n"
    anchor = kms_box.run("kms", "audit", "anchor").stdout.strip()
    lines = kms_box.run("kms", "audit", "--json-lines", "--principal", "root").stdout.splitlines()
    assert [json.loads(line)["eventName"] for line in lines] == ["CreateKey", "ListKeys", "ListAliases"]
    assert kms_box.run("kms", "audit", "--json-lines", "--principal", "user/nobody").stdout == ""
    with sqlite3.connect(kms_box.keystore) as db:
        db.execute("UPDATE audit SET record = replace(record, 'ListKeys', 'Decrypt') WHERE seq = 2")
    done = kms_box.run("kms", "audit", "verify", "--anchor", anchor, code=6)
    assert done.stdout == "record 2: changed: it is not what was written\n"
    with sqlite3.connect(kms_box.keystore) as db:
        db.execute("DELETE FROM audit WHERE seq > 1")
    done = kms_box.run("kms", "audit", "verify", code=6)
    assert done.stdout == "records 2 to 3: removed\n"
    kms_box.run("kms", "audit", "anchor", code=6)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_agent_that_is_told_to_stop_ends_in_good_order(kms_box, how):
    """Its default action would end it without wiping keys: the exit status tells the two apart."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(kms_box.path("agent.sock"))
    listening.listen(4)

    def hand_over():
        a, b = os.dup(theirs.fileno()), os.dup(listening.fileno())
        os.dup2(a, 50)
        os.dup2(b, 51)

    process = subprocess.Popen([SIGNETFS, "kms", "agent", "--control-fd", "50", "--listen-fd", "51", "--keystore", kms_box.keystore,
                                "--root-key", f"keyfile:{kms_box.home}/root.key"], env=kms_box.env, preexec_fn=hand_over,
                               close_fds=False)
    theirs.close()
    control.settimeout(LIMIT)
    assert control.recv(2048) == b"\0\0\0\0"
    process.send_signal(how)
    assert process.wait(LIMIT) == 0


def test_a_month_is_priced_by_key_and_operation(kms_box):
    kms_box.run("kms", "create-key")
    kms_box.run("kms", "list-keys")
    kms_box.run("kms", "list-keys")
    with sqlite3.connect(kms_box.keystore) as db:
        key, created = db.execute("SELECT lower(hex(id)), created FROM keys").fetchone()
        # All that was in a month that is over: the key was there for half of it.
        start, end = 1759276800 * 10**9, 1761955200 * 10**9  # October 2025
        db.execute("UPDATE keys SET created = ?", ((start + end) // 2,))
        db.execute("UPDATE audit SET time = ?", (end - 1,))
    key = f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"
    lines = [line.split() for line in kms_box.run("kms", "cost", "--month", "2025-10").stdout.splitlines()]
    assert lines[0] == ["Key", "Operation", "Requests", "USD"]
    assert [key, "key", "0.5000"] in lines
    assert [key, "CreateKey", "1", "0.0000"] in lines
    assert ["-", "ListKeys", "2", "0.0000"] in lines
    assert " ".join(lines[-1]) == "1 keys, 3 requests, 0.0000 USD for free requests taken off: 0.5000 USD"
    assert kms_box.run("kms", "cost", "--month", "2025-09").stdout.splitlines()[-1].startswith("0 keys, 0 requests")
    kms_box.run("kms", "cost", "--month", "october", code=2)
