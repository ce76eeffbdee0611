"""How a mount begins and ends, and what is refused."""

import errno
import os
import pty
import pwd
import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import SIGNETFS, Mounted, is_mounted, needs_fuse

pytestmark = needs_fuse
USAGE, DAMAGED, MOUNT_POINT = 2, 6, 7
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def gone(pid):
    return lambda: not os.path.exists(f"/proc/{pid}") or open(f"/proc/{pid}/stat").read().split(") ")[1][0] == "Z"


# ---- beginning ----


def test_mount_shows_where_it_comes_from(mounted):
    with open("/proc/mounts") as f:
        line = next(line.split() for line in f if line.split()[1] == mounted.point)
    assert line[0] == mounted.vault and line[2] == "fuse.signetfs"
    assert {"nosuid", "nodev"} <= set(line[3].split(","))


def test_options_reach_the_kernel(kms_box):
    m = Mounted(kms_box, "-o", "noexec,noatime,fsname=my vault,x-systemd.automount,_netdev,nofail")
    with open("/proc/mounts") as f:
        line = next(line.split() for line in f if line.split()[1] == m.point)
    assert line[0] == "my\\040vault"
    assert {"noexec", "noatime"} <= set(line[3].split(","))
    shutil.copy("/bin/true", m.path("program"))
    with pytest.raises(PermissionError):
        subprocess.run([m.path("program")])


def test_read_only(kms_box):
    m = Mounted(kms_box)
    with open(m.path("file"), "w") as f:
        f.write("kept")
    kms_box.umount(m.point)
    before = sorted(os.listdir(m.vault))
    kms_box.mount(m.vault, "-o", "ro")
    assert open(m.path("file")).read() == "kept"
    for change in (lambda: open(m.path("file"), "a"), lambda: os.mkdir(m.path("d")), lambda: os.unlink(m.path("file")),
                   lambda: os.chmod(m.path("file"), 0), lambda: os.utime(m.path("file")),
                   lambda: os.setxattr(m.path("file"), "user.x", b"")):
        with pytest.raises(OSError) as caught:
            change()
        assert caught.value.errno == errno.EROFS
    kms_box.umount(m.point)
    assert sorted(os.listdir(m.vault)) == before


def test_foreground(kms_box):
    vault, point = kms_box.make_vault(), kms_box.path("clear")
    os.mkdir(point)
    process = subprocess.Popen([SIGNETFS, "mount", "-f", vault, point], env=kms_box.env, cwd=kms_box.home,
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: is_mounted(point))
        with open(point + "/file", "w") as f:
            f.write("x")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert not is_mounted(point)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_helper_of_mount8(kms_box):
    helper = kms_box.path("mount.signetfs")
    os.symlink(SIGNETFS, helper)
    vault, point = kms_box.make_vault(), kms_box.path("clear")
    os.mkdir(point)
    subprocess.run([helper, vault, point, "-f", "-o", "rw,noauto,user"], env=kms_box.env, cwd=kms_box.home, check=True)
    assert not is_mounted(point), "-f is `fake` in mount(8)"
    subprocess.run([helper, vault, point, "-s", "-n", "-o", "rw,noatime,noauto,user=me,comment=x", "-t", "signetfs"],
                   env=kms_box.env, cwd=kms_box.home, check=True)
    kms_box.mounts.append(point)
    assert is_mounted(point)


def mount_on_terminal(box, vault, point, passphrase):
    """`signetfs mount` on a terminal of its own, where the agent asks for the passphrase; (exit code, what was shown)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(box.home)
        os.execve(SIGNETFS, [SIGNETFS, "mount", "--root-key", "passphrase", vault, point], box.env)
    shown = b""
    try:
        while True:
            data = os.read(terminal, 4096)
            shown += data
            if shown.rstrip().endswith(b":"):
                os.write(terminal, passphrase + b"\n")
                shown += b"[asked]"
            if not data:
                break
    except OSError:
        pass  # the terminal's last user is gone
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace")


def test_passphrase_on_the_terminal(box):
    """Asked for before the mount goes to the background, by the agent; the mount outlives the terminal."""
    with open(box.path("pass"), "w") as f:
        f.write("correct horse battery\n")
    os.chmod(box.path("pass"), 0o600)
    by_file = ["--root-key", f"passfile:{box.path('pass')}"]
    box.run("kms", "init", *by_file)
    vault, point = box.path("vault"), box.path("clear")
    box.run("init", *by_file, vault)
    os.mkdir(point)
    code, shown = mount_on_terminal(box, vault, point, b"wrong")
    assert code == 3 and shown.count("[asked]") >= 1 and "wrong horse" not in shown, shown
    assert not is_mounted(point)
    box.mounts.append(point)
    code, shown = mount_on_terminal(box, vault, point, b"correct horse battery")
    assert code == 0 and shown.count("[asked]") == 1 and "correct horse" not in shown, shown
    with open(point + "/file", "w") as f:
        f.write("works")
    box.umount(point)


# ---- refusals ----


@pytest.fixture
def vault_box(kms_box):
    kms_box.vault = kms_box.make_vault()
    return kms_box


def refused(box, code, *args):
    """One clear message on stderr, nothing mounted; returns the message."""
    done = box.run("mount", *args, code=code)
    assert done.stderr.startswith("signetfs: ") and done.stdout == ""
    assert not any(is_mounted(a) for a in args if os.path.exists(str(a)))
    return done.stderr


def test_mount_point_missing(vault_box):
    text = refused(vault_box, MOUNT_POINT, vault_box.vault, vault_box.path("none"))
    assert "does not exist" in text and "mkdir" in text


def test_mount_point_is_a_file(vault_box):
    path = vault_box.path("file")
    open(path, "w").close()
    assert "not a directory" in refused(vault_box, MOUNT_POINT, vault_box.vault, path)


def test_mount_point_not_empty(vault_box):
    path = vault_box.path("full")
    os.mkdir(path)
    open(path + "/x", "w").close()
    assert "nonempty" in refused(vault_box, MOUNT_POINT, vault_box.vault, path)
    vault_box.run("mount", "-o", "nonempty", vault_box.vault, path)
    vault_box.mounts.append(path)
    assert os.listdir(path) == []


def test_mount_point_inside_the_vault_or_around_it(vault_box):
    inside = vault_box.vault + "/inside"
    os.mkdir(inside)
    assert "inside the vault" in refused(vault_box, MOUNT_POINT, vault_box.vault, inside)
    os.rmdir(inside)
    assert "is the vault itself" in refused(vault_box, MOUNT_POINT, vault_box.vault, vault_box.vault)
    assert "would be hidden" in refused(vault_box, MOUNT_POINT, vault_box.vault, vault_box.root)


def test_mounted_twice(vault_box):
    point = vault_box.mount(vault_box.vault)
    done = vault_box.run("mount", vault_box.vault, point, code=MOUNT_POINT)
    assert "mounted already" in done.stderr and vault_box.vault in done.stderr and "umount" in done.stderr
    other = vault_box.path("other")
    os.mkdir(other)
    text = refused(vault_box, 1, vault_box.vault, other)
    assert f"mounted on {point}" in text and "process" in text
    with open(point + "/still", "w") as f:
        f.write("works")


def test_no_vault(vault_box):
    point, empty = vault_box.path("point"), vault_box.path("empty")
    os.mkdir(point)
    os.mkdir(empty)
    for what in (empty, vault_box.path("none")):
        done = vault_box.run("mount", what, point, code=None)
        assert done.returncode in (1, DAMAGED) and what in done.stderr
    assert os.listdir(empty) == []


@pytest.mark.parametrize("options, word", [("bogus", "bogus"), ("ro,uid=5", "uid"), ("threads=0", "threads"),
                                           ("fsname", "fsname"), ("ro=1", "ro")])
def test_unknown_options_are_named(vault_box, options, word):
    point = vault_box.path("point")
    os.mkdir(point)
    assert f'"{word}"' in refused(vault_box, USAGE, "-o", options, vault_box.vault, point) or word == "threads"


def test_wrong_operands(vault_box):
    vault_box.run("mount", code=USAGE)
    vault_box.run("mount", vault_box.vault, code=USAGE)
    vault_box.run("umount", code=USAGE)
    assert "not a mount point" in vault_box.run("umount", vault_box.root, code=1).stderr
    assert "not a mount point" in vault_box.run("stats", vault_box.root, code=1).stderr


def test_keystore_missing(vault_box):
    point = vault_box.path("point")
    os.mkdir(point)
    os.rename(vault_box.keystore, vault_box.keystore + ".away")
    assert vault_box.keystore in refused(vault_box, 1, vault_box.vault, point)


# ---- ending ----


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_unmount_cleanly(mounted, how):
    pid = mounted.pid()
    with open(mounted.path("file"), "wb") as f:
        f.write(b"z" * 3_000_000)
    os.kill(pid, how)
    wait_until(gone(pid))
    assert not is_mounted(mounted.point)
    mounted.box.mount(mounted.vault)
    assert open(mounted.path("file"), "rb").read() == b"z" * 3_000_000


def test_signal_while_in_use(mounted):
    pid = mounted.pid()
    f = open(mounted.path("file"), "wb")
    f.write(b"before")
    f.flush()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_mounted(mounted.point))
    f.write(b" and after")
    f.close()
    wait_until(gone(pid))
    mounted.box.mount(mounted.vault)
    assert open(mounted.path("file"), "rb").read() == b"before and after"


def test_umount_of_a_busy_mount(mounted):
    pid = mounted.pid()
    f = open(mounted.path("file"), "wb")
    done = mounted.box.run("umount", mounted.point, code=1)
    assert "in use" in done.stderr and "-l" in done.stderr
    f.write(b"still here")
    f.close()
    f = open(mounted.path("file"), "rb")
    mounted.box.run("umount", "-l", mounted.point)
    assert not is_mounted(mounted.point)
    assert f.read() == b"still here"
    f.close()
    wait_until(gone(pid))


def test_killed_and_mounted_again(mounted):
    pid = mounted.pid()
    synced = {}
    for i in range(200):
        data = os.urandom(1 + i * 97)
        with open(mounted.path(f"f{i}"), "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        synced[f"f{i}"] = data
    with open(mounted.path("unsynced"), "wb") as f:
        f.write(b"maybe")
    os.kill(pid, signal.SIGKILL)
    wait_until(gone(pid))
    with pytest.raises(OSError) as caught:
        os.listdir(mounted.point)
    assert caught.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    done = mounted.box.run("mount", mounted.vault, mounted.point, code=MOUNT_POINT)
    assert "umount -l" in done.stderr
    mounted.box.run("umount", "-l", mounted.point)
    mounted.box.mount(mounted.vault)
    for name, data in synced.items():
        assert open(mounted.path(name), "rb").read() == data, name
    with open(mounted.path("new"), "w") as f:
        f.write("works")


def test_umount_waits_for_the_vault(mounted):
    with open(mounted.path("file"), "wb") as f:
        f.write(os.urandom(20_000_000))
    pid = mounted.pid()
    mounted.box.umount(mounted.point)
    assert gone(pid)()
    mounted.box.mount(mounted.vault)


def test_nothing_is_left_behind(kms_box):
    m = Mounted(kms_box)
    pid = m.pid()
    children = subprocess.run(["pgrep", "-P", str(pid)], stdout=subprocess.PIPE, text=True).stdout.split()
    names = sorted(open(f"/proc/{c}/comm").read().strip() for c in children)
    assert names == ["exe", "signetfs-guard"], "the agent, and who cuts the connection of a mount that cannot die"
    kms_box.umount(m.point)
    assert gone(pid)() and all(gone(int(c))() for c in children)
    assert m.point not in open("/proc/mounts").read()


# ---- as others ----


@pytest.fixture
def user(kms_box):
    """Run commands as nobody-like user 12345 in a folder of theirs."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    try:
        name = pwd.getpwnam("nobody")
    except KeyError:
        pytest.skip("there is no user nobody")
    os.chmod(kms_box.root, 0o777)
    for parent in (os.path.dirname(kms_box.root), os.path.dirname(os.path.dirname(kms_box.root))):
        os.chmod(parent, 0o755)

    def run(*args, code=0):
        home = kms_box.path("nobody")
        if not os.path.isdir(home):
            os.mkdir(home, 0o700)
            os.chown(home, name.pw_uid, name.pw_gid)
        env = {**kms_box.env, "HOME": home}
        done = subprocess.run(["setpriv", "--reuid", str(name.pw_uid), "--regid", str(name.pw_gid), "--clear-groups",
                               *map(str, args)], env=env, cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120)
        assert code is None or done.returncode == code, done.stdout
        return done.stdout

    run.home = kms_box.path("nobody")
    # udev makes it 0666; a container without udev may not have.
    mode = os.stat("/dev/fuse").st_mode & 0o777
    os.chmod("/dev/fuse", 0o666)
    yield run
    os.chmod("/dev/fuse", mode)


def test_ordinary_user(user):
    if not os.access(SIGNETFS, os.X_OK) or user("test", "-x", SIGNETFS, code=None):
        pytest.skip("the binary is where that user cannot reach it")
    binary = shutil.copy(SIGNETFS, os.path.dirname(user.home) + "/signetfs")
    user("sh", "-c", "head -c 32 /dev/urandom > key; chmod 600 key; mkdir clear")
    user(binary, "kms", "init", "--root-key", f"keyfile:{user.home}/key")
    user(binary, "init", "--root-key", f"keyfile:{user.home}/key", "vault")
    user(binary, "mount", "--root-key", f"keyfile:{user.home}/key", "vault", "clear")
    try:
        user("sh", "-c", "cd clear && echo mine > file && chmod 0 file && cat file 2>&1; mkdir d && ls -l", code=0)
        assert "denied" in user("cat", "clear/file", code=1)
        user("sh", "-c", "chmod 600 clear/file; umask 077; tar -C /usr/include/linux -cf - . | tar -C clear/d -xf -")
        assert "files" not in user("diff", "-r", "/usr/include/linux", "clear/d")
        assert "Calls avoided" in user(binary, "stats", "clear")
        assert subprocess.run(["cat", user.home + "/clear/file"], stderr=subprocess.DEVNULL).returncode != 0, \
            "without allow_other not even root gets in"
    finally:
        user(binary, "umount", "clear")


@root_only
def test_allow_other_checks_permissions(kms_box):
    m = Mounted(kms_box, "-o", "allow_other")
    os.chmod(m.point, 0o755)
    for parent in (kms_box.root, os.path.dirname(kms_box.root), os.path.dirname(os.path.dirname(kms_box.root))):
        os.chmod(parent, 0o755)
    for name, mode in (("open", 0o644), ("closed", 0o600), ("dropbox", 0o666)):
        with open(m.path(name), "w") as f:
            f.write(name)
        os.chmod(m.path(name), mode)
    os.mkdir(m.path("shared"))
    os.chmod(m.path("shared"), 0o1777)

    def other(command):
        return subprocess.run(["setpriv", "--reuid", "12345", "--regid", "23456", "--clear-groups", "sh", "-c", command],
                              cwd=m.point, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout

    assert other("cat open") == "open"
    assert "denied" in other("cat closed")
    assert "denied" in other("echo x > new")
    assert other("echo x > shared/theirs; stat -c '%u %g' shared/theirs") == "12345 23456\n"
    assert other("mkdir shared/d; ln -s x shared/l; mkfifo shared/p; stat -c '%u %g' shared/d shared/l shared/p") == \
        "12345 23456\n" * 3
    os.chmod(m.path("dropbox"), 0o6777)
    other("echo more >> dropbox")
    assert os.stat(m.path("dropbox")).st_mode & 0o7777 == 0o777, "set-id bits are cleared by another's write"
    os.chmod(m.path("dropbox"), 0o4777)
    other("truncate -s 1 dropbox")
    assert os.stat(m.path("dropbox")).st_mode & 0o7777 == 0o777, "and by a truncate"
    with open(m.path("shared/mine"), "w") as f:
        f.write("x")
    assert "not permitted" in other("rm -f shared/mine")


@root_only
def test_acls_when_asked_for(kms_box):
    if not shutil.which("setfacl"):
        pytest.skip("setfacl is not installed")
    m = Mounted(kms_box, "-o", "allow_other,acl")
    os.mkdir(m.path("d"))
    subprocess.run(["setfacl", "-m", "d:u:12345:rwx,d:g::r-x,d:o::---", m.path("d")], check=True)
    old = os.umask(0o077)
    try:
        open(m.path("d/file"), "w").close()
        open(m.path("plain"), "w").close()
        os.mkdir(m.path("d/sub"))
    finally:
        os.umask(old)
    acl = subprocess.check_output(["getfacl", "-cpn", m.path("d/file")], text=True)
    assert "user:12345:rwx" in acl and "mask::rw-" in acl and "other::---" in acl, acl
    assert "default:user:12345:rwx" in subprocess.check_output(["getfacl", "-cpn", m.path("d/sub")], text=True)
    assert os.stat(m.path("plain")).st_mode & 0o777 == 0o600
    m.remount("-o", "allow_other,acl")
    assert "user:12345:rwx" in subprocess.check_output(["getfacl", "-cpn", m.path("d/file")], text=True)


def test_stats_for_people(mounted):
    with open(mounted.path("file"), "w") as f:
        f.write("x" * 5000)
    text = mounted.box.run("stats", mounted.point).stdout
    assert re.search(r"^Files created: +1$", text, re.M)
    assert re.search(r"^Calls made: +2$", text, re.M)
    assert re.search(r"^Written: +4\.9 KiB$", text, re.M)
    s = mounted.stats()
    assert s["vault"] == mounted.vault and s["files_created"] == 1 and s["bytes_written"] == 5000
    assert s["cache"]["entries"][0]["wrapping"] is True
    assert 0 < s["cache"]["entries"][0]["cache_seconds_left"] <= 300
