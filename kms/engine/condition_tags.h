/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_CONDITION_TAGS_H
#define SIGNETFS_ENGINE_CONDITION_TAGS_H

/*
 * The condition keys about tags. Names are compared without regard to case, as AWS does; where two differ by case alone, the one
 * that is spelt as in the condition counts, so that nobody hides a tag behind another.
 */

#include "kms/engine/condition_keys.h"

/** aws:RequestTag/NAME */
enum err condition_request_tag(const struct condition_scope *s, const char *name, struct policy_values *ret);
/** aws:TagKeys */
enum err condition_tag_keys(const struct condition_scope *s, struct policy_values *ret);
/** aws:ResourceTag/NAME */
enum err condition_resource_tag(const struct condition_scope *s, const char *name, struct policy_values *ret);

#endif
