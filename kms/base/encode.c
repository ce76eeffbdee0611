/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/encode.h"

#include <string.h>

static const char std_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char hex_digits[] = "0123456789abcdef";

/* Unpadded; returns the text's length, no NUL. */
static size_t encode64(const char *alphabet, const uint8_t *in, size_t len, char *out)
{
	char *p = out;

	for (; len >= 3; len -= 3, in += 3) {
		uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];

		*p++ = alphabet[bits >> 18];
		*p++ = alphabet[bits >> 12 & 63];
		*p++ = alphabet[bits >> 6 & 63];
		*p++ = alphabet[bits & 63];
	}
	if (len > 0) {
		uint32_t bits = (uint32_t)in[0] << 8 | (len > 1 ? in[1] : 0);

		*p++ = alphabet[bits >> 10];
		*p++ = alphabet[bits >> 4 & 63];
		if (len > 1)
			*p++ = alphabet[bits << 2 & 63];
	}
	return (size_t)(p - out);
}

size_t encode_base64(const void *in, size_t len, char *out)
{
	size_t n = encode64(std_alphabet, in, len, out);

	while (n % 4)
		out[n++] = '=';
	out[n] = '\0';
	return n;
}

size_t encode_base64url(const void *in, size_t len, char *out)
{
	size_t n = encode64(url_alphabet, in, len, out);

	out[n] = '\0';
	return n;
}

size_t encode_hex(const void *in, size_t len, char *out)
{
	const uint8_t *p = in;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = hex_digits[p[i] >> 4];
		out[2 * i + 1] = hex_digits[p[i] & 15];
	}
	out[2 * len] = '\0';
	return 2 * len;
}

/* Where the dashes of a UUID's text stand. */
static int is_dash_position(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

void encode_uuid(const uint8_t id[UUID_SIZE], char out[UUID_TEXT + 1])
{
	static const uint8_t part[] = {4, 2, 2, 2, 6};
	char *p = out;

	for (size_t i = 0; i < sizeof(part); id += part[i++]) {
		p += encode_hex(id, part[i], p);
		*p++ = '-';
	}
	out[UUID_TEXT] = '\0';
}

static int value64(char c, char c62, char c63)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == c62 ? 62 : c == c63 ? 63 : -1;
}

/* @len counts digits only. The bits left over must be zero: otherwise several texts would stand for one value. */
static enum err decode64(const char *alphabet, const char *in, size_t len, void *out, size_t size, size_t *ret_len)
{
	size_t n = len / 4 * 3 + (len % 4 ? len % 4 - 1 : 0);
	uint8_t *p = out;
	uint32_t bits = 0;
	unsigned have = 0;

	if (len % 4 == 1)
		return err_fail(ERR_FORMAT, "base64 text of impossible length");
	if (n > size)
		return err_fail(ERR_LIMIT, "base64 text of %zu bytes, at most %zu are allowed", n, size);
	for (size_t i = 0; i < len; i++) {
		int v = value64(in[i], alphabet[62], alphabet[63]);

		if (v < 0)
			return err_fail(ERR_FORMAT, "no base64 digit at position %zu", i);
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			*p++ = (uint8_t)(bits >> have);
		}
	}
	if (bits & ((UINT32_C(1) << have) - 1))
		return err_fail(ERR_FORMAT, "base64 text with stray bits");
	*ret_len = n;
	return ERR_OK;
}

enum err decode_base64(const char *in, size_t len, void *out, size_t size, size_t *ret_len)
{
	if (len % 4)
		return err_fail(ERR_FORMAT, "base64 text is not padded to a multiple of four");
	if (len && in[len - 1] == '=')
		len -= in[len - 2] == '=' ? 2 : 1;
	return decode64(std_alphabet, in, len, out, size, ret_len);
}

enum err decode_base64url(const char *in, size_t len, void *out, size_t size, size_t *ret_len)
{
	return decode64(url_alphabet, in, len, out, size, ret_len);
}

static int value16(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum err decode_hex(const char *in, size_t len, void *out, size_t size, size_t *ret_len)
{
	uint8_t *p = out;

	if (len % 2)
		return err_fail(ERR_FORMAT, "hexadecimal text of odd length");
	if (len / 2 > size)
		return err_fail(ERR_LIMIT, "hexadecimal text of %zu bytes, at most %zu are allowed", len / 2, size);
	for (size_t i = 0; i < len; i += 2) {
		int high = value16(in[i]);
		int low = value16(in[i + 1]);

		if (high < 0 || low < 0)
			return err_fail(ERR_FORMAT, "no hexadecimal digit at position %zu", i);
		p[i / 2] = (uint8_t)(high << 4 | low);
	}
	*ret_len = len / 2;
	return ERR_OK;
}

enum err decode_uuid(const char *in, size_t len, uint8_t ret_id[UUID_SIZE])
{
	char hex[2 * UUID_SIZE];
	uint8_t id[UUID_SIZE];
	size_t n = 0;

	if (len != UUID_TEXT)
		return err_fail(ERR_FORMAT, "a UUID has %d characters, not %zu", (int)UUID_TEXT, len);
	for (size_t i = 0; i < len; i++) {
		if (is_dash_position(i) && in[i] != '-')
			return err_fail(ERR_FORMAT, "a UUID has a dash at position %zu", i);
		if (!is_dash_position(i))
			hex[n++] = in[i];
	}
	TRY(decode_hex(hex, n, id, sizeof(id), &n));
	memcpy(ret_id, id, sizeof(id));
	return ERR_OK;
}

/* Length of the character that starts at @p, 0 when none does. A NUL is no continuation byte, so the text's end is not passed. */
static size_t utf8_character(const unsigned char *p)
{
	static const struct {
		unsigned char first, last, second_min, second_max;
		size_t len;
	} forms[] = {
		{0x01, 0x7f, 0x00, 0x00, 1},
		{0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t n = 1;

		if (*p < forms[i].first || *p > forms[i].last)
			continue;
		if (forms[i].len > 1 && (p[1] < forms[i].second_min || p[1] > forms[i].second_max))
			return 0;
		while (n < forms[i].len && (p[n] & 0xc0) == 0x80)
			n++;
		return n == forms[i].len ? n : 0;
	}
	return 0;
}

void encode_utf8_repair(char *text)
{
	while (*text != '\0') {
		size_t n = utf8_character((const unsigned char *)text);

		if (n == 0)
			*text = '?';
		text += n > 0 ? n : 1;
	}
}

static int needs_no_quotes(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,=+@%";
	const char *p = text;

	while (*p != '\0' && ((unsigned char)*p >= 0x80 || strchr(plain, *p)))
		p++;
	return *p == '\0' && p > text;
}

/* In single quotes; a single quote itself stands between two such runs, behind a backslash. */
const char *encode_shell(const char *text, char *out, size_t size)
{
	static const char quote[] = "'\\''";
	size_t n = 0, quoted = sizeof(quote) - 1;

	for (const char *p = text; *p != '\0'; p++)
		n += *p == '\'' ? quoted : 1;
	if (needs_no_quotes(text) || n + sizeof("''") > size)
		return text;
	n = 0;
	out[n++] = '\'';
	for (; *text != '\0'; text++) {
		size_t len = *text == '\'' ? quoted : 1;

		memcpy(out + n, len == 1 ? text : quote, len);
		n += len;
	}
	out[n++] = '\'';
	out[n] = '\0';
	return out;
}
