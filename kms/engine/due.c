/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/engine/due.h"

static const char *const words[] = {
	[KEY_WORK_ROTATION] = "rotated", [KEY_WORK_DELETION] = "deleted", [KEY_WORK_EXPIRY] = "expired"};

static int is_about_one_key(enum err e)
{
	return e != ERR_BUSY && e != ERR_SYSTEM && e != ERR_NO_MEMORY;
}

enum err due_pass_over(struct engine *engine, const char *work, int64_t row, enum err e)
{
	if (!is_about_one_key(e))
		return e;
	report(engine->reporter, REPORT_ERROR, "the key in row %lld of the keystore is due and could not be %s: %s",
		(long long)row, work, err_text(e));
	return ERR_OK;
}

enum err due_each(struct engine *engine, enum key_work work, uint64_t now, due_fn run)
{
	struct store_due at = {0};

	for (;;) {
		enum err e = store_key_due(engine->store, work, now, &at);

		if (e == ERR_NOT_FOUND)
			return ERR_OK;
		TRY(e);
		e = run(engine, at.key, now);
		if (e != ERR_OK)
			TRY(due_pass_over(engine, words[work], at.key, e));
	}
}
