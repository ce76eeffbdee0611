"""twin.py for long: the mount beside a plain file system, in mounts that make life hard for it."""

import os
import subprocess

import pytest

from conftest import SIGNETFS, Mounted, needs_fuse
from test_posix_twin import new_seed, run_twin

pytestmark = needs_fuse
STEPS = 100_000
MOUNTS = {
    "as it comes": ([], "-c unlimited", []),
    "keys that expire": (["--cache-time", "2s"], "-c unlimited", []),
    "one worker": ([], "-c unlimited", ["-o", "threads=1"]),
    "few descriptors": ([], "-n 90", []),
    "without bucket keys": (["--bucket-key", "off"], "-c unlimited", []),
}


class Limited(Mounted):
    """Mounted from a shell with a limit, each time."""

    def __init__(self, box, vault, limit, options):
        self.limit, self.options = limit, options
        os.mkdir(box.path("clear"))
        super().__init__(box, vault=vault, point=self.mount(box, vault))

    def mount(self, box, vault):
        point = box.path("clear")
        words = ["sh", "-c", f'ulimit {self.limit}; exec "$@"', "sh", SIGNETFS, "mount", *self.options, vault, point]
        subprocess.run(words, env=box.env, cwd=box.home, stdin=subprocess.DEVNULL, check=True, timeout=60)
        box.mounts.append(point)
        return point

    def remount(self):
        self.box.umount(self.point)
        self.mount(self.box, self.vault)


@pytest.mark.parametrize("how", MOUNTS)
def test_random_operations_for_long(kms_box, tmp_path, how):
    create, limit, options = MOUNTS[how]
    mounted = Limited(kms_box, kms_box.make_vault(*create), limit, options)
    os.mkdir(tmp_path / "plain")
    run_twin(mounted, str(tmp_path / "plain"), new_seed(), int(os.environ.get("SIGNETFS_STEPS", STEPS)))
