"""The differential tester of names, for long: 90 rounds of 6000 operations, a remount after each."""

from conftest import needs_fuse, soak_rounds
from test_posix_tree import rounds

pytestmark = needs_fuse


def test_a_mount_and_a_plain_directory_do_the_same_for_long(kms_box):
    assert rounds(kms_box, soak_rounds(90), 6000)
