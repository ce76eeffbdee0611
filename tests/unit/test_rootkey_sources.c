/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/io.h"
#include "kms/rootkey/rootkey.h"
#include "kms/rootkey/words.h"
#include "tests/support/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct kdf_scrypt_params cheap = {16384, 1, 1};
static char dir[] = "/tmp/signetfs-test-rootkey-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

/* Write a file and return "PREFIX:PATH" for it, valid until the next call. */
static const char *spec_of_file(const char *prefix, const void *content, size_t len, mode_t mode)
{
	static char spec[200];
	char path[100];

	snprintf(path, sizeof(path), "%s/secret", dir);
	assert_int_equal(io_replace_file(AT_FDCWD, path, content, len, mode), ERR_OK);
	snprintf(spec, sizeof(spec), "%s:%s", prefix, path);
	return spec;
}

static enum err create(const char *text, struct rootkey_params *params, struct root_key *key)
{
	struct rootkey_spec spec;

	assert_int_equal(rootkey_parse(text, &spec), ERR_OK);
	return rootkey_create(&spec, "a keystore", &cheap, params, key);
}

static enum err obtain(const char *text, const struct rootkey_params *params, struct root_key *key)
{
	struct rootkey_spec spec;

	assert_int_equal(rootkey_parse(text, &spec), ERR_OK);
	return rootkey_obtain(&spec, "a keystore", params, key);
}

static void specs_are_parsed(void **state)
{
	static const char *const bad[] = {"", "pass", "passphrase:", "passphrases", "passfile",
		"passfile:", "keyfile:", "keyfile", "command:", "Passphrase", " passphrase", "file:/x"};
	struct rootkey_spec spec;

	(void)state;
	assert_int_equal(rootkey_parse("passphrase", &spec), ERR_OK);
	assert_int_equal(spec.source, ROOTKEY_PASSPHRASE);
	assert_int_equal(rootkey_parse("passfile:/a b", &spec), ERR_OK);
	assert_int_equal(spec.source, ROOTKEY_PASSFILE);
	assert_string_equal(spec.argument, "/a b");
	assert_int_equal(rootkey_parse("keyfile:k", &spec), ERR_OK);
	assert_int_equal(spec.source, ROOTKEY_KEYFILE);
	assert_int_equal(rootkey_parse("command:echo a:b", &spec), ERR_OK);
	assert_int_equal(spec.source, ROOTKEY_COMMAND);
	assert_string_equal(spec.argument, "echo a:b");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(rootkey_parse(bad[i], &spec), ERR_USAGE);
		assert_non_null(strstr(err_text(ERR_USAGE), "passfile:PATH"));
	}
	assert_string_equal(spec.argument, "echo a:b");
}

static void words_give_one_key_whatever_their_source(void **state)
{
	struct rootkey_params params;
	struct root_key a, b;

	(void)state;
	assert_int_equal(create(spec_of_file("passfile", "open sesame\nsecond line", 23, 0600), &params, &a), ERR_OK);
	assert_int_equal(params.kind, ROOTKEY_KIND_SCRYPT);
	assert_int_equal(obtain(spec_of_file("passfile", "open sesame\r\n", 13, 0400), &params, &b), ERR_OK);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(obtain(spec_of_file("passfile", "open sesame", 11, 0600), &params, &b), ERR_OK);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(obtain("command:echo open sesame", &params, &b), ERR_OK);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(obtain("command:echo open Sesame", &params, &b), ERR_OK);
	assert_memory_not_equal(&a, &b, sizeof(a));
}

static void every_keystore_has_its_salt(void **state)
{
	struct rootkey_params p, q;
	struct root_key a, b;

	(void)state;
	assert_int_equal(create("command:echo x", &p, &a), ERR_OK);
	assert_int_equal(create("command:echo x", &q, &b), ERR_OK);
	assert_memory_not_equal(p.salt, q.salt, sizeof(p.salt));
	assert_memory_not_equal(&a, &b, sizeof(a));
}

static void derivations_are_pinned(void **state)
{
	struct rootkey_params scrypt = {.kind = ROOTKEY_KIND_SCRYPT, .scrypt = cheap};
	struct rootkey_params hkdf = {.kind = ROOTKEY_KIND_HKDF};
	struct root_key key;

	(void)state;
	memset(scrypt.salt, 0x11, sizeof(scrypt.salt));
	memset(hkdf.salt, 0x22, sizeof(hkdf.salt));
	assert_int_equal(obtain("command:echo open sesame", &scrypt, &key), ERR_OK);
	assert_hex(&key, 32, "cdb0c024be6915cb5050b8e6e5931201d1b1561f96b22954881dd6b30ba0e12a");
	assert_int_equal(
		obtain(spec_of_file("keyfile", "0123456789abcdef0123456789ABCDEF", 32, 0600), &hkdf, &key), ERR_OK);
	assert_hex(&key, 32, "a73c3e872851d1fbaa9457de6500e9fdd5ec6d207d003a86c6fbf810b6de7cfb");
}

static void key_files_are_raw_or_hexadecimal(void **state)
{
	static const char raw[] = "0123456789abcdef0123456789ABCDEF";
	static const char hex[] = "3031323334353637383961626364656630313233343536373839414243444546";
	static const char *const same[] = {hex, "3031323334353637383961626364656630313233343536373839414243444546\n",
		"3031323334353637383961626364656630313233343536373839414243444546\r\n",
		"3031323334353637383961626364656630313233343536373839414243444546"};
	struct rootkey_params params;
	struct root_key a, b;

	(void)state;
	assert_int_equal(create(spec_of_file("keyfile", raw, 32, 0600), &params, &a), ERR_OK);
	assert_int_equal(params.kind, ROOTKEY_KIND_HKDF);
	assert_int_equal(params.scrypt.n, 0);
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_int_equal(obtain(spec_of_file("keyfile", same[i], strlen(same[i]), 0600), &params, &b), ERR_OK);
		assert_memory_equal(&a, &b, sizeof(a));
	}
	assert_int_equal(
		obtain(spec_of_file("keyfile", "0123456789abcdef0123456789ABCDEf", 32, 0600), &params, &b), ERR_OK);
	assert_memory_not_equal(&a, &b, sizeof(a));
}

static void other_key_files_are_refused(void **state)
{
	static const char text[] = "3031323334353637383961626364656630313233343536373839414243444546\n\nx";
	static const size_t lens[] = {0, 1, 31, 33, 63, 66, 67};
	struct rootkey_params params = {.kind = ROOTKEY_KIND_HKDF};
	struct root_key key = {{42}};

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		assert_int_equal(obtain(spec_of_file("keyfile", text, lens[i], 0600), &params, &key), ERR_FORMAT);
	assert_int_equal(obtain(spec_of_file("keyfile",
					"303132333435363738396162636465663031323334353637383941424344454g", 64, 0600),
				 &params, &key),
		ERR_FORMAT);
	assert_int_equal(key.b[0], 42);
}

static void files_open_to_others_are_refused(void **state)
{
	static const mode_t modes[] = {0640, 0620, 0610, 0604, 0602, 0601, 0644, 0666};
	struct rootkey_params params;
	struct root_key key;

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(create(spec_of_file("keyfile", "0123456789abcdef0123456789ABCDEF", 32, modes[i]),
					 &params, &key),
			ERR_USAGE);
		assert_non_null(strstr(err_text(ERR_USAGE), "chmod 600 '"));
		assert_int_equal(create(spec_of_file("passfile", "x", 1, modes[i]), &params, &key), ERR_USAGE);
	}
}

static void files_of_other_users_are_refused(void **state)
{
	struct rootkey_params params;
	struct root_key key;
	const char *spec = spec_of_file("keyfile", "0123456789abcdef0123456789ABCDEF", 32, 0600);

	(void)state;
	if (geteuid() != 0) {
		printf("skip: giving a file away takes root\n");
		skip();
	}
	assert_int_equal(chown(strchr(spec, ':') + 1, 12345, 12345), 0);
	assert_int_equal(create(spec, &params, &key), ERR_USAGE);
	assert_non_null(strstr(err_text(ERR_USAGE), "12345"));
}

static void missing_files_and_directories(void **state)
{
	struct rootkey_params params;
	struct root_key key;
	char spec[100];

	(void)state;
	assert_int_equal(create("keyfile:/nonexistent/key", &params, &key), ERR_NOT_FOUND);
	assert_non_null(strstr(err_text(ERR_NOT_FOUND), "/nonexistent/key does not exist"));
	snprintf(spec, sizeof(spec), "passfile:%s", dir);
	assert_int_equal(create(spec, &params, &key), ERR_USAGE);
}

static void bad_words_are_refused(void **state)
{
	static char big[1100];
	struct rootkey_params params;
	struct root_key key;

	(void)state;
	memset(big, 'w', sizeof(big));
	assert_int_equal(create(spec_of_file("passfile", "", 0, 0600), &params, &key), ERR_USAGE);
	assert_int_equal(create(spec_of_file("passfile", "\nx", 2, 0600), &params, &key), ERR_USAGE);
	assert_int_equal(create(spec_of_file("passfile", "\r\n", 2, 0600), &params, &key), ERR_USAGE);
	assert_int_equal(create(spec_of_file("passfile", "a\0b", 3, 0600), &params, &key), ERR_FORMAT);
	assert_int_equal(create(spec_of_file("passfile", big, ROOTKEY_PASSPHRASE_MAX, 0600), &params, &key), ERR_OK);
	assert_int_equal(
		create(spec_of_file("passfile", big, ROOTKEY_PASSPHRASE_MAX + 1, 0600), &params, &key), ERR_LIMIT);
	assert_int_equal(create(spec_of_file("passfile", big, sizeof(big), 0600), &params, &key), ERR_LIMIT);
}

static void commands_that_fail(void **state)
{
	struct rootkey_params params;
	struct root_key key;

	(void)state;
	assert_int_equal(create("command:echo words; exit 3", &params, &key), ERR_SYSTEM);
	assert_non_null(strstr(err_text(ERR_SYSTEM), "exit status 3"));
	assert_int_equal(create("command:echo words; kill -9 $$", &params, &key), ERR_SYSTEM);
	assert_non_null(strstr(err_text(ERR_SYSTEM), "signal 9"));
	assert_int_equal(create("command:true", &params, &key), ERR_USAGE);
	assert_int_equal(create("command:cat", &params, &key), ERR_USAGE);
	assert_int_equal(create("command:head -c 2000 /dev/zero | tr '\\0' x", &params, &key), ERR_LIMIT);
	assert_int_equal(create("command:echo x; head -c 100000 /dev/zero", &params, &key), ERR_LIMIT);
}

static void a_command_may_leave_a_process_behind(void **state)
{
	struct rootkey_params params;
	struct root_key key;

	(void)state;
	assert_int_equal(create("command:sleep 3 & echo words", &params, &key), ERR_OK);
}

static void a_slow_command_is_given_up(void **state)
{
	struct words *w = words_new();

	(void)state;
	assert_int_equal(command_run("echo words; sleep 3", 200, w), ERR_SYSTEM);
	assert_int_equal(err_errno(), ETIMEDOUT);
	assert_non_null(strstr(err_text(ERR_SYSTEM), "did not end in time"));
	secret_free(w);
}

/* Gone, or dead and waiting for whoever inherited it. */
static int has_ended(long pid)
{
	char path[64], line[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return 1;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	return line[0] == '\0' || strstr(line, ") Z ") != NULL;
}

/* What the command's shell had started must not go on for ever, holding the secret that it fetched. */
static void giving_up_ends_the_whole_command(void **state)
{
	struct words *w = words_new();
	char command[256];
	long pid = 0;
	FILE *f;

	(void)state;
	snprintf(command, sizeof(command), "(sleep 300; :) & echo $! > '%s/pid'; wait; :", dir);
	assert_int_equal(command_run(command, 500, w), ERR_SYSTEM);
	assert_int_equal(err_errno(), ETIMEDOUT);
	snprintf(command, sizeof(command), "%s/pid", dir);
	f = fopen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld", &pid), 1);
	fclose(f);
	for (int i = 0; i < 100 && !has_ended(pid); i++)
		usleep(20000);
	assert_true(has_ended(pid));
	secret_free(w);
}

static void the_other_kind_is_refused(void **state)
{
	struct rootkey_params scrypt = {.kind = ROOTKEY_KIND_SCRYPT, .scrypt = cheap};
	struct rootkey_params hkdf = {.kind = ROOTKEY_KIND_HKDF};
	struct root_key key;

	(void)state;
	assert_int_equal(obtain("keyfile:/x", &scrypt, &key), ERR_USAGE);
	assert_non_null(strstr(err_text(ERR_USAGE), "passphrase"));
	assert_int_equal(obtain("command:echo x", &hkdf, &key), ERR_USAGE);
	assert_non_null(strstr(err_text(ERR_USAGE), "keyfile:PATH"));
}

static void params_survive_their_encoding(void **state)
{
	struct rootkey_params p = {.kind = ROOTKEY_KIND_SCRYPT, .scrypt = {65536, 8, 2}}, q;
	uint8_t buf[ROOTKEY_PARAMS_SIZE];

	(void)state;
	memset(p.salt, 0xab, sizeof(p.salt));
	rootkey_params_encode(&p, buf);
	assert_hex(buf, sizeof(buf),
		"01010000 abababababababababababababababababababababababababababababababab"
		"0000010000000000 08000000 02000000");
	assert_int_equal(rootkey_params_decode(buf, sizeof(buf), &q), ERR_OK);
	assert_memory_equal(p.salt, q.salt, sizeof(p.salt));
	assert_true(q.kind == p.kind && q.scrypt.n == 65536 && q.scrypt.r == 8 && q.scrypt.p == 2);
}

static void damaged_params_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum err e;
	} cases[] = {
		{0, 2, ERR_UNSUPPORTED},
		{0, 0, ERR_UNSUPPORTED},
		{1, 0, ERR_UNSUPPORTED},
		{1, 3, ERR_UNSUPPORTED},
		{1, 2, ERR_FORMAT},
		{2, 1, ERR_FORMAT},
		{3, 1, ERR_FORMAT},
		{36, 1, ERR_LIMIT},
		{43, 1, ERR_LIMIT},
		{44, 0, ERR_LIMIT},
		{44, 33, ERR_LIMIT},
		{47, 1, ERR_LIMIT},
		{48, 0, ERR_LIMIT},
		{48, 17, ERR_LIMIT},
	};
	struct rootkey_params p = {.kind = ROOTKEY_KIND_SCRYPT, .scrypt = {65536, 8, 1}}, q;
	uint8_t buf[ROOTKEY_PARAMS_SIZE + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rootkey_params_encode(&p, buf);
		buf[cases[i].at] = cases[i].value;
		assert_int_equal(rootkey_params_decode(buf, ROOTKEY_PARAMS_SIZE, &q), cases[i].e);
	}
	rootkey_params_encode(&p, buf);
	for (size_t len = 0; len < ROOTKEY_PARAMS_SIZE; len++)
		assert_int_equal(rootkey_params_decode(buf, len, &q), ERR_FORMAT);
	assert_int_equal(rootkey_params_decode(buf, ROOTKEY_PARAMS_SIZE + 1, &q), ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(specs_are_parsed),
		cmocka_unit_test(words_give_one_key_whatever_their_source),
		cmocka_unit_test(every_keystore_has_its_salt),
		cmocka_unit_test(derivations_are_pinned),
		cmocka_unit_test(key_files_are_raw_or_hexadecimal),
		cmocka_unit_test(other_key_files_are_refused),
		cmocka_unit_test(files_open_to_others_are_refused),
		cmocka_unit_test(files_of_other_users_are_refused),
		cmocka_unit_test(missing_files_and_directories),
		cmocka_unit_test(bad_words_are_refused),
		cmocka_unit_test(commands_that_fail),
		cmocka_unit_test(a_command_may_leave_a_process_behind),
		cmocka_unit_test(a_slow_command_is_given_up),
		cmocka_unit_test(giving_up_ends_the_whole_command),
		cmocka_unit_test(the_other_kind_is_refused),
		cmocka_unit_test(params_survive_their_encoding),
		cmocka_unit_test(damaged_params_are_refused),
	};

	return cmocka_run_group_tests_name("rootkey_sources", tests, set_up, tear_down);
}
