/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_VAULT_PIN_H
#define SIGNETFS_VAULT_PIN_H

/* Whose is a pin? A vault_object names it by descriptor alone, and descriptors belong to the process: so does this registry. */

struct vault;

/** The vault of a pinned descriptor; NULL when it is none. Threads: safe. */
struct vault *pin_vault(int pin);

#endif
