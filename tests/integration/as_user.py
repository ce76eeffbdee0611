"""Run a piece of a test in another process, as another user, and bring its answer or its failure back."""

import os
import pickle
import traceback

import pytest

USER, OTHER = 65534, 12345  # two ordinary users, each in the group of the same number and in no other
IS_ROOT = os.geteuid() == 0
MOUNT_OPTIONS = ["-o", "allow_other"] if IS_ROOT else []  # lets them in

needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root to become somebody else")


def become(uid):
    """Root stays root when @uid is 0; there is no way back."""
    if uid and IS_ROOT:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def run(uid, action, *args, cwd=None):
    """action(*args) in a child that became @uid, after it went to @cwd with the rights it had before."""
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if cwd is not None:
                os.chdir(cwd)
            become(uid)
            os.umask(0o022)
            answer = (True, action(*args))
        except BaseException:
            answer = (False, traceback.format_exc())
        with os.fdopen(there, "wb") as f:
            pickle.dump(answer, f)
        os._exit(0)
    os.close(there)
    with os.fdopen(here, "rb") as f:
        text = f.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert text, f"the child ended with {status} and said nothing"
    good, value = pickle.loads(text)
    assert good, value
    return value
