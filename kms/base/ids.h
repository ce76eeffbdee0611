/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_IDS_H
#define SIGNETFS_BASE_IDS_H

/* Identifiers that several rooms bind into keys and contexts. Random, not secret. */

#include <stdint.h>

enum { VOLUME_ID_SIZE = 16, FILE_ID_SIZE = 16, DIR_ID_SIZE = 16, BUCKET_ID_SIZE = 16 };

struct bucket_id {
	uint8_t b[BUCKET_ID_SIZE]; /* all zero: the whole vault */
};

/** A data key under a bucket key: nonce 12, ciphertext 32, tag 16. */
enum { WRAPPED_DATA_KEY_SIZE = 12 + 32 + 16 };

#endif
