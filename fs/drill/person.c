/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/person.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/base/json.h"

static enum err text_member(const json_t *object, const char *name, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(object, name));

	if (!text || strlen(text) >= size)
		return err_fail(ERR_KMS_PROTOCOL, "the scratch KMS answered without %s", name);
	strcpy(out, text);
	return ERR_OK;
}

enum err person_make(struct world *w, const char *account, const char *name, const char *region, struct person *ret)
{
	json_t *made AUTO_JSON = NULL, *access AUTO_JSON = NULL;
	char config[WORLD_PATH + 8];

	world_config(w, config);
	*ret = (struct person){.arn = ""};
	snprintf(ret->region, sizeof ret->region, "%s", region ? region : "");
	TRY(WORLD_RUN(w, NULL, "kms", "principal", "create-account", "--config", config, account, "other"));
	TRY(WORLD_ASK(w, &made, "kms", "principal", "create", "--config", config, "--account", account, name));
	TRY(text_member(made, "Arn", ret->arn, sizeof ret->arn));
	TRY(WORLD_ASK(w, &access, "kms", "principal", "access-key", "--config", config, ret->arn));
	const json_t *key = json_object_get(access, "AccessKey");
	TRY(text_member(key, "AccessKeyId", ret->access_key, sizeof ret->access_key));
	return text_member(key, "SecretAccessKey", ret->secret, sizeof ret->secret);
}

enum err person_allow(struct world *w, const struct person *p, const char *actions)
{
	char policy[512], config[WORLD_PATH + 8];

	world_config(w, config);
	snprintf(policy, sizeof policy,
		"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[%s],\"Resource\":\"*\"}]"
		"}",
		actions);
	return WORLD_RUN(w, NULL, "kms", "principal", "attach", "--config", config, "--policy-name", "use", "--policy",
		policy, p->arn);
}

void person_act(struct world *w, const struct person *p)
{
	snprintf(w->access_key, sizeof w->access_key, "%s", p ? p->access_key : "");
	snprintf(w->secret, sizeof w->secret, "%s", p ? p->secret : "");
	snprintf(w->region, sizeof w->region, "%s", p ? p->region : "");
}

enum err person_configure(const struct world *w, const struct person *p, char ret_path[WORLD_PATH])
{
	char text[1024];

	world_path(w, "person.ini", ret_path);
	int n = snprintf(text, sizeof text,
		"[kms]\nendpoint = %s\nregion = %s\naccess-key-id = %s\nsecret-access-key = %s\n", w->url, p->region,
		p->access_key, p->secret);
	return io_replace_file(AT_FDCWD, ret_path, text, (size_t)n, 0600);
}
