/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/keystore.h"

#include <unistd.h>
#include "fs/cli/kms_engine.h"
#include "kms/base/secret.h"

enum err cli_check_keystore(const struct cli_settings *s)
{
	const char *keystore = cli_setting(s, CLI_SET_KEYSTORE);

	if (access(keystore, F_OK) == 0)
		return ERR_OK;
	return err_fail(ERR_NOT_FOUND,
		"there is no keystore at %s; make one with \"signetfs kms init\", or name yours with --keystore",
		keystore);
}

static enum err open_keystore(struct cli_settings *s, struct engine **ret)
{
	TRY(cli_settings_load(s));
	TRY(cli_check_keystore(s));
	const struct cli_engine_config config = cli_engine_settings(s);

	TRY(secret_harden_process());
	return cli_engine_open(&config, ret);
}

int cli_with_keystore(
	struct cli_settings *s, const char *what, enum err (*fn)(void *context, struct engine *engine), void *context)
{
	struct engine *engine = NULL;
	enum err e = open_keystore(s, &engine);

	if (e == ERR_OK) {
		e = fn(context, engine);
		engine_close(engine);
	}
	return e == ERR_OK ? CLI_DONE : cli_fail(e, "%s", what);
}
