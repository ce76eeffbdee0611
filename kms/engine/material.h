/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_MATERIAL_H
#define SIGNETFS_ENGINE_MATERIAL_H

/*
 * Secrets of the keystore, at rest and in memory.
 *
 * At rest each is sealed with XAES-256-GCM under the key derived from the root key; the associated data names what it is
 * (kind, keystore, and the ids of the row it belongs to), so a row copied over another does not open.
 * In memory backing keys are kept in a small cache of secret memory. A backing key's bytes never change, and the key's row is
 * read afresh for every call, so the cache can be wrong about nothing: a key that another process disabled or deleted is refused
 * before the cache is asked.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"
#include "kms/base/secret.h"
#include "kms/engine/pkey.h"
#include "kms/store/store.h"

struct engine;

enum sealed_kind {
	SEALED_KEYSTORE_SECRET = 1, /* of a keystore whose audit trail has no chain yet */
	SEALED_BACKING_KEY = 2,
	SEALED_ACCESS_KEY = 3,
	SEALED_KEYSTORE_SECRET_CHAINED = 4,
	SEALED_SESSION = 5, /* not in the keystore: a session token */
	SEALED_WRAPPING_KEY = 6
};

/** What a sealed secret belongs to; ids that a kind has not are of length 0. */
struct sealed_subject {
	enum sealed_kind kind;
	const uint8_t *keystore; /* UUID_SIZE */
	const void *a, *b;
	size_t a_len, b_len;
};

/** @out receives @len + XAES_OVERHEAD bytes. */
enum err material_seal(
	const uint8_t seal_key[KEY_SIZE], const struct sealed_subject *subject, const void *in, size_t len, void *out);
/** ERR_KEYSTORE when it does not open: damaged or moved, since the root key was verified before. */
enum err material_open(
	const uint8_t seal_key[KEY_SIZE], const struct sealed_subject *subject, const void *in, size_t len, void *out);

struct material_cache;
struct material_cache *material_cache_new(void); /* NULL: no secret memory */
void material_cache_free(struct material_cache *cache);
/** Wipe what the store no longer has. */
void material_cache_prune(struct engine *engine);

/** Make a new backing key of @len random bytes for @key (in a transaction) and make it the current one in @key; the caller stores @key. */
enum err material_create(
	struct engine *engine, struct store_key *key, size_t len, enum backing_rotation why, uint64_t now);
/** The same with given bytes: a private key's, or an imported one's. */
enum err material_put(struct engine *engine, struct store_key *key, enum backing_rotation why, const void *in,
	size_t len, uint64_t now);
/** A backing key as @backing describes it, of which only the id is filled in; not made current. For imported material. */
enum err material_insert(
	struct engine *engine, const struct store_key *key, struct store_backing *backing, const void *in, size_t len);
/** Fill a backing key again whose material was taken out. */
enum err material_put_back(struct engine *engine, const struct store_key *key, const uint8_t backing[UUID_SIZE],
	const void *in, size_t len);

/** The bytes of a backing key of any kind; not cached. ERR_NOT_FOUND: the key has no such one. */
enum err material_load_bytes(
	struct engine *engine, const struct store_key *key, const uint8_t backing[UUID_SIZE], struct pkey_bytes *ret);

/** The bytes of a symmetric backing key. ERR_NOT_FOUND: the key has no such one. @ret is a secret. */
enum err material_load(
	struct engine *engine, const struct store_key *key, const uint8_t backing[UUID_SIZE], struct cmk_key *ret);

#endif
