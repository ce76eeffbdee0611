/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>
#include "fs/cli/mount_options.h"
#include "fs/cli/remount.h"
#include "fs/fuse/control.h"
#include "fs/fuse/mount.h"
#include "fs/reencrypt/two_kms.h"
#include "fs/vault/vault.h"
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/base/secret.h"

enum { CLOSING_SECONDS = 5, MOVES_MAX = 256 };
#define NOT_GIVEN UINT64_MAX

struct request {
	struct cli_settings settings;
	struct cli_texts option_lists; /* each -o */
	struct mount_options options;
	int foreground;
	uint64_t idle;                       /* --idle; NOT_GIVEN */
	char *vault, *point;                 /* absolute */
	char *copies[2 * CLI_TEXTS_MAX + 1]; /* lists cut up by parsing; settings point into them */
	size_t copies_count;
	struct kms *kms[2 * MOVES_MAX + 1]; /* the last one is the vault's; all stay open as long as it is */
	size_t kms_count;
	char *moved_to[2 * MOVES_MAX]; /* endpoints and regions that a descriptor was given */
	size_t moved_count;
	int ready_fd; /* tells the waiting parent that the mount works; -1 in the foreground */
};

/* ---- Log: the terminal until the mount works, then syslog unless in the foreground ---- */

static atomic_int log_to_syslog;

static void emit(void *context, enum report_level level, const char *text)
{
	static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_DEBUG};

	(void)context;
	if (atomic_load(&log_to_syslog))
		syslog(priorities[level], "%s", text);
	else
		report(cli_reporter(), level, "%s", text);
}

static const struct reporter reporter = {.emit = emit};

/* ---- The way to other KMSs, while the vault moves ---- */

static enum err connect_other(struct request *r, const struct mount_kms_request *q, struct mount_kms *ret)
{
	struct cli_settings to AUTO_SETTINGS = {
		.last_file = q->config, .insecure_http = q->insecure_http, .given = {[CLI_SET_ENDPOINT] = q->endpoint}};
	struct kms *kms;

	TRY(cli_settings_load(&to));
	TRY(err_wrap(cli_kms_connect(&to, &kms), "the KMS to move to"));
	r->kms[r->kms_count++] = kms;
	ret->endpoint = r->moved_to[r->moved_count++] = strdup(cli_endpoint_to_keep(&to));
	ret->region = r->moved_to[r->moved_count++] = strdup(cli_setting(&to, CLI_SET_REGION));
	return ret->endpoint && ret->region ? ERR_OK : err_fail(ERR_NO_MEMORY, "out of memory");
}

/* What the vault's keys are asked of from here on knows the KMS before it, too. */
static enum err kms_for_move(void *context, const struct mount_kms_request *q, struct mount_kms *ret)
{
	struct request *r = context;
	struct mount_kms k = {.old = r->kms[r->kms_count - 1], .same = !q->endpoint && !q->config};
	struct kms *to = k.old;

	if (r->kms_count + 2 > sizeof(r->kms) / sizeof(r->kms[0]))
		return err_fail(ERR_LIMIT, "too many moves in one mount: unmount, and mount again");
	if (!k.same) {
		TRY(connect_other(r, q, &k));
		to = r->kms[r->kms_count - 1];
	}
	TRY(two_kms_new(k.old, to, &k.both));
	r->kms[r->kms_count++] = k.both;
	*ret = k;
	return ERR_OK;
}

static void close_kms(struct request *r)
{
	while (r->kms_count > 0)
		kms_close(r->kms[--r->kms_count]);
	while (r->moved_count > 0)
		free(r->moved_to[--r->moved_count]);
}

/* ---- The mounting process ---- */

/*
 * Threads are few and short-lived data fit in two arenas, so the process stays small; keys are locked as far as the limit
 * goes and undumpable beyond it.
 */
static enum err prepare_process(void)
{
	struct rlimit limit;

	mallopt(M_ARENA_MAX, 2);
	if (!getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_MEMLOCK, &limit);
	}
	secret_allow_unlocked();
	umask(0);
	return secret_harden_process();
}

static enum err go_to_background(const struct request *r)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_system("/dev/null");
	openlog("signetfs", LOG_PID, LOG_DAEMON);
	atomic_store(&log_to_syslog, 1);
	setsid();
	if (chdir("/"))
		return err_system("chdir /");
	fflush(stdout);
	fflush(stderr);
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return err_system("/dev/null");
	close(null);
	return io_write_full(r->ready_fd, "m", 1);
}

static enum err serve(struct request *r, struct mount *m, int signals)
{
	struct control *control = NULL;

	TRY(mount_settle(m));
	enum err e = control_start(m, &control);
	if (e != ERR_OK)
		report(&reporter, REPORT_WARNING, "no `signetfs stats` for this mount: %s", err_text(e));
	e = r->foreground ? ERR_OK : go_to_background(r);
	if (e == ERR_OK)
		mount_serve(m, signals);
	control_stop(control);
	return e;
}

static enum err mount_vault_there(struct request *r, struct vault *vault, int signals)
{
	const struct mount_options *o = &r->options;
	const struct mount_config config = {.vault_path = r->vault,
		.mount_point = r->point,
		.fsname = o->fsname,
		.options = o->pass,
		.read_only = o->read_only,
		.allow_other = o->allow_other || o->allow_root,
		.owner_only = o->allow_root,
		/* Checking makes the kernel ask, which shows that somebody is there. */
		.unchecked = geteuid() == 0 && !o->allow_other && !o->allow_root && !o->default_permissions && !o->idle,
		.idle = o->idle,
		.acl = o->acl,
		.threads = o->threads,
		.reporter = &reporter,
		.kms_for_move = kms_for_move,
		.kms_context = r};
	struct mount *m;

	TRY(mount_start(&config, vault, &m));
	enum err e = serve(r, m, signals);
	mount_end(m);
	return e;
}

/* Between two KMSs some files cannot be opened by either, and a person should not have to guess why. */
static void warn_of_interrupted_move(const struct request *r)
{
	char journal[PATH_MAX + 32], word[PATH_MAX];

	snprintf(journal, sizeof journal, "%s/.signetfs/reencrypt", r->vault);
	if (access(journal, F_OK) == 0)
		report(&reporter, REPORT_WARNING,
			"a move of this vault to other keys was interrupted: until `signetfs reencrypt %s --resume` "
			"has ended it, "
			"what is under a key of another KMS cannot be opened",
			encode_shell(r->vault, word, sizeof word));
}

static enum err open_and_mount(struct request *r, struct kms *kms)
{
	char holder[PATH_MAX + 64];
	struct vault *vault;
	int signals AUTO_CLOSE = -1;

	snprintf(holder, sizeof holder, "mounted on %s (process %d)", r->point, (int)getpid());
	const struct vault_open_options options = {.path = r->vault,
		.read_only = r->options.read_only,
		.holder = holder,
		/* A process that was unmounted a moment ago may still be writing: nothing is shown of it any more. */
		.patience = mount_is_shown(r->vault) ? 0 : CLOSING_SECONDS,
		.kms = kms,
		.clock = clock_system(),
		.reporter = &reporter};

	/* Before any thread, behind the agent's passphrase prompt, where a person may still press Ctrl-C. */
	TRY(mount_signals(&signals));
	TRY(vault_open(&options, &vault));
	warn_of_interrupted_move(r);
	enum err e = mount_vault_there(r, vault, signals);
	enum err closing = vault_close(vault);
	if (closing != ERR_OK)
		report(&reporter, REPORT_ERROR, "closing the vault %s: %s", r->vault, err_text(closing));
	return e != ERR_OK ? e : closing;
}

static enum err mount_here(struct request *r)
{
	struct descriptor descriptor;
	struct kms *kms;

	TRY(prepare_process());
	TRY(vault_read_descriptor(r->vault, &descriptor));
	TRY(cli_settings_for_vault(&r->settings, &descriptor));
	TRY(cli_kms_connect(&r->settings, &kms));
	r->kms[r->kms_count++] = kms;
	enum err e = cli_kms_name(&r->settings, open_and_mount(r, kms));
	close_kms(r);
	return e;
}

/* ---- The command ---- */

static int run(struct request *r)
{
	enum err e = mount_here(r);

	return e == ERR_OK ? CLI_DONE : cli_fail(e, "mounting %s on %s", r->vault, r->point);
}

/* The child mounts and stays; we wait until it says that the mount works, or take its exit code. */
static int run_in_background(struct request *r)
{
	int ends[2], status;
	char said;

	if (pipe2(ends, O_CLOEXEC))
		return cli_fail(err_system("pipe"), "mounting %s", r->vault);
	pid_t child = fork();
	if (child < 0)
		return cli_fail(err_system("fork"), "mounting %s", r->vault);
	if (child == 0) {
		close(ends[0]);
		r->ready_fd = ends[1];
		/* Secret memory does not survive a fork: the credentials among the settings are to be read again. */
		enum err again = cli_settings_load(&r->settings);
		return again == ERR_OK ? run(r) : cli_fail(again, "mounting %s", r->vault);
	}
	close(ends[1]);
	enum err e = io_read_full(ends[0], &said, 1);
	close(ends[0]);
	if (e == ERR_OK)
		return CLI_DONE;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFEXITED(status) && WEXITSTATUS(status) != CLI_DONE)
		return WEXITSTATUS(status);
	return cli_error("mounting %s: the process that was to serve it died", r->vault);
}

static enum err parse_list(struct request *r, struct mount_options *o, struct cli_settings *settings, const char *list)
{
	char *copy = strdup(list);

	if (!copy)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	r->copies[r->copies_count++] = copy;
	return mount_options_parse(o, settings, copy);
}

static enum err parse_given(struct request *r, struct mount_options *o)
{
	for (size_t i = 0; i < r->option_lists.count; i++)
		TRY(parse_list(r, o, &r->settings, r->option_lists.item[i]));
	return ERR_OK;
}

/* The configuration's mount options first, -o over them; but -o may name the configuration, so it is read twice. */
static enum err resolve_options(struct request *r)
{
	struct mount_options first = {.nonempty = 0};

	TRY(parse_given(r, &first));
	TRY(cli_settings_load(&r->settings));
	const char *configured = cli_setting(&r->settings, CLI_SET_MOUNT_OPTIONS);
	if (configured) {
		enum err e = parse_list(r, &r->options, NULL, configured);
		if (e != ERR_OK)
			return err_wrap(e, "[mount] options in the configuration");
	}
	TRY(parse_given(r, &r->options));
	return r->idle == NOT_GIVEN ? ERR_OK : mount_options_idle(r->idle, &r->options.idle);
}

static int mount_as_asked(struct request *r, char **argv)
{
	enum err e = resolve_options(r);

	if (e != ERR_OK)
		return cli_fail(e, "mounting %s", argv[1]);
	r->vault = cli_absolute(argv[1]);
	r->point = cli_absolute(argv[2]);
	e = r->vault && r->point ? mount_check(r->vault, r->point, r->options.nonempty)
				 : err_fail(ERR_NO_MEMORY, "out of memory");
	if (e != ERR_OK)
		return cli_fail(e, "mounting %s on %s", argv[1], argv[2]);
	return r->foreground ? run(r) : run_in_background(r);
}

int cli_mount(int argc, char **argv)
{
	/* mount(8) calls its helpers with letters of its own, of which -f means: only pretend. */
	const char *base = strrchr(argv[0], '/');
	int helper = strncmp(base ? base + 1 : argv[0], "mount.", 6) == 0;
	struct request r = {.ready_fd = -1, .idle = NOT_GIVEN};
	int fake = 0, ignored = 0;
	const char *ignored_text = NULL;
	const struct cli_option options[] = {
		{"options", 'o', CLI_TEXTS, &r.option_lists, "LIST", "mount options, comma separated"},
		{"foreground", helper ? 0 : 'f', CLI_FLAG, &r.foreground, NULL, "stay, and log to the terminal"},
		{"idle", 0, CLI_SECONDS, &r.idle, "TIME", "unmount when unused for that long, as \"10m\""},
		{"fake", helper ? 'f' : 0, CLI_FLAG, &fake, NULL, NULL},
		{"sloppy", 's', CLI_FLAG, &ignored, NULL, NULL},
		{"no-mtab", 'n', CLI_FLAG, &ignored, NULL, NULL},
		{"verbose", 'v', CLI_FLAG, &ignored, NULL, NULL},
		{"types", 't', CLI_TEXT, &ignored_text, "TYPE", NULL},
		{"namespace", 'N', CLI_TEXT, &ignored_text, "NS", NULL},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs mount [OPTION]… VAULT MOUNTPOINT", mount_options_help, 2, 2, options,
		cli_settings_options(&r.settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done < 0 && !fake)
		done = remount_asked(&r.option_lists) ? remount_run(&r.option_lists, argv[2])
						      : mount_as_asked(&r, argv);
	if (done < 0)
		done = CLI_DONE;
	for (size_t i = 0; i < r.copies_count; i++)
		free(r.copies[i]);
	free(r.vault);
	free(r.point);
	cli_settings_free(&r.settings);
	return done;
}
