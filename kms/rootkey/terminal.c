/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/io.h"
#include "kms/base/secret.h"
#include "kms/rootkey/words.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* What would end or stop the process while the terminal does not echo. */
static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};
enum { CAUGHT = sizeof(caught) / sizeof(caught[0]), LOOK_MS = 100 };

static volatile sig_atomic_t arrived;

static void on_signal(int signo)
{
	arrived = signo;
}

static int stops(int signo)
{
	return signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU;
}

static void catch_signals(struct sigaction old[CAUGHT])
{
	struct sigaction action = {.sa_handler = on_signal};

	arrived = 0;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < CAUGHT; i++)
		sigaction(caught[i], &action, &old[i]);
}

static void release_signals(const struct sigaction old[CAUGHT])
{
	for (size_t i = 0; i < CAUGHT; i++)
		sigaction(caught[i], &old[i], NULL);
}

static enum err broken_off(void)
{
	return err_fail(ERR_INTERRUPTED, "the question for the passphrase was broken off");
}

/* Poll before every read and look at the flag in between: another thread may be the one that the signal interrupts. */
static enum err read_line(int tty, struct words *w)
{
	char piece[64];
	enum err e = ERR_OK;

	while (e == ERR_OK && !w->ended && !arrived) {
		struct pollfd ready = {.fd = tty, .events = POLLIN};
		ssize_t n;

		if (poll(&ready, 1, LOOK_MS) <= 0)
			continue;
		n = read(tty, piece, sizeof(piece));
		if (n > 0)
			words_add(w, piece, (size_t)n);
		else if (n == 0)
			e = err_fail(ERR_INTERRUPTED, "no passphrase was given");
		else if (errno != EINTR && errno != EAGAIN)
			e = err_system("cannot read from the terminal");
	}
	secret_wipe(piece, sizeof(piece));
	if (e == ERR_OK && arrived)
		e = broken_off();
	return e;
}

static enum err ask_silently(int tty, const char *question, struct words *w)
{
	struct termios before, silent;
	enum err e;

	if (tcgetattr(tty, &before) != 0)
		return err_system("cannot talk to the terminal");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	silent.c_lflag |= ICANON | ISIG;
	/* SIGTTOU: we are in the background, and ask once we are not. */
	if (tcsetattr(tty, TCSAFLUSH, &silent) != 0)
		return arrived ? broken_off() : err_system("cannot stop the terminal from echoing");
	e = io_write_full(tty, question, strlen(question));
	if (e == ERR_OK)
		e = read_line(tty, w);
	/* FLUSH: what is left of a line that was too long must not become the shell's next command. */
	while (tcsetattr(tty, TCSAFLUSH, &before) != 0 && errno == EINTR && !arrived)
		;
	if (io_write_full(tty, "\n", 1) != ERR_OK && e == ERR_OK)
		e = ERR_SYSTEM;
	return e;
}

static enum err ask_once(int tty, const char *question, struct words *w, int *ret_signal)
{
	struct sigaction old[CAUGHT];
	enum err e;

	catch_signals(old);
	secret_wipe(w, sizeof(*w));
	e = ask_silently(tty, question, w);
	release_signals(old);
	*ret_signal = arrived;
	return e;
}

enum err terminal_ask(const char *question, struct words *w)
{
	int tty AUTO_CLOSE = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int signo;
	enum err e;

	if (tty < 0)
		return err_fail(ERR_USAGE, "there is no terminal to ask for the passphrase on; "
					   "use passfile:PATH, keyfile:PATH or command:CMD instead");
	do {
		e = ask_once(tty, question, w, &signo);
		/* With its old meaning, now that the terminal is as it was; control-C is the caller's to act on. */
		if (signo && signo != SIGINT)
			raise(signo);
	} while (e == ERR_INTERRUPTED && stops(signo));
	TRY(e);
	return words_finish(w, "the terminal");
}
