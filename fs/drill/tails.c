/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/tails.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fs/drill/world.h"
#include "fs/vault/vault.h"

/* Less than what any content has as ciphertext: so it is never the header, which wrapping anew changes. */
enum { TAIL = 32 };

/* nftw() has no context. One drill at a time. */
static struct {
	const char *copy, *vault;
	off_t header; /* the length of each file's */
	uint64_t files, same;
} comparing;

/* The end of a file is ciphertext and tag of its last chunk: the same bytes are the same data key. */
static int read_tail(const char *path, uint8_t out[TAIL])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ok;

	if (fd < 0)
		return 0;
	ok = lseek(fd, -TAIL, SEEK_END) >= 0 && read(fd, out, TAIL) == TAIL;
	close(fd);
	return ok;
}

static int compare_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	uint8_t then[TAIL], now[TAIL];
	char other[2 * WORLD_PATH];

	/* Records of the vault itself are no file's content. */
	if (type != FTW_F || st->st_size < comparing.header + TAIL || strstr(path, "/.signetfs/") ||
		strncmp(path + ftw->base, "signetfs.", 9) == 0)
		return 0;
	snprintf(other, sizeof other, "%s%s", comparing.vault, path + strlen(comparing.copy));
	/* A file that ends with a hole has no ciphertext there. */
	if (read_tail(path, then) && then[0] == 0 && memcmp(then, then + 1, TAIL - 1) == 0)
		return 0;
	comparing.files++;
	if (!read_tail(path, then) || !read_tail(other, now) || memcmp(then, now, TAIL) == 0)
		comparing.same++;
	return 0;
}

enum err tails_compare(const char *copy, const char *vault, struct tails *ret)
{
	struct descriptor d;

	TRY(vault_read_descriptor(vault, &d));
	comparing.header = (off_t)d.header_length;
	comparing.copy = copy;
	comparing.vault = vault;
	comparing.files = comparing.same = 0;
	if (nftw(copy, compare_one, 16, FTW_PHYS))
		return err_system("comparing %s and %s", copy, vault);
	*ret = (struct tails){comparing.files, comparing.same};
	return ERR_OK;
}
