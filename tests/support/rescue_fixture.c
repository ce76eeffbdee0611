/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rescue_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

enum { LARGE = 20000, HEADER = 512, STORED = 4136, SKIPPED = 8 };

#define LONG_NAME                                                                                                      \
	"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"   \
	"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define LONG_SOUND LONG_NAME "sound"
#define LONG_BAD   LONG_NAME "bad"
#define LONG_GONE  LONG_NAME "gone"

const char *const rescue_sound[] = {"file", "sub/deep", "sub/" LONG_SOUND, "flawed", "small", NULL};

static uint8_t pattern[LARGE];

/* ---- Making it ---- */

static void put(struct vault_fixture *x, const char *path, size_t len)
{
	assert_int_equal(vp_put(x->v, path, pattern, len), ERR_OK);
}

static size_t sound_size(const char *path)
{
	return strcmp(path, "small") == 0 ? 10 : LARGE;
}

static void put_sound(struct vault_fixture *x)
{
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 31 + i / 251);
	assert_int_equal(vp_mkdir(x->v, "sub", 0755), ERR_OK);
	for (const char *const *p = rescue_sound; *p; p++)
		put(x, *p, sound_size(*p));
	assert_int_equal(vp_setxattr(x->v, "file", "user.colour", "green", 5, 0), ERR_OK);
	assert_int_equal(vp_setxattr(x->v, "flawed", "user.kept", "kept", 4, 0), ERR_OK);
	assert_int_equal(vp_symlink(x->v, "sub/deep", "link"), ERR_OK);
}

void rescue_make_sound(struct vault_fixture *x)
{
	vault_fixture_init(x, NULL);
	put_sound(x);
	vault_fixture_close(x);
}

/* ---- Damaging it ---- */

static char skipped[SKIPPED][256]; /* names in the vault of what a repair may change or remove */
static unsigned skips;

static const char *base_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

static void leave_out(const char *path)
{
	assert_true(skips < SKIPPED);
	snprintf(skipped[skips++], sizeof(skipped[0]), "%s", base_of(path));
}

static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void append(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void flip_attribute(const char *path)
{
	char list[1024];
	ssize_t n = listxattr(path, list, sizeof(list));
	uint8_t value[256];
	ssize_t len;

	/* Of the two the one that was set last: 4 bytes more. */
	for (const char *name = list; name < list + n; name += strlen(name) + 1) {
		len = getxattr(path, name, value, sizeof(value));
		if (len != 40 + 8)
			continue;
		value[30] ^= 1;
		assert_int_equal(setxattr(path, name, value, (size_t)len, 0), 0);
		return;
	}
	fail_msg("no attribute to damage");
}

static void join(char out[4096], const char *a, const char *between, const char *b)
{
	assert_true(snprintf(out, 4096, "%s%s%s", a, between, b) < 4096);
}

enum { BAD, LONGNAMED, FLAWED, LINK, LOST, GONE, OTHER, ONE, CUT, DURING, HEADLESS, LONGER, VICTIMS };
static const char *const victims[VICTIMS] = {
	"bad", LONG_BAD, "flawed", "badlink", "lost", LONG_GONE, "other", "one", "cut", "during", "headless", "longer"};

static void put_victims(struct vault_fixture *x)
{
	put(x, "bad", LARGE);
	put(x, LONG_BAD, LARGE);
	assert_int_equal(vp_setxattr(x->v, "flawed", "user.bad", "damaged!", 8, 0), ERR_OK);
	assert_int_equal(vp_symlink(x->v, "somewhere", "badlink"), ERR_OK);
	assert_int_equal(vp_mkdir(x->v, "lost", 0755), ERR_OK);
	put(x, "lost/inside", 5000);
	put(x, LONG_GONE, 7);
	put(x, "other", 6000);
	put(x, "one", 9000);
	assert_int_equal(vp_link(x->v, "one", "sub/two"), ERR_OK);
	put(x, "cut", LARGE);
	vault_fixture_reopen(x);
	put(x, "during", LARGE);
	put(x, "headless", 100);
	put(x, "longer", LARGE);
}

static void damage_files(char at[VICTIMS][4096])
{
	flip(at[BAD], HEADER + STORED + 50);
	flip(at[LONGNAMED], HEADER + STORED + 50);
	flip_attribute(at[FLAWED]);
	unlink(at[LINK]);
	assert_int_equal(symlink("nonsense", at[LINK]), 0);
	flip(at[ONE], 500);
	assert_int_equal(truncate(at[CUT], HEADER + STORED), 0);
	assert_int_equal(truncate(at[DURING], HEADER + 2 * STORED + 70), 0);
	assert_int_equal(truncate(at[HEADLESS], 0), 0);
	append(at[LONGER], "the rest of a chunk that was being written");
	leave_out(at[DURING]);
	leave_out(at[HEADLESS]);
	leave_out(at[LONGER]);
}

static void damage_names(const char *vault, char at[VICTIMS][4096])
{
	char path[4096], id[4096];

	join(path, at[LOST], "/", "signetfs.dir");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(at[GONE]), 0);
	join(path, at[GONE], "", ".name");
	leave_out(path);
	join(path, vault, "/", "what.is.this");
	assert_int_equal(rename(at[OTHER], path), 0);
	join(path, vault, "/", "signetfs.tmp.00112233445566778899aabbccddeeff");
	assert_int_equal(mkdir(path, 0700), 0);
	join(id, path, "/", "signetfs.dir");
	append(id, "anything");
	leave_out(id);
	join(path, vault, "/", "signetfs.future");
	append(path, "stranger");
	join(path, vault, "/", ".signetfs/bucket.new");
	append(path, "rest");
	join(path, vault, "/", ".signetfs/bucket");
	flip(path, 60);
}

void rescue_make_damaged(struct vault_fixture *x)
{
	char at[VICTIMS][4096], copy[600];

	vault_fixture_init(x, NULL);
	put_sound(x);
	put_victims(x);
	skips = 0;
	snprintf(copy, sizeof(copy), "%s/copy", x->top);
	for (size_t i = 0; i < VICTIMS; i++)
		vault_fixture_lower_path(x, victims[i], at[i]);
	/* As a crash would leave it: the session is on the list. */
	vault_fixture_copy_tree(x->path, copy);
	vault_fixture_close(x);
	vault_fixture_remove_tree(x->path);
	assert_int_equal(rename(copy, x->path), 0);
	damage_files(at);
	damage_names(x->path, at);
}

void rescue_check_sound(struct vault_fixture *x)
{
	char text[64];
	uint8_t *bytes;
	size_t len;

	for (const char *const *p = rescue_sound; *p; p++) {
		assert_int_equal(vp_get(x->v, *p, &bytes, &len), ERR_OK);
		assert_int_equal(len, sound_size(*p));
		assert_memory_equal(bytes, pattern, len);
		free(bytes);
	}
	assert_int_equal(vp_getxattr(x->v, "file", "user.colour", text, sizeof(text), &len), ERR_OK);
	assert_memory_equal(text, "green", 5);
	assert_int_equal(vp_getxattr(x->v, "flawed", "user.kept", text, sizeof(text), &len), ERR_OK);
	assert_memory_equal(text, "kept", 4);
	assert_int_equal(vp_readlink(x->v, "link", text, sizeof(text)), ERR_OK);
	assert_string_equal(text, "sub/deep");
}

/* ---- Checking and restoring ---- */

__attribute__((format(printf, 2, 3))) static void add_line(char text[4096], const char *fmt, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(text + used, 4096 - used, fmt, args);
	va_end(args);
}

static void on_finding(void *context, const struct fsck_finding *f)
{
	struct rescue_checked *c = context;

	c->told[f->state]++;
	add_line(c->text, "%s %s %.40s (%.60s): %.100s; %s\n", fsck_kind_name(f->kind), fsck_state_name(f->state),
		f->plain, f->lower, f->why,
		f->repair != FSCK_LEFT ? "repaired"
		: f->not_repaired      ? f->not_repaired
				       : "left");
}

static enum err check_open(struct vault_fixture *x, int repair, struct rescue_checked *ret)
{
	const struct fsck_options o = {
		.vault = x->v, .read_data = 1, .repair = repair, .jobs = 1, .finding = on_finding, .context = ret};
	struct fsck *f;

	TRY(fsck_start(&o, &f));
	return fsck_finish(f, &ret->counts);
}

void rescue_check(struct vault_fixture *x, int repair, struct rescue_checked *ret)
{
	enum err closing;

	memset(ret, 0, sizeof(*ret));
	x->forgiving = 1;
	x->read_only = !repair;
	ret->error = vault_fixture_try_open(x);
	if (ret->error == ERR_OK) {
		ret->error = check_open(x, repair, ret);
		closing = vault_close(x->v);
		x->v = NULL;
		if (ret->error == ERR_OK)
			ret->error = closing;
	}
	x->forgiving = x->read_only = 0;
}

int rescue_says_clean(const struct rescue_checked *c)
{
	return c->error == ERR_OK && !c->told[FSCK_DAMAGED] && !c->told[FSCK_UNCHECKED] && !c->counts.lost;
}

static void on_event(void *context, const struct restore_event *e)
{
	struct rescue_restored *r = context;

	r->told++;
	add_line(r->text, "%d %.60s: %.200s\n", (int)e->kind, e->path, e->why);
}

void rescue_restore(struct vault_fixture *x, const char *dest, int partial, struct rescue_restored *ret)
{
	struct restore *r;

	memset(ret, 0, sizeof(*ret));
	x->read_only = 1;
	ret->error = vault_fixture_try_open(x);
	const struct restore_options o = {
		.vault = x->v, .dest = dest, .partial = partial, .jobs = 1, .event = on_event, .context = ret};
	if (ret->error == ERR_OK) {
		ret->error = restore_start(&o, &r);
		if (ret->error == ERR_OK)
			ret->error = restore_finish(r, &ret->counts);
		vault_close(x->v);
		x->v = NULL;
	}
	x->read_only = 0;
}

int rescue_says_complete(const struct rescue_restored *r)
{
	return r->error == ERR_OK && !r->counts.failed && !r->counts.incomplete;
}

void rescue_check_restored(const char *dest, int all)
{
	uint8_t bytes[LARGE + 1];
	char path[4096], value[16], target[16];

	for (const char *const *p = rescue_sound; *p; p++) {
		join(path, dest, "/", *p);
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 && !all && errno == ENOENT)
			continue;
		assert_true(fd >= 0);
		assert_int_equal(read(fd, bytes, sizeof(bytes)), sound_size(*p));
		assert_memory_equal(bytes, pattern, sound_size(*p));
		close(fd);
	}
	if (!all)
		return;
	join(path, dest, "/", "file");
	assert_int_equal(getxattr(path, "user.colour", value, sizeof(value)), 5);
	join(path, dest, "/", "link");
	assert_int_equal(readlink(path, target, sizeof(target)), strlen("sub/deep"));
}

/* ---- Inventory ---- */

static struct rescue_inventory *taking;

static uint64_t hash_of(uint64_t h, const void *bytes, size_t len)
{
	for (const uint8_t *p = bytes; len > 0; len--)
		h = (h ^ *p++) * 0x100000001b3u;
	return h;
}

static void add_hash(const char *where, uint64_t hash)
{
	struct rescue_inventory *i = taking;

	if (i->count == i->room)
		i->item = realloc(i->item, (i->room = i->room * 2 + 64) * sizeof(*i->item));
	assert_non_null(i->item);
	i->item[i->count++] = (struct rescue_item){hash, strdup(where)};
}

static void add_content(const char *path)
{
	uint8_t buf[65536];
	int fd = open(path, O_RDONLY);
	ssize_t n;
	uint64_t h = 1;

	assert_true(fd >= 0);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		h = hash_of(h, buf, (size_t)n);
	close(fd);
	add_hash(path, h);
}

/* As what a file holds: a repair saves a value as a file. */
static void add_attributes(const char *path)
{
	char list[4096];
	uint8_t value[4096];
	ssize_t n = llistxattr(path, list, sizeof(list)), len;

	for (const char *name = list; n > 0 && name < list + n; name += strlen(name) + 1)
		if ((len = lgetxattr(path, name, value, sizeof(value))) > 0)
			add_hash(path, hash_of(1, value, (size_t)len));
}

static int is_skipped(const char *path)
{
	for (unsigned i = 0; i < skips; i++)
		if (strcmp(base_of(path), skipped[i]) == 0 && strcmp(skipped[i], "signetfs.dir") != 0)
			return 1;
	/* Lists, lock and records change in every session; the id in a temporary directory goes with it. */
	return strstr(path, "/.signetfs/sessions") || strstr(path, "/.signetfs/bucket") ||
	       strstr(path, "/.signetfs/lock") || strstr(path, "/signetfs.tmp.");
}

static int take_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char target[4096];
	ssize_t n;

	(void)type;
	(void)ftw;
	if (is_skipped(path))
		return 0;
	if (S_ISREG(st->st_mode))
		add_content(path);
	if (S_ISLNK(st->st_mode) && (n = readlink(path, target, sizeof(target))) > 0)
		add_hash(path, hash_of(2, target, (size_t)n));
	add_attributes(path);
	return 0;
}

void rescue_inventory_take(const char *path, struct rescue_inventory *ret)
{
	memset(ret, 0, sizeof(*ret));
	taking = ret;
	assert_int_equal(nftw(path, take_one, 16, FTW_PHYS), 0);
}

void rescue_inventory_check(const struct rescue_inventory *before, const struct rescue_inventory *now)
{
	for (size_t i = 0; i < before->count; i++) {
		size_t n = 0;

		while (n < now->count && now->item[n].hash != before->item[i].hash)
			n++;
		if (n == now->count)
			fail_msg("gone from the vault: what %s was", before->item[i].where);
	}
}

void rescue_inventory_free(struct rescue_inventory *i)
{
	for (size_t n = 0; n < i->count; n++)
		free(i->item[n].where);
	free(i->item);
}
