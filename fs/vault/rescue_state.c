/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/dirents.h"
#include "fs/vault/rescue.h"
#include "fs/vault/vault_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The records under .signetfs/. What this program does not know is left alone: a later version, or another command, may have put it there. */

int rescue_is_held(const struct vault *v)
{
	return v->held;
}

int rescue_is_unclean(const struct vault *v)
{
	return v->held || vault_was_interrupted(v);
}

struct timespec rescue_unclean_since(const struct vault *v)
{
	return v->unclean_since;
}

static int ends_with(const char *text, const char *end)
{
	size_t a = strlen(text), b = strlen(end);

	return a > b && strcmp(text + a - b, end) == 0;
}

static int is_record(const char *name)
{
	return strcmp(name, "bucket") == 0 || strncmp(name, "bucket.", strlen("bucket.")) == 0;
}

static int is_rest_of_replacement(const char *name)
{
	return is_record(name) && ends_with(name, ".new");
}

static void check_one(struct vault *v, const char *name,
	void (*bad)(void *context, const char *name, const char *why, enum rescue_record state), void *context)
{
	enum err e = ERR_OK;
	struct stat st;

	if (is_rest_of_replacement(name)) {
		/* Beside a mount it is a replacement under way; and a listing may be older than our own. */
		int rc = v->held ? 0 : v->lower->fstatat(v->lower, v->state_fd, name, &st, AT_SYMLINK_NOFOLLOW);

		if (rc != 0 && errno != ENOENT)
			bad(context, name, err_text(err_system("looking at it")), RESCUE_UNREAD);
		else if (rc == 0 && !v->held)
			bad(context, name, "a crash left it before it replaced the file of that name", RESCUE_LEFTOVER);
		return;
	}
	if (is_record(name))
		e = record_check(v, name);
	if (e != ERR_OK && e != ERR_NOT_FOUND)
		bad(context, name, err_text(e), err_is_damage(e) ? RESCUE_DAMAGED : RESCUE_UNREAD);
}

enum err rescue_check_state(struct vault *v,
	void (*bad)(void *context, const char *name, const char *why, enum rescue_record state), void *context)
{
	const struct dirent64 *entry;
	struct dirents d;
	enum err e;

	if (*v->sessions_fault)
		bad(context, v->state_fd < 0 ? "" : SESSIONS_NAME, v->sessions_fault, RESCUE_DAMAGED);
	if (v->state_fd < 0)
		return ERR_OK;
	dirents_init(&d, v->lower, v->state_fd);
	TRY(dirents_seek(&d, 0));
	while ((e = dirents_next(&d, &entry)) == ERR_OK)
		check_one(v, entry->d_name, bad, context);
	return e == ERR_CLOSED ? ERR_OK : e;
}

enum err rescue_forget_unclean(struct vault *v)
{
	enum err e;

	TRY(writable_vault(v));
	pthread_mutex_lock(&v->state);
	v->sessions.unclean_below = 0;
	v->sessions.count = 1;
	v->sessions.unclean[0] = v->session;
	e = state_save_sessions(v);
	pthread_mutex_unlock(&v->state);
	return e;
}
