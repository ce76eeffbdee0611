/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/kms_engine.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include "kms/base/io.h"
#include "kms/rootkey/rootkey.h"
#include "kms/store/store.h"

static enum err obtain_root_key(const struct cli_engine_config *config, struct root_key *ret)
{
	uint8_t *stored AUTO_FREE = NULL;
	struct rootkey_params params;
	struct rootkey_spec spec;
	size_t len = 0;

	TRY(rootkey_parse(config->root_key, &spec));
	TRY(store_read_root_params(config->keystore, &stored, &len));
	TRY(rootkey_params_decode(stored, len, &params));
	return rootkey_obtain(&spec, config->keystore, &params, ret);
}

enum err cli_engine_open(const struct cli_engine_config *config, struct engine **ret)
{
	struct root_key key AUTO_WIPE = {{0}};
	const struct engine_config engine = {
		.keystore = config->keystore,
		.root_key = &key,
		.region = config->region,
		.grant_delay = config->grant_delay,
		.audit_retention = config->audit_retention,
		.clock = clock_system(),
		.reporter = config->reporter,
	};

	sigset_t all, before;
	enum err e;

	TRY(obtain_root_key(config, &key));
	/* The engine's threads start with every signal blocked: signals are for the main thread, which stops in good order. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	e = engine_open(&engine, ret);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return e;
}

/*
 * MCL_ONFAULT: only what is used counts as resident. Under a limit, MCL_FUTURE would make a later mmap (a thread's stack)
 * fail, and secret_alloc() locks the keys themselves in any case.
 */
void cli_lock_memory(void)
{
	struct rlimit limit;

	if (geteuid() == 0 || (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY))
		(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}
