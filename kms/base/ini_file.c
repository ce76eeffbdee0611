/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/ini_file.h"

#include <ini.h>
#include <pthread.h>
#include <string.h>

enum { TEXT_MAX = 64 * 1024, LINE_MAX_LEN = 4096, SECTION_MAX = 48 };

/* inih's options are process-wide variables; these are the only writes to them. */
static void set_options(void)
{
	/* Room for CR, LF and NUL; check_line() sees to it that no line is longer, for inih would cut it in two. */
	ini_max_line = LINE_MAX_LEN + 3;
	ini_initial_alloc = LINE_MAX_LEN + 3;
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_stop_on_first_error = true;
	/* Off: indentation would join a line to the one above, and "; …" would cut a value without a word. */
	ini_allow_multiline = false;
	ini_allow_inline_comments = false;
	ini_allow_bom = false;
	ini_allow_no_value = false;
}

struct parse {
	const char *what;
	const char *next, *end;
	unsigned line;
	ini_pair_fn fn;
	void *context;
	enum err error;
};

static enum err complain(const struct parse *p, const char *about)
{
	return err_fail(ERR_CONFIG, "%s:%u: %s", p->what, p->line, about);
}

static size_t line_length(const struct parse *p)
{
	const char *lf = memchr(p->next, '\n', (size_t)(p->end - p->next));

	return lf ? (size_t)(lf - p->next) : (size_t)(p->end - p->next);
}

static int is_control(unsigned char c)
{
	return (c < 0x20 && c != '\t') || c == 0x7f;
}

/* inih takes "[a] b" for section a and cuts long section names: what it would guess at is refused here. */
static enum err check_section(const struct parse *p, const char *s, size_t len)
{
	const char *close = memchr(s, ']', len);

	while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	if (!close || close != s + len - 1 || len < 3)
		return complain(p, "a section is written [name]");
	return len - 2 > SECTION_MAX ? complain(p, "the section's name is too long") : ERR_OK;
}

static enum err check_line(const struct parse *p, size_t len)
{
	const char *s = p->next;

	if (len && s[len - 1] == '\r')
		len--;
	if (len > LINE_MAX_LEN)
		return complain(p, "the line is longer than 4096 bytes");
	for (size_t i = 0; i < len; i++)
		if (is_control((unsigned char)s[i]))
			return complain(p, "a control character");
	while (len && (*s == ' ' || *s == '\t')) {
		s++;
		len--;
	}
	return len && *s == '[' ? check_section(p, s, len) : ERR_OK;
}

/* inih's reader: one line a call. Its room is set_options()'s, so a line that passed the check fits. */
static char *next_line(char *out, int size, void *stream)
{
	struct parse *p = stream;
	size_t len;

	if (p->next == p->end || p->error != ERR_OK)
		return NULL;
	p->line++;
	len = line_length(p);
	p->error = check_line(p, len);
	if (p->error == ERR_OK && len + 2 > (size_t)size)
		p->error = complain(p, "the line is too long");
	if (p->error != ERR_OK)
		return NULL;
	memcpy(out, p->next, len);
	out[len] = '\n';
	out[len + 1] = '\0';
	p->next += len + (p->next + len < p->end);
	return out;
}

static int got_pair(void *user, const char *section, const char *name, const char *value)
{
	struct parse *p = user;

	if (*name == '\0') {
		p->error = complain(p, "no name in front of the =");
		return 0;
	}
	p->error = p->fn(p->context, section, name, value, p->line);
	if (p->error != ERR_OK)
		err_wrap(p->error, "%s:%u", p->what, p->line);
	return p->error == ERR_OK;
}

enum err ini_parse_buffer(const char *what, const char *text, size_t len, ini_pair_fn fn, void *context)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct parse p = {.what = what, .next = text, .end = text + len, .fn = fn, .context = context};
	int rc;

	if (len > TEXT_MAX)
		return err_fail(ERR_CONFIG, "%s has %zu bytes, at most %d are allowed", what, len, (int)TEXT_MAX);
	pthread_once(&once, set_options);
	rc = ini_parse_stream(next_line, &p, got_pair, &p);
	if (p.error != ERR_OK)
		return p.error;
	if (rc == -2)
		return err_fail(ERR_NO_MEMORY, "no memory to read %s", what);
	return rc == 0 ? ERR_OK : complain(&p, "neither [section] nor name = value");
}
