/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_INI_FILE_H
#define SIGNETFS_BASE_INI_FILE_H

/*
 * INI text, read with inih (the only file that includes ini.h). Bounded: 64 KiB, 4 KiB a line.
 *
 * `[section]`, `name = value` or `name: value`, and lines that begin with ; or # as comments. A value is all of the line behind
 * the = but the white space at its ends: quotes and ; are part of it, and no line continues another. Whether a name may come
 * twice is for the callback to decide.
 */

#include <stddef.h>
#include "kms/base/err.h"

/**
 * Called for each `name = value` in order; @section is "" before the first header. Returning anything but ERR_OK stops the
 * parse and is returned by ini_parse_buffer(), its text widened by "FILE:LINE: ".
 */
typedef enum err (*ini_pair_fn)(void *context, const char *section, const char *name, const char *value, unsigned line);

/** @what names the source in messages. A syntax error is ERR_CONFIG naming the line. A NUL byte or control character is ERR_CONFIG. */
enum err ini_parse_buffer(const char *what, const char *text, size_t len, ini_pair_fn fn, void *context);

#endif
