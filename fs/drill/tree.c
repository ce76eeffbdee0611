/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fs/drill/world.h"
#include "kms/base/io.h"
#include "kms/base/kdf.h"

enum { PIECE = 256 * 1024, FACTS = 256 };

/* nftw() has no context. One drill at a time. */
static struct {
	const char *root;
	int whole;
	uint8_t *buf; /* SHA256_SIZE of what came before, then a piece */
	struct tree_sum *sum;
	enum err e;
} digesting;

/* The digest of an entry goes on over pieces: each is hashed behind the digest so far. */
static enum err fold(size_t len)
{
	uint8_t next[SHA256_SIZE];

	TRY(kdf_sha256(digesting.buf, SHA256_SIZE + len, next));
	memcpy(digesting.buf, next, SHA256_SIZE);
	return ERR_OK;
}

static enum err fold_text(const char *text)
{
	size_t len = strlen(text);

	memcpy(digesting.buf + SHA256_SIZE, text, len);
	return fold(len);
}

static enum err fold_content(const char *path)
{
	int fd AUTO_CLOSE = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t len = PIECE;

	if (fd < 0)
		return err_system("%s", path);
	while (len == PIECE) {
		TRY(io_read_up_to(fd, path, digesting.buf + SHA256_SIZE, PIECE, &len));
		digesting.sum->bytes += len;
		TRY(fold(len));
	}
	return ERR_OK;
}

static enum err fold_target(const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof target - 1);

	if (n < 0)
		return err_system("%s", path);
	target[n] = '\0';
	return fold_text(target);
}

static enum err fold_facts(const char *path, const struct stat *st)
{
	char facts[FACTS];

	snprintf(facts, sizeof facts, "%o %lld", (unsigned)st->st_mode,
		S_ISREG(st->st_mode) ? (long long)st->st_size : 0LL);
	TRY(fold_text(path + strlen(digesting.root)));
	TRY(fold_text(facts));
	if (!digesting.whole)
		return ERR_OK;
	snprintf(facts, sizeof facts, "%llu %llu %u %u %lld.%ld %lld.%ld", (unsigned long long)st->st_ino,
		(unsigned long long)st->st_nlink, (unsigned)st->st_uid, (unsigned)st->st_gid,
		(long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	return fold_text(facts);
}

static enum err add_entry(const char *path, const struct stat *st)
{
	memset(digesting.buf, 0, SHA256_SIZE);
	TRY(fold_facts(path, st));
	if (S_ISREG(st->st_mode))
		TRY(fold_content(path));
	if (S_ISLNK(st->st_mode))
		TRY(fold_target(path));
	*(S_ISREG(st->st_mode) ? &digesting.sum->files : &digesting.sum->others) += 1;
	/* In no order: nftw() goes through a folder as it comes. */
	for (size_t i = 0; i < SHA256_SIZE; i++)
		digesting.sum->digest[i] ^= digesting.buf[i];
	return ERR_OK;
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	/* The look at a person's vault in the end is taken after an interruption, too. */
	if (!digesting.whole && world_interrupted()) {
		digesting.e = err_fail(ERR_INTERRUPTED, "interrupted");
		return 1;
	}
	/* The tree's own root is where it was put: only what is in it counts. */
	if (strcmp(path, digesting.root) == 0)
		return 0;
	digesting.e = type == FTW_DNR || type == FTW_NS ? err_fail(ERR_SYSTEM, "%s cannot be read", path)
							: add_entry(path, st);
	return digesting.e != ERR_OK;
}

enum err tree_digest(const char *path, int whole, struct tree_sum *ret)
{
	struct tree_sum sum = {.files = 0};

	digesting.root = path;
	digesting.whole = whole;
	digesting.sum = &sum;
	digesting.e = ERR_OK;
	digesting.buf = malloc(SHA256_SIZE + PIECE);
	if (!digesting.buf)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	int rc = nftw(path, visit, 16, FTW_PHYS);
	enum err e = digesting.e != ERR_OK ? digesting.e : rc ? err_system("%s", path) : ERR_OK;
	free(digesting.buf);
	if (e == ERR_OK)
		*ret = sum;
	return e;
}

int tree_same(const struct tree_sum *a, const struct tree_sum *b)
{
	return a->files == b->files && a->others == b->others && a->bytes == b->bytes &&
	       memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}
