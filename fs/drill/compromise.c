/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fs/drill/drill.h"
#include "fs/vault/vault.h"

/* Less than what any content has as ciphertext: so it is never the header, which wrapping anew changes. */
enum { TAIL = 32 };

/* nftw() has no context. One drill at a time. */
static struct {
	const char *copy, *vault;
	off_t header; /* the length of each file's */
	uint64_t files, same;
} comparing;

/* The end of a file is ciphertext and tag of its last chunk: the same bytes are the same data key. */
static int read_tail(const char *path, uint8_t out[TAIL])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ok;

	if (fd < 0)
		return 0;
	ok = lseek(fd, -TAIL, SEEK_END) >= 0 && read(fd, out, TAIL) == TAIL;
	close(fd);
	return ok;
}

static int compare_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	uint8_t then[TAIL], now[TAIL];
	char other[2 * WORLD_PATH];

	/* Records of the vault itself are no file's content. */
	if (type != FTW_F || st->st_size < comparing.header + TAIL || strstr(path, "/.signetfs/") ||
		strncmp(path + ftw->base, "signetfs.", 9) == 0)
		return 0;
	snprintf(other, sizeof other, "%s%s", comparing.vault, path + strlen(comparing.copy));
	/* A file that ends with a hole has no ciphertext there. */
	if (read_tail(path, then) && then[0] == 0 && memcmp(then, then + 1, TAIL - 1) == 0)
		return 0;
	comparing.files++;
	if (!read_tail(path, then) || !read_tail(other, now) || memcmp(then, now, TAIL) == 0)
		comparing.same++;
	return 0;
}

static enum err compare(const char *copy, const char *vault)
{
	struct descriptor d;

	TRY(vault_read_descriptor(vault, &d));
	comparing.header = (off_t)d.header_length;
	comparing.copy = copy;
	comparing.vault = vault;
	comparing.files = comparing.same = 0;
	return nftw(copy, compare_one, 16, FTW_PHYS) ? err_system("comparing %s and %s", copy, vault) : ERR_OK;
}

/* Wrapping anew is not enough, and the comparison would notice: shown first. */
static enum err wrap_anew(struct stage *s, const struct scene *scene, const char *copy, const char *key)
{
	TRY(SCENE_REENCRYPT(s, scene, "--to", key));
	story_event(s->record, REPORT_PLAIN, "Wrapped anew under another KMS key in the mount, contents untouched");
	TRY(compare(copy, scene->vault));
	story_check(s->record, comparing.files >= s->files && comparing.same == comparing.files,
		"Wrapping anew keeps the data keys: not enough after a compromise",
		"%llu of %llu files have them still", (unsigned long long)comparing.same,
		(unsigned long long)comparing.files);
	return ERR_OK;
}

static enum err write_anew(struct stage *s, const struct scene *scene, const char *copy, const char *key)
{
	story_phase(s->record, REPORT_CAUTION, "contents", "being written anew");
	story_event(s->record, REPORT_CAUTION, "signetfs reencrypt --data");
	TRY(SCENE_REENCRYPT(s, scene, "--data", "--to", key));
	story_phase(s->record, REPORT_GOOD, "contents", "under new data keys");
	story_event(s->record, REPORT_GOOD, "Everything is written anew; the mount went on");
	TRY(compare(copy, scene->vault));
	story_check(s->record, comparing.files >= s->files && comparing.same == 0,
		"No file is left under an old data key", "%llu of %llu", (unsigned long long)comparing.same,
		(unsigned long long)comparing.files);
	return ERR_OK;
}

enum err play_compromise(struct stage *s)
{
	static const char *const options[] = {"--cache-time", "2s", NULL};
	char copy[WORLD_PATH], key[WORLD_ARN];
	struct scene scene;

	TRY(world_serve(s->world, "none", NULL));
	TRY(scene_set(s, options, &scene));
	TRY(world_make_key(s->world, "after", key));
	TRY(scene_copy(s, &scene, copy));
	story_event(s->record, REPORT_BAD, "Suppose that somebody has this state of the vault and its data keys");
	story_phase(s->record, REPORT_BAD, "contents", "under known data keys");
	story_phase(s->record, REPORT_PLAIN, "workload", "reads");
	TRY(workload_start(s->load, 0));
	TRY(workload_wait(&s->load->reads, s->files, "reads"));
	TRY(wrap_anew(s, &scene, copy, key));
	TRY(write_anew(s, &scene, copy, key));
	TRY(workload_wait(&s->load->reads, s->files, "reads"));
	workload_stop(s->load);
	scene_no_failure(s, "No read failed meanwhile");
	TRY(world_umount(s->world, scene.point));
	TRY(scene_mount(s, scene.vault, &scene));
	scene_verify(s, "Every file has its content");
	story_caution(s->record, "What was copied before stays readable to whoever has the old data keys.",
		"New keys protect what is written from now on.");
	return ERR_OK;
}
