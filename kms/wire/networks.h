/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_NETWORKS_H
#define SIGNETFS_WIRE_NETWORKS_H

/*
 * How many connections there are from where, so that one peer cannot take them all. A peer is an IPv4 address, or an IPv6 network
 * of 64 bits: that is what one line gets, with more addresses in it than could ever be counted one by one. An IPv4 address
 * that a socket of both families writes as IPv6 (RFC 4291 section 2.5.5.2) is the IPv4 address.
 *
 * Threads: the caller's lock.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/** All zero: none, such as a peer on a Unix socket, which is not counted. */
struct network {
	uint8_t b[9]; /* 4 and the address, or 6 and the prefix */
};
struct network network_of(const struct sockaddr *address);

/** The address as text; "local" if it has none. */
void network_address(const struct sockaddr *address, char *ret, size_t size);

struct networks;

/** NULL: no memory. */
struct networks *networks_new(void);
/** All have left. NULL is fine. */
void networks_free(struct networks *networks);

/** One more, if it is then at most @most: 1. 0: it is not counted, because there are enough, or no memory. */
int networks_enter(struct networks *networks, const struct network *of, unsigned most);
/** One that entered is gone. */
void networks_leave(struct networks *networks, const struct network *of);

#endif
