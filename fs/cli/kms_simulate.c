/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/keystore.h"

#include <string.h>
#include "fs/cli/verbs.h"
#include "kms/base/json.h"
#include "kms/engine/simulate.h"

struct simulation {
	struct engine_simulation what;
	struct cli_texts context, request, policy;
	int json;
	struct cli_settings settings;
	json_t *answer;
};

static const char *text_of(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "";
}

/* ---- For people ---- */

static void print_list(const json_t *list)
{
	const json_t *item;
	size_t i;

	if (json_array_size(list) == 0)
		printf("nothing");
	json_array_foreach ((json_t *)list, i, item) {
		printf("%s'%s'", i ? ", " : "", json_string_value(item));
	}
}

static void print_condition(const json_t *c)
{
	printf("      condition %s %s: the policy says ", text_of(c, "Operator"), text_of(c, "Key"));
	print_list(json_object_get(c, "PolicyValues"));
	printf(", the request says ");
	print_list(json_object_get(c, "RequestValues"));
	printf(": %s\n", json_is_true(json_object_get(c, "Holds")) ? "holds" : "does not hold");
}

static void print_statement(const json_t *s)
{
	const json_t *condition;
	size_t i;

	printf("    statement %s (%s): %s\n", text_of(s, "Statement"), text_of(s, "Effect"),
		json_is_true(json_object_get(s, "Applies")) ? "applies" : "does not apply");
	if (json_object_get(s, "Principal"))
		printf("      it is about %s\n", text_of(s, "Principal"));
	printf("      action: %s; resource: %s\n",
		json_is_true(json_object_get(s, "ActionMatches")) ? "matches" : "another",
		json_is_true(json_object_get(s, "ResourceMatches")) ? "matches" : "another");
	json_array_foreach (json_object_get(s, "Conditions"), i, condition) {
		print_condition(condition);
	}
}

static void print_answer(const json_t *answer)
{
	const json_t *policy, *statement;
	size_t i, j;

	printf("%s\n  does %s\n  on %s\n", text_of(answer, "Principal"), text_of(answer, "Action"),
		text_of(answer, "Resource"));
	json_array_foreach (json_object_get(answer, "Policies"), i, policy) {
		printf("  %s \"%s\"\n", text_of(policy, "Policy"), text_of(policy, "Name"));
		json_array_foreach (json_object_get(policy, "Statements"), j, statement) {
			print_statement(statement);
		}
	}
	printf("%s: %s\n", text_of(answer, "Decision"), text_of(answer, "Reason"));
}

/* ---- Running ---- */

static enum err simulate(void *context, struct engine *engine)
{
	struct simulation *s = context;
	json_t *request AUTO_JSON = NULL, *policy AUTO_JSON = NULL, *pairs = NULL;

	if (s->request.count)
		TRY(verb_input_json(s->request.item[0], &request));
	else
		request = json_object();
	if (s->context.count) {
		TRY(verb_value(VERB_MAP, &s->context, &pairs));
		json_object_set_new(request, "EncryptionContext", pairs);
	}
	if (s->policy.count)
		TRY(verb_value(VERB_STRING, &s->policy, &policy));
	s->what.request = request;
	s->what.key_policy = json_string_value(policy);
	return engine_simulate(engine, &s->what, &s->answer);
}

static int run(struct simulation *s)
{
	int done;

	if (!s->what.principal || !s->what.action)
		return cli_wrong_usage(
			"kms simulate-policy", "the following arguments are required: --principal, --action");
	done = cli_with_keystore(&s->settings, "simulating a decision", simulate, s);
	if (done != CLI_DONE)
		return done;
	if (s->json) {
		json_dumpf(s->answer, stdout, JSON_INDENT(4));
		putchar('\n');
	} else {
		print_answer(s->answer);
	}
	return CLI_DONE;
}

int cli_kms_simulate_policy(int argc, char **argv)
{
	struct simulation s = {.json = 0};
	const struct cli_option options[] = {
		{"principal", 0, CLI_TEXT, &s.what.principal, "WHO", "root, a user, role/NAME, or an ARN (required)"},
		{"action", 0, CLI_TEXT, &s.what.action, "ACTION", "kms:Decrypt, ... (required)"},
		{"key-id", 0, CLI_TEXT, &s.what.key, "KEY", "id, ARN or alias; without: about no key"},
		{"encryption-context", 0, CLI_TEXTS, &s.context, "NAME=VALUE,...", "of the request"},
		{"request", 0, CLI_TEXTS, &s.request, "JSON|file://PATH", "the whole request"},
		{"policy", 0, CLI_TEXTS, &s.policy, "JSON|file://PATH", "weigh this one in place of the key's policy"},
		{"source-ip", 0, CLI_TEXT, &s.what.source_ip, "ADDRESS", "where the request comes from"},
		{"plain-http", 0, CLI_FLAG, &s.what.insecure, NULL, "the request comes without TLS"},
		{"json", 0, CLI_FLAG, &s.json, NULL, "print JSON"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs kms simulate-policy --principal WHO --action ACTION [OPTION]…",
		"Explain whether somebody may do something, policy by policy, statement by statement. Nothing is done.",
		0, 0, options, cli_settings_options(&s.settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done < 0)
		done = run(&s);
	json_decref(s.answer);
	cli_settings_free(&s.settings);
	return done;
}
