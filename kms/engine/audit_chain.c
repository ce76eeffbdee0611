/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>
#include "kms/base/bytes.h"
#include "kms/base/kdf.h"
#include "kms/base/secret.h"
#include "kms/engine/audit.h"
#include "kms/engine/audit_chain.h"
#include "kms/engine/internal.h"

_Static_assert((int)STORE_CHAIN_SIZE == (int)SHA256_SIZE, "a chain value is an HMAC-SHA256");

enum { FIELDS = 5, FIXED_SIZE = 16 + FIELDS * 5 };

/* Every length in front of every field, and "absent" told from "empty": no two records have one encoding. */
enum err audit_chain_next(const struct engine *engine, const uint8_t previous[STORE_CHAIN_SIZE],
	const struct store_audit *r, uint8_t ret[STORE_CHAIN_SIZE])
{
	const char *const fields[FIELDS] = {r->account, r->key_arn, r->operation, r->error, r->record};
	struct bytes_view parts[2 + FIELDS] = {{previous, STORE_CHAIN_SIZE}};
	uint8_t fixed[FIXED_SIZE];
	struct writer w;
	size_t len;

	writer_init(&w, fixed, sizeof(fixed));
	writer_u64(&w, (uint64_t)r->seq);
	writer_u64(&w, r->time);
	for (size_t i = 0; i < FIELDS; i++) {
		parts[2 + i] = (struct bytes_view){fields[i], fields[i] ? strlen(fields[i]) : 0};
		writer_u8(&w, fields[i] != NULL);
		writer_u32(&w, (uint32_t)parts[2 + i].len);
	}
	TRY(writer_end(&w, &len));
	parts[1] = (struct bytes_view){fixed, len};
	return kdf_hmacv(engine->secrets->trail, KEY_SIZE, parts, 2 + FIELDS, ret);
}

static enum err head_tag(const struct engine *engine, const struct store_audit_head *h, uint8_t ret[STORE_CHAIN_SIZE])
{
	uint8_t fixed[16 + 2 * STORE_CHAIN_SIZE];
	struct writer w;
	size_t len;

	writer_init(&w, fixed, sizeof(fixed));
	writer_u64(&w, (uint64_t)h->base_seq);
	writer_put(&w, h->base_chain, STORE_CHAIN_SIZE);
	writer_u64(&w, (uint64_t)h->last_seq);
	writer_put(&w, h->last_chain, STORE_CHAIN_SIZE);
	TRY(writer_end(&w, &len));
	return kdf_hmac(engine->secrets->trail_head, KEY_SIZE, fixed, len, ret);
}

enum err audit_chain_head(struct engine *engine, struct store_audit_head *ret)
{
	struct store_audit_head head;
	uint8_t tag[STORE_CHAIN_SIZE];
	enum err e = store_audit_head_get(engine->store, &head);

	if (e == ERR_NOT_FOUND)
		return err_fail(ERR_KEYSTORE, "the audit trail was tampered with: the end of its chain is missing; "
					      "restore the keystore from a backup");
	TRY(e);
	TRY(head_tag(engine, &head, tag));
	if (!secret_equal(tag, head.tag, sizeof(tag)))
		return err_fail(ERR_KEYSTORE, "the audit trail was tampered with: the end of its chain does not "
					      "verify; restore the keystore from a backup");
	*ret = head;
	return ERR_OK;
}

enum err audit_chain_open(struct engine *engine, struct audit_chain *ret)
{
	assert(store_in_transaction(engine->store));
	ret->engine = engine;
	return audit_chain_head(engine, &ret->head);
}

enum err audit_chain_append(struct audit_chain *chain, struct store_audit *record)
{
	struct store_audit_head *head = &chain->head;

	record->seq = head->last_seq + 1;
	TRY(audit_chain_next(chain->engine, head->last_chain, record, record->chain));
	TRY(store_audit_insert(chain->engine->store, record));
	head->last_seq = record->seq;
	memcpy(head->last_chain, record->chain, STORE_CHAIN_SIZE);
	return ERR_OK;
}

enum err audit_chain_close(struct audit_chain *chain)
{
	TRY(head_tag(chain->engine, &chain->head, chain->head.tag));
	return store_audit_head_set(chain->engine->store, &chain->head);
}

enum err audit_chain_append_one(struct engine *engine, struct store_audit *record)
{
	struct audit_chain chain;

	TRY(audit_chain_open(engine, &chain));
	TRY(audit_chain_append(&chain, record));
	return audit_chain_close(&chain);
}

enum err audit_chain_begin(struct engine *engine)
{
	struct audit_chain chain = {.engine = engine};
	struct store_audit_head *head = &chain.head;

	TRY(store_audit_last(engine->store, &head->base_seq));
	TRY(kdf_hmac(engine->secrets->trail, KEY_SIZE, engine->id, UUID_SIZE, head->base_chain));
	head->last_seq = head->base_seq;
	memcpy(head->last_chain, head->base_chain, STORE_CHAIN_SIZE);
	return audit_chain_close(&chain);
}

/* ---- Retention ---- */

struct expired {
	uint64_t before;
	int64_t seq;
	uint8_t chain[STORE_CHAIN_SIZE];
	size_t count;
};

static enum err look_at_age(void *context, const struct store_audit *r)
{
	struct expired *x = context;

	/* What is not older ends the walk: only a beginning of the trail can go. */
	if (r->time >= x->before)
		return ERR_INTERRUPTED;
	x->seq = r->seq;
	x->count++;
	memcpy(x->chain, r->chain, STORE_CHAIN_SIZE);
	return ERR_OK;
}

enum err audit_chain_prune(struct engine *engine, uint64_t before, size_t limit, size_t *ret_count)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	struct expired x = {.before = before};
	struct audit_chain chain;
	size_t walked;
	enum err e;

	*ret_count = 0;
	TRY(store_txn_begin(engine->store, &txn));
	TRY(audit_chain_open(engine, &chain));
	e = store_audit_walk(engine->store, 0, limit, look_at_age, &x, &walked);
	if (e != ERR_OK && e != ERR_INTERRUPTED)
		return e;
	if (x.count == 0)
		return ERR_OK;
	/* What is older than the chain goes without a trace in it; the base moves with what was in it. */
	if (x.seq > chain.head.base_seq) {
		chain.head.base_seq = x.seq;
		memcpy(chain.head.base_chain, x.chain, STORE_CHAIN_SIZE);
	}
	TRY(store_audit_drop(engine->store, x.seq));
	TRY(audit_chain_close(&chain));
	TRY(audit_pruned_event(engine, before, x.count));
	TRY(store_txn_commit(&txn));
	*ret_count = x.count;
	return ERR_OK;
}
