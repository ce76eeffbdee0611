/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_AGENT_H
#define SIGNETFS_WIRE_AGENT_H

/*
 * The agent: the KMS as a child process of whoever needs it, so that a CMK never enters the client's memory.
 *
 * wire_agent_start() runs `EXE kms agent --control-fd 3 --keystore … --root-key …`. The two share a control channel, a
 * socket pair of SOCK_SEQPACKET: the agent sends one status message once it serves or cannot; from then on the client
 * sends one end of a fresh SOCK_STREAM pair for every HTTP connection it wants. The agent takes its client's uid from the
 * pair. It ends when the control channel closes, that is when its last holder is gone, however that went.
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
	const char *region; /* default region; NULL: the engine's */
	const char *exe;    /* NULL: /proc/self/exe */
};

/**
 * Start an agent and wait until it serves, which may take as long as a person types a passphrase.
 * What hindered the agent is returned as it was there, code and text: ERR_ROOT_KEY, ERR_NOT_FOUND, ERR_KEYSTORE, …
 * ERR_KMS_UNREACHABLE: it ended without a word. Start it after daemonising: the child of a fork() may go on using an agent,
 * but the parent's end must be gone for the agent to end with the child.
 */
enum err wire_agent_start(const struct wire_agent_config *config, struct wire_agent **ret);

/** A new HTTP connection to the agent; the caller closes it. ERR_KMS_UNREACHABLE: the agent is gone. Threads: safe. */
enum err wire_agent_connect(struct wire_agent *agent, int *ret_fd);

/** Let go of the agent and wait for it to wipe its keys and end (its starter only). NULL is fine. */
void wire_agent_stop(struct wire_agent *agent);

pid_t wire_agent_pid(const struct wire_agent *agent);

/* ---- The agent's side ---- */

struct wire_server;

/** Tell the starter how it went: @e and its text. ERR_CLOSED: there is no starter any more. */
enum err wire_agent_report(int control_fd, enum err e, const char *text);

/** Hand connections from the control channel to @server until the channel closes. */
enum err wire_agent_serve(int control_fd, struct wire_server *server);

#endif
