// SPDX-License-Identifier: Apache-2.0
/*
 * Writer of a layer's data file: the contents of its regular files, each on
 * 4 KiB blocks of its own, equal files once (docs/image.md). One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum {
    DATA_BLOCK_SIZE = 4096,
    DATA_ALIGN_SIZE = 2 << 20, /* of store files, and of our writes */
    DATA_BUFFER_SIZE = 2 * DATA_ALIGN_SIZE,
};

struct data_known; /* where a content already is */

struct data {
    int fd;           /* borrowed, read and write */
    uint8_t *buffer;  /* DATA_BUFFER_SIZE bytes */
    uint64_t base;    /* file offset of buffer[0], a multiple of its size */
    size_t used;      /* bytes in it */
    uint64_t file_at; /* offset of the file being written */
    uint64_t hashed_at;
    uint64_t hash[4];
    bool file_sparse; /* holes are not compared, so not shared */
    struct data_known *known;
    size_t known_count;
    size_t known_room; /* power of two */
};

/* `fd` is an empty file. data_fini() frees, and takes a zeroed struct too. */
int data_init(struct data *d, int fd, struct err *e);
void data_fini(struct data *d);

/* One file: begin, any sequence of add and skip (a hole), end. */
void data_begin(struct data *d);
int data_add(struct data *d, const void *bytes, size_t size, struct err *e);
int data_skip(struct data *d, uint64_t size, struct err *e);
/* *block is the first block of the contents; 0 for an empty file. */
int data_end(struct data *d, uint64_t *block, struct err *e);

/* Write what is left and extend to DATA_ALIGN_SIZE. *size: the bytes used. */
int data_finish(struct data *d, uint64_t *size, struct err *e);
