// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-net: one pair of queues. Virtio 1.2, 5.1. Frames come in pages, a
 * long one in several (MRG_RXBUF), and leave from where they are. The receive
 * interrupt is off while the net thread finds frames; sent packets are freed
 * at the next occasion, without an interrupt, but when the ring is full.
 */
#include "abi/boot.h"
#include "abi/linux/errno.h"
#include "abi/linux/netdev.h"
#include "abi/virtio_mmio.h"
#include "abi/virtio_net.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/log.h"
#include "guest/core/page.h"
#include "guest/net/boot.h"
#include "guest/net/netif.h"
#include "guest/net/proto.h"
#include "guest/virtio/queue.h"

#define NET_QUEUE    256
#define NET_RX_MIN   48u  /* pages that wait in an unused ring: 2 long frames */
#define NET_RX_BATCH 16u  /* pages that are worth a refill */
#define NET_RX_TURN  64u  /* frames before other works get a turn */
#define NET_RX_COPY  128u /* bytes that are copied, so that the page stays */
#define NET_TX_BYTES (4u << 20) /* of frames that wait for a full ring */
#define NET_TX_DESCS (PACKET_FRAGS + 1u)
#define NET_RETRY    (NSEC_PER_SEC / 100) /* after memory was out */
#define NET_GSO_MAX  65536u

#define HEADER ((uint32_t)sizeof(struct virtio_net_hdr))

struct net_dev {
    struct netif netif;
    struct net_dev *next; /* of `devs` */
    struct virtio_device *dev;
    struct virtq *rx, *tx;
    struct net_work rx_work, tx_work, link_work;
    struct net_timer retry;
    struct irq_handler config_irq;
    /* The device is not there (any more). Changed on the net thread, under
     * tx->lock. */
    bool gone;
    /* net thread only */
    unsigned rx_target; /* pages that shall be in the ring */
    unsigned rx_posted; /* that are */
    /* under tx->lock */
    struct list tx_wait; /* packets, until there is room in the ring */
    uint32_t tx_wait_bytes;
};

/* They stay for ever: netif.h. Before programs run, then net thread only. */
static struct net_dev *devs;

static struct net_dev *net_of(struct netif *n)
{
    return n->driver;
}

static void net_kick(struct virtq *q)
{
    virtq_unlock_kick(q, spin_lock_irq(&q->lock));
}

/* --- in --- */

static bool rx_post(struct net_dev *n, paddr_t page)
{
    struct virtq_buf b = {page, PAGE_SIZE};
    unsigned long flags = spin_lock_irq(&n->rx->lock);
    int r = virtq_add(n->rx, &b, 0, 1, page_virt(page));
    spin_unlock_irq(&n->rx->lock, flags);
    if (r == 0)
        n->rx_posted++;
    return r == 0;
}

/* Pages up to the target, if enough are missing, and the doorbell for these
 * and for what went back at once. */
static void rx_refill(struct net_dev *n)
{
    bool few = n->rx_posted + NET_RX_BATCH <= n->rx_target;
    while (few && n->rx_posted < n->rx_target) {
        paddr_t page = page_alloc(0, 0);
        if (page == 0) {
            if (n->rx_posted < NET_RX_MIN)
                net_timer_start(&n->retry, clock_now() + NET_RETRY);
            break;
        }
        if (!rx_post(n, page)) {
            page_put(page);
            break;
        }
    }
    net_kick(n->rx);
}

static void *rx_pop(struct net_dev *n, uint32_t *size)
{
    unsigned long flags = spin_lock_irq(&n->rx->lock);
    void *page = virtq_pop(n->rx, size);
    spin_unlock_irq(&n->rx->lock, flags);
    if (page != NULL)
        n->rx_posted--;
    *size = MIN(*size, (uint32_t)PAGE_SIZE);
    return page;
}

/* The bytes of `page` from `off` on; the page is taken. */
static bool rx_add(struct net_dev *n, struct packet *p, void *page,
                   uint32_t off, uint32_t size)
{
    paddr_t pa = page_phys(page);
    int r = 0;
    if (p != NULL && size > off)
        r = packet_add(p, pa, off, size - off);
    /* The packet has its own reference. A page that it does not need goes back
     * into the ring. */
    if (page_refs(pa) > 1 || !rx_post(n, pa))
        page_put(pa);
    return r == 0;
}

static struct packet *rx_small(const char *data, uint32_t size)
{
    struct packet *p = packet_new(0);
    void *to = p != NULL ? packet_append(p, (uint16_t)size) : NULL;
    if (to != NULL)
        memcpy(to, data, size);
    return p;
}

/* One frame; false: there is none. */
static bool rx_frame(struct net_dev *n)
{
    uint32_t size;
    struct virtio_net_hdr h;
    char *first = rx_pop(n, &size);
    if (first == NULL)
        return false;
    memcpy(&h, first, sizeof(h));
    unsigned more = size > HEADER && h.num_buffers > 0 ? h.num_buffers - 1u : 0;
    bool small = more == 0 && size > HEADER && size - HEADER <= NET_RX_COPY;
    struct packet *p =
        small ? rx_small(first + HEADER, size - HEADER) : packet_new(0);
    bool good = rx_add(n, small ? NULL : p, first, HEADER, size);
    for (; more > 0; more--) { /* they are there: published at once */
        void *page = rx_pop(n, &size);
        if (page == NULL) {
            good = false;
            break;
        }
        good = rx_add(n, good ? p : NULL, page, 0, size) && good;
    }
    if (p == NULL || !good || p->size < sizeof(struct ether_header)) {
        netif_count_stat(p == NULL ? &n->netif.stats.rx_dropped
                                   : &n->netif.stats.rx_errors,
                         1);
        packet_free(p);
        return true;
    }
    if (h.flags != 0) /* a peer on this host, or a device, vouches for it */
        p->csum = PACKET_CSUM_GOOD;
    if (h.gso_type != VIRTIO_NET_HDR_GSO_NONE)
        p->gso_size = h.gso_size;
    netif_receive(&n->netif, p);
    return true;
}

static void tx_reclaim(struct net_dev *n);

/* What was sent is freed by who sends next, or here when nothing comes in. */
static void rx_idle_reclaim(struct net_dev *n)
{
    unsigned long flags = spin_lock_irq(&n->tx->lock);
    tx_reclaim(n);
    spin_unlock_irq(&n->tx->lock, flags);
}

static void rx_poll(struct net_work *w)
{
    struct net_dev *n = CONTAINER_OF(w, struct net_dev, rx_work);
    unsigned frames = 0;
    unsigned before = n->rx_posted;
    if (n->gone)
        return; /* an interrupt was under way */
    while (frames < NET_RX_TURN && rx_frame(n))
        frames++;
    /* A ring that was half empty was too short. */
    if (n->rx_posted < before / 2)
        n->rx_target = MIN(n->rx_target * 2, (unsigned)n->rx->size);
    rx_refill(n);
    /* Interrupts only when a look finds nothing: who has just received is
     * likely to answer, and to be answered. */
    bool again = frames > 0;
    if (!again) {
        rx_idle_reclaim(n);
        unsigned long flags = spin_lock_irq(&n->rx->lock);
        again = !virtq_enable_irq(n->rx);
        if (again)
            virtq_disable_irq(n->rx);
        spin_unlock_irq(&n->rx->lock, flags);
    }
    if (again)
        net_work_queue(w);
}

static void rx_interrupt(struct virtq *q)
{
    struct net_dev *n = q->owner;
    unsigned long flags = spin_lock_irq(&q->lock);
    virtq_disable_irq(q);
    spin_unlock_irq(&q->lock, flags);
    net_work_queue(&n->rx_work);
}

static void rx_retry(struct net_work *w)
{
    struct net_dev *n = CONTAINER_OF(w, struct net_dev, retry.work);
    if (!n->gone)
        rx_refill(n);
}

/* --- out; tx->lock held --- */

static void tx_reclaim(struct net_dev *n)
{
    struct packet *p;
    while ((p = virtq_pop(n->tx, NULL)) != NULL)
        packet_free(p);
}

/* The header's room is in front of the frame. Its bytes are the device's until
 * the packet comes back. */
static void tx_header(struct packet *p, struct virtio_net_hdr *h)
{
    const uint8_t *frame = p->head + p->head_off;
    *h = (struct virtio_net_hdr){0};
    if (p->csum != PACKET_CSUM_PARTIAL)
        return;
    h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    h->csum_start = (uint16_t)(p->csum_start - p->head_off);
    h->csum_offset = p->csum_off;
    if (p->gso_size == 0)
        return;
    struct ether_header e;
    memcpy(&e, frame, sizeof(e));
    bool udp = p->csum_off == offsetof(struct udp_header, csum);
    uint32_t size = udp ? sizeof(struct udp_header)
                        : (p->head[p->csum_start + 12] >> 4) * 4u;
    h->gso_type = udp                         ? VIRTIO_NET_HDR_GSO_UDP_L4
                  : e.type == be16(ETHER_IP4) ? VIRTIO_NET_HDR_GSO_TCPV4
                                              : VIRTIO_NET_HDR_GSO_TCPV6;
    h->gso_size = p->gso_size;
    h->hdr_len = (uint16_t)(h->csum_start + size);
}

/* Elements of the frame: pages side by side are one. */
static unsigned tx_map(const struct packet *p, struct virtq_buf *b)
{
    unsigned k = 0;
    b[k++] = (struct virtq_buf){page_phys(p->head + p->head_off) - HEADER,
                                HEADER + p->head_size};
    for (unsigned i = 0; i < p->frag_count; i++) {
        paddr_t at = p->frags[i].page + p->frags[i].off;
        if (b[k - 1].pa + b[k - 1].size == at)
            b[k - 1].size += p->frags[i].size;
        else
            b[k++] = (struct virtq_buf){at, p->frags[i].size};
    }
    return k;
}

static int tx_put(struct net_dev *n, struct packet *p)
{
    struct virtq_buf b[NET_TX_DESCS];
    struct virtio_net_hdr h;
    tx_header(p, &h);
    memcpy(p->head + p->head_off - HEADER, &h, sizeof(h));
    return virtq_add(n->tx, b, tx_map(p, b), 0, p);
}

/* What waits goes as far as there is room; then an interrupt is wanted. */
static void tx_drain(struct net_dev *n)
{
    for (;;) {
        tx_reclaim(n);
        while (!list_empty(&n->tx_wait)) {
            struct packet *p = LIST_ENTRY(n->tx_wait.next, struct packet, node);
            if (tx_put(n, p) < 0)
                break;
            list_remove(&p->node);
            n->tx_wait_bytes -= p->size;
        }
        if (list_empty(&n->tx_wait)) {
            virtq_disable_irq(n->tx);
            return;
        }
        if (virtq_enable_irq(n->tx))
            return;
    }
}

static void net_send(struct netif *netif, struct packet *p)
{
    struct net_dev *n = net_of(netif);
    if (p->head_off < HEADER) { /* nobody sends such a packet */
        netif_count_stat(&netif->stats.tx_errors, 1);
        packet_free(p);
        return;
    }
    unsigned long flags = spin_lock_irq(&n->tx->lock);
    bool waits = n->gone || !list_empty(&n->tx_wait);
    if (!waits) {
        tx_reclaim(n);
        waits = tx_put(n, p) < 0;
    }
    bool full = n->gone || (waits && n->tx_wait_bytes + p->size > NET_TX_BYTES);
    if (waits && !full) {
        list_add_tail(&n->tx_wait, &p->node);
        n->tx_wait_bytes += p->size;
        tx_drain(n);
    }
    spin_unlock_irq(&n->tx->lock, flags);
    if (full) {
        netif_count_stat(&netif->stats.tx_dropped, 1);
        packet_free(p);
    }
}

static void net_flush_tx(struct netif *netif)
{
    net_kick(net_of(netif)->tx);
}

static void tx_work(struct net_work *w)
{
    struct net_dev *n = CONTAINER_OF(w, struct net_dev, tx_work);
    if (n->gone)
        return;
    unsigned long flags = spin_lock_irq(&n->tx->lock);
    tx_drain(n);
    spin_unlock_irq(&n->tx->lock, flags);
    net_kick(n->tx);
}

static void tx_interrupt(struct virtq *q)
{
    struct net_dev *n = q->owner;
    unsigned long flags = spin_lock_irq(&q->lock);
    virtq_disable_irq(q);
    spin_unlock_irq(&q->lock, flags);
    net_work_queue(&n->tx_work);
}

/* --- the link --- */

static void link_changed(struct net_work *w)
{
    struct net_dev *n = CONTAINER_OF(w, struct net_dev, link_work);
    struct virtio_net_config c;
    if (n->gone)
        return;
    virtio_config_now(n->dev, 0, &c, sizeof(c));
    bool up = (c.status & VIRTIO_NET_S_LINK_UP) != 0;
    if (up)
        n->netif.flags |= LX_IFF_RUNNING;
    else
        n->netif.flags &= ~LX_IFF_RUNNING;
    klog(KLOG_INFO, "%s: link %s", n->netif.name, up ? "up" : "down");
}

static void config_interrupt(struct irq_handler *h)
{
    struct net_dev *n = CONTAINER_OF(h, struct net_dev, config_irq);
    net_work_queue(&n->link_work);
}

/* --- start --- */

static void net_describe(struct net_dev *n)
{
    static const struct netif_ops ops = {.send = net_send,
                                         .flush = net_flush_tx};
    struct virtio_net_config c;
    const uint64_t f = n->dev->features;
    struct netif *i = &n->netif;
    virtio_config_read(n->dev, 0, &c, sizeof(c));
    i->ops = &ops;
    i->driver = n;
    i->ethernet = true;
    i->flags = LX_IFF_RUNNING | LX_IFF_BROADCAST | LX_IFF_MULTICAST;
    i->stats = (struct netif_stats){0}; /* of the one before, if any */
    i->addr_count = 0;
    i->mtu = (f & VIRTIO_NET_F_MTU) != 0 ? c.mtu : 1500;
    memcpy(i->mac, c.mac, sizeof(i->mac));
    i->tx_csum = (f & VIRTIO_NET_F_CSUM) != 0;
    i->tso4_max = (f & VIRTIO_NET_F_HOST_TSO4) != 0 ? NET_GSO_MAX : 0;
    i->tso6_max = (f & VIRTIO_NET_F_HOST_TSO6) != 0 ? NET_GSO_MAX : 0;
    i->uso_max = (f & VIRTIO_NET_F_HOST_USO) != 0 ? NET_GSO_MAX : 0;
}

static struct net_dev *net_new(struct virtio_device *d)
{
    struct net_dev *n = kzalloc(sizeof(*n));
    if (n == NULL)
        return NULL;
    n->dev = d;
    n->gone = true;
    list_init(&n->tx_wait);
    net_work_init(&n->rx_work, rx_poll);
    net_work_init(&n->tx_work, tx_work);
    net_work_init(&n->link_work, link_changed);
    net_timer_init(&n->retry, rx_retry);
    return n;
}

static void net_queues(struct net_dev *n)
{
    n->rx = &n->dev->queues[VIRTIO_NET_RXQ(0)];
    n->tx = &n->dev->queues[VIRTIO_NET_TXQ(0)];
    n->rx->owner = n->tx->owner = n;
    n->rx_target = NET_RX_MIN;
    virtq_disable_irq(n->tx);
    n->rx->fn = rx_interrupt;
    n->tx->fn = tx_interrupt;
}

static int net_begin(struct net_dev *n)
{
    const uint64_t want = VIRTIO_F_EVENT_IDX | VIRTIO_NET_F_MAC |
                          VIRTIO_NET_F_MTU | VIRTIO_NET_F_STATUS |
                          VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_CSUM |
                          VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 |
                          VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN |
                          VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 |
                          VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_GUEST_USO4 |
                          VIRTIO_NET_F_GUEST_USO6 | VIRTIO_NET_F_HOST_USO;
    int r = virtio_start(n->dev, want, 2, NET_QUEUE);
    if (r < 0)
        return r;
    if ((n->dev->features & VIRTIO_NET_F_MRG_RXBUF) == 0)
        return -ENODEV;
    net_queues(n);
    net_describe(n);
    return 0;
}

/* It can be used from now on. */
static int net_join(struct net_dev *n)
{
    unsigned long flags = spin_lock_irq(&n->tx->lock);
    n->gone = false;
    spin_unlock_irq(&n->tx->lock, flags);
    int r = netif_add(&n->netif);
    if (r < 0)
        return r;
    if (n->config_irq.fn == NULL) { /* else it has its line */
        n->config_irq.fn = config_interrupt;
        (void)virtio_config_irq(n->dev, &n->config_irq);
    }
    net_work_queue(&n->rx_work); /* fills the ring */
    return 0;
}

void virtio_net_init(struct virtio_device *d)
{
    struct net_dev *n = net_new(d);
    if (n == NULL || net_begin(n) < 0) {
        klog(KLOG_ERROR, "virtio: a network device cannot be used");
        kfree(n); /* nothing points to it yet */
        return;
    }
    n->next = devs;
    devs = n;
    if (net_join(n) < 0)
        klog(KLOG_WARN, "virtio: network device %lx is one too many",
             (unsigned long)d->regs); /* the ring stays empty */
}

/* --- coming and going --- */

static struct net_dev *net_at(paddr_t regs)
{
    struct net_dev *n = devs;
    while (n != NULL && n->dev->regs != regs)
        n = n->next;
    return n;
}

/* A place where there was no device yet. */
static int net_take_spare(paddr_t regs, struct net_dev **out)
{
    struct virtio_device *d = kzalloc(sizeof(*d));
    struct net_dev *n = d != NULL ? net_new(d) : NULL;
    int r = n != NULL ? virtio_find_spare(d, regs) : -ENOMEM;
    if (r < 0) {
        kfree(n);
        kfree(d);
        return r;
    }
    n->next = devs;
    devs = n;
    *out = n;
    return 0;
}

/* What the device had and will not give back. */
static void net_take_back(struct net_dev *n)
{
    void *page;
    struct packet *p;
    while ((page = virtq_take_back(n->rx)) != NULL)
        page_put(page_phys(page));
    n->rx_posted = 0;
    unsigned long flags = spin_lock_irq(&n->tx->lock);
    while ((p = virtq_take_back(n->tx)) != NULL)
        packet_free(p);
    while (!list_empty(&n->tx_wait)) {
        p = LIST_ENTRY(n->tx_wait.next, struct packet, node);
        list_remove(&p->node);
        packet_free(p);
    }
    n->tx_wait_bytes = 0;
    spin_unlock_irq(&n->tx->lock, flags);
}

static void net_leave(struct net_dev *n)
{
    unsigned long flags = spin_lock_irq(&n->tx->lock);
    n->gone = true; /* nothing is put into the ring any more */
    spin_unlock_irq(&n->tx->lock, flags);
    virtio_stop(n->dev);
    net_timer_stop(&n->retry);
    net_work_cancel(&n->rx_work);
    net_work_cancel(&n->tx_work);
    net_work_cancel(&n->link_work);
    net_work_cancel(&n->retry.work);
    net_take_back(n);
}

int virtio_net_plug(paddr_t regs, const struct boot_netif *b)
{
    struct net_dev *n = net_at(regs);
    int r = n == NULL ? net_take_spare(regs, &n) : 0;
    if (r == 0 && !n->gone)
        r = -EEXIST;
    if (r == 0)
        r = virtio_look(n->dev, VIRTIO_ID_NET);
    if (r == 0)
        r = net_begin(n);
    if (r < 0)
        return r;
    (void)kstrcpy(n->netif.name, b->name, sizeof(n->netif.name));
    r = net_join(n);
    if (r < 0)
        net_leave(n);
    else if ((r = netif_configure(b, NULL)) < 0)
        (void)virtio_net_unplug(regs);
    return r;
}

int virtio_net_unplug(paddr_t regs)
{
    struct net_dev *n = net_at(regs);
    if (n == NULL || n->gone)
        return -ENODEV;
    netif_remove(&n->netif);
    net_leave(n);
    return 0;
}
