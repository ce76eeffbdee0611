/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_CHILD_H
#define SIGNETFS_TESTS_CHILD_H

/* Run @fn in a forked child and return its wait status; what it returns is the exit status. For what a process does to itself. */
int child_run(int (*fn)(void *context), void *context);

#endif
