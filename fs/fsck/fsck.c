/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fsck/internal.h"

#include <stdlib.h>
#include "kms/base/secret.h"

static int on_entry(void *context, struct walk_entry *e)
{
	struct fsck *f = context;

	atomic_fetch_add(e->type == DT_DIR ? &f->directories : e->type == DT_REG ? &f->files : &f->others, 1);
	/* Attributes first: a repair may take the entry away. */
	names_check_entry(f, e);
	if (e->type == DT_REG)
		file_check(f, e);
	return 1;
}

static void on_fault(void *context, const struct walk_entry *e, enum walk_fault what, enum err why)
{
	names_fault(context, e, what, why);
}

static void on_ours(void *context, const struct walk_entry *e, enum name_kind kind)
{
	names_check_ours(context, e, kind);
}

/*
 * A copy keeps times of modification, so a file that was overwritten in a session that did not end was modified after that session
 * began. When that was, the list of sessions says: it is written at the beginning of each.
 */
int fsck_in_flight(const struct fsck *f, const struct stat *st)
{
	if (rescue_is_held(f->o.vault))
		return 1;
	if (!f->unclean_since.tv_sec)
		return 0;
	return st->st_mtim.tv_sec > f->unclean_since.tv_sec ||
	       (st->st_mtim.tv_sec == f->unclean_since.tv_sec && st->st_mtim.tv_nsec >= f->unclean_since.tv_nsec);
}

static void fsck_free(struct fsck *f)
{
	file_forget_bad(f);
	for (size_t n = 0; n < WALK_JOBS_MAX; n++) {
		if (f->buffer[n])
			secret_wipe(f->buffer[n], 1 << 20);
		free(f->buffer[n]);
	}
	pthread_mutex_destroy(&f->telling);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

enum err fsck_start(const struct fsck_options *options, struct fsck **ret)
{
	struct fsck *f = calloc(1, sizeof(*f));
	const struct walk_options walk = {.vault = options->vault,
		.flags = WALK_STAT | WALK_LINKS_ONCE,
		.jobs = options->jobs,
		.calls = {.entry = on_entry, .fault = on_fault, .ours = on_ours},
		.context = f};
	enum err e;

	if (!f)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	f->o = *options;
	pthread_mutex_init(&f->telling, NULL);
	pthread_mutex_init(&f->lock, NULL);
	f->unclean_since = rescue_unclean_since(options->vault);
	e = names_check_state(f);
	if (e == ERR_OK)
		e = walk_start(&walk, &f->walk);
	if (e != ERR_OK) {
		fsck_free(f);
		return e;
	}
	*ret = f;
	return ERR_OK;
}

int fsck_wait(struct fsck *f, unsigned ms)
{
	return walk_wait(f->walk, ms);
}

void fsck_stop(struct fsck *f)
{
	walk_stop(f->walk);
}

void fsck_progress(const struct fsck *f, struct fsck_counts *ret)
{
	ret->directories = atomic_load(&f->directories);
	ret->files = atomic_load(&f->files);
	ret->others = atomic_load(&f->others);
	ret->bytes = atomic_load(&f->bytes);
	ret->lost = atomic_load(&f->lost);
	for (int i = 0; i < FSCK_STATES; i++) {
		ret->found[i] = atomic_load(&f->found[i]);
		ret->left[i] = atomic_load(&f->left[i]);
	}
	ret->forgot_sessions = 0;
}

/* From here on a short file is damage: so every file must have been looked at, and nothing left that a session excused. */
static enum err forget_sessions(struct fsck *f, struct fsck_counts *counts)
{
	if (!f->o.repair || counts->left[FSCK_UNCHECKED] || counts->left[FSCK_IN_FLIGHT] || counts->left[FSCK_DAMAGED])
		return ERR_OK;
	TRY(rescue_forget_unclean(f->o.vault));
	counts->forgot_sessions = 1;
	return ERR_OK;
}

enum err fsck_finish(struct fsck *f, struct fsck_counts *ret_counts)
{
	enum err e = walk_finish(f->walk);

	if (e == ERR_OK)
		e = file_other_names(f);
	fsck_progress(f, ret_counts);
	if (e == ERR_OK)
		e = forget_sessions(f, ret_counts);
	fsck_free(f);
	return e;
}
