// SPDX-License-Identifier: Apache-2.0
/*
 * The guest kernel's messages in the VM's log: hostile text, cleaned,
 * bounded in total, with symbols after addresses written as [<hex>].
 */
#pragma once

#include <stddef.h>

#include "base/symbols.h"

struct klog {
    int fd; /* borrowed; -1: nowhere */
    struct symbols symbols;
    size_t left; /* bytes the guest may still log */
    size_t size;
    char line[512];
    char panic[200]; /* the last line with "kernel panic" or "Kernel panic" in
                        it, or "" */
};

void klog_init(struct klog *k, int fd, int symbols_fd);

/* Add text; whole lines are written. */
void klog_write(struct klog *k, const char *text, size_t size);

/* Write a last line without newline. */
void klog_flush(struct klog *k);
