/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_SIGV4_KEYS_H
#define SIGNETFS_WIRE_SIGV4_KEYS_H

/*
 * Signing keys lately derived. A key is a function of the secret, the day, the region and the service, and is found again only
 * under all four: the secret is compared, so that an access key which was deleted or has another secret now never finds an old one,
 * and nothing has to be told when something changes.
 *
 * The keys and the secrets lie in secret memory. Threads: safe. Bounded: what is derived anew takes the place of another.
 */

#include "kms/wire/sigv4.h"

struct sigv4_keys;

struct sigv4_keys *sigv4_keys_new(void); /* NULL: no memory */
void sigv4_keys_free(struct sigv4_keys *keys);

/** kSigning of @secret and @scope; @access_key_id only says where to look. @keys NULL: derived each time. */
enum err sigv4_keys_get(struct sigv4_keys *keys, const char *access_key_id, const char *secret,
	const struct sigv4_scope *scope, uint8_t ret_key[SHA256_SIZE]);

/** Wipe them all, so that nothing of a deleted access key stays for long. */
void sigv4_keys_forget(struct sigv4_keys *keys);

/** How often a key was found. */
uint64_t sigv4_keys_found(struct sigv4_keys *keys);

#endif
