// SPDX-License-Identifier: Apache-2.0
/*
 * A stock Linux kernel on arm64: the flat Image at the start of RAM, a device
 * tree after it (Documentation/arch/arm64/booting.rst). No KVM here.
 */
#include <arch_layout.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "vmm/arch/arch.h"
#include "vmm/fdt.h"
#include "vmm/fileread.h"
#include "vmm/gmem.h"
#include "vmm/virtio/mmio.h"

#define HUGE        (UINT64_C(2) << 20)
#define CMDLINE_MAX UINT32_C(2047)
/* Kernel and initrd lie in one window of 32 GiB that starts on 1 GiB. */
#define INITRD_END   (BOARD_RAM_BASE + (UINT64_C(32) << 30))
#define TEXT_DEFAULT UINT64_C(0x80000) /* of kernels without image_size */

struct image_header {
    uint32_t code[2];
    uint64_t text_offset; /* from a multiple of 2 MiB */
    uint64_t image_size;  /* in memory, from there */
    uint64_t flags;       /* bit 0: big-endian */
    uint64_t reserved[3];
    uint32_t magic;
    uint32_t reserved5;
};

#define IMAGE_MAGIC UINT32_C(0x644d5241) /* "ARM\x64" */

_Static_assert(sizeof(struct image_header) == 64, "booting.rst, section 4");

static int check(struct image_header *h, struct err *e)
{
    if (h->magic != IMAGE_MAGIC)
        return err_set(e, -ENOEXEC,
                       "kernel: not an arm64 Image (a compressed one must be "
                       "unpacked first)");
    if ((h->flags & 1) != 0)
        return err_set(e, -ENOEXEC, "kernel: it is big-endian");
    if (h->image_size == 0)
        h->text_offset = TEXT_DEFAULT;
    if (h->text_offset >= HUGE)
        return err_set(e, -ENOEXEC, "kernel: bad text offset");
    return 0;
}

int arch_linux_load(int fd, const struct gmem *m, struct arch_linux *out,
                    struct err *e)
{
    struct image_header h;
    *out = (struct arch_linux){.options = ""};
    if (file_read(fd, &h, sizeof(h), 0, "kernel", e) < 0 || check(&h, e) < 0)
        return e->code;
    uint64_t size;
    if (file_size(fd, &size, "kernel", e) < 0)
        return e->code;
    const uint64_t room = h.image_size > size ? h.image_size : size;
    out->entry = BOARD_RAM_BASE + h.text_offset;
    uint8_t *to = gmem_at(m, gpa(out->entry), room);
    if (to == NULL)
        return err_set(e, -ENOSPC,
                       "kernel: %llu MiB do not fit in memory: give the VM "
                       "more with -m",
                       (unsigned long long)(room >> 20));
    /* The device tree has the next 2 MiB for itself. */
    out->end = ((out->entry + room + HUGE - 1) & ~(HUGE - 1)) + HUGE;
    out->initrd_end = INITRD_END;
    out->cmdline_max = CMDLINE_MAX;
    return file_read(fd, to, size, 0, "kernel", e);
}

int arch_linux_boot(const struct arch_linux *k, const struct arch_linux_plan *p,
                    struct arch_entry *entry, struct err *e)
{
    uint8_t tree[FDT_SIZE_MAX];
    const struct fdt_plan plan = {.arch = p->vm,
                                  .mem = p->mem,
                                  .devs = p->devs,
                                  .dev_count = p->dev_count};
    struct fdt_linux more = {.cmdline = p->cmdline, .initrd = p->initrd};
    if (getrandom(more.seed, sizeof(more.seed), 0) !=
        (ssize_t)sizeof(more.seed))
        return err_set(e, -errno, "getrandom: %s", strerror(errno));
    int size = fdt_stock(tree, sizeof(tree), &plan, &more, e);
    if (size < 0)
        return size;
    const uint64_t at = k->end - HUGE;
    if (!gmem_write(p->mem, gpa(at), tree, (size_t)size))
        return err_set(e, -ENOSPC, "the device tree does not fit in memory");
    *entry = (struct arch_entry){.pc = k->entry, .info = at};
    return 0;
}
