"""open(2): every flag on every kind of thing, as root and as an ordinary user, against a plain file system; and its races."""

import errno
import fcntl
import itertools
import os
import random
import stat
import subprocess
import sys
import threading
import traceback

import pytest

from conftest import Mounted, needs_fuse
from twin import outcome

pytestmark = needs_fuse
USER = 65534  # nobody
ACCESS = {"O_RDONLY": os.O_RDONLY, "O_WRONLY": os.O_WRONLY, "O_RDWR": os.O_RDWR}
FLAGS = [(), ("O_CREAT",), ("O_CREAT", "O_EXCL"), ("O_TRUNC",), ("O_CREAT", "O_TRUNC"), ("O_APPEND",), ("O_NOFOLLOW",), ("O_CREAT", "O_NOFOLLOW"),
         ("O_DIRECTORY",), ("O_CREAT", "O_DIRECTORY"), ("O_PATH",), ("O_PATH", "O_NOFOLLOW"), ("O_PATH", "O_DIRECTORY"), ("O_TMPFILE",),
         ("O_TMPFILE", "O_CREAT"), ("O_NOATIME",), ("O_SYNC",), ("O_DIRECT",), ("O_EXCL",)]
THINGS = ["file", "mine", "secret", "readonly", "writeonly", "nothing", "program", "dir", "mydir", "closed", "link", "broken", "loop", "fifo",
          "missing", "dir/missing", "mydir/missing", "missing/missing", "file/below", "closed/inside", "."]


def make_things():
    """In the current directory, as root."""
    for name, mode, owner in (("file", 0o644, 0), ("mine", 0o644, USER), ("secret", 0o600, 0), ("readonly", 0o444, USER),
                              ("writeonly", 0o222, USER), ("nothing", 0, USER), ("program", 0o6755, USER)):
        with open(name, "w") as f:
            f.write("content of " + name)
        os.chown(name, owner, owner)
        os.chmod(name, mode)
    for name, mode, owner in (("dir", 0o755, 0), ("mydir", 0o755, USER), ("closed", 0o700, 0)):
        os.mkdir(name, mode)
        os.chown(name, owner, owner)
    os.symlink("file", "link")
    os.symlink("missing", "broken")
    os.symlink("loop", "loop")
    os.mkfifo("fifo")
    os.chmod(".", 0o755)


def opened(name, flags):
    """What open says, and what the descriptor is."""
    fd = os.open(name, flags | os.O_NONBLOCK, 0o640)
    try:
        st = os.fstat(fd)
        size = st.st_size if stat.S_ISREG(st.st_mode) else 0
        return (fcntl.fcntl(fd, fcntl.F_GETFL), st.st_mode, size, st.st_uid, st.st_gid, st.st_nlink if not stat.S_ISDIR(st.st_mode) else 0,
                None if flags & os.O_DIRECT else outcome(os.read, fd, 100), outcome(os.fchmod, fd, stat.S_IMODE(st.st_mode)), os.lseek(fd, 0, os.SEEK_CUR) if size else 0)
    finally:
        os.close(fd)


def every_open():
    """Where we are, as who we are: one line for each case, repeated from the same start."""
    for name, access, flags in itertools.product(THINGS, ACCESS, FLAGS):
        bits = ACCESS[access]
        for flag in flags:
            bits |= getattr(os, flag)
        result = outcome(opened, name, bits)
        yield f"{name} {access} {' '.join(flags)}: {result}"
        for made in ("missing", "dir/missing", "mydir/missing"):
            outcome(os.unlink, made)
        for name in ("file", "mine", "secret", "program"):
            try:
                if os.stat(name).st_size == 0:
                    with open(name, "w") as f:
                        f.write("content of " + name)
            except OSError:
                pass


def as_user(user, top, work):
    """work()'s lines, from a child that is @user and stands in @top."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(top)
            os.umask(0o022)
            if user:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            text = "\n".join(work())
        except BaseException:
            text = traceback.format_exc()
        with os.fdopen(into, "w") as f:
            f.write(text)
        os._exit(0)
    os.close(into)
    with os.fdopen(out) as f:
        lines = f.read().split("\n")
    os.waitpid(child, 0)
    return lines


@pytest.fixture(scope="module")
def open_to_all(tmp_path_factory):
    """A mount that others may enter."""
    from conftest import Box
    box = Box(tmp_path_factory.mktemp("open"))
    try:
        box.make_keystore()
        yield Mounted(box, "-o", "allow_other") if os.geteuid() == 0 else Mounted(box)
    finally:
        box.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
@pytest.mark.parametrize("user", [0, USER], ids=["root", "nobody"])
def test_every_flag_on_everything(open_to_all, tmp_path, user):
    tops = open_to_all.path(f"as-{user}"), str(tmp_path / "plain")
    for top in tops:
        os.mkdir(top)
        assert as_user(0, top, lambda: make_things() or ["made"]) == ["made"]
    ours, theirs = (as_user(user, top, every_open) for top in tops)
    assert len(theirs) == len(THINGS) * len(ACCESS) * len(FLAGS), theirs[-20:]
    assert sum("E" in line.split(": ", 1)[1][:2] for line in theirs) > 300, "errors are part of it"
    assert [(a, b) for a, b in zip(ours, theirs) if a != b] == []


def test_opath_reaches_the_file_and_nothing_in_it(folder):
    with open(folder + "/file", "w") as f:
        f.write("0123")
    fd = os.open(folder + "/file", os.O_PATH)
    for call in (lambda: os.read(fd, 1), lambda: os.write(fd, b"x"), lambda: os.ftruncate(fd, 0), lambda: os.fchmod(fd, 0o600), lambda: os.fsync(fd)):
        assert outcome(call) == "EBADF"
    assert os.fstat(fd).st_size == 4
    os.unlink(folder + "/file")
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
    os.pwrite(again, b"abc", 4)
    assert os.fstat(fd).st_size == 7 and os.pread(again, 10, 0) == b"0123abc" and os.fstat(again).st_nlink == 0
    os.close(again)
    os.close(fd)


# ---- O_TMPFILE ----

def test_file_without_a_name_gets_one_when_it_is_complete(mounted):
    fd = os.open(mounted.point, os.O_TMPFILE | os.O_RDWR, 0o640)
    os.write(fd, b"x" * 100_000)
    assert os.listdir(mounted.point) == [] and os.fstat(fd).st_nlink == 0
    os.link(f"/proc/self/fd/{fd}", mounted.path("named"), src_dir_fd=fd)
    assert os.fstat(fd).st_nlink == 1
    assert outcome(os.link, mounted.path("named"), mounted.path("named")) == "EEXIST"
    os.pwrite(fd, b"end", 100_000)
    os.close(fd)
    mounted.remount()
    st = os.stat(mounted.path("named"))
    assert (st.st_size, stat.S_IMODE(st.st_mode), st.st_nlink) == (100_003, 0o640, 1)
    with open(mounted.path("named"), "rb") as f:
        assert f.read() == b"x" * 100_000 + b"end"


def test_file_without_a_name_that_must_not_get_one(mounted):
    fd = os.open(mounted.point, os.O_TMPFILE | os.O_WRONLY | os.O_EXCL, 0o600)
    os.write(fd, b"x" * 50_000)
    assert outcome(lambda: os.link(f"/proc/self/fd/{fd}", mounted.path("named"), src_dir_fd=fd)) == "ENOENT"
    os.close(fd)
    assert os.listdir(mounted.point) == []
    known = mounted.stats()["inodes_known"]
    for _ in range(50):
        os.close(os.open(mounted.point, os.O_TMPFILE | os.O_RDWR, 0o600))
    assert mounted.stats()["inodes_known"] <= known + 5, "forgotten when they are closed"
    files = [n for _, _, names in os.walk(mounted.vault) for n in names]
    mounted.remount()
    assert len(files) <= 6, files


# ---- Races ----

def run_workers(program, *args, count=8):
    """Processes with two threads each would share an interpreter: these share nothing but the mount."""
    runs = [subprocess.Popen([sys.executable, "-c", program, *args, str(i)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for i in range(count)]
    texts = []
    for run in runs:
        text, errors = run.communicate(timeout=120)
        assert run.returncode == 0, errors
        texts.append(text)
    return texts


def test_exclusive_creation_has_one_winner(folder):
    program = """if True:
        import os, sys
        for i in range(300):
            try:
                fd = os.open(f"{sys.argv[1]}/{i}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            except FileExistsError:
                continue
            os.write(fd, sys.argv[2].encode())
            os.close(fd)
            print(i)
        """
    won = [text.split() for text in run_workers(program, folder)]
    assert sorted(int(n) for names in won for n in names) == list(range(300))
    for worker, names in enumerate(won):
        for name in names:
            with open(f"{folder}/{name}") as f:
                assert f.read() == str(worker)


APPENDER = """if True:
    import os, sys, threading
    path, worker = sys.argv[1], int(sys.argv[2])
    how = [os.O_APPEND, os.O_APPEND | os.O_DSYNC, os.O_APPEND | os.O_DIRECT, 0][worker % 4]
    def run(thread):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
        for i in range(60):
            size = (worker * 131 + thread * 977 + i * 389) % 9000
            record = b"<%d.%d.%d:%d:" % (worker, thread, i, size) + b"%d" % worker * size + b">\\n"
            written = os.write(fd, record) if how else os.pwritev(fd, [record], 0, os.RWF_APPEND)
            assert written == len(record), written
        os.close(fd)
    threads = [threading.Thread(target=run, args=(t,)) for t in range(2)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    """


def test_appending_loses_no_record(mounted):
    """O_APPEND, with O_DSYNC, with O_DIRECT (not aligned), and RWF_APPEND; processes and threads, all into one file."""
    run_workers(APPENDER, mounted.path("log"))
    for _ in range(2):
        with open(mounted.path("log"), "rb") as f:
            records = f.read().split(b"\n")
        assert records.pop() == b""
        seen = set()
        for record in records:
            assert record[:1] == b"<" and record[-1:] == b">", record[:50]
            key, size, filling = record[1:-1].split(b":")
            assert filling == key.split(b".")[0] * int(size), record[:50]
            seen.add(key)
        assert len(records) == len(seen) == 8 * 2 * 60
        mounted.remount()


def test_truncating_open_beside_writers(folder):
    """O_TRUNC drops whole records; a record that was appended after it is whole."""
    path = folder + "/file"
    stop = threading.Event()

    def truncate():
        while not stop.is_set():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))

    def append(letter):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for i in range(400):
            os.write(fd, letter * (random.Random(i).randrange(6000)) + b"\n")
        os.close(fd)

    cutter = threading.Thread(target=truncate)
    writers = [threading.Thread(target=append, args=(w,)) for w in (b"a", b"b", b"c")]
    for t in [cutter, *writers]:
        t.start()
    for t in writers:
        t.join()
    stop.set()
    cutter.join()
    lengths = {random.Random(i).randrange(6000) for i in range(400)}
    with open(path, "rb") as f:
        data = f.read()
    for record in data.split(b"\n")[:-1]:
        assert len(record) in lengths and len(set(record)) <= 1, (len(record), set(record))
    assert os.stat(path).st_size == len(data)
