// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a layer: conversion, merge and EROFS never misbehave. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "image/data.h"
#include "image/erofs.h"
#include "image/index.h"
#include "image/layer.h"
#include "image/merge.h"
#include "image/spill.h"
#include "image/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_merge(int index_fd)
{
    char name[32];
    struct err e;
    struct index x;
    struct spill spill = {0};
    struct tree t;
    uint64_t out_size;
    AUTO_CLOSE int meta = memfd_create("meta", MFD_CLOEXEC);
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", index_fd);
    if (index_open(&x, -1, name, &e) < 0)
        return;
    struct erofs_layer place = {.used = x.head.data_size / DATA_BLOCK_SIZE};
    struct erofs_spec spec = {.layers = &place, .layer_count = 1};
    /* Twice: as the first layer and on top of itself. */
    if (tree_init(&t, &spill, 0, &e) == 0 && merge_layer(&t, &x, 0, &e) == 0 &&
        merge_layer(&t, &x, 0, &e) == 0)
        (void)erofs_write(&t, &spec, meta, &out_size, &e);
    spill_fini(&spill);
    index_fini(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_CLOSE int in = memfd_create("in", MFD_CLOEXEC);
    AUTO_CLOSE int out = memfd_create("out", MFD_CLOEXEC);
    AUTO_CLOSE int index = memfd_create("index", MFD_CLOEXEC);
    struct err e;
    if (in < 0 || out < 0 || index < 0 ||
        write(in, data, size) != (ssize_t)size)
        return 0;
    /* Right for what is not compressed, so that the merge is reached. */
    char diff_id[SHA256_HEX_SIZE];
    sha256_text(data, size, diff_id);
    struct stream_spec spec = {
        .name = "fuzz", .fd = in, .size = size, .diff_id = diff_id};
    (void)layer_convert(&spec, out, index, &e);
    fuzz_merge(index);
    return 0;
}
