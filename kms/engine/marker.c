/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/base/bytes.h"
#include "kms/base/encode.h"
#include "kms/base/kdf.h"
#include "kms/engine/marker.h"
#include "kms/engine/operations.h"

enum { POSITION_MAX = STORE_TAG_NAME_SIZE, MARKER_MAC_SIZE = 16, MARKER_MAX = POSITION_MAX + MARKER_MAC_SIZE };

static enum err mac_of(struct call *call, const void *position, size_t len, uint8_t ret[MARKER_MAC_SIZE])
{
	static const uint8_t no_key[UUID_SIZE];
	/* Each part but the last ends where it must: names end in a NUL, the key id has a fixed size. */
	const struct bytes_view parts[] = {{call->op->name, strlen(call->op->name) + 1},
		{call->caller->account, strlen(call->caller->account) + 1}, {call->region, strlen(call->region) + 1},
		{call->has_key ? call->key.id : no_key, UUID_SIZE}, {position, len}};
	uint8_t mac[SHA256_SIZE];

	TRY(kdf_hmacv(call->engine->secrets->marker, KEY_SIZE, parts, sizeof(parts) / sizeof(parts[0]), mac));
	memcpy(ret, mac, MARKER_MAC_SIZE);
	return ERR_OK;
}

static enum err refuse(void)
{
	return err_fail(ERR_KMS_INVALID_MARKER, "The marker is not valid.");
}

/* The authenticated position, and its length; 0 without a marker. */
static enum err read_marker(struct call *call, uint8_t position[MARKER_MAX], size_t *ret_len)
{
	const char *text = call_string(call, "Marker");
	uint8_t mac[MARKER_MAC_SIZE];
	size_t len;

	*ret_len = 0;
	if (text == NULL)
		return ERR_OK;
	if (decode_base64url(text, strlen(text), position, MARKER_MAX, &len) != ERR_OK || len <= MARKER_MAC_SIZE)
		return refuse();
	len -= MARKER_MAC_SIZE;
	TRY(mac_of(call, position, len, mac));
	if (!secret_equal(mac, position + len, MARKER_MAC_SIZE))
		return refuse();
	*ret_len = len;
	return ERR_OK;
}

enum err marker_read_row(struct call *call, int64_t *ret)
{
	uint8_t position[MARKER_MAX];
	struct reader r;
	uint64_t row = 0;
	size_t len;

	TRY(read_marker(call, position, &len));
	reader_init(&r, position, len);
	if (len > 0 && (reader_u64(&r, &row) != ERR_OK || reader_end(&r) != ERR_OK))
		return refuse();
	*ret = (int64_t)row;
	return ERR_OK;
}

enum err marker_read_text(struct call *call, char *buf, size_t size)
{
	uint8_t position[MARKER_MAX];
	size_t len;

	TRY(read_marker(call, position, &len));
	if (len >= size)
		return refuse();
	memcpy(buf, position, len);
	buf[len] = '\0';
	return ERR_OK;
}

static enum err answer(
	struct call *call, const char *member, json_t *list, int truncated, const void *position, size_t len)
{
	json_t *body = json_pack("{s:o?, s:b}", member, list, "Truncated", truncated);
	char text[BASE64URL_LEN(MARKER_MAX) + 1];
	uint8_t marker[MARKER_MAX];

	TRY(call_answer(call, body));
	if (!truncated)
		return ERR_OK;
	memcpy(marker, position, len);
	TRY(mac_of(call, position, len, marker + len));
	encode_base64url(marker, len + MARKER_MAC_SIZE, text);
	return json_object_set_new(body, "NextMarker", json_string(text)) == 0 ? ERR_OK : ERR_NO_MEMORY;
}

enum err marker_answer_row(struct call *call, const char *member, json_t *list, int truncated, int64_t last)
{
	uint8_t position[8];
	struct writer w;

	writer_init(&w, position, sizeof(position));
	writer_u64(&w, (uint64_t)last);
	return answer(call, member, list, truncated, position, sizeof(position));
}

enum err marker_answer_text(struct call *call, const char *member, json_t *list, int truncated, const char *last)
{
	return answer(call, member, list, truncated, last, strlen(last));
}
