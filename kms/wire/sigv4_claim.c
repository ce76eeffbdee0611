/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/sigv4.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "kms/base/clock.h"

#define SIGV4_ALGORITHM  "AWS4-HMAC-SHA256"
#define SIGV4_TERMINATOR "aws4_request"

/* The one value of a header; NULL when there is none. Repeated headers that matter make no valid request: refused. */
static enum err single_header(const struct sigv4_request *r, const char *name, const char **ret)
{
	const char *found = NULL;

	for (size_t i = 0; i < r->header_count; i++) {
		if (strcasecmp(r->headers[i].name, name) != 0)
			continue;
		if (found)
			return err_fail(ERR_KMS_INCOMPLETE_SIGNATURE, "Header '%s' is given more than once.", name);
		found = r->headers[i].value;
	}
	*ret = found;
	return ERR_OK;
}

/* Copy [p, p+len) as a C string; too long or empty is an error of the claim. */
static enum err copy_part(const char *what, const char *p, size_t len, char *out, size_t size)
{
	if (!len || len >= size)
		return err_fail(ERR_KMS_INCOMPLETE_SIGNATURE,
			"Authorization header's %s is empty or longer than %zu characters.", what, size - 1);
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)p[i]))
			return err_fail(
				ERR_KMS_INCOMPLETE_SIGNATURE, "Authorization header's %s has a stray character.", what);
	memcpy(out, p, len);
	out[len] = '\0';
	return ERR_OK;
}

/* One "Name=value" of the header's comma-separated list. */
static enum err find_parameter(const char *list, const char *name, const char **ret, size_t *ret_len)
{
	size_t name_len = strlen(name);

	while (*list) {
		size_t len;

		list += strspn(list, ", ");
		len = strcspn(list, ", ");
		if (len > name_len && list[name_len] == '=' && !strncmp(list, name, name_len)) {
			*ret = list + name_len + 1;
			*ret_len = len - name_len - 1;
			return ERR_OK;
		}
		list += len;
	}
	return err_fail(ERR_KMS_INCOMPLETE_SIGNATURE, "Authorization header requires '%s' parameter.", name);
}

enum { PART_KEY, PART_DATE, PART_REGION, PART_SERVICE, PART_TERMINATOR, PART_COUNT };

/* "AKID/20150830/us-east-1/kms/aws4_request" */
static enum err split_credential(const char *p, size_t len, struct bytes_view parts[PART_COUNT])
{
	const char *end = p + len;
	size_t n = 0;

	for (;;) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		const char *stop = slash ? slash : end;

		if (n < PART_COUNT)
			parts[n] = (struct bytes_view){p, (size_t)(stop - p)};
		n++;
		if (!slash)
			break;
		p = slash + 1;
	}
	if (n != PART_COUNT)
		return err_fail(ERR_KMS_INCOMPLETE_SIGNATURE,
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
			"got %zu.",
			n);
	return ERR_OK;
}

static int part_is(const struct bytes_view *part, const char *text)
{
	return part->len == strlen(text) && !memcmp(part->p, text, part->len);
}

static enum err read_credential(const char *list, const char *service, const char *date, struct sigv4_claim *claim)
{
	struct bytes_view part[PART_COUNT] = {{0}};
	const char *p = NULL;
	size_t len = 0;

	TRY(find_parameter(list, "Credential", &p, &len));
	TRY(split_credential(p, len, part));
	TRY(copy_part("access key id", part[PART_KEY].p, part[PART_KEY].len, claim->access_key_id,
		sizeof(claim->access_key_id)));
	TRY(copy_part("region", part[PART_REGION].p, part[PART_REGION].len, claim->scope.region,
		sizeof(claim->scope.region)));
	if (strspn(claim->scope.region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(claim->scope.region))
		return err_fail(ERR_KMS_SIGNATURE_MISMATCH, "Credential should be scoped to a valid region.");
	if (!part_is(&part[PART_SERVICE], service))
		return err_fail(
			ERR_KMS_SIGNATURE_MISMATCH, "Credential should be scoped to correct service: '%s'.", service);
	if (!part_is(&part[PART_TERMINATOR], SIGV4_TERMINATOR))
		return err_fail(ERR_KMS_SIGNATURE_MISMATCH,
			"Credential should be scoped with a valid terminator: '" SIGV4_TERMINATOR "'.");
	if (part[PART_DATE].len != 8 || memcmp(part[PART_DATE].p, date, 8) != 0)
		return err_fail(ERR_KMS_SIGNATURE_MISMATCH,
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
			"from '%s'.",
			date);
	snprintf(claim->scope.service, sizeof(claim->scope.service), "%s", service);
	return ERR_OK;
}

static int digits(const char *p, size_t n, int *ret)
{
	int v = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
		v = v * 10 + (p[i] - '0');
	}
	*ret = v;
	return 1;
}

static int parse_date(const char *s, time_t *ret)
{
	struct tm tm = {0}, normal;
	time_t t;

	if (strlen(s) != SIGV4_DATE_SIZE - 1 || s[8] != 'T' || s[15] != 'Z')
		return 0;
	if (!digits(s, 4, &tm.tm_year) || !digits(s + 4, 2, &tm.tm_mon) || !digits(s + 6, 2, &tm.tm_mday) ||
		!digits(s + 9, 2, &tm.tm_hour) || !digits(s + 11, 2, &tm.tm_min) || !digits(s + 13, 2, &tm.tm_sec))
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	normal = tm;
	t = timegm(&normal);
	/* timegm() would read the 31st of February as the 3rd of March. */
	if (normal.tm_mon != tm.tm_mon || normal.tm_mday != tm.tm_mday || normal.tm_hour != tm.tm_hour ||
		normal.tm_min != tm.tm_min || normal.tm_sec != tm.tm_sec)
		return 0;
	*ret = t;
	return 1;
}

/* A signature is good for five minutes to either side of our clock; older ones are replays. */
static enum err check_date(const char *date, uint64_t now_ns)
{
	char now_text[SIGV4_DATE_SIZE], bound[SIGV4_DATE_SIZE];
	uint64_t window = SIGV4_WINDOW_SECONDS * CLOCK_SECOND;
	int64_t now = (int64_t)(now_ns / CLOCK_SECOND);
	time_t then = 0;

	if (!parse_date(date, &then))
		return err_fail(ERR_KMS_INCOMPLETE_SIGNATURE,
			"Date must be in ISO-8601 'basic format'. Got '%.20s'. See "
			"http://en.wikipedia.org/wiki/ISO_8601",
			date);
	if (then >= now - SIGV4_WINDOW_SECONDS && then <= now + SIGV4_WINDOW_SECONDS)
		return ERR_OK;
	sigv4_date(now_ns, now_text);
	if (then < now) {
		sigv4_date(now_ns - window, bound);
		return err_fail(ERR_KMS_SIGNATURE_MISMATCH,
			"Signature expired: %s is now earlier than %s (%s - 5 min.)", date, bound, now_text);
	}
	sigv4_date(now_ns + window, bound);
	return err_fail(ERR_KMS_SIGNATURE_MISMATCH,
		"Signature not yet current: %s is still later than %s (%s + 5 min.)", date, bound, now_text);
}

static int is_signed(const char *signed_headers, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = signed_headers; *p; p += strcspn(p, ";"), p += *p == ';')
		if (strcspn(p, ";") == len && !strncmp(p, name, len))
			return 1;
	return 0;
}

/* Lower case and strictly ascending: one text for one set, no header counted twice. */
static enum err check_signed_headers_form(const char *list)
{
	const char *last = "";
	size_t last_len = 0;

	for (const char *p = list;;) {
		size_t len = strcspn(p, ";"), least = len < last_len ? len : last_len;
		int order = memcmp(last, p, least);

		for (size_t i = 0; i < len; i++)
			if (isupper((unsigned char)p[i]))
				order = 1;
		if (!len || order > 0 || (order == 0 && last_len >= len))
			return err_fail(ERR_KMS_INCOMPLETE_SIGNATURE, "Authorization header's SignedHeaders must be "
								      "lower-case, sorted and without repetition.");
		if (!p[len])
			return ERR_OK;
		last = p;
		last_len = len;
		p += len + 1;
	}
}

/*
 * x-amz-target must be signed too: without it a captured DescribeKey could be replayed as ScheduleKeyDeletion with the same
 * body. AWS asks for every x-amz-* header to be signed, and its clients do.
 */
static enum err check_signed_headers(const struct sigv4_request *r, const char *list)
{
	TRY(check_signed_headers_form(list));
	if (!is_signed(list, "host"))
		return err_fail(ERR_KMS_SIGNATURE_MISMATCH,
			"'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
	if (!is_signed(list, "x-amz-date"))
		return err_fail(
			ERR_KMS_SIGNATURE_MISMATCH, "'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization.");
	for (size_t i = 0; i < r->header_count; i++) {
		const char *name = r->headers[i].name;

		if (!strcasecmp(name, "x-amz-target") && !is_signed(list, "x-amz-target"))
			return err_fail(ERR_KMS_SIGNATURE_MISMATCH,
				"'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.");
		if (!strcasecmp(name, "x-amz-security-token") && !is_signed(list, "x-amz-security-token"))
			return err_fail(ERR_KMS_SIGNATURE_MISMATCH,
				"'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization.");
	}
	return ERR_OK;
}

static enum err read_signature(const char *list, struct sigv4_claim *claim)
{
	const char *p = NULL;
	size_t len = 0;

	TRY(find_parameter(list, "SignedHeaders", &p, &len));
	TRY(copy_part("SignedHeaders", p, len, claim->signed_headers, sizeof(claim->signed_headers)));
	TRY(find_parameter(list, "Signature", &p, &len));
	TRY(copy_part("Signature", p, len, claim->signature, sizeof(claim->signature)));
	if (strlen(claim->signature) != SIGV4_SIGNATURE_SIZE - 1)
		return err_fail(ERR_KMS_INCOMPLETE_SIGNATURE, "Authorization header's Signature has the wrong length.");
	return ERR_OK;
}

enum err sigv4_read_claim(
	const struct sigv4_request *r, const char *service, uint64_t now_wall_ns, struct sigv4_claim *ret)
{
	const char *authorization = NULL, *date = NULL, *list;
	size_t algorithm_len = strlen(SIGV4_ALGORITHM);
	struct sigv4_claim claim = {0};

	TRY(single_header(r, "authorization", &authorization));
	if (!authorization)
		return err_fail(ERR_KMS_MISSING_AUTHENTICATION, "Missing Authentication Token");
	if (strncmp(authorization, SIGV4_ALGORITHM, algorithm_len) != 0 || authorization[algorithm_len] != ' ')
		return err_fail(ERR_KMS_INCOMPLETE_SIGNATURE,
			"Unsupported AWS 'algorithm': only '" SIGV4_ALGORITHM "' is understood.");
	list = authorization + algorithm_len + 1;
	TRY(single_header(r, "x-amz-date", &date));
	if (!date)
		return err_fail(ERR_KMS_INCOMPLETE_SIGNATURE,
			"Authorization header requires existence of a 'X-Amz-Date' header.");
	TRY(check_date(date, now_wall_ns));
	snprintf(claim.scope.date, sizeof(claim.scope.date), "%s", date);
	TRY(read_credential(list, service, date, &claim));
	TRY(read_signature(list, &claim));
	TRY(check_signed_headers(r, claim.signed_headers));
	*ret = claim;
	return ERR_OK;
}
