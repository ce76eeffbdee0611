"""A keystore and `signetfs kms serve` over it in a folder of its own, for the benchmarks of the KMS; and the load program."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def machine_seconds():
    """Processor time that the machine spent on anything, or that its host took away."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _idle, _wait, irq, soft, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / TICK


class Endpoint:
    """Something that answers as a KMS on a port of this machine."""

    def __init__(self, name, port, process, env, build):
        self.name, self.port, self.process, self.env, self.build = name, port, process, env, build

    def wait_for(self, path):
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not answer")

    def client(self):
        import boto3
        return boto3.client("kms", endpoint_url=f"http://127.0.0.1:{self.port}", region_name="us-east-1",
                            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
                            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"])

    def load(self, operation, body, connections=8, seconds=5.0):
        """One run of kms_load; @body is a dict, or a list of dicts that are each sent once."""
        text = json.dumps(body)
        with tempfile.NamedTemporaryFile("w", suffix=".bodies") as f:
            if isinstance(body, list):
                f.writelines(json.dumps(b) + "\n" for b in body)
                f.flush()
                text = "@" + f.name
            mine, all_before = processor_seconds(self.process.pid), machine_seconds()
            done = subprocess.run([f"{self.build}/tests/bench/kms_load", "--json", f"127.0.0.1:{self.port}", operation, text,
                                   str(connections), str(seconds)], env=self.env, check=True, stdout=subprocess.PIPE)
        result = json.loads(done.stdout)
        result["server"] = processor_seconds(self.process.pid) - mine
        result["others"] = max(0.0, machine_seconds() - all_before - result["server"] - result["client"])
        return result

    def resident(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


class Service(Endpoint):
    """signetfs, with its keystore below @base, request quotas off, and room for many keys."""

    def __init__(self, base, build):
        self.home = tempfile.mkdtemp(prefix="signetfs-kms-", dir=base)
        self.binary = f"{build}/signetfs"
        self.keystore = f"{self.home}/kms.db"
        key, config = f"{self.home}/root.key", f"{self.home}/signetfs.ini"
        with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as f:
            f.write(os.urandom(32))
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"[kms]\nkeystore = {self.keystore}\nroot-key = keyfile:{key}\nquotas = none\nresource-quotas = keys=1000000\n")
        os.makedirs(f"{self.home}/.config/signetfs")
        os.rename(config, f"{self.home}/.config/signetfs/signetfs.ini")
        env = {"PATH": os.environ["PATH"], "HOME": self.home, "LC_ALL": "C.UTF-8"}
        super().__init__("signetfs", free_port(), None, env, build)
        self.run("kms", "init")
        made = json.loads(self.run("kms", "create-access-key"))["AccessKey"]
        env.update(AWS_ACCESS_KEY_ID=made["AccessKeyId"], AWS_SECRET_ACCESS_KEY=made["SecretAccessKey"])
        self.start()

    def run(self, *words):
        return subprocess.run([self.binary, *words], env=self.env, check=True, stdout=subprocess.PIPE, text=True).stdout

    def start(self):
        self.process = subprocess.Popen([self.binary, "kms", "serve", "--listen", f"127.0.0.1:{self.port}"], env=self.env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.wait_for("/healthz")

    def close(self):
        self.stop()
        shutil.rmtree(self.home)


class Moto(Endpoint):
    """moto's server, which verifies no signature, asks no policy and keeps no records."""

    def __init__(self, build):
        env = {**os.environ, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "peer"}
        port = free_port()
        process = subprocess.Popen(["moto_server", "-H", "127.0.0.1", "-p", str(port)], env=env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        super().__init__("moto_server", port, process, env, build)
        self.wait_for("/moto-api/")

    def close(self):
        self.stop()
