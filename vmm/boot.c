// SPDX-License-Identifier: Apache-2.0
/* struct boot_info and what it points to. */
#include "vmm/boot.h"

#include <arch_layout.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "abi/boot.h"
#include "abi/virtio_ring.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"
#include "vmm/config.h"
#include "vmm/container.h"
#include "vmm/fdt.h"
#include "vmm/lowmem.h"
#include "vmm/virtio/mmio.h"

#define PAGE UINT64_C(4096)

/* ---- parts both machines have ---- */

static void set_clock(struct boot_info *b)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    b->wall_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    b->wall_tsc = arch_counter();
}

static int set_common(struct boot_info *b, uint32_t platform, struct err *e)
{
    *b = (struct boot_info){
        .magic = BOOT_MAGIC,
        .version = BOOT_VERSION,
        .size = sizeof(*b),
        .platform = platform,
        .cpu_count = 1,
        .cont_count = 1,
    };
    if (getrandom(b->seed, sizeof(b->seed), 0) != (ssize_t)sizeof(b->seed))
        return err_set(e, -errno, "getrandom: %s", strerror(errno));
    set_clock(b);
    return 0;
}

/* ---- our machine ---- */

/* Rings of one queue share a page: table, then avail, then used. */
static int place_queues(struct lowmem *low, struct virtio_mmio *t,
                        struct err *e)
{
    struct virtq_place place[VIRTIO_QUEUES_MAX];
    for (uint16_t i = 0; i < t->dev->ops->queue_count; i++) {
        uint16_t n = t->dev->ops->queue_size;
        uint64_t avail = VIRTQ_DESC_SIZE(n);
        uint64_t used = (avail + VIRTQ_AVAIL_SIZE(n) + 3) & ~UINT64_C(3);
        gpa_t at;
        if (lowmem_take(low, used + VIRTQ_USED_SIZE(n), PAGE, "device rings",
                        &at, e) == NULL)
            return e->code;
        place[i] = (struct virtq_place){.desc = at.v,
                                        .avail = at.v + avail,
                                        .used = at.v + used,
                                        .size = n};
    }
    return virtio_mmio_preset(t, place, e);
}

static int put_fdt(const struct boot_plan *p, struct lowmem *low,
                   struct boot_info *b, struct err *e)
{
    uint8_t tree[FDT_SIZE_MAX];
    const struct fdt_plan plan = {.arch = p->arch,
                                  .mem = p->mem,
                                  .image = p->image,
                                  .devs = p->devs,
                                  .dev_count = p->dev_count,
                                  .spare_count = p->spare_count};
    gpa_t at;
    int size = fdt_machine(tree, sizeof(tree), &plan, e);
    if (size < 0)
        return size;
    void *to = lowmem_take(low, (uint64_t)size, 8, "the device tree", &at, e);
    if (to == NULL)
        return e->code;
    memcpy(to, tree, (size_t)size);
    b->fdt_gpa = at.v;
    b->fdt_size = (uint64_t)size;
    return 0;
}

static int put_containers(const struct boot_plan *p, struct lowmem *low,
                          struct boot_info *b, struct err *e)
{
    struct buf data = {.max = BOOT_KERNEL_GPA};
    gpa_t at;
    container_write(&data, p->config);
    int rc = data.failed;
    void *to = NULL;
    if (rc != 0)
        (void)err_set(e, rc,
                      "arguments, environment and files of the "
                      "container are too large");
    else
        to = lowmem_take(low, data.size, 8, "arguments, environment and files",
                         &at, e);
    if (to != NULL) {
        memcpy(to, data.data, data.size);
        b->cont_gpa = at.v;
        b->cont_size = data.size;
    }
    buf_fini(&data);
    return to == NULL ? e->code : 0;
}

static int put_cpus(const struct boot_plan *p, struct lowmem *low,
                    struct boot_info *b, struct arch_entry *entry,
                    struct err *e)
{
    if (arch_boot_cpus(p->arch, low, &p->image, entry, e) < 0)
        return e->code;
    b->vif_gpa = entry->vif;
    b->root_gpa = entry->root;
    b->cpu_count = p->arch->cpus;
    return 0;
}

static void set_machine(const struct boot_plan *p, const struct lowmem *low,
                        struct boot_info *b)
{
    unsigned n = 0;
    for (unsigned i = 0; i < GMEM_RANGES; i++)
        if (p->mem->range[i].size > 0)
            b->ram[n++] = (struct boot_range){p->mem->range[i].base,
                                              p->mem->range[i].size};
    b->low_end = (low->next + PAGE - 1) & ~(PAGE - 1);
    b->small_end = p->mem->small_end;
    b->tsc_hz = p->arch->counter_hz;
    b->console_gpa = BOARD_MMIO_BASE + BOARD_CALL_SLOT * BOARD_MMIO_STRIDE;
}

int boot_write(const struct boot_plan *p, struct arch_entry *entry,
               struct err *e)
{
    struct lowmem low;
    struct boot_info b;
    lowmem_init(&low, p->mem);
    uint32_t platform =
        p->arch->user_kernel ? BOOT_PLATFORM_PVM : BOOT_PLATFORM_KVM;
    if (set_common(&b, platform, e) < 0 || put_cpus(p, &low, &b, entry, e) < 0)
        return e->code;
    for (unsigned i = 0; i < p->dev_count; i++)
        if (place_queues(&low, &p->devs[i], e) < 0)
            return e->code;
    if (put_fdt(p, &low, &b, e) < 0 || put_containers(p, &low, &b, e) < 0)
        return e->code;
    set_machine(p, &low, &b);
    if (!gmem_write(p->mem, gpa(BOARD_BOOT_INFO), &b, sizeof(b)))
        return err_set(e, -EFAULT, "boot_info is outside of memory");
    return 0;
}

/* ---- QEMU ---- */

static void pad8(struct buf *b)
{
    static const char zero[8];
    buf_add(b, zero, (8 - b->size % 8) % 8);
}

int boot_write_blob(const struct vm_config *c, int fd, struct err *e)
{
    uint8_t tree[FDT_SIZE_MAX];
    struct buf data = {.max = (size_t)4 << 20};
    struct boot_info b;
    int size = fdt_qemu(tree, sizeof(tree), e);
    if (size < 0 || set_common(&b, BOOT_PLATFORM_QEMU, e) < 0)
        return e->code;
    b.wall_tsc = 0; /* another counter than ours */
    b.fdt_gpa = sizeof(b);
    b.fdt_size = (uint64_t)size;
    buf_add(&data, &b, sizeof(b));
    buf_add(&data, tree, (size_t)size);
    pad8(&data);
    b.cont_gpa = data.size;
    container_write(&data, c);
    b.cont_size = data.size - b.cont_gpa;
    int rc = data.failed;
    if (rc == 0) {
        memcpy(data.data, &b, sizeof(b));
        rc = path_write_all(fd, data.data, data.size);
    }
    buf_fini(&data);
    return rc == 0 ? 0 : err_set(e, rc, "boot blob: %s", strerror(-rc));
}
