/* SPDX-License-Identifier: Apache-2.0 */
/* passthrough SOURCE MOUNTPOINT: signetfs's own adapter over a plain directory, to measure against. Runs in the foreground. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fs/fuse/mount.h"

static void emit(void *context, enum report_level level, const char *text)
{
	(void)context, (void)level;
	fprintf(stderr, "passthrough: %s\n", text);
}

static const struct reporter reporter = {.emit = emit};

static int failed(enum err e)
{
	fprintf(stderr, "passthrough: %s\n", err_text(e));
	return 1;
}

static unsigned number_from(const char *name)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : 0;
}

static void print_count(void *context, const char *name, uint64_t count, const struct latency_summary *latency)
{
	fprintf(context, "%-12s %10llu %8.1f us median\n", name, (unsigned long long)count, (double)latency->p50 / 1e3);
}

static int serve(const struct mount_config *config, struct vault *vault, int signals)
{
	struct mount *m;

	enum err e = mount_start(config, vault, &m);
	if (e != ERR_OK)
		return failed(e);
	e = mount_settle(m);
	if (e != ERR_OK)
		failed(e);
	else
		mount_serve(m, signals);
	if (getenv("COUNT_REQUESTS"))
		mount_requests(m, print_count, stderr);
	mount_end(m);
	return e != ERR_OK;
}

int main(int argc, char **argv)
{
	struct vault *vault;
	int signals;

	if (argc < 3) {
		fprintf(stderr,
			"usage: passthrough SOURCE MOUNTPOINT [OPTIONS]   (THREADS=, BUDGET= in the environment)\n");
		return 2;
	}
	char *source = realpath(argv[1], NULL), *point = realpath(argv[2], NULL);
	if (!source || !point) {
		perror("passthrough");
		return 1;
	}
	umask(0);
	const struct vault_open_options open_options = {.path = source};
	const struct mount_config config = {.vault_path = source,
		.mount_point = point,
		.fsname = "passthrough",
		.options = argc > 3 ? argv[3] : "",
		.acl = argc > 4 && !strcmp(argv[4], "acl"),
		.unchecked = geteuid() == 0 && !(argc > 3 && strstr(argv[3], "allow_other")),
		.threads = number_from("THREADS"),
		.budget = number_from("BUDGET"),
		.reporter = &reporter};
	enum err e = mount_check(source, point, 0);
	if (e == ERR_OK)
		e = mount_signals(&signals);
	if (e == ERR_OK)
		e = vault_open(&open_options, &vault);
	if (e != ERR_OK)
		return failed(e);
	int rc = serve(&config, vault, signals);
	vault_close(vault);
	free(source);
	free(point);
	return rc;
}
