/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_SECRET_H
#define SIGNETFS_BASE_SECRET_H

/*
 * Secrets: their types, the memory they live in, and the cleanup that wipes them.
 *
 * A key's role is its type, so that a bucket key cannot be passed where a data key is meant. On the stack a secret is
 * declared with AUTO_WIPE; anything longer-lived is allocated with secret_alloc(): locked (mlock), left out of core
 * dumps (MADV_DONTDUMP), wiped in forked children (MADV_WIPEONFORK), between guard pages, and wiped when freed.
 *
 * A forked child finds zeros in every block: whoever forks and goes on (a daemon) does so before it has secrets. The child's
 * pool works, and its pages are locked anew.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"

enum { KEY_SIZE = 32 };

struct root_key {
	uint8_t b[KEY_SIZE];
}; /* seals the keystore's secrets; KMS process only */
struct cmk_key {
	uint8_t b[KEY_SIZE];
}; /* one backing key of a symmetric CMK; KMS process only */
struct volume_key {
	uint8_t b[KEY_SIZE];
}; /* one vault: names, symlinks, xattrs, descriptor MAC */
struct bucket_key {
	uint8_t b[KEY_SIZE];
}; /* wraps data keys, nothing else */
struct data_key {
	uint8_t b[KEY_SIZE];
}; /* one file: its chunk and header keys are derived from it */

/** Overwrite so that the compiler cannot leave it out. */
void secret_wipe(void *p, size_t len);

/**
 * Zeroed memory for secrets, 16-byte aligned, 64-byte aligned from 64 bytes on. Small blocks share locked pages, so that
 * the usual limit of 8 MiB holds thousands; a block above 8 KiB has a mapping of its own. NULL when memory is out or the lock limit (RLIMIT_MEMLOCK) is spent and
 * secret_allow_unlocked() was not called. Threads: safe.
 */
void *secret_alloc(size_t len);

/** Wipe and release; NULL is fine. */
void secret_free(void *p);

/** From now on fall back to unlocked (still undumpable, still wiped) memory; the two counters below tell how much. */
void secret_allow_unlocked(void);
size_t secret_locked_bytes(void);
size_t secret_unlocked_bytes(void);

/**
 * Allocator triple for libraries that keep secrets in ordinary heap blocks (jansson, libcurl, SQLite): wipes every block
 * when it is freed or moved. secret_install_json_allocator() makes jansson use it; call before the first json_t.
 */
void *secret_heap_malloc(size_t len);
void *secret_heap_calloc(size_t n, size_t size);
void *secret_heap_realloc(void *p, size_t len);
char *secret_heap_strdup(const char *s);
void secret_heap_free(void *p);
void secret_install_json_allocator(void);

/**
 * Make this process hard to read: no core dumps (RLIMIT_CORE 0), not traceable and not dumpable (PR_SET_DUMPABLE 0).
 * For daemons, before the first secret. Failing is an error: fail closed. Raises the soft RLIMIT_MEMLOCK to the hard one.
 * ERR_NO_MEMORY: that is too little for any secret, and secret_allow_unlocked() was not called; the text says what to raise.
 */
enum err secret_harden_process(void);

/** Constant-time equality. */
int secret_equal(const void *a, const void *b, size_t len);

void secret_wipe_auto_32(void *p);
void secret_free_auto(void *p);

/* struct data_key k AUTO_WIPE;  — wiped on every way out of the scope. Works for any of the 32-byte key types. */
#define AUTO_WIPE __attribute__((cleanup(secret_wipe_auto_32)))
/* uint8_t *buf AUTO_SECRET = secret_alloc(n);  — wiped and freed on every way out. */
#define AUTO_SECRET __attribute__((cleanup(secret_free_auto)))

/** Give a pointer away from a variable that would otherwise be cleaned up. */
#define STEAL(p)                                                                                                       \
	__extension__({                                                                                                \
		__typeof__(p) steal_p_ = (p);                                                                          \
		(p) = NULL;                                                                                            \
		steal_p_;                                                                                              \
	})

#endif
