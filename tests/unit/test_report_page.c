/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/report/internal.h"
#include "kms/base/io.h"
#include "kms/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char root[] = "/tmp/signetfs-test-report-XXXXXX";
static char page_path[128];
static char *page;

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	snprintf(page_path, sizeof page_path, "%s/page.html", root);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(page_path);
	return rmdir(root);
}

static int forget_page(void **state)
{
	(void)state;
	secret_free(page);
	page = NULL;
	return 0;
}

static struct report *begin(void)
{
	struct report *r = NULL;

	assert_int_equal(report_begin("A title", NULL, &r), ERR_OK);
	return r;
}

static void end(struct report *r)
{
	uint8_t *buf = NULL;
	size_t len;

	assert_int_equal(report_end(r, page_path), ERR_OK);
	assert_int_equal(io_read_file(AT_FDCWD, page_path, 1 << 20, &buf, &len), ERR_OK);
	page = (char *)buf;
}

static unsigned occurrences(const char *text)
{
	unsigned n = 0;

	for (const char *p = page; (p = strstr(p, text)); p += strlen(text))
		n++;
	return n;
}

static void text_is_never_markup(void **state)
{
	static const char hostile[] = "</td><script>alert(\"1\")</script> & 'x' \x01 \xff \xe2\x80\xae \xef\xbf\xbf";
	static const char safe[] =
		"&lt;/td&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39; ? ? ? ?";
	const char *heads[] = {hostile}, *cells[] = {hostile};
	const double x[] = {0}, y[] = {1};
	const struct report_series lines = {hostile, x, y, 1}, bars = {hostile, NULL, y, 1};
	const struct report_event event = {0, REPORT_BAD, hostile, hostile};
	const struct report_span span = {0, 1, REPORT_GOOD, hostile, hostile};
	const struct report_check check = {REPORT_GOOD, hostile, hostile};
	const struct report_figure figure = {hostile, hostile, hostile};
	struct report *r;

	(void)state;
	assert_int_equal(report_begin(hostile, hostile, &r), ERR_OK);
	report_section(r, hostile, hostile);
	report_text(r, "%s", hostile);
	report_figures(r, &figure, 1);
	report_verdict(r, REPORT_BAD, hostile, &check, 1);
	report_table(r, &(struct report_table){hostile, 1, 1, heads, cells, NULL});
	report_chart(r, &(struct report_chart){REPORT_LINES, hostile, hostile, hostile, hostile, 0, NULL, &lines, 1});
	report_chart(r, &(struct report_chart){REPORT_BARS, hostile, hostile, NULL, hostile, 1, cells, &bars, 1});
	report_timeline(r, &(struct report_timeline){hostile, hostile, &event, 1, &span, 1});
	end(r);
	assert_int_equal(occurrences("<script"), 0);
	assert_int_equal(occurrences("\xe2\x80\xae"), 0);
	assert_true(occurrences(safe) > 30);
	/* Cut labels, too, end inside their own text. */
	assert_int_equal(occurrences("<title>"), occurrences("</title>") - occurrences("<title id="));
}

/* Labels end at the axis: a long one may not begin before the picture does. */
static void a_large_number_is_not_cut(void **state)
{
	const double x[] = {0, 1}, y[] = {1, 200000};
	const struct report_series lines = {"calls", x, y, 2};
	struct report *r = begin();
	const char *text, *label = NULL;

	(void)state;
	report_chart(r, &(struct report_chart){REPORT_LINES, "t", "d", "x", "y", 1, NULL, &lines, 1});
	end(r);
	const char *number = strstr(page, ">1,000,000</text>");
	assert_non_null(number);
	for (text = page; (text = strstr(text, "<text x='")) && text < number; text++)
		label = text + strlen("<text x='");
	assert_non_null(label);
	assert_true(strtod(label, NULL) >= markup_width("1,000,000"));
}

static void a_page_fetches_nothing(void **state)
{
	struct report *r = begin();

	(void)state;
	report_section(r, "Heading", "Text");
	end(r);
	assert_int_equal(occurrences("default-src 'none'"), 1);
	assert_int_equal(occurrences("prefers-color-scheme:dark"), 1);
	assert_int_equal(occurrences("http://www.w3.org/1999/xhtml"), 1);
	assert_int_equal(occurrences("http"), 2); /* the name space above and http-equiv */
	assert_int_equal(occurrences("url("), 0);
	assert_int_equal(occurrences("@import"), 0);
	assert_int_equal(occurrences("<script"), 0);
	assert_int_equal(occurrences("src="), 0);
}

static void lines_begin_and_end_in_the_corners(void **state)
{
	const double x[] = {0, 5, 10}, y[] = {0, 20, 100};
	const struct report_series series = {"calls", x, y, 3};
	struct report *r = begin();

	(void)state;
	report_chart(r, &(struct report_chart){REPORT_LINES, "T", "D", "s", "calls", 0, NULL, &series, 1});
	report_chart(r, &(struct report_chart){REPORT_STEPS, "T", "D", "s", "calls", 0, NULL, &series, 1});
	end(r);
	/* 80 … 742 across, 274 … 30 up, as in the header of the file; in the middle a fifth of the height. */
	assert_int_equal(occurrences("d='M80.0 274.0L411.0 225.2L742.0 30.0'"), 1);
	assert_int_equal(occurrences("d='M80.0 274.0H411.0V225.2H742.0V30.0'"), 1);
	assert_int_equal(occurrences("id='t1'"), 1);
	assert_int_equal(occurrences("id='d2'"), 1);
	assert_int_equal(occurrences("aria-labelledby='t2 d2'"), 1);
}

static void bars_have_their_values(void **state)
{
	const char *const names[] = {"Decrypt", "GenerateDataKey", "nothing"};
	const double with[] = {2, 2, 0}, without[] = {8375, 8376, 0};
	const struct report_series series[] = {{"with", NULL, with, 3}, {"without", NULL, without, 3}};
	struct report *r = begin();

	(void)state;
	report_chart(r, &(struct report_chart){REPORT_BARS, "T", "D", NULL, "calls", 1, names, series, 2});
	end(r);
	assert_int_equal(occurrences("<rect class='s0 fill'"), 1 + 2); /* the key and two bars: nothing has none */
	assert_int_equal(occurrences(">8,376</text>"), 1);
	assert_int_equal(occurrences("<td class='r'>8,376</td>"), 1);
	assert_int_equal(occurrences("calls (logarithmic)"), 1);
}

static void events_that_meet_are_stacked(void **state)
{
	const struct report_event events[] = {
		{1, REPORT_PLAIN, "one", NULL}, {1.01, REPORT_GOOD, "two", "more"}, {9, REPORT_BAD, "three", NULL}};
	struct report *r = begin();

	(void)state;
	report_timeline(r, &(struct report_timeline){"T", "D", events, 3, NULL, 0});
	end(r);
	assert_int_equal(occurrences(" cy='62.0' r='11'"), 2);
	assert_int_equal(occurrences(" cy='36.0' r='11'"), 1);
	assert_int_equal(occurrences("<td class='r'>1.01</td>"), 1);
}

static void nothing_to_draw_is_no_error(void **state)
{
	const struct report_series none = {"none", NULL, NULL, 0};
	const double zero[] = {0};
	const struct report_series flat = {"flat", zero, zero, 1};
	struct report *r = begin();

	(void)state;
	report_chart(r, &(struct report_chart){REPORT_LINES, "T", "D", "s", "n", 0, NULL, &none, 1});
	report_chart(r, &(struct report_chart){REPORT_LINES, "T", "D", "s", "n", 0, NULL, NULL, 0});
	report_chart(r, &(struct report_chart){REPORT_LINES, "T", "D", "s", "n", 1, NULL, &flat, 1});
	report_timeline(r, &(struct report_timeline){"T", "D", NULL, 0, NULL, 0});
	end(r);
	assert_int_equal(occurrences("<svg"), 2);
	assert_int_equal(occurrences("nan"), 0);
	assert_int_equal(occurrences("inf"), 0);
}

static void a_page_replaces_another_or_leaves_it(void **state)
{
	struct stat st;
	struct report *r = begin();
	char where[160];

	(void)state;
	end(r);
	assert_int_equal(stat(page_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(where, sizeof where, "%s/none/page.html", root);
	assert_int_equal(report_end(begin(), where), ERR_SYSTEM);
	assert_int_equal(err_errno(), ENOENT);
	assert_non_null(strstr(err_text(ERR_SYSTEM), where));
	report_drop(begin());
	report_drop(NULL);
}

static void numbers_are_for_people(void **state)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {{0, "0"}, {7, "7"}, {999, "999"}, {1000, "1,000"}, {8376, "8,376"}, {1234567, "1,234,567"},
		{0.25, "0.25"}, {99.96, "100"}, {12.345, "12.3"}, {0.00001, "1e-05"}, {1e20, "1e+20"},
		{1234.5, "1,234"}};
	char out[REPORT_NUMBER_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		report_number(cases[i].value, out);
		assert_string_equal(out, cases[i].text);
	}
}

static void scales_are_round(void **state)
{
	struct scale s = {.start = 0, .end = 100};

	(void)state;
	scale_fit(&s, 0, 97, 0);
	assert_int_equal(s.count, 6);
	assert_true(s.from == 0 && s.to == 100 && s.tick[1] == 20);
	scale_fit(&s, 2, 8376, 1);
	assert_int_equal(s.count, 5);
	assert_true(s.from == 1 && s.to == 10000 && s.tick[2] == 100);
	assert_true(scale_place(&s, 100) == 50 && scale_place(&s, 0) == 0 && scale_place(&s, 1e9) == 100);
	scale_fit(&s, 0, 0, 1);
	assert_true(s.from == 0 && s.to >= 1 && !s.logarithmic);
	scale_fit(&s, 1e-9, 1e12, 1);
	assert_true(s.count <= SCALE_TICKS && s.to >= 1e12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(text_is_never_markup, forget_page),
		cmocka_unit_test_teardown(a_page_fetches_nothing, forget_page),
		cmocka_unit_test_teardown(lines_begin_and_end_in_the_corners, forget_page),
		cmocka_unit_test_teardown(bars_have_their_values, forget_page),
		cmocka_unit_test_teardown(a_large_number_is_not_cut, forget_page),
		cmocka_unit_test_teardown(events_that_meet_are_stacked, forget_page),
		cmocka_unit_test_teardown(nothing_to_draw_is_no_error, forget_page),
		cmocka_unit_test_teardown(a_page_replaces_another_or_leaves_it, forget_page),
		cmocka_unit_test(numbers_are_for_people),
		cmocka_unit_test(scales_are_round),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
