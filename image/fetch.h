// SPDX-License-Identifier: Apache-2.0
/*
 * How pulling is divided (docs/image.md): a fetcher, which has the network and
 * never looks into what it fetches; a converter, which decides what is needed
 * and has neither network nor other files than the store; and workers, each of
 * which converts one layer at a time from a pipe. These are the messages
 * between fetcher and converter, over a stream socket pair, in host order:
 * both ends are the same program.
 *
 * Layers go to the workers' pipes in chunks: a uint32_t length, then that many
 * bytes. Length 0 ends a layer that cannot be completed.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/sha256.h"

enum fetch_op {
    FETCH_MANIFEST, /* name: a tag or sha256:HEX; answered with its bytes */
    FETCH_DOCUMENT, /* name: sha256:HEX of a blob; answered with its bytes */
    FETCH_LAYER,   /* like it, into worker `slot`'s pipe; answered at its end */
    FETCH_STOP,    /* no more of the layer in `slot`; its answer comes anyway */
    FETCH_PRESENT, /* a layer that need not be fetched: for people to see */
    FETCH_WAITING, /* a layer that another process is converting */
    FETCH_DONE,    /* name: HEX of the image; no answer, nothing follows */
    FETCH_FAILED,  /* `failed` says why; no answer, nothing follows */
};

enum {
    FETCH_NAME_SIZE = 144,
    FETCH_WORKERS_MAX = 4,
    FETCH_NO_SLOT = INT32_MAX,
};

struct fetch_ask {
    enum fetch_op op;
    uint32_t slot;
    uint64_t size; /* bytes; of a document: the most it may have */
    uint64_t from; /* of a layer: bytes that are not wanted */
    char name[FETCH_NAME_SIZE];
    char root[SHA256_HEX_SIZE]; /* FETCH_DONE: of what the name led to */
    struct err failed;
};

struct fetch_answer {
    uint32_t slot;     /* FETCH_NO_SLOT: a document */
    uint32_t size;     /* bytes that follow */
    struct err failed; /* code 0: it did not */
};
