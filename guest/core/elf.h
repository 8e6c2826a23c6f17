// SPDX-License-Identifier: Apache-2.0
/* Loading of ELF64 programs. System V gABI 4.1 (2013), chapters 4 and 5. */
#pragma once

#include "guest/core/types.h"

struct aspace;
struct file;

#define ELF_INTERP_MAX 256

struct elf_image {
    uint64_t entry;
    uint64_t phdr; /* where programs find their headers; 0: nowhere */
    uint64_t phnum;
    uint64_t start;  /* lowest mapped address: AT_BASE of an interpreter */
    uint64_t end;    /* first byte after the highest segment */
    bool exec_stack; /* PT_GNU_STACK asks for it */
    char interp[ELF_INTERP_MAX]; /* PT_INTERP, "" if none */
};

/* Map `file` into `as` (not yet in use). `interp`: it is the interpreter of
 * another program. The file is not trusted. 0, -ENOEXEC, -ENOMEM, -EIO. */
int elf_load(struct aspace *as, struct file *file, bool interp,
             struct elf_image *out);
