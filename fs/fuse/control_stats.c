/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "kms/base/encode.h"

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
	return json_pack("{s:s, s:s, s:b, s:o, s:f, s:f}", "bucket", id, "key_arn", e->key_arn, "wrapping", e->wrapping,
		"wrapped_files", number(e->wrapped_files), "cache_seconds_left",
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

static void add_request(void *context, const char *name, uint64_t count)
{
	json_object_set_new(context, name, number(count));
}

json_t *control_stats(struct mount *m)
{
	const struct mount_config *config = mount_configuration(m);
	const struct bucket_cache *cache = vault_bucket_cache(mount_vault(m));
	json_t *requests = json_object();
	struct bucket_cache_stats s;
	struct mount_stats fs;

	mount_stats(m, &fs);
	mount_requests(m, add_request, requests);
	json_t *stats = json_pack("{s:i, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pid", (int)getpid(),
		"mount_point", path_text(config->mount_point), "vault", path_text(config->vault_path), "read_only",
		config->read_only, "uptime_seconds", number(fs.uptime), "files_created", number(fs.files_created),
		"descriptors_open", number(fs.descriptors), "inodes_known", number(fs.nodes), "bytes_read",
		number(fs.bytes_read), "bytes_written", number(fs.bytes_written), "requests", requests);
	if (stats && cache) {
		bucket_cache_stats(cache, &s);
		json_object_set_new(stats, "kms", kms_calls(&s));
		json_object_set_new(stats, "cache", cache_counters(cache, &s));
	}
	return stats;
}
