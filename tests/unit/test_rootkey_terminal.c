/* SPDX-License-Identifier: Apache-2.0 */
/* The question for a passphrase, on a pseudo-terminal that the test types on. */
#include "kms/rootkey/rootkey.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000, WRONG_KEY = 100, NO_ECHO_LEFT = 101, WRONG_TEXT = 102 };

static const struct kdf_scrypt_params cheap = {16384, 1, 1};
static const struct rootkey_params fixed = {.kind = ROOTKEY_KIND_SCRYPT, .salt = {1, 2, 3}, .scrypt = {16384, 1, 1}};

struct session {
	int master;
	pid_t pid;
	char seen[4096];
	size_t len;
};

/* What the child does on its terminal; the exit status is the negated error. */
static int echo_is_on(void)
{
	struct termios t;

	return tcgetattr(STDIN_FILENO, &t) == 0 && (t.c_lflag & ECHO) && (t.c_lflag & ICANON);
}

static int obtain_in_child(void)
{
	struct rootkey_spec spec = {ROOTKEY_PASSPHRASE, ""};
	struct rootkey_spec same = {ROOTKEY_COMMAND, "echo open sesame"};
	struct root_key key, want;
	enum err e = rootkey_obtain(&spec, "/k.db", &fixed, &key);

	if (!echo_is_on())
		return NO_ECHO_LEFT;
	if (e != ERR_OK)
		return -(int)e;
	if (rootkey_obtain(&same, "/k.db", &fixed, &want) != ERR_OK || memcmp(&key, &want, sizeof(key)) != 0)
		return WRONG_KEY;
	return 0;
}

static int create_in_child(void)
{
	struct rootkey_spec spec = {ROOTKEY_PASSPHRASE, ""};
	struct rootkey_params params;
	struct root_key key;
	enum err e = rootkey_create(&spec, "/k.db", &cheap, &params, &key);

	return echo_is_on() ? -(int)e : NO_ECHO_LEFT;
}

static void session_start(struct session *s, int (*fn)(void))
{
	*s = (struct session){.master = -1};
	fflush(NULL);
	s->pid = forkpty(&s->master, NULL, NULL, NULL);
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		signal(SIGINT, SIG_DFL);
		_exit(fn());
	}
}

/* Read until @text has been seen @times times. */
static void expect(struct session *s, const char *text, unsigned times)
{
	for (;;) {
		struct pollfd ready = {.fd = s->master, .events = POLLIN};
		const char *p = s->seen;
		unsigned found = 0;
		ssize_t n;

		while ((p = strstr(p, text)) != NULL) {
			found++;
			p++;
		}
		if (found >= times)
			return;
		assert_true(poll(&ready, 1, PATIENCE_MS) == 1);
		n = read(s->master, s->seen + s->len, sizeof(s->seen) - 1 - s->len);
		if (n <= 0)
			fail_msg("the child ended after \"%s\"", s->seen);
		s->len += (size_t)n;
	}
}

static void type(struct session *s, const char *text)
{
	assert_int_equal(write(s->master, text, strlen(text)), strlen(text));
}

/* The child has closed the terminal. */
static int ended_within(struct session *s, int ms)
{
	struct pollfd ready = {.fd = s->master, .events = 0};

	return poll(&ready, 1, ms) == 1 && (ready.revents & POLLHUP);
}

static int session_end(struct session *s)
{
	int status;
	ssize_t n;

	while ((n = read(s->master, s->seen + s->len, sizeof(s->seen) - 1 - s->len)) > 0)
		s->len += (size_t)n;
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	close(s->master);
	return status;
}

static void assert_exit(struct session *s, int want)
{
	int status = session_end(s);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want);
}

static int run_command_in_child(const char *command)
{
	struct rootkey_spec spec = {ROOTKEY_COMMAND, command};
	struct root_key key;
	enum err e = rootkey_obtain(&spec, "/k.db", &fixed, &key);

	/* The terminal is ours again: reading from it as a background process would stop us. */
	return tcgetpgrp(STDIN_FILENO) == getpgrp() ? -(int)e : NO_ECHO_LEFT;
}

static int command_that_asks(void)
{
	return run_command_in_child("printf 'PIN? ' >/dev/tty; read pin </dev/tty; echo \"$pin\"");
}

static int command_that_waits(void)
{
	return run_command_in_child("printf 'wait ' >/dev/tty; sleep 300");
}

/* A passphrase manager asks for its own PIN there. */
static void a_command_may_ask_on_the_terminal(void **state)
{
	struct session s;

	(void)state;
	session_start(&s, command_that_asks);
	expect(&s, "PIN? ", 1);
	type(&s, "1234\n");
	assert_exit(&s, 0);
}

static void control_c_ends_the_command(void **state)
{
	struct session s;

	(void)state;
	session_start(&s, command_that_waits);
	expect(&s, "wait ", 1);
	/* dash drops a signal that meets it between vfork() and exec(); a person presses the keys again. */
	do
		type(&s, "\003");
	while (!ended_within(&s, 200));
	assert_exit(&s, -(int)ERR_INTERRUPTED);
}

static void asks_without_echo(void **state)
{
	struct session s;

	(void)state;
	session_start(&s, obtain_in_child);
	expect(&s, "Passphrase for /k.db: ", 1);
	type(&s, "open sesame\n");
	assert_exit(&s, 0);
	assert_null(strstr(s.seen, "sesame"));
}

static void corrections_at_the_keyboard_count(void **state)
{
	struct session s;

	(void)state;
	session_start(&s, obtain_in_child);
	expect(&s, "Passphrase for /k.db: ", 1);
	type(&s, "wrong\x15open sesamee\x7f\n");
	assert_exit(&s, 0);
}

static void asks_twice_for_a_new_one(void **state)
{
	struct session s;

	(void)state;
	session_start(&s, create_in_child);
	expect(&s, "New passphrase for /k.db: ", 1);
	type(&s, "a b\n");
	expect(&s, "again: ", 1);
	type(&s, "a b\n");
	assert_exit(&s, 0);
}

static void two_that_differ_are_refused(void **state)
{
	static const char *const second[] = {"a c\n", "a\n", "a bc\n"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct session s;

		session_start(&s, create_in_child);
		expect(&s, "New passphrase for /k.db: ", 1);
		type(&s, "a b\n");
		expect(&s, "again: ", 1);
		type(&s, second[i]);
		assert_exit(&s, -ERR_USAGE);
	}
}

static void empty_and_too_long_are_refused(void **state)
{
	struct session s;

	(void)state;
	session_start(&s, create_in_child);
	expect(&s, "New passphrase for /k.db: ", 1);
	type(&s, "\n");
	assert_exit(&s, -ERR_USAGE);
	session_start(&s, create_in_child);
	expect(&s, "New passphrase for /k.db: ", 1);
	for (unsigned i = 0; i < 11; i++)
		type(&s, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			 "xxxxxxx");
	type(&s, "\n");
	assert_exit(&s, -ERR_LIMIT);
}

static void end_of_file_breaks_off(void **state)
{
	struct session s;

	(void)state;
	session_start(&s, obtain_in_child);
	expect(&s, "Passphrase for /k.db: ", 1);
	type(&s, "\x04");
	assert_exit(&s, -ERR_INTERRUPTED);
}

static void interrupt_restores_the_terminal(void **state)
{
	struct session s;

	(void)state;
	session_start(&s, obtain_in_child);
	expect(&s, "Passphrase for /k.db: ", 1);
	type(&s, "open se\x03");
	assert_exit(&s, -ERR_INTERRUPTED);
}

static void termination_restores_the_terminal_and_ends(void **state)
{
	struct session s;
	struct termios t;
	int status;

	(void)state;
	session_start(&s, obtain_in_child);
	expect(&s, "Passphrase for /k.db: ", 1);
	assert_int_equal(tcgetattr(s.master, &t), 0);
	assert_false(t.c_lflag & ECHO);
	kill(s.pid, SIGTERM);
	while (waitpid(s.pid, &status, 0) < 0 && errno == EINTR)
		;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_int_equal(tcgetattr(s.master, &t), 0);
	assert_true(t.c_lflag & ECHO);
	close(s.master);
}

static void asks_again_after_a_stop(void **state)
{
	struct session s;
	int status;

	(void)state;
	session_start(&s, obtain_in_child);
	expect(&s, "Passphrase for /k.db: ", 1);
	/* From the keyboard it would not stop a session leader without a shell above it; a stop signal does. */
	kill(s.pid, SIGTSTP);
	if (waitpid(s.pid, &status, WUNTRACED | WNOHANG) == s.pid && WIFSTOPPED(status))
		kill(s.pid, SIGCONT);
	expect(&s, "Passphrase for /k.db: ", 2);
	type(&s, "open sesame\n");
	assert_exit(&s, 0);
}

static void no_terminal_names_the_way_out(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct rootkey_spec spec = {ROOTKEY_PASSPHRASE, ""};
		struct root_key key;
		enum err e;

		setsid();
		e = rootkey_obtain(&spec, "/k.db", &fixed, &key);
		_exit(e == ERR_USAGE && strstr(err_text(e), "passfile:PATH") ? 0 : WRONG_TEXT);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_may_ask_on_the_terminal),
		cmocka_unit_test(control_c_ends_the_command),
		cmocka_unit_test(asks_without_echo),
		cmocka_unit_test(corrections_at_the_keyboard_count),
		cmocka_unit_test(asks_twice_for_a_new_one),
		cmocka_unit_test(two_that_differ_are_refused),
		cmocka_unit_test(empty_and_too_long_are_refused),
		cmocka_unit_test(end_of_file_breaks_off),
		cmocka_unit_test(interrupt_restores_the_terminal),
		cmocka_unit_test(termination_restores_the_terminal_and_ends),
		cmocka_unit_test(asks_again_after_a_stop),
		cmocka_unit_test(no_terminal_names_the_way_out),
	};

	return cmocka_run_group_tests_name("rootkey_terminal", tests, NULL, NULL);
}
