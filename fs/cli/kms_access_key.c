/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/keystore.h"

#include <jansson.h>
#include <string.h>
#include "kms/base/clock.h"
#include "kms/base/json.h"
#include "kms/base/secret.h"

struct access_key {
	int json; /* always so into a pipe */
	const char *id;
	struct cli_table *table;
	json_t *list;
	struct cli_settings settings;
};

static enum err print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(4));
	putchar('\n');
	return ERR_OK;
}

static enum err create(void *context, struct engine *engine)
{
	const struct access_key *k = context;
	char id[ENGINE_ACCESS_KEY_ID_SIZE];
	char *secret AUTO_SECRET = secret_alloc(ENGINE_SECRET_KEY_SIZE);
	json_t *json AUTO_JSON = NULL;

	if (!secret)
		return err_fail(ERR_NO_MEMORY, "out of locked memory");
	TRY(engine_access_key_create(engine, NULL, NULL, id, secret));
	if (!k->json) {
		cli_field(stdout, 20, "Access key id", "%s", id);
		cli_field(stdout, 20, "Secret access key", "%s", secret);
		puts("Keep the secret now: it is not shown again.");
		return ERR_OK;
	}
	json = json_pack(
		"{s:{s:s, s:s, s:s}}", "AccessKey", "AccessKeyId", id, "SecretAccessKey", secret, "Status", "Active");
	return json ? print_json(json) : err_fail(ERR_NO_MEMORY, "out of memory");
}

static enum err list_one(void *context, const char *id, const char *account, const char *arn, uint64_t created)
{
	const struct access_key *k = context;
	char date[CLOCK_ISO8601_SIZE];

	(void)account;
	clock_iso8601(created, date);
	const char *cells[] = {id, date, arn};

	cli_table_add(k->table, cells);
	json_array_append_new(k->list, json_pack("{s:s, s:s, s:s}", "AccessKeyId", id, "CreateDate", date, "Arn", arn));
	return ERR_OK;
}

static enum err list(void *context, struct engine *engine)
{
	static const char *const head[] = {"Access key id", "Made", "Identity"};
	struct access_key *k = context;
	json_t *whole AUTO_JSON = json_object();
	enum err e;

	k->list = json_array();
	k->table = cli_table_new(3);
	cli_table_add(k->table, head);
	json_object_set_new(whole, "AccessKeyMetadata", k->list);
	e = engine_access_key_list(engine, list_one, k);
	if (e == ERR_OK && k->json)
		print_json(whole);
	else if (e == ERR_OK && json_array_size(k->list))
		cli_table_print(k->table, stdout);
	else if (e == ERR_OK)
		puts("There are no access keys.");
	cli_table_free(k->table);
	return e;
}

static enum err delete (void *context, struct engine *engine) {
	const struct access_key *k = context; enum err e = engine_access_key_delete(engine, k->id);

	return e == ERR_NOT_FOUND ? err_fail(e, "there is no access key %s", k->id) : e;
}

static int run(const struct cli_usage *usage, int argc, char **argv, struct access_key *k,
	enum err (*fn)(void *context, struct engine *engine), const char *what)
{
	int operands, done = cli_parse(usage, argc, argv, &operands);

	if (done < 0 && fn == delete &&!k->id)
		done = cli_wrong_usage(
			"kms delete-access-key", "the following arguments are required: --access-key-id");
	k->json |= !cli_is_terminal(stdout);
	if (done < 0)
		done = cli_with_keystore(&k->settings, what, fn, k);
	cli_settings_free(&k->settings);
	return done;
}

int cli_kms_create_access_key(int argc, char **argv)
{
	struct access_key k = {.json = 0};
	const struct cli_option options[] = {
		{"json", 0, CLI_FLAG, &k.json, NULL, "print JSON (always so into a pipe)"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs kms create-access-key [OPTION]…",
		"Make an access key for clients over TCP, with the rights of the keystore's owner.", 0, 0, options,
		cli_settings_options(&k.settings)};

	return run(&usage, argc, argv, &k, create, "making an access key");
}

int cli_kms_list_access_keys(int argc, char **argv)
{
	struct access_key k = {.json = 0};
	const struct cli_option options[] = {
		{"json", 0, CLI_FLAG, &k.json, NULL, "print JSON (always so into a pipe)"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs kms list-access-keys [OPTION]…",
		"List access keys, without their secrets.", 0, 0, options, cli_settings_options(&k.settings)};

	return run(&usage, argc, argv, &k, list, "listing access keys");
}

int cli_kms_delete_access_key(int argc, char **argv)
{
	struct access_key k = {.json = 0};
	const struct cli_option options[] = {
		{"access-key-id", 0, CLI_TEXT, &k.id, "ID", "(required)"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs kms delete-access-key --access-key-id ID [OPTION]…",
		"Take an access key away: requests signed with it are refused from then on.", 0, 0, options,
		cli_settings_options(&k.settings)};

	return run(&usage, argc, argv, &k, delete, "deleting an access key");
}
