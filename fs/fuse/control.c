/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/control.h"
#include "fs/fuse/control_reencrypt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/secret.h"

enum { REQUEST_MAX = 65536, ANSWER_MAX = 1 << 20, PATIENCE_SECONDS = 2 };

struct control {
	struct mount *mount;
	struct sockaddr_un address;
	ino_t inode; /* of the socket there, while it is ours */
	int listener, stop_fd;
	pthread_t thread;
	struct control_job *job; /* the last move; NULL: none */
};

/* ---- Where ---- */

/* The candidate directories of @owner's mounts, best first; NULL behind the last. */
static const char *runtime_dir(unsigned candidate, uid_t owner, char *out, size_t size)
{
	const char *given = getenv("XDG_RUNTIME_DIR");

	if (owner == 0) {
		snprintf(out, size, "/run/signetfs");
		return candidate == 0 ? out : NULL;
	}
	switch (candidate) {
	case 0:
		if (!given || given[0] != '/' || owner != geteuid())
			given = NULL;
		snprintf(out, size, "%s%s", given ? given : "", given ? "/signetfs" : "");
		return out;
	case 1:
		snprintf(out, size, "/run/user/%u/signetfs", (unsigned)owner);
		return out;
	case 2:
		snprintf(out, size, "/tmp/signetfs-%u", (unsigned)owner);
		return out;
	default:
		return NULL;
	}
}

/* In /tmp anybody may have been there first: only a directory that is ours alone will do. */
static int is_private(const char *path, uid_t owner)
{
	struct stat st;

	return !lstat(path, &st) && S_ISDIR(st.st_mode) && st.st_uid == owner && (st.st_mode & 077) == 0;
}

static int fill_address(struct sockaddr_un *address, const char *dir, unsigned dev_major, unsigned dev_minor)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	int n = snprintf(address->sun_path, sizeof address->sun_path, "%s/mount-%u-%u.sock", dir, dev_major, dev_minor);
	return n > 0 && (size_t)n < sizeof address->sun_path;
}

static enum err own_address(dev_t dev, struct sockaddr_un *ret)
{
	char dir[96];

	for (unsigned i = 0; runtime_dir(i, geteuid(), dir, sizeof dir); i++) {
		if (!dir[0] || (mkdir(dir, 0700) && errno != EEXIST) || !is_private(dir, geteuid()))
			continue;
		if (fill_address(ret, dir, major(dev), minor(dev)))
			return ERR_OK;
	}
	return err_fail(ERR_NOT_FOUND, "there is no private run-time directory for the control socket");
}

/* ---- Answering ---- */

static int may_ask(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) && (peer.uid == geteuid() || peer.uid == 0);
}

static void be_patient(int fd)
{
	const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

/* Up to the end of the line or of the stream. */
static enum err read_line(int fd, char *buf, size_t size, size_t *ret_len)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_system("control socket");
		len += (size_t)n;
		if (n == 0 || memchr(buf + len - n, '\n', (size_t)n))
			break;
	}
	*ret_len = strnlen(buf, len);
	return ERR_OK;
}

static json_t *answer(struct mount *m, const char *text, size_t len)
{
	json_t *request AUTO_JSON = NULL;

	if (json_parse(text, len, &request) != ERR_OK)
		return json_pack("{s:s}", "error", "not a line of JSON");
	const char *op = json_string_value(json_object_get(request, "op"));
	if (op && !strcmp(op, "stats"))
		return control_stats(m);
	return json_pack("{s:s}", "error", "unknown op");
}

/* True when it is a move: the descriptor is its thread's from here on. */
static int starts_job(struct control *c, int fd, const char *text, size_t len)
{
	json_t *request AUTO_JSON = NULL;

	if (json_parse(text, len, &request) != ERR_OK)
		return 0;
	const char *op = json_string_value(json_object_get(request, "op"));
	if (!op || strcmp(op, "reencrypt") != 0)
		return 0;
	control_job_start(c->mount, fd, STEAL(request), &c->job);
	return 1;
}

/* True when the descriptor was taken over. */
static int serve(struct control *c, int fd)
{
	char request[REQUEST_MAX];
	size_t len;

	be_patient(fd);
	if (!may_ask(fd) || read_line(fd, request, sizeof request, &len) != ERR_OK)
		return 0;
	if (starts_job(c, fd, request, len))
		return 1;
	json_t *reply AUTO_JSON = answer(c->mount, request, len);
	char *text = reply ? json_text(reply, &len) : NULL;
	if (text && io_write_full(fd, text, len) == ERR_OK)
		io_write_full(fd, "\n", 1);
	secret_heap_free(text);
	return 0;
}

static void *control_main(void *context)
{
	struct control *c = context;
	struct pollfd fds[2] = {{.fd = c->stop_fd, .events = POLLIN}, {.fd = c->listener, .events = POLLIN}};

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			break;
		int fd = fds[1].revents ? accept4(c->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
		if (fd >= 0 && !serve(c, fd))
			close(fd);
	}
	return NULL;
}

/*
 * A device number is free as soon as the kernel has unmounted, which is before the process that served the mount takes its socket away:
 * by then another mount may have the number, and its socket the name. So the name is taken over, and given up, under a lock.
 */
static int lock_names(const struct control *c)
{
	char dir[sizeof c->address.sun_path];

	snprintf(dir, sizeof dir, "%s", c->address.sun_path);
	*strrchr(dir, '/') = '\0';
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && flock(fd, LOCK_EX) && errno == EINTR)
		;
	return fd;
}

static void unlock_names(int names)
{
	if (names >= 0)
		close(names);
}

static enum err bind_there(struct control *c)
{
	struct stat st;

	c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->listener < 0)
		return err_system("control socket");
	/* A socket there is left over: the device number is this mount's now. */
	unlink(c->address.sun_path);
	if (bind(c->listener, (struct sockaddr *)&c->address, sizeof c->address) || lstat(c->address.sun_path, &st))
		return err_system("control socket %s", c->address.sun_path);
	c->inode = st.st_ino;
	if (chmod(c->address.sun_path, 0600) || listen(c->listener, 8))
		return err_system("control socket %s", c->address.sun_path);
	return ERR_OK;
}

static enum err listen_there(struct control *c)
{
	int names = lock_names(c);
	enum err e = bind_there(c);

	unlock_names(names);
	return e;
}

static void remove_socket(const struct control *c)
{
	int names = lock_names(c);
	struct stat st;

	if (c->inode && lstat(c->address.sun_path, &st) == 0 && st.st_ino == c->inode)
		unlink(c->address.sun_path);
	unlock_names(names);
}

static void control_free(struct control *c)
{
	if (c->listener >= 0) {
		remove_socket(c);
		close(c->listener);
	}
	if (c->stop_fd >= 0)
		close(c->stop_fd);
	free(c);
}

enum err control_start(struct mount *m, struct control **ret)
{
	struct control *c = calloc(1, sizeof *c);

	if (!c)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	c->mount = m;
	c->listener = -1;
	c->stop_fd = eventfd(0, EFD_CLOEXEC);
	enum err e = c->stop_fd < 0 ? err_system("eventfd") : own_address(mount_device(m), &c->address);
	if (e == ERR_OK)
		e = listen_there(c);
	int rc = e == ERR_OK ? pthread_create(&c->thread, NULL, control_main, c) : 0;
	if (rc) {
		errno = rc;
		e = err_system("cannot start a thread");
	}
	if (e != ERR_OK) {
		control_free(c);
		return e;
	}
	*ret = c;
	return ERR_OK;
}

void control_stop(struct control *c)
{
	const uint64_t one = 1;

	if (!c)
		return;
	if (write(c->stop_fd, &one, sizeof one) == sizeof one)
		pthread_join(c->thread, NULL);
	control_job_stop(c->job);
	control_free(c);
}

/* ---- Asking ---- */

static int connect_to(const struct mount_info *info)
{
	struct sockaddr_un address;
	char dir[96];

	for (unsigned i = 0; runtime_dir(i, info->owner, dir, sizeof dir); i++) {
		if (!dir[0] || !fill_address(&address, dir, info->major, info->minor) || !is_private(dir, info->owner))
			continue;
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof address))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

static enum err exchange(int fd, const char *op, char *buf, json_t **ret)
{
	char request[64];
	size_t len;

	snprintf(request, sizeof request, "{\"op\":\"%s\"}\n", op);
	TRY(io_write_full(fd, request, strlen(request)));
	TRY(read_line(fd, buf, ANSWER_MAX, &len));
	if (len == 0)
		return err_fail(ERR_CLOSED, "no answer");
	return json_parse(buf, len, ret);
}

static enum err ask(int fd, const char *op, json_t **ret)
{
	char *buf = malloc(ANSWER_MAX);

	if (!buf)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	be_patient(fd);
	enum err e = exchange(fd, op, buf, ret);
	free(buf);
	return e;
}

enum err control_ask_mount(const struct mount_info *info, const char *op, json_t **ret)
{
	int fd AUTO_CLOSE = connect_to(info);

	if (fd < 0)
		return err_fail(ERR_CLOSED, "the process that serves it does not answer, or the mount is not yours");
	return ask(fd, op, ret);
}

/* Who listens, as the kernel says. Its number may be another's by now; that is seen from who still answers after it was opened. */
static int open_peer(int fd, pid_t *ret_pid)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.pid <= 0)
		return -1;
	*ret_pid = peer.pid;
	return (int)syscall(SYS_pidfd_open, peer.pid, 0);
}

int control_server(const struct mount_info *info, pid_t *ret_pid)
{
	int fd AUTO_CLOSE = connect_to(info);
	int peer = fd < 0 ? -1 : open_peer(fd, ret_pid);
	json_t *stats AUTO_JSON = NULL;

	if (peer >= 0 && ask(fd, "stats", &stats) != ERR_OK) {
		close(peer);
		return -1;
	}
	return peer;
}

/* ---- Whose mount is it? ---- */

struct search {
	pid_t pid;
	int found;
	struct mount_info info;
};

static void compare_server(void *context, const struct mount_info *info)
{
	struct search *s = context;
	int fd AUTO_CLOSE = s->found ? -1 : connect_to(info), peer AUTO_CLOSE = -1;
	pid_t pid;

	if (fd < 0 || (peer = open_peer(fd, &pid)) < 0 || pid != s->pid)
		return;
	s->info = *info;
	s->found = 1;
}

/* 0: nobody, or somebody on another machine, has it open for writing. */
static pid_t holder_of(const char *vault_path)
{
	char path[PATH_MAX + 32], text[128] = "", host[65] = "", here[65] = "";
	int pid = 0;

	snprintf(path, sizeof path, "%s/.signetfs/lock", vault_path);
	int fd AUTO_CLOSE = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof text - 1) < 0 || sscanf(text, "pid %d, host %64[^,],", &pid, host) != 2)
		return 0;
	gethostname(here, sizeof here - 1);
	return strcmp(host, here) == 0 ? pid : 0;
}

/* A mount for reading only writes no name into the lock: it has to be called so, be the owner's or root's, and say itself that it is this vault's. */
static int find_by_name(const char *vault_path, struct mount_info *ret)
{
	json_t *stats AUTO_JSON = NULL;
	const char *says;
	struct stat st;

	if (mount_find_source(vault_path, ret) != ERR_OK || stat(vault_path, &st) ||
		(ret->owner != 0 && ret->owner != st.st_uid) || control_ask_mount(ret, "stats", &stats) != ERR_OK)
		return 0;
	says = json_string_value(json_object_get(stats, "vault"));
	return says && strcmp(says, vault_path) == 0;
}

enum err control_find_vault(const char *vault_path, struct mount_info *ret)
{
	struct search s = {.pid = holder_of(vault_path)};

	if (s.pid > 0)
		mount_each(compare_server, &s);
	if (!s.found && !find_by_name(vault_path, &s.info))
		return err_fail(ERR_NOT_FOUND, "%s is not mounted", vault_path);
	*ret = s.info;
	return ERR_OK;
}

enum err control_ask(const char *mount_point, const char *op, json_t **ret)
{
	struct mount_info info;

	TRY(mount_what(mount_point, &info));
	if (strcmp(info.type, MOUNT_TYPE) != 0)
		return err_fail(ERR_NOT_FOUND, "%s is a mount of type %s, not signetfs", mount_point, info.type);
	return err_wrap(control_ask_mount(&info, op, ret), "%s", mount_point);
}

/* ---- Following ---- */

static enum err send_request(int fd, const json_t *request)
{
	size_t len;
	char *text = json_text(request, &len);
	enum err e = text ? io_write_full(fd, text, len) : err_fail(ERR_NO_MEMORY, "out of memory");

	secret_heap_free(text);
	return e == ERR_OK ? io_write_full(fd, "\n", 1) : e;
}

/* The next line; a signal ends the wait, and what it asks for is passed on once. */
static ssize_t next_line(FILE *f, char **line, size_t *room, const _Atomic int *stop, int *told)
{
	ssize_t n;

	for (;;) {
		errno = 0;
		n = getline(line, room, f);
		if (stop && atomic_load(stop) && !*told) {
			shutdown(fileno(f), SHUT_WR);
			*told = 1;
		}
		if (n >= 0 || errno != EINTR)
			return n;
		clearerr(f);
	}
}

enum err control_follow(const struct mount_info *info, const json_t *request, const _Atomic int *stop,
	void (*each)(void *context, const json_t *line), void *context)
{
	int fd = connect_to(info), told = 0;
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (fd < 0)
		return err_fail(ERR_CLOSED, "the process that serves it does not answer, or the mount is not yours");
	enum err e = send_request(fd, request);
	FILE *f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return err_system("control socket");
	}
	while (e == ERR_OK && (n = next_line(f, &line, &room, stop, &told)) > 0) {
		json_t *value AUTO_JSON = NULL;

		if (json_parse(line, (size_t)n, &value) == ERR_OK)
			each(context, value);
	}
	free(line);
	fclose(f);
	return e;
}
