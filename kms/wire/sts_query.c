/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/sts_query.h"

#include <string.h>
#include "kms/base/encode.h"
#include "kms/base/json.h"
#include "kms/base/secret.h"

enum { PARAMETERS_MAX = 64, PART_MAX = 16384 };

#define NAMESPACE "https://sts.amazonaws.com/doc/2011-06-15/"

/* ---- The form ---- */

static enum err malformed(void)
{
	return err_fail(ERR_KMS_SERIALIZATION, "The request body is not one well-formed form.");
}

/* "a+b%20c" → "a b c" in @out, which has room for @len + 1. */
static enum err decode(const char *in, size_t len, char *out)
{
	size_t n = 0, one;

	for (size_t i = 0; i < len; i++) {
		if (in[i] != '%') {
			out[n++] = in[i] == '+' ? ' ' : in[i];
			continue;
		}
		if (len - i < 3)
			return malformed();
		for (int k = 1; k <= 2; k++)
			out[n + (size_t)k] = (char)(in[i + (size_t)k] |
						    (in[i + (size_t)k] >= 'A' && in[i + (size_t)k] <= 'F' ? 0x20 : 0));
		if (decode_hex(out + n + 1, 2, out + n, 1, &one) != ERR_OK || out[n] == '\0')
			return malformed();
		n++;
		i += 2;
	}
	out[n] = '\0';
	return memchr(out, '\0', n) == NULL ? ERR_OK : malformed();
}

static enum err take_parameter(const char *p, size_t len, json_t *form)
{
	const char *equals = memchr(p, '=', len);
	size_t name_len = equals != NULL ? (size_t)(equals - p) : len;
	size_t value_len = equals != NULL ? len - name_len - 1 : 0;
	char *name AUTO_SECRET = NULL, *value AUTO_SECRET = NULL;
	json_t *text;

	if (name_len == 0 || len > PART_MAX || json_object_size(form) == PARAMETERS_MAX)
		return malformed();
	name = secret_alloc(name_len + 4);
	value = secret_alloc(value_len + 4);
	if (name == NULL || value == NULL)
		return err_fail(ERR_NO_MEMORY, "no memory for a form");
	TRY(decode(p, name_len, name));
	TRY(decode(equals != NULL ? equals + 1 : "", value_len, value));
	text = json_string(value); /* NULL: not UTF-8 */
	if (text == NULL || json_object_get(form, name) != NULL) {
		json_decref(text);
		return malformed();
	}
	return json_object_set_new(form, name, text) == 0 ? ERR_OK : malformed();
}

enum err sts_query_parse(const char *body, size_t len, json_t **ret)
{
	json_t *form AUTO_JSON = json_object();
	const char *end = body + len;

	if (form == NULL)
		return err_fail(ERR_NO_MEMORY, "no memory for a form");
	while (body < end) {
		const char *stop = memchr(body, '&', (size_t)(end - body));

		if (stop == NULL)
			stop = end;
		TRY(take_parameter(body, (size_t)(stop - body), form));
		body = stop + 1;
	}
	*ret = STEAL(form);
	return ERR_OK;
}

/* ---- XML ---- */

static void put_escaped(struct text *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '&')
			text_puts(out, "&amp;");
		else if (*s == '<')
			text_puts(out, "&lt;");
		else if (*s == '>')
			text_puts(out, "&gt;");
		else if ((unsigned char)*s < 0x20 && strchr("\t\n\r", *s) == NULL)
			text_putc(out, '?');
		else
			text_putc(out, *s);
	}
}

static void put_tag(struct text *out, const char *before, const char *name, const char *suffix)
{
	text_puts(out, before);
	put_escaped(out, name);
	text_puts(out, suffix);
}

static void put_members(struct text *out, const json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)object, name, value) {
		put_tag(out, "<", name, ">");
		if (json_is_object(value))
			put_members(out, value);
		else
			put_escaped(out, json_string_value(value));
		put_tag(out, "</", name, ">\n");
	}
}

static void put_refusal(const struct engine_sts_reply *reply, struct text *out)
{
	text_puts(out, "<ErrorResponse xmlns=\"" NAMESPACE "\">\n<Error>\n<Type>");
	text_puts(out, reply->status >= 500 ? "Receiver" : "Sender");
	put_tag(out, "</Type>\n<Code>", reply->code, "</Code>\n");
	put_tag(out, "<Message>", reply->message, "</Message>\n</Error>\n");
	put_tag(out, "<RequestId>", reply->request_id, "</RequestId>\n</ErrorResponse>\n");
}

void sts_query_answer(const char *action, const struct engine_sts_reply *reply, struct text *out)
{
	if (reply->code != NULL) {
		put_refusal(reply, out);
		return;
	}
	put_tag(out, "<", action, "Response xmlns=\"" NAMESPACE "\">\n");
	put_tag(out, "<", action, "Result>\n");
	put_members(out, reply->result);
	put_tag(out, "</", action, "Result>\n");
	put_tag(out, "<ResponseMetadata><RequestId>", reply->request_id, "</RequestId></ResponseMetadata>\n");
	put_tag(out, "</", action, "Response>\n");
}
