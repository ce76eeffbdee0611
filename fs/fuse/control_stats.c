/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "kms/base/encode.h"
#include "kms/base/prices.h"

enum { ENTRIES_MAX = 64 };

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* JSON is UTF-8, a path need not be. */
static json_t *path_text(const char *path)
{
	json_t *text = json_string(path);
	char copy[4096];

	if (text)
		return text;
	snprintf(copy, sizeof copy, "%s", path);
	for (char *c = copy; *c; c++)
		if (*c & 0x80)
			*c = '?';
	return json_string(copy);
}

static json_t *results(uint64_t ok, uint64_t refused, uint64_t failed)
{
	return json_pack("{s:o, s:o, s:o}", "ok", number(ok), "refused", number(refused), "failed", number(failed));
}

static json_t *kms_calls(const struct bucket_cache_stats *s)
{
	/* Opening the vault cost one Decrypt for the volume key, with or without bucket keys. */
	uint64_t decrypts = s->decrypt_ok + 1;
	uint64_t made = s->generate_ok + s->generate_refused + s->generate_failed + decrypts + s->decrypt_refused +
			s->decrypt_failed;
	uint64_t without = s->calls_without + 1;
	uint64_t avoided = without > made ? without - made : 0;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:f}", "GenerateDataKey",
		results(s->generate_ok, s->generate_refused, s->generate_failed), "Decrypt",
		results(decrypts, s->decrypt_refused, s->decrypt_failed), "calls", number(made), "calls_without_cache",
		number(without), "calls_avoided", number(avoided), "reduction_percent",
		100.0 * (double)avoided / (double)without);
}

static json_t *cache_entry(const struct bucket_cache_entry *e)
{
	char id[2 * BUCKET_ID_SIZE + 1];

	encode_hex(e->id.b, sizeof e->id.b, id);
	return json_pack("{s:s, s:s, s:b, s:o, s:f, s:f, s:f}", "bucket", id, "key_arn", e->key_arn, "wrapping",
		e->wrapping, "wrapped_files", number(e->wrapped_files), "age_seconds",
		(double)e->age / (double)CLOCK_SECOND, "cache_seconds_left",
		(double)e->cache_time_left / (double)CLOCK_SECOND, "lifetime_seconds_left",
		(double)e->lifetime_left / (double)CLOCK_SECOND);
}

static json_t *cache_entries(const struct bucket_cache *cache)
{
	struct bucket_cache_entry *entries = calloc(ENTRIES_MAX, sizeof *entries);
	json_t *list = json_array();

	if (!entries)
		return list;
	size_t n = bucket_cache_entries(cache, entries, ENTRIES_MAX);
	for (size_t i = 0; i < n && i < ENTRIES_MAX; i++)
		json_array_append_new(list, cache_entry(&entries[i]));
	free(entries);
	return list;
}

static json_t *cache_counters(const struct bucket_cache *cache, const struct bucket_cache_stats *s)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "keys", number(s->entries), "hits",
		number(s->hits), "misses", number(s->misses), "waits", number(s->waits), "evictions",
		number(s->evictions), "expirations", number(s->expirations), "wraps", number(s->wraps), "unwraps",
		number(s->unwraps), "entries", cache_entries(cache));
}

static json_t *latency_of(const struct latency_summary *l)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "count", number(l->count), "sum_ns", number(l->sum),
		"p50_ns", number(l->p50), "p90_ns", number(l->p90), "p99_ns", number(l->p99), "max_ns", number(l->max));
}

struct requests {
	json_t *counts, *latency;
};

static void add_request(void *context, const char *name, uint64_t count, const struct latency_summary *latency)
{
	struct requests *r = context;

	json_object_set_new(r->counts, name, number(count));
	json_object_set_new(r->latency, name, latency_of(latency));
}

/* What the wire client saw: the counters above are the cache's, which does not know of attempts. */
static json_t *client_seen(const struct bucket_cache *cache)
{
	struct kms_stats s;

	bucket_cache_kms_stats(cache, &s);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "attempts", number(s.attempts), "throttled",
		number(s.throttled), "failed", number(s.failed), "retries", number(s.retries), "given_up",
		number(s.given_up), "latency", latency_of(&s.latency));
}

/* In dollars, at the price of what a mount asks for; free requests are not taken off: they are the account's, not the mount's. */
static json_t *cost_of(const json_t *kms)
{
	double price = PRICE_SYMMETRIC / PRICED_REQUESTS;
	double made = price * (double)json_integer_value(json_object_get(kms, "calls"));
	double without = price * (double)json_integer_value(json_object_get(kms, "calls_without_cache"));

	return json_pack("{s:f, s:f, s:f}", "made_usd", made, "without_cache_usd", without, "saved_usd",
		without > made ? without - made : 0.0);
}

static void add_keys(json_t *stats, const struct bucket_cache *cache)
{
	struct bucket_cache_stats s;

	bucket_cache_stats(cache, &s);
	json_t *kms = kms_calls(&s);
	json_object_set_new(stats, "cost", cost_of(kms));
	json_object_set_new(kms, "client", client_seen(cache));
	json_object_set_new(stats, "kms", kms);
	json_object_set_new(stats, "cache", cache_counters(cache, &s));
}

json_t *control_stats(struct mount *m)
{
	const struct mount_config *config = mount_configuration(m);
	const struct bucket_cache *cache = vault_bucket_cache(mount_vault(m));
	struct requests requests = {json_object(), json_object()};
	struct mount_stats fs;

	mount_stats(m, &fs);
	mount_requests(m, add_request, &requests);
	json_t *stats = json_pack("{s:i, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pid", (int)getpid(),
		"mount_point", path_text(config->mount_point), "vault", path_text(config->vault_path), "read_only",
		config->read_only, "uptime_seconds", number(fs.uptime), "files_created", number(fs.files_created),
		"descriptors_open", number(fs.descriptors), "inodes_known", number(fs.nodes), "bytes_read",
		number(fs.bytes_read), "bytes_written", number(fs.bytes_written), "requests", requests.counts,
		"latency", requests.latency);
	if (stats && cache)
		add_keys(stats, cache);
	return stats;
}
