/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/moving.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The nodes held for one file: its directories from the top, and itself. */
struct way {
	size_t count, room;
	struct node **nodes;
};

static int make_room(struct way *w)
{
	size_t room = w->room ? 2 * w->room : 16;
	struct node **more;

	if (w->count < w->room)
		return 1;
	more = reallocarray(w->nodes, room, sizeof(*more));
	if (!more)
		return 0;
	w->nodes = more;
	w->room = room;
	return 1;
}

static void give_back(struct adapter *a, struct way *w)
{
	while (w->count > 0)
		handle_dispose_list(a->handles, node_forget(a->nodes, w->nodes[--w->count], 1));
	free(w->nodes);
	free(w);
}

/* With the names lock held: no name can go or move between looking and entering. */
static enum err step(struct adapter *a, struct node *parent, const char *name, size_t len, struct node **ret)
{
	struct node *n = node_find(a->nodes, parent, name, len);
	struct vault_dir *dir;
	struct stat st;
	enum err e;

	if (n) {
		node_hold(a->nodes, n);
		*ret = n;
		return ERR_OK;
	}
	TRY(handle_dir(a->handles, parent, &dir));
	e = vault_stat((struct vault_object){.dir = dir, .name = name, .len = len, .pin = -1}, &st);
	vault_dir_release(dir);
	TRY(e);
	n = node_enter(a->nodes, parent, name, len, &st);
	if (!n)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	*ret = n;
	return ERR_OK;
}

static enum err go(struct adapter *a, const char *path, struct way *w)
{
	struct node *n = node_root(a->nodes);

	while (*path) {
		size_t len = strcspn(path, "/");

		if (!make_room(w))
			return err_fail(ERR_NO_MEMORY, "out of memory");
		TRY(step(a, n, path, len, &n));
		w->nodes[w->count++] = n;
		path += len + (path[len] == '/');
	}
	return ERR_OK;
}

static enum err find(struct adapter *a, const char *path, struct way *w)
{
	enum err e;

	nodes_exclude_makers(a->nodes);
	nodes_share(a->nodes);
	e = go(a, path, w);
	nodes_done(a->nodes);
	nodes_made(a->nodes);
	if (e == ERR_OK && (w->count == 0 || !S_ISREG(w->nodes[w->count - 1]->type))) {
		errno = ENOENT;
		return err_system("it is no file any more");
	}
	return e;
}

static enum err open_file(void *context, const struct walk_entry *e, struct vault_file **ret, void **ret_handle)
{
	struct adapter *a = context;
	struct way *w = calloc(1, sizeof(*w));
	char *path = walk_plain_path(e);
	enum err result;

	if (!w || !path) {
		free(w);
		free(path);
		return err_fail(ERR_NO_MEMORY, "out of memory");
	}
	result = find(a, path, w);
	free(path);
	if (result == ERR_OK)
		result = handle_file(a->handles, w->nodes[w->count - 1], 1, ret);
	if (result != ERR_OK) {
		give_back(a, w);
		return result;
	}
	*ret_handle = w;
	return ERR_OK;
}

static enum err file_done(void *context, struct vault_file *f, void *handle)
{
	struct adapter *a = context;
	struct way *w = handle;

	(void)f;
	handle_file_done(a->handles, w->nodes[w->count - 1], 0);
	give_back(a, w);
	return ERR_OK;
}

struct reencrypt_host moving_host(struct adapter *a)
{
	return (struct reencrypt_host){.open = open_file, .done = file_done, .context = a, .shared = 1};
}
