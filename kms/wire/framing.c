/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/framing.h"

#include <string.h>
#include <strings.h>

struct framing {
	unsigned lengths, codings, unsound;
};

/* RFC 9110 section 5.6.2 */
static int is_token(const char *name)
{
	static const char characters[] =
		"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	return name[0] && strspn(name, characters) == strlen(name);
}

/* RFC 9110 section 5.5: what another reader may take for the end of the line, or of the text, is in no value. */
static int is_clean(const char *value)
{
	for (; *value; value++)
		if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f)
			return 0;
	return 1;
}

static enum MHD_Result look_at(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct framing *f = context;

	(void)kind;
	f->unsound |= !is_token(name) || (value && !is_clean(value));
	if (!strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH))
		f->lengths++;
	if (!strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
		f->codings++;
		f->unsound |= !value || strcasecmp(value, "chunked") != 0;
	}
	return MHD_YES;
}

int framing_is_sound(struct MHD_Connection *connection)
{
	struct framing f = {0};

	MHD_get_connection_values(connection, MHD_HEADER_KIND, look_at, &f);
	return !f.unsound && f.lengths + f.codings <= 1;
}
