// SPDX-License-Identifier: Apache-2.0
/* netdevice(7): interfaces and IPv4 routes by ioctl(2). */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"
#include "abi/linux/netdev.h"
#include "abi/linux/proc.h"

#include "guest/core/klib.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/net/inet_impl.h"
#include "guest/net/netaddr.h"
#include "guest/net/proto.h"
#include "guest/net/route.h"

/* --- addresses of an interface, of which an ioctl knows the first --- */

static bool first4(struct netif *n, struct netif_addr *out)
{
    for (unsigned i = 0; netif_addr_at(n, i, out); i++) {
        if (ip_is4(&out->addr))
            return true;
    }
    return false;
}

static uint32_t mask_of(unsigned bits)
{
    return bits == 0 ? 0 : be32(UINT32_MAX << (32 - bits));
}

static int put_addr(struct lx_ifreq *q, uint32_t addr)
{
    struct lx_sockaddr_in in = {.family = LX_AF_INET, .addr = addr};
    memcpy(q->data, &in, sizeof(in));
    return 0;
}

static int put_int(struct lx_ifreq *q, int32_t v)
{
    memcpy(q->data, &v, sizeof(v));
    return 0;
}

static int get_addr(struct netif *n, uint32_t cmd, struct lx_ifreq *q)
{
    struct netif_addr a;
    if (!first4(n, &a))
        return -EADDRNOTAVAIL;
    switch (cmd) {
    case LX_SIOCGIFNETMASK: return put_addr(q, mask_of(a.prefix));
    case LX_SIOCGIFBRDADDR: return put_addr(q, a.broadcast);
    default: return put_addr(q, ip_to4(&a.addr));
    }
}

static int get_hwaddr(const struct netif *n, struct lx_ifreq *q)
{
    uint16_t type = n->ethernet ? LX_ARPHRD_ETHER : LX_ARPHRD_LOOPBACK;
    memset(q->data, 0, sizeof(q->data));
    memcpy(q->data, &type, sizeof(type));
    memcpy(q->data + sizeof(type), n->mac, sizeof(n->mac));
    return 0;
}

static int dev_get(struct netif *n, uint32_t cmd, struct lx_ifreq *q)
{
    int16_t flags = (int16_t)n->flags;
    switch (cmd) {
    case LX_SIOCGIFFLAGS:
        memset(q->data, 0, sizeof(q->data));
        memcpy(q->data, &flags, sizeof(flags));
        return 0;
    case LX_SIOCGIFADDR:
    case LX_SIOCGIFDSTADDR:
    case LX_SIOCGIFBRDADDR:
    case LX_SIOCGIFNETMASK: return get_addr(n, cmd, q);
    case LX_SIOCGIFMETRIC: return put_int(q, 0);
    case LX_SIOCGIFMTU: return put_int(q, (int32_t)n->mtu);
    case LX_SIOCGIFINDEX: return put_int(q, (int32_t)n->index);
    case LX_SIOCGIFTXQLEN: return put_int(q, 1000);
    case LX_SIOCGIFHWADDR: return get_hwaddr(n, q);
    default: return -ENOTTY;
    }
}

/* --- changes --- */

/* The prefix of the classes of old, until a mask is set: RFC 791, 2.3. */
static uint8_t class_bits(uint32_t addr)
{
    uint8_t first = (uint8_t)addr;
    return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32;
}

static uint32_t req_addr(const struct lx_ifreq *q)
{
    struct lx_sockaddr_in in;
    memcpy(&in, q->data, sizeof(in));
    return in.addr;
}

/* The first address with something changed, in its place. */
static int set_addr(struct netif *n, uint32_t cmd, const struct lx_ifreq *q)
{
    struct netif_addr a = {.scope = LX_RT_SCOPE_UNIVERSE};
    uint32_t v = req_addr(q);
    bool had = first4(n, &a);
    struct ip_addr old = a.addr;
    if (cmd == LX_SIOCSIFADDR) {
        a.addr = ip_from4(v);
        a.prefix = class_bits(v);
        a.broadcast = v | ~mask_of(a.prefix);
    } else if (!had) {
        return -EADDRNOTAVAIL;
    } else if (cmd == LX_SIOCSIFNETMASK) {
        uint32_t host = ~be32(v);
        if ((host & (host + 1)) != 0)
            return -EINVAL;
        a.prefix = (uint8_t)(host == 0 ? 32 : __builtin_clz(host));
        a.broadcast = ip_to4(&a.addr) | ~mask_of(a.prefix);
    } else {
        a.broadcast = v;
    }
    if (had)
        (void)netif_addr_del(n, &old);
    int r = ip_to4(&a.addr) == 0 ? 0 : netif_addr_add(n, &a);
    /* ifconfig expects it to come up with its address. */
    if (r == 0 && cmd == LX_SIOCSIFADDR && ip_to4(&a.addr) != 0)
        netif_set_flags(n, n->flags | LX_IFF_UP);
    return r;
}

static int dev_set(struct netif *n, uint32_t cmd, const struct lx_ifreq *q)
{
    uint16_t flags;
    int32_t v;
    memcpy(&flags, q->data, sizeof(flags));
    memcpy(&v, q->data, sizeof(v));
    switch (cmd) {
    case LX_SIOCSIFFLAGS: netif_set_flags(n, flags); return 0;
    case LX_SIOCSIFMTU: return netif_set_mtu(n, (uint32_t)v);
    case LX_SIOCSIFADDR:
    case LX_SIOCSIFBRDADDR:
    case LX_SIOCSIFNETMASK: return set_addr(n, cmd, q);
    default: return -ENOTTY;
    }
}

static bool is_set(uint32_t cmd)
{
    return cmd == LX_SIOCSIFFLAGS || cmd == LX_SIOCSIFMTU ||
           cmd == LX_SIOCSIFADDR || cmd == LX_SIOCSIFBRDADDR ||
           cmd == LX_SIOCSIFNETMASK;
}

static int64_t dev_ioctl(uint32_t cmd, uint64_t arg)
{
    struct lx_ifreq q;
    if (copy_from_user(&q, uptr(arg), sizeof(q)) < 0)
        return -EFAULT;
    q.name[sizeof(q.name) - 1] = '\0';
    struct netif *n;
    if (cmd == LX_SIOCGIFNAME) {
        int32_t index;
        memcpy(&index, q.data, sizeof(index));
        n = netif_find((uint32_t)index);
        if (n == NULL)
            return -ENODEV;
        memcpy(q.name, n->name, sizeof(q.name));
        return copy_to_user(uptr(arg), &q, sizeof(q));
    }
    if (is_set(cmd) && !cred_capable(current()->proc, LX_CAP_NET_ADMIN))
        return -EPERM;
    n = netif_by_name(q.name);
    if (n == NULL)
        return -ENODEV;
    int r = is_set(cmd) ? dev_set(n, cmd, &q) : dev_get(n, cmd, &q);
    net_flush();
    if (r < 0 || is_set(cmd))
        return r;
    return copy_to_user(uptr(arg), &q, sizeof(q));
}

/* --- SIOCGIFCONF: every interface with an IPv4 address --- */

static int64_t conf_ioctl(uint64_t arg)
{
    struct lx_ifconf c;
    uint32_t done = 0;
    struct netif *n;
    if (copy_from_user(&c, uptr(arg), sizeof(c)) < 0)
        return -EFAULT;
    for (unsigned k = 0; (n = netif_next(&k)) != NULL;) {
        struct netif_addr a;
        struct lx_ifreq q = {.name = ""};
        for (unsigned i = 0; netif_addr_at(n, i, &a); i++) {
            if (!ip_is4(&a.addr))
                continue;
            memcpy(q.name, n->name, sizeof(q.name));
            (void)put_addr(&q, ip_to4(&a.addr));
            if (c.buffer != 0 && c.size - (int32_t)done < (int32_t)sizeof(q))
                continue;
            if (c.buffer != 0 &&
                copy_to_user(uptr(c.buffer + done), &q, sizeof(q)) < 0)
                return -EFAULT;
            done += (uint32_t)sizeof(q);
        }
    }
    c.size = (int32_t)done;
    return copy_to_user(uptr(arg), &c, sizeof(c));
}

/* --- SIOCADDRT, SIOCDELRT --- */

static uint32_t sock_addr(const uint8_t *sockaddr)
{
    struct lx_sockaddr_in in;
    memcpy(&in, sockaddr, sizeof(in));
    return in.addr;
}

static int route_request(const struct lx_rtentry *e, struct route *r)
{
    uint32_t host = ~be32(sock_addr(e->mask));
    bool to_host = (e->flags & LX_RTF_HOST) != 0;
    *r = (struct route){
        .dst = ip_from4(sock_addr(e->dst)),
        .gateway = ip_any4,
        .src = ip_any4,
        .metric = e->metric > 0 ? (uint32_t)e->metric - 1 : 0,
        .protocol = LX_RTPROT_BOOT,
        .type = LX_RTN_UNICAST,
        .scope = LX_RT_SCOPE_LINK,
    };
    if (!to_host && (host & (host + 1)) != 0)
        return -EINVAL;
    r->bits = to_host ? 32 : (uint8_t)(host == 0 ? 32 : __builtin_clz(host));
    if ((e->flags & LX_RTF_GATEWAY) != 0) {
        r->gateway = ip_from4(sock_addr(e->gateway));
        r->scope = LX_RT_SCOPE_UNIVERSE;
    }
    if (e->dev != 0) {
        char name[NETIF_NAME_SIZE];
        int64_t n = strncpy_from_user(name, uptr(e->dev), sizeof(name));
        const struct netif *dev = n >= 0 ? netif_by_name(name) : NULL;
        if (dev == NULL)
            return n == -EFAULT ? -EFAULT : -ENODEV;
        r->oif = dev->index;
    }
    return 0;
}

static int64_t route_ioctl(uint32_t cmd, uint64_t arg)
{
    struct lx_rtentry e;
    struct route r;
    if (!cred_capable(current()->proc, LX_CAP_NET_ADMIN))
        return -EPERM;
    if (copy_from_user(&e, uptr(arg), sizeof(e)) < 0)
        return -EFAULT;
    int x = route_request(&e, &r);
    if (x < 0)
        return x;
    return cmd == LX_SIOCADDRT ? route_add(&r) : route_del(&r);
}

int64_t inet_device_ioctl(struct socket *s, uint32_t cmd, uint64_t arg)
{
    (void)s;
    switch (cmd) {
    case LX_SIOCGIFCONF: return conf_ioctl(arg);
    case LX_SIOCADDRT:
    case LX_SIOCDELRT: return route_ioctl(cmd, arg);
    default:
        if (cmd < LX_SIOCGIFNAME || cmd > LX_SIOCGIFTXQLEN)
            return -ENOTTY;
        return dev_ioctl(cmd, arg);
    }
}

int64_t inet_ioctl(struct socket *s, uint32_t cmd, uint64_t arg)
{
    return inet_device_ioctl(s, cmd, arg);
}
