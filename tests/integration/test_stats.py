"""`signetfs stats`: what it counts is what the KMS's own audit trail says, for people, as JSON and for Prometheus."""

import json
import os
import re
import select
import socket
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import LIMIT, SIGNETFS, Mounted, Service, needs_fuse

pytestmark = needs_fuse
FILES = 15


def make(path):
    with open(path, "w") as f:
        f.write("x" * 1000)


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A mount that has made files and read them; its KMS throttles."""
    from conftest import Box

    box = Box(tmp_path_factory.mktemp("stats"))
    try:
        box.make_keystore("quotas = cryptographic-symmetric=3\n")
        service = Service(box)
        endpoint = f"unix:{service.socket}"
        key = json.loads(box.run("kms", "create-key", "--kms", endpoint).stdout)["KeyMetadata"]["KeyId"]
        vault = box.make_vault("--kms", endpoint, "--key", key, "--bucket-key", "off")
        m = Mounted(box, "--kms", endpoint, vault=vault)
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda i: make(m.path(f"file{i}")), range(FILES)))
        m.service = service
        yield m
    finally:
        box.close()


def audited(box):
    """Calls by operation and error ("" for none), as the KMS itself wrote them down."""
    counts = {}
    for line in box.run("kms", "audit", "--json-lines").stdout.splitlines():
        r = json.loads(line)
        if r["eventName"] in ("GenerateDataKey", "Decrypt"):
            counts[r["eventName"], r.get("errorCode", "")] = counts.get((r["eventName"], r.get("errorCode", "")), 0) + 1
    return counts


def test_counts_are_those_of_the_audit_trail(busy):
    s = busy.stats()
    client = s["kms"]["client"]
    trail = audited(busy.box)
    assert s["kms"]["GenerateDataKey"] == {"ok": FILES, "refused": 0, "failed": 0}
    assert trail["GenerateDataKey", ""] - 1 == FILES, "the volume key's is init's, not the mount's"
    throttled = sum(n for (_, error), n in trail.items() if error.startswith("Throttling"))
    assert client["throttled"] > 0 and client["throttled"] <= throttled
    assert client["attempts"] == s["kms"]["calls"] + client["retries"] and client["retries"] == client["throttled"]
    assert client["failed"] == 0 and client["given_up"] == 0
    assert client["latency"]["count"] == s["kms"]["calls"]
    assert s["cost"]["made_usd"] == pytest.approx(s["kms"]["calls"] * 0.03 / 10000)


def control_socket(point):
    folder = "/run/signetfs" if os.geteuid() == 0 else next(
        d for d in (f"/run/user/{os.geteuid()}/signetfs", f"/tmp/signetfs-{os.geteuid()}") if os.path.isdir(d))
    device = os.stat(point).st_dev
    return os.path.join(folder, f"mount-{os.major(device)}-{os.minor(device)}.sock")


def test_the_socket_is_the_owners_alone(busy):
    path = control_socket(busy.point)
    assert stat.S_ISSOCK(os.stat(path).st_mode) and stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700


def test_a_socket_of_the_next_mount_is_left_alone(mounted):
    """A device number is used again at once, while the process that had it is still ending: it must not take the next one's socket away."""
    path = control_socket(mounted.point)
    process = os.pidfd_open(mounted.pid())
    next_one = socket.socket(socket.AF_UNIX)
    try:
        os.unlink(path)
        next_one.bind(path)
        ours = os.stat(path).st_ino
        subprocess.run(["fusermount3", "-u", mounted.point], check=True, timeout=LIMIT)
        mounted.box.mounts.remove(mounted.point)
        assert select.select([process], [], [], LIMIT)[0], "the mount's process goes on"
        # Another test's mount may have the number by now: then the name is its.
        assert os.path.exists(path)
        if os.stat(path).st_ino == ours:
            os.unlink(path)
    finally:
        next_one.close()
        os.close(process)


def test_latency_is_of_every_request(busy):
    s = busy.stats()
    assert s["latency"]["create"]["count"] == s["requests"]["create"] == FILES
    for name, l in s["latency"].items():
        assert 0 <= l["p50_ns"] <= l["p90_ns"] <= l["p99_ns"] <= l["max_ns"] <= l["sum_ns"], name
    # A file made waits for its data key.
    assert s["latency"]["create"]["sum_ns"] + s["latency"]["write"]["sum_ns"] >= s["kms"]["client"]["latency"]["p50_ns"]


def test_for_prometheus(busy):
    parser = pytest.importorskip("prometheus_client.parser", reason="python3-prometheus-client is not installed")
    text = busy.box.run("stats", "--prometheus", busy.point).stdout
    families = {f.name: f for f in parser.text_string_to_metric_families(text)}
    samples = {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families.values() for s in f.samples}
    assert len(samples) == sum(len(f.samples) for f in families.values()), "a sample occurs twice"
    assert len(families) == text.count("# TYPE ") and all(f.documentation for f in families.values())
    point = ("mount_point", busy.point)
    assert samples["signetfs_mount_files_created_total", (point,)] == FILES
    assert samples["signetfs_mount_kms_calls_total", (point, ("operation", "GenerateDataKey"), ("result", "ok"))] == FILES
    assert samples["signetfs_mount_request_seconds_count", (point, ("request", "create"))] == FILES
    assert families["signetfs_mount_request_seconds"].type == "summary"
    assert families["signetfs_mount_kms_throttled"].type == "counter"


def test_for_people(busy):
    text = busy.box.run("stats", busy.point).stdout
    s = busy.stats()
    assert re.search(rf"^GenerateDataKey: +{FILES} ok, 0 refused, 0 failed$", text, re.M)
    assert re.search(rf"^Throttled, no answer: +{s['kms']['client']['throttled']}, 0$", text, re.M)
    assert re.search(r"^KMS call +\d+ .* (s|ms|us)$", text, re.M)
    assert re.search(rf"^create +{FILES} ", text, re.M)
    assert re.search(r"^Cost at AWS's prices: +\$0\.0000\d\d, without", text, re.M)


@pytest.mark.parametrize("watch", [["--watch", "1"], ["-w"], ["--watch=1"]])
def test_watch_repeats_until_interrupted(busy, watch):
    p = subprocess.Popen([SIGNETFS, "stats", *watch, "--json", busy.point], env=busy.box.env, stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(2):
            assert json.loads(p.stdout.readline())["files_created"] == FILES
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def test_wrong_use(busy):
    assert "give one" in busy.box.run("stats", "--json", "--prometheus", busy.point, code=2).stderr
    assert "no length of time" in busy.box.run("stats", "--watch=often", busy.point, code=2).stderr


def test_bucket_keys_have_an_age(kms_box):
    m = Mounted(kms_box)
    for i in range(3):
        with open(m.path(f"f{i}"), "w") as f:
            f.write("x")
    entry = m.stats()["cache"]["entries"][0]
    assert entry["wrapping"] and entry["wrapped_files"] in (3, 4096 + 3) and 0 <= entry["age_seconds"] < 600
    assert os.stat(m.path("f0")).st_size == 1
    text = kms_box.run("stats", "--prometheus", m.point).stdout
    assert re.search(r'^signetfs_mount_bucket_key_files\{.*bucket="[0-9a-f]{32}".*\} (3|4099)$', text, re.M)
