/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_SERVICE_H
#define SIGNETFS_WIRE_SERVICE_H

/*
 * What a service manager and a service tell each other, in systemd's protocol: sd_notify(3) and sd_listen_fds(3). Without a
 * manager these do nothing. From the main thread, before others exist.
 */

#include "kms/base/err.h"

/** Send "READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=…", to $NOTIFY_SOCKET. That nobody listens is no error. */
void service_notify(const char *state);

/** How many listening sockets were handed over, from descriptor SERVICE_FIRST_FD on; the environment forgets them. ERR_USAGE: it makes no sense. */
enum { SERVICE_FIRST_FD = 3, SERVICE_FDS_MAX = 16 };
enum err service_listen_fds(int *ret_count);

#endif
