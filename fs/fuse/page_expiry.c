/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/page_expiry.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "fs/fuse/apart.h"

/* Seconds: how long before the deadline dirty pages are pushed down, and how often keys without pages are looked after. */
enum { PUSH_EARLY_MAX = 5, IDLE_TICK = 30, BATCH = 256 };

struct page_expiry {
	struct page_expiry_config config;
	const struct clock *clock;
	uint32_t push_early;
	_Atomic dev_t device;      /* 0: not mounted yet */
	_Atomic uint32_t earliest; /* the first deadline of any node; UINT32_MAX: none */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int stop;
	pthread_t thread;
};

/* Nodes keep seconds, rounded down; 0 is "nothing". */
static uint32_t seconds(uint64_t ns)
{
	uint64_t s = ns / CLOCK_SECOND;

	return s >= UINT32_MAX ? UINT32_MAX : (uint32_t)(s ? s : 1);
}

static uint32_t now(const struct page_expiry *x)
{
	return seconds(x->clock->monotonic(x->clock));
}

static void note_until(struct page_expiry *x, struct node *n, uint32_t until)
{
	uint32_t unset = 0;

	/* An earlier deadline stays: older pages may be there. */
	if (!atomic_compare_exchange_strong(&n->pages_until, &unset, until))
		return;
	uint32_t earliest = atomic_load(&x->earliest);
	while (until < earliest && !atomic_compare_exchange_weak(&x->earliest, &earliest, until))
		continue;
	if (until >= earliest)
		return;
	pthread_mutex_lock(&x->lock);
	pthread_cond_signal(&x->wake);
	pthread_mutex_unlock(&x->lock);
}

void page_expiry_note(struct page_expiry *x, struct node *n, struct vault_file *file)
{
	if (!x || atomic_load_explicit(&n->pages_until, memory_order_relaxed))
		return;
	uint32_t until = seconds(vault_file_live_until(file));
	if (until != UINT32_MAX)
		note_until(x, n, until);
}

void page_expiry_note_refused(struct page_expiry *x, struct node *n)
{
	if (x)
		note_until(x, n, now(x));
}

/* ---- The thread ---- */

/* Write back everything dirty in the mount. Its own requests come to the workers, so no lock may be held. */
static void push_down(void *context)
{
	struct page_expiry *x = context;
	struct stat st;
	int fd = !x->device ? -1 : open(x->config.mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* A failure is the writers' to learn; here there is nobody to tell. */
	if (fstat(fd, &st) == 0 && st.st_dev == x->device)
		(void)syncfs(fd);
	close(fd);
}

static void take_back(struct page_expiry *x, uint32_t due)
{
	uint64_t ids[BATCH];
	size_t bucket = 0, count;
	uint32_t next = UINT32_MAX;

	do {
		count = node_take_expired(x->config.nodes, &bucket, due, ids, BATCH, &next);
		/* A node that the kernel forgot meanwhile is ENOENT: it holds no page of it. */
		for (size_t i = 0; i < count; i++)
			fuse_lowlevel_notify_inval_inode(x->config.session, ids[i], 0, 0);
	} while (count == BATCH);
	/* Lowered meanwhile by a note: then that stands. */
	uint32_t none = UINT32_MAX;
	atomic_compare_exchange_strong(&x->earliest, &none, next);
}

static void wait_until(struct page_expiry *x, uint32_t when)
{
	struct timespec until;
	uint32_t t = now(x), wait = when > t ? when - t : 1;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait < IDLE_TICK ? wait : IDLE_TICK;
	pthread_mutex_lock(&x->lock);
	if (!x->stop)
		pthread_cond_timedwait(&x->wake, &x->lock, &until);
	pthread_mutex_unlock(&x->lock);
}

static int stopping(struct page_expiry *x)
{
	pthread_mutex_lock(&x->lock);
	int stop = x->stop;
	pthread_mutex_unlock(&x->lock);
	return stop;
}

static void *run(void *context)
{
	struct page_expiry *x = context;
	uint32_t pushed_for = 0; /* the deadline that was already prepared for */

	while (!stopping(x)) {
		uint32_t first = atomic_load(&x->earliest);
		uint32_t due = first == UINT32_MAX ? first : first + PAGE_EXPIRY_GRACE;

		if (first != UINT32_MAX && first != pushed_for && now(x) + x->push_early >= first) {
			(void)apart(push_down, x); /* if not, taking the pages back pushes them down */
			pushed_for = first;
		}
		if (now(x) >= due) {
			atomic_store(&x->earliest, UINT32_MAX);
			take_back(x, now(x) - PAGE_EXPIRY_GRACE);
		}
		vault_expire_keys(x->config.vault);
		handle_close_expired(x->config.handles);
		first = atomic_load(&x->earliest);
		if (first == UINT32_MAX || first == pushed_for)
			wait_until(x, first == UINT32_MAX ? first : first + PAGE_EXPIRY_GRACE);
		else
			wait_until(x, first - (first > x->push_early ? x->push_early : 0));
	}
	vault_thread_cleanup();
	return NULL;
}

static void init_locks(struct page_expiry *x)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&x->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&x->wake, &attr);
	pthread_condattr_destroy(&attr);
}

static void release(struct page_expiry *x)
{
	pthread_mutex_destroy(&x->lock);
	pthread_cond_destroy(&x->wake);
	free(x);
}

enum err page_expiry_new(const struct page_expiry_config *config, struct page_expiry **ret)
{
	struct page_expiry *x = calloc(1, sizeof *x);
	uint64_t cache_time = vault_descriptor(config->vault)->cache_seconds;

	if (!x)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	x->config = *config;
	x->clock = clock_system();
	x->push_early = (uint32_t)(cache_time / 4 < PUSH_EARLY_MAX ? cache_time / 4 : PUSH_EARLY_MAX);
	/* Deadlines and waits are whole seconds: less would be too late by the parts that were cut off. */
	if (!x->push_early)
		x->push_early = 1;
	atomic_init(&x->earliest, UINT32_MAX);
	init_locks(x);
	int rc = pthread_create(&x->thread, NULL, run, x);
	if (rc) {
		release(x);
		err_set_errno(rc);
		return err_system("cannot start a thread");
	}
	*ret = x;
	return ERR_OK;
}

void page_expiry_mounted(struct page_expiry *x, dev_t device)
{
	if (x)
		x->device = device;
}

void page_expiry_stop(struct page_expiry *x)
{
	if (!x)
		return;
	pthread_mutex_lock(&x->lock);
	x->stop = 1;
	pthread_cond_signal(&x->wake);
	pthread_mutex_unlock(&x->lock);
	pthread_join(x->thread, NULL);
}

void page_expiry_free(struct page_expiry *x)
{
	if (x)
		release(x);
}
