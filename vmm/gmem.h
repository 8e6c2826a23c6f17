// SPDX-License-Identifier: Apache-2.0
/* Guest memory: the only place where a guest address becomes a host pointer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* Guest-physical address. A struct, so that it can be neither dereferenced nor
 * mixed with a host address or a length by accident. */
typedef struct {
    uint64_t v;
} gpa_t;

static inline gpa_t gpa(uint64_t v)
{
    return (gpa_t){v};
}

enum { GMEM_RANGES = 2 };

/* One contiguous range of guest-physical addresses backed by the host. */
struct gmem_range {
    uint64_t base; /* guest-physical */
    uint64_t size; /* bytes, a multiple of 2 MiB; 0: unused */
    uint8_t *host; /* congruent to base modulo 2 MiB */
};

/*
 * The RAM of one VM: private anonymous memory, fixed from gmem_init() to
 * gmem_fini(), so pointers into it stay valid. Read-only after gmem_init():
 * any thread may use it.
 */
struct gmem {
    struct gmem_range range[GMEM_RANGES];
    uint64_t size; /* of all ranges */
    /* RAM below has 4 KiB host pages but for the kernel's 2 MiB, the rest huge
     * ones. */
    uint64_t small_end;
    uint8_t *map; /* owned */
    size_t map_size;
};

/* Reserve `size` bytes of RAM (multiple of 2 MiB, >= 16 MiB) laid out as
 * the machine's board says. Nothing is committed until touched. */
int gmem_init(struct gmem *m, uint64_t size, struct err *e);
void gmem_fini(struct gmem *m);

/* First guest-physical address above all RAM. */
uint64_t gmem_end(const struct gmem *m);

/*
 * Host pointer to [at, at + len), or NULL if any byte of it is outside RAM or
 * it spans two ranges. `at` and `len` come from the guest and are not trusted.
 * The guest may change what it points to at any moment: copy, then check.
 */
void *gmem_at(const struct gmem *m, gpa_t at, uint64_t len);

/* Copy out of / into guest memory; false if the range is not all RAM. */
bool gmem_read(const struct gmem *m, gpa_t at, void *out, size_t len);
bool gmem_write(const struct gmem *m, gpa_t at, const void *in, size_t len);
