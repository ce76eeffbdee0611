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
