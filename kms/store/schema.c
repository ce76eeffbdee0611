/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdio.h>
#include "kms/store/db.h"

#define BACKING_KEYS_1                                                                                                 \
	"CREATE TABLE backing_keys (seq INTEGER PRIMARY KEY AUTOINCREMENT,"                                            \
	" key INTEGER NOT NULL REFERENCES keys (row) ON DELETE CASCADE, id BLOB NOT NULL CHECK (length(id) = 16),"     \
	" material_id TEXT NOT NULL, rotation INTEGER NOT NULL, created INTEGER NOT NULL, sealed BLOB NOT NULL,"       \
	" UNIQUE (key, id));"                                                                                          \
	"CREATE INDEX backing_keys_by_id ON backing_keys (id);"

/* Schema 3 to 6. sealed: empty while imported material is deleted or expired. rotated: when it became the current one. */
#define BACKING_KEYS_3(name)                                                                                           \
	"CREATE TABLE " name " (seq INTEGER PRIMARY KEY AUTOINCREMENT,"                                                \
	" key INTEGER NOT NULL REFERENCES keys (row) ON DELETE CASCADE, id BLOB NOT NULL CHECK (length(id) = 16),"     \
	" material_id TEXT NOT NULL, rotation INTEGER NOT NULL, created INTEGER NOT NULL, sealed BLOB NOT NULL,"       \
	" rotated INTEGER NOT NULL, valid_to INTEGER NOT NULL, description TEXT NOT NULL, UNIQUE (key, id));"
#define BACKING_KEYS_INDEX                                                                                             \
	"CREATE INDEX backing_keys_by_id ON backing_keys (id);"                                                        \
	"CREATE INDEX backing_keys_by_expiry ON backing_keys (valid_to) WHERE valid_to <> 0;"

/*
 * Schema 7: sealed material has a table of its own that only grows at its end. A row of it is never removed and never changes its size:
 * what is destroyed is overwritten with zeros in its place. So SQLite has no reason to move a row from page to page, which would leave a
 * copy in the gaps of the old one, where nothing reaches it. place: the row there; 0: none. The old table's pages are freed, and
 * secure_delete zeroes a freed page whole, its gaps included.
 */
#define MATERIALS                                                                                                      \
	"CREATE TABLE materials (place INTEGER PRIMARY KEY, sealed BLOB NOT NULL);"                                    \
	"INSERT INTO materials SELECT seq, sealed FROM backing_keys WHERE length(sealed) > 0 ORDER BY seq;"            \
	"CREATE TABLE backing_keys_anew (seq INTEGER PRIMARY KEY AUTOINCREMENT,"                                       \
	" key INTEGER NOT NULL REFERENCES keys (row) ON DELETE CASCADE, id BLOB NOT NULL CHECK (length(id) = 16),"     \
	" material_id TEXT NOT NULL, rotation INTEGER NOT NULL, created INTEGER NOT NULL, rotated INTEGER NOT NULL,"   \
	" valid_to INTEGER NOT NULL, description TEXT NOT NULL, place INTEGER NOT NULL, UNIQUE (key, id));"            \
	"INSERT INTO backing_keys_anew SELECT seq, key, id, material_id, rotation, created, rotated, valid_to,"        \
	" description, iif(length(sealed) > 0, seq, 0) FROM backing_keys ORDER BY seq;"                                \
	"DROP TABLE backing_keys; ALTER TABLE backing_keys_anew RENAME TO backing_keys;" BACKING_KEYS_INDEX

/*
 * Schema 5: policies and grants are for who a principal was when they were put, not for its name. In what was put before, it is who bears the
 * name now; whom nobody bears is left out, and stays nobody even when somebody is given the name later.
 */
#define NAMED                                                                                                          \
	"CREATE TEMP TABLE named AS SELECT kind, unique_id,"                                                           \
	" 'arn:aws:iam::' || account || iif(kind = 2, ':role', ':user') || path || name AS arn,"                       \
	" 'arn:aws:sts::' || account || ':assumed-role/' || name || '/' AS sessions FROM principals;"
#define WHO_BEARS(name) name " = p.arn OR (p.kind = 2 AND substr(" name ", 1, length(p.sessions)) = p.sessions)"
#define WHO_IS_NAMED(document)                                                                                         \
	"(SELECT json_group_object(name, unique_id) FROM (SELECT DISTINCT t.atom AS name, p.unique_id FROM "           \
	"json_tree(iif(json_valid(" document "), " document ", 'null')) t JOIN named p "                               \
	"ON " WHO_BEARS("t.atom") " WHERE t.type = 'text'))"
#define WHO_WAS_GRANTED(arn) "ifnull((SELECT unique_id FROM named p WHERE " WHO_BEARS(arn) "), '')"
#define BIND_POLICIES        "UPDATE key_policies SET principals = " WHO_IS_NAMED("document") ";"
#define BIND_TRUSTS          "UPDATE principals SET trusted = " WHO_IS_NAMED("trust") " WHERE kind = 2;"
#define BIND_GRANTS                                                                                                    \
	"UPDATE grants SET grantee_id = " WHO_WAS_GRANTED("grantee") ", retiring_id = " WHO_WAS_GRANTED("retiring") ";"

/*
 * Migrations: step i brings a keystore from schema i to i + 1. A step that was released never changes; a new need is a new
 * step. All steps that a file lacks run in one transaction.
 */
static const char *const steps[STORE_SCHEMA_VERSION] = {
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"

	/* AUTOINCREMENT: a row number is a key's place in every listing and must not be reused after a deletion. */
	"CREATE TABLE keys (row INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL CHECK (length(id) = 16),"
	" multi_region INTEGER NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, manager INTEGER NOT NULL,"
	" spec TEXT NOT NULL, usage TEXT NOT NULL, origin TEXT NOT NULL,"
	" state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 7), created INTEGER NOT NULL,"
	" deletion_date INTEGER NOT NULL, pending_days INTEGER NOT NULL, rotation_enabled INTEGER NOT NULL,"
	" rotation_days INTEGER NOT NULL, rotation_from INTEGER NOT NULL, next_rotation INTEGER NOT NULL,"
	" on_demand INTEGER NOT NULL, current BLOB NOT NULL CHECK (length(current) = 16), description TEXT NOT NULL,"
	" UNIQUE (region, id));"
	"CREATE INDEX keys_by_scope ON keys (account, region);"
	"CREATE INDEX keys_by_rotation ON keys (next_rotation) WHERE rotation_enabled = 1;"
	"CREATE INDEX keys_by_deletion ON keys (deletion_date) WHERE deletion_date <> 0;"

	BACKING_KEYS_1

	"CREATE TABLE aliases (account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,"
	" key INTEGER NOT NULL REFERENCES keys (row) ON DELETE CASCADE, created INTEGER NOT NULL,"
	" updated INTEGER NOT NULL, PRIMARY KEY (account, region, name)) WITHOUT ROWID;"
	"CREATE INDEX aliases_by_key ON aliases (key);"

	"CREATE TABLE tags (key INTEGER NOT NULL REFERENCES keys (row) ON DELETE CASCADE, name TEXT NOT NULL,"
	" value TEXT NOT NULL, PRIMARY KEY (key, name)) WITHOUT ROWID;"

	"CREATE TABLE access_keys (id TEXT PRIMARY KEY, account TEXT NOT NULL, arn TEXT NOT NULL,"
	" created INTEGER NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;"

	"CREATE TABLE audit (seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, account TEXT NOT NULL,"
	" key_arn TEXT, operation TEXT NOT NULL, error TEXT, record TEXT NOT NULL);"
	"CREATE INDEX audit_by_time ON audit (time);",

	/* Who may do what. A version, of a key's policy or of a principal, is never used twice: parsed policies are cached under it. */
	"CREATE TABLE accounts (id TEXT PRIMARY KEY CHECK (length(id) = 12), name TEXT NOT NULL,"
	" created INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO accounts VALUES ('000000000000', 'default', 0);"
	"CREATE TABLE principals (row INTEGER PRIMARY KEY AUTOINCREMENT,"
	" account TEXT NOT NULL REFERENCES accounts (id), kind INTEGER NOT NULL CHECK (kind IN (1, 2)),"
	" name TEXT NOT NULL, path TEXT NOT NULL, unique_id TEXT NOT NULL UNIQUE, trust TEXT NOT NULL,"
	" max_session INTEGER NOT NULL, created INTEGER NOT NULL, version INTEGER NOT NULL,"
	" UNIQUE (account, kind, name));"
	"CREATE TABLE principal_policies (principal INTEGER NOT NULL REFERENCES principals (row) ON DELETE CASCADE,"
	" name TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (principal, name)) WITHOUT ROWID;"
	"CREATE TABLE uid_principals (uid INTEGER PRIMARY KEY,"
	" principal INTEGER NOT NULL REFERENCES principals (row) ON DELETE CASCADE);"
	"ALTER TABLE access_keys ADD COLUMN principal INTEGER REFERENCES principals (row) ON DELETE CASCADE;"
	"CREATE INDEX access_keys_by_principal ON access_keys (principal);"
	"CREATE TABLE key_policies (version INTEGER PRIMARY KEY AUTOINCREMENT,"
	" key INTEGER NOT NULL UNIQUE REFERENCES keys (row) ON DELETE CASCADE, document TEXT NOT NULL);"
	"ALTER TABLE keys ADD COLUMN policy INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE grants (row INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE CHECK (length(id) = 32),"
	" key INTEGER NOT NULL REFERENCES keys (row) ON DELETE CASCADE, name TEXT NOT NULL, grantee TEXT NOT NULL,"
	" retiring TEXT NOT NULL, issuing TEXT NOT NULL, operations INTEGER NOT NULL, constraint_kind INTEGER NOT NULL,"
	" constraints TEXT NOT NULL, created INTEGER NOT NULL);"
	"CREATE INDEX grants_by_key ON grants (key, row);"
	"CREATE INDEX grants_by_grantee ON grants (key, grantee, row);"
	"CREATE INDEX grants_by_retiring ON grants (retiring, row) WHERE retiring <> '';",

	/*
	 * primary_region: of a multi-Region key, where its primary is; "" otherwise. waiting_from: service time (kms/engine/elapsed.h)
	 * when the deletion's waiting period began. A wrapping key opens the material of one import and lives for a day.
	 */
	"ALTER TABLE keys ADD COLUMN primary_region TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE keys ADD COLUMN waiting_from INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX keys_by_id ON keys (id);" BACKING_KEYS_3(
		"backing_keys_anew") "INSERT INTO backing_keys_anew SELECT seq, key, id, material_id, rotation, "
				     "created, sealed, created, 0, ''"
				     " FROM backing_keys ORDER BY seq;"
				     "DROP TABLE backing_keys; ALTER TABLE backing_keys_anew RENAME TO "
				     "backing_keys;" BACKING_KEYS_INDEX

				     "CREATE TABLE wrapping_keys (id BLOB PRIMARY KEY CHECK (length(id) = 16),"
				     " key INTEGER NOT NULL REFERENCES keys (row) ON DELETE CASCADE, algorithm TEXT "
				     "NOT NULL, expires INTEGER NOT NULL,"
				     " sealed BLOB NOT NULL) WITHOUT ROWID;"
				     "CREATE INDEX wrapping_keys_by_key ON wrapping_keys (key);"
				     "CREATE INDEX wrapping_keys_by_expiry ON wrapping_keys (expires);"

				     "CREATE TABLE key_usage (key INTEGER PRIMARY KEY REFERENCES keys (row) ON DELETE "
				     "CASCADE, time INTEGER NOT NULL,"
				     " operation TEXT NOT NULL, event_id TEXT NOT NULL, request_id TEXT NOT NULL);",
	/*
	 * The chain of the audit trail and its head, and the generation that every change raises. Row numbers are the chain's, so
	 * AUTOINCREMENT, which costs a page a transaction, has no use any more.
	 */
	"CREATE TABLE trail (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, account TEXT NOT NULL, key_arn TEXT,"
	" operation TEXT NOT NULL, error TEXT, record TEXT NOT NULL, chain BLOB);"
	"INSERT INTO trail SELECT seq, time, account, key_arn, operation, error, record, NULL FROM audit ORDER BY seq;"
	"DROP TABLE audit;"
	"ALTER TABLE trail RENAME TO audit;"
	"CREATE INDEX audit_by_time ON audit (time);"
	"CREATE TABLE audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), base_seq INTEGER NOT NULL,"
	" base_chain BLOB NOT NULL, last_seq INTEGER NOT NULL, last_chain BLOB NOT NULL, tag BLOB NOT NULL);"
	"CREATE TABLE generation (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER NOT NULL);"
	"INSERT INTO generation VALUES (1, 1);",

	"ALTER TABLE key_policies ADD COLUMN principals TEXT NOT NULL DEFAULT '{}';"
	"ALTER TABLE principals ADD COLUMN trusted TEXT NOT NULL DEFAULT '{}';"
	"ALTER TABLE grants ADD COLUMN grantee_id TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE grants ADD COLUMN retiring_id TEXT NOT NULL DEFAULT '';" NAMED BIND_POLICIES BIND_TRUSTS
		BIND_GRANTS "DROP TABLE temp.named;",

	/* How many customer keys each account has in each Region: a quota is asked for it with each new key. */
	"CREATE TABLE key_counts (account TEXT NOT NULL, region TEXT NOT NULL, n INTEGER NOT NULL,"
	" PRIMARY KEY (account, region)) WITHOUT ROWID;"
	"INSERT INTO key_counts SELECT account, region, count(*) FROM keys WHERE manager = 0 GROUP BY account, region;"
	/* What a price list asks of a key that is gone: what it was and until when it cost something. */
	"CREATE TABLE gone_keys (region TEXT NOT NULL, id BLOB NOT NULL, multi_region INTEGER NOT NULL,"
	" account TEXT NOT NULL, manager INTEGER NOT NULL, spec TEXT NOT NULL, created INTEGER NOT NULL,"
	" until INTEGER NOT NULL, rotations INTEGER NOT NULL, PRIMARY KEY (region, id)) WITHOUT ROWID;",

	MATERIALS,
};

enum err schema_check(struct db *db, const char *path)
{
	int64_t application, version;

	TRY(db_integer(db, "PRAGMA application_id", &application));
	TRY(db_integer(db, "PRAGMA user_version", &version));
	if (application != SCHEMA_APPLICATION_ID || version < 1)
		return err_fail(ERR_KEYSTORE,
			"%s is an SQLite database but not a signetfs keystore; create one elsewhere with: signetfs kms "
			"init --keystore PATH",
			path);
	if (version > STORE_SCHEMA_VERSION)
		return err_fail(ERR_UNSUPPORTED,
			"keystore %s has schema version %lld and this signetfs knows versions up to %d; use a newer "
			"signetfs",
			path, (long long)version, STORE_SCHEMA_VERSION);
	return ERR_OK;
}

static enum err schema_run_steps(struct db *db, int64_t from)
{
	char pragma[64];

	for (int64_t i = from; i < STORE_SCHEMA_VERSION; i++)
		TRY(db_exec(db, steps[i]));
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", STORE_SCHEMA_VERSION);
	TRY(db_exec(db, pragma));
	snprintf(pragma, sizeof(pragma), "PRAGMA application_id = %d", SCHEMA_APPLICATION_ID);
	return db_exec(db, pragma);
}

enum err schema_migrate(struct db *db)
{
	int64_t version;
	enum err e;

	TRY(db_exec(db, "BEGIN IMMEDIATE"));
	/* Read under the lock: another process may have migrated meanwhile. */
	e = db_integer(db, "PRAGMA user_version", &version);
	if (e == ERR_OK)
		e = schema_run_steps(db, version);
	if (e == ERR_OK)
		e = db_exec(db, "COMMIT");
	if (e != ERR_OK && !sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return e;
}
