/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/policy/policy.h"

/* Documents that are refused, each for its own reason; whatever is not understood is refused rather than ignored. */

#define HEAD    "{'Version':'2012-10-17','Statement':[{'Effect':'Allow',"
#define TAIL    "}]}"
#define WHO     "'Principal':{'AWS':'111122223333'}"
#define DO      "'Action':'kms:*'"
#define ON      "'Resource':'*'"
#define COND(c) HEAD WHO "," DO "," ON ",'Condition':" c TAIL

struct bad {
	enum policy_kind kind;
	const char *text, *why; /* part of the message */
};

static const struct bad bad[] = {
	{POLICY_KEY, "", "no JSON object"},
	{POLICY_KEY, "[]", "no JSON object"},
	{POLICY_KEY, "{'Statement':[]}", "no Statement"},
	{POLICY_KEY, "{'Version':'2012-10-17'}", "no Statement"},
	{POLICY_KEY, "{'Version':'2012-10-18','Statement':[]}", "Version"},
	{POLICY_KEY, "{'Version':7,'Statement':[]}", "Version"},
	{POLICY_KEY, "{'Id':7,'Statement':[]}", "Id"},
	{POLICY_KEY, "{'Statement':[7]}", "statement 1 is no object"},
	{POLICY_KEY, "{'Statements':[]}", "unknown element Statements"},
	{POLICY_KEY, HEAD WHO "," DO "," ON "," ON TAIL, "a member appears twice"},
	{POLICY_KEY, HEAD WHO "," DO "," ON ",'Resources':'*'" TAIL, "unknown element Resources"},
	{POLICY_KEY, HEAD WHO "," DO "," ON ",'effect':'Allow'" TAIL, "unknown element effect"},
	{POLICY_KEY, "{'Statement':[{" WHO "," DO "," ON TAIL, "Effect"},
	{POLICY_KEY, "{'Statement':[{'Effect':'allow'," WHO "," DO "," ON TAIL, "Effect"},
	{POLICY_KEY, HEAD DO "," ON TAIL, "exactly one of Principal and NotPrincipal"},
	{POLICY_KEY, HEAD WHO ",'NotPrincipal':'*'," DO "," ON TAIL, "exactly one of Principal and NotPrincipal"},
	{POLICY_KEY, HEAD "'NotPrincipal':'*'," DO "," ON TAIL, "NotPrincipal goes with Deny only"},
	{POLICY_KEY, HEAD WHO "," ON TAIL, "exactly one of Action and NotAction"},
	{POLICY_KEY, HEAD WHO "," DO ",'NotAction':'kms:*'," ON TAIL, "exactly one of Action and NotAction"},
	{POLICY_KEY, HEAD WHO "," DO TAIL, "exactly one of Resource and NotResource"},
	{POLICY_KEY, HEAD WHO ",'Action':[]," ON TAIL, "Action is an empty list"},
	{POLICY_KEY, HEAD WHO ",'Action':[7]," ON TAIL, "neither a text nor a list of texts"},
	{POLICY_KEY, HEAD WHO ",'Action':'Decrypt'," ON TAIL, "no action such as kms:Decrypt"},
	{POLICY_KEY, HEAD WHO ",'Action':'kms:'," ON TAIL, "no action such as kms:Decrypt"},
	{POLICY_KEY, HEAD WHO ",'Action':'kms:De crypt'," ON TAIL, "no action such as kms:Decrypt"},
	{POLICY_KEY, HEAD WHO ",'Action':'s3:GetObject'," ON TAIL, "not one of kms"},
	{POLICY_KEY, HEAD WHO "," DO ",'Resource':'key/1'" TAIL, "neither an ARN nor"},
	{POLICY_KEY, HEAD WHO "," DO ",'Resource':{}" TAIL, "neither a text nor a list of texts"},
	{POLICY_KEY, HEAD "'Principal':'111122223333'," DO "," ON TAIL, "Principal is neither"},
	{POLICY_KEY, HEAD "'Principal':{}," DO "," ON TAIL, "Principal is neither"},
	{POLICY_KEY, HEAD "'Principal':{'AWS':[]}," DO "," ON TAIL, "empty list"},
	{POLICY_KEY, HEAD "'Principal':{'Aws':'*'}," DO "," ON TAIL, "unknown type of principal Aws"},
	{POLICY_KEY, HEAD "'Principal':{'CanonicalUser':'x'}," DO "," ON TAIL,
		"unknown type of principal CanonicalUser"},
	{POLICY_KEY, HEAD "'Principal':{'AWS':'11112222333'}," DO "," ON TAIL, "is no principal"},
	{POLICY_KEY, HEAD "'Principal':{'AWS':'arn:aws:iam::111122223333:user/*'}," DO "," ON TAIL, "is no principal"},
	{POLICY_KEY, HEAD "'Principal':{'AWS':'arn:aws:iam::*:root'}," DO "," ON TAIL, "is no principal"},
	{POLICY_KEY, HEAD "'Principal':{'AWS':'arn:aws:iam::111122223333:group/g'}," DO "," ON TAIL, "is no principal"},
	{POLICY_KEY, HEAD "'Principal':{'AWS':'arn:aws:iam::111122223333:user/'}," DO "," ON TAIL, "is no principal"},
	{POLICY_KEY, HEAD "'Principal':{'AWS':'arn:aws:sts::111122223333:root'}," DO "," ON TAIL, "is no principal"},
	{POLICY_KEY, HEAD "'Principal':{'Service':'s3'}," DO "," ON TAIL, "no principal of type Service"},
	{POLICY_KEY, HEAD "'Principal':{'Federated':'x'}," DO "," ON TAIL, "no principal of type Federated"},
	{POLICY_KEY,
		"{'Statement':[{'Sid':'a','Effect':'Allow'," WHO "," DO "," ON "},{'Sid':'a','Effect':'Allow'," WHO
		"," DO "," ON "}]}",
		"two statements have the Sid a"},
	{POLICY_KEY, COND("[]"), "Condition is no object"},
	{POLICY_KEY, COND("{'StringEqual':{'kms:KeySpec':'x'}}"), "unknown condition operator StringEqual"},
	{POLICY_KEY, COND("{'NullIfExists':{'kms:KeySpec':'true'}}"), "unknown condition operator NullIfExists"},
	{POLICY_KEY, COND("{'ForEachValue:StringEquals':{'kms:KeySpec':'x'}}"),
		"unknown condition operator ForEachValue"},
	{POLICY_KEY, COND("{'StringEquals':{}}"), "has no keys"},
	{POLICY_KEY, COND("{'StringEquals':'x'}"), "has no keys"},
	{POLICY_KEY, COND("{'StringEquals':{'KeySpec':'x'}}"), "is no condition key"},
	{POLICY_KEY, COND("{'StringEquals':{'kms:KeySpec':[]}}"), "has no values"},
	{POLICY_KEY, COND("{'StringEquals':{'kms:KeySpec':{}}}"), "neither text nor number"},
	{POLICY_KEY, COND("{'StringEquals':{'kms:KeySpec':[null]}}"), "neither text nor number"},
	{POLICY_KEY, COND("{'NumericLessThan':{'kms:X':'0x10'}}"), "is no value for NumericLessThan"},
	{POLICY_KEY, COND("{'NumericLessThan':{'kms:X':'inf'}}"), "is no value for NumericLessThan"},
	{POLICY_KEY, COND("{'DateLessThan':{'aws:CurrentTime':'2026-02-30'}}"), "is no value for DateLessThan"},
	{POLICY_KEY, COND("{'DateLessThan':{'aws:CurrentTime':'2026-02-03T25:00:00Z'}}"),
		"is no value for DateLessThan"},
	{POLICY_KEY, COND("{'DateLessThan':{'aws:CurrentTime':'2026-02-03T05:00:00'}}"),
		"is no value for DateLessThan"},
	{POLICY_KEY, COND("{'Bool':{'aws:SecureTransport':'yes'}}"), "is no value for Bool"},
	{POLICY_KEY, COND("{'IpAddress':{'aws:SourceIp':'192.0.2.0/33'}}"), "is no value for IpAddress"},
	{POLICY_KEY, COND("{'IpAddress':{'aws:SourceIp':'192.0.2'}}"), "is no value for IpAddress"},
	{POLICY_KEY, COND("{'StringEquals':{'kms:KeySpec':'\\u0001*'}}"), "control character"},
	{POLICY_KEY, HEAD WHO ",'Action':'kms:\\u0001*'," ON TAIL, "control character"},
	{POLICY_IDENTITY, HEAD WHO "," DO "," ON TAIL, "a policy of a principal has no Principal"},
	{POLICY_IDENTITY, HEAD DO TAIL, "exactly one of Resource and NotResource"},
	{POLICY_SESSION, HEAD "'NotPrincipal':'*'," DO "," ON TAIL, "a policy of a principal has no Principal"},
	{POLICY_TRUST, HEAD WHO ",'Action':'sts:AssumeRole'," ON TAIL, "has no Resource"},
	{POLICY_TRUST, HEAD WHO "," DO TAIL, "not one of sts"},
};

static char *quoted(const char *text)
{
	char *copy = strdup(text);

	assert_non_null(copy);
	for (char *p = copy; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	return copy;
}

static void every_malformation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *text = quoted(bad[i].text);
		struct policy *policy = NULL;
		enum err e = policy_parse(bad[i].kind, text, &policy);

		if (e != ERR_KMS_MALFORMED_POLICY || strstr(err_text(e), bad[i].why) == NULL)
			fail_msg("%s: %s (%s) instead of '%s'", text, err_name(e), err_text(e), bad[i].why);
		assert_null(policy);
		free(text);
	}
}

static void the_smallest_and_the_oldest_form(void **state)
{
	static const char *const good[] = {
		"{'Statement':{'Effect':'Allow'," WHO "," DO "," ON "}}",
		"{'Version':'2008-10-17','Id':'x','Statement':{'Sid':'Enable IAM policies','Effect':'Allow'," WHO "," DO
		"," ON "}}",
		HEAD WHO "," DO "," ON ",'Condition':{}" TAIL,
	};
	struct policy *policy;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *text = quoted(good[i]);

		if (policy_parse(POLICY_KEY, text, &policy) != ERR_OK)
			fail_msg("%s: %s", text, err_text(ERR_KMS_MALFORMED_POLICY));
		policy_free(policy);
		free(text);
	}
}

static void longest(void **state)
{
	char *text = quoted(HEAD WHO "," DO "," ON TAIL), *padded = malloc(POLICY_KEY_MAX + 2);
	struct policy *policy;

	(void)state;
	memset(padded, ' ', POLICY_KEY_MAX + 1);
	memcpy(padded, text, strlen(text));
	padded[POLICY_KEY_MAX] = '\0';
	assert_int_equal(policy_parse(POLICY_KEY, padded, &policy), ERR_OK);
	policy_free(policy);
	padded[POLICY_KEY_MAX] = ' ';
	padded[POLICY_KEY_MAX + 1] = '\0';
	assert_int_equal(policy_parse(POLICY_KEY, padded, &policy), ERR_KMS_LIMIT_EXCEEDED);
	assert_int_equal(policy_parse(POLICY_TRUST, padded, &policy), ERR_KMS_LIMIT_EXCEEDED);
	free(padded);
	free(text);
}

struct seen {
	size_t n;
	char text[512];
};

static enum err note(void *context, enum policy_named kind, const char *text)
{
	struct seen *seen = context;

	seen->n += (size_t)snprintf(seen->text + seen->n, sizeof(seen->text) - seen->n, "%d:%s ", (int)kind, text);
	return ERR_OK;
}

static void principals_of_a_document(void **state)
{
	char *text = quoted(
		"{'Statement':[{'Effect':'Allow','Principal':{'AWS':['arn:aws:iam::111122223333:root','444455556666',"
		"'arn:aws:iam::111122223333:user/a'],'Service':'s3.amazonaws.com'}," DO "," ON
		"},{'Effect':'Deny','Principal':'*'," DO "," ON "}]}");
	struct seen seen = {0};
	struct policy *policy;

	(void)state;
	assert_int_equal(policy_parse(POLICY_KEY, text, &policy), ERR_OK);
	assert_int_equal(policy_each_principal(policy, note, &seen), ERR_OK);
	assert_string_equal(
		seen.text, "1:111122223333 1:444455556666 2:arn:aws:iam::111122223333:user/a 3:s3.amazonaws.com 0:* ");
	policy_free(policy);
	free(text);
}

static void kinds_of_callers(void **state)
{
	static const struct {
		const char *arn;
		enum policy_caller_kind kind;
	} arns[] = {
		{"arn:aws:iam::111122223333:root", POLICY_CALLER_ROOT},
		{"arn:aws:iam::111122223333:root/x", POLICY_CALLER_UNKNOWN},
		{"arn:aws:iam::444455556666:root", POLICY_CALLER_UNKNOWN},
		{"arn:aws:iam::111122223333:user/a", POLICY_CALLER_USER},
		{"arn:aws:iam::111122223333:user/", POLICY_CALLER_UNKNOWN},
		{"arn:aws:iam::111122223333:role/a", POLICY_CALLER_UNKNOWN},
		{"arn:aws:sts::111122223333:assumed-role/a/b", POLICY_CALLER_ROLE_SESSION},
		{"arn:aws:sts::111122223333:federated-user/a", POLICY_CALLER_FEDERATED_USER},
		{"", POLICY_CALLER_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(arns) / sizeof(arns[0]); i++)
		assert_int_equal(policy_caller_kind(arns[i].arn, "111122223333"), arns[i].kind);
	assert_int_equal(policy_caller_kind("arn:aws:iam::111122223333:root", "11112222333"), POLICY_CALLER_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_malformation),
		cmocka_unit_test(the_smallest_and_the_oldest_form),
		cmocka_unit_test(longest),
		cmocka_unit_test(principals_of_a_document),
		cmocka_unit_test(kinds_of_callers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
