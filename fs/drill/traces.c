/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/traces.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/store/store.h"

enum { FILE_MAX = 1 << 30 };

/* ---- Remembering ---- */

static enum err read_sealed(struct store *store, const struct store_key *key, struct traces *t)
{
	struct store_backing list[TRACES_MAX];
	size_t n;

	TRY(store_backing_list(store, key->row, 0, 0, TRACES_MAX, list, &n));
	if (t->count + n > TRACES_MAX)
		return err_fail(ERR_LIMIT, "more than %d backing keys", (int)TRACES_MAX);
	for (size_t i = 0; i < n; i++, t->count++)
		TRY(store_backing_sealed(
			store, key->row, list[i].id, t->sealed[t->count], TRACES_SEALED, &t->len[t->count]));
	return ERR_OK;
}

enum err traces_remember(const char *keystore, const char *arn, struct traces *ret)
{
	char region[STORE_REGION_SIZE], uuid[UUID_TEXT + 1];
	uint8_t id[UUID_SIZE];
	struct store_key key;
	struct store *store;

	*ret = (struct traces){.count = 0};
	if (sscanf(arn, "arn:aws:kms:%31[^:]:%*[0-9]:key/%36s", region, uuid) != 2)
		return err_fail(ERR_USAGE, "%s is no key's ARN", arn);
	TRY(decode_uuid(uuid, strlen(uuid), id));
	TRY(store_open(keystore, &store));
	enum err e = store_key_find(store, region, id, &key);
	if (e == ERR_OK)
		e = read_sealed(store, &key, ret);
	store_close(store);
	return e;
}

/* ---- Searching ---- */

static uint64_t count_pieces(const struct traces *t, const uint8_t *p, size_t len)
{
	uint64_t n = 0;

	for (size_t k = 0; k < t->count; k++)
		for (size_t at = 0; at + TRACES_PIECE <= t->len[k]; at += TRACES_PIECE)
			for (const uint8_t *from = p, *hit;
				(hit = memmem(from, len - (size_t)(from - p), t->sealed[k] + at, TRACES_PIECE)) != NULL;
				from = hit + 1)
				n++;
	return n;
}

static enum err search_file(const struct traces *t, const char *path, struct traces_found *f)
{
	const char *slash = strrchr(path, '/');
	int fd AUTO_CLOSE = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t len = 0, said = strlen(f->where);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return err_system("%s", path);
	if (st.st_size > FILE_MAX)
		return err_fail(ERR_LIMIT, "%s is too large to be searched", path);
	uint8_t *p = malloc((size_t)st.st_size + 1);
	if (!p)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	enum err e = io_read_up_to(fd, path, p, (size_t)st.st_size, &len);
	uint64_t n = count_pieces(t, p, len);
	free(p);
	f->files++;
	f->bytes += len;
	f->pieces += n;
	if (n)
		snprintf(f->where + said, sizeof f->where - said, "%s%s", said ? ", " : "", slash ? slash + 1 : path);
	return e;
}

enum err traces_search(const struct traces *t, const char *keystore, struct traces_found *ret)
{
	char pattern[4096];
	glob_t found = {0};
	enum err e = ERR_OK;

	*ret = (struct traces_found){.files = 0};
	snprintf(pattern, sizeof pattern, "%s*", keystore);
	if (glob(pattern, 0, NULL, &found) != 0)
		return err_fail(ERR_NOT_FOUND, "there is no keystore at %s", keystore);
	for (size_t i = 0; i < found.gl_pathc && e == ERR_OK; i++)
		e = search_file(t, found.gl_pathv[i], ret);
	globfree(&found);
	return e;
}
