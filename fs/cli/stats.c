/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/fuse/control.h"
#include "kms/base/json.h"
#include "kms/base/secret.h"

enum { WIDTH = 26 };

static uint64_t number(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void print_bytes(const char *label, uint64_t bytes)
{
	char text[CLI_BYTES_SIZE];

	cli_format_bytes(bytes, text);
	cli_field(stdout, WIDTH, label, "%s", text);
}

static void print_seconds(const char *label, uint64_t seconds)
{
	cli_field(stdout, WIDTH, label, "%" PRIu64 ":%02u:%02u", seconds / 3600, (unsigned)(seconds / 60 % 60),
		(unsigned)(seconds % 60));
}

static void print_files(const json_t *s)
{
	cli_field(stdout, WIDTH, "Mount point", "%s", json_string_value(json_object_get(s, "mount_point")));
	cli_field(stdout, WIDTH, "Vault", "%s", json_string_value(json_object_get(s, "vault")));
	print_seconds("Mounted for", number(s, "uptime_seconds"));
	cli_field(stdout, WIDTH, "Files created", "%" PRIu64, number(s, "files_created"));
	print_bytes("Read", number(s, "bytes_read"));
	print_bytes("Written", number(s, "bytes_written"));
	cli_field(stdout, WIDTH, "Inodes known", "%" PRIu64, number(s, "inodes_known"));
	cli_field(stdout, WIDTH, "Descriptors open", "%" PRIu64, number(s, "descriptors_open"));
}

static void print_calls(const json_t *kms, const char *operation)
{
	const json_t *by_result = json_object_get(kms, operation);

	cli_field(stdout, WIDTH, operation, "%" PRIu64 " ok, %" PRIu64 " refused, %" PRIu64 " failed",
		number(by_result, "ok"), number(by_result, "refused"), number(by_result, "failed"));
}

static void print_kms(const json_t *kms)
{
	printf("\nKMS\n");
	cli_field(stdout, WIDTH, "Calls made", "%" PRIu64, number(kms, "calls"));
	print_calls(kms, "GenerateDataKey");
	print_calls(kms, "Decrypt");
	cli_field(stdout, WIDTH, "Calls without bucket keys", "%" PRIu64, number(kms, "calls_without_cache"));
	cli_field(stdout, WIDTH, "Calls avoided", "%" PRIu64 " (%.2f %%)", number(kms, "calls_avoided"),
		json_number_value(json_object_get(kms, "reduction_percent")));
}

static void print_entries(const json_t *entries)
{
	struct cli_table *t = cli_table_new(4);
	const char *heading[] = {"BUCKET KEY OF", "USE", "IN MEMORY FOR", "WRAPS FOR"};
	size_t i;
	json_t *e;

	if (!t)
		return;
	cli_table_add(t, heading);
	json_array_foreach (entries, i, e) {
		char memory[32], lifetime[32];
		int wrapping = json_is_true(json_object_get(e, "wrapping"));

		snprintf(memory, sizeof memory, "%.0f s more",
			json_number_value(json_object_get(e, "cache_seconds_left")));
		snprintf(lifetime, sizeof lifetime, "%.1f days more",
			json_number_value(json_object_get(e, "lifetime_seconds_left")) / 86400);
		const char *cells[] = {json_string_value(json_object_get(e, "key_arn")),
			wrapping ? "new files" : "old files", memory, wrapping ? lifetime : "-"};
		cli_table_add(t, cells);
	}
	cli_table_print(t, stdout);
	cli_table_free(t);
}

static void print_cache(const json_t *cache)
{
	const json_t *entries = json_object_get(cache, "entries");

	printf("\nBucket-key cache\n");
	cli_field(stdout, WIDTH, "Data keys wrapped", "%" PRIu64, number(cache, "wraps"));
	cli_field(stdout, WIDTH, "Data keys unwrapped", "%" PRIu64, number(cache, "unwraps"));
	cli_field(stdout, WIDTH, "Hits, misses, waits", "%" PRIu64 ", %" PRIu64 ", %" PRIu64, number(cache, "hits"),
		number(cache, "misses"), number(cache, "waits"));
	cli_field(stdout, WIDTH, "Expired, evicted", "%" PRIu64 ", %" PRIu64, number(cache, "expirations"),
		number(cache, "evictions"));
	cli_field(stdout, WIDTH, "Keys in memory", "%" PRIu64, number(cache, "keys"));
	if (json_array_size(entries) > 0)
		print_entries(entries);
}

static void print_table(const json_t *s)
{
	const json_t *kms = json_object_get(s, "kms"), *cache = json_object_get(s, "cache");

	print_files(s);
	if (kms)
		print_kms(kms);
	if (cache)
		print_cache(cache);
}

static enum err show(const char *point, int as_json)
{
	json_t *s AUTO_JSON = NULL;
	size_t len;

	TRY(control_ask(point, "stats", &s));
	if (!as_json) {
		print_table(s);
		return ERR_OK;
	}
	char *text = json_text(s, &len);
	if (!text)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	puts(text);
	secret_heap_free(text);
	return ERR_OK;
}

int cli_stats(int argc, char **argv)
{
	int as_json = 0, watch = 0;
	const struct cli_option options[] = {
		{"json", 0, CLI_FLAG, &as_json, NULL, "one line of JSON"},
		{"watch", 'w', CLI_FLAG, &watch, NULL, "again every second, until interrupted or unmounted"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs stats [--json] [--watch] MOUNTPOINT",
		"What a mount has done: KMS calls made and avoided, the bucket-key cache, files and bytes.", 1, 1,
		options, NULL};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done >= 0)
		return done;
	char *point = realpath(argv[1], NULL);
	enum err e = show(point ? point : argv[1], as_json);
	while (e == ERR_OK && watch && cli_finish(CLI_DONE) == CLI_DONE) {
		sleep(1);
		if (!as_json && cli_is_terminal(stdout))
			printf("\033[H\033[2J");
		e = show(point, as_json);
	}
	free(point);
	return e == ERR_OK ? CLI_DONE : cli_fail(e, "asking the mount at %s", argv[1]);
}
