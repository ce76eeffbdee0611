/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 1024, EXCEPTION_SIZE = 64 };

/* The last failure of this thread; @code tells whose text it is, so that a stale sentence never explains another error. */
static _Thread_local struct {
	enum err code;
	int errnum;
	char text[TEXT_SIZE];
} last;

struct row {
	enum err code;
	const char *name;
	const char *exception; /* NULL: no KMS exception */
	int http_status;
	int errnum; /* 0: the errno kept with the failure */
};

#define LOCAL(code, errnum)                                                                                            \
	{                                                                                                              \
		code, #code, NULL, 500, errnum                                                                         \
	}
#define REMOTE(code, exception, status, errnum)                                                                        \
	{                                                                                                              \
		code, #code, exception, status, errnum                                                                 \
	}

/*
 * AWS KMS answers 400 for every client error and 500 or 503 where the service is at fault. EACCES is for what an
 * administrator of the KMS can heal (state, policy, key); EIO for damage and for everything that is not about access.
 */
static const struct row table[] = {
	LOCAL(ERR_OK, 0),
	LOCAL(ERR_SYSTEM, 0),
	LOCAL(ERR_NO_MEMORY, ENOMEM),
	LOCAL(ERR_FORMAT, EIO),
	LOCAL(ERR_TAMPERED, EIO),
	LOCAL(ERR_UNSUPPORTED, EOPNOTSUPP),
	LOCAL(ERR_USAGE, EINVAL),
	LOCAL(ERR_CONFIG, EIO),
	LOCAL(ERR_BUSY, EBUSY),
	LOCAL(ERR_NOT_FOUND, ENOENT),
	LOCAL(ERR_EXISTS, EEXIST),
	LOCAL(ERR_LIMIT, EOVERFLOW),
	LOCAL(ERR_READ_ONLY, EROFS),
	LOCAL(ERR_CRYPTO, EIO),
	LOCAL(ERR_INTERRUPTED, EINTR),
	LOCAL(ERR_ROOT_KEY, EIO),
	LOCAL(ERR_KEYSTORE, EIO),
	LOCAL(ERR_VAULT, EIO),
	LOCAL(ERR_MOUNT_POINT, EIO),
	LOCAL(ERR_CLOSED, EIO),
	LOCAL(ERR_STALE, EIO),
	LOCAL(ERR_KMS_UNREACHABLE, EIO),
	LOCAL(ERR_KMS_PROTOCOL, EIO),
	LOCAL(ERR_KMS_WRONG_ANSWER, EIO),
	REMOTE(ERR_KMS_ACCESS_DENIED, "AccessDeniedException", 400, EACCES),
	REMOTE(ERR_KMS_ALREADY_EXISTS, "AlreadyExistsException", 400, EIO),
	REMOTE(ERR_KMS_CONFLICT, "ConflictException", 400, EIO),
	REMOTE(ERR_KMS_DEPENDENCY_TIMEOUT, "DependencyTimeoutException", 503, EIO),
	REMOTE(ERR_KMS_DISABLED, "DisabledException", 400, EACCES),
	REMOTE(ERR_KMS_DRY_RUN, "DryRunOperationException", 400, EIO),
	REMOTE(ERR_KMS_EXPIRED_IMPORT_TOKEN, "ExpiredImportTokenException", 400, EIO),
	REMOTE(ERR_KMS_EXPIRED_TOKEN, "ExpiredTokenException", 400, EACCES),
	REMOTE(ERR_KMS_INCOMPLETE_SIGNATURE, "IncompleteSignatureException", 400, EACCES),
	REMOTE(ERR_KMS_INCORRECT_KEY, "IncorrectKeyException", 400, EIO),
	REMOTE(ERR_KMS_INCORRECT_KEY_MATERIAL, "IncorrectKeyMaterialException", 400, EIO),
	REMOTE(ERR_KMS_INTERNAL, "KMSInternalException", 500, EIO),
	REMOTE(ERR_KMS_INVALID_ALIAS_NAME, "InvalidAliasNameException", 400, EIO),
	REMOTE(ERR_KMS_INVALID_ARN, "InvalidArnException", 400, EIO),
	REMOTE(ERR_KMS_INVALID_CIPHERTEXT, "InvalidCiphertextException", 400, EIO),
	REMOTE(ERR_KMS_INVALID_GRANT_ID, "InvalidGrantIdException", 400, EIO),
	REMOTE(ERR_KMS_INVALID_GRANT_TOKEN, "InvalidGrantTokenException", 400, EACCES),
	REMOTE(ERR_KMS_INVALID_IMPORT_TOKEN, "InvalidImportTokenException", 400, EIO),
	REMOTE(ERR_KMS_INVALID_KEY_USAGE, "InvalidKeyUsageException", 400, EACCES),
	REMOTE(ERR_KMS_INVALID_MAC, "KMSInvalidMacException", 400, EIO),
	REMOTE(ERR_KMS_INVALID_MARKER, "InvalidMarkerException", 400, EIO),
	REMOTE(ERR_KMS_INVALID_SIGNATURE, "KMSInvalidSignatureException", 400, EIO),
	REMOTE(ERR_KMS_INVALID_STATE, "KMSInvalidStateException", 400, EACCES),
	REMOTE(ERR_KMS_KEY_UNAVAILABLE, "KeyUnavailableException", 500, EACCES),
	REMOTE(ERR_KMS_LIMIT_EXCEEDED, "LimitExceededException", 400, EIO),
	REMOTE(ERR_KMS_MALFORMED_POLICY, "MalformedPolicyDocumentException", 400, EIO),
	REMOTE(ERR_KMS_MISSING_AUTHENTICATION, "MissingAuthenticationTokenException", 400, EACCES),
	REMOTE(ERR_KMS_NOT_FOUND, "NotFoundException", 400, EACCES),
	REMOTE(ERR_KMS_SERIALIZATION, "SerializationException", 400, EIO),
	REMOTE(ERR_KMS_SIGNATURE_MISMATCH, "InvalidSignatureException", 400, EACCES),
	REMOTE(ERR_KMS_TAG, "TagException", 400, EIO),
	REMOTE(ERR_KMS_THROTTLING, "ThrottlingException", 400, EIO),
	REMOTE(ERR_KMS_UNKNOWN_OPERATION, "UnknownOperationException", 400, EIO),
	REMOTE(ERR_KMS_UNRECOGNIZED_CLIENT, "UnrecognizedClientException", 400, EACCES),
	REMOTE(ERR_KMS_UNSUPPORTED_OPERATION, "UnsupportedOperationException", 400, EIO),
	REMOTE(ERR_KMS_VALIDATION, "ValidationException", 400, EIO),
	REMOTE(ERR_KMS_CUSTOM_KEY_STORE_NOT_FOUND, "CustomKeyStoreNotFoundException", 400, EIO),
	LOCAL(ERR_KMS_OTHER, EIO),
};

/* Spellings that AWS services and compatible endpoints use beside the names above. */
static const struct {
	const char *name;
	enum err code;
} aliases[] = {
	{"AccessDenied", ERR_KMS_ACCESS_DENIED},
	{"DependencyTimeout", ERR_KMS_DEPENDENCY_TIMEOUT},
	{"Disabled", ERR_KMS_DISABLED},
	{"ExpiredToken", ERR_KMS_EXPIRED_TOKEN},
	{"IncompleteSignature", ERR_KMS_INCOMPLETE_SIGNATURE},
	{"InternalFailure", ERR_KMS_INTERNAL},
	{"InternalServiceError", ERR_KMS_INTERNAL},
	{"InvalidClientTokenId", ERR_KMS_UNRECOGNIZED_CLIENT},
	{"KMSInternal", ERR_KMS_INTERNAL},
	{"KMSInvalidState", ERR_KMS_INVALID_STATE},
	{"KeyUnavailable", ERR_KMS_KEY_UNAVAILABLE},
	{"MalformedPolicyDocument", ERR_KMS_MALFORMED_POLICY},
	{"MissingAuthenticationToken", ERR_KMS_MISSING_AUTHENTICATION},
	{"NotFound", ERR_KMS_NOT_FOUND},
	{"SignatureDoesNotMatch", ERR_KMS_SIGNATURE_MISMATCH},
	{"Throttling", ERR_KMS_THROTTLING},
	{"TooManyRequestsException", ERR_KMS_THROTTLING},
	{"UnrecognizedClient", ERR_KMS_UNRECOGNIZED_CLIENT},
	{"ValidationError", ERR_KMS_VALIDATION},
};

static const struct row *find(enum err e)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].code == e)
			return &table[i];
	return NULL;
}

/* One line without terminal escapes, whatever a server, a file or a path put into it. */
static void make_plain(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		int c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;

		if (c1)
			p[1] = '?';
		if (c1 || *p < 0x20 || *p == 0x7f)
			*p = '?';
	}
}

/* The text is built apart first: the arguments may point into the sentence that it replaces. */
__attribute__((format(printf, 3, 0))) static void set_text(
	enum err e, const char *behind, const char *fmt, va_list args)
{
	char text[TEXT_SIZE];
	int n = vsnprintf(text, sizeof(text), fmt, args);
	size_t used = n < 0 ? 0 : (size_t)n;

	if (behind && used < sizeof(text))
		snprintf(text + used, sizeof(text) - used, ": %s", behind);
	if (n < 0 && !behind)
		text[0] = '\0';
	make_plain(text);
	memcpy(last.text, text, strlen(text) + 1);
	last.code = e;
}

enum err(err_fail)(enum err e, const char *fmt, ...)
{
	int errnum = errno;
	va_list args;

	va_start(args, fmt);
	set_text(e, NULL, fmt, args);
	va_end(args);
	if (e == ERR_SYSTEM)
		last.errnum = errnum;
	return e;
}

enum err(err_system)(const char *fmt, ...)
{
	int errnum = errno;
	char reason[128];
	va_list args;

	va_start(args, fmt);
	set_text(ERR_SYSTEM, strerror_r(errnum, reason, sizeof(reason)), fmt, args);
	va_end(args);
	last.errnum = errnum;
	return ERR_SYSTEM;
}

enum err err_wrap(enum err e, const char *fmt, ...)
{
	char below[TEXT_SIZE];
	va_list args;

	snprintf(below, sizeof(below), "%s", err_text(e));
	va_start(args, fmt);
	set_text(e, below, fmt, args);
	va_end(args);
	return e;
}

const char *err_text(enum err e)
{
	return last.code == e && last.text[0] ? last.text : err_name(e);
}

int err_errno(void)
{
	return last.errnum;
}

void err_set_errno(int errnum)
{
	/* errno as well, so that the order of this call and err_fail(ERR_SYSTEM) does not matter. */
	errno = errnum;
	last.errnum = errnum;
}

const char *err_name(enum err e)
{
	const struct row *row = find(e);

	return row ? row->name : "ERR_UNKNOWN";
}

int err_is_damage(enum err e)
{
	return e == ERR_FORMAT || e == ERR_TAMPERED || e == ERR_UNSUPPORTED || e == ERR_KMS_INVALID_CIPHERTEXT;
}

int err_to_errno(enum err e)
{
	const struct row *row = find(e);

	if (e == ERR_OK)
		return 0;
	if (e == ERR_SYSTEM)
		return last.errnum > 0 ? last.errnum : EIO;
	return row ? row->errnum : EIO;
}

const char *err_to_exception(enum err e)
{
	const struct row *row = find(e);

	return row && row->exception ? row->exception : "KMSInternalException";
}

static enum err find_exception(const char *name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].exception && strcmp(table[i].exception, name) == 0)
			return table[i].code;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcmp(aliases[i].name, name) == 0)
			return aliases[i].code;
	return ERR_KMS_OTHER;
}

enum err err_from_exception(const char *name)
{
	char bare[EXCEPTION_SIZE];
	size_t len = strcspn(name, ":");
	const char *hash = memchr(name, '#', len);

	if (hash) {
		len -= (size_t)(hash + 1 - name);
		name = hash + 1;
	}
	if (len >= sizeof(bare))
		return ERR_KMS_OTHER;
	memcpy(bare, name, len);
	bare[len] = '\0';
	return find_exception(bare);
}

int err_to_http_status(enum err e)
{
	const struct row *row = find(e);

	if (e == ERR_OK)
		return 200;
	return row ? row->http_status : 500;
}
