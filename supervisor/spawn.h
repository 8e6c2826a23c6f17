// SPDX-License-Identifier: Apache-2.0
/* Start a monitor: own namespaces, own session, only the fds it is given. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct err;

enum { SPAWN_FDS_MAX = 192 };

struct spawn {
    const char *path; /* program */
    char *const *argv;
    const int *fds; /* stay open under their numbers; -1 is skipped */
    size_t fd_count;
    int spare_fd; /* stands in for stdout and stderr where `fds` has none */
};

/*
 * The child is pid 1 of a new pid namespace and, where the host allows it,
 * uid 0 of a new user namespace that maps only the caller's uid and gid.
 * What was refused is said in *missing ("" if nothing; static text).
 * Returns its pid once the program runs, or a negative errno.
 */
pid_t spawn_program(const struct spawn *s, const char **missing, struct err *e);

/* The same for a function of this program that never returns. */
pid_t spawn_function(struct spawn *s, void (*run)(struct spawn *),
                     const char **missing, struct err *e);
