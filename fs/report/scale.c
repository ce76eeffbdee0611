/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/report/internal.h"

#include <math.h>
#include <string.h>

enum { WANTED_TICKS = 5 };

/* 1, 2 or 5 times a power of ten. */
static double round_step(double step)
{
	double power = pow(10, floor(log10(step))), part = step / power;

	return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

static void fit_linear(struct scale *s, double min, double max)
{
	double step = round_step((max > min ? max - min : 1) / WANTED_TICKS);

	s->from = floor(min / step) * step;
	for (s->count = 0; s->count < SCALE_TICKS; s->count++) {
		s->tick[s->count] = s->from + (double)s->count * step;
		s->to = s->tick[s->count];
		if (s->to >= max - step * 1e-9 && s->count > 0) {
			s->count++;
			break;
		}
	}
}

/* Powers of ten, and of a hundred or more where there were too many. */
static void fit_logarithmic(struct scale *s, double min, double max)
{
	double first = floor(log10(min)), last = ceil(log10(max));
	double decades, step;

	if (last <= first)
		last = first + 1;
	decades = last - first;
	step = ceil(decades / (SCALE_TICKS - 2));
	s->from = pow(10, first);
	for (s->count = 0; s->count < SCALE_TICKS; s->count++) {
		double exponent = first + (double)s->count * step;

		s->tick[s->count] = pow(10, exponent);
		s->to = s->tick[s->count];
		if (exponent >= last) {
			s->count++;
			break;
		}
	}
}

void scale_fit(struct scale *s, double min, double max, int logarithmic)
{
	s->logarithmic = logarithmic && min > 0 && max >= min;
	if (s->logarithmic)
		fit_logarithmic(s, min, max);
	else
		fit_linear(s, min, max > min ? max : min + 1);
}

double scale_place(const struct scale *s, double value)
{
	double part;

	if (s->logarithmic)
		part = value <= s->from ? 0 : log(value / s->from) / log(s->to / s->from);
	else
		part = (value - s->from) / (s->to - s->from);
	return s->start + (part > 1 ? 1 : part < 0 ? 0 : part) * (s->end - s->start);
}
