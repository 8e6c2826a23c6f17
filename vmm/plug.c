// SPDX-License-Identifier: Apache-2.0
/* Network devices that come and go while the VM runs. */
#include "vmm/plug.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"

enum { PLUG_MTU_MIN = 68, PLUG_MTU_MAX = 65535 };

void plug_place(struct plug *p, struct virtio_net *net, struct virtio_mmio *dev,
                int fd)
{
    if (p->count == ARRAY_COUNT(p->slot))
        return;
    p->slot[p->count++] =
        (struct plug_slot){.state = fd < 0 ? PLUG_FREE : PLUG_USED,
                           .net = net,
                           .dev = dev,
                           .fd = fd};
    if (fd < 0)
        bus_detach(p->bus, &dev->window);
}

/* Whoever waits for this place hears of it, once. */
static void plug_answer(struct plug *p, struct plug_slot *s, int error)
{
    const void *client = s->client;
    s->client = NULL;
    if (client != NULL)
        p->ops->answer(p, client, error);
}

/* The serial of a question that could not be asked is nobody's: an answer to
 * the one before still counts. */
static bool plug_tell(struct plug *p, struct plug_slot *s, uint32_t type,
                      struct ctl_net *m)
{
    struct {
        struct ctl_header h;
        struct ctl_net m;
    } frame = {{.type = type}, *m};
    frame.m.at.serial = ++p->serial;
    frame.m.at.regs = s->dev->window.base;
    frame.h.size = type == CTL_NET_ADD ? sizeof(frame.m) : sizeof(frame.m.at);
    if (!p->ops->tell(p, &frame, sizeof(frame.h) + frame.h.size))
        return false;
    s->serial = frame.m.at.serial;
    return true;
}

/* The tap ends with its last fd, which is this one. */
static void plug_drop(struct plug *p, struct plug_slot *s)
{
    bus_detach(p->bus, &s->dev->window);
    virtio_mmio_replace(s->dev, &s->net->vd); /* stops it */
    virtio_net_fini(s->net);
    virtio_net_init_spare(s->net);
    virtio_mmio_replace(s->dev, &s->net->vd);
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
    s->state = PLUG_FREE;
}

/* ---- add ---- */

static bool add_sane(const struct boot_netif *n)
{
    return n->mtu >= PLUG_MTU_MIN && n->mtu <= PLUG_MTU_MAX &&
           (n->mac[0] & 1) == 0 && n->name[0] != '\0' &&
           memchr(n->name, '\0', sizeof(n->name)) != NULL &&
           n->addr_count <= ARRAY_COUNT(n->addr) &&
           n->gateway_count <= ARRAY_COUNT(n->gateway);
}

static int add_device(struct plug *p, struct plug_slot *s,
                      const struct ctl_net *m, int fd)
{
    struct err e;
    struct virtio_net_want want = {.fd = fd,
                                   .frames = VIRTIO_NET_TAP,
                                   .mtu = (uint16_t)m->netif.mtu,
                                   .offload = VIRTIO_NET_OFFLOAD_NONE};
    if ((m->at.flags & CTL_NET_USO) != 0)
        want.offload = VIRTIO_NET_OFFLOAD_USO;
    else if ((m->at.flags & CTL_NET_OFFLOAD) != 0)
        want.offload = VIRTIO_NET_OFFLOAD_TSO;
    memcpy(want.mac, m->netif.mac, sizeof(want.mac));
    int code = virtio_net_init(s->net, p->loop, &want, &e);
    virtio_mmio_replace(s->dev, &s->net->vd);
    if (code == 0)
        code =
            bus_attach(p->bus, bus_slot_of(&s->dev->window), &s->dev->window);
    s->fd = fd;
    if (code < 0)
        plug_drop(p, s);
    return code;
}

static void plug_add(struct plug *p, struct plug_slot *s, const void *client,
                     struct ctl_net *m, int fd)
{
    int code = -EBUSY;
    if (s->state == PLUG_FREE && fd >= 0 && add_sane(&m->netif)) {
        code = add_device(p, s, m, fd);
        fd = -1; /* taken */
    } else if (s->state == PLUG_FREE) {
        code = -EINVAL;
    }
    if (fd >= 0)
        (void)close(fd);
    if (code == 0) {
        s->state = PLUG_ADDING;
        s->client = client;
        if (plug_tell(p, s, CTL_NET_ADD, m))
            return;
        s->client = NULL;
        plug_drop(p, s);
        code = -EAGAIN;
    }
    p->ops->answer(p, client, code);
}

/* ---- remove ---- */

static void plug_remove(struct plug *p, struct plug_slot *s, const void *client,
                        struct ctl_net *m)
{
    const bool force = (m->at.flags & CTL_NET_FORCE) != 0;
    if (s->state == PLUG_FREE) {
        p->ops->answer(p, client, -ENODEV);
        return;
    }
    bool told = plug_tell(p, s, CTL_NET_REMOVE, m);
    if (force || told) {
        plug_answer(p, s, -ECANCELED); /* another client's */
        s->state = PLUG_REMOVING;
    }
    if (told && !force) {
        s->client = client;
        return;
    }
    if (force)
        plug_drop(p, s);
    p->ops->answer(p, client, force ? 0 : -EAGAIN);
}

/* ---- who asks, who answers ---- */

void plug_ask(struct plug *p, const void *client, uint32_t type,
              const void *payload, size_t size, int fd)
{
    struct ctl_net m = {.at = {0}};
    size_t want = type == CTL_NET_ADD ? sizeof(m) : sizeof(m.at);
    memcpy(&m, payload, size < want ? size : want);
    int code = size != want            ? -EINVAL
               : p->count == 0         ? -EOPNOTSUPP
               : m.at.slot >= p->count ? -ENOSPC
                                       : 0;
    if (code == 0 && type == CTL_NET_ADD) {
        plug_add(p, &p->slot[m.at.slot], client, &m, fd);
        return;
    }
    if (fd >= 0)
        (void)close(fd);
    if (code == 0)
        plug_remove(p, &p->slot[m.at.slot], client, &m);
    else
        p->ops->answer(p, client, code);
}

static void plug_finish(struct plug *p, struct plug_slot *s, int error)
{
    if (s->state == PLUG_ADDING && error == 0)
        s->state = PLUG_USED;
    else /* it could not take it, or gave it back */
        plug_drop(p, s);
    plug_answer(p, s, error);
}

void plug_done(struct plug *p, const void *payload, size_t size)
{
    struct ctl_net_done d;
    if (size < sizeof(d))
        return;
    memcpy(&d, payload, sizeof(d));
    for (unsigned i = 0; i < p->count; i++) {
        struct plug_slot *s = &p->slot[i];
        const bool adding = s->state == PLUG_ADDING;
        if (s->serial != d.serial || (!adding && s->state != PLUG_REMOVING))
            continue;
        /* What the guest calls an error is one of a few for who reads it. */
        int error = d.error == 0 ? 0 : -EIO;
        if (d.error < 0 && d.error > -4096)
            error = d.error;
        plug_finish(p, s, adding ? error : 0);
        return;
    }
}

void plug_forget(struct plug *p, const void *client)
{
    for (unsigned i = 0; i < p->count; i++)
        if (p->slot[i].client == client)
            p->slot[i].client = NULL;
}
