/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/remount.h"

#include <stdlib.h>
#include <string.h>
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

static enum err remount(const struct cli_texts *lists, const char *point)
{
	json_t *stats AUTO_JSON = NULL;

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
