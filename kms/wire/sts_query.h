/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_STS_QUERY_H
#define SIGNETFS_WIRE_STS_QUERY_H

/*
 * The AWS query protocol, as STS speaks it: a form in, XML out. Pure functions. Forms are bounded, strict about their encoding, and
 * have no parameter twice.
 */

#include <jansson.h>
#include "kms/engine/sts.h"
#include "kms/wire/text.h"

#define STS_QUERY_CONTENT_TYPE "application/x-www-form-urlencoded"

/** An object of texts. ERR_KMS_SERIALIZATION. */
enum err sts_query_parse(const char *body, size_t len, json_t **ret);

/** The answer's XML, appended to @out. */
void sts_query_answer(const char *action, const struct engine_sts_reply *reply, struct text *out);

#endif
