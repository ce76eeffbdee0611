/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/reencrypt/two_kms.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { OTHER = 4, KINDS };
static const char *const kinds[OTHER] = {"GenerateDataKey", "Decrypt", "Encrypt", "ReEncrypt"};

struct two_kms {
	struct kms kms;
	struct kms *old, *to;
	char arn[KMS_ARN_MAX + 1]; /* "": not known yet */
	_Atomic uint64_t calls[KINDS];
};

static enum err call_one(
	struct two_kms *t, struct kms *kms, const char *operation, const json_t *request, json_t **ret_response)
{
	unsigned kind = 0;

	while (kind < OTHER && strcmp(kinds[kind], operation) != 0)
		kind++;
	atomic_fetch_add(&t->calls[kind], 1);
	return kms_call(kms, operation, request, ret_response);
}

/* It is not this KMS's key or blob, or not the key that a file has; a refusal of a key that it has is final. */
static int is_unknown(enum err e)
{
	return e == ERR_KMS_NOT_FOUND || e == ERR_KMS_INVALID_CIPHERTEXT || e == ERR_KMS_INCORRECT_KEY ||
	       e == ERR_KMS_INVALID_ARN || e == ERR_KMS_ACCESS_DENIED || e == ERR_KMS_KEY_UNAVAILABLE;
}

static enum err decrypt(struct two_kms *t, const json_t *request, json_t **ret_response)
{
	const char *id = json_string_value(json_object_get(request, "KeyId"));
	int is_target = t->arn[0] && id && strcmp(id, t->arn) == 0;
	enum err e, second;
	char why[512];

	e = call_one(t, is_target ? t->to : t->old, "Decrypt", request, ret_response);
	if (!is_unknown(e) || t->to == t->old)
		return e;
	snprintf(why, sizeof(why), "%s", err_text(e));
	second = call_one(t, is_target ? t->old : t->to, "Decrypt", request, ret_response);
	/* Whoever is responsible for the key explains. */
	return second == ERR_OK ? ERR_OK : err_fail(e, "%s", why);
}

static enum err two_call(struct kms *kms, const char *operation, const json_t *request, json_t **ret_response)
{
	struct two_kms *t = (struct two_kms *)kms;

	if (strcmp(operation, "Decrypt") == 0)
		return decrypt(t, request, ret_response);
	/* A key that is made or described is one of those to come. */
	return call_one(t, t->to, operation, request, ret_response);
}

static void two_close(struct kms *kms)
{
	free(kms);
}

/* Counters of both, so that they never run backwards; latency is told of the one that is asked from now on. */
static void two_stats(struct kms *kms, struct kms_stats *ret)
{
	struct two_kms *t = (struct two_kms *)kms;
	struct kms_stats old;

	kms_stats(t->to, ret);
	if (t->to == t->old)
		return;
	kms_stats(t->old, &old);
	ret->attempts += old.attempts;
	ret->throttled += old.throttled;
	ret->failed += old.failed;
	ret->retries += old.retries;
	ret->given_up += old.given_up;
}

static const struct kms_ops ops = {.call = two_call, .close = two_close, .stats = two_stats};

enum err two_kms_new(struct kms *old, struct kms *to, struct kms **ret)
{
	struct two_kms *t = calloc(1, sizeof(*t));

	if (!t)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	t->kms.ops = &ops;
	t->old = old;
	t->to = to;
	*ret = &t->kms;
	return ERR_OK;
}

void two_kms_set_target(struct kms *kms, const char *arn)
{
	struct two_kms *t = (struct two_kms *)kms;

	if (strlen(arn) < sizeof(t->arn))
		strcpy(t->arn, arn);
}

void two_kms_calls(struct kms *kms, struct two_kms_calls *ret)
{
	struct two_kms *t = (struct two_kms *)kms;

	ret->generate = atomic_load(&t->calls[0]);
	ret->decrypt = atomic_load(&t->calls[1]);
	ret->encrypt = atomic_load(&t->calls[2]);
	ret->re_encrypt = atomic_load(&t->calls[3]);
	ret->other = atomic_load(&t->calls[OTHER]);
}
