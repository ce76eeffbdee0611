/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_GRANTS_H
#define SIGNETFS_ENGINE_GRANTS_H

/*
 * Grants: a principal may do some operations on one key, perhaps only with some encryption context. A grant works once it has
 * spread (engine_config.grant_delay after it was made), or at once for who shows its token. Tokens are no secrets: each is the
 * grant's id with a MAC, so that none has to be kept.
 */

#include "kms/engine/internal.h"

enum { GRANT_ID_TEXT_SIZE = 2 * STORE_GRANT_ID_SIZE + 1, GRANT_TOKEN_SIZE = 96 };

/** The bit of an operation that grants know, or 0. */
uint32_t grant_operation(const char *name);
/** The names of a set, for an answer. */
json_t *grant_operations(uint32_t set);
/** May a grant on a key of this usage and spec have all of @set? */
int grant_fits_key(uint32_t set, const struct store_key *key);

/** Hexadecimal digits → id. ERR_KMS_INVALID_GRANT_ID. */
enum err grant_read_id(const char *text, uint8_t ret[STORE_GRANT_ID_SIZE]);

enum err grant_token_make(struct engine *engine, const uint8_t id[STORE_GRANT_ID_SIZE], char ret[GRANT_TOKEN_SIZE]);
/** ERR_KMS_INVALID_GRANT_TOKEN unless this KMS made it. */
enum err grant_token_read(struct engine *engine, const char *token, uint8_t ret[STORE_GRANT_ID_SIZE]);
/** All of the request's GrantTokens. */
enum err grants_check_tokens(const struct call *call);

struct grant_match {
	int account_allowed; /* in: identity policies permit it, so a grant to the account counts */
	int found;
	int names_session; /* it was given to the very session */
	char id[GRANT_ID_TEXT_SIZE];
};
/** Is there a grant for the caller that covers the call's @action on @key now? */
enum err grants_match(struct call *call, const char *action, const struct store_key *key, struct grant_match *match);

#endif
