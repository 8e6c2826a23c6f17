// SPDX-License-Identifier: Apache-2.0
/*
 * The network driver on a preset device played by the test: buffers, frames
 * in one and several pages, headers of what leaves, a ring that is full.
 */
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/boot.h"
#include "abi/linux/errno.h"
#include "abi/virtio_mmio.h"
#include "abi/virtio_net.h"
#include "abi/virtio_ring.h"

#include "guest/arch/fake/fake.h"
#include "guest/core/fdt.h"
#include "guest/core/irq.h"
#include "guest/core/page.h"
#include "guest/core/sched.h"
#include "guest/net/netif.h"
#include "guest/net/proto.h"
#include "guest/virtio/plug.h"
#include "guest/virtio/virtio.h"

#define SIZE   64u
#define IRQ    0x50u
#define HEADER 12u
#define RXQ    0
#define TXQ    1

/* The device's side of a queue. */
struct dq {
    struct virtq_desc *desc;
    struct virtq_avail *avail;
    struct virtq_used *used;
    uint16_t seen; /* of avail */
    uint16_t done; /* used.idx */
};

static struct dq dq[2];
static char blob[16384];
static paddr_t regs_at[2]; /* of the preset device, and of the spare place */
static struct netif *eth0;

static void be(uint8_t *to, uint64_t v, unsigned cells)
{
    for (unsigned i = 0; i < cells * 4; i++)
        to[i] = (uint8_t)(v >> (8 * (cells * 4 - 1 - i)));
}

static void make_queue(unsigned i, uint8_t cells[28])
{
    paddr_t pa = page_alloc(0, PAGE_ZERO);
    assert_int_not_equal(pa, 0);
    char *ring = page_virt(pa);
    dq[i] = (struct dq){.desc = (void *)ring,
                        .avail = (void *)(ring + 1024),
                        .used = (void *)(ring + 2048)};
    be(cells, pa, 2);
    be(cells + 8, pa + 1024, 2);
    be(cells + 16, pa + 2048, 2);
    be(cells + 24, SIZE, 1);
}

static void put(const char *name, const void *data, size_t size)
{
    assert_int_equal(fdt_property(blob, name, data, (int)size), 0);
}

static void make_fdt(void)
{
    const struct virtio_net_config config = {
        .mac = {2, 0, 0, 0, 0, 1}, .status = 1, .mtu = 1500};
    uint8_t reg[16], id[4], feat[8], queues[2 * 28], irqs[3 * 4];
    for (unsigned i = 0; i < 2; i++)
        regs_at[i] = page_alloc(0, PAGE_ZERO);
    be(reg, regs_at[0], 2);
    be(reg + 8, 4096, 2);
    be(id, VIRTIO_ID_NET, 1);
    be(feat,
       VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_NET_F_MRG_RXBUF |
           VIRTIO_NET_F_MTU | VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 |
           VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_USO,
       2);
    for (unsigned i = 0; i < 2; i++)
        make_queue(i, queues + 28 * i);
    for (unsigned i = 0; i < 3; i++)
        be(irqs + 4 * i, IRQ + i, 1);
    assert_int_equal(fdt_create(blob, sizeof(blob)), 0);
    assert_int_equal(fdt_finish_reservemap(blob), 0);
    assert_int_equal(fdt_begin_node(blob, ""), 0);
    assert_int_equal(fdt_begin_node(blob, "virtio@0"), 0);
    put("compatible", "virtio,mmio", 12);
    put("reg", reg, sizeof(reg));
    put("interrupts", irqs, sizeof(irqs));
    put("limpet,device", id, 4);
    put("limpet,features", feat, 8);
    put("limpet,queues", queues, sizeof(queues));
    put("limpet,config", &config, sizeof(config));
    assert_int_equal(fdt_end_node(blob), 0);
    be(reg, regs_at[1], 2);
    for (unsigned i = 0; i < 3; i++)
        be(irqs + 4 * i, IRQ + 3 + i, 1);
    assert_int_equal(fdt_begin_node(blob, "spare@1"), 0);
    put("compatible", "limpet,spare", 13);
    put("reg", reg, sizeof(reg));
    put("interrupts", irqs, sizeof(irqs));
    assert_int_equal(fdt_end_node(blob), 0);
    assert_int_equal(fdt_end_node(blob), 0);
    assert_int_equal(fdt_finish(blob), 0);
    assert_int_equal(fdt_init(blob, sizeof(blob)), 0);
}

/* The net thread gets its turns. */
static void settle(void)
{
    for (int i = 0; i < 20; i++)
        sched_yield();
}

/* One device for the whole program: drivers start once. */
static int group_setup(void **state)
{
    (void)state;
    fake_init(64 << 20);
    make_fdt();
    virtio_init();
    eth0 = netif_by_name("eth0");
    settle();
    return eth0 == NULL;
}

/* The next buffer the driver gave; its head. */
static uint16_t dev_pop(struct dq *q)
{
    assert_int_not_equal(q->seen, q->avail->idx);
    return q->avail->ring[q->seen++ % SIZE];
}

static void dev_used(struct dq *q, uint16_t head, uint32_t size)
{
    q->used->ring[q->done++ % SIZE] = (struct virtq_used_elem){head, size};
}

static void dev_publish(struct dq *q)
{
    __atomic_store_n(&q->used->idx, q->done, __ATOMIC_RELEASE);
}

/* A frame of `size` bytes comes in, in buffers of a page; it claims to be in
 * `more` buffers than it is. */
static void dev_send(uint32_t size, unsigned more)
{
    struct dq *q = &dq[RXQ];
    uint32_t left = size + HEADER;
    unsigned count = (left + 4095) / 4096;
    for (unsigned i = 0; i < count; i++) {
        uint16_t head = dev_pop(q);
        uint32_t part = left < 4096 ? left : 4096;
        char *to = page_virt(q->desc[head].addr);
        assert_int_equal(q->desc[head].len, 4096);
        assert_int_equal(q->desc[head].flags, VIRTQ_DESC_F_WRITE);
        memset(to, 0x11, part);
        if (i == 0)
            *(struct virtio_net_hdr *)(void *)to = (struct virtio_net_hdr){
                .num_buffers = (uint16_t)(count + more)};
        left -= part;
        dev_used(q, head, part);
    }
    dev_publish(q);
    irq_dispatch(IRQ + 1 + RXQ);
    settle();
}

static unsigned posted(void)
{
    return (uint16_t)(dq[RXQ].avail->idx - dq[RXQ].seen);
}

static void an_unused_ring_is_small(void **state)
{
    (void)state;
    assert_in_range(posted(), 18, 48);
    assert_int_equal(eth0->mtu, 1500);
    assert_true(eth0->tx_csum && eth0->tso4_max > 0 && eth0->uso_max > 0);
}

static void frames_come_in_and_pages_go_back(void **state)
{
    static const uint32_t sizes[] = {60, 128, 129, 1514, 4084, 4085, 65549};
    struct page_stats before, after;
    (void)state;
    uint64_t packets = eth0->stats.rx_packets;
    uint64_t bytes = eth0->stats.rx_bytes;
    for (unsigned i = 0; i < 7; i++)
        dev_send(sizes[i], 0);
    assert_int_equal(eth0->stats.rx_packets, packets + 7);
    assert_int_equal(eth0->stats.rx_bytes, bytes + 75549);
    /* Nobody wants such frames: whatever is not in the ring is free. */
    page_stats(&before);
    unsigned in_ring = posted();
    for (unsigned i = 0; i < 500; i++)
        dev_send(sizes[i % 7], 0);
    page_stats(&after);
    assert_int_equal(eth0->stats.rx_packets, packets + 507);
    assert_in_range(before.free + in_ring - after.free - posted(), 0, 4);
    assert_int_equal(eth0->stats.rx_errors, 0);
}

static void frames_in_pieces_are_no_frames(void **state)
{
    (void)state;
    uint64_t packets = eth0->stats.rx_packets;
    dev_send(1000, 1);   /* the second buffer never comes */
    dev_send(1000, 500); /* nor do 500 */
    dev_send(3, 0);      /* less than a header */
    assert_int_equal(eth0->stats.rx_packets, packets);
    assert_int_equal(eth0->stats.rx_errors, 3);
    dev_send(60, 0); /* and it goes on */
    assert_int_equal(eth0->stats.rx_packets, packets + 1);
}

/* A packet as TCP makes one: Ethernet to TCP in head, then pages. */
static struct packet *segment(unsigned pages, bool v6, uint16_t gso)
{
    const uint16_t ip = v6 ? 40 : 20;
    struct packet *p = packet_new(PACKET_ROOM / 2);
    char *head = packet_append(p, (uint16_t)(14 + ip + 20));
    memset(head, 0, 14u + ip + 20u);
    head[12] = (char)(v6 ? 0x86 : 0x08);
    head[13] = (char)(v6 ? 0xdd : 0x00);
    head[14 + ip + 12] = 0x50;
    p->csum = PACKET_CSUM_PARTIAL;
    p->csum_start = (uint16_t)(p->head_off + 14 + ip);
    p->csum_off = 16;
    p->gso_size = gso;
    for (unsigned i = 0; i < pages; i++) {
        paddr_t pa = page_alloc(0, 0);
        memset(page_virt(pa), (int)i, 4096);
        assert_int_equal(packet_add(p, pa, 0, 4096), 0);
        page_put(pa);
    }
    return p;
}

static void frames_leave_with_their_offloads(void **state)
{
    struct virtio_net_hdr h;
    struct dq *q = &dq[TXQ];
    (void)state;
    for (int v6 = 0; v6 < 2; v6++) {
        eth0->ops->send(eth0, segment(4, v6 != 0, 1448));
        eth0->ops->flush(eth0);
        uint16_t head = dev_pop(q);
        const struct virtq_desc *d = &q->desc[head];
        const uint32_t headers = v6 != 0 ? 74 : 54;
        memcpy(&h, page_virt(d->addr), sizeof(h));
        assert_int_equal(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
        assert_int_equal(h.gso_type, v6 != 0 ? VIRTIO_NET_HDR_GSO_TCPV6
                                             : VIRTIO_NET_HDR_GSO_TCPV4);
        assert_int_equal(h.gso_size, 1448);
        assert_int_equal(h.hdr_len, headers);
        assert_int_equal(h.csum_start, headers - 20);
        assert_int_equal(h.csum_offset, 16);
        assert_int_equal(d->len, HEADER + headers);
        uint32_t size = 0;
        while ((d->flags & VIRTQ_DESC_F_NEXT) != 0) {
            d = &q->desc[d->next];
            size += d->len;
        }
        assert_int_equal(size, 4 * 4096);
        dev_used(q, head, 0);
        dev_publish(q);
    }
}

static void a_full_ring_keeps_frames_in_order(void **state)
{
    struct dq *q = &dq[TXQ];
    struct page_stats before, after;
    (void)state;
    page_stats(&before);
    for (unsigned i = 0; i < 100; i++) {
        struct packet *p = segment(3, false, 0);
        p->head[p->head_off] = (uint8_t)i;
        eth0->ops->send(eth0, p);
    }
    eth0->ops->flush(eth0);
    unsigned got = 0;
    for (int round = 0; round < 100 && got < 100; round++) {
        while (q->seen != q->avail->idx) {
            uint16_t head = dev_pop(q);
            const uint8_t *frame = page_virt(q->desc[head].addr);
            assert_int_equal(frame[HEADER], got++);
            dev_used(q, head, 0);
        }
        dev_publish(q);
        irq_dispatch(IRQ + 1 + TXQ); /* it asked for one */
        settle();
    }
    assert_int_equal(got, 100);
    settle();
    page_stats(&after);
    assert_true(after.free + 8 >= before.free);
    assert_int_equal(eth0->stats.tx_dropped, 0);
}

/* --- coming and going --- */

static uint32_t *reg(unsigned place, uint32_t at)
{
    return page_virt(regs_at[place] + at);
}

/* Memory in the place of registers: what the driver writes it reads again. */
static void device_appears(unsigned place)
{
    const struct virtio_net_config config = {
        .mac = {2, 0, 0, 0, 0, 7}, .status = 1, .mtu = 1400};
    memset(reg(place, 0), 0, 4096);
    *reg(place, VIRTIO_MMIO_REG_MAGIC_VALUE) = VIRTIO_MMIO_MAGIC;
    *reg(place, VIRTIO_MMIO_REG_VERSION) = VIRTIO_MMIO_VERSION;
    *reg(place, VIRTIO_MMIO_REG_DEVICE_ID) = VIRTIO_ID_NET;
    *reg(place, VIRTIO_MMIO_REG_QUEUE_NUM_MAX) = 256;
    /* Both halves are the same: bit 0 is VERSION_1 and CSUM. */
    *reg(place, VIRTIO_MMIO_REG_DEVICE_FEATURES) =
        (uint32_t)(VIRTIO_F_EVENT_IDX | VIRTIO_NET_F_MRG_RXBUF |
                   VIRTIO_NET_F_MAC | VIRTIO_NET_F_MTU | VIRTIO_NET_F_CSUM);
    memcpy(reg(place, VIRTIO_MMIO_REG_CONFIG), &config, sizeof(config));
}

static const struct boot_netif later = {
    .name = "eth7",
    .mac = {2, 0, 0, 0, 0, 7},
    .mtu = 1400,
    .addr_count = 1,
    .addr = {{.b = {[10] = 0xff, 0xff, 10, 1, 0, 2}, .prefix = 24}},
};

static void an_interface_comes_and_goes(void **state)
{
    struct page_stats before, after;
    uint32_t last = 0;
    (void)state;
    assert_int_equal(virtio_net_plug(1, &later), -ENODEV);
    assert_int_equal(virtio_net_plug(regs_at[1], &later), -ENODEV);
    assert_int_equal(virtio_net_unplug(regs_at[1]), -ENODEV);
    for (int round = 0; round < 40; round++) {
        device_appears(1);
        assert_int_equal(virtio_net_plug(regs_at[1], &later), 0);
        assert_int_equal(virtio_net_plug(regs_at[1], &later), -EEXIST);
        settle();
        struct netif *n = netif_by_name("eth7");
        assert_non_null(n);
        assert_int_equal(n->mtu, 1400);
        assert_true(n->index > last); /* never one that was there */
        last = n->index;
        assert_ptr_equal(netif_find(last), n);
        for (unsigned i = 0; i < 300; i++) /* the ring, and what waits */
            n->ops->send(n, segment(3, false, 0));
        assert_int_equal(virtio_net_unplug(regs_at[1]), 0);
        assert_int_equal(*reg(1, VIRTIO_MMIO_REG_STATUS), 0);
        assert_null(netif_by_name("eth7"));
        assert_null(netif_find(last));
        /* Who still knows it by its address does no harm. */
        n->ops->send(n, segment(3, false, 0));
        n->ops->flush(n);
        irq_dispatch(IRQ + 3 + 1 + RXQ);
        irq_dispatch(IRQ + 3 + 1 + TXQ);
        settle();
        if (round == 2)
            page_stats(&before);
    }
    page_stats(&after);
    assert_in_range(before.free - after.free + 8, 0, 16);
    assert_ptr_equal(netif_by_name("eth0"), eth0);
}

static void the_first_interface_goes_too(void **state)
{
    struct page_stats before, after;
    (void)state;
    page_stats(&before);
    const unsigned in_ring = posted();
    assert_int_equal(virtio_net_unplug(regs_at[0]), 0);
    assert_null(netif_by_name("eth0"));
    page_stats(&after);
    assert_true(after.free >= before.free + in_ring);
    device_appears(0);
    assert_int_equal(virtio_net_plug(regs_at[0], &later), 0);
    assert_non_null(netif_by_name("eth7"));
}

/* The monitor's words, which come in an interrupt. */
static void requests_are_done_in_order(void **state)
{
    struct ctl_header h = {CTL_NET_ADD, sizeof(struct ctl_net)};
    struct ctl_net m = {.at = {.serial = 7, .regs = regs_at[1]},
                        .netif = later};
    (void)state;
    plug_init();
    device_appears(1);
    memset(m.netif.name, 'n', sizeof(m.netif.name)); /* never ends */
    plug_frame(&h, &m, sizeof(m) - 1);
    h.size--;
    plug_frame(&h, &m, sizeof(m));
    settle();
    assert_null(netif_by_name("nnnnnnnnnnnnnnn")); /* too short, both */
    h.size++;
    for (int i = 0; i < 50; i++) { /* 8 are kept */
        h.type = i % 2 == 0 ? CTL_NET_ADD : CTL_NET_REMOVE;
        device_appears(1);
        plug_frame(&h, &m, sizeof(m));
    }
    settle();
    assert_null(netif_by_name("nnnnnnnnnnnnnnn")); /* the last went */
    h.type = CTL_NET_ADD;
    plug_frame(&h, &m, sizeof(m));
    settle();
    assert_non_null(netif_by_name("nnnnnnnnnnnnnnn"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unused_ring_is_small),
        cmocka_unit_test(frames_come_in_and_pages_go_back),
        cmocka_unit_test(frames_in_pieces_are_no_frames),
        cmocka_unit_test(frames_leave_with_their_offloads),
        cmocka_unit_test(a_full_ring_keeps_frames_in_order),
        cmocka_unit_test(an_interface_comes_and_goes),
        cmocka_unit_test(requests_are_done_in_order),
        cmocka_unit_test(the_first_interface_goes_too),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
