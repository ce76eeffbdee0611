/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/keystore.h"

#include <stdlib.h>
#include <string.h>
#include "fs/cli/verbs.h"
#include "kms/base/clock.h"
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/secret.h"
#include "kms/engine/iam.h"

/* `signetfs kms principal …`: who may sign, and what their own policies say. Works on the keystore itself. */

struct given {
	const struct action *action;
	char **operand; /* as many as the action has */
	const char *account, *path, *policy_name;
	struct cli_texts policy, trust;
	uint64_t max_session;
	int role, json;
	struct cli_settings settings;
	json_t *answer; /* NULL: nothing to print */
};

enum option {
	OPT_ROLE = 1,
	OPT_ACCOUNT = 2,
	OPT_PATH = 4,
	OPT_TRUST = 8,
	OPT_MAX_SESSION = 16,
	OPT_POLICY_NAME = 32,
	OPT_POLICY = 64
};

struct action {
	const char *name;
	enum err (*run)(void *given, struct engine *engine);
	const char *synopsis, *help;
	int operands;
	unsigned options;
};

/* ---- Values ---- */

/* The text itself, or of file://PATH. */
static enum err document(const struct cli_texts *words, const char *option, json_t **ret)
{
	if (words->count == 0)
		return err_fail(ERR_USAGE, "the following arguments are required: --%s", option);
	return verb_value(VERB_STRING, words, ret);
}

static json_t *principal_json(const struct engine_principal *p)
{
	char date[CLOCK_ISO8601_SIZE];
	json_t *o;

	clock_iso8601(p->created, date);
	o = json_pack("{s:s, s:s, s:s, s:s, s:s}", "Arn", p->arn, "Type", p->is_role ? "role" : "user", "Name", p->name,
		"Id", p->user_id, "CreateDate", date);
	if (p->is_role)
		json_object_set_new(o, "MaxSessionDuration", json_integer(p->max_session));
	return o;
}

/* ---- Actions ---- */

static enum err create(void *context, struct engine *engine)
{
	struct given *g = context;
	json_t *trust AUTO_JSON = NULL;
	struct engine_principal_spec spec = {.is_role = g->role || g->trust.count > 0,
		.account = g->account,
		.name = g->operand[0],
		.path = g->path,
		.max_session = (unsigned)g->max_session};
	struct engine_principal made;

	if (spec.is_role)
		TRY(document(&g->trust, "trust", &trust));
	spec.trust = json_string_value(trust);
	TRY(engine_principal_create(engine, &spec, &made));
	g->answer = principal_json(&made);
	return ERR_OK;
}

static enum err add_principal(void *context, const struct engine_principal *p)
{
	return json_array_append_new(context, principal_json(p)) == 0 ? ERR_OK : ERR_NO_MEMORY;
}

static enum err list(void *context, struct engine *engine)
{
	struct given *g = context;
	json_t *all = json_array();

	g->answer = json_pack("{s:o}", "Principals", all);
	return engine_principal_list(engine, g->account, add_principal, all);
}

static enum err add_policy(void *context, const char *name, const char *text)
{
	return json_object_set_new(context, name, json_string(text)) == 0 ? ERR_OK : ERR_NO_MEMORY;
}

static enum err show(void *context, struct engine *engine)
{
	struct given *g = context;
	struct engine_principal found;
	char *trust AUTO_FREE = NULL;
	json_t *policies = json_object();

	g->answer = json_pack("{s:o}", "Policies", policies);
	TRY(engine_principal_find(engine, g->operand[0], &found));
	json_object_update_missing_new(g->answer, principal_json(&found));
	TRY(engine_principal_policies(engine, g->operand[0], add_policy, policies));
	if (!found.is_role)
		return ERR_OK;
	TRY(engine_principal_trust(engine, g->operand[0], &trust));
	return json_object_set_new(g->answer, "Trust", json_string(trust)) == 0 ? ERR_OK : ERR_NO_MEMORY;
}

static enum err delete_principal(void *context, struct engine *engine)
{
	return engine_principal_delete(engine, ((struct given *)context)->operand[0]);
}

static enum err check_policy_name(const struct given *g)
{
	return g->policy_name ? ERR_OK : err_fail(ERR_USAGE, "the following arguments are required: --policy-name");
}

static enum err attach(void *context, struct engine *engine)
{
	const struct given *g = context;
	json_t *policy AUTO_JSON = NULL;

	TRY(check_policy_name(g));
	TRY(document(&g->policy, "policy", &policy));
	return engine_principal_attach(engine, g->operand[0], g->policy_name, json_string_value(policy));
}

static enum err detach(void *context, struct engine *engine)
{
	const struct given *g = context;

	TRY(check_policy_name(g));
	return engine_principal_detach(engine, g->operand[0], g->policy_name);
}

static enum err set_trust(void *context, struct engine *engine)
{
	const struct given *g = context;
	json_t *policy AUTO_JSON = NULL;

	TRY(document(&g->policy, "policy", &policy));
	return engine_principal_set_trust(engine, g->operand[0], json_string_value(policy));
}

/* "root" is the account's, everything else a user. */
static enum err access_key(void *context, struct engine *engine)
{
	struct given *g = context;
	char id[ENGINE_ACCESS_KEY_ID_SIZE];
	char *secret AUTO_SECRET = secret_alloc(ENGINE_SECRET_KEY_SIZE);
	struct engine_principal user = {.arn = ""};

	if (!secret)
		return err_fail(ERR_NO_MEMORY, "out of locked memory");
	if (strcmp(g->operand[0], "root") != 0)
		TRY(engine_principal_find(engine, g->operand[0], &user));
	TRY(engine_access_key_create(engine, g->account, user.arn[0] ? user.arn : NULL, id, secret));
	g->answer = json_pack(
		"{s:{s:s, s:s, s:s}}", "AccessKey", "AccessKeyId", id, "SecretAccessKey", secret, "Status", "Active");
	return ERR_OK;
}

static enum err read_uid(const char *text, uint32_t *ret)
{
	uint64_t uid;

	if (cli_parse_number(text, &uid) != ERR_OK || uid >= UINT32_MAX)
		return err_fail(ERR_USAGE, "%s is no user id", text);
	*ret = (uint32_t)uid;
	return ERR_OK;
}

static enum err map_uid(void *context, struct engine *engine)
{
	const struct given *g = context;
	uint32_t uid;

	TRY(read_uid(g->operand[0], &uid));
	return engine_uid_map(engine, uid, g->operand[1]);
}

static enum err unmap_uid(void *context, struct engine *engine)
{
	const struct given *g = context;
	uint32_t uid;

	TRY(read_uid(g->operand[0], &uid));
	return engine_uid_map(engine, uid, NULL);
}

static enum err add_uid(void *context, uint32_t uid, const char *arn)
{
	return json_array_append_new(context, json_pack("{s:I, s:s}", "Uid", (json_int_t)uid, "Arn", arn)) == 0
		       ? ERR_OK
		       : ERR_NO_MEMORY;
}

static enum err list_uids(void *context, struct engine *engine)
{
	struct given *g = context;
	json_t *all = json_array();

	g->answer = json_pack("{s:o}", "UserIds", all);
	return engine_uid_list(engine, add_uid, all);
}

static enum err create_account(void *context, struct engine *engine)
{
	const struct given *g = context;

	return engine_account_create(engine, g->operand[0], g->operand[1]);
}

static enum err delete_account(void *context, struct engine *engine)
{
	return engine_account_delete(engine, ((struct given *)context)->operand[0]);
}

static enum err add_account(void *context, const char *id, const char *name, uint64_t created)
{
	(void)created;
	return json_array_append_new(context, json_pack("{s:s, s:s}", "Id", id, "Name", name)) == 0 ? ERR_OK
												    : ERR_NO_MEMORY;
}

static enum err list_accounts(void *context, struct engine *engine)
{
	struct given *g = context;
	json_t *all = json_array();

	g->answer = json_pack("{s:o}", "Accounts", all);
	return engine_account_list(engine, add_account, all);
}

static const struct action actions[] = {
	{"create", create, "NAME", "make a user, or with --trust a role", 1,
		OPT_ROLE | OPT_ACCOUNT | OPT_PATH | OPT_TRUST | OPT_MAX_SESSION},
	{"list", list, "", "all users and roles", 0, OPT_ACCOUNT},
	{"show", show, "WHO", "a user or role with its policies", 1, 0},
	{"delete", delete_principal, "WHO", "remove a user or role; its access keys and sessions end", 1, 0},
	{"attach", attach, "WHO", "give a user or role an identity policy", 1, OPT_POLICY_NAME | OPT_POLICY},
	{"detach", detach, "WHO", "take an identity policy away", 1, OPT_POLICY_NAME},
	{"set-trust", set_trust, "ROLE", "replace who may assume a role", 1, OPT_POLICY},
	{"access-key", access_key, "USER|root", "make an access key; its secret is shown this once", 1, OPT_ACCOUNT},
	{"map-uid", map_uid, "UID USER", "on Unix sockets, a user id is this user", 2, 0},
	{"unmap-uid", unmap_uid, "UID", "a user id is nobody again", 1, 0},
	{"list-uids", list_uids, "", "user ids that are users", 0, 0},
	{"create-account", create_account, "ID NAME", "make another account", 2, 0},
	{"delete-account", delete_account, "ID", "remove an empty account", 1, 0},
	{"list-accounts", list_accounts, "", "all accounts", 0, 0},
};
enum { ACTIONS = sizeof(actions) / sizeof(actions[0]) };

/* ---- Running one ---- */

static void build_options(struct given *g, struct cli_option *o)
{
	const struct {
		enum option which;
		struct cli_option option;
	} all[] = {
		{OPT_ROLE, {"role", 0, CLI_FLAG, &g->role, NULL, "a role; needs --trust"}},
		{OPT_ACCOUNT, {"account", 0, CLI_TEXT, &g->account, "ID", "12 digits (000000000000)"}},
		{OPT_PATH, {"path", 0, CLI_TEXT, &g->path, "/PATH/", "part of the ARN"}},
		{OPT_TRUST, {"trust", 0, CLI_TEXTS, &g->trust, "JSON|file://PATH", "who may assume the role"}},
		{OPT_MAX_SESSION,
			{"max-session", 0, CLI_SECONDS, &g->max_session, "DURATION", "of a role: 1h to 12h (1h)"}},
		{OPT_POLICY_NAME, {"policy-name", 0, CLI_TEXT, &g->policy_name, "NAME", "(required)"}},
		{OPT_POLICY, {"policy", 0, CLI_TEXTS, &g->policy, "JSON|file://PATH", "(required)"}},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (g->action->options & all[i].which)
			*o++ = all[i].option;
	*o++ = (struct cli_option){"json", 0, CLI_FLAG, &g->json, NULL, "print JSON (always so into a pipe)"};
	*o = (struct cli_option){NULL, 0, CLI_FLAG, NULL, NULL, NULL};
}

static void print_answer(const struct given *g)
{
	if (!g->answer)
		return;
	if (!g->json && cli_is_terminal(stdout)) {
		verb_show(g->answer, stdout);
		return;
	}
	json_dumpf(g->answer, stdout, JSON_INDENT(4));
	putchar('\n');
}

static int run(int argc, char **argv)
{
	struct given g = {.action = actions};
	struct cli_option options[10];
	char synopsis[128], what[64];
	int operands, done;

	while (strcmp(g.action->name, argv[0]) != 0)
		g.action++;
	build_options(&g, options);
	snprintf(synopsis, sizeof(synopsis), "signetfs kms principal %s %s%s[OPTION]…", g.action->name,
		g.action->synopsis, g.action->synopsis[0] ? " " : "");
	snprintf(what, sizeof(what), "principal %s", g.action->name);
	const struct cli_usage usage = {synopsis, g.action->help, g.action->operands, g.action->operands, options,
		cli_settings_options(&g.settings)};

	done = cli_parse(&usage, argc, argv, &operands);
	g.operand = argv + 1;
	if (done < 0)
		done = cli_with_keystore(&g.settings, what, g.action->run, &g);
	if (done == CLI_DONE)
		print_answer(&g);
	json_decref(g.answer);
	cli_settings_free(&g.settings);
	return done;
}

int cli_kms_principal(int argc, char **argv)
{
	struct cli_command table[ACTIONS + 1] = {{NULL, NULL, NULL}};

	for (size_t i = 0; i < ACTIONS; i++)
		table[i] = (struct cli_command){actions[i].name, run, actions[i].help};
	return cli_dispatch("kms principal", table, argc, argv);
}
