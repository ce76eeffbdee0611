/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/reencrypt/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/reencrypt/two_kms.h"

/* A shared tree is gone over until a pass finds nothing; programs that keep on renaming cannot make that for ever. */
enum { PASSES_MAX = 16 };

static const struct bucket_id whole;

void move_tell(struct move *m, json_t *event)
{
	if (event) {
		pthread_mutex_lock(&m->tell_lock);
		m->o->event(m->o->context, event);
		pthread_mutex_unlock(&m->tell_lock);
	}
	json_decref(event);
}

int move_is_stopped(const struct move *m)
{
	return (m->o->stop && atomic_load(m->o->stop)) || atomic_load(&m->stuck);
}

/* ---- What is asked for ---- */

static enum err copy(const char *text, char **ret)
{
	if (text && !(*ret = strdup(text)))
		return err_fail(ERR_NO_MEMORY, "out of memory");
	return ERR_OK;
}

static enum err journal_of(const struct reencrypt_options *o, struct journal *j)
{
	if (o->only_count > JOURNAL_ONLY_MAX)
		return err_fail(ERR_USAGE, "more than %d paths behind --only", (int)JOURNAL_ONLY_MAX);
	TRY(copy(o->to, &j->to));
	TRY(copy(o->from, &j->from));
	TRY(copy(o->endpoint, &j->endpoint));
	TRY(copy(o->region, &j->region));
	j->data = o->data;
	for (; j->only_count < o->only_count; j->only_count++)
		TRY(copy(o->only[j->only_count], &j->only[j->only_count]));
	return ERR_OK;
}

static enum err begin(struct move *m)
{
	struct journal *earlier AUTO_JOURNAL = NULL;
	enum err e = journal_read(m->v, &earlier);

	if (m->o->resume && e == ERR_NOT_FOUND)
		return err_fail(ERR_NOT_FOUND, "there is no interrupted move in this vault: nothing to resume");
	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	if (m->o->resume && earlier->endpoint && m->o->same_kms)
		return err_fail(ERR_USAGE, "this move goes to the KMS at %s: say so again, with --endpoint-to %s",
			earlier->endpoint, earlier->endpoint);
	if (m->o->resume) {
		m->j = STEAL(earlier);
		return ERR_OK;
	}
	if (earlier)
		move_tell(m, json_pack("{s:s, s:s}", "event", "superseded", "to", earlier->to));
	m->j = journal_new();
	return m->j ? journal_of(m->o, m->j) : err_fail(ERR_NO_MEMORY, "out of memory");
}

/* An alias is what the KMS says it is; ARNs, ids and backing keys are compared as they stand. */
static enum err resolve_from(struct move *m)
{
	const char *from = m->j->from;

	if (!from)
		return ERR_OK;
	if (strlen(from) >= sizeof(m->from_arn))
		return err_fail(ERR_USAGE, "%s is no key", from);
	if (strncmp(from, "alias/", 6) == 0 || strstr(from, ":alias/"))
		return err_wrap(kms_key_arn(m->o->old_kms, from, m->from_arn), "--from %s", from);
	strcpy(m->from_arn, from);
	return ERR_OK;
}

/* The volume key goes along unless only some files do. */
static int takes_volume_key(const struct move *m)
{
	return m->j->only_count == 0 && choice_is_from(m, &vault_descriptor(m->v)->volume_key);
}

/* ---- The target ---- */

/* Which backing key is the current one, only the KMS knows: it is asked for a key that nobody uses. */
static enum err look_at_target(struct move *m)
{
	struct bucket_key unused AUTO_WIPE;
	struct kms_context context;

	bucket_cache_context(vault_bucket_cache(m->v), &whole, &context);
	TRY(kms_generate_data_key(m->o->kms, m->j->to, &context, unused.b, &m->target));
	kms_backing_key(&m->target, m->backing);
	return vault_check_fits(m->v, &m->target);
}

/* From here on what is made is under the new CMK; the first bucket key proves that there can be one. */
static enum err take_target(struct move *m)
{
	struct bucket_ref *ref;

	/* Before the record of the new bucket key: a mount may not be able to use that, and the journal is what says why. */
	TRY(journal_write(m->v, m->j));
	TRY(vault_retarget(m->v, m->o->kms, m->j->to));
	TRY(bucket_cache_acquire_for_wrap(vault_bucket_cache(m->v), &whole, &ref));
	m->target = *bucket_ref_wrapped(ref);
	bucket_ref_release(ref);
	kms_backing_key(&m->target, m->backing);
	two_kms_set_target(m->o->kms, m->target.key_arn);
	TRY(vault_check_fits(m->v, &m->target));
	return choice_note(m, &m->target);
}

/* The old CMK makes new files' keys again; whatever was moved stays where it is. */
static void go_back(struct move *m)
{
	(void)vault_retarget_back(m->v, m->o->kms);
}

/* Where nothing was moved there is nothing to go on with. */
static void forget_journal(struct move *m, enum err e)
{
	if (e != ERR_OK && e != ERR_INTERRUPTED && !atomic_load(&m->stuck) && !m->o->resume &&
		atomic_load(&m->moved) == 0)
		(void)journal_remove(m->v);
}

/* ---- Moving ---- */

static void tell_start(struct move *m)
{
	move_tell(m, json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:I}", "event", "start", "key_arn", m->target.key_arn,
			     "backing_key", m->backing, "from", m->j->from ? m->j->from : "", "data", m->j->data,
			     "resumed", m->o->resume, "total", (json_int_t)m->total));
}

static enum err pass_until_done(struct move *m)
{
	for (unsigned n = 0; n < PASSES_MAX; n++) {
		uint64_t before = atomic_load(&m->moved);

		atomic_store(&m->kept, 0);
		atomic_store(&m->empty, 0);
		atomic_store(&m->failed, 0);
		atomic_store(&m->blocking, 0);
		TRY(pass_move(m));
		if (!m->o->host->shared || move_is_stopped(m) || atomic_load(&m->moved) == before)
			return ERR_OK;
	}
	return ERR_OK;
}

static enum err end_of_pass(struct move *m, enum err e)
{
	if (atomic_load(&m->stuck))
		return err_wrap(err_fail((enum err)atomic_load(&m->stuck), "%s", m->why),
			"no new key under %s; --resume goes on when it can be had", m->j->to);
	if (m->o->stop && atomic_load(m->o->stop))
		return err_fail(ERR_INTERRUPTED, "stopped; every file can be read, and --resume goes on");
	return e;
}

static enum err finish(struct move *m, const struct kms_wrapped_key *volume)
{
	const struct vault_place place = {.key_id = m->j->to, .endpoint = m->j->endpoint, .region = m->j->region};

	/* Nothing may rest on the new keys alone before it is on the disk. */
	TRY(vault_sync_all(m->v));
	if (atomic_load(&m->blocking) > 0)
		return ERR_OK;
	if (volume)
		TRY(vault_move(m->v, volume, &place));
	if (!m->o->host->shared && volume && !m->j->from && atomic_load(&m->failed) == 0)
		vault_forget_unfinished(m->v);
	return journal_remove(m->v);
}

static enum err survey(struct move *m)
{
	enum err e = pass_survey(m);

	m->total = atomic_load(&m->survey_files);
	return e;
}

/* What the move would ask of the KMS, opening the vault included: see doc/reencrypt.md, "Calls". */
static json_t *calls_to_come(const struct move *m)
{
	uint64_t decrypts = 0, per_key = vault_descriptor(m->v)->lifetime_files;
	int volume = takes_volume_key(m), same = m->o->same_kms;
	struct tally_row *rows;
	size_t n = tally_rows(m->tally, &rows);

	for (size_t i = 0; i < n; i++)
		decrypts += rows[i].wrap == WRAP_BUCKET ? rows[i].bucket_keys : rows[i].files;
	free(rows);
	return json_pack("{s:I, s:I, s:I, s:I}", "GenerateDataKey",
		(json_int_t)(m->total ? (m->total + per_key - 1) / per_key : 1), "Decrypt",
		(json_int_t)(decrypts + 1 + (volume ? 1 : 0)), "ReEncrypt", (json_int_t)(volume && same), "Encrypt",
		(json_int_t)(volume && !same));
}

static void tell_survey(struct move *m)
{
	move_tell(m, json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:o, s:o}", "event", "survey", "to", m->j->to,
			     "key_arn", m->target.key_arn, "backing_key", m->backing, "data", m->j->data, "volume_key",
			     takes_volume_key(m), "files", (json_int_t)m->total, "bytes",
			     (json_int_t)atomic_load(&m->survey_bytes), "keys", tally_json(m->tally), "kms_calls",
			     calls_to_come(m)));
}

static enum err dry_run(struct move *m)
{
	enum err e;

	TRY(look_at_target(m));
	m->tally = tally_new();
	e = m->tally ? survey(m) : err_fail(ERR_NO_MEMORY, "out of memory");
	if (e == ERR_OK)
		tell_survey(m);
	tally_free(m->tally);
	m->tally = NULL;
	return e;
}

static enum err move_everything(struct move *m, const struct kms_wrapped_key *volume)
{
	TRY(take_target(m));
	if (m->o->survey)
		TRY(survey(m));
	tell_start(m);
	TRY(end_of_pass(m, pass_until_done(m)));
	return finish(m, volume);
}

static enum err take_volume_key(struct move *m, struct kms_wrapped_key *ret)
{
	TRY(vault_wrap_volume_key(m->v, m->o->kms, m->o->same_kms, m->j->to, ret));
	two_kms_set_target(m->o->kms, ret->key_arn);
	return vault_prove_volume_key(m->v, m->o->kms, ret);
}

/* The KMS says first whether the volume key can be under the new CMK: a refusal leaves everything as it was. */
static enum err move(struct move *m)
{
	const struct reencrypt_options *o = m->o;
	struct kms_wrapped_key volume;
	int with_volume;

	TRY(begin(m));
	TRY(resolve_from(m));
	if (o->dry_run)
		return dry_run(m);
	with_volume = takes_volume_key(m);
	if (with_volume)
		TRY(take_volume_key(m, &volume));
	enum err e = move_everything(m, with_volume ? &volume : NULL);

	char why[1024];

	snprintf(why, sizeof(why), "%s", e == ERR_OK ? "" : err_text(e));
	forget_journal(m, e);
	if (e != ERR_OK || atomic_load(&m->blocking) > 0 || !with_volume)
		go_back(m);
	return e == ERR_OK ? ERR_OK : err_fail(e, "%s", why);
}

static void tell_end(struct move *m, enum err e)
{
	const struct clock *c = m->o->clock;
	struct two_kms_calls calls;

	two_kms_calls(m->o->kms, &calls);
	move_tell(m,
		json_pack("{s:s, s:b, s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:{s:I, s:I, s:I, s:I}}", "event",
			"end", "ok", e == ERR_OK && atomic_load(&m->failed) == 0, "code", (int)e, "error",
			e == ERR_OK ? "" : err_name(e), "reason", m->why, "moved", (json_int_t)atomic_load(&m->moved),
			"kept", (json_int_t)atomic_load(&m->kept), "empty", (json_int_t)atomic_load(&m->empty),
			"failed", (json_int_t)atomic_load(&m->failed), "bytes", (json_int_t)atomic_load(&m->bytes),
			"seconds", (double)(c->monotonic(c) - m->started) / (double)CLOCK_SECOND, "kms_calls",
			"GenerateDataKey", (json_int_t)calls.generate, "Decrypt", (json_int_t)calls.decrypt, "Encrypt",
			(json_int_t)calls.encrypt, "ReEncrypt", (json_int_t)calls.re_encrypt));
}

enum err reencrypt_run(const struct reencrypt_options *o, struct reencrypt_result *ret)
{
	struct move *m = calloc(1, sizeof(*m));
	enum err e;

	if (!m)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	m->o = o;
	m->v = o->vault;
	m->started = o->clock->monotonic(o->clock);
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->tell_lock, NULL);
	e = move(m);
	snprintf(m->why, sizeof(m->why), "%s", e == ERR_OK ? "" : err_text(e));
	if (!o->dry_run || e != ERR_OK)
		tell_end(m, e);
	if (e != ERR_OK)
		err_fail(e, "%s", m->why);
	*ret = (struct reencrypt_result){
		.moved = m->moved, .kept = m->kept, .empty = m->empty, .failed = m->failed, .bytes = m->bytes};
	journal_free(m->j);
	pthread_mutex_destroy(&m->tell_lock);
	pthread_mutex_destroy(&m->lock);
	free(m);
	return e;
}

/* ---- Alone in the vault ---- */

static enum err alone_open(void *context, const struct walk_entry *e, struct vault_file **ret, void **ret_handle)
{
	(void)context;
	*ret_handle = NULL;
	return vault_file_open(vault_of(e->object.dir), e->object, 1, ret);
}

static enum err alone_done(void *context, struct vault_file *f, void *handle)
{
	(void)context;
	(void)handle;
	return vault_file_close(f);
}

const struct reencrypt_host *reencrypt_alone(void)
{
	static const struct reencrypt_host host = {.open = alone_open, .done = alone_done};

	return &host;
}
