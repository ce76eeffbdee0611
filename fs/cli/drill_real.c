/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/drill_real.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "fs/cli/cli.h"
#include "fs/drill/real.h"
#include "fs/vault/vault.h"

int drill_real_check(const struct drill_real *r, const char *name, const char *vault)
{
	static const char command[] = "drill";
	const struct drill *d = drill_find(name);
	int moves = d && (d->real == real_migration || d->real == real_compromise);

	if (!r->wanted)
		return r->to || r->yes ? cli_wrong_usage(command, "--to and --yes go with --for-real") : -1;
	if (!d)
		return cli_wrong_usage(command, "--for-real plays one drill, not all of them");
	if (!d->real)
		return cli_wrong_usage(command, "%s is not played for real: %s", name, d->real_words);
	if (!vault)
		return cli_wrong_usage(command, "--for-real: with which vault? --vault VAULT");
	if (d->real == real_migration && !r->to)
		return cli_wrong_usage(command, "--for-real migration: to which key? --to KEY");
	if (r->to && !moves)
		return cli_wrong_usage(command, "--to is for migration and compromise");
	return -1;
}

static void show(const struct drill_real *r, const struct drill *d, const struct own_vault *own)
{
	cli_note("for real: the drill %s with your own vault", d->name);
	cli_note("  vault  %s", own->vault);
	cli_note("  key    %s", own->key);
	if (r->to)
		cli_note("  to     %s", r->to);
	cli_note("  does   %s", d->real_words);
}

/* The vault's own name, so that it is read before it is answered. */
static int ask(const char *name)
{
	char answer[PATH_MAX];

	fprintf(stderr, "Type the vault's name, %s, to go on: ", name);
	fflush(stderr);
	if (!fgets(answer, sizeof answer, stdin))
		answer[0] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
	if (strcmp(answer, name) != 0)
		return cli_error("that is not its name; nothing was changed");
	return -1;
}

static int confirm(const struct drill_real *r, const struct own_vault *own)
{
	const char *slash = strrchr(own->vault, '/');

	if (r->yes)
		return -1;
	if (!isatty(STDIN_FILENO))
		return cli_wrong_usage("drill", "nobody can be asked here whether to change this vault: --yes says so; "
						"nothing was changed");
	return ask(slash ? slash + 1 : own->vault);
}

int drill_real_begin(struct drill_real *r, const struct drill *d, struct own_vault *own)
{
	if (!r->wanted)
		return -1;
	enum err e = vault_read_descriptor(own->vault, &r->descriptor);
	if (e != ERR_OK)
		return cli_fail(e, "looking at the vault %s", own->vault);
	own->for_real = 1;
	own->key = r->descriptor.volume_key.key_arn;
	own->region = r->descriptor.region;
	own->to = r->to;
	if (own->mounted)
		return cli_error("%s is mounted: unmount it first (signetfs umount); nothing was changed", own->vault);
	if (cli_is_customer_key(r->descriptor.endpoint))
		return cli_error("%s is under a key file, not a key of a KMS: signetfs reencrypt moves it; "
				 "nothing was changed",
			own->vault);
	show(r, d, own);
	return confirm(r, own);
}
