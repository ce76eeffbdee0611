/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/dirents.h"
#include "fs/vault/vault_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/base/random.h"

/*
 * The descriptor comes last, in one step: a directory without signetfs.ini is no vault, so an interrupted creation leaves something
 * that nobody takes for one.
 */

#define DEFAULT_KEY_ID "alias/aws/signetfs"

enum { OPEN_DIR = O_RDONLY | O_DIRECTORY | O_CLOEXEC };

/* ---- The directory ---- */

static enum err check_empty(struct vault *v)
{
	const struct dirent64 *entry;
	struct dirents d;
	struct stat st;
	enum err e;

	if (v->lower->fstatat(v->lower, v->top_fd, DESCRIPTOR_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_fail(ERR_EXISTS, "%s is a vault already", v->path);
	dirents_init(&d, v->lower, v->top_fd);
	e = dirents_next(&d, &entry);
	if (e == ERR_OK)
		return err_fail(
			ERR_USAGE, "%s is not empty; a new vault needs an empty directory, or a new one", v->path);
	return e == ERR_CLOSED ? ERR_OK : e;
}

static enum err fail_open(const char *path)
{
	if (errno == ENOTDIR)
		return err_fail(ERR_USAGE, "%s is not a directory", path);
	if (errno == ENOENT)
		return err_fail(ERR_USAGE, "the directory that %s is to be made in does not exist", path);
	return err_system("opening %s", path);
}

static enum err open_top(struct vault *v, int *ret_made)
{
	const struct lower *l = v->lower;

	v->top_fd = l->openat(l, AT_FDCWD, v->path, OPEN_DIR, 0);
	if (v->top_fd < 0 && errno == ENOENT) {
		/* Nobody else's business by default; its owner may chmod the mount point's root. */
		if (l->mkdirat(l, AT_FDCWD, v->path, 0700) != 0)
			return fail_open(v->path);
		*ret_made = 1;
		v->top_fd = l->openat(l, AT_FDCWD, v->path, OPEN_DIR, 0);
	}
	if (v->top_fd < 0)
		return fail_open(v->path);
	return *ret_made ? ERR_OK : check_empty(v);
}

static enum err make_state_dir(struct vault *v, int *ret_made)
{
	const struct lower *l = v->lower;

	if (l->mkdirat(l, v->top_fd, STATE_DIR_NAME, 0700) != 0)
		return err_system("making " STATE_DIR_NAME " in %s", v->path);
	*ret_made = 1;
	v->state_fd = l->openat(l, v->top_fd, STATE_DIR_NAME, OPEN_DIR, 0);
	return v->state_fd < 0 ? err_system("opening " STATE_DIR_NAME " in %s", v->path) : ERR_OK;
}

/* ---- The descriptor ---- */

static enum err copy_text(char *out, size_t size, const char *text, const char *what)
{
	if (!text)
		text = "";
	if (strlen(text) >= size)
		return err_fail(ERR_USAGE, "the %s is longer than %zu characters", what, size - 1);
	memcpy(out, text, strlen(text) + 1);
	return ERR_OK;
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
	return value ? value : otherwise;
}

static enum err fill_descriptor(const struct vault_create_options *o, struct descriptor *d)
{
	d->format = 1;
	random_uuid(d->volume_id);
	d->names = o->names;
	d->bucket_keys = o->bucket_keys;
	d->lifetime_seconds = or_default(o->lifetime_seconds, BUCKET_LIFETIME_DEFAULT / CLOCK_SECOND);
	d->lifetime_files = or_default(o->lifetime_files, BUCKET_LIFETIME_FILES_DEFAULT);
	d->cache_seconds = or_default(o->cache_seconds, BUCKET_CACHE_TIME_DEFAULT / CLOCK_SECOND);
	TRY(copy_text(d->endpoint, sizeof(d->endpoint), o->endpoint, "KMS endpoint"));
	TRY(copy_text(d->region, sizeof(d->region), o->region, "region"));
	return copy_text(d->key_id, sizeof(d->key_id), o->key_id ? o->key_id : DEFAULT_KEY_ID, "KMS key id");
}

void volume_context(const uint8_t volume_id[VOLUME_ID_SIZE], struct kms_context *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->count = 2;
	ret->pair[0].name = "signetfs:volume";
	encode_uuid(volume_id, ret->pair[0].value);
	ret->pair[1].name = "signetfs:purpose";
	snprintf(ret->pair[1].value, sizeof(ret->pair[1].value), "volume");
}

static enum err make_volume_key(struct vault *v, struct kms *kms)
{
	struct kms_context context;

	volume_context(v->desc.volume_id, &context);
	v->key = secret_alloc(sizeof(*v->key));
	if (!v->key)
		return err_fail(ERR_NO_MEMORY, "no locked memory for the volume key");
	TRY(kms_generate_data_key(kms, v->desc.key_id, &context, v->key->b, &v->desc.volume_key));
	return name_keys_new(v->key, v->desc.volume_id, v->desc.names, &v->names);
}

/*
 * How long must headers be? As long as this CMK's ARN and blobs need. The first bucket key is asked for now, and kept: the cache saves its
 * record, so that the first mount goes on with it.
 */
static enum err learn_header_length(struct vault *v, struct kms *kms)
{
	const struct bucket_id whole = {{0}};
	const struct kms_wrapped_key *w = &v->desc.volume_key;
	struct bucket_ref *ref = NULL;
	size_t length = 0;
	enum err e;

	if (v->desc.bucket_keys) {
		TRY(vault_new_cache(v, kms, 0));
		TRY(bucket_cache_acquire_for_wrap(v->cache, &whole, &ref));
		w = bucket_ref_wrapped(ref);
	}
	e = file_header_length_for(strlen(w->key_arn), w->blob_len, &length);
	bucket_ref_release(ref);
	TRY(e);
	v->desc.header_length = (uint32_t)length;
	return ERR_OK;
}

/* ---- The files ---- */

static enum err write_root_id(struct vault *v)
{
	const struct lower *l = v->lower;
	enum err e = ERR_OK;
	int fd;

	TRY(dir_write_id(v, v->top_fd, DIR_FILE_NAME, &fd));
	if (l->fsync(l, fd) != 0)
		e = err_system("writing " DIR_FILE_NAME " in %s", v->path);
	l->close(l, fd);
	return e;
}

static enum err write_descriptor(struct vault *v)
{
	char *text AUTO_FREE = NULL;
	size_t len;

	TRY(descriptor_encode(&v->desc, v->key, &text, &len));
	return state_replace(v, v->top_fd, DESCRIPTOR_NAME, text, len);
}

static enum err fill(struct vault *v, const struct vault_create_options *options, struct kms *kms)
{
	TRY(fill_descriptor(options, &v->desc));
	TRY(make_volume_key(v, kms));
	TRY(learn_header_length(v, kms));
	TRY(write_root_id(v));
	TRY(state_save_sessions(v));
	return write_descriptor(v);
}

static void undo_state_dir(struct vault *v)
{
	static const struct bucket_id whole;
	static const char *const names[] = {DIR_FILE_NAME, DESCRIPTOR_NAME ".new", DESCRIPTOR_NAME};
	const struct lower *l = v->lower;
	char bucket[64];

	record_name(&whole, bucket);
	if (v->state_fd >= 0) {
		l->unlinkat(l, v->state_fd, bucket, 0);
		l->unlinkat(l, v->state_fd, SESSIONS_NAME, 0);
		l->unlinkat(l, v->state_fd, SESSIONS_SPARE_NAME, 0);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		l->unlinkat(l, v->top_fd, names[i], 0);
	l->unlinkat(l, v->top_fd, STATE_DIR_NAME, AT_REMOVEDIR);
}

static enum err create(struct vault *v, const struct vault_create_options *options, struct kms *kms)
{
	int made_top = 0, made_state = 0;
	enum err e = open_top(v, &made_top);

	if (e == ERR_OK)
		e = make_state_dir(v, &made_state);
	if (e == ERR_OK)
		e = fill(v, options, kms);
	if (e != ERR_OK && made_state)
		undo_state_dir(v);
	if (e != ERR_OK && made_top)
		v->lower->unlinkat(v->lower, AT_FDCWD, v->path, AT_REMOVEDIR);
	return e;
}

enum err vault_create_on(const struct lower *l, const char *path, const struct vault_create_options *options,
	struct kms *kms, const struct clock *clock)
{
	struct vault *v;
	enum err e;

	TRY(vault_new(l, path, clock, &v));
	e = create(v, options, kms);
	if (e != ERR_OK)
		err_wrap(e, "making a vault in %s", path);
	vault_free(v);
	return e;
}

enum err vault_create(
	const char *path, const struct vault_create_options *options, struct kms *kms, const struct clock *clock)
{
	return vault_create_on(lower_system(), path, options, kms, clock);
}
