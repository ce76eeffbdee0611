/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include "kms/store/sql.h"

#define KEY_COLUMNS                                                                                                    \
	"row, id, multi_region, account, region, manager, spec, usage, origin, state, created, deletion_date, "        \
	"pending_days, rotation_enabled, rotation_days, rotation_from, next_rotation, on_demand, current"
#define ALIAS_COLUMNS                                                                                                  \
	"a.account, a.region, a.name, a.key, k.id, k.multi_region, a.created, a.updated "                              \
	"FROM aliases a JOIN keys k ON k.row = a.key "
#define BACKING_COLUMNS "seq, key, id, material_id, rotation, created FROM backing_keys "

/* State numbers are those of enum key_state: 1 = Enabled, 3 = PendingDeletion. */
static const struct {
	int writes;
	const char *text;
} statements[SQL_COUNT] = {
	[SQL_META_GET] = {0, "SELECT value FROM meta WHERE name = ?"},
	[SQL_META_SET] = {1, "INSERT INTO meta (name, value) VALUES (?, ?)"},
	[SQL_KEY_INSERT] = {1,
		"INSERT INTO keys (id, multi_region, account, region, manager, spec, usage, origin, state, created, "
		"deletion_date, pending_days, rotation_enabled, rotation_days, rotation_from, next_rotation, "
		"on_demand, "
		"current, description) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
	[SQL_KEY_FIND] = {0, "SELECT " KEY_COLUMNS " FROM keys WHERE region = ? AND id = ?"},
	[SQL_KEY_UPDATE] = {1, "UPDATE keys SET state = ?, deletion_date = ?, pending_days = ?, rotation_enabled = ?, "
			       "rotation_days = ?, "
			       "rotation_from = ?, next_rotation = ?, on_demand = ?, current = ? WHERE row = ?"},
	[SQL_KEY_SET_DESCRIPTION] = {1, "UPDATE keys SET description = ? WHERE row = ?"},
	[SQL_KEY_DESCRIPTION] = {0, "SELECT description FROM keys WHERE row = ?"},
	[SQL_KEY_DELETE] = {1, "DELETE FROM keys WHERE row = ?"},
	[SQL_KEY_LIST] = {0,
		"SELECT " KEY_COLUMNS " FROM keys WHERE account = ? AND region = ? AND row > ? ORDER BY row LIMIT ?"},
	[SQL_KEY_DUE_ROTATION] = {0,
		"SELECT " KEY_COLUMNS " FROM keys WHERE rotation_enabled = 1 AND state = 1 AND next_rotation <= ? "
		"ORDER BY next_rotation LIMIT 1"},
	[SQL_KEY_DUE_DELETION] = {0,
		"SELECT " KEY_COLUMNS " FROM keys WHERE deletion_date <> 0 AND state = 3 AND deletion_date <= ? "
		"ORDER BY deletion_date LIMIT 1"},
	[SQL_KEY_NEXT_DUE] = {0,
		"SELECT min(t) FROM (SELECT min(next_rotation) AS t FROM keys WHERE rotation_enabled = 1 AND state = 1 "
		"UNION ALL SELECT min(deletion_date) FROM keys WHERE deletion_date <> 0 AND state = 3)"},
	[SQL_TAG_INSERT] = {1, "INSERT INTO tags (key, name, value) VALUES (?, ?, ?)"},
	[SQL_BACKING_INSERT] = {1,
		"INSERT INTO backing_keys (key, id, material_id, rotation, created, sealed) VALUES (?, ?, ?, ?, ?, ?)"},
	[SQL_BACKING_FIND] = {0, "SELECT " BACKING_COLUMNS "WHERE key = ? AND id = ?"},
	[SQL_BACKING_SEALED] = {0, "SELECT sealed FROM backing_keys WHERE key = ? AND id = ?"},
	[SQL_BACKING_LIST] = {0,
		"SELECT " BACKING_COLUMNS "WHERE key = ? AND rotation >= ? AND seq > ? ORDER BY seq LIMIT ?"},
	[SQL_BACKING_EXISTS] = {0, "SELECT count(*) FROM backing_keys WHERE id = ?"},
	[SQL_ALIAS_INSERT] = {1,
		"INSERT INTO aliases (account, region, name, key, created, updated) VALUES (?, ?, ?, ?, ?, ?)"},
	[SQL_ALIAS_FIND] = {0, "SELECT " ALIAS_COLUMNS "WHERE a.account = ? AND a.region = ? AND a.name = ?"},
	[SQL_ALIAS_RETARGET] = {1,
		"UPDATE aliases SET key = ?, updated = ? WHERE account = ? AND region = ? AND name = ?"},
	[SQL_ALIAS_DELETE] = {1, "DELETE FROM aliases WHERE account = ? AND region = ? AND name = ?"},
	[SQL_ALIAS_LIST] = {0,
		"SELECT " ALIAS_COLUMNS "WHERE a.account = ? AND a.region = ? AND a.name > ? ORDER BY a.name LIMIT ?"},
	[SQL_ALIAS_LIST_OF_KEY] = {0,
		"SELECT " ALIAS_COLUMNS
		"WHERE a.account = ? AND a.region = ? AND a.name > ? AND a.key = ?5 ORDER BY a.name LIMIT ?4"},
	[SQL_ALIAS_COUNT] = {0, "SELECT count(*) FROM aliases WHERE key = ?"},
	[SQL_ACCESS_INSERT] = {1, "INSERT INTO access_keys (id, account, arn, created, sealed) VALUES (?, ?, ?, ?, ?)"},
	[SQL_ACCESS_FIND] = {0, "SELECT id, account, arn, created, sealed FROM access_keys WHERE id = ?"},
	[SQL_ACCESS_LIST] = {0, "SELECT id, account, arn, created, sealed FROM access_keys ORDER BY created, id"},
	[SQL_ACCESS_DELETE] = {1, "DELETE FROM access_keys WHERE id = ?"},
	[SQL_AUDIT_INSERT] = {1,
		"INSERT INTO audit (time, account, key_arn, operation, error, record) VALUES (?, ?, ?, ?, ?, ?)"},
	[SQL_AUDIT_LIST] = {0, "SELECT record FROM (SELECT seq, record FROM audit WHERE time >= ?1 AND time < ?2 "
			       "AND (?3 IS NULL OR key_arn = ?3 OR (operation = 'ReEncrypt' AND instr(record, ?3))) "
			       "AND (?4 IS NULL OR operation = ?4) "
			       "AND (?5 IS NULL OR ifnull(error, '') = ?5) ORDER BY seq DESC LIMIT ?6) ORDER BY seq"},
};

const char *sql_text(enum sql which)
{
	assert(which < SQL_COUNT && statements[which].text != NULL);
	return statements[which].text;
}

int sql_writes(enum sql which)
{
	assert(which < SQL_COUNT);
	return statements[which].writes;
}
