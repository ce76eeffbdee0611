/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of small objects: nobody's bytes are anybody else's, and memory that holds no object goes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "fs/fuse/pool.h"
#include "tests/support/vault_fixture.h"

enum { OBJECTS = 20000, STEPS = 400000, BLOCK = 64 * 1024, SIZES = POOL_LARGEST / POOL_STEP };

struct object {
	unsigned char *at;
	size_t size;
	unsigned char fill;
};

static void take(struct pool *p, struct object *o, uint64_t *random)
{
	o->size = 1 + vault_fixture_below(random, POOL_LARGEST);
	o->fill = (unsigned char)vault_fixture_below(random, 256);
	o->at = pool_take(p, o->size);
	assert_non_null(o->at);
	assert_int_equal((uintptr_t)o->at % POOL_STEP, 0);
	memset(o->at, o->fill, o->size);
}

static void give(struct pool *p, struct object *o)
{
	for (size_t i = 0; i < o->size; i++)
		assert_int_equal(o->at[i], o->fill);
	pool_give(p, o->at, o->size);
	o->at = NULL;
}

static void test_objects_keep_to_themselves(void **state)
{
	uint64_t random = vault_fixture_seed("pool");
	struct object *objects = calloc(OBJECTS, sizeof *objects);
	struct pool p = {0};

	(void)state;
	for (size_t step = 0; step < STEPS; step++) {
		struct object *o = &objects[vault_fixture_below(&random, OBJECTS)];
		if (o->at)
			give(&p, o);
		else
			take(&p, o, &random);
	}
	for (size_t i = 0; i < OBJECTS; i++)
		if (objects[i].at)
			give(&p, &objects[i]);
	/* One block of each size is kept at most. */
	assert_in_range(pool_bytes(&p), 0, SIZES * BLOCK);
	pool_end(&p);
	assert_int_equal(pool_bytes(&p), 0);
	free(objects);
}

/* Taken, given back in another order and taken again: no more than the first time, and hardly more than the objects themselves. */
static void test_memory_is_used_again(void **state)
{
	enum { SIZE = 104, ROUNDS = 5 };
	void **objects = calloc(OBJECTS, sizeof *objects);
	struct pool p = {0};

	(void)state;
	for (size_t round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < OBJECTS; i++)
			assert_non_null(objects[i] = pool_take(&p, SIZE));
		assert_in_range(pool_bytes(&p), OBJECTS * SIZE, OBJECTS * SIZE + OBJECTS * SIZE / 100 + BLOCK);
		for (size_t i = 0; i < OBJECTS; i++)
			pool_give(&p, objects[i * 7919 % OBJECTS], SIZE);
		assert_in_range(pool_bytes(&p), 0, BLOCK);
	}
	pool_end(&p);
	free(objects);
}

static void test_giving_nothing(void **state)
{
	struct pool p = {0};

	(void)state;
	pool_give(&p, NULL, 8);
	assert_int_equal(pool_bytes(&p), 0);
	pool_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects_keep_to_themselves),
		cmocka_unit_test(test_memory_is_used_again),
		cmocka_unit_test(test_giving_nothing),
	};

	return cmocka_run_group_tests_name("test_fuse_pool", tests, NULL, NULL);
}
