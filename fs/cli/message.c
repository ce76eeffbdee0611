/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>

static const struct outcome {
	enum err error;
	enum cli_exit code;
	const char *next; /* what the person can do; NULL where the error's own text says it */
} outcomes[] = {
	{ERR_USAGE, CLI_WRONG_USAGE, NULL},
	{ERR_CONFIG, CLI_WRONG_USAGE, NULL},
	{ERR_ROOT_KEY, CLI_WRONG_ROOT_KEY,
		"Nothing was changed. Try again; when the keystore was made with a key file or a command, name it with "
		"--root-key or in signetfs.ini."},
	{ERR_KMS_UNREACHABLE, CLI_KMS_UNREACHABLE,
		"Check that the KMS runs and that --kms (or endpoint in signetfs.ini) names it."},
	{ERR_KMS_PROTOCOL, CLI_KMS_UNREACHABLE, "Is this endpoint really a KMS? Check --kms."},
	{ERR_KMS_WRONG_ANSWER, CLI_FAILED,
		"The KMS answered for another key. Check --kms, and do not trust this endpoint."},
	{ERR_KMS_ACCESS_DENIED, CLI_ACCESS_DENIED, "Ask whoever administers the KMS key for permission."},
	{ERR_KMS_DISABLED, CLI_ACCESS_DENIED, "To enable the key again: signetfs kms enable-key --key-id KEY"},
	{ERR_KMS_INVALID_STATE, CLI_ACCESS_DENIED, "To see the key's state: signetfs kms describe-key --key-id KEY"},
	{ERR_KMS_NOT_FOUND, CLI_ACCESS_DENIED,
		"To see the keys there are: signetfs kms list-aliases; signetfs kms list-keys"},
	{ERR_KMS_INVALID_KEY_USAGE, CLI_ACCESS_DENIED, NULL},
	{ERR_KMS_KEY_UNAVAILABLE, CLI_ACCESS_DENIED, NULL},
	{ERR_KMS_EXPIRED_TOKEN, CLI_ACCESS_DENIED, "Get new temporary credentials."},
	{ERR_KMS_INCOMPLETE_SIGNATURE, CLI_ACCESS_DENIED, NULL},
	{ERR_KMS_MISSING_AUTHENTICATION, CLI_ACCESS_DENIED,
		"Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or access-key-id and secret-access-key in "
		"signetfs.ini."},
	{ERR_KMS_SIGNATURE_MISMATCH, CLI_ACCESS_DENIED, "Check the secret access key, and this machine's clock."},
	{ERR_KMS_UNRECOGNIZED_CLIENT, CLI_ACCESS_DENIED, "Check the access key id."},
	{ERR_KMS_INVALID_GRANT_TOKEN, CLI_ACCESS_DENIED, NULL},
	{ERR_KMS_INVALID_CIPHERTEXT, CLI_FAILED,
		"The ciphertext was changed, is of another key, or the encryption context is not the one it was made "
		"with."},
	{ERR_VAULT, CLI_VAULT_DAMAGED,
		"Nothing was changed. A copy of signetfs.ini from a backup of this vault mends a damaged one."},
	{ERR_TAMPERED, CLI_VAULT_DAMAGED, "Nothing was changed. Restore what is named above from a backup."},
	{ERR_FORMAT, CLI_VAULT_DAMAGED, "Nothing was changed. Restore what is named above from a backup."},
	{ERR_MOUNT_POINT, CLI_MOUNT_POINT, NULL},
	{ERR_KEYSTORE, CLI_KEYSTORE_DAMAGED, "Nothing was changed. Restore the keystore from a backup."},
	{ERR_UNSUPPORTED, CLI_FAILED, "It may have been written by a newer signetfs: try with that version."},
};

static const struct outcome *find(enum err e)
{
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
		if (outcomes[i].error == e)
			return &outcomes[i];
	return NULL;
}

enum cli_exit cli_exit_code(enum err e)
{
	const struct outcome *o = find(e);

	if (e == ERR_OK)
		return CLI_DONE;
	return o ? o->code : CLI_FAILED;
}

/* Print the next step, if there is one; returns the exit code. */
static int advise(enum err e)
{
	const struct outcome *o = find(e);

	if (o && o->next)
		fprintf(stderr, "%s\n", o->next);
	return cli_exit_code(e);
}

__attribute__((format(printf, 2, 0))) static void say(const char *behind, const char *fmt, va_list args)
{
	fflush(stdout);
	flockfile(stderr);
	fputs("signetfs: ", stderr);
	vfprintf(stderr, fmt, args);
	if (behind)
		fprintf(stderr, ": %s", behind);
	fputc('\n', stderr);
	funlockfile(stderr);
}

int cli_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(NULL, fmt, args);
	va_end(args);
	return CLI_FAILED;
}

/* What comes from a vault must not drive the terminal. */
void cli_note(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	if (text) {
		cli_make_printable(text);
		cli_error("%s", text);
	}
	free(text);
}

int cli_wrong_usage(const char *command, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(NULL, fmt, args);
	va_end(args);
	fprintf(stderr, "Help: signetfs %s%s--help\n", command, command[0] ? " " : "");
	return CLI_WRONG_USAGE;
}

int cli_fail(enum err e, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(err_text(e), fmt, args);
	va_end(args);
	return advise(e);
}

int cli_refused(enum err e, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(NULL, fmt, args);
	va_end(args);
	return advise(e);
}

static void emit(void *context, enum report_level level, const char *text)
{
	static const char *const words[] = {"error: ", "warning: ", "", "debug: "};

	(void)context;
	if (level != REPORT_DEBUG || getenv("SIGNETFS_DEBUG"))
		fprintf(stderr, "signetfs: %s%s\n", words[level], text);
}

const struct reporter *cli_reporter(void)
{
	static const struct reporter reporter = {emit, NULL};

	return &reporter;
}

int cli_finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	perror("signetfs: writing the output");
	return code == CLI_DONE ? CLI_FAILED : code;
}
