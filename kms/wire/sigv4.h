/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_SIGV4_H
#define SIGNETFS_WIRE_SIGV4_H

/*
 * AWS Signature Version 4 over an HTTP request with an Authorization header (no presigned URLs), made and verified.
 * Source: "Signature Version 4 signing process" in the AWS General Reference; the published examples are in the tests.
 *
 * Pure functions: no I/O, no clock, no state. Threads: safe.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"
#include "kms/base/kdf.h"
#include "kms/wire/text.h"

enum {
	SIGV4_DATE_SIZE = 17,      /* "20150830T123600Z" and NUL */
	SIGV4_SIGNATURE_SIZE = 65, /* lower-case hex and NUL */
	SIGV4_ACCESS_KEY_SIZE = 129,
	SIGV4_REGION_SIZE = 32,
	SIGV4_SERVICE_SIZE = 32,
	SIGV4_MAX_HEADERS = 64,
	SIGV4_WINDOW_SECONDS = 300, /* how far the two clocks may be apart */
};

struct sigv4_header {
	const char *name;  /* any case */
	const char *value; /* as received or to be sent */
};

struct sigv4_request {
	const char *method;
	const char *path;  /* URI-encoded; "/" */
	const char *query; /* URI-encoded, without '?'; "" for none */
	const struct sigv4_header *headers;
	size_t header_count;
	const void *body;
	size_t body_len;
};

/** What one signature is bound to, besides the request. */
struct sigv4_scope {
	char date[SIGV4_DATE_SIZE]; /* x-amz-date */
	char region[SIGV4_REGION_SIZE];
	char service[SIGV4_SERVICE_SIZE];
};

struct sigv4_keys;

/** "20150830T123600Z" of a wall-clock time. */
void sigv4_date(uint64_t wall_ns, char ret[SIGV4_DATE_SIZE]);

/**
 * The canonical request over @signed_headers ("host;x-amz-date": lower case, ascending). Appended to @out.
 * ERR_NOT_FOUND: a signed header is not in the request.
 */
enum err sigv4_canonical_request(const struct sigv4_request *request, const char *signed_headers, struct text *out);

/** The string to sign for @canonical. Appended to @out. */
enum err sigv4_string_to_sign(const char *canonical, const struct sigv4_scope *scope, struct text *out);

/** kSigning: the HMAC chain over date, region, service. A secret. */
enum err sigv4_signing_key(const char *secret, const struct sigv4_scope *scope, uint8_t ret_key[SHA256_SIZE]);

/** The signature of @request under @secret. */
enum err sigv4_sign(const struct sigv4_request *request, const char *signed_headers, const struct sigv4_scope *scope,
	const char *secret, char ret_signature[SIGV4_SIGNATURE_SIZE]);

/** The Authorization header's value, appended to @out. */
void sigv4_put_authorization(struct text *out, const char *access_key_id, const struct sigv4_scope *scope,
	const char *signed_headers, const char *signature);

/* ---- The server's side ---- */

enum { SIGV4_SIGNED_HEADERS_SIZE = 1024 };

/** A claim: what the Authorization header says, well-formed but not yet verified. */
struct sigv4_claim {
	char access_key_id[SIGV4_ACCESS_KEY_SIZE];
	struct sigv4_scope scope;
	char signed_headers[SIGV4_SIGNED_HEADERS_SIZE];
	char signature[SIGV4_SIGNATURE_SIZE];
};

/**
 * Read the request's claim and check everything that needs no secret: the header's form, the scope (service @service, the
 * terminator, one date in both places), that host, x-amz-date, x-amz-target and x-amz-security-token are signed where present,
 * and that x-amz-date is within SIGV4_WINDOW_SECONDS of @now.
 * ERR_KMS_MISSING_AUTHENTICATION, ERR_KMS_INCOMPLETE_SIGNATURE, ERR_KMS_SIGNATURE_MISMATCH; err_text() is AWS's message.
 */
enum err sigv4_read_claim(
	const struct sigv4_request *request, const char *service, uint64_t now_wall_ns, struct sigv4_claim *ret);

/**
 * Verify a claim that sigv4_read_claim() returned for this same request. The body's hash is computed here; an
 * x-amz-content-sha256 header must agree with it (so UNSIGNED-PAYLOAD and streaming forms do not).
 * ERR_KMS_SIGNATURE_MISMATCH with AWS's message. Compared in constant time. @keys (sigv4_keys.h) may be NULL.
 */
enum err sigv4_verify(const struct sigv4_request *request, const struct sigv4_claim *claim, const char *secret,
	struct sigv4_keys *keys);

#endif
