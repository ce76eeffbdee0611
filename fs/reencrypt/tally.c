/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/reencrypt/tally.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/kdf.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct row_key {
	char key_arn[KMS_ARN_MAX + 1];
	char backing[KMS_BACKING_SIZE];
	enum file_wrap wrap;
};

struct row {
	struct row_key key; /* every byte of it counts: zeroed first */
	struct tally_row sum;
	UT_hash_handle hh;
};

struct seen {
	uint8_t digest[SHA256_SIZE];
	UT_hash_handle hh;
};

struct tally {
	pthread_mutex_t lock;
	struct row *rows;
	struct seen *seen;
};

struct tally *tally_new(void)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (t)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void tally_free(struct tally *t)
{
	struct row *r = NULL, *next = NULL;
	struct seen *s = NULL, *after = NULL;

	if (!t)
		return;
	HASH_ITER (hh, t->rows, r, next) {
		HASH_DELETE(hh, t->rows, r);
		free(r);
	}
	HASH_ITER (hh, t->seen, s, after) {
		HASH_DELETE(hh, t->seen, s);
		free(s);
	}
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static void fill_key(struct row_key *k, const struct kms_wrapped_key *wrapped, enum file_wrap wrap)
{
	memset(k, 0, sizeof(*k));
	snprintf(k->key_arn, sizeof(k->key_arn), "%s", wrapped->key_arn);
	kms_backing_key(wrapped, k->backing);
	k->wrap = wrap;
}

static struct row *add_row(struct tally *t, const struct row_key *key)
{
	unsigned before = HASH_COUNT(t->rows);
	struct row *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->key = *key;
	memcpy(r->sum.key_arn, key->key_arn, sizeof(r->sum.key_arn));
	memcpy(r->sum.backing, key->backing, sizeof(r->sum.backing));
	r->sum.wrap = key->wrap;
	HASH_ADD(hh, t->rows, key, sizeof(r->key), r);
	if (HASH_COUNT(t->rows) > before)
		return r;
	free(r);
	return NULL;
}

/* NULL: memory; the count lacks something then, and a table of keys that is cut short is not what it looks like: see tally_rows(). */
static struct row *row_of(struct tally *t, const struct kms_wrapped_key *wrapped, enum file_wrap wrap)
{
	struct row_key key;
	struct row *r;

	fill_key(&key, wrapped, wrap);
	HASH_FIND(hh, t->rows, &key, sizeof(key), r);
	if (r)
		return r;
	if (HASH_COUNT(t->rows) >= TALLY_MAX) {
		memset(&key, 0, sizeof(key));
		snprintf(key.key_arn, sizeof(key.key_arn), "(more keys than can be listed)");
		HASH_FIND(hh, t->rows, &key, sizeof(key), r);
	}
	return r ? r : add_row(t, &key);
}

/* True for a bucket key that was not met yet. */
static int is_new(struct tally *t, const struct kms_wrapped_key *wrapped)
{
	uint8_t digest[SHA256_SIZE];
	unsigned before = HASH_COUNT(t->seen);
	struct seen *s;

	if (before >= TALLY_BUCKET_KEYS_MAX || kdf_sha256(wrapped->blob, wrapped->blob_len, digest) != ERR_OK)
		return 0;
	HASH_FIND(hh, t->seen, digest, sizeof(digest), s);
	if (s || !(s = calloc(1, sizeof(*s))))
		return 0;
	memcpy(s->digest, digest, sizeof(digest));
	HASH_ADD(hh, t->seen, digest, sizeof(s->digest), s);
	if (HASH_COUNT(t->seen) > before)
		return 1;
	free(s);
	return 0;
}

void tally_file(struct tally *t, const struct file_header *h, uint64_t bytes)
{
	struct row *r;

	pthread_mutex_lock(&t->lock);
	r = row_of(t, &h->kms_key, h->wrap);
	if (r) {
		r->sum.files++;
		r->sum.bytes += bytes;
		if (h->wrap == WRAP_BUCKET && is_new(t, &h->kms_key))
			r->sum.bucket_keys++;
	}
	pthread_mutex_unlock(&t->lock);
}

void tally_thing(struct tally *t, const char *what, const struct kms_wrapped_key *wrapped)
{
	int is_volume = strcmp(what, "volume key") == 0;
	struct row *r;

	pthread_mutex_lock(&t->lock);
	r = row_of(t, wrapped, is_volume ? WRAP_KMS : WRAP_BUCKET);
	if (r && is_volume)
		r->sum.volume_key = 1;
	else if (r)
		r->sum.new_files = 1;
	pthread_mutex_unlock(&t->lock);
}

static int compare(const void *a, const void *b)
{
	const struct tally_row *x = a, *y = b;
	int c = strcmp(x->key_arn, y->key_arn);

	if (c == 0)
		c = strcmp(x->backing, y->backing);
	return c ? c : (int)x->wrap - (int)y->wrap;
}

size_t tally_rows(struct tally *t, struct tally_row **ret)
{
	struct tally_row *rows;
	struct row *r = NULL, *next = NULL;
	size_t n = 0;

	pthread_mutex_lock(&t->lock);
	rows = calloc(HASH_COUNT(t->rows) + 1, sizeof(*rows));
	HASH_ITER (hh, t->rows, r, next)
		if (rows)
			rows[n++] = r->sum;
	pthread_mutex_unlock(&t->lock);
	if (n > 0)
		qsort(rows, n, sizeof(*rows), compare);
	*ret = rows;
	return n;
}

static const char *wrap_name(enum file_wrap wrap)
{
	return wrap == WRAP_BUCKET ? "bucket key" : "KMS key";
}

json_t *tally_json(struct tally *t)
{
	json_t *list = json_array();
	struct tally_row *rows;
	size_t n = tally_rows(t, &rows);

	for (size_t i = 0; i < n; i++) {
		const struct tally_row *r = &rows[i];

		json_array_append_new(list,
			json_pack("{s:s, s:o, s:s, s:I, s:I, s:I, s:b, s:b}", "key_arn", r->key_arn, "backing_key",
				r->backing[0] ? json_string(r->backing) : json_null(), "wrapped_by", wrap_name(r->wrap),
				"files", (json_int_t)r->files, "bytes", (json_int_t)r->bytes, "bucket_keys",
				(json_int_t)r->bucket_keys, "volume_key", r->volume_key, "new_files", r->new_files));
	}
	free(rows);
	return list;
}
