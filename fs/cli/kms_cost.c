/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/keystore.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include "kms/base/clock.h"
#include "kms/engine/cost.h"

struct cost {
	const char *month;
	struct cli_settings settings;
	struct cost_month span;
	struct cli_table *table;
};

static uint64_t month_start(int year, int month)
{
	struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = 1};

	return (uint64_t)timegm(&tm) * CLOCK_SECOND;
}

/* "2026-11"; the current month when nothing is said. UTC, as AWS bills. */
static enum err parse_month(const char *text, struct cost_month *ret)
{
	time_t now = (time_t)(clock_system()->wall(clock_system()) / CLOCK_SECOND);
	int year = 0, month = 0, used = 0;
	struct tm tm;

	gmtime_r(&now, &tm);
	if (!text) {
		year = tm.tm_year + 1900;
		month = tm.tm_mon + 1;
	} else if (sscanf(text, "%4d-%2d%n", &year, &month, &used) != 2 || text[used] || year < 1970 || year > 2200 ||
		   month < 1 || month > 12) {
		return err_fail(ERR_USAGE, "\"%s\" is no month; write 2026-11", text);
	}
	*ret = (struct cost_month){month_start(year, month), month_start(year, month + 1)};
	return ERR_OK;
}

static void add_line(void *context, const struct cost_line *line)
{
	struct cost *c = context;
	const char *slash = strrchr(line->key_arn, '/');
	char requests[24] = "", dollars[24];

	if (line->requests)
		snprintf(requests, sizeof(requests), "%" PRIu64, line->requests);
	snprintf(dollars, sizeof(dollars), "%.4f", line->dollars);
	cli_table_add(c->table, (const char *const[]){slash ? slash + 1 : "-", line->operation, requests, dollars});
}

static enum err print_cost(void *context, struct engine *engine)
{
	struct cost *c = context;
	struct cost_total total;
	enum err e;

	c->table = cli_table_new(4);
	if (!c->table)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	cli_table_add(c->table, (const char *const[]){"Key", "Operation", "Requests", "USD"});
	e = engine_cost(engine, &c->span, add_line, c, &total);
	if (e == ERR_OK) {
		cli_table_print(c->table, stdout);
		printf("%" PRIu64 " keys, %" PRIu64 " requests, %.4f USD for free requests taken off: %.4f USD\n",
			total.keys, total.requests, total.free_dollars, total.dollars);
	}
	cli_table_free(c->table);
	return e;
}

int cli_kms_cost(int argc, char **argv)
{
	struct cost c = {.month = NULL};
	const struct cli_option options[] = {
		{"month", 0, CLI_TEXT, &c.month, "MONTH", "as in 2026-11 (this month)"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs kms cost [OPTION]…",
		"What a month would cost at AWS's published prices, by key and by operation.", 0, 0, options,
		cli_settings_options(&c.settings)};
	static const char what[] = "pricing the audit trail";
	int operands, done = cli_parse(&usage, argc, argv, &operands);
	enum err e;

	if (done < 0) {
		e = parse_month(c.month, &c.span);
		done = e == ERR_OK ? cli_with_keystore(&c.settings, what, print_cost, &c) : cli_fail(e, what);
	}
	cli_settings_free(&c.settings);
	return done;
}
