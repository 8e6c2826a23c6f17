// SPDX-License-Identifier: Apache-2.0
/* Interrupt lines of devices. */
#include "vmm/irq.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"

int irq_alloc(struct irq_lines *l, unsigned *line, struct err *e)
{
    if (l->count == IRQ_MAX)
        return err_set(e, -ENOSPC,
                       "more than %d interrupt lines: use fewer disks "
                       "or networks",
                       IRQ_MAX);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return err_set(e, -errno, "eventfd: %s", strerror(errno));
    *line = l->count;
    l->fd[l->count++] = fd;
    return 0;
}

void irq_fini(struct irq_lines *l)
{
    for (unsigned i = 0; i < l->count; i++)
        (void)close(l->fd[i]);
    l->count = 0;
}

void irq_raise(const struct irq_lines *l, unsigned line)
{
    uint64_t one = 1;
    /* Cannot fail: KVM consumes the count; a full counter is still an edge. */
    ssize_t n = write(l->fd[line], &one, sizeof(one));
    (void)n;
}
