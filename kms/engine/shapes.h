/* SPDX-License-Identifier: Apache-2.0 */
/* Made by contrib/kms-shapes from the service model of AWS KMS, API version 2014-11-01. Change the generator, not this file.
 * Model digest: 103e45e33365d007b5fe556da44a34c4773050e9d63407cd902bf20706b88442 */
/* clang-format off */
#ifndef SIGNETFS_ENGINE_SHAPES_H
#define SIGNETFS_ENGINE_SHAPES_H

/* What the request of each operation may hold: a table of members each, ended by one without a name. */

#include "kms/engine/validate.h"

extern const struct member
	shape_cancel_key_deletion[], shape_connect_custom_key_store[], shape_create_alias[], shape_create_custom_key_store[],
	shape_create_grant[], shape_create_key[], shape_decrypt[], shape_delete_alias[], shape_delete_custom_key_store[],
	shape_delete_imported_key_material[], shape_derive_shared_secret[], shape_describe_custom_key_stores[],
	shape_describe_key[], shape_disable_key[], shape_disable_key_rotation[], shape_disconnect_custom_key_store[],
	shape_enable_key[], shape_enable_key_rotation[], shape_encrypt[], shape_generate_data_key[],
	shape_generate_data_key_pair[], shape_generate_data_key_pair_without_plaintext[],
	shape_generate_data_key_without_plaintext[], shape_generate_mac[], shape_generate_random[],
	shape_get_key_last_usage[], shape_get_key_policy[], shape_get_key_rotation_status[],
	shape_get_parameters_for_import[], shape_get_public_key[], shape_import_key_material[], shape_list_aliases[],
	shape_list_grants[], shape_list_key_policies[], shape_list_key_rotations[], shape_list_keys[],
	shape_list_resource_tags[], shape_list_retirable_grants[], shape_put_key_policy[], shape_re_encrypt[],
	shape_replicate_key[], shape_retire_grant[], shape_revoke_grant[], shape_rotate_key_on_demand[],
	shape_schedule_key_deletion[], shape_sign[], shape_tag_resource[], shape_untag_resource[], shape_update_alias[],
	shape_update_custom_key_store[], shape_update_key_description[], shape_update_primary_region[], shape_verify[],
	shape_verify_mac[];

#endif
