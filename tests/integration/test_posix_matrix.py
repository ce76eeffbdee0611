"""
A conformance matrix: call x type of object -> errno, and call x rights on a directory -> errno. The answers are those of Linux and
POSIX, and a plain directory is asked as well, so that a wrong expectation is found out. posix_matrix.py says what is called.
"""

import os

import pytest

import as_user
import posix_matrix as matrix
from as_user import MOUNT_OPTIONS, needs_root  # noqa: F401: the fixtures read the options
from conftest import needs_fuse

USERS = (0, as_user.USER) if as_user.IS_ROOT else (os.geteuid(),)

READING = """
             stat         lstat        readlink     chdir        list         chmod        truncate
file         ok           ok           EINVAL       ENOTDIR      ENOTDIR      ok           ok
empty        ok           ok           EINVAL       ok           ok           ok           EISDIR
full         ok           ok           EINVAL       ok           ok           ok           EISDIR
tree/in      ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
tofile       ok           ok           ok           ENOTDIR      ENOTDIR      ok           ok
todir        ok           ok           ok           ok           ok           ok           EISDIR
dangling     ENOENT       ok           ok           ENOENT       ENOENT       ENOENT       ENOENT
loop         ELOOP        ok           ok           ELOOP        ELOOP        ELOOP        ELOOP
fifo         ok           ok           EINVAL       ENOTDIR      ENOTDIR      ok           EINVAL
sock         ok           ok           EINVAL       ENOTDIR      ENOTDIR      ok           EINVAL
absent       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
EMPTY        ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
.            ok           ok           EINVAL       ok           ok           ok           EISDIR
..           ok           ok           EINVAL       ok           ok           ok           EISDIR
file/        ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR
empty/       ok           ok           EINVAL       ok           ok           ok           EISDIR
todir/       ok           ok           EINVAL       ok           ok           ok           EISDIR
absent/      ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
empty/.      ok           ok           EINVAL       ok           ok           ok           EISDIR
full/..      ok           ok           EINVAL       ok           ok           ok           EISDIR
file/x       ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR
absent/x     ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
dangling/x   ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
loop/x       ELOOP        ELOOP        ELOOP        ELOOP        ELOOP        ELOOP        ELOOP
LONG         ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG
LONG/x       ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG
"""

OPENING = """
             open-r       open-w       open-dir     open-nofollow open-path    creat        creat-excl   creat-trunc
file         ok           ok           ENOTDIR      ok            ok           ok           EEXIST       ok
empty        ok           EISDIR       ok           ok            ok           EISDIR       EEXIST       EISDIR
full         ok           EISDIR       ok           ok            ok           EISDIR       EEXIST       EISDIR
tree/in      ENOENT       ENOENT       ENOENT       ENOENT        ENOENT       ok           ok           ok
tofile       ok           ok           ENOTDIR      ELOOP         ok           ok           EEXIST       ok
todir        ok           EISDIR       ok           ELOOP         ok           EISDIR       EEXIST       EISDIR
dangling     ENOENT       ENOENT       ENOENT       ELOOP         ok           ok           EEXIST       ok
loop         ELOOP        ELOOP        ELOOP        ELOOP         ok           ELOOP        EEXIST       ELOOP
fifo         ok           ENXIO        ENOTDIR      ok            ok           ENXIO        EEXIST       ENXIO
sock         ENXIO        ENXIO        ENOTDIR      ENXIO         ok           ENXIO        EEXIST       ENXIO
absent       ENOENT       ENOENT       ENOENT       ENOENT        ENOENT       ok           ok           ok
EMPTY        ENOENT       ENOENT       ENOENT       ENOENT        ENOENT       ENOENT       ENOENT       ENOENT
.            ok           EISDIR       ok           ok            ok           EISDIR       EEXIST       EISDIR
..           ok           EISDIR       ok           ok            ok           EISDIR       EEXIST       EISDIR
file/        ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR       ENOTDIR      EISDIR       EISDIR       EISDIR
empty/       ok           EISDIR       ok           ok            ok           EISDIR       EISDIR       EISDIR
todir/       ok           EISDIR       ok           ok            ok           EISDIR       EISDIR       EISDIR
absent/      ENOENT       ENOENT       ENOENT       ENOENT        ENOENT       EISDIR       EISDIR       EISDIR
empty/.      ok           EISDIR       ok           ok            ok           EISDIR       EEXIST       EISDIR
full/..      ok           EISDIR       ok           ok            ok           EISDIR       EEXIST       EISDIR
file/x       ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR       ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR
absent/x     ENOENT       ENOENT       ENOENT       ENOENT        ENOENT       ENOENT       ENOENT       ENOENT
dangling/x   ENOENT       ENOENT       ENOENT       ENOENT        ENOENT       ENOENT       ENOENT       ENOENT
loop/x       ELOOP        ELOOP        ELOOP        ELOOP         ELOOP        ELOOP        ELOOP        ELOOP
LONG         ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG  ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG
LONG/x       ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG  ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG
"""

MAKING = """
             mkdir        mkfifo       mknod-reg    mknod-sock   symlink      link-to      link-from    link-follow
file         EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       ok           ok
empty        EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EPERM        EPERM
full         EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EPERM        EPERM
tree/in      ok           ok           ok           ok           ok           ok           ENOENT       ENOENT
tofile       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       ok           ok
todir        EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       ok           EPERM
dangling     EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       ok           ENOENT
loop         EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       ok           ELOOP
fifo         EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       ok           ok
sock         EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       ok           ok
absent       ok           ok           ok           ok           ok           ok           ENOENT       ENOENT
EMPTY        ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
.            EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EPERM        EPERM
..           EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EPERM        EPERM
file/        EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       ENOTDIR      ENOTDIR
empty/       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EPERM        EPERM
todir/       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EPERM        EPERM
absent/      ok           ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
empty/.      EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EPERM        EPERM
full/..      EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EEXIST       EPERM        EPERM
file/x       ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR
absent/x     ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
dangling/x   ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
loop/x       ELOOP        ELOOP        ELOOP        ELOOP        ELOOP        ELOOP        ELOOP        ELOOP
LONG         ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG
LONG/x       ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG
"""

REMOVING = """
             unlink       rmdir        ren-from     ren-into     ren-slash
file         ok           ENOTDIR      ok           ok           ENOTDIR
empty        EISDIR       ok           ok           ok           ok
full         EISDIR       ENOTEMPTY    ok           EINVAL       ok
tree/in      ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
tofile       ok           ENOTDIR      ok           ok           ENOTDIR
todir        ok           ENOTDIR      ok           ok           ENOTDIR
dangling     ok           ENOTDIR      ok           ok           ENOTDIR
loop         ok           ENOTDIR      ok           ok           ENOTDIR
fifo         ok           ENOTDIR      ok           ok           ENOTDIR
sock         ok           ENOTDIR      ok           ok           ENOTDIR
absent       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
EMPTY        ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
.            EISDIR       EINVAL       EBUSY        EBUSY        EBUSY
..           EISDIR       ENOTEMPTY    EBUSY        EBUSY        EBUSY
file/        ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR
empty/       EISDIR       ok           ok           ok           ok
todir/       ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR
absent/      ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
empty/.      EISDIR       EINVAL       EBUSY        EBUSY        EBUSY
full/..      EISDIR       ENOTEMPTY    EBUSY        EBUSY        EBUSY
file/x       ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR
absent/x     ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
dangling/x   ENOENT       ENOENT       ENOENT       ENOENT       ENOENT
loop/x       ELOOP        ELOOP        ELOOP        ELOOP        ELOOP
LONG         ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG
LONG/x       ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG
"""

REPLACING = """
             ren-file-to  ren-dir-to   ren-link-to  norep-to     xchg-file    xchg-dir     flags-3
file         ok           ENOTDIR      ok           EEXIST       ok           ok           EINVAL
empty        EISDIR       ok           EISDIR       EEXIST       ok           ok           EINVAL
full         EISDIR       ENOTEMPTY    EISDIR       EEXIST       ok           ok           EINVAL
tree/in      ok           EINVAL       ok           ok           ENOENT       ENOENT       EINVAL
tofile       ok           ENOTDIR      ok           EEXIST       ok           ok           EINVAL
todir        ok           ENOTDIR      ok           EEXIST       ok           ok           EINVAL
dangling     ok           ENOTDIR      ok           EEXIST       ok           ok           EINVAL
loop         ok           ENOTDIR      ok           EEXIST       ok           ok           EINVAL
fifo         ok           ENOTDIR      ok           EEXIST       ok           ok           EINVAL
sock         ok           ENOTDIR      ok           EEXIST       ok           ok           EINVAL
absent       ok           ok           ok           ok           ENOENT       ENOENT       EINVAL
EMPTY        ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       EINVAL
.            EBUSY        EBUSY        EBUSY        EEXIST       EBUSY        EBUSY        EINVAL
..           EBUSY        EBUSY        EBUSY        EEXIST       EBUSY        EBUSY        EINVAL
file/        ENOTDIR      ENOTDIR      ENOTDIR      EEXIST       ENOTDIR      ENOTDIR      EINVAL
empty/       ENOTDIR      ok           ENOTDIR      EEXIST       ok           ok           EINVAL
todir/       ENOTDIR      ENOTDIR      ENOTDIR      EEXIST       ENOTDIR      ENOTDIR      EINVAL
absent/      ENOTDIR      ok           ENOTDIR      ENOTDIR      ENOENT       ENOENT       EINVAL
empty/.      EBUSY        EBUSY        EBUSY        EEXIST       EBUSY        EBUSY        EINVAL
full/..      EBUSY        EBUSY        EBUSY        EEXIST       EBUSY        EBUSY        EINVAL
file/x       ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      ENOTDIR      EINVAL
absent/x     ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       EINVAL
dangling/x   ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       ENOENT       EINVAL
loop/x       ELOOP        ELOOP        ELOOP        ELOOP        ELOOP        ELOOP        EINVAL
LONG         ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG EINVAL
LONG/x       ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG ENAMETOOLONG EINVAL
"""

# Done by an ordinary user; the columns are directories, see FOLDERS.
PERMITTED = """
             locked readable dropbox open   sticky mine   mine-ro mine-blind mine-off mine-sticky
list         EACCES ok       EACCES  ok     ok     ok     ok      EACCES     EACCES   ok
chdir        EACCES ok       ok      ok     ok     ok     ok      ok         EACCES   ok
stat         EACCES ok       ok      ok     ok     ok     ok      ok         EACCES   ok
read         EACCES ok       ok      ok     ok     ok     ok      ok         EACCES   ok
write        EACCES EACCES   EACCES  EACCES EACCES EACCES EACCES  EACCES     EACCES   EACCES
write-my     EACCES ok       ok      ok     ok     ok     ok      ok         EACCES   ok
truncate     EACCES EACCES   EACCES  EACCES EACCES EACCES EACCES  EACCES     EACCES   EACCES
chmod        EACCES EPERM    EPERM   EPERM  EPERM  EPERM  EPERM   EPERM      EACCES   EPERM
chmod-my     EACCES ok       ok      ok     ok     ok     ok      ok         EACCES   ok
chown-my     EACCES EPERM    EPERM   EPERM  EPERM  EPERM  EPERM   EPERM      EACCES   EPERM
creat        EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
mkdir        EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
mkdir-in     EACCES EACCES   EACCES  EACCES EACCES EACCES EACCES  EACCES     EACCES   EACCES
mkfifo       EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
mknod-null   EACCES EACCES   EPERM   EPERM  EPERM  EPERM  EACCES  EPERM      EACCES   EPERM
symlink      EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
link         EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
link-out     EACCES ok       ok      ok     ok     ok     ok      ok         EACCES   ok
unlink-my    EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
unlink       EACCES EACCES   ok      ok     EPERM  ok     EACCES  ok         EACCES   ok
unlink-link  EACCES EACCES   ok      ok     EPERM  ok     EACCES  ok         EACCES   ok
unlink-dir   EACCES EACCES   EISDIR  EISDIR EPERM  EISDIR EACCES  EISDIR     EACCES   EISDIR
unlink-none  EACCES ENOENT   ENOENT  ENOENT ENOENT ENOENT ENOENT  ENOENT     EACCES   ENOENT
rmdir-my     EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
rmdir        EACCES EACCES   ok      ok     EPERM  ok     EACCES  ok         EACCES   ok
ren-my       EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
ren          EACCES EACCES   ok      ok     EPERM  ok     EACCES  ok         EACCES   ok
ren-dir      EACCES EACCES   ok      ok     EPERM  ok     EACCES  ok         EACCES   ok
ren-over     EACCES EACCES   ok      ok     EPERM  ok     EACCES  ok         EACCES   ok
ren-over-dir EACCES EACCES   ok      ok     EPERM  ok     EACCES  ok         EACCES   ok
out-my       EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
out-mydir    EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
out          EACCES EACCES   ok      ok     EPERM  ok     EACCES  ok         EACCES   ok
out-dir      EACCES EACCES   EACCES  EACCES EPERM  EACCES EACCES  EACCES     EACCES   EACCES
into         EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
dir-into     EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
swap-my      EACCES EACCES   ok      ok     ok     ok     EACCES  ok         EACCES   ok
swap         EACCES EACCES   ok      ok     EPERM  ok     EACCES  ok         EACCES   ok
swap-dir     EACCES EACCES   EACCES  EACCES EPERM  EACCES EACCES  EACCES     EACCES   EACCES
"""


def difference(got, table):
    columns, rows, expected = matrix.parse(table)
    assert set(got) == set(expected)
    return {cell: (got[cell], expected[cell]) for cell in got if got[cell] != expected[cell]}


def ask_objects(place, uid):
    """{(object, call): (answer, expected)} where they differ."""
    wrong = {}
    for name in ("READING", "OPENING", "MAKING", "REMOVING", "REPLACING"):
        calls, objects, _ = matrix.parse(globals()[name])
        top = os.path.join(place, f"{name}-{uid}")
        os.mkdir(top)
        os.chown(top, *([uid, uid] if as_user.IS_ROOT else [-1, -1]))
        wrong |= difference(as_user.run(uid, run_here, matrix.run_objects, calls, objects, cwd=top), globals()[name])
    return wrong


def ask_rights(place):
    folders, calls, _ = matrix.parse(PERMITTED)
    top = os.path.join(place, "rights")
    os.mkdir(top, 0o755)
    return difference(as_user.run(0, run_here, matrix.run_rights, calls, folders, cwd=top), PERMITTED)


def run_here(run, *args):
    """The way to the current directory may be closed to this user: reached through a descriptor."""
    return run(f"/proc/self/fd/{os.open('.', os.O_RDONLY)}", *args)


def test_expectations_hold_in_a_plain_directory(tmp_path):
    for uid in USERS:
        assert ask_objects(tmp_path, uid) == {}


@needs_root
def test_expected_rights_hold_in_a_plain_directory(tmp_path):
    assert ask_rights(tmp_path) == {}


@needs_fuse
@pytest.mark.parametrize("uid", USERS)
def test_every_call_on_every_object(folder, uid):
    assert ask_objects(folder, uid) == {}


@needs_fuse
@needs_root
def test_every_call_with_every_right(folder):
    assert ask_rights(folder) == {}

