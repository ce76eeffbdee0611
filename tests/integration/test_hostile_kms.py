"""A KMS that is down, slow, or talks nonsense, and a keystore that is not what it should be."""

import base64
import concurrent.futures
import http.server
import json
import os
import shutil
import signal
import socketserver
import sqlite3
import subprocess
import threading
import time

import pytest

from conftest import SIGNETFS, is_mounted, is_sanitized, needs_fuse
from hostile import ACCESS_DENIED, KMS_UNREACHABLE, Watched, errno_of, read, snapshot, wait_until, write

pytestmark = needs_fuse
DATA = b"outlasts the outage\n" * 5000
CACHE = 8 if is_sanitized() else 3
RETRY_BUDGET = 10  # seconds: doc/architecture.md
WRONG_ROOT_KEY, KEYSTORE_DAMAGED = 3, 8


# ---- Down and slow ----


class Daemon:
    """`kms serve` on a fixed place, so that it can go and come back."""

    def __init__(self, box, where):
        self.box, self.where = box, where
        box.services.append(self)
        self.start()

    def start(self):
        self.process = subprocess.Popen([SIGNETFS, "kms", "serve", "--listen", self.where], env=self.box.env,
                                        cwd=self.box.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), line
        self.address = line.split()[2]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def slowest_read(path, seconds):
    """Read until @seconds are over; the errnos met and the longest that one took."""
    met, longest, end = set(), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        met.add(errno_of(read, path))
        longest = max(longest, time.monotonic() - start)
        time.sleep(0.1)
    return met, longest


def test_outages(kms_box):
    """
    Down over a Unix socket, stopped (slow) over TCP: EIO once the cache time is over, never EACCES, and it heals. Mounting
    while there is none is refused. All at the same time, for most of it is waiting.
    """
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for done in [pool.submit(outage, kms_box, "unix"), pool.submit(outage, kms_box, "tcp"),
                     pool.submit(mounting_while_it_is_down, kms_box)]:
            done.result()


def outage(kms_box, transport):
    env = dict(kms_box.env)
    if transport == "unix":
        place = f"unix:{kms_box.path('kms.sock')}"
        service = Daemon(kms_box, place)
    else:
        made = json.loads(kms_box.run("kms", "create-access-key").stdout)["AccessKey"]
        env.update(AWS_ACCESS_KEY_ID=made["AccessKeyId"], AWS_SECRET_ACCESS_KEY=made["SecretAccessKey"])
        service = Daemon(kms_box, "127.0.0.1:0")
        place = service.address
    vault = kms_box.path(f"vault-{transport}")
    kms_box.run("init", "--kms", place, "--cache-time", f"{CACHE}s", vault, env=env)
    m = Watched(kms_box, vault, "--kms", place, env=env, name=f"clear-{transport}")
    begun = time.monotonic()
    write(m.path("file"), DATA)
    fd = os.open(m.path("file"), os.O_RDONLY)
    if transport == "unix":
        service.kill()
    else:
        service.process.send_signal(signal.SIGSTOP)
    errnum = errno_of(read, m.path("file"))
    assert errnum == "" or time.monotonic() - begun >= CACHE, "what is cached works until its time is over"
    wait_until(lambda: errno_of(read, m.path("file")) == "EIO")
    met, longest = slowest_read(m.path("file"), 0.5)
    assert met == {"EIO"} and longest < RETRY_BUDGET, "what was just found unreachable is not waited for again"
    assert errno_of(os.pread, fd, 10, 0) == "EIO"
    assert os.listdir(m.point) == ["file"] and os.stat(m.path("file")).st_size == len(DATA)
    assert "cannot be reached" in m.log() and place in m.log(), m.log()
    assert "refused" not in m.log()
    if transport == "unix":
        service.start()
    else:
        service.process.send_signal(signal.SIGCONT)
    wait_until(lambda: errno_of(read, m.path("file")) == "", what=m.log())
    assert read(m.path("file")) == DATA and os.pread(fd, 10, 0) == DATA[:10]
    os.close(fd)
    assert "works again" in m.log()
    write(m.path("after"), DATA, sync=True)
    m.umount()


def mounting_while_it_is_down(kms_box):
    vault = kms_box.make_vault()
    before = snapshot(vault)
    os.mkdir(kms_box.path("clear-down"))
    place = f"unix:{kms_box.path('nobody.sock')}"
    done = kms_box.run("mount", "--kms", place, vault, kms_box.path("clear-down"), code=KMS_UNREACHABLE)
    assert place in done.stderr and vault in done.stderr and "signetfs kms serve" in done.stderr, done.stderr
    assert snapshot(vault) == before and not is_mounted(kms_box.path("clear-down"))


def test_agent_killed(kms_box):
    """The mount goes on until the cache time is over, says what happened, and a new mount works."""
    m = Watched(kms_box, kms_box.make_vault("--cache-time", f"{CACHE}s"))
    begun = time.monotonic()
    write(m.path("file"), DATA)
    agent = int(subprocess.check_output(["pgrep", "-x", "-P", str(m.process.pid), "exe"], text=True))
    os.kill(agent, signal.SIGKILL)
    errnum = errno_of(read, m.path("file"))
    assert errnum == "" or time.monotonic() - begun >= CACHE, "what is cached works until its time is over"
    wait_until(lambda: errno_of(read, m.path("file")) == "EIO")
    assert "the KMS cannot be reached" in m.log() and "agent" in m.log(), m.log()
    m.umount()
    kms_box.mount(m.vault)
    assert read(m.path("file")) == DATA


# ---- Nonsense ----


class Liar:
    """An HTTP server that answers every request with what it was given."""

    def __init__(self, status, body, headers=(), raw=None):
        self.seen = []
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                liar.seen.append((self.headers.get("X-Amz-Target"), request))
                self.close_connection = True
                try:
                    if raw is not None:
                        self.wfile.write(raw)
                        return
                    answer = body(json.loads(request)) if callable(body) else body
                    self.send_response(status)
                    for name, value in (("Content-Length", str(len(answer))), *headers):
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    pass  # the client had enough

            def log_message(self, *args):
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def plaintext_answer(key_of, size):
    def answer(request):
        return json.dumps({"KeyId": key_of(request), "Plaintext": base64.b64encode(b"k" * size).decode(),
                           "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}).encode()
    return answer


def asked(request):
    return request["KeyId"]


def another(request):
    return request["KeyId"][:-12] + "0" * 12


NONSENSE = {
    # name: (exit code, words in the message, what the server does)
    "html": (KMS_UNREACHABLE, ["not a JSON object"], dict(status=200, body=b"<html><body>Welcome to nginx!</body></html>")),
    "html 404": (KMS_UNREACHABLE, ["HTTP status 404"], dict(status=404, body=b"<html>Not Found</html>")),
    "redirect": (KMS_UNREACHABLE, ["HTTP status 302"], dict(status=302, body=b"", headers=[("Location", "http://127.0.0.1:1/")])),
    "empty": (KMS_UNREACHABLE, ["Decrypt"], dict(status=200, body=b"")),
    "cut JSON": (KMS_UNREACHABLE, ["not a JSON object"], dict(status=200, body=b'{"KeyId": "arn:aws:kms:us-east-1:0000')),
    "an array": (KMS_UNREACHABLE, ["not a JSON object"], dict(status=200, body=b"[1, 2, 3]")),
    "other types": (KMS_UNREACHABLE, ["Decrypt"], dict(status=200, body=b'{"KeyId": 5, "Plaintext": {"a": []}}')),
    "no base64": (KMS_UNREACHABLE, ["Decrypt"],
                  dict(status=200, body=lambda r: json.dumps({"KeyId": r["KeyId"], "Plaintext": "%%%"}).encode())),
    "deep": (KMS_UNREACHABLE, ["not a JSON object"], dict(status=200, body=b'{"a":' * 100_000 + b"1" + b"}" * 100_000)),
    "enormous": (KMS_UNREACHABLE, ["larger than a KMS answers"], dict(status=200, body=b'{"KeyId": "' + b"A" * 50_000_000 + b'"}')),
    "500": (KMS_UNREACHABLE, ["HTTP status 500", "attempts"], dict(status=500, body=b"<html>oops</html>")),
    "hangs up": (KMS_UNREACHABLE, ["attempts"], dict(status=0, body=b"", raw=b"")),
    "no HTTP": (KMS_UNREACHABLE, [], dict(status=0, body=b"", raw=b"220 smtp ready\r\n" * 3)),
    "another key": (1, ["do not trust this endpoint"], dict(status=200, body=plaintext_answer(another, 32))),
    "short key": (KMS_UNREACHABLE, ["wrong size"], dict(status=200, body=plaintext_answer(asked, 31))),
    "long key": (KMS_UNREACHABLE, ["wrong size"], dict(status=200, body=plaintext_answer(asked, 33))),
    # A key that the volume was not made with: nothing verifies under it.
    "wrong key": (6, ["signetfs.ini"], dict(status=200, body=plaintext_answer(asked, 32))),
    "unknown exception": (1, ["WeatherException", "rain"], dict(status=400, body=b'{"__type":"WeatherException","message":"rain"}')),
    "denied": (ACCESS_DENIED, ["not you"], dict(status=400, body=b'{"__type":"AccessDeniedException","message":"not you"}')),
    "terminal escapes": (ACCESS_DENIED, ["red"],
                         dict(status=400, body=b'{"__type":"AccessDeniedException","message":"\\u001b[31mred\\u0007\\nsignetfs: ok"}')),
}


def test_nonsense(kms_box):
    """Every mount fails, each with its exit code and a message that names the endpoint; nothing in the vault changes."""
    vault = kms_box.make_vault()
    before = snapshot(vault)
    env = dict(kms_box.env, AWS_ACCESS_KEY_ID="AKIAEXAMPLE", AWS_SECRET_ACCESS_KEY="canary-secret")
    results = {}

    def one(name, code, words, what):
        liar = Liar(**what)
        # The lock admits one at a time, so every one works on a copy.
        copy, point = kms_box.path(f"copy {name}"), kms_box.path(f"clear {name}")
        shutil.copytree(vault, copy)
        os.mkdir(point)
        try:
            done = kms_box.run("mount", "--kms", liar.url, copy, point, code=None, env=env)
            text = done.stderr
            wrong = [w for w in words if w not in text]
            if done.returncode != code:
                wrong.append(f"exit {done.returncode}, not {code}")
            if not liar.seen or liar.seen[0][0] != "TrentService.Decrypt":
                wrong.append(f"asked {liar.seen[:1]}")
            if code != DAMAGED_VAULT and liar.url not in text:
                wrong.append("does not name the endpoint")
            if "canary-secret" in text or any(ord(c) < 32 and c != "\n" for c in text):
                wrong.append("shows what it should not")
            if any(line.startswith("signetfs: ok") for line in text.splitlines()):
                wrong.append("lets the server write lines of its own")
            if is_mounted(point):
                wrong.append("mounted")
            after = {k.replace(copy, vault, 1): v for k, v in snapshot(copy).items()}
            if after != before:
                wrong.append("changed the vault")
            results[name] = wrong and (wrong, text)
        except Exception as e:  # a thread's failure is the test's
            results[name] = repr(e)
        finally:
            liar.close()

    threads = [threading.Thread(target=one, args=(name, *how)) for name, how in NONSENSE.items()]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == len(NONSENSE)
    wrong = [f"{name}: {what}" for name, what in results.items() if what]
    assert not wrong, "\n".join(wrong)
    assert snapshot(vault) == before


DAMAGED_VAULT = 6


def test_nonsense_while_mounted(kms_box):
    """The KMS's place is taken by something else after the mount: EIO, and the real one heals it."""
    place = kms_box.path("kms.sock")
    service = Daemon(kms_box, f"unix:{place}")
    vault = kms_box.path("vault")
    kms_box.run("init", "--kms", f"unix:{place}", "--cache-time", "2s", vault)
    m = Watched(kms_box, vault, "--kms", f"unix:{place}")
    write(m.path("file"), DATA, sync=True)
    service.kill()
    if os.path.exists(place):
        os.unlink(place)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<html>no</html>")

    server = socketserver.ThreadingUnixStreamServer(place, Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        wait_until(lambda: errno_of(read, m.path("file")) == "EIO")
        for _ in range(5):
            assert errno_of(read, m.path("file")) == "EIO"
        assert os.listdir(m.point) == ["file"]
        assert place in m.log(), "the log says what is wrong: " + m.log()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        os.unlink(place)
    service.start()
    wait_until(lambda: errno_of(read, m.path("file")) == "", what=m.log())
    assert read(m.path("file")) == DATA


# ---- The keystore ----


@pytest.fixture
def store(kms_box):
    """A vault, mounted once with a file in it, and its keystore, checkpointed into one file."""
    kms_box.vault = kms_box.make_vault()
    point = kms_box.mount(kms_box.vault)
    write(point + "/file", DATA)
    kms_box.umount(point)
    kms_box.point = point
    with sqlite3.connect(kms_box.keystore) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return kms_box


def refused_mount(box, code, *options):
    before = snapshot(box.vault)
    done = box.run("mount", *options, box.vault, box.point, code=code)
    assert done.stderr.startswith("signetfs: ") and not is_mounted(box.point)
    assert snapshot(box.vault) == before
    return done.stderr


def still_works(box):
    box.mount(box.vault)
    assert read(box.point + "/file") == DATA
    box.umount(box.point)


def test_wrong_root_keys(store):
    wrong = store.path("wrong.key")
    write(wrong, os.urandom(32))
    os.chmod(wrong, 0o600)
    text = refused_mount(store, WRONG_ROOT_KEY, "--root-key", f"keyfile:{wrong}")
    assert store.keystore in text and "Nothing was changed" in text, text
    write(wrong, b"guess\n")
    text = refused_mount(store, 2, "--root-key", f"passfile:{wrong}")
    assert "guess" not in text and "was made with a key file" in text
    text = refused_mount(store, None, "--root-key", f"keyfile:{store.path('none.key')}")
    assert "none.key does not exist" in text
    real = os.path.join(store.home, "root.key")
    for mode in (0o644, 0o640, 0o604):
        os.chmod(real, mode)
        text = refused_mount(store, None)
        assert real in text and "chmod" in text, text
    os.chmod(real, 0o600)
    still_works(store)


def test_wrong_passphrases(box):
    """Told apart: a wrong one, none, one that cannot be read, one that others can read; none of them is shown."""
    right, wrong = box.path("right"), box.path("wrong")
    for path, text in ((right, b"canary-right-passphrase\n"), (wrong, b"canary-wrong-passphrase\n")):
        write(path, text)
        os.chmod(path, 0o600)
    box.run("kms", "init", "--root-key", f"passfile:{right}")

    def refused(code, spec, *words):
        done = box.run("kms", "create-key", "--root-key", spec, code=code)
        assert all(w in done.stderr for w in words) and "canary" not in done.stderr, done.stderr

    refused(WRONG_ROOT_KEY, f"passfile:{wrong}", box.keystore, "Nothing was changed")
    refused(None, f"passfile:{box.path('none')}", box.path("none"))
    refused(None, "command:false", "false")
    refused(WRONG_ROOT_KEY, f"command:cat {wrong}", box.keystore)
    refused(None, f"passfile:{box.root}", box.root)
    write(wrong, b"")
    refused(None, f"passfile:{wrong}", wrong)
    os.chmod(right, 0o644)
    refused(None, f"passfile:{right}", right, "chmod")
    os.chmod(right, 0o600)
    assert json.loads(box.run("kms", "list-keys", "--root-key", f"passfile:{right}").stdout)["Keys"] == []


def test_keystore_truncated_and_overwritten(store):
    whole = read(store.keystore)
    sizes = sorted({1, 15, 16, 100, 512, 4095, 4096, 4097, 8192, len(whole) // 2, len(whole) - 4096, len(whole) - 1})
    for size in sizes:
        write(store.keystore, whole[:size])
        text = refused_mount(store, None)
        assert store.keystore in text, (size, text)
        assert read(store.keystore) == whole[:size], f"a keystore of {size} bytes was changed"
        for extra in ("-wal", "-shm"):
            if os.path.exists(store.keystore + extra):
                os.unlink(store.keystore + extra)
    for junk in (b"just text\n" * 1000, bytes(8192), whole[:100] + os.urandom(len(whole) - 100), b""):
        write(store.keystore, junk)
        done = store.run("mount", store.vault, store.point, code=None)
        assert done.returncode == KEYSTORE_DAMAGED, (junk[:20], done.returncode, done.stderr)
        assert store.keystore in done.stderr and "backup" in done.stderr
        assert read(store.keystore) == junk
        for extra in ("-wal", "-shm"):
            if os.path.exists(store.keystore + extra):
                os.unlink(store.keystore + extra)
    write(store.keystore, whole)
    still_works(store)


def test_keystore_from_a_newer_version(store):
    with sqlite3.connect(store.keystore) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute(f"PRAGMA user_version = {version + 1}")
    db.close()
    text = refused_mount(store, 1)
    assert store.keystore in text and "newer" in text, text
    with sqlite3.connect(store.keystore) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == version + 1
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    still_works(store)


def test_keystore_locked_by_another(store):
    """Busy for a while: waited for. For long: said so. Afterwards all is as before."""
    db = sqlite3.connect(store.keystore, isolation_level=None, check_same_thread=False)
    db.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(1.5, lambda: db.execute("ROLLBACK"))
    release.start()
    still_works(store)
    release.join()
    db.execute("BEGIN EXCLUSIVE")
    done = store.run("kms", "create-key", code=None)
    db.execute("ROLLBACK")
    db.close()
    assert done.returncode != 0 and ("busy" in done.stderr or "locked" in done.stderr), done.stderr
    still_works(store)


def test_keystore_unreadable_and_missing(store):
    folder = os.path.dirname(store.keystore)
    os.rename(folder, folder + ".away")
    text = refused_mount(store, 1)
    assert store.keystore in text and "kms init" in text, text
    assert not os.path.exists(folder), "none is made by the way"
    os.mkdir(folder)
    os.mkdir(store.keystore)
    assert store.keystore in refused_mount(store, None)
    shutil.rmtree(folder)
    os.rename(folder + ".away", folder)
    still_works(store)


def test_another_keystore(store):
    """Somebody else's KMS, which does not know the key: said with key and keystore, vault untouched."""
    other = store.path("other.db")
    store.run("kms", "init", "--keystore", other)
    arn = json.loads(store.run("info", "--json", store.vault).stdout)["volume-key-arn"]
    text = refused_mount(store, 1, "--keystore", other)
    assert arn in text and other in text and "InvalidCiphertextException" in text and "of another key" in text, text
    still_works(store)
