/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ciphertext blob. Its first byte is not the blob's: 1 makes the header's tag right for the rest, so that what is behind it is
 * reached; nothing that the fuzzer makes opens.
 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/kdf.h"
#include "kms/engine/blob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t header_key[KEY_SIZE] = {1};
	const struct cmk_key backing = {{2}};
	uint8_t blob[8192], out[8192], mac[SHA256_SIZE];
	struct blob_header header;
	size_t len = size - 1;

	if (!size || len > sizeof(blob))
		return 0;
	memcpy(blob, data + 1, len);
	if (data[0] == 1 && len >= BLOB_HEADER_SIZE) {
		kdf_hmac(header_key, KEY_SIZE, blob, BLOB_OFF_HEADER_TAG, mac);
		memcpy(blob + BLOB_OFF_HEADER_TAG, mac, BLOB_HEADER_TAG_SIZE);
	}
	if (blob_parse(header_key, blob, len, &header) == ERR_OK &&
		blob_open(&backing, "context", 7, blob, len, out) == ERR_OK)
		abort();
	return 0;
}
