"""The table of test_kms_clients.py: operation × request × what a client must see. Each row is written once, and every client runs it.

SUCCESS has a sound request for each operation, and what its answer has to be. sdk_refusals.py makes most refusals out of these requests."""

import dataclasses
import json
import time
import typing

from sdk_world import OTHER_REGION, ROOT, TEXT, arn
from test_kms_import import b64

CONTEXT = {"for": "ada", "größe": "✓"}
DAY = 86400


@dataclasses.dataclass
class Case:
    operation: str
    request: typing.Callable  # of the world: the request
    expect: str = None        # the exception; None: success
    check: typing.Callable = None  # (world, request, answer): raises or says false when the answer is wrong
    who: str = "root"
    label: str = ""

    @property
    def id(self):
        return "-".join(filter(None, [self.operation, self.expect or "success", self.label]))


# ---- Success ------------------------------------------------------------------------------------------------------


def data_key(w):
    return dict(KeyId=w.key(), KeySpec="AES_256", EncryptionContext=CONTEXT)


def opens(w, r, a, size=32):
    """The blob opens under its context, to the plaintext that came with it."""
    got = w.opened(a["CiphertextBlob"], EncryptionContext=r["EncryptionContext"])
    return len(got) == size and a.get("Plaintext", got) == got and a["KeyId"] == arn(r["KeyId"])


def opens_private(w, r, a):
    got = w.opened(a["PrivateKeyCiphertextBlob"], EncryptionContext=r["EncryptionContext"])
    return a.get("PrivateKeyPlaintext", got) == got and a["PublicKey"][:1] == b"0" and a["KeyPairSpec"] == "ECC_NIST_P256"


def decrypt(w):
    key = w.key()
    return dict(CiphertextBlob=w.blob(key, EncryptionContext=CONTEXT), KeyId=key, EncryptionContext=CONTEXT)


def re_encrypt(w):
    source = w.key()
    return dict(CiphertextBlob=w.blob(source, EncryptionContext=CONTEXT), SourceKeyId=source, SourceEncryptionContext=CONTEXT,
                DestinationKeyId=w.key(), DestinationEncryptionContext={"a": "b"})


def sign(w):
    return dict(KeyId=w.signing(), Message=TEXT, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256")


def verify(w):
    made = sign(w)
    return dict(made, Signature=w.signature(made["KeyId"]))


def generate_mac(w):
    return dict(KeyId=w.mac(), Message=TEXT, MacAlgorithm="HMAC_SHA_256")


def verify_mac(w):
    made = generate_mac(w)
    return dict(made, Mac=w.tag_of(made["KeyId"]))


def pair(w):
    return dict(KeyId=w.key(), KeyPairSpec="ECC_NIST_P256", EncryptionContext=CONTEXT)


def derive(w):
    return dict(KeyId=w.agreeing(), KeyAgreementAlgorithm="ECDH", PublicKey=w.peer())


def key_only(make="key"):
    return lambda w: dict(KeyId=getattr(w, make)())


def granted(w):
    key = w.key()
    return dict(KeyId=arn(key), GrantId=w.grant(key)["GrantId"])


def rotating(w):
    made = w.key()
    w.call("EnableKeyRotation", KeyId=made, RotationPeriodInDays=90)
    w.call("RotateKeyOnDemand", KeyId=made)
    return dict(KeyId=made)


def tagged(w):
    return w.key(Tags=[{"TagKey": "a", "TagValue": "b"}, {"TagKey": "c", "TagValue": "d"}])


def used(w):
    made = w.key()
    w.blob(made)
    return dict(KeyId=made)


def aliased(w):
    made = w.key()
    w.alias(made)
    return dict(KeyId=made)


def new_grant(w):
    return dict(KeyId=w.key(), GranteePrincipal=w.friend, RetiringPrincipal=w.friend, Operations=["Decrypt", "Encrypt"], Name="g",
                Constraints={"EncryptionContextSubset": {"for": "ada"}})


def retirable(w):
    w.grant(w.key(), RetiringPrincipal=ROOT)
    return dict(RetiringPrincipal=ROOT)


def moved_alias(w):
    return dict(AliasName=w.alias(w.key()), TargetKeyId=w.key())


def tags_of(w, key):
    return {t["TagKey"]: t["TagValue"] for t in w.call("ListResourceTags", KeyId=key)["Tags"]}


def aliases_of(w, key):
    return [a["AliasName"] for a in w.call("ListAliases", KeyId=key)["Aliases"]]


def created(w, r, a):
    made = a["KeyMetadata"]
    return (made["KeyState"] == "Enabled" and made["Description"] == "letters" and abs(made["CreationDate"] - time.time()) < 300
            and made["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"] and tags_of(w, made["KeyId"]) == {"a": "größe"})


def listed_grant(w, r, a):
    grant, = a["Grants"]
    return (grant["GrantId"], grant["Operations"], grant["KeyId"], grant["IssuingAccount"]) == (r["GrantId"], ["Decrypt", "Encrypt"], r["KeyId"], ROOT)


def status(w, r, a):
    return (a["KeyRotationEnabled"], a["RotationPeriodInDays"], a["KeyId"]) == (True, 90, r["KeyId"]) and a["NextRotationDate"] > time.time()


def rotation(w, r, a):
    row, = a["Rotations"]
    return (row["RotationType"], row["KeyId"]) == ("ON_DEMAND", r["KeyId"]) and abs(row["RotationDate"] - time.time()) < 300


def replicated(w, r, a):
    made = a["ReplicaKeyMetadata"]
    return (made["Arn"] == arn(r["KeyId"], OTHER_REGION) and made["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA"
            and a["ReplicaTags"] == [] and json.loads(a["ReplicaPolicy"])["Statement"])


def state_is(state):
    return lambda w, r, a: w.state(r["KeyId"]) == state


def nothing(w, r, a):
    return a == {}


def no_grants(w, r, a):
    return a == {} and w.call("ListGrants", KeyId=r["KeyId"])["Grants"] == []


SUCCESS = [
    Case("CancelKeyDeletion", key_only("pending"), check=lambda w, r, a: a == {"KeyId": arn(r["KeyId"])} and w.state(r["KeyId"]) == "Disabled"),
    Case("CreateAlias", lambda w: dict(AliasName="alias/" + w.name("b"), TargetKeyId=w.key()),
         check=lambda w, r, a: a == {} and aliases_of(w, r["TargetKeyId"]) == [r["AliasName"]]),
    Case("CreateGrant", new_grant, check=lambda w, r, a: [g["GrantId"] for g in w.call("ListGrants", KeyId=r["KeyId"])["Grants"]] == [a["GrantId"]] and a["GrantToken"]),
    Case("CreateKey", lambda w: dict(Description="letters", Tags=[{"TagKey": "a", "TagValue": "größe"}]), check=created),
    Case("Decrypt", decrypt, check=lambda w, r, a: (a["Plaintext"], a["KeyId"], a["EncryptionAlgorithm"]) == (TEXT, arn(r["KeyId"]), "SYMMETRIC_DEFAULT")),
    Case("DeleteAlias", lambda w: dict(AliasName=w.alias(w.key())), check=nothing),
    Case("DeleteImportedKeyMaterial", key_only("imported"), check=lambda w, r, a: w.state(r["KeyId"]) == "PendingImport" and a["KeyId"] == arn(r["KeyId"])),
    Case("DeriveSharedSecret", derive, check=lambda w, r, a: len(a["SharedSecret"]) == 32 and a["KeyAgreementAlgorithm"] == "ECDH"),
    Case("DescribeCustomKeyStores", lambda w: {}, check=lambda w, r, a: a["CustomKeyStores"] == []),
    Case("DescribeKey", key_only(), check=lambda w, r, a: a["KeyMetadata"] == w.metadata(r["KeyId"])),
    Case("DisableKey", key_only(), check=state_is("Disabled")),
    Case("DisableKeyRotation", rotating, check=lambda w, r, a: not w.call("GetKeyRotationStatus", **r)["KeyRotationEnabled"]),
    Case("EnableKey", key_only("disabled"), check=state_is("Enabled")),
    Case("EnableKeyRotation", lambda w: dict(KeyId=w.key(), RotationPeriodInDays=180),
         check=lambda w, r, a: w.call("GetKeyRotationStatus", KeyId=r["KeyId"])["RotationPeriodInDays"] == 180),
    Case("Encrypt", lambda w: dict(KeyId=w.key(), Plaintext=TEXT, EncryptionContext=CONTEXT), check=lambda w, r, a: opens(w, r, a, len(TEXT))),
    Case("GenerateDataKey", data_key, check=opens),
    Case("GenerateDataKeyPair", pair, check=lambda w, r, a: opens_private(w, r, a) and "PrivateKeyPlaintext" in a),
    Case("GenerateDataKeyPairWithoutPlaintext", pair, check=lambda w, r, a: opens_private(w, r, a) and "PrivateKeyPlaintext" not in a),
    Case("GenerateDataKeyWithoutPlaintext", data_key, check=lambda w, r, a: opens(w, r, a) and "Plaintext" not in a),
    Case("GenerateMac", generate_mac, check=lambda w, r, a: a["Mac"] == w.tag_of(r["KeyId"])),
    Case("GenerateRandom", lambda w: dict(NumberOfBytes=1024), check=lambda w, r, a: len(a["Plaintext"]) == 1024 and len(set(a["Plaintext"])) > 128),
    Case("GetKeyLastUsage", used, check=lambda w, r, a: a["KeyLastUsage"]["Operation"] == "Encrypt" and abs(a["KeyLastUsage"]["Timestamp"] - time.time()) < 300),
    Case("GetKeyPolicy", lambda w: dict(KeyId=w.key(), PolicyName="default"), check=lambda w, r, a: json.loads(a["Policy"])["Statement"][0]["Principal"] == {"AWS": ROOT}),
    Case("GetKeyRotationStatus", rotating, check=status),
    Case("GetParametersForImport", lambda w: dict(KeyId=w.empty(), WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"),
         check=lambda w, r, a: a["PublicKey"][:1] == b"0" and a["ImportToken"] and abs(a["ParametersValidTo"] - time.time() - DAY) < 300),
    Case("GetPublicKey", key_only("signing"), check=lambda w, r, a: a["KeySpec"] == "ECC_NIST_P256" and a["PublicKey"][:1] == b"0" and "ECDSA_SHA_256" in a["SigningAlgorithms"]),
    Case("ImportKeyMaterial", lambda w: dict(w.wrapped(w.empty()), ExpirationModel="KEY_MATERIAL_EXPIRES", ValidTo=int(time.time()) + 30 * DAY),
         check=lambda w, r, a: w.state(r["KeyId"]) == "Enabled" and w.metadata(r["KeyId"])["ValidTo"] == r["ValidTo"]),
    Case("ListAliases", aliased, check=lambda w, r, a: [x["AliasName"] for x in a["Aliases"]] == aliases_of(w, r["KeyId"]) and a["Aliases"][0]["TargetKeyId"] == r["KeyId"]),
    Case("ListGrants", granted, check=listed_grant),
    Case("ListKeyPolicies", key_only(), check=lambda w, r, a: a["PolicyNames"] == ["default"] and not a.get("Truncated")),
    Case("ListKeyRotations", rotating, check=rotation),
    Case("ListKeys", lambda w: dict(Limit=3) if w.key() and w.key() and w.key() else {}, check=lambda w, r, a: len(a["Keys"]) == 3 and a["Keys"][0]["KeyArn"] == arn(a["Keys"][0]["KeyId"])),
    Case("ListResourceTags", lambda w: dict(KeyId=tagged(w)), check=lambda w, r, a: a["Tags"] == [{"TagKey": "a", "TagValue": "b"}, {"TagKey": "c", "TagValue": "d"}]),
    Case("ListRetirableGrants", retirable, check=lambda w, r, a: a["Grants"] and all(g["RetiringPrincipal"] == ROOT for g in a["Grants"])),
    Case("PutKeyPolicy", lambda w: dict(KeyId=w.key(), PolicyName="default", Policy=w.policy()),
         check=lambda w, r, a: json.loads(w.call("GetKeyPolicy", KeyId=r["KeyId"])["Policy"]) == json.loads(r["Policy"])),
    Case("ReEncrypt", re_encrypt, check=lambda w, r, a: w.opened(a["CiphertextBlob"], EncryptionContext={"a": "b"}) == TEXT
         and (a["SourceKeyId"], a["KeyId"]) == (arn(r["SourceKeyId"]), arn(r["DestinationKeyId"]))),
    Case("ReplicateKey", lambda w: dict(KeyId=w.everywhere(), ReplicaRegion=OTHER_REGION), check=replicated),
    Case("RetireGrant", granted, check=no_grants),
    Case("RevokeGrant", granted, check=no_grants),
    Case("RotateKeyOnDemand", key_only(), check=lambda w, r, a: a == {"KeyId": arn(r["KeyId"])}),
    Case("ScheduleKeyDeletion", lambda w: dict(KeyId=w.key(), PendingWindowInDays=7),
         check=lambda w, r, a: a["KeyState"] == "PendingDeletion" and abs(a["DeletionDate"] - time.time() - 7 * DAY) < 300 and a["KeyId"] == arn(r["KeyId"])),
    Case("Sign", sign, check=lambda w, r, a: w.call("Verify", KeyId=r["KeyId"], Message=b64(TEXT), Signature=b64(a["Signature"]), SigningAlgorithm="ECDSA_SHA_256")["SignatureValid"]),
    Case("TagResource", lambda w: dict(KeyId=w.key(), Tags=[{"TagKey": "a", "TagValue": ""}]), check=lambda w, r, a: tags_of(w, r["KeyId"]) == {"a": ""}),
    Case("UntagResource", lambda w: dict(KeyId=tagged(w), TagKeys=["a", "absent"]), check=lambda w, r, a: tags_of(w, r["KeyId"]) == {"c": "d"}),
    Case("UpdateAlias", moved_alias, check=lambda w, r, a: aliases_of(w, r["TargetKeyId"]) == [r["AliasName"]]),
    Case("UpdateKeyDescription", lambda w: dict(KeyId=w.key(), Description="größere ✓"), check=lambda w, r, a: w.metadata(r["KeyId"])["Description"] == r["Description"]),
    Case("UpdatePrimaryRegion", lambda w: dict(KeyId=w.replicated(), PrimaryRegion=OTHER_REGION),
         check=lambda w, r, a: w.metadata(r["KeyId"])["MultiRegionConfiguration"]["PrimaryKey"]["Region"] == OTHER_REGION),
    Case("Verify", verify, check=lambda w, r, a: (a["SignatureValid"], a["SigningAlgorithm"]) == (True, "ECDSA_SHA_256")),
    Case("VerifyMac", verify_mac, check=lambda w, r, a: (a["MacValid"], a["MacAlgorithm"]) == (True, "HMAC_SHA_256")),
]
SOUND = {c.operation: c for c in SUCCESS}
