"""What the tests of fsck and restore share: a vault filled once, where its files lie, copies of it to damage, the commands' events."""

import json
import os
import shutil
import subprocess

from conftest import LIMIT

CHUNK, STORED, HEADER = 4096, 4136, 512


def lower_names(vault, point):
    """Plain path -> path in the vault, by inode; of a hard link the one whose folder fits."""
    by_inode, found = {}, {}
    for folder, dirs, files in os.walk(vault):
        for name in dirs + files:
            path = os.path.relpath(os.path.join(folder, name), vault)
            by_inode.setdefault(os.lstat(os.path.join(vault, path)).st_ino, []).append(path)
    for folder, dirs, files in os.walk(point):
        for name in dirs + files:
            plain = os.path.relpath(os.path.join(folder, name), point)
            paths = by_inode[os.lstat(os.path.join(point, plain)).st_ino]
            depth = [p for p in paths if p.count("/") == plain.count("/")]
            found[plain] = (depth or paths)[0]
    return found


def copy(vault, to):
    subprocess.run(["cp", "-a", vault, to], check=True, timeout=LIMIT)


def flip(path, offset):
    """Another bit than was there."""
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)
        f.seek(offset)
        f.write(bytes([byte[0] ^ 0x20]))


class Sound:
    """A keystore and a vault that ended cleanly, filled by @fill; self.lower says where."""

    def __init__(self, box, fill, *mount_options):
        self.box = box
        box.make_keystore()
        self.vault = box.make_vault(name="sound")
        point = box.mount(self.vault, *mount_options)
        fill(point)
        self.lower = lower_names(self.vault, point)
        box.umount(point)

    def fresh(self, base=None, name="case"):
        """A copy to be damaged; the one before goes."""
        vault = self.box.path(name)
        shutil.rmtree(vault, ignore_errors=True)
        copy(base or self.vault, vault)
        return vault

    def dest(self, name="out"):
        """A place that is not there yet."""
        path = self.box.path(name)
        shutil.rmtree(path, ignore_errors=True)
        return path

    def events(self, *args, code=0):
        """Exit status and events of fsck or restore, the last of which is the summary; progress is left out."""
        done = self.box.run(args[0], "--json", *args[1:], code=code)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert events and events[-1]["event"] == "done", done.stdout + done.stderr
        return done.returncode, [e for e in events if e["event"] != "progress"]

    def fsck(self, *args, code=None):
        """Exit status and findings."""
        returned, events = self.events("fsck", *args, code=code)
        assert events[-1]["exit"] == returned
        return returned, events[:-1]


def told(findings):
    return sorted((f["kind"], f["state"], f["path"]) for f in findings)
