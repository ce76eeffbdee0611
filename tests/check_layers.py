#!/usr/bin/env python3
"""The layers of doc/architecture.md, checked: includes point down, third-party headers stay in their homes."""

import os
import re
import sys

MAY_INCLUDE = {
    "kms/base": [],
    "kms/store": ["kms/base"],
    "kms/rootkey": ["kms/base"],
    "kms/policy": ["kms/base"],
    "kms/engine": ["kms/base", "kms/store", "kms/rootkey", "kms/policy"],
    "kms/wire": ["kms/base", "kms/engine", "kms/rootkey", "kms"],
    "kms/customer": ["kms/base", "kms/rootkey", "kms"],
    "kms": ["kms/base"],
    "keycache": ["kms/base", "kms"],
    "fs/format": ["kms/base"],
    "fs/vault": ["kms/base", "kms", "keycache", "fs/format"],
    "fs/reencrypt": ["kms/base", "kms", "keycache", "fs/format", "fs/vault"],
    "fs/restore": ["kms/base", "kms", "keycache", "fs/format", "fs/vault"],
    "fs/fsck": ["kms/base", "kms", "keycache", "fs/format", "fs/vault"],
    "fs/report": ["kms/base"],
    "fs/fuse": ["kms/base", "kms", "keycache", "fs/format", "fs/vault", "fs/reencrypt"],
    "fs/drill": ["kms/base", "kms", "kms/wire", "kms/store", "keycache", "fs/format", "fs/vault", "fs/reencrypt", "fs/restore", "fs/fsck", "fs/report"],
    "fs/cli": None,  # everything
}
HOMES = {
    "sqlite3.h": ["kms/store"],
    "ini.h": ["kms/base/ini_file.c"],
    "curl/": ["kms/wire"],
    "microhttpd.h": ["kms/wire"],
    "fuse": ["fs/fuse"],
    "openssl/": ["kms/base", "kms/engine"],
    "intel-ipsec-mb.h": ["kms/base"],
    "jansson.h": ["kms/", "fs/fuse/control", "fs/reencrypt/", "fs/report/", "fs/drill/", "fs/cli"],
}


def layer_of(path):
    return max((l for l in MAY_INCLUDE if path.startswith(l + "/")), key=len, default=None)


def sources():
    for top in ("kms", "keycache", "fs"):
        for folder, _, files in os.walk(top):
            for name in sorted(files):
                if name.endswith((".c", ".h")):
                    yield os.path.join(folder, name)


def check(path):
    mine = layer_of(path)
    if mine is None:
        yield f"{path}: lies in no layer"
        return
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        ours = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        theirs = re.match(r"\s*#\s*include\s*<([^>]+)>", line)
        if ours:
            target = layer_of(ours.group(1))
            if not os.path.exists(ours.group(1)):
                yield f"{path}:{number}: includes are written from the top: {ours.group(1)}"
            elif target != mine and MAY_INCLUDE[mine] is not None and target not in MAY_INCLUDE[mine]:
                yield f"{path}:{number}: {mine} must not include {target}"
        if theirs:
            for header, homes in HOMES.items():
                if theirs.group(1).startswith(header) and not any(path.startswith(h) for h in homes):
                    yield f"{path}:{number}: <{theirs.group(1)}> belongs in {', '.join(homes)}"


def main():
    files = list(sources())
    problems = [p for path in files for p in check(path)]
    for problem in problems:
        print(problem)
    print(f"layers: {len(files)} files, {len(problems)} problems")
    return 1 if problems or not files else 0


sys.exit(main())
