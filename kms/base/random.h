/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_RANDOM_H
#define SIGNETFS_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>
#include "kms/base/encode.h"
#include "kms/base/err.h"

/** Fill with the kernel's random bytes (getrandom). Cannot fail on a supported kernel; aborts the process if it does. */
void random_bytes(void *out, size_t len);

/** A random (version 4) UUID. */
void random_uuid(uint8_t ret_id[UUID_SIZE]);
/** The same as text. */
void random_uuid_text(char ret[UUID_TEXT + 1]);

/** A random integer below @bound (> 0), unbiased. */
uint64_t random_below(uint64_t bound);

/**
 * The same for many small nonces, ids and keys: hands out bytes of a draw of 2 KiB that belongs to the calling thread and lies in
 * secret memory; each byte is handed out once and wiped. Not shared across fork(): a child draws anew.
 */
void random_drawn(void *out, size_t len);

#endif
