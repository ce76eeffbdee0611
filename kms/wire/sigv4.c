/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/sigv4.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "kms/base/clock.h"
#include "kms/base/encode.h"
#include "kms/base/secret.h"
#include "kms/wire/sigv4_keys.h"

#define SIGV4_ALGORITHM  "AWS4-HMAC-SHA256"
#define SIGV4_TERMINATOR "aws4_request"

enum { SIGV4_TEXT_MAX = 128 * 1024, SIGV4_MAX_PARAMETERS = 64, HEX_SHA256_SIZE = 2 * SHA256_SIZE + 1 };

void sigv4_date(uint64_t wall_ns, char ret[SIGV4_DATE_SIZE])
{
	time_t seconds = (time_t)(wall_ns / CLOCK_SECOND);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	if (!strftime(ret, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm))
		ret[0] = '\0';
}

static enum err hash_hex(const void *p, size_t len, char ret[HEX_SHA256_SIZE])
{
	uint8_t hash[SHA256_SIZE];

	TRY(kdf_sha256(p, len, hash));
	encode_hex(hash, sizeof(hash), ret);
	return ERR_OK;
}

/* Trimmed, with inner runs of blanks as one space: "Trimall" in AWS's words. */
static void put_trimmed(struct text *out, const char *value)
{
	for (const char *between = "";; between = " ") {
		size_t len;

		value += strspn(value, " \t");
		if (!*value)
			return;
		len = strcspn(value, " \t");
		text_puts(out, between);
		text_add(out, value, len);
		value += len;
	}
}

/* "name:value\n", the values of a repeated header joined by commas. Returns how many there were. */
static size_t put_header(struct text *out, const struct sigv4_request *r, const char *name, size_t name_len)
{
	size_t found = 0;

	text_add(out, name, name_len);
	for (size_t i = 0; i < r->header_count; i++) {
		const struct sigv4_header *h = &r->headers[i];

		if (strlen(h->name) != name_len || strncasecmp(h->name, name, name_len) != 0)
			continue;
		text_putc(out, found++ ? ',' : ':');
		put_trimmed(out, h->value);
	}
	text_putc(out, '\n');
	return found;
}

static enum err put_headers(struct text *out, const struct sigv4_request *r, const char *signed_headers)
{
	const char *name = signed_headers;

	for (;;) {
		size_t len = strcspn(name, ";");

		if (!put_header(out, r, name, len))
			return err_fail(ERR_NOT_FOUND, "signed header '%.*s' is not in the request", (int)len, name);
		if (!name[len])
			return ERR_OK;
		name += len + 1;
	}
}

struct parameter {
	const char *p;
	size_t len;
};

/* By name, then by value; '=' must not take part, or "a-=1" would sort before "a=1". */
static int parameter_order(const void *left, const void *right)
{
	const struct parameter *a = left, *b = right;
	const char *end_a = memchr(a->p, '=', a->len), *end_b = memchr(b->p, '=', b->len);
	size_t name_a = end_a ? (size_t)(end_a - a->p) : a->len, name_b = end_b ? (size_t)(end_b - b->p) : b->len;
	int order = memcmp(a->p, b->p, name_a < name_b ? name_a : name_b);

	if (order == 0 && name_a != name_b)
		return name_a < name_b ? -1 : 1;
	if (order == 0)
		order = memcmp(a->p, b->p, a->len < b->len ? a->len : b->len);
	if (order == 0 && a->len != b->len)
		order = a->len < b->len ? -1 : 1;
	return order;
}

static enum err put_query(struct text *out, const char *query)
{
	struct parameter list[SIGV4_MAX_PARAMETERS] = {{NULL, 0}};
	size_t n = 0;

	while (*query) {
		size_t len = strcspn(query, "&");

		if (n == SIGV4_MAX_PARAMETERS)
			return err_fail(ERR_LIMIT, "the query has more than %d parameters", SIGV4_MAX_PARAMETERS);
		if (len)
			list[n++] = (struct parameter){query, len};
		query += len + (query[len] == '&');
	}
	qsort(list, n, sizeof(list[0]), parameter_order);
	for (size_t i = 0; i < n; i++) {
		if (i)
			text_putc(out, '&');
		text_add(out, list[i].p, list[i].len);
		if (!memchr(list[i].p, '=', list[i].len))
			text_putc(out, '=');
	}
	return ERR_OK;
}

enum err sigv4_canonical_request(const struct sigv4_request *r, const char *signed_headers, struct text *out)
{
	char hash[HEX_SHA256_SIZE];

	TRY(hash_hex(r->body, r->body_len, hash));
	text_puts(out, r->method);
	text_putc(out, '\n');
	text_puts(out, r->path[0] ? r->path : "/");
	text_putc(out, '\n');
	TRY(put_query(out, r->query));
	text_putc(out, '\n');
	TRY(put_headers(out, r, signed_headers));
	text_putc(out, '\n');
	text_puts(out, signed_headers);
	text_putc(out, '\n');
	text_puts(out, hash);
	return text_end(out);
}

/* "20150830/us-east-1/kms/aws4_request" */
static void put_scope(struct text *out, const struct sigv4_scope *scope)
{
	text_add(out, scope->date, 8);
	text_putc(out, '/');
	text_puts(out, scope->region);
	text_putc(out, '/');
	text_puts(out, scope->service);
	text_puts(out, "/" SIGV4_TERMINATOR);
}

enum err sigv4_string_to_sign(const char *canonical, const struct sigv4_scope *scope, struct text *out)
{
	char hash[HEX_SHA256_SIZE];

	TRY(hash_hex(canonical, strlen(canonical), hash));
	text_puts(out, SIGV4_ALGORITHM "\n");
	text_puts(out, scope->date);
	text_putc(out, '\n');
	put_scope(out, scope);
	text_putc(out, '\n');
	text_puts(out, hash);
	return text_end(out);
}

enum err sigv4_signing_key(const char *secret, const struct sigv4_scope *scope, uint8_t ret_key[SHA256_SIZE])
{
	struct text first AUTO_TEXT;
	uint8_t key[SHA256_SIZE] AUTO_WIPE;

	text_init(&first, 1024);
	text_puts(&first, "AWS4");
	text_puts(&first, secret);
	TRY(text_end(&first));
	TRY(kdf_hmac(first.p, first.len, scope->date, 8, key));
	TRY(kdf_hmac(key, sizeof(key), scope->region, strlen(scope->region), key));
	TRY(kdf_hmac(key, sizeof(key), scope->service, strlen(scope->service), key));
	return kdf_hmac(key, sizeof(key), SIGV4_TERMINATOR, strlen(SIGV4_TERMINATOR), ret_key);
}

static enum err sign_with(const struct sigv4_request *r, const char *signed_headers, const struct sigv4_scope *scope,
	const uint8_t key[SHA256_SIZE], char ret_signature[SIGV4_SIGNATURE_SIZE])
{
	struct text canonical AUTO_TEXT, to_sign AUTO_TEXT;
	uint8_t mac[SHA256_SIZE];

	text_init(&canonical, SIGV4_TEXT_MAX);
	text_init(&to_sign, SIGV4_TEXT_MAX);
	TRY(sigv4_canonical_request(r, signed_headers, &canonical));
	TRY(sigv4_string_to_sign(text_str(&canonical), scope, &to_sign));
	TRY(kdf_hmac(key, SHA256_SIZE, to_sign.p, to_sign.len, mac));
	encode_hex(mac, sizeof(mac), ret_signature);
	return ERR_OK;
}

enum err sigv4_sign(const struct sigv4_request *r, const char *signed_headers, const struct sigv4_scope *scope,
	const char *secret, char ret_signature[SIGV4_SIGNATURE_SIZE])
{
	uint8_t key[SHA256_SIZE] AUTO_WIPE;

	TRY(sigv4_signing_key(secret, scope, key));
	return sign_with(r, signed_headers, scope, key, ret_signature);
}

void sigv4_put_authorization(struct text *out, const char *access_key_id, const struct sigv4_scope *scope,
	const char *signed_headers, const char *signature)
{
	text_puts(out, SIGV4_ALGORITHM " Credential=");
	text_puts(out, access_key_id);
	text_putc(out, '/');
	put_scope(out, scope);
	text_puts(out, ", SignedHeaders=");
	text_puts(out, signed_headers);
	text_puts(out, ", Signature=");
	text_puts(out, signature);
}

/* What clients say the body's hash is, wherever they say it. */
static enum err check_said_hash(const struct sigv4_request *r, int *good)
{
	char hash[HEX_SHA256_SIZE] = "";

	for (size_t i = 0; i < r->header_count; i++) {
		if (strcasecmp(r->headers[i].name, "x-amz-content-sha256") != 0)
			continue;
		if (!hash[0])
			TRY(hash_hex(r->body, r->body_len, hash));
		if (strcmp(r->headers[i].value, hash) != 0)
			*good = 0;
	}
	return ERR_OK;
}

enum err sigv4_verify(
	const struct sigv4_request *r, const struct sigv4_claim *claim, const char *secret, struct sigv4_keys *keys)
{
	char signature[SIGV4_SIGNATURE_SIZE];
	uint8_t key[SHA256_SIZE] AUTO_WIPE;
	enum err e = sigv4_keys_get(keys, claim->access_key_id, secret, &claim->scope, key);
	int good;

	if (e == ERR_OK)
		e = sign_with(r, claim->signed_headers, &claim->scope, key, signature);
	good = e == ERR_OK && secret_equal(signature, claim->signature, SIGV4_SIGNATURE_SIZE - 1);
	if (e == ERR_NO_MEMORY || e == ERR_CRYPTO)
		return e;
	TRY(check_said_hash(r, &good));
	secret_wipe(signature, sizeof(signature));
	if (good)
		return ERR_OK;
	return err_fail(ERR_KMS_SIGNATURE_MISMATCH,
		"The request signature we calculated does not match the signature you provided. Check your AWS Secret "
		"Access "
		"Key and signing method. Consult the service documentation for details.");
}
