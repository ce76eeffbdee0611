/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <signal.h>
#include <string.h>
#include "kms/base/secret.h"

static const struct cli_command commands[] = {
	{"init", cli_init, "make a vault"},
	{"mount", cli_mount, "mount a vault: its files appear, decrypted, at a mount point"},
	{"umount", cli_umount, "unmount and wait until everything is written"},
	{"stats", cli_stats, "what a mount has done: KMS calls made and avoided, cache, files, bytes"},
	{"info", cli_info, "what a vault or one ciphertext file says of itself, without any key"},
	{"kms", cli_kms, "manage keys: signetfs kms --help"},
	{NULL, NULL, NULL},
};

/* mount(8) runs "mount.signetfs VAULT MOUNTPOINT -o ..." for a line of /etc/fstab. */
static int is_mount_helper(const char *program)
{
	const char *slash = strrchr(program, '/');

	return strcmp(slash ? slash + 1 : program, "mount.signetfs") == 0;
}

static int is_one_of(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int main(int argc, char **argv)
{
	/* A closed pipe or connection is an error to report, not a reason to die without wiping. */
	signal(SIGPIPE, SIG_IGN);
	/* Beyond `ulimit -f` a write fails instead, which the keystore and the vault can take. */
	signal(SIGXFSZ, SIG_IGN);
	secret_install_json_allocator();
	if (argc >= 2 && is_one_of(argv[1], "--version", "-V")) {
		puts("signetfs " SIGNETFS_VERSION);
		return cli_finish(CLI_DONE);
	}
	if (argc > 0 && is_mount_helper(argv[0]))
		return cli_finish(cli_mount(argc, argv));
	return cli_finish(cli_dispatch("", commands, argc, argv));
}
