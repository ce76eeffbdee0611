/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/channel.h"

#include <assert.h>
#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include "fs/fuse/device.h"
#include "fs/fuse/leader.h"
#include "fs/vault/vault.h"

enum {
	THREADS_DEFAULT = 4,
	/* The header of a WRITE before its data: the data then starts where a page does. */
	REQUEST_HEADER = sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in),
	REQUEST_SIZE = CHANNEL_MAX_IO + 4096,
	WANTED_FLAGS = FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT,
	/* How libfuse expects a SETXATTR to begin, and by how much the extended one is longer. */
	SETXATTR_PLAIN = sizeof(struct fuse_in_header) + FUSE_COMPAT_SETXATTR_IN_SIZE,
	SETXATTR_EXTENSION = sizeof(struct fuse_setxattr_in) - FUSE_COMPAT_SETXATTR_IN_SIZE,
	LONG_BYTES = 32 * 1024, /* who moves so much lets another worker read the next request meanwhile */
};

struct worker {
	struct channel *channel;
	pthread_t thread;
	struct device device;
	struct follower place;
	char *request, *reply;
	int kills_privileges, creates_unnamed;
	_Atomic uint64_t requests[CHANNEL_OPCODES]; /* served, by opcode; written by this worker only */
	struct latency *latency;                    /* the same */
	_Atomic uint64_t own;                       /* those of them that this process made itself */
	uint64_t init_unique;                       /* of an INIT request that awaits its reply; else 0 */
	uint32_t init_flags;                        /* what the kernel offered in it */
};

struct channel {
	struct channel_config config;
	unsigned threads, started;
	atomic_int extended; /* the kernel sends the extended SETXATTR and libfuse does not know it */
	uint32_t pid;        /* as requests name their makers */
	atomic_uint running;
	struct leadership leadership;
	struct worker *workers;
};

static __thread struct worker *current;
static __thread int reply_fd = -1;

void *channel_buffer(void)
{
	return current->reply;
}

int channel_kills_privileges(void)
{
	return current->kills_privileges;
}

int channel_creates_unnamed(void)
{
	return current->creates_unnamed;
}

int channel_replies_to(void)
{
	return reply_fd;
}

void channel_reply_to(int fd)
{
	reply_fd = fd;
}

/*
 * A node id that one worker's reply tells comes back in another worker's request: the kernel orders the two. ThreadSanitizer
 * cannot see into the kernel, so it is shown the same order.
 */
#ifdef __SANITIZE_THREAD__
static atomic_uint kernel_order;
#define BEFORE_REPLY()  atomic_fetch_add_explicit(&kernel_order, 1, memory_order_release)
#define AFTER_REQUEST() atomic_fetch_add_explicit(&kernel_order, 0, memory_order_acquire)
#else
#define BEFORE_REPLY()  (void)0
#define AFTER_REQUEST() (void)0
#endif

/* ---- The bytes ---- */

static void count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, *counter + 1, memory_order_relaxed);
}

/* Note what the extended SETXATTR says, and make it a plain one. */
static void narrow_setxattr(struct worker *w, size_t *len)
{
	struct fuse_in_header *in = (void *)w->request;
	const struct fuse_setxattr_in *body = (const void *)(in + 1);
	char *rest = w->request + SETXATTR_PLAIN;

	if (!w->channel->extended || *len < SETXATTR_PLAIN + SETXATTR_EXTENSION)
		return;
	w->kills_privileges = (body->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) != 0;
	*len -= SETXATTR_EXTENSION;
	memmove(rest, rest + SETXATTR_EXTENSION, *len - SETXATTR_PLAIN);
	in->len = (uint32_t)*len;
}

/* Note what libfuse will not tell the operation, and put what it does not know in its words. */
static void look_at_request(struct worker *w, size_t *ret_len)
{
	size_t len = *ret_len;
	struct fuse_in_header *in = (void *)w->request;
	const void *body = in + 1;

	w->kills_privileges = w->creates_unnamed = 0;
	count(&w->requests[in->opcode < CHANNEL_OPCODES ? in->opcode : 0]);
	if (in->pid == w->channel->pid)
		count(&w->own);
	if (in->opcode == FUSE_WRITE && len >= REQUEST_HEADER) {
		const struct fuse_write_in *write_in = body;
		w->kills_privileges = (write_in->write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
	} else if (in->opcode == FUSE_SETATTR && len >= sizeof *in + sizeof(struct fuse_setattr_in)) {
		const struct fuse_setattr_in *setattr = body;
		w->kills_privileges = (setattr->valid & FATTR_KILL_SUIDGID) != 0;
	} else if (in->opcode == FUSE_TMPFILE) {
		w->creates_unnamed = 1;
		in->opcode = FUSE_CREATE;
	} else if (in->opcode == FUSE_SETXATTR) {
		narrow_setxattr(w, ret_len);
	} else if (in->opcode == FUSE_INIT && len >= sizeof *in + offsetof(struct fuse_init_in, flags2)) {
		const struct fuse_init_in *init = body;
		w->init_unique = in->unique;
		w->init_flags = init->flags;
	}
}

/* Add the wanted flags that the kernel offered to the INIT reply. */
static void patch_init_reply(struct worker *w, const struct iovec *iov, int count)
{
	const struct fuse_out_header *out = iov[0].iov_base;

	if (w->init_unique == 0 || out->unique != w->init_unique || out->error != 0)
		return;
	w->init_unique = 0;
	if (count != 2 || iov[1].iov_len < offsetof(struct fuse_init_out, flags) + sizeof(uint32_t))
		return;
	struct fuse_init_out *init = iov[1].iov_base;
	uint32_t added = w->init_flags & WANTED_FLAGS & ~init->flags;
	init->flags |= added;
	w->channel->extended = (added & FUSE_SETXATTR_EXT) != 0;
}

/* ---- libfuse's view of the device ---- */

static ssize_t write_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	(void)userdata;
	BEFORE_REPLY();
	if (current)
		patch_init_reply(current, iov, count);
	return writev(reply_fd >= 0 ? reply_fd : fd, iov, count);
}

/* libfuse asks for it; the workers read for themselves. */
static ssize_t read_request(int fd, void *buf, size_t len, void *userdata)
{
	(void)userdata;
	return read(fd, buf, len);
}

/* ---- Workers ---- */

static int moves_much(const struct worker *w, size_t len)
{
	const struct fuse_in_header *in = (const void *)w->request;
	const struct fuse_read_in *read_in = (const void *)(in + 1);

	return len > LONG_BYTES ||
	       (in->opcode == FUSE_READ && len >= sizeof *in + sizeof *read_in && read_in->size > LONG_BYTES);
}

static void serve(struct worker *w, size_t len)
{
	struct channel *c = w->channel;
	struct fuse_buf buf = {.mem = w->request, .size = len};
	const struct fuse_in_header *in = (const void *)w->request;
	unsigned op = in->opcode < CHANNEL_OPCODES ? in->opcode : 0;
	uint64_t start = latency_now();

	leadership_begin(&c->leadership, &w->place);
	if (moves_much(w, len))
		leadership_pass(&c->leadership, &w->place);
	look_at_request(w, &buf.size);
	fuse_session_process_buf(c->config.session, &buf);
	latency_note_own(&w->latency[op], latency_now() - start);
	leadership_finish(&c->leadership, &w->place);
}

static ssize_t next_request(struct worker *w, enum role role)
{
	if (role == ROLE_ONE_OF_MANY)
		return device_wait(&w->device, w->request, REQUEST_SIZE);
	ssize_t n = device_read(&w->device, w->request, REQUEST_SIZE);
	w->place.waits += (unsigned)w->device.waited;
	return n;
}

/* True while there is something to go on for. */
static int serve_one(struct worker *w, enum role role)
{
	ssize_t n = next_request(w, role);

	if (n < 0) {
		if (errno == EINTR || errno == EAGAIN || errno == ENOENT)
			return 1;
		if (errno != ENODEV)
			report(w->channel->config.reporter, REPORT_ERROR, "reading /dev/fuse: %s", strerror(errno));
		return 0;
	}
	if ((size_t)n < sizeof(struct fuse_in_header))
		return 0;
	AFTER_REQUEST();
	serve(w, (size_t)n);
	return !fuse_session_exited(w->channel->config.session);
}

static void *worker_main(void *context)
{
	struct worker *w = context;
	struct channel *c = w->channel;
	enum role role;

	current = w;
	reply_fd = w->device.fd;
	do
		role = leadership_take(&c->leadership, &w->place);
	while (role != ROLE_NONE && serve_one(w, role));
	leadership_end(&c->leadership);
	fuse_session_exit(c->config.session);
	vault_thread_cleanup();
	if (atomic_fetch_sub(&c->running, 1) == 1)
		c->config.finished(c->config.context);
	return NULL;
}

static char *map_buffer(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static enum err init_worker(struct channel *c, struct worker *w)
{
	w->channel = c;
	device_open(&w->device, fuse_session_fd(c->config.session));
	w->request = map_buffer(REQUEST_SIZE);
	w->reply = map_buffer(CHANNEL_MAX_IO);
	w->latency = calloc(CHANNEL_OPCODES, sizeof *w->latency);
	return w->request && w->reply && w->latency ? ERR_OK : err_fail(ERR_NO_MEMORY, "out of memory");
}

enum err channel_new(const struct channel_config *config, struct channel **ret)
{
	static const struct fuse_custom_io io = {.read = read_request, .writev = write_reply};
	struct channel *c = calloc(1, sizeof *c);

	if (!c)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	c->config = *config;
	leadership_init(&c->leadership);
	c->pid = (uint32_t)getpid();
	c->threads = config->threads ? config->threads : THREADS_DEFAULT;
	c->workers = calloc(c->threads, sizeof *c->workers);
	int rc = c->workers ? fuse_session_custom_io(config->session, &io, fuse_session_fd(config->session)) : -ENOMEM;
	if (rc) {
		channel_free(c);
		errno = -rc;
		return err_system("cannot take over /dev/fuse");
	}
	*ret = c;
	return ERR_OK;
}

enum err channel_start(struct channel *c)
{
	atomic_store(&c->running, c->threads);
	for (; c->started < c->threads; c->started++) {
		struct worker *w = &c->workers[c->started];
		enum err e = init_worker(c, w);
		int rc = e == ERR_OK ? pthread_create(&w->thread, NULL, worker_main, w) : 0;
		if (rc) {
			errno = rc;
			e = err_system("cannot start a thread");
		}
		if (e != ERR_OK) {
			if (atomic_fetch_sub(&c->running, c->threads - c->started) == c->threads - c->started)
				c->config.finished(c->config.context);
			return e;
		}
	}
	return ERR_OK;
}

void channel_requests(const struct channel *c, uint64_t ret[CHANNEL_OPCODES])
{
	memset(ret, 0, CHANNEL_OPCODES * sizeof *ret);
	for (unsigned i = 0; i < c->threads; i++)
		for (unsigned op = 0; op < CHANNEL_OPCODES; op++)
			ret[op] += c->workers[i].requests[op];
}

void channel_latency(const struct channel *c, unsigned opcode, struct latency_summary *ret)
{
	struct latency sum = {0};

	for (unsigned i = 0; i < c->threads; i++)
		if (c->workers[i].latency)
			latency_add(&sum, &c->workers[i].latency[opcode]);
	latency_summarize(&sum, ret);
}

uint64_t channel_uses(const struct channel *c)
{
	uint64_t requests[CHANNEL_OPCODES], sum = 0;

	channel_requests(c, requests);
	for (unsigned op = 0; op < CHANNEL_OPCODES; op++)
		if (op != FUSE_FORGET && op != FUSE_BATCH_FORGET && op != FUSE_INTERRUPT)
			sum += requests[op];
	for (unsigned i = 0; i < c->threads; i++)
		sum -= c->workers[i].own;
	return sum;
}

const char *channel_opcode_name(unsigned opcode)
{
	static const char *const names[CHANNEL_OPCODES] = {
		[0] = "other",
		[FUSE_LOOKUP] = "lookup",
		[FUSE_FORGET] = "forget",
		[FUSE_GETATTR] = "getattr",
		[FUSE_SETATTR] = "setattr",
		[FUSE_READLINK] = "readlink",
		[FUSE_SYMLINK] = "symlink",
		[FUSE_MKNOD] = "mknod",
		[FUSE_MKDIR] = "mkdir",
		[FUSE_UNLINK] = "unlink",
		[FUSE_RMDIR] = "rmdir",
		[FUSE_RENAME] = "rename",
		[FUSE_LINK] = "link",
		[FUSE_OPEN] = "open",
		[FUSE_READ] = "read",
		[FUSE_WRITE] = "write",
		[FUSE_STATFS] = "statfs",
		[FUSE_RELEASE] = "release",
		[FUSE_FSYNC] = "fsync",
		[FUSE_SETXATTR] = "setxattr",
		[FUSE_GETXATTR] = "getxattr",
		[FUSE_LISTXATTR] = "listxattr",
		[FUSE_REMOVEXATTR] = "removexattr",
		[FUSE_FLUSH] = "flush",
		[FUSE_INIT] = "init",
		[FUSE_OPENDIR] = "opendir",
		[FUSE_READDIR] = "readdir",
		[FUSE_RELEASEDIR] = "releasedir",
		[FUSE_FSYNCDIR] = "fsyncdir",
		[FUSE_CREATE] = "create",
		[FUSE_INTERRUPT] = "interrupt",
		[FUSE_DESTROY] = "destroy",
		[FUSE_BATCH_FORGET] = "batch_forget",
		[FUSE_FALLOCATE] = "fallocate",
		[FUSE_READDIRPLUS] = "readdirplus",
		[FUSE_RENAME2] = "rename2",
		[FUSE_LSEEK] = "lseek",
		[FUSE_COPY_FILE_RANGE] = "copy_file_range",
		[FUSE_TMPFILE] = "tmpfile",
	};

	return opcode < CHANNEL_OPCODES && names[opcode] ? names[opcode] : "other";
}

void channel_join(struct channel *c)
{
	for (unsigned i = 0; i < c->started; i++)
		pthread_join(c->workers[i].thread, NULL);
	c->started = 0;
}

void channel_free(struct channel *c)
{
	for (unsigned i = 0; c->workers && i < c->threads; i++) {
		struct worker *w = &c->workers[i];

		assert(c->started == 0);
		if (w->request)
			munmap(w->request, REQUEST_SIZE);
		if (w->reply)
			munmap(w->reply, CHANNEL_MAX_IO);
		free(w->latency);
		if (w->channel)
			device_close(&w->device);
	}
	leadership_destroy(&c->leadership);
	free(c->workers);
	free(c);
}
