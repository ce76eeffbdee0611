"""The differential tester of names, for long: 90 rounds of 6000 operations, a remount after each."""

from conftest import needs_fuse
from test_posix_tree import rounds

pytestmark = needs_fuse


def test_a_mount_and_a_plain_directory_do_the_same_for_long(kms_box):
    assert rounds(kms_box, 90, 6000)
