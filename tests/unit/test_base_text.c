/* SPDX-License-Identifier: Apache-2.0 */
/* JSON and INI: every refusal by name. */
#include "kms/base/encode.h"
#include "kms/base/ini_file.h"
#include "kms/base/json.h"
#include "kms/base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/prng.h"

static enum err parse(const char *text, size_t len)
{
	json_t *value = NULL;
	enum err e = json_parse(text, len, &value);

	assert_true((e == ERR_OK) == (value != NULL));
	json_decref(value);
	return e;
}

static void json_refusals(void **state)
{
	static const struct {
		const char *name, *text;
	} cases[] = {
		{"empty", ""},
		{"only white space", " \n"},
		{"cut short", "{\"a\":1"},
		{"trailing value", "{} {}"},
		{"trailing garbage", "{}x"},
		{"duplicate member", "{\"a\":1,\"a\":2}"},
		{"duplicate member by escape", "{\"a\":1,\"\\u0061\":2}"},
		{"trailing comma", "[1,]"},
		{"single quotes", "{'a':1}"},
		{"comment", "{} // x"},
		{"NaN", "[NaN]"},
		{"leading zero", "[01]"},
		{"integer too large", "[9223372036854775808]"},
		{"real too large", "[1e999]"},
		{"escaped NUL", "[\"\\u0000\"]"},
		{"escaped NUL in a name", "{\"a\\u0000b\":1}"},
		{"control character in a string", "[\"a\nb\"]"},
		{"lone surrogate", "[\"\\ud800\"]"},
		{"invalid UTF-8", "[\"\xff\"]"},
		{"overlong UTF-8", "[\"\xc0\xaf\"]"},
		{"byte order mark", "\xef\xbb\xbf{}"},
		{"bare string", "\"a\""},
		{"bare number", "1"},
		{"unbalanced", "}{"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (parse(cases[i].text, strlen(cases[i].text)) != ERR_FORMAT)
			fail_msg("not refused: %s", cases[i].name);
	assert_int_equal(parse("{}\0", 3), ERR_FORMAT);
	assert_int_equal(parse("{\"a\0b\":1}", 9), ERR_FORMAT);
}

static void json_depth_is_bounded(void **state)
{
	char text[100], strings[100];

	(void)state;
	memset(text, '[', 33);
	memset(text + 33, ']', 33);
	assert_int_equal(parse(text, 66), ERR_FORMAT);
	assert_int_equal(parse(text + 1, 64), ERR_OK);
	memset(text, '[', sizeof(text));
	assert_int_equal(parse(text, sizeof(text)), ERR_FORMAT);
	/* Brackets in strings do not count, and escaped quotes do not end them. */
	memset(strings, '[', sizeof(strings));
	memcpy(strings, "[\"\\\"", 4);
	memcpy(strings + 98, "\"]", 2);
	assert_int_equal(parse(strings, sizeof(strings)), ERR_OK);
}

static void json_errors_quote_no_content(void **state)
{
	static const char text[] = "{\"Plaintext\": c2VjcmV0}";

	(void)state;
	assert_int_equal(parse(text, strlen(text)), ERR_FORMAT);
	assert_null(strstr(err_text(ERR_FORMAT), "c2Vj"));
	assert_non_null(strstr(err_text(ERR_FORMAT), "line 1"));
}

static void json_text_is_compact_and_in_order(void **state)
{
	json_t *value AUTO_JSON = json_pack("{s:i, s:[b, n], s:s}", "z", 1, "a", 1, "m", "\xc3\xa9\"");
	size_t len = 0;
	char *text = json_text(value, &len);

	(void)state;
	assert_string_equal(text, "{\"z\":1,\"a\":[true,null],\"m\":\"\xc3\xa9\\\"\"}");
	assert_int_equal(len, strlen(text));
	secret_heap_free(text);
	assert_null(json_text(NULL, &len));
}

static json_t *any_value(struct prng *r, int depth)
{
	uint8_t bytes[24];
	size_t len = prng_below(r, sizeof(bytes));
	json_t *value;

	switch (prng_below(r, depth > 0 ? 8 : 6)) {
	case 0:
		return json_integer((json_int_t)prng_next(r));
	case 1:
		return json_real((double)(int64_t)prng_next(r) / 1024);
	case 2:
		return json_boolean(prng_below(r, 2));
	case 3:
		return json_null();
	case 6:
	case 7:
		value = prng_below(r, 2) ? json_array() : json_object();
		for (size_t n = prng_below(r, 6); n; n--) {
			char name[8] = {(char)(1 + prng_below(r, 126)), (char)('a' + n)};

			if (json_is_array(value))
				json_array_append_new(value, any_value(r, depth - 1));
			else
				json_object_set_new(value, name, any_value(r, depth - 1));
		}
		return value;
	default:
		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)prng_below(r, 128);
		return json_stringn((const char *)bytes, len);
	}
}

/* jansson's own writer is the other implementation. */
static void json_text_is_what_jansson_writes(void **state)
{
	struct prng r;

	(void)state;
	prng_init(&r);
	for (int i = 0; i < 20000; i++) {
		json_t *value AUTO_JSON = any_value(&r, 4);
		char *expected = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY), *text;
		size_t len = 0;

		text = json_text(value, &len);
		assert_non_null(text);
		assert_string_equal(text, expected);
		assert_int_equal(len, strlen(expected));
		secret_heap_free(text);
		secret_heap_free(expected);
	}
}

static void json_blobs(void **state)
{
	json_t *object AUTO_JSON = json_pack("{s:i, s:s, s:s}", "number", 1, "bad", "Zg=", "empty", "");
	uint8_t *blob = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(json_set_blob(object, "blob", "\0\xff", 2), 0);
	assert_string_equal(json_string_value(json_object_get(object, "blob")), "AP8=");
	assert_int_equal(json_get_blob(object, "blob", &blob, &len), ERR_OK);
	assert_int_equal(len, 2);
	assert_memory_equal(blob, "\0\xff", 2);
	secret_free(STEAL(blob));
	assert_int_equal(json_get_blob(object, "none", &blob, &len), ERR_NOT_FOUND);
	assert_int_equal(json_get_blob(object, "number", &blob, &len), ERR_FORMAT);
	assert_int_equal(json_get_blob(object, "bad", &blob, &len), ERR_FORMAT);
	assert_null(blob);
	assert_int_equal(json_get_blob(object, "empty", &blob, &len), ERR_OK);
	assert_int_equal(len, 0);
	secret_free(blob);
	assert_int_equal(json_set_blob(NULL, "blob", "x", 1), -1);
}

/* ---- INI ---- */

struct seen {
	char text[4096];
	unsigned stop_at;
};

static enum err note(void *context, const char *section, const char *name, const char *value, unsigned line)
{
	struct seen *s = context;
	size_t used = strlen(s->text);

	if (line == s->stop_at)
		return err_fail(ERR_UNSUPPORTED, "unknown key %s", name);
	snprintf(s->text + used, sizeof(s->text) - used, "%u[%s]%s=%.20s;", line, section, name, value);
	return ERR_OK;
}

static enum err ini(struct seen *s, const char *text, size_t len)
{
	memset(s->text, 0, sizeof(s->text));
	return ini_parse_buffer("x.ini", text, len, note, s);
}

static void ini_pairs_come_in_order_with_their_lines(void **state)
{
	static const char text[] =
		"# comment\n; another\n\na = 1\r\n[one]\n  b=  two words ; no comment  \nc=\n[two] \n"
		"arn = arn:aws:kms:x=y\nlast=1";
	struct seen s = {.stop_at = 0};

	(void)state;
	assert_int_equal(ini(&s, text, strlen(text)), ERR_OK);
	assert_string_equal(
		s.text, "4[]a=1;6[one]b=two words ; no comme;7[one]c=;9[two]arn=arn:aws:kms:x=y;10[two]last=1;");
	assert_int_equal(ini(&s, "", 0), ERR_OK);
	assert_string_equal(s.text, "");
}

static void ini_refusals_name_the_line(void **state)
{
	static const struct {
		const char *text, *where;
	} cases[] = {
		{"a=1\nrubbish\n", "x.ini:2:"},
		{"[open\n", "x.ini:1:"},
		{"a=1\n[]\n", "x.ini:2:"},
		{"[a] b\n", "x.ini:1:"},
		{"\n\n= value\n", "x.ini:3:"},
		{"a=\x01\n", "x.ini:1:"},
		{"a=1\rb=2\n", "x.ini:1:"},
		{"a=\x7f\n", "x.ini:1:"},
		{"a=\x1b[31m\n", "x.ini:1:"},
		{"[0123456789012345678901234567890123456789012345678]\n", "x.ini:1:"},
	};
	struct seen s = {.stop_at = 0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ini(&s, cases[i].text, strlen(cases[i].text)), ERR_CONFIG);
		if (!strstr(err_text(ERR_CONFIG), cases[i].where))
			fail_msg("%s does not name %s", err_text(ERR_CONFIG), cases[i].where);
	}
	assert_int_equal(ini(&s, "a=1\nb=\0\n", 8), ERR_CONFIG);
	assert_non_null(strstr(err_text(ERR_CONFIG), "x.ini:2:"));
}

static void ini_is_bounded(void **state)
{
	char *text = malloc(70000);
	struct seen s = {.stop_at = 0};

	(void)state;
	memset(text, 'v', 70000);
	memcpy(text, "k=", 2);
	assert_int_equal(ini(&s, text, 4096), ERR_OK);
	assert_string_equal(s.text, "1[]k=vvvvvvvvvvvvvvvvvvvv;");
	text[4096] = '\r';
	text[4097] = '\n';
	assert_int_equal(ini(&s, text, 4098), ERR_OK);
	text[4096] = 'v';
	assert_int_equal(ini(&s, text, 4097), ERR_CONFIG);
	assert_non_null(strstr(err_text(ERR_CONFIG), "x.ini:1: the line is longer"));
	memset(text, '\n', 70000);
	assert_int_equal(ini(&s, text, 65536), ERR_OK);
	assert_int_equal(ini(&s, text, 65537), ERR_CONFIG);
	free(text);
}

static void ini_callback_stops_the_parse(void **state)
{
	struct seen s = {.stop_at = 2};

	(void)state;
	assert_int_equal(ini(&s, "a=1\nb=2\nc=3\n", 12), ERR_UNSUPPORTED);
	assert_string_equal(err_text(ERR_UNSUPPORTED), "x.ini:2: unknown key b");
	assert_string_equal(s.text, "1[]a=1;");
}

static int install_allocator(void **state)
{
	(void)state;
	secret_install_json_allocator();
	return 0;
}

static void what_is_no_utf8_becomes_question_marks(void **state)
{
	static const char *const cases[][2] = {
		{"", ""}, {"plain", "plain"},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91\x7f", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91\x7f"},
		{"\xf4\x8f\xbf\xbf\xed\x9f\xbf", "\xf4\x8f\xbf\xbf\xed\x9f\xbf"},
		{"\x80", "?"},                    /* a continuation of nothing */
		{"\xc0\xaf\xc1\xbf", "\?\?\?\?"}, /* overlong */
		{"\xe0\x9f\xbf", "\?\?\?"},       /* overlong */
		{"\xf0\x8f\xbf\xbf", "\?\?\?\?"}, /* overlong */
		{"\xed\xa0\x80", "\?\?\?"},       /* a surrogate */
		{"\xf4\x90\x80\x80", "\?\?\?\?"}, /* beyond U+10FFFF */
		{"\xf5\xfe\xff", "\?\?\?"},       /* never in UTF-8 */
		{"a\xc3", "a?"},                  /* cut */
		{"a\xf0\x9f\x94", "a\?\?\?"},     /* cut */
		{"\xc3(\xc3\xa9", "?(\xc3\xa9"},  /* what follows is kept */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s", cases[i][0]);
		encode_utf8_repair(text);
		assert_string_equal(text, cases[i][1]);
	}
}

static void words_for_the_shell(void **state)
{
	static const char *const cases[][2] = {
		{"/home/ada/my-vault_1.0", "/home/ada/my-vault_1.0"},
		{"h\xc3\xa9", "h\xc3\xa9"},
		{"", "''"},
		{"my vault", "'my vault'"},
		{"~", "'~'"},
		{"a;$(b)", "'a;$(b)'"},
		{"it's", "'it'\\''s'"},
		{"'", "''\\'''"},
	};
	char out[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(encode_shell(cases[i][0], out, sizeof(out)), cases[i][1]);
	assert_string_equal(encode_shell("a b", out, 6), "'a b'");
	assert_string_equal(encode_shell("a b", out, 5), "a b"); /* no room: as it stands */
	assert_string_equal(encode_shell("''", out, 10), "''");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_utf8_becomes_question_marks),
		cmocka_unit_test(words_for_the_shell),
		cmocka_unit_test(json_refusals),
		cmocka_unit_test(json_depth_is_bounded),
		cmocka_unit_test(json_errors_quote_no_content),
		cmocka_unit_test(json_text_is_compact_and_in_order),
		cmocka_unit_test(json_text_is_what_jansson_writes),
		cmocka_unit_test(json_blobs),
		cmocka_unit_test(ini_pairs_come_in_order_with_their_lines),
		cmocka_unit_test(ini_refusals_name_the_line),
		cmocka_unit_test(ini_is_bounded),
		cmocka_unit_test(ini_callback_stops_the_parse),
	};

	return cmocka_run_group_tests_name("base_text", tests, install_allocator, NULL);
}
