/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "fs/reencrypt/keys.h"
#include "fs/reencrypt/tally.h"
#include "fs/vault/rekey.h"
#include "fs/vault/vault.h"
#include "fs/vault/walk.h"
#include "kms/base/json.h"

struct keys {
	const char *vault, *key; /* key: NULL, or only what is under it */
	int json, paths, lower;
	struct tally *tally;
	uint64_t unread;
	struct cli_settings settings;
};

/* ---- Which? ---- */

/* An ARN, the id at its end, or a backing key. */
static int is_under(const struct keys *k, const struct kms_wrapped_key *wrapped)
{
	const char *slash = strrchr(wrapped->key_arn, '/');
	char backing[KMS_BACKING_SIZE];

	if (!k->key || strcmp(wrapped->key_arn, k->key) == 0 || (slash && strcmp(slash + 1, k->key) == 0))
		return 1;
	kms_backing_key(wrapped, backing);
	return backing[0] && strcmp(backing, k->key) == 0;
}

static void print_path(const char *path)
{
	flockfile(stdout);
	puts(path);
	funlockfile(stdout);
}

static void on_file(void *context, const char *path, const struct file_header *h, uint64_t bytes)
{
	struct keys *k = context;

	if (!is_under(k, &h->kms_key))
		return;
	if (k->paths)
		print_path(path);
	else
		tally_file(k->tally, h, bytes);
}

static void on_unread(void *context, const char *path, enum err why)
{
	struct keys *k = context;

	k->unread++;
	/* An empty file without header depends on no key. */
	if (why != ERR_NOT_FOUND)
		cli_error("%s: %s", path, err_text(why));
	else
		k->unread--;
}

static void on_thing(void *context, const char *what, const struct kms_wrapped_key *wrapped)
{
	struct keys *k = context;

	if (is_under(k, wrapped) && !k->paths)
		tally_thing(k->tally, what, wrapped);
}

/* ---- Plaintext paths: with the volume key, so one call to the KMS ---- */

static int on_entry(void *context, struct walk_entry *e)
{
	struct file_header h;
	uint64_t bytes;
	char *path;

	if (e->type != DT_REG || vault_peek_header(e->object, &h, &bytes) != ERR_OK)
		return 1;
	path = walk_plain_path(e);
	if (path)
		on_file(context, path, &h, bytes);
	free(path);
	return 1;
}

static void on_fault(void *context, const struct walk_entry *e, enum walk_fault what, enum err why)
{
	char *path = walk_lower_path(e);

	(void)what;
	on_unread(context, path ? path : "?", why);
	free(path);
}

static enum err walk_names(struct keys *k, struct kms *kms)
{
	const struct vault_open_options open = {
		.path = k->vault, .read_only = 1, .kms = kms, .clock = clock_system(), .reporter = cli_reporter()};
	struct walk_options walk = {
		.calls = {.entry = on_entry, .fault = on_fault}, .flags = WALK_LINKS_ONCE, .jobs = 1, .context = k};
	struct vault *v;

	TRY(vault_open(&open, &v));
	walk.vault = v;
	enum err e = walk_run(&walk);
	enum err closing = vault_close(v);

	return e != ERR_OK ? e : closing;
}

static enum err print_names(struct keys *k)
{
	struct kms *kms AUTO_KMS = NULL;
	struct descriptor d;
	enum err e;

	TRY(cli_settings_load(&k->settings));
	TRY(vault_read_descriptor(k->vault, &d));
	TRY(cli_settings_for_vault(&k->settings, &d));
	TRY(cli_kms_connect(&k->settings, &kms));
	e = walk_names(k, kms);
	if (e == ERR_BUSY)
		err_wrap(e, "names are encrypted; --lower lists them as they are stored, also of a vault in use");
	return cli_kms_name(&k->settings, e);
}

/* ---- The table ---- */

static void also(char *out, size_t size, const struct tally_row *r)
{
	snprintf(out, size, "%s%s%s", r->volume_key ? "volume key" : "", r->volume_key && r->new_files ? ", " : "",
		r->new_files ? "new files" : "");
}

static void print_rows(struct keys *k)
{
	const char *heading[] = {"KMS KEY", "BACKING KEY", "WRAPPED BY", "FILES", "BYTES", "AND"};
	struct cli_table *t = cli_table_new(6);
	struct tally_row *rows;
	size_t n = tally_rows(k->tally, &rows);

	cli_table_add(t, heading);
	for (size_t i = 0; i < n; i++) {
		const struct tally_row *r = &rows[i];
		char files[24], bytes[CLI_BYTES_SIZE], more[32];
		const char *cells[] = {r->key_arn, r->backing[0] ? r->backing : "not told",
			r->wrap == WRAP_BUCKET ? "bucket key" : "KMS key", files, bytes, more};

		snprintf(files, sizeof(files), "%" PRIu64, r->files);
		cli_format_bytes(r->bytes, bytes);
		also(more, sizeof(more), r);
		cli_table_add(t, cells);
	}
	if (n > 0)
		cli_table_print(t, stdout);
	else
		printf("Nothing is under %s.\n", k->key ? k->key : "any key");
	cli_table_free(t);
	free(rows);
}

static void print_json(struct keys *k)
{
	json_t *all AUTO_JSON = json_pack(
		"{s:s, s:o, s:I}", "vault", k->vault, "keys", tally_json(k->tally), "unread", (json_int_t)k->unread);

	if (all && json_dumpf(all, stdout, JSON_INDENT(4)) == 0)
		putchar('\n');
}

static int run(struct keys *k)
{
	const struct keys_calls calls = {.file = on_file, .unread = on_unread, .thing = on_thing, .context = k};
	enum err e;

	k->tally = tally_new();
	if (!k->tally)
		return cli_error("out of memory");
	e = k->paths && !k->lower ? print_names(k) : keys_scan(k->vault, &calls);
	if (e != ERR_OK)
		return cli_fail(e, "looking at the keys of %s", k->vault);
	if (!k->paths && k->json)
		print_json(k);
	else if (!k->paths)
		print_rows(k);
	if (k->unread)
		return cli_error("%" PRIu64 " files could not be read: what they are under is not known", k->unread);
	return CLI_DONE;
}

/* Headers name keys, never aliases: "nothing is under it" would look like the proof that the alias's key can go. */
static int check_key(const char *key)
{
	const char *alias = key ? strstr(key, "alias/") : NULL;

	if (!alias)
		return -1;
	return cli_wrong_usage("keys",
		"--key takes a key's ARN or id, or a backing key: headers name no alias. Which key it is: "
		"signetfs kms describe-key --key-id %s",
		alias);
}

int cli_keys(int argc, char **argv)
{
	struct keys k = {.vault = NULL};
	const struct cli_option options[] = {
		{"key", 0, CLI_TEXT, &k.key, "KEY", "only what is under this KMS key (ARN, id) or backing key"},
		{"paths", 0, CLI_FLAG, &k.paths, NULL,
			"list the files, one path a line; asks the KMS once for the names"},
		{"lower", 0, CLI_FLAG, &k.lower, NULL,
			"with --paths: names as they are stored, without asking the KMS"},
		{"json", 0, CLI_FLAG, &k.json, NULL, "print JSON"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs keys [OPTION]… VAULT",
		"Which KMS keys and backing keys the files of a vault still depend on, as their headers say. No key "
		"is used, the KMS is not asked and nothing is locked, so it works on a vault in use; what a header "
		"says is proven when its file is read.",
		1, 1, options, cli_settings_options(&k.settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done < 0 && k.lower && !k.paths)
		done = cli_wrong_usage("keys", "--lower says how --paths shows names: give both");
	if (done < 0)
		done = check_key(k.key);
	if (done < 0) {
		k.vault = argv[1];
		done = run(&k);
	}
	tally_free(k.tally);
	cli_settings_free(&k.settings);
	return done;
}
