/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/control_reencrypt.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fs/fuse/moving.h"
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/secret.h"

/* A terminal that was stopped takes no events; it is given up after that, and the move with it. */
enum { EVENT_PATIENCE_SECONDS = 60 };

struct control_job {
	struct mount *mount;
	json_t *request;
	int fd;
	_Atomic int stop, over;
	pthread_t thread;
};

/* ---- Events ---- */

static void send_line(int fd, const json_t *event, enum err *ret)
{
	size_t len;
	char *text = json_text(event, &len);

	*ret = text ? io_write_full(fd, text, len) : ERR_NO_MEMORY;
	if (*ret == ERR_OK)
		*ret = io_write_full(fd, "\n", 1);
	secret_heap_free(text);
}

static int hung_up(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void on_event(void *context, const json_t *event)
{
	struct control_job *job = context;
	enum err e;

	send_line(job->fd, event, &e);
	if (e != ERR_OK || hung_up(job->fd))
		atomic_store(&job->stop, 1);
}

static void answer_error(int fd, const char *text, enum err code)
{
	json_t *line AUTO_JSON = json_pack("{s:s, s:i}", "error", text, "code", (int)code);
	enum err e;

	if (line)
		send_line(fd, line, &e);
}

/* ---- The request ---- */

static const char *text(const json_t *request, const char *name)
{
	return json_string_value(json_object_get(request, name));
}

static int is_set(const json_t *request, const char *name)
{
	return json_is_true(json_object_get(request, name));
}

static uint64_t number(const json_t *request, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(request, name));

	return n > 0 ? (uint64_t)n : 0;
}

enum { ONLY_MAX = 64 };

static enum err take_only(const json_t *request, const char *only[ONLY_MAX], size_t *ret_count)
{
	json_t *list = json_object_get(request, "only"), *item;
	size_t i;

	*ret_count = 0;
	if (json_array_size(list) > ONLY_MAX)
		return err_fail(ERR_USAGE, "more than %d paths", (int)ONLY_MAX);
	json_array_foreach (list, i, item) {
		if (!json_is_string(item))
			return err_fail(ERR_USAGE, "\"only\" is no list of paths");
		only[(*ret_count)++] = json_string_value(item);
	}
	return ERR_OK;
}

static enum err run(struct control_job *job)
{
	const struct mount_config *config = mount_configuration(job->mount);
	const struct reencrypt_host host = moving_host(mount_adapter(job->mount));
	const json_t *q = job->request;
	const struct mount_kms_request wanted = {.endpoint = text(q, "endpoint"),
		.config = text(q, "config"),
		.insecure_http = is_set(q, "insecure_http")};
	struct mount_kms kms;
	struct reencrypt_result result;
	const char *only[ONLY_MAX];
	struct reencrypt_options o = {.vault = mount_vault(job->mount),
		.resume = is_set(q, "resume"),
		.to = text(q, "to"),
		.from = text(q, "from"),
		.data = is_set(q, "data"),
		.only = only,
		.dry_run = is_set(q, "dry_run"),
		.survey = is_set(q, "survey"),
		.jobs = (unsigned)(number(q, "jobs") % (WALK_JOBS_MAX + 1)),
		.rate = number(q, "rate"),
		.host = &host,
		.clock = clock_system(),
		.event = on_event,
		.context = job,
		.stop = &job->stop};

	if (config->read_only)
		return err_fail(ERR_READ_ONLY, "the vault is mounted for reading only");
	if (!o.to && !o.resume)
		return err_fail(ERR_USAGE, "\"to\" is missing");
	TRY(take_only(q, only, &o.only_count));
	TRY(config->kms_for_move(config->kms_context, &wanted, &kms));
	o.kms = kms.both;
	o.old_kms = kms.old;
	o.same_kms = kms.same;
	o.endpoint = kms.endpoint;
	o.region = kms.region;
	return reencrypt_run(&o, &result);
}

static void *job_main(void *context)
{
	struct control_job *job = context;
	enum err e = run(job);

	/* What reencrypt_run() met is in its last event; what came before it is said here. The second is the same again, and harmless. */
	if (e != ERR_OK)
		answer_error(job->fd, err_text(e), e);
	shutdown(job->fd, SHUT_RDWR);
	vault_thread_cleanup();
	atomic_store(&job->over, 1);
	return NULL;
}

/* ---- Starting and stopping ---- */

void control_job_stop(struct control_job *job)
{
	if (!job)
		return;
	atomic_store(&job->stop, 1);
	pthread_join(job->thread, NULL);
	close(job->fd);
	json_decref(job->request);
	free(job);
}

static void refuse(int fd, json_t *request, const char *why, enum err code)
{
	answer_error(fd, why, code);
	close(fd);
	json_decref(request);
}

void control_job_start(struct mount *m, int fd, json_t *request, struct control_job **slot)
{
	const struct timeval patience = {.tv_sec = EVENT_PATIENCE_SECONDS};
	struct control_job *job;

	if (*slot && !atomic_load(&(*slot)->over)) {
		refuse(fd, request, "the vault is being moved already", ERR_BUSY);
		return;
	}
	control_job_stop(*slot);
	*slot = NULL;
	job = calloc(1, sizeof(*job));
	if (!job || !mount_configuration(m)->kms_for_move) {
		free(job);
		refuse(fd, request, "this mount cannot move its vault", ERR_UNSUPPORTED);
		return;
	}
	*job = (struct control_job){.mount = m, .request = request, .fd = fd};
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (pthread_create(&job->thread, NULL, job_main, job) != 0) {
		free(job);
		refuse(fd, request, "no thread for it", ERR_NO_MEMORY);
		return;
	}
	*slot = job;
}
