/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/mount.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include "fs/fuse/adapter.h"
#include "fs/fuse/apart.h"
#include "fs/fuse/backing.h"
#include "fs/fuse/channel.h"
#include "fs/fuse/guard.h"
#include "fs/fuse/idle.h"

struct mount {
	struct mount_config config;
	struct adapter adapter;
	struct fuse_session *session;
	struct channel *channel;
	struct guard *guard;
	int finished_fd; /* readable once no worker is left */
	int mounted;
	time_t started;
	dev_t device;
};

enum err mount_signals(int *ret_fd)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return err_system("cannot block signals");
	int fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		return err_system("signalfd");
	*ret_fd = fd;
	return ERR_OK;
}

/* ---- What libfuse has to say ---- */

/* libfuse's log function takes no context; what it said last becomes the error's text. */
static __thread char fuse_said[256];

__attribute__((format(printf, 2, 0))) static void note_fuse_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
	(void)level;
	vsnprintf(fuse_said, sizeof fuse_said, fmt, ap);
	fuse_said[strcspn(fuse_said, "\n")] = '\0';
}

static enum err fuse_failed(const char *what)
{
	return err_fail(ERR_MOUNT_POINT, "%s%s%s", what, fuse_said[0] ? ": " : "", fuse_said);
}

/* ---- Starting ---- */

static const char *source_of(const struct mount_config *config)
{
	return config->fsname ? config->fsname : config->vault_path;
}

static enum err session_options(const struct mount_config *config, char **ret)
{
	const char *fsname = source_of(config);
	char *options = NULL, fixed[64];

	/* libfuse unescapes what it parses: a comma or backslash in the path needs its own. */
	size_t size = strlen("fsname=") + strlen(fsname) + 1;
	char *source = malloc(size);
	if (!source)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	snprintf(source, size, "fsname=%s", fsname);
	snprintf(fixed, sizeof fixed, "subtype=signetfs,max_read=%d%s", CHANNEL_MAX_IO,
		config->unchecked ? "" : ",default_permissions");
	int bad = fuse_opt_add_opt(&options, fixed) || fuse_opt_add_opt_escaped(&options, source) ||
		  (config->options[0] && fuse_opt_add_opt(&options, config->options)) ||
		  (config->allow_other && fuse_opt_add_opt(&options, "allow_other")) ||
		  (config->read_only && fuse_opt_add_opt(&options, "ro"));
	free(source);
	if (bad) {
		free(options);
		return err_fail(ERR_NO_MEMORY, "out of memory");
	}
	*ret = options;
	return ERR_OK;
}

static enum err new_session(struct mount *m)
{
	char *options;

	TRY(session_options(&m->config, &options));
	char *argv[] = {"signetfs", "-o", options, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	fuse_said[0] = '\0';
	fuse_set_log_func(note_fuse_log);
	m->session = fuse_session_new(&args, adapter_ops(), sizeof(struct fuse_lowlevel_ops), &m->adapter);
	fuse_opt_free_args(&args);
	free(options);
	return m->session ? ERR_OK : fuse_failed("libfuse refuses the mount options");
}

static void finished(void *context)
{
	struct mount *m = context;
	uint64_t one = 1;

	if (write(m->finished_fd, &one, sizeof one) < 0)
		report(m->config.reporter, REPORT_ERROR, "eventfd: %s", strerror(errno));
}

static void close_failed(void *context, struct node *n, enum err e)
{
	struct adapter *a = context;

	if (a->failures)
		failures_note(a->failures, n, e);
}

static enum err init_adapter(struct mount *m, struct vault *vault)
{
	struct adapter *a = &m->adapter;
	struct stat st;

	a->vault = vault;
	a->read_only = m->config.read_only;
	a->acl = m->config.acl;
	a->owner_only = m->config.owner_only;
	a->memory = idle_memory(m->config.idle);
	a->doubtful = vault_was_interrupted(vault);
	a->set_owner = geteuid() == 0;
	struct vault_dir *root = vault_root(vault);
	enum err e = vault_stat((struct vault_object){.dir = root, .pin = -1}, &st);
	vault_dir_release(root);
	TRY(e);
	a->nodes = node_table_new(&st);
	if (!a->nodes)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	const struct handle_cache_config handles = {.vault = vault,
		.nodes = a->nodes,
		.read_only = a->read_only,
		.budget = m->config.budget,
		.reporter = m->config.reporter,
		.close_failed = close_failed,
		.context = a};
	return handle_cache_new(&handles, &a->handles);
}

static enum err start_expiry(struct mount *m)
{
	struct adapter *a = &m->adapter;
	const struct page_expiry_config config = {.vault = a->vault,
		.nodes = a->nodes,
		.handles = a->handles,
		.session = m->session,
		.mount_point = m->config.mount_point};

	/* A tree without keys (the benchmark's pass-through) has no descriptor. */
	return vault_descriptor(a->vault) ? page_expiry_new(&config, &a->expiry) : ERR_OK;
}

/* Whose files these are has a limit of their own, which the kernel applies; that of the shell which mounted is not meant for them. */
static void lift_file_size_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_FSIZE, &limit);
	}
}

/* The mount is not asked for its number: that would be a request that a kill could leave unanswered. */
static void watch(struct mount *m)
{
	struct mount_info info;

	if (mount_what(m->config.mount_point, &info) == ERR_OK && strcmp(info.source, source_of(&m->config)) == 0)
		guard_watch(m->guard, makedev(info.major, info.minor));
}

static enum err start(struct mount *m, struct vault *vault)
{
	lift_file_size_limit();
	m->finished_fd = eventfd(0, EFD_CLOEXEC);
	if (m->finished_fd < 0)
		return err_system("eventfd");
	TRY(init_adapter(m, vault));
	TRY(guard_start(m->config.mount_point, source_of(&m->config), &m->guard));
	TRY(new_session(m));
	if (fuse_session_mount(m->session, m->config.mount_point))
		return fuse_failed("the kernel refuses the mount");
	m->mounted = 1;
	watch(m);
	const struct channel_config channel = {.session = m->session,
		.threads = m->config.threads,
		.reporter = m->config.reporter,
		.finished = finished,
		.context = m};
	TRY(start_expiry(m));
	TRY(failures_new(m->adapter.nodes, m->session, &m->adapter.failures));
	TRY(seeker_new(m->session, m->adapter.handles, &m->adapter.seeker));
	TRY(channel_new(&channel, &m->channel));
	return channel_start(m->channel);
}

enum err mount_start(const struct mount_config *config, struct vault *vault, struct mount **ret)
{
	struct mount *m = calloc(1, sizeof *m);

	if (!m)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	m->config = *config;
	m->finished_fd = -1;
	m->started = time(NULL);
	enum err e = start(m, vault);
	if (e != ERR_OK) {
		mount_end(m);
		return e;
	}
	*ret = m;
	return ERR_OK;
}

struct settling {
	struct mount *mount;
	int errnum;
};

static void settle(void *context)
{
	struct settling *s = context;
	struct mount *m = s->mount;
	struct stat st;

	if (stat(m->config.mount_point, &st) != 0) {
		s->errnum = errno;
		return;
	}
	m->device = st.st_dev;
	page_expiry_mounted(m->adapter.expiry, m->device);
	backing_tune(m->device);
	adapter_probe(&m->adapter, m->config.mount_point);
}

enum err mount_settle(struct mount *m)
{
	struct settling s = {.mount = m};

	TRY(apart(settle, &s));
	return s.errnum == 0 ? ERR_OK
			     : err_fail(ERR_MOUNT_POINT, "%s was mounted but does not answer: %s",
				       m->config.mount_point, strerror(s.errnum));
}

/* ---- Serving and ending ---- */

/*
 * What else is mounted there by now is not ours to end; the kernel gives out a device number again at once, so that alone proves nothing.
 * ERR_NOT_FOUND: this mount is not there any more, or hidden below another.
 */
static enum err unmount_own(const struct mount *m, int lazy)
{
	struct mount_info info;

	TRY(mount_what(m->config.mount_point, &info));
	if ((m->device && makedev(info.major, info.minor) != m->device) ||
		strcmp(info.source, source_of(&m->config)) != 0)
		return err_fail(ERR_NOT_FOUND, "another file system is mounted there");
	return mount_unmount(m->config.mount_point, lazy);
}

/*
 * The first request detaches the mount while the workers go on: the kernel still has pages to write back, and programs may have
 * files open. The second stops waiting for them.
 */
static void stop(struct mount *m, unsigned requests)
{
	if (requests > 1) {
		report(m->config.reporter, REPORT_WARNING, "asked twice to end: leaving %s at once",
			m->config.mount_point);
		fuse_session_exit(m->session);
		(void)backing_abort(m->device);
		finished(m);
		return;
	}
	enum err e = unmount_own(m, 0);
	if (e == ERR_BUSY) {
		report(m->config.reporter, REPORT_NOTICE, "%s is in use: unmounted when its last user is done",
			m->config.mount_point);
		e = unmount_own(m, 1);
	}
	if (e != ERR_OK)
		report(m->config.reporter, REPORT_ERROR, "cannot unmount %s: %s", m->config.mount_point, err_text(e));
}

static uint64_t now_ms(void)
{
	const struct clock *clock = clock_system();

	return clock->monotonic(clock) / (CLOCK_SECOND / 1000);
}

/* Only what is in nobody's use: the kernel refuses the rest, however soon before somebody came. */
static void stop_unused(struct mount *m, struct idle *idle)
{
	enum err e = unmount_own(m, 0);

	if (e == ERR_OK)
		report(m->config.reporter, REPORT_NOTICE, "%s was unused for %u s: unmounted", m->config.mount_point,
			m->config.idle);
	else if (e != ERR_BUSY && e != ERR_NOT_FOUND)
		report(m->config.reporter, REPORT_WARNING, "%s is unused but cannot be unmounted: %s",
			m->config.mount_point, err_text(e));
	idle_used(idle, now_ms());
}

void mount_serve(struct mount *m, int signal_fd)
{
	struct pollfd fds[2] = {{.fd = m->finished_fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
	struct signalfd_siginfo info;
	struct idle idle;
	unsigned requests = 0;

	idle_begin(&idle, m->config.idle, now_ms());
	for (;;) {
		int wait = idle_look(&idle, channel_uses(m->channel), now_ms());
		int events = poll(fds, 2, wait);
		if ((events < 0 && errno != EINTR) || (events > 0 && fds[0].revents))
			return;
		if (events > 0 && read(signal_fd, &info, sizeof info) == sizeof info)
			stop(m, ++requests);
		else if (events == 0 && wait == 0)
			stop_unused(m, &idle);
	}
}

static void dispose(void *context, struct node *n)
{
	struct adapter *a = context;

	handle_dispose(a->handles, n);
}

static void end_adapter(struct adapter *a)
{
	page_expiry_free(a->expiry);
	failures_free(a->failures);
	seeker_free(a->seeker);
	if (a->nodes)
		node_table_free(a->nodes, dispose, a);
	if (a->handles)
		handle_cache_free(a->handles);
}

void mount_end(struct mount *m)
{
	page_expiry_stop(m->adapter.expiry);
	failures_stop(m->adapter.failures);
	seeker_stop(m->adapter.seeker);
	if (m->mounted && !m->channel)
		fuse_session_unmount(m->session);
	if (m->channel) {
		fuse_session_exit(m->session);
		unmount_own(m, 1);
		channel_join(m->channel);
		channel_free(m->channel);
		fuse_session_unmount(m->session);
	}
	if (m->session)
		fuse_session_destroy(m->session);
	guard_stop(m->guard);
	end_adapter(&m->adapter);
	if (m->finished_fd >= 0)
		close(m->finished_fd);
	free(m);
}

/* ---- Looking in ---- */

void mount_stats(struct mount *m, struct mount_stats *ret)
{
	struct adapter *a = &m->adapter;

	*ret = (struct mount_stats){.nodes = node_count(a->nodes),
		.descriptors = handle_cache_open(a->handles),
		.files_created = a->counters.created,
		.bytes_read = a->counters.bytes_read,
		.bytes_written = a->counters.bytes_written,
		.uptime = (uint64_t)(time(NULL) - m->started)};
}

void mount_requests(struct mount *m,
	void (*each)(void *context, const char *name, uint64_t count, const struct latency_summary *latency),
	void *context)
{
	uint64_t counts[CHANNEL_OPCODES];
	struct latency_summary latency;

	channel_requests(m->channel, counts);
	for (unsigned op = 0; op < CHANNEL_OPCODES; op++)
		if (counts[op]) {
			channel_latency(m->channel, op, &latency);
			each(context, channel_opcode_name(op), counts[op], &latency);
		}
}

dev_t mount_device(const struct mount *m)
{
	return m->device;
}

struct adapter *mount_adapter(struct mount *m)
{
	return &m->adapter;
}

struct vault *mount_vault(struct mount *m)
{
	return m->adapter.vault;
}

const struct mount_config *mount_configuration(const struct mount *m)
{
	return &m->config;
}
