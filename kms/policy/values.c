/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "kms/policy/internal.h"

/* By hand: strtold() would take hexadecimal, "inf" and the locale's comma. */
int value_number(const char *text, long double *ret)
{
	static const char digits[] = "0123456789";
	size_t sign = text[0] == '-' || text[0] == '+', whole = strspn(text + sign, digits), rest = sign + whole;
	size_t fraction = 0;

	if (text[rest] == '.') {
		fraction = strspn(text + rest + 1, digits);
		rest += 1 + fraction;
	}
	if (whole + fraction == 0 || text[rest] != '\0' || rest > 64)
		return 0;
	*ret = strtold(text, NULL);
	return 1;
}

/* Behind the date: "T12:34:56", fractions, and the zone. */
static int read_time(const char *p, struct tm *tm, long double *fraction, long *offset)
{
	int read = 0, hours = 0, minutes = 0;

	if (sscanf(p, "T%2d:%2d%n", &tm->tm_hour, &tm->tm_min, &read) != 2)
		return 0;
	p += read;
	if (*p == ':') {
		if (sscanf(p, ":%2d%n", &tm->tm_sec, &read) != 1)
			return 0;
		p += read;
	}
	if (*p == '.') {
		size_t n = strspn(p + 1, "0123456789");
		char text[16];

		if (n == 0 || n > 9)
			return 0;
		snprintf(text, sizeof(text), "0.%.*s", (int)n, p + 1);
		*fraction = strtold(text, NULL);
		p += 1 + n;
	}
	if (strcmp(p, "Z") == 0)
		return 1;
	if ((*p != '+' && *p != '-') || sscanf(p + 1, "%2d:%2d%n", &hours, &minutes, &read) != 2 || p[1 + read] != '\0')
		return 0;
	*offset = (hours * 60 + minutes) * 60L * (*p == '-' ? -1 : 1);
	return hours < 24 && minutes < 60;
}

int value_date(const char *text, long double *ret)
{
	struct tm tm = {0}, normal;
	long double fraction = 0;
	long offset = 0;
	int read = 0;
	time_t t;

	if (strlen(text) > 40)
		return 0;
	if (value_number(text, ret))
		return 1;
	if (strspn(text, "0123456789-") < 10 ||
		sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &read) != 3 || read != 10)
		return 0;
	if (text[10] != '\0' && !read_time(text + 10, &tm, &fraction, &offset))
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	normal = tm;
	t = timegm(&normal);
	if (normal.tm_mday != tm.tm_mday || normal.tm_mon != tm.tm_mon || normal.tm_hour != tm.tm_hour ||
		normal.tm_min != tm.tm_min || normal.tm_sec != tm.tm_sec)
		return 0;
	*ret = (long double)t - offset + fraction;
	return 1;
}

int value_bool(const char *text, int *ret)
{
	*ret = strcasecmp(text, "true") == 0;
	return *ret || strcasecmp(text, "false") == 0;
}

int value_address(const char *text, struct address *ret)
{
	struct address a = {.family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET};
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char host[64];

	if (len >= sizeof(host))
		return 0;
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(a.family, host, a.b) != 1)
		return 0;
	a.bits = a.family == AF_INET ? 32 : 128;
	if (slash != NULL) {
		size_t n = strspn(slash + 1, "0123456789");
		unsigned long bits = n > 0 && n <= 3 && slash[1 + n] == '\0' ? strtoul(slash + 1, NULL, 10) : 999;

		if (bits > a.bits)
			return 0;
		a.bits = (unsigned)bits;
	}
	*ret = a;
	return 1;
}

int address_within(const struct address *a, const struct address *range)
{
	unsigned whole = range->bits / 8, rest = range->bits % 8;

	if (a->family != range->family || a->bits < range->bits || memcmp(a->b, range->b, whole) != 0)
		return 0;
	return rest == 0 || ((a->b[whole] ^ range->b[whole]) >> (8 - rest)) == 0;
}
