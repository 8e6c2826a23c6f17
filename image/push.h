// SPDX-License-Identifier: Apache-2.0
/*
 * An image of the store -> a registry, as it is. Four kinds of processes
 * (docs/image.md): a planner reads the documents; a fetcher gets what the store
 * lacks from where the image came from; this one sends.
 */
#pragma once

struct err;
struct pull_options;

struct push_request {
    const char *root; /* of the store */
    const char *hex;  /* of a manifest, or of an index: all its platforms */
    const char *to;   /* a registry's name with a tag */
    const char *from; /* the registry's name it came from, or NULL */
    const struct pull_options *options; /* TLS, rate, quiet, back-off */
};

/* Prints what docker does. Not for a process with threads; confines it. */
int push_image(const struct push_request *q, struct err *e);
