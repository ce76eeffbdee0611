/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fs/drill/bench_kms.h"
#include "fs/drill/traces.h"
#include "fs/drill/tree.h"
#include "kms/base/io.h"
#include "tests/support/keystore.h"

/* What a drill and the bench conclude from what they saw: each thing that can be wrong turns exactly its check red. */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- A story's verdict ---- */

static void test_nothing_looked_at_is_no_success(void **state)
{
	struct story *r = story_new("drill", "a test");

	(void)state;
	assert_false(story_held(r));
	story_caution(r, "true all the same", "and no check");
	assert_int_equal(r->failed, 0);
	assert_true(story_check(r, 1, "held", "%d", 1));
	assert_true(story_held(r));
	assert_false(story_check(r, 0, "did not", "%d", 2));
	assert_false(story_held(r));
	assert_true(story_check(r, 1, "held again", "%d", 3));
	assert_false(story_held(r));
	free(r);
}

static void test_a_drill_that_stopped_did_not_hold(void **state)
{
	struct story *r = story_new("drill", "a test");

	(void)state;
	story_check(r, 1, "held", "%d", 1);
	story_stopped(r, err_fail(ERR_STALE, "no such\xff luck"));
	assert_false(story_held(r));
	assert_string_equal(r->check[1].what, "it could be played to the end");
	assert_string_equal(r->check[1].detail, "no such? luck");
	free(r);
}

/* More than there is room for is counted all the same: a failure is never lost. */
static void test_many_checks(void **state)
{
	struct story *r = story_new("drill", "a test");

	(void)state;
	for (int i = 0; i < STORY_MAX; i++)
		story_check(r, 1, "held", "%d", i);
	story_check(r, 0, "one too many", "%d", 0);
	assert_int_equal(r->checks, STORY_MAX);
	assert_false(story_held(r));
	free(r);
}

/* ---- The bench's ---- */

static const struct bench_kms wanted = {.files = 100000};

static struct bench_kms_result good_result(void)
{
	return (struct bench_kms_result){.audited = 1,
		.with = {.generated = 2, .decrypted = 4, .init_calls = 2, .client_calls = 4},
		.without = {.generated = 100001, .decrypted = 100002, .init_calls = 1, .client_calls = 200002}};
}

static struct story *judge(struct bench_kms_result *x)
{
	struct story *r = story_new("bench", "a test");

	bench_kms_tell(&wanted, x, r);
	return r;
}

static void test_the_bench_holds(void **state)
{
	struct bench_kms_result x = good_result();
	struct story *r = judge(&x);

	(void)state;
	assert_true(story_held(r));
	assert_int_equal(r->checks, 4);
	assert_true(x.reduction_percent > 99.997 && x.reduction_percent < 99.99701);
	assert_string_equal(r->figure[0].value, "99.9970 %");
	assert_string_equal(r->figure[0].note, "6 instead of 200003");
	free(r);
}

static const char *const bench_checks[] = {"With bucket keys the calls do not grow with the files",
	"Without them each file costs a call, and each read", "The KMS's audit trail and the mounts' counters agree",
	"The reduction is above 99.99 %"};

static void assert_red(struct bench_kms_result x, unsigned red)
{
	struct story *r = judge(&x);

	assert_false(story_held(r));
	assert_int_equal(r->checks, COUNT(bench_checks));
	for (size_t i = 0; i < COUNT(bench_checks); i++) {
		assert_string_equal(r->check[i].what, bench_checks[i]);
		assert_int_equal(r->check[i].mood, red >> i & 1 ? REPORT_BAD : REPORT_GOOD);
	}
	free(r);
}

static void test_the_bench_goes_red(void **state)
{
	struct bench_kms_result x;

	(void)state;
	x = good_result();
	x.with.decrypted = x.with.client_calls = 10;
	assert_red(x, 1);
	x = good_result();
	x.without.generated--;
	x.without.client_calls--;
	assert_red(x, 2);
	x = good_result();
	x.with.client_calls++;
	assert_red(x, 4);
	x = good_result();
	x.without.client_calls--;
	assert_red(x, 4);
	x = good_result();
	x.with.generated = 22;
	x.with.client_calls = 24;
	assert_red(x, 1 | 8);
}

/* ---- Trees ---- */

struct tree {
	char path[64], file[96], link[96];
	struct tree_sum before;
};

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int make_tree(void **state)
{
	struct tree *t = calloc(1, sizeof *t);

	assert_non_null(t);
	*state = t;
	strcpy(t->path, "/tmp/signetfs-test-tree-XXXXXX");
	assert_non_null(mkdtemp(t->path));
	snprintf(t->file, sizeof t->file, "%s/file", t->path);
	snprintf(t->link, sizeof t->link, "%s/link", t->path);
	put(t->file, "content");
	return symlink("target", t->link);
}

static int drop_tree(void **state)
{
	struct tree *t = *state;

	unlink(t->file);
	unlink(t->link);
	rmdir(t->path);
	free(t);
	return 0;
}

static int changed(struct tree *t, int whole)
{
	struct tree_sum now;

	assert_int_equal(tree_digest(t->path, whole, &now), ERR_OK);
	int same = tree_same(&t->before, &now);
	t->before = now;
	return !same;
}

static void test_a_tree_that_changed(void **state)
{
	struct tree *t = *state;
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1, .tv_nsec = 1}};

	assert_true(changed(t, 0));
	assert_false(changed(t, 0));
	assert_int_equal(t->before.files, 1);
	assert_int_equal(t->before.others, 1);
	assert_int_equal(t->before.bytes, 7);
	put(t->file, "Content");
	assert_true(changed(t, 0));
	assert_int_equal(chmod(t->file, 0640), 0);
	assert_true(changed(t, 0));
	assert_int_equal(unlink(t->link) | symlink("targeT", t->link), 0);
	assert_true(changed(t, 0));
	assert_int_equal(utimensat(AT_FDCWD, t->file, times, 0), 0);
	assert_false(changed(t, 0));
	assert_true(changed(t, 1));
	assert_false(changed(t, 1));
	put(t->file, "Content");
	assert_true(changed(t, 1));
	assert_int_equal(unlink(t->link), 0);
	assert_true(changed(t, 0));
}

static void test_a_tree_that_is_not_there(void **state)
{
	struct tree_sum sum;

	(void)state;
	assert_int_equal(tree_digest("/tmp/signetfs-test-tree-none", 0, &sum), ERR_SYSTEM);
}

/* ---- Traces ---- */

static void test_traces_of_a_key(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	struct traces t;
	struct traces_found found;
	uint64_t next;

	keystore_new_key(k, id, arn);
	assert_int_equal(traces_remember(k->path, arn, &t), ERR_OK);
	assert_int_equal(t.count, 1);
	assert_int_equal(traces_search(&t, k->path, &found), ERR_OK);
	assert_true(found.pieces >= t.len[0] / TRACES_PIECE);
	assert_non_null(strstr(found.where, strrchr(k->path, '/') + 1));
	keystore_do(k, "ScheduleKeyDeletion", "{'KeyId': '%s', 'PendingWindowInDays': 7}", id);
	clock_fake_advance(&k->clock, UINT64_C(8) * 86400 * CLOCK_SECOND);
	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	assert_int_equal(traces_search(&t, k->path, &found), ERR_OK);
	assert_int_equal(found.pieces, 0);
	assert_string_equal(found.where, "");
	assert_int_equal(traces_remember(k->path, arn, &t), ERR_NOT_FOUND);
}

static void test_traces_of_nothing(void **state)
{
	struct keystore *k = *state;
	struct traces t = {.count = 0};
	struct traces_found found;

	assert_int_equal(traces_remember(k->path, "alias/none", &t), ERR_USAGE);
	assert_int_equal(traces_search(&t, "/tmp/signetfs-test-no-keystore", &found), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_looked_at_is_no_success),
		cmocka_unit_test(test_a_drill_that_stopped_did_not_hold),
		cmocka_unit_test(test_many_checks),
		cmocka_unit_test(test_the_bench_holds),
		cmocka_unit_test(test_the_bench_goes_red),
		cmocka_unit_test_setup_teardown(test_a_tree_that_changed, make_tree, drop_tree),
		cmocka_unit_test(test_a_tree_that_is_not_there),
		cmocka_unit_test_setup_teardown(test_traces_of_a_key, keystore_setup, keystore_teardown),
		cmocka_unit_test_setup_teardown(test_traces_of_nothing, keystore_setup, keystore_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
