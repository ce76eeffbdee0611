/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/reencrypt/journal.h"

#include <stdlib.h>
#include <string.h>
#include "fs/vault/rekey.h"
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/labels.h"
#include "kms/base/secret.h"

static const struct vault_record record = {"reencrypt", LABEL_REENCRYPT};
enum { JOURNAL_FORMAT = 1 };

struct journal *journal_new(void)
{
	return calloc(1, sizeof(struct journal));
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	free(j->to);
	free(j->from);
	free(j->endpoint);
	free(j->region);
	for (size_t i = 0; i < j->only_count; i++)
		free(j->only[i]);
	free(j);
}

void journal_free_auto(struct journal **j)
{
	journal_free(*j);
}

/* ---- Writing ---- */

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *encode(struct vault *v, const struct journal *j)
{
	char volume[UUID_TEXT + 1], hex[2 * SHA256_SIZE + 1];
	json_t *only = json_array(), *keys = json_array();

	encode_uuid(vault_descriptor(v)->volume_id, volume);
	for (size_t i = 0; i < j->only_count; i++)
		json_array_append_new(only, json_string(j->only[i]));
	for (size_t i = 0; i < j->key_count; i++) {
		encode_hex(j->keys[i], SHA256_SIZE, hex);
		json_array_append_new(keys, json_string(hex));
	}
	return json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:b, s:o, s:o}", "format", JOURNAL_FORMAT, "volume", volume,
		"to", j->to, "from", text_or_null(j->from), "endpoint", text_or_null(j->endpoint), "region",
		text_or_null(j->region), "data", j->data, "only", only, "bucket-keys", keys);
}

enum err journal_write(struct vault *v, const struct journal *j)
{
	json_t *value AUTO_JSON = encode(v, j);
	size_t len;
	char *text = value ? json_text(value, &len) : NULL;
	enum err e;

	if (!text)
		return err_fail(ERR_NO_MEMORY, "no memory for the journal (are all names UTF-8?)");
	e = len > JOURNAL_MAX ? err_fail(ERR_LIMIT, "the journal of the move would be too long")
			      : vault_record_write(v, &record, text, len);
	secret_heap_free(text);
	return e == ERR_OK ? e : err_wrap(e, "writing the journal of the move");
}

/* ---- Reading ---- */

static enum err take_text(const json_t *object, const char *name, char **ret)
{
	const json_t *value = json_object_get(object, name);

	if (json_is_null(value))
		return ERR_OK;
	if (!json_is_string(value))
		return err_fail(ERR_FORMAT, "\"%s\" is no string", name);
	*ret = strdup(json_string_value(value));
	return *ret ? ERR_OK : err_fail(ERR_NO_MEMORY, "out of memory");
}

static enum err take_only(const json_t *list, struct journal *j)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > JOURNAL_ONLY_MAX)
		return err_fail(ERR_FORMAT, "\"only\" is no list, or too long");
	json_array_foreach ((json_t *)list, i, item) {
		if (!json_is_string(item) || !(j->only[i] = strdup(json_string_value(item))))
			return err_fail(ERR_FORMAT, "\"only\" holds something else than paths");
		j->only_count = i + 1;
	}
	return ERR_OK;
}

static enum err take_keys(const json_t *list, struct journal *j)
{
	const json_t *item;
	size_t i, len;

	if (!json_is_array(list) || json_array_size(list) > JOURNAL_KEYS_MAX)
		return err_fail(ERR_FORMAT, "\"bucket-keys\" is no list, or too long");
	json_array_foreach ((json_t *)list, i, item) {
		TRY(decode_hex(
			json_string_value(item), json_string_length(item), j->keys[i], sizeof(j->keys[i]), &len));
		if (len != SHA256_SIZE)
			return err_fail(ERR_FORMAT, "\"bucket-keys\" holds something else than digests");
		j->key_count = i + 1;
	}
	return ERR_OK;
}

static enum err take_fields(struct vault *v, const json_t *value, struct journal *j)
{
	char volume[UUID_TEXT + 1];
	const char *said = json_string_value(json_object_get(value, "volume"));

	if (json_integer_value(json_object_get(value, "format")) != JOURNAL_FORMAT)
		return err_fail(ERR_UNSUPPORTED, "it is of a newer signetfs");
	encode_uuid(vault_descriptor(v)->volume_id, volume);
	if (!said || strcmp(said, volume) != 0)
		return err_fail(ERR_FORMAT, "it is of the vault %s", said ? said : "?");
	TRY(take_text(value, "to", &j->to));
	TRY(take_text(value, "from", &j->from));
	TRY(take_text(value, "endpoint", &j->endpoint));
	TRY(take_text(value, "region", &j->region));
	TRY(take_only(json_object_get(value, "only"), j));
	TRY(take_keys(json_object_get(value, "bucket-keys"), j));
	j->data = json_is_true(json_object_get(value, "data"));
	return j->to ? ERR_OK : err_fail(ERR_FORMAT, "\"to\" is missing");
}

static enum err read_it(struct vault *v, struct journal *j)
{
	char *text AUTO_FREE = malloc(JOURNAL_MAX);
	json_t *value AUTO_JSON = NULL;
	size_t len;

	if (!text)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	TRY(vault_record_read(v, &record, text, JOURNAL_MAX, &len));
	TRY(json_parse(text, len, &value));
	return take_fields(v, value, j);
}

enum err journal_read(struct vault *v, struct journal **ret)
{
	struct journal *j AUTO_JOURNAL = journal_new();
	enum err e = j ? read_it(v, j) : err_fail(ERR_NO_MEMORY, "out of memory");

	if (e == ERR_FORMAT || e == ERR_TAMPERED || e == ERR_UNSUPPORTED)
		return err_fail(ERR_USAGE,
			"the journal of an earlier move, .signetfs/reencrypt, cannot be used: %s. Nothing was changed, "
			"and no file depends on it: remove it, and begin anew with --to; what is done already is found",
			err_text(e));
	TRY(e);
	*ret = STEAL(j);
	return ERR_OK;
}

enum err journal_remove(struct vault *v)
{
	return vault_record_remove(v, &record);
}
