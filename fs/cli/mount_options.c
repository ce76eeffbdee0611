/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/mount_options.h"

#include <stdio.h>
#include <string.h>

enum { IDLE_MAX = 30 * 86400 }; /* seconds */

enum action { IGNORE, IGNORE_PREFIX, PASS, PASS_VALUE, SET, CLEAR, NUMBER, SECONDS, TEXT, SETTING };

/* One row per option. @target: offset in struct mount_options, or which setting. */
static const struct {
	const char *name;
	enum action action;
	size_t target;
} table[] = {
	{"ro", SET, offsetof(struct mount_options, read_only)},
	{"rw", CLEAR, offsetof(struct mount_options, read_only)},
	{"nonempty", SET, offsetof(struct mount_options, nonempty)},
	{"acl", SET, offsetof(struct mount_options, acl)},
	{"noacl", CLEAR, offsetof(struct mount_options, acl)},
	{"default_permissions", SET, offsetof(struct mount_options, default_permissions)},
	{"allow_other", SET, offsetof(struct mount_options, allow_other)},
	{"allow_root", SET, offsetof(struct mount_options, allow_root)},
	{"idle", SECONDS, offsetof(struct mount_options, idle)},
	{"threads", NUMBER, offsetof(struct mount_options, threads)},
	{"fsname", TEXT, offsetof(struct mount_options, fsname)},
	{"kms", SETTING, CLI_SET_ENDPOINT},
	{"endpoint-url", SETTING, CLI_SET_ENDPOINT},
	{"region", SETTING, CLI_SET_REGION},
	{"keystore", SETTING, CLI_SET_KEYSTORE},
	{"root-key", SETTING, CLI_SET_ROOT_KEY},
	{"ca-file", SETTING, CLI_SET_CA_FILE},
	{"config", SETTING, CLI_SET_COUNT},
	{"subtype", PASS_VALUE, 0},
	{"suid", PASS, 0},
	{"nosuid", PASS, 0},
	{"dev", PASS, 0},
	{"nodev", PASS, 0},
	{"exec", PASS, 0},
	{"noexec", PASS, 0},
	{"noatime", PASS, 0},
	{"sync", PASS, 0},
	{"dirsync", PASS, 0},
	/* What fstab says to others than us, and defaults. */
	{"defaults", IGNORE, 0},
	{"async", IGNORE, 0},
	{"atime", IGNORE, 0},
	{"relatime", IGNORE, 0},
	{"strictatime", IGNORE, 0},
	{"diratime", IGNORE, 0},
	{"nodiratime", IGNORE, 0},
	{"auto", IGNORE, 0},
	{"noauto", IGNORE, 0},
	{"user", IGNORE, 0},
	{"users", IGNORE, 0},
	{"nouser", IGNORE, 0},
	{"owner", IGNORE, 0},
	{"group", IGNORE, 0},
	{"nofail", IGNORE, 0},
	{"_netdev", IGNORE, 0},
	{"silent", IGNORE, 0},
	{"loud", IGNORE, 0},
	{"user=", IGNORE_PREFIX, 0},
	{"uhelper=", IGNORE_PREFIX, 0},
	{"comment=", IGNORE_PREFIX, 0},
	{"x-", IGNORE_PREFIX, 0},
	{"X-", IGNORE_PREFIX, 0},
};

const char mount_options_help[] =
	"Options behind -o: ro, allow_other, allow_root, default_permissions, nosuid, nodev, noexec, noatime, sync,\n"
	"dirsync, fsname=TEXT, subtype=TEXT, nonempty, acl (POSIX ACLs), idle=TIME, threads=N, kms=ENDPOINT, "
	"keystore=FILE,\n"
	"root-key=SPEC, region=NAME, ca-file=FILE, config=FILE; remount,ro and such change a mount that is there; "
	"what\n"
	"fstab has for others (noauto, nofail, _netdev, x-…) is ignored.";

static int matches(size_t row, const char *word, size_t name_len)
{
	const char *name = table[row].name;

	if (table[row].action == IGNORE_PREFIX)
		return strncmp(word, name, strlen(name)) == 0;
	return strlen(name) == name_len && strncmp(word, name, name_len) == 0;
}

static enum err pass_on(struct mount_options *o, const char *word)
{
	size_t room = sizeof o->pass - o->pass_len;
	int n = snprintf(o->pass + o->pass_len, room, "%s%s", o->pass_len ? "," : "", word);

	if (n < 0 || (size_t)n >= room)
		return err_fail(ERR_USAGE, "too many mount options");
	o->pass_len += (size_t)n;
	return ERR_OK;
}

static enum err set_number(unsigned *target, const char *value)
{
	uint64_t n;

	TRY(cli_parse_number(value, &n));
	if (n < 1 || n > 256)
		return err_fail(ERR_USAGE, "threads must be 1 to 256");
	*target = (unsigned)n;
	return ERR_OK;
}

enum err mount_options_idle(uint64_t seconds, unsigned *ret)
{
	if (seconds > IDLE_MAX)
		return err_fail(ERR_USAGE, "idle can be at most 30d");
	*ret = (unsigned)seconds;
	return ERR_OK;
}

static enum err set_seconds(unsigned *target, const char *value)
{
	uint64_t seconds;

	TRY(cli_parse_seconds(value, &seconds));
	return mount_options_idle(seconds, target);
}

static enum err set_setting(struct cli_settings *settings, size_t which, const char *value)
{
	if (!settings)
		return err_fail(ERR_USAGE, "what concerns the KMS is set under [kms], not in mount options");
	if (which == CLI_SET_COUNT) {
		if (!settings->config_file)
			settings->config_file = value;
	} else if (!settings->given[which]) {
		settings->given[which] = value;
	}
	return ERR_OK;
}

static enum err apply(struct mount_options *o, struct cli_settings *settings, size_t row, const char *word, char *value)
{
	void *target = (char *)o + table[row].target;
	enum action action = table[row].action;
	int wants_value =
		action == PASS_VALUE || action == NUMBER || action == SECONDS || action == TEXT || action == SETTING;

	if (wants_value && (!value || !value[0]))
		return err_fail(ERR_USAGE, "the mount option \"%s\" needs a value", table[row].name);
	if (!wants_value && value && table[row].action != IGNORE && table[row].action != IGNORE_PREFIX)
		return err_fail(ERR_USAGE, "the mount option \"%s\" takes no value", table[row].name);
	switch (table[row].action) {
	case SET:
	case CLEAR:
		*(int *)target = table[row].action == SET;
		return ERR_OK;
	case NUMBER:
		return set_number(target, value);
	case SECONDS:
		return set_seconds(target, value);
	case TEXT:
		*(const char **)target = value;
		return ERR_OK;
	case SETTING:
		return set_setting(settings, table[row].target, value);
	case PASS:
	case PASS_VALUE:
		return pass_on(o, word);
	case IGNORE:
	case IGNORE_PREFIX:
		break;
	}
	return ERR_OK;
}

static enum err parse_word(struct mount_options *o, struct cli_settings *settings, char *word)
{
	size_t name_len = strcspn(word, "=");
	char *value = word[name_len] == '=' ? word + name_len + 1 : NULL;

	for (size_t row = 0; row < sizeof table / sizeof table[0]; row++)
		if (matches(row, word, name_len))
			return apply(o, settings, row, word, value);
	return err_fail(
		ERR_USAGE, "unknown mount option \"%.*s\"; signetfs mount --help lists them", (int)name_len, word);
}

enum err mount_options_parse(struct mount_options *o, struct cli_settings *settings, char *text)
{
	char *save = NULL;

	for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save))
		TRY(parse_word(o, settings, word));
	return ERR_OK;
}
