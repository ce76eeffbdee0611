"""What the test_hostile_*.py files share: mounts in the foreground, whose log is read, and ways to wait and to fail."""

import errno
import json
import os
import subprocess
import time

from conftest import SIGNETFS, is_mounted

KMS_UNREACHABLE, ACCESS_DENIED, DAMAGED, MOUNT_POINT = 4, 5, 6, 7


def wait_until(condition, seconds=60, what=""):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain {what}"
        time.sleep(0.02)


def errno_of(action, *args):
    """The name of the errno that @action fails with; "" when it does not."""
    try:
        action(*args)
    except OSError as e:
        return errno.errorcode[e.errno]
    return ""


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data, sync=False):
    with open(path, "wb") as f:
        f.write(data)
        if sync:
            f.flush()
            os.fsync(f.fileno())


def snapshot(top):
    """Every byte below @top, to see that a refused mount changed nothing; the lock's text says only who tried last."""
    found = {}
    for folder, dirs, files in os.walk(top):
        found.update({os.path.join(folder, d): None for d in dirs})
        for name in files:
            path = os.path.join(folder, name)
            found[path] = os.readlink(path) if os.path.islink(path) else read(path)
    found.pop(os.path.join(top, ".signetfs/lock"), None)
    return found


class Watched:
    """A mount in the foreground of a process that is ours: its pid is known and its log is read."""

    def __init__(self, box, vault, *options, name="clear", before=(), env=None):
        self.box, self.vault, self.point = box, vault, box.path(name)
        os.makedirs(self.point, exist_ok=True)
        self.errors = open(box.path(f"{name}-{time.monotonic_ns()}.log"), "w+")
        self.process = subprocess.Popen([*before, SIGNETFS, "mount", "-f", *options, vault, self.point], env=env or box.env,
                                        cwd=box.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors)
        box.mounts.append(self.point)
        box.services.append(self)
        wait_until(lambda: is_mounted(self.point) or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()

    def path(self, *parts):
        return os.path.join(self.point, *parts)

    def log(self):
        return read(self.errors.name).decode()

    def stats(self):
        return json.loads(self.box.run("stats", "--json", self.point).stdout)

    def umount(self):
        self.box.umount(self.point)
        assert self.process.wait(timeout=30) == 0, self.log()

    def killed(self):
        """End it as a crash would; the dead mount is taken away."""
        self.process.kill()
        self.process.wait()
        self.box.run("umount", "-l", self.point)
        self.box.mounts.remove(self.point)

    def kill(self):
        """For what a failed test left behind."""
        if self.process.poll() is None:
            subprocess.run(["fusermount3", "-u", "-z", self.point], stderr=subprocess.DEVNULL, timeout=30)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.errors.close()


def lower_of(vault, path):
    """The vault's file behind a plain one: inode numbers are the lower tree's."""
    inode = os.lstat(path).st_ino
    for folder, dirs, files in os.walk(vault):
        for name in dirs + files:
            if os.lstat(os.path.join(folder, name)).st_ino == inode:
                return os.path.join(folder, name)
    raise AssertionError(path)


def drop_pages():
    """Clean pages of every file system; needs root. True when done."""
    if os.geteuid() != 0:
        return False
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3")
    return True


def new_key(box):
    return json.loads(box.run("kms", "create-key", "--json").stdout)["KeyMetadata"]
