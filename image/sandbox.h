// SPDX-License-Identifier: Apache-2.0
/* Giving up rights before anything of an image is parsed. */
#pragma once

#include <stdbool.h>

struct err;

enum { SANDBOX_DIRS_MAX = 2 };

struct sandbox_spec {
    int store; /* may write beneath it, unless read_only */
    int out;   /* the same, or -1: the directory an export goes to */
    bool read_only;
};

/*
 * Irreversible, for the whole process, which must be single-threaded. Always:
 * no new privileges, resource limits, no capability but reading files, a list
 * of system calls without sockets, processes or exec. Where the kernel has
 * Landlock: writing beneath spec's directories only. Open descriptors stay.
 */
int sandbox_enter(const struct sandbox_spec *spec, struct err *e);

/* The same for a process that keeps the network: no new privileges, no core
 * dumps, no capability but reading files of `store`'s user, and, where the
 * kernel has Landlock, no writing of files. */
int sandbox_enter_network(int store, struct err *e);
