// SPDX-License-Identifier: Apache-2.0
/* /proc/net, in the columns of proc(5) that programs split. */
#include "guest/net/show.h"

#include "abi/linux/inet.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/net/dgram.h"
#include "guest/net/group.h"
#include "guest/net/icmp_impl.h"
#include "guest/net/ip_impl.h"
#include "guest/net/neigh.h"
#include "guest/net/netaddr.h"
#include "guest/net/proto.h"
#include "guest/net/route.h"
#include "guest/net/udp.h"

#define LINE 127 /* udp and route pad their lines to it */

typedef unsigned long ul;

static void pad(struct text *t, size_t from)
{
    static const char blank[LINE + 1] =
        "                                                                "
        "                                                               ";
    size_t n = t->used - from;
    if (!t->failed && n < LINE)
        text_add(t, blank, LINE - n);
    text_add(t, "\n", 1);
}

static void add_hex(struct text *t, const struct ip_addr *a)
{
    for (unsigned i = 0; i < 16; i++)
        text_printf(t, "%02x", a->b[i]);
}

/* --- dev --- */

int net_show_dev(struct text *t, const struct pseudo_ref *r)
{
    const struct netif *n;
    (void)r;
    text_printf(
        t, "Inter-|   Receive                                                "
           "|  Transmit\n"
           " face |bytes    packets errs drop fifo frame compressed multicast"
           "|bytes    packets errs drop fifo colls carrier compressed\n");
    for (unsigned i = 0; (n = netif_next(&i)) != NULL;) {
        const struct netif_stats *s = &n->stats;
        text_printf(t,
                    "%6s: %7lu %7lu %4lu %4lu %4u %5u %10u %9lu %8lu %7lu "
                    "%4lu %4lu %4u %5u %7u %10u\n",
                    n->name, (ul)s->rx_bytes, (ul)s->rx_packets,
                    (ul)s->rx_errors, (ul)s->rx_dropped, 0u, 0u, 0u,
                    (ul)s->multicast, (ul)s->tx_bytes, (ul)s->tx_packets,
                    (ul)s->tx_errors, (ul)s->tx_dropped, 0u, 0u, 0u, 0u);
    }
    return 0;
}

/* --- udp --- */

static void add_end(struct text *t, const struct inet_sock *k,
                    const struct ip_addr *a, uint16_t port)
{
    unsigned first = k->s.family == LX_AF_INET ? 3 : 0;
    /* Words as this machine has them, not the network. */
    for (unsigned i = first; i < 4; i++)
        text_printf(t, "%08X", a->w[i]);
    text_printf(t, ":%04X ", port);
}

static void udp_line(struct text *t, struct inet_sock *k, unsigned sl)
{
    const struct dgram_sock *d = CONTAINER_OF(k, struct dgram_sock, k);
    const struct file *f = k->s.file;
    size_t from = t->used;
    text_printf(t, "%5u: ", sl);
    add_end(t, k, &k->local, k->lport);
    add_end(t, k, &k->remote, k->rport);
    text_printf(t,
                "%02X %08X:%08X %02X:%08lX %08X %5u %8d %lu %u "
                "%016lx %lu",
                k->connected ? 1u : 7u, 0u, d->charge, 0u, 0ul, 0u, k->uid, 0,
                f != NULL ? (ul)f->inode->ino : 0ul, k->refs, 0ul,
                (ul)d->drops);
    if (k->s.family == LX_AF_INET)
        pad(t, from);
    else
        text_add(t, "\n", 1);
}

static void udp_lines(struct text *t, uint16_t family)
{
    struct inet_table *table = &udp_table;
    if (table->bound == NULL)
        return; /* nobody made a socket yet */
    spin_lock(&table->lock);
    for (unsigned i = 0; i < 1u << table->bits; i++) {
        LIST_FOR(it, &table->bound[i])
        {
            struct inet_sock *k = LIST_ENTRY(it, struct inet_sock, bound_node);
            if (k->s.family == family)
                udp_line(t, k, i);
        }
    }
    spin_unlock(&table->lock);
}

int net_show_udp(struct text *t, const struct pseudo_ref *r)
{
    size_t from = t->used;
    (void)r;
    text_printf(t, "   sl  local_address rem_address   st tx_queue rx_queue tr "
                   "tm->when retrnsmt   uid  timeout inode ref pointer drops");
    pad(t, from);
    udp_lines(t, LX_AF_INET);
    return 0;
}

int net_show_udp6(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "  sl  local_address                         remote_address "
                   "                       st tx_queue rx_queue tr tm->when "
                   "retrnsmt   uid  timeout inode ref pointer drops\n");
    udp_lines(t, LX_AF_INET6);
    return 0;
}

/* --- routes --- */

static const char *name_of(uint32_t index)
{
    const struct netif *n = netif_find(index);
    return n != NULL ? n->name : "*";
}

int net_show_route(struct text *t, const struct pseudo_ref *ref)
{
    struct route r;
    size_t from = t->used;
    (void)ref;
    text_printf(t, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\t"
                   "Mask\t\tMTU\tWindow\tIRTT");
    pad(t, from);
    for (unsigned i = 0; route_at(i, &r); i++) {
        if (!ip_is4(&r.dst))
            continue;
        unsigned flags = LX_RTF_UP;
        if (!ip_is_any(&r.gateway))
            flags |= LX_RTF_GATEWAY;
        if (r.bits == 32)
            flags |= LX_RTF_HOST;
        uint32_t mask = r.bits == 0 ? 0 : be32(UINT32_MAX << (32 - r.bits));
        from = t->used;
        text_printf(t, "%s\t%08X\t%08X\t%04X\t%d\t%u\t%u\t%08X\t%d\t%u\t%u",
                    name_of(r.oif), ip_to4(&r.dst), r.gateway.w[3], flags, 0,
                    0u, r.metric, mask, 0, 0u, 0u);
        pad(t, from);
    }
    return 0;
}

int net_show_route6(struct text *t, const struct pseudo_ref *ref)
{
    struct route r;
    (void)ref;
    for (unsigned i = 0; route_at(i, &r); i++) {
        if (ip_is4(&r.dst))
            continue;
        add_hex(t, &r.dst);
        text_printf(t, " %02x ", r.bits);
        add_hex(t, &ip_any6);
        text_printf(t, " 00 ");
        add_hex(t, &r.gateway);
        text_printf(t, " %08x %08x %08x %08x %8s\n", r.metric, 1u, 0u,
                    LX_RTF_UP | (ip_is_any(&r.gateway) ? 0u : LX_RTF_GATEWAY),
                    name_of(r.oif));
    }
    return 0;
}

int net_show_if_inet6(struct text *t, const struct pseudo_ref *r)
{
    struct netif *n;
    (void)r;
    for (unsigned k = 0; (n = netif_next(&k)) != NULL;) {
        struct netif_addr a;
        for (unsigned i = 0; netif_addr_at(n, i, &a); i++) {
            unsigned scope = a.scope == LX_RT_SCOPE_HOST   ? 0x10u
                             : a.scope == LX_RT_SCOPE_LINK ? 0x20u
                                                           : 0u;
            if (ip_is4(&a.addr))
                continue;
            add_hex(t, &a.addr);
            text_printf(t, " %02x %02x %02x %02x %8s\n", n->index, a.prefix,
                        scope, 0x80u, n->name);
        }
    }
    return 0;
}

/* --- neighbours and groups --- */

int net_show_arp(struct text *t, const struct pseudo_ref *r)
{
    struct neigh_info e;
    (void)r;
    text_printf(t, "IP address       HW type     Flags       HW address        "
                   "    Mask     Device\n");
    for (unsigned i = 0; neigh_at(i, &e); i++) {
        char ip[20], mac[20];
        const uint8_t *b = e.addr.b + 12, *m = e.mac;
        bool known = e.state != NEIGH_INCOMPLETE && e.state != NEIGH_FAILED;
        if (!ip_is4(&e.addr))
            continue;
        (void)ksnprintf(ip, sizeof(ip), "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
        (void)ksnprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0],
                        m[1], m[2], m[3], m[4], m[5]);
        text_printf(t, "%-16s 0x%-10x0x%-10x%s     *        %s\n", ip, 1u,
                    known ? 2u : 0u, mac, name_of(e.netif));
    }
    return 0;
}

int net_show_igmp(struct text *t, const struct pseudo_ref *r)
{
    struct netif *n, *of;
    struct ip_addr g;
    unsigned users;
    (void)r;
    text_printf(t, "Idx\tDevice    : Count Querier\tGroup    Users Timer\t"
                   "Reporter\n");
    for (unsigned k = 0; (n = netif_next(&k)) != NULL;) {
        unsigned count = 1;
        for (unsigned i = 0; group_at(i, &of, &g, &users); i++)
            count += of == n && ip_is4(&g);
        text_printf(t, "%u\t%-10s: %5u %7s\n", n->index, n->name, count, "V3");
        for (unsigned i = 0; group_at(i, &of, &g, &users); i++) {
            if (of == n && ip_is4(&g))
                text_printf(t, "\t\t\t\t%08X %5u %u:%08X\t\t%u\n", ip_to4(&g),
                            users, 0u, 0u, 0u);
        }
        text_printf(t, "\t\t\t\t%08X %5u %u:%08X\t\t%u\n", be32(0xe0000001), 1u,
                    0u, 0u, 0u);
    }
    return 0;
}

/* --- snmp: counters we have; RFC 2011, 2013 --- */

int net_show_snmp(struct text *t, const struct pseudo_ref *r)
{
    const struct ip_counters *c = &ip_counters;
    const struct udp_counters *u = &udp_counters;
    const struct icmp_counters *m = &icmp_counters;
    (void)r;
    text_printf(t,
                "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors "
                "InUnknownProtos InDelivers ReasmOKs ReasmFails\n"
                "Ip: 2 64 %lu %lu %lu %lu %lu %lu %lu\n",
                (ul)c->received, (ul)c->header_errors, (ul)c->address_errors,
                (ul)c->unknown_protocol, (ul)c->delivered, (ul)c->reasm_ok,
                (ul)c->reasm_fail);
    text_printf(t, "Icmp: InMsgs InErrors OutMsgs\nIcmp: %lu %lu %lu\n",
                (ul)m->in, (ul)m->in_errors, (ul)m->out);
    text_printf(t,
                "Udp: InDatagrams NoPorts InErrors OutDatagrams\n"
                "Udp: %lu %lu %lu %lu\n",
                (ul)u->in, (ul)u->no_ports, (ul)u->in_errors, (ul)u->out);
    return 0;
}
