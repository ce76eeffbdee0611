/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/progress.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "fs/cli/cli.h"
#include "kms/base/clock.h"

enum { BAR = 24, PLAIN_SECONDS = 10 };

static uint64_t now_ns(void)
{
	return clock_system()->monotonic(clock_system());
}

void progress_begin(struct progress *p, int json)
{
	memset(p, 0, sizeof(*p));
	p->json = json;
	p->begun = p->at = now_ns();
}

double progress_seconds(const struct progress *p)
{
	return (double)(now_ns() - p->begun) / (double)CLOCK_SECOND;
}

/* What is done of what there is: by bytes, where there are any. */
static double share(const struct progress_now *n)
{
	double s = n->of_bytes   ? (double)n->bytes / (double)n->of_bytes
		   : n->of_files ? (double)n->files / (double)n->of_files
				 : 0;

	return s > 1 ? 1 : s;
}

static void text_of(const struct progress *p, const struct progress_now *n, char *out, size_t size)
{
	char bytes[CLI_BYTES_SIZE], rate[CLI_BYTES_SIZE];
	double seconds = progress_seconds(p);
	int len;

	cli_format_bytes(n->bytes, bytes);
	cli_format_bytes(seconds > 0 ? (uint64_t)((double)n->bytes / seconds) : 0, rate);
	len = snprintf(out, size, "%s %" PRIu64 " files, %s, %.0f files/s, %s/s", n->doing, n->files, bytes,
		seconds > 0 ? (double)n->files / seconds : 0, rate);
	if (n->troubles && len > 0 && (size_t)len < size)
		snprintf(out + len, size - (size_t)len, ", %" PRIu64 " in trouble", n->troubles);
}

static void draw_bar(const struct progress *p, const struct progress_now *n, const char *text)
{
	double s = share(n), seconds = progress_seconds(p);

	fputs("\r\033[K", stderr);
	if (s > 0) {
		int full = (int)(s * BAR);

		fprintf(stderr, "[%.*s%*s] %3.0f %%  ", full, "########################", BAR - full, "", s * 100);
		fprintf(stderr, "%.0f s left  ", seconds / s - seconds);
	}
	fputs(text, stderr);
	fflush(stderr);
}

static void print_json(const struct progress *p, const struct progress_now *n)
{
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:f}", "event", "progress", "doing", n->doing, "files",
		(json_int_t)n->files, "bytes", (json_int_t)n->bytes, "troubles", (json_int_t)n->troubles, "seconds",
		progress_seconds(p));

	if (o && json_dumpf(o, stdout, JSON_COMPACT) == 0)
		putchar('\n');
	fflush(stdout);
	json_decref(o);
}

void progress_tick(struct progress *p, const struct progress_now *n)
{
	int terminal = !p->json && cli_is_terminal(stderr);
	uint64_t every = (terminal ? 0 : p->json ? 1 : PLAIN_SECONDS) * CLOCK_SECOND;
	char text[256];

	if (now_ns() - p->at < every)
		return;
	p->at = now_ns();
	if (p->json) {
		print_json(p, n);
		return;
	}
	text_of(p, n, text, sizeof(text));
	if (terminal)
		draw_bar(p, n, text);
	else
		fprintf(stderr, "signetfs: %s\n", text);
	p->drawn = terminal;
}

void progress_clear(struct progress *p)
{
	if (!p->drawn)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	p->drawn = 0;
}
