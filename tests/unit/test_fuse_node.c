/* SPDX-License-Identifier: Apache-2.0 */
/* The node table: what it keeps, what it lets go, and that its invariants hold whatever the kernel does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "fs/fuse/node.h"
#include "tests/support/vault_fixture.h"

static const struct stat root_stat = {.st_dev = 1, .st_ino = 1, .st_mode = S_IFDIR | 0755};

static struct stat inode(ino_t ino, mode_t type)
{
	return (struct stat){.st_dev = 1, .st_ino = ino, .st_mode = type | 0644, .st_nlink = 1};
}

static struct node *enter(struct node_table *t, struct node *parent, const char *name, ino_t ino, mode_t type)
{
	struct stat st = inode(ino, type);
	struct node *n = node_enter(t, parent, name, strlen(name), &st);

	assert_non_null(n);
	node_table_check(t);
	return n;
}

static size_t free_list(struct node_table *t, struct node *gone)
{
	size_t count = 0;

	for (struct node *next; gone; gone = next, count++) {
		next = gone->chain;
		node_free(t, gone);
	}
	return count;
}

/* Returns how many nodes went. */
static size_t forget(struct node_table *t, struct node *n, uint64_t count)
{
	size_t gone = free_list(t, node_forget(t, n, count));

	node_table_check(t);
	return gone;
}

static void count_disposed(void *context, struct node *n)
{
	(void)n;
	++*(size_t *)context;
}

static size_t end(struct node_table *t)
{
	size_t disposed = 0;

	node_table_free(t, count_disposed, &disposed);
	return disposed;
}

static struct node *find(struct node_table *t, struct node *parent, const char *name)
{
	return node_find(t, parent, name, strlen(name));
}

static void test_one_node_per_inode(void **state)
{
	struct node_table *t = node_table_new(&root_stat);
	struct node *root = node_root(t);
	struct node *a = enter(t, root, "a", 10, S_IFREG);

	(void)state;
	assert_ptr_equal(enter(t, root, "a", 10, S_IFREG), a);
	assert_int_equal(a->lookups, 2);
	assert_ptr_not_equal(enter(t, root, "b", 11, S_IFREG), a);
	struct stat other_device = {.st_dev = 2, .st_ino = 10, .st_mode = S_IFREG};
	assert_ptr_not_equal(node_enter(t, root, "c", 1, &other_device), a);
	assert_int_equal(node_count(t), 4);
	assert_ptr_equal(find(t, root, "a"), a);
	assert_null(find(t, root, "x"));
	assert_null(find(t, a, "a"));
	assert_int_equal(forget(t, a, 1), 0);
	assert_int_equal(forget(t, a, 1), 1);
	assert_null(find(t, root, "a"));
	assert_int_equal(end(t), 3);
}

/* Somebody removed files in the lower tree, which gave their numbers to what the mount made next. */
static void test_a_number_taken_again_is_another_node(void **state)
{
	struct node_table *t = node_table_new(&root_stat);
	struct node *root = node_root(t);
	struct node *old[2] = {enter(t, root, "a", 10, S_IFREG), enter(t, root, "b", 11, S_IFREG)};
	struct stat st[2] = {inode(10, S_IFREG), inode(11, S_IFREG)};

	(void)state;
	struct node *named = node_enter_made(t, root, "c", 1, &st[0]);
	struct node *unnamed = node_enter_made(t, root, NULL, 0, &st[1]);
	node_table_check(t);
	assert_ptr_not_equal(named, old[0]);
	assert_ptr_not_equal(unnamed, old[1]);
	assert_int_not_equal(named->generation, old[0]->generation);
	assert_ptr_equal(find(t, root, "c"), named);
	assert_ptr_equal(find(t, root, "a"), old[0]);
	assert_ptr_equal(enter(t, root, "d", 10, S_IFREG), named);
	assert_ptr_equal(enter(t, root, "e", 11, S_IFREG), unnamed);
	/* The name is the new file's when it is met again. */
	assert_ptr_equal(enter(t, root, "a", 10, S_IFREG), named);
	assert_int_equal(node_count(t), 5);
	for (int i = 0; i < 2; i++)
		assert_int_equal(forget(t, old[i], 1), 1);
	assert_int_equal(forget(t, named, 3), 1);
	assert_int_equal(forget(t, unnamed, 2), 1);
	assert_int_equal(end(t), 1);
}

/* Somebody gave a number to something else below, or moved a directory: into what was below it, even. */
static void test_what_contradicts_the_table_is_another_node(void **state)
{
	struct node_table *t = node_table_new(&root_stat);
	struct node *root = node_root(t);
	struct node *a = enter(t, root, "a", 10, S_IFDIR);
	struct node *b = enter(t, a, "b", 11, S_IFDIR);
	struct node *file = enter(t, root, "f", 12, S_IFREG);

	(void)state;
	struct node *loop = enter(t, b, "a", 10, S_IFDIR);
	assert_ptr_not_equal(loop, a);
	assert_ptr_equal(node_name(t, a)->parent, root);
	assert_ptr_equal(node_name(t, b)->parent, a);
	assert_ptr_equal(node_name(t, loop)->parent, b);
	assert_ptr_equal(enter(t, b, "a", 10, S_IFDIR), loop);
	/* One whose name is another's by now has none, and gets none by which it would be its own parent. */
	struct node *thief = enter(t, root, "a", 13, S_IFDIR);
	assert_null(node_name(t, a));
	struct node *deeper = enter(t, loop, "a", 10, S_IFDIR);
	assert_ptr_not_equal(deeper, loop);
	struct node *top = enter(t, a, "top", 1, S_IFDIR);
	assert_ptr_not_equal(top, root);
	assert_null(node_name(t, root));
	struct node *dir = enter(t, root, "f", 12, S_IFDIR);
	assert_ptr_not_equal(dir, file);
	assert_int_equal(dir->type, S_IFDIR);
	assert_ptr_equal(find(t, root, "f"), dir);
	/* Links of a file are no contradiction. */
	assert_ptr_equal(enter(t, b, "link", 14, S_IFREG), enter(t, root, "link", 14, S_IFREG));
	node_forget(t, find(t, root, "link"), 1);

	struct node *all[] = {deeper, top, dir, file, thief, find(t, root, "link"), b, a};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		forget(t, all[i], 1);
	assert_int_equal(forget(t, loop, 2), 3);
	assert_int_equal(end(t), 1);
}

static void test_parents_stay_for_their_children(void **state)
{
	struct node_table *t = node_table_new(&root_stat);
	struct node *d = enter(t, node_root(t), "d", 10, S_IFDIR);
	struct node *e = enter(t, d, "e", 11, S_IFDIR);
	struct node *f = enter(t, e, "f", 12, S_IFREG);

	(void)state;
	assert_int_equal(forget(t, d, 1), 0);
	assert_int_equal(forget(t, e, 1), 0);
	assert_int_equal(node_count(t), 4);
	/* Found again while it was kept only by its child. */
	assert_ptr_equal(enter(t, node_root(t), "d", 10, S_IFDIR), d);
	assert_int_equal(forget(t, d, 1), 0);
	assert_int_equal(forget(t, f, 1), 3);
	assert_int_equal(node_count(t), 1);
	assert_int_equal(end(t), 1);
}

static void test_links_are_names_of_one_node(void **state)
{
	struct node_table *t = node_table_new(&root_stat);
	struct node *root = node_root(t), *d = enter(t, root, "d", 10, S_IFDIR);
	struct node *f = enter(t, root, "one", 11, S_IFREG);

	(void)state;
	assert_true(node_is_last_name(t, f));
	assert_ptr_equal(enter(t, d, "two", 11, S_IFREG), f);
	assert_false(node_is_last_name(t, f));
	assert_int_equal(free_list(t, node_unname(t, root, "one", 3)), 0);
	node_table_check(t);
	assert_true(node_is_last_name(t, f));
	const struct name *left = node_name(t, f);
	assert_ptr_equal(left->parent, d);
	assert_memory_equal(left->text, "two", 3);
	assert_int_equal(free_list(t, node_unname(t, d, "two", 3)), 0);
	node_table_check(t);
	assert_null(node_name(t, f));
	assert_false(node_is_last_name(t, f));
	/* It may get a name again: linkat() through /proc. */
	assert_ptr_equal(enter(t, root, "three", 11, S_IFREG), f);
	assert_int_equal(forget(t, d, 1), 1);
	assert_int_equal(forget(t, f, 3), 1);
	assert_int_equal(end(t), 1);
}

static void test_unnaming_lets_parents_go(void **state)
{
	struct node_table *t = node_table_new(&root_stat);
	struct node *d = enter(t, node_root(t), "d", 10, S_IFDIR);
	struct node *f = enter(t, d, "f", 11, S_IFREG);

	(void)state;
	forget(t, d, 1);
	assert_int_equal(free_list(t, node_unname(t, d, "f", 1)), 1);
	node_table_check(t);
	assert_int_equal(node_count(t), 2);
	assert_int_equal(forget(t, f, 1), 1);
	/* A name that nobody knows. */
	assert_null(node_unname(t, node_root(t), "none", 4));
	assert_int_equal(end(t), 1);
}

static void rename_to(
	struct node_table *t, struct node *from, const char *old, struct node *to, const char *new, size_t gone)
{
	struct name *reserved = node_rename_reserve(t, new, strlen(new));

	assert_non_null(reserved);
	assert_int_equal(free_list(t, node_rename(t, from, old, strlen(old), to, reserved)), gone);
	node_table_check(t);
}

static void test_rename(void **state)
{
	struct node_table *t = node_table_new(&root_stat);
	struct node *root = node_root(t), *d = enter(t, root, "d", 10, S_IFDIR), *e = enter(t, root, "e", 11, S_IFDIR);
	struct node *f = enter(t, d, "f", 12, S_IFREG), *g = enter(t, e, "g", 13, S_IFREG);

	(void)state;
	rename_to(t, d, "f", e, "f2", 0);
	assert_ptr_equal(find(t, e, "f2"), f);
	assert_null(find(t, d, "f"));
	/* Over a file that the kernel still holds: unnamed, not gone. */
	rename_to(t, e, "f2", e, "g", 0);
	assert_ptr_equal(find(t, e, "g"), f);
	assert_null(node_name(t, g));
	assert_int_equal(forget(t, g, 1), 1);
	/* A directory with children moves below another. */
	rename_to(t, root, "e", d, "e", 0);
	assert_ptr_equal(find(t, e, "g"), f);
	assert_ptr_equal(node_name(t, e)->parent, d);
	/* The parent left behind was kept by the moved child alone. */
	forget(t, d, 1);
	rename_to(t, d, "e", root, "e", 1);
	assert_int_equal(end(t), 3);
}

static void test_rename_between_two_links_changes_nothing(void **state)
{
	struct node_table *t = node_table_new(&root_stat);
	struct node *f = enter(t, node_root(t), "a", 10, S_IFREG);

	(void)state;
	assert_ptr_equal(enter(t, node_root(t), "b", 10, S_IFREG), f);
	rename_to(t, node_root(t), "a", node_root(t), "b", 0);
	assert_ptr_equal(find(t, node_root(t), "a"), f);
	assert_ptr_equal(find(t, node_root(t), "b"), f);
	/* And of a name that is not known: nothing to do. */
	rename_to(t, node_root(t), "unknown", node_root(t), "c", 0);
	assert_null(find(t, node_root(t), "c"));
	assert_int_equal(end(t), 2);
}

static void test_exchange(void **state)
{
	struct node_table *t = node_table_new(&root_stat);
	struct node *root = node_root(t), *d = enter(t, root, "d", 10, S_IFDIR);
	struct node *f = enter(t, d, "f", 11, S_IFREG), *e = enter(t, root, "e", 12, S_IFDIR);

	(void)state;
	node_exchange(t, d, "f", 1, root, "e", 1);
	node_table_check(t);
	assert_ptr_equal(find(t, d, "f"), e);
	assert_ptr_equal(find(t, root, "e"), f);
	node_exchange(t, d, "f", 1, d, "f", 1);
	assert_ptr_equal(find(t, d, "f"), e);
	assert_int_equal(end(t), 4);
}

static void test_size_of_a_node(void **state)
{
	(void)state;
	assert_true(sizeof(struct node) + sizeof(struct name) < 256);
}

/* ---- A kernel at random: it looks up, forgets, unlinks, links and renames; a model says what must be known. ---- */

enum { INODES = 60, NAMES = 12, DIRS = 6, STEPS = 30000 };

struct model {
	struct node_table *t;
	struct node *dirs[DIRS]; /* the kernel holds them all; [0] is the root */
	ino_t tree[DIRS][NAMES]; /* the lower tree's files: inode by place, 0: none */
	struct node *known[INODES];
	uint64_t lookups[INODES];
	uint64_t random;
};

static void name_of(size_t i, char out[8])
{
	snprintf(out, 8, "n%zu", i);
}

static void model_lookup(struct model *m, size_t d, size_t i)
{
	char name[8];
	ino_t ino = m->tree[d][i];

	name_of(i, name);
	if (!ino)
		return;
	struct stat st = inode(100 + ino, S_IFREG);
	struct node *n = node_enter(m->t, m->dirs[d], name, strlen(name), &st);
	assert_non_null(n);
	if (m->known[ino])
		assert_ptr_equal(n, m->known[ino]);
	m->known[ino] = n;
	m->lookups[ino]++;
}

static void model_forget(struct model *m, ino_t ino)
{
	if (!m->lookups[ino])
		return;
	uint64_t count = 1 + vault_fixture_below(&m->random, m->lookups[ino]);
	m->lookups[ino] -= count;
	size_t gone = free_list(m->t, node_forget(m->t, m->known[ino], count));
	assert_int_equal(gone, m->lookups[ino] == 0);
	if (!m->lookups[ino])
		m->known[ino] = NULL;
}

static void model_rename(struct model *m, size_t d, size_t i, size_t to_d, size_t to_i)
{
	char from[8], to[8];

	/* The kernel knows both names before it renames. */
	model_lookup(m, d, i);
	model_lookup(m, to_d, to_i);
	if (!m->tree[d][i])
		return;
	name_of(i, from);
	name_of(to_i, to);
	struct name *reserved = node_rename_reserve(m->t, to, strlen(to));
	assert_int_equal(
		free_list(m->t, node_rename(m->t, m->dirs[d], from, strlen(from), m->dirs[to_d], reserved)), 0);
	if (m->tree[to_d][to_i] == m->tree[d][i])
		return;
	m->tree[to_d][to_i] = m->tree[d][i];
	m->tree[d][i] = 0;
}

static void model_step(struct model *m)
{
	size_t d = vault_fixture_below(&m->random, DIRS), i = vault_fixture_below(&m->random, NAMES);
	size_t to_d = vault_fixture_below(&m->random, DIRS), to_i = vault_fixture_below(&m->random, NAMES);
	ino_t ino = 1 + vault_fixture_below(&m->random, INODES - 1);
	char name[8];

	name_of(i, name);
	switch (vault_fixture_below(&m->random, 8)) {
	case 0: /* made, or linked: a new inode number only when the kernel has let the old one go */
		if (!m->tree[d][i])
			m->tree[d][i] = ino;
		break;
	case 1:
		model_lookup(m, d, i);
		if (m->tree[d][i])
			free_list(m->t, node_unname(m->t, m->dirs[d], name, strlen(name)));
		m->tree[d][i] = 0;
		break;
	case 2:
		model_rename(m, d, i, to_d, to_i);
		break;
	case 3:
	case 4:
		model_forget(m, ino);
		break;
	default:
		model_lookup(m, d, i);
	}
}

static void model_verify(struct model *m)
{
	size_t known = DIRS;
	char name[8];

	node_table_check(m->t);
	for (size_t i = 1; i < INODES; i++) {
		known += m->known[i] != NULL;
		if (m->known[i])
			assert_int_equal(m->known[i]->lookups, m->lookups[i]);
	}
	assert_int_equal(node_count(m->t), known);
	for (size_t d = 0; d < DIRS; d++) {
		for (size_t i = 0; i < NAMES; i++) {
			name_of(i, name);
			struct node *n = node_find(m->t, m->dirs[d], name, strlen(name));
			/* Not every name is known, but what is known is true. */
			assert_true(!n || n == m->known[m->tree[d][i]]);
		}
	}
}

static void test_against_a_model(void **state)
{
	struct model m = {.t = node_table_new(&root_stat)};
	char name[8];

	(void)state;
	m.random = vault_fixture_seed("test_fuse_node");
	m.dirs[0] = node_root(m.t);
	for (size_t d = 1; d < DIRS; d++) {
		snprintf(name, sizeof name, "d%zu", d);
		m.dirs[d] = enter(m.t, m.dirs[d / 2], name, 10 + d, S_IFDIR);
	}
	for (unsigned step = 0; step < STEPS; step++) {
		model_step(&m);
		if (step % 64 == 0)
			model_verify(&m);
	}
	model_verify(&m);
	for (ino_t ino = 1; ino < INODES; ino++)
		while (m.lookups[ino])
			model_forget(&m, ino);
	assert_int_equal(node_count(m.t), DIRS);
	for (size_t d = 1; d < DIRS; d++)
		free_list(m.t, node_forget(m.t, m.dirs[d], 1));
	assert_int_equal(node_count(m.t), 1);
	end(m.t);
}

static void test_many(void **state)
{
	enum { MANY = 200000 };
	struct node_table *t = node_table_new(&root_stat);
	struct node **nodes = calloc(MANY, sizeof *nodes);
	char name[16];

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		struct stat st = inode(100 + i, S_IFREG);
		int len = snprintf(name, sizeof name, "%zu", i);
		nodes[i] = node_enter(t, node_root(t), name, (size_t)len, &st);
	}
	assert_int_equal(node_count(t), MANY + 1);
	node_table_check(t);
	for (size_t i = 0; i < MANY; i++) {
		int len = snprintf(name, sizeof name, "%zu", i);
		assert_ptr_equal(node_find(t, node_root(t), name, (size_t)len), nodes[i]);
		assert_int_equal(free_list(t, node_forget(t, nodes[i], 1)), 1);
	}
	assert_int_equal(node_count(t), 1);
	free(nodes);
	end(t);
}

/* One file with more names than are asked for at a time: none is left out, or the kernel would keep the file by it. */
static void test_names_of_failed_nodes(void **state)
{
	enum { LINKS = 100, MAX = 64 };
	static struct node_place places[MAX];
	struct node_table *t = node_table_new(&root_stat);
	char seen[LINKS] = {0}, name[16];
	size_t from = 0, count, total = 0;
	struct node *n = NULL;
	int some;

	(void)state;
	assert_int_equal(node_failed_places(t, &from, places, MAX, &some), 0);
	assert_false(some);
	from = 0;
	for (int i = 0; i < LINKS; i++) {
		snprintf(name, sizeof name, "%d", i);
		n = enter(t, node_root(t), name, 10, S_IFREG);
	}
	n->failed = 5;
	do {
		count = node_failed_places(t, &from, places, MAX, &some);
		assert_true(some);
		for (size_t i = 0; i < count; i++)
			total += !seen[atoi(places[i].text)]++;
	} while (count == MAX);
	assert_int_equal(total, LINKS);
	assert_int_equal(forget(t, n, LINKS), 1);
	end(t);
}

/* What was asked before a change says nothing after it, whatever else was asked and noted meanwhile. */
static void test_absence_is_not_noted_past_a_change(void **state)
{
	node_absence a = 0;

	(void)state;
	uint16_t before = node_absence_ask(&a);
	node_absence_note(&a, before);
	assert_true(node_absence_known(&a));
	node_absence_end(&a);
	assert_false(node_absence_known(&a));
	node_absence_note(&a, before);
	assert_false(node_absence_known(&a));
	uint16_t after = node_absence_ask(&a);
	node_absence_note(&a, before + 1);
	assert_false(node_absence_known(&a));
	node_absence_note(&a, after);
	assert_true(node_absence_known(&a));
	for (unsigned i = 0; i < 32767; i++) {
		node_absence_end(&a);
		node_absence_note(&a, after);
		assert_false(node_absence_known(&a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_node_per_inode),
		cmocka_unit_test(test_a_number_taken_again_is_another_node),
		cmocka_unit_test(test_what_contradicts_the_table_is_another_node),
		cmocka_unit_test(test_parents_stay_for_their_children),
		cmocka_unit_test(test_links_are_names_of_one_node),
		cmocka_unit_test(test_unnaming_lets_parents_go),
		cmocka_unit_test(test_rename),
		cmocka_unit_test(test_rename_between_two_links_changes_nothing),
		cmocka_unit_test(test_exchange),
		cmocka_unit_test(test_size_of_a_node),
		cmocka_unit_test(test_against_a_model),
		cmocka_unit_test(test_names_of_failed_nodes),
		cmocka_unit_test(test_absence_is_not_noted_past_a_change),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("test_fuse_node", tests, NULL, NULL);
}
