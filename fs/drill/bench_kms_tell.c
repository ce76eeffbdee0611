/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "fs/drill/bench_kms.h"
#include "kms/base/prices.h"

static uint64_t calls(const struct bench_kms_mode *m)
{
	return m->generated + m->decrypted;
}

static double dollars(const struct bench_kms_mode *m, uint64_t files)
{
	return (double)calls(m) / (double)files * 1e6 * PRICE_SYMMETRIC / PRICED_REQUESTS;
}

static void put_bars(struct story *r, const char *title, const char *description, const char *label, int logarithmic,
	const char *const names[2], const double with[2], const double without[2])
{
	struct story_chart *c = story_chart(r, REPORT_BARS, title, description, label);

	if (!c)
		return;
	c->logarithmic = logarithmic;
	c->count = c->points[0] = c->points[1] = 2;
	strcpy(c->series[0], "with bucket keys");
	strcpy(c->series[1], "without bucket keys");
	for (size_t i = 0; i < 2; i++) {
		strcpy(c->category[i], names[i]);
		c->y[0][i] = with[i];
		c->y[1][i] = without[i];
	}
}

/* What has been asked for stays asked for: the shorter line goes on flat to where the longer one ends. */
static void put_series(struct story_chart *c, size_t which, const struct bench_kms_mode *m, double end)
{
	for (size_t i = 0; i < m->points; i++) {
		c->x[which][i] = m->at[i];
		c->y[which][i] = m->so_far[i];
	}
	c->points[which] = m->points;
	if (m->points && m->at[m->points - 1] < end) {
		c->x[which][m->points] = end;
		c->y[which][m->points] = m->so_far[m->points - 1];
		c->points[which]++;
	}
}

static void put_over_time(struct story *r, const struct bench_kms_result *x)
{
	struct story_chart *c = story_chart(r, REPORT_LINES, "KMS calls over time",
		"All calls of the mounts so far, while files are made and then read; the work that ended first goes on "
		"flat.",
		"KMS calls so far");
	double with = x->with.points ? x->with.at[x->with.points - 1] : 0;
	double without = x->without.points ? x->without.at[x->without.points - 1] : 0;

	if (!c)
		return;
	strcpy(c->x_label, "seconds of work");
	c->logarithmic = 1;
	c->count = 2;
	strcpy(c->series[0], "with bucket keys");
	strcpy(c->series[1], "without bucket keys");
	put_series(c, 0, &x->with, with > without ? with : without);
	put_series(c, 1, &x->without, with > without ? with : without);
}

static void put_latency(struct story *r, const struct bench_kms_mode *a, const struct bench_kms_mode *z)
{
	struct story_chart *c = story_chart(r, REPORT_BARS, "Latency of a KMS call",
		"As the mount sees it, pauses and retries included. With bucket keys there are two calls a mount, the "
		"first of which waits for the connection.",
		"milliseconds");
	static const char *const names[] = {
		"making: median", "making: 99th percentile", "reading: median", "reading: 99th percentile"};
	const struct bench_kms_mode *modes[] = {a, z};

	if (!c)
		return;
	c->logarithmic = 1;
	c->count = 2;
	for (size_t m = 0; m < 2; m++) {
		strcpy(c->series[m], m ? "without bucket keys" : "with bucket keys");
		c->points[m] = 4;
		for (size_t i = 0; i < 4; i++)
			c->y[m][i] = (double)(i % 2 ? modes[m]->p99 : modes[m]->p50)[i / 2] / 1e6;
	}
	for (size_t i = 0; i < 4; i++)
		strcpy(c->category[i], names[i]);
}

static void put_charts(struct story *r, const struct bench_kms_result *x)
{
	const struct bench_kms_mode *a = &x->with, *z = &x->without;

	put_bars(r, "KMS calls by operation",
		"With bucket keys a handful, without one for each file made and one for each read.", "KMS calls", 1,
		(const char *const[]){"GenerateDataKey", "Decrypt"},
		(const double[]){(double)a->generated, (double)a->decrypted},
		(const double[]){(double)z->generated, (double)z->decrypted});
	put_over_time(r, x);
	put_bars(r, "Time", "The same work, once with each.", "seconds", 0,
		(const char *const[]){"files made", "files read"}, a->seconds, z->seconds);
	put_latency(r, a, z);
}

static void put_figures(const struct bench_kms *b, struct story *r, const struct bench_kms_result *x)
{
	uint64_t with = calls(&x->with), without = calls(&x->without);
	char value[STORY_WORD], note[STORY_WORD];

	snprintf(value, sizeof value, "%.4f %%", x->reduction_percent);
	snprintf(note, sizeof note, "%llu instead of %llu", (unsigned long long)with, (unsigned long long)without);
	story_figure(r, value, "fewer KMS calls", note);
	snprintf(value, sizeof value, "%.5f", (double)with / (double)b->files);
	snprintf(note, sizeof note, "without bucket keys %.3f", (double)without / (double)b->files);
	story_figure(r, value, "calls for each file", note);
	snprintf(value, sizeof value, "$%.4f", dollars(&x->with, b->files));
	snprintf(note, sizeof note, "without bucket keys $%.2f", dollars(&x->without, b->files));
	story_figure(r, value, "a million files made and read", note);
	snprintf(value, sizeof value, "%llu", (unsigned long long)x->with.throttled);
	snprintf(note, sizeof note, "without bucket keys %llu", (unsigned long long)x->without.throttled);
	story_figure(r, value, "requests throttled", note);
}

static void put_checks(const struct bench_kms *b, struct story *r, const struct bench_kms_result *x)
{
	const struct bench_kms_mode *a = &x->with, *z = &x->without;

	story_check(r, calls(a) <= 6 + b->files / 100000, "With bucket keys the calls do not grow with the files",
		"%llu for %llu files", (unsigned long long)calls(a), (unsigned long long)b->files);
	story_check(r, calls(z) == 2 * b->files + 2 + z->init_calls,
		"Without them each file costs a call, and each read",
		"%llu GenerateDataKey, %llu Decrypt, the volume key's included", (unsigned long long)z->generated,
		(unsigned long long)z->decrypted);
	if (x->audited)
		story_check(r,
			a->client_calls + a->init_calls == calls(a) && z->client_calls + z->init_calls == calls(z),
			"The KMS's audit trail and the mounts' counters agree", "%llu and %llu calls, init's left out",
			(unsigned long long)a->client_calls, (unsigned long long)z->client_calls);
	else
		story_caution(r, "Counted by the mounts alone.", "The audit trail of that KMS was not looked at.");
	if (b->files >= 100000)
		story_check(r, x->reduction_percent > 99.99, "The reduction is above 99.99 %", "%.5f %%",
			x->reduction_percent);
}

void bench_kms_tell(const struct bench_kms *b, struct bench_kms_result *x, struct story *r)
{
	x->reduction_percent =
		calls(&x->without) ? 100.0 * (1.0 - (double)calls(&x->with) / (double)calls(&x->without)) : 0;
	put_figures(b, r, x);
	put_checks(b, r, x);
	put_charts(r, x);
}
