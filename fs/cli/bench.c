/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "fs/cli/cli.h"
#include "fs/cli/rehearse.h"
#include "fs/drill/bench_kms.h"

enum { FILES_DEFAULT = 10000 };

struct bench_request {
	struct bench_kms bench;
	const char *report;
	int json;
};

static json_t *half_json(const struct bench_kms_mode *m, enum bench_kms_half half)
{
	return json_pack("{s:f, s:I, s:I}", "seconds", m->seconds[half], "kms_p50_ns", (json_int_t)m->p50[half],
		"kms_p99_ns", (json_int_t)m->p99[half]);
}

static json_t *mode_json(const struct bench_kms_mode *m)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "GenerateDataKey", (json_int_t)m->generated, "Decrypt",
		(json_int_t)m->decrypted, "client_calls", (json_int_t)m->client_calls, "throttled",
		(json_int_t)m->throttled, "retries", (json_int_t)m->retries, "made", half_json(m, BENCH_MADE), "read",
		half_json(m, BENCH_READ));
}

static void print_json(const struct bench_request *q, const struct story *r, const struct bench_kms_result *x)
{
	json_t *all = story_json(r);

	json_object_set_new(all, "files", json_integer((json_int_t)q->bench.files));
	json_object_set_new(all, "reduction_percent", json_real(x->reduction_percent));
	json_object_set_new(all, "audited", json_boolean(x->audited));
	json_object_set_new(all, "with", mode_json(&x->with));
	json_object_set_new(all, "without", mode_json(&x->without));
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

static void latency_text(const struct bench_kms_mode *m, enum bench_kms_half half, char out[48])
{
	snprintf(out, 48, "%.2f, %.2f ms", (double)m->p50[half] / 1e6, (double)m->p99[half] / 1e6);
}

static void add_row(struct cli_table *t, const char *name, const struct bench_kms_mode *m)
{
	char cell[7][48];

	snprintf(cell[0], 48, "%llu", (unsigned long long)m->generated);
	snprintf(cell[1], 48, "%llu", (unsigned long long)m->decrypted);
	snprintf(cell[2], 48, "%llu", (unsigned long long)m->throttled);
	snprintf(cell[3], 48, "%.1f s", m->seconds[BENCH_MADE]);
	latency_text(m, BENCH_MADE, cell[4]);
	snprintf(cell[5], 48, "%.1f s", m->seconds[BENCH_READ]);
	latency_text(m, BENCH_READ, cell[6]);
	cli_table_add(t, (const char *const[]){name, cell[0], cell[1], cell[2], cell[3], cell[4], cell[5], cell[6]});
}

static void print_table(const struct story *r, const struct bench_kms_result *x)
{
	struct cli_table *t = cli_table_new(8);

	if (!t)
		return;
	putchar('\n');
	cli_table_add(t, (const char *const[]){"BUCKET KEYS", "GENERATEDATAKEY", "DECRYPT", "THROTTLED", "MADE IN",
				 "KMS 50, 99 %", "READ IN", "KMS 50, 99 %"});
	add_row(t, "on", &x->with);
	add_row(t, "off", &x->without);
	cli_table_print(t, stdout);
	cli_table_free(t);
	putchar('\n');
	for (size_t i = 0; i < r->figures; i++)
		printf("%s: %s (%s)\n", r->figure[i].label, r->figure[i].value, r->figure[i].note);
}

static int run(const struct bench_request *q)
{
	struct story *r = story_new("KMS calls with and without bucket keys",
		"One workload, twice: files made, a new mount, all files read.");
	struct bench_kms_result x = {.audited = 0};

	if (!r)
		return cli_error("out of memory");
	r->say = q->json ? NULL : rehearse_say;
	enum err e = bench_kms_run(&q->bench, r, &x);
	if (q->json)
		print_json(q, r, &x);
	else if (e == ERR_OK)
		print_table(r, &x);
	if (e == ERR_OK && q->report)
		e = story_page(r, q->report);
	int held = story_held(r);
	free(r);
	if (world_interrupted())
		return rehearse_interrupted();
	if (e != ERR_OK)
		return cli_fail(e, "measuring KMS calls");
	return held ? CLI_DONE : CLI_FAILED;
}

static int check(struct bench_request *q, struct cli_settings *settings, const char *key)
{
	if (q->bench.files < 1)
		return cli_wrong_usage("bench", "--files takes 1 or more");
	/* Our own configuration may name an endpoint: only one that is asked for in so many words is measured. */
	q->bench.endpoint = settings->given[CLI_SET_ENDPOINT];
	if (!q->bench.endpoint || !strcmp(q->bench.endpoint, "agent")) {
		q->bench.endpoint = NULL;
		return key ? cli_wrong_usage("bench", "--key is for another KMS; the scratch keystore has its own")
			   : -1;
	}
	if (!key)
		return cli_wrong_usage(
			"bench", "with another KMS name the key to use: --key KEY; a million calls cost $3 at AWS");
	enum err e = cli_settings_load(settings);
	if (e != ERR_OK)
		return cli_fail(e, "measuring KMS calls");
	q->bench.key = key;
	q->bench.region = cli_setting(settings, CLI_SET_REGION);
	q->bench.access_key_id = cli_setting(settings, CLI_SET_ACCESS_KEY_ID);
	q->bench.secret_access_key = cli_setting(settings, CLI_SET_SECRET_ACCESS_KEY);
	return -1;
}

int cli_bench(int argc, char **argv)
{
	struct cli_settings settings AUTO_SETTINGS = {0};
	struct bench_request q = {.bench = {.files = FILES_DEFAULT}};
	const char *key = NULL;
	const struct cli_option options[] = {
		{"files", 0, CLI_NUMBER, &q.bench.files, "NUMBER", "files to make and read (10000)"},
		{"endpoint", 0, CLI_TEXT, &settings.given[CLI_SET_ENDPOINT], "ENDPOINT",
			"a KMS other than a scratch one; with --key"},
		{"key", 0, CLI_TEXT, &key, "KEY", "the key there"},
		{"report", 0, CLI_TEXT, &q.report, "FILE", "write a page of HTML"},
		{"json", 0, CLI_FLAG, &q.json, NULL, "print JSON"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs bench [OPTION]… kms",
		"How many KMS calls bucket keys save: one workload, with them and without, counted at the KMS's own "
		"audit trail.",
		1, 1, options, cli_settings_options(&settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done >= 0)
		return done;
	if (strcmp(argv[1], "kms") != 0)
		return cli_wrong_usage("bench", "there is only: signetfs bench kms");
	done = check(&q, &settings, key);
	if (done < 0)
		done = rehearse_begin("the bench mounts scratch vaults");
	return done >= 0 ? done : run(&q);
}
