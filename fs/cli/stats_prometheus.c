/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/stats.h"

#include <inttypes.h>
#include <string.h>

/* ---- The format ---- */

struct exposition {
	FILE *out;
	const char *mount_point;
};

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			putc('\\', out);
		if (*text == '\n')
			fputs("\\n", out);
		else
			putc(*text, out);
	}
}

static void put_head(const struct exposition *x, const char *name, const char *type, const char *help)
{
	fprintf(x->out, "# HELP signetfs_mount_%s %s\n# TYPE signetfs_mount_%s %s\n", name, help, name, type);
}

/* One sample; @labels are pairs, NULL behind the last. */
static void put_sample(const struct exposition *x, const char *name, const char *const *labels, double value)
{
	fprintf(x->out, "signetfs_mount_%s{mount_point=\"", name);
	put_escaped(x->out, x->mount_point);
	for (; labels && labels[0]; labels += 2) {
		fprintf(x->out, "\",%s=\"", labels[0]);
		put_escaped(x->out, labels[1]);
	}
	fprintf(x->out, "\"} %.17g\n", value);
}

/* ---- Single values ---- */

static const struct metric {
	const char *path[3]; /* members, from the outside in */
	const char *name, *type, *help;
} metrics[] = {
	{{"uptime_seconds"}, "uptime_seconds", "gauge", "How long it has been mounted."},
	{{"files_created"}, "files_created_total", "counter", "Files made."},
	{{"bytes_read"}, "read_bytes_total", "counter", "Bytes that programs read."},
	{{"bytes_written"}, "written_bytes_total", "counter", "Bytes that programs wrote."},
	{{"inodes_known"}, "inodes", "gauge", "Files and directories that the kernel knows."},
	{{"descriptors_open"}, "descriptors", "gauge", "Files of the vault that are open."},
	{{"kms", "calls_without_cache"}, "kms_calls_without_cache_total", "counter",
		"KMS calls that there would have been without bucket keys."},
	{{"kms", "calls_avoided"}, "kms_calls_avoided", "gauge", "KMS calls that bucket keys have saved."},
	{{"kms", "client", "attempts"}, "kms_attempts_total", "counter", "Requests sent to the KMS."},
	{{"kms", "client", "throttled"}, "kms_throttled_total", "counter", "Requests that the KMS throttled."},
	{{"kms", "client", "failed"}, "kms_unanswered_total", "counter", "Requests without a usable answer."},
	{{"kms", "client", "retries"}, "kms_retries_total", "counter", "Requests that repeated another."},
	{{"kms", "client", "given_up"}, "kms_given_up_total", "counter", "Calls that ended without an answer."},
	{{"cost", "made_usd"}, "kms_cost_dollars_total", "counter", "What the calls cost at AWS's prices."},
	{{"cost", "without_cache_usd"}, "kms_cost_without_cache_dollars_total", "counter",
		"What they would have cost without bucket keys."},
	{{"cache", "keys"}, "cache_keys", "gauge", "Bucket keys in memory."},
	{{"cache", "hits"}, "cache_hits_total", "counter", "Bucket keys that were in memory."},
	{{"cache", "misses"}, "cache_misses_total", "counter", "Bucket keys that were asked for."},
	{{"cache", "waits"}, "cache_waits_total", "counter", "Waits for another's KMS call."},
	{{"cache", "expirations"}, "cache_expirations_total", "counter", "Bucket keys whose cache time ended."},
	{{"cache", "evictions"}, "cache_evictions_total", "counter", "Bucket keys that made room for others."},
	{{"cache", "wraps"}, "data_keys_wrapped_total", "counter", "Data keys made."},
	{{"cache", "unwraps"}, "data_keys_unwrapped_total", "counter", "Data keys opened."},
};

static const json_t *find(const json_t *s, const struct metric *m)
{
	for (size_t i = 0; i < 3 && m->path[i]; i++)
		s = json_object_get(s, m->path[i]);
	return s;
}

static void put_values(const struct exposition *x, const json_t *s)
{
	for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
		const json_t *value = find(s, &metrics[i]);

		if (!value)
			continue;
		put_head(x, metrics[i].name, metrics[i].type, metrics[i].help);
		put_sample(x, metrics[i].name, NULL, json_number_value(value));
	}
}

/* ---- Families ---- */

static void put_calls(const struct exposition *x, const json_t *kms)
{
	static const char *const operations[] = {"GenerateDataKey", "Decrypt"};
	static const char *const results[] = {"ok", "refused", "failed"};

	put_head(x, "kms_calls_total", "counter", "KMS calls by operation and result.");
	for (size_t o = 0; o < 2; o++)
		for (size_t r = 0; r < 3; r++) {
			const char *labels[] = {"operation", operations[o], "result", results[r], NULL};
			const json_t *n = json_object_get(json_object_get(kms, operations[o]), results[r]);
			put_sample(x, "kms_calls_total", labels, json_number_value(n));
		}
}

/* A bucket and whether it wraps are not enough to tell two keys of it apart: what is shown is the longest-lived. */
static void put_bucket_keys(const struct exposition *x, const json_t *entries)
{
	static const struct {
		const char *member, *name, *help;
	} gauges[] = {
		{"wrapped_files", "bucket_key_files", "Files under the bucket key that wraps new ones."},
		{"age_seconds", "bucket_key_age_seconds", "Age of the bucket key that wraps new files."},
		{"cache_seconds_left", "bucket_key_cache_seconds", "Until it leaves the memory."},
		{"lifetime_seconds_left", "bucket_key_lifetime_seconds", "Until another one takes its place."},
	};
	size_t n;
	json_t *e;

	for (size_t g = 0; g < sizeof gauges / sizeof gauges[0]; g++) {
		put_head(x, gauges[g].name, "gauge", gauges[g].help);
		json_array_foreach (entries, n, e) {
			const char *labels[] = {"bucket", json_string_value(json_object_get(e, "bucket")), "key",
				json_string_value(json_object_get(e, "key_arn")), NULL};
			if (json_is_true(json_object_get(e, "wrapping")))
				put_sample(x, gauges[g].name, labels,
					json_number_value(json_object_get(e, gauges[g].member)));
		}
	}
}

static void put_summary(const struct exposition *x, const char *name, const char *request, const json_t *l)
{
	static const char *const quantiles[][2] = {
		{"p50_ns", "0.5"}, {"p90_ns", "0.9"}, {"p99_ns", "0.99"}, {"max_ns", "1"}};
	const char *labels[] = {request ? "request" : NULL, request, NULL};
	char part[64];

	for (size_t i = 0; i < 4; i++) {
		const char *with[] = {"quantile", quantiles[i][1], labels[0], labels[1], NULL};
		put_sample(x, name, with, json_number_value(json_object_get(l, quantiles[i][0])) / 1e9);
	}
	snprintf(part, sizeof part, "%s_sum", name);
	put_sample(x, part, labels, json_number_value(json_object_get(l, "sum_ns")) / 1e9);
	snprintf(part, sizeof part, "%s_count", name);
	put_sample(x, part, labels, json_number_value(json_object_get(l, "count")));
}

void stats_prometheus(const json_t *s, FILE *out)
{
	const struct exposition x = {out, json_string_value(json_object_get(s, "mount_point"))};
	const json_t *kms = json_object_get(s, "kms");
	json_t *latency = json_object_get(s, "latency");

	put_values(&x, s);
	if (kms) {
		put_calls(&x, kms);
		put_bucket_keys(&x, json_object_get(json_object_get(s, "cache"), "entries"));
		put_head(&x, "kms_call_seconds", "summary", "How long KMS calls took, with their retries.");
		put_summary(&x, "kms_call_seconds", NULL, json_object_get(json_object_get(kms, "client"), "latency"));
	}
	put_head(&x, "request_seconds", "summary", "How long the kernel's requests took.");
	for (void *i = json_object_iter(latency); i; i = json_object_iter_next(latency, i))
		put_summary(&x, "request_seconds", json_object_iter_key(i), json_object_iter_value(i));
}
