"""Fixtures shared by the integration tests. They drive the built binary, named by $SIGNETFS, in a home folder of their own."""

import json
import os
import re
import secrets
import signal
import stat
import subprocess
import time

import pytest

SIGNETFS = os.environ.get("SIGNETFS") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../../build/signetfs"))
LIMIT = 120  # seconds for one command
SOAK_SECONDS = int(os.environ.get("SIGNETFS_SOAK_SECONDS", "120"))  # how long a soak test goes on that has no end of its own


def soak_rounds(usual):
    """$SIGNETFS_ROUNDS in place of @usual: a soak test of so many rounds, tried out in short."""
    return int(os.environ.get("SIGNETFS_ROUNDS", usual))


def is_sanitized():
    """Sanitizers use memory of their own and lock none of it."""
    with open(SIGNETFS, "rb") as f:
        program = f.read()
    return any(mark in program for mark in (b"__asan_init", b"__tsan_init"))


def is_mounted(path):
    path = os.path.realpath(path)
    with open("/proc/self/mountinfo") as f:
        return any(line.split()[4].encode().decode("unicode_escape") == path for line in f)


@pytest.fixture(scope="session", autouse=True)
def others_pass_through(tmp_path_factory):
    """pytest keeps other users out of its temporary folders; tests that act as one must get down to theirs."""
    path = str(tmp_path_factory.getbasetemp())
    while path != "/" and os.stat(path).st_uid == os.geteuid():
        os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | 0o055)
        path = os.path.dirname(path)


class Box:
    """A person's machine: a home folder, an environment without anything from outside, and what is mounted in it."""

    def __init__(self, root):
        self.root = str(root)
        self.home = os.path.join(self.root, "home")
        os.mkdir(self.home, 0o700)
        self.keystore = os.path.join(self.home, ".local/share/signetfs/kms.db")
        self.env = {"PATH": os.environ["PATH"], "HOME": self.home, "LC_ALL": "C.UTF-8",
                    "TMPDIR": self.root}
        # A daemon has no terminal to report to: sanitizers write files, and close() fails when there are any.
        for k, v in os.environ.items():
            if k.endswith("SAN_OPTIONS"):
                self.env[k] = f"{v}:log_path={self.root}/sanitizer"
        self.mounts = []
        self.services = []

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def run(self, *args, code=0, **options):
        """`signetfs ARGS`; asserts the exit code (None: any) and returns the completed process, outputs as text."""
        options.setdefault("env", self.env)
        options.setdefault("cwd", self.home)
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run([SIGNETFS, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=LIMIT, **options)
        if code is not None:
            assert done.returncode == code, f"{args}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def make_keystore(self, settings=""):
        """A keystore under a key file, named in the configuration, so that no command asks for anything."""
        keyfile = os.path.join(self.home, "root.key")
        fd = os.open(keyfile, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        os.write(fd, secrets.token_bytes(32))
        os.close(fd)
        config = os.path.join(self.home, ".config/signetfs/signetfs.ini")
        os.makedirs(os.path.dirname(config), exist_ok=True)
        with open(config, "w") as f:
            quotas = "" if "quotas =" in settings else "quotas = none\n"
            f.write(f"[kms]\nroot-key = keyfile:{keyfile}\n{quotas}{settings}")
        self.run("kms", "init")
        return self.keystore

    def make_vault(self, *options, name="vault"):
        path = self.path(name)
        self.run("init", *options, path)
        return path

    def mount(self, vault, *options, name="clear"):
        """Mount in the background; returns the mount point. Unmounted when the test ends."""
        point = self.path(name)
        os.makedirs(point, exist_ok=True)
        self.mounts.append(point)
        self.run("mount", *options, vault, point)
        return point

    def umount(self, point):
        self.run("umount", point)
        self.mounts.remove(point)

    def close(self):
        for service in self.services:
            service.kill()
        for point in filter(is_mounted, reversed(self.mounts)):
            subprocess.run([SIGNETFS, "umount", point], env=self.env, stdin=subprocess.DEVNULL, timeout=LIMIT)
            deadline = time.monotonic() + 10
            while is_mounted(point) and time.monotonic() < deadline:
                time.sleep(0.05)
            if is_mounted(point):
                subprocess.run(["fusermount3", "-u", "-z", point], timeout=LIMIT)
        found = [os.path.join(self.root, n) for n in os.listdir(self.root) if n.startswith("sanitizer.")]
        assert not found, "\n".join(open(f).read()[:20000] for f in found)


@pytest.fixture
def box(tmp_path):
    b = Box(tmp_path)
    yield b
    b.close()


@pytest.fixture
def kms_box(box):
    """A box with a keystore."""
    box.make_keystore()
    return box


class Service:
    """`signetfs kms serve` over the box's keystore, on TCP and on a Unix socket, with one access key."""

    def __init__(self, box, *options, listen=("127.0.0.1:0",), env=None):
        self.box = box
        made = json.loads(box.run("kms", "create-access-key").stdout)["AccessKey"]
        self.access_key, self.secret = made["AccessKeyId"], made["SecretAccessKey"]
        self.socket = box.path("kms.sock")
        words = [SIGNETFS, "kms", "serve", "--listen", f"unix:{self.socket}", *options]
        for where in listen:
            words += ["--listen", where]
        self.errors = open(box.path("serve.log"), "w+")
        self.process = subprocess.Popen(words, env=env or box.env, cwd=box.home, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True)
        box.services.append(self)
        lines = [self.process.stdout.readline() for _ in range(1 + len(listen))]
        assert all(line.startswith("listening on ") for line in lines), (lines, self.log())
        self.addresses = [line.split()[2] for line in lines]
        self.url = self.addresses[-1]
        self.port = int(self.url.rsplit(":", 1)[1]) if listen else 0

    def log(self):
        self.errors.flush()
        with open(self.errors.name) as f:
            return f.read()

    def client(self, secret=None, access_key=None, region="us-east-1", **config):
        """A boto3 KMS client that does not retry: what the server said is what the test sees."""
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "kms", endpoint_url=self.url, region_name=region, aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=secret or self.secret, config=Config(retries={"max_attempts": 0}, **config))

    def stop(self, how=signal.SIGTERM):
        """End it; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(timeout=20)
        finally:
            self.process.kill()
            self.process.stdout.close()

    def kill(self):
        """For what a failed test left behind."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


@pytest.fixture
def kms_service(kms_box):
    service = Service(kms_box)
    yield service
    code = service.stop()
    assert code == 0, service.log()


needs_fuse = pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="no usable /dev/fuse on this machine")


class Mounted:
    """A box with a keystore, a vault and its mount."""

    def __init__(self, box, *options, vault=None, point=None):
        """Makes and mounts what is not given."""
        self.box = box
        self.vault = vault or box.make_vault()
        self.point = point or box.mount(self.vault, *options)

    def path(self, *parts):
        return os.path.join(self.point, *parts)

    def stats(self):
        return json.loads(self.box.run("stats", "--json", self.point).stdout)

    def remount(self, *options):
        """A fresh process and empty caches; returns nothing."""
        self.box.umount(self.point)
        self.box.mount(self.vault, *options)

    def pid(self):
        return self.stats()["pid"]

    def memory(self, what="VmRSS"):
        """Bytes, from /proc/PID/status; 0 of a sanitized build, whose memory says nothing."""
        if is_sanitized():
            return 0
        with open(f"/proc/{self.pid()}/status") as f:
            return int(re.search(rf"^{what}:\s+(\d+) kB", f.read(), re.M).group(1)) * 1024


@pytest.fixture
def mounted(kms_box):
    """A mounted vault for one test."""
    return Mounted(kms_box)


@pytest.fixture(scope="module")
def shared(tmp_path_factory, request):
    """A mounted vault for all tests of a module (its MOUNT_OPTIONS, if any); each works in a folder of its own (`folder`)."""
    box = Box(tmp_path_factory.mktemp("shared"))
    try:
        box.make_keystore()
        yield Mounted(box, *getattr(request.module, "MOUNT_OPTIONS", ()))
    finally:
        box.close()


@pytest.fixture
def folder(shared, request):
    """An empty folder inside the shared mount."""
    path = shared.path(re.sub(r"\W", "_", request.node.name)[:80])
    os.mkdir(path)
    return path
