#!/usr/bin/env python3
"""`signetfs reencrypt` of many small files on a tmpfs: files a second, memory, and the calls that the KMS's audit trail holds.

    /usr/bin/python3 tests/bench/migration.py [--files 100000] [--data]
"""

import argparse
import collections
import json
import os
import subprocess
import tempfile

from rescue import SIGNETFS, Bench


def calls(b):
    """How many calls of each operation the audit trail holds."""
    out = subprocess.run([SIGNETFS, "kms", "audit", "--json-lines"], env=b.env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return collections.Counter(json.loads(line)["eventName"] for line in out.splitlines())


def new_key(b):
    words = [SIGNETFS, "kms", "create-key", "--query", "KeyMetadata.KeyId", "--output", "text"]
    return subprocess.run(words, env=b.env, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def move(b, vault, files, *options):
    """Files a second, MiB, and calls by operation, as the audit trail has them."""
    key, before = new_key(b), calls(b)
    seconds, memory = b.measure(SIGNETFS, "reencrypt", vault, "--to", key, *options)
    made = calls(b) - before
    shown = json.loads(subprocess.run([SIGNETFS, "keys", "--json", vault], env=b.env, check=True, stdout=subprocess.PIPE).stdout)
    rows = shown["keys"]
    assert all(row["key_arn"].endswith(key) for row in rows) and sum(row["files"] for row in rows) == files, rows
    made.pop("CreateKey", None)
    return files / seconds, memory, dict(made)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--files", type=int, default=100_000)
    options.add_argument("--data", action="store_true")
    o = options.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as root:
        b = Bench(root)
        vault = b.small_files(o.files, size=16)
        for words in ([], ["--data"]) if o.data else ([],):
            rate, memory, made = move(b, vault, o.files, *words)
            print(f"{' '.join(words) or 'rewrap'}: {o.files} files, {rate:,.0f}/s, {memory:.0f} MiB, calls {made}", flush=True)


if __name__ == "__main__":
    main()
