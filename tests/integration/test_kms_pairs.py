"""Key pairs and HMAC keys against an independent implementation (python3-cryptography): every algorithm forth and back, and what must not verify."""

import base64
import functools
import hashlib
import hmac
import os

import pytest
from test_kms_wire import ask

cryptography = pytest.importorskip("cryptography", reason="python3-cryptography is not installed: nothing to compare with")
from cryptography.exceptions import InvalidSignature  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils  # noqa: E402

HASHES = {"1": hashes.SHA1, "256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"ECC_NIST_P256": ec.SECP256R1, "ECC_NIST_P384": ec.SECP384R1, "ECC_NIST_P521": ec.SECP521R1, "ECC_SECG_P256K1": ec.SECP256K1}
RSA_SPECS = ["RSA_2048", "RSA_3072", "RSA_4096"]
RSA_SIGNING = [f"RSASSA_{scheme}_SHA_{n}" for scheme in ("PKCS1_V1_5", "PSS") for n in (256, 384, 512)]
ECDSA = {"ECC_NIST_P256": "ECDSA_SHA_256", "ECC_NIST_P384": "ECDSA_SHA_384", "ECC_NIST_P521": "ECDSA_SHA_512", "ECC_SECG_P256K1": "ECDSA_SHA_256"}
INVALID = {"__type": "KMSInvalidSignatureException"}
MESSAGE = b"a message of a few words"


def b64(data):
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    from conftest import Box, Service

    box = Box(tmp_path_factory.mktemp("pairs"))
    box.make_keystore()
    service = Service(box)
    yield World(service)
    code = service.stop()
    box.close()
    assert code == 0, service.log()


class World:
    """One service, and keys that are made once for all tests."""

    def __init__(self, service):
        self.service = service
        self.ask = functools.partial(ask, service)

    @functools.lru_cache(maxsize=None)
    def key(self, spec, usage):
        made = self.ask("CreateKey", KeySpec=spec, KeyUsage=usage)
        assert "KeyMetadata" in made, made
        return made["KeyMetadata"]["KeyId"]

    @functools.lru_cache(maxsize=None)
    def public(self, spec, usage):
        answer = self.ask("GetPublicKey", KeyId=self.key(spec, usage))
        assert answer["KeySpec"] == spec and answer["KeyUsage"] == usage and answer["CustomerMasterKeySpec"] == spec
        return serialization.load_der_public_key(base64.b64decode(answer["PublicKey"]))

    def sign(self, spec, algorithm, message, kind="RAW"):
        answer = self.ask("Sign", KeyId=self.key(spec, "SIGN_VERIFY"), SigningAlgorithm=algorithm, Message=b64(message), MessageType=kind)
        assert answer.get("SigningAlgorithm") == algorithm and answer["KeyId"].startswith("arn:aws:kms:"), answer
        return base64.b64decode(answer["Signature"])

    def verify(self, spec, algorithm, message, signature, kind="RAW"):
        return self.ask("Verify", KeyId=self.key(spec, "SIGN_VERIFY"), SigningAlgorithm=algorithm, Message=b64(message), MessageType=kind,
                        Signature=b64(signature))


def digest(algorithm, message):
    return hashlib.new("sha" + algorithm.rsplit("_", 1)[1], message).digest()


def check(public, algorithm, message, signature):
    """The other implementation's verdict; raises InvalidSignature."""
    h = HASHES[algorithm.rsplit("_", 1)[1]]()
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(signature, message)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(signature, message, ec.ECDSA(h))
    elif "PSS" in algorithm:
        public.verify(signature, message, padding.PSS(padding.MGF1(h), h.digest_size), h)
    else:
        public.verify(signature, message, padding.PKCS1v15(), h)


def signing_cases():
    return [(s, a) for s in RSA_SPECS for a in RSA_SIGNING] + list(ECDSA.items()) + [("ECC_NIST_EDWARDS25519", "ED25519_SHA_512")]


@pytest.mark.parametrize("spec, algorithm", signing_cases())
def test_signatures(world, spec, algorithm):
    public = world.public(spec, "SIGN_VERIFY")
    for message in (b"x", MESSAGE, os.urandom(4096)):
        signature = world.sign(spec, algorithm, message)
        check(public, algorithm, message, signature)
        with pytest.raises(InvalidSignature):
            check(public, algorithm, message + b"y", signature)
        assert world.verify(spec, algorithm, message, signature)["SignatureValid"] is True
    if not algorithm.startswith("ED25519"):
        by_digest = world.sign(spec, algorithm, digest(algorithm, MESSAGE), "DIGEST")
        check(public, algorithm, MESSAGE, by_digest)
        assert world.verify(spec, algorithm, digest(algorithm, MESSAGE), by_digest, "DIGEST")["SignatureValid"] is True
        assert world.verify(spec, algorithm, MESSAGE, by_digest)["SignatureValid"] is True


@pytest.mark.parametrize("spec, algorithm", [("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"), ("RSA_2048", "RSASSA_PSS_SHA_512"), *ECDSA.items(),
                                             ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512")])
def test_what_is_no_signature_does_not_verify(world, spec, algorithm):
    good = world.sign(spec, algorithm, MESSAGE)
    assert world.verify(spec, algorithm, MESSAGE, good)["SignatureValid"] is True
    flipped = [bytes(c ^ (1 << bit if i == at else 0) for i, c in enumerate(good)) for at in range(0, len(good), max(1, len(good) // 24))
               for bit in (0, 7)]
    bad = flipped + [good[:-1], good + b"\0", b"\0" + good, good[1:], b"\0" * len(good), b"\xff" * len(good), b"x", good + good]
    if algorithm.startswith("ECDSA"):
        r, s = utils.decode_dss_signature(good)
        order = {"ECC_NIST_P256": 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551}.get(spec)
        bad += [utils.encode_dss_signature(*p) for p in ((0, s), (r, 0), (0, 0), (r, s + (order or 1 << 530)), (s, r))]
        bad += [b"\x30\x81" + good[1:], good[:1] + bytes([good[1] + 1]) + good[2:] + b"\0"]  # BER is not DER
    for signature in bad:
        assert world.verify(spec, algorithm, MESSAGE, signature) == INVALID, signature.hex()
    assert world.verify(spec, algorithm, MESSAGE + b".", good) == INVALID
    other = world.ask("CreateKey", KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    assert world.ask("Verify", KeyId=other, SigningAlgorithm=algorithm, Message=b64(MESSAGE), Signature=b64(good)) == INVALID
    if spec.startswith("RSA"):
        for wrong in set(RSA_SIGNING) - {algorithm}:
            assert world.verify(spec, wrong, MESSAGE, good) == INVALID


def test_pss_with_another_salt_or_mask_does_not_verify(world):
    """Signatures by a key that was imported, so that the other implementation can make them."""
    private = rsa.generate_private_key(65537, 2048)
    key = import_private(world, "RSA_2048", "SIGN_VERIFY", private)
    ask_verify = functools.partial(world.ask, "Verify", KeyId=key, Message=b64(MESSAGE))
    for salt, mask, valid in ((32, hashes.SHA256, True), (0, hashes.SHA256, False), (20, hashes.SHA256, False), (222, hashes.SHA256, False),
                              (32, hashes.SHA1, False)):
        s = private.sign(MESSAGE, padding.PSS(padding.MGF1(mask()), salt), hashes.SHA256())
        answer = ask_verify(SigningAlgorithm="RSASSA_PSS_SHA_256", Signature=b64(s))
        assert answer.get("SignatureValid", False) is valid and (valid or answer == INVALID), (salt, mask)


def import_private(world, spec, usage, private):
    from test_kms_import import Import

    return Import(world.ask, spec, usage).material(private_der(private), "RSA_AES_KEY_WRAP_SHA_256").key


def private_der(private):
    return private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def test_digests_of_the_wrong_length_and_kinds(world):
    for spec, algorithm in (("RSA_2048", "RSASSA_PSS_SHA_256"), ("ECC_NIST_P384", "ECDSA_SHA_384")):
        for message in (MESSAGE, b"x" * 20, b"x" * 64):
            for operation, more in (("Sign", {}), ("Verify", {"Signature": "AAAA"})):
                answer = world.ask(operation, KeyId=world.key(spec, "SIGN_VERIFY"), SigningAlgorithm=algorithm, MessageType="DIGEST",
                                   Message=b64(message), **more)
                assert answer == {"__type": "ValidationException", "message": f"Digest is invalid length for algorithm {algorithm}."}
    answer = world.ask("Sign", KeyId=world.key("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"), SigningAlgorithm="ED25519_SHA_512", MessageType="DIGEST",
                       Message=b64(b"x" * 64))
    assert answer == {"__type": "ValidationException", "message": "MessageType DIGEST is not valid for the signing algorithm ED25519_SHA_512."}
    answer = world.ask("Sign", KeyId=world.key("RSA_2048", "SIGN_VERIFY"), SigningAlgorithm="RSASSA_PSS_SHA_256", MessageType="EXTERNAL_MU",
                       Message=b64(b"x" * 64))
    assert answer["__type"] == "ValidationException"


def test_algorithms_that_do_not_fit(world):
    usage = {"RSA_2048": "SIGN_VERIFY", "ECC_NIST_P256": "SIGN_VERIFY", "HMAC_256": "GENERATE_VERIFY_MAC"}
    for spec, algorithm in (("RSA_2048", "ECDSA_SHA_256"), ("ECC_NIST_P256", "ECDSA_SHA_384"), ("ECC_NIST_P256", "RSASSA_PSS_SHA_256"),
                            ("ECC_NIST_P256", "ED25519_SHA_512"), ("ECC_NIST_P256", "SM2DSA"), ("ECC_NIST_P256", "ML_DSA_SHAKE_256")):
        answer = world.ask("Sign", KeyId=world.key(spec, usage[spec]), SigningAlgorithm=algorithm, Message="eA==")
        assert answer == {"__type": "InvalidKeyUsageException", "message": f"Algorithm {algorithm} and key spec {spec} are not compatible."}
    answer = world.ask("GenerateMac", KeyId=world.key("HMAC_256", "GENERATE_VERIFY_MAC"), MacAlgorithm="HMAC_SHA_512", Message="eA==")
    assert answer["__type"] == "InvalidKeyUsageException"
    key = world.key("RSA_2048", "SIGN_VERIFY")
    arn = world.ask("DescribeKey", KeyId=key)["KeyMetadata"]["Arn"]
    answer = world.ask("Encrypt", KeyId=key, Plaintext="eA==", EncryptionAlgorithm="RSAES_OAEP_SHA_1")
    assert answer == {"__type": "InvalidKeyUsageException", "message": f"{arn} key usage is SIGN_VERIFY which is not valid for Encrypt."}
    symmetric = world.ask("CreateKey")["KeyMetadata"]["KeyId"]
    for operation, members in (("GetPublicKey", {}), ("Sign", {"Message": "eA==", "SigningAlgorithm": "ECDSA_SHA_256"}),
                               ("GenerateMac", {"Message": "eA==", "MacAlgorithm": "HMAC_SHA_256"}),
                               ("DeriveSharedSecret", {"PublicKey": "eA==", "KeyAgreementAlgorithm": "ECDH"})):
        expected = "UnsupportedOperationException" if operation == "GetPublicKey" else "InvalidKeyUsageException"
        assert world.ask(operation, KeyId=symmetric, **members)["__type"] == expected
    for operation, members in (("GenerateDataKey", {"KeySpec": "AES_256"}), ("GenerateDataKeyPair", {"KeyPairSpec": "ECC_NIST_P256"})):
        assert world.ask(operation, KeyId=world.key("HMAC_256", "GENERATE_VERIFY_MAC"), **members)["__type"] == "InvalidKeyUsageException"


@pytest.mark.parametrize("spec", RSA_SPECS)
@pytest.mark.parametrize("name", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"])
def test_oaep(world, spec, name):
    key, public = world.key(spec, "ENCRYPT_DECRYPT"), world.public(spec, "ENCRYPT_DECRYPT")
    limit = {"RSA_2048": (214, 190), "RSA_3072": (342, 318), "RSA_4096": (470, 446)}[spec][name.endswith("256")]
    h = HASHES[name.rsplit("_", 1)[1]]
    oaep = padding.OAEP(padding.MGF1(h()), h(), None)
    for plaintext in (b"x", os.urandom(limit)):
        theirs = public.encrypt(plaintext, oaep)
        ours = base64.b64decode(world.ask("Encrypt", KeyId=key, Plaintext=b64(plaintext), EncryptionAlgorithm=name)["CiphertextBlob"])
        for blob in (theirs, ours):
            answer = world.ask("Decrypt", KeyId=key, CiphertextBlob=b64(blob), EncryptionAlgorithm=name)
            assert answer["Plaintext"] == b64(plaintext) and answer["EncryptionAlgorithm"] == name and "KeyMaterialId" not in answer
    answer = world.ask("Encrypt", KeyId=key, Plaintext=b64(b"x" * (limit + 1)), EncryptionAlgorithm=name)
    assert answer == {"__type": "ValidationException",
                      "message": f"Algorithm {name} and key spec {spec} cannot encrypt data larger than {limit} bytes."}
    wrong = padding.OAEP(padding.MGF1(h()), h(), b"label")
    mixed = padding.OAEP(padding.MGF1(hashes.SHA384()), h(), None)
    bad = [theirs[:-1], theirs + b"\0", b"\0" * len(theirs), b"\xff" * len(theirs), b"x", public.encrypt(b"x", wrong), public.encrypt(b"x", mixed),
           public.encrypt(b"x", padding.PKCS1v15())] + [bytes([theirs[0], theirs[1] ^ 1]) + theirs[2:], theirs[:-1] + bytes([theirs[-1] ^ 1])]
    for blob in bad:
        assert world.ask("Decrypt", KeyId=key, CiphertextBlob=b64(blob), EncryptionAlgorithm=name) == {"__type": "InvalidCiphertextException"}
    other = "RSAES_OAEP_SHA_1" if name.endswith("256") else "RSAES_OAEP_SHA_256"
    assert world.ask("Decrypt", KeyId=key, CiphertextBlob=b64(ours), EncryptionAlgorithm=other) == {"__type": "InvalidCiphertextException"}


def test_rsa_needs_its_key_and_algorithm_named(world):
    key = world.key("RSA_2048", "ENCRYPT_DECRYPT")
    blob = world.ask("Encrypt", KeyId=key, Plaintext="eA==", EncryptionAlgorithm="RSAES_OAEP_SHA_256")["CiphertextBlob"]
    assert world.ask("Decrypt", CiphertextBlob=blob, EncryptionAlgorithm="RSAES_OAEP_SHA_256")["__type"] == "ValidationException"
    assert world.ask("Decrypt", CiphertextBlob=blob)["__type"] == "InvalidCiphertextException"
    assert world.ask("Decrypt", CiphertextBlob=blob, KeyId=key)["__type"] == "InvalidKeyUsageException"
    assert world.ask("Encrypt", KeyId=key, Plaintext="eA==")["__type"] == "InvalidKeyUsageException"
    assert world.ask("Encrypt", KeyId=key, Plaintext="eA==", EncryptionAlgorithm="RSAES_OAEP_SHA_256",
                     EncryptionContext={"a": "b"})["__type"] == "ValidationException"
    symmetric = world.ask("CreateKey")["KeyMetadata"]["KeyId"]
    into = world.ask("ReEncrypt", CiphertextBlob=blob, SourceKeyId=key, SourceEncryptionAlgorithm="RSAES_OAEP_SHA_256", DestinationKeyId=symmetric)
    assert into["SourceEncryptionAlgorithm"] == "RSAES_OAEP_SHA_256" and into["DestinationEncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    back = world.ask("ReEncrypt", CiphertextBlob=into["CiphertextBlob"], DestinationKeyId=key, DestinationEncryptionAlgorithm="RSAES_OAEP_SHA_1")
    assert world.ask("Decrypt", KeyId=key, CiphertextBlob=back["CiphertextBlob"], EncryptionAlgorithm="RSAES_OAEP_SHA_1")["Plaintext"] == "eA=="


@pytest.mark.parametrize("bits", [224, 256, 384, 512])
def test_macs(world, bits):
    from test_kms_import import Import

    secret = os.urandom(bits // 8)
    key = Import(world.ask, f"HMAC_{bits}", "GENERATE_VERIFY_MAC").material(secret, "RSAES_OAEP_SHA_256").key
    name = f"HMAC_SHA_{bits}"
    for message in (b"x", os.urandom(4096)):
        answer = world.ask("GenerateMac", KeyId=key, MacAlgorithm=name, Message=b64(message))
        expected = hmac.new(secret, message, f"sha{bits}").digest()
        assert base64.b64decode(answer["Mac"]) == expected and answer["MacAlgorithm"] == name
        assert world.ask("VerifyMac", KeyId=key, MacAlgorithm=name, Message=b64(message), Mac=answer["Mac"])["MacValid"] is True
    for bad in (expected[:-1], expected + b"\0", b"\0" * len(expected), expected[:-1] + bytes([expected[-1] ^ 1]), bytes([expected[0] ^ 128]) + expected[1:],
                hmac.new(secret, message + b"x", f"sha{bits}").digest(), expected[:4]):
        assert world.ask("VerifyMac", KeyId=key, MacAlgorithm=name, Message=b64(message), Mac=b64(bad)) == {"__type": "KMSInvalidMacException"}
    generated = world.key(f"HMAC_{bits}", "GENERATE_VERIFY_MAC")
    assert world.ask("VerifyMac", KeyId=generated, MacAlgorithm=name, Message=b64(message), Mac=b64(expected)) == {"__type": "KMSInvalidMacException"}


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"])
def test_agreement(world, spec):
    key, public, curve = world.key(spec, "KEY_AGREEMENT"), world.public(spec, "KEY_AGREEMENT"), CURVES[spec]()
    mine = ec.generate_private_key(curve)
    spki = mine.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    answer = world.ask("DeriveSharedSecret", KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=b64(spki))
    assert base64.b64decode(answer["SharedSecret"]) == mine.exchange(ec.ECDH(), public)
    assert answer["KeyAgreementAlgorithm"] == "ECDH" and answer["KeyOrigin"] == "AWS_KMS"
    other = ec.generate_private_key(ec.SECP256K1()).public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    off = spki[:-1] + bytes([spki[-1] ^ 1])  # not on the curve
    infinity = spki[:-(1 + 2 * ((curve.key_size + 7) // 8))] + b"\0"
    for bad in (other, off, infinity, spki[:-1], spki + b"\0", b"x", private_der(mine)):
        assert world.ask("DeriveSharedSecret", KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=b64(bad))["__type"] == "ValidationException"
    assert world.ask("Sign", KeyId=key, Message="eA==", SigningAlgorithm=ECDSA[spec])["__type"] == "InvalidKeyUsageException"


@pytest.mark.parametrize("spec", [*RSA_SPECS, *CURVES, "ECC_NIST_EDWARDS25519"])
def test_data_key_pairs(world, spec):
    key, context = world.key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), {"for": "a pair"}
    made = world.ask("GenerateDataKeyPair", KeyId=key, KeyPairSpec=spec, EncryptionContext=context)
    private = serialization.load_der_private_key(base64.b64decode(made["PrivateKeyPlaintext"]), None)
    spki = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert made["PublicKey"] == b64(spki) and made["KeyPairSpec"] == spec and len(made["KeyMaterialId"]) == 64
    if spec.startswith("RSA"):
        assert private.key_size == int(spec[4:])
    opened = world.ask("Decrypt", CiphertextBlob=made["PrivateKeyCiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == made["PrivateKeyPlaintext"]
    assert world.ask("Decrypt", CiphertextBlob=made["PrivateKeyCiphertextBlob"]) == {"__type": "InvalidCiphertextException"}
    if spec != "RSA_4096":
        bare = world.ask("GenerateDataKeyPairWithoutPlaintext", KeyId=key, KeyPairSpec=spec)
        assert "PrivateKeyPlaintext" not in bare and bare["PublicKey"] != made["PublicKey"]
        assert world.ask("GenerateDataKeyPair", KeyId=key, KeyPairSpec=spec, DryRun=True)["__type"] == "DryRunOperationException"


def test_what_this_openssl_lacks_is_said(world):
    assert world.ask("GenerateDataKeyPair", KeyId=world.key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), KeyPairSpec="SM2")["__type"] == "UnsupportedOperationException"
    answer = world.ask("CreateKey", KeySpec="ML_DSA_65", KeyUsage="SIGN_VERIFY")
    assert "KeyMetadata" in answer or (answer["__type"] == "UnsupportedOperationException" and "OpenSSL 3.5" in answer["message"])
    answer = world.ask("Sign", KeyId=world.key("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"), SigningAlgorithm="ED25519_PH_SHA_512", MessageType="DIGEST",
                       Message=b64(b"x" * 64))
    assert "Signature" in answer or (answer["__type"] == "UnsupportedOperationException" and "OpenSSL 3.2" in answer["message"])


def test_recipients_are_refused(world):
    key, recipient = world.key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": "eA=="}
    for operation, members in (("GenerateDataKey", {"KeyId": key, "KeySpec": "AES_256"}), ("GenerateDataKeyPair", {"KeyId": key, "KeyPairSpec": "RSA_2048"}),
                               ("GenerateRandom", {"NumberOfBytes": 1}), ("Decrypt", {"CiphertextBlob": "eA=="})):
        assert world.ask(operation, Recipient=recipient, **members) == {
            "__type": "UnsupportedOperationException", "message": "Recipient is not supported: there are no Nitro enclaves here."}
