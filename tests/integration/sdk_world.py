"""What the cases of sdk_cases.py are about: fresh keys in every state, grants, blobs, made over the wire without any of the clients under test."""

import base64
import concurrent.futures
import contextlib
import functools
import json
import sqlite3
import threading

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from test_kms_access import user
from test_kms_import import FOREVER, b64, wrap
from test_kms_wire import ask

REGION, OTHER_REGION = "us-east-1", "eu-west-1"
ACCOUNT = "000000000000"
NOBODY = "12345678-1234-1234-1234-123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
MATERIAL = bytes(range(32))
TEXT = b"Dear Ada"


def arn(key, region=REGION):
    return f"arn:aws:kms:{region}:{ACCOUNT}:key/{key}"


class World:
    def __init__(self, service, throttled):
        self.service, self.box, self.urls = service, service.box, {"service": service.url, "throttled": throttled.url}
        self.throttled = throttled
        self.count = 0
        stranger = user(self.box, "stranger")
        friend = user(self.box, "friend", {"Effect": "Allow", "Action": "kms:*", "Resource": "*"})
        self.friend = friend[0]
        pairs = {"root": (service.access_key, service.secret), "wrong secret": (service.access_key, "x" * 40),
                 "unknown": ("AKIANOBODYNOBODYNOBO", "x" * 40), "throttled": (throttled.access_key, throttled.secret)}
        pairs.update({name: (made[1]["AccessKeyId"], made[1]["SecretAccessKey"]) for name, made in (("stranger", stranger), ("friend", friend))})
        self.credentials = {name: {"accessKeyId": a, "secretAccessKey": b} for name, (a, b) in pairs.items()}

    def call(self, operation, **members):
        """The answer, which must be no refusal."""
        region = members.pop("_region", REGION)
        answer = ask(self.service, operation, _region=region, **members)
        assert "__type" not in (answer or {}), (operation, members, answer)
        return answer

    @contextlib.contextmanager
    def drained(self):
        """While this lasts, somebody asks the throttled service all the time."""
        done = threading.Event()

        def drain():
            while not done.is_set():
                ask(self.throttled, "ListKeys")

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            draining = pool.submit(drain)
            try:
                yield
            finally:
                done.set()
            draining.result()

    def name(self, what="name"):
        self.count += 1
        return f"{what}{self.count}"

    # Keys of their own, for cases that change them

    def key(self, spec="SYMMETRIC_DEFAULT", usage="ENCRYPT_DECRYPT", **members):
        return self.call("CreateKey", KeySpec=spec, KeyUsage=usage, **members)["KeyMetadata"]["KeyId"]

    def signing(self):
        return self.key("ECC_NIST_P256", "SIGN_VERIFY")

    def mac(self):
        return self.key("HMAC_256", "GENERATE_VERIFY_MAC")

    def agreeing(self):
        return self.key("ECC_NIST_P256", "KEY_AGREEMENT")

    def everywhere(self):
        """A multi-Region key."""
        return self.key(MultiRegion=True)

    def replicated(self):
        key = self.everywhere()
        self.call("ReplicateKey", KeyId=key, ReplicaRegion=OTHER_REGION)
        return key

    def pending(self):
        key = self.key()
        self.call("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
        return key

    def disabled(self):
        key = self.key()
        self.call("DisableKey", KeyId=key)
        return key

    def damaged(self):
        """A key whose material somebody has overwritten in the keystore."""
        key = self.key()
        with contextlib.closing(sqlite3.connect(self.box.keystore, timeout=30)) as db, db:
            changed = db.execute("UPDATE materials SET sealed = zeroblob(length(sealed)) WHERE place = "
                                 "(SELECT place FROM backing_keys WHERE key = (SELECT row FROM keys WHERE id = ?))",
                                 (bytes.fromhex(key.replace("-", "")),))
            assert changed.rowcount == 1
        return key

    @functools.cache
    def peer(self):
        """Somebody else's public key on P-256."""
        made = ec.generate_private_key(ec.SECP256R1()).public_key()
        return made.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    # Things that belong to keys

    def alias(self, key, name=None):
        name = name or "alias/" + self.name("a")
        self.call("CreateAlias", AliasName=name, TargetKeyId=key)
        return name

    def grant(self, key, **members):
        return self.call("CreateGrant", KeyId=key, GranteePrincipal=self.friend, Operations=["Encrypt", "Decrypt"], **members)

    def blob(self, key, text=TEXT, **members):
        return base64.b64decode(self.call("Encrypt", KeyId=key, Plaintext=b64(text), **members)["CiphertextBlob"])

    def opened(self, blob, **members):
        return base64.b64decode(self.call("Decrypt", CiphertextBlob=b64(blob), **members)["Plaintext"])

    def signature(self, key):
        return base64.b64decode(self.call("Sign", KeyId=key, Message=b64(TEXT), SigningAlgorithm="ECDSA_SHA_256")["Signature"])

    def tag_of(self, key):
        return base64.b64decode(self.call("GenerateMac", KeyId=key, Message=b64(TEXT), MacAlgorithm="HMAC_SHA_256")["Mac"])

    def state(self, key, region=REGION):
        return self.call("DescribeKey", KeyId=key, _region=region)["KeyMetadata"]["KeyState"]

    def metadata(self, key, region=REGION):
        return self.call("DescribeKey", KeyId=key, _region=region)["KeyMetadata"]

    # Imports

    def empty(self):
        """A key that waits for its material."""
        return self.key(Origin="EXTERNAL")

    def wrapped(self, key, material=MATERIAL):
        """The members of a sound ImportKeyMaterial."""
        got = self.call("GetParametersForImport", KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
        public = serialization.load_der_public_key(base64.b64decode(got["PublicKey"]))
        return {"KeyId": key, "ImportToken": base64.b64decode(got["ImportToken"]),
                "EncryptedKeyMaterial": wrap(public, "RSAES_OAEP_SHA_256", material), **FOREVER}

    def imported(self):
        key = self.empty()
        made = self.wrapped(key)
        self.call("ImportKeyMaterial", **{k: b64(v) if isinstance(v, bytes) else v for k, v in made.items()})
        return key

    def policy(self, *statements):
        root = {"Sid": "root", "Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [root, *statements]})
