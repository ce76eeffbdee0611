/* SPDX-License-Identifier: Apache-2.0 */
/* A policy document, of each kind: it parses, or is refused with AWS's exception. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "kms/policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = size ? malloc(size + 1) : NULL;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (int kind = 0; kind <= POLICY_SESSION; kind++) {
		struct policy *policy = NULL;
		enum err e = policy_parse((enum policy_kind)kind, text, &policy);

		if (e == ERR_OK)
			policy_free(policy);
		else if (e != ERR_KMS_MALFORMED_POLICY && e != ERR_KMS_LIMIT_EXCEEDED)
			abort();
	}
	free(text);
	return 0;
}
