/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_IMPORT_H
#define SIGNETFS_ENGINE_IMPORT_H

/*
 * Key material from outside. GetParametersForImport makes an RSA key pair that lives for a day: the public half goes to the caller
 * together with a token, the private half is sealed in the keystore. ImportKeyMaterial shows the token again, which says under which
 * pair and for which key the material was wrapped.
 *
 * Token: version (1) ‖ wrapping key id (16) ‖ key id (16) ‖ end of its life (u64, ns) ‖ HMAC-SHA256 over these, the region and a label.
 */

#include "kms/engine/internal.h"

/** Before the transaction: take the token and the wrapping off the request's material, and see that it is what @key needs. Into call->prepared. */
enum err import_unwrap(struct call *call, const struct store_key *key);

/** ERR_KMS_UNSUPPORTED_OPERATION unless the key's material comes from outside. */
enum err import_require_external(const struct store_key *key);

/** The id of imported material: the same material in the same key has the same id. */
enum err import_material_id(struct engine *engine, const struct store_key *key, const struct pkey_bytes *material,
	char ret[STORE_MATERIAL_ID_SIZE]);

/** Is all material of the key there, but for what it has not rotated to? */
enum err import_is_complete(struct engine *engine, const struct store_key *key, int *ret);

/** Take the material out of a backing key, or with @backing pending the backing key itself; the caller stores @key. In a transaction. */
enum err import_remove(struct engine *engine, struct store_key *key, const struct store_backing *backing);

/** Material whose time is over, and wrapping keys whose day is. */
enum err import_run_due(struct engine *engine, uint64_t now);

#endif
