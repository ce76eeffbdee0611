/* SPDX-License-Identifier: Apache-2.0 */
/* SigV4: AWS's published examples (test suite and the IAM walk-through), botocore's signatures, and requests that must be refused. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "kms/base/clock.h"
#include "kms/base/encode.h"
#include "kms/wire/sigv4.h"
#include "kms/wire/sigv4_keys.h"
#include "tests/support/prng.h"

#define SECRET      "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define DATE        "20150830T123600Z"
#define WALL        (UINT64_C(1440938160) * CLOCK_SECOND) /* DATE */
#define EMPTY_HASH  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HEADER_LIST "content-type;host;x-amz-date;x-amz-target"
#define KMS_SIGNED  "64dce774f4705920c67584a67282e0c43c9ba24ad3a855ed87d0ea94145686f6"
#define CREDENTIAL  "AKIDEXAMPLE/20150830/us-east-1/kms/aws4_request"
#define GOOD        "AWS4-HMAC-SHA256 Credential=" CREDENTIAL ", SignedHeaders=" HEADER_LIST ", Signature=" KMS_SIGNED

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct sigv4_header vanilla[] = {{"Host", "example.amazonaws.com"}, {"X-Amz-Date", DATE}};
static const struct sigv4_header form[] = {
	{"Host", "example.amazonaws.com"}, {"X-Amz-Date", DATE}, {"Content-Type", "application/x-www-form-urlencoded"}};
static const struct sigv4_header repeated[] = {{"Host", "example.amazonaws.com"}, {"My-Header1", "value2"},
	{"My-Header1", "value2"}, {"My-Header1", "value1"}, {"X-Amz-Date", DATE}};
static const struct sigv4_header iam[] = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
	{"Host", "iam.amazonaws.com"}, {"X-Amz-Date", DATE}};
static const struct sigv4_header kms[] = {{"Host", "127.0.0.1:8080"}, {"X-Amz-Date", DATE},
	{"X-Amz-Target", "TrentService.ListKeys"}, {"Content-Type", "application/x-amz-json-1.1"},
	{"User-Agent", "not signed"}};

static const struct {
	const char *name;
	struct sigv4_request request;
	const char *signed_headers;
	const char *service;
	const char *signature;
} vectors[] = {
	{"get-vanilla", {"GET", "/", "", vanilla, COUNT(vanilla), "", 0}, "host;x-amz-date", "service",
		"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"post-x-www-form-urlencoded", {"POST", "/", "", form, COUNT(form), "Param1=value1", 13},
		"content-type;host;x-amz-date", "service",
		"ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	{"get-header-key-duplicate", {"GET", "/", "", repeated, COUNT(repeated), "", 0}, "host;my-header1;x-amz-date",
		"service", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
	{"iam", {"GET", "/", "Version=2010-05-08&Action=ListUsers", iam, COUNT(iam), "", 0},
		"content-type;host;x-amz-date", "iam",
		"5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
	{"botocore", {"POST", "/", "", kms, COUNT(kms), "{}", 2}, HEADER_LIST, "kms", KMS_SIGNED},
};

static struct sigv4_scope scope_of(const char *service)
{
	struct sigv4_scope s = {.date = DATE, .region = "us-east-1"};

	snprintf(s.service, sizeof(s.service), "%s", service);
	return s;
}

static void test_published_signatures(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct sigv4_scope scope = scope_of(vectors[i].service);
		char signature[SIGV4_SIGNATURE_SIZE];

		print_message("%s\n", vectors[i].name);
		assert_int_equal(
			sigv4_sign(&vectors[i].request, vectors[i].signed_headers, &scope, SECRET, signature), ERR_OK);
		assert_string_equal(signature, vectors[i].signature);
	}
}

static void test_published_steps(void **state)
{
	struct text canonical AUTO_TEXT, to_sign AUTO_TEXT;
	struct sigv4_scope scope = scope_of("iam");
	uint8_t key[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];

	(void)state;
	text_init(&canonical, 4096);
	text_init(&to_sign, 4096);
	assert_int_equal(sigv4_canonical_request(&vectors[3].request, vectors[3].signed_headers, &canonical), ERR_OK);
	assert_string_equal(text_str(&canonical), "GET\n/\nAction=ListUsers&Version=2010-05-08\n"
						  "content-type:application/x-www-form-urlencoded; "
						  "charset=utf-8\nhost:iam.amazonaws.com\nx-amz-date:" DATE
						  "\n\ncontent-type;host;x-amz-date\n" EMPTY_HASH);
	assert_int_equal(sigv4_string_to_sign(text_str(&canonical), &scope, &to_sign), ERR_OK);
	assert_string_equal(text_str(&to_sign), "AWS4-HMAC-SHA256\n" DATE "\n20150830/us-east-1/iam/aws4_request\n"
						"f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59");
	assert_int_equal(sigv4_signing_key(SECRET, &scope, key), ERR_OK);
	encode_hex(key, sizeof(key), hex);
	assert_string_equal(hex, "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
}

static void test_values_are_trimmed(void **state)
{
	static const struct sigv4_header headers[] = {{"B", " a\t  b   c "}, {"A", "  "}, {"a", "x"}};
	struct sigv4_request r = {"GET", "", "b&a=2&a=1&a-=3&&c=", headers, COUNT(headers), "", 0};
	struct text canonical AUTO_TEXT;

	(void)state;
	text_init(&canonical, 4096);
	assert_int_equal(sigv4_canonical_request(&r, "a;b", &canonical), ERR_OK);
	assert_string_equal(text_str(&canonical), "GET\n/\na=1&a=2&a-=3&b=&c=\na:,x\nb:a b c\n\na;b\n" EMPTY_HASH);
	assert_int_equal(sigv4_canonical_request(&r, "a;missing", &canonical), ERR_NOT_FOUND);
}

/* The kms request with its Authorization header (and the one given) added. */
struct received {
	struct sigv4_header headers[8];
	struct sigv4_request request;
};

static void receive(struct received *r, const char *authorization)
{
	memcpy(r->headers, kms, sizeof(kms));
	r->headers[COUNT(kms)] = (struct sigv4_header){"Authorization", authorization};
	r->request = vectors[4].request;
	r->request.headers = r->headers;
	r->request.header_count = COUNT(kms) + 1;
}

static void add_header(struct received *r, const char *name, const char *value)
{
	r->headers[r->request.header_count++] = (struct sigv4_header){name, value};
}

static enum err check(const struct received *r, const char *secret, uint64_t now)
{
	struct sigv4_claim claim;

	TRY(sigv4_read_claim(&r->request, "kms", now, &claim));
	return sigv4_verify(&r->request, &claim, secret, NULL);
}

static void test_good_claim_verifies(void **state)
{
	struct sigv4_claim claim;
	struct received r;

	(void)state;
	receive(&r, GOOD);
	assert_int_equal(sigv4_read_claim(&r.request, "kms", WALL, &claim), ERR_OK);
	assert_string_equal(claim.access_key_id, "AKIDEXAMPLE");
	assert_string_equal(claim.scope.region, "us-east-1");
	assert_string_equal(claim.signed_headers, HEADER_LIST);
	assert_int_equal(sigv4_verify(&r.request, &claim, SECRET, NULL), ERR_OK);
	assert_int_equal(sigv4_verify(&r.request, &claim, SECRET "x", NULL), ERR_KMS_SIGNATURE_MISMATCH);
}

/* Signing keys that are remembered are those of the same secret, day, region and service. */
static void test_remembered_keys(void **state)
{
	struct sigv4_scope scope = scope_of("kms"), other = scope;
	struct sigv4_keys *keys = sigv4_keys_new();
	uint8_t derived[SHA256_SIZE], found[SHA256_SIZE];

	(void)state;
	assert_non_null(keys);
	assert_int_equal(sigv4_signing_key(SECRET, &scope, derived), ERR_OK);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(sigv4_keys_get(keys, "AKIDEXAMPLE", SECRET, &scope, found), ERR_OK);
		assert_memory_equal(found, derived, SHA256_SIZE);
		assert_int_equal(sigv4_keys_found(keys), i);
	}
	memcpy(other.date + 9, "235959", 6); /* the same day */
	assert_int_equal(sigv4_keys_get(keys, "AKIDEXAMPLE", SECRET, &other, found), ERR_OK);
	assert_int_equal(sigv4_keys_found(keys), 3);
	sigv4_keys_forget(keys);
	assert_int_equal(sigv4_keys_get(keys, "AKIDEXAMPLE", SECRET, &scope, found), ERR_OK);
	assert_memory_equal(found, derived, SHA256_SIZE);
	assert_int_equal(sigv4_keys_found(keys), 3);
	sigv4_keys_free(keys);
}

static void test_remembered_keys_of_others(void **state)
{
	struct sigv4_scope scope = scope_of("kms"), other[3] = {scope, scope, scope};
	struct sigv4_keys *keys = sigv4_keys_new();
	uint8_t derived[SHA256_SIZE], found[SHA256_SIZE];
	char as_long[] = SECRET;
	struct sigv4_claim claim;
	struct received r;

	(void)state;
	assert_non_null(keys);
	as_long[0] ^= 1;
	other[0].date[7]++;
	memcpy(other[1].region, "us-east-2", 10);
	memcpy(other[2].service, "sts", 4);
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < COUNT(other); i++) {
			assert_int_equal(sigv4_keys_get(keys, "AKIDEXAMPLE", SECRET, &scope, found), ERR_OK);
			assert_int_equal(sigv4_keys_get(keys, "AKIDEXAMPLE", SECRET, &other[i], found), ERR_OK);
			assert_int_equal(sigv4_signing_key(SECRET, &other[i], derived), ERR_OK);
			assert_memory_equal(found, derived, SHA256_SIZE);
		}
	/* The access key has another secret now: what the old one signed is worth nothing, and the other way round. */
	receive(&r, GOOD);
	assert_int_equal(sigv4_read_claim(&r.request, "kms", WALL, &claim), ERR_OK);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(sigv4_verify(&r.request, &claim, SECRET, keys), ERR_OK);
		assert_int_equal(sigv4_verify(&r.request, &claim, as_long, keys), ERR_KMS_SIGNATURE_MISMATCH);
		assert_int_equal(sigv4_verify(&r.request, &claim, SECRET, keys), ERR_OK);
		assert_int_equal(sigv4_verify(&r.request, &claim, SECRET "x", keys), ERR_KMS_SIGNATURE_MISMATCH);
		assert_int_equal(sigv4_verify(&r.request, &claim, "", keys), ERR_KMS_SIGNATURE_MISMATCH);
	}
	sigv4_keys_free(keys);
}

static void test_authorization_is_what_we_send(void **state)
{
	struct sigv4_scope scope = scope_of("kms");
	struct text out AUTO_TEXT;

	(void)state;
	text_init(&out, 1024);
	sigv4_put_authorization(&out, "AKIDEXAMPLE", &scope, HEADER_LIST, KMS_SIGNED);
	assert_string_equal(text_str(&out), GOOD);
}

/* Five minutes to either side are good, a second more is not; the message is AWS's. */
static void test_clock_window(void **state)
{
	struct received r;

	(void)state;
	receive(&r, GOOD);
	assert_int_equal(check(&r, SECRET, WALL + 300 * CLOCK_SECOND), ERR_OK);
	assert_int_equal(check(&r, SECRET, WALL - 300 * CLOCK_SECOND), ERR_OK);
	assert_int_equal(check(&r, SECRET, WALL + 301 * CLOCK_SECOND), ERR_KMS_SIGNATURE_MISMATCH);
	assert_string_equal(err_text(ERR_KMS_SIGNATURE_MISMATCH),
		"Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)");
	assert_int_equal(check(&r, SECRET, WALL - 301 * CLOCK_SECOND), ERR_KMS_SIGNATURE_MISMATCH);
	assert_string_equal(err_text(ERR_KMS_SIGNATURE_MISMATCH),
		"Signature not yet current: 20150830T123600Z is still later than "
		"20150830T123559Z (20150830T123059Z + 5 min.)");
}

#define AUTH(credential, list, signature)                                                                              \
	"AWS4-HMAC-SHA256 Credential=" credential ", SignedHeaders=" list ", Signature=" signature

static void test_malformed_authorization(void **state)
{
	static const struct {
		const char *authorization;
		enum err error;
	} cases[] = {
		{"", ERR_KMS_INCOMPLETE_SIGNATURE},
		{"Basic dXNlcjpwYXNz", ERR_KMS_INCOMPLETE_SIGNATURE},
		{"AWS4-HMAC-SHA256", ERR_KMS_INCOMPLETE_SIGNATURE},
		{"AWS4-HMAC-SHA256 ", ERR_KMS_INCOMPLETE_SIGNATURE},
		{"AWS4-HMAC-SHA256 Credential=" CREDENTIAL, ERR_KMS_INCOMPLETE_SIGNATURE},
		{"AWS4-HMAC-SHA256 Credential=" CREDENTIAL ", SignedHeaders=" HEADER_LIST,
			ERR_KMS_INCOMPLETE_SIGNATURE},
		{AUTH("", HEADER_LIST, KMS_SIGNED), ERR_KMS_INCOMPLETE_SIGNATURE},
		{AUTH("AKIDEXAMPLE", HEADER_LIST, KMS_SIGNED), ERR_KMS_INCOMPLETE_SIGNATURE},
		{AUTH(CREDENTIAL "/more", HEADER_LIST, KMS_SIGNED), ERR_KMS_INCOMPLETE_SIGNATURE},
		{AUTH("/20150830/us-east-1/kms/aws4_request", HEADER_LIST, KMS_SIGNED), ERR_KMS_INCOMPLETE_SIGNATURE},
		{AUTH("AKIDEXAMPLE/20150831/us-east-1/kms/aws4_request", HEADER_LIST, KMS_SIGNED),
			ERR_KMS_SIGNATURE_MISMATCH},
		{AUTH("AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request", HEADER_LIST, KMS_SIGNED),
			ERR_KMS_SIGNATURE_MISMATCH},
		{AUTH("AKIDEXAMPLE/20150830/us-east-1/kms/aws5_request", HEADER_LIST, KMS_SIGNED),
			ERR_KMS_SIGNATURE_MISMATCH},
		{AUTH("AKIDEXAMPLE/20150830/US_EAST/kms/aws4_request", HEADER_LIST, KMS_SIGNED),
			ERR_KMS_SIGNATURE_MISMATCH},
		{AUTH("AKIDEXAMPLE/20150830/us-west-2/kms/aws4_request", HEADER_LIST, KMS_SIGNED),
			ERR_KMS_SIGNATURE_MISMATCH},
		{AUTH(CREDENTIAL, "", KMS_SIGNED), ERR_KMS_INCOMPLETE_SIGNATURE},
		{AUTH(CREDENTIAL, "host;x-amz-date", KMS_SIGNED),
			ERR_KMS_SIGNATURE_MISMATCH}, /* x-amz-target unsigned */
		{AUTH(CREDENTIAL, "x-amz-date;x-amz-target", KMS_SIGNED), ERR_KMS_SIGNATURE_MISMATCH},
		{AUTH(CREDENTIAL, "host;x-amz-target", KMS_SIGNED), ERR_KMS_SIGNATURE_MISMATCH},
		{AUTH(CREDENTIAL, "x-amz-date;host;x-amz-target", KMS_SIGNED), ERR_KMS_INCOMPLETE_SIGNATURE},
		{AUTH(CREDENTIAL, "host;host;x-amz-date;x-amz-target", KMS_SIGNED), ERR_KMS_INCOMPLETE_SIGNATURE},
		{AUTH(CREDENTIAL, "host;x-amz-date;x-amz-target;", KMS_SIGNED), ERR_KMS_INCOMPLETE_SIGNATURE},
		{AUTH(CREDENTIAL, "Host;x-amz-date;x-amz-target", KMS_SIGNED), ERR_KMS_INCOMPLETE_SIGNATURE},
		{AUTH(CREDENTIAL, "host;missing;x-amz-date;x-amz-target", KMS_SIGNED), ERR_KMS_SIGNATURE_MISMATCH},
		{AUTH(CREDENTIAL, HEADER_LIST, "64dce774"), ERR_KMS_INCOMPLETE_SIGNATURE},
		{AUTH(CREDENTIAL, HEADER_LIST, KMS_SIGNED "00"), ERR_KMS_INCOMPLETE_SIGNATURE},
	};
	struct received r;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		receive(&r, cases[i].authorization);
		print_message("%s\n", cases[i].authorization);
		assert_int_equal(check(&r, SECRET, WALL), cases[i].error);
	}
	r.request.header_count = COUNT(kms);
	assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_MISSING_AUTHENTICATION);
	assert_string_equal(err_text(ERR_KMS_MISSING_AUTHENTICATION), "Missing Authentication Token");
}

static void test_dates_that_are_none(void **state)
{
	static const char *const dates[] = {"", "20150830", "20150830T123600", "20150830T123600z", "2015-08-30T12:36",
		"20150231T123600Z", "20150830T253600Z", "20150830T126000Z", "2015083OT123600Z", "20151330T123600Z",
		"20150830T123600Z0"};
	struct received r;

	(void)state;
	for (size_t i = 0; i < COUNT(dates); i++) {
		receive(&r, GOOD);
		r.headers[1].value = dates[i];
		print_message("'%s'\n", dates[i]);
		assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_INCOMPLETE_SIGNATURE);
	}
	receive(&r, GOOD);
	r.headers[1].name = "X-Date";
	assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_INCOMPLETE_SIGNATURE);
}

static void test_repeated_headers_are_refused(void **state)
{
	static const char *const names[] = {"Authorization", "X-Amz-Date"};
	struct received r;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		receive(&r, GOOD);
		add_header(&r, names[i], i ? DATE : GOOD);
		assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_INCOMPLETE_SIGNATURE);
	}
	receive(&r, GOOD);
	add_header(&r, "x-amz-target", "TrentService.CreateKey");
	assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_SIGNATURE_MISMATCH);
}

/* Every byte of what is signed counts: the values, the body, the method, the path, the query and the signature. */
static void test_any_change_is_noticed(void **state)
{
	char text[256];
	struct received r;
	unsigned changed = 0;

	(void)state;
	for (size_t h = 0; h < 4; h++) {
		for (size_t i = 0; i < strlen(kms[h].value); i++, changed++) {
			snprintf(text, sizeof(text), "%s", kms[h].value);
			text[i] ^= 1;
			receive(&r, GOOD);
			r.headers[h].value = text;
			assert_int_not_equal(check(&r, SECRET, WALL), ERR_OK);
		}
	}
	for (size_t i = strlen(GOOD) - 64; i < strlen(GOOD); i++, changed++) {
		snprintf(text, sizeof(text), "%s", GOOD);
		text[i] ^= 1;
		receive(&r, text);
		assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_SIGNATURE_MISMATCH);
	}
	assert_true(changed > 120);
	receive(&r, GOOD);
	r.request.body = "{ }";
	r.request.body_len = 3;
	assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_SIGNATURE_MISMATCH);
	receive(&r, GOOD);
	r.request.method = "PUT";
	assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_SIGNATURE_MISMATCH);
	receive(&r, GOOD);
	r.request.path = "/x";
	assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_SIGNATURE_MISMATCH);
	receive(&r, GOOD);
	r.request.query = "a=1";
	assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_SIGNATURE_MISMATCH);
}

/* Signed well, but over too little. */
static void test_what_must_be_signed(void **state)
{
	static const struct {
		const char *list;
		enum err error;
	} cases[] = {
		{"host;x-amz-date;x-amz-target", ERR_OK},
		{"x-amz-date;x-amz-target", ERR_KMS_SIGNATURE_MISMATCH},
		{"host;x-amz-target", ERR_KMS_SIGNATURE_MISMATCH},
		{"host;x-amz-date", ERR_KMS_SIGNATURE_MISMATCH},
	};
	struct sigv4_scope scope = scope_of("kms");

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char signature[SIGV4_SIGNATURE_SIZE];
		struct text authorization AUTO_TEXT;
		struct received r;

		text_init(&authorization, 1024);
		receive(&r, "");
		assert_int_equal(sigv4_sign(&r.request, cases[i].list, &scope, SECRET, signature), ERR_OK);
		sigv4_put_authorization(&authorization, "AKIDEXAMPLE", &scope, cases[i].list, signature);
		r.headers[COUNT(kms)].value = text_str(&authorization);
		assert_int_equal(check(&r, SECRET, WALL), cases[i].error);
	}
}

static void test_content_hash_header(void **state)
{
	static const struct {
		const char *value;
		enum err error;
	} cases[] = {
		{"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", ERR_OK}, /* SHA-256("{}") */
		{EMPTY_HASH, ERR_KMS_SIGNATURE_MISMATCH},
		{"UNSIGNED-PAYLOAD", ERR_KMS_SIGNATURE_MISMATCH},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", ERR_KMS_SIGNATURE_MISMATCH},
	};
	const char *list = "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target";
	struct sigv4_scope scope = scope_of("kms");

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char signature[SIGV4_SIGNATURE_SIZE];
		struct text authorization AUTO_TEXT;
		struct received r;

		text_init(&authorization, 1024);
		receive(&r, "");
		add_header(&r, "X-Amz-Content-Sha256", cases[i].value);
		assert_int_equal(sigv4_sign(&r.request, list, &scope, SECRET, signature), ERR_OK);
		sigv4_put_authorization(&authorization, "AKIDEXAMPLE", &scope, list, signature);
		r.headers[COUNT(kms)].value = text_str(&authorization);
		assert_int_equal(check(&r, SECRET, WALL), cases[i].error);
	}
}

static void test_token_must_be_signed(void **state)
{
	struct received r;

	(void)state;
	receive(&r, GOOD);
	add_header(&r, "X-Amz-Security-Token", "TOKEN");
	assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_SIGNATURE_MISMATCH);
	/* botocore's signature with a token */
	receive(&r, AUTH(CREDENTIAL, "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
			    "05e3c585b5e9690e434a1055dcf09ef4a1582e92d62a613efe8352db15dccc76"));
	add_header(&r, "X-Amz-Security-Token", "TOKEN");
	assert_int_equal(check(&r, SECRET, WALL), ERR_OK);
}

/* Cut, insert, overwrite or repeat somewhere in @text. */
static void edit(struct prng *random, char *text)
{
	static const char alphabet[] = "AWS4-=/;, \tcredntialSgHoxz0123456789abf%\x80";
	size_t len = strlen(text), at = prng_below(random, len + 1), n = prng_below(random, 40);
	char letter = alphabet[prng_below(random, sizeof(alphabet) - 1)];

	n = n < len - at ? n : len - at;
	switch (prng_below(random, 4)) {
	case 0:
		memmove(text + at, text + at + n, len - at - n + 1);
		break;
	case 1:
		memmove(text + at + 1, text + at, len - at + 1);
		text[at] = letter;
		break;
	case 2:
		if (at < len)
			text[at] = letter;
		break;
	default:
		memmove(text + at + n, text + at, len - at + 1);
		break;
	}
}

/* What verifies after random edits says the same in other words (a space more); the key id is proven by its secret alone. */
static void test_random_edits(void **state)
{
	struct sigv4_claim good, claim;
	struct received r;
	struct prng random;
	unsigned refused = 0;

	(void)state;
	prng_init(&random);
	receive(&r, GOOD);
	assert_int_equal(sigv4_read_claim(&r.request, "kms", WALL, &good), ERR_OK);
	for (int round = 0; round < 20000; round++) {
		char text[1024] = GOOD;

		for (uint64_t edits = 1 + prng_below(&random, 3); edits; edits--)
			edit(&random, text);
		receive(&r, text);
		if (check(&r, SECRET, WALL) != ERR_OK) {
			refused++;
			continue;
		}
		assert_int_equal(sigv4_read_claim(&r.request, "kms", WALL, &claim), ERR_OK);
		assert_string_equal(claim.signature, good.signature);
		assert_string_equal(claim.signed_headers, good.signed_headers);
		assert_memory_equal(&claim.scope, &good.scope, sizeof(good.scope));
	}
	assert_true(refused > 10000);
}

static void test_too_large_is_refused(void **state)
{
	char big[SIGV4_SIGNED_HEADERS_SIZE + 256];
	struct text text AUTO_TEXT;
	struct received r;

	(void)state;
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	text_init(&text, 8192);
	text_puts(&text, "AWS4-HMAC-SHA256 Credential=" CREDENTIAL ", SignedHeaders=");
	text_puts(&text, big);
	text_puts(&text, ", Signature=" KMS_SIGNED);
	receive(&r, text_str(&text));
	assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_INCOMPLETE_SIGNATURE);
	text_free(&text);
	text_puts(&text, "AWS4-HMAC-SHA256 Credential=");
	text_puts(&text, big);
	text_puts(&text, "/20150830/us-east-1/kms/aws4_request, SignedHeaders=" HEADER_LIST ", Signature=" KMS_SIGNED);
	receive(&r, text_str(&text));
	assert_int_equal(check(&r, SECRET, WALL), ERR_KMS_INCOMPLETE_SIGNATURE);
}

static void test_text_is_bounded(void **state)
{
	struct text t AUTO_TEXT;

	(void)state;
	text_init(&t, 4);
	assert_string_equal(text_str(&t), "");
	text_puts(&t, "abcd");
	assert_int_equal(text_end(&t), ERR_OK);
	text_putc(&t, 'e');
	text_puts(&t, "");
	assert_int_equal(text_end(&t), ERR_LIMIT);
	assert_string_equal(text_str(&t), "abcd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_signatures),
		cmocka_unit_test(test_published_steps),
		cmocka_unit_test(test_values_are_trimmed),
		cmocka_unit_test(test_good_claim_verifies),
		cmocka_unit_test(test_remembered_keys),
		cmocka_unit_test(test_remembered_keys_of_others),
		cmocka_unit_test(test_authorization_is_what_we_send),
		cmocka_unit_test(test_clock_window),
		cmocka_unit_test(test_malformed_authorization),
		cmocka_unit_test(test_dates_that_are_none),
		cmocka_unit_test(test_repeated_headers_are_refused),
		cmocka_unit_test(test_any_change_is_noticed),
		cmocka_unit_test(test_what_must_be_signed),
		cmocka_unit_test(test_content_hash_header),
		cmocka_unit_test(test_token_must_be_signed),
		cmocka_unit_test(test_random_edits),
		cmocka_unit_test(test_too_large_is_refused),
		cmocka_unit_test(test_text_is_bounded),
	};

	return cmocka_run_group_tests_name("wire_sigv4", tests, NULL, NULL);
}
