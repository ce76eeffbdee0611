/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/kms_dependents.h"
#include "fs/cli/verbs.h"

#include <assert.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/base/secret.h"

enum { COMMON_OPTIONS = 9, NAME_SIZE = 48 };

enum { OUTPUT_UNSET = -1, OUTPUT_JSON, OUTPUT_TEXT };

/* What was given on the command line for one verb. */
struct given {
	const struct verb *verb;
	struct cli_texts words[VERB_OPTIONS_MAX]; /* one for each of verb->options */
	int yes[VERB_OPTIONS_MAX], no[VERB_OPTIONS_MAX];
	char no_name[VERB_OPTIONS_MAX][NAME_SIZE];

	const char *input_json, *query;
	int output; /* enum below */
	int json, no_paginate, no_pager;
	uint64_t max_items, page_size;
	struct cli_settings settings;
	struct cli_option options[2 * VERB_OPTIONS_MAX + COMMON_OPTIONS];
};

static const char *argument_name(enum verb_type type)
{
	static const char *const names[] = {[VERB_STRING] = "TEXT",
		[VERB_INTEGER] = "NUMBER",
		[VERB_BOOLEAN] = "",
		[VERB_BLOB] = "BASE64|fileb://PATH",
		[VERB_MAP] = "NAME=VALUE,...",
		[VERB_LIST] = "WORD...",
		[VERB_JSON] = "JSON",
		[VERB_TAGS] = "TagKey=K,TagValue=V...",
		[VERB_TIME] = "SECONDS|2026-11-22T02:05:00Z"};

	return names[type];
}

static struct cli_option *add_boolean(struct given *g, int i, struct cli_option *o)
{
	const struct verb_option *v = &g->verb->options[i];

	snprintf(g->no_name[i], NAME_SIZE, "no-%s", v->flag);
	*o++ = (struct cli_option){v->flag, 0, CLI_FLAG, &g->yes[i], NULL, v->member};
	*o++ = (struct cli_option){g->no_name[i], 0, CLI_FLAG, &g->no[i], NULL, NULL};
	return o;
}

static struct cli_option *add_common(struct given *g, struct cli_option *o)
{
	const char *pages = g->verb->pages;

	*o++ = (struct cli_option){
		"cli-input-json", 0, CLI_TEXT, &g->input_json, "JSON|file://PATH", "the whole request"};
	*o++ = (struct cli_option){
		"json", 0, CLI_FLAG, &g->json, NULL, "print the answer's JSON (always so into a pipe)"};
	*o++ = (struct cli_option){
		"query", 0, CLI_TEXT, &g->query, "PATH", "only this part of the answer: Keys[0].KeyId"};
	*o++ = (struct cli_option){"output", 0, CLI_CHOICE, &g->output, "json|text", "text: bare words, for scripts"};
	*o++ = (struct cli_option){"no-cli-pager", 0, CLI_FLAG, &g->no_pager, NULL, NULL};
	if (!pages)
		return o;
	*o++ = (struct cli_option){"no-paginate", 0, CLI_FLAG, &g->no_paginate, NULL, "one page only"};
	*o++ = (struct cli_option){"max-items", 0, CLI_NUMBER, &g->max_items, "NUMBER", "at most so many items"};
	*o++ = (struct cli_option){"page-size", 0, CLI_NUMBER, &g->page_size, "NUMBER", "items in one call"};
	return o;
}

static void build_options(struct given *g)
{
	struct cli_option *o = g->options;

	for (int i = 0; i < VERB_OPTIONS_MAX && g->verb->options[i].flag; i++) {
		const struct verb_option *v = &g->verb->options[i];
		int several = v->type == VERB_LIST || v->type == VERB_TAGS;

		if (v->type == VERB_BOOLEAN)
			o = add_boolean(g, i, o);
		else
			*o++ = (struct cli_option){v->flag, 0, several ? CLI_WORDS : CLI_TEXTS, &g->words[i],
				argument_name(v->type), v->required ? "(required)" : v->member};
	}
	o = add_common(g, o);
	assert(o < g->options + sizeof(g->options) / sizeof(g->options[0]));
}

static enum err put_option(const struct given *g, int i, json_t *request)
{
	const struct verb_option *v = &g->verb->options[i];
	json_t *value = NULL;

	if (v->type == VERB_BOOLEAN) {
		if (g->yes[i] || g->no[i])
			value = json_boolean(g->yes[i]);
	} else if (g->words[i].count > 0) {
		enum err e = verb_value(v->type, &g->words[i], &value);

		if (e != ERR_OK)
			return err_fail(ERR_USAGE, "--%s: %s", v->flag, err_text(e));
	}
	if (value && json_object_set_new(request, v->member, value) != 0)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	if (v->required && !json_object_get(request, v->member))
		return err_fail(ERR_USAGE, "the following arguments are required: --%s", v->flag);
	return ERR_OK;
}

static enum err build_request(const struct given *g, json_t **ret)
{
	json_t *request AUTO_JSON = NULL;

	if (g->input_json)
		TRY(verb_input_json(g->input_json, &request));
	else
		request = json_object();
	for (int i = 0; i < VERB_OPTIONS_MAX && g->verb->options[i].flag; i++)
		TRY(put_option(g, i, request));
	TRY(verb_key_policy(request));
	if (g->page_size)
		json_object_set_new(request, "Limit", json_integer((json_int_t)g->page_size));
	*ret = STEAL(request);
	return ERR_OK;
}

/* As the AWS CLI: a page asked for by hand is one page. */
static int wants_all_pages(const struct given *g, const json_t *request)
{
	return g->verb->pages && !g->no_paginate && !json_object_get(request, "Marker") &&
	       (!json_object_get(request, "Limit") || g->page_size);
}

static enum err next_page(const struct given *g, struct kms *kms, json_t *request, json_t *all, int *ret_more)
{
	json_t *page AUTO_JSON = NULL;
	json_t *list = json_object_get(all, g->verb->pages);
	json_t *items, *marker;

	TRY(kms_call(kms, g->verb->operation, request, &page));
	items = json_object_get(page, g->verb->pages);
	marker = json_object_get(page, "NextMarker");
	if (!json_is_array(items))
		return err_fail(ERR_KMS_PROTOCOL, "the KMS's answer has no list \"%s\"", g->verb->pages);
	*ret_more = json_is_true(json_object_get(page, "Truncated"));
	if (*ret_more && (!json_is_string(marker) || json_array_size(items) == 0))
		return err_fail(ERR_KMS_PROTOCOL, "the KMS's answer is cut, but says not where to go on");
	if (*ret_more)
		json_object_set(request, "Marker", marker);
	return json_array_extend(list, items) == 0 ? ERR_OK : err_fail(ERR_NO_MEMORY, "out of memory");
}

static enum err call_all_pages(const struct given *g, struct kms *kms, json_t *request, json_t **ret)
{
	json_t *all AUTO_JSON = json_object();
	json_t *list = json_array();
	int more = 1;

	json_object_set_new(all, g->verb->pages, list);
	while (more && (!g->max_items || json_array_size(list) < g->max_items))
		TRY(next_page(g, kms, request, all, &more));
	while (g->max_items && json_array_size(list) > g->max_items) {
		json_array_remove(list, json_array_size(list) - 1);
		more = 1;
	}
	json_object_set_new(all, "Truncated", json_boolean(more));
	*ret = STEAL(all);
	return ERR_OK;
}

static enum err call(const struct given *g, json_t *request, json_t **ret)
{
	struct kms *kms AUTO_KMS = NULL;

	TRY(cli_kms_connect(&g->settings, &kms));
	if (wants_all_pages(g, request))
		return call_all_pages(g, kms, request, ret);
	TRY(kms_call(kms, g->verb->operation, request, ret));
	if (strcmp(g->verb->operation, "ScheduleKeyDeletion") == 0)
		cli_warn_of_dependents(&g->settings, kms, *ret);
	return ERR_OK;
}

static enum err print_response(const struct given *g, const json_t *response)
{
	const json_t *value = response;

	if (json_object_size(response) == 0)
		return ERR_OK;
	if (g->query)
		TRY(verb_query(response, g->query, &value));
	if (g->output == OUTPUT_TEXT) {
		verb_print_text(value, stdout);
	} else if (!g->json && !g->query && g->output == OUTPUT_UNSET && cli_is_terminal(stdout)) {
		verb_show(value, stdout);
	} else if (value) {
		json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_INDENT(4) | JSON_REAL_PRECISION(15));
		putchar('\n');
	} else {
		puts("null");
	}
	return ERR_OK;
}

/* The KMS's refusals in the AWS CLI's words, so that scripts which look for them find them. */
static int report_failure(const struct given *g, enum err e)
{
	const char *text = err_text(e), *exception = err_to_exception(e);
	int silent = strcmp(text, err_name(e)) == 0 || strcmp(text, exception) == 0;

	if (e > ERR_KMS_ACCESS_DENIED || e == ERR_KMS_OTHER)
		return cli_fail(e, "%s", g->verb->name);
	return cli_refused(e, "An error occurred (%s) when calling the %s operation: %s", exception, g->verb->operation,
		silent ? "" : text);
}

static enum err run(struct given *g)
{
	json_t *request AUTO_JSON = NULL;
	json_t *response AUTO_JSON = NULL;

	TRY(build_request(g, &request));
	TRY(cli_settings_load(&g->settings));
	TRY(call(g, request, &response));
	return print_response(g, response);
}

int verb_run(int argc, char **argv)
{
	struct given g = {.verb = verb_find(argv[0]), .output = OUTPUT_UNSET};
	char synopsis[128];
	int operands, done;

	assert(g.verb);
	snprintf(synopsis, sizeof(synopsis), "signetfs kms %s [OPTION]…", g.verb->name);
	build_options(&g);
	const struct cli_usage usage = {synopsis, g.verb->help, 0, 0, g.options, cli_settings_options(&g.settings)};

	done = cli_parse(&usage, argc, argv, &operands);
	if (done < 0) {
		enum err e = run(&g);

		done = e == ERR_OK ? CLI_DONE : report_failure(&g, e);
	}
	cli_settings_free(&g.settings);
	return done;
}
