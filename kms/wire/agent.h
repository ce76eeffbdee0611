/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_AGENT_H
#define SIGNETFS_WIRE_AGENT_H

/*
 * The agent: the KMS as a child process of whoever needs it, so that a CMK never enters the client's memory.
 *
 * wire_agent_start() runs `EXE kms agent --control-fd 3 --listen-fd 4 --keystore … --root-key …`. Descriptor 3 is the control
 * channel, a socket pair of SOCK_SEQPACKET: the agent sends one status message once it serves or cannot, and ends when the
 * channel closes, that is when its last client is gone, however that went. Descriptor 4 is a listening Unix socket without
 * a name: its file was removed before the agent began, and only who holds the O_PATH descriptor of that file can connect, through
 * /proc/self/fd. So nobody else can even knock, and the agent knows its client's uid from the socket.
 *
 * The passphrase, where there is one, is asked for by the agent on the terminal: it never passes through the client.
 */

#include <sys/types.h>
#include "kms/base/err.h"

struct wire_agent;

struct wire_agent_config {
	const char *keystore; /* path */
	const char *
		root_key; /* "passphrase", "passfile:PATH", "keyfile:PATH", "command:CMD"; NULL: what the keystore says */
	const char *region;          /* default region; NULL: the engine's */
	const char *grant_delay;     /* as a configuration writes it; NULL: none */
	const char *resource_quotas; /* likewise; NULL: AWS's numbers */
	const char *exe;             /* NULL: /proc/self/exe */
};

/**
 * Start an agent and wait until it serves, which may take as long as a person types a passphrase.
 * What hindered the agent is returned as it was there, code and text: ERR_ROOT_KEY, ERR_NOT_FOUND, ERR_KEYSTORE, …
 * ERR_KMS_UNREACHABLE: it ended without a word. Start it after daemonising: the child of a fork() may go on using an agent,
 * but the parent's end must be gone for the agent to end with the child.
 */
enum err wire_agent_start(const struct wire_agent_config *config, struct wire_agent **ret);

/** Where to connect() to, valid in this process until wire_agent_stop(). A refused connection means that the agent has ended. */
const char *wire_agent_socket(const struct wire_agent *agent);

/** Let go of the agent and wait for it to wipe its keys and end (its starter only). NULL is fine. */
void wire_agent_stop(struct wire_agent *agent);

pid_t wire_agent_pid(const struct wire_agent *agent);

/* ---- The agent's side ---- */

/** Tell the starter how it went: @e and its text. ERR_CLOSED: there is no starter any more. */
enum err wire_agent_report(int control_fd, enum err e, const char *text);

/** Return when the control channel has closed, or @stop_fd (a signalfd) is readable. */
void wire_agent_wait(int control_fd, int stop_fd);

#endif
