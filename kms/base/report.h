/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_REPORT_H
#define SIGNETFS_BASE_REPORT_H

/*
 * How a library tells a person something that is no error of the call at hand: a damaged file that was skipped, a key
 * that was revoked. The command or daemon supplies the sink (terminal, syslog, a test's list); libraries never print.
 * Above REPORT_DEBUG no text holds a plaintext name; no text at any level holds a key or file content.
 */

enum report_level { REPORT_ERROR, REPORT_WARNING, REPORT_NOTICE, REPORT_DEBUG };

struct reporter {
	void (*emit)(void *context, enum report_level level, const char *text); /* any thread; must not call back */
	void *context;
};

/** Format and emit; a NULL reporter or emit drops it. */
void report(const struct reporter *r, enum report_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * A gate for messages that would repeat: true for the first @key (a hash of what and where) in each minute.
 * Holds at most 1024 keys, the oldest leaves. Threads: safe.
 */
struct report_limiter;
struct clock;
struct report_limiter *report_limiter_new(const struct clock *clock);
void report_limiter_free(struct report_limiter *l);
int report_limiter_pass(struct report_limiter *l, unsigned long long key);

#endif
