/* SPDX-License-Identifier: Apache-2.0 */

/*
 * signetfs with one thing broken on purpose, for tests/integration/test_drills_broken.py: a drill that does not notice proves nothing.
 * Which thing is said by the program's own name ("signetfs-NAME"), because a drill starts its children with an environment of its own. The
 * Makefile reads from the lines that begin with WRAP what the linker is to replace (-Wl,--wrap).
 */

#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fs/drill/drill.h"
#include "fs/reencrypt/reencrypt.h"
#include "fs/vault/rekey.h"
#include "fs/vault/vault.h"

/* Of the KMS's engine, whose headers have names in common with those of the vault. */
struct call;
struct store_key;
struct quota;
struct store;

static char mutant[64];

__attribute__((constructor)) static void find_mutant(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	const char *dash;

	path[n > 0 ? n : 0] = '\0';
	dash = strrchr(path, '-');
	if (dash && strlen(dash + 1) < sizeof mutant)
		strcpy(mutant, dash + 1);
}

static int is(const char *name)
{
	return strcmp(mutant, name) == 0;
}

#define WRAP(type, name, ...)                                                                                          \
	type __real_##name(__VA_ARGS__);                                                                               \
	type __wrap_##name(__VA_ARGS__);                                                                               \
	type __wrap_##name(__VA_ARGS__)

/* What never comes is waited for less long, so that the test is quick. */
WRAP(unsigned, workload_patience, void)
{
	return is("disable") ? 6 : __real_workload_patience();
}

/* The KMS says that it rotated the key, and did not. */
WRAP(enum err, op_rotate_key_on_demand, struct call *call)
{
	return is("rotate") ? ERR_OK : __real_op_rotate_key_on_demand(call);
}

/* The KMS says that the key is disabled, and goes on using it. */
WRAP(enum err, op_disable_key, struct call *call)
{
	return is("disable") ? ERR_OK : __real_op_disable_key(call);
}

/* Everybody may do everything. */
WRAP(enum err, authorize, struct call *call, const char *action, const struct store_key *key)
{
	return is("authorize") ? ERR_OK : __real_authorize(call, action, key);
}

/* There is no quota. */
WRAP(enum err, quota_take, struct quota *q, const char *account, const char *region, int class, uint64_t now)
{
	return is("quota") ? ERR_OK : __real_quota_take(q, account, region, class, now);
}

/* What was deleted stays in the write-ahead log. */
WRAP(enum err, store_checkpoint, struct store *store)
{
	return is("checkpoint") ? ERR_OK : __real_store_checkpoint(store);
}

/* A move passes over one file, whenever it comes to it. */
WRAP(enum err, vault_file_rewrap, struct vault_file *f, const struct vault_rekey_choice *choice,
	enum vault_rekeyed *ret)
{
	static _Atomic uint64_t first;
	uint64_t none = 0;
	struct stat st;

	if (!is("move") || vault_file_stat(f, &st) != ERR_OK)
		return __real_vault_file_rewrap(f, choice, ret);
	atomic_compare_exchange_strong(&first, &none, st.st_ino);
	if (st.st_ino != atomic_load(&first))
		return __real_vault_file_rewrap(f, choice, ret);
	*ret = VAULT_REKEY_KEPT;
	return ERR_OK;
}

/* New data keys are asked for, and the old ones kept. */
WRAP(enum err, reencrypt_run, const struct reencrypt_options *given, struct reencrypt_result *ret)
{
	struct reencrypt_options o = *given;

	o.data = is("data") ? 0 : o.data;
	return __real_reencrypt_run(&o, ret);
}

/* A KMS that cannot be reached looks like one that refuses. */
WRAP(int, err_to_errno, enum err e)
{
	return __real_err_to_errno(is("errno") && e == ERR_KMS_UNREACHABLE ? ERR_KMS_ACCESS_DENIED : e);
}
