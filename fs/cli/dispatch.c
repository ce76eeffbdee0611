/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <string.h>

enum { NAME_MAX_LEN = 48, NEAR_ENOUGH = 3 };

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein distance; names beyond the bound are far from everything. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_LEN + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > NAME_MAX_LEN || lb > NAME_MAX_LEN)
		return NAME_MAX_LEN;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned above = row[j];

			row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[lb];
}

const char *cli_nearest(const struct cli_command *table, const char *name)
{
	const char *best = NULL;
	unsigned best_distance = NEAR_ENOUGH + 1;

	for (; table->name; table++) {
		unsigned d = table->help ? distance(table->name, name) : NAME_MAX_LEN;

		if (d < best_distance) {
			best = table->name;
			best_distance = d;
		}
	}
	return best;
}

static void print_help(const char *group, const struct cli_command *table)
{
	const char *space = group[0] ? " " : "";

	printf("Usage: signetfs %s%sCOMMAND [OPTION]… [OPERAND]…\n\n", group, space);
	for (; table->name; table++)
		if (table->help)
			printf("  %-41s %s\n", table->name, table->help);
	printf("\nHelp on a command: signetfs %s%sCOMMAND --help\n", group, space);
	if (!group[0])
		puts("Manual pages: signetfs(1), signetfs-mount(8), signetfs-restore(1), signetfs-fsck(8), "
		     "signetfs-kms(1), "
		     "signetfs.ini(5)");
}

static const struct cli_command *find(const struct cli_command *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static int unknown(const char *group, const struct cli_command *table, const char *name)
{
	const char *nearest = cli_nearest(table, name);
	const char *space = group[0] ? " " : "";

	if (name[0] == '-')
		return cli_wrong_usage(group, "there is no option %s here; a command comes first", name);
	if (nearest)
		return cli_wrong_usage(group, "there is no command \"%s%s%s\"; did you mean \"%s%s%s\"?", group, space,
			name, group, space, nearest);
	return cli_wrong_usage(group, "there is no command \"%s%s%s\"", group, space, name);
}

static int is_help(const char *word)
{
	return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int cli_dispatch(const char *group, const struct cli_command *table, int argc, char **argv)
{
	const struct cli_command *command;
	char help_option[] = "--help";
	char *help_argv[3] = {NULL, help_option, NULL};

	if (argc < 2)
		return cli_wrong_usage(group, "a command is missing");
	if (is_help(argv[1]) && argc == 2) {
		print_help(group, table);
		return CLI_DONE;
	}
	command = find(table, argv[is_help(argv[1]) ? 2 : 1]);
	if (!command)
		return unknown(group, table, argv[is_help(argv[1]) ? 2 : 1]);
	if (!is_help(argv[1]))
		return command->run(argc - 1, argv + 1);
	if (argc > 3) { /* "help kms create-key" */
		argv[2] = argv[1];
		return command->run(argc - 1, argv + 1);
	}
	help_argv[0] = argv[2];
	return command->run(2, help_argv);
}
