/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kms/base/secret.h"
#include "kms/engine/engine.h"
#include "kms/rootkey/rootkey.h"

static enum err make_keystore(const struct cli_settings *s)
{
	const char *keystore = cli_setting(s, CLI_SET_KEYSTORE);
	uint8_t stored[ROOTKEY_PARAMS_SIZE];
	struct root_key key AUTO_WIPE = {{0}};
	struct rootkey_params params;
	struct rootkey_spec spec;

	TRY(rootkey_parse(cli_setting(s, CLI_SET_ROOT_KEY), &spec));
	/* Before a passphrase is asked for in vain; engine_create() itself refuses to replace anything. */
	if (access(keystore, F_OK) == 0)
		return err_fail(ERR_EXISTS, "there is one already; it was not touched");
	TRY(secret_harden_process());
	TRY(rootkey_create(&spec, keystore, NULL, &params, &key));
	rootkey_params_encode(&params, stored);
	return engine_create(keystore, &key, stored, sizeof(stored));
}

/* An absolute path means the same in a configuration file as it did here. */
static void print_path(const char *name, const char *prefix, const char *path)
{
	char *absolute = realpath(path, NULL);

	printf("  %s = %s%s\n", name, prefix, absolute ? absolute : path);
	free(absolute);
}

static void print_root_key(const char *text)
{
	const char *colon = strchr(text, ':');
	char prefix[16];

	if (colon && (strncmp(text, "keyfile:", 8) == 0 || strncmp(text, "passfile:", 9) == 0)) {
		snprintf(prefix, sizeof(prefix), "%.*s", (int)(colon + 1 - text), text);
		print_path("root-key", prefix, colon + 1);
		return;
	}
	printf("  root-key = %s\n", text);
}

/* The keystore itself does not remember where its root key comes from, so that a thief does not learn it either. */
static int say_done(const struct cli_settings *s)
{
	const char *keystore = cli_setting(s, CLI_SET_KEYSTORE), *root_key = cli_setting(s, CLI_SET_ROOT_KEY);

	printf("Made the keystore %s; its root key comes from %s.\n", keystore, root_key);
	puts("Without the root key it is worthless: keep a copy of both, apart from each other.");
	if (!s->given[CLI_SET_KEYSTORE] && !s->given[CLI_SET_ROOT_KEY])
		return CLI_DONE;
	puts("\nTo use it without options, write into ~/.config/signetfs/signetfs.ini:\n\n  [kms]");
	if (s->given[CLI_SET_KEYSTORE])
		print_path("keystore", "", keystore);
	if (s->given[CLI_SET_ROOT_KEY])
		print_root_key(root_key);
	return CLI_DONE;
}

int cli_kms_init(int argc, char **argv)
{
	struct cli_settings settings AUTO_SETTINGS = {0};
	const struct cli_option options[] = {{NULL, 0, CLI_FLAG, NULL, NULL, NULL}};
	const struct cli_usage usage = {"signetfs kms init [OPTION]…",
		"Make a keystore. Its root key is a passphrase unless --root-key says otherwise.", 0, 0, options,
		cli_settings_options(&settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);
	enum err e;

	if (done >= 0)
		return done;
	e = cli_settings_load(&settings);
	if (e != ERR_OK)
		return cli_fail(e, "making a keystore");
	e = make_keystore(&settings);
	if (e != ERR_OK)
		return cli_fail(e, "making the keystore %s", cli_setting(&settings, CLI_SET_KEYSTORE));
	return say_done(&settings);
}
