/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_POLICY_CACHE_H
#define SIGNETFS_ENGINE_POLICY_CACHE_H

/*
 * Parsed policies. Each is kept under the version of its row, which changes with it and is never used again: what is found under a
 * version can be wrong about nothing, whatever other processes do. A policy that does not parse any more lets nobody in.
 *
 * Threads: safe. Bounded: 1024 sets; a collision replaces the older one.
 */

#include "kms/engine/internal.h"
#include "kms/policy/policy.h"

struct policy_cache;
struct policy_cache *policy_cache_new(void);
void policy_cache_free(struct policy_cache *cache);

/* Policies of one key (one), or of one principal. Held until policy_set_release(). */
struct policy_set {
	_Atomic unsigned holders;
	size_t count;
	struct policy **policy;
	char **name; /* of an identity policy */
};
void policy_set_release(struct policy_set **set);
#define AUTO_POLICIES __attribute__((cleanup(policy_set_release)))

/** The key's policy. When another process replaces it just now, the new one. */
enum err policies_of_key(struct engine *engine, const struct store_key *key, struct policy_set **ret);
/** What is attached to a principal. ERR_NOT_FOUND: it is not there any more. */
enum err policies_of_principal(struct engine *engine, int64_t principal, struct policy_set **ret);

/** The text of the key's policy; free with free(). */
enum err policy_text_of_key(struct engine *engine, const struct store_key *key, char **ret);

#endif
