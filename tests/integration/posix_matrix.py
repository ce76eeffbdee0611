"""
What each call on a path answers for each type of object: the calls, the objects, and running them. The expected answers
are the tables in test_posix_matrix.py.
"""

import ctypes
import errno
import os
import socket
import stat

from as_user import OTHER, USER
from tree_diff import EXCHANGE, LIBC, NOREPLACE, renameat2

HERE, AT_SYMLINK_FOLLOW = -100, 0x400
LONG = "n" * 256


def make_file(path, data=b"data"):
    with open(path, "wb") as f:
        f.write(data)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)


def prepare_objects():
    """One of each, in the current directory."""
    make_file("file")
    os.mkdir("empty")
    os.mkdir("full")
    make_file("full/x")
    for name, target in (("tofile", "file"), ("todir", "empty"), ("dangling", "nowhere"), ("loop", "loop")):
        os.symlink(target, name)
    os.makedirs("tree/sub")
    os.mkfifo("fifo")
    make_socket("sock")


# What an ordinary user may and may not do in a directory of this mode and owner; each holds something of theirs and of another's.
FOLDERS = {
    "locked": (0o700, 0), "readable": (0o755, 0), "dropbox": (0o333, 0), "open": (0o777, 0), "sticky": (0o1777, 0),
    "mine": (0o755, USER), "mine-ro": (0o555, USER), "mine-blind": (0o311, USER), "mine-off": (0o000, USER),
    "mine-sticky": (0o1777, USER),
}


def prepare_rights(folder):
    """As root, in the current directory."""
    os.chmod(".", 0o777)
    os.mkdir(folder)
    os.mkdir("d")
    make_file("f")
    for sub, uid in (("my", USER), ("their", OTHER)):
        make_file(f"{folder}/{sub}file")
        os.mkdir(f"{folder}/{sub}dir")
        os.symlink("nowhere", f"{folder}/{sub}link")
        for end in ("file", "dir", "link"):
            os.chown(f"{folder}/{sub}{end}", uid, uid, follow_symlinks=False)
    for own in ("d", "f"):
        os.chown(own, USER, USER)
    mode, owner = FOLDERS[folder]
    os.chown(folder, owner, owner)
    os.chmod(folder, mode)


def opening(flags):
    def call(path):
        os.close(os.open(path, flags | os.O_NONBLOCK, 0o644))
    return call


def linkat(path, new, flags, dir_fd=HERE):
    if LIBC.linkat(dir_fd, os.fsencode(path), HERE, os.fsencode(new), flags):
        raise OSError(ctypes.get_errno(), "linkat")


CALLS = {
    "stat": os.stat,
    "lstat": os.lstat,
    "readlink": os.readlink,
    "chdir": os.chdir,
    "list": os.listdir,
    "chmod": lambda p: os.chmod(p, 0o755),
    "truncate": lambda p: os.truncate(p, 1),
    "open-r": opening(os.O_RDONLY),
    "open-w": opening(os.O_WRONLY),
    "open-dir": opening(os.O_RDONLY | os.O_DIRECTORY),
    "open-nofollow": opening(os.O_RDONLY | os.O_NOFOLLOW),
    "open-path": opening(os.O_PATH | os.O_NOFOLLOW),
    "creat": opening(os.O_WRONLY | os.O_CREAT),
    "creat-excl": opening(os.O_WRONLY | os.O_CREAT | os.O_EXCL),
    "creat-trunc": opening(os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    "mkdir": os.mkdir,
    "mkfifo": os.mkfifo,
    "mknod-reg": os.mknod,
    "mknod-sock": lambda p: os.mknod(p, stat.S_IFSOCK | 0o600),
    "symlink": lambda p: os.symlink("target", p),
    "link-to": lambda p: os.link("file", p),
    "link-from": lambda p: linkat(p, "new", 0),
    "link-follow": lambda p: linkat(p, "new", AT_SYMLINK_FOLLOW),
    "unlink": os.unlink,
    "rmdir": os.rmdir,
    "ren-from": lambda p: os.rename(p, "new"),
    "ren-into": lambda p: os.rename(p, "full/new"),
    "ren-slash": lambda p: os.rename(p, "new/"),
    "ren-file-to": lambda p: os.rename("file", p),
    "ren-dir-to": lambda p: os.rename("tree", p),
    "ren-link-to": lambda p: os.rename("dangling", p),
    "norep-to": lambda p: renameat2(HERE, b"file", HERE, os.fsencode(p), NOREPLACE),
    "xchg-file": lambda p: renameat2(HERE, b"file", HERE, os.fsencode(p), EXCHANGE),
    "xchg-dir": lambda p: renameat2(HERE, b"tree", HERE, os.fsencode(p), EXCHANGE),
    "flags-3": lambda p: renameat2(HERE, b"file", HERE, os.fsencode(p), 3),
}


def swap(a, b):
    renameat2(HERE, os.fsencode(a), HERE, os.fsencode(b), EXCHANGE)


RIGHTS = {
    "list": os.listdir,
    "chdir": os.chdir,
    "stat": lambda d: os.stat(f"{d}/theirfile"),
    "read": lambda d: opening(os.O_RDONLY)(f"{d}/theirfile"),
    "write": lambda d: opening(os.O_WRONLY)(f"{d}/theirfile"),
    "write-my": lambda d: opening(os.O_WRONLY)(f"{d}/myfile"),
    "truncate": lambda d: os.truncate(f"{d}/theirfile", 0),
    "chmod": lambda d: os.chmod(f"{d}/theirfile", 0o600),
    "chmod-my": lambda d: os.chmod(f"{d}/myfile", 0o600),
    "chown-my": lambda d: os.chown(f"{d}/myfile", OTHER, -1),
    "creat": lambda d: make_file(f"{d}/new"),
    "mkdir": lambda d: os.mkdir(f"{d}/new"),
    "mkdir-in": lambda d: os.mkdir(f"{d}/theirdir/new"),
    "mkfifo": lambda d: os.mkfifo(f"{d}/new"),
    "mknod-null": lambda d: os.mknod(f"{d}/new", stat.S_IFCHR | 0o600, os.makedev(1, 3)),
    "symlink": lambda d: os.symlink("t", f"{d}/new"),
    "link": lambda d: os.link("f", f"{d}/new"),
    "link-out": lambda d: os.link(f"{d}/myfile", "new"),
    "unlink-my": lambda d: os.unlink(f"{d}/myfile"),
    "unlink": lambda d: os.unlink(f"{d}/theirfile"),
    "unlink-link": lambda d: os.unlink(f"{d}/theirlink"),
    "unlink-dir": lambda d: os.unlink(f"{d}/theirdir"),
    "unlink-none": lambda d: os.unlink(f"{d}/none"),
    "rmdir-my": lambda d: os.rmdir(f"{d}/mydir"),
    "rmdir": lambda d: os.rmdir(f"{d}/theirdir"),
    "ren-my": lambda d: os.rename(f"{d}/myfile", f"{d}/new"),
    "ren": lambda d: os.rename(f"{d}/theirfile", f"{d}/new"),
    "ren-dir": lambda d: os.rename(f"{d}/theirdir", f"{d}/new"),
    "ren-over": lambda d: os.rename(f"{d}/myfile", f"{d}/theirfile"),
    "ren-over-dir": lambda d: os.rename("d", f"{d}/theirdir"),
    "out-my": lambda d: os.rename(f"{d}/myfile", "new"),
    "out-mydir": lambda d: os.rename(f"{d}/mydir", "new"),
    "out": lambda d: os.rename(f"{d}/theirfile", "new"),
    "out-dir": lambda d: os.rename(f"{d}/theirdir", "new"),
    "into": lambda d: os.rename("f", f"{d}/new"),
    "dir-into": lambda d: os.rename("d", f"{d}/new"),
    "swap-my": lambda d: swap(f"{d}/myfile", "f"),
    "swap": lambda d: swap(f"{d}/theirfile", "f"),
    "swap-dir": lambda d: swap(f"{d}/theirdir", "d"),
}


def answer(call, *args):
    """ "ok" or the name of the errno."""
    try:
        call(*args)
    except OSError as e:
        return errno.errorcode[e.errno]
    return "ok"


def names_below(top="."):
    return sorted((folder, sorted(dirs), sorted(files)) for folder, dirs, files in os.walk(top))


def fresh(path, prepare, *args):
    os.mkdir(path, 0o755)
    os.chdir(path)
    prepare(*args)


def run_objects(top, calls, objects):
    """Every call on every object, each in a fresh folder below @top: {(object, call): answer}."""
    got = {}
    for c in calls:
        for n, p in enumerate(objects):
            fresh(f"{top}/{c}-{n}", prepare_objects)
            before = names_below()
            got[p, c] = answer(CALLS[c], p.replace("LONG", LONG).replace("EMPTY", ""))
            os.chdir(f"{top}/{c}-{n}")
            assert got[p, c] == "ok" or names_below() == before, (c, p, "failed and changed something")
    return got


def run_rights(top, calls, folders):
    """Every call in every folder, prepared by root and done by USER: {(call, folder): answer}."""
    got = {}
    os.setgroups([])
    for c in calls:
        for f in folders:
            fresh(f"{top}/{c}-{f}", prepare_rights, f)
            before = names_below()
            os.setegid(USER)
            os.seteuid(USER)
            got[c, f] = answer(RIGHTS[c], f)
            os.seteuid(0)
            os.setegid(0)
            assert got[c, f] == "ok" or names_below() == before, (c, f, "failed and changed something")
    return got


def parse(text):
    """A table: the first line names the columns, the first word of each other line its row. {(row, column): cell}."""
    head, *rows = [line.split() for line in text.strip().splitlines() if not line.startswith("#")]
    return head, [r[0] for r in rows], {(r[0], c): cell for r in rows for c, cell in zip(head, r[1:], strict=True)}
