/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/vault_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPEN_DIR = O_RDONLY | O_DIRECTORY | O_CLOEXEC };

/* A thread that removes a directory must not wait for ever behind those that make files; nobody takes the lock twice. */
static void init_locks(struct vault *v)
{
	pthread_rwlockattr_t a;

	pthread_rwlockattr_init(&a);
	pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&v->tree, &a);
	pthread_rwlockattr_destroy(&a);
	pthread_mutex_init(&v->state, NULL);
}

enum err vault_new(const struct lower *l, const char *path, const struct clock *clock, struct vault **ret)
{
	struct vault *v = calloc(1, sizeof(*v));

	if (!v)
		return err_fail(ERR_NO_MEMORY, "no memory for a vault");
	init_locks(v);
	v->lower = l;
	v->clock = clock;
	v->top_fd = v->state_fd = v->lock_fd = -1;
	v->uid = geteuid();
	v->gid = getegid();
	v->privileged = v->uid == 0;
	v->path = strdup(path);
	v->limiter = report_limiter_new(clock);
	if (!v->path || !v->limiter) {
		vault_free(v);
		return err_fail(ERR_NO_MEMORY, "no memory for a vault");
	}
	*ret = v;
	return ERR_OK;
}

static void close_fd(struct vault *v, int fd)
{
	if (fd >= 0)
		v->lower->close(v->lower, fd);
}

void vault_free(struct vault *v)
{
	headerless_free(v);
	pending_free(v);
	/* Before the descriptors: the cache may keep its books to the end. */
	if (v->cache)
		bucket_cache_free(v->cache);
	if (v->root) {
		assert(atomic_load(&v->root->refs) == 1);
		vault_dir_release(v->root);
	}
	name_keys_free(v->names);
	secret_free(v->key);
	close_fd(v, v->state_fd);
	close_fd(v, v->top_fd);
	/* Last: with it the lock goes. */
	close_fd(v, v->lock_fd);
	report_limiter_free(v->limiter);
	pthread_rwlock_destroy(&v->tree);
	pthread_mutex_destroy(&v->state);
	free(v->path);
	free(v);
}

/* ---- Descriptor ---- */

static enum err read_descriptor(
	struct vault *v, char text[DESCRIPTOR_MAX + 1], size_t *ret_len, char what[512], struct descriptor *ret)
{
	enum err e;

	snprintf(what, 512, "%s/" DESCRIPTOR_NAME, v->path);
	v->top_fd = v->lower->openat(v->lower, AT_FDCWD, v->path, OPEN_DIR, 0);
	if (v->top_fd < 0 && errno == ENOENT)
		return err_fail(ERR_NOT_FOUND, "there is no directory %s", v->path);
	if (v->top_fd < 0 && errno == ENOTDIR)
		return err_fail(ERR_VAULT, "%s is not a vault: not a directory", v->path);
	if (v->top_fd < 0)
		return err_system("opening the vault %s", v->path);
	e = state_read(v->lower, v->top_fd, DESCRIPTOR_NAME, text, DESCRIPTOR_MAX + 1, ret_len);
	if (e == ERR_NOT_FOUND)
		return err_fail(ERR_VAULT,
			"%s is not a vault: there is no " DESCRIPTOR_NAME
			" in it. `signetfs init` makes a vault in an empty directory",
			v->path);
	TRY(e);
	if (*ret_len > DESCRIPTOR_MAX)
		return err_fail(ERR_VAULT, "%s is too large to be a volume descriptor", what);
	return descriptor_decode(what, text, *ret_len, ret);
}

enum err vault_read_descriptor(const char *path, struct descriptor *ret)
{
	char text[DESCRIPTOR_MAX + 1], what[512];
	struct vault *v;
	size_t len;
	enum err e;

	TRY(vault_new(lower_system(), path, clock_system(), &v));
	e = read_descriptor(v, text, &len, what, ret);
	vault_free(v);
	return e;
}

/* ---- Opening ---- */

static enum err get_volume_key(struct vault *v, struct kms *kms)
{
	struct kms_context context;
	enum err e;

	volume_context(v->desc.volume_id, &context);
	v->key = secret_alloc(sizeof(*v->key));
	if (!v->key)
		return err_fail(ERR_NO_MEMORY, "no locked memory for the volume key");
	e = kms_decrypt_data_key(kms, &v->desc.volume_key, &context, v->key->b);
	return e == ERR_OK ? e
			   : err_wrap(e, "the KMS did not decrypt the volume key, which is under %s",
				     v->desc.volume_key.key_arn);
}

enum err vault_new_cache(struct vault *v, struct kms *kms, unsigned max_entries)
{
	struct bucket_cache_config config = {
		.kms = kms,
		.key_id = v->desc.key_id,
		.lifetime = v->desc.lifetime_seconds * CLOCK_SECOND,
		.lifetime_files = v->desc.lifetime_files,
		.cache_time = v->desc.cache_seconds * CLOCK_SECOND,
		.max_entries = max_entries,
		.clock = v->clock,
		.reporter = v->reporter,
	};

	memcpy(config.volume_id, v->desc.volume_id, VOLUME_ID_SIZE);
	record_store(v, &config.store);
	return bucket_cache_new(&config, &v->cache);
}

static enum err open_state_dir(struct vault *v)
{
	v->state_fd = v->lower->openat(v->lower, v->top_fd, STATE_DIR_NAME, OPEN_DIR | O_NOFOLLOW, 0);
	if (v->state_fd < 0 && errno == ENOENT && v->forgiving && !v->read_only &&
		v->lower->mkdirat(v->lower, v->top_fd, STATE_DIR_NAME, 0700) == 0)
		v->state_fd = v->lower->openat(v->lower, v->top_fd, STATE_DIR_NAME, OPEN_DIR | O_NOFOLLOW, 0);
	if (v->state_fd >= 0)
		return ERR_OK;
	int missing = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;

	/* What is only read does not need it; a copy may lack it. Who checks must not take one that cannot be read for missing. */
	if (v->read_only && (missing || !v->forgiving))
		return ERR_OK;
	if (missing)
		return err_fail(ERR_VAULT,
			"%s of the vault %s is missing; put it back from a backup, or open the vault for reading only",
			STATE_DIR_NAME, v->path);
	return err_system("opening " STATE_DIR_NAME " of the vault %s", v->path);
}

static enum err open_root(struct vault *v)
{
	struct stat st;
	enum err e;
	int fd;

	if (v->lower->fstat(v->lower, v->top_fd, &st) != 0)
		return err_system("looking at the vault %s", v->path);
	v->top_dev = st.st_dev;
	v->top_ino = st.st_ino;
	fd = v->lower->openat(v->lower, v->top_fd, ".", OPEN_DIR, 0);
	if (fd < 0)
		return err_system("opening the vault %s", v->path);
	e = dir_new(v, fd, &v->root);
	if (e == ERR_TAMPERED)
		return err_fail(ERR_VAULT,
			DIR_FILE_NAME " at the top of the vault %s is missing or damaged; put it back from a backup",
			v->path);
	return e;
}

static enum err open_parts(struct vault *v, const struct vault_open_options *o)
{
	char text[DESCRIPTOR_MAX + 1], what[512];
	size_t len;

	TRY(read_descriptor(v, text, &len, what, &v->desc));
	v->bucket_keys = v->desc.bucket_keys;
	TRY(open_state_dir(v));
	/* Before the KMS is asked: who is refused should not cost a call. */
	TRY(state_lock(v, o->holder, o->patience));
	TRY(get_volume_key(v, o->kms));
	TRY(descriptor_verify(what, text, len, &v->desc, v->key));
	TRY(name_keys_new(v->key, v->desc.volume_id, v->desc.names, &v->names));
	TRY(open_root(v));
	TRY(state_load_sessions(v));
	TRY(state_find_unfinished(v));
	TRY(vault_new_cache(v, o->kms, o->max_cached_bucket_keys));
	return state_begin_session(v);
}

enum err vault_open(const struct vault_open_options *options, struct vault **ret)
{
	struct vault *v;
	enum err e;

	TRY(vault_new(options->lower ? options->lower : lower_system(), options->path, options->clock, &v));
	v->read_only = options->read_only;
	v->beside = options->read_only && options->beside;
	v->forgiving = options->forgiving;
	v->reporter = options->reporter;
	v->aead = options->aead ? options->aead : aead_best();
	e = open_parts(v, options);
	if (e != ERR_OK) {
		err_wrap(e, "opening the vault %s", options->path);
		vault_free(v);
		return e;
	}
	*ret = v;
	return ERR_OK;
}

enum err vault_close(struct vault *v)
{
	enum err e = state_end_session(v);

	vault_free(v);
	/* Files may have been closed on this thread, which is no worker. */
	vault_thread_cleanup();
	return e;
}

const struct descriptor *vault_descriptor(const struct vault *v)
{
	return &v->desc;
}

struct bucket_cache *vault_bucket_cache(struct vault *v)
{
	return v->cache;
}

void vault_expire_keys(struct vault *v)
{
	bucket_cache_expire(v->cache);
}
