/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include "kms/wire/networks.h"

static struct sockaddr_storage address(const char *text)
{
	struct sockaddr_storage a = {.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET};
	void *to = a.ss_family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)&a)->sin6_addr
					   : (void *)&((struct sockaddr_in *)&a)->sin_addr;

	assert_int_equal(inet_pton(a.ss_family, text, to), 1);
	return a;
}

static struct network network(const char *text)
{
	struct sockaddr_storage a = address(text);

	return network_of((struct sockaddr *)&a);
}

static void who_is_one_peer(void **state)
{
	static const struct {
		const char *a, *b;
		int same;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1", 1},
		{"192.0.2.1", "192.0.2.2", 0},
		{"::ffff:192.0.2.1", "192.0.2.1", 1},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.2", 0},
		{"2001:db8::1", "2001:db8::ffff:1:2", 1},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", 0},
		{"2001:db8:0:1::", "2001:db8:0:1:ffff:ffff:ffff:ffff", 1},
		{"::1", "::2", 1},
		{"::", "0.0.0.0", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct network a = network(cases[i].a), b = network(cases[i].b);

		if ((memcmp(&a, &b, sizeof(a)) == 0) != cases[i].same)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
	}
}

/* aws:SourceIp is compared with IPv4 ranges, so an IPv4 peer of a socket of both families has to read as one. */
static void addresses_as_text(void **state)
{
	static const char *const cases[][2] = {{"192.0.2.1", "192.0.2.1"}, {"::ffff:192.0.2.1", "192.0.2.1"},
		{"2001:db8::1", "2001:db8::1"}, {"::1", "::1"}};
	const struct sockaddr_un local = {.sun_family = AF_UNIX};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sockaddr_storage a = address(cases[i][0]);

		network_address((struct sockaddr *)&a, text, sizeof(text));
		assert_string_equal(text, cases[i][1]);
	}
	network_address((const struct sockaddr *)&local, text, sizeof(text));
	assert_string_equal(text, "local");
	network_address(NULL, text, sizeof(text));
	assert_string_equal(text, "local");
}

static void as_many_as_are_allowed(void **state)
{
	struct networks *n = networks_new();
	struct network one = network("2001:db8::1"), neighbour = network("2001:db8::2"), other = network("2001:db9::1");
	struct network local = network_of(NULL);

	(void)state;
	assert_non_null(n);
	assert_int_equal(networks_enter(n, &one, 2), 1);
	assert_int_equal(networks_enter(n, &neighbour, 2), 1);
	assert_int_equal(networks_enter(n, &one, 2), 0);
	assert_int_equal(networks_enter(n, &other, 2), 1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(networks_enter(n, &local, 2), 1);
	networks_leave(n, &neighbour);
	assert_int_equal(networks_enter(n, &one, 2), 1);
	networks_leave(n, &one);
	networks_leave(n, &one);
	networks_leave(n, &other);
	networks_free(n);
	networks_free(NULL);
}

/* More networks than there are chains, in and out in different orders. */
static void many_networks(void **state)
{
	enum { MANY = 5000 };
	struct networks *n = networks_new();
	char text[64];

	(void)state;
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < MANY; i++) {
			struct network of;

			snprintf(text, sizeof(text), "2001:db8:%x:%x::1", i >> 8, i & 255);
			of = network(text);
			assert_int_equal(networks_enter(n, &of, round + 1), 1);
			assert_int_equal(networks_enter(n, &of, round + 1), 0);
		}
	for (unsigned i = MANY; i-- > 0;) {
		struct network of;

		snprintf(text, sizeof(text), "2001:db8:%x:%x::2", i >> 8, i & 255);
		of = network(text);
		networks_leave(n, &of);
		networks_leave(n, &of);
		assert_int_equal(networks_enter(n, &of, 1), 1);
		networks_leave(n, &of);
	}
	networks_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_one_peer),
		cmocka_unit_test(addresses_as_text),
		cmocka_unit_test(as_many_as_are_allowed),
		cmocka_unit_test(many_networks),
	};

	return cmocka_run_group_tests_name("wire_networks", tests, NULL, NULL);
}
