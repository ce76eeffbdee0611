/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/reencrypt/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRESS_MS = 250 };

/* ---- One file ---- */

/* At most so many files a second: each takes the next slot, and waits for it. */
static void keep_pace(struct move *m)
{
	const struct clock *c = m->o->clock;
	uint64_t gap = m->o->rate ? CLOCK_SECOND / m->o->rate : 0, now, slot, wanted;

	if (!gap)
		return;
	now = c->monotonic(c);
	slot = atomic_load(&m->next_slot);
	do
		wanted = slot > now ? slot : now;
	while (!atomic_compare_exchange_weak(&m->next_slot, &slot, wanted + gap));
	if (wanted > now)
		c->sleep(c, wanted - now);
}

/* A name that is no UTF-8 is shown with question marks; JSON has no other way. */
static json_t *path_of(const struct walk_entry *e)
{
	char *path = walk_plain_path(e);
	json_t *text = path ? json_string(path) : NULL;

	for (char *c = path; !text && c && *c; c++)
		if (*c & 0x80)
			*c = '?';
	if (!text)
		text = json_string(path ? path : "?");
	free(path);
	return text;
}

/* What the file's own damage does not explain may work another time: the old key must not be given up yet. */
static void fail(struct move *m, const struct walk_entry *e, enum err why)
{
	json_t *event;

	atomic_fetch_add(&m->failed, 1);
	if (!err_is_damage(why))
		atomic_fetch_add(&m->blocking, 1);
	event = json_pack("{s:s, s:o, s:s, s:s}", "event", "failed", "path", path_of(e), "error", err_name(why),
		"reason", err_text(why));
	move_tell(m, event);
}

static enum err rekey(struct move *m, struct vault_file *f, enum vault_rekeyed *ret)
{
	const struct vault_rekey_choice choice = choice_of(m);

	return m->j->data ? vault_file_renew(f, &choice, ret) : vault_file_rewrap(f, &choice, ret);
}

static void count(struct move *m, enum vault_rekeyed done, struct vault_file *f)
{
	struct stat st;

	if (done == VAULT_REKEY_DONE && vault_file_stat(f, &st) == ERR_OK)
		atomic_fetch_add(&m->bytes, (uint64_t)st.st_size);
	atomic_fetch_add(done == VAULT_REKEY_DONE ? &m->moved : done == VAULT_REKEY_KEPT ? &m->kept : &m->empty, 1);
}

static enum err move_file(struct move *m, const struct walk_entry *e)
{
	const struct reencrypt_host *host = m->o->host;
	enum vault_rekeyed done;
	struct vault_file *f;
	void *handle = NULL;
	enum err closing, result;
	char why[512];

	TRY(host->open(host->context, e, &f, &handle));
	result = rekey(m, f, &done);
	if (result == ERR_OK)
		count(m, done, f);
	else
		snprintf(why, sizeof(why), "%s", err_text(result));
	closing = host->done(host->context, f, handle);
	return result == ERR_OK ? closing : err_fail(result, "%s", why);
}

static int on_entry(void *context, struct walk_entry *e)
{
	struct move *m = context;
	enum err why;

	if (e->type != DT_REG || move_is_stopped(m))
		return 1;
	keep_pace(m);
	why = move_file(m, e);
	/* Gone meanwhile, or renamed: the next pass meets it. */
	if (why == ERR_SYSTEM && err_errno() == ENOENT)
		return 1;
	if (why != ERR_OK && !atomic_load(&m->stuck))
		fail(m, e, why);
	return 1;
}

static void on_fault(void *context, const struct walk_entry *e, enum walk_fault what, enum err why)
{
	(void)what;
	fail(context, e, why);
}

/* ---- Walking ---- */

static void tell_progress(struct move *m)
{
	const struct clock *c = m->o->clock;
	uint64_t moved = atomic_load(&m->moved);

	move_tell(m, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f}", "event", "progress", "moved", (json_int_t)moved,
			     "kept", (json_int_t)atomic_load(&m->kept), "failed", (json_int_t)atomic_load(&m->failed),
			     "bytes", (json_int_t)atomic_load(&m->bytes), "total", (json_int_t)m->total, "seconds",
			     (double)(c->monotonic(c) - m->started) / (double)CLOCK_SECOND));
}

static enum err walk_one(struct move *m, struct walk_options *options, int progress)
{
	struct walk *w;

	TRY(walk_start(options, &w));
	while (!walk_wait(w, PROGRESS_MS)) {
		if (move_is_stopped(m))
			walk_stop(w);
		if (progress)
			tell_progress(m);
	}
	return walk_finish(w);
}

static enum err walk_all(struct move *m, const struct walk_calls *calls, int progress)
{
	struct walk_options options = {
		.vault = m->v, .flags = WALK_LINKS_ONCE, .jobs = m->o->jobs, .calls = *calls, .context = m};

	if (m->j->only_count == 0)
		return walk_one(m, &options, progress);
	for (size_t i = 0; i < m->j->only_count; i++) {
		enum err e;

		options.path = m->j->only[i];
		e = walk_one(m, &options, progress);
		if (e != ERR_OK)
			return err_wrap(e, "%s", m->j->only[i]);
	}
	return ERR_OK;
}

enum err pass_move(struct move *m)
{
	const struct walk_calls calls = {.entry = on_entry, .fault = on_fault};

	return walk_all(m, &calls, 1);
}

/* ---- The survey ---- */

static int survey_entry(void *context, struct walk_entry *e)
{
	struct move *m = context;
	struct file_header h;
	uint64_t size;

	if (e->type != DT_REG || vault_peek_header(e->object, &h, &size) != ERR_OK || !choice_wants(m, &h))
		return 1;
	atomic_fetch_add(&m->survey_files, 1);
	atomic_fetch_add(&m->survey_bytes, size);
	if (m->tally)
		tally_file(m->tally, &h, size);
	return 1;
}

static void survey_fault(void *context, const struct walk_entry *e, enum walk_fault what, enum err why)
{
	(void)context;
	(void)e;
	(void)what;
	(void)why;
}

enum err pass_survey(struct move *m)
{
	const struct walk_calls calls = {.entry = survey_entry, .fault = survey_fault};

	return walk_all(m, &calls, 0);
}
