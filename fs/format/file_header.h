/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FORMAT_FILE_HEADER_H
#define SIGNETFS_FORMAT_FILE_HEADER_H

/*
 * The header of every encrypted file. doc/format.md, "File header", is the authority; the offsets are asserted in
 * file_header.c.
 *
 * The length is one of the vault (volume descriptor), a multiple of 512, so that the plaintext size is a function of the lower
 * size alone. All that ever changes in a file's life (flags, size, session) and the MAC lie in the first 512 bytes: an update
 * is one write of one 512-byte unit, whatever the header's length.
 */

#include <stddef.h>
#include <stdint.h>
#include "fs/format/chunk.h"
#include "kms/base/err.h"
#include "kms/base/ids.h"
#include "kms/base/secret.h"
#include "kms/base/wrapped_key.h"

enum { FILE_HEADER_UNIT = 512, FILE_HEADER_MAX = 2048 };

enum file_wrap { WRAP_KMS = 0, WRAP_BUCKET = 1, WRAP_CUSTOMER = 2 };
enum { FILE_FLAG_HOLES = 1u << 0 };

struct file_header {
	uint8_t suite; /* SUITE_XAES_256_GCM */
	enum file_wrap wrap;
	uint32_t flags;
	uint8_t volume_id[VOLUME_ID_SIZE];
	uint8_t file_id[FILE_ID_SIZE];
	uint64_t size;                                   /* plaintext bytes when the header was last written */
	uint64_t session;                                /* that wrote it */
	uint8_t wrapped_data_key[WRAPPED_DATA_KEY_SIZE]; /* zero for WRAP_KMS */
	struct bucket_id bucket;
	struct kms_wrapped_key kms_key; /* the wrapped bucket key; the wrapped data key for WRAP_KMS */
};

enum { SUITE_XAES_256_GCM = 1 };

/** Key of the header MAC. */
struct header_key {
	uint8_t b[KEY_SIZE];
};

/** All that a file needs of its data key: HKDF(data key, salt = file id), LABEL_CHUNKS and LABEL_HEADER. */
struct file_keys {
	struct chunk_key chunk;
	struct header_key header;
};
enum err file_header_keys(const struct data_key *key, const uint8_t file_id[FILE_ID_SIZE], struct file_keys *ret);
/** The header's alone. */
enum err file_header_key(const struct data_key *key, const uint8_t file_id[FILE_ID_SIZE], struct header_key *ret);

/** Smallest header length (a multiple of 512) that holds such an ARN and blob; ERR_LIMIT beyond FILE_HEADER_MAX. */
enum err file_header_length_for(size_t arn_len, size_t blob_len, size_t *ret_len);

/** Encode into exactly @length bytes, MAC included. ERR_LIMIT, @out untouched, when the ARN and blob do not fit: copying into a vault with longer headers is the way out. ERR_KMS_PROTOCOL: the ARN is no visible ASCII. */
enum err file_header_encode(const struct file_header *h, const struct header_key *key, uint8_t *out, size_t length);

/**
 * Pick the fields apart without any key: ERR_FORMAT for what is malformed, ERR_UNSUPPORTED for a version, suite, wrap (WRAP_CUSTOMER included) or flag that
 * this program does not know. Nothing in *ret is authenticated yet: use it only to get the data key.
 */
enum err file_header_decode(const uint8_t *in, size_t length, struct file_header *ret);

/** Where the file's id stands in an encoded header, torn or whole: it stays when a header is wrapped anew. Not authenticated. */
const uint8_t *file_header_id(const uint8_t *in);

/** Check the MAC (constant time): also the commitment to the data key, so before any chunk is opened. ERR_TAMPERED. */
enum err file_header_verify(const uint8_t *in, size_t length, const struct header_key *key);

#endif
