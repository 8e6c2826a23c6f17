// SPDX-License-Identifier: Apache-2.0
/* The process that decides what of a registry's image is needed (fetch.h). */
#pragma once

struct image_request;
struct store;

/* Runs in a forked child, with the other end of `sock` in the parent; `pipes`
 * are the workers' data. Confines itself first. Never returns. */
_Noreturn void converter_main(struct store *s, const struct image_request *q,
                              int sock, const int *pipes, unsigned count);
