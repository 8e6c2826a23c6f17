// SPDX-License-Identifier: Apache-2.0
/*
 * The image window: the files of the root image mapped one after another,
 * read-only, as one guest-physical range.
 */
#pragma once

#include <limits.h>
#include <stdint.h>

#include "vmm/arch/arch.h"
#include "vmm/config.h"

struct err;
struct gmem;

struct window_file {
    int fd; /* borrowed */
    uint64_t size;
    char name[128]; /* for messages, the end of its path */
};

struct window {
    struct arch_window at; /* size 0: no image */
    uint8_t *host;         /* congruent to at.gpa modulo 2 MiB; owned */
    uint8_t *map;
    uint64_t map_size;
    unsigned count;
    struct window_file *file; /* owned */
};

/* Remember the names of the files; before the jail, which has no /proc. */
int window_open(struct window *w, const struct vm_config *c, struct err *e);

/* Map them above the RAM of `m` and below guest-physical `end`, which RAM must
 * not pass either. Each must be a multiple of 2 MiB. */
int window_map(struct window *w, const struct gmem *m, uint64_t end,
               struct err *e);
void window_fini(struct window *w);

/* After a memory fault: the name of a file that shrank, or NULL. */
const char *window_damaged(const struct window *w);
