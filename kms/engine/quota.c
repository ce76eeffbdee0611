/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/engine/quota.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/engine/operations.h"

/* Shared classes first; what is not named here is a class of its own with OTHER requests a second. */
enum { OTHER = 5, RATE_MAX = 10000000, PAYERS_MAX = 256, REGIONS_OF_ACCOUNT = 16 };

static const struct class
{
	const char *name;
	uint32_t rate;
} classes[] = {
	{"cryptographic-symmetric", 10000},
	{"cryptographic-rsa", 1000},
	{"cryptographic-ecc", 1000},
	{"key-pair-ECC_NIST_P256", 100},
	{"key-pair-ECC_NIST_P384", 100},
	{"key-pair-ECC_NIST_P521", 100},
	{"key-pair-ECC_SECG_P256K1", 100},
	{"key-pair-ECC_NIST_EDWARDS25519", 100},
	{"key-pair-RSA_2048", 20},
	{"key-pair-RSA_3072", 4},
	{"key-pair-RSA_4096", 1},
	{"DescribeKey", 2000},
	{"GetPublicKey", 2000},
	{"ListResourceTags", 2000},
	{"GetKeyPolicy", 1000},
	{"GetKeyRotationStatus", 1000},
	{"ListKeys", 500},
	{"ListAliases", 500},
	{"ListGrants", 100},
	{"ListRetirableGrants", 100},
	{"ListKeyPolicies", 100},
	{"ListKeyRotations", 100},
	{"CreateGrant", 50},
	{"RetireGrant", 50},
	{"RevokeGrant", 50},
	{"DeleteAlias", 15},
	{"EnableKeyRotation", 15},
	{"ImportKeyMaterial", 15},
	{"DeleteImportedKeyMaterial", 15},
	{"PutKeyPolicy", 15},
	{"ScheduleKeyDeletion", 15},
	{"TagResource", 10},
	{"GetParametersForImport", 1},
	{"CancelKeyDeletion", OTHER},
	{"ConnectCustomKeyStore", OTHER},
	{"CreateAlias", OTHER},
	{"CreateCustomKeyStore", OTHER},
	{"CreateKey", OTHER},
	{"DeleteCustomKeyStore", OTHER},
	{"DescribeCustomKeyStores", OTHER},
	{"DisableKey", OTHER},
	{"DisableKeyRotation", OTHER},
	{"DisconnectCustomKeyStore", OTHER},
	{"EnableKey", OTHER},
	{"GetKeyLastUsage", OTHER},
	{"ReplicateKey", OTHER},
	{"RotateKeyOnDemand", OTHER},
	{"UntagResource", OTHER},
	{"UpdateAlias", OTHER},
	{"UpdateCustomKeyStore", OTHER},
	{"UpdateKeyDescription", OTHER},
	{"UpdatePrimaryRegion", OTHER},
	{"SignetfsGetQuotas", OTHER},
	{QUOTA_STS, 600},
};
enum { CLASSES = sizeof(classes) / sizeof(classes[0]) };
_Static_assert((int)CLASSES <= (int)QUOTA_CLASSES_MAX, "a report has room for every class");

enum { SYMMETRIC, RSA, ECC };

static const char *const cryptographic[] = {"Decrypt", "DeriveSharedSecret", "Encrypt", "GenerateDataKey",
	"GenerateDataKeyWithoutPlaintext", "GenerateMac", "GenerateRandom", "ReEncrypt", "Sign", "Verify", "VerifyMac"};

struct payer {
	char account[ENGINE_ACCOUNT_SIZE], region[ENGINE_REGION_SIZE];
	uint64_t used;
	struct {
		double tokens;
		uint64_t filled;
		uint64_t granted, throttled;
	} bucket[CLASSES];
};

struct quota {
	pthread_mutex_t lock;
	_Atomic int enforced;
	uint32_t rate[CLASSES];
	size_t payer_count;
	struct payer *payers[PAYERS_MAX];
};

struct quota *quota_new(void)
{
	struct quota *q = calloc(1, sizeof(*q));

	if (q)
		pthread_mutex_init(&q->lock, NULL);
	return q;
}

void quota_free(struct quota *q)
{
	if (!q)
		return;
	for (size_t i = 0; i < q->payer_count; i++)
		free(q->payers[i]);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

static int class_named(const char *name, size_t len)
{
	for (int i = 0; i < CLASSES; i++)
		if (strlen(classes[i].name) == len && !strncmp(classes[i].name, name, len))
			return i;
	return -1;
}

int quota_class(const char *operation, const char *spec)
{
	char name[64];

	if (!strncmp(operation, "GenerateDataKeyPair", 19)) {
		snprintf(name, sizeof(name), "key-pair-%s", spec);
		return class_named(name, strlen(name));
	}
	for (size_t i = 0; i < sizeof(cryptographic) / sizeof(cryptographic[0]); i++)
		if (!strcmp(operation, cryptographic[i]))
			return !strncmp(spec, "RSA", 3)                                    ? RSA
			       : !strncmp(spec, "ECC_", 4) || !strncmp(spec, "ML_DSA_", 7) ? ECC
											   : SYMMETRIC;
	return class_named(operation, strlen(operation));
}

const char *quota_class_name(int class)
{
	return class >= 0 && class < CLASSES ? classes[class].name : NULL;
}

uint32_t quota_rate(struct quota *q, int class)
{
	uint32_t rate;

	pthread_mutex_lock(&q->lock);
	rate = q->enforced ? q->rate[class] : 0;
	pthread_mutex_unlock(&q->lock);
	return rate;
}

/* ---- Configuration ---- */

static enum err take_word(const char *word, size_t len, uint32_t rate[CLASSES])
{
	const char *equals = memchr(word, '=', len);
	int class = equals ? class_named(word, (size_t)(equals - word)) : -1;
	char *end = NULL;
	unsigned long value = equals ? strtoul(equals + 1, &end, 10) : 0;

	if (class < 0 || end != word + len || value < 1 || value > RATE_MAX)
		return err_fail(ERR_CONFIG,
			"quotas: '%.*s' is no CLASS=RATE: classes are operations and those that signetfs.ini(5) names, "
			"rates 1 "
			"to %d requests a second",
			(int)len, word, RATE_MAX);
	rate[class] = (uint32_t)value;
	return ERR_OK;
}

static int is_none(const char *text)
{
	return !strcmp(text, "none");
}

static enum err parse(const char *text, uint32_t rate[CLASSES])
{
	for (int i = 0; i < CLASSES; i++)
		rate[i] = classes[i].rate;
	for (const char *p = text; !is_none(text) && *p;) {
		size_t len = strcspn(p, ", \t");

		if (len)
			TRY(take_word(p, len, rate));
		p += len + (p[len] != '\0');
	}
	return ERR_OK;
}

enum err quota_check_text(const char *text)
{
	uint32_t rate[CLASSES];

	return parse(text, rate);
}

enum err quota_configure(struct quota *q, const char *text)
{
	uint32_t rate[CLASSES];

	TRY(parse(text, rate));
	pthread_mutex_lock(&q->lock);
	memcpy(q->rate, rate, sizeof(rate));
	q->enforced = !is_none(text);
	pthread_mutex_unlock(&q->lock);
	return ERR_OK;
}

/* ---- Buckets ---- */

/* In the place of who has not asked for longest, when there are too many: a bucket that was full then is full again. */
static struct payer *new_payer(struct quota *q)
{
	size_t oldest = 0;

	if (q->payer_count < PAYERS_MAX) {
		struct payer *p = malloc(sizeof(*p));

		if (p)
			q->payers[q->payer_count++] = p;
		return p;
	}
	for (size_t i = 1; i < PAYERS_MAX; i++)
		if (q->payers[i]->used < q->payers[oldest]->used)
			oldest = i;
	return q->payers[oldest];
}

/* @ret_regions: how many the account has. */
static struct payer *find_payer(const struct quota *q, const char *account, const char *region, size_t *ret_regions)
{
	*ret_regions = 0;
	for (size_t i = 0; i < q->payer_count; i++) {
		if (strcmp(q->payers[i]->account, account) != 0)
			continue;
		if (!strcmp(q->payers[i]->region, region))
			return q->payers[i];
		++*ret_regions;
	}
	return NULL;
}

/* A region is any name that a caller signs: those beyond the first few share what has the name "". */
static struct payer *payer_of(struct quota *q, const char *account, const char *region, uint64_t now)
{
	size_t regions;
	struct payer *p = find_payer(q, account, region, &regions);

	if (!p && regions >= REGIONS_OF_ACCOUNT) {
		region = "";
		p = find_payer(q, account, region, &regions);
	}
	if (p)
		return p;
	p = new_payer(q);
	if (!p)
		return NULL;
	memset(p, 0, sizeof(*p));
	snprintf(p->account, sizeof(p->account), "%s", account);
	snprintf(p->region, sizeof(p->region), "%s", region);
	p->used = now;
	for (int i = 0; i < CLASSES; i++) {
		p->bucket[i].tokens = q->rate[i];
		p->bucket[i].filled = now;
	}
	return p;
}

static double tokens_at(const struct quota *q, const struct payer *p, int class, uint64_t now)
{
	double rate = q->rate[class], tokens = p->bucket[class].tokens;

	if (now > p->bucket[class].filled)
		tokens += (double)(now - p->bucket[class].filled) / (double)CLOCK_SECOND * rate;
	return tokens < rate ? tokens : rate;
}

static int take_token(struct quota *q, struct payer *p, int class, uint64_t now)
{
	double tokens = tokens_at(q, p, class, now);
	int granted = tokens >= 1;

	p->used = now;
	p->bucket[class].filled = now;
	p->bucket[class].tokens = granted ? tokens - 1 : tokens;
	*(granted ? &p->bucket[class].granted : &p->bucket[class].throttled) += 1;
	return granted;
}

enum err quota_take(struct quota *q, const char *account, const char *region, int class, uint64_t now_monotonic)
{
	struct payer *p;
	int granted;

	if (class < 0 || !q->enforced)
		return ERR_OK;
	pthread_mutex_lock(&q->lock);
	p = payer_of(q, account, region, now_monotonic);
	granted = !p || take_token(q, p, class, now_monotonic);
	pthread_mutex_unlock(&q->lock);
	if (granted)
		return ERR_OK;
	return err_fail(ERR_KMS_THROTTLING,
		"You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.");
}

/* ---- Looking ---- */

int quota_is_enforced(const struct quota *q)
{
	return q->enforced;
}

static void tell(const struct quota *q, const struct payer *p, uint64_t now,
	void (*each)(void *context, const struct quota_bucket *bucket), void *context)
{
	for (int i = 0; i < CLASSES; i++) {
		const struct quota_bucket b = {.account = p->account,
			.region = p->region,
			.class = i,
			.rate = q->rate[i],
			.tokens = tokens_at(q, p, i, now),
			.granted = p->bucket[i].granted,
			.throttled = p->bucket[i].throttled};

		each(context, &b);
	}
}

void quota_each(struct quota *q, const char *account, const char *region, uint64_t now_monotonic,
	void (*each)(void *context, const struct quota_bucket *bucket), void *context)
{
	pthread_mutex_lock(&q->lock);
	if (q->enforced) {
		payer_of(q, account, region, now_monotonic);
		for (size_t i = 0; i < q->payer_count; i++)
			tell(q, q->payers[i], now_monotonic, each, context);
	}
	pthread_mutex_unlock(&q->lock);
}
