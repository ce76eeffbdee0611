/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_CHANNEL_H
#define SIGNETFS_FUSE_CHANNEL_H

/*
 * The device: worker threads that read requests and write replies, around libfuse's session, which decodes and encodes them.
 *
 * This file, and it alone, also looks at the bytes themselves (the kernel's <linux/fuse.h>) for what libfuse 3.14 knows of but does not
 * pass on. All of it is negotiated: an older kernel that does not offer a feature is not told of it, and a newer libfuse that
 * negotiates it itself is left alone.
 *   FUSE_PARALLEL_DIROPS     lookups and listings in one directory at the same time
 *   FUSE_HANDLE_KILLPRIV_V2  the kernel stops asking for security.capability before each write; in return a write or truncate
 *                            by somebody without CAP_FSETID says so and we clear the set-id bits
 *   FUSE_TMPFILE             a request like CREATE for a file without a name: the operation is create, which can tell them apart
 *   FUSE_SETXATTR_EXT        a new access ACL says whether it takes the set-group-ID bit away, as chmod by somebody outside of the group
 */

#include <fuse_lowlevel.h>
#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"
#include "kms/base/latency.h"
#include "kms/base/report.h"

struct channel;

enum { CHANNEL_MAX_IO = 1 << 20 };

struct channel_config {
	struct fuse_session *session; /* mounted */
	unsigned threads;             /* 0: chosen for this machine */
	const struct reporter *reporter;
	void (*finished)(void *context); /* the last worker ended: unmounted or broken */
	void *context;
};

/** Take over the session's descriptor. Threads start with channel_start(). */
enum err channel_new(const struct channel_config *config, struct channel **ret);
enum err channel_start(struct channel *c);
/** Wait for the workers, which end when the file system is unmounted or the connection aborted. */
void channel_join(struct channel *c);
void channel_free(struct channel *c);

/** Requests served so far, by the protocol's opcode. */
enum { CHANNEL_OPCODES = 64 };
void channel_requests(const struct channel *c, uint64_t ret[CHANNEL_OPCODES]);
/** How long requests of one opcode took, from reading them to the end of what they caused. */
void channel_latency(const struct channel *c, unsigned opcode, struct latency_summary *ret);
/** Those that came because somebody uses the mount: not the kernel's forgetting, nor what this process asks of its own mount. */
uint64_t channel_uses(const struct channel *c);
const char *channel_opcode_name(unsigned opcode);

/* ---- For operations, on a worker thread ---- */

/** This thread's reply buffer: CHANNEL_MAX_IO bytes, page-aligned, valid until the next request. */
void *channel_buffer(void);
/** The request at hand wants the set-id bits cleared (write or truncate by an unprivileged process; an ACL set by one). */
int channel_kills_privileges(void);
/** The request at hand is to create a file without a name; the one that it gives means nothing. */
int channel_creates_unnamed(void);
/** The descriptor that the request at hand was read from, which its reply must be written to. */
int channel_replies_to(void);
/** Replies of this thread, which is no worker, go to what channel_replies_to() gave; -1: to the session's own descriptor. */
void channel_reply_to(int fd);

#endif
