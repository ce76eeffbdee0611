/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/apart.h"

#include <errno.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <unistd.h>

struct task {
	void (*work)(void *context);
	void *context;
	int errnum;
};

static void *run(void *context)
{
	struct task *t = context;

	if (close_range(0, ~0U, CLOSE_RANGE_UNSHARE) == 0)
		t->work(t->context);
	else
		t->errnum = errno;
	return NULL;
}

enum err apart(void (*work)(void *context), void *context)
{
	struct task t = {.work = work, .context = context};
	pthread_t thread;

	t.errnum = pthread_create(&thread, NULL, run, &t);
	if (t.errnum == 0)
		pthread_join(thread, NULL);
	err_set_errno(t.errnum);
	return t.errnum == 0 ? ERR_OK : err_system("a thread without descriptors");
}
