/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <jansson.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/kms.h"

enum { COLUMNS = 8, CELL_SIZE = 32 };

struct quotas {
	int json, all;
	struct cli_settings settings;
};

static const char *text_of(const json_t *entry, const char *member)
{
	const char *text = json_string_value(json_object_get(entry, member));

	return text ? text : "-";
}

static void number_of(const json_t *entry, const char *member, char ret[CELL_SIZE])
{
	const json_t *value = json_object_get(entry, member);

	if (json_is_integer(value))
		snprintf(ret, CELL_SIZE, "%lld", (long long)json_integer_value(value));
	else
		snprintf(ret, CELL_SIZE, "-");
}

/* The id is enough to name a key. */
static const char *key_of(const json_t *entry)
{
	const char *arn = text_of(entry, "KeyArn"), *slash = strrchr(arn, '/');

	return slash ? slash + 1 : arn;
}

static void add_row(struct cli_table *table, const json_t *entry)
{
	char limit[CELL_SIZE], used[CELL_SIZE], left[CELL_SIZE], throttled[CELL_SIZE];

	number_of(entry, "Limit", limit);
	number_of(entry, "Used", used);
	number_of(entry, "Left", left);
	number_of(entry, "Throttled", throttled);
	cli_table_add(table, (const char *const[COLUMNS]){text_of(entry, "Quota"), text_of(entry, "AccountId"),
				     text_of(entry, "Region"), limit, used, left, throttled, key_of(entry)});
}

static void add_rows(struct cli_table *table, const json_t *list, int all)
{
	const json_t *entry;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)list, i, entry) {
		const json_t *asked = json_object_get(entry, "Requests"),
			     *refused = json_object_get(entry, "Throttled");

		/* A bucket that nobody ever asked is full. */
		if (all || !asked || json_integer_value(asked) > 0 || json_integer_value(refused) > 0)
			add_row(table, entry);
	}
}

static enum err print_table(const struct quotas *q, const json_t *answer)
{
	struct cli_table *table = cli_table_new(COLUMNS);

	if (!table)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	cli_table_add(table, (const char *const[COLUMNS]){
				     "Quota", "Account", "Region", "Limit", "Used", "Left", "Throttled", "Key"});
	add_rows(table, json_object_get(answer, "RequestQuotas"), q->all);
	add_rows(table, json_object_get(answer, "ResourceQuotas"), q->all);
	cli_table_print(table, stdout);
	cli_table_free(table);
	if (!json_is_true(json_object_get(answer, "RequestQuotasEnforced")))
		puts("Request quotas are not enforced here: a service enforces them, unless its configuration says "
		     "quotas = none.");
	return ERR_OK;
}

static enum err run(struct quotas *q)
{
	struct kms *kms AUTO_KMS = NULL;
	json_t *request AUTO_JSON = json_object(), *answer AUTO_JSON = NULL;

	TRY(cli_settings_load(&q->settings));
	TRY(cli_kms_connect(&q->settings, &kms));
	TRY(kms_call(kms, "SignetfsGetQuotas", request, &answer));
	if (!q->json)
		return print_table(q, answer);
	json_dumpf(answer, stdout, JSON_INDENT(4));
	putchar('\n');
	return ERR_OK;
}

int cli_kms_quotas(int argc, char **argv)
{
	struct quotas q = {.json = 0};
	const struct cli_option options[] = {
		{"json", 0, CLI_FLAG, &q.json, NULL, "as JSON, with every bucket"},
		{"all", 0, CLI_FLAG, &q.all, NULL, "request quotas that nobody used yet, too"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs kms quotas [OPTION]…",
		"Use and headroom of every quota: of the service that --kms names, or of the keystore. For its owner.\n"
		"Of a quota that each key has, it shows the key that is nearest to it.",
		0, 0, options, cli_settings_options(&q.settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done < 0) {
		enum err e = run(&q);

		done = e == ERR_OK ? CLI_DONE : cli_fail(cli_kms_name(&q.settings, e), "looking at the quotas");
	}
	cli_settings_free(&q.settings);
	return done;
}
