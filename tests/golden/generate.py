#!/usr/bin/env python3
"""Make the golden files of format version 1, from doc/format.md alone: a second implementation in another language.

usage: generate.py [DIR]     (needs python3-cryptography; the files are in the repository, tests only read them)

All keys and nonces are fixed, so the files never change; a change of theirs is a change of the format.
"""

import base64
import hashlib
import hmac
import os
import struct
import sys
import uuid

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VOLUME_KEY = bytes(range(0x00, 0x20))
BUCKET_KEY = bytes(range(0x20, 0x40))
DATA_KEY = bytes(range(0x40, 0x60))
VOLUME_ID = bytes(range(0xA0, 0xB0))
FILE_ID = bytes(range(0xB0, 0xC0))
BUCKET_ID = bytes(range(0xC0, 0xD0))
DIR_ID = bytes(range(0xD0, 0xE0))
ARN = b"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SESSION = 7


def blob(n):
    return bytes((i * 7 + 1) & 0xFF for i in range(n))


def hkdf(key, salt, label, size=32):
    return HKDF(hashes.SHA256(), size, salt, label).derive(key)


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def xaes_seal(key, nonce, aad, plain):
    """c2sp.org/XAES-256-GCM: nonce ‖ ciphertext ‖ tag."""
    def block(counter):
        c = CMAC(algorithms.AES(key))
        c.update(bytes([0, counter, ord("X"), 0]) + nonce[:12])
        return c.finalize()
    return nonce + AESGCM(block(1) + block(2)).encrypt(nonce[12:], plain, aad)


def siv_seal(key, ad, plain):
    return AESSIV(key).encrypt(plain, [ad])


def header(length, wrap, flags, size, bucket, wrapped, arn, key_blob):
    fixed = b"SIGNETFS" + bytes([1, 1, wrap, length // 512]) + struct.pack("<I", flags) + VOLUME_ID + FILE_ID
    fixed += struct.pack("<QQ", size, SESSION) + wrapped + struct.pack("<HH", len(arn), len(key_blob)) + bucket
    assert len(fixed) == 144
    area = (arn + key_blob).ljust(336 + length - 512, b"\0")
    first, rest = fixed + area[:336], area[336:]
    return first + mac(hkdf(DATA_KEY, FILE_ID, b"signetfs/1/header"), first + rest) + rest


def wrapped_data_key():
    nonce = bytes(range(0xE0, 0xEC))
    aad = b"signetfs/1/wrap-data-key" + VOLUME_ID + FILE_ID
    return nonce + AESGCM(BUCKET_KEY).encrypt(nonce, DATA_KEY, aad)


def chunk(index, plain):
    nonce = bytes(range(0x10, 0x1C)) + hashlib.sha256(b"nonce %d" % index).digest()[:12]
    aad = FILE_ID + struct.pack("<Q", index)
    return xaes_seal(hkdf(DATA_KEY, FILE_ID, b"signetfs/1/chunks"), nonce, aad, plain)


def content(size):
    """Byte i of a file's plaintext is (i * 131 + i // 4096) mod 256."""
    return bytes((i * 131 + i // 4096) & 0xFF for i in range(size))


def bucket_file():
    """Three chunks, the second one a hole, the last one short."""
    plain = content(2 * 4096 + 100)
    out = header(512, 1, 1, len(plain), BUCKET_ID, wrapped_data_key(), ARN, blob(184))
    return out + chunk(0, plain[:4096]) + bytes(4136) + chunk(2, plain[8192:])


def long_file():
    """ARN and blob go on behind the first unit."""
    plain = content(5)
    return header(1024, 1, 0, 5, bytes(16), wrapped_data_key(), ARN, blob(700)) + chunk(0, plain)


def kms_file():
    """The KMS wraps the data key itself; empty file."""
    return header(512, 0, 0, 0, bytes(16), bytes(60), ARN, blob(184))


def descriptor():
    text = """# What this encrypted directory is, and which KMS key opens it. Written by signetfs;
# the last line is a seal over all the others: an edited file is refused. See signetfs.ini(5).

[vault]
format = 1
volume = %s
suite = XAES-256-GCM
names = encrypted
header-length = 512

[bucket-keys]
enabled = yes
lifetime = 604800
files = 1048576
cache-time = 300

[kms]
endpoint = agent
region = us-east-1
key-id = alias/aws/signetfs
key-arn = %s

[volume-key]
blob = %s

[seal]
hmac = """ % (uuid.UUID(bytes=VOLUME_ID), ARN.decode(), base64.b64encode(blob(184)).decode())
    text = text.encode()
    seal = mac(hkdf(VOLUME_KEY, VOLUME_ID, b"signetfs/1/volume-mac"), text)
    return text + seal.hex().encode() + b"\n"


def sessions():
    unclean = [3, 5, 9]
    body = b"SIGNSESS" + struct.pack("<IIQQ", 1, len(unclean), 9, 2) + struct.pack("<3Q", *unclean)
    return body + mac(hkdf(VOLUME_KEY, VOLUME_ID, b"signetfs/1/sessions"), body)


def directory():
    return DIR_ID + mac(hkdf(VOLUME_KEY, VOLUME_ID, b"signetfs/1/directory-ids"), DIR_ID)[:16]


def encode_name(label, ad, plain):
    padded = plain.ljust((len(plain) + 15) // 16 * 16, b"\0")
    return b64url(siv_seal(hkdf(VOLUME_KEY, VOLUME_ID, label, 64), ad, padded))


def names():
    """kind, plain in hex, lower name; for a long name the encoded name as well."""
    lines = []
    for plain in [b"a", b"hello.txt", b"sixteen bytes ab", b"seventeen bytes a", "Grüße".encode(), b"\xff\x01\n",
                  b"n" * 160, b"n" * 161, b"n" * 255]:
        full = encode_name(b"signetfs/1/names", DIR_ID, plain)
        if len(full) <= 255:
            lines.append(b"name %s %s" % (plain.hex().encode(), full))
        else:
            lower = b"signetfs.long." + b64url(hashlib.sha256(full).digest())
            lines.append(b"name %s %s %s" % (plain.hex().encode(), lower, full))
    for plain in [b"user.a", b"user.comment", b"user." + b"x" * 160, b"user." + b"x" * 161, b"user." + b"x" * 250]:
        full = encode_name(b"signetfs/1/xattr-names", b"signetfs/1/xattr-names", plain[5:])
        lower = b"user.signetfs." + full
        long = len(lower) > 255
        if long:
            lower = b"user.signetfs.long." + b64url(hashlib.sha256(full).digest())
        value = (bytes([len(plain) - 5]) + plain[5:] if long else b"") + b"value"
        key = hkdf(VOLUME_KEY, VOLUME_ID, b"signetfs/1/xattr-values")
        sealed = xaes_seal(key, bytes(range(0x30, 0x48)), lower, value)
        lines.append(b"xattr %s %s %s" % (plain.hex().encode(), lower, sealed.hex().encode()))
    for target in [b"x", b"../some/where", b"t" * 3031]:
        sealed = xaes_seal(hkdf(VOLUME_KEY, VOLUME_ID, b"signetfs/1/symlinks"), bytes(range(0x50, 0x68)), b"", target)
        lines.append(b"target %s %s" % (target.hex().encode(), b64url(sealed)))
    return b"\n".join(lines) + b"\n"


def customer_key():
    """The key file 60…7f: how the key is named, and the volume key under it."""
    raw = bytes(range(0x60, 0x80))
    context = '{"signetfs:purpose":"volume","signetfs:volume":"%s"}' % uuid.UUID(bytes=VOLUME_ID)
    sealed = xaes_seal(hkdf(raw, b"", b"signetfs/1/customer-key-wrap"), bytes(range(0x30, 0x48)),
                       b"signetfs/1/customer-key-blob" + context.encode(), VOLUME_KEY)
    arn = "arn:signetfs:kms:::customer-key/" + hkdf(raw, b"", b"signetfs/1/customer-key-id", 16).hex()
    return f"{arn}\n{(bytes([2]) + sealed).hex()}\n".encode()


def check_xaes():
    """The specification's own vectors, so that this file cannot be wrong in the same way as the program."""
    n = b"ABCDEFGHIJKLMNOPQRSTUVWX"
    one = xaes_seal(b"\x01" * 32, n, b"", b"XAES-256-GCM")[24:].hex()
    two = xaes_seal(b"\x03" * 32, n, b"c2sp.org/XAES-256-GCM", b"XAES-256-GCM")[24:].hex()
    assert one == "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"
    assert two == "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    check_xaes()
    files = {"v1-bucket.bin": bucket_file(), "v1-long-header.bin": long_file(), "v1-kms.bin": kms_file(),
             "v1-signetfs.ini": descriptor(), "v1-sessions.bin": sessions(), "v1-signetfs.dir": directory(),
             "v1-names.txt": names(), "v1-customer-key.txt": customer_key()}
    for name, data in files.items():
        with open(os.path.join(out, name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
