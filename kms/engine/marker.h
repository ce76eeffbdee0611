/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_MARKER_H
#define SIGNETFS_ENGINE_MARKER_H

/*
 * Pagination: Limit, Marker, NextMarker, Truncated. A marker is where the last page ended, with a MAC that binds it to operation,
 * account, region and key: a marker of another listing is InvalidMarkerException.
 */

#include "kms/engine/internal.h"

/** Where to go on; 0 or "" without a Marker. */
enum err marker_read_row(struct call *call, int64_t *ret);
enum err marker_read_text(struct call *call, char *buf, size_t size);

/** Answer {@member: @list, Truncated, NextMarker}; takes ownership of @list. */
enum err marker_answer_row(struct call *call, const char *member, json_t *list, int truncated, int64_t last);
enum err marker_answer_text(struct call *call, const char *member, json_t *list, int truncated, const char *last);

#endif
