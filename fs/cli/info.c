/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fs/format/chunk.h"
#include "fs/format/file_header.h"
#include "fs/format/names.h"
#include "fs/vault/vault.h"
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/base/json.h"

enum { LABEL_WIDTH = 24 };

/* One list of facts, for people and for programs. */
struct facts {
	json_t *json; /* NULL: print for people */
};

static void fact(const struct facts *f, const char *name, const char *label, const char *text)
{
	if (f->json)
		json_object_set_new(f->json, name, json_string(text));
	else
		cli_field(stdout, LABEL_WIDTH, label, "%s", text);
}

static void fact_number(const struct facts *f, const char *name, const char *label, uint64_t n, const char *unit)
{
	if (f->json)
		json_object_set_new(f->json, name, json_integer((json_int_t)n));
	else
		cli_field(stdout, LABEL_WIDTH, label, "%llu%s", (unsigned long long)n, unit);
}

static void fact_seconds(const struct facts *f, const char *name, const char *label, uint64_t seconds)
{
	char text[CLI_SECONDS_SIZE];

	cli_format_seconds(seconds, text);
	if (f->json)
		json_object_set_new(f->json, name, json_integer((json_int_t)seconds));
	else
		cli_field(stdout, LABEL_WIDTH, label, "%s", text);
}

static void fact_id(const struct facts *f, const char *name, const char *label, const uint8_t id[UUID_SIZE])
{
	char text[UUID_TEXT + 1];

	encode_uuid(id, text);
	fact(f, name, label, text);
}

static enum err show_vault(const struct facts *f, const char *path)
{
	struct descriptor d;

	TRY(vault_read_descriptor(path, &d));
	fact(f, "vault", "Vault", path);
	fact_number(f, "format", "Format", d.format, "");
	fact_id(f, "volume-id", "Volume id", d.volume_id);
	fact(f, "names", "Names", d.names == NAMES_PLAIN ? "plain" : "encrypted");
	fact(f, "bucket-keys", "Bucket keys", d.bucket_keys ? "on" : "off");
	fact_seconds(f, "bucket-lifetime-seconds", "Bucket key lifetime", d.lifetime_seconds);
	fact_number(f, "bucket-lifetime-files", "Bucket key files", d.lifetime_files, "");
	fact_seconds(f, "cache-seconds", "Cache time", d.cache_seconds);
	fact_number(f, "header-length", "File header length", d.header_length, " bytes");
	fact(f, "endpoint", "KMS", d.endpoint);
	fact(f, "region", "Region", d.region);
	fact(f, "key", "Key, as named", d.key_id);
	fact(f, "volume-key-arn", "Volume key wrapped by", d.volume_key.key_arn);
	return ERR_OK;
}

static void show_wrapping(const struct facts *f, const struct file_header *h)
{
	static const char *const names[] = {[WRAP_KMS] = "the KMS key itself",
		[WRAP_BUCKET] = "a bucket key",
		[WRAP_CUSTOMER] = "a customer-provided key"};
	static const struct bucket_id whole;

	fact(f, "wrap", "Data key wrapped by", names[h->wrap]);
	if (h->wrap == WRAP_BUCKET && memcmp(&h->bucket, &whole, sizeof(whole)) == 0)
		fact(f, "bucket", "Bucket", "the whole vault");
	else if (h->wrap == WRAP_BUCKET)
		fact_id(f, "bucket", "Bucket", h->bucket.b);
	if (h->wrap != WRAP_CUSTOMER)
		fact(f, "key-arn", "KMS key", h->kms_key.key_arn);
	fact_number(f, "kms-blob-length", "KMS ciphertext", h->kms_key.blob_len, " bytes");
}

static void show_header(
	const struct facts *f, const char *path, const struct file_header *h, size_t header_len, uint64_t lower_size)
{
	int whole;
	uint64_t plain = chunk_plain_size(lower_size, header_len, &whole);

	fact(f, "file", "File", path);
	fact(f, "suite", "Suite", "XAES-256-GCM");
	fact_id(f, "volume-id", "Volume id", h->volume_id);
	fact_id(f, "file-id", "File id", h->file_id);
	show_wrapping(f, h);
	fact_number(f, "header-length", "Header length", header_len, " bytes");
	fact_number(f, "size-in-header", "Size in the header", h->size, " bytes");
	fact_number(
		f, "size-by-length", "Size by the length", plain, whole ? " bytes" : " bytes (and part of a chunk)");
	fact_number(f, "session", "Session", h->session, "");
	fact(f, "holes", "May have holes", h->flags & FILE_FLAG_HOLES ? "yes" : "no");
}

static enum err read_header(int fd, const char *path, uint64_t size, uint8_t buf[FILE_HEADER_MAX], size_t *ret_len)
{
	enum { OFF_UNITS = 11 };
	size_t len;

	if (size < FILE_HEADER_UNIT)
		return err_fail(
			ERR_FORMAT, "%s is shorter than any file header: it is no encrypted file, or was cut", path);
	TRY(io_read_full(fd, buf, FILE_HEADER_UNIT));
	len = (size_t)buf[OFF_UNITS] * FILE_HEADER_UNIT;
	if (len < FILE_HEADER_UNIT || len > FILE_HEADER_MAX || len > size)
		return err_fail(ERR_FORMAT, "%s does not begin with a signetfs file header", path);
	TRY(io_read_full(fd, buf + FILE_HEADER_UNIT, len - FILE_HEADER_UNIT));
	*ret_len = len;
	return ERR_OK;
}

static enum err show_file(const struct facts *f, const char *path, int fd, const struct stat *st)
{
	uint8_t buf[FILE_HEADER_MAX];
	struct file_header h;
	size_t len;

	if (st->st_size == 0)
		return err_fail(ERR_FORMAT, "%s is empty: an encrypted file has a header", path);
	TRY(read_header(fd, path, (uint64_t)st->st_size, buf, &len));
	enum err e = file_header_decode(buf, len, &h);

	if (e != ERR_OK)
		return err_wrap(e, "the header of %s", path);
	show_header(f, path, &h, len, (uint64_t)st->st_size);
	return ERR_OK;
}

/* Files of ours inside a vault that are no encrypted files. */
static enum err check_not_ours(const char *path, const char *name)
{
	if (strcmp(name, DIR_FILE_NAME) == 0)
		return err_fail(ERR_USAGE, "%s holds its directory's id; it is no encrypted file", path);
	if (strncmp(name, LONG_PREFIX, strlen(LONG_PREFIX)) == 0 && strstr(name, LONG_SUFFIX))
		return err_fail(ERR_USAGE, "%s holds a long name; it is no encrypted file", path);
	return ERR_OK;
}

static enum err show_path(const struct facts *f, const char *path)
{
	int fd AUTO_CLOSE = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	char copy[PATH_MAX], copy2[PATH_MAX];
	struct stat st;

	if (fd < 0 && errno == ELOOP)
		return err_fail(ERR_USAGE, "%s is a symbolic link; its target is encrypted, it has no header", path);
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_system("opening %s", path);
	if (S_ISDIR(st.st_mode))
		return show_vault(f, path);
	if (!S_ISREG(st.st_mode))
		return err_fail(ERR_USAGE, "%s is neither a vault nor a regular file", path);
	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(copy2, sizeof(copy2), "%s", path);
	if (strcmp(basename(copy), DESCRIPTOR_NAME) == 0)
		return show_vault(f, dirname(copy2));
	TRY(check_not_ours(path, basename(copy2)));
	return show_file(f, path, fd, &st);
}

int cli_info(int argc, char **argv)
{
	int json = 0, operands;
	const struct cli_option options[] = {
		{"json", 0, CLI_FLAG, &json, NULL, "print JSON"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs info [--json] VAULT|FILE-IN-VAULT",
		"Show what a vault or one ciphertext file says of itself. No key is used and nothing is changed, so "
		"nothing of it is "
		"proven: mounting and reading is the proof.",
		1, 1, options, NULL};
	int done = cli_parse(&usage, argc, argv, &operands);

	if (done >= 0)
		return done;
	json_t *object AUTO_JSON = json ? json_object() : NULL;
	const struct facts facts = {object};
	enum err e = show_path(&facts, argv[1]);

	if (e != ERR_OK)
		return cli_fail(e, "reading %s", argv[1]);
	if (object && json_dumpf(object, stdout, JSON_INDENT(4)) == 0)
		putchar('\n');
	return CLI_DONE;
}
