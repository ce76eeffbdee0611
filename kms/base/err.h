/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_ERR_H
#define SIGNETFS_BASE_ERR_H

/*
 * The project's one error type.
 *
 * Every function that can fail for a reason outside the program returns an `enum err`; bugs are asserts. Outputs come
 * last, are named `ret_…` and are untouched on failure. There are exactly two translations: err_to_errno() for the
 * file system and err_to_exception() for the KMS's wire.
 *
 * Beside the code a thread-local sentence explains the failure to a person: what was tried, on what, why it failed.
 * It is set by err_fail() at the place that knows most, may be widened by err_wrap() on the way up, and is read once by
 * the command or daemon that reports it. It never holds a secret: no key, passphrase, plaintext content.
 */

#include <stddef.h>

enum err {
	ERR_OK = 0,

	/* Input and state of this machine. */
	ERR_SYSTEM = -1,       /* a system call failed: err_errno() has its errno */
	ERR_NO_MEMORY = -2,    /* allocation refused */
	ERR_FORMAT = -3,       /* malformed before any key was used */
	ERR_TAMPERED = -4,     /* a tag or MAC does not verify: never retry, never return data */
	ERR_UNSUPPORTED = -5,  /* a newer format version, suite, flag or a feature this build lacks */
	ERR_USAGE = -6,        /* the caller's request makes no sense: wrong option, wrong path, wrong state */
	ERR_CONFIG = -7,       /* a configuration file is wrong; the text names file and line */
	ERR_BUSY = -8,         /* another process holds the lock; the text says who */
	ERR_NOT_FOUND = -9,    /* a thing of ours (file, record) does not exist */
	ERR_EXISTS = -10,      /* a thing of ours exists already */
	ERR_LIMIT = -11,       /* a bound of ours is reached: name too long, blob too large */
	ERR_READ_ONLY = -12,   /* the vault or mount is read-only */
	ERR_CRYPTO = -13,      /* the cryptographic library failed: never expected */
	ERR_INTERRUPTED = -14, /* asked to stop */
	ERR_ROOT_KEY = -15,    /* wrong passphrase or root key; the keystore itself is sound */
	ERR_KEYSTORE = -16,    /* the keystore is damaged or not one */
	ERR_VAULT = -17,       /* the vault's own records are damaged or it is not a vault */
	ERR_MOUNT_POINT = -18, /* the mount point is unusable */
	ERR_CLOSED = -19,      /* the peer hung up */
	ERR_STALE = -20,       /* what this rests on has changed meanwhile: begin anew */

	/* The KMS as seen by a client, besides the exceptions below. */
	ERR_KMS_UNREACHABLE = -30,  /* after the retry budget is spent */
	ERR_KMS_PROTOCOL = -31,     /* the answer makes no sense, or is about another key */
	ERR_KMS_WRONG_ANSWER = -32, /* the answer authenticates nothing we asked for */

	/* AWS KMS exceptions: the names are in err.c, the order is alphabetic. */
	ERR_KMS_ACCESS_DENIED = -100,
	ERR_KMS_ALREADY_EXISTS = -101,
	ERR_KMS_CONFLICT = -102,
	ERR_KMS_DEPENDENCY_TIMEOUT = -103,
	ERR_KMS_DISABLED = -104,
	ERR_KMS_DRY_RUN = -105,
	ERR_KMS_EXPIRED_IMPORT_TOKEN = -106,
	ERR_KMS_EXPIRED_TOKEN = -107, /* ExpiredTokenException: temporary credentials */
	ERR_KMS_INCOMPLETE_SIGNATURE = -108,
	ERR_KMS_INCORRECT_KEY = -109,
	ERR_KMS_INCORRECT_KEY_MATERIAL = -110,
	ERR_KMS_INTERNAL = -111,
	ERR_KMS_INVALID_ALIAS_NAME = -112,
	ERR_KMS_INVALID_ARN = -113,
	ERR_KMS_INVALID_CIPHERTEXT = -114,
	ERR_KMS_INVALID_GRANT_ID = -115,
	ERR_KMS_INVALID_GRANT_TOKEN = -116,
	ERR_KMS_INVALID_IMPORT_TOKEN = -117,
	ERR_KMS_INVALID_KEY_USAGE = -118,
	ERR_KMS_INVALID_MAC = -119,
	ERR_KMS_INVALID_MARKER = -120,
	ERR_KMS_INVALID_SIGNATURE = -121, /* KMSInvalidSignatureException: Verify said no */
	ERR_KMS_INVALID_STATE = -122,
	ERR_KMS_KEY_UNAVAILABLE = -123,
	ERR_KMS_LIMIT_EXCEEDED = -124,
	ERR_KMS_MALFORMED_POLICY = -125,
	ERR_KMS_MISSING_AUTHENTICATION = -126,
	ERR_KMS_NOT_FOUND = -127,
	ERR_KMS_SERIALIZATION = -128,      /* SerializationException: the body is not the JSON it should be */
	ERR_KMS_SIGNATURE_MISMATCH = -129, /* InvalidSignatureException: SigV4 does not verify */
	ERR_KMS_TAG = -130,
	ERR_KMS_THROTTLING = -131,
	ERR_KMS_UNKNOWN_OPERATION = -132,
	ERR_KMS_UNRECOGNIZED_CLIENT = -133, /* unknown access key */
	ERR_KMS_UNSUPPORTED_OPERATION = -134,
	ERR_KMS_VALIDATION = -135,
	ERR_KMS_CUSTOM_KEY_STORE_NOT_FOUND = -136,
	ERR_KMS_OTHER = -199, /* an exception of a foreign KMS that is not in this list; final */
};

/** Early return with cleanup by attribute: no path leaks, no ladder. */
#define TRY(call)                                                                                                      \
	do {                                                                                                           \
		enum err try_e_ = (call);                                                                              \
		if (try_e_ != ERR_OK)                                                                                  \
			return try_e_;                                                                                 \
	} while (0)

/** Set the thread's explanation (printf style, cut at 1 KiB) and return @e. errno of this moment is kept for ERR_SYSTEM. */
enum err err_fail(enum err e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** As err_fail(ERR_SYSTEM, …) with ": strerror" appended. */
enum err err_system(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Put "text: " before the explanation that a lower layer left; return @e unchanged. For "mounting VAULT: …". */
enum err err_wrap(enum err e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Let the compiler see that the code comes back unchanged: a caller's outputs are then known to be set or not. */
#define err_fail(e, ...)                                                                                               \
	__extension__({                                                                                                \
		const enum err err_code_ __attribute__((unused)) = (e);                                                \
		(err_fail)(err_code_, __VA_ARGS__);                                                                    \
		err_code_;                                                                                             \
	})
#define err_system(...)                                                                                                \
	__extension__({                                                                                                \
		const enum err err_code_ __attribute__((unused)) = ERR_SYSTEM;                                         \
		(err_system)(__VA_ARGS__);                                                                             \
		err_code_;                                                                                             \
	})

/** The explanation of the last failure of this thread; err_name(e) where none was set for @e. Valid until the next failure. */
const char *err_text(enum err e);

/** The errno kept by the last err_fail()/err_system() of this thread. */
int err_errno(void);

/** Set the kept errno by hand, for a failure that did not come from libc. */
void err_set_errno(int errnum);

/** Short stable name of the code, for logs and tests: "ERR_TAMPERED". */
const char *err_name(enum err e);

/** The failure lies in what is stored: damaged, tampered with, or of a format that this program does not know. */
int err_is_damage(enum err e);

/**
 * Translation one: the errno that a program using the mount sees (positive). ERR_SYSTEM gives err_errno();
 * tampering, damage and an unreachable KMS are EIO; a key that the KMS refuses is EACCES.
 */
int err_to_errno(enum err e);

/** Translation two: "NotFoundException" and its like; codes that are no KMS exception give "KMSInternalException". */
const char *err_to_exception(enum err e);

/** The reverse for clients: ERR_KMS_OTHER for a name not in the list. A "Namespace#" prefix and ":uri" suffix are ignored. */
enum err err_from_exception(const char *name);

/** HTTP status that AWS KMS answers for the exception: 400, 500 or 503. */
int err_to_http_status(enum err e);

#endif
