/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FORMAT_SESSIONS_H
#define SIGNETFS_FORMAT_SESSIONS_H

/*
 * .signetfs/sessions: the number of the last session (mount) and the list of those that did not end cleanly, with a MAC from
 * the volume key. doc/format.md, "Sessions".
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"
#include "kms/base/ids.h"
#include "kms/base/secret.h"

#define SESSIONS_NAME       "sessions"
#define SESSIONS_SPARE_NAME "sessions.new" /* the list before the last, to be overwritten by the next */
enum { SESSIONS_UNCLEAN_MAX = 1024, SESSIONS_MAX_SIZE = 8 + 8 + 8 + 4 + 4 + SESSIONS_UNCLEAN_MAX * 8 + 32 };

struct sessions {
	uint64_t last;
	uint64_t unclean_below; /* every session below this counts as unclean: where an overfull list was folded */
	uint32_t count;         /* unclean ones, ascending, none below unclean_below */
	uint64_t unclean[SESSIONS_UNCLEAN_MAX];
};

enum err sessions_encode(const struct sessions *s, const struct volume_key *key,
	const uint8_t volume_id[VOLUME_ID_SIZE], uint8_t out[SESSIONS_MAX_SIZE], size_t *ret_len);
enum err sessions_decode(const uint8_t *in, size_t len, const struct volume_key *key,
	const uint8_t volume_id[VOLUME_ID_SIZE], struct sessions *ret);

/** Start one: takes the next number and lists it as unclean. The oldest entry of a full list is folded into unclean_below. */
uint64_t sessions_begin(struct sessions *s);
void sessions_end_clean(struct sessions *s, uint64_t number);
int sessions_is_unclean(const struct sessions *s, uint64_t number);

#endif
