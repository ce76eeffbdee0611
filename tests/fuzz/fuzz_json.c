/* SPDX-License-Identifier: Apache-2.0 */
/* A request's body: what the parser takes, our writer writes, and the parser reads back as the same value. */
#include <stdlib.h>
#include "kms/base/json.h"
#include "kms/base/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *value AUTO_JSON = NULL, *again AUTO_JSON = NULL;
	size_t len = 0;
	char *text;

	if (json_parse((const char *)data, size, &value) != ERR_OK)
		return 0;
	text = json_text(value, &len);
	if (!text || json_parse(text, len, &again) != ERR_OK || !json_equal(value, again))
		abort();
	secret_heap_free(text);
	return 0;
}
