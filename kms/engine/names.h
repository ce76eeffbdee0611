/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_NAMES_H
#define SIGNETFS_ENGINE_NAMES_H

/* How keys and aliases are written: key id, key ARN, alias name, alias ARN. Pure text, no lookups. */

#include "kms/base/encode.h"
#include "kms/base/err.h"
#include "kms/engine/engine.h"
#include "kms/store/store.h"

enum { NAMES_KEY_ID_SIZE = UUID_TEXT + 1 };

enum name_kind { NAME_KEY_ID, NAME_KEY_ARN, NAME_ALIAS, NAME_ALIAS_ARN };

struct key_name {
	enum name_kind kind;
	uint8_t id[UUID_SIZE];
	int multi_region;
	char account[ENGINE_ACCOUNT_SIZE]; /* of an ARN */
	char region[ENGINE_REGION_SIZE];   /* of an ARN */
	char alias[STORE_ALIAS_SIZE];      /* "alias/…" */
};

/** ERR_FORMAT: none of the four forms. */
enum err names_parse(const char *text, struct key_name *ret);

void names_key_id(const uint8_t id[UUID_SIZE], int multi_region, char ret[NAMES_KEY_ID_SIZE]);
void names_key_arn(const struct store_key *key, char ret[ENGINE_ARN_SIZE]);
void names_key_arn_of(const char *region, const char *account, const uint8_t id[UUID_SIZE], int multi_region,
	char ret[ENGINE_ARN_SIZE]);
/** The longest possible alias ARN is longer than ENGINE_ARN_SIZE. */
enum { NAMES_ALIAS_ARN_SIZE = 352 };
void names_alias_arn(const char *region, const char *account, const char *alias, char ret[NAMES_ALIAS_ARN_SIZE]);

#define NAMES_ALIAS_PREFIX  "alias/"
#define NAMES_RESERVED      "alias/aws/"
#define NAMES_SERVICE_ALIAS "alias/aws/signetfs"

int names_starts_with(const char *text, const char *prefix);

#endif
