/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/stats.h"

#include <inttypes.h>
#include "fs/cli/cli.h"

enum { WIDTH = 26, DURATION_SIZE = 24 };

static uint64_t number(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static double real(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static void print_bytes(FILE *out, const char *label, uint64_t bytes)
{
	char text[CLI_BYTES_SIZE];

	cli_format_bytes(bytes, text);
	cli_field(out, WIDTH, label, "%s", text);
}

static void print_seconds(FILE *out, const char *label, uint64_t seconds)
{
	cli_field(out, WIDTH, label, "%" PRIu64 ":%02u:%02u", seconds / 3600, (unsigned)(seconds / 60 % 60),
		(unsigned)(seconds % 60));
}

static void print_files(const json_t *s, FILE *out)
{
	cli_field(out, WIDTH, "Mount point", "%s", json_string_value(json_object_get(s, "mount_point")));
	cli_field(out, WIDTH, "Vault", "%s", json_string_value(json_object_get(s, "vault")));
	print_seconds(out, "Mounted for", number(s, "uptime_seconds"));
	cli_field(out, WIDTH, "Files created", "%" PRIu64, number(s, "files_created"));
	print_bytes(out, "Read", number(s, "bytes_read"));
	print_bytes(out, "Written", number(s, "bytes_written"));
	cli_field(out, WIDTH, "Inodes known", "%" PRIu64, number(s, "inodes_known"));
	cli_field(out, WIDTH, "Descriptors open", "%" PRIu64, number(s, "descriptors_open"));
}

static void print_calls(const json_t *kms, const char *operation, FILE *out)
{
	const json_t *by_result = json_object_get(kms, operation);

	cli_field(out, WIDTH, operation, "%" PRIu64 " ok, %" PRIu64 " refused, %" PRIu64 " failed",
		number(by_result, "ok"), number(by_result, "refused"), number(by_result, "failed"));
}

static void print_client(const json_t *client, FILE *out)
{
	cli_field(out, WIDTH, "Throttled, no answer", "%" PRIu64 ", %" PRIu64, number(client, "throttled"),
		number(client, "failed"));
	cli_field(out, WIDTH, "Retries, given up", "%" PRIu64 ", %" PRIu64, number(client, "retries"),
		number(client, "given_up"));
}

static void print_kms(const json_t *s, FILE *out)
{
	const json_t *kms = json_object_get(s, "kms"), *cost = json_object_get(s, "cost");

	fputs("\nKMS\n", out);
	cli_field(out, WIDTH, "Calls made", "%" PRIu64, number(kms, "calls"));
	print_calls(kms, "GenerateDataKey", out);
	print_calls(kms, "Decrypt", out);
	cli_field(out, WIDTH, "Calls without bucket keys", "%" PRIu64, number(kms, "calls_without_cache"));
	cli_field(out, WIDTH, "Calls avoided", "%" PRIu64 " (%.4g %%)", number(kms, "calls_avoided"),
		real(kms, "reduction_percent"));
	cli_field(out, WIDTH, "Cost at AWS's prices", "$%.6f, without bucket keys $%.6f", real(cost, "made_usd"),
		real(cost, "without_cache_usd"));
	print_client(json_object_get(kms, "client"), out);
}

static void print_entries(const json_t *entries, FILE *out)
{
	struct cli_table *t = cli_table_new(6);
	const char *heading[] = {"BUCKET KEY OF", "USE", "FILES", "AGE", "IN MEMORY FOR", "WRAPS FOR"};
	size_t i;
	json_t *e;

	if (!t)
		return;
	cli_table_add(t, heading);
	json_array_foreach (entries, i, e) {
		char memory[32], lifetime[32], age[32], files[24];
		int wrapping = json_is_true(json_object_get(e, "wrapping"));

		snprintf(memory, sizeof memory, "%.0f s more", real(e, "cache_seconds_left"));
		snprintf(lifetime, sizeof lifetime, "%.1f days more", real(e, "lifetime_seconds_left") / 86400);
		snprintf(age, sizeof age, "%.1f days", real(e, "age_seconds") / 86400);
		snprintf(files, sizeof files, "%" PRIu64, number(e, "wrapped_files"));
		const char *cells[] = {json_string_value(json_object_get(e, "key_arn")),
			wrapping ? "new files" : "old files", wrapping ? files : "-", wrapping ? age : "-", memory,
			wrapping ? lifetime : "-"};
		cli_table_add(t, cells);
	}
	cli_table_print(t, out);
	cli_table_free(t);
}

static void print_cache(const json_t *cache, FILE *out)
{
	const json_t *entries = json_object_get(cache, "entries");

	fputs("\nBucket-key cache\n", out);
	cli_field(out, WIDTH, "Data keys wrapped", "%" PRIu64, number(cache, "wraps"));
	cli_field(out, WIDTH, "Data keys unwrapped", "%" PRIu64, number(cache, "unwraps"));
	cli_field(out, WIDTH, "Hits, misses, waits", "%" PRIu64 ", %" PRIu64 ", %" PRIu64, number(cache, "hits"),
		number(cache, "misses"), number(cache, "waits"));
	cli_field(out, WIDTH, "Expired, evicted", "%" PRIu64 ", %" PRIu64, number(cache, "expirations"),
		number(cache, "evictions"));
	cli_field(out, WIDTH, "Keys in memory", "%" PRIu64, number(cache, "keys"));
	if (json_array_size(entries) > 0)
		print_entries(entries, out);
}

/* ---- How long things took ---- */

static void format_duration(uint64_t ns, char out[DURATION_SIZE])
{
	if (ns >= 1000000000)
		snprintf(out, DURATION_SIZE, "%.2f s", (double)ns / 1e9);
	else if (ns >= 1000000)
		snprintf(out, DURATION_SIZE, "%.2f ms", (double)ns / 1e6);
	else
		snprintf(out, DURATION_SIZE, "%.1f us", (double)ns / 1e3);
}

static void add_latency(struct cli_table *t, const char *name, const json_t *l)
{
	static const char *const members[] = {"p50_ns", "p90_ns", "p99_ns", "max_ns"};
	char count[24], value[4][DURATION_SIZE];

	if (number(l, "count") == 0)
		return;
	snprintf(count, sizeof count, "%" PRIu64, number(l, "count"));
	for (size_t i = 0; i < 4; i++)
		format_duration(number(l, members[i]), value[i]);
	cli_table_add(t, (const char *const[]){name, count, value[0], value[1], value[2], value[3]});
}

static void print_latency(const json_t *s, FILE *out)
{
	struct cli_table *t = cli_table_new(6);
	json_t *requests = json_object_get(s, "latency");

	if (!t)
		return;
	fputs("\nLatency\n", out);
	cli_table_add(t, (const char *const[]){"WHAT", "COUNT", "MEDIAN", "90 %", "99 %", "LONGEST"});
	add_latency(t, "KMS call", json_object_get(json_object_get(json_object_get(s, "kms"), "client"), "latency"));
	for (void *i = json_object_iter(requests); i; i = json_object_iter_next(requests, i))
		add_latency(t, json_object_iter_key(i), json_object_iter_value(i));
	cli_table_print(t, out);
	cli_table_free(t);
}

void stats_table(const json_t *s, FILE *out)
{
	const json_t *cache = json_object_get(s, "cache");

	print_files(s, out);
	if (json_object_get(s, "kms"))
		print_kms(s, out);
	if (cache)
		print_cache(cache, out);
	print_latency(s, out);
}
