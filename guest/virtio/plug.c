// SPDX-License-Identifier: Apache-2.0
#include "guest/virtio/plug.h"

#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/log.h"
#include "guest/core/sched.h"
#include "guest/net/netif.h"
#include "guest/virtio/console.h"
#include "guest/virtio/virtio.h"

#define REQUESTS     8u /* the monitor has one of each interface under way */
#define ANSWER_TRIES 1000u

static struct {
    struct spinlock lock; /* irq-safe */
    unsigned first, count;
    struct request {
        uint32_t type;
        struct ctl_net m;
    } ring[REQUESTS];
    struct net_work work;
} plug;

static int plug_answer(uint32_t serial, int error)
{
    struct ctl_net_done d = {.serial = serial, .error = error};
    return ctl_send(CTL_NET_DONE, &d, sizeof(d));
}

static bool request_take(struct request *out)
{
    unsigned long flags = spin_lock_irq(&plug.lock);
    bool found = plug.count > 0;
    if (found) {
        *out = plug.ring[plug.first];
        plug.first = (plug.first + 1) % REQUESTS;
        plug.count--;
    }
    spin_unlock_irq(&plug.lock, flags);
    return found;
}

static void plug_work(struct net_work *w)
{
    struct request q;
    (void)w;
    while (request_take(&q)) {
        const bool add = q.type == CTL_NET_ADD;
        int r = add ? virtio_net_plug(q.m.at.regs, &q.m.netif)
                    : virtio_net_unplug(q.m.at.regs);
        if (r < 0)
            klog(KLOG_ERROR, "virtio: network device %lx does not %s: error %d",
                 (unsigned long)q.m.at.regs, add ? "come" : "go", -r);
        /* Messages of the kernel may be in front of it; without an answer the
         * monitor's client waits, and takes the interface away. */
        for (unsigned i = 0;
             plug_answer(q.m.at.serial, r) == -EAGAIN && i < ANSWER_TRIES; i++)
            sched_yield();
    }
}

void plug_init(void)
{
    net_work_init(&plug.work, plug_work);
}

void plug_frame(const struct ctl_header *h, const void *payload, size_t kept)
{
    const bool add = h->type == CTL_NET_ADD;
    struct request q = {.type = h->type};
    size_t size = add ? sizeof(q.m) : sizeof(q.m.at);
    if (h->size < size || kept < size)
        return;
    memcpy(&q.m, payload, size);
    q.m.netif.name[sizeof(q.m.netif.name) - 1] = '\0';
    unsigned long flags = spin_lock_irq(&plug.lock);
    bool room = plug.count < REQUESTS;
    if (room)
        plug.ring[(plug.first + plug.count++) % REQUESTS] = q;
    spin_unlock_irq(&plug.lock, flags);
    if (room)
        net_work_queue(&plug.work);
    else
        (void)plug_answer(q.m.at.serial, -EBUSY);
}
