// SPDX-License-Identifier: Apache-2.0
/* Small ELF files for tests of exec; layouts from the host's <elf.h>. */
#pragma once

#include <elf.h>
#include <stdint.h>
#include <string.h>

#define EM_FILE_MAX (5 * 4096)

struct em {
    union {
        unsigned char bytes[EM_FILE_MAX];
        Elf64_Ehdr header;
    };
    uint64_t size;
};

static inline Elf64_Phdr *em_phdr(struct em *m, unsigned i)
{
    return (void *)(m->bytes + sizeof(Elf64_Ehdr) + i * sizeof(Elf64_Phdr));
}

static inline Elf64_Phdr *em_add(struct em *m, uint32_t type, uint32_t flags)
{
    Elf64_Phdr *p = em_phdr(m, m->header.e_phnum++);
    p->p_type = type;
    p->p_flags = flags;
    p->p_align = 4096;
    return p;
}

static inline void em_load(struct em *m, uint32_t flags, uint64_t off,
                           uint64_t va, uint64_t filesz, uint64_t memsz)
{
    Elf64_Phdr *p = em_add(m, PT_LOAD, flags);
    p->p_offset = off;
    p->p_vaddr = p->p_paddr = va;
    p->p_filesz = filesz;
    p->p_memsz = memsz;
}

/* Text at page 0, data at page 2 of the file: byte n of page i is i + 1. Data
 * ends 100 bytes into page 3, bss two pages later. */
static inline void em_make(struct em *m, uint16_t type, uint64_t base)
{
    memset(m, 0, sizeof(*m));
    for (unsigned i = 0; i < 4; i++)
        memset(m->bytes + i * 4096, (int)i + 1, 4096);
    memset(m->bytes, 0, 1024);
    memcpy(m->header.e_ident, "\177ELF\2\1\1", 7);
    m->header.e_type = type;
    m->header.e_machine = EM_X86_64;
    m->header.e_version = 1;
    m->header.e_entry = base + 0x800;
    m->header.e_phoff = sizeof(Elf64_Ehdr);
    m->header.e_ehsize = sizeof(Elf64_Ehdr);
    m->header.e_phentsize = sizeof(Elf64_Phdr);
    em_load(m, PF_R | PF_X, 0, base, 0x1200, 0x1200);
    em_load(m, PF_R | PF_W, 0x2000, base + 0x3000, 0x1064, 0x3064);
    m->size = 4 * 4096;
}

static inline void em_interp(struct em *m, const char *name)
{
    Elf64_Phdr *p = em_add(m, PT_INTERP, PF_R);
    p->p_offset = 0x400;
    p->p_filesz = p->p_memsz = strlen(name) + 1;
    memcpy(m->bytes + 0x400, name, strlen(name) + 1);
}
