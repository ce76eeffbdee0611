/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/descriptor.h"
#include "kms/base/encode.h"
#include "kms/base/kdf.h"
#include "kms/base/labels.h"
#include "tests/support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *golden_text(size_t *ret_len)
{
	return (char *)golden_read("v1-signetfs.ini", ret_len);
}

static struct descriptor golden_descriptor(void)
{
	struct descriptor d;
	size_t len;
	char *text = golden_text(&len);

	assert_int_equal(descriptor_decode("golden", text, len, &d), ERR_OK);
	free(text);
	return d;
}

static void check_round_trip(const struct descriptor *d)
{
	struct descriptor back;
	char *text = NULL;
	size_t len;

	assert_int_equal(descriptor_encode(d, &golden_volume_key, &text, &len), ERR_OK);
	assert_int_equal(descriptor_decode("x", text, len, &back), ERR_OK);
	assert_int_equal(descriptor_verify("x", text, len, &back, &golden_volume_key), ERR_OK);
	assert_int_equal(back.format, d->format);
	assert_memory_equal(back.volume_id, d->volume_id, sizeof(d->volume_id));
	assert_int_equal(back.names, d->names);
	assert_int_equal(back.bucket_keys, d->bucket_keys);
	assert_int_equal(back.header_length, d->header_length);
	assert_true(back.lifetime_seconds == d->lifetime_seconds && back.lifetime_files == d->lifetime_files);
	assert_true(back.cache_seconds == d->cache_seconds);
	assert_string_equal(back.endpoint, d->endpoint);
	assert_string_equal(back.region, d->region);
	assert_string_equal(back.key_id, d->key_id);
	assert_string_equal(back.volume_key.key_arn, d->volume_key.key_arn);
	assert_int_equal(back.volume_key.blob_len, d->volume_key.blob_len);
	assert_memory_equal(back.volume_key.blob, d->volume_key.blob, d->volume_key.blob_len);
	free(text);
}

static void extremes(void **state)
{
	struct descriptor d = golden_descriptor();

	(void)state;
	check_round_trip(&d);
	d.names = NAMES_PLAIN;
	d.bucket_keys = 0;
	d.header_length = 2048;
	d.lifetime_seconds = d.lifetime_files = d.cache_seconds = 1;
	d.endpoint[0] = d.region[0] = '\0';
	d.volume_key.blob_len = 1;
	check_round_trip(&d);
	d.lifetime_seconds = d.cache_seconds = UINT32_MAX;
	d.lifetime_files = UINT64_C(1) << 32;
	memset(d.endpoint, 'e', DESCRIPTOR_ENDPOINT_MAX);
	memset(d.region, 'r', sizeof(d.region) - 1);
	memset(d.key_id, 'k', DESCRIPTOR_KEY_ID_MAX);
	memset(d.volume_key.key_arn, 'a', KMS_ARN_MAX);
	d.endpoint[DESCRIPTOR_ENDPOINT_MAX] = d.region[sizeof(d.region) - 1] = '\0';
	d.key_id[DESCRIPTOR_KEY_ID_MAX] = d.volume_key.key_arn[KMS_ARN_MAX] = '\0';
	d.volume_key.blob_len = KMS_BLOB_MAX;
	check_round_trip(&d);
}

/* What an INI file cannot carry is refused when it is written, not found missing when it is read. */
static void what_would_not_read_back(void **state)
{
	static const char *const endpoints[] = {"two\nlines", " blank before", "blank behind ", "tab\t", "bell\a"};
	static const char *const fine[] = {
		"unix:/tmp/a b/socket", "https://x:1/#y;z=\"1\"", "unix:/gr\xc3\xbc\xc3\x9f"};
	struct descriptor d = golden_descriptor();
	char *text = NULL;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		strcpy(d.endpoint, fine[i]);
		check_round_trip(&d);
	}
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
		strcpy(d.endpoint, endpoints[i]);
		assert_int_equal(descriptor_encode(&d, &golden_volume_key, &text, &len), ERR_USAGE);
		assert_null(text);
	}
}

/* ---- Malformations: one replacement in a good text ---- */

static const struct malformation {
	const char *name, *from, *to;
	enum err want;
	const char *says; /* part of the message: the line, where there is one */
} malformations[] = {
	{"format 0", "format = 1", "format = 0", ERR_VAULT, "x:5"},
	{"format 2", "format = 1", "format = 2", ERR_UNSUPPORTED, "newer"},
	{"format 2 and an unknown entry", "format = 1", "format = 2\nnews = yes", ERR_UNSUPPORTED, "newer"},
	{"no number", "format = 1", "format = one", ERR_VAULT, "x:5"},
	{"number with a sign", "format = 1", "format = +1", ERR_VAULT, "x:5"},
	{"number with a zero in front", "format = 1", "format = 01", ERR_VAULT, "x:5"},
	{"number of 20 digits", "files = 1048576", "files = 18446744073709551616", ERR_VAULT, "x:14"},
	{"entry before the format", "[vault]\n", "[vault]\nnames = plain\n", ERR_VAULT, "x:5"},
	{"entry without a section", "[vault]\n", "format = 1\n[vault]\n", ERR_VAULT, "x:4"},
	{"entry twice", "names = encrypted", "names = encrypted\nnames = encrypted", ERR_VAULT, "x:9"},
	{"section twice", "[seal]", "[vault]\nformat = 1\n[seal]", ERR_VAULT, "twice"},
	{"unknown entry", "names = encrypted", "names = encrypted\nowner = me", ERR_VAULT, "owner"},
	{"unknown section", "[kms]", "[mks]", ERR_VAULT, "mks"},
	{"unknown spelling", "names =", "Names =", ERR_VAULT, "Names"},
	{"missing entry", "region = us-east-1\n", "", ERR_VAULT, "region is missing"},
	{"missing seal", "\n[seal]\n", "\n", ERR_VAULT, "hmac"},
	{"UUID", "volume = a0", "volume = g0", ERR_VAULT, "x:6"},
	{"UUID in capitals", "volume = a0a1a2a3", "volume = A0A1A2A3", ERR_VAULT, "x:6"},
	{"UUID cut", "acadaeaf", "acadae", ERR_VAULT, "x:6"},
	{"suite", "XAES-256-GCM", "AES-256-GCM", ERR_UNSUPPORTED, "suite"},
	{"names", "names = encrypted", "names = hidden", ERR_VAULT, "x:8"},
	{"header-length 0", "header-length = 512", "header-length = 0", ERR_VAULT, "x:9"},
	{"header-length 513", "header-length = 512", "header-length = 513", ERR_VAULT, "x:9"},
	{"header-length 2560", "header-length = 512", "header-length = 2560", ERR_VAULT, "x:9"},
	{"enabled", "enabled = yes", "enabled = true", ERR_VAULT, "x:12"},
	{"lifetime 0", "lifetime = 604800", "lifetime = 0", ERR_VAULT, "x:13"},
	{"lifetime 2^32", "lifetime = 604800", "lifetime = 4294967296", ERR_VAULT, "x:13"},
	{"files 0", "files = 1048576", "files = 0", ERR_VAULT, "x:14"},
	{"files 2^32 + 1", "files = 1048576", "files = 4294967297", ERR_VAULT, "x:14"},
	{"cache-time 0", "cache-time = 300", "cache-time = 0", ERR_VAULT, "x:15"},
	{"key-id empty", "key-id = alias/aws/signetfs", "key-id =", ERR_VAULT, "x:20"},
	{"key-arn empty", "key-arn = " GOLDEN_ARN, "key-arn = ", ERR_VAULT, "x:21"},
	{"blob empty", "blob = AQ", "blob = \nblub = AQ", ERR_VAULT, "x:24"},
	{"blob no base64", "blob = AQ", "blob = A!", ERR_VAULT, "x:24"},
	{"blob with a blank", "blob = AQ", "blob = AQ A", ERR_VAULT, "x:24"},
	{"hmac short", "hmac = ", "hmac = 00", ERR_VAULT, "hmac"},
	{"hmac no hex", "hmac = ", "hmac = x", ERR_VAULT, "hmac"},
	{"hmac with another spelling of =", "hmac = ", "hmac=", ERR_VAULT, "seal"},
	{"no line", "[kms]", "kms", ERR_VAULT, "x:17"},
	{"control character", "agent", "agent\x01", ERR_VAULT, "x:18"},
};

/* A copy of the golden text with the first @from replaced. */
static char *replaced(const char *from, const char *to, size_t *ret_len)
{
	size_t len;
	char *text = golden_text(&len);
	char *at = strstr(text, from);
	char *out = malloc(len + strlen(to) + 1);

	assert_non_null(at);
	*ret_len = (size_t)sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	free(text);
	return out;
}

static void malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(malformations) / sizeof(malformations[0]); i++) {
		const struct malformation *m = &malformations[i];
		struct descriptor d;
		size_t len;
		char *text = replaced(m->from, m->to, &len);
		enum err e = descriptor_decode("x", text, len, &d);

		if (e != m->want || !strstr(err_text(e), m->says))
			fail_msg("%s: %s, \"%s\"", m->name, err_name(e), err_text(e));
		free(text);
	}
}

static enum err decode_and_verify(const char *text, size_t len)
{
	struct descriptor d;

	TRY(descriptor_decode("x", text, len, &d));
	return descriptor_verify("x", text, len, &d, &golden_volume_key);
}

static void every_byte_changed(void **state)
{
	size_t len, parsed = 0;
	char *text = golden_text(&len);
	struct descriptor d;

	(void)state;
	for (size_t i = 0; i < len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			enum err e;

			text[i] ^= (char)(1 << bit);
			parsed += descriptor_decode("x", text, len, &d) == ERR_OK;
			e = decode_and_verify(text, len);
			assert_true(e == ERR_VAULT || e == ERR_UNSUPPORTED);
			text[i] ^= (char)(1 << bit);
		}
	}
	assert_true(parsed > 1000);
	assert_int_equal(decode_and_verify(text, len), ERR_OK);
	free(text);
}

static void every_truncation_and_addition(void **state)
{
	size_t len;
	char *text = golden_text(&len);
	size_t suite = (size_t)(strstr(text, "XAES") - text);

	(void)state;
	/* Cut inside the suite's name, that is another, unknown suite. */
	for (size_t n = 0; n < len; n++)
		assert_int_equal(
			decode_and_verify(text, n), n + 1 >= suite && n < suite + 12 ? ERR_UNSUPPORTED : ERR_VAULT);
	text[len] = '\n';
	assert_int_equal(decode_and_verify(text, len + 1), ERR_VAULT);
	free(text);
}

/* The MAC tells an edit from another vault's descriptor by nothing: both are refused. */
static void edits_and_other_vaults(void **state)
{
	struct volume_key other = golden_volume_key;
	struct descriptor d;
	size_t len;
	char *text = replaced("lifetime = 604800", "lifetime = 604801", &len);

	(void)state;
	assert_int_equal(descriptor_decode("x", text, len, &d), ERR_OK);
	assert_int_equal(descriptor_verify("x", text, len, &d, &golden_volume_key), ERR_VAULT);
	free(text);
	text = replaced("# What", "# WHAT", &len);
	assert_int_equal(decode_and_verify(text, len), ERR_VAULT);
	free(text);
	text = golden_text(&len);
	other.b[9] ^= 1;
	assert_int_equal(descriptor_decode("x", text, len, &d), ERR_OK);
	assert_int_equal(descriptor_verify("x", text, len, &d, &other), ERR_VAULT);
	free(text);
}

static void too_large(void **state)
{
	size_t len = DESCRIPTOR_MAX + 1;
	char *text = malloc(len);

	(void)state;
	memset(text, '\n', len);
	assert_int_equal(decode_and_verify(text, len), ERR_VAULT);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extremes),
		cmocka_unit_test(what_would_not_read_back),
		cmocka_unit_test(malformed),
		cmocka_unit_test(every_byte_changed),
		cmocka_unit_test(every_truncation_and_addition),
		cmocka_unit_test(edits_and_other_vaults),
		cmocka_unit_test(too_large),
	};

	return cmocka_run_group_tests_name("format/descriptor", tests, NULL, NULL);
}
