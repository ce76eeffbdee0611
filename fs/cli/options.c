/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <string.h>

static const struct {
	char letter;
	uint64_t seconds;
} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

enum { UNITS = sizeof(units) / sizeof(units[0]) };

/* The digits at the start of @text; NULL when there are none or the number does not fit. */
static const char *take_digits(const char *text, uint64_t *ret)
{
	uint64_t v = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return NULL;
	*ret = v;
	return p == text ? NULL : p;
}

enum err cli_parse_number(const char *text, uint64_t *ret)
{
	uint64_t v;
	const char *end = take_digits(text, &v);

	if (!end || *end)
		return err_fail(ERR_USAGE, "\"%s\" is not a whole number", text);
	*ret = v;
	return ERR_OK;
}

enum err cli_parse_seconds(const char *text, uint64_t *ret_seconds)
{
	uint64_t v;
	const char *end = take_digits(text, &v);

	if (end && *end == '\0') {
		*ret_seconds = v;
		return ERR_OK;
	}
	for (size_t i = 0; end && i < UNITS; i++)
		if (end[0] == units[i].letter && end[1] == '\0' && !__builtin_mul_overflow(v, units[i].seconds, &v)) {
			*ret_seconds = v;
			return ERR_OK;
		}
	return err_fail(ERR_USAGE, "\"%s\" is no length of time; write 300s, 5m, 2h or 7d", text);
}

void cli_format_seconds(uint64_t seconds, char out[CLI_SECONDS_SIZE])
{
	size_t i = 0;

	while (i < UNITS - 1 && (seconds == 0 || seconds % units[i].seconds != 0))
		i++;
	snprintf(out, CLI_SECONDS_SIZE, "%llu%c", (unsigned long long)(seconds / units[i].seconds), units[i].letter);
}

static enum err set_choice(const struct cli_option *o, const char *value)
{
	size_t len = strlen(value);
	int index = 0;

	for (const char *word = o->argument;; word++, index++) {
		size_t word_len = strcspn(word, "|");

		if (word_len == len && memcmp(word, value, len) == 0) {
			*(int *)o->target = index;
			return ERR_OK;
		}
		word += word_len;
		if (!*word)
			return err_fail(ERR_USAGE, "\"%s\" is none of %s", value, o->argument);
	}
}

static enum err add_text(struct cli_texts *texts, const char *value)
{
	if (texts->count == CLI_TEXTS_MAX)
		return err_fail(ERR_USAGE, "given more than %d times", CLI_TEXTS_MAX);
	texts->item[texts->count++] = value;
	return ERR_OK;
}

static enum err set_option(const struct cli_option *o, const char *value)
{
	switch (o->type) {
	case CLI_FLAG:
		*(int *)o->target = 1;
		return ERR_OK;
	case CLI_TEXT:
		*(const char **)o->target = value;
		return ERR_OK;
	case CLI_TEXTS:
	case CLI_WORDS:
		return add_text(o->target, value);
	case CLI_NUMBER:
		return cli_parse_number(value, o->target);
	case CLI_SECONDS:
	case CLI_EVERY:
		return cli_parse_seconds(value, o->target);
	case CLI_CHOICE:
		return set_choice(o, value);
	}
	return ERR_USAGE;
}

static const struct cli_option *find_long(const struct cli_option *table, const char *name, size_t len)
{
	for (; table && table->name; table++)
		if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
			return table;
	return NULL;
}

static const struct cli_option *find_letter(const struct cli_option *table, char letter)
{
	for (; table && table->name; table++)
		if (table->letter == letter)
			return table;
	return NULL;
}

enum { HELP_LEFT = 34, HELP_LEFT_SIZE = 128 };

static void print_option(const struct cli_option *o)
{
	char left[HELP_LEFT_SIZE], letter[5] = "    ";

	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	snprintf(left, sizeof(left), "  %s--%s%s%s", letter, o->name, o->type == CLI_FLAG ? "" : " ",
		o->type == CLI_FLAG ? "" : o->argument);
	if (strlen(left) > HELP_LEFT)
		printf("%s\n%*s  %s\n", left, HELP_LEFT, "", o->help);
	else
		printf("%-*s  %s\n", HELP_LEFT, left, o->help);
}

static int print_help(const struct cli_usage *usage)
{
	static const struct cli_option help = {"help", 'h', CLI_FLAG, NULL, NULL, "this help"};
	const struct cli_option *tables[] = {usage->options, usage->more};

	printf("Usage: %s\n\n%s\n\nOptions:\n", usage->synopsis, usage->summary);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct cli_option *o = tables[i]; o && o->name; o++)
			if (o->help)
				print_option(o);
	print_option(&help);
	return CLI_DONE;
}

/* "signetfs kms audit [OPTION]…" → "kms audit" */
static const char *command_of(const struct cli_usage *usage, char *out, size_t size)
{
	const char *start = strchr(usage->synopsis, ' ');
	size_t len;

	start = start ? start + 1 : usage->synopsis;
	for (len = 0; start[len] && !(start[len] == ' ' && (start[len + 1] < 'a' || start[len + 1] > 'z'));)
		len++;
	snprintf(out, size, "%.*s", (int)len, start);
	return out;
}

struct parse {
	const struct cli_usage *usage;
	int argc;
	char **argv;
	int next; /* index of the argument at hand */
	int operands;
	char command[64];
};

static int next_is_seconds(const struct parse *p)
{
	uint64_t seconds;

	return p->next + 1 < p->argc && cli_parse_seconds(p->argv[p->next + 1], &seconds) == ERR_OK;
}

/* @attached: the value in the same word, or NULL. */
static int apply(struct parse *p, const struct cli_option *o, const char *shown, const char *attached)
{
	const char *value = attached;

	if (o->type == CLI_FLAG && attached)
		return cli_wrong_usage(p->command, "option %s takes no value", shown);
	if (o->type == CLI_EVERY && !attached && !next_is_seconds(p)) {
		value = "1";
	} else if (o->type != CLI_FLAG && !attached) {
		if (p->next + 1 >= p->argc)
			return cli_wrong_usage(p->command, "option %s needs a value: %s", shown, o->argument);
		value = p->argv[++p->next];
	}
	enum err e = set_option(o, value);

	while (e == ERR_OK && o->type == CLI_WORDS && p->next + 1 < p->argc && p->argv[p->next + 1][0] != '-')
		e = set_option(o, p->argv[++p->next]);
	return e == ERR_OK ? -1 : cli_wrong_usage(p->command, "option %s: %s", shown, err_text(e));
}

static int parse_long(struct parse *p, const char *arg)
{
	size_t len = strcspn(arg + 2, "=");
	const struct cli_option *o = find_long(p->usage->options, arg + 2, len);
	char shown[64];

	snprintf(shown, sizeof(shown), "%.*s", (int)(len + 2), arg);
	if (!o)
		o = find_long(p->usage->more, arg + 2, len);
	if (!o && strcmp(arg, "--help") == 0)
		return print_help(p->usage);
	if (!o)
		return cli_wrong_usage(p->command, "there is no option %s", shown);
	return apply(p, o, shown, arg[2 + len] ? arg + 2 + len + 1 : NULL);
}

static int parse_letters(struct parse *p, const char *arg)
{
	for (const char *letter = arg + 1; *letter; letter++) {
		const struct cli_option *o = find_letter(p->usage->options, *letter);
		const char shown[3] = {'-', *letter, '\0'};
		int done;

		if (!o)
			o = find_letter(p->usage->more, *letter);
		if (!o && *letter == 'h')
			return print_help(p->usage);
		if (!o)
			return cli_wrong_usage(p->command, "there is no option %s", shown);
		if (o->type != CLI_FLAG)
			return apply(p, o, shown, letter[1] ? letter + 1 : NULL);
		done = apply(p, o, shown, NULL);
		if (done >= 0)
			return done;
	}
	return -1;
}

static int check_operands(const struct parse *p)
{
	if (p->operands < p->usage->min_operands)
		return cli_wrong_usage(p->command, "an operand is missing: %s", p->usage->synopsis);
	if (p->operands > p->usage->max_operands)
		return cli_wrong_usage(
			p->command, "\"%s\" is too much: %s", p->argv[p->usage->max_operands + 1], p->usage->synopsis);
	return -1;
}

int cli_parse(const struct cli_usage *usage, int argc, char **argv, int *ret_operands)
{
	struct parse p = {usage, argc, argv, 1, 0, ""};
	int only_operands = 0;

	command_of(usage, p.command, sizeof(p.command));
	for (; p.next < argc; p.next++) {
		char *arg = argv[p.next];
		int done = -1;

		if (only_operands || arg[0] != '-' || arg[1] == '\0')
			argv[++p.operands] = arg;
		else if (strcmp(arg, "--") == 0)
			only_operands = 1;
		else if (arg[1] == '-')
			done = parse_long(&p, arg);
		else
			done = parse_letters(&p, arg);
		if (done >= 0)
			return done;
	}
	*ret_operands = p.operands;
	return check_operands(&p);
}
