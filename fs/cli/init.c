/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <limits.h>
#include <string.h>
#include "fs/format/descriptor.h"
#include "fs/vault/vault.h"
#include "kms/base/encode.h"

enum { BUCKET_KEY_ON, BUCKET_KEY_OFF };

struct init {
	const char *path;
	const char *key;
	char customer_key[KMS_ARN_MAX + 1];
	int names, bucket_key;
	uint64_t lifetime, files, cache_time;
	struct cli_settings settings;
};

/* The endpoint is remembered in the vault, so it has to mean the same wherever the mount is started. */
static enum err check_endpoint(struct init *init, const char *endpoint)
{
	if (cli_is_customer_key(endpoint) && init->key)
		return err_fail(ERR_USAGE, "a key file has one key: leave out --key %s", init->key);
	if (cli_is_customer_key(endpoint)) {
		TRY(cli_customer_key_arn(endpoint, init->customer_key));
		init->key = init->customer_key;
	}
	if (endpoint && strncmp(endpoint, "unix:", 5) == 0 && endpoint[5] != '/')
		return err_fail(ERR_USAGE, "%s: write the socket's absolute path", endpoint);
	return ERR_OK;
}

static enum err make_vault(struct init *init)
{
	const struct cli_settings *s = &init->settings;
	struct kms *kms AUTO_KMS = NULL;
	const char *endpoint;

	TRY(cli_settings_load(&init->settings));
	endpoint = cli_setting(s, CLI_SET_ENDPOINT);
	TRY(check_endpoint(init, endpoint));
	const struct vault_create_options options = {
		.key_id = init->key,
		.endpoint = cli_endpoint_to_keep(s),
		.region = cli_setting(s, CLI_SET_REGION),
		.names = init->names ? NAMES_PLAIN : NAMES_ENCRYPTED,
		.bucket_keys = init->bucket_key == BUCKET_KEY_ON,
		.lifetime_seconds = init->lifetime,
		.lifetime_files = init->files,
		.cache_seconds = init->cache_time,
	};

	TRY(cli_kms_connect(s, &kms));
	return vault_create(init->path, &options, kms, clock_system());
}

/* With the options that led to this KMS, so that the command works as it is printed. */
static void say_how_to_mount(const struct init *init)
{
	char word[PATH_MAX];
	const void *last = NULL; /* --endpoint-url is --kms again */

	fputs("Mount it with: signetfs mount", stdout);
	for (const struct cli_option *o = init->settings.options; o->name; o++) {
		const char *value = o->type == CLI_TEXT ? *(const char *const *)o->target : NULL;

		if (value && o->target != last)
			printf(" --%s %s", o->name, encode_shell(value, word, sizeof(word)));
		last = o->target;
	}
	printf("%s %s MOUNTPOINT\n", init->settings.insecure_http ? " --insecure-http" : "",
		encode_shell(init->path, word, sizeof(word)));
}

static int say_done(const struct init *init)
{
	struct descriptor d;
	enum err e = vault_read_descriptor(init->path, &d);

	if (e != ERR_OK)
		return cli_fail(e, "reading back the vault %s", init->path);
	printf("Made the vault %s: names %s, bucket keys %s, under %s\n", init->path,
		d.names == NAMES_PLAIN ? "plain" : "encrypted", d.bucket_keys ? "on" : "off", d.volume_key.key_arn);
	say_how_to_mount(init);
	return CLI_DONE;
}

int cli_init(int argc, char **argv)
{
	struct init init = {.path = NULL};
	const struct cli_option options[] = {
		{"key", 0, CLI_TEXT, &init.key, "KEY",
			"KMS key: id, ARN or alias (alias/aws/signetfs, made on first use)"},
		{"names", 0, CLI_CHOICE, &init.names, "encrypted|plain", "file names in the vault (encrypted)"},
		{"bucket-key", 0, CLI_CHOICE, &init.bucket_key, "on|off",
			"one KMS call for many files, or one for each (on)"},
		{"bucket-lifetime", 0, CLI_SECONDS, &init.lifetime, "TIME",
			"a bucket key wraps new files' keys so long (7d)"},
		{"bucket-files", 0, CLI_NUMBER, &init.files, "NUMBER", "… and for so many files (1048576)"},
		{"cache-time", 0, CLI_SECONDS, &init.cache_time, "TIME",
			"a key stays in memory so long before the KMS is asked again (5m)"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs init [OPTION]… VAULT",
		"Make a vault: an empty directory (made when missing) that a mount fills with ciphertext.", 1, 1,
		options, cli_settings_options(&init.settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done < 0) {
		enum err e;

		init.path = argv[1];
		e = make_vault(&init);
		done = e == ERR_OK ? say_done(&init) : cli_fail(e, "making the vault %s", init.path);
	}
	cli_settings_free(&init.settings);
	return done;
}
