/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ROOTKEY_H
#define SIGNETFS_ROOTKEY_H

/*
 * Where the root key of a keystore comes from. A specification is what a person writes:
 *
 *     passphrase       asked on the terminal, without echo
 *     passfile:PATH    the first line of a file
 *     keyfile:PATH     32 raw bytes, or 64 hexadecimal digits with or without a newline
 *     command:CMD      the first line that /bin/sh -c CMD prints: a passphrase manager, a secret store
 *
 * Passphrases become a root key through scrypt, key files through HKDF, both with parameters (kind, salt, cost) that
 * rootkey_create() makes and the keystore keeps beside its ciphertext. They are no secret, and hostile ones cannot make
 * us spend more than kdf_scrypt()'s bounds. The source itself is not kept: passfile, command and passphrase are
 * interchangeable as long as they give the same words.
 *
 * Whether a root key is the right one is for the keystore to find out, by its own verifier.
 *
 * Threads: not for concurrent use; the terminal and the child process are the process's. May block on a person.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"
#include "kms/base/kdf.h"
#include "kms/base/secret.h"

enum rootkey_source { ROOTKEY_PASSPHRASE, ROOTKEY_PASSFILE, ROOTKEY_KEYFILE, ROOTKEY_COMMAND };

struct rootkey_spec {
	enum rootkey_source source;
	const char *argument; /* PATH or CMD, a view into the text that was parsed; "" for passphrase */
};

/** ERR_USAGE, with the four forms in the text, for anything else. */
enum err rootkey_parse(const char *spec, struct rootkey_spec *ret);

enum { ROOTKEY_SALT_SIZE = 32, ROOTKEY_PARAMS_SIZE = 52, ROOTKEY_PASSPHRASE_MAX = 1024 };

/* On disk; the values do not change. */
enum rootkey_kind { ROOTKEY_KIND_SCRYPT = 1, ROOTKEY_KIND_HKDF = 2 };

struct rootkey_params {
	enum rootkey_kind kind;
	uint8_t salt[ROOTKEY_SALT_SIZE];
	struct kdf_scrypt_params scrypt; /* zero for HKDF */
};

/** The form that the keystore keeps: version, kind, 2 zero bytes, salt, N, r, p; little-endian. */
void rootkey_params_encode(const struct rootkey_params *params, uint8_t out[ROOTKEY_PARAMS_SIZE]);

/** ERR_FORMAT: malformed; ERR_UNSUPPORTED: a newer version or kind; ERR_LIMIT: scrypt's cost is out of bounds. */
enum err rootkey_params_decode(const void *buf, size_t len, struct rootkey_params *ret);

/**
 * For a new keystore: get the secret (a passphrase is asked for twice, @what names the keystore in the question) and make
 * parameters with a fresh salt. @cost is scrypt's, NULL for the default (N 2^16, r 8, p 1: 64 MiB, a fifth of a second).
 * *@ret_key is a secret.
 *
 * ERR_USAGE: a file that others can read, an empty passphrase, two that differ, no terminal to ask on; ERR_NOT_FOUND: no such
 * file; ERR_FORMAT: not a key file; ERR_LIMIT: longer than ROOTKEY_PASSPHRASE_MAX; ERR_SYSTEM: the command failed or took
 * longer than a minute, or reading did; ERR_INTERRUPTED: control-C at the question or the command. The text says what to do.
 */
enum err rootkey_create(const struct rootkey_spec *spec, const char *what, const struct kdf_scrypt_params *cost,
	struct rootkey_params *ret_params, struct root_key *ret_key);

/** For a keystore that exists. As above, and ERR_USAGE when the keystore was made with the other kind (file or words). */
enum err rootkey_obtain(const struct rootkey_spec *spec, const char *what, const struct rootkey_params *params,
	struct root_key *ret_key);

/** The bytes of a key file as `keyfile:PATH` has it, for whoever else takes one. *@ret is a secret. Errors as rootkey_create(). */
enum err rootkey_read_keyfile(const char *path, uint8_t ret[KEY_SIZE]);

#endif
