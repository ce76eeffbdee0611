/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "fs/report/report.h"

/* "1234567" → "1,234,567" */
static void put_groups(const char *digits, char *out)
{
	size_t len = strlen(digits);

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[i];
		if ((len - i) % 3 == 1 && i + 1 < len)
			*out++ = ',';
	}
	*out = '\0';
}

void report_number(double value, char out[REPORT_NUMBER_SIZE])
{
	char digits[REPORT_NUMBER_SIZE];

	if (value >= 1e15 || value < 0 || !isfinite(value) || (value > 0 && value < 1e-4)) {
		snprintf(out, REPORT_NUMBER_SIZE, "%.3g", value);
	} else if (value >= 100 || value == floor(value)) {
		snprintf(digits, sizeof digits, "%.0f", value);
		put_groups(digits, out);
	} else {
		snprintf(out, REPORT_NUMBER_SIZE, "%.3g", value);
	}
}
