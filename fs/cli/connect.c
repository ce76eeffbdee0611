/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <string.h>
#include "kms/customer/customer_key.h"
#include "kms/wire/client.h"
#include "kms/wire/endpoint.h"

int cli_is_customer_key(const char *endpoint)
{
	return endpoint && strncmp(endpoint, CUSTOMER_KEY_ENDPOINT, strlen(CUSTOMER_KEY_ENDPOINT)) == 0;
}

const char *cli_endpoint_to_keep(const struct cli_settings *s)
{
	const char *endpoint = cli_setting(s, CLI_SET_ENDPOINT);

	if (cli_is_customer_key(endpoint))
		return CUSTOMER_KEY_STORED;
	return endpoint ? endpoint : "agent";
}

enum err cli_customer_key_arn(const char *endpoint, char ret[KMS_ARN_MAX + 1])
{
	struct kms *kms AUTO_KMS = NULL;

	TRY(customer_key_open(endpoint + strlen(CUSTOMER_KEY_ENDPOINT), &kms));
	snprintf(ret, KMS_ARN_MAX + 1, "%s", customer_key_arn(kms));
	return ERR_OK;
}

enum err cli_kms_connect(const struct cli_settings *s, struct kms **ret)
{
	const char *endpoint = cli_setting(s, CLI_SET_ENDPOINT);
	const char *insecure = cli_setting(s, CLI_SET_INSECURE_HTTP);
	const struct wire_client_config config = {
		.endpoint = endpoint ? endpoint : "agent",
		.region = cli_setting(s, CLI_SET_REGION),
		.access_key_id = cli_setting(s, CLI_SET_ACCESS_KEY_ID),
		.secret_access_key = cli_setting(s, CLI_SET_SECRET_ACCESS_KEY),
		.session_token = cli_setting(s, CLI_SET_SESSION_TOKEN),
		.ca_file = cli_setting(s, CLI_SET_CA_FILE),
		.insecure_http = insecure && strcmp(insecure, "yes") == 0,
		.agent =
			{
				.keystore = cli_setting(s, CLI_SET_KEYSTORE),
				.root_key = cli_setting(s, CLI_SET_ROOT_KEY),
				.region = cli_setting(s, CLI_SET_REGION),
				.grant_delay = cli_setting(s, CLI_SET_GRANT_DELAY),
				.resource_quotas = cli_setting(s, CLI_SET_RESOURCE_QUOTAS),
			},
	};
	struct endpoint parsed;

	if (cli_is_customer_key(endpoint))
		return customer_key_open(endpoint + strlen(CUSTOMER_KEY_ENDPOINT), ret);
	TRY(endpoint_parse(config.endpoint, &parsed));
	if (parsed.kind == ENDPOINT_AGENT)
		TRY(cli_check_keystore(s));
	return wire_client_connect(&config, ret);
}

enum err cli_kms_name(const struct cli_settings *s, enum err e)
{
	const char *endpoint = cli_setting(s, CLI_SET_ENDPOINT);

	if (e > ERR_KMS_UNREACHABLE)
		return e;
	if (!endpoint || strcmp(endpoint, "agent") == 0)
		return err_wrap(e, "with the keystore %s", cli_setting(s, CLI_SET_KEYSTORE));
	return cli_is_customer_key(endpoint) ? e : err_wrap(e, "with the KMS at %s", endpoint);
}

void cli_kms_close_auto(struct kms **kms)
{
	kms_close(*kms);
}
