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

enum { GRANT_DELAY_MAX = 86400 };

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

struct cli_engine_config cli_engine_settings(const struct cli_settings *s)
{
	return (struct cli_engine_config){
		.keystore = cli_setting(s, CLI_SET_KEYSTORE),
		.root_key = cli_setting(s, CLI_SET_ROOT_KEY),
		.region = cli_setting(s, CLI_SET_REGION),
		.grant_delay = cli_setting(s, CLI_SET_GRANT_DELAY),
		.resource_quotas = cli_setting(s, CLI_SET_RESOURCE_QUOTAS),
		.reporter = cli_reporter(),
	};
}

enum err cli_grant_delay(const char *text, uint64_t *ret_ns)
{
	uint64_t seconds = 0;

	if (text && (cli_parse_seconds(text, &seconds) != ERR_OK || seconds > GRANT_DELAY_MAX))
		return err_fail(ERR_CONFIG, "grant-delay = %s: write a time of at most a day, such as 5m", text);
	*ret_ns = seconds * CLOCK_SECOND;
	return ERR_OK;
}

static enum err open_engine(const struct engine_config *config, const char *resource_quotas, struct engine **ret)
{
	struct engine *engine;
	enum err e;

	TRY(engine_open(config, &engine));
	e = engine_set_resource_quotas(engine, resource_quotas ? resource_quotas : "");
	if (e != ERR_OK)
		engine_close(engine);
	else
		*ret = engine;
	return e;
}

enum err cli_engine_open(const struct cli_engine_config *config, struct engine **ret)
{
	struct root_key key AUTO_WIPE = {{0}};
	struct engine_config engine = {
		.keystore = config->keystore,
		.root_key = &key,
		.region = config->region,
		.audit_retention = config->audit_retention,
		.clock = config->clock ? config->clock : clock_system(),
		.reporter = config->reporter,
	};

	sigset_t all, before;
	enum err e;

	TRY(cli_grant_delay(config->grant_delay, &engine.grant_delay));
	TRY(engine_check_quotas("", config->resource_quotas ? config->resource_quotas : ""));
	TRY(obtain_root_key(config, &key));
	/* The engine's threads start with every signal blocked: signals are for the main thread, which stops in good order. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	e = open_engine(&engine, config->resource_quotas, ret);
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
