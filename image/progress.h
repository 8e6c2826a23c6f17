// SPDX-License-Identifier: Apache-2.0
/* What people see of a pull: a bar per layer on a terminal, else a line when a
 * layer is done. On stderr; nothing when quiet. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROGRESS_LAYERS_MAX = 512, PROGRESS_ID_SIZE = 13 };

struct progress_layer {
    char id[PROGRESS_ID_SIZE]; /* first 12 digits of its digest */
    const char *state;         /* "Downloading", "Pull complete", ... */
    uint64_t done, size;       /* bytes */
};

struct progress {
    bool quiet;
    bool terminal;
    unsigned drawn;   /* lines on the terminal that are ours */
    int64_t drawn_at; /* ms */
    size_t count;
    struct progress_layer layers[PROGRESS_LAYERS_MAX];
};

void progress_init(struct progress *p, bool quiet);
/* The layer of this digest, a new one if needed; NULL when there are too many.
 * `name` is "sha256:HEX". */
struct progress_layer *progress_layer(struct progress *p, const char *name,
                                      uint64_t size);
/* Its state changed; `final` prints a line where there is no terminal. */
void progress_set(struct progress *p, struct progress_layer *l,
                  const char *state, bool final);
/* Draw again if it is time to. */
void progress_draw(struct progress *p, int64_t now_ms, bool force);
