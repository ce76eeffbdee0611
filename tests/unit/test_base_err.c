/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/err.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int is_code(int e)
{
	return (e <= 0 && e >= -20) || (e <= -30 && e >= -32) || (e <= -100 && e >= -136) || e == -199;
}

static void every_code_has_a_name_and_nothing_else_has(void **state)
{
	(void)state;
	for (int e = 3; e >= -250; e--) {
		int named = strncmp(err_name((enum err)e), "ERR_", 4) == 0 &&
			    strcmp(err_name((enum err)e), "ERR_UNKNOWN") != 0;

		assert_int_equal(named, is_code(e));
	}
	assert_string_equal(err_name(ERR_TAMPERED), "ERR_TAMPERED");
	assert_string_equal(err_name(ERR_KMS_CUSTOM_KEY_STORE_NOT_FOUND), "ERR_KMS_CUSTOM_KEY_STORE_NOT_FOUND");
}

static void every_failure_has_an_errno_and_a_status(void **state)
{
	(void)state;
	err_set_errno(ENXIO);
	for (int e = -1; e >= -250; e--) {
		int status = err_to_http_status((enum err)e);

		assert_true(err_to_errno((enum err)e) > 0);
		assert_true(status == 400 || status == 500 || status == 503);
	}
	assert_int_equal(err_to_errno(ERR_OK), 0);
	assert_int_equal(err_to_http_status(ERR_OK), 200);
}

static void errnos_are_the_documented_ones(void **state)
{
	static const struct {
		enum err e;
		int errnum;
	} table[] = {
		{ERR_TAMPERED, EIO},
		{ERR_FORMAT, EIO},
		{ERR_NO_MEMORY, ENOMEM},
		{ERR_UNSUPPORTED, EOPNOTSUPP},
		{ERR_USAGE, EINVAL},
		{ERR_BUSY, EBUSY},
		{ERR_NOT_FOUND, ENOENT},
		{ERR_EXISTS, EEXIST},
		{ERR_LIMIT, EOVERFLOW},
		{ERR_READ_ONLY, EROFS},
		{ERR_KMS_UNREACHABLE, EIO},
		{ERR_KMS_THROTTLING, EIO},
		{ERR_KMS_ACCESS_DENIED, EACCES},
		{ERR_KMS_DISABLED, EACCES},
		{ERR_KMS_INVALID_STATE, EACCES},
		{ERR_KMS_NOT_FOUND, EACCES},
		{ERR_KMS_KEY_UNAVAILABLE, EACCES},
		{ERR_KMS_INVALID_CIPHERTEXT, EIO},
		{ERR_KMS_INCORRECT_KEY, EIO},
		{ERR_KMS_OTHER, EIO},
		{ERR_KMS_WRONG_ANSWER, EIO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(err_to_errno(table[i].e), table[i].errnum);
}

static void exceptions_translate_both_ways(void **state)
{
	(void)state;
	for (int e = -100; e >= -136; e--)
		assert_int_equal(err_from_exception(err_to_exception((enum err)e)), e);
	assert_string_equal(err_to_exception(ERR_KMS_NOT_FOUND), "NotFoundException");
	assert_string_equal(err_to_exception(ERR_KMS_INVALID_STATE), "KMSInvalidStateException");
	assert_string_equal(err_to_exception(ERR_KMS_SIGNATURE_MISMATCH), "InvalidSignatureException");
	assert_string_equal(err_to_exception(ERR_KMS_INVALID_SIGNATURE), "KMSInvalidSignatureException");
	assert_string_equal(err_to_exception(ERR_SYSTEM), "KMSInternalException");
	assert_int_equal(err_to_http_status(ERR_KMS_NOT_FOUND), 400);
	assert_int_equal(err_to_http_status(ERR_KMS_KEY_UNAVAILABLE), 500);
	assert_int_equal(err_to_http_status(ERR_KMS_DEPENDENCY_TIMEOUT), 503);
	assert_int_equal(err_to_http_status(ERR_CRYPTO), 500);
}

static void exception_names_are_read_with_prefix_and_suffix(void **state)
{
	char endless[300];

	(void)state;
	assert_int_equal(err_from_exception("com.amazonaws.kms#DisabledException"), ERR_KMS_DISABLED);
	assert_int_equal(err_from_exception("TrentService.v2014#NotFoundException:http://x/#y"), ERR_KMS_NOT_FOUND);
	assert_int_equal(err_from_exception("MissingAuthenticationToken"), ERR_KMS_MISSING_AUTHENTICATION);
	assert_int_equal(err_from_exception("Throttling"), ERR_KMS_THROTTLING);
	assert_int_equal(err_from_exception("TeapotException"), ERR_KMS_OTHER);
	assert_int_equal(err_from_exception(""), ERR_KMS_OTHER);
	assert_int_equal(err_from_exception("#"), ERR_KMS_OTHER);
	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	assert_int_equal(err_from_exception(endless), ERR_KMS_OTHER);
}

static void text_belongs_to_its_code(void **state)
{
	(void)state;
	assert_int_equal(err_fail(ERR_FORMAT, "chunk %d", 7), ERR_FORMAT);
	assert_string_equal(err_text(ERR_FORMAT), "chunk 7");
	assert_string_equal(err_text(ERR_TAMPERED), "ERR_TAMPERED");
	assert_int_equal(err_wrap(ERR_FORMAT, "file %s", "x"), ERR_FORMAT);
	assert_string_equal(err_text(ERR_FORMAT), "file x: chunk 7");
	assert_int_equal(err_wrap(ERR_LIMIT, "alone"), ERR_LIMIT);
	assert_string_equal(err_text(ERR_LIMIT), "alone: ERR_LIMIT");
}

static void text_may_quote_the_text_it_replaces(void **state)
{
	(void)state;
	err_fail(ERR_FORMAT, "inner");
	err_fail(ERR_CONFIG, "outer(%s)", err_text(ERR_FORMAT));
	assert_string_equal(err_text(ERR_CONFIG), "outer(inner)");
}

static void text_is_cut_not_overrun(void **state)
{
	char big[4000];

	(void)state;
	memset(big, 'y', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_fail(ERR_FORMAT, "%s", big);
	assert_int_equal(strlen(err_text(ERR_FORMAT)), 1023);
	err_wrap(ERR_FORMAT, "%s", big);
	assert_int_equal(strlen(err_text(ERR_FORMAT)), 1023);
}

static void errno_is_kept(void **state)
{
	(void)state;
	errno = ENOSPC;
	assert_int_equal(err_system("writing %s", "f"), ERR_SYSTEM);
	assert_string_equal(err_text(ERR_SYSTEM), "writing f: No space left on device");
	errno = 0;
	assert_int_equal(err_to_errno(ERR_SYSTEM), ENOSPC);
	err_fail(ERR_FORMAT, "something else");
	assert_int_equal(err_errno(), ENOSPC);
	err_set_errno(ENAMETOOLONG);
	assert_int_equal(err_fail(ERR_SYSTEM, "name"), ERR_SYSTEM);
	assert_int_equal(err_to_errno(ERR_SYSTEM), ENAMETOOLONG);
}

static void *fail_elsewhere(void *arg)
{
	err_fail(ERR_BUSY, "other thread");
	return arg;
}

static void each_thread_has_its_text(void **state)
{
	pthread_t t;

	(void)state;
	err_fail(ERR_BUSY, "this thread");
	assert_int_equal(pthread_create(&t, NULL, fail_elsewhere, NULL), 0);
	pthread_join(t, NULL);
	assert_string_equal(err_text(ERR_BUSY), "this thread");
}

static void a_text_is_one_line_without_escapes(void **state)
{
	(void)state;
	(void)err_fail(ERR_KMS_ACCESS_DENIED, "no\x1b[31m\nsignetfs: ok\x7f \xc2\x9b \xc3\xa4");
	assert_string_equal(err_text(ERR_KMS_ACCESS_DENIED), "no?[31m?signetfs: ok? ?? \xc3\xa4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_a_name_and_nothing_else_has),
		cmocka_unit_test(every_failure_has_an_errno_and_a_status),
		cmocka_unit_test(errnos_are_the_documented_ones),
		cmocka_unit_test(exceptions_translate_both_ways),
		cmocka_unit_test(exception_names_are_read_with_prefix_and_suffix),
		cmocka_unit_test(text_belongs_to_its_code),
		cmocka_unit_test(text_may_quote_the_text_it_replaces),
		cmocka_unit_test(text_is_cut_not_overrun),
		cmocka_unit_test(a_text_is_one_line_without_escapes),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(each_thread_has_its_text),
	};

	return cmocka_run_group_tests_name("base_err", tests, NULL, NULL);
}
