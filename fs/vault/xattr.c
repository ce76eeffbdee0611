/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/vault_internal.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include "kms/base/io.h"

/*
 * "user." attributes are encrypted, name and value. What the kernel itself reads and enforces passes through. One lower system
 * call each: the path goes through the directory's descriptor, so nothing has to be opened.
 */

enum xattr_kind { XATTR_ENCRYPTED, XATTR_PASSED, XATTR_REFUSED };

static enum xattr_kind kind_of(const char *name)
{
	static const struct {
		const char *prefix;
		enum xattr_kind kind;
	} table[] = {
		{"user.", XATTR_ENCRYPTED},
		{"security.", XATTR_PASSED},
		{"system.posix_acl_", XATTR_PASSED},
		{"trusted.", XATTR_PASSED},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strncmp(name, table[i].prefix, strlen(table[i].prefix)) == 0)
			return table[i].kind;
	return XATTR_REFUSED;
}

/* An attribute of an object as the lower tree has it. */
struct attribute {
	struct target t;
	char path[TARGET_PATH_SIZE];
	enum xattr_kind kind;
	char name[XATTR_NAME_MAX_BYTES + 1];
};

static enum err lower_name_of(struct attribute *a, const char *name)
{
	enum err e;

	a->kind = kind_of(name);
	if (a->kind == XATTR_REFUSED)
		return fail_with(EOPNOTSUPP, "an extended attribute of this kind is not kept");
	if (strlen(name) > XATTR_NAME_MAX_BYTES)
		return fail_with(ERANGE, "the name of an extended attribute is too long");
	if (a->kind == XATTR_PASSED) {
		memcpy(a->name, name, strlen(name) + 1);
		return ERR_OK;
	}
	e = name_encode_xattr(a->t.v->names, name, a->name);
	if (e == ERR_LIMIT)
		return fail_with(ERANGE, "the name of an extended attribute is too long to be encrypted");
	return e == ERR_USAGE ? fail_with(EINVAL, "not a name of an extended attribute") : e;
}

static enum err attribute_of(struct vault_object o, const char *name, struct attribute *a)
{
	TRY(target_of(o, TARGET_FIND, &a->t));
	target_path(&a->t, a->path);
	return lower_name_of(a, name);
}

/* Sealed and opened values are as long as values may get: no fixed buffers. */
static enum err open_sealed(
	struct attribute *a, const char *name, const uint8_t *sealed, size_t len, void *value, size_t *ret_len)
{
	uint8_t *plain AUTO_FREE = malloc(len + 1);
	size_t n;
	enum err e;

	if (!plain)
		return err_fail(ERR_NO_MEMORY, "no memory for an extended attribute");
	e = name_open_xattr(a->t.v->names, name, sealed, len, plain, &n);
	if (e == ERR_TAMPERED || e == ERR_FORMAT)
		report_damage(a->t.v, *a->t.name ? a->t.name : a->path, "an extended attribute does not verify");
	TRY(e);
	memcpy(value, plain, n);
	*ret_len = n;
	return ERR_OK;
}

static enum err get_sealed(struct attribute *a, const char *name, void *value, size_t size, size_t *ret_len)
{
	size_t room = size + name_xattr_overhead(name);
	uint8_t *sealed AUTO_FREE = malloc(room);
	ssize_t n;

	if (!sealed)
		return err_fail(ERR_NO_MEMORY, "no memory for an extended attribute");
	n = a->t.l->getxattr(a->t.l, a->path, a->name, sealed, room);
	if (n < 0)
		return fail_errno("getxattr");
	return open_sealed(a, name, sealed, (size_t)n, value, ret_len);
}

static enum err get_size(struct attribute *a, const char *name, size_t *ret_len)
{
	ssize_t overhead = a->kind == XATTR_ENCRYPTED ? (ssize_t)name_xattr_overhead(name) : 0;
	ssize_t n = a->t.l->getxattr(a->t.l, a->path, a->name, NULL, 0);

	if (n < 0)
		return fail_errno("getxattr");
	*ret_len = n > overhead ? (size_t)(n - overhead) : 0;
	return ERR_OK;
}

enum err vault_getxattr(struct vault_object o, const char *name, void *value, size_t size, size_t *ret_len)
{
	struct attribute a;
	ssize_t n;

	TRY(attribute_of(o, name, &a));
	if (size == 0)
		return get_size(&a, name, ret_len);
	if (a.kind == XATTR_ENCRYPTED)
		return get_sealed(&a, name, value, size < XATTR_SIZE_MAX ? size : XATTR_SIZE_MAX, ret_len);
	n = a.t.l->getxattr(a.t.l, a.path, a.name, value, size);
	if (n < 0)
		return fail_errno("getxattr");
	*ret_len = (size_t)n;
	return ERR_OK;
}

static enum err set_lower(struct attribute *a, const void *value, size_t len, int flags)
{
	if (a->t.l->setxattr(a->t.l, a->path, a->name, value, len, flags) != 0)
		return fail_errno("setxattr");
	return ERR_OK;
}

enum err vault_setxattr(struct vault_object o, const char *name, const void *value, size_t len, int flags)
{
	uint8_t *sealed AUTO_FREE = NULL;
	struct attribute a;
	size_t sealed_len;

	TRY(attribute_of(o, name, &a));
	TRY(writable_vault(a.t.v));
	if (len > XATTR_SIZE_MAX)
		return fail_with(E2BIG, "an extended attribute larger than 64 KiB");
	if (a.kind == XATTR_PASSED)
		return set_lower(&a, value, len, flags);
	sealed_len = len + name_xattr_overhead(name);
	if (sealed_len > XATTR_SIZE_MAX)
		return fail_with(ENOSPC, "an extended attribute whose encrypted form is larger than 64 KiB");
	sealed = malloc(sealed_len);
	if (!sealed)
		return err_fail(ERR_NO_MEMORY, "no memory for an extended attribute");
	TRY(name_seal_xattr(a.t.v->names, name, value, len, sealed));
	return set_lower(&a, sealed, sealed_len, flags);
}

enum err vault_removexattr(struct vault_object o, const char *name)
{
	struct attribute a;

	TRY(attribute_of(o, name, &a));
	TRY(writable_vault(a.t.v));
	if (a.t.l->removexattr(a.t.l, a.path, a.name) != 0)
		return fail_errno("removexattr");
	return ERR_OK;
}

enum err xattr_read_lower(
	const struct target *t, const char *path, const char *lower, uint8_t **ret_value, size_t *ret_len)
{
	uint8_t *value AUTO_FREE = malloc(XATTR_SIZE_MAX);
	ssize_t n;

	if (!value)
		return err_fail(ERR_NO_MEMORY, "no memory for an extended attribute");
	n = t->l->getxattr(t->l, path, lower, value, XATTR_SIZE_MAX);
	if (n < 0)
		return fail_errno("getxattr");
	*ret_value = STEAL(value);
	*ret_len = (size_t)n;
	return ERR_OK;
}

/* The lower name of a long one is a hash: its value tells the name. */
static enum err decode_long(const struct target *t, const char *path, const char *lower, char *ret)
{
	uint8_t *value AUTO_FREE = NULL;
	size_t len;

	TRY(xattr_read_lower(t, path, lower, &value, &len));
	return name_decode_xattr(t->v->names, lower, value, len, ret);
}

/* A lower name as the plaintext view has it; false: not shown. */
static int shown_name(const struct target *t, const char *path, const char *lower, char ret[XATTR_NAME_MAX_BYTES + 1])
{
	enum err e;

	switch (kind_of(lower)) {
	case XATTR_PASSED:
		memcpy(ret, lower, strlen(lower) + 1);
		return 1;
	case XATTR_ENCRYPTED:
		e = name_xattr_is_long(lower) ? decode_long(t, path, lower, ret)
					      : name_decode_xattr(t->v->names, lower, NULL, 0, ret);
		if (e == ERR_TAMPERED || e == ERR_FORMAT)
			report_damage(t->v, lower, "the name of an extended attribute does not verify");
		return e == ERR_OK;
	case XATTR_REFUSED:
		break;
	}
	return 0;
}

static enum err translate_list(const struct target *t, const char *path, const char *lower, size_t lower_len,
	char *list, size_t size, size_t *ret_len)
{
	char name[XATTR_NAME_MAX_BYTES + 1];
	size_t used = 0;

	for (size_t i = 0; i < lower_len; i += strlen(lower + i) + 1) {
		size_t n;

		if (!shown_name(t, path, lower + i, name))
			continue;
		n = strlen(name) + 1;
		if (size > 0 && used + n > size)
			return fail_with(ERANGE, "the list of extended attributes is longer");
		if (size > 0)
			memcpy(list + used, name, n);
		used += n;
	}
	*ret_len = used;
	return ERR_OK;
}

enum err vault_listxattr(struct vault_object o, char *list, size_t size, size_t *ret_len)
{
	char path[TARGET_PATH_SIZE];
	char small[1024];
	char *big AUTO_FREE = NULL;
	char *lower = small;
	struct target t;
	ssize_t n;

	TRY(target_of(o, TARGET_FIND, &t));
	target_path(&t, path);
	n = t.l->listxattr(t.l, path, small, sizeof(small));
	if (n < 0 && errno == ERANGE) {
		lower = big = malloc(XATTR_LIST_MAX);
		if (!big)
			return err_fail(ERR_NO_MEMORY, "no memory for a list of extended attributes");
		n = t.l->listxattr(t.l, path, big, XATTR_LIST_MAX);
	}
	if (n < 0)
		return fail_errno("listxattr");
	return translate_list(&t, path, lower, (size_t)n, list, size, ret_len);
}
