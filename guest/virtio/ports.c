// SPDX-License-Identifier: Apache-2.0
#include "guest/virtio/ports.h"

#include "abi/linux/errno.h"
#include "abi/virtio_console.h"
#include "abi/virtio_mmio.h"

#include "guest/arch/arch.h"
#include "guest/core/klib.h"
#include "guest/core/log.h"
#include "guest/core/page.h"
#include "guest/core/timer.h"
#include "guest/virtio/console.h"
#include "guest/virtio/queue.h"

#define PORTS_MAX     5 /* QEMU numbers virtserialports from 1 */
#define PORTS_QUEUE   64
#define PORTS_TIMEOUT (10 * NSEC_PER_SEC)
#define MSG_ROOM      64 /* a control message with a name */
#define MSG_COUNT     16

static const char *const port_names[BOOT_PORT_COUNT] = {
    [BOOT_PORT_STDIO] = "limpet.stdio",
    [BOOT_PORT_STDERR] = "limpet.stderr",
    [BOOT_PORT_CTL] = "limpet.ctl",
};

struct port_ctl {
    struct virtq *rx, *tx;
    char *page; /* MSG_COUNT receive buffers, then one to send from */
    int32_t ids[BOOT_PORT_COUNT];
    bool stdio_open;
};

static struct port_ctl ctl; /* QEMU only */

static void ctl_post(char *buf)
{
    struct virtq_buf b = {page_phys(buf), MSG_ROOM};
    (void)virtq_add(ctl.rx, &b, 0, 1, buf);
}

/* Only from ports_find: waits until the device took it. */
static void ctl_tell(uint32_t id, enum virtio_console_event event)
{
    struct virtio_console_control *m = (void *)(ctl.page + PAGE_SIZE - 64);
    *m = (struct virtio_console_control){id, (uint16_t)event, 1};
    struct virtq_buf b = {page_phys(m), sizeof(*m)};
    if (virtq_add(ctl.tx, &b, 1, 0, m) < 0)
        return;
    virtq_kick(ctl.tx);
    nsec_t start = clock_now();
    while (virtq_pop(ctl.tx, NULL) == NULL &&
           clock_now() - start < PORTS_TIMEOUT)
        arch_pause();
}

static void port_named(uint32_t id, const char *name, size_t size)
{
    if (size > 0 && name[size - 1] == '\0')
        size--; /* QEMU sends one */
    for (unsigned i = 0; i < BOOT_PORT_COUNT; i++)
        if (strlen(port_names[i]) == size &&
            memcmp(port_names[i], name, size) == 0)
            ctl.ids[i] = (int32_t)id;
}

/* PORT_OPEN of stdin with value 0: the other end closed it. */
static void port_opened(const struct virtio_console_control *m)
{
    if ((int32_t)m->id != ctl.ids[BOOT_PORT_STDIO])
        return;
    if (m->value != 0)
        ctl.stdio_open = true;
    else if (ctl.stdio_open)
        console_set_eof(BOOT_PORT_STDIO, 0);
}

/* One message from the device; false when there is none. */
static bool ctl_receive(bool handshake)
{
    uint32_t size = 0;
    char *buf = virtq_pop(ctl.rx, &size);
    if (buf == NULL)
        return false;
    struct virtio_console_control m;
    memcpy(&m, buf, sizeof(m));
    size = MIN(size, MSG_ROOM);
    if (size >= sizeof(m) && m.id < PORTS_MAX) {
        if (m.event == VIRTIO_CONSOLE_DEVICE_ADD && handshake)
            ctl_tell(m.id, VIRTIO_CONSOLE_PORT_READY);
        else if (m.event == VIRTIO_CONSOLE_PORT_NAME)
            port_named(m.id, buf + sizeof(m), size - sizeof(m));
        else if (m.event == VIRTIO_CONSOLE_PORT_OPEN)
            port_opened(&m);
    }
    ctl_post(buf);
    virtq_kick(ctl.rx);
    return true;
}

static void ctl_interrupt(struct virtq *q)
{
    do {
        while (ctl_receive(false))
            continue;
    } while (!virtq_enable_irq(q));
}

static bool all_found(void)
{
    for (unsigned i = 0; i < BOOT_PORT_COUNT; i++)
        if (ctl.ids[i] < 0)
            return false;
    return true;
}

/* 5.3.5 and 5.3.6.2. */
static int handshake(struct virtio_device *d)
{
    ctl.rx = &d->queues[VIRTIO_CONSOLE_CTL_RXQ];
    ctl.tx = &d->queues[VIRTIO_CONSOLE_CTL_TXQ];
    paddr_t pa = page_alloc(0, PAGE_ZERO | PAGE_KERNEL);
    if (pa == 0)
        return -ENOMEM;
    ctl.page = page_virt(pa);
    for (unsigned i = 0; i < BOOT_PORT_COUNT; i++)
        ctl.ids[i] = -1;
    virtq_disable_irq(ctl.tx);
    virtq_disable_irq(ctl.rx);
    for (unsigned i = 0; i < MSG_COUNT; i++)
        ctl_post(ctl.page + (size_t)i * MSG_ROOM);
    virtq_kick(ctl.rx);
    ctl_tell(0, VIRTIO_CONSOLE_DEVICE_READY);
    nsec_t start = clock_now();
    while (!all_found() && clock_now() - start < PORTS_TIMEOUT)
        if (!ctl_receive(true))
            arch_pause();
    for (unsigned i = 0; i < BOOT_PORT_COUNT; i++)
        if (ctl.ids[i] >= 0)
            ctl_tell((uint32_t)ctl.ids[i], VIRTIO_CONSOLE_PORT_OPEN);
    ctl.rx->fn = ctl_interrupt;
    unsigned long flags = arch_irq_save();
    ctl_interrupt(ctl.rx);
    arch_irq_restore(flags);
    return 0;
}

int ports_find(struct virtio_device *d, int32_t ids[BOOT_PORT_COUNT])
{
    uint64_t want = VIRTIO_F_EVENT_IDX | VIRTIO_CONSOLE_F_MULTIPORT;
    if ((virtio_features(d) & VIRTIO_CONSOLE_F_MULTIPORT) == 0)
        return -ENODEV;
    for (unsigned i = 0; i < BOOT_PORT_COUNT; i++)
        ids[i] = (int32_t)i;
    if (d->preset)
        return virtio_start(d, want, VIRTIO_CONSOLE_QUEUES(BOOT_PORT_COUNT),
                            PORTS_QUEUE);
    struct virtio_console_config config;
    virtio_config_read(d, 0, &config, sizeof(config));
    uint32_t count = MIN(config.max_nr_ports, PORTS_MAX);
    int r = virtio_start(d, want, VIRTIO_CONSOLE_QUEUES(count), PORTS_QUEUE);
    if (r == 0)
        r = handshake(d);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < BOOT_PORT_COUNT; i++) {
        ids[i] = ctl.ids[i] < (int32_t)count ? ctl.ids[i] : -1;
        if (ids[i] < 0)
            klog(KLOG_ERROR, "console: port %s is missing", port_names[i]);
    }
    return 0;
}
