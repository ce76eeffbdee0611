/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/customer/customer_key.h"
#include "tests/support/golden.h"
#include "tests/support/hex.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A key file in the place of a KMS (doc/format.md, "Customer-provided keys"), against what tests/golden/generate.py makes of the text. */

static char dir[] = "/tmp/signetfs-test-customer-XXXXXX", path[128];

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/key", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void put_key(uint8_t first)
{
	uint8_t key[KEY_SIZE];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(first + i);
	assert_int_equal(io_replace_file(AT_FDCWD, path, key, sizeof(key), 0600), ERR_OK);
}

static struct kms *open_key(uint8_t first)
{
	struct kms *kms = NULL;

	put_key(first);
	assert_int_equal(customer_key_open(path, &kms), ERR_OK);
	return kms;
}

static struct kms_context context_of(const char *purpose)
{
	struct kms_context c = {.count = 2, .pair = {{.name = "signetfs:volume"}, {.name = "signetfs:purpose"}}};

	encode_uuid(golden_volume_id, c.pair[0].value);
	snprintf(c.pair[1].value, sizeof(c.pair[1].value), "%s", purpose);
	return c;
}

static void it_opens_what_the_second_implementation_wrapped(void **state)
{
	struct kms_wrapped_key wrapped = {.blob_len = 73};
	struct kms_context volume = context_of("volume"), other = context_of("other");
	struct kms *kms = open_key(0x60);
	uint8_t key[KEY_SIZE];
	size_t len;
	char *text = (char *)golden_read("v1-customer-key.txt", &len), *hex = strchr(text, '\n');

	(void)state;
	*hex++ = '\0';
	assert_string_equal(customer_key_arn(kms), text);
	snprintf(wrapped.key_arn, sizeof(wrapped.key_arn), "%s", text);
	assert_int_equal(hex_parse(hex, wrapped.blob, sizeof(wrapped.blob)), 73);
	assert_int_equal(kms_decrypt_data_key(kms, &wrapped, &volume, key), ERR_OK);
	assert_memory_equal(key, golden_volume_key.b, KEY_SIZE);
	/* Elsewhere it does not open, nor changed in any byte, nor cut, nor longer. */
	assert_int_equal(kms_decrypt_data_key(kms, &wrapped, &other, key), ERR_KMS_INVALID_CIPHERTEXT);
	assert_int_equal(kms_decrypt_data_key(kms, &wrapped, NULL, key), ERR_KMS_INVALID_CIPHERTEXT);
	for (size_t i = 0; i < wrapped.blob_len; i++) {
		wrapped.blob[i] ^= 0x40;
		assert_int_equal(kms_decrypt_data_key(kms, &wrapped, &volume, key), ERR_KMS_INVALID_CIPHERTEXT);
		wrapped.blob[i] ^= 0x40;
	}
	wrapped.blob_len = 72;
	assert_int_equal(kms_decrypt_data_key(kms, &wrapped, &volume, key), ERR_KMS_INVALID_CIPHERTEXT);
	wrapped.blob_len = 74;
	assert_int_equal(kms_decrypt_data_key(kms, &wrapped, &volume, key), ERR_KMS_INVALID_CIPHERTEXT);
	free(text);
	kms_close(kms);
}

static void each_operation_gives_what_decrypt_opens(void **state)
{
	struct kms_context c = context_of("volume");
	struct kms_wrapped_key made, encrypted, again;
	struct kms *kms = open_key(1);
	uint8_t key[KEY_SIZE], out[KEY_SIZE];
	const char *arn = customer_key_arn(kms);

	(void)state;
	assert_int_equal(kms_generate_data_key(kms, arn, &c, key, &made), ERR_OK);
	assert_int_equal(kms_encrypt_data_key(kms, arn, &c, key, &encrypted), ERR_OK);
	assert_int_equal(kms_re_encrypt_data_key(kms, &made, &c, arn, &again), ERR_OK);
	for (const struct kms_wrapped_key *w = &made;; w = w == &made ? &encrypted : &again) {
		memset(out, 0, sizeof(out));
		assert_string_equal(w->key_arn, arn);
		assert_int_equal(kms_decrypt_data_key(kms, w, &c, out), ERR_OK);
		assert_memory_equal(out, key, KEY_SIZE);
		if (w == &again)
			break;
	}
	assert_memory_not_equal(made.blob, encrypted.blob, made.blob_len);
	assert_memory_not_equal(made.blob, again.blob, made.blob_len);
	assert_int_equal(kms_generate_data_key(kms, "alias/x", &c, out, &again), ERR_KMS_KEY_UNAVAILABLE);
	char described[KMS_ARN_MAX + 1];
	assert_int_equal(kms_key_arn(kms, arn, described), ERR_KMS_UNSUPPORTED_OPERATION);
	kms_close(kms);
}

/* The file is read for every call: what is there then counts, and never another key than at first. */
static void the_file_is_looked_at_each_time(void **state)
{
	struct kms_context c = context_of("volume");
	struct kms_wrapped_key made, no;
	struct kms *kms = open_key(1);
	uint8_t key[KEY_SIZE], out[KEY_SIZE];

	(void)state;
	assert_int_equal(kms_generate_data_key(kms, customer_key_arn(kms), &c, key, &made), ERR_OK);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(kms_decrypt_data_key(kms, &made, &c, out), ERR_KMS_UNREACHABLE);
	put_key(2);
	assert_int_equal(kms_decrypt_data_key(kms, &made, &c, out), ERR_KMS_KEY_UNAVAILABLE);
	assert_int_equal(kms_generate_data_key(kms, customer_key_arn(kms), &c, out, &no), ERR_KMS_KEY_UNAVAILABLE);
	put_key(1);
	assert_int_equal(chmod(path, 0604), 0);
	assert_int_equal(kms_decrypt_data_key(kms, &made, &c, out), ERR_KMS_UNREACHABLE);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, 31), 0);
	assert_int_equal(kms_decrypt_data_key(kms, &made, &c, out), ERR_KMS_UNREACHABLE);
	put_key(1);
	assert_int_equal(kms_decrypt_data_key(kms, &made, &c, out), ERR_OK);
	assert_memory_equal(out, key, KEY_SIZE);
	kms_close(kms);
}

static void a_file_that_is_no_key_is_refused_at_once(void **state)
{
	struct kms *kms = NULL;

	(void)state;
	unlink(path);
	assert_int_equal(customer_key_open(path, &kms), ERR_NOT_FOUND);
	put_key(1);
	assert_int_equal(truncate(path, 31), 0);
	assert_int_equal(customer_key_open(path, &kms), ERR_USAGE);
	assert_int_equal(customer_key_open(dir, &kms), ERR_USAGE);
	assert_int_equal(customer_key_open("key", &kms), ERR_USAGE);
	put_key(1);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(customer_key_open(path, &kms), ERR_USAGE);
	assert_null(kms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_opens_what_the_second_implementation_wrapped),
		cmocka_unit_test(each_operation_gives_what_decrypt_opens),
		cmocka_unit_test(the_file_is_looked_at_each_time),
		cmocka_unit_test(a_file_that_is_no_key_is_refused_at_once),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
