/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ROOTKEY_WORDS_H
#define SIGNETFS_ROOTKEY_WORDS_H

/* A passphrase as it was read, in memory from secret_alloc(), and its sources. */

#include <stddef.h>
#include "kms/base/err.h"
#include "kms/rootkey/rootkey.h"

enum { WORDS_ROOM = ROOTKEY_PASSPHRASE_MAX + 2 }; /* a longer one is noticed, with its line end */

struct words {
	size_t len;
	int ended; /* the line's end was seen; what comes behind it is dropped */
	char text[WORDS_ROOM];
};

struct words *words_new(void); /* NULL: memory; free with secret_free() */

/** Append what was read, up to the first line end. */
void words_add(struct words *w, const char *p, size_t len);

/** The input is over: cut a CR, refuse what is empty, too long or holds a NUL. @from is "the passphrase file X". */
enum err words_finish(struct words *w, const char *from);

/** Ask on /dev/tty without echo. The terminal is as before on every way out, signals included. */
enum err terminal_ask(const char *question, struct words *w);

/** Run @command by /bin/sh -c, standard input empty, standard error ours; @timeout_ms bounds it. */
enum err command_run(const char *command, unsigned timeout_ms, struct words *w);

#endif
