// SPDX-License-Identifier: Apache-2.0
/* The guest kernel: ELF64 file -> guest memory. */
#include "vmm/load.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

#include "abi/boot.h"

#include "base/err.h"
#include "vmm/arch/arch.h"
#include "vmm/gmem.h"

#define PHDR_MAX 16

/* Exactly `size` bytes at `off`; a short file is -ENOEXEC. */
static int read_at(int fd, void *out, uint64_t size, uint64_t off,
                   struct err *e)
{
    uint64_t done = 0;
    while (done < size) {
        ssize_t n =
            pread(fd, (uint8_t *)out + done, size - done, (off_t)(off + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, -errno, "kernel: read: %s", strerror(errno));
        if (n == 0)
            return err_set(e, -ENOEXEC, "kernel: the file is truncated");
        done += (uint64_t)n;
    }
    return 0;
}

static int check_header(const Elf64_Ehdr *h, struct err *e)
{
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 ||
        h->e_ident[EI_CLASS] != ELFCLASS64 ||
        h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_type != ET_EXEC ||
        h->e_machine != arch_elf_machine)
        return err_set(e, -ENOEXEC,
                       "kernel: not an ELF executable for this machine");
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 ||
        h->e_phnum > PHDR_MAX)
        return err_set(e, -ENOEXEC, "kernel: bad program header table");
    return 0;
}

static int load_segment(int fd, const Elf64_Phdr *p, const struct gmem *m,
                        struct load_result *out, struct err *e)
{
    uint8_t *to = gmem_at(m, gpa(p->p_paddr), p->p_memsz);
    if (p->p_filesz > p->p_memsz || p->p_offset > INT64_MAX ||
        p->p_filesz > INT64_MAX - p->p_offset)
        return err_set(e, -ENOEXEC, "kernel: bad segment sizes");
    if (p->p_paddr < BOOT_KERNEL_GPA || to == NULL)
        return err_set(e, -ENOEXEC,
                       "kernel: a segment at %#llx does not fit in memory",
                       (unsigned long long)p->p_paddr);
    if (p->p_vaddr != BOOT_KERNEL_BASE + p->p_paddr)
        return err_set(e, -ENOEXEC, "kernel: not linked at %#llx",
                       (unsigned long long)BOOT_KERNEL_BASE);
    if (read_at(fd, to, p->p_filesz, p->p_offset, e) < 0)
        return e->code;
    if (p->p_paddr + p->p_memsz > out->end)
        out->end = p->p_paddr + p->p_memsz;
    return 0;
}

int load_kernel(int fd, const struct gmem *m, struct load_result *out,
                struct err *e)
{
    Elf64_Ehdr h;
    Elf64_Phdr ph[PHDR_MAX] = {{0}};
    *out = (struct load_result){0};
    if (read_at(fd, &h, sizeof(h), 0, e) < 0 || check_header(&h, e) < 0)
        return e->code;
    if (h.e_phoff > INT64_MAX - sizeof(ph))
        return err_set(e, -ENOEXEC, "kernel: bad program header table");
    if (read_at(fd, ph, h.e_phnum * sizeof(ph[0]), h.e_phoff, e) < 0)
        return e->code;
    bool entered = false;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        const Elf64_Phdr *p = &ph[i];
        if (p->p_type != PT_LOAD || p->p_memsz == 0)
            continue;
        if (load_segment(fd, p, m, out, e) < 0)
            return e->code;
        uint64_t entry = h.e_entry - BOOT_ENTRY_BASE;
        if (entry >= p->p_paddr && entry - p->p_paddr < p->p_filesz)
            entered = true;
    }
    if (!entered)
        return err_set(e, -ENOEXEC, "kernel: the entry point is not loaded");
    out->entry = h.e_entry;
    return 0;
}
