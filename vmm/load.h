// SPDX-License-Identifier: Apache-2.0
/* The guest kernel: ELF64 file -> guest memory. */
#pragma once

#include <stdint.h>

struct err;
struct gmem;

struct load_result {
    uint64_t entry; /* e_entry */
    uint64_t end;   /* first guest-physical address after the kernel */
};

/*
 * Read the PT_LOAD segments of `fd` to their physical addresses. The file is
 * checked: our class and machine, linked at BOOT_KERNEL_BASE + p_paddr, inside
 * RAM and not below BOOT_KERNEL_GPA, entry inside a loaded segment, a note
 * "Limpet" with BOOT_VERSION. -ENOEXEC with the reason otherwise.
 */
int load_kernel(int fd, const struct gmem *m, struct load_result *out,
                struct err *e);
