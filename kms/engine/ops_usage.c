/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/engine/key_use.h"
#include "kms/engine/metadata.h"
#include "kms/engine/operations.h"
#include "kms/engine/usage.h"

/* Use is tracked from a key's creation on. */
enum err op_get_key_last_usage(struct call *call)
{
	const struct store_key *key = &call->key;
	struct store_usage usage;
	char id[NAMES_KEY_ID_SIZE];
	enum err e = usage_last(call->engine, key->row, &usage);

	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	names_key_id(key->id, key->multi_region, id);
	TRY(call_answer(call, json_pack("{s:s, s:{}, s:o?, s:o?}", "KeyId", id, "KeyLastUsage", "TrackingStartDate",
				      metadata_time(key->created), "KeyCreationDate", metadata_time(key->created))));
	if (e == ERR_OK)
		json_object_set_new(call->body, "KeyLastUsage",
			json_pack("{s:s, s:o?, s:s, s:s}", "Operation", usage.operation, "Timestamp",
				metadata_time(usage.time), "CloudTrailEventId", usage.event_id, "KmsRequestId",
				usage.request_id));
	return ERR_OK;
}
