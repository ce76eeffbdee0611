/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/vault_internal.h"

#include <errno.h>

enum err fail_errno(const char *what)
{
	return err_fail(ERR_SYSTEM, "%s", what);
}

enum err fail_with(int errnum, const char *what)
{
	err_set_errno(errnum);
	return err_fail(ERR_SYSTEM, "%s", what);
}

enum err writable_vault(const struct vault *v)
{
	return v->read_only ? err_fail(ERR_READ_ONLY, "the vault is open for reading only") : ERR_OK;
}

/* FNV-1a: a key for the limiter, nothing depends on its strength. */
static unsigned long long hash_text(unsigned long long h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ULL;
	return (h ^ 0xff) * 0x100000001b3ULL;
}

void report_damage(struct vault *v, const char *where, const char *what)
{
	if (report_limiter_pass(v->limiter, hash_text(hash_text(0xcbf29ce484222325ULL, where), what)))
		report(v->reporter, REPORT_ERROR, "%s: %s", where, what);
}

void tree_shared(struct vault *v)
{
	pthread_rwlock_rdlock(&v->tree);
}

void tree_exclusive(struct vault *v)
{
	pthread_rwlock_wrlock(&v->tree);
}

void tree_unlock(struct vault *v)
{
	pthread_rwlock_unlock(&v->tree);
}

int write_all(const struct lower *l, int fd, const void *buf, size_t len, uint64_t off, size_t *ret_done)
{
	const uint8_t *p = buf;

	*ret_done = 0;
	while (*ret_done < len) {
		ssize_t n = l->pwrite(l, fd, p + *ret_done, len - *ret_done, (off_t)(off + *ret_done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		*ret_done += (size_t)n;
	}
	return 0;
}
