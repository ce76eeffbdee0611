/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/keystore.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "kms/base/clock.h"
#include "kms/base/io.h"
#include "kms/base/json.h"

struct audit {
	const char *since, *until, *key, *operation, *error, *principal, *anchor;
	uint64_t limit;
	int json, json_lines;
	struct cli_settings settings;

	struct engine_audit_filter filter;
	struct cli_table *table;
	size_t records;
};

/* "2026-11-21", "2026-11-21T22:44:43Z", or so long ago: "30m", "7d". */
static enum err parse_moment(const char *text, uint64_t *ret_ns)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
	uint64_t seconds, now = clock_system()->wall(clock_system());

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = {.tm_mday = 1};
		const char *end = strptime(text, forms[i], &tm);
		time_t t = end && !*end ? timegm(&tm) : -1;

		if (t >= 0) {
			*ret_ns = (uint64_t)t * CLOCK_SECOND;
			return ERR_OK;
		}
	}
	if (cli_parse_seconds(text, &seconds) != ERR_OK || seconds > now / CLOCK_SECOND)
		return err_fail(ERR_USAGE,
			"\"%s\" is no moment; write 2026-11-21, 2026-11-21T22:44:43Z, or 7d for seven days ago", text);
	*ret_ns = now - seconds * CLOCK_SECOND;
	return ERR_OK;
}

static const char *text_of(const json_t *record, const char *name)
{
	const char *text = json_string_value(json_object_get(record, name));

	return text ? text : "";
}

/* "arn:aws:kms:us-east-1:000000000000:key/ID" → "ID"; "arn:aws:iam::0:user/uid-1000" → "user/uid-1000" */
static const char *tail(const char *arn, char separator)
{
	const char *p = strrchr(arn, separator);

	return p ? p + 1 : arn;
}

static void add_row(struct audit *a, const json_t *record)
{
	const json_t *who = json_object_get(record, "userIdentity");
	const json_t *resource = json_array_get(json_object_get(record, "resources"), 0);
	const char *error = text_of(record, "errorCode");
	const char *cells[] = {text_of(record, "eventTime"), text_of(record, "eventName"),
		tail(text_of(who, "arn"), ':'), tail(text_of(resource, "ARN"), '/'), error[0] ? error : "ok"};

	cli_table_add(a->table, cells);
}

/* As it is for a program; for a person without what a terminal would obey. */
static enum err put_record(const char *text)
{
	char *copy AUTO_FREE = strdup(text);

	if (!copy)
		return ERR_NO_MEMORY;
	if (cli_is_terminal(stdout))
		cli_make_printable(copy);
	fputs(copy, stdout);
	return ERR_OK;
}

static enum err on_record(void *context, const char *text)
{
	struct audit *a = context;
	json_t *record AUTO_JSON = NULL;

	if (a->json_lines) {
		TRY(put_record(text));
		putchar('\n');
		return ERR_OK;
	}
	if (a->json) {
		fputs(a->records++ ? ",\n" : "\n", stdout);
		return put_record(text);
	}
	TRY(json_parse(text, strlen(text), &record));
	add_row(a, record);
	a->records++;
	return ERR_OK;
}

static enum err print_records(struct audit *a, struct engine *engine, const struct engine_audit_filter *filter)
{
	static const char *const head[] = {"Time", "Operation", "Caller", "Key", "Result"};

	if (a->json_lines)
		return engine_audit_list(engine, filter, on_record, a);
	if (a->json) {
		printf("{\"Records\":[");
		TRY(engine_audit_list(engine, filter, on_record, a));
		printf("\n]}\n");
		return ERR_OK;
	}
	cli_table_add(a->table, head);
	TRY(engine_audit_list(engine, filter, on_record, a));
	if (a->records)
		cli_table_print(a->table, stdout);
	else
		puts("No records match.");
	return ERR_OK;
}

static enum err build_filter(const struct audit *a, struct engine_audit_filter *ret)
{
	struct engine_audit_filter f = {.key = a->key,
		.operation = a->operation,
		.error = a->error,
		.principal = a->principal,
		.limit = (size_t)a->limit};

	if (a->since)
		TRY(parse_moment(a->since, &f.from));
	if (a->until)
		TRY(parse_moment(a->until, &f.to));
	if (a->error && strcmp(a->error, "none") == 0)
		f.error = "";
	*ret = f;
	return ERR_OK;
}

static enum err list(void *context, struct engine *engine)
{
	struct audit *a = context;

	a->table = cli_table_new(5);
	if (!a->table)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	enum err e = print_records(a, engine, &a->filter);

	cli_table_free(a->table);
	return e == ERR_NOT_FOUND && a->key ? err_fail(e, "there is no key %s", a->key) : e;
}

/* Filters are checked before the root key is asked for. */
static int run(struct audit *a)
{
	static const char what[] = "reading the audit records";
	enum err e = build_filter(a, &a->filter);

	return e == ERR_OK ? cli_with_keystore(&a->settings, what, list, a) : cli_fail(e, what);
}

/* ---- The chain ---- */

static void print_fault(void *context, enum engine_trail_fault fault, int64_t from, int64_t to)
{
	static const char *const texts[] = {
		[TRAIL_CHANGED] = "changed: it is not what was written",
		[TRAIL_MISSING] = "removed",
		[TRAIL_FOREIGN] = "behind the end of the trail: not written by this KMS",
		[TRAIL_UNCERTAIN] = "cannot be verified, since what came before it is missing",
		[TRAIL_HEAD] = "where the trail begins and ends was changed: records may be missing at either end",
		[TRAIL_NO_ANCHOR] = "not what the anchor was taken of: another trail, or an earlier state of this one",
	};

	(void)context;
	if (fault == TRAIL_HEAD)
		printf("%s\n", texts[fault]);
	else if (from == to)
		printf("record %lld: %s\n", (long long)from, texts[fault]);
	else
		printf("records %lld to %lld: %s\n", (long long)from, (long long)to, texts[fault]);
}

static enum err verify(void *context, struct engine *engine)
{
	const struct audit *a = context;
	struct engine_trail trail;

	TRY(engine_audit_verify(engine, a->anchor, print_fault, NULL, &trail));
	if (trail.before_chain)
		printf("%llu records are older than the chain, written by an earlier version: they are not protected\n",
			(unsigned long long)trail.before_chain);
	if (trail.faults)
		return err_fail(ERR_TAMPERED, "%zu %s found; %llu records are what was written", trail.faults,
			trail.faults == 1 ? "fault was" : "faults were", (unsigned long long)trail.verified);
	printf("%llu records are what was written, and none is missing\n", (unsigned long long)trail.verified);
	return ERR_OK;
}

static void ignore_fault(void *context, enum engine_trail_fault fault, int64_t from, int64_t to)
{
	(void)context;
	(void)fault;
	(void)from;
	(void)to;
}

static enum err print_anchor(void *context, struct engine *engine)
{
	struct engine_trail trail;

	(void)context;
	TRY(engine_audit_verify(engine, NULL, ignore_fault, NULL, &trail));
	if (trail.faults)
		return err_fail(ERR_TAMPERED,
			"the trail does not verify, so it gives no anchor; run: signetfs kms audit verify");
	puts(trail.anchor);
	return ERR_OK;
}

static int run_on_chain(struct audit *a, const char *what)
{
	if (!strcmp(what, "verify"))
		return cli_with_keystore(&a->settings, "verifying the audit trail", verify, a);
	if (!strcmp(what, "anchor"))
		return cli_with_keystore(&a->settings, "taking an anchor of the audit trail", print_anchor, a);
	return cli_wrong_usage("kms audit", "there are verify and anchor; without either the records are shown");
}

int cli_kms_audit(int argc, char **argv)
{
	struct audit a = {.json = 0};
	const struct cli_option options[] = {
		{"since", 0, CLI_TEXT, &a.since, "MOMENT",
			"from then on: 2026-11-21, 2026-11-21T22:44:43Z or 7d (ago)"},
		{"until", 0, CLI_TEXT, &a.until, "MOMENT", "before then"},
		{"key", 0, CLI_TEXT, &a.key, "KEY", "about this key: id, ARN or alias"},
		{"operation", 0, CLI_TEXT, &a.operation, "NAME", "of this operation: Decrypt, …"},
		{"error", 0, CLI_TEXT, &a.error, "NAME",
			"that failed so: AccessDeniedException, …; none for those that did not"},
		{"principal", 0, CLI_TEXT, &a.principal, "WHO", "by this one: ARN, user/NAME, or access key id"},
		{"limit", 0, CLI_NUMBER, &a.limit, "NUMBER", "the newest so many"},
		{"json", 0, CLI_FLAG, &a.json, NULL, "the records themselves, as in a CloudTrail file"},
		{"json-lines", 0, CLI_FLAG, &a.json_lines, NULL, "the records themselves, one a line"},
		{"anchor", 0, CLI_TEXT, &a.anchor, "ANCHOR", "verify: the trail must contain what this was taken of"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs kms audit [verify | anchor] [OPTION]…",
		"Show the audit records of the keystore, newest last. verify: is every record what was written, and "
		"none "
		"missing?\n"
		"anchor: print what to keep elsewhere and give to verify --anchor later.",
		0, 1, options, cli_settings_options(&a.settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done < 0 && operands == 1)
		done = run_on_chain(&a, argv[1]);
	else if (done < 0)
		done = run(&a);
	cli_settings_free(&a.settings);
	return done;
}
