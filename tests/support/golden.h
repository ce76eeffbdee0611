/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_GOLDEN_H
#define SIGNETFS_TESTS_GOLDEN_H

/* What tests/golden/generate.py is made of, and its files. Tests run in the repository's top directory. */

#include "fs/format/file_header.h"
#include "fs/format/names.h"
#include "kms/base/ids.h"
#include "kms/base/secret.h"

#define GOLDEN_ARN "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
enum { GOLDEN_SESSION = 7 };

extern const struct volume_key golden_volume_key;
extern const struct bucket_key golden_bucket_key;
extern const struct data_key golden_data_key;
extern const uint8_t golden_volume_id[VOLUME_ID_SIZE];
extern const uint8_t golden_file_id[FILE_ID_SIZE];
extern const uint8_t golden_bucket_id[BUCKET_ID_SIZE];
extern const uint8_t golden_dir_id[DIR_ID_SIZE];

/** A whole file of tests/golden, NUL behind it; free() it. */
uint8_t *golden_read(const char *name, size_t *ret_len);

/** Byte i of a golden blob and of a golden file's plaintext. */
uint8_t golden_blob_byte(size_t i);
uint8_t golden_content_byte(size_t i);

struct kms_wrapped_key golden_kms_key(size_t blob_len);
/** The header of v1-bucket.bin, without the wrapped data key. */
struct file_header golden_header(void);
/** Derived from the data key; and the one that most tests of headers need. */
struct file_keys golden_file_keys(void);
struct header_key golden_header_key(void);
struct name_keys *golden_name_keys(enum name_mode mode);

/** A key derived from the volume key as the program does, so that a test can seal what the program would not. */
void golden_volume_derive(const char *label, uint8_t *ret, size_t len);
/** The key of the names alone, likewise. */
struct siv *golden_names_siv(void);
/** "signetfs.long." ‖ base64url(SHA-256(@full)) */
void golden_long_name_of(const char *full, size_t len, char out[NAME_LOWER_MAX + 1]);

#endif
