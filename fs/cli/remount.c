/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/remount.h"

#include <stdlib.h>
#include <string.h>
#include "fs/cli/mount_options.h"
#include "fs/fuse/control.h"
#include "fs/fuse/mount.h"
#include "kms/base/json.h"

int remount_asked(const struct cli_texts *lists)
{
	static const char word[] = "remount";

	for (size_t i = 0; i < lists->count; i++)
		for (const char *at = lists->item[i]; *at; at += strcspn(at, ","), at += *at == ',')
			if (strcspn(at, ",") == strlen(word) && !strncmp(at, word, strlen(word)))
				return 1;
	return 0;
}

/* mount(8) repeats what /proc/self/mountinfo shows of a mount: these are the kernel's. */
static int is_shown(const char *word)
{
	static const char *const names[] = {
		"remount", "user_id=", "group_id=", "rootmode=", "max_read=", "blksize=", "fd="};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t len = strlen(names[i]);
		if (!strncmp(word, names[i], len) && (names[i][len - 1] == '=' || !word[len]))
			return 1;
	}
	return 0;
}

/* What a mount would refuse is refused here, too; what counts from the next mount only is passed over. @list is taken apart. */
static enum err check_words(char *list)
{
	struct cli_settings settings = {0};
	struct mount_options options = {0};
	char *save = NULL;

	for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save))
		if (!is_shown(word))
			TRY(mount_options_parse(&options, &settings, word));
	return ERR_OK;
}

static enum err check_lists(const struct cli_texts *lists)
{
	for (size_t i = 0; i < lists->count; i++) {
		char *copy = strdup(lists->item[i]);
		enum err e = copy ? check_words(copy) : err_fail(ERR_NO_MEMORY, "out of memory");

		free(copy);
		TRY(e);
	}
	return ERR_OK;
}

static enum err remount(const struct cli_texts *lists, const char *point)
{
	json_t *stats AUTO_JSON = NULL;

	TRY(check_lists(lists));
	TRY(control_ask(point, "stats", &stats));
	for (size_t i = 0; i < lists->count; i++)
		TRY(mount_remount(point, lists->item[i], json_is_true(json_object_get(stats, "read_only"))));
	return ERR_OK;
}

int remount_run(const struct cli_texts *lists, const char *point)
{
	char *resolved = realpath(point, NULL);
	enum err e = resolved ? remount(lists, resolved) : err_system("%s", point);

	free(resolved);
	return e == ERR_OK ? CLI_DONE : cli_fail(e, "remounting %s", point);
}
