"""Three clients of the KMS that others wrote (boto3, the aws CLI, the AWS SDK for JavaScript) behind one call().

call() gives an Outcome: the answer with blobs as bytes and times as seconds, or the refusal as this client's users meet it: the class
of the exception, its message, its HTTP status where the client tells. Nothing is asked twice: no client may hide a refusal by trying again."""

import base64
import dataclasses
import datetime
import functools
import hashlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile

from conftest import LIMIT

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
NEWER = os.path.join(HERE, "newer")  # what the service model has got since Debian 12: botocore merges it into its own
AWS = "/usr/bin/aws"
QUIET = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": "", "AWS_CLI_AUTO_PROMPT": "off",
         "AWS_DATA_PATH": NEWER}


@dataclasses.dataclass
class Outcome:
    answer: dict = None
    error: str = None     # the exception's name
    message: str = ""
    status: int = None    # of HTTP, where the client tells
    faithful: bool = True  # the error came as the class that the client has for it


@functools.cache
def model():
    """The service model as botocore sees it here, brought up to date."""
    import botocore.session

    session = botocore.session.get_session()
    session.get_component("data_loader").search_paths.append(NEWER)
    return session.get_service_model("kms")


def walk(shape, value, blob, time):
    """@value with every blob and every time in it replaced by what blob() and time() make of them."""
    if shape.type_name == "structure":
        return {k: walk(shape.members[k], v, blob, time) for k, v in value.items() if k in shape.members}
    if shape.type_name == "list":
        return [walk(shape.member, v, blob, time) for v in value]
    return {"blob": blob, "timestamp": time}.get(shape.type_name, lambda v: v)(value)


class Boto:
    name = "boto3"

    def __init__(self, box):
        import boto3

        self.session = boto3.session.Session()
        self.session._session.get_component("data_loader").search_paths.append(NEWER)
        self.clients = {}

    def close(self):
        pass

    def client(self, url, region, credentials):
        from botocore.config import Config

        at = (url, region, credentials["accessKeyId"], credentials["secretAccessKey"])
        if at not in self.clients:
            self.clients[at] = self.session.client(
                "kms", endpoint_url=url, region_name=region, aws_access_key_id=at[2], aws_secret_access_key=at[3],
                config=Config(retries={"max_attempts": 0}))
        return self.clients[at]

    def call(self, operation, request, url, region, credentials):
        from botocore import xform_name
        from botocore.exceptions import ClientError

        kms = self.client(url, region, credentials)
        try:
            answer = getattr(kms, xform_name(operation))(**request)
        except ClientError as e:
            code = e.response["Error"]["Code"]
            own = getattr(kms.exceptions, code) if code in model().shape_names else ClientError
            return Outcome(error=code, message=e.response["Error"].get("Message", ""), faithful=type(e) is own,
                           status=e.response["ResponseMetadata"]["HTTPStatusCode"])
        answer.pop("ResponseMetadata")
        shape = model().operation_model(operation).output_shape
        return Outcome(walk(shape, answer, bytes, lambda t: t.timestamp()) if shape else answer)


class Lines:
    """A process that answers each line of JSON with one."""

    def __init__(self, *words, env, errors):
        self.errors = open(errors, "w+")
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=env)

    def ask(self, asked):
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        assert select.select([self.process.stdout], [], [], LIMIT)[0], f"no answer to {asked}"
        line = self.process.stdout.readline()
        self.errors.seek(0)
        assert line, self.errors.read()
        return json.loads(line)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()


class Cli:
    name = "aws"

    def __init__(self, box):
        self.box, self.count = box, 0
        self.env = dict(box.env, **QUIET)
        self.lines = Lines(sys.executable, os.path.join(HERE, "aws_cli_forked.py"), env=self.env, errors=box.path("aws.log"))

    def close(self):
        self.lines.close()

    def blob(self, data):
        self.count += 1
        path = self.box.path(f"blob{self.count}")
        with open(path, "wb") as f:
            f.write(data)
        return "fileb://" + path

    def words(self, shape, name, value):
        """An option as people write it: --flag, --no-flag, several words for a list of names, JSON for what is nested deeper."""
        option = "--" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
        kind = shape.members[name]
        if kind.type_name == "boolean":
            return [option if value else option.replace("--", "--no-", 1)]
        if kind.type_name == "list" and kind.member.type_name == "string":
            return [option, *value]
        if kind.type_name == "blob":
            return [option, self.blob(value)]
        if kind.type_name == "timestamp":
            return [option, datetime.datetime.fromtimestamp(value, datetime.timezone.utc).isoformat()]
        return [option, value if isinstance(value, str) else json.dumps(value)]

    def call(self, operation, request, url, region, credentials):
        asked = model().operation_model(operation)
        argv = ["--endpoint-url", url, "--region", region, "--output", "json", "kms",
                re.sub(r"(?<=[a-z])(?=[A-Z])", "-", operation).lower()]
        for name, value in request.items():
            argv += self.words(asked.input_shape, name, value)
        done = self.lines.ask({"argv": argv, "env": {"AWS_ACCESS_KEY_ID": credentials["accessKeyId"],
                                                     "AWS_SECRET_ACCESS_KEY": credentials["secretAccessKey"]}})
        if done["code"] == 0:
            text = done["stdout"].strip()
            return Outcome(walk(asked.output_shape, json.loads(text), base64.b64decode, seconds) if text else {})
        found = re.search(rf"An error occurred \((\w+)\) when calling the {operation} operation(?: \([^)]*\))?: ?(.*)", done["stderr"], re.S)
        assert found and done["code"] in (254, 255), (argv, done)  # of version 2, of version 1
        return Outcome(error=found[1], message=found[2].strip())


def seconds(text):
    return text if isinstance(text, (int, float)) else datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class JavaScript:
    name = "javascript"

    def __init__(self, box):
        self.lines = Lines("node", os.path.join(HERE, "js/driver.cjs"), javascript_sdk(),
                           env=dict(box.env, NODE_NO_WARNINGS="1"), errors=box.path("node.log"))

    def close(self):
        self.lines.close()

    def call(self, operation, request, url, region, credentials):
        shape = model().operation_model(operation).input_shape
        made = walk(shape, request, lambda b: {"$bytes": base64.b64encode(b).decode()}, lambda t: {"$time": t})
        got = self.lines.ask({"operation": operation, "request": made, "url": url, "region": region, "credentials": credentials})
        if "answer" in got:
            return Outcome(plain(got["answer"]))
        assert "status" in got, got
        modelled = got["error"] in model().shape_names
        return Outcome(error=got["error"], message=got["message"], status=got["status"],
                       faithful=got["instance"] and got["modelled"] == modelled)


def plain(value):
    if isinstance(value, list):
        return [plain(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "$bytes" in value:
        return base64.b64decode(value["$bytes"])
    return value["$time"] if "$time" in value else {k: plain(v) for k, v in value.items()}


def missing(client):
    """Why this client cannot be had here; "" when it can."""
    if client is Cli:
        return "" if os.access(AWS, os.X_OK) and can_import("awscli.clidriver") else "no aws CLI on this machine (Debian package awscli)"
    if client is JavaScript:
        if not shutil.which("node") or not shutil.which("npm"):
            return "no node or no npm on this machine: the AWS SDK for JavaScript is not tested"
        return "" if javascript_sdk() else "npm's registry did not give the AWS SDK for JavaScript: it is not tested"
    return "" if can_import("boto3") else "no boto3 on this machine (Debian package python3-boto3)"


def can_import(name):
    return subprocess.run([sys.executable, "-c", f"import {name}"], stderr=subprocess.DEVNULL, timeout=LIMIT).returncode == 0


@functools.cache
def javascript_sdk():
    """The folder with the packages of js/package-lock.json, fetched once into build/; None when they cannot be had."""
    with open(os.path.join(HERE, "js/package-lock.json"), "rb") as f:
        folder = os.path.join(TOP, "build", "js-" + hashlib.sha256(f.read()).hexdigest()[:16])
    if os.path.isdir(folder):
        return folder
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(folder), prefix="js-") as made:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(HERE, "js", name), made)
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000"]
        try:
            done = subprocess.run(npm, cwd=made, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0:
            print(done.stdout)
            return None
        os.mkdir(os.path.join(made, "whole"))
        for name in ("package.json", "node_modules"):
            os.rename(os.path.join(made, name), os.path.join(made, "whole", name))
        try:
            os.rename(os.path.join(made, "whole"), folder)
        except OSError:
            assert os.path.isdir(folder)  # another run was faster
    return folder
