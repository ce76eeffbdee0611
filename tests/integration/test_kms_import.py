"""Imported key material, multi-Region keys, tags, last use: through boto3's eyes and an independent implementation of the wrapping."""

import base64
import functools
import os
import time

import pytest
from test_kms_wire import ask

cryptography = pytest.importorskip("cryptography", reason="python3-cryptography is not installed: nothing to wrap with")
from cryptography.hazmat.primitives import hashes, keywrap, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa  # noqa: E402

WRAPPINGS = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"]
FOREVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}


def b64(data):
    return base64.b64encode(data).decode()


def wrap(public, algorithm, material):
    """What AWS's guide tells people to do with openssl."""
    h = hashes.SHA1() if algorithm.endswith("SHA_1") else hashes.SHA256()
    oaep = padding.OAEP(padding.MGF1(h), h, None)
    if algorithm.startswith("RSAES"):
        return public.encrypt(material, oaep)
    aes = os.urandom(32)
    return public.encrypt(aes, oaep) + keywrap.aes_key_wrap_with_padding(aes, material)


class Import:
    """A key of origin EXTERNAL."""

    def __init__(self, call, spec="SYMMETRIC_DEFAULT", usage="ENCRYPT_DECRYPT", key=None, **more):
        self.call, self.spec = call, spec
        made = None if key else call("CreateKey", Origin="EXTERNAL", KeySpec=spec, KeyUsage=usage, **more)["KeyMetadata"]
        assert key or (made["KeyState"] == "PendingImport" and made["Origin"] == "EXTERNAL" and "ExpirationModel" not in made), made
        self.key = key or made["KeyId"]

    def parameters(self, algorithm="RSAES_OAEP_SHA_256", wrapping_spec="RSA_2048"):
        got = self.call("GetParametersForImport", KeyId=self.key, WrappingAlgorithm=algorithm, WrappingKeySpec=wrapping_spec)
        assert "PublicKey" in got, got
        assert abs(got["ParametersValidTo"] - time.time() - 86400) < 60
        return serialization.load_der_public_key(base64.b64decode(got["PublicKey"])), got["ImportToken"]

    def send(self, material, algorithm="RSAES_OAEP_SHA_256", wrapping_spec="RSA_2048", **members):
        public, token = self.parameters(algorithm, wrapping_spec)
        assert public.key_size == int(wrapping_spec[4:])
        members = members or FOREVER
        return self.call("ImportKeyMaterial", KeyId=self.key, ImportToken=token, EncryptedKeyMaterial=b64(wrap(public, algorithm, material)), **members)

    def material(self, *args, **members):
        answer = self.send(*args, **members)
        assert answer.get("KeyId", "").endswith(self.key), answer
        return self

    def state(self):
        return self.call("DescribeKey", KeyId=self.key)["KeyMetadata"]["KeyState"]

    def rotations(self):
        return self.call("ListKeyRotations", KeyId=self.key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    from conftest import Box, Service

    box = Box(tmp_path_factory.mktemp("import"))
    box.make_keystore()
    made = Service(box)
    yield made
    code = made.stop()
    box.close()
    assert code == 0, made.log()


@pytest.fixture
def call(service):
    return functools.partial(ask, service)


def private_der(private):
    return private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def spki(public):
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("algorithm", WRAPPINGS)
@pytest.mark.parametrize("wrapping_spec", ["RSA_2048", "RSA_4096"])
def test_symmetric_material_by_every_wrapping(call, algorithm, wrapping_spec):
    key = Import(call).material(os.urandom(32), algorithm, wrapping_spec)
    assert key.state() == "Enabled"
    blob = call("Encrypt", KeyId=key.key, Plaintext="eA==")["CiphertextBlob"]
    assert call("Decrypt", CiphertextBlob=blob)["Plaintext"] == "eA=="


def pairs():
    return [("RSA_2048", "SIGN_VERIFY", lambda: rsa.generate_private_key(65537, 2048)), ("RSA_3072", "ENCRYPT_DECRYPT", lambda: rsa.generate_private_key(65537, 3072)),
            ("ECC_NIST_P256", "KEY_AGREEMENT", lambda: ec.generate_private_key(ec.SECP256R1())),
            ("ECC_NIST_P384", "SIGN_VERIFY", lambda: ec.generate_private_key(ec.SECP384R1())),
            ("ECC_NIST_P521", "SIGN_VERIFY", lambda: ec.generate_private_key(ec.SECP521R1())),
            ("ECC_SECG_P256K1", "SIGN_VERIFY", lambda: ec.generate_private_key(ec.SECP256K1())),
            ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", ed25519.Ed25519PrivateKey.generate)]


@pytest.mark.parametrize("spec, usage, make", pairs(), ids=[p[0] for p in pairs()])
def test_private_keys(call, spec, usage, make):
    private = make()
    key = Import(call, spec, usage)
    if not spec.startswith("RSA") and spec != "ECC_NIST_P521":
        key.material(private_der(private), "RSAES_OAEP_SHA_256")
    else:
        refused = call("GetParametersForImport", KeyId=key.key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
        assert refused["__type"] == "UnsupportedOperationException"
        key.material(private_der(private), "RSA_AES_KEY_WRAP_SHA_256")
    assert call("GetPublicKey", KeyId=key.key)["PublicKey"] == b64(spki(private.public_key()))
    assert key.send(private_der(private), "RSA_AES_KEY_WRAP_SHA_1")["KeyId"].endswith(key.key)  # the same again
    assert key.send(private_der(make()), "RSA_AES_KEY_WRAP_SHA_1")["__type"] == "IncorrectKeyMaterialException"
    wrong = [b"x" * 32, private_der(private)[:-1], private_der(private) + b"\0", private_der(ec.generate_private_key(ec.SECP224R1())), spki(private.public_key())]
    for material in wrong:
        assert key.send(material, "RSA_AES_KEY_WRAP_SHA_256")["__type"] == "IncorrectKeyMaterialException"


def test_what_is_not_to_be_wrapped_with(call):
    key = Import(call).key
    for algorithm, spec in (("RSAES_PKCS1_V1_5", "RSA_2048"), ("SM2PKE", "RSA_2048"), ("RSAES_OAEP_SHA_256", "SM2")):
        assert call("GetParametersForImport", KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec=spec)["__type"] == "UnsupportedOperationException"
    own = call("CreateKey")["KeyMetadata"]["KeyId"]
    assert call("GetParametersForImport", KeyId=own, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")["__type"] == "UnsupportedOperationException"
    assert call("ImportKeyMaterial", KeyId=own, ImportToken="eA==", EncryptedKeyMaterial="eA==")["__type"] == "UnsupportedOperationException"
    assert call("DeleteImportedKeyMaterial", KeyId=own)["__type"] == "UnsupportedOperationException"


def test_tokens_and_wrapped_material_that_are_wrong(call):
    key, other = Import(call), Import(call)
    public, token = key.parameters()
    good = wrap(public, "RSAES_OAEP_SHA_256", b"k" * 32)
    send = functools.partial(call, "ImportKeyMaterial", **FOREVER)
    raw = base64.b64decode(token)
    for bad in (raw[:-1], raw + b"\0", bytes([raw[0] ^ 1]) + raw[1:], raw[:-1] + bytes([raw[-1] ^ 1]), raw[:20] + bytes([raw[20] ^ 1]) + raw[21:], b"x"):
        assert send(KeyId=key.key, ImportToken=b64(bad), EncryptedKeyMaterial=b64(good))["__type"] == "InvalidImportTokenException"
    assert send(KeyId=other.key, ImportToken=token, EncryptedKeyMaterial=b64(good))["__type"] == "InvalidImportTokenException"
    for bad in (good[:-1], good + b"\0", b"\0" * 256, good[:-1] + bytes([good[-1] ^ 1]), wrap(public, "RSAES_OAEP_SHA_1", b"k" * 32), b"x"):
        assert send(KeyId=key.key, ImportToken=token, EncryptedKeyMaterial=b64(bad)) == {"__type": "InvalidCiphertextException"}
    for size in (16, 31, 33):
        assert key.send(b"k" * size)["__type"] == "IncorrectKeyMaterialException"
    aes_public, aes_token = key.parameters("RSA_AES_KEY_WRAP_SHA_256")
    wrapped = wrap(aes_public, "RSA_AES_KEY_WRAP_SHA_256", b"k" * 32)
    for bad in (wrapped[:-1], wrapped[:-8], wrapped[:256], wrapped[:-1] + bytes([wrapped[-1] ^ 1]), wrapped + b"\0" * 8):
        assert send(KeyId=key.key, ImportToken=aes_token, EncryptedKeyMaterial=b64(bad)) == {"__type": "InvalidCiphertextException"}
    assert key.state() == "PendingImport"
    assert "KeyId" in send(KeyId=key.key, ImportToken=token, EncryptedKeyMaterial=b64(good))
    assert key.state() == "Enabled"


def test_validity_is_asked_for(call):
    key, now = Import(call), time.time()
    for members in ({"ExpirationModel": "KEY_MATERIAL_EXPIRES"}, {**FOREVER, "ValidTo": now + 60}, {"ValidTo": now - 1}, {"ValidTo": now + 366 * 86400},
                    {"ImportType": "NEW_KEY_MATERIAL", "KeyMaterialId": "a" * 64, **FOREVER}):
        assert key.send(b"k" * 32, **members)["__type"] == "ValidationException", members
    key.material(b"k" * 32, ValidTo=now + 86400)
    shown = call("DescribeKey", KeyId=key.key)["KeyMetadata"]
    assert shown["ExpirationModel"] == "KEY_MATERIAL_EXPIRES" and abs(shown["ValidTo"] - now - 86400) < 1
    key.material(b"k" * 32)
    shown = call("DescribeKey", KeyId=key.key)["KeyMetadata"]
    assert shown["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE" and "ValidTo" not in shown


def test_material_goes_and_comes_back(call):
    key, secret = Import(call), os.urandom(32)
    first = key.send(secret)["KeyMaterialId"]
    blob = call("Encrypt", KeyId=key.key, Plaintext="eA==")["CiphertextBlob"]
    assert call("DeleteImportedKeyMaterial", KeyId=key.key)["KeyMaterialId"] == first
    assert key.state() == "PendingImport"
    assert call("Decrypt", CiphertextBlob=blob)["__type"] == "KMSInvalidStateException"
    assert "__type" not in call("DeleteImportedKeyMaterial", KeyId=key.key)
    assert key.send(os.urandom(32))["__type"] == "IncorrectKeyMaterialException"
    assert key.send(secret, ImportType="NEW_KEY_MATERIAL", **FOREVER)["__type"] == "IncorrectKeyMaterialException"
    assert key.send(secret)["KeyMaterialId"] == first
    assert call("Decrypt", CiphertextBlob=blob)["Plaintext"] == "eA=="


def test_material_expires(service, call):
    key, secret = Import(call), os.urandom(32)
    key.material(secret, ValidTo=time.time() + 3600)
    assert key.state() == "Enabled"
    # The same material again, with less time: how much is enough for the request to arrive, a busy machine decides.
    assert any("KeyId" in key.send(secret, ValidTo=time.time() + seconds) for seconds in (2, 15, 60))
    deadline = time.monotonic() + 120
    while key.state() == "Enabled" and time.monotonic() < deadline:
        time.sleep(0.5)
    assert key.state() == "PendingImport"
    key.material(secret)
    assert key.state() == "Enabled"


def test_imported_keys_rotate_by_new_material(call):
    key, secrets = Import(call), [os.urandom(32) for _ in range(2)]
    first = key.send(secrets[0], **FOREVER, KeyMaterialDescription="the first")["KeyMaterialId"]
    old = call("Encrypt", KeyId=key.key, Plaintext="eA==")["CiphertextBlob"]
    assert call("RotateKeyOnDemand", KeyId=key.key)["__type"] == "KMSInvalidStateException"
    assert call("EnableKeyRotation", KeyId=key.key)["__type"] == "UnsupportedOperationException"
    second = key.send(secrets[1], ImportType="NEW_KEY_MATERIAL", **FOREVER)["KeyMaterialId"]
    assert [(r["KeyMaterialId"], r["KeyMaterialState"], r["ImportState"]) for r in key.rotations()] == [
        (first, "CURRENT", "IMPORTED"), (second, "PENDING_ROTATION", "IMPORTED")]
    assert key.rotations()[0]["KeyMaterialDescription"] == "the first"
    assert key.send(os.urandom(32), ImportType="NEW_KEY_MATERIAL", **FOREVER)["__type"] == "KMSInvalidStateException"
    assert call("Decrypt", CiphertextBlob=old)["KeyMaterialId"] == first
    assert call("RotateKeyOnDemand", KeyId=key.key)["KeyId"].endswith(key.key)
    assert [(r["KeyMaterialState"], r.get("RotationType")) for r in key.rotations()] == [("NON_CURRENT", None), ("CURRENT", "ON_DEMAND")]
    new = call("Encrypt", KeyId=key.key, Plaintext="eQ==")["CiphertextBlob"]
    assert [call("Decrypt", CiphertextBlob=b)["KeyMaterialId"] for b in (old, new)] == [first, second]
    assert call("DeleteImportedKeyMaterial", KeyId=key.key, KeyMaterialId=first)["KeyMaterialId"] == first
    assert key.state() == "PendingImport" and key.rotations()[0]["ImportState"] == "PENDING_IMPORT"
    assert key.send(secrets[1], KeyMaterialId=first, **FOREVER)["__type"] == "IncorrectKeyMaterialException"
    key.material(secrets[0], KeyMaterialId=first, **FOREVER)
    assert key.state() == "Enabled" and call("Decrypt", CiphertextBlob=old)["Plaintext"] == "eA=="
    pending = key.send(os.urandom(32), ImportType="NEW_KEY_MATERIAL", **FOREVER)["KeyMaterialId"]
    call("DeleteImportedKeyMaterial", KeyId=key.key, KeyMaterialId=pending)
    assert key.state() == "Enabled" and [r["KeyMaterialId"] for r in key.rotations()] == [first, second]


# ---- Multi-Region keys ----


def test_a_key_in_two_regions(service, call):
    west = functools.partial(ask, service, _region="eu-west-1")
    made = call("CreateKey", MultiRegion=True, Description="primary", Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
    key = made["KeyId"]
    assert key.startswith("mrk-") and len(key) == 36 and made["MultiRegion"] is True
    assert made["MultiRegionConfiguration"] == {"MultiRegionKeyType": "PRIMARY", "PrimaryKey": {"Arn": made["Arn"], "Region": "us-east-1"}, "ReplicaKeys": []}
    before = call("Encrypt", KeyId=key, Plaintext="eA==")["CiphertextBlob"]
    replica = call("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1", Description="replica", Tags=[{"TagKey": "c", "TagValue": "d"}])
    shown = replica["ReplicaKeyMetadata"]
    assert shown["Arn"] == made["Arn"].replace("us-east-1", "eu-west-1") and shown["KeyState"] == "Enabled" and shown["Description"] == "replica"
    assert shown["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA"
    assert replica["ReplicaTags"] == [{"TagKey": "c", "TagValue": "d"}] and "kms:*" in replica["ReplicaPolicy"]
    assert west("Decrypt", CiphertextBlob=before)["Plaintext"] == "eA=="
    assert call("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1")["__type"] == "AlreadyExistsException"
    assert call("ReplicateKey", KeyId=key, ReplicaRegion="us-east-1")["__type"] == "AlreadyExistsException"
    assert west("ReplicateKey", KeyId=key, ReplicaRegion="eu-west-2")["__type"] == "UnsupportedOperationException"
    single = call("CreateKey")["KeyMetadata"]["KeyId"]
    assert call("ReplicateKey", KeyId=single, ReplicaRegion="eu-west-1")["__type"] == "UnsupportedOperationException"
    # Rotation is the primary's, and reaches the replica.
    assert west("EnableKeyRotation", KeyId=key)["__type"] == "UnsupportedOperationException"
    call("EnableKeyRotation", KeyId=key)
    assert west("GetKeyRotationStatus", KeyId=key)["KeyRotationEnabled"] is True
    call("RotateKeyOnDemand", KeyId=key)
    after = west("Encrypt", KeyId=key, Plaintext="eQ==")["CiphertextBlob"]
    assert call("Decrypt", CiphertextBlob=after)["Plaintext"] == "eQ=="
    assert west("Decrypt", CiphertextBlob=before)["Plaintext"] == "eA=="
    # States are each Region's own.
    west("DisableKey", KeyId=key)
    assert call("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    assert call("UpdatePrimaryRegion", KeyId=key, PrimaryRegion="eu-west-1")["__type"] == "DisabledException"
    west("EnableKey", KeyId=key)
    assert call("UpdatePrimaryRegion", KeyId=key, PrimaryRegion="eu-west-2")["__type"] == "NotFoundException"
    assert call("UpdatePrimaryRegion", KeyId=key, PrimaryRegion="eu-west-1") is None
    assert west("DescribeKey", KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"
    assert call("DescribeKey", KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA"
    assert call("GetKeyRotationStatus", KeyId=key)["KeyRotationEnabled"] is True
    assert call("UpdatePrimaryRegion", KeyId=key, PrimaryRegion="us-east-1")["__type"] == "UnsupportedOperationException"
    # The primary waits for its replica.
    waiting = west("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    assert waiting["KeyState"] == "PendingReplicaDeletion" and "DeletionDate" not in waiting
    assert west("DescribeKey", KeyId=key)["KeyMetadata"]["PendingDeletionWindowInDays"] == 7
    west("CancelKeyDeletion", KeyId=key)
    assert west("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"


def test_imported_material_in_two_regions(service, call):
    west, secrets = functools.partial(ask, service, _region="eu-west-1"), [os.urandom(32) for _ in range(2)]
    primary = Import(call, MultiRegion=True).material(secrets[0])
    assert call("ReplicateKey", KeyId=primary.key, ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]["KeyState"] == "PendingImport"
    replica = Import(west, key=primary.key)
    assert replica.send(secrets[1])["__type"] == "IncorrectKeyMaterialException"
    replica.material(secrets[0])
    assert replica.state() == "Enabled"
    blob = call("Encrypt", KeyId=primary.key, Plaintext="eA==")["CiphertextBlob"]
    assert west("Decrypt", CiphertextBlob=blob)["Plaintext"] == "eA=="
    primary.material(secrets[1], ImportType="NEW_KEY_MATERIAL", **FOREVER)
    assert primary.rotations()[1]["KeyMaterialState"] == "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
    assert call("RotateKeyOnDemand", KeyId=primary.key)["__type"] == "KMSInvalidStateException"
    replica.material(secrets[1])
    assert primary.rotations()[1]["KeyMaterialState"] == "PENDING_ROTATION"
    assert "KeyId" in call("RotateKeyOnDemand", KeyId=primary.key)
    blob = call("Encrypt", KeyId=primary.key, Plaintext="eQ==")["CiphertextBlob"]
    assert west("Decrypt", CiphertextBlob=blob)["Plaintext"] == "eQ=="


# ---- The rest ----


def test_tags(call):
    key = call("CreateKey", Tags=[{"TagKey": "a", "TagValue": "1"}])["KeyMetadata"]["KeyId"]
    assert call("TagResource", KeyId=key, Tags=[{"TagKey": "a", "TagValue": "2"}, {"TagKey": "ä", "TagValue": ""}]) is None
    assert call("ListResourceTags", KeyId=key) == {"Tags": [{"TagKey": "a", "TagValue": "2"}, {"TagKey": "ä", "TagValue": ""}], "Truncated": False}
    page = call("ListResourceTags", KeyId=key, Limit=1)
    assert page["Truncated"] is True and call("ListResourceTags", KeyId=key, Limit=1, Marker=page["NextMarker"])["Tags"][0]["TagKey"] == "ä"
    assert call("ListResourceTags", KeyId=key, Marker="nonsense")["__type"] == "InvalidMarkerException"
    assert call("UntagResource", KeyId=key, TagKeys=["a", "not there"]) is None
    assert [t["TagKey"] for t in call("ListResourceTags", KeyId=key)["Tags"]] == ["ä"]
    for tags in ([{"TagKey": "aws:x", "TagValue": ""}], [{"TagKey": "x", "TagValue": ""}] * 2):
        assert call("TagResource", KeyId=key, Tags=tags)["__type"] == "TagException"
    assert call("UntagResource", KeyId=key, TagKeys=["aws:x"])["__type"] == "TagException"
    many = [{"TagKey": f"t{i}", "TagValue": "v" * 256} for i in range(49)]
    assert call("TagResource", KeyId=key, Tags=many) is None
    assert call("TagResource", KeyId=key, Tags=[{"TagKey": "one more", "TagValue": ""}])["__type"] == "LimitExceededException"
    assert len(call("ListResourceTags", KeyId=key)["Tags"]) == 50


def test_last_use(service, call):
    key = call("CreateKey")["KeyMetadata"]
    never = call("GetKeyLastUsage", KeyId=key["KeyId"])
    assert never == {"KeyId": key["KeyId"], "KeyLastUsage": {}, "TrackingStartDate": key["CreationDate"], "KeyCreationDate": key["CreationDate"]}
    call("DescribeKey", KeyId=key["KeyId"])
    call("Encrypt", KeyId=key["KeyId"], Plaintext="eA==", DryRun=True)
    assert call("GetKeyLastUsage", KeyId=key["KeyId"])["KeyLastUsage"] == {}
    other = call("CreateKey")["KeyMetadata"]["KeyId"]
    blob = call("Encrypt", KeyId=key["KeyId"], Plaintext="eA==")["CiphertextBlob"]
    call("ReEncrypt", CiphertextBlob=blob, DestinationKeyId=other)
    used = call("GetKeyLastUsage", KeyId=key["KeyId"])["KeyLastUsage"]
    assert used["Operation"] == "ReEncrypt" and abs(used["Timestamp"] - time.time()) < 60
    assert call("GetKeyLastUsage", KeyId=other)["KeyLastUsage"]["CloudTrailEventId"] == used["CloudTrailEventId"]
    record = next(r for r in service.box.run("kms", "audit", "--json").stdout.splitlines() if used["CloudTrailEventId"] in r)
    assert used["KmsRequestId"] in record and '"ReEncrypt"' in record


def test_custom_key_stores(call):
    assert call("DescribeCustomKeyStores") == {"CustomKeyStores": [], "Truncated": False}
    assert call("CreateCustomKeyStore", CustomKeyStoreName="x")["__type"] == "UnsupportedOperationException"
    for operation in ("ConnectCustomKeyStore", "DisconnectCustomKeyStore", "UpdateCustomKeyStore", "DeleteCustomKeyStore", "DescribeCustomKeyStores"):
        assert call(operation, CustomKeyStoreId="cks-1") == {"__type": "CustomKeyStoreNotFoundException", "message": "Custom key store cks-1 is not found."}
    assert call("GenerateRandom", NumberOfBytes=1, CustomKeyStoreId="cks-1")["__type"] == "CustomKeyStoreNotFoundException"


def test_dry_runs(call):
    symmetric = call("CreateKey")["KeyMetadata"]["KeyId"]
    pair = call("CreateKey", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    mac = call("CreateKey", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    blob = call("Encrypt", KeyId=symmetric, Plaintext="eA==")["CiphertextBlob"]
    dry = {"__type": "DryRunOperationException", "message": "The request would have succeeded, but the DryRun option is set."}
    for operation, members in (
            ("Encrypt", {"KeyId": symmetric, "Plaintext": "eA=="}), ("Decrypt", {"CiphertextBlob": blob}),
            ("Decrypt", {"KeyId": symmetric, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}),
            ("ReEncrypt", {"CiphertextBlob": blob, "DestinationKeyId": symmetric}),
            ("ReEncrypt", {"SourceKeyId": symmetric, "DestinationKeyId": symmetric, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}),
            ("GenerateDataKey", {"KeyId": symmetric, "KeySpec": "AES_256"}), ("GenerateDataKeyWithoutPlaintext", {"KeyId": symmetric, "KeySpec": "AES_256"}),
            ("GenerateDataKeyPair", {"KeyId": symmetric, "KeyPairSpec": "RSA_4096"}),
            ("GenerateDataKeyPairWithoutPlaintext", {"KeyId": symmetric, "KeyPairSpec": "RSA_4096"}),
            ("Sign", {"KeyId": pair, "Message": "eA==", "SigningAlgorithm": "ECDSA_SHA_256"}), ("GenerateMac", {"KeyId": mac, "Message": "eA==", "MacAlgorithm": "HMAC_SHA_256"})):
        assert call(operation, DryRun=True, **members) == dry, operation
    assert call("Decrypt", KeyId=symmetric, DryRunModifiers=["IGNORE_CIPHERTEXT"])["__type"] == "ValidationException"
    assert call("Decrypt", KeyId=symmetric)["message"].startswith("1 validation error detected: Value null at 'ciphertextBlob'")
