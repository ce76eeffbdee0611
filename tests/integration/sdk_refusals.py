"""The other half of the table: every exception of the service model, provoked, or listed with the reason why nobody can meet it here.

RULES turn an operation's sound request into one that is refused; an operation gets the rule's row if the model lists the exception for it.
REFUSALS are rows of their own, and go before rules. WHY_NOT and NEVER are the reasons."""

import json

from sdk_cases import SOUND, Case
from sdk_clients import model
from sdk_world import MATERIAL, NOBODY, OTHER_REGION, TEXT, arn

NONSENSE_ARN = "arn:aws:kms:us-east-1:000000000000:nonsense"
NO_GRANT = "f" * 64
KEY_MEMBERS = {"CreateAlias": "TargetKeyId", "UpdateAlias": "TargetKeyId", "ReEncrypt": "DestinationKeyId"}


def key_member(operation):
    return KEY_MEMBERS.get(operation, "KeyId")


def sound(operation):
    return SOUND[operation].request


def with_key(name):
    """The sound request about another key, that @name(world) gives."""
    return lambda operation, w: {**sound(operation)(w), key_member(operation): name(w)}


def after(change, **members):
    """The sound request, after something happened to its key."""
    def request(operation, w):
        made = sound(operation)(w)
        w.call(change, KeyId=made[key_member(operation)], **members)
        return made
    return request


def adding(**members):
    return lambda operation, w: {**sound(operation)(w), **members}


RULES = {
    "NotFoundException": with_key(lambda w: NOBODY),
    "InvalidArnException": with_key(lambda w: NONSENSE_ARN),
    "DisabledException": after("DisableKey"),
    "KMSInvalidStateException": after("ScheduleKeyDeletion", PendingWindowInDays=7),
    "InvalidGrantTokenException": adding(GrantTokens=["bm9uc2Vuc2U="]),
    "InvalidGrantIdException": adding(GrantId=NO_GRANT),
    "InvalidMarkerException": adding(Marker="bm9uc2Vuc2U="),
    "InvalidKeyUsageException": with_key(lambda w: w.mac()),
    "DryRunOperationException": adding(DryRun=True),
    "InvalidCiphertextException": adding(CiphertextBlob=bytes(180)),
}


# ---- Rows of their own ----


def members(operation, **fixed):
    """The sound request with these members; a callable is asked with the world, None takes the member away."""
    def request(w):
        made = {**sound(operation)(w), **{k: v(w) if callable(v) else v for k, v in fixed.items()}}
        return {k: v for k, v in made.items() if v is not None}
    return request


def refused(operation, expect, label="", who="root", **fixed):
    return Case(operation, members(operation, **fixed) if operation in SOUND else lambda w: fixed, expect, who=who, label=label)


def crowded(w):
    """A key with as many aliases as one may have."""
    key = w.key()
    for _ in range(50):
        w.alias(key)
    return key


def worn(w):
    """A key that was rotated as often as one may be."""
    key = w.key()
    for _ in range(25):
        w.call("RotateKeyOnDemand", KeyId=key)
    return key


def other_material(w):
    key = w.imported()
    w.call("DeleteImportedKeyMaterial", KeyId=key)
    return w.wrapped(key, MATERIAL[::-1])


def rsa_for_signing(w):
    return w.key("RSA_2048", "SIGN_VERIFY")


def many_tags(w):
    return [{"TagKey": f"k{i}", "TagValue": "v"} for i in range(51)]


def own_blob_of(make):
    """A blob, and another key that did not make it."""
    def request(w):
        return dict(CiphertextBlob=w.blob(w.key()), KeyId=getattr(w, make)())
    return request


STORE = dict(CustomKeyStoreId="cks-1234567890abcdef0")
DENY = {"Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
TWICE = [{"TagKey": "a", "TagValue": "b"}, {"TagKey": "a", "TagValue": "c"}]
NO_MULTI_REGION = lambda w: w.key()  # noqa: E731

REFUSALS = [
    refused("CancelKeyDeletion", "KMSInvalidStateException", KeyId=lambda w: w.key()),
    refused("CreateAlias", "AlreadyExistsException", AliasName=lambda w: w.alias(w.key())),
    refused("CreateAlias", "InvalidAliasNameException", AliasName="alias/aws/mine"),
    refused("CreateAlias", "LimitExceededException", TargetKeyId=crowded),
    refused("UpdateAlias", "LimitExceededException", TargetKeyId=crowded),
    refused("UpdateAlias", "NotFoundException", AliasName="alias/nobody"),
    refused("UpdateAlias", "NotFoundException", "key", TargetKeyId=NOBODY),
    refused("CreateGrant", "InvalidArnException", GranteePrincipal="arn:aws:iam::000000000000:user/nobody-at-all"),
    refused("CreateKey", "MalformedPolicyDocumentException", Policy="{"),
    refused("CreateKey", "UnsupportedOperationException", Origin="AWS_CLOUDHSM"),
    refused("CreateKey", "TagException", Tags=TWICE),
    refused("CreateKey", "LimitExceededException", Tags=many_tags),
    refused("CreateKey", "CustomKeyStoreNotFoundException", Origin="AWS_CLOUDHSM", **STORE),
    Case("Decrypt", own_blob_of("key"), "IncorrectKeyException"),
    refused("Decrypt", "InvalidKeyUsageException", CiphertextBlob=bytes(256), KeyId=rsa_for_signing, EncryptionAlgorithm="RSAES_OAEP_SHA_256", EncryptionContext=None),
    refused("Decrypt", "InvalidCiphertextException", "context", EncryptionContext={"for": "Ada"}),
    refused("DeleteAlias", "NotFoundException", AliasName="alias/nobody"),
    refused("DescribeKey", "NotFoundException", "alias", KeyId="alias/nobody"),
    refused("DescribeKey", "NotFoundException", "region", KeyId=lambda w: arn(w.key(), OTHER_REGION)),
    refused("DeleteImportedKeyMaterial", "UnsupportedOperationException", KeyId=lambda w: w.key()),
    refused("DescribeCustomKeyStores", "CustomKeyStoreNotFoundException", **STORE),
    refused("GenerateDataKeyPair", "UnsupportedOperationException", KeyPairSpec="SM2"),
    refused("GenerateDataKeyPairWithoutPlaintext", "UnsupportedOperationException", KeyPairSpec="SM2"),
    refused("GenerateMac", "InvalidKeyUsageException", KeyId=lambda w: w.signing()),
    refused("VerifyMac", "InvalidKeyUsageException", KeyId=lambda w: w.signing()),
    refused("VerifyMac", "KMSInvalidMacException", Message=b"Dear Bob"),
    refused("Verify", "KMSInvalidSignatureException", Message=b"Dear Bob"),
    refused("GenerateRandom", "CustomKeyStoreNotFoundException", **STORE),
    refused("GenerateRandom", "UnsupportedOperationException",
            Recipient=dict(KeyEncryptionAlgorithm="RSAES_OAEP_SHA_256", AttestationDocument=b"enclave")),
    refused("GetPublicKey", "UnsupportedOperationException", KeyId=lambda w: w.mac()),
    refused("GetParametersForImport", "UnsupportedOperationException", KeyId=lambda w: w.key()),
    refused("ImportKeyMaterial", "UnsupportedOperationException", KeyId=lambda w: w.key()),
    refused("ImportKeyMaterial", "InvalidCiphertextException", EncryptedKeyMaterial=bytes(256)),
    refused("ImportKeyMaterial", "InvalidImportTokenException", ImportToken=bytes(100)),
    Case("ImportKeyMaterial", other_material, "IncorrectKeyMaterialException"),
    refused("ListGrants", "InvalidGrantIdException", GrantId="nonsense"),
    refused("RetireGrant", "InvalidGrantIdException", GrantId="nonsense"),
    refused("RevokeGrant", "InvalidGrantIdException", GrantId="nonsense"),
    refused("RevokeGrant", "NotFoundException", "grant", GrantId=NO_GRANT),
    refused("RetireGrant", "NotFoundException", GrantId=NO_GRANT),
    Case("RetireGrant", lambda w: dict(GrantToken="bm9uc2Vuc2U="), "InvalidGrantTokenException"),
    refused("ListRetirableGrants", "InvalidArnException", RetiringPrincipal="arn:aws:iam::000000000000:user/nobody-at-all"),
    refused("PutKeyPolicy", "MalformedPolicyDocumentException", Policy="{"),
    refused("PutKeyPolicy", "MalformedPolicyDocumentException", "lockout", Policy=json.dumps({"Version": "2012-10-17", "Statement": [DENY]})),
    refused("PutKeyPolicy", "LimitExceededException", Policy=lambda w: w.policy() + " " * 32768),
    refused("ReEncrypt", "IncorrectKeyException", SourceKeyId=lambda w: w.key()),
    refused("ReplicateKey", "AlreadyExistsException", KeyId=lambda w: w.replicated()),
    refused("ReplicateKey", "UnsupportedOperationException", KeyId=NO_MULTI_REGION),
    refused("ReplicateKey", "MalformedPolicyDocumentException", Policy="{"),
    refused("ReplicateKey", "TagException", Tags=TWICE),
    refused("RotateKeyOnDemand", "LimitExceededException", KeyId=worn),
    refused("TagResource", "LimitExceededException", Tags=many_tags),
    refused("TagResource", "TagException", Tags=TWICE),
    refused("UntagResource", "TagException", TagKeys=["aws:reserved"]),
    refused("UpdatePrimaryRegion", "UnsupportedOperationException", KeyId=NO_MULTI_REGION),
    *(refused(o, "UnsupportedOperationException", KeyId=lambda w: w.signing())
      for o in ("DisableKeyRotation", "EnableKeyRotation", "GetKeyRotationStatus", "ListKeyRotations", "RotateKeyOnDemand")),
    # There are no custom key stores, and the operations say so.
    refused("CreateCustomKeyStore", "UnsupportedOperationException", CustomKeyStoreName="hsm", CloudHsmClusterId="cluster-234567abcdef",
            TrustAnchorCertificate="x", KeyStorePassword="kmsPswd1"),
    *(refused(o, "CustomKeyStoreNotFoundException", **STORE)
      for o in ("ConnectCustomKeyStore", "DeleteCustomKeyStore", "DisconnectCustomKeyStore", "UpdateCustomKeyStore")),
    # What any operation may answer, and no operation lists
    Case("Encrypt", lambda w: dict(KeyId=w.damaged(), Plaintext=TEXT), "KMSInternalException"),
    refused("GenerateDataKey", "ValidationException", NumberOfBytes=32),
    refused("CreateKey", "ValidationException", KeyUsage="SIGN_VERIFY"),
    refused("Encrypt", "ValidationException", Plaintext=bytes(4097)),
    refused("ListKeys", "InvalidSignatureException", who="wrong secret"),
    refused("ListKeys", "UnrecognizedClientException", who="unknown"),
    *(refused(o, "AccessDeniedException", who="stranger") for o in sorted(SOUND)),
]

# ---- What nobody can meet here, and why ----

NO_STORES = "there are no custom key stores: CreateCustomKeyStore is UnsupportedOperationException, and every store that is named is not found"
WHY_NOT = {
    "DependencyTimeoutException": "the service depends on no other one: material, policies and audit records are in its keystore",
    "KeyUnavailableException": "only keys in custom key stores can be out of reach",
    "KMSInternalException": "wants a damaged keystore or a full disk, whatever the operation; Encrypt is shown with damaged material",
    "ConflictException": "RotateKeyOnDemand is one transaction: there is no rotation in progress for another one to meet",
    "CloudHsmClusterInUseException": NO_STORES, "CloudHsmClusterInvalidConfigurationException": NO_STORES,
    "CloudHsmClusterNotActiveException": NO_STORES, "CloudHsmClusterNotFoundException": NO_STORES, "CloudHsmClusterNotRelatedException": NO_STORES,
    "CustomKeyStoreHasCMKsException": NO_STORES, "CustomKeyStoreInvalidStateException": NO_STORES, "CustomKeyStoreNameInUseException": NO_STORES,
    "IncorrectTrustAnchorException": NO_STORES, "XksKeyAlreadyInUseException": NO_STORES, "XksKeyInvalidConfigurationException": NO_STORES,
    "XksKeyNotFoundException": NO_STORES, "XksProxyIncorrectAuthenticationCredentialException": NO_STORES, "XksProxyInvalidConfigurationException": NO_STORES,
    "XksProxyInvalidResponseException": NO_STORES, "XksProxyUriEndpointInUseException": NO_STORES, "XksProxyUriInUseException": NO_STORES,
    "XksProxyUriUnreachableException": NO_STORES, "XksProxyVpcEndpointServiceInUseException": NO_STORES,
    "XksProxyVpcEndpointServiceInvalidConfigurationException": NO_STORES, "XksProxyVpcEndpointServiceNotFoundException": NO_STORES,
}
EVERY_STATE = "AWS's table of key states has the operation work in every state that a key has here"
NEVER = {
    **{(o, "KMSInvalidStateException"): EVERY_STATE
       for o in ("DeleteAlias", "GetKeyPolicy", "GetKeyRotationStatus", "ListGrants", "ListKeyPolicies", "ListKeyRotations", "PutKeyPolicy",
                 "RetireGrant", "RevokeGrant")},
    ("DeleteImportedKeyMaterial", "KMSInvalidStateException"): "a key whose material is imported can lose it in every state that it has here",
    ("CreateKey", "InvalidArnException"): "no member of the request that is supported here takes an ARN",
    ("ImportKeyMaterial", "ExpiredImportTokenException"): "a token is good for a day, and says so under a MAC; tests/unit/test_engine_due.c lets the day pass",
    ("CreateGrant", "LimitExceededException"): "50,000 grants of one key are too many for this test",
    ("EnableKey", "LimitExceededException"): "disabled keys count as much as enabled ones, so enabling exceeds nothing",
    ("ReplicateKey", "LimitExceededException"): "there are fewer Regions than a key may be in, and 100,000 keys are too many for this test",
    ("DescribeCustomKeyStores", "InvalidMarkerException"): NO_STORES,
    ("CreateCustomKeyStore", "LimitExceededException"): NO_STORES,
    ("GetPublicKey", "InvalidKeyUsageException"): "a key of the wrong usage has no public key at all: UnsupportedOperationException",
    ("ListRetirableGrants", "NotFoundException"): "the request names no key, and a principal that is not there is InvalidArnException",
    ("PutKeyPolicy", "UnsupportedOperationException"): "every kind of key that exists here has a policy that can be put",
}


def operations():
    return [model().operation_model(name) for name in model().operation_names]


def modelled():
    """Every (operation, exception) of the service model."""
    return {(o.name, e.name) for o in operations() for e in o.error_shapes}


def by_rules():
    own = {(c.operation, c.expect) for c in REFUSALS}
    return [Case(o, lambda w, o=o, rule=RULES[e]: rule(o, w), e) for o, e in sorted(modelled())
            if e in RULES and o in SOUND and (o, e) not in own and (o, e) not in NEVER]


def cases():
    return [*SOUND.values(), *REFUSALS, *by_rules()]
