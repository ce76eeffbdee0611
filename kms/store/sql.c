/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include "kms/store/sql.h"

#define KEY_COLUMNS                                                                                                    \
	"row, id, multi_region, account, region, manager, spec, usage, origin, state, created, deletion_date, "        \
	"pending_days, rotation_enabled, rotation_days, rotation_from, next_rotation, on_demand, current, policy, "    \
	"primary_region, waiting_from"
#define ALIAS_COLUMNS                                                                                                  \
	"a.account, a.region, a.name, a.key, k.id, k.multi_region, a.created, a.updated "                              \
	"FROM aliases a JOIN keys k ON k.row = a.key "
#define BACKING_COLUMNS                                                                                                \
	"seq, key, id, material_id, rotation, created, rotated, valid_to, place <> 0, description "                    \
	"FROM backing_keys "

#define ACCESS_COLUMNS    "id, account, arn, created, sealed, ifnull(principal, 0) FROM access_keys "
#define PRINCIPAL_COLUMNS "row, account, kind, name, path, unique_id, max_session, created, version FROM principals "
#define GRANT_COLUMNS                                                                                                  \
	"g.row, g.id, g.key, g.name, g.grantee, g.retiring, g.issuing, g.operations, g.constraint_kind, "              \
	"g.constraints, g.created, g.grantee_id, g.retiring_id FROM grants g "
#define NEXT_VERSION "(SELECT ifnull(max(version), 0) + 1 FROM principals)"

/* Records of a time, a key, an operation, an error and a principal; NULL is any. */
#define AUDIT_MATCHES                                                                                                  \
	"WHERE time >= ?1 AND time < ?2 "                                                                              \
	"AND (?3 IS NULL OR key_arn = ?3 OR (operation = 'ReEncrypt' AND instr(record, ?3))) "                         \
	"AND (?4 IS NULL OR operation = ?4) AND (?5 IS NULL OR ifnull(error, '') = ?5) "                               \
	"AND (?6 IS NULL OR json_extract(record, '$.userIdentity.arn') = ?6 "                                          \
	"OR json_extract(record, '$.userIdentity.accessKeyId') = ?6 "                                                  \
	"OR substr(json_extract(record, '$.userIdentity.arn'), -length(?6) - 1) = ':' || ?6) "

/* State numbers are those of enum key_state: 1 = Enabled, 3 = PendingDeletion. */
static const struct {
	enum sql_effect effect;
	const char *text;
} statements[SQL_COUNT] = {
	[SQL_META_GET] = {SQL_READS, "SELECT value FROM meta WHERE name = ?"},
	[SQL_META_SET] = {SQL_CHANGES, "INSERT INTO meta (name, value) VALUES (?, ?)"},
	[SQL_META_REPLACE] = {SQL_NOTES, "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)"},
	[SQL_KEY_INSERT] = {SQL_CHANGES,
		"INSERT INTO keys (id, multi_region, account, region, manager, spec, usage, origin, created, "
		"description, "
		"state, deletion_date, pending_days, rotation_enabled, rotation_days, rotation_from, next_rotation, "
		"on_demand, current, primary_region, waiting_from) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
	[SQL_KEY_FIND] = {SQL_FINDS, "SELECT " KEY_COLUMNS " FROM keys WHERE region = ? AND id = ?"},
	[SQL_KEY_GET] = {SQL_FINDS, "SELECT " KEY_COLUMNS " FROM keys WHERE row = ?"},
	[SQL_KEY_REGIONS] = {SQL_FINDS,
		"SELECT " KEY_COLUMNS " FROM keys WHERE id = ? AND multi_region = 1 ORDER BY row LIMIT ?"},
	[SQL_KEY_UPDATE] = {SQL_CHANGES,
		"UPDATE keys SET state = ?, deletion_date = ?, pending_days = ?, rotation_enabled = ?, "
		"rotation_days = ?, "
		"rotation_from = ?, next_rotation = ?, on_demand = ?, current = ?, primary_region = ?, "
		"waiting_from = ? "
		"WHERE row = ?"},
	[SQL_KEY_SET_DESCRIPTION] = {SQL_CHANGES, "UPDATE keys SET description = ? WHERE row = ?"},
	[SQL_KEY_DESCRIPTION] = {SQL_FINDS, "SELECT description FROM keys WHERE row = ?"},
	[SQL_KEY_DELETE] = {SQL_CHANGES, "DELETE FROM keys WHERE row = ?"},
	[SQL_KEY_COUNT_UP] = {SQL_CHANGES,
		"INSERT INTO key_counts (account, region, n) SELECT account, region, 1 FROM keys WHERE "
		"row = ? AND manager = 0 ON CONFLICT DO UPDATE SET n = n + 1"},
	[SQL_KEY_COUNT_DOWN] = {SQL_CHANGES, "UPDATE key_counts SET n = n - 1 WHERE (account, region) = "
					     "(SELECT account, region FROM keys WHERE row = ? AND manager = 0)"},
	[SQL_KEY_COUNT] = {SQL_FINDS, "SELECT n FROM key_counts WHERE account = ? AND region = ?"},
	[SQL_KEY_COUNT_EACH] = {SQL_READS,
		"SELECT account, region, n FROM key_counts WHERE n > 0 ORDER BY account, region"},
	[SQL_MOST_ALIASES] = {SQL_READS,
		"SELECT key, count(*) AS n FROM aliases GROUP BY key ORDER BY n DESC, key LIMIT 1"},
	[SQL_MOST_GRANTS] = {SQL_READS,
		"SELECT key, count(*) AS n FROM grants GROUP BY key ORDER BY n DESC, key LIMIT 1"},
	[SQL_MOST_TAGS] = {SQL_READS, "SELECT key, count(*) AS n FROM tags GROUP BY key ORDER BY n DESC, key LIMIT 1"},
	[SQL_MOST_ROTATIONS] = {SQL_READS,
		"SELECT row, on_demand FROM keys WHERE on_demand > 0 ORDER BY on_demand DESC, row LIMIT 1"},
	[SQL_MOST_POLICY] = {SQL_READS,
		"SELECT key, length(CAST(document AS BLOB)) AS n FROM key_policies ORDER BY n DESC, key LIMIT 1"},
	[SQL_KEY_LIST] = {SQL_READS,
		"SELECT " KEY_COLUMNS
		" FROM keys WHERE account = ? AND region = ? AND row > ? AND manager <> 2 ORDER BY row LIMIT ?"},
	/*
	 * Work is found in the order of its time, behind the one found last, by indexes that hold what has a time alone. Nothing else of
	 * the row is read, so that a damaged row holds up nobody but itself.
	 */
	[SQL_KEY_DUE_ROTATION] = {SQL_READS,
		"SELECT row, next_rotation, row FROM keys WHERE rotation_enabled = 1 AND state = "
		"1 AND next_rotation <= ?1 "
		"AND (next_rotation, row) > (?2, ?3) ORDER BY next_rotation, row LIMIT 1"},
	[SQL_KEY_DUE_DELETION] = {SQL_READS,
		"SELECT row, deletion_date, row FROM keys WHERE deletion_date <> 0 AND state = 3 "
		"AND deletion_date <= ?1 "
		"AND (deletion_date, row) > (?2, ?3) ORDER BY deletion_date, row LIMIT 1"},
	[SQL_KEY_DUE_EXPIRY] = {SQL_READS,
		"SELECT key, valid_to, seq FROM backing_keys WHERE valid_to <> 0 AND valid_to <= ?1 "
		"AND place <> 0 "
		"AND (valid_to, seq) > (?2, ?3) ORDER BY valid_to, seq LIMIT 1"},
	[SQL_KEY_NEXT_DUE] = {SQL_READS,
		"SELECT min(t) FROM (SELECT min(next_rotation) AS t FROM keys WHERE rotation_enabled = 1 AND state = 1 "
		"UNION ALL SELECT min(deletion_date) FROM keys WHERE deletion_date <> 0 AND state = 3 "
		"UNION ALL SELECT min(valid_to) FROM backing_keys WHERE valid_to <> 0 AND place <> 0 "
		"UNION ALL SELECT min(expires) FROM wrapping_keys)"},
	[SQL_KEY_WAITING] = {SQL_READS, "SELECT count(*) FROM keys WHERE deletion_date <> 0 AND state = 3"},
	[SQL_TAG_INSERT] = {SQL_CHANGES, "INSERT OR REPLACE INTO tags (key, name, value) VALUES (?, ?, ?)"},
	[SQL_TAG_DELETE] = {SQL_CHANGES, "DELETE FROM tags WHERE key = ? AND name = ?"},
	[SQL_TAG_LIST] = {SQL_FINDS, "SELECT name, value FROM tags WHERE key = ? AND name > ? ORDER BY name LIMIT ?"},
	[SQL_TAG_COUNT] = {SQL_FINDS, "SELECT count(*) FROM tags WHERE key = ?"},
	[SQL_BACKING_INSERT] = {SQL_CHANGES,
		"INSERT INTO backing_keys (key, id, material_id, created, rotation, rotated, "
		"valid_to, description, place) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"},
	[SQL_BACKING_UPDATE] = {SQL_CHANGES,
		"UPDATE backing_keys SET rotation = ?, rotated = ?, valid_to = ?, description = ? "
		"WHERE key = ? AND id = ?"},
	[SQL_BACKING_SET_PLACE] = {SQL_CHANGES, "UPDATE backing_keys SET place = ? WHERE key = ? AND id = ?"},
	[SQL_BACKING_DELETE] = {SQL_CHANGES, "DELETE FROM backing_keys WHERE key = ? AND id = ?"},
	[SQL_BACKING_PENDING] = {SQL_FINDS, "SELECT " BACKING_COLUMNS "WHERE key = ? AND rotation = -1"},
	[SQL_BACKING_COUNT] = {SQL_FINDS, "SELECT count(*) FROM backing_keys WHERE key = ?"},
	[SQL_BACKING_BY_MATERIAL] = {SQL_FINDS, "SELECT " BACKING_COLUMNS "WHERE key = ? AND material_id = ?"},
	[SQL_BACKING_FIND] = {SQL_FINDS, "SELECT " BACKING_COLUMNS "WHERE key = ? AND id = ?"},
	[SQL_BACKING_SEALED] = {SQL_FINDS,
		"SELECT ifnull((SELECT sealed FROM materials m WHERE m.place = b.place), x'') FROM backing_keys b "
		"WHERE key = ? AND id = ?"},
	[SQL_BACKING_LIST] = {SQL_FINDS,
		"SELECT " BACKING_COLUMNS "WHERE key = ? AND rotation >= ? AND seq > ? ORDER BY seq LIMIT ?"},
	[SQL_BACKING_EXISTS] = {SQL_FINDS, "SELECT count(*) FROM backing_keys WHERE id = ? AND place <> 0"},
	[SQL_MATERIAL_INSERT] = {SQL_CHANGES, "INSERT INTO materials (sealed) VALUES (?)"},
	[SQL_MATERIAL_WIPE] = {SQL_CHANGES, "UPDATE materials SET sealed = zeroblob(length(sealed)) WHERE place = "
					    "(SELECT place FROM backing_keys WHERE key = ? AND id = ?)"},
	[SQL_MATERIAL_WIPE_ALL] = {SQL_CHANGES, "UPDATE materials SET sealed = zeroblob(length(sealed)) WHERE place IN "
						"(SELECT place FROM backing_keys WHERE key = ?)"},
	[SQL_WRAPPING_INSERT] = {SQL_CHANGES,
		"INSERT INTO wrapping_keys (id, key, algorithm, expires, sealed) VALUES (?, ?, ?, ?, ?)"},
	[SQL_WRAPPING_FIND] = {SQL_FINDS,
		"SELECT algorithm, expires, sealed FROM wrapping_keys WHERE id = ? AND key = ?"},
	[SQL_WRAPPING_EXPIRE] = {SQL_CHANGES, "DELETE FROM wrapping_keys WHERE expires <= ?"},
	[SQL_USAGE_SET] = {SQL_NOTES, "INSERT OR REPLACE INTO key_usage (key, time, operation, event_id, request_id) "
				      "SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM keys WHERE row = ?1)"},
	[SQL_USAGE_GET] = {SQL_FINDS, "SELECT time, operation, event_id, request_id FROM key_usage WHERE key = ?"},
	[SQL_ALIAS_INSERT] = {SQL_CHANGES,
		"INSERT INTO aliases (account, region, name, key, created, updated) VALUES (?, ?, ?, ?, ?, ?)"},
	[SQL_ALIAS_FIND] = {SQL_FINDS, "SELECT " ALIAS_COLUMNS "WHERE a.account = ? AND a.region = ? AND a.name = ?"},
	[SQL_ALIAS_RETARGET] = {SQL_CHANGES,
		"UPDATE aliases SET key = ?, updated = ? WHERE account = ? AND region = ? AND name = ?"},
	[SQL_ALIAS_DELETE] = {SQL_CHANGES, "DELETE FROM aliases WHERE account = ? AND region = ? AND name = ?"},
	[SQL_ALIAS_LIST] = {SQL_READS,
		"SELECT " ALIAS_COLUMNS "WHERE a.account = ? AND a.region = ? AND a.name > ? ORDER BY a.name LIMIT ?"},
	[SQL_ALIAS_LIST_OF_KEY] = {SQL_FINDS,
		"SELECT " ALIAS_COLUMNS
		"WHERE a.account = ? AND a.region = ? AND a.name > ? AND a.key = ?5 ORDER BY a.name LIMIT ?4"},
	[SQL_ALIAS_COUNT] = {SQL_FINDS, "SELECT count(*) FROM aliases WHERE key = ?"},
	[SQL_ACCESS_INSERT] = {SQL_CHANGES, "INSERT INTO access_keys (id, account, arn, created, sealed, principal) "
					    "VALUES (?, ?, ?, ?, ?, nullif(?, 0))"},
	[SQL_ACCESS_FIND] = {SQL_FINDS, "SELECT " ACCESS_COLUMNS "WHERE id = ?"},
	[SQL_ACCESS_LIST] = {SQL_READS, "SELECT " ACCESS_COLUMNS "ORDER BY created, id"},
	[SQL_ACCESS_DELETE] = {SQL_CHANGES, "DELETE FROM access_keys WHERE id = ?"},
	[SQL_ACCESS_COUNT] = {SQL_READS, "SELECT count(*) FROM access_keys WHERE principal = ?"},
	[SQL_POLICY_DELETE] = {SQL_CHANGES, "DELETE FROM key_policies WHERE key = ?"},
	[SQL_POLICY_INSERT] = {SQL_CHANGES, "INSERT INTO key_policies (key, document, principals) VALUES (?, ?, ?)"},
	[SQL_POLICY_GET] = {SQL_FINDS, "SELECT document, principals FROM key_policies WHERE version = ?"},
	[SQL_KEY_SET_POLICY] = {SQL_CHANGES, "UPDATE keys SET policy = ? WHERE row = ?"},
	[SQL_ACCOUNT_INSERT] = {SQL_CHANGES, "INSERT INTO accounts (id, name, created) VALUES (?, ?, ?)"},
	[SQL_ACCOUNT_FIND] = {SQL_READS, "SELECT 1 FROM accounts WHERE id = ?"},
	[SQL_ACCOUNT_LIST] = {SQL_READS, "SELECT id, name, created FROM accounts ORDER BY id"},
	[SQL_ACCOUNT_USES] = {SQL_READS, "SELECT (SELECT count(*) FROM principals WHERE account = ?1) + "
					 "(SELECT count(*) FROM keys WHERE account = ?1) + "
					 "(SELECT count(*) FROM access_keys WHERE account = ?1)"},
	[SQL_ACCOUNT_DELETE] = {SQL_CHANGES, "DELETE FROM accounts WHERE id = ?"},
	[SQL_PRINCIPAL_INSERT] = {SQL_CHANGES,
		"INSERT INTO principals (account, kind, name, path, unique_id, trust, max_session, "
		"created, version) VALUES (?, ?, ?, ?, ?, '', ?, ?, " NEXT_VERSION ")"},
	[SQL_PRINCIPAL_FIND] = {SQL_FINDS, "SELECT " PRINCIPAL_COLUMNS "WHERE account = ? AND kind = ? AND name = ?"},
	[SQL_PRINCIPAL_GET] = {SQL_FINDS, "SELECT " PRINCIPAL_COLUMNS "WHERE row = ?"},
	[SQL_PRINCIPAL_IDENTIFY] = {SQL_FINDS, "SELECT " PRINCIPAL_COLUMNS "WHERE unique_id = ?"},
	[SQL_PRINCIPAL_LIST] = {SQL_READS,
		"SELECT " PRINCIPAL_COLUMNS "WHERE ?1 IS NULL OR account = ?1 ORDER BY account, kind, name"},
	[SQL_PRINCIPAL_DELETE] = {SQL_CHANGES, "DELETE FROM principals WHERE row = ?"},
	[SQL_PRINCIPAL_TRUST] = {SQL_FINDS, "SELECT trust, trusted FROM principals WHERE row = ?"},
	[SQL_PRINCIPAL_SET_TRUST] = {SQL_CHANGES,
		"UPDATE principals SET trust = ?, trusted = ?, version = " NEXT_VERSION " WHERE row = ? AND kind = 2"},
	[SQL_PRINCIPAL_TOUCH] = {SQL_CHANGES, "UPDATE principals SET version = " NEXT_VERSION " WHERE row = ?"},
	[SQL_PRINCIPAL_POLICY_PUT] = {SQL_CHANGES,
		"INSERT INTO principal_policies (principal, name, document) VALUES (?, ?, ?) "
		"ON CONFLICT (principal, name) DO UPDATE SET document = excluded.document"},
	[SQL_PRINCIPAL_POLICY_DELETE] = {SQL_CHANGES,
		"DELETE FROM principal_policies WHERE principal = ? AND name = ?"},
	[SQL_PRINCIPAL_POLICY_LIST] = {SQL_FINDS,
		"SELECT name, document FROM principal_policies WHERE principal = ? ORDER BY name"},
	[SQL_UID_SET] = {SQL_CHANGES, "INSERT INTO uid_principals (uid, principal) VALUES (?, ?) "
				      "ON CONFLICT (uid) DO UPDATE SET principal = excluded.principal"},
	[SQL_UID_FIND] = {SQL_FINDS, "SELECT principal FROM uid_principals WHERE uid = ?"},
	[SQL_UID_DELETE] = {SQL_CHANGES, "DELETE FROM uid_principals WHERE uid = ?"},
	[SQL_UID_LIST] = {SQL_READS, "SELECT uid, principal FROM uid_principals ORDER BY uid"},
	[SQL_GRANT_INSERT] = {SQL_CHANGES, "INSERT INTO grants (id, key, name, grantee, retiring, issuing, operations, "
					   "constraint_kind, constraints, created, grantee_id, retiring_id) "
					   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
	[SQL_GRANT_FIND] = {SQL_FINDS, "SELECT " GRANT_COLUMNS "WHERE g.id = ?"},
	[SQL_GRANT_DELETE] = {SQL_CHANGES, "DELETE FROM grants WHERE row = ?"},
	[SQL_GRANT_COUNT] = {SQL_READS, "SELECT count(*) FROM grants WHERE key = ?"},
	[SQL_GRANT_LIST] = {SQL_READS,
		"SELECT " GRANT_COLUMNS "WHERE g.key = ? AND g.row > ? AND (?3 = 0 OR g.operations & ?3) "
		"ORDER BY g.row LIMIT ?4"},
	[SQL_GRANT_LIST_OF_GRANTEE] = {SQL_READS,
		"SELECT " GRANT_COLUMNS "WHERE g.key = ? AND g.row > ? AND (?3 = 0 OR g.operations & ?3) "
		"AND g.grantee = ?5 AND g.grantee_id = ?6 ORDER BY g.row LIMIT ?4"},
	[SQL_GRANT_LIST_RETIRABLE] = {SQL_READS,
		"SELECT " GRANT_COLUMNS "JOIN keys k ON k.row = g.key WHERE g.retiring = ? AND g.retiring <> '' "
		"AND g.retiring_id = ? AND g.row > ? AND k.region = ? ORDER BY g.row LIMIT ?"},
	[SQL_AUDIT_INSERT] = {SQL_NOTES,
		"INSERT INTO audit (seq, time, account, key_arn, operation, error, record, chain) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
	[SQL_AUDIT_WALK] = {SQL_READS, "SELECT seq, time, account, key_arn, operation, error, record, chain FROM audit "
				       "WHERE seq > ? ORDER BY seq LIMIT ?"},
	[SQL_AUDIT_COUNT] = {SQL_READS,
		"SELECT operation, key_arn, CASE WHEN operation LIKE 'GenerateDataKeyPair%' THEN "
		"json_extract(record, '$.requestParameters.keyPairSpec') END AS pair, count(*) FROM audit "
		"WHERE time >= ? AND time < ? AND error IS NULL "
		"AND json_extract(record, '$.eventType') = 'AwsApiCall' "
		"AND json_extract(record, '$.eventSource') = 'kms.amazonaws.com' "
		"GROUP BY key_arn, operation, pair ORDER BY key_arn, operation"},
	[SQL_KEY_CUSTOMERS] = {SQL_READS,
		"SELECT " KEY_COLUMNS ", (SELECT count(*) FROM backing_keys b WHERE b.key = keys.row "
		"AND b.rotation > 0) FROM keys WHERE manager = 0 ORDER BY row"},
	[SQL_KEY_REMEMBER] = {SQL_NOTES,
		"INSERT OR REPLACE INTO gone_keys (region, id, multi_region, account, manager, spec, created, until, "
		"rotations) SELECT region, id, multi_region, account, manager, spec, created, "
		"max(created, deletion_date - pending_days * 86400000000000), (SELECT count(*) FROM backing_keys b "
		"WHERE b.key = keys.row AND b.rotation > 0) FROM keys WHERE row = ?"},
	[SQL_KEY_GONE_EACH] = {SQL_READS,
		"SELECT region, id, multi_region, account, spec, created, until, rotations FROM gone_keys "
		"WHERE manager = 0 AND until > ? ORDER BY created, id"},
	[SQL_KEY_GONE_SPEC] = {SQL_READS, "SELECT spec FROM gone_keys WHERE region = ? AND id = ?"},
	[SQL_AUDIT_LAST] = {SQL_READS, "SELECT ifnull(max(seq), 0) FROM audit"},
	[SQL_AUDIT_DROP] = {SQL_NOTES, "DELETE FROM audit WHERE seq <= ?"},
	[SQL_AUDIT_HEAD_GET] = {SQL_READS, "SELECT base_seq, base_chain, last_seq, last_chain, tag FROM audit_head"},
	[SQL_AUDIT_HEAD_SET] = {SQL_NOTES, "INSERT OR REPLACE INTO audit_head (one, base_seq, base_chain, last_seq, "
					   "last_chain, tag) VALUES (1, ?, ?, ?, ?, ?)"},
	[SQL_GENERATION_GET] = {SQL_READS, "SELECT value FROM generation"},
	[SQL_GENERATION_RAISE] = {SQL_NOTES, "UPDATE generation SET value = value + 1"},
	[SQL_BEGIN] = {SQL_NOTES, "BEGIN IMMEDIATE"},
	[SQL_COMMIT] = {SQL_NOTES, "COMMIT"},
	[SQL_AUDIT_LIST] = {SQL_READS, "SELECT record FROM audit " AUDIT_MATCHES "ORDER BY time, seq"},
	[SQL_AUDIT_NEWEST] = {SQL_READS, "SELECT record FROM (SELECT time, seq, record FROM audit " AUDIT_MATCHES
					 "ORDER BY time DESC, seq DESC LIMIT ?7) ORDER BY time, seq"},
};

const char *sql_text(enum sql which)
{
	assert(which < SQL_COUNT && statements[which].text != NULL);
	return statements[which].text;
}

enum sql_effect sql_effect(enum sql which)
{
	assert(which < SQL_COUNT);
	return statements[which].effect;
}
