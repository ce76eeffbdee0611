/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/pin.h"
#include "fs/vault/file_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct {
	pthread_mutex_t lock;
	struct vault **owner; /* by descriptor; NULL: no pin */
	size_t size;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct vault *pin_vault(int pin)
{
	struct vault *v = NULL;

	pthread_mutex_lock(&registry.lock);
	if (pin >= 0 && (size_t)pin < registry.size)
		v = registry.owner[pin];
	pthread_mutex_unlock(&registry.lock);
	return v;
}

static int grow(size_t pin)
{
	size_t size = (pin + 64) / 64 * 64;
	struct vault **owner;

	if (pin < registry.size)
		return 0;
	owner = realloc(registry.owner, size * sizeof(struct vault *));
	if (!owner)
		return -1;
	memset(owner + registry.size, 0, (size - registry.size) * sizeof(struct vault *));
	registry.owner = owner;
	registry.size = size;
	return 0;
}

static enum err pin_add(struct vault *v, int pin)
{
	int failed;

	pthread_mutex_lock(&registry.lock);
	failed = grow((size_t)pin);
	if (!failed)
		registry.owner[pin] = v;
	pthread_mutex_unlock(&registry.lock);
	return failed ? err_fail(ERR_NO_MEMORY, "no memory for a pinned inode") : ERR_OK;
}

static enum err register_pin(struct vault *v, int fd, int *ret_pin)
{
	if (fd < 0)
		return fail_errno("pinning an inode");
	enum err e = pin_add(v, fd);
	if (e != ERR_OK) {
		v->lower->close(v->lower, fd);
		return e;
	}
	*ret_pin = fd;
	return ERR_OK;
}

enum err vault_pin(struct vault_object o, int *ret_pin)
{
	struct target t;

	TRY(target_of(o, TARGET_FIND, &t));
	int fd = *t.name ? t.l->openat(t.l, t.fd, t.name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0) : t.l->dup(t.l, t.fd);
	return register_pin(t.v, fd, ret_pin);
}

enum err vault_file_pin(struct vault_file *f, int *ret_pin)
{
	const struct lower *l = f->v->lower;
	char path[FD_PATH_SIZE];

	fd_path(f->fd, path);
	return register_pin(f->v, l->openat(l, AT_FDCWD, path, O_PATH | O_CLOEXEC, 0), ret_pin);
}

void vault_unpin(struct vault *v, int pin)
{
	pthread_mutex_lock(&registry.lock);
	assert(pin >= 0 && (size_t)pin < registry.size && registry.owner[pin] == v);
	/* Under the lock: the number must not come back as another pin before it is struck off. */
	registry.owner[pin] = NULL;
	pthread_mutex_unlock(&registry.lock);
	v->lower->close(v->lower, pin);
}
