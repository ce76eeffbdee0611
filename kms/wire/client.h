/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_CLIENT_H
#define SIGNETFS_WIRE_CLIENT_H

/*
 * `struct kms` over HTTP: the agent, a Unix socket, or any service that speaks the AWS KMS protocol over TCP.
 *
 * Requests over TCP are signed with SigV4; on a Unix socket and to the agent the process's uid is the identity. Throttling,
 * server errors (5xx) and transport errors are tried again after min(cap, base·2ⁿ) × a random fraction ("full jitter"),
 * with a fresh signature, while the budget lasts; every other answer is final and never asked for twice.
 *
 * Reads no environment, no configuration, no proxy settings: the caller passes what it wants used.
 */

#include <stdint.h>
#include "kms/base/clock.h"
#include "kms/kms.h"
#include "kms/wire/agent.h"

struct wire_client_config {
	const char *endpoint;          /* see kms/wire/endpoint.h */
	const char *region;            /* NULL: us-east-1 */
	const char *access_key_id;     /* TCP only, required there */
	const char *secret_access_key; /* copied into locked memory */
	const char *session_token;     /* NULL: none */
	const char *ca_file;           /* https: PEM file of trusted authorities; NULL: the system's */
	int insecure_http;         /* permit http:// to another machine: keys would cross the network in the clear */
	const struct clock *clock; /* NULL: the system's */

	/* Nanoseconds; 0 = the default in parentheses. */
	uint64_t retry_budget;    /* from the first attempt to the start of the last one (10 s) */
	uint64_t retry_base;      /* (50 ms) */
	uint64_t retry_cap;       /* (2 s) */
	uint64_t connect_timeout; /* of one attempt, real time (3 s) */
	uint64_t attempt_timeout; /* of one attempt, real time (10 s) */

	struct wire_agent_config agent; /* endpoint "agent" only */
};

/**
 * Prepare a client. For endpoint "agent" this starts the agent (see wire_agent_start() for its errors); other endpoints
 * are first contacted by the first call. ERR_USAGE: no endpoint; ERR_CONFIG: credentials missing, or plain HTTP to another
 * machine. Free with kms_close(). The client must not be carried across fork().
 */
enum err wire_client_connect(const struct wire_client_config *config, struct kms **ret);

#endif
