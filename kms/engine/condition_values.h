/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_CONDITION_VALUES_H
#define SIGNETFS_ENGINE_CONDITION_VALUES_H

/* How what is looked up gives its values (kms/policy/policy.h). ERR_NO_MEMORY. */

#include <stdint.h>
#include "kms/policy/policy.h"

/** A text that lives as long as the call. */
enum err condition_give(struct policy_values *ret, const char *text);
enum err condition_give_bool(struct policy_values *ret, int value);
enum err condition_give_copy(struct policy_values *ret, const char *text);
enum err condition_give_number(struct policy_values *ret, int64_t n);
enum err condition_give_date(struct policy_values *ret, uint64_t wall_ns);
/** Room for @n texts; how many there are the caller says in ret->count. */
enum err condition_room(struct policy_values *ret, size_t n);
enum err condition_give_strings(struct policy_values *ret, const json_t *list);

#endif
