/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_kms_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "kms/base/bytes.h"
#include "kms/base/json.h"
#include "kms/base/random.h"

#define FAKE_MAGIC      "FAKEBLOB"
#define FAKE_ARN_PREFIX "arn:aws:kms:us-east-1:000000000000:"

void fake_kms_lock(struct fake_kms *f)
{
	int failed = pthread_mutex_lock(&f->lock);

	assert(!failed);
	(void)failed;
}

void fake_kms_unlock(struct fake_kms *f)
{
	pthread_mutex_unlock(&f->lock);
}

static void count_call(struct fake_kms *f, const char *operation)
{
	size_t i;

	f->total++;
	for (i = 0; i < FAKE_MAX_OPERATIONS - 1 && f->counts[i].n; i++)
		if (!strcmp(f->counts[i].operation, operation))
			break;
	snprintf(f->counts[i].operation, sizeof(f->counts[i].operation), "%s", operation);
	f->counts[i].n++;
}

struct fake_key *fake_kms_new_key(struct fake_kms *f, const char *alias)
{
	struct fake_key *k = &f->keys[f->key_count];

	assert(f->key_count < FAKE_MAX_KEYS);
	snprintf(k->arn, sizeof(k->arn), FAKE_ARN_PREFIX "key/00000000-0000-4000-8000-%012zu", ++f->key_count);
	snprintf(k->alias, sizeof(k->alias), "%s", alias ? alias : "");
	return k;
}

struct fake_key *fake_kms_find_key(struct fake_kms *f, const char *id)
{
	size_t prefix = strlen(FAKE_ARN_PREFIX);
	const char *name = strncmp(id, FAKE_ARN_PREFIX, prefix) ? id : id + prefix;

	for (size_t i = 0; i < f->key_count; i++) {
		const char *tail = f->keys[i].arn + prefix; /* "key/UUID" */

		if (!strcmp(name, tail) || !strcmp(name, tail + strlen("key/")))
			return &f->keys[i];
		if (f->keys[i].alias[0] && !strcmp(name, f->keys[i].alias))
			return &f->keys[i];
	}
	if (!strcmp(name, "alias/aws/signetfs"))
		return fake_kms_new_key(f, name);
	return NULL;
}

static enum err check_state(const struct fake_key *k, const char *operation)
{
	int managing = !strcmp(operation, "DescribeKey") || !strcmp(operation, "EnableKey") ||
		       !strcmp(operation, "DisableKey");

	switch (k->state) {
	case FAKE_KMS_DISABLED:
		return managing ? ERR_OK : err_fail(ERR_KMS_DISABLED, "%s is disabled.", k->arn);
	case FAKE_KMS_DENIED:
		return err_fail(ERR_KMS_ACCESS_DENIED, "not authorized to perform kms:%s on %s", operation, k->arn);
	case FAKE_KMS_PENDING_DELETION:
		return managing ? ERR_OK : err_fail(ERR_KMS_INVALID_STATE, "%s is pending deletion.", k->arn);
	case FAKE_KMS_DELETED:
		return err_fail(ERR_KMS_NOT_FOUND, "Key '%s' does not exist", k->arn);
	case FAKE_KMS_UNREACHABLE:
		return err_fail(ERR_KMS_UNREACHABLE, "fake KMS: connection refused");
	case FAKE_KMS_ENABLED:
		break;
	}
	return ERR_OK;
}

/* The key that a request names, able to perform @operation now. */
static enum err request_key(struct fake_kms *f, const char *operation, const json_t *request, struct fake_key **ret)
{
	const char *id = json_string_value(json_object_get(request, "KeyId"));
	struct fake_key *k;

	if (!id)
		return err_fail(ERR_KMS_VALIDATION, "1 validation error detected: Value null at 'keyId' ...");
	k = fake_kms_find_key(f, id);
	if (!k)
		return err_fail(ERR_KMS_NOT_FOUND, "Key '%s' does not exist", id);
	TRY(check_state(k, operation));
	*ret = k;
	return ERR_OK;
}

static json_t *request_context(const json_t *request)
{
	const json_t *c = json_object_get(request, "EncryptionContext");

	return c ? json_deep_copy(c) : json_object();
}

static const char *answered_arn(const struct fake_kms *f, const struct fake_key *k)
{
	return f->answer_as[0] ? f->answer_as : k->arn;
}

static void put_plaintext(const struct fake_kms *f, json_t *out, const uint8_t *plain, size_t len)
{
	uint8_t buf[FAKE_PLAIN_MAX] = {0};

	memcpy(buf, plain, len);
	json_set_blob(out, "Plaintext", buf, f->plaintext_size ? f->plaintext_size : len);
	secret_wipe(buf, sizeof(buf));
}

/* Remember @plain under a new blob and put that into @out. */
static void put_new_blob(
	struct fake_kms *f, const struct fake_key *k, const json_t *request, const void *plain, size_t len, json_t *out)
{
	uint8_t text[FAKE_BLOB_MAX];
	struct fake_blob *b;
	struct writer w;

	if (f->blob_count == f->blob_room) {
		f->blob_room = f->blob_room ? 2 * f->blob_room : 64;
		f->blobs = realloc(f->blobs, f->blob_room * sizeof(*f->blobs));
		assert(f->blobs);
	}
	b = &f->blobs[f->blob_count];
	b->key = (size_t)(k - f->keys);
	b->context = request_context(request);
	b->len = len;
	b->plain = malloc(len ? len : 1);
	assert(b->plain);
	memcpy(b->plain, plain, len);
	random_bytes(b->tail, sizeof(b->tail));

	writer_init(&w, text, f->blob_size);
	writer_put(&w, FAKE_MAGIC, 8);
	writer_u64(&w, f->blob_count++);
	writer_put(&w, b->tail, sizeof(b->tail));
	/* Different to the last byte, so that half of one is none. */
	while (w.used < f->blob_size)
		writer_put(&w, &b->tail[w.used % sizeof(b->tail)], 1);
	json_set_blob(out, "CiphertextBlob", text, f->blob_size);
}

static enum err parse_blob(struct fake_kms *f, const uint8_t *p, size_t len, struct fake_blob **ret)
{
	const uint8_t *magic, *tail;
	struct reader r;
	uint64_t number;

	reader_init(&r, p, len);
	TRY(reader_take(&r, 8, &magic));
	TRY(reader_u64(&r, &number));
	TRY(reader_take(&r, 16, &tail));
	if (memcmp(magic, FAKE_MAGIC, 8) != 0 || number >= f->blob_count ||
		memcmp(tail, f->blobs[number].tail, 16) != 0)
		return ERR_FORMAT;
	for (size_t i = 32; i < len; i++)
		if (p[i] != tail[i % 16])
			return ERR_FORMAT;
	*ret = &f->blobs[number];
	return ERR_OK;
}

static enum err request_blob(struct fake_kms *f, const json_t *request, struct fake_blob **ret)
{
	json_t *context AUTO_JSON = request_context(request);
	uint8_t *bytes AUTO_SECRET = NULL;
	struct fake_blob *b;
	size_t len;

	if (json_get_blob(request, "CiphertextBlob", &bytes, &len) != ERR_OK)
		return err_fail(ERR_KMS_VALIDATION, "1 validation error detected: Value null at 'ciphertextBlob' ...");
	if (parse_blob(f, bytes, len, &b) != ERR_OK || !json_equal(context, b->context))
		return err_fail(ERR_KMS_INVALID_CIPHERTEXT, "InvalidCiphertextException");
	*ret = b;
	return ERR_OK;
}

static enum err op_create_key(struct fake_kms *f, const json_t *request, json_t *out)
{
	const struct fake_key *k = fake_kms_new_key(f, NULL);

	(void)request;
	json_object_set_new(out, "KeyMetadata",
		json_pack("{s:s, s:s, s:s}", "KeyId", k->arn + strlen(FAKE_ARN_PREFIX "key/"), "Arn", k->arn,
			"KeyState", "Enabled"));
	return ERR_OK;
}

static enum err op_describe_key(struct fake_kms *f, const json_t *request, json_t *out)
{
	static const char *const state_names[] = {
		[FAKE_KMS_ENABLED] = "Enabled",
		[FAKE_KMS_DISABLED] = "Disabled",
		[FAKE_KMS_PENDING_DELETION] = "PendingDeletion",
	};
	struct fake_key *k = NULL;

	TRY(request_key(f, "DescribeKey", request, &k));
	json_object_set_new(out, "KeyMetadata",
		json_pack("{s:s, s:s, s:s, s:b}", "KeyId", k->arn + strlen(FAKE_ARN_PREFIX "key/"), "Arn",
			answered_arn(f, k), "KeyState", state_names[k->state], "Enabled",
			k->state == FAKE_KMS_ENABLED));
	return ERR_OK;
}

static enum err op_enable_key(struct fake_kms *f, const json_t *request, json_t *out)
{
	struct fake_key *k = NULL;

	(void)out;
	TRY(request_key(f, "EnableKey", request, &k));
	k->state = FAKE_KMS_ENABLED;
	return ERR_OK;
}

static enum err op_disable_key(struct fake_kms *f, const json_t *request, json_t *out)
{
	struct fake_key *k = NULL;

	(void)out;
	TRY(request_key(f, "DisableKey", request, &k));
	k->state = FAKE_KMS_DISABLED;
	return ERR_OK;
}

static enum err generate(struct fake_kms *f, const char *operation, const json_t *request, json_t *out, int with_plain)
{
	struct data_key key AUTO_WIPE;
	struct fake_key *k = NULL;

	TRY(request_key(f, operation, request, &k));
	random_bytes(key.b, sizeof(key.b));
	put_new_blob(f, k, request, key.b, sizeof(key.b), out);
	if (with_plain)
		put_plaintext(f, out, key.b, sizeof(key.b));
	json_object_set_new(out, "KeyId", json_string(answered_arn(f, k)));
	return ERR_OK;
}

static enum err op_generate(struct fake_kms *f, const json_t *request, json_t *out)
{
	return generate(f, "GenerateDataKey", request, out, 1);
}

static enum err op_generate_without(struct fake_kms *f, const json_t *request, json_t *out)
{
	return generate(f, "GenerateDataKeyWithoutPlaintext", request, out, 0);
}

static enum err op_encrypt(struct fake_kms *f, const json_t *request, json_t *out)
{
	uint8_t *plain AUTO_SECRET = NULL;
	struct fake_key *k = NULL;
	size_t len;

	TRY(request_key(f, "Encrypt", request, &k));
	if (json_get_blob(request, "Plaintext", &plain, &len) != ERR_OK || len > FAKE_PLAIN_MAX)
		return err_fail(ERR_KMS_VALIDATION, "1 validation error detected: Value at 'plaintext' ...");
	put_new_blob(f, k, request, plain, len, out);
	json_object_set_new(out, "KeyId", json_string(answered_arn(f, k)));
	return ERR_OK;
}

static enum err op_decrypt(struct fake_kms *f, const json_t *request, json_t *out)
{
	const char *id = json_string_value(json_object_get(request, "KeyId"));
	struct fake_blob *b = NULL;
	struct fake_key *k = NULL;

	TRY(request_blob(f, request, &b));
	k = &f->keys[b->key];
	if (id && fake_kms_find_key(f, id) != k)
		return err_fail(ERR_KMS_INCORRECT_KEY,
			"The key ID in the request does not identify a CMK that can perform this operation.");
	TRY(check_state(k, "Decrypt"));
	put_plaintext(f, out, b->plain, b->len);
	json_object_set_new(out, "KeyId", json_string(answered_arn(f, k)));
	return ERR_OK;
}

/* As a Decrypt and an Encrypt, whose members have names of their own. */
static enum err op_re_encrypt(struct fake_kms *f, const json_t *request, json_t *out)
{
	json_t *from AUTO_JSON = json_object(), *to AUTO_JSON = json_object();
	struct fake_blob *b = NULL;
	struct fake_key *k = NULL;

	json_object_set(from, "CiphertextBlob", json_object_get(request, "CiphertextBlob"));
	json_object_set(from, "EncryptionContext", json_object_get(request, "SourceEncryptionContext"));
	json_object_set(to, "KeyId", json_object_get(request, "DestinationKeyId"));
	json_object_set(to, "EncryptionContext", json_object_get(request, "DestinationEncryptionContext"));
	TRY(request_blob(f, from, &b));
	TRY(check_state(&f->keys[b->key], "ReEncryptFrom"));
	TRY(request_key(f, "ReEncryptTo", to, &k));
	put_new_blob(f, k, to, f->blobs[b - f->blobs].plain, b->len, out);
	json_object_set_new(out, "KeyId", json_string(answered_arn(f, k)));
	return ERR_OK;
}

static const struct {
	const char *name;
	enum err (*run)(struct fake_kms *f, const json_t *request, json_t *out);
} operations[] = {
	{"CreateKey", op_create_key},
	{"DescribeKey", op_describe_key},
	{"EnableKey", op_enable_key},
	{"DisableKey", op_disable_key},
	{"GenerateDataKey", op_generate},
	{"GenerateDataKeyWithoutPlaintext", op_generate_without},
	{"Encrypt", op_encrypt},
	{"Decrypt", op_decrypt},
	{"ReEncrypt", op_re_encrypt},
};

static enum err run_operation(struct fake_kms *f, const char *operation, const json_t *request, json_t *out)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (!strcmp(operations[i].name, operation))
			return operations[i].run(f, request, out);
	return err_fail(ERR_KMS_UNKNOWN_OPERATION, "fake KMS: no operation %s", operation);
}

static void remember_context(struct fake_kms *f, const json_t *request)
{
	json_t *c = json_object_get(request, "EncryptionContext");

	if (!c)
		return;
	json_decref(f->last_context);
	f->last_context = json_deep_copy(c);
}

/* With the lock held: wait out what the test asked for. */
static void misbehave(struct fake_kms *f)
{
	struct timespec pause = {.tv_sec = (time_t)(f->delay / 1000000000), .tv_nsec = (long)(f->delay % 1000000000)};

	f->blocked++;
	pthread_cond_broadcast(&f->changed);
	while (f->blocking)
		pthread_cond_wait(&f->changed, &f->lock);
	f->blocked--;
	if (!f->delay)
		return;
	fake_kms_unlock(f);
	nanosleep(&pause, NULL);
	fake_kms_lock(f);
}

static enum err injected_failure(struct fake_kms *f, const char *operation)
{
	if (!f->fail_count || (f->fail_operation[0] && strcmp(f->fail_operation, operation) != 0))
		return ERR_OK;
	f->fail_count--;
	f->injected++;
	return err_fail(f->fail_error, "fake KMS: injected failure of %s", operation);
}

static enum err fake_call(struct kms *kms, const char *operation, const json_t *request, json_t **ret_response)
{
	struct fake_kms *f = (struct fake_kms *)kms;
	json_t *out = json_object();
	enum err e;

	assert(out && json_is_object(request));
	fake_kms_lock(f);
	count_call(f, operation);
	remember_context(f, request);
	misbehave(f);
	e = injected_failure(f, operation);
	if (e == ERR_OK)
		e = run_operation(f, operation, request, out);
	fake_kms_unlock(f);
	if (e == ERR_OK)
		*ret_response = STEAL(out);
	json_decref(out);
	return e;
}

static void fake_close(struct kms *kms)
{
	struct fake_kms *f = (struct fake_kms *)kms;

	fake_kms_lock(f);
	f->closed++;
	fake_kms_unlock(f);
}

static const struct kms_ops fake_ops = {.call = fake_call, .close = fake_close};

struct fake_kms *fake_kms_new(void)
{
	struct fake_kms *f = calloc(1, sizeof(*f));

	assert(f);
	f->kms.ops = &fake_ops;
	f->blob_size = FAKE_BLOB_MIN;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	return f;
}

void fake_kms_free(struct fake_kms *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->blob_count; i++) {
		json_decref(f->blobs[i].context);
		secret_wipe(f->blobs[i].plain, f->blobs[i].len);
		free(f->blobs[i].plain);
	}
	free(f->blobs);
	json_decref(f->last_context);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

struct kms *fake_kms_client(struct fake_kms *f)
{
	return &f->kms;
}
