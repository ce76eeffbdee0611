"""A machine of its own for mount(8): a mount namespace where signetfs is installed in /sbin and /etc has files of ours, so that the real
programs run and the real machine stays as it is."""

import os
import pwd
import shutil
import subprocess

import pytest

from conftest import SIGNETFS

HELPERS = ("mount.signetfs", "mount.fuse.signetfs", "umount.signetfs", "umount.fuse.signetfs")
SESSIONS_EMPTY = 64  # bytes of .signetfs/sessions without an unclean one: doc/format.md


def unclean_sessions(vault):
    """How many sessions did not end cleanly; the one that runs counts as well."""
    return (os.path.getsize(os.path.join(vault, ".signetfs/sessions")) - SESSIONS_EMPTY) // 8


class Machine:
    def __init__(self, box, fstab="", fuse_conf=""):
        """The keystore's and vault's paths in the box are known before they exist, so @fstab may name them."""
        self.box = box
        self.nobody = pwd.getpwnam("nobody")
        self._install({"etc/fstab": fstab, "etc/fuse.conf": fuse_conf})
        # The process that holds the namespace; it ends with its input.
        self.holder = subprocess.Popen(["unshare", "--mount", "sh", "-c", "echo ready; read line"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        # What others have mounted is not to be held by this namespace.
        self.sh("findmnt -rno TARGET -t fuse,fuseblk,fuse.signetfs | xargs -r umount -i -l", code=None)
        for below, folder in (("sbin", os.path.realpath("/sbin")), ("etc", "/etc")):
            said = self.sh(f"mount -t overlay -o lowerdir={box.path(below)}:{folder} none {folder}", code=None)
            if said:
                self.close()
                pytest.skip(f"no overlay over {folder} on this machine: {said}")

    def _install(self, texts):
        for folder in ("sbin", "etc"):
            os.mkdir(self.box.path(folder), 0o755)
        shutil.copy(SIGNETFS, self.box.path("sbin/signetfs"))
        for name in HELPERS:
            os.symlink("signetfs", self.box.path("sbin", name))
        for name, text in texts.items():
            with open(self.box.path(name), "w") as f:
                f.write(text)
            os.chmod(self.box.path(name), 0o644)
        # Others have to get through the folders above.
        above = self.box.root
        for _ in range(3):
            os.chmod(above, 0o755)
            above = os.path.dirname(above)

    def sh(self, script, code=0, user=None, cwd="/"):
        """What the script says, both streams. @user: as this one; the home folder is in the box."""
        words = ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt"]
        env = {**self.box.env, "PATH": "/sbin:/bin:/usr/bin"}
        if user:
            words += ["setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
            env["HOME"] = self.home_of(user)
        done = subprocess.run([*words, "sh", "-c", script], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120)
        assert code is None or done.returncode == code, f"{script}: exit {done.returncode}\n{done.stdout}"
        return done.stdout

    def home_of(self, user):
        home = self.box.path(f"home-{user.pw_uid}")
        if not os.path.isdir(home):
            os.mkdir(home, 0o700)
            os.chown(home, user.pw_uid, user.pw_gid)
        return home

    def options(self, point):
        """The options that findmnt shows, as a set; empty when nothing is mounted there."""
        return set(filter(None, self.sh(f"findmnt -no OPTIONS {point}", code=None).strip().split(",")))

    def close(self):
        self.sh(f"findmnt -rno TARGET -t fuse.signetfs | grep ^{self.box.root}/ | xargs -r umount -l", code=None)
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait(timeout=30)
