// SPDX-License-Identifier: Apache-2.0
/* One layer blob as a stream of uncompressed, digest-checked bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/sha256.h"

struct err;
struct stream;

struct stream_spec {
    const char *name;    /* for messages; borrowed while the stream lives */
    int fd;              /* borrowed; read with pread(2) only, or a pipe */
    uint64_t offset;     /* of the blob in fd */
    bool chunked;        /* fd is a pipe of chunks (image/fetch.h) */
    uint64_t size;       /* of the blob, bytes */
    const char *digest;  /* hex of the blob as stored, or NULL: not known */
    int keep;            /* fd that gets the blob as it is; 0: none */
    const char *diff_id; /* hex of the uncompressed bytes */
};

/* Opens and recognises gzip, zstd or neither. The caller stream_frees *out. */
int stream_new(const struct stream_spec *spec, struct stream **out,
               struct err *e);

/*
 * The next uncompressed bytes, borrowed until the next call. Returns their
 * number, 0 at the end. They are NOT verified before stream_finish().
 */
ssize_t stream_next(struct stream *s, const void **data, struct err *e);

/* Read to the end and compare both digests. -EBADMSG when one differs. */
int stream_finish(struct stream *s, struct err *e);

/*
 * After -EBADMSG from whoever used the bytes: when the blob's own digest turns
 * out wrong, that is the reason to report. Replaces *e then; returns the code
 * to report.
 */
int stream_blame(struct stream *s, int code, struct err *e);

void stream_free(struct stream *s);
