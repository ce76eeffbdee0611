/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_FRAMING_H
#define SIGNETFS_WIRE_FRAMING_H

/*
 * Where a request's body ends. A proxy in front of us that reads it otherwise than we do would let a sender hide a second request in the body
 * of a first one (request smuggling, RFC 9112 section 11.2). libmicrohttpd takes the first of several lengths and chunks before a length, so what
 * can be read in two ways is refused before it is read at all.
 */

#include <microhttpd.h>

/**
 * One length at most, a length or chunks and not both, no transfer coding but chunked, and header names that are tokens: "Transfer-Encoding :" is none.
 */
int framing_is_sound(struct MHD_Connection *connection);

#endif
