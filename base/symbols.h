// SPDX-License-Identifier: Apache-2.0
/* Kernel addresses -> names, from the unstripped ELF beside the kernel. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct symbols {
    int fd; /* borrowed; -1: no symbols */
    uint64_t table_off;
    uint64_t table_count;
    uint64_t names_off;
    uint64_t names_size;
    unsigned lookups; /* left: a guest must not keep us busy for ever */
};

/* Find the symbol table; a file without one is the same as none. */
void symbols_init(struct symbols *s, int fd);

/* "name+0x1f" of the function that holds `address`, or "". */
void symbols_find(struct symbols *s, uint64_t address, char *out, size_t room);
