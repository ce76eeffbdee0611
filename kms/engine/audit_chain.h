/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_AUDIT_CHAIN_H
#define SIGNETFS_ENGINE_AUDIT_CHAIN_H

/*
 * The audit trail's chain. Record n carries
 *
 *     chain(n) = HMAC-SHA256(trail key, chain(n-1) ‖ its number, time, account, key, operation, error and text)
 *
 * and the head says where the chain begins and where it ends: base and last (number, chain), under a tag of the head key. Both
 * keys are derived from the keystore secret, so whoever can write the file but has not the root key can neither change a
 * record, nor put one in, nor take one out, at the end included, without verification saying where.
 *
 * What it cannot notice by itself: the whole keystore put back as it was earlier. Against that an anchor, "number:chain", is kept
 * elsewhere, and verification is told to find it. Against who has the root key, too: an anchor cannot be made to fit another trail.
 *
 * A keystore from before the chain is adopted when it is opened first: its older records stay outside, and the keystore secret is
 * sealed anew in a way that says "has a chain", so that nobody can take the chain away and have the trail adopted once more.
 */

#include <stdint.h>
#include "kms/base/err.h"
#include "kms/engine/engine.h"
#include "kms/store/store.h"

/** Append inside one transaction: open, as many records as there are, close. ERR_KEYSTORE: the head is not what was written. */
struct audit_chain {
	struct engine *engine;
	struct store_audit_head head;
};
enum err audit_chain_open(struct engine *engine, struct audit_chain *ret);
enum err audit_chain_append(struct audit_chain *chain, struct store_audit *record); /* numbers and chains it */
enum err audit_chain_close(struct audit_chain *chain);

/** One record in the transaction that the thread is in. */
enum err audit_chain_append_one(struct engine *engine, struct store_audit *record);

/** The chain value of @record (whose own is not looked at) behind @previous. */
enum err audit_chain_next(const struct engine *engine, const uint8_t previous[STORE_CHAIN_SIZE],
	const struct store_audit *record, uint8_t ret[STORE_CHAIN_SIZE]);

/** The head, verified. ERR_KEYSTORE: missing, or not what was written. */
enum err audit_chain_head(struct engine *engine, struct store_audit_head *ret);

/** In a transaction: begin the chain behind the records that there are. */
enum err audit_chain_begin(struct engine *engine);

/** Remove records older than @before, from the beginning on; at most @limit. Says so in a record of its own. */
enum err audit_chain_prune(struct engine *engine, uint64_t before, size_t limit, size_t *ret_count);

#endif
