// SPDX-License-Identifier: Apache-2.0
/* A stock Linux kernel as the guest: initrd, command line, its window. */
#include "vmm/stock.h"

#include <arch_layout.h>
#include <stdio.h>
#include <string.h>

#include "abi/boot.h"
#include "abi/stock.h"

#include "base/buf.h"
#include "base/cpio.h"
#include "base/err.h"
#include "base/klog.h"
#include "vmm/config.h"
#include "vmm/container.h"
#include "vmm/fileread.h"
#include "vmm/gmem.h"

#define PAGE UINT64_C(4096)

enum { CMDLINE_MAX = 4096, MODE_DIR = 040755, MODE_FILE = 0100600 };

/* ---- the window ---- */

static void stock_read(struct bus_window *w, uint32_t off, uint8_t *data,
                       uint32_t len)
{
    (void)w;
    memset(data, 0, len);
    if (off == STOCK_REG_UART_LSR)
        data[0] = STOCK_LSR_EMPTY;
}

static void stock_store(struct bus_window *w, uint32_t off, const uint8_t *data,
                        uint32_t len)
{
    struct stock *s = (struct stock *)w;
    (void)len; /* 1 at least, and only the first byte counts */
    if (off == STOCK_REG_UART_TX && data[0] != '\r')
        klog_write(s->log, (const char *)data, 1);
    if (off == STOCK_REG_SLEEP && (data[0] & STOCK_SLEEP_ENABLE) != 0)
        s->ops->ended(s, false);
    if (off == STOCK_REG_RESET && data[0] == STOCK_RESET_VALUE)
        s->ops->ended(s, true);
}

void stock_init(struct stock *s, const struct stock_ops *ops, struct klog *log)
{
    static const struct bus_ops bus_ops = {.read = stock_read,
                                           .write = stock_store};
    *s = (struct stock){.window.ops = &bus_ops, .ops = ops, .log = log};
}

/* ---- memory ---- */

static int make_cmdline(const char *extra, const struct arch_linux *k,
                        char *out, struct err *e)
{
    int n = snprintf(out, CMDLINE_MAX,
                     "earlycon=uart8250,mmio32,%#llx keep_bootcon quiet "
                     "panic=-1%s%s%s",
                     (unsigned long long)(BOARD_MMIO_BASE +
                                          BOARD_CALL_SLOT * BOARD_MMIO_STRIDE),
                     k->options, extra[0] != '\0' ? " " : "", extra);
    if (n < 0 || n >= CMDLINE_MAX || (uint32_t)n > k->cmdline_max)
        return err_set(
            e, -E2BIG, "kernel: the command line is longer than %u bytes",
            k->cmdline_max < CMDLINE_MAX ? k->cmdline_max : CMDLINE_MAX - 1);
    return 0;
}

/* The archive with the container, after the one that limpet made. */
static int make_archive(const struct vm_config *c, struct buf *out,
                        struct err *e)
{
    struct buf record = {.max = out->max};
    container_write(&record, c);
    cpio_add(out, STOCK_DIR, MODE_DIR, NULL, 0);
    cpio_add(out, STOCK_CONTAINER, MODE_FILE, record.data, record.size);
    cpio_end(out);
    int rc = record.failed != 0 ? record.failed : out->failed;
    buf_fini(&record);
    return rc == 0 ? 0
                   : err_set(e, rc,
                             "arguments, environment and files of the "
                             "container are too large");
}

/* As high as the kernel allows: it unpacks itself from below. */
static int put_initrd(const struct vm_config *c, const struct gmem *m,
                      const struct arch_linux *k, struct arch_window *at,
                      struct err *e)
{
    struct buf archive = {.max = BOOT_KERNEL_GPA};
    uint64_t size = 0;
    if (c->initrd_fd >= 0 && file_size(c->initrd_fd, &size, "initrd", e) < 0)
        return e->code;
    int rc = make_archive(c, &archive, e);
    const struct gmem_range *low = &m->range[0];
    uint64_t end = low->base + low->size;
    uint64_t own = (size + 3) & ~UINT64_C(3);
    if (end > k->initrd_end)
        end = k->initrd_end;
    if (rc == 0 && (size > low->size || k->end > end ||
                    own + archive.size + PAGE > end - k->end))
        rc = err_set(e, -ENOSPC,
                     "kernel and initrd do not fit in memory: give the VM "
                     "more with -m");
    if (rc == 0) {
        at->size = own + archive.size;
        at->gpa = (end - at->size) & ~(PAGE - 1);
        uint8_t *to = gmem_at(m, gpa(at->gpa), at->size);
        if (to == NULL)
            rc = err_set(e, -EFAULT, "initrd: outside of memory");
        else if (size > 0)
            rc = file_read(c->initrd_fd, to, size, 0, "initrd", e);
        if (rc == 0 && to != NULL)
            memcpy(to + own, archive.data, archive.size);
    }
    buf_fini(&archive);
    return rc;
}

int stock_write(const struct stock_plan *p, struct arch_entry *entry,
                struct err *e)
{
    char cmdline[CMDLINE_MAX];
    struct arch_linux kernel;
    struct arch_linux_plan plan = {
        .vm = p->arch,
        .mem = p->mem,
        .devs = p->devs,
        .dev_count = p->dev_count,
        .cmdline = cmdline,
    };
    if (arch_linux_load(p->config->kernel_fd, p->mem, &kernel, e) < 0 ||
        make_cmdline(p->config->cmdline, &kernel, cmdline, e) < 0 ||
        put_initrd(p->config, p->mem, &kernel, &plan.initrd, e) < 0)
        return e->code;
    return arch_linux_boot(&kernel, &plan, entry, e);
}
