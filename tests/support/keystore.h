/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_SUPPORT_KEYSTORE_H
#define SIGNETFS_TESTS_SUPPORT_KEYSTORE_H

/* A fresh keystore in a directory of its own with an engine on it, a clock that the test moves, and calls in one line. */

#include <jansson.h>
#include "kms/base/clock.h"
#include "kms/base/err.h"
#include "kms/engine/engine.h"
#include "kms/store/store.h"

#define KEYSTORE_REGION  "eu-central-1"
#define KEYSTORE_ACCOUNT "000000000000"
#define KEYSTORE_WALL    (UINT64_C(1700000000) * CLOCK_SECOND) /* 2023-11-14T22:13:20Z */

struct keystore {
	char dir[64];
	char path[96];
	struct root_key root;
	struct clock_fake clock;
	struct engine *engine;
	struct engine_caller caller; /* the account's root */
};

/* SQL that takes a keystore of schema 7 back to schema 6, for tests that go on from there to an older one. */
#define KEYSTORE_BACK_TO_6                                                                                             \
	"ALTER TABLE backing_keys ADD COLUMN sealed BLOB NOT NULL DEFAULT x'';"                                        \
	"UPDATE backing_keys SET sealed = ifnull((SELECT m.sealed FROM materials m WHERE m.place = "                   \
	"backing_keys.place), x'');"                                                                                   \
	"ALTER TABLE backing_keys DROP COLUMN place; DROP TABLE materials;"

/* cmocka set-up and tear-down; *state is the struct keystore. */
int keystore_setup(void **state);
int keystore_teardown(void **state);

/** A second engine on the same file, with the same clock. */
struct engine *keystore_another(struct keystore *k);
void keystore_reopen(struct keystore *k);
/** The store beside the engine, to look at rows or force them. Close it. */
struct store *keystore_store(struct keystore *k);

/* In requests ' stands for ". The formatted request is at most 16 KiB long. */
/** The call succeeds; its body (NULL where AWS answers an empty one). */
json_t *keystore_ok(struct keystore *k, const char *operation, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** The same, and the body is dropped. */
void keystore_do(struct keystore *k, const char *operation, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** The call fails with exactly @error and, unless NULL, exactly @message. */
void keystore_fails(struct keystore *k, enum err error, const char *message, const char *operation, const char *fmt,
	...) __attribute__((format(printf, 5, 6)));
/** The call's outcome, whatever it is. */
enum err keystore_try(struct keystore *k, const char *operation, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** A string member, copied. ret has room for 512 bytes. */
void keystore_text(const json_t *body, const char *member, char ret[512]);

/** CreateKey; its id and ARN. */
void keystore_new_key(struct keystore *k, char ret_id[64], char ret_arn[ENGINE_ARN_SIZE]);
/** Force a key into a state through the store. */
void keystore_force_state(struct keystore *k, const char *key_id, enum key_state state);

#endif
