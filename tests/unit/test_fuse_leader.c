/* SPDX-License-Identifier: Apache-2.0 */
/* Who reads the device: one at a time, and never for long one that is stuck. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include "fs/fuse/leader.h"

enum { WORKERS = 4 };

struct scene {
	struct leadership l;
	struct follower me[WORKERS];
	atomic_uint next, reigns, rejected;
};

static void sleep_ms(long ms)
{
	struct timespec t = {.tv_nsec = ms * 1000000};

	nanosleep(&t, NULL);
}

static void setup_scene(struct scene *s)
{
	*s = (struct scene){.next = 1};
	leadership_init(&s->l);
}

/* Takes the place once and keeps it, or learns that it is over. */
static void *one_reign(void *context)
{
	struct scene *s = context;
	struct follower *me = &s->me[s->next++];

	if (leadership_take(&s->l, me) != ROLE_NONE)
		s->reigns++;
	else
		s->rejected++;
	return NULL;
}

static void test_a_stuck_leader_is_replaced(void **state)
{
	struct scene s;
	pthread_t other;

	(void)state;
	setup_scene(&s);
	assert_int_equal(leadership_take(&s.l, &s.me[0]), ROLE_LEADER);
	assert_int_equal(leadership_take(&s.l, &s.me[0]), ROLE_LEADER);
	pthread_create(&other, NULL, one_reign, &s);
	leadership_begin(&s.l, &s.me[0]);
	pthread_join(other, NULL); /* never ends unless the place is taken from us */
	assert_int_equal(s.reigns, 1);
	assert_ptr_equal(s.l.leader, &s.me[1]);
	/* Having lost it, passing it on must not take it from the new one. */
	leadership_pass(&s.l, &s.me[0]);
	assert_ptr_equal(s.l.leader, &s.me[1]);
	leadership_finish(&s.l, &s.me[0]);
	leadership_destroy(&s.l);
}

static void test_an_idle_leader_stays_until_it_is_stuck(void **state)
{
	struct scene s;
	pthread_t other;

	(void)state;
	setup_scene(&s);
	assert_int_equal(leadership_take(&s.l, &s.me[0]), ROLE_LEADER);
	pthread_create(&other, NULL, one_reign, &s);
	while (!s.l.watch_sleeps)
		sleep_ms(1);
	assert_ptr_equal(s.l.leader, &s.me[0]);
	assert_int_equal(s.reigns, 0);
	leadership_begin(&s.l, &s.me[0]); /* wakes the watch */
	pthread_join(other, NULL);
	assert_ptr_equal(s.l.leader, &s.me[1]);
	leadership_destroy(&s.l);
}

static void test_passing_and_the_end(void **state)
{
	struct scene s;
	pthread_t thread[WORKERS - 1];

	(void)state;
	setup_scene(&s);
	assert_int_equal(leadership_take(&s.l, &s.me[0]), ROLE_LEADER);
	for (int i = 0; i < WORKERS - 1; i++)
		pthread_create(&thread[i], NULL, one_reign, &s);
	leadership_pass(&s.l, &s.me[0]);
	while (s.reigns == 0)
		sleep_ms(1);
	leadership_end(&s.l);
	for (int i = 0; i < WORKERS - 1; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(s.reigns, 1);
	assert_int_equal(s.rejected, WORKERS - 2);
	assert_int_equal(leadership_take(&s.l, &s.me[0]), ROLE_NONE);
	leadership_destroy(&s.l);
}

/* As workers do it: take, serve, sometimes pass on or hang. */
static void *many_reigns(void *context)
{
	struct scene *s = context;
	struct follower *me = &s->me[s->next++];

	for (unsigned i = 0; leadership_take(&s->l, me) != ROLE_NONE; i++) {
		leadership_begin(&s->l, me);
		s->reigns++;
		if (i % 3 == 0)
			leadership_pass(&s->l, me);
		if (i % 64 == 0)
			sleep_ms(3);
		leadership_finish(&s->l, me);
	}
	return NULL;
}

static void test_nobody_is_left_waiting(void **state)
{
	struct scene s;
	pthread_t thread[WORKERS];

	(void)state;
	setup_scene(&s);
	s.next = 0;
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&thread[i], NULL, many_reigns, &s);
	while (s.reigns < 20000)
		sleep_ms(1);
	leadership_end(&s.l);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	leadership_destroy(&s.l);
}

/* Serves as fast as it can; never waits for a request, so one is not enough. */
static void *busy_reigns(void *context)
{
	struct scene *s = context;
	struct follower *me = &s->me[s->next++];

	for (enum role role; (role = leadership_take(&s->l, me)) != ROLE_NONE;) {
		leadership_begin(&s->l, me);
		s->reigns += role == ROLE_ONE_OF_MANY;
		leadership_finish(&s->l, me);
	}
	return NULL;
}

static void test_all_read_while_one_cannot_keep_up(void **state)
{
	pthread_t thread[WORKERS];
	struct scene s;

	(void)state;
	setup_scene(&s);
	s.next = 0;
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&thread[i], NULL, busy_reigns, &s);
	while (s.reigns < 1000)
		sleep_ms(1);
	leadership_end(&s.l);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	leadership_destroy(&s.l);
}

static void test_one_leads_again_when_it_suffices(void **state)
{
	struct scene s;

	(void)state;
	setup_scene(&s);
	s.l.many = 1;
	/* Never two at once: whoever comes after some hundreds of these finds the place free. */
	for (int i = 0; s.l.many; i++) {
		assert_true(i < 10000);
		assert_int_equal(leadership_take(&s.l, &s.me[i % 2]), ROLE_ONE_OF_MANY);
		leadership_begin(&s.l, &s.me[i % 2]);
		leadership_finish(&s.l, &s.me[i % 2]);
	}
	assert_int_equal(leadership_take(&s.l, &s.me[1]), ROLE_LEADER);
	/* Always two at once: it stays so. */
	s.l.leader = NULL;
	s.l.many = 1;
	leadership_begin(&s.l, &s.me[0]);
	for (int i = 0; i < 10000; i++) {
		leadership_begin(&s.l, &s.me[1]);
		leadership_finish(&s.l, &s.me[1]);
	}
	assert_true(s.l.many);
	leadership_destroy(&s.l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stuck_leader_is_replaced),
		cmocka_unit_test(test_an_idle_leader_stays_until_it_is_stuck),
		cmocka_unit_test(test_passing_and_the_end),
		cmocka_unit_test(test_nobody_is_left_waiting),
		cmocka_unit_test(test_all_read_while_one_cannot_keep_up),
		cmocka_unit_test(test_one_leads_again_when_it_suffices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
