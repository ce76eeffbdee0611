/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/kms_dependents.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "fs/format/descriptor.h"
#include "fs/fuse/mount.h"
#include "fs/vault/vault.h"
#include "kms/base/encode.h"
#include "kms/base/json.h"
#include "kms/store/store.h"

enum { VAULTS_MAX = 64, RECORDS_MAX = 200000, MOMENT_SIZE = 32 };

/* A vault that used the key, as the encryption contexts in the audit trail name it. */
struct dependent {
	char id[UUID_TEXT + 1], last[MOMENT_SIZE];
	int moved; /* the last that was heard of its volume key is that it went under another key */
	char place[4096 + 32];
};

struct dependents {
	const char *arn;
	size_t count, more;
	struct dependent vault[VAULTS_MAX];
};

/* ---- The audit trail of the local keystore ---- */

static const char *text(const json_t *o, const char *name)
{
	const char *value = json_string_value(json_object_get(o, name));

	return value ? value : "";
}

static struct dependent *dependent_of(struct dependents *d, const char *id)
{
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->vault[i].id, id) == 0)
			return &d->vault[i];
	if (d->count == VAULTS_MAX) {
		d->more = 1;
		return NULL;
	}
	snprintf(d->vault[d->count].id, sizeof(d->vault[0].id), "%s", id);
	return &d->vault[d->count++];
}

/* ReEncrypt names two keys: from the first, to the second. */
static int leads_away(const struct dependents *d, const json_t *record)
{
	const json_t *keys = json_object_get(record, "resources");

	return json_array_size(keys) == 2 && strcmp(text(json_array_get(keys, 1), "ARN"), d->arn) != 0;
}

static enum err on_record(void *context, const char *line)
{
	struct dependents *d = context;
	json_t *record AUTO_JSON = NULL;
	const json_t *request, *names;
	struct dependent *v;

	if (!strstr(line, "\"signetfs:volume\"") || json_parse(line, strlen(line), &record) != ERR_OK)
		return ERR_OK;
	request = json_object_get(record, "requestParameters");
	names = json_object_get(request, "encryptionContext");
	if (!names)
		names = json_object_get(request, "sourceEncryptionContext");
	v = strlen(text(names, "signetfs:volume")) == UUID_TEXT ? dependent_of(d, text(names, "signetfs:volume"))
								: NULL;
	if (!v)
		return ERR_OK;
	snprintf(v->last, sizeof(v->last), "%s", text(record, "eventTime"));
	if (strcmp(text(names, "signetfs:purpose"), "volume") == 0)
		v->moved = leads_away(d, record);
	return ERR_OK;
}

/* The records are read as they lie there: whoever could forge them could as well delete the key. */
static enum err read_trail(const struct cli_settings *s, struct dependents *d)
{
	const struct store_audit_filter filter = {.key_arn = d->arn, .error = "", .limit = RECORDS_MAX};
	struct store *store = NULL;
	enum err e;

	TRY(store_open(cli_setting(s, CLI_SET_KEYSTORE), &store));
	e = store_audit_list(store, &filter, on_record, d);
	store_close(store);
	return e;
}

/* ---- Where they are: a KMS knows vaults by their ids, this machine those that are mounted ---- */

static void on_mount(void *context, const struct mount_info *info)
{
	struct dependents *d = context;
	struct descriptor descriptor;
	char id[UUID_TEXT + 1];

	if (info->source[0] != '/' || vault_read_descriptor(info->source, &descriptor) != ERR_OK)
		return;
	encode_uuid(descriptor.volume_id, id);
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->vault[i].id, id) == 0)
			snprintf(
				d->vault[i].place, sizeof(d->vault[i].place), " (mounted here, from %s)", info->source);
}

/* ---- Telling ---- */

static void tell_vault(const struct dependents *d, const struct dependent *v)
{
	if (v->moved)
		report(cli_reporter(), REPORT_WARNING,
			"the vault %s%s was moved to another key and used this one last at %s: copies from before, and "
			"files that "
			"were not moved, go with it. signetfs keys VAULT --key %s shows whether there are any",
			v->id, v->place, v->last, d->arn);
	else
		report(cli_reporter(), REPORT_WARNING,
			"the vault %s%s depends on this key, and used it last at %s: when the key is destroyed, "
			"everything in the vault is "
			"lost. signetfs reencrypt VAULT --to ANOTHER-KEY moves it; signetfs kms cancel-key-deletion "
			"keeps this key",
			v->id, v->place, v->last);
}

static void tell_vaults(const struct cli_settings *s, const char *arn)
{
	struct dependents *d = calloc(1, sizeof(*d));
	enum err e = ERR_NO_MEMORY;

	if (d) {
		d->arn = arn;
		e = read_trail(s, d);
	}
	if (e != ERR_OK)
		report(cli_reporter(), REPORT_WARNING, "which vaults depend on this key is not known: %s", err_text(e));
	else if (d->count > 0)
		mount_each(on_mount, d);
	for (size_t i = 0; e == ERR_OK && i < d->count; i++)
		tell_vault(d, &d->vault[i]);
	if (e == ERR_OK && d->more)
		report(cli_reporter(), REPORT_WARNING, "more than %d vaults used this key", (int)VAULTS_MAX);
	free(d);
}

/* Another machine's trail is not ours to read; when a key was used last, any KMS tells who may ask. */
static void tell_last_use(struct kms *kms, const char *arn)
{
	json_t *request AUTO_JSON = json_pack("{s:s}", "KeyId", arn);
	json_t *response AUTO_JSON = NULL;
	char moment[MOMENT_SIZE];
	const json_t *last;
	struct tm tm;
	time_t when;

	if (!request || kms_call(kms, "GetKeyLastUsage", request, &response) != ERR_OK)
		return;
	last = json_object_get(response, "KeyLastUsage");
	when = (time_t)json_number_value(json_object_get(last, "Timestamp"));
	if (!when || !gmtime_r(&when, &tm) || !strftime(moment, sizeof(moment), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return;
	report(cli_reporter(), REPORT_WARNING,
		"this key was last used at %s, for %s: vaults under it are lost when it is destroyed. signetfs keys "
		"VAULT shows what "
		"depends on it; signetfs kms cancel-key-deletion keeps it",
		moment, text(last, "Operation"));
}

void cli_warn_of_dependents(const struct cli_settings *s, struct kms *kms, const json_t *response)
{
	const char *endpoint = cli_setting(s, CLI_SET_ENDPOINT), *arn = text(response, "KeyId");

	if (!endpoint || strcmp(endpoint, "agent") == 0)
		tell_vaults(s, arn);
	else
		tell_last_use(kms, arn);
}
