/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <signal.h>
#include <string.h>
#include "kms/base/ossl.h"
#include "kms/base/secret.h"

static const struct cli_command commands[] = {
	{"init", cli_init, "make a vault"},
	{"mount", cli_mount, "mount a vault: its files appear, decrypted, at a mount point"},
	{"umount", cli_umount, "unmount and wait until everything is written"},
	{"reencrypt", cli_reencrypt, "move a vault to another key, or to new data keys"},
	{"keys", cli_keys, "which keys a vault's files depend on"},
	{"restore", cli_restore, "decrypt a vault, or a part of it, into a folder, without mounting it"},
	{"fsck", cli_fsck, "check a vault, and repair what can be repaired without losing anything"},
	{"stats", cli_stats, "what a mount has done: KMS calls made and avoided, cache, files, bytes"},
	{"bench", cli_bench, "how many KMS calls bucket keys save, measured"},
	{"drill", cli_drill, "rehearse rotation, migration, revocation and worse: signetfs drill list"},
	{"info", cli_info, "what a vault or one ciphertext file says of itself, without any key"},
	{"kms", cli_kms, "manage keys: signetfs kms --help"},
	{NULL, NULL, NULL},
};

/* mount(8) runs "mount.signetfs VAULT MOUNTPOINT -o ..." for a line of /etc/fstab. */
/* The names under which mount(8) and umount(8) look for us. */
static const struct helper {
	const char *name;
	int (*run)(int argc, char **argv);
} helpers[] = {
	{"mount.signetfs", cli_mount},
	{"mount.fuse.signetfs", cli_mount},
	{"umount.signetfs", cli_umount},
	{"umount.fuse.signetfs", cli_umount},
};

static const struct helper *find_helper(const char *program)
{
	const char *slash = strrchr(program, '/');

	for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++)
		if (strcmp(slash ? slash + 1 : program, helpers[i].name) == 0)
			return &helpers[i];
	return NULL;
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
	ossl_install_allocator();
	if (argc >= 2 && is_one_of(argv[1], "--version", "-V")) {
		puts("signetfs " SIGNETFS_VERSION);
		return cli_finish(CLI_DONE);
	}
	const struct helper *helper = argc > 0 ? find_helper(argv[0]) : NULL;
	if (helper)
		return cli_finish(helper->run(argc, argv));
	return cli_finish(cli_dispatch("", commands, argc, argv));
}
