/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "tests/support/keystore.h"

#define DAY (UINT64_C(86400) * CLOCK_SECOND)

static const char *text(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

static size_t rotations(struct keystore *k, const char *id)
{
	json_t *body = keystore_ok(k, "ListKeyRotations", "{'KeyId':'%s'}", id);
	size_t n = json_array_size(json_object_get(body, "Rotations"));

	json_decref(body);
	return n;
}

static double next_rotation(struct keystore *k, const char *id)
{
	json_t *body = keystore_ok(k, "GetKeyRotationStatus", "{'KeyId':'%s'}", id);
	double t = json_real_value(json_object_get(body, "NextRotationDate"));

	json_decref(body);
	return t;
}

static uint64_t run_due(struct keystore *k)
{
	uint64_t next;

	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	return next;
}

static void off_by_default_and_back(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	json_t *body;

	keystore_new_key(k, id, arn);
	body = keystore_ok(k, "GetKeyRotationStatus", "{'KeyId':'%s'}", id);
	assert_int_equal(json_object_size(body), 2);
	assert_true(json_is_false(json_object_get(body, "KeyRotationEnabled")));
	assert_string_equal(text(body, "KeyId"), id);
	json_decref(body);
	assert_null(keystore_ok(k, "EnableKeyRotation", "{'KeyId':'%s'}", id));
	body = keystore_ok(k, "GetKeyRotationStatus", "{'KeyId':'%s'}", id);
	assert_int_equal(json_object_size(body), 4);
	assert_true(json_is_true(json_object_get(body, "KeyRotationEnabled")));
	assert_int_equal(json_integer_value(json_object_get(body, "RotationPeriodInDays")), 365);
	assert_true(json_real_value(json_object_get(body, "NextRotationDate")) == 1700000000.0 + 365 * 86400);
	json_decref(body);
	assert_null(keystore_ok(k, "DisableKeyRotation", "{'KeyId':'%s'}", id));
	clock_fake_advance(&k->clock, 366 * DAY);
	assert_true(run_due(k) == UINT64_MAX);
	assert_int_equal(rotations(k, id), 0);
}

static void rotates_on_schedule_to_the_nanosecond(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	keystore_do(k, "EnableKeyRotation", "{'KeyId':'%s','RotationPeriodInDays':90}", id);
	assert_true(run_due(k) == KEYSTORE_WALL + 90 * DAY);
	clock_fake_advance(&k->clock, 90 * DAY - 1);
	run_due(k);
	assert_int_equal(rotations(k, id), 0);
	clock_fake_advance(&k->clock, 1);
	assert_true(run_due(k) == KEYSTORE_WALL + 180 * DAY);
	assert_int_equal(rotations(k, id), 1);
	run_due(k);
	assert_int_equal(rotations(k, id), 1);
}

static void downtime_costs_one_rotation_and_keeps_the_schedule(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	keystore_do(k, "EnableKeyRotation", "{'KeyId':'%s','RotationPeriodInDays':100}", id);
	clock_fake_advance(&k->clock, 350 * DAY);
	assert_true(run_due(k) == KEYSTORE_WALL + 400 * DAY);
	assert_int_equal(rotations(k, id), 1);
	assert_true(next_rotation(k, id) == 1700000000.0 + 400.0 * 86400);
}

static void a_disabled_key_rotates_once_enabled(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	keystore_do(k, "EnableKeyRotation", "{'KeyId':'%s','RotationPeriodInDays':90}", id);
	keystore_do(k, "DisableKey", "{'KeyId':'%s'}", id);
	clock_fake_advance(&k->clock, 91 * DAY);
	assert_true(run_due(k) == UINT64_MAX);
	assert_int_equal(rotations(k, id), 0);
	keystore_do(k, "EnableKey", "{'KeyId':'%s'}", id);
	run_due(k);
	assert_int_equal(rotations(k, id), 1);
}

static void pending_deletion_suspends_rotation(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	json_t *body;

	keystore_new_key(k, id, arn);
	keystore_do(k, "EnableKeyRotation", "{'KeyId':'%s'}", id);
	keystore_do(k, "ScheduleKeyDeletion", "{'KeyId':'%s'}", id);
	body = keystore_ok(k, "GetKeyRotationStatus", "{'KeyId':'%s'}", id);
	assert_true(json_is_false(json_object_get(body, "KeyRotationEnabled")));
	json_decref(body);
	keystore_do(k, "CancelKeyDeletion", "{'KeyId':'%s'}", id);
	body = keystore_ok(k, "GetKeyRotationStatus", "{'KeyId':'%s'}", id);
	assert_true(json_is_true(json_object_get(body, "KeyRotationEnabled")));
	json_decref(body);
}

static void a_new_period_counts_from_the_last_rotation(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	keystore_do(k, "EnableKeyRotation", "{'KeyId':'%s','RotationPeriodInDays':200}", id);
	clock_fake_advance(&k->clock, 50 * DAY);
	keystore_do(k, "EnableKeyRotation", "{'KeyId':'%s','RotationPeriodInDays':100}", id);
	assert_true(next_rotation(k, id) == 1700000000.0 + 100.0 * 86400);
}

static void on_demand_keeps_the_schedule_and_stops_at_25(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], message[512];
	json_t *body;

	keystore_new_key(k, id, arn);
	keystore_do(k, "EnableKeyRotation", "{'KeyId':'%s'}", id);
	clock_fake_advance(&k->clock, DAY);
	for (int i = 0; i < 25; i++) {
		body = keystore_ok(k, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
		assert_string_equal(text(body, "KeyId"), arn);
		json_decref(body);
	}
	snprintf(message, sizeof(message),
		"The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can "
		"be "
		"performed for this key: %s",
		arn);
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, message, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
	assert_int_equal(rotations(k, id), 25);
	assert_true(next_rotation(k, id) == 1700000000.0 + 365.0 * 86400);
}

static void list_rotations_in_pages_with_material(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], marker[512];
	json_t *body, *list;

	keystore_new_key(k, id, arn);
	keystore_do(k, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
	keystore_do(k, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
	body = keystore_ok(k, "ListKeyRotations", "{'KeyId':'%s','IncludeKeyMaterial':'ALL_KEY_MATERIAL'}", id);
	list = json_object_get(body, "Rotations");
	assert_int_equal(json_array_size(list), 3);
	assert_null(json_object_get(json_array_get(list, 0), "RotationDate"));
	assert_string_equal(text(json_array_get(list, 0), "KeyMaterialState"), "NON_CURRENT");
	assert_string_equal(text(json_array_get(list, 2), "KeyMaterialState"), "CURRENT");
	assert_string_equal(text(json_array_get(list, 2), "RotationType"), "ON_DEMAND");
	assert_string_equal(text(json_array_get(list, 2), "KeyId"), id);
	json_decref(body);
	body = keystore_ok(k, "ListKeyRotations", "{'KeyId':'%s','Limit':1}", id);
	assert_true(json_is_true(json_object_get(body, "Truncated")));
	keystore_text(body, "NextMarker", marker);
	json_decref(body);
	body = keystore_ok(k, "ListKeyRotations", "{'KeyId':'%s','Limit':1,'Marker':'%s'}", id, marker);
	assert_true(json_is_false(json_object_get(body, "Truncated")));
	assert_int_equal(json_array_size(json_object_get(body, "Rotations")), 1);
	json_decref(body);
}

static void id_arn_and_old_ciphertext_survive(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], blob[512], first[512];
	json_t *body;

	keystore_new_key(k, id, arn);
	body = keystore_ok(k, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
	keystore_text(body, "CiphertextBlob", blob);
	keystore_text(body, "KeyMaterialId", first);
	json_decref(body);
	keystore_do(k, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
	body = keystore_ok(k, "DescribeKey", "{'KeyId':'%s'}", id);
	assert_string_equal(text(json_object_get(body, "KeyMetadata"), "Arn"), arn);
	assert_string_not_equal(text(json_object_get(body, "KeyMetadata"), "CurrentKeyMaterialId"), first);
	json_decref(body);
	body = keystore_ok(k, "Decrypt", "{'CiphertextBlob':'%s'}", blob);
	assert_string_equal(text(body, "KeyId"), arn);
	assert_string_equal(text(body, "KeyMaterialId"), first);
	json_decref(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)
		TEST(off_by_default_and_back),
		TEST(rotates_on_schedule_to_the_nanosecond),
		TEST(downtime_costs_one_rotation_and_keeps_the_schedule),
		TEST(a_disabled_key_rotates_once_enabled),
		TEST(pending_deletion_suspends_rotation),
		TEST(a_new_period_counts_from_the_last_rotation),
		TEST(on_demand_keeps_the_schedule_and_stops_at_25),
		TEST(list_rotations_in_pages_with_material),
		TEST(id_arn_and_old_ciphertext_survive),
	};

	return cmocka_run_group_tests_name("engine_rotation", tests, NULL, NULL);
}
