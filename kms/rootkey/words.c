/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/rootkey/words.h"
#include "kms/base/secret.h"

#include <string.h>

struct words *words_new(void)
{
	return secret_alloc(sizeof(struct words));
}

void words_add(struct words *w, const char *p, size_t len)
{
	const char *end = memchr(p, '\n', len);

	if (w->ended)
		return;
	w->ended = end != NULL;
	if (end)
		len = (size_t)(end - p);
	if (len > WORDS_ROOM - w->len)
		len = WORDS_ROOM - w->len;
	memcpy(w->text + w->len, p, len);
	w->len += len;
}

enum err words_finish(struct words *w, const char *from)
{
	if (w->len && w->text[w->len - 1] == '\r')
		w->len--;
	if (w->len == 0)
		return err_fail(ERR_USAGE, "%s: the passphrase is empty", from);
	if (w->len > ROOTKEY_PASSPHRASE_MAX)
		return err_fail(
			ERR_LIMIT, "%s: the passphrase is longer than %d bytes", from, (int)ROOTKEY_PASSPHRASE_MAX);
	if (memchr(w->text, '\0', w->len))
		return err_fail(ERR_FORMAT, "%s: a NUL byte in the passphrase: use keyfile: for binary keys", from);
	return ERR_OK;
}
