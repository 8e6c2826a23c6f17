// SPDX-License-Identifier: Apache-2.0
/* Giving up rights before anything of an image is parsed. */
#pragma once

struct err;

enum { SANDBOX_DIRS_MAX = 2 };

struct sandbox_spec {
    int store; /* may write beneath it */
    int out;   /* the same, or -1: the directory an export goes to */
};

/*
 * Irreversible, for the whole process, which must be single-threaded. Always:
 * no new privileges, resource limits, no capability but reading files, a list
 * of system calls without sockets, processes or exec. Where the kernel has
 * Landlock: writing beneath spec's directories only. Open descriptors stay.
 */
int sandbox_enter(const struct sandbox_spec *spec, struct err *e);
