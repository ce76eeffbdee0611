/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request's headers and body, "name: value" a line, an empty line, the body: the claim is read and verified. Nobody but the holder of
 * the secret gets past, and that is not the fuzzer.
 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/clock.h"
#include "kms/wire/sigv4.h"

enum { TEXT_MAX = 65536 };

/* "20150830T123600Z" */
#define NOW (UINT64_C(1440938160) * CLOCK_SECOND)

static size_t split(char *text, struct sigv4_header headers[SIGV4_MAX_HEADERS], char **ret_body)
{
	size_t n = 0;
	char *line = text, *end = strchr(line, '\n');

	for (; end && end != line && n < SIGV4_MAX_HEADERS; line = end + 1, end = strchr(line, '\n')) {
		char *colon;

		*end = '\0';
		colon = strchr(line, ':');
		if (!colon)
			continue;
		*colon = '\0';
		headers[n++] = (struct sigv4_header){line, colon + 1 + (colon[1] == ' ')};
	}
	*ret_body = end ? end + 1 : line;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sigv4_header headers[SIGV4_MAX_HEADERS];
	struct sigv4_request request = {.method = "POST", .path = "/", .query = "", .headers = headers};
	struct sigv4_claim claim;
	char *text = size < TEXT_MAX ? malloc(size + 1) : NULL, *body = NULL;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	request.header_count = split(text, headers, &body);
	request.body = body;
	request.body_len = strlen(body);
	if (sigv4_read_claim(&request, "kms", NOW, &claim) == ERR_OK &&
		sigv4_verify(&request, &claim, "a secret that no seed was signed with", NULL) == ERR_OK)
		abort();
	free(text);
	return 0;
}
