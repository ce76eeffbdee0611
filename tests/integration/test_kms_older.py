"""Keystores of older schemas: dumps made by the programs of their time still open, and everything in them works."""

import base64
import os
import sqlite3


GOLDEN = os.path.join(os.path.dirname(__file__), "../golden")
# What `kms encrypt --encryption-context a=b` made of "golden plaintext" in the keystore of v1-keystore.sql.
V1_BLOB = ("AQC6Q/tbFt1NP7xhtvupwtHh53AKJYsRSlSImv091sNLoAgoAE9O10Vqr1rZr6sdYZ0vex6cv0Vt2SMThUOqji0OpFSneO9HB7QLjA2LA9Rr7d/SCLIp"
           "xpcDgAVQOr1xG8ayu+CdGX/iyH2dB9Af6mY7")


def restore(box, dump):
    """The keystore that @dump describes, in its box; its root key is 32 times 0x5a."""
    path = os.path.join(box.home, "older.db")
    with open(os.path.join(GOLDEN, dump)) as f, sqlite3.connect(path) as db:
        db.executescript(f.read())
    db.close()
    os.chmod(path, 0o600)
    key = os.path.join(box.home, "older.key")
    with open(key, "wb") as f:
        f.write(b"\x5a" * 32)
    os.chmod(key, 0o600)
    box.env.update(SIGNETFS_KEYSTORE=path, SIGNETFS_ROOT_KEY=f"keyfile:{key}")
    return path


def test_schema_1_is_migrated(box):
    path = restore(box, "v1-keystore.sql")
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
    db.close()
    out = box.run("kms", "decrypt", "--ciphertext-blob", V1_BLOB, "--encryption-context", "a=b", "--query", "Plaintext",
                  "--output", "text").stdout
    assert base64.b64decode(out) == b"golden plaintext"
    assert box.run("kms", "describe-key", "--key-id", "alias/golden", "--query", "KeyMetadata.Description", "--output",
                   "text").stdout.strip() == "golden"
    assert "AKIAVJWBT7MFUGXL6BYJ" in box.run("kms", "list-access-keys").stdout
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() > (1,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert db.execute("SELECT id FROM accounts").fetchall() == [("000000000000",)]
    db.close()
