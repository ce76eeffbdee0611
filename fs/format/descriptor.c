/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/descriptor.h"
#include "fs/format/file_header.h"
#include "kms/base/encode.h"
#include "kms/base/ini_file.h"
#include "kms/base/io.h"
#include "kms/base/kdf.h"
#include "kms/base/labels.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1, MAC_TEXT = 2 * SHA256_SIZE };
#define SUITE_NAME "XAES-256-GCM"

/* How the text ends: what stands before the value of hmac is authenticated, and behind the value comes one newline. */
#define SEAL_HEAD "\n[seal]\nhmac = "

/* AES-GCM under a bucket key draws random 96-bit nonces: NIST SP 800-38D section 8.3 allows 2^32 of them. */
#define FILES_MAX   (UINT64_C(1) << 32)
#define SECONDS_MAX UINT64_C(0xffffffff)

enum entry_kind { ENTRY_NUMBER, ENTRY_SUITE, ENTRY_UUID, ENTRY_NAMES, ENTRY_BOOL, ENTRY_TEXT, ENTRY_BLOB, ENTRY_MAC };

/* Every entry there is, in the order they are written; each stands there exactly once. */
static const struct entry {
	const char *section, *name;
	enum entry_kind kind;
	size_t offset, size;
	uint64_t min, max; /* of a number; of a text's length */
} entries[] = {
#define FIELD(f) offsetof(struct descriptor, f), sizeof(((struct descriptor *)0)->f)
	{"vault", "format", ENTRY_NUMBER, FIELD(format), FORMAT, FORMAT},
	{"vault", "volume", ENTRY_UUID, FIELD(volume_id), 0, 0},
	{"vault", "suite", ENTRY_SUITE, 0, 0, 0, 0},
	{"vault", "names", ENTRY_NAMES, FIELD(names), 0, 0},
	{"vault", "header-length", ENTRY_NUMBER, FIELD(header_length), FILE_HEADER_UNIT, FILE_HEADER_MAX},
	{"bucket-keys", "enabled", ENTRY_BOOL, FIELD(bucket_keys), 0, 0},
	{"bucket-keys", "lifetime", ENTRY_NUMBER, FIELD(lifetime_seconds), 1, SECONDS_MAX},
	{"bucket-keys", "files", ENTRY_NUMBER, FIELD(lifetime_files), 1, FILES_MAX},
	{"bucket-keys", "cache-time", ENTRY_NUMBER, FIELD(cache_seconds), 1, SECONDS_MAX},
	{"kms", "endpoint", ENTRY_TEXT, FIELD(endpoint), 0, 0},
	{"kms", "region", ENTRY_TEXT, FIELD(region), 0, 0},
	{"kms", "key-id", ENTRY_TEXT, FIELD(key_id), 1, 0},
	{"kms", "key-arn", ENTRY_TEXT, FIELD(volume_key.key_arn), 1, 0},
	{"volume-key", "blob", ENTRY_BLOB, 0, 0, 0, 0},
	{"seal", "hmac", ENTRY_MAC, 0, 0, 0, 0},
#undef FIELD
};
enum { ENTRY_COUNT = sizeof(entries) / sizeof(entries[0]) };

static const char *const name_modes[] = {[NAMES_ENCRYPTED] = "encrypted", [NAMES_PLAIN] = "plain"};
static const char *const bools[] = {"no", "yes"};

/* ---- Writing ---- */

struct text {
	char *buf;
	size_t used;
	int overflow;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
	size_t room = DESCRIPTOR_MAX + 1 - t->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->used, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room)
		t->overflow = 1;
	else
		t->used += (size_t)n;
}

static uint64_t number_of(const struct descriptor *d, const struct entry *e)
{
	uint64_t wide;
	uint32_t narrow;

	if (e->size == sizeof(wide)) {
		memcpy(&wide, (const char *)d + e->offset, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, (const char *)d + e->offset, sizeof(narrow));
	return narrow;
}

static void put_value(struct text *t, const struct descriptor *d, const struct entry *e)
{
	char blob[BASE64_LEN(KMS_BLOB_MAX) + 1];
	char uuid[UUID_TEXT + 1];

	switch (e->kind) {
	case ENTRY_NUMBER:
		put(t, "%" PRIu64, number_of(d, e));
		return;
	case ENTRY_SUITE:
		put(t, "%s", SUITE_NAME);
		return;
	case ENTRY_UUID:
		encode_uuid(d->volume_id, uuid);
		put(t, "%s", uuid);
		return;
	case ENTRY_NAMES:
		put(t, "%s", name_modes[d->names]);
		return;
	case ENTRY_BOOL:
		put(t, "%s", bools[d->bucket_keys != 0]);
		return;
	case ENTRY_TEXT:
		put(t, "%s", (const char *)d + e->offset);
		return;
	case ENTRY_BLOB:
		encode_base64(d->volume_key.blob, d->volume_key.blob_len, blob);
		put(t, "%s", blob);
		return;
	case ENTRY_MAC:
		return;
	}
}

/* Everything up to the value of hmac. */
static void put_authenticated(struct text *t, const struct descriptor *d)
{
	const char *section = "";

	put(t, "# What this encrypted directory is, and which KMS key opens it. Written by signetfs;\n"
	       "# the last line is a seal over all the others: an edited file is refused. See signetfs.ini(5).\n");
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		if (strcmp(section, entries[i].section) != 0)
			put(t, "\n[%s]\n", entries[i].section);
		section = entries[i].section;
		put(t, "%s = ", entries[i].name);
		put_value(t, d, &entries[i]);
		if (entries[i].kind != ENTRY_MAC)
			put(t, "\n");
	}
}

static enum err text_mac(const struct descriptor *d, const struct volume_key *key, const char *text, size_t len,
	uint8_t ret[SHA256_SIZE])
{
	struct mac_key {
		uint8_t b[KEY_SIZE];
	} mac_key AUTO_WIPE;

	TRY(kdf_hkdf(key->b, sizeof(key->b), d->volume_id, sizeof(d->volume_id), LABEL_VOLUME_MAC,
		strlen(LABEL_VOLUME_MAC), mac_key.b, sizeof(mac_key.b)));
	return kdf_hmac(mac_key.b, sizeof(mac_key.b), text, len, ret);
}

static int same_text_fields(const struct descriptor *a, const struct descriptor *b)
{
	return !strcmp(a->endpoint, b->endpoint) && !strcmp(a->region, b->region) && !strcmp(a->key_id, b->key_id) &&
	       !strcmp(a->volume_key.key_arn, b->volume_key.key_arn);
}

/* INI has characters of its own (comments, quotes, blanks at the ends): what would not read back as it is is not written. */
static enum err check_reads_back(const struct descriptor *d, const char *text, size_t len)
{
	struct descriptor again;

	if (descriptor_decode(DESCRIPTOR_NAME, text, len, &again) != ERR_OK)
		return err_wrap(ERR_USAGE, "the vault's settings cannot be written down");
	if (!same_text_fields(d, &again))
		return err_fail(ERR_USAGE,
			"the vault's settings cannot be written down: endpoint, region or key id hold characters that "
			"an INI file cannot");
	return ERR_OK;
}

enum err descriptor_encode(const struct descriptor *d, const struct volume_key *key, char **ret_text, size_t *ret_len)
{
	char *buf AUTO_FREE = malloc(DESCRIPTOR_MAX + 1);
	struct text t = {.buf = buf};
	uint8_t mac[SHA256_SIZE];
	char mac_text[MAC_TEXT + 1];

	assert(d->format == FORMAT && d->volume_key.blob_len > 0 && d->volume_key.blob_len <= KMS_BLOB_MAX);
	if (!buf)
		return err_fail(ERR_NO_MEMORY, "no memory for %s", DESCRIPTOR_NAME);
	put_authenticated(&t, d);
	TRY(text_mac(d, key, buf, t.used, mac));
	encode_hex(mac, sizeof(mac), mac_text);
	put(&t, "%s\n", mac_text);
	if (t.overflow)
		return err_fail(ERR_LIMIT, "the vault's settings do not fit into %d bytes", (int)DESCRIPTOR_MAX);
	TRY(check_reads_back(d, buf, t.used));
	*ret_text = STEAL(buf);
	*ret_len = t.used;
	return ERR_OK;
}

/* ---- Reading ---- */

struct parse {
	struct descriptor d;
	int seen[ENTRY_COUNT];
};

/* Decimal digits, no sign, no leading zero: one text for one value. */
static int parse_number(const char *value, uint64_t *ret)
{
	uint64_t v = 0;
	size_t len = strlen(value);

	if (len == 0 || len > 19 || (len > 1 && value[0] == '0'))
		return 0;
	for (; *value; value++) {
		if (*value < '0' || *value > '9')
			return 0;
		v = v * 10 + (uint64_t)(*value - '0');
	}
	*ret = v;
	return 1;
}

static enum err set_number(struct descriptor *d, const struct entry *e, const char *value)
{
	uint64_t v;
	uint32_t narrow;

	if (!parse_number(value, &v))
		return err_fail(ERR_VAULT, "%s is not a number", e->name);
	if (e->offset == offsetof(struct descriptor, format) && v > FORMAT)
		return err_fail(ERR_UNSUPPORTED,
			"the vault has format %" PRIu64 ", this program knows format 1: a newer signetfs is needed", v);
	if (v < e->min || v > e->max)
		return err_fail(ERR_VAULT, "%s is %" PRIu64 ", possible is %" PRIu64 " to %" PRIu64, e->name, v, e->min,
			e->max);
	if (e->offset == offsetof(struct descriptor, header_length) && v % FILE_HEADER_UNIT != 0)
		return err_fail(ERR_VAULT, "header-length is not a multiple of 512");
	narrow = (uint32_t)v;
	memcpy((char *)d + e->offset, e->size == sizeof(v) ? (const void *)&v : (const void *)&narrow, e->size);
	return ERR_OK;
}

static enum err set_choice(
	const struct entry *e, const char *value, const char *const *choices, size_t count, unsigned *ret)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(value, choices[i]) != 0)
			continue;
		*ret = i;
		return ERR_OK;
	}
	return err_fail(ERR_VAULT, "%s is neither %s nor %s", e->name, choices[0], choices[1]);
}

static enum err set_text(struct descriptor *d, const struct entry *e, const char *value)
{
	size_t len = strlen(value);

	if (len < e->min || len >= e->size)
		return err_fail(ERR_VAULT, "%s has %zu bytes, possible is %" PRIu64 " to %zu", e->name, len, e->min,
			e->size - 1);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
			return err_fail(ERR_VAULT, "%s holds a control character", e->name);
	memcpy((char *)d + e->offset, value, len + 1);
	return ERR_OK;
}

static enum err set_blob(struct descriptor *d, const struct entry *e, const char *value)
{
	size_t len;

	if (decode_base64(value, strlen(value), d->volume_key.blob, sizeof(d->volume_key.blob), &len) != ERR_OK ||
		len == 0)
		return err_fail(ERR_VAULT, "%s is not base64 of 1 to %d bytes", e->name, (int)KMS_BLOB_MAX);
	d->volume_key.blob_len = (uint16_t)len;
	return ERR_OK;
}

static enum err check_mac_text(const struct entry *e, const char *value)
{
	uint8_t mac[SHA256_SIZE];
	size_t len;

	if (decode_hex(value, strlen(value), mac, sizeof(mac), &len) != ERR_OK || len != sizeof(mac))
		return err_fail(ERR_VAULT, "%s is not %d hexadecimal digits", e->name, (int)MAC_TEXT);
	return ERR_OK;
}

static enum err set_value(struct descriptor *d, const struct entry *e, const char *value)
{
	unsigned choice;

	switch (e->kind) {
	case ENTRY_NUMBER:
		return set_number(d, e, value);
	case ENTRY_SUITE:
		if (strcmp(value, SUITE_NAME) != 0)
			return err_fail(ERR_UNSUPPORTED, "the vault's cipher suite is unknown to this program");
		return ERR_OK;
	case ENTRY_UUID:
		if (decode_uuid(value, strlen(value), d->volume_id) != ERR_OK)
			return err_fail(ERR_VAULT, "%s is not a UUID", e->name);
		return ERR_OK;
	case ENTRY_NAMES:
		TRY(set_choice(e, value, name_modes, 2, &choice));
		d->names = (enum name_mode)choice;
		return ERR_OK;
	case ENTRY_BOOL:
		TRY(set_choice(e, value, bools, 2, &choice));
		d->bucket_keys = (int)choice;
		return ERR_OK;
	case ENTRY_TEXT:
		return set_text(d, e, value);
	case ENTRY_BLOB:
		return set_blob(d, e, value);
	case ENTRY_MAC:
		return check_mac_text(e, value);
	}
	return err_fail(ERR_VAULT, "%s cannot be read", e->name);
}

static enum err on_pair(void *context, const char *section, const char *name, const char *value, unsigned line)
{
	struct parse *p = context;

	(void)line; /* the parser puts file and line before the text */
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		if (strcmp(section, entries[i].section) != 0 || strcmp(name, entries[i].name) != 0)
			continue;
		if (p->seen[i])
			return err_fail(ERR_VAULT, "%s is there twice", name);
		/* The format comes first, so that a newer one is told apart from nonsense. */
		if (i != 0 && !p->seen[0])
			return err_fail(ERR_VAULT, "the first entry is not the format");
		p->seen[i] = 1;
		return set_value(&p->d, &entries[i], value);
	}
	return err_fail(ERR_VAULT, "unknown entry %.64s in section [%.64s]", name, section);
}

/* Where the value of hmac begins; NULL when the text does not end as it must. */
static const char *seal_value(const char *text, size_t len)
{
	const size_t tail = strlen(SEAL_HEAD) + MAC_TEXT + 1;

	if (len < tail || text[len - 1] != '\n' || memcmp(text + len - tail, SEAL_HEAD, strlen(SEAL_HEAD)) != 0)
		return NULL;
	return text + len - MAC_TEXT - 1;
}

enum err descriptor_decode(const char *what, const char *text, size_t len, struct descriptor *ret)
{
	struct parse p = {0};
	enum err e;

	if (len > DESCRIPTOR_MAX)
		return err_fail(
			ERR_VAULT, "%s: larger than %d bytes, not a volume descriptor", what, (int)DESCRIPTOR_MAX);
	e = ini_parse_buffer(what, text, len, on_pair, &p);
	if (e == ERR_CONFIG)
		return err_fail(ERR_VAULT, "%s", err_text(e));
	TRY(e);
	for (size_t i = 0; i < ENTRY_COUNT; i++)
		if (!p.seen[i])
			return err_fail(ERR_VAULT,
				"%s: %s is missing in section [%s]: the file was cut short or edited", what,
				entries[i].name, entries[i].section);
	if (!seal_value(text, len))
		return err_fail(ERR_VAULT, "%s: does not end with its seal: the file was cut short or edited", what);
	*ret = p.d;
	return ERR_OK;
}

enum err descriptor_verify(
	const char *what, const char *text, size_t len, const struct descriptor *d, const struct volume_key *key)
{
	const char *seal = seal_value(text, len);
	uint8_t mac[SHA256_SIZE], found[SHA256_SIZE];
	size_t n;

	if (!seal || decode_hex(seal, MAC_TEXT, found, sizeof(found), &n) != ERR_OK)
		return err_fail(ERR_VAULT, "%s: does not end with its seal: the file was cut short or edited", what);
	TRY(text_mac(d, key, text, (size_t)(seal - text), mac));
	if (!secret_equal(mac, found, sizeof(mac)))
		return err_fail(ERR_VAULT,
			"%s: the seal is wrong: the file was edited or is another vault's; restore it from a backup",
			what);
	return ERR_OK;
}
