#!/usr/bin/env python3
"""How many calls a second the KMS answers over TCP, with signatures verified, policies asked and every call's record durable.

usage: kms_speed.py [--build DIR] [--tmpfs DIR] [--disk DIR] [-c CONNECTIONS] [-t SECONDS] [-r ROUNDS]

GenerateDataKey and Decrypt with the keystore on a tmpfs and on a disk, client and server on this machine; the best of ROUNDS
runs of each, for what else runs on the machine only takes away. Beside it moto's server, where moto_server is installed. What the server
holds in memory before the first call and after the last. Table and figures go to DIR/bench.
"""

import argparse
import base64
import json
import os
import shutil
import sys

from kms_service import Moto, Service

HEAD = "| | keystore on | calls/s | p50 | p99 | worst | server | client | others |\n|---|---|---|---|---|---|---|---|---|\n"


def bodies(endpoint):
    client = endpoint.client()
    key = client.create_key()["KeyMetadata"]["KeyId"]
    blob = client.encrypt(KeyId=key, Plaintext=os.urandom(32))["CiphertextBlob"]
    return {"GenerateDataKey": {"KeyId": key, "KeySpec": "AES_256"},
            "Decrypt": {"CiphertextBlob": base64.b64encode(blob).decode()}}


def row_text(r):
    each = 1e6 / r["requests"]
    busy = r["others"] / (r["seconds"] * os.cpu_count())
    return (f"| {r['name']} {r['operation']} | {r['place']} | {r['rate']:,.0f} | {r['p50']:.2f} ms | {r['p99']:.2f} ms | {r['worst']:.1f} ms | "
            f"{r['server'] * each:.0f} µs | {r['client'] * each:.0f} µs | {100 * busy:.0f} % |")


def measure(endpoint, place, args):
    for operation, body in bodies(endpoint).items():
        endpoint.load(operation, body, args.connections, 0.5)
        runs = [endpoint.load(operation, body, args.connections, args.seconds) for _ in range(args.rounds)]
        best = max(runs, key=lambda r: r["rate"])
        best.update(name=endpoint.name, place=place, runs=[r["rate"] for r in runs])
        print(row_text(best), flush=True)
        yield best


def measure_signetfs(place, folder, args):
    service = Service(folder, args.build)
    try:
        idle = service.resident()
        rows = list(measure(service, place, args))
        rows[-1].update(idle=idle, after=service.resident())
        print(f"# resident: {idle / 2**20:.1f} MiB before the first call, {rows[-1]['after'] / 2**20:.1f} MiB after the last", flush=True)
        return rows
    finally:
        service.close()


def measure_peer(args):
    if not shutil.which("moto_server"):
        print("# SKIPPED: moto_server is not installed, so there is no peer in this run", file=sys.stderr, flush=True)
        return []
    peer = Moto(args.build)
    try:
        return list(measure(peer, "memory", args))
    finally:
        peer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--tmpfs", default="/dev/shm")
    parser.add_argument("--disk", default="/var/tmp")
    parser.add_argument("-c", "--connections", type=int, default=8)
    parser.add_argument("-t", "--seconds", type=float, default=5)
    parser.add_argument("-r", "--rounds", type=int, default=3)
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    print(HEAD, end="")
    rows = measure_signetfs("tmpfs", args.tmpfs, args) + measure_signetfs("disk", args.disk, args) + measure_peer(args)
    os.makedirs(f"{args.build}/bench", exist_ok=True)
    with open(f"{args.build}/bench/kms.json", "w", encoding="utf-8") as f:
        json.dump(rows, f, indent=1)
    with open(f"{args.build}/bench/kms.md", "w", encoding="utf-8") as f:
        f.write(HEAD + "\n".join(map(row_text, rows)) + "\n")


main()
