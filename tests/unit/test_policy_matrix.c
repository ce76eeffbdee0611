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

/*
 * Who asks × what the policies say × what the request is → the decision and why. The expectations are from "Policy evaluation logic" and
 * "JSON policy elements" of the IAM user guide and from the KMS developer guide, not from the code.
 */

#define A "111122223333" /* owns the key */
#define B "444455556666"

#define KEY_ARN "arn:aws:kms:us-east-1:" A ":key/1234abcd-12ab-34cd-56ef-1234567890ab"

enum who {
	ROOT,
	ALICE,
	BOB,
	SESSION,
	SESSION2,
	FEDERATED,
	B_ROOT,
	B_USER,
	B_SESSION,
	SERVICE,
	UNKNOWN,
	/* Others who were given the name after its bearer was deleted. */
	ALICE_ANEW,
	SESSION_ANEW
};

#define USER(of, name, unique)                                                                                         \
	{                                                                                                              \
		.kind = POLICY_CALLER_USER, .account = of, .arn = "arn:aws:iam::" of ":user/" name, .id = unique       \
	}
#define ROLE(of, session, unique)                                                                                      \
	{                                                                                                              \
		.kind = POLICY_CALLER_ROLE_SESSION, .account = of,                                                     \
		.arn = "arn:aws:sts::" of ":assumed-role/app/" session, .role = "arn:aws:iam::" of ":role/app",        \
		.id = unique                                                                                           \
	}
#define OTHER(of_kind, of, name)                                                                                       \
	{                                                                                                              \
		of_kind, of, name, NULL, NULL                                                                          \
	}

static const struct policy_caller callers[] = {
	[ROOT] = OTHER(POLICY_CALLER_ROOT, A, "arn:aws:iam::" A ":root"),
	[ALICE] = USER(A, "alice", "AIDAALICE"),
	[BOB] = USER(A, "dept/bob", "AIDABOB"),
	[SESSION] = ROLE(A, "one", "AROAAPP"),
	[SESSION2] = ROLE(A, "two", "AROAAPP"),
	[FEDERATED] = OTHER(POLICY_CALLER_FEDERATED_USER, A, "arn:aws:sts::" A ":federated-user/fred"),
	[B_ROOT] = OTHER(POLICY_CALLER_ROOT, B, "arn:aws:iam::" B ":root"),
	[B_USER] = USER(B, "bea", "AIDABEA"),
	[B_SESSION] = ROLE(B, "one", "AROABAPP"),
	[SERVICE] = OTHER(POLICY_CALLER_SERVICE, "", "s3.amazonaws.com"),
	[UNKNOWN] = OTHER(POLICY_CALLER_UNKNOWN, A, "arn:aws:iam::" A ":mystery"),
	[ALICE_ANEW] = USER(A, "alice", "AIDASECOND"),
	[SESSION_ANEW] = ROLE(A, "one", "AROASECOND"),
};

struct row {
	int line;
	enum who who;
	const char *key, *identity, *session; /* statements; NULL: none */
	int grant;                            /* 1: for the role or user, 2: for the very session */
	const char *action;                   /* NULL: kms:Decrypt */
	const char *request;                  /* "key=value|value;key=value" */
	enum policy_why why;
};

/* Statements of a key policy: effect, principal, action, and what follows. */
#define K(effect, principal, action, more)                                                                             \
	"{'Effect':'" effect "','Principal':" principal ",'Action':'" action "','Resource':'*'" more "}"
#define NK(principal, action)                                                                                          \
	"{'Effect':'Deny','NotPrincipal':{'AWS':[" principal "]},'Action':'" action "','Resource':'*'}"
/* … and of an identity or session policy. */
#define I(effect, action, resource, more)                                                                              \
	"{'Effect':'" effect "','Action':'" action "','Resource':'" resource "'" more "}"
#define AWS(arn)           "{'AWS':'" arn "'}"
#define COND(op, key, val) ",'Condition':{'" op "':{'" key "':" val "}}"

#define P_ROOT      AWS("arn:aws:iam::" A ":root")
#define P_ACCOUNT   AWS(A)
#define P_ALICE     AWS("arn:aws:iam::" A ":user/alice")
#define P_BOB       AWS("arn:aws:iam::" A ":user/dept/bob")
#define P_ROLE      AWS("arn:aws:iam::" A ":role/app")
#define P_SESSION   AWS("arn:aws:sts::" A ":assumed-role/app/one")
#define P_FEDERATED AWS("arn:aws:sts::" A ":federated-user/fred")
#define P_B         AWS("arn:aws:iam::" B ":root")
#define P_B_USER    AWS("arn:aws:iam::" B ":user/bea")
#define P_B_ROLE    AWS("arn:aws:iam::" B ":role/app")

#define DEFAULT  K("Allow", P_ROOT, "kms:*", "")
#define ALL      I("Allow", "kms:*", "*", "")
#define DECRYPT  I("Allow", "kms:Decrypt", "*", "")
#define TO_ALICE K("Allow", P_ALICE, "kms:Decrypt", "")

#define BY_KEY  POLICY_BECAUSE_KEY_POLICY
#define BY_ID   POLICY_BECAUSE_IDENTITY
#define BY_GR   POLICY_BECAUSE_GRANT
#define BY_ROOT POLICY_BECAUSE_ROOT
#define DENY_K  POLICY_DENIED_BY_KEY_POLICY
#define DENY_I  POLICY_DENIED_BY_IDENTITY
#define DENY_S  POLICY_DENIED_BY_SESSION
#define NO_K    POLICY_NO_KEY_POLICY_ALLOWS
#define NO_I    POLICY_NO_IDENTITY_ALLOWS
#define NO_S    POLICY_NO_SESSION_ALLOWS

#define ROW(who, key, identity, session, grant, action, request, why)                                                  \
	{                                                                                                              \
		__LINE__, who, key, identity, session, grant, action, request, why                                     \
	}
/* Alice is allowed by the key policy under one condition. */
#define IF(op, key, val, request, yes)                                                                                 \
	ROW(ALICE, K("Allow", P_ALICE, "kms:Decrypt", COND(op, key, val)), NULL, NULL, 0, NULL, request,               \
		yes ? BY_KEY : NO_K)

static const struct row rows[] = {
	/* ---- The default policy: the account's root, and those to whom it delegates ---- */
	ROW(ROOT, DEFAULT, NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(ROOT, K("Allow", P_ACCOUNT, "kms:*", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(ALICE, DEFAULT, NULL, NULL, 0, NULL, "", NO_I),
	ROW(ALICE, DEFAULT, DECRYPT, NULL, 0, NULL, "", BY_ID),
	ROW(ALICE, DEFAULT, DECRYPT, NULL, 0, "kms:Encrypt", "", NO_I),
	ROW(ALICE, DEFAULT, I("Allow", "*", "*", ""), NULL, 0, NULL, "", BY_ID),
	ROW(BOB, DEFAULT, ALL, NULL, 0, NULL, "", BY_ID),
	ROW(SESSION, DEFAULT, NULL, NULL, 0, NULL, "", NO_I),
	ROW(SESSION, DEFAULT, ALL, NULL, 0, NULL, "", BY_ID),
	ROW(FEDERATED, DEFAULT, ALL, NULL, 0, NULL, "", BY_ID),
	ROW(FEDERATED, DEFAULT, NULL, NULL, 0, NULL, "", NO_I),
	ROW(B_ROOT, DEFAULT, NULL, NULL, 0, NULL, "", NO_K),
	ROW(B_USER, DEFAULT, ALL, NULL, 0, NULL, "", NO_K),
	ROW(B_SESSION, DEFAULT, ALL, NULL, 0, NULL, "", NO_K),
	ROW(SERVICE, DEFAULT, NULL, NULL, 0, NULL, "", NO_K),
	ROW(UNKNOWN, DEFAULT, ALL, NULL, 0, NULL, "", NO_K),

	/* ---- No identity policy gives access where the key policy does not ---- */
	ROW(ALICE, K("Allow", P_BOB, "kms:*", ""), ALL, NULL, 0, NULL, "", NO_K),
	ROW(ROOT, TO_ALICE, NULL, NULL, 0, NULL, "", NO_K),
	ROW(ROOT, K("Allow", P_ROOT, "kms:Describe*", ""), ALL, NULL, 0, NULL, "", NO_K),
	ROW(SESSION, TO_ALICE, ALL, NULL, 0, NULL, "", NO_K),

	/* ---- A variable without a value: nothing is allowed by it ---- */
	ROW(ALICE, DEFAULT,
		"{'Effect':'Allow','Action':'kms:*','NotResource':'arn:aws:kms:*:*:key/${aws:PrincipalTag/x}'}", NULL,
		0, NULL, "", NO_I),
	ROW(ALICE, DEFAULT, "{'Effect':'Allow','Action':'kms:*','NotResource':'arn:aws:kms:*:*:key/other'}", NULL, 0,
		NULL, "", BY_ID),
	ROW(ALICE, DEFAULT,
		ALL ",{'Effect':'Deny','Action':'kms:*','NotResource':'arn:aws:kms:*:*:key/${aws:PrincipalTag/x}'}",
		NULL, 0, NULL, "", DENY_I),
	IF("StringNotEquals", "kms:CallerAccount", "'${aws:PrincipalTag/x}'", "kms:CallerAccount=1", 0),
	IF("StringNotLike", "kms:CallerAccount", "['2','${aws:PrincipalTag/x}*']", "kms:CallerAccount=1", 0),
	IF("ForAllValues:StringNotEquals", "aws:TagKeys", "'${aws:PrincipalTag/x}'", "aws:TagKeys=a|b", 0),
	IF("StringNotEquals", "kms:CallerAccount", "'${aws:PrincipalTag/x, 'none'}'", "kms:CallerAccount=1", 1),
	ROW(ALICE,
		DEFAULT "," K("Deny", P_ALICE, "kms:*",
			COND("StringNotEquals", "kms:CallerAccount", "'${aws:PrincipalTag/x}'")),
		ALL, NULL, 0, NULL, "kms:CallerAccount=1", DENY_K),

	/* ---- A variable with a whole ARN: its colons are an ARN's, its wildcards are none ---- */
	IF("ArnEquals", "kms:GranteePrincipal", "'${aws:PrincipalArn}'",
		"kms:GranteePrincipal=arn:aws:iam::1:user/a;aws:PrincipalArn=arn:aws:iam::1:user/a", 1),
	IF("ArnLike", "kms:GranteePrincipal", "'${aws:PrincipalArn}'",
		"kms:GranteePrincipal=arn:aws:iam::1:user/ab;aws:PrincipalArn=arn:aws:iam::1:user/*", 0),
	IF("ArnNotEquals", "kms:GranteePrincipal", "'${aws:PrincipalArn}'",
		"kms:GranteePrincipal=arn:aws:iam::1:user/a;aws:PrincipalArn=arn:aws:iam::1:user/a", 0),
	IF("ArnNotLike", "kms:GranteePrincipal", "'${aws:PrincipalArn}'",
		"kms:GranteePrincipal=arn:aws:iam::1:user/b;aws:PrincipalArn=arn:aws:iam::1:user/a", 1),

	/* ---- A name that was given to somebody else ---- */
	ROW(ALICE_ANEW, TO_ALICE, NULL, NULL, 0, NULL, "", NO_K),
	ROW(ALICE_ANEW, TO_ALICE, ALL, NULL, 0, NULL, "", NO_K),
	ROW(ALICE_ANEW, DEFAULT, ALL, NULL, 0, NULL, "", BY_ID),
	ROW(ALICE_ANEW, DEFAULT "," K("Deny", P_ALICE, "kms:Decrypt", ""), ALL, NULL, 0, NULL, "", BY_ID),
	ROW(ALICE_ANEW, DEFAULT "," NK("'" A "','arn:aws:iam::" A ":user/alice'", "kms:Decrypt"), ALL, NULL, 0, NULL,
		"", DENY_K),
	ROW(ALICE, DEFAULT "," NK("'" A "','arn:aws:iam::" A ":user/alice'", "kms:Decrypt"), ALL, NULL, 0, NULL, "",
		BY_ID),
	ROW(SESSION_ANEW, K("Allow", P_ROLE, "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", NO_K),
	ROW(SESSION_ANEW, K("Allow", P_SESSION, "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", NO_K),
	IF("StringEquals", "aws:PrincipalArn", "'arn:aws:iam::" A ":user/alice'",
		"aws:PrincipalArn=arn:aws:iam::" A ":user/alice", 1),

	/* ---- Principals by name ---- */
	ROW(ALICE, TO_ALICE, NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(BOB, TO_ALICE, NULL, NULL, 0, NULL, "", NO_K),
	ROW(BOB, K("Allow", P_BOB, "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(BOB, K("Allow", AWS("arn:aws:iam::" A ":user/bob"), "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", NO_K),
	ROW(SESSION, K("Allow", P_ROLE, "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(SESSION2, K("Allow", P_ROLE, "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(SESSION, K("Allow", P_SESSION, "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(SESSION2, K("Allow", P_SESSION, "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", NO_K),
	ROW(B_SESSION, K("Allow", P_ROLE, "kms:Decrypt", ""), ALL, NULL, 0, NULL, "", NO_K),
	ROW(FEDERATED, K("Allow", P_FEDERATED, "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(ALICE, K("Allow", P_FEDERATED, "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", NO_K),
	ROW(ALICE, K("Allow", "'*'", "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(ALICE, K("Allow", AWS("*"), "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(ROOT, K("Allow", "'*'", "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(SERVICE, K("Allow", "{'Service':'s3.amazonaws.com'}", "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(SERVICE, K("Allow", "{'Service':'ec2.amazonaws.com'}", "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", NO_K),
	ROW(ALICE, K("Allow", "{'Service':'s3.amazonaws.com'}", "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", NO_K),
	ROW(FEDERATED, K("Allow", "{'Federated':'arn:aws:iam::" A ":saml-provider/p'}", "kms:Decrypt", ""), NULL, NULL,
		0, NULL, "", NO_K),
	ROW(BOB,
		K("Allow", "{'AWS':['arn:aws:iam::" A ":user/alice','arn:aws:iam::" A ":user/dept/bob']}", "kms:*", ""),
		NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(ALICE, K("Allow", "{'Service':'s3.amazonaws.com','AWS':'arn:aws:iam::" A ":user/alice'}", "kms:*", ""),
		NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(UNKNOWN, K("Allow", "'*'", "kms:*", ""), NULL, NULL, 0, NULL, "", NO_K),

	/* ---- Explicit deny, wherever it stands ---- */
	ROW(ALICE, TO_ALICE "," K("Deny", P_ALICE, "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", DENY_K),
	ROW(ALICE, K("Deny", P_ALICE, "kms:Decrypt", "") "," TO_ALICE, NULL, NULL, 0, NULL, "", DENY_K),
	ROW(ALICE, TO_ALICE "," K("Deny", P_ROOT, "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", DENY_K),
	ROW(ROOT, DEFAULT "," K("Deny", "'*'", "kms:Decrypt", ""), NULL, NULL, 0, NULL, "", DENY_K),
	ROW(ALICE, DEFAULT "," K("Deny", P_BOB, "kms:Decrypt", ""), ALL, NULL, 0, NULL, "", BY_ID),
	ROW(SESSION, DEFAULT "," K("Deny", P_ROLE, "kms:Decrypt", ""), ALL, NULL, 0, NULL, "", DENY_K),
	ROW(SESSION2, DEFAULT "," K("Deny", P_SESSION, "kms:Decrypt", ""), ALL, NULL, 0, NULL, "", BY_ID),
	ROW(ALICE, TO_ALICE, I("Deny", "kms:Decrypt", "*", ""), NULL, 0, NULL, "", DENY_I),
	ROW(ALICE, DEFAULT, ALL "," I("Deny", "kms:D*", "*", ""), NULL, 0, NULL, "", DENY_I),
	ROW(ALICE, DEFAULT, ALL "," I("Deny", "kms:E*", "*", ""), NULL, 0, NULL, "", BY_ID),
	ROW(ALICE, DEFAULT, I("Deny", "kms:Decrypt", "*", ""), NULL, 1, NULL, "", DENY_I),
	ROW(ALICE, DEFAULT "," K("Deny", P_ALICE, "kms:*", ""), NULL, NULL, 1, NULL, "", DENY_K),
	ROW(SESSION, K("Allow", P_ROLE, "kms:*", ""), NULL, I("Deny", "kms:*", "*", ""), 0, NULL, "", DENY_S),
	ROW(SESSION, K("Allow", P_SESSION, "kms:*", ""), NULL, I("Deny", "kms:*", "*", ""), 0, NULL, "", DENY_S),
	ROW(B_USER, K("Allow", P_B, "kms:*", "") "," K("Deny", P_B_USER, "kms:Decrypt", ""), ALL, NULL, 0, NULL, "",
		DENY_K),

	/* ---- NotPrincipal: exempt is only who is named with everything that it is ---- */
	ROW(ALICE, DEFAULT "," NK("'arn:aws:iam::" A ":user/alice','" A "'", "kms:*"), ALL, NULL, 0, NULL, "", BY_ID),
	ROW(ALICE, DEFAULT "," NK("'arn:aws:iam::" A ":user/alice'", "kms:*"), ALL, NULL, 0, NULL, "", DENY_K),
	ROW(BOB, DEFAULT "," NK("'arn:aws:iam::" A ":user/alice','" A "'", "kms:*"), ALL, NULL, 0, NULL, "", DENY_K),
	ROW(ROOT, DEFAULT "," NK("'arn:aws:iam::" A ":user/alice','" A "'", "kms:*"), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(SESSION, DEFAULT "," NK("'arn:aws:iam::" A ":role/app','" A "'", "kms:*"), ALL, NULL, 0, NULL, "", DENY_K),
	ROW(SESSION,
		DEFAULT
		"," NK("'arn:aws:iam::" A ":role/app','" A "','arn:aws:sts::" A ":assumed-role/app/one'", "kms:*"),
		ALL, NULL, 0, NULL, "", BY_ID),
	ROW(SESSION2,
		DEFAULT
		"," NK("'arn:aws:iam::" A ":role/app','" A "','arn:aws:sts::" A ":assumed-role/app/one'", "kms:*"),
		ALL, NULL, 0, NULL, "", DENY_K),
	ROW(SESSION, DEFAULT "," NK("'arn:aws:sts::" A ":assumed-role/app/one','" A "'", "kms:*"), ALL, NULL, 0, NULL,
		"", DENY_K),
	ROW(B_USER, K("Allow", P_B, "kms:*", "") "," NK("'" A "'", "kms:*"), ALL, NULL, 0, NULL, "", DENY_K),

	/* ---- Actions ---- */
	ROW(ALICE, K("Allow", P_ALICE, "kms:*", ""), NULL, NULL, 0, "kms:ScheduleKeyDeletion", "", BY_KEY),
	ROW(ALICE, K("Allow", P_ALICE, "*", ""), NULL, NULL, 0, "kms:Encrypt", "", BY_KEY),
	ROW(ALICE, K("Allow", P_ALICE, "kms:decrypt", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(ALICE, K("Allow", P_ALICE, "KMS:DECRYPT", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(ALICE, K("Allow", P_ALICE, "kms:GenerateDataKey*", ""), NULL, NULL, 0, "kms:GenerateDataKeyPair", "",
		BY_KEY),
	ROW(ALICE, K("Allow", P_ALICE, "kms:GenerateDataKey", ""), NULL, NULL, 0, "kms:GenerateDataKeyPair", "", NO_K),
	ROW(ALICE, K("Allow", P_ALICE, "kms:*crypt", ""), NULL, NULL, 0, "kms:Encrypt", "", BY_KEY),
	ROW(ALICE, K("Allow", P_ALICE, "kms:*crypt", ""), NULL, NULL, 0, "kms:ReEncryptFrom", "", NO_K),
	ROW(ALICE, K("Allow", P_ALICE, "kms:??crypt", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(ALICE, K("Allow", P_ALICE, "kms:?crypt", ""), NULL, NULL, 0, NULL, "", NO_K),
	ROW(ALICE, "{'Effect':'Allow','Principal':" P_ALICE ",'Action':['kms:Encrypt','kms:Decrypt'],'Resource':'*'}",
		NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(ALICE, "{'Effect':'Allow','Principal':" P_ALICE ",'NotAction':'kms:Encrypt','Resource':'*'}", NULL, NULL, 0,
		NULL, "", BY_KEY),
	ROW(ALICE, "{'Effect':'Allow','Principal':" P_ALICE ",'NotAction':['kms:E*','kms:Decrypt'],'Resource':'*'}",
		NULL, NULL, 0, NULL, "", NO_K),
	ROW(ALICE, TO_ALICE ",{'Effect':'Deny','Principal':'*','NotAction':'kms:Describe*','Resource':'*'}", NULL, NULL,
		0, NULL, "", DENY_K),
	ROW(ALICE, DEFAULT, I("Allow", "s3:*", "*", ""), NULL, 0, NULL, "", NO_I),

	/* ---- Resources ---- */
	ROW(ALICE, DEFAULT, I("Allow", "kms:*", KEY_ARN, ""), NULL, 0, NULL, "", BY_ID),
	ROW(ALICE, DEFAULT, I("Allow", "kms:*", "arn:aws:kms:*:" A ":key/*", ""), NULL, 0, NULL, "", BY_ID),
	ROW(ALICE, DEFAULT, I("Allow", "kms:*", "arn:aws:kms:eu-*:" A ":key/*", ""), NULL, 0, NULL, "", NO_I),
	ROW(ALICE, DEFAULT, I("Allow", "kms:*", "arn:aws:kms:*:" B ":key/*", ""), NULL, 0, NULL, "", NO_I),
	ROW(ALICE, DEFAULT,
		I("Allow", "kms:*", "arn:aws:kms:us-east-1:" A ":key/1234abcd-?2ab-?4cd-56ef-1234567890ab", ""), NULL,
		0, NULL, "", BY_ID),
	ROW(ALICE, DEFAULT, I("Allow", "kms:*", "arn:aws:kms:us-east-1:" A ":alias/*", ""), NULL, 0, NULL, "", NO_I),
	ROW(ALICE, DEFAULT, "{'Effect':'Allow','Action':'kms:*','NotResource':'" KEY_ARN "'}", NULL, 0, NULL, "", NO_I),
	ROW(ALICE, DEFAULT, "{'Effect':'Allow','Action':'kms:*','NotResource':'arn:aws:kms:*:*:key/other'}", NULL, 0,
		NULL, "", BY_ID),
	ROW(ALICE, "{'Effect':'Allow','Principal':" P_ALICE ",'Action':'kms:*','Resource':'" KEY_ARN "'}", NULL, NULL,
		0, NULL, "", BY_KEY),
	ROW(ALICE,
		"{'Effect':'Allow','Principal':" P_ALICE ",'Action':'kms:*','Resource':'arn:aws:kms:us-east-1:" A
		":key/other'}",
		NULL, NULL, 0, NULL, "", NO_K),

	/* ---- Across accounts both sides have to agree ---- */
	ROW(B_ROOT, K("Allow", P_B, "kms:*", ""), NULL, NULL, 0, NULL, "", BY_KEY),
	ROW(B_USER, K("Allow", P_B, "kms:*", ""), NULL, NULL, 0, NULL, "", NO_I),
	ROW(B_USER, K("Allow", P_B, "kms:*", ""), DECRYPT, NULL, 0, NULL, "", BY_ID),
	ROW(B_USER, K("Allow", P_B_USER, "kms:*", ""), NULL, NULL, 0, NULL, "", NO_I),
	ROW(B_USER, K("Allow", P_B_USER, "kms:*", ""), DECRYPT, NULL, 0, NULL, "", BY_KEY),
	ROW(B_USER, K("Allow", "'*'", "kms:*", ""), NULL, NULL, 0, NULL, "", NO_I),
	ROW(B_USER, K("Allow", "'*'", "kms:*", ""), ALL, NULL, 0, NULL, "", BY_KEY),
	ROW(B_SESSION, K("Allow", P_B_ROLE, "kms:*", ""), ALL, NULL, 0, NULL, "", BY_KEY),
	ROW(B_SESSION, K("Allow", P_B_ROLE, "kms:*", ""), NULL, NULL, 0, NULL, "", NO_I),
	ROW(B_SESSION, K("Allow", P_B, "kms:*", ""), ALL, I("Allow", "kms:Encrypt", "*", ""), 0, NULL, "", NO_S),
	ROW(B_USER, DEFAULT, ALL, NULL, 1, NULL, "", BY_GR),
	ROW(B_USER, DEFAULT, NULL, NULL, 1, NULL, "", NO_I),
	ROW(B_ROOT, DEFAULT, NULL, NULL, 1, NULL, "", BY_GR),
	ROW(ALICE, K("Allow", P_B, "kms:*", ""), ALL, NULL, 0, NULL, "", NO_K),

	/* ---- Grants ---- */
	ROW(ALICE, DEFAULT, NULL, NULL, 1, NULL, "", BY_GR),
	ROW(ALICE, K("Allow", P_BOB, "kms:*", ""), NULL, NULL, 1, NULL, "", BY_GR),
	ROW(SESSION, DEFAULT, NULL, NULL, 1, NULL, "", BY_GR),
	ROW(SESSION, DEFAULT, NULL, I("Allow", "kms:Encrypt", "*", ""), 1, NULL, "", NO_S),
	ROW(SESSION, DEFAULT, NULL, I("Allow", "kms:Encrypt", "*", ""), 2, NULL, "", BY_GR),
	ROW(ALICE, TO_ALICE, NULL, NULL, 1, NULL, "", BY_KEY),

	/* ---- A session's own policy narrows what the role may ---- */
	ROW(SESSION, DEFAULT, ALL, DECRYPT, 0, NULL, "", BY_ID),
	ROW(SESSION, DEFAULT, ALL, I("Allow", "kms:Encrypt", "*", ""), 0, NULL, "", NO_S),
	ROW(SESSION, DEFAULT, NULL, ALL, 0, NULL, "", NO_I),
	ROW(SESSION, K("Allow", P_ROLE, "kms:*", ""), NULL, I("Allow", "kms:Encrypt", "*", ""), 0, NULL, "", NO_S),
	ROW(SESSION, K("Allow", P_ROLE, "kms:*", ""), NULL, DECRYPT, 0, NULL, "", BY_KEY),
	ROW(SESSION, K("Allow", P_SESSION, "kms:*", ""), NULL, I("Allow", "kms:Encrypt", "*", ""), 0, NULL, "", BY_KEY),
	ROW(FEDERATED, DEFAULT, ALL, I("Allow", "kms:Encrypt", "*", ""), 0, NULL, "", NO_S),
	ROW(FEDERATED, K("Allow", P_FEDERATED, "kms:*", ""), NULL, I("Allow", "kms:Encrypt", "*", ""), 0, NULL, "",
		BY_KEY),

	/* ---- About no key ---- */
	ROW(ROOT, NULL, NULL, NULL, 0, "kms:ListKeys", "", BY_ROOT),
	ROW(ALICE, NULL, NULL, NULL, 0, "kms:ListKeys", "", NO_I),
	ROW(ALICE, NULL, I("Allow", "kms:List*", "*", ""), NULL, 0, "kms:ListKeys", "", BY_ID),
	ROW(ALICE, NULL, I("Allow", "kms:ListKeys", KEY_ARN, ""), NULL, 0, "kms:ListKeys", "", NO_I),
	ROW(ALICE, NULL, ALL "," I("Deny", "kms:ListKeys", "*", ""), NULL, 0, "kms:ListKeys", "", DENY_I),
	ROW(B_USER, NULL, ALL, NULL, 0, "kms:CreateKey", "", BY_ID),
	ROW(SESSION, NULL, ALL, DECRYPT, 0, "kms:CreateKey", "", NO_S),
	ROW(UNKNOWN, NULL, NULL, NULL, 0, "kms:CreateKey", "", NO_I),

	/* ---- Strings ---- */
	IF("StringEquals", "kms:ViaService", "'s3.us-east-1.amazonaws.com'",
		"kms:ViaService=s3.us-east-1.amazonaws.com", 1),
	IF("StringEquals", "kms:ViaService", "'s3.us-east-1.amazonaws.com'",
		"kms:ViaService=ec2.us-east-1.amazonaws.com", 0),
	IF("StringEquals", "kms:ViaService", "'s3.us-east-1.amazonaws.com'", "", 0),
	IF("StringEquals", "kms:KeySpec", "['RSA_2048','RSA_4096']", "kms:KeySpec=RSA_4096", 1),
	IF("StringEquals", "kms:KeySpec", "['RSA_2048','RSA_4096']", "kms:KeySpec=RSA_3072", 0),
	IF("StringEquals", "kms:KeySpec", "'RSA_*'", "kms:KeySpec=RSA_3072", 0),
	IF("StringEquals", "kms:KeySpec", "'rsa_2048'", "kms:KeySpec=RSA_2048", 0),
	IF("StringNotEquals", "kms:KeySpec", "['RSA_2048','RSA_4096']", "kms:KeySpec=RSA_4096", 0),
	IF("StringNotEquals", "kms:KeySpec", "['RSA_2048','RSA_4096']", "kms:KeySpec=RSA_3072", 1),
	IF("StringNotEquals", "kms:ViaService", "'x'", "", 1),
	IF("StringEqualsIgnoreCase", "aws:PrincipalTag/Team", "'Storage'", "aws:PrincipalTag/Team=sTORAGE", 1),
	IF("StringEqualsIgnoreCase", "aws:PrincipalTag/Team", "'Storage'", "aws:PrincipalTag/Team=storages", 0),
	IF("StringNotEqualsIgnoreCase", "aws:PrincipalTag/Team", "'Storage'", "aws:PrincipalTag/Team=sTORAGE", 0),
	IF("StringNotEqualsIgnoreCase", "aws:PrincipalTag/Team", "'Storage'", "", 1),
	IF("StringLike", "kms:EncryptionContext:path", "'/home/*/x?'", "kms:EncryptionContext:path=/home/ada/b/x1", 1),
	IF("StringLike", "kms:EncryptionContext:path", "'/home/*/x?'", "kms:EncryptionContext:path=/home/ada/x", 0),
	IF("StringLike", "kms:EncryptionContext:path", "'*'", "kms:EncryptionContext:path=", 1),
	IF("StringLike", "kms:EncryptionContext:path", "'*'", "", 0),
	IF("StringLike", "kms:EncryptionContext:n", "'a?c'",
		"kms:EncryptionContext:n=a\xc3\xa4"
		"c",
		1),
	IF("StringLike", "kms:EncryptionContext:n", "'*a*b*c'", "kms:EncryptionContext:n=xxaxxaxbxbc", 1),
	IF("StringLike", "kms:EncryptionContext:n", "'*a*b*c'", "kms:EncryptionContext:n=xxaxxaxbxbcd", 0),
	IF("StringNotLike", "kms:EncryptionContext:path", "'/home/*'", "kms:EncryptionContext:path=/home/ada", 0),
	IF("StringNotLike", "kms:EncryptionContext:path", "'/home/*'", "kms:EncryptionContext:path=/srv", 1),

	/* ---- Numbers ---- */
	IF("NumericEquals", "kms:RotationPeriodInDays", "'90'", "kms:RotationPeriodInDays=90", 1),
	IF("NumericEquals", "kms:RotationPeriodInDays", "90", "kms:RotationPeriodInDays=90.0", 1),
	IF("NumericEquals", "kms:RotationPeriodInDays", "'90'", "kms:RotationPeriodInDays=91", 0),
	IF("NumericNotEquals", "kms:RotationPeriodInDays", "'90'", "kms:RotationPeriodInDays=91", 1),
	IF("NumericNotEquals", "kms:RotationPeriodInDays", "'90'", "kms:RotationPeriodInDays=90", 0),
	IF("NumericLessThan", "kms:ScheduleKeyDeletionPendingWindowInDays", "7",
		"kms:ScheduleKeyDeletionPendingWindowInDays=7", 0),
	IF("NumericLessThan", "kms:ScheduleKeyDeletionPendingWindowInDays", "10",
		"kms:ScheduleKeyDeletionPendingWindowInDays=9", 1),
	IF("NumericLessThanEquals", "kms:ScheduleKeyDeletionPendingWindowInDays", "7",
		"kms:ScheduleKeyDeletionPendingWindowInDays=7", 1),
	IF("NumericGreaterThan", "kms:ScheduleKeyDeletionPendingWindowInDays", "9",
		"kms:ScheduleKeyDeletionPendingWindowInDays=10", 1),
	IF("NumericGreaterThan", "kms:ScheduleKeyDeletionPendingWindowInDays", "10",
		"kms:ScheduleKeyDeletionPendingWindowInDays=10", 0),
	IF("NumericGreaterThanEquals", "kms:ScheduleKeyDeletionPendingWindowInDays", "10",
		"kms:ScheduleKeyDeletionPendingWindowInDays=10", 1),
	IF("NumericGreaterThanEquals", "kms:ScheduleKeyDeletionPendingWindowInDays", "10", "", 0),
	IF("NumericLessThan", "kms:RotationPeriodInDays", "'-1'", "kms:RotationPeriodInDays=-2", 1),

	/* ---- Dates ---- */
	IF("DateLessThan", "aws:CurrentTime", "'2026-11-22T00:00:00Z'", "aws:CurrentTime=2026-11-21T23:59:59Z", 1),
	IF("DateLessThan", "aws:CurrentTime", "'2026-11-22T00:00:00Z'", "aws:CurrentTime=2026-11-22T00:00:00Z", 0),
	IF("DateLessThanEquals", "aws:CurrentTime", "'2026-11-22'", "aws:CurrentTime=2026-11-22T00:00:00Z", 1),
	IF("DateGreaterThan", "aws:CurrentTime", "'2026-11-22T02:00:00+02:00'", "aws:CurrentTime=2026-11-22T00:00:01Z",
		1),
	IF("DateGreaterThan", "aws:CurrentTime", "'2026-11-22T02:00:00+02:00'", "aws:CurrentTime=2026-11-22T00:00:00Z",
		0),
	IF("DateGreaterThanEquals", "aws:EpochTime", "'1763769600'", "aws:EpochTime=1763769600", 1),
	IF("DateEquals", "aws:TokenIssueTime", "'2026-11-22T00:00:00.0Z'", "aws:TokenIssueTime=2026-11-22T00:00:00Z",
		1),
	IF("DateNotEquals", "aws:TokenIssueTime", "'2026-11-22'", "aws:TokenIssueTime=2026-11-22T00:00:00Z", 0),
	IF("DateLessThan", "aws:CurrentTime", "'1763769600'", "aws:CurrentTime=2025-11-21T23:59:59Z", 1),

	/* ---- Booleans, null, binary ---- */
	IF("Bool", "aws:SecureTransport", "'true'", "aws:SecureTransport=true", 1),
	IF("Bool", "aws:SecureTransport", "true", "aws:SecureTransport=false", 0),
	IF("Bool", "aws:SecureTransport", "'false'", "aws:SecureTransport=false", 1),
	IF("Bool", "kms:GrantIsForAWSResource", "'false'", "", 0),
	IF("BoolIfExists", "kms:GrantIsForAWSResource", "'false'", "", 1),
	IF("Null", "kms:EncryptionContext:for", "'true'", "", 1),
	IF("Null", "kms:EncryptionContext:for", "'true'", "kms:EncryptionContext:for=ada", 0),
	IF("Null", "kms:EncryptionContext:for", "false", "kms:EncryptionContext:for=ada", 1),
	IF("Null", "kms:EncryptionContext:for", "'false'", "", 0),
	IF("BinaryEquals", "kms:RecipientAttestation:ImageSha384", "'qg=='",
		"kms:RecipientAttestation:ImageSha384=qg==", 1),
	IF("BinaryEquals", "kms:RecipientAttestation:ImageSha384", "'qg=='",
		"kms:RecipientAttestation:ImageSha384=QG==", 0),

	/* ---- Addresses ---- */
	IF("IpAddress", "aws:SourceIp", "'192.0.2.0/24'", "aws:SourceIp=192.0.2.77", 1),
	IF("IpAddress", "aws:SourceIp", "'192.0.2.0/24'", "aws:SourceIp=192.0.3.1", 0),
	IF("IpAddress", "aws:SourceIp", "['10.0.0.0/8','192.0.2.128/25']", "aws:SourceIp=192.0.2.127", 0),
	IF("IpAddress", "aws:SourceIp", "['10.0.0.0/8','192.0.2.128/25']", "aws:SourceIp=192.0.2.128", 1),
	IF("IpAddress", "aws:SourceIp", "'192.0.2.1'", "aws:SourceIp=192.0.2.1", 1),
	IF("IpAddress", "aws:SourceIp", "'2001:db8::/33'", "aws:SourceIp=2001:db8:7fff::1", 1),
	IF("IpAddress", "aws:SourceIp", "'2001:db8::/33'", "aws:SourceIp=2001:db8:8000::1", 0),
	IF("IpAddress", "aws:SourceIp", "'0.0.0.0/0'", "aws:SourceIp=2001:db8::1", 0),
	IF("IpAddress", "aws:SourceIp", "'192.0.2.0/24'", "", 0),
	IF("IpAddress", "aws:SourceIp", "'192.0.2.0/24'", "aws:SourceIp=192.0.2.0/16", 0),
	IF("NotIpAddress", "aws:SourceIp", "'192.0.2.0/24'", "aws:SourceIp=192.0.2.1", 0),
	IF("NotIpAddress", "aws:SourceIp", "'192.0.2.0/24'", "aws:SourceIp=198.51.100.1", 1),
	IF("NotIpAddress", "aws:SourceIp", "'192.0.2.0/24'", "", 1),

	/* ---- ARNs: part by part ---- */
	IF("ArnEquals", "aws:PrincipalArn", "'arn:aws:iam::" A ":role/app'",
		"aws:PrincipalArn=arn:aws:iam::" A ":role/app", 1),
	IF("ArnLike", "aws:PrincipalArn", "'arn:aws:iam::*:role/a*'", "aws:PrincipalArn=arn:aws:iam::" A ":role/app",
		1),
	IF("ArnLike", "aws:PrincipalArn", "'arn:aws:iam::*:role/a*'", "aws:PrincipalArn=arn:aws:iam::" A ":user/a", 0),
	/* A wildcard does not reach over a colon. */
	IF("ArnLike", "aws:PrincipalArn", "'arn:aws:*:role/app'", "aws:PrincipalArn=arn:aws:iam::" A ":role/app", 0),
	IF("ArnNotEquals", "aws:PrincipalArn", "'arn:aws:iam::*:role/app'",
		"aws:PrincipalArn=arn:aws:iam::" A ":role/app", 0),
	IF("ArnNotLike", "aws:PrincipalArn", "'arn:aws:iam::*:role/app'", "aws:PrincipalArn=arn:aws:iam::" A ":role/b",
		1),
	IF("ArnLike", "aws:PrincipalArn", "'*'", "aws:PrincipalArn=arn:aws:iam::" A ":role/b", 1),

	/* ---- IfExists, sets, several keys ---- */
	IF("StringEqualsIfExists", "kms:ViaService", "'s3'", "", 1),
	IF("StringEqualsIfExists", "kms:ViaService", "'s3'", "kms:ViaService=ec2", 0),
	IF("NumericLessThanIfExists", "kms:RotationPeriodInDays", "100", "", 1),
	IF("IpAddressIfExists", "aws:SourceIp", "'192.0.2.0/24'", "aws:SourceIp=198.51.100.1", 0),
	IF("ForAnyValue:StringEquals", "kms:EncryptionContextKeys", "['a','b']", "kms:EncryptionContextKeys=x|b", 1),
	IF("ForAnyValue:StringEquals", "kms:EncryptionContextKeys", "['a','b']", "kms:EncryptionContextKeys=x|y", 0),
	IF("ForAnyValue:StringEquals", "kms:EncryptionContextKeys", "['a','b']", "", 0),
	IF("ForAllValues:StringEquals", "kms:EncryptionContextKeys", "['a','b']", "kms:EncryptionContextKeys=a|b", 1),
	IF("ForAllValues:StringEquals", "kms:EncryptionContextKeys", "['a','b']", "kms:EncryptionContextKeys=a|c", 0),
	IF("ForAllValues:StringEquals", "kms:EncryptionContextKeys", "['a','b']", "", 1),
	IF("ForAllValues:StringLike", "kms:ResourceAliases", "'alias/app/*'",
		"kms:ResourceAliases=alias/app/1|alias/app/2", 1),
	IF("ForAllValues:StringNotEquals", "kms:EncryptionContextKeys", "'c'", "kms:EncryptionContextKeys=a|c", 0),
	IF("ForAllValues:StringNotEquals", "kms:EncryptionContextKeys", "'c'", "kms:EncryptionContextKeys=a|b", 1),
	IF("ForAnyValue:StringNotEquals", "kms:EncryptionContextKeys", "'c'", "kms:EncryptionContextKeys=a|c", 1),
	IF("ForAnyValue:StringNotEquals", "kms:EncryptionContextKeys", "'c'", "kms:EncryptionContextKeys=c", 0),
	IF("ForAnyValue:StringNotEquals", "kms:EncryptionContextKeys", "'c'", "", 0),
	IF("StringEquals", "kms:EncryptionContext:App", "'x'", "kms:EncryptionContext:App=y|x", 1),
	IF("StringNotEquals", "kms:EncryptionContext:App", "'x'", "kms:EncryptionContext:App=y|x", 0),
	ROW(ALICE, K("Allow", P_ALICE, "kms:*", ",'Condition':{'StringEquals':{'kms:KeySpec':'X','kms:KeyUsage':'Y'}}"),
		NULL, NULL, 0, NULL, "kms:KeySpec=X;kms:KeyUsage=Y", BY_KEY),
	ROW(ALICE, K("Allow", P_ALICE, "kms:*", ",'Condition':{'StringEquals':{'kms:KeySpec':'X','kms:KeyUsage':'Y'}}"),
		NULL, NULL, 0, NULL, "kms:KeySpec=X;kms:KeyUsage=Z", NO_K),
	ROW(ALICE,
		K("Allow", P_ALICE, "kms:*",
			",'Condition':{'StringEquals':{'kms:KeySpec':'X'},'Bool':{'aws:SecureTransport':'true'}}"),
		NULL, NULL, 0, NULL, "kms:KeySpec=X;aws:SecureTransport=false", NO_K),
	ROW(ALICE, TO_ALICE "," K("Deny", "'*'", "kms:*", COND("Bool", "aws:SecureTransport", "'false'")), NULL, NULL,
		0, NULL, "aws:SecureTransport=false", DENY_K),
	ROW(ALICE, TO_ALICE "," K("Deny", "'*'", "kms:*", COND("Bool", "aws:SecureTransport", "'false'")), NULL, NULL,
		0, NULL, "aws:SecureTransport=true", BY_KEY),
	ROW(ALICE, DEFAULT, I("Allow", "kms:*", "*", COND("StringEquals", "kms:CallerAccount", "'" A "'")), NULL, 0,
		NULL, "kms:CallerAccount=" A, BY_ID),
	ROW(ALICE, DEFAULT, I("Allow", "kms:*", "*", COND("StringEquals", "kms:CallerAccount", "'" B "'")), NULL, 0,
		NULL, "kms:CallerAccount=" A, NO_I),

	/* ---- Policy variables: what a request says is data ---- */
	IF("StringEquals", "kms:EncryptionContext:for", "'${aws:username}'",
		"aws:username=alice;kms:EncryptionContext:for=alice", 1),
	IF("StringEquals", "kms:EncryptionContext:for", "'${aws:username}'",
		"aws:username=alice;kms:EncryptionContext:for=bob", 0),
	IF("StringLike", "kms:EncryptionContext:for", "'x-${aws:username}-*'",
		"aws:username=al*e;kms:EncryptionContext:for=x-alice-1", 0),
	IF("StringLike", "kms:EncryptionContext:for", "'x-${aws:username}-*'",
		"aws:username=al*e;kms:EncryptionContext:for=x-al*e-1", 1),
	IF("StringEquals", "kms:EncryptionContext:for", "'${aws:username}'", "kms:EncryptionContext:for=", 0),
	IF("StringEquals", "kms:EncryptionContext:for", "'${aws:username, 'nobody'}'",
		"kms:EncryptionContext:for=nobody", 1),
	IF("StringLike", "kms:EncryptionContext:for", "'a${*}b'", "kms:EncryptionContext:for=a*b", 1),
	IF("StringLike", "kms:EncryptionContext:for", "'a${*}b'", "kms:EncryptionContext:for=axb", 0),
	IF("StringEquals", "kms:EncryptionContext:for", "'${$}{x}'", "kms:EncryptionContext:for=${x}", 1),
	ROW(ALICE, DEFAULT, I("Allow", "kms:*", "arn:aws:kms:us-east-1:" A ":key/${aws:PrincipalTag/key}", ""), NULL, 0,
		NULL, "aws:PrincipalTag/key=1234abcd-12ab-34cd-56ef-1234567890ab", BY_ID),
	ROW(ALICE, DEFAULT, I("Allow", "kms:*", "arn:aws:kms:us-east-1:" A ":key/${aws:PrincipalTag/key}", ""), NULL, 0,
		NULL, "aws:PrincipalTag/key=*", NO_I),
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
_Static_assert(ROWS >= 150, "the matrix has at least 150 cases");

/* ---- Running a row ---- */

static void quote(char *text)
{
	int depth = 0;

	/* ' stands for ", but not inside "${…, 'default'}". */
	for (char *p = text; *p != '\0'; p++) {
		if (p[0] == '$' && p[1] == '{')
			depth = 1;
		else if (*p == '}')
			depth = 0;
		if (*p == '\'' && !depth)
			*p = '"';
	}
}

/* To those who were there when the document was put. */
static void bind(struct policy *policy)
{
	json_t *ids = json_object();

	for (size_t i = 0; i < ALICE_ANEW; i++) {
		if (callers[i].id == NULL)
			continue;
		json_object_set_new(ids, callers[i].arn, json_string(callers[i].id));
		if (callers[i].role != NULL)
			json_object_set_new(ids, callers[i].role, json_string(callers[i].id));
	}
	policy_bind(policy, ids);
	json_decref(ids);
}

static struct policy *parse(const struct row *row, enum policy_kind kind, const char *statements)
{
	struct policy *policy;
	char *text;

	if (statements == NULL)
		return NULL;
	assert_true(asprintf(&text, "{'Version':'2012-10-17','Statement':[%s]}", statements) > 0);
	quote(text);
	if (policy_parse(kind, text, &policy) != ERR_OK)
		fail_msg("line %d: %s: %s", row->line, err_text(ERR_KMS_MALFORMED_POLICY), text);
	free(text);
	bind(policy);
	return policy;
}

/* "key=value|value;key=value" */
static enum err lookup(void *context, const char *key, struct policy_values *ret)
{
	const char *p = context;
	size_t len = strlen(key);

	while (*p != '\0' && (strncasecmp(p, key, len) != 0 || p[len] != '=')) {
		p += strcspn(p, ";");
		p += *p == ';';
	}
	if (*p == '\0')
		return ERR_OK;
	ret->text = strndup(p + len + 1, strcspn(p + len + 1, ";"));
	ret->owned = calloc(8, sizeof(*ret->list)); /* one lookup may be made while the values of another are in use */
	ret->list = ret->owned;
	for (char *v = ret->text;;) {
		ret->list[ret->count++] = v;
		v += strcspn(v, "|");
		if (*v == '\0')
			return ERR_OK;
		*v++ = '\0';
	}
}

static unsigned says(const struct policy *policy, const struct policy_request *request, json_t *trace)
{
	unsigned found = 0;

	if (policy != NULL)
		assert_int_equal(policy_evaluate(policy, request, trace, &found), ERR_OK);
	return found;
}

static enum policy_why decide(const struct row *row, json_t *trace)
{
	const struct policy_request request = {.caller = &callers[row->who],
		.action = row->action != NULL ? row->action : "kms:Decrypt",
		.resource = row->key != NULL ? KEY_ARN : "*",
		.lookup = lookup,
		.context = (void *)(uintptr_t)row->request};
	struct policy *key = parse(row, POLICY_KEY, row->key), *identity = parse(row, POLICY_IDENTITY, row->identity);
	struct policy *session = parse(row, POLICY_SESSION, row->session);
	const struct policy_inputs in = {.has_resource_policy = key != NULL,
		.owner = A,
		.resource = says(key, &request, trace),
		.identity = says(identity, &request, trace),
		.has_session = session != NULL,
		.session = says(session, &request, trace),
		.grant = row->grant != 0,
		.grant_for_session = row->grant == 2};
	enum policy_why why = policy_decide(&callers[row->who], &in);

	policy_free(key);
	policy_free(identity);
	policy_free(session);
	return why;
}

static void every_row(void **state)
{
	char found[128], wanted[128];

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		enum policy_why why = decide(&rows[i], NULL);

		policy_why_text(why, "A", found, sizeof(found));
		policy_why_text(rows[i].why, "A", wanted, sizeof(wanted));
		if (why != rows[i].why)
			fail_msg("line %d: %s (%d) instead of %s (%d)", rows[i].line, found, why, wanted, rows[i].why);
	}
	print_message("%d cases\n", ROWS);
}

/* A decision that is explained is the same decision, and the explanation has every statement. */
static void explained_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		json_t *trace = json_array();

		if (decide(&rows[i], trace) != rows[i].why)
			fail_msg("line %d: another decision when traced", rows[i].line);
		if (rows[i].key != NULL)
			assert_true(json_array_size(trace) > 0);
		json_decref(trace);
	}
}

static void a_trace_names_values(void **state)
{
	const struct row row =
		IF("StringLike", "kms:EncryptionContext:for", "'a*'", "kms:EncryptionContext:for=bob", 0);
	json_t *trace = json_array(), *expected;

	(void)state;
	assert_int_equal(decide(&row, trace), POLICY_NO_KEY_POLICY_ALLOWS);
	expected = json_loads(
		"[{\"Statement\":\"#1\",\"Effect\":\"Allow\",\"Conditions\":[{\"Operator\":\"StringLike\",\"Key\":"
		"\"kms:EncryptionContext:for\",\"PolicyValues\":[\"a*\"],\"RequestValues\":[\"bob\"],\"Holds\":false}],"
		"\"Principal\":\"the caller\",\"ActionMatches\":true,\"ResourceMatches\":true,\"ConditionsHold\":false,"
		"\"Applies\":false}]",
		0, NULL);
	assert_true(json_equal(trace, expected));
	json_decref(trace);
	json_decref(expected);
}

static void reasons_in_words(void **state)
{
	static const struct {
		enum policy_why why;
		const char *text;
	} words[] = {
		{DENY_K, "with an explicit deny in a resource-based policy"},
		{DENY_I, "with an explicit deny in an identity-based policy"},
		{DENY_S, "with an explicit deny in a session policy"},
		{NO_K, "because no resource-based policy allows the kms:Decrypt action"},
		{NO_I, "because no identity-based policy allows the kms:Decrypt action"},
		{NO_S, "because no session policy allows the kms:Decrypt action"},
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		policy_why_text(words[i].why, "kms:Decrypt", text, sizeof(text));
		assert_string_equal(text, words[i].text);
		assert_false(policy_is_allowed(words[i].why));
	}
	assert_true(policy_is_allowed(BY_KEY) && policy_is_allowed(BY_ID) && policy_is_allowed(BY_GR) &&
		    policy_is_allowed(BY_ROOT));
}

/* Who forgets to bind a document lets nobody in by it. */
static void without_a_binding_a_name_is_nobodys(void **state)
{
	static const char text[] = "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"kms:*\",\"Resource\":\"*\","
				   "\"Principal\":{\"AWS\":[\"arn:aws:iam::" A ":user/alice\",\"arn:aws:iam::" A
				   ":role/app\",\"arn:aws:sts::" A ":federated-user/fred\"]}}}";
	struct policy_request request = {.action = "kms:Decrypt", .resource = KEY_ARN, .lookup = lookup, .context = ""};
	struct policy *policy;

	(void)state;
	assert_int_equal(policy_parse(POLICY_KEY, text, &policy), ERR_OK);
	for (enum who who = ROOT; who <= SESSION_ANEW; who++) {
		request.caller = &callers[who];
		assert_int_equal(
			says(policy, &request, NULL), who == FEDERATED ? POLICY_ALLOWS | POLICY_ALLOWS_SESSION : 0);
	}
	policy_free(policy);
}

static void principals_are_shown_by_other_words(void **state)
{
	static const char text[] =
		"{\"Statement\":[{\"Principal\":{\"AWS\":\"a\"},\"Condition\":{\"StringEquals\":{\"x\":\"a\"}}},"
		"{\"NotPrincipal\":{\"AWS\":[\"b\",\"a\"],\"Service\":\"a\"}},{\"Principal\":\"*\"}]}";
	json_t *shown = json_pack("{s:s}", "a", "AIDAGONE"), *found, *wanted;
	char *renamed;

	(void)state;
	assert_int_equal(policy_rename_principals(text, shown, &renamed), ERR_OK);
	found = json_loads(renamed, 0, NULL);
	wanted = json_loads(
		"{\"Statement\":[{\"Principal\":{\"AWS\":\"AIDAGONE\"},\"Condition\":{\"StringEquals\":{\"x\":"
		"\"a\"}}},{\"NotPrincipal\":{\"AWS\":[\"b\",\"AIDAGONE\"],\"Service\":\"a\"}},{\"Principal\":\"*\"}]}",
		0, NULL);
	assert_true(json_equal(found, wanted));
	json_decref(found);
	json_decref(wanted);
	json_decref(shown);
	free(renamed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_binding_a_name_is_nobodys),
		cmocka_unit_test(principals_are_shown_by_other_words),
		cmocka_unit_test(every_row),
		cmocka_unit_test(explained_rows),
		cmocka_unit_test(a_trace_names_values),
		cmocka_unit_test(reasons_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
