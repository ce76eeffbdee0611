/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fs/format/descriptor.h"
#include "kms/base/ini_file.h"
#include "kms/base/io.h"
#include "kms/base/secret.h"
#include "kms/customer/customer_key.h"

#ifndef SIGNETFS_SYSTEM_CONFIG
#define SIGNETFS_SYSTEM_CONFIG "/etc/signetfs/signetfs.ini"
#endif

enum { CONFIG_MAX = 65536, ENV_NAMES = 2, PATH_SIZE = 4096 };

/* Where a setting may come from. Documented in signetfs.ini(5). */
static const struct setting {
	const char *section, *name;
	const char *env[ENV_NAMES];
	int is_path;   /* absolute, or below "~/" */
	int is_secret; /* only from a file that nobody else can read */
} settings[CLI_SET_COUNT] = {
	[CLI_SET_ENDPOINT] = {"kms", "endpoint", {"SIGNETFS_KMS", "AWS_ENDPOINT_URL_KMS"}, 0, 0},
	[CLI_SET_REGION] = {"kms", "region", {"AWS_REGION", "AWS_DEFAULT_REGION"}, 0, 0},
	[CLI_SET_KEYSTORE] = {"kms", "keystore", {"SIGNETFS_KEYSTORE", NULL}, 1, 0},
	[CLI_SET_ROOT_KEY] = {"kms", "root-key", {"SIGNETFS_ROOT_KEY", NULL}, 0, 0},
	[CLI_SET_ACCESS_KEY_ID] = {"kms", "access-key-id", {"AWS_ACCESS_KEY_ID", NULL}, 0, 0},
	[CLI_SET_SECRET_ACCESS_KEY] = {"kms", "secret-access-key", {"AWS_SECRET_ACCESS_KEY", NULL}, 0, 1},
	[CLI_SET_SESSION_TOKEN] = {"kms", "session-token", {"AWS_SESSION_TOKEN", NULL}, 0, 1},
	[CLI_SET_CA_FILE] = {"kms", "ca-file", {"AWS_CA_BUNDLE", NULL}, 1, 0},
	[CLI_SET_INSECURE_HTTP] = {"kms", "insecure-http", {NULL, NULL}, 0, 0},
	[CLI_SET_MOUNT_OPTIONS] = {"mount", "options", {NULL, NULL}, 0, 0},
	[CLI_SET_TLS_CERT] = {"kms", "tls-cert", {NULL, NULL}, 1, 0},
	[CLI_SET_TLS_KEY] = {"kms", "tls-key", {NULL, NULL}, 1, 0},
	[CLI_SET_LISTEN] = {"kms", "listen", {NULL, NULL}, 0, 0},
	[CLI_SET_AUDIT_RETENTION] = {"kms", "audit-retention", {NULL, NULL}, 0, 0},
	[CLI_SET_QUOTAS] = {"kms", "quotas", {NULL, NULL}, 0, 0},
	[CLI_SET_RESOURCE_QUOTAS] = {"kms", "resource-quotas", {NULL, NULL}, 0, 0},
	[CLI_SET_GRANT_DELAY] = {"kms", "grant-delay", {NULL, NULL}, 0, 0},
};

/* What one source (a file, the environment, the options) says. */
struct source {
	const char *file;
	char *value[CLI_SET_COUNT];
};

/* Only secrets live in secret memory: that is empty in a forked child, which needs the rest to start the agent. */
static void drop(char **slots, int which)
{
	if (settings[which].is_secret)
		secret_free(slots[which]);
	else
		free(slots[which]);
	slots[which] = NULL;
}

static void source_free(struct source *s)
{
	for (int i = 0; i < CLI_SET_COUNT; i++)
		drop(s->value, i);
}
#define AUTO_SOURCE __attribute__((cleanup(source_free)))

static enum err put(char **slots, int which, const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	char *copy = settings[which].is_secret ? secret_alloc(la + lb + 1) : calloc(1, la + lb + 1);

	if (!copy)
		return err_fail(ERR_NO_MEMORY, "out of memory for settings");
	memcpy(copy, a, la);
	memcpy(copy + la, b, lb);
	drop(slots, which);
	slots[which] = copy;
	return ERR_OK;
}

/* Not owned; "" where the machine does not know. */
static const char *home_directory(void)
{
	const char *home = getenv("HOME");
	const struct passwd *user;

	if (home && home[0] == '/')
		return home;
	user = getpwuid(getuid());
	return user ? user->pw_dir : "";
}

/* A leading "~/", also behind "keyfile:" and its like, where a shell would not expand it. */
static enum err put_expanded(char **slots, int which, const char *text)
{
	static const char *const prefixes[] = {"", "keyfile:", "passfile:", "unix:"};
	char head[PATH_SIZE];

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t len = strlen(prefixes[i]);

		if (strncmp(text, prefixes[i], len) != 0 || strncmp(text + len, "~/", 2) != 0)
			continue;
		snprintf(head, sizeof(head), "%s%s", prefixes[i], home_directory());
		return put(slots, which, head, text + len + 1);
	}
	return put(slots, which, "", text);
}

static enum err check_private(const char *file, const char *name)
{
	struct stat st;

	if (stat(file, &st) != 0)
		return err_system("looking at %s", file);
	if (st.st_mode & 077)
		return err_fail(ERR_CONFIG, "%s is a secret, but others can read %s (mode %03o); chmod 600 it", name,
			file, (unsigned)(st.st_mode & 0777));
	return ERR_OK;
}

static enum err take_value(struct source *source, int which, const char *value)
{
	const struct setting *s = &settings[which];

	if (source->value[which])
		return err_fail(ERR_CONFIG, "%s is given twice", s->name);
	if (!*value)
		return err_fail(ERR_CONFIG, "%s has no value", s->name);
	if (s->is_path && value[0] != '/' && strncmp(value, "~/", 2) != 0)
		return err_fail(
			ERR_CONFIG, "%s = %s: write an absolute path, or one that starts with ~/", s->name, value);
	if (s->is_secret)
		TRY(check_private(source->file, s->name));
	return put_expanded(source->value, which, value);
}

static enum err on_pair(void *context, const char *section, const char *name, const char *value, unsigned line)
{
	int known_section = 0;

	(void)line;
	for (int i = 0; i < CLI_SET_COUNT; i++) {
		if (strcmp(settings[i].section, section) != 0)
			continue;
		known_section = 1;
		if (strcmp(settings[i].name, name) == 0)
			return take_value(context, i, value);
	}
	if (!known_section)
		return err_fail(ERR_CONFIG, "unknown section [%s]; there are [kms] and [mount]", section);
	return err_fail(ERR_CONFIG, "unknown entry \"%s\" in [%s]; see signetfs.ini(5)", name, section);
}

/* Credentials belong together: an access key from one source never meets a secret from another. */
static void merge(struct cli_settings *s, struct source *source)
{
	static const enum cli_setting credentials[] = {
		CLI_SET_ACCESS_KEY_ID, CLI_SET_SECRET_ACCESS_KEY, CLI_SET_SESSION_TOKEN};

	for (size_t i = 0; source->value[CLI_SET_ACCESS_KEY_ID] && i < 3; i++)
		drop(s->value, credentials[i]);
	for (int i = 0; i < CLI_SET_COUNT; i++) {
		if (!source->value[i])
			continue;
		drop(s->value, i);
		s->value[i] = STEAL(source->value[i]);
	}
}

static enum err read_file(struct cli_settings *s, const char *file, int must_exist)
{
	struct source source AUTO_SOURCE = {file, {NULL}};
	uint8_t *text AUTO_SECRET = NULL;
	size_t len;
	enum err e = io_read_file(AT_FDCWD, file, CONFIG_MAX, &text, &len);

	if (e == ERR_NOT_FOUND && !must_exist)
		return ERR_OK;
	if (e != ERR_OK)
		return err_fail(ERR_CONFIG, "reading the configuration %s: %s", file, err_text(e));
	TRY(ini_parse_buffer(file, (const char *)text, len, on_pair, &source));
	merge(s, &source);
	return ERR_OK;
}

static enum err read_user_file(struct cli_settings *s)
{
	const char *base = getenv("XDG_CONFIG_HOME");
	char path[PATH_SIZE];

	if (base && base[0] == '/')
		snprintf(path, sizeof(path), "%s/signetfs/signetfs.ini", base);
	else
		snprintf(path, sizeof(path), "%s/.config/signetfs/signetfs.ini", home_directory());
	return read_file(s, path, 0);
}

static enum err read_environment(struct cli_settings *s)
{
	struct source source AUTO_SOURCE = {NULL, {NULL}};

	for (int i = 0; i < CLI_SET_COUNT; i++)
		for (int n = ENV_NAMES - 1; n >= 0; n--) {
			const char *value = settings[i].env[n] ? getenv(settings[i].env[n]) : NULL;

			if (value && *value)
				TRY(put_expanded(source.value, i, value));
		}
	merge(s, &source);
	return ERR_OK;
}

static enum err read_options(struct cli_settings *s)
{
	struct source source AUTO_SOURCE = {NULL, {NULL}};

	for (int i = 0; i < CLI_SET_COUNT; i++)
		if (s->given[i])
			TRY(put_expanded(source.value, i, s->given[i]));
	if (s->insecure_http)
		TRY(put(source.value, CLI_SET_INSECURE_HTTP, "yes", ""));
	merge(s, &source);
	return ERR_OK;
}

static enum err fill_defaults(struct cli_settings *s)
{
	const char *base = getenv("XDG_DATA_HOME");
	char path[PATH_SIZE];

	if (base && base[0] == '/')
		snprintf(path, sizeof(path), "%s/signetfs/kms.db", base);
	else
		snprintf(path, sizeof(path), "%s/.local/share/signetfs/kms.db", home_directory());
	if (!s->value[CLI_SET_KEYSTORE])
		TRY(put(s->value, CLI_SET_KEYSTORE, path, ""));
	if (!s->value[CLI_SET_REGION])
		TRY(put(s->value, CLI_SET_REGION, "us-east-1", ""));
	if (!s->value[CLI_SET_ROOT_KEY])
		TRY(put(s->value, CLI_SET_ROOT_KEY, "passphrase", ""));
	return ERR_OK;
}

static enum err check_values(const struct cli_settings *s)
{
	const char *insecure = cli_setting(s, CLI_SET_INSECURE_HTTP);

	if (insecure && strcmp(insecure, "yes") != 0 && strcmp(insecure, "no") != 0)
		return err_fail(ERR_CONFIG, "insecure-http = %s: write yes or no", insecure);
	return ERR_OK;
}

enum err cli_settings_load(struct cli_settings *s)
{
	TRY(read_file(s, SIGNETFS_SYSTEM_CONFIG, 0));
	TRY(read_user_file(s));
	if (s->config_file)
		TRY(read_file(s, s->config_file, 1));
	TRY(read_environment(s));
	if (s->last_file)
		TRY(read_file(s, s->last_file, 1));
	TRY(read_options(s));
	TRY(fill_defaults(s));
	return check_values(s);
}

const struct cli_option *cli_settings_options(struct cli_settings *s)
{
	const char **given = s->given;
	const struct cli_option options[CLI_SETTINGS_OPTIONS] = {
		{"kms", 0, CLI_TEXT, &given[CLI_SET_ENDPOINT], "ENDPOINT",
			"agent, unix:PATH, http://HOST:PORT, https://HOST[:PORT]; or keyfile:PATH, a key of your own"},
		{"endpoint-url", 0, CLI_TEXT, &given[CLI_SET_ENDPOINT], "ENDPOINT",
			"the same, as the AWS CLI spells it"},
		{"region", 0, CLI_TEXT, &given[CLI_SET_REGION], "REGION", "AWS region of the keys"},
		{"keystore", 0, CLI_TEXT, &given[CLI_SET_KEYSTORE], "FILE", "the agent's keystore"},
		{"root-key", 0, CLI_TEXT, &given[CLI_SET_ROOT_KEY], "SOURCE",
			"passphrase, passfile:PATH, keyfile:PATH or command:CMD"},
		{"ca-file", 0, CLI_TEXT, &given[CLI_SET_CA_FILE], "FILE", "certificate authorities to trust for https"},
		{"insecure-http", 0, CLI_FLAG, &s->insecure_http, NULL, "permit http:// to another machine"},
		{"config", 0, CLI_TEXT, &s->config_file, "FILE", "one more configuration file"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};

	memcpy(s->options, options, sizeof(options));
	return s->options;
}

const char *cli_setting(const struct cli_settings *s, enum cli_setting which)
{
	return s->value[which];
}

enum err cli_audit_retention(const struct cli_settings *s, uint64_t *ret)
{
	const char *text = cli_setting(s, CLI_SET_AUDIT_RETENTION);
	uint64_t seconds = 0;

	if (text && (cli_parse_seconds(text, &seconds) != ERR_OK || seconds < 86400 || seconds > UINT32_MAX))
		return err_fail(ERR_CONFIG, "audit-retention = %s: write a time of at least a day, such as 400d", text);
	*ret = seconds * UINT64_C(1000000000);
	return ERR_OK;
}

/* A KMS would be asked in vain. */
static enum err check_customer_key(const struct cli_settings *s, const struct descriptor *d)
{
	const char *arn = d->volume_key.key_arn;

	if (strncmp(arn, CUSTOMER_KEY_ARN, strlen(CUSTOMER_KEY_ARN)) != 0 ||
		cli_is_customer_key(s->value[CLI_SET_ENDPOINT]))
		return ERR_OK;
	return err_fail(ERR_USAGE,
		"this vault is under a key that you hold in a file, %s: give the file with --kms keyfile:/PATH/OF/IT, "
		"or write "
		"\"endpoint = keyfile:/PATH/OF/IT\" under [kms] in signetfs.ini",
		arn);
}

enum err cli_settings_for_vault(struct cli_settings *s, const struct descriptor *d)
{
	TRY(check_customer_key(s, d));
	if (d->region[0] && !s->given[CLI_SET_REGION])
		TRY(put(s->value, CLI_SET_REGION, d->region, ""));
	if (s->value[CLI_SET_ENDPOINT] || !d->endpoint[0] || strcmp(d->endpoint, "agent") == 0)
		return ERR_OK;
	return err_fail(ERR_USAGE,
		"this vault says that its KMS is at %s, and nothing of yours says so; when that is right, give --kms "
		"%s, or "
		"write \"endpoint = %s\" under [kms] in signetfs.ini",
		d->endpoint, d->endpoint, d->endpoint);
}

void cli_settings_free(struct cli_settings *s)
{
	for (int i = 0; i < CLI_SET_COUNT; i++)
		drop(s->value, i);
}
