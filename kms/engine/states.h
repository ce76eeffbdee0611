/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_STATES_H
#define SIGNETFS_ENGINE_STATES_H

/* Operation × key state, as in "Key states of AWS KMS keys" of the AWS KMS developer guide. */

#include "kms/base/err.h"
#include "kms/store/store.h"

/** ERR_OK, or the exception that @operation gets from a key in its state, with AWS's text. Unlisted operations ask no state. */
enum err states_check(const char *operation, const struct store_key *key);

/** "Enabled", "PendingDeletion", … */
const char *states_name(enum key_state state);

#endif
