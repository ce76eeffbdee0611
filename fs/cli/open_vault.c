/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/open_vault.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kms/base/io.h"
#include "kms/base/secret.h"

/* ---- Which vault ---- */

/* *denied stays true where we may not look: then it is no answer that no vault was found. */
static int is_vault(const char *path, int *denied)
{
	char *name AUTO_FREE = NULL;
	struct stat st;

	if (asprintf(&name, "%s/" DESCRIPTOR_NAME, path) < 0)
		return 0;
	if (lstat(name, &st) == 0)
		return 1;
	*denied |= errno == EACCES;
	return 0;
}

static enum err fail_no_vault(const char *operand, int denied)
{
	if (!denied)
		return err_fail(ERR_VAULT, "neither %s nor a folder above it is a vault", operand);
	errno = EACCES;
	return err_system("looking for a vault at %s", operand);
}

/* The longest front part that is a vault: names in it are encrypted, so hardly anything below it is found. */
enum err opened_vault_split(const char *operand, char **ret_vault, char **ret_inside)
{
	char *vault AUTO_FREE = strdup(operand);
	int denied = 0;
	char *slash;

	while (vault && *vault && !is_vault(vault, &denied)) {
		slash = strrchr(vault, '/');
		if (!slash || slash == vault)
			return fail_no_vault(operand, denied);
		*slash = '\0';
	}
	if (!vault || !*vault)
		return err_fail(ERR_VAULT, "\"%s\" is no vault", operand);
	char *inside = strdup(operand + strlen(vault));
	if (!inside)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	*ret_inside = inside;
	*ret_vault = STEAL(vault);
	return ERR_OK;
}

/* ---- Opening ---- */

/* As many directories are open as there are jobs and levels. */
static void raise_limit(int which)
{
	struct rlimit limit;

	if (!getrlimit(which, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(which, &limit);
	}
}

enum err opened_vault_open(struct opened_vault *o, struct vault_open_options *options)
{
	struct descriptor descriptor;

	raise_limit(RLIMIT_NOFILE);
	secret_allow_unlocked();
	TRY(secret_harden_process());
	TRY(cli_settings_load(&o->settings));
	TRY(vault_read_descriptor(options->path, &descriptor));
	TRY(cli_settings_for_vault(&o->settings, &descriptor));
	TRY(cli_kms_connect(&o->settings, &o->kms));
	options->kms = o->kms;
	options->clock = clock_system();
	return cli_kms_name(&o->settings, vault_open(options, &o->vault));
}

enum err opened_vault_close(struct opened_vault *o)
{
	enum err e = o->vault ? vault_close(o->vault) : ERR_OK;

	o->vault = NULL;
	kms_close(o->kms);
	o->kms = NULL;
	cli_settings_free(&o->settings);
	return e;
}

/* ---- Interruption ---- */

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

void opened_vault_catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

int opened_vault_was_interrupted(void)
{
	return interrupted != 0;
}
