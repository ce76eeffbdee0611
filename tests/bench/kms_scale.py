#!/usr/bin/env python3
"""Does a call to the KMS, or a page of a listing, take longer the more keys there are?

usage: kms_scale.py [--build DIR] [--folder DIR] [-n KEYS,…]

One keystore grows to 1,000, 10,000 and 100,000 keys (each with an alias, and one key with a grant for every ten keys) through the API.
At each size: the median time of each operation over 400 keys at random, one request at a time, and of a page of 50 of each
listing at its beginning, in its middle and at its end. Table and figures go to DIR/bench.
"""

import argparse
import base64
import json
import os
import random
import subprocess
import time

from kms_service import Service

SAMPLE, PAGE, ROUNDS = 400, 50, 3
REPEATABLE = ("Decrypt", "Describe", "Disable", "Enable", "Encrypt", "Generate", "Get", "List")
GRANTEE = "arn:aws:iam::000000000000:root"


class Keystore:
    def __init__(self, service):
        self.service, self.client = service, service.client()
        self.keys, self.grants = [], 0
        self.big = self.client.create_key(Description="with all the grants")["KeyMetadata"]["KeyId"]

    def grow(self, count):
        have = len(self.keys)
        self.service.load("CreateKey", [{}] * (count - have))
        self.keys = [k["KeyId"] for page in self.client.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 1000})
                     for k in page["Keys"] if k["KeyId"] != self.big]
        assert len(self.keys) == count, f"{len(self.keys)} keys instead of {count}"
        self.service.load("CreateAlias", [{"AliasName": f"alias/key-{i:07d}", "TargetKeyId": self.keys[i]} for i in range(have, count)])
        more = count // 10 - self.grants
        self.service.load("CreateGrant", [{"KeyId": self.big, "GranteePrincipal": GRANTEE, "Operations": ["Decrypt"]}] * more)
        self.grants += more


def operations(store, keys):
    blobs = [base64.b64encode(store.client.encrypt(KeyId=k, Plaintext=b"x")["CiphertextBlob"]).decode() for k in keys]
    yield "DescribeKey", [{"KeyId": k} for k in keys]
    yield "GenerateDataKey", [{"KeyId": k, "KeySpec": "AES_256"} for k in keys]
    yield "Encrypt", [{"KeyId": f"alias/key-{store.keys.index(k):07d}", "Plaintext": "eA=="} for k in keys]
    yield "Decrypt", [{"CiphertextBlob": b} for b in blobs]
    for name in ("GetKeyPolicy", "GetKeyRotationStatus", "ListKeyPolicies", "ListGrants", "ListAliases", "ListResourceTags",
                 "ListKeyRotations", "GetKeyLastUsage", "DisableKey", "EnableKey"):
        yield name, [{"KeyId": k} for k in keys]
    yield "UpdateKeyDescription", [{"KeyId": k, "Description": "new"} for k in keys]
    yield "TagResource", [{"KeyId": k, "Tags": [{"TagKey": "a", "TagValue": "b"}]} for k in keys]
    yield "CreateAlias", [{"TargetKeyId": k, "AliasName": f"alias/more-{k}"} for k in keys]
    yield "DeleteAlias", [{"AliasName": f"alias/more-{k}"} for k in keys]
    yield "ScheduleKeyDeletion", [{"KeyId": k} for k in keys]
    yield "CancelKeyDeletion", [{"KeyId": k} for k in keys]
    yield "EnableKey again", [{"KeyId": k} for k in keys]


def marker_behind(store, operation, member, extra, skip):
    """The marker of the page that begins behind @skip entries; None: the first."""
    marker = None
    while skip > 0:
        take = min(skip, 100 if operation != "list_keys" else 1000)
        page = getattr(store.client, operation)(Limit=take, **extra, **({"Marker": marker} if marker else {}))
        assert len(page[member]) == take
        marker, skip = page["NextMarker"], skip - take
    return marker


def pages(store):
    """Name and body of each listing's page at its beginning, in its middle and at its end."""
    for operation, call, member, extra, count in (
            ("ListKeys", "list_keys", "Keys", {}, len(store.keys)), ("ListAliases", "list_aliases", "Aliases", {}, len(store.keys)),
            ("ListGrants", "list_grants", "Grants", {"KeyId": store.big}, store.grants)):
        for where, skip in (("first", 0), ("middle", count // 2), ("last", count - PAGE)):
            marker = marker_behind(store, call, member, extra, skip)
            yield operation, where, {"Limit": PAGE, **extra, **({"Marker": marker} if marker else {})}


def median(service, operation, bodies):
    rounds = ROUNDS if operation.startswith(REPEATABLE) else 1
    return min(service.load(operation, bodies, connections=1)["p50"] for _ in range(rounds))


def newest_records(service):
    """`signetfs kms audit` of the newest 20 records, its start included."""
    times = []
    for _ in range(5):
        begin = time.monotonic()
        service.run("kms", "audit", "--limit", "20")
        times.append((time.monotonic() - begin) * 1000)
    return min(times)


def measure(store, count):
    store.grow(count)
    keys = random.Random(count).sample(store.keys, min(SAMPLE, count))
    row = {name: median(store.service, name.split()[0], bodies) for name, bodies in operations(store, keys)}
    for operation, where, body in pages(store):
        row[f"{operation}, {where} page"] = median(store.service, operation, [body] * SAMPLE)
    row["kms audit, newest 20"] = newest_records(store.service)
    row["resident MiB"] = store.service.resident() / 2**20
    row["keystore MiB"] = os.path.getsize(store.service.keystore) / 2**20
    return row


def markdown(rows):
    sizes = list(rows)
    lines = ["| median ms | " + " | ".join(f"{n:,} keys" for n in sizes) + " | last / first |", "|---" * (len(sizes) + 2) + "|"]
    for name in rows[sizes[0]]:
        values = [rows[n][name] for n in sizes]
        lines.append(f"| {name} | " + " | ".join(f"{v:.3f}" for v in values) + f" | {values[-1] / values[0]:.2f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--folder", default="/dev/shm")
    parser.add_argument("-n", "--keys", default="1000,10000,100000")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    service, rows = Service(args.folder, build), {}
    try:
        store = Keystore(service)
        for count in map(int, args.keys.split(",")):
            rows[count] = measure(store, count)
            print(f"# {count:,} keys measured", flush=True)
    finally:
        service.close()
    os.makedirs(f"{build}/bench", exist_ok=True)
    with open(f"{build}/bench/kms-scale.json", "w", encoding="utf-8") as f:
        json.dump(rows, f, indent=1)
    with open(f"{build}/bench/kms-scale.md", "w", encoding="utf-8") as f:
        f.write(markdown(rows))
    print(markdown(rows))


main()
