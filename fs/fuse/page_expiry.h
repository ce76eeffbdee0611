/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_PAGE_EXPIRY_H
#define SIGNETFS_FUSE_PAGE_EXPIRY_H

/*
 * The end of a key's cache time, as seen by programs. Plaintext that the kernel holds in its page cache would be served for as long
 * as there is memory, whatever the KMS says by then. So every node notes until when what the kernel was given of it may be
 * used, and a thread of the mount takes the pages back: the next access comes to the mount again, and to the KMS.
 *
 * Shortly before, what programs wrote is pushed down, while the key still works: a page that is dirty when its key is refused is lost
 * (its writer learns it from fsync or close).
 *
 * The thread also wipes expired bucket keys, and closes idle files whose keys expired, so that an unused mount holds no
 * plaintext key past its time. What is in flight to the kernel at that moment is covered by PAGE_EXPIRY_GRACE.
 */

#include <sys/types.h>
#include "fs/fuse/handles.h"
#include "fs/fuse/node.h"
#include "fs/vault/vault.h"
#include "kms/base/err.h"

/* Seconds by which pages may outlive their key. */
enum { PAGE_EXPIRY_GRACE = 1 };

struct fuse_session;
struct page_expiry;

struct page_expiry_config {
	struct vault *vault; /* borrowed, as all here */
	struct node_table *nodes;
	struct handle_cache *handles;
	struct fuse_session *session;
	const char *mount_point;
};

enum err page_expiry_new(const struct page_expiry_config *config, struct page_expiry **ret);
/** The mount answers, and is @device: from now on dirty pages can be pushed down. NULL is fine. */
void page_expiry_mounted(struct page_expiry *x, dev_t device);
/** End the thread, while the workers still serve: it may be waiting for them. NULL is fine. */
void page_expiry_stop(struct page_expiry *x);
/** Once stopped and no worker is left. NULL is fine. */
void page_expiry_free(struct page_expiry *x);

/**
 * The kernel holds data of @n, read or written through @file, or may from now on because @file was just made or cut: what is
 * dirty is pushed down in time only for nodes that are known here. Before the reply. NULL @x: nothing ever expires.
 */
void page_expiry_note(struct page_expiry *x, struct node *n, struct vault_file *file);
/** Data of @n could not be written for want of a key. The kernel would go on showing it as if it were stored: take it back. */
void page_expiry_note_refused(struct page_expiry *x, struct node *n);

#endif
