// SPDX-License-Identifier: Apache-2.0
/* The guest kernel: ELF64 file -> guest memory. */
#include "vmm/load.h"

#include <elf.h>
#include <string.h>

#include "abi/boot.h"

#include "base/err.h"
#include "vmm/arch/arch.h"
#include "vmm/fileread.h"
#include "vmm/gmem.h"

#define PHDR_MAX  16
#define NOTES_MAX 1024 /* bytes of one PT_NOTE that are looked at */

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
    if (file_read(fd, to, p->p_filesz, p->p_offset, "kernel", e) < 0)
        return e->code;
    if (p->p_paddr + p->p_memsz > out->end)
        out->end = p->p_paddr + p->p_memsz;
    return 0;
}

/* The next note of `notes`, or NULL; *size shrinks to what follows it. */
static const uint8_t *next_note(const uint8_t *notes, size_t *size,
                                Elf64_Nhdr *out)
{
    if (*size < sizeof(*out))
        return NULL;
    memcpy(out, notes, sizeof(*out));
    *size -= sizeof(*out);
    uint64_t body = (((uint64_t)out->n_namesz + 3) & ~UINT64_C(3)) +
                    (((uint64_t)out->n_descsz + 3) & ~UINT64_C(3));
    if (body > *size)
        return NULL;
    *size -= (size_t)body;
    return notes + sizeof(*out);
}

/* Our note, or *found stays false: name "Limpet", type NT_VERSION, one word. */
static int check_notes(int fd, const Elf64_Phdr *p, bool *found, struct err *e)
{
    static const char name[8] = "Limpet"; /* padded as in the file */
    uint8_t notes[NOTES_MAX];
    Elf64_Nhdr h;
    const uint8_t *at = notes;
    size_t left = p->p_filesz < sizeof(notes) ? p->p_filesz : sizeof(notes);
    if (p->p_offset > INT64_MAX - sizeof(notes))
        return err_set(e, -ENOEXEC, "kernel: bad segment sizes");
    if (file_read(fd, notes, left, p->p_offset, "kernel", e) < 0)
        return e->code;
    while ((at = next_note(at, &left, &h)) != NULL) {
        uint32_t version;
        const uint8_t *body = at;
        at += (((size_t)h.n_namesz + 3) & ~(size_t)3) +
              (((size_t)h.n_descsz + 3) & ~(size_t)3);
        if (h.n_type != NT_VERSION || h.n_namesz > sizeof(name) ||
            h.n_namesz < sizeof("Limpet") || h.n_descsz != sizeof(version) ||
            memcmp(body, name, h.n_namesz) != 0)
            continue;
        memcpy(&version, body + sizeof(name), sizeof(version));
        if (version != BOOT_VERSION)
            return err_set(e, -ENOEXEC,
                           "kernel: it speaks boot protocol %u, this monitor "
                           "%u: they are not of one release",
                           version, BOOT_VERSION);
        *found = true;
    }
    return 0;
}

int load_kernel(int fd, const struct gmem *m, struct load_result *out,
                struct err *e)
{
    Elf64_Ehdr h;
    Elf64_Phdr ph[PHDR_MAX] = {{0}};
    *out = (struct load_result){0};
    if (file_read(fd, &h, sizeof(h), 0, "kernel", e) < 0 ||
        check_header(&h, e) < 0)
        return e->code;
    if (h.e_phoff > INT64_MAX - sizeof(ph))
        return err_set(e, -ENOEXEC, "kernel: bad program header table");
    if (file_read(fd, ph, h.e_phnum * sizeof(ph[0]), h.e_phoff, "kernel", e) <
        0)
        return e->code;
    bool entered = false;
    bool ours = false;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        const Elf64_Phdr *p = &ph[i];
        if (p->p_type == PT_NOTE && check_notes(fd, p, &ours, e) < 0)
            return e->code;
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
    if (!ours)
        return err_set(e, -ENOEXEC,
                       "kernel: it has no note of a Limpet kernel");
    out->entry = h.e_entry;
    return 0;
}
