// SPDX-License-Identifier: Apache-2.0
/* Names of containers: ROOT/names/NAME -> ../vms/ID is the claim. */
#pragma once

#include <stddef.h>

struct err;
struct state;

/* adjective_noun; after some tries with a digit too. */
void names_random(int attempt, char *out, size_t size);

/* docker's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]+ */
int names_check(const char *name, struct err *e);

/* -EEXIST with docker's message when in use. A claim whose container is gone
 * (a crash) does not count, nor one of an ended --rm container. */
int names_claim(const struct state *s, const char *name, const char *id,
                struct err *e);
/* Drops the claim if it is `id`'s. */
void names_release(const struct state *s, const char *name, const char *id);
/* The claim's ID (65 bytes with NUL), or -ENOENT. */
int names_lookup(const struct state *s, const char *name, char *id,
                 size_t id_size);
