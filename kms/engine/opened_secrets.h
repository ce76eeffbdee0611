/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_OPENED_SECRETS_H
#define SIGNETFS_ENGINE_OPENED_SECRETS_H

/*
 * The secrets of access keys lately used, open, in secret memory. What opens is decided by the row as the keystore has it now: a
 * secret is found again only under the same sealed bytes, id and ARN that it was opened from, so nothing has to be told when an
 * access key is deleted. Forgotten all at once by the periodic work, so that none outlives its row by more than a minute.
 *
 * Threads: safe. Bounded.
 */

#include "kms/engine/engine.h"
#include "kms/store/store.h"

struct opened_secrets;

struct opened_secrets *opened_secrets_new(void); /* NULL: no memory */
void opened_secrets_free(struct opened_secrets *opened);

/** 1 and the row's secret, or 0. */
int opened_secrets_get(
	struct opened_secrets *opened, const struct store_access_key *row, char ret_secret[ENGINE_SECRET_KEY_SIZE]);
void opened_secrets_put(
	struct opened_secrets *opened, const struct store_access_key *row, const char secret[ENGINE_SECRET_KEY_SIZE]);
void opened_secrets_forget(struct opened_secrets *opened);

#endif
