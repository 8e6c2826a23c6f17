// SPDX-License-Identifier: Apache-2.0
/* execve(2): ELF64 and #! programs. ELF: System V gABI chapter 4 and 5. */
#pragma once

#include "guest/core/types.h"

struct path;
struct file;

/* Argument strings gathered in kernel memory (ARG_MAX bounded). */
struct exec_args {
    char *block; /* strings one after another, owned */
    uint64_t size, room;
    uint32_t argc, envc;
    bool name_ends; /* the name is of a descriptor that exec closes */
};

void exec_args_fini(struct exec_args *a);
/* Append from kernel memory; argv first, then envv. 0, -E2BIG, -ENOMEM. */
int exec_args_add(struct exec_args *a, const char *s, bool env);
/* From user arrays of pointers. */
int exec_args_user(struct exec_args *a, uptr_t argv, uptr_t envv);

/* Replace the current process's program by `file` (opened for execution; its
 * reference stays the caller's). `name` is argv[0]'s path for #! and
 * AT_EXECFN. Takes over `args`. On success the next return to user enters the
 * program; on failure -errno and nothing changed (or the process is killed
 * with SIGKILL when it is too late). */
int exec_program(struct file *file, const char *name, struct exec_args *args);

/* Open `name` to execute it: a regular file with execute permission. `flags`
 * are PATH_*. 0, -EACCES, -ENOENT ... */
int exec_open(int dirfd, const char *name, unsigned flags, struct file **out);
