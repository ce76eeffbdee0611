/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_SHAPES_H
#define SIGNETFS_ENGINE_SHAPES_H

/* Request shapes of the service model (API version 2014-11-01), one table an operation. */

#include "kms/engine/validate.h"

extern const struct member shape_cancel_key_deletion[], shape_create_alias[], shape_create_key[], shape_decrypt[],
	shape_delete_alias[], shape_describe_key[], shape_disable_key[], shape_disable_key_rotation[],
	shape_enable_key[], shape_enable_key_rotation[], shape_encrypt[], shape_generate_data_key[],
	shape_generate_data_key_without_plaintext[], shape_generate_random[], shape_get_key_rotation_status[],
	shape_list_aliases[], shape_list_key_rotations[], shape_list_keys[], shape_re_encrypt[],
	shape_rotate_key_on_demand[], shape_schedule_key_deletion[], shape_update_alias[],
	shape_update_key_description[];

#endif
