/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/secret.h"
#include "tests/support/child.h"
#include "tests/support/prng.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int is_zero(const void *p, size_t len)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < len; i++)
		if (b[i])
			return 0;
	return 1;
}

/* The VmFlags line of the mapping that holds @p, with a space at both ends. */
static void vm_flags(const void *p, char out[256])
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	uint64_t from, to;
	int inside = 0;

	assert_non_null(f);
	out[0] = '\0';
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2)
			inside = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(out, 256, "%.250s", line + 8);
	}
	fclose(f);
}

/* The address and thread sanitizers turn mlock() into nothing; what depends on it cannot be seen there. */
static int mlock_is_real(void)
{
	char flags[256];
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int real;

	mlock(page, 4096);
	vm_flags(page, flags);
	real = strstr(flags, " lo ") != NULL;
	munmap(page, 4096);
	return real;
}

static void memory_is_zero_aligned_locked_and_undumpable(void **state)
{
	static const size_t sizes[] = {
		0, 1, 31, 32, 33, 63, 64, 100, 480, 1008, 1009, 3000, 4096, 8192, 8193, 70000, 300000};
	const int real = mlock_is_real();

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *p = secret_alloc(sizes[i]);
		char flags[256];

		assert_non_null(p);
		assert_true(is_zero(p, sizes[i]));
		assert_int_equal((uintptr_t)p % (sizes[i] >= 64 ? 64 : 16), 0);
		vm_flags(p, flags);
		assert_true(!real || strstr(flags, " lo "));
		assert_non_null(strstr(flags, " dd "));
		assert_non_null(strstr(flags, " wf "));
		memset(p, 0xa5, sizes[i]);
		secret_free(p);
	}
	secret_free(NULL);
	assert_true(secret_locked_bytes() > 0);
	assert_int_equal(secret_unlocked_bytes(), 0);
}

static void freed_memory_is_wiped(void **state)
{
	uint8_t *keep = secret_alloc(500); /* holds the slab, so that the block stays mapped in any case */
	uint8_t *p = secret_alloc(500);

	(void)state;
	memset(p, 0x5a, 500);
	secret_free(p);
	assert_true(is_zero(p, 500));
	assert_ptr_equal(secret_alloc(500), p);
	secret_free(p);
	secret_free(keep);
}

static void small_blocks_share_pages(void **state)
{
	void *p[2000];
	size_t before = secret_locked_bytes();

	(void)state;
	for (size_t i = 0; i < 2000; i++)
		assert_non_null(p[i] = secret_alloc(64));
	assert_true(secret_locked_bytes() - before < 2000 * 64 + 256 * 1024);
	for (size_t i = 0; i < 2000; i++)
		secret_free(p[i]);
}

struct block {
	uint8_t *p;
	size_t len;
	uint8_t mark;
};

static void check_and_free(struct block *b)
{
	for (size_t i = 0; i < b->len; i++)
		assert_int_equal(b->p[i], b->mark);
	secret_free(b->p);
	b->p = NULL;
}

static void blocks_never_overlap(void **state)
{
	struct block blocks[300] = {{0}};
	struct prng r;

	(void)state;
	prng_init(&r);
	for (unsigned step = 0; step < 20000; step++) {
		struct block *b = &blocks[prng_below(&r, 300)];

		if (b->p) {
			check_and_free(b);
			continue;
		}
		b->len = prng_below(&r, prng_below(&r, 50) ? 3000 : 20000);
		b->p = secret_alloc(b->len);
		assert_non_null(b->p);
		assert_true(is_zero(b->p, b->len));
		b->mark = (uint8_t)(step | 1);
		memset(b->p, b->mark, b->len);
	}
	for (size_t i = 0; i < 300; i++)
		if (blocks[i].p)
			check_and_free(&blocks[i]);
}

static void *churn(void *arg)
{
	for (unsigned i = 0; i < 5000; i++) {
		size_t len = 16 + i % 1000;
		uint8_t *p = secret_alloc(len);

		if (!p || !is_zero(p, len))
			return NULL;
		memset(p, 0xff, len);
		secret_free(p);
	}
	return arg;
}

static void threads_share_the_pool(void **state)
{
	pthread_t t[4];
	void *result;
	int mark;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn, &mark), 0);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(t[i], &result);
		assert_ptr_equal(result, &mark);
	}
}

static int child_sees_zeros_and_allocates(void *context)
{
	uint8_t *p;

	if (!is_zero(context, 200))
		return 1;
	p = secret_alloc(200);
	if (!p || !is_zero(p, 200))
		return 2;
	if (secret_locked_bytes() == 0 || secret_unlocked_bytes() != 0)
		return 3;
	secret_free(p);
	secret_free(context);
	return 0;
}

static void forked_child_sees_zeros(void **state)
{
	uint8_t *p = secret_alloc(200);

	(void)state;
	memset(p, 0x77, 200);
	assert_int_equal(child_run(child_sees_zeros_and_allocates, p), 0);
	assert_int_equal(p[199], 0x77);
	secret_free(p);
}

static int die_quietly(void)
{
	/* A sanitizer would report the fault that the test provokes. */
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	return prctl(PR_SET_DUMPABLE, 0);
}

static int overrun(void *context)
{
	die_quietly();
	((volatile uint8_t *)context)[12288] = 1;
	return 0;
}

static int underrun(void *context)
{
	die_quietly();
	((volatile uint8_t *)context)[-1] = 1;
	return 0;
}

static void guard_pages_stop_runs(void **state)
{
	uint8_t *p = secret_alloc(12288);
	int status;

	(void)state;
	status = child_run(overrun, p);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = child_run(underrun, p);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	secret_free(p);
}

static int without_lock_limit(void *context)
{
	const struct rlimit none = {0, 0};
	void *p;

	(void)context;
	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
		return 1;
	/* Root may lock without limit. */
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		return 2;
	if (secret_alloc(100000) != NULL)
		return 3;
	secret_allow_unlocked();
	p = secret_alloc(100000);
	if (!p || secret_unlocked_bytes() < 100000)
		return 4;
	secret_free(p);
	return secret_unlocked_bytes() < 100000 ? 0 : 5;
}

static void spent_lock_limit_fails_unless_allowed(void **state)
{
	(void)state;
	if (!mlock_is_real()) {
		printf("skip: a sanitizer has replaced mlock()\n");
		skip();
	}
	assert_int_equal(child_run(without_lock_limit, NULL), 0);
}

static int hardened_under_a_small_limit(void *context)
{
	const struct rlimit small = {65536, 65536};

	(void)context;
	if (setrlimit(RLIMIT_MEMLOCK, &small) != 0)
		return 1;
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		return 2;
	if (secret_harden_process() != ERR_NO_MEMORY)
		return 3;
	/* What a person can do about it, in numbers. */
	if (!strstr(err_text(ERR_NO_MEMORY), "64 KiB") || !strstr(err_text(ERR_NO_MEMORY), "ulimit -l"))
		return 4;
	secret_allow_unlocked();
	return secret_harden_process() == ERR_OK ? 0 : 5;
}

/* The first test, while the pool has no page that was locked before the limit fell. */
static void hardening_says_when_nothing_can_be_locked(void **state)
{
	(void)state;
	if (!mlock_is_real()) {
		printf("skip: a sanitizer has replaced mlock()\n");
		skip();
	}
	assert_int_equal(child_run(hardened_under_a_small_limit, NULL), 0);
}

static int hardened(void *context)
{
	struct rlimit core, memlock;

	(void)context;
	if (secret_harden_process() != ERR_OK || prctl(PR_GET_DUMPABLE) != 0)
		return 1;
	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_MEMLOCK, &memlock);
	return core.rlim_cur == 0 && core.rlim_max == 0 && memlock.rlim_cur == memlock.rlim_max ? 0 : 2;
}

static void process_can_be_hardened(void **state)
{
	(void)state;
	assert_int_equal(child_run(hardened, NULL), 0);
}

static void heap_blocks_keep_their_content(void **state)
{
	char *p = secret_heap_strdup("signet");
	uint32_t *q;

	(void)state;
	assert_int_equal((uintptr_t)p % 16, 0);
	p = secret_heap_realloc(p, 5000);
	assert_string_equal(p, "signet");
	p = secret_heap_realloc(p, 3);
	assert_memory_equal(p, "sig", 3);
	secret_heap_free(p);
	secret_heap_free(NULL);
	q = secret_heap_calloc(5, sizeof(*q));
	assert_true(is_zero(q, 20));
	secret_heap_free(q);
	assert_null(secret_heap_calloc(SIZE_MAX / 2, 4));
	assert_null(secret_heap_malloc(SIZE_MAX - 3));
	q = secret_heap_realloc(NULL, 8);
	assert_non_null(q);
	secret_heap_free(q);
}

/* Of a variable whose scope has ended within a living frame, which address sanitizer would rightly object to. */
__attribute__((noinline, no_sanitize("address"))) static int count_marks(uintptr_t address)
{
	const volatile uint8_t *p = (const volatile uint8_t *)address;
	int n = 0;

	for (size_t i = 0; i < KEY_SIZE; i++)
		n += p[i] == 0xee;
	return n;
}

static void stack_keys_are_wiped_at_scope_end(void **state)
{
	volatile uintptr_t where;

	(void)state;
	{
		struct data_key key AUTO_WIPE;

		memset(key.b, 0xee, sizeof(key.b));
		where = (uintptr_t)key.b;
		assert_int_equal(count_marks(where), KEY_SIZE);
	}
	assert_int_equal(count_marks(where), 0);
}

static void equality(void **state)
{
	(void)state;
	assert_true(secret_equal("abc", "abc", 3));
	assert_false(secret_equal("abc", "abd", 3));
	assert_true(secret_equal("abc", "abd", 2));
	assert_true(secret_equal("", "x", 0));
}

static void steal_leaves_null(void **state)
{
	uint8_t *p AUTO_SECRET = secret_alloc(10);
	uint8_t *q = STEAL(p);

	(void)state;
	assert_null(p);
	assert_non_null(q);
	secret_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hardening_says_when_nothing_can_be_locked),
		cmocka_unit_test(memory_is_zero_aligned_locked_and_undumpable),
		cmocka_unit_test(freed_memory_is_wiped),
		cmocka_unit_test(small_blocks_share_pages),
		cmocka_unit_test(blocks_never_overlap),
		cmocka_unit_test(threads_share_the_pool),
		cmocka_unit_test(forked_child_sees_zeros),
		cmocka_unit_test(guard_pages_stop_runs),
		cmocka_unit_test(spent_lock_limit_fails_unless_allowed),
		cmocka_unit_test(process_can_be_hardened),
		cmocka_unit_test(heap_blocks_keep_their_content),
		cmocka_unit_test(stack_keys_are_wiped_at_scope_end),
		cmocka_unit_test(equality),
		cmocka_unit_test(steal_leaves_null),
	};

	return cmocka_run_group_tests_name("base_secret", tests, NULL, NULL);
}
