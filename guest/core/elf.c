// SPDX-License-Identifier: Apache-2.0
#include "guest/core/elf.h"

#include "abi/abi.h"
#include "abi/linux/errno.h"

#include "guest/arch/arch.h"
#include "guest/core/aspace.h"
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/page.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"

#define PT_LOAD      1u
#define PT_INTERP    3u
#define PT_PHDR      6u
#define PT_GNU_STACK 0x6474e551u
#define PF_X         1u
#define PF_W         2u
#define PF_R         4u
#define ET_EXEC      2u
#define ET_DYN       3u

#define PHNUM_MAX (PAGE_SIZE / sizeof(struct elf_phdr))
/* Where Linux puts position-independent programs: two thirds up. */
#define PIE_BASE  (ROUND_DOWN(USER_END / 3 * 2, HUGE_SIZE))
#define PIE_PAGES (UINT64_C(1) << 28)

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
ABI_SIZE(struct elf_header, 64);

struct elf_phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
ABI_SIZE(struct elf_phdr, 56);

struct elf_load {
    struct aspace *as;
    struct file *file;
    struct elf_header header;
    struct elf_phdr *phdr; /* header.phnum of them, owned */
    uint64_t low, high;    /* of all segments, page-aligned, unbiased */
    uint64_t bias;
};

static int elf_header_check(const struct elf_header *h)
{
    static const uint8_t magic[7] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    if (memcmp(h->ident, magic, sizeof(magic)) != 0 ||
        h->machine != arch_elf_machine ||
        (h->type != ET_EXEC && h->type != ET_DYN) ||
        h->phentsize != sizeof(struct elf_phdr) || h->phnum == 0 ||
        h->phnum > PHNUM_MAX)
        return -ENOEXEC;
    return 0;
}

/* A segment lies in the file and in the user half, and is page-congruent. */
static bool elf_segment_ok(const struct elf_phdr *p)
{
    return p->filesz <= p->memsz && p->vaddr < USER_END &&
           p->memsz <= USER_END - p->vaddr && p->offset <= INT64_MAX &&
           p->filesz <= INT64_MAX - p->offset &&
           ((p->vaddr ^ p->offset) & PAGE_MASK) == 0;
}

static int elf_read(struct elf_load *l)
{
    struct elf_header *h = &l->header;
    int64_t n = file_pread(l->file, h, sizeof(*h), 0);
    if (n != (int64_t)sizeof(*h))
        return n < 0 ? (int)n : -ENOEXEC;
    int r = elf_header_check(h);
    if (r < 0)
        return r;
    size_t size = h->phnum * sizeof(struct elf_phdr);
    l->phdr = kmalloc(size);
    if (l->phdr == NULL)
        return -ENOMEM;
    if (h->phoff > INT64_MAX ||
        file_pread(l->file, l->phdr, size, h->phoff) != (int64_t)size)
        return -ENOEXEC;
    l->low = UINT64_MAX;
    for (unsigned i = 0; i < h->phnum; i++) {
        const struct elf_phdr *p = &l->phdr[i];
        if (p->type != PT_LOAD || p->memsz == 0)
            continue;
        if (!elf_segment_ok(p))
            return -ENOEXEC;
        l->low = MIN(l->low, ROUND_DOWN(p->vaddr, PAGE_SIZE));
        l->high = MAX(l->high, ROUND_UP(p->vaddr + p->memsz, PAGE_SIZE));
    }
    return l->low < l->high ? 0 : -ENOEXEC;
}

/* --- placing --- */

/* Address modulo 2 MiB at which file page 0 would allow huge leaves. */
static uint64_t elf_phase(const struct elf_load *l)
{
    struct inode_page page;
    struct inode *i = l->file->inode;
    if (i->ops->get_page(i, 0, false, &page) < 0)
        return 0;
    uint64_t phase = page.run >= HUGE_PAGES ? page.pa & (HUGE_SIZE - 1) : 0;
    page_put(page.pa);
    return phase;
}

static uint64_t elf_align(const struct elf_load *l)
{
    uint64_t align = PAGE_SIZE;
    for (unsigned i = 0; i < l->header.phnum; i++) {
        uint64_t a = l->phdr[i].align;
        if (l->phdr[i].type == PT_LOAD && a <= HUGE_SIZE && (a & (a - 1)) == 0)
            align = MAX(align, a);
    }
    return align;
}

/* A range for a position-independent file: reserved, then filled. */
static int elf_place(struct elf_load *l, bool interp, bool has_interp)
{
    uint64_t size = l->high - l->low;
    uint64_t hint = 0;
    if (!interp && has_interp) {
        hint = PIE_BASE + (krandom_u64() % PIE_PAGES) * PAGE_SIZE;
        hint = size >= HUGE_SIZE ? ROUND_DOWN(hint, HUGE_SIZE) + elf_phase(l)
                                 : ROUND_DOWN(hint, elf_align(l));
    }
    int64_t at = aspace_map(
        l->as, hint, size, 0,
        LX_MAP_PRIVATE | LX_MAP_ANONYMOUS | LX_MAP_NORESERVE, NULL, 0);
    if (at < 0)
        return (int)at;
    l->bias = (uint64_t)at - l->low;
    return 0;
}

/* --- mapping --- */

static uint32_t elf_prot(uint32_t flags)
{
    return ((flags & PF_R) != 0 ? LX_PROT_READ : 0) |
           ((flags & PF_W) != 0 ? LX_PROT_WRITE : 0) |
           ((flags & PF_X) != 0 ? LX_PROT_EXEC : 0);
}

static int elf_map(struct elf_load *l, uint64_t start, uint64_t end,
                   const struct elf_phdr *p, struct file *file)
{
    int64_t at = aspace_map(l->as, start, end - start, elf_prot(p->flags),
                            LX_MAP_PRIVATE | LX_MAP_FIXED, file,
                            ROUND_DOWN(p->offset, PAGE_SIZE));
    /* An address below MMAP_MIN: the file's fault. */
    return at >= 0 ? 0 : at == -EPERM ? -ENOEXEC : (int)at;
}

/* The rest of the last file page is zero, to its end: the C library of the
 * dynamic linker takes it as free memory. */
static int elf_clear(struct elf_load *l, uint64_t from, uint64_t to)
{
    static const char zeros[512];
    while (from < to) {
        size_t n = MIN(to - from, sizeof(zeros));
        if (aspace_copy_in(l->as, from, zeros, n) != n)
            return -ENOEXEC; /* no such page in the file */
        from += n;
    }
    return 0;
}

static int elf_map_segment(struct elf_load *l, const struct elf_phdr *p)
{
    uint64_t start = p->vaddr + l->bias;
    uint64_t file_end = start + p->filesz;
    uint64_t end = ROUND_UP(start + p->memsz, PAGE_SIZE);
    uint64_t zero = ROUND_UP(file_end, PAGE_SIZE);
    int r = 0;
    start = ROUND_DOWN(start, PAGE_SIZE);
    if (p->filesz == 0)
        zero = start;
    else
        r = elf_map(l, start, zero, p, l->file);
    if (r == 0 && p->filesz != 0 && p->memsz > p->filesz &&
        (p->flags & PF_W) != 0)
        r = elf_clear(l, file_end, zero);
    if (r == 0 && end > zero)
        r = elf_map(l, zero, end, p, NULL);
    return r;
}

static int elf_interp(struct elf_load *l, const struct elf_phdr *p,
                      struct elf_image *out)
{
    if (p->filesz < 2 || p->filesz > ELF_INTERP_MAX ||
        file_pread(l->file, out->interp, p->filesz, p->offset) !=
            (int64_t)p->filesz ||
        out->interp[p->filesz - 1] != '\0')
        return -ENOEXEC;
    return 0;
}

static int elf_scan(struct elf_load *l, struct elf_image *out)
{
    const struct elf_header *h = &l->header;
    for (unsigned i = 0; i < h->phnum; i++) {
        const struct elf_phdr *p = &l->phdr[i];
        if (p->type == PT_INTERP && elf_interp(l, p, out) < 0)
            return -ENOEXEC;
        if (p->type == PT_GNU_STACK)
            out->exec_stack = (p->flags & PF_X) != 0;
    }
    return 0;
}

static uint64_t elf_phdr_address(const struct elf_load *l)
{
    const struct elf_header *h = &l->header;
    for (unsigned i = 0; i < h->phnum; i++) {
        const struct elf_phdr *p = &l->phdr[i];
        if (p->type == PT_PHDR && p->vaddr < USER_END)
            return p->vaddr + l->bias;
        if (p->type == PT_LOAD && h->phoff >= p->offset &&
            h->phoff - p->offset < p->filesz)
            return p->vaddr + (h->phoff - p->offset) + l->bias;
    }
    return 0;
}

static int elf_load_all(struct elf_load *l, bool interp, struct elf_image *out)
{
    int r = elf_read(l);
    if (r == 0)
        r = elf_scan(l, out);
    if (r == 0 && l->header.type == ET_DYN)
        r = elf_place(l, interp, out->interp[0] != '\0');
    for (unsigned i = 0; r == 0 && i < l->header.phnum; i++)
        if (l->phdr[i].type == PT_LOAD && l->phdr[i].memsz != 0)
            r = elf_map_segment(l, &l->phdr[i]);
    if (r < 0)
        return r;
    out->entry = l->header.entry + l->bias;
    out->phdr = elf_phdr_address(l);
    out->phnum = l->header.phnum;
    out->start = l->low + l->bias;
    out->end = l->high + l->bias;
    return out->entry < USER_END ? 0 : -ENOEXEC;
}

int elf_load(struct aspace *as, struct file *file, bool interp,
             struct elf_image *out)
{
    struct elf_load *l = kzalloc(sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    *out = (struct elf_image){.entry = 0};
    l->as = as;
    l->file = file;
    int r = elf_load_all(l, interp, out);
    kfree(l->phdr);
    kfree(l);
    return r;
}
