/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/networks.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024, PREFIX_BYTES = 8 };

/* In one of @BUCKETS chains; an entry goes with its last connection. */
struct counted {
	struct counted *next;
	struct network of;
	unsigned count;
};

struct networks {
	struct counted *bucket[BUCKETS];
};

/* The four bytes of an IPv4 address, however it is written; NULL: it is none. */
static const void *ipv4_of(const struct sockaddr *a)
{
	const struct in6_addr *six;

	if (a->sa_family == AF_INET)
		return &((const struct sockaddr_in *)a)->sin_addr;
	if (a->sa_family != AF_INET6)
		return NULL;
	six = &((const struct sockaddr_in6 *)a)->sin6_addr;
	return IN6_IS_ADDR_V4MAPPED(six) ? six->s6_addr + 12 : NULL;
}

struct network network_of(const struct sockaddr *address)
{
	const void *four = address ? ipv4_of(address) : NULL;
	struct network n = {{0}};

	if (four) {
		n.b[0] = 4;
		memcpy(n.b + 1, four, 4);
	} else if (address && address->sa_family == AF_INET6) {
		n.b[0] = 6;
		memcpy(n.b + 1, &((const struct sockaddr_in6 *)address)->sin6_addr, PREFIX_BYTES);
	}
	return n;
}

void network_address(const struct sockaddr *address, char *ret, size_t size)
{
	const void *four = address ? ipv4_of(address) : NULL;

	snprintf(ret, size, "%s", "local");
	if (four)
		inet_ntop(AF_INET, four, ret, (socklen_t)size);
	else if (address && address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, ret, (socklen_t)size);
}

struct networks *networks_new(void)
{
	return calloc(1, sizeof(struct networks));
}

void networks_free(struct networks *networks)
{
	for (size_t i = 0; networks && i < BUCKETS; i++)
		assert(!networks->bucket[i]);
	free(networks);
}

/* What points to the network's entry, or to the end of the chain where it would be. */
static struct counted **place_of(struct networks *networks, const struct network *of)
{
	struct counted **place;
	uint32_t h = UINT32_C(0x811c9dc5); /* FNV-1a */

	for (size_t i = 0; i < sizeof(of->b); i++)
		h = (h ^ of->b[i]) * UINT32_C(0x01000193);
	place = &networks->bucket[(h ^ h >> 16) % BUCKETS];
	while (*place && memcmp(&(*place)->of, of, sizeof(*of)) != 0)
		place = &(*place)->next;
	return place;
}

int networks_enter(struct networks *networks, const struct network *of, unsigned most)
{
	struct counted **place;

	if (!of->b[0])
		return 1;
	place = place_of(networks, of);
	if (!*place) {
		*place = calloc(1, sizeof(**place));
		if (!*place)
			return 0;
		(*place)->of = *of;
	}
	if ((*place)->count >= most)
		return 0;
	(*place)->count++;
	return 1;
}

void networks_leave(struct networks *networks, const struct network *of)
{
	struct counted **place, *gone;

	if (!of->b[0])
		return;
	place = place_of(networks, of);
	gone = *place;
	assert(gone && gone->count > 0);
	if (--gone->count > 0)
		return;
	*place = gone->next;
	free(gone);
}
