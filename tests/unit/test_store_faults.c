/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <string.h>
#include "tests/support/keystore.h"

/*
 * The disk fails under SQLite: a VFS that passes everything on, but from the nth write or sync on refuses with "disk full" or
 * an I/O error. For every n: the call fails as KMSInternalException or succeeds, and what is there afterwards is the old state
 * or the new one.
 */

struct faulty_file {
	sqlite3_file base;
	sqlite3_file *real; /* behind this struct */
};

static struct {
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	int countdown; /* < 0: never; counts writes, truncations and syncs */
	int code;
	int injected;
} faults = {.countdown = -1};

static int strike(void)
{
	if (faults.countdown < 0)
		return SQLITE_OK;
	if (faults.countdown > 0) {
		faults.countdown--;
		return SQLITE_OK;
	}
	faults.injected++;
	return faults.code;
}

#define REAL(f) (((struct faulty_file *)(f))->real)

static int f_close(sqlite3_file *f)
{
	return REAL(f)->pMethods->xClose(REAL(f));
}
static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return REAL(f)->pMethods->xRead(REAL(f), p, n, at);
}
static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	int rc = strike();

	return rc != SQLITE_OK ? rc : REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}
static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int rc = strike();

	return rc != SQLITE_OK ? rc : REAL(f)->pMethods->xTruncate(REAL(f), size);
}
static int f_sync(sqlite3_file *f, int flags)
{
	int rc = strike();

	return rc != SQLITE_OK ? rc : REAL(f)->pMethods->xSync(REAL(f), flags);
}
static int f_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return REAL(f)->pMethods->xFileSize(REAL(f), ret);
}
static int f_lock(sqlite3_file *f, int level)
{
	return REAL(f)->pMethods->xLock(REAL(f), level);
}
static int f_unlock(sqlite3_file *f, int level)
{
	return REAL(f)->pMethods->xUnlock(REAL(f), level);
}
static int f_reserved(sqlite3_file *f, int *ret)
{
	return REAL(f)->pMethods->xCheckReservedLock(REAL(f), ret);
}
static int f_control(sqlite3_file *f, int op, void *arg)
{
	return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}
static int f_sector(sqlite3_file *f)
{
	return REAL(f)->pMethods->xSectorSize(REAL(f));
}
static int f_characteristics(sqlite3_file *f)
{
	return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}
static int f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
	return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, ret);
}
static int f_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}
static void f_shm_barrier(sqlite3_file *f)
{
	REAL(f)->pMethods->xShmBarrier(REAL(f));
}
static int f_shm_unmap(sqlite3_file *f, int delete)
{
	return REAL(f)->pMethods->xShmUnmap(REAL(f), delete);
}

static const sqlite3_io_methods methods = {.iVersion = 2,
	.xClose = f_close,
	.xRead = f_read,
	.xWrite = f_write,
	.xTruncate = f_truncate,
	.xSync = f_sync,
	.xFileSize = f_size,
	.xLock = f_lock,
	.xUnlock = f_unlock,
	.xCheckReservedLock = f_reserved,
	.xFileControl = f_control,
	.xSectorSize = f_sector,
	.xDeviceCharacteristics = f_characteristics,
	.xShmMap = f_shm_map,
	.xShmLock = f_shm_lock,
	.xShmBarrier = f_shm_barrier,
	.xShmUnmap = f_shm_unmap};

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct faulty_file *f = (struct faulty_file *)file;
	int rc;

	(void)vfs;
	f->real = (sqlite3_file *)(f + 1);
	rc = faults.real->xOpen(faults.real, name, f->real, flags, ret_flags);
	f->base.pMethods = f->real->pMethods != NULL ? &methods : NULL;
	return rc;
}

static void install(void)
{
	faults.real = sqlite3_vfs_find(NULL);
	faults.vfs = *faults.real;
	faults.vfs.zName = "faulty";
	faults.vfs.szOsFile = (int)sizeof(struct faulty_file) + faults.real->szOsFile;
	faults.vfs.xOpen = v_open;
	assert_int_equal(sqlite3_vfs_register(&faults.vfs, 1), SQLITE_OK);
}

static void uninstall(void)
{
	faults.countdown = -1;
	sqlite3_vfs_unregister(&faults.vfs);
	sqlite3_vfs_register(faults.real, 1);
}

static void arm(int n, int code)
{
	faults.code = code;
	faults.countdown = n;
	faults.injected = 0;
}

/* What the change below changes, and what it does not. */
struct state {
	int rotations;
	char key_state[32];
};

static struct state look(struct keystore *k, const char *id)
{
	struct state s;
	json_t *body = keystore_ok(k, "ListKeyRotations", "{'KeyId':'%s'}", id);

	s.rotations = (int)json_array_size(json_object_get(body, "Rotations"));
	json_decref(body);
	body = keystore_ok(k, "DescribeKey", "{'KeyId':'%s'}", id);
	snprintf(s.key_state, sizeof(s.key_state), "%s",
		json_string_value(json_object_get(json_object_get(body, "KeyMetadata"), "KeyState")));
	json_decref(body);
	return s;
}

static const char *const codes[] = {"disk full", "write error"};

static void every_failing_write(int code)
{
	char id[64], arn[ENGINE_ARN_SIZE], blob[512];
	int injected = 0, n = 0;

	install();
	for (int calm = 0; calm < 2; n++) {
		struct keystore *k;
		struct state before, after;
		enum err e;
		json_t *body;

		assert_int_equal(keystore_setup((void **)&k), 0);
		keystore_new_key(k, id, arn);
		body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", id);
		keystore_text(body, "CiphertextBlob", blob);
		json_decref(body);
		before = look(k, id);
		arm(n, code);
		e = keystore_try(k, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
		if (faults.injected == 0) {
			calm++;
			assert_int_equal(e, ERR_OK);
		} else if (e != ERR_KMS_INTERNAL) {
			fail_msg("%s at %d: %s", codes[code == SQLITE_IOERR_WRITE], n, err_name(e));
		}
		injected += faults.injected;
		faults.countdown = -1;
		after = look(k, id);
		assert_int_equal(after.rotations, before.rotations + (e == ERR_OK));
		assert_string_equal(after.key_state, before.key_state);
		keystore_do(k, "Decrypt", "{'CiphertextBlob':'%s'}", blob);
		keystore_do(k, "CreateAlias", "{'AliasName':'alias/before','TargetKeyId':'%s'}", id);
		keystore_reopen(k);
		after = look(k, id);
		assert_int_equal(after.rotations, before.rotations + (e == ERR_OK));
		keystore_do(k, "Decrypt", "{'CiphertextBlob':'%s'}", blob);
		keystore_do(k, "CreateAlias", "{'AliasName':'alias/a','TargetKeyId':'%s'}", id);
		keystore_teardown((void **)&k);
	}
	uninstall();
	assert_true(injected > 2);
	assert_true(n > 4);
}

static void disk_full_at_every_write(void **state)
{
	(void)state;
	every_failing_write(SQLITE_FULL);
}

static void io_error_at_every_write(void **state)
{
	(void)state;
	every_failing_write(SQLITE_IOERR_WRITE);
}

/*
 * Deletion rewrites the table of all backing keys: when a write of it fails, nothing is deleted and nothing lost; once the disk
 * is well again it is done, and the log merged, as if nothing had been.
 */
static void deletion_is_whole_or_not_at_all(void **state)
{
	char doomed[64], kept[64], arn[ENGINE_ARN_SIZE], blob[512];
	int injected = 0, whole = 0, calm = 0;

	(void)state;
	install();
	for (int n = 0; calm < 2; n++) {
		struct keystore *k;
		uint64_t next;
		json_t *body;
		enum err e;

		assert_int_equal(keystore_setup((void **)&k), 0);
		keystore_new_key(k, doomed, arn);
		keystore_new_key(k, kept, arn);
		body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", kept);
		keystore_text(body, "CiphertextBlob", blob);
		json_decref(body);
		keystore_do(k, "ScheduleKeyDeletion", "{'KeyId':'%s','PendingWindowInDays':7}", doomed);
		clock_fake_advance(&k->clock, UINT64_C(8) * 86400 * CLOCK_SECOND);
		arm(n, SQLITE_FULL);
		e = engine_run_due(k->engine, &next);
		calm += faults.injected == 0;
		injected += faults.injected;
		faults.countdown = -1;
		assert_true(e == ERR_OK || e == ERR_SYSTEM);
		whole += e == ERR_OK;
		if (e == ERR_OK)
			keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'%s'}", doomed);
		else
			keystore_do(k, "ListKeyRotations", "{'KeyId':'%s'}", doomed);
		keystore_do(k, "Decrypt", "{'CiphertextBlob':'%s'}", blob);
		assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
		keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'%s'}", doomed);
		keystore_reopen(k);
		keystore_do(k, "Decrypt", "{'CiphertextBlob':'%s'}", blob);
		keystore_do(k, "RotateKeyOnDemand", "{'KeyId':'%s'}", kept);
		keystore_teardown((void **)&k);
	}
	uninstall();
	assert_true(injected > 4);
	assert_true(whole > 2); /* those of the checkpoint come after the deletion */
}

/* Without its audit record a cryptographic answer does not leave. */
static void no_record_no_answer(void **state)
{
	struct keystore *k;
	char id[64], arn[ENGINE_ARN_SIZE];

	(void)state;
	install();
	assert_int_equal(keystore_setup((void **)&k), 0);
	keystore_new_key(k, id, arn);
	arm(0, SQLITE_FULL);
	keystore_fails(k, ERR_KMS_INTERNAL, NULL, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
	keystore_fails(k, ERR_KMS_INTERNAL, NULL, "GenerateRandom", "{'NumberOfBytes':16}");
	/* A refusal stays the refusal it is. */
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'x'}");
	assert_true(faults.injected >= 3);
	faults.countdown = -1;
	keystore_do(k, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
	keystore_teardown((void **)&k);
	uninstall();
}

/* Making a keystore on a failing disk leaves none. */
static void a_failed_creation_leaves_nothing(void **state)
{
	struct root_key root = {.b = {1}};
	char dir[] = "/tmp/signetfs-test-XXXXXX", path[64];
	int n, injected = 0;

	(void)state;
	install();
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/kms.db", dir);
	for (n = 0;; n++) {
		enum err e;

		arm(n, SQLITE_FULL);
		e = engine_create(path, &root, "p", 1);
		injected += faults.injected;
		faults.countdown = -1;
		if (e == ERR_OK)
			break;
		assert_int_equal(e, ERR_SYSTEM);
		assert_int_equal(rmdir(dir), 0);
		assert_int_equal(mkdir(dir, 0700), 0);
	}
	assert_true(injected > 3);
	unlink(path);
	rmdir(dir);
	uninstall();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disk_full_at_every_write),
		cmocka_unit_test(io_error_at_every_write),
		cmocka_unit_test(deletion_is_whole_or_not_at_all),
		cmocka_unit_test(no_record_no_answer),
		cmocka_unit_test(a_failed_creation_leaves_nothing),
	};

	return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
