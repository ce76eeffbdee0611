/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/verbs.h"

static const struct cli_command local_commands[] = {
	{"init", cli_kms_init, "make a keystore"},
	{"serve", cli_kms_serve, "serve the keystore to many clients, over HTTP"},
	{"agent", cli_kms_agent, NULL}, /* started by other commands */
	{"create-access-key", cli_kms_create_access_key, "credentials for clients over TCP"},
	{"list-access-keys", cli_kms_list_access_keys, "the access keys of the keystore"},
	{"delete-access-key", cli_kms_delete_access_key, "take an access key away"},
	{"principal", cli_kms_principal, "users, roles and accounts: who may call"},
	{"simulate-policy", cli_kms_simulate_policy, "why somebody may or may not do something"},
	{"quotas", cli_kms_quotas, "use and headroom of every quota"},
	{"cost", cli_kms_cost, "what a month would cost at AWS"},
	{"audit", cli_kms_audit, "who asked the KMS for what, and what it answered"},
};

enum { LOCAL = sizeof(local_commands) / sizeof(local_commands[0]), COMMANDS_MAX = 96 };

int cli_kms(int argc, char **argv)
{
	struct cli_command table[COMMANDS_MAX + 1] = {{NULL, NULL, NULL}};
	size_t n = 0;

	for (size_t i = 0; i < LOCAL; i++)
		table[n++] = local_commands[i];
	for (const struct verb *v = verbs; v->name && n < COMMANDS_MAX; v++)
		table[n++] = (struct cli_command){v->name, verb_run, v->help};
	return cli_dispatch("kms", table, argc, argv);
}
