/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_COPY_TREE_H
#define SIGNETFS_TESTS_COPY_TREE_H

/** `cp -a --sparse=auto` in this process, for tests that copy a small tree a thousand times. Ends the program where it cannot. */
void copy_tree(const char *from, const char *to);

#endif
