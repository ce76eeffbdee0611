/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_LABELS_H
#define SIGNETFS_BASE_LABELS_H

/*
 * Every key-derivation label and AAD label of the project, in one list.
 *
 * Why no two uses collide: each derivation from one input key uses a different label here; labels are distinct strings none of
 * which is a prefix of another under the same input key; and keys of different roles are independent random keys, so equal
 * labels under different roles would not meet either. A new use gets a new label; a changed meaning gets a new number.
 */

/* from a data key, salt = file id */
#define LABEL_CHUNKS "signetfs/1/chunks"
#define LABEL_HEADER "signetfs/1/header"
/* from the volume key, salt = volume id */
#define LABEL_NAMES         "signetfs/1/names" /* 64 bytes: an AES-256-SIV key */
#define LABEL_SYMLINKS      "signetfs/1/symlinks"
#define LABEL_XATTR_NAMES   "signetfs/1/xattr-names" /* 64 bytes */
#define LABEL_XATTR_VALUES  "signetfs/1/xattr-values"
#define LABEL_VOLUME_MAC    "signetfs/1/volume-mac"
#define LABEL_DIR_MAC       "signetfs/1/directory-ids"
#define LABEL_SESSIONS      "signetfs/1/sessions"
#define LABEL_BUCKET_RECORD "signetfs/1/bucket-record"
#define LABEL_REENCRYPT     "signetfs/1/reencrypt-journal"
/* AAD under a bucket key */
#define LABEL_WRAP_DATA_KEY "signetfs/1/wrap-data-key"
/* from a customer-provided key (a file in the place of a KMS), no salt: its name, the key that wraps; and the head of that one's AAD */
#define LABEL_CUSTOMER_KEY_ID   "signetfs/1/customer-key-id"
#define LABEL_CUSTOMER_KEY_WRAP "signetfs/1/customer-key-wrap"
#define LABEL_CUSTOMER_KEY_BLOB "signetfs/1/customer-key-blob"
/* inside the KMS: from a backing key, salt = the blob's random value */
#define LABEL_KMS_BLOB "signetfs/1/kms-blob"
/* inside the KMS: from a key file, salt = the keystore's root key salt: the root key */
#define LABEL_ROOT_KEY_FILE "signetfs/1/root-key-file"
/* inside the KMS: from the root key, salt = keystore id */
#define LABEL_KEYSTORE_SEAL   "signetfs/1/keystore-seal"
#define LABEL_KEYSTORE_VERIFY "signetfs/1/keystore-verify"
/* inside the KMS: from the keystore secret: marker and token authentication */
#define LABEL_KMS_TOKENS      "signetfs/1/kms-tokens"
#define LABEL_KMS_BLOB_HEADER "signetfs/1/kms-header-tag" /* authenticates the header of a ciphertext blob */
#define LABEL_KMS_TRAIL       "signetfs/1/kms-trail-record"
#define LABEL_KMS_TRAIL_HEAD  "signetfs/1/kms-trail-head"

/* inside the KMS: first part of what is MACed under the tokens key, beside names of operations, none of which has a slash */
#define LABEL_KMS_IMPORT_TOKEN "signetfs/1/kms-import-token"
#define LABEL_KMS_MATERIAL_ID  "signetfs/1/kms-material-id"

#endif
