/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_VALIDATE_H
#define SIGNETFS_ENGINE_VALIDATE_H

/*
 * Requests against the service model: types, required members, lengths, ranges, enumerations, patterns. The tables are in
 * shapes.c, made from the model; members that the model does not know are ignored, as AWS ignores them.
 */

#include <jansson.h>
#include "kms/base/err.h"
#include "kms/engine/pattern.h"

enum member_type {
	MEMBER_STRING,
	MEMBER_BLOB,    /* base64; limits count decoded bytes */
	MEMBER_INTEGER, /* limits are the range */
	MEMBER_BOOLEAN,
	MEMBER_TIMESTAMP, /* seconds since 1970, with a fraction */
	MEMBER_MAP,       /* string to string */
	MEMBER_LIST,      /* limits count elements */
	MEMBER_STRUCTURE
};

enum member_flags {
	MEMBER_REQUIRED = 1,
	MEMBER_AUDITED = 2,  /* goes into the audit record's requestParameters */
	MEMBER_SENSITIVE = 4 /* no message shows its value */
};

struct member {
	const char *name; /* NULL ends the table */
	enum member_type type;
	unsigned flags;
	long min, max;             /* both 0: no limit */
	const char *const *values; /* NULL-terminated enumeration, or NULL */
	const struct pattern *pattern;
	const struct member *inner; /* of a structure its members; of a list one row, its element */
};

/** ERR_KMS_SERIALIZATION: a member of the wrong JSON type; ERR_KMS_VALIDATION: constraints, all of them counted in the text. */
enum err validate_request(const struct member *members, const json_t *request);

/** "KeyId" → "keyId". @ret has room for 64 bytes; longer names are cut. */
enum { VALIDATE_NAME_SIZE = 64 };
void validate_lower_camel(const char *name, char ret[VALIDATE_NAME_SIZE]);

#endif
