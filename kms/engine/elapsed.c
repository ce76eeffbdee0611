/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/base/bytes.h"
#include "kms/engine/elapsed.h"

/* A sighting that is younger than this, in the same boot, is not worth a write: the next one counts from the older. */
#define WORTH_KEEPING (UINT64_C(3600) * CLOCK_SECOND)

struct sighting {
	uint8_t boot[CLOCK_BOOT_SIZE];
	uint64_t monotonic, wall, elapsed;
};
enum { SIGHTING_SIZE = CLOCK_BOOT_SIZE + 24 };

/* ERR_NOT_FOUND: none yet. */
static enum err last_sighting(struct engine *engine, struct sighting *ret)
{
	uint8_t bytes[SIGHTING_SIZE];
	struct sighting s;
	struct reader r;
	size_t len;

	TRY(store_meta_find(engine->store, STORE_META_ELAPSED, bytes, sizeof(bytes), &len));
	reader_init(&r, bytes, len);
	if (reader_copy(&r, s.boot, sizeof(s.boot)) != ERR_OK || reader_u64(&r, &s.monotonic) != ERR_OK ||
		reader_u64(&r, &s.wall) != ERR_OK || reader_u64(&r, &s.elapsed) != ERR_OK || reader_end(&r) != ERR_OK)
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: its service time has the wrong size");
	*ret = s;
	return ERR_OK;
}

static enum err keep(struct engine *engine, const struct sighting *s)
{
	uint8_t bytes[SIGHTING_SIZE];
	struct writer w;

	writer_init(&w, bytes, sizeof(bytes));
	writer_put(&w, s->boot, sizeof(s->boot));
	writer_u64(&w, s->monotonic);
	writer_u64(&w, s->wall);
	writer_u64(&w, s->elapsed);
	return store_meta_put(engine->store, STORE_META_ELAPSED, bytes, sizeof(bytes));
}

/* How long it has been between the two. */
static uint64_t between(const struct sighting *then, const struct sighting *now)
{
	uint64_t gap;

	if (memcmp(then->boot, now->boot, CLOCK_BOOT_SIZE) == 0)
		return now->monotonic > then->monotonic ? now->monotonic - then->monotonic : 0;
	gap = now->wall > then->wall ? now->wall - then->wall : 0;
	return gap < ELAPSED_GAP_MAX ? gap : ELAPSED_GAP_MAX;
}

enum err elapsed_see(struct engine *engine, uint64_t *ret)
{
	const struct clock *clock = engine->clock;
	struct sighting then = {.elapsed = 0}, now = {.monotonic = clock->monotonic(clock), .wall = clock->wall(clock)};
	enum err e;

	clock->boot(clock, now.boot);
	e = last_sighting(engine, &then);
	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	now.elapsed = e == ERR_OK ? then.elapsed + between(&then, &now) : 0;
	if (e == ERR_NOT_FOUND || memcmp(then.boot, now.boot, CLOCK_BOOT_SIZE) != 0 ||
		now.elapsed - then.elapsed >= WORTH_KEEPING)
		TRY(keep(engine, &now));
	*ret = now.elapsed;
	return ERR_OK;
}
