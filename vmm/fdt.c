// SPDX-License-Identifier: Apache-2.0
/* Devices -> flattened device tree. */
#include "vmm/fdt.h"

#include <arch_layout.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "abi/virtio_mmio.h"
#include "boards/qemu-microvm/layout.h"

#include "base/err.h"
#include "vmm/gmem.h"
#include "vmm/virtio/mmio.h"

/* One cell list; libfdt keeps the first error of a sequential write only if
 * every call is checked, so each helper returns it. */
static void put_u64(fdt32_t *cells, uint64_t v)
{
    cells[0] = cpu_to_fdt32((uint32_t)(v >> 32));
    cells[1] = cpu_to_fdt32((uint32_t)v);
}

static int prop_string(void *fdt, const char *name, const char *value)
{
    return fdt_property(fdt, name, value, (int)strlen(value) + 1);
}

static int prop_reg(void *fdt, uint64_t gpa, uint64_t size)
{
    fdt32_t cells[4];
    put_u64(cells, gpa);
    put_u64(cells + 2, size);
    return fdt_property(fdt, "reg", cells, sizeof(cells));
}

static int begin(void *fdt, const char *name, uint64_t gpa, uint64_t size,
                 const char *compatible)
{
    char node[40];
    (void)snprintf(node, sizeof(node), "%s@%llx", name,
                   (unsigned long long)gpa);
    int rc = fdt_begin_node(fdt, node);
    if (rc == 0)
        rc = prop_string(fdt, "compatible", compatible);
    return rc != 0 ? rc : prop_reg(fdt, gpa, size);
}

static int prop_interrupts(void *fdt, const struct virtio_mmio *t)
{
    fdt32_t cells[ARCH_FDT_IRQ_CELLS * (1 + VIRTIO_QUEUES_MAX)];
    unsigned count = 0;
    for (unsigned i = 0; i < 1U + t->dev->ops->queue_count; i++) {
        uint32_t line[ARCH_FDT_IRQ_CELLS];
        unsigned n = arch_fdt_irq(t->line + i, line);
        for (unsigned k = 0; k < n; k++)
            cells[count++] = cpu_to_fdt32(line[k]);
    }
    return fdt_property(fdt, "interrupts", cells,
                        (int)count * (int)sizeof(cells[0]));
}

static int prop_queues(void *fdt, const struct virtio_mmio *t)
{
    fdt32_t cells[7 * VIRTIO_QUEUES_MAX];
    unsigned count = t->dev->ops->queue_count;
    for (unsigned i = 0; i < count; i++) {
        const struct virtq_place *p = &t->place[i];
        fdt32_t *c = &cells[(size_t)7 * i];
        put_u64(c, p->desc);
        put_u64(c + 2, p->avail);
        put_u64(c + 4, p->used);
        c[6] = cpu_to_fdt32(p->size);
    }
    return fdt_property(fdt, "limpet,queues", cells,
                        (int)(7 * count) * (int)sizeof(cells[0]));
}

static int node_virtio(void *fdt, const struct virtio_mmio *t)
{
    const struct virtio_dev *vd = t->dev;
    int rc =
        begin(fdt, "virtio", t->window.base, BOARD_MMIO_STRIDE, "virtio,mmio");
    if (rc == 0)
        rc = prop_interrupts(fdt, t);
    if (rc == 0)
        rc = fdt_property_u32(fdt, "limpet,device", vd->ops->type);
    if (rc == 0)
        rc = fdt_property_u64(fdt, "limpet,features", vd->acked);
    if (rc == 0)
        rc = prop_queues(fdt, t);
    if (rc == 0 && vd->config_size > 0)
        rc = fdt_property(fdt, "limpet,config", vd->config,
                          (int)vd->config_size);
    return rc != 0 ? rc : fdt_end_node(fdt);
}

/* A place where a network device can appear (docs/boot.md). */
static int node_spare(void *fdt, const struct virtio_mmio *t)
{
    int rc =
        begin(fdt, "spare", t->window.base, BOARD_MMIO_STRIDE, "limpet,spare");
    if (rc == 0)
        rc = prop_interrupts(fdt, t);
    return rc != 0 ? rc : fdt_end_node(fdt);
}

static int node_memory(void *fdt, const struct gmem_range *r)
{
    char node[32];
    (void)snprintf(node, sizeof(node), "memory@%llx",
                   (unsigned long long)r->base);
    int rc = fdt_begin_node(fdt, node);
    if (rc == 0)
        rc = prop_string(fdt, "device_type", "memory");
    if (rc == 0)
        rc = prop_reg(fdt, r->base, r->size);
    return rc != 0 ? rc : fdt_end_node(fdt);
}

/* Devicetree's virtio,mmio binding: one line for everything. */
static int node_plain(void *fdt, const struct virtio_mmio *t)
{
    uint32_t line[ARCH_FDT_IRQ_CELLS];
    fdt32_t cells[ARCH_FDT_IRQ_CELLS];
    unsigned n = arch_fdt_irq(t->line, line);
    for (unsigned i = 0; i < n; i++)
        cells[i] = cpu_to_fdt32(line[i]);
    int rc = begin(fdt, "virtio_mmio", t->window.base, BOARD_MMIO_STRIDE,
                   "virtio,mmio");
    if (rc == 0)
        rc = fdt_property(fdt, "interrupts", cells,
                          (int)n * (int)sizeof(cells[0]));
    if (rc == 0)
        rc = fdt_property(fdt, "dma-coherent", "", 0);
    return rc != 0 ? rc : fdt_end_node(fdt);
}

static int node_chosen(void *fdt, const struct fdt_linux *l)
{
    int rc = fdt_begin_node(fdt, "chosen");
    if (rc == 0)
        rc = prop_string(fdt, "bootargs", l->cmdline);
    if (rc == 0)
        rc = fdt_property_u64(fdt, "linux,initrd-start", l->initrd.gpa);
    if (rc == 0)
        rc = fdt_property_u64(fdt, "linux,initrd-end",
                              l->initrd.gpa + l->initrd.size);
    if (rc == 0)
        rc = fdt_property(fdt, "rng-seed", l->seed, (int)sizeof(l->seed));
    return rc != 0 ? rc : fdt_end_node(fdt);
}

static int open_root(void *out, size_t room)
{
    int rc = fdt_create(out, (int)room);
    if (rc == 0)
        rc = fdt_finish_reservemap(out);
    if (rc == 0)
        rc = fdt_begin_node(out, "");
    if (rc == 0)
        rc = prop_string(out, "compatible", "limpet,virt");
    if (rc == 0)
        rc = fdt_property_u32(out, "#address-cells", 2);
    return rc != 0 ? rc : fdt_property_u32(out, "#size-cells", 2);
}

static int close_root(void *out, int rc, struct err *e)
{
    if (rc == 0)
        rc = fdt_end_node(out);
    if (rc == 0)
        rc = fdt_finish(out);
    if (rc != 0)
        return err_set(e, -ENOSPC, "device tree: %s", fdt_strerror(rc));
    return (int)fdt_totalsize(out);
}

int fdt_machine(void *out, size_t room, const struct fdt_plan *p, struct err *e)
{
    int rc = open_root(out, room);
    if (rc == 0)
        rc = arch_fdt_machine(p->arch, out);
    for (int i = 0; i < GMEM_RANGES && rc == 0; i++)
        if (p->mem->range[i].size > 0)
            rc = node_memory(out, &p->mem->range[i]);
    if (rc == 0 && p->image.size > 0) {
        rc = begin(out, "image", p->image.gpa, p->image.size, "limpet,image");
        if (rc == 0)
            rc = fdt_end_node(out);
    }
    for (unsigned i = 0; i < p->dev_count && rc == 0; i++)
        rc = node_virtio(out, &p->devs[i]);
    for (unsigned i = 0; i < p->spare_count && rc == 0; i++)
        rc = node_spare(out, &p->devs[p->dev_count + i]);
    return close_root(out, rc, e);
}

int fdt_stock(void *out, size_t room, const struct fdt_plan *p,
              const struct fdt_linux *l, struct err *e)
{
    int rc = open_root(out, room);
    if (rc == 0)
        rc = arch_fdt_machine(p->arch, out);
    if (rc == 0)
        rc = node_chosen(out, l);
    for (int i = 0; i < GMEM_RANGES && rc == 0; i++)
        if (p->mem->range[i].size > 0)
            rc = node_memory(out, &p->mem->range[i]);
    for (unsigned i = 0; i < p->dev_count && rc == 0; i++)
        rc = node_plain(out, &p->devs[i]);
    return close_root(out, rc, e);
}

int fdt_qemu(void *out, size_t room, struct err *e)
{
    int rc = open_root(out, room);
    for (unsigned i = 0; i < QEMU_VIRTIO_SLOTS && rc == 0; i++) {
        rc = begin(out, "virtio", QEMU_VIRTIO_BASE + i * QEMU_VIRTIO_STRIDE,
                   QEMU_VIRTIO_STRIDE, "virtio,mmio");
        if (rc == 0)
            rc = fdt_property_u32(out, "interrupts", QEMU_VIRTIO_IRQ + i);
        if (rc == 0)
            rc = fdt_end_node(out);
    }
    return close_root(out, rc, e);
}
