/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_VAULT_SCRATCH_H
#define SIGNETFS_VAULT_SCRATCH_H

/*
 * What a thread needs to read and write chunks of any file: made on first use, freed with the thread. So the read path allocates
 * nothing and takes no lock of its own, and a batch of chunks stays in the level-2 cache between the system call and the cipher.
 */

#include "fs/format/chunk.h"
#include "fs/format/file_header.h"

enum { BATCH_CHUNKS = 16, BATCH_STORED = BATCH_CHUNKS * CHUNK_STORED, BATCH_PLAIN = BATCH_CHUNKS * CHUNK_SIZE };
/* A large piece: what the kernel writes at once. */
enum { WIDE_CHUNKS = 256, WIDE_STORED = WIDE_CHUNKS * CHUNK_STORED, WIDE_PLAIN = WIDE_CHUNKS * CHUNK_SIZE };

struct scratch {
	const struct aead_impl *aead;
	struct chunk_cipher *cipher;
	uint8_t *plain;                                 /* one chunk of plaintext; secret memory */
	uint8_t stored[FILE_HEADER_MAX + BATCH_STORED]; /* a header and a batch, or a batch */
	uint8_t one[CHUNK_STORED];                      /* one stored chunk besides */
	uint8_t *wide;                                  /* a large piece, sealed; NULL until it is asked for */
	uint8_t undo[CHUNK_STORED];                     /* a file's last chunk as it was before it grew or shrank */
};

/** The calling thread's. ERR_NO_MEMORY. */
enum err scratch_get(const struct aead_impl *aead, struct scratch **ret);
/** s->wide. ERR_NO_MEMORY. */
enum err scratch_widen(struct scratch *s);

#endif
