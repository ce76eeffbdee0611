/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_VALIDATE_H
#define SIGNETFS_ENGINE_VALIDATE_H

/*
 * Requests against the service model: types, required members, lengths, ranges, enumerations, patterns. The tables are in
 * shapes.c; members that the model does not know are ignored, as AWS ignores them.
 */

#include <jansson.h>
#include "kms/base/err.h"

enum member_type {
	MEMBER_STRING,
	MEMBER_BLOB,    /* base64; limits count decoded bytes */
	MEMBER_INTEGER, /* limits are the range */
	MEMBER_BOOLEAN,
	MEMBER_MAP,     /* string to string */
	MEMBER_STRINGS, /* limits count elements; each element has 1 to 8192 characters */
	MEMBER_TAGS,
	MEMBER_STRUCTURE
};

enum member_flags {
	MEMBER_REQUIRED = 1,
	MEMBER_AUDITED = 2 /* goes into the audit record's requestParameters */
};

enum member_pattern { PATTERN_NONE, PATTERN_ALIAS, PATTERN_POLICY, PATTERN_MARKER, PATTERN_XKS };

struct member {
	const char *name; /* NULL ends the table */
	enum member_type type;
	unsigned flags;
	long min, max;             /* both 0: no limit */
	const char *const *values; /* NULL-terminated enumeration, or NULL */
	enum member_pattern pattern;
};

/** ERR_KMS_SERIALIZATION: a member of the wrong JSON type; ERR_KMS_VALIDATION: constraints, all of them counted in the text. */
enum err validate_request(const struct member *members, const json_t *request);

/** "KeyId" → "keyId". @ret has room for 64 bytes; longer names are cut. */
enum { VALIDATE_NAME_SIZE = 64 };
void validate_lower_camel(const char *name, char ret[VALIDATE_NAME_SIZE]);

#endif
