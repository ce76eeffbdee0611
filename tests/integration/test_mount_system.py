"""A mount among the system's programs: mount(8) and umount(8) with their helpers, fstab, remounts, ordinary users."""

import os
import stat

import pytest

from conftest import needs_fuse
from hostile import wait_until
from machine import Machine, unclean_sessions
from programs import needs, root_only

pytestmark = [needs_fuse, root_only, needs("unshare", "nsenter", "setpriv", "findmnt")]
USAGE, MOUNT_POINT = 2, 7
KEYSTORE = ".local/share/signetfs/kms.db"
MOUNT_FAILED = 32  # of mount(8) and umount(8)


class System:
    """The machine with a vault of root's, and what mount(8) has to be told of it: its helpers see no environment of ours."""

    def __init__(self, box, fstab="", fuse_conf=""):
        self.box, self.vault, self.point = box, box.path("vault"), box.path("clear")
        self.keys = f"root-key=keyfile:{box.home}/root.key,keystore={box.keystore}"
        os.mkdir(self.point)
        self.machine = Machine(box, fstab.format(self=self), fuse_conf)
        self.sh, self.options = self.machine.sh, self.machine.options
        box.make_vault()

    def mount(self, options="defaults", code=0, kind="signetfs", flags=""):
        return self.sh(f"mount {flags} -t {kind} -o {self.keys},{options} {self.vault} {self.point}", code=code)

    def clean(self):
        return unclean_sessions(self.vault) == 0


@pytest.fixture
def system(kms_box):
    made = []

    def make(fstab="", fuse_conf=""):
        made.append(System(kms_box, fstab, fuse_conf))
        return made[-1]

    yield make
    for s in made:
        s.machine.close()


def test_mount8_and_umount8(system):
    s = system()
    for kind in ("signetfs", "fuse.signetfs"):
        s.mount("noexec,_netdev,nofail,x-systemd.requires=network.target,x-systemd.automount,X-mine=1,comment=x", kind=kind)
        assert {"rw", "nosuid", "nodev", "noexec"} <= s.options(s.point)
        assert s.sh(f"findmnt -no SOURCE,FSTYPE {s.point}").split() == [s.vault, "fuse.signetfs"]
        assert s.sh(f"df --output=source,fstype {s.point}").splitlines()[1].split() == [s.vault, "fuse.signetfs"]
        s.sh(f"echo {kind} > {s.point}/file")
        assert not s.clean(), "the session that runs"
        s.sh(f"umount {s.point}")
        assert s.clean(), "umount(8) returned before the vault was closed, although it knows of the helper"


def test_mounted_again_at_once(system):
    """umount(8) calls the helper only where fstab or a comment made it look; so the next mount waits for one that is just ending."""
    s = system()
    for i in range(10):
        s.mount()
        s.sh(f"head -c 3000000 /dev/urandom > {s.point}/{i}; fusermount3 -u {s.point}")
    s.mount()
    assert s.sh(f"ls {s.point} | wc -l") == "10\n"


def test_letters_of_mount8(system):
    """-f pretends, -s is sloppy, -n and -v change nothing here, -N and -t have a value."""
    s = system()
    s.mount(flags="-f -v")
    assert s.options(s.point) == set()
    s.mount(flags="-s -n -v")
    assert s.options(s.point) != set()
    s.sh(f"umount -n -v {s.point}")
    s.sh(f"/sbin/mount.signetfs {s.vault} {s.point} -sfnv -o {s.keys} -t fuse.signetfs -N /proc/self/ns/mnt")
    assert s.options(s.point) == set()
    assert "bogus" in s.mount("bogus", code=USAGE)


def test_umount8_of_a_busy_mount(system):
    s = system()
    s.mount()
    assert "busy" in s.sh(f"cd {s.point}; umount {s.point}", code=MOUNT_FAILED)
    said = s.sh(f"cd {s.point}; signetfs umount {s.point}", code=1)
    assert "in use" in said and "umount -l" in said
    s.sh(f"exec 5> {s.point}/file; umount -l {s.point}; echo late >&5")
    s.mount()
    assert s.sh(f"cat {s.point}/file") == "late\n"


def test_umount_force(system):
    """A mount whose process is stuck is given up; one whose process answers is unmounted as ever."""
    s = system()
    s.mount()
    s.sh(f"echo kept > {s.point}/file; umount -f {s.point}")
    assert s.clean()
    s.mount()
    pid = s.sh(f"signetfs stats --json {s.point} | sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p'").strip()
    s.sh(f"kill -STOP {pid}; timeout 60 umount -f {s.point}; rc=$?; kill -CONT {pid}; exit $rc")
    assert s.options(s.point) == set()
    s.mount()
    assert s.sh(f"cat {s.point}/file") == "kept\n"


FSTAB = """
{self.vault} {self.point} signetfs {self.keys},noauto,nofail,_netdev,user,idle=1h,x-systemd.idle-timeout=5min 0 0
"""


def test_fstab(system):
    s = system(FSTAB.replace("noauto", "auto"))
    s.sh("mount -a")
    assert s.options(s.point) >= {"rw", "noexec", "nosuid", "nodev"}
    s.sh("mount -a")
    assert s.sh(f"findmnt -n {s.point}").count("\n") == 1, "mount -a does not mount twice"
    s.sh("umount -a -t fuse.signetfs")  # on this machine nobody else has one
    assert s.options(s.point) == set() and s.clean()


def test_fstab_noauto_and_read_only(system):
    s = system(FSTAB)
    s.sh("mount -a")
    assert s.options(s.point) == set()
    s.sh(f"mount {s.point} && echo x > {s.point}/file && umount {s.point}")
    s.sh(f"mount -o ro {s.point}")
    assert "Read-only" in s.sh(f"touch {s.point}/new", code=1)
    assert s.clean(), "reading is no session"


def test_fstab_user(system, kms_box):
    """`user` in fstab: an ordinary user mounts and unmounts what is theirs."""
    box = kms_box
    home = box.path("home-65534")
    s = system(f"{home}/vault {home}/clear signetfs noauto,user,root-key=keyfile:{home}/key,keystore={home}/{KEYSTORE} 0 0\n")
    nobody = s.machine.nobody
    s.sh("cd; head -c 32 /dev/urandom > key; chmod 600 key; mkdir clear; signetfs kms init --root-key keyfile:$HOME/key;"
         "signetfs init --root-key keyfile:$HOME/key vault", user=nobody)
    for way in ("umount", "fusermount3 -u", "signetfs umount"):
        s.sh(f"mount {home}/clear && echo '{way}' > {home}/clear/file", user=nobody)
        assert s.sh(f"cat {home}/clear/file", user=nobody) == way + "\n"
        assert "denied" in s.sh(f"cat {home}/clear/file", code=1), "not even root gets in"
        s.sh(f"{way} {home}/clear", user=nobody)
    s.sh(f"mount {home}/clear; signetfs umount {home}/clear", user=nobody)
    assert unclean_sessions(f"{home}/vault") == 0


# ---- remount ----


@pytest.mark.parametrize("fstab", [FSTAB, ""])
def test_remount(system, fstab):
    s = system(fstab)
    s.mount("noexec")
    s.sh(f"echo before > {s.point}/file; mount -o remount,ro {s.point}")
    assert s.options(s.point) >= {"ro", "noexec", "nosuid", "nodev"}
    for change in ("touch new", "echo x >> file", "mkdir d", "rm file", "chmod 0 file"):
        assert "Read-only file system" in s.sh(f"cd {s.point}; {change}", code=None), change
    assert s.sh(f"cat {s.point}/file") == "before\n"
    s.sh(f"mount -o remount,rw,noatime {s.point}; echo after > {s.point}/file")
    assert s.options(s.point) >= {"rw", "noatime", "nosuid", "nodev"}
    said = s.sh(f"exec 5>> {s.point}/file; mount -o remount,ro {s.point}", code=1)
    assert "open for writing" in said and "rw" in s.options(s.point)
    s.sh(f"umount {s.point}")
    wait_until(s.clean)


def test_remount_of_a_vault_that_is_open_for_reading(system):
    s = system()
    s.mount("ro")
    assert "mount it anew" in s.sh(f"mount -o remount,rw {s.point}", code=USAGE)
    assert "ro" in s.options(s.point)
    s.sh(f"mount -o remount,ro,noexec {s.point}")
    assert {"ro", "noexec"} <= s.options(s.point)


def test_remount_with_words_that_nobody_knows(system):
    """Refused, and nothing is changed; what fstab has for others, and for the next mount, is passed over."""
    s = system()
    s.mount("noexec")
    before = s.options(s.point)
    for words in ("noexecc", "ro,nosuch", "ro,threads=0", "ro,allow_other=1", "ro,fsname", "remounted"):
        said = s.sh(f"mount -o remount,{words} {s.point}", code=USAGE)
        assert words.split(",")[-1].split("=")[0] in said, said
        assert s.options(s.point) == before, words
    s.sh(f"mount -o remount,ro,nofail,_netdev,x-systemd.automount,idle=5m,kms=agent,acl {s.point}")
    assert s.options(s.point) == before - {"rw"} | {"ro"}


def test_remount_by_others(system):
    s = system(fuse_conf="user_allow_other\n")
    nobody = s.machine.nobody
    home = s.machine.home_of(nobody)
    s.sh("cd; head -c 32 /dev/urandom > key; chmod 600 key; mkdir clear; signetfs kms init --root-key keyfile:$HOME/key;"
         "signetfs init --root-key keyfile:$HOME/key vault; signetfs mount --root-key keyfile:$HOME/key vault clear", user=nobody)
    said = s.sh("cd; signetfs mount -o remount,ro vault clear", user=nobody, code=USAGE)
    assert "only root" in said and "rw" in s.options(f"{home}/clear")
    assert "not a mount point" in s.sh(f"signetfs mount -o remount,ro {s.vault} {s.point}", code=1)


# ---- who gets in ----


def mount_as_nobody(s, options):
    s.sh("cd; head -c 32 /dev/urandom > key; chmod 600 key; mkdir clear; signetfs kms init --root-key keyfile:$HOME/key;"
         "signetfs init --root-key keyfile:$HOME/key vault", user=s.machine.nobody)
    s.sh(f"cd; signetfs mount -o {options} --root-key keyfile:$HOME/key vault clear", user=s.machine.nobody)
    home = s.machine.home_of(s.machine.nobody)
    os.chmod(home, 0o755)
    s.sh(f"echo text > {home}/clear/file; chmod 666 {home}/clear/file; chmod 777 {home}/clear", user=s.machine.nobody)
    return home + "/clear"


class Third:
    pw_uid = pw_gid = 12345


def test_allow_other_as_user(system):
    s = system(fuse_conf="user_allow_other\n")
    point = mount_as_nobody(s, "allow_other")
    assert s.sh(f"cat {point}/file", user=Third) == s.sh(f"cat {point}/file") == "text\n"
    s.sh(f"signetfs umount {point}", user=s.machine.nobody)


def test_allow_root(system):
    """The owner and root get in, whatever the modes say; a third user does not, however much was read before."""
    s = system(fuse_conf="user_allow_other\n")
    point = mount_as_nobody(s, "allow_root")
    for _ in range(2):
        assert s.sh(f"cat {point}/file") == s.sh(f"cat {point}/file", user=s.machine.nobody) == "text\n"
        assert "denied" in s.sh(f"cat {point}/file", user=Third, code=1)
        assert "denied" in s.sh(f"ls {point}", user=Third, code=2)
        s.sh(f"chmod 755 {point}", user=s.machine.nobody)
    assert stat.filemode(int(s.sh(f"stat -c %f {point}"), 16)) == "drwx------"
    s.sh(f"signetfs umount {point}", user=s.machine.nobody)


@pytest.mark.parametrize("option", ["allow_other", "allow_root"])
def test_not_allowed_to_let_others_in(system, option):
    s = system()
    s.sh("cd; head -c 32 /dev/urandom > key; chmod 600 key; mkdir clear; signetfs kms init --root-key keyfile:$HOME/key;"
         "signetfs init --root-key keyfile:$HOME/key vault", user=s.machine.nobody)
    said = s.sh(f"cd; signetfs mount -o {option} --root-key keyfile:$HOME/key vault clear", user=s.machine.nobody, code=MOUNT_POINT)
    assert "user_allow_other" in said and "/etc/fuse.conf" in said
    assert unclean_sessions(s.machine.home_of(s.machine.nobody) + "/vault") == 0
