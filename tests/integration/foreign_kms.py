"""A KMS that is none of ours: the operations that a file system and its people need, written from AWS's API reference.

It shares no code with the KMS under kms/, has ciphertext blobs of a format of its own, and leaves the signatures to botocore. Keys live in
memory. What signetfs does with it, it does with any service that speaks the protocol."""

import base64
import datetime
import hmac
import json
import os
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ACCOUNT = "999988887777"
MAGIC = b"foreign-blob\x01"
CLOCK_SKEW = datetime.timedelta(minutes=5)


class Refusal(Exception):
    def __init__(self, name, message="", status=400):
        super().__init__(message)
        self.name, self.status = name, status


def blob_in(request, member):
    return base64.b64decode(request[member], validate=True)


def blob_out(data):
    return base64.b64encode(data).decode()


def binding(key_id, context):
    return json.dumps([key_id, sorted((context or {}).items())]).encode()


class ForeignKms:
    """Serves http://127.0.0.1:PORT in threads of this process, until close()."""

    def __init__(self):
        self.access_key, self.secret = "AKIAFOREIGNFOREIGN00", base64.b64encode(os.urandom(30)).decode()
        self.lock, self.keys, self.calls = threading.RLock(), {}, []
        handler = type("Handler", (Handler,), {"kms": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    # ---- Who calls ----

    def verify(self, handler, body):
        """The region of the request, whose signature botocore makes anew from what it says of itself."""
        words = dict(w.strip().split("=", 1) for w in handler.headers["Authorization"].split(" ", 1)[1].split(","))
        access_key, _, region, service, _ = words["Credential"].split("/")
        if access_key != self.access_key:
            raise Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")
        stamp = handler.headers["X-Amz-Date"]
        made = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        if abs(datetime.datetime.now(datetime.timezone.utc) - made) > CLOCK_SKEW:
            raise Refusal("InvalidSignatureException", "Signature expired")
        signed = {name: handler.headers[name] for name in words["SignedHeaders"].split(";")}
        request = AWSRequest(method="POST", url=f"http://{handler.headers['Host']}/", data=body, headers=signed)
        request.context["timestamp"] = stamp
        auth = SigV4Auth(Credentials(self.access_key, self.secret), service, region)
        expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        if service != "kms" or not hmac.compare_digest(expected, words["Signature"]):
            raise Refusal("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")
        return region

    # ---- Keys ----

    def arn(self, key_id):
        return f"arn:aws:kms:{self.keys[key_id]['region']}:{ACCOUNT}:key/{key_id}"

    def find(self, name):
        key_id = name.rsplit("/", 1)[-1]
        if key_id not in self.keys:
            raise Refusal("NotFoundException", f"Key '{name}' does not exist")
        return key_id

    def usable(self, name):
        key_id = self.find(name)
        if self.keys[key_id]["state"] == "Disabled":
            raise Refusal("DisabledException", f"{self.arn(key_id)} is disabled.")
        if self.keys[key_id]["state"] != "Enabled":
            raise Refusal("KMSInvalidStateException", f"{self.arn(key_id)} is pending deletion.")
        return key_id

    def metadata(self, key_id):
        key = self.keys[key_id]
        return {"KeyMetadata": {"AWSAccountId": ACCOUNT, "KeyId": key_id, "Arn": self.arn(key_id), "CreationDate": key["created"],
                                "Enabled": key["state"] == "Enabled", "KeyState": key["state"], "KeyUsage": "ENCRYPT_DECRYPT",
                                "KeyManager": "CUSTOMER", "Origin": "AWS_KMS", "KeySpec": "SYMMETRIC_DEFAULT", "MultiRegion": False,
                                "Description": key["description"], "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"]}}

    def seal(self, key_id, data, context):
        nonce = os.urandom(12)
        return MAGIC + uuid.UUID(key_id).bytes + nonce + AESGCM(self.keys[key_id]["material"]).encrypt(nonce, data, binding(key_id, context))

    def open(self, blob, context):
        """(key id, plaintext)"""
        at = len(MAGIC)
        key_id = str(uuid.UUID(bytes=blob[at:at + 16])) if blob[:at] == MAGIC and len(blob) > at + 44 else ""
        if key_id not in self.keys:
            raise Refusal("InvalidCiphertextException")
        self.usable(key_id)
        try:
            return key_id, AESGCM(self.keys[key_id]["material"]).decrypt(blob[at + 16:at + 28], blob[at + 28:], binding(key_id, context))
        except InvalidTag:
            raise Refusal("InvalidCiphertextException") from None

    # ---- Operations, by AWS's names ----

    def CreateKey(self, r, region):
        key_id = str(uuid.uuid4())
        now = datetime.datetime.now().timestamp()
        self.keys[key_id] = {"material": os.urandom(32), "state": "Enabled", "region": region, "created": now, "description": r.get("Description", "")}
        return self.metadata(key_id)

    def DescribeKey(self, r, region):
        return self.metadata(self.find(r["KeyId"]))

    def set_state(self, name, state):
        self.keys[self.find(name)]["state"] = state

    def EnableKey(self, r, region):
        self.set_state(r["KeyId"], "Enabled")

    def DisableKey(self, r, region):
        self.set_state(r["KeyId"], "Disabled")

    def ScheduleKeyDeletion(self, r, region):
        self.set_state(r["KeyId"], "PendingDeletion")
        return {"KeyId": self.arn(self.find(r["KeyId"])), "KeyState": "PendingDeletion", "PendingWindowInDays": r.get("PendingWindowInDays", 30)}

    def CancelKeyDeletion(self, r, region):
        self.set_state(r["KeyId"], "Disabled")
        return {"KeyId": self.arn(self.find(r["KeyId"]))}

    def GenerateDataKey(self, r, region):
        key_id = self.usable(r["KeyId"])
        data = os.urandom(r["NumberOfBytes"] if "NumberOfBytes" in r else {"AES_128": 16, "AES_256": 32}[r["KeySpec"]])
        return {"KeyId": self.arn(key_id), "Plaintext": blob_out(data), "CiphertextBlob": blob_out(self.seal(key_id, data, r.get("EncryptionContext")))}

    def Encrypt(self, r, region):
        key_id = self.usable(r["KeyId"])
        sealed = self.seal(key_id, blob_in(r, "Plaintext"), r.get("EncryptionContext"))
        return {"KeyId": self.arn(key_id), "CiphertextBlob": blob_out(sealed), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    def Decrypt(self, r, region):
        key_id, data = self.open(blob_in(r, "CiphertextBlob"), r.get("EncryptionContext"))
        if "KeyId" in r and self.find(r["KeyId"]) != key_id:
            raise Refusal("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
        return {"KeyId": self.arn(key_id), "Plaintext": blob_out(data), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    def ReEncrypt(self, r, region):
        source, data = self.open(blob_in(r, "CiphertextBlob"), r.get("SourceEncryptionContext"))
        key_id = self.usable(r["DestinationKeyId"])
        sealed = self.seal(key_id, data, r.get("DestinationEncryptionContext"))
        return {"CiphertextBlob": blob_out(sealed), "SourceKeyId": self.arn(source), "KeyId": self.arn(key_id)}

    OPERATIONS = (CreateKey, DescribeKey, EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion, GenerateDataKey, Encrypt, Decrypt, ReEncrypt)

    def answer(self, handler, body):
        region = self.verify(handler, body)
        name = handler.headers["X-Amz-Target"].removeprefix("TrentService.")
        operation = {o.__name__: o for o in self.OPERATIONS}.get(name)
        if not operation:
            raise Refusal("UnknownOperationException")
        with self.lock:
            request = json.loads(body)
            self.calls.append((name, request))
            return operation(self, request, region)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status, answer = 200, self.kms.answer(self, body)
        except Refusal as refused:
            status, answer = refused.status, {"__type": refused.name, "message": str(refused)}
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass
