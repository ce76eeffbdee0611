/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <signal.h>
#include <string.h>
#include "kms/base/secret.h"

static const struct cli_command commands[] = {
	{"init", cli_init, "make a vault"},
	{"info", cli_info, "what a vault or one ciphertext file says of itself, without any key"},
	{"kms", cli_kms, "manage keys: signetfs kms --help"},
	{NULL, NULL, NULL},
};

static int is_one_of(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int main(int argc, char **argv)
{
	/* A closed pipe or connection is an error to report, not a reason to die without wiping. */
	signal(SIGPIPE, SIG_IGN);
	secret_install_json_allocator();
	if (argc >= 2 && is_one_of(argv[1], "--version", "-V")) {
		puts("signetfs " SIGNETFS_VERSION);
		return cli_finish(CLI_DONE);
	}
	return cli_finish(cli_dispatch("", commands, argc, argv));
}
