/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ENDPOINT_FORMS "agent, unix:PATH, http://HOST:PORT, https://HOST[:PORT] or keyfile:PATH"

static enum err bad_endpoint(const char *text, const char *why)
{
	return err_fail(ERR_USAGE, "'%s' is no KMS endpoint: %s (expected " ENDPOINT_FORMS ")", text, why);
}

int endpoint_is_loopback(const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (!strcasecmp(host, "localhost"))
		return 1;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static enum err parse_port(const char *text, uint16_t *ret)
{
	unsigned long port = 0;
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || i > 4)
			return err_fail(ERR_USAGE, "'%s' is no port number", text);
		port = port * 10 + (unsigned long)(text[i] - '0');
	}
	if (!len || port > UINT16_MAX)
		return err_fail(ERR_USAGE, "'%s' is no port number", text);
	*ret = (uint16_t)port;
	return ERR_OK;
}

enum err endpoint_split_host(const char *text, char ret_host[ENDPOINT_HOST_SIZE], uint16_t *ret_port)
{
	int bracket = text[0] == '[';
	const char *host = text + bracket;
	size_t len = strcspn(host, bracket ? "]" : ":");
	const char *rest = host + len + (bracket && host[len] == ']');
	uint16_t port = 0;

	if (!len || len >= ENDPOINT_HOST_SIZE || (bracket && host[len] != ']') || (*rest && *rest != ':'))
		return err_fail(ERR_USAGE, "'%s' is no HOST or HOST:PORT", text);
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:%*", host[i]))
			return err_fail(ERR_USAGE, "'%s' has a character that no host name has", text);
	if (*rest)
		TRY(parse_port(rest + 1, &port));
	memcpy(ret_host, host, len);
	ret_host[len] = '\0';
	*ret_port = port;
	return ERR_OK;
}

static enum err parse_tcp(const char *text, const char *rest, enum endpoint_kind kind, struct endpoint *out)
{
	const char *scheme = kind == ENDPOINT_HTTP ? "http" : "https";
	uint16_t standard = kind == ENDPOINT_HTTP ? 80 : 443, port = 0;
	char authority[ENDPOINT_HOST_SIZE], host[ENDPOINT_HOST_SIZE];
	size_t len = strcspn(rest, "/");
	int printed;

	if (rest[len] && strcmp(rest + len, "/") != 0)
		return bad_endpoint(text, "it has a path");
	if (len >= sizeof(authority))
		return bad_endpoint(text, "the host is too long");
	memcpy(authority, rest, len);
	authority[len] = '\0';
	TRY(endpoint_split_host(authority, host, &port));
	out->kind = kind;
	out->loopback = endpoint_is_loopback(host);
	/* Clients leave a standard port out of the Host header, which the signature covers. */
	if (port && port != standard)
		printed = snprintf(out->host, sizeof(out->host), strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
	else
		printed = snprintf(out->host, sizeof(out->host), strchr(host, ':') ? "[%s]" : "%s", host);
	if (printed < 0 || (size_t)printed >= sizeof(out->host))
		return bad_endpoint(text, "the host is too long");
	snprintf(out->url, sizeof(out->url), "%s://%s/", scheme, out->host);
	return ERR_OK;
}

static enum err parse_unix(const char *text, const char *path, struct endpoint *out)
{
	size_t len = strlen(path);

	if (!len)
		return bad_endpoint(text, "the path is empty");
	if (len >= sizeof(out->path))
		return bad_endpoint(text, "a socket's path has at most 107 bytes");
	out->kind = ENDPOINT_UNIX;
	memcpy(out->path, path, len + 1);
	return ERR_OK;
}

enum err endpoint_parse(const char *text, struct endpoint *ret)
{
	struct endpoint e = {.kind = ENDPOINT_AGENT, .loopback = 1, .host = "localhost", .url = "http://127.0.0.1/"};

	if (!strncmp(text, "unix:", 5))
		TRY(parse_unix(text, text + 5, &e));
	else if (!strncasecmp(text, "http://", 7))
		TRY(parse_tcp(text, text + 7, ENDPOINT_HTTP, &e));
	else if (!strncasecmp(text, "https://", 8))
		TRY(parse_tcp(text, text + 8, ENDPOINT_HTTPS, &e));
	else if (strcmp(text, "agent") != 0)
		return bad_endpoint(text, "unknown form");
	*ret = e;
	return ERR_OK;
}
