/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/rootkey/rootkey.h"
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/base/labels.h"
#include "kms/base/random.h"
#include "kms/rootkey/words.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COMMAND_TIMEOUT_MS = 60 * 1000, KEYFILE_TEXT = 2 * KEY_SIZE, KEYFILE_MAX = KEYFILE_TEXT + 2, QUESTION = 512 };

static const struct kdf_scrypt_params default_cost = {UINT64_C(1) << 16, 8, 1};

static const struct {
	const char *prefix;
	enum rootkey_source source;
	enum rootkey_kind kind;
} forms[] = {
	{"passphrase", ROOTKEY_PASSPHRASE, ROOTKEY_KIND_SCRYPT},
	{"passfile:", ROOTKEY_PASSFILE, ROOTKEY_KIND_SCRYPT},
	{"keyfile:", ROOTKEY_KEYFILE, ROOTKEY_KIND_HKDF},
	{"command:", ROOTKEY_COMMAND, ROOTKEY_KIND_SCRYPT},
};

enum err rootkey_parse(const char *spec, struct rootkey_spec *ret)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t len = strlen(forms[i].prefix);
		int takes_argument = forms[i].prefix[len - 1] == ':';

		if (strncmp(spec, forms[i].prefix, len) != 0 || takes_argument != (spec[len] != '\0'))
			continue;
		*ret = (struct rootkey_spec){forms[i].source, spec + len};
		return ERR_OK;
	}
	return err_fail(ERR_USAGE,
		"\"%.100s\" is no root key: write passphrase, passfile:PATH, keyfile:PATH or command:CMD", spec);
}

static enum rootkey_kind kind_of(enum rootkey_source source)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (forms[i].source == source)
			return forms[i].kind;
	return 0;
}

/* ---- files ---- */

/* Checked on the open descriptor, so that what was checked is what is read. */
static enum err check_private(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_system("cannot stat %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		return err_fail(ERR_USAGE, "%s is neither a file nor a pipe", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_fail(ERR_USAGE, "%s belongs to another user (uid %u), who could change it", path,
			(unsigned)st.st_uid);
	if (st.st_mode & 077)
		return err_fail(ERR_USAGE, "%s is open to others (mode %04o): type chmod 600 '%s'", path,
			(unsigned)(st.st_mode & 07777), path);
	return ERR_OK;
}

static enum err open_private(const char *path, int *ret_fd)
{
	int fd AUTO_CLOSE = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && errno == ENOENT)
		return err_fail(ERR_NOT_FOUND, "%s does not exist", path);
	if (fd < 0)
		return err_system("cannot open %s", path);
	TRY(check_private(fd, path));
	*ret_fd = fd;
	fd = -1;
	return ERR_OK;
}

static enum err read_passfile(const char *path, struct words *w)
{
	int fd AUTO_CLOSE = -1;
	char *buf AUTO_SECRET = secret_alloc(WORDS_ROOM);
	char from[256];
	size_t len;

	if (!buf)
		return err_fail(ERR_NO_MEMORY, "no secret memory for a passphrase");
	TRY(open_private(path, &fd));
	TRY(io_read_up_to(fd, path, buf, WORDS_ROOM, &len));
	words_add(w, buf, len);
	snprintf(from, sizeof(from), "the passphrase file %.200s", path);
	return words_finish(w, from);
}

static enum err decode_keyfile(const char *path, char *text, size_t len, uint8_t ret[KEY_SIZE])
{
	size_t n;

	if (len == KEY_SIZE) {
		memcpy(ret, text, KEY_SIZE);
		return ERR_OK;
	}
	if (len > KEYFILE_TEXT && text[len - 1] == '\n')
		len--;
	if (len > KEYFILE_TEXT && text[len - 1] == '\r')
		len--;
	for (size_t i = 0; i < len; i++)
		text[i] = (char)tolower((unsigned char)text[i]);
	if (len == KEYFILE_TEXT && decode_hex(text, len, ret, KEY_SIZE, &n) == ERR_OK)
		return ERR_OK;
	return err_fail(ERR_FORMAT, "%s is no key file: it holds neither %d bytes nor %d hexadecimal digits", path,
		(int)KEY_SIZE, (int)KEYFILE_TEXT);
}

enum err rootkey_read_keyfile(const char *path, uint8_t ret[KEY_SIZE])
{
	int fd AUTO_CLOSE = -1;
	char *text AUTO_SECRET = secret_alloc(KEYFILE_MAX + 1);
	size_t len;

	if (!text)
		return err_fail(ERR_NO_MEMORY, "no secret memory for a key file");
	TRY(open_private(path, &fd));
	TRY(io_read_up_to(fd, path, text, KEYFILE_MAX + 1, &len));
	return decode_keyfile(path, text, len, ret);
}

/* ---- words ---- */

static enum err ask(const char *what, int creating, struct words *w)
{
	struct words *again AUTO_SECRET = words_new();
	char question[QUESTION];

	snprintf(question, sizeof(question), "%s for %.400s: ", creating ? "New passphrase" : "Passphrase", what);
	TRY(terminal_ask(question, w));
	if (!creating)
		return ERR_OK;
	if (!again)
		return err_fail(ERR_NO_MEMORY, "no secret memory for a passphrase");
	TRY(terminal_ask("The same passphrase again: ", again));
	if (again->len != w->len || !secret_equal(again->text, w->text, w->len))
		return err_fail(ERR_USAGE, "the two passphrases differ: try again");
	return ERR_OK;
}

static enum err get_words(const struct rootkey_spec *spec, const char *what, int creating, struct words *w)
{
	switch (spec->source) {
	case ROOTKEY_PASSPHRASE:
		return ask(what, creating, w);
	case ROOTKEY_PASSFILE:
		return read_passfile(spec->argument, w);
	default:
		return command_run(spec->argument, COMMAND_TIMEOUT_MS, w);
	}
}

/* ---- the root key ---- */

static enum err from_words(const struct rootkey_spec *spec, const char *what, int creating,
	const struct rootkey_params *params, struct root_key *ret)
{
	struct words *w AUTO_SECRET = words_new();

	if (!w)
		return err_fail(ERR_NO_MEMORY, "no secret memory for a passphrase");
	TRY(get_words(spec, what, creating, w));
	return kdf_scrypt(w->text, w->len, params->salt, ROOTKEY_SALT_SIZE, &params->scrypt, ret->b, KEY_SIZE);
}

static enum err from_keyfile(const char *path, const struct rootkey_params *params, struct root_key *ret)
{
	struct root_key raw AUTO_WIPE;

	TRY(rootkey_read_keyfile(path, raw.b));
	return kdf_hkdf(raw.b, KEY_SIZE, params->salt, ROOTKEY_SALT_SIZE, LABEL_ROOT_KEY_FILE,
		strlen(LABEL_ROOT_KEY_FILE), ret->b, KEY_SIZE);
}

static enum err obtain(const struct rootkey_spec *spec, const char *what, int creating,
	const struct rootkey_params *params, struct root_key *ret)
{
	struct root_key key AUTO_WIPE;
	enum err e;

	if (params->kind == ROOTKEY_KIND_HKDF)
		e = from_keyfile(spec->argument, params, &key);
	else
		e = from_words(spec, what, creating, params, &key);
	if (e != ERR_OK)
		return err_wrap(e, "root key of %s", what);
	*ret = key;
	return ERR_OK;
}

enum err rootkey_create(const struct rootkey_spec *spec, const char *what, const struct kdf_scrypt_params *cost,
	struct rootkey_params *ret_params, struct root_key *ret_key)
{
	struct rootkey_params params = {.kind = kind_of(spec->source)};

	random_bytes(params.salt, sizeof(params.salt));
	if (params.kind == ROOTKEY_KIND_SCRYPT)
		params.scrypt = cost ? *cost : default_cost;
	TRY(obtain(spec, what, 1, &params, ret_key));
	*ret_params = params;
	return ERR_OK;
}

enum err rootkey_obtain(const struct rootkey_spec *spec, const char *what, const struct rootkey_params *params,
	struct root_key *ret_key)
{
	if (kind_of(spec->source) != params->kind)
		return err_fail(ERR_USAGE, "%s was made with %s: give that as its root key", what,
			params->kind == ROOTKEY_KIND_HKDF ? "a key file (keyfile:PATH)"
							  : "a passphrase (passphrase, passfile:PATH or command:CMD)");
	return obtain(spec, what, 0, params, ret_key);
}
