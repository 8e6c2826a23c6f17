// SPDX-License-Identifier: Apache-2.0
#include "net/link.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "net/nl.h"

/* ---- reading ---- */

struct link_reader {
    struct nl_reader r; /* first */
    struct link_info *out;
    bool next;  /* the least index above `after` that leads out */
    bool inner; /* the first that routes lead in to */
    int after;
    bool found;
};

static void link_read_kind(const struct nl_attr *info, struct link_info *out)
{
    struct nl_attr a;
    const uint8_t *at = info->data;
    size_t left = info->size;
    while (nl_attr_next(&at, &left, &a))
        if (a.type == IFLA_INFO_KIND)
            (void)snprintf(out->kind, sizeof(out->kind), "%.*s", (int)a.size,
                           (const char *)a.data);
}

static void link_read_attr(const struct nl_attr *a, struct link_info *out)
{
    if (a->type == IFLA_MTU)
        out->mtu = nl_attr_u32(a);
    else if (a->type == IFLA_MASTER)
        out->master = (int)nl_attr_u32(a);
    else if (a->type == IFLA_ADDRESS && a->size == sizeof(out->mac))
        memcpy(out->mac, a->data, a->size);
    else if (a->type == IFLA_IFNAME)
        (void)snprintf(out->name, sizeof(out->name), "%.*s", (int)a->size,
                       (const char *)a->data);
    else if (a->type == IFLA_IFALIAS)
        (void)snprintf(out->alias, sizeof(out->alias), "%.*s", (int)a->size,
                       (const char *)a->data);
    else if (a->type == IFLA_LINKINFO)
        link_read_kind(a, out);
}

static bool link_is_of(const struct link_info *i, const char *const *kinds)
{
    while (*kinds != NULL && strcmp(i->kind, *kinds) != 0)
        kinds++;
    return *kinds != NULL;
}

static bool link_leads_out(const struct link_info *i, unsigned type)
{
    static const char *const kinds[] = {"",       "veth", "macvlan", "ipvlan",
                                        "netkit", "vlan", NULL};
    return link_is_of(i, kinds) && i->up && i->master == 0 &&
           type == ARPHRD_ETHER;
}

static bool link_leads_in(const struct link_info *i)
{
    static const char *const kinds[] = {"bridge", "wireguard", "tun", "vxlan",
                                        "geneve", "ipip",      "gre", NULL};
    return link_is_of(i, kinds) && i->up && i->master == 0;
}

static void link_take(struct nl_reader *r, uint16_t type, const uint8_t *data,
                      size_t size)
{
    struct link_reader *l = (struct link_reader *)r;
    struct ifinfomsg h;
    struct nl_attr a;
    if (type != RTM_NEWLINK || size < sizeof(h))
        return;
    memcpy(&h, data, sizeof(h));
    struct link_info i = {.index = h.ifi_index,
                          .up = (h.ifi_flags & IFF_UP) != 0,
                          .loopback = (h.ifi_flags & IFF_LOOPBACK) != 0};
    data += sizeof(h);
    size -= sizeof(h);
    while (nl_attr_next(&data, &size, &a))
        link_read_attr(&a, &i);
    if (l->next && (i.index <= l->after || !link_leads_out(&i, h.ifi_type) ||
                    (l->found && l->out->index < i.index)))
        return;
    if (l->inner && !link_leads_in(&i))
        return;
    l->found = true;
    *l->out = i;
}

static int link_get(struct nl *n, const char *name, int index,
                    struct link_info *out)
{
    const struct ifinfomsg h = {.ifi_index = index};
    struct link_reader r = {.r = {link_take}, .out = out};
    struct nl_msg m = {0};
    nl_begin(n, &m, RTM_GETLINK, NLM_F_ACK, &h, sizeof(h));
    if (name != NULL)
        nl_put_str(&m, IFLA_IFNAME, name);
    int code = nl_dump(n, &m, &r.r);
    return code < 0 ? code : r.found ? 0 : -ENODEV;
}

int link_find(struct nl *n, const char *name, struct link_info *out)
{
    return link_get(n, name, 0, out);
}

int link_find_next(struct nl *n, int after, struct link_info *out)
{
    const struct ifinfomsg h = {0};
    struct link_reader r = {
        .r = {link_take}, .out = out, .next = true, .after = after};
    struct nl_msg m = {0};
    nl_begin(n, &m, RTM_GETLINK, NLM_F_DUMP, &h, sizeof(h));
    int code = nl_dump(n, &m, &r.r);
    return code < 0 ? code : r.found ? 0 : -ENODEV;
}

bool link_has_inner(struct nl *n, struct link_info *out)
{
    const struct ifinfomsg h = {0};
    struct link_reader r = {.r = {link_take}, .out = out, .inner = true};
    struct nl_msg m = {0};
    nl_begin(n, &m, RTM_GETLINK, NLM_F_DUMP, &h, sizeof(h));
    return nl_dump(n, &m, &r.r) == 0 && r.found;
}

struct route_reader {
    struct nl_reader r; /* first */
    struct link_routes *out;
};

static void route_take(struct nl_reader *r, uint16_t type, const uint8_t *data,
                       size_t size)
{
    struct link_routes *out = ((struct route_reader *)r)->out;
    struct rtmsg h;
    struct nl_attr a;
    struct net_addr dst = {0};
    int oif = 0;
    if (type != RTM_NEWROUTE || size < sizeof(h))
        return;
    memcpy(&h, data, sizeof(h));
    dst.v6 = h.rtm_family == AF_INET6;
    dst.prefix = h.rtm_dst_len;
    data += sizeof(h);
    size -= sizeof(h);
    while (nl_attr_next(&data, &size, &a)) {
        if (a.type == RTA_DST && a.size <= sizeof(dst.b))
            memcpy(dst.b, a.data, a.size);
        else if (a.type == RTA_OIF)
            oif = (int)nl_attr_u32(&a);
    }
    if (dst.prefix > 0 && out->count < LINK_ROUTES_MAX &&
        h.rtm_type != RTN_MULTICAST)
        out->dst[out->count++] = dst;
    if (dst.prefix == 0 && h.rtm_type == RTN_UNICAST && out->uplink == 0 &&
        oif != 0)
        out->uplink = oif;
}

int link_read_routes(struct nl *n, struct link_routes *out, struct err *e)
{
    struct route_reader r = {.r = {route_take}, .out = out};
    struct nl_msg m = {0};
    const struct rtmsg h = {0};
    out->count = 0;
    out->uplink = 0;
    out->uplink_mtu = NET_MTU_DEFAULT;
    nl_begin(n, &m, RTM_GETROUTE, NLM_F_DUMP, &h, sizeof(h));
    int code = nl_dump(n, &m, &r.r);
    if (code < 0)
        return err_set(e, code, "routes: %s", strerror(-code));
    struct link_info i;
    if (out->uplink != 0 && link_get(n, NULL, out->uplink, &i) == 0 &&
        i.mtu >= NET_MTU_MIN)
        out->uplink_mtu = i.mtu;
    return 0;
}

/* ---- making ---- */

static int sysctl_open(const char *dir, const char *name, const char *leaf,
                       int flags)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/proc/sys/net/%s%s%s/%s", dir,
                   name != NULL ? "/" : "", name != NULL ? name : "", leaf);
    return open(path, flags | O_CLOEXEC);
}

int link_sysctl(const char *dir, const char *name, const char *leaf,
                const char *value)
{
    AUTO_CLOSE int fd = sysctl_open(dir, name, leaf, O_WRONLY);
    if (fd < 0)
        return -errno;
    return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

int link_sysctl_get(const char *dir, const char *name, const char *leaf)
{
    char c = 0;
    AUTO_CLOSE int fd = sysctl_open(dir, name, leaf, O_RDONLY);
    if (fd < 0 || read(fd, &c, 1) != 1)
        return -1;
    return c - '0';
}

/* An MTU that was set and not just created with is one that the bridge keeps
 * whatever its ports have. */
static int link_set_bridge(struct nl *n, const char *name, const char *alias,
                           uint32_t mtu)
{
    const struct ifinfomsg h = {0};
    struct nl_msg m = {0};
    nl_begin(n, &m, RTM_SETLINK, NLM_F_ACK, &h, sizeof(h));
    nl_put_str(&m, IFLA_IFNAME, name);
    nl_put_u32(&m, IFLA_MTU, mtu);
    nl_put(&m, IFLA_IFALIAS, alias, strlen(alias));
    return nl_talk(n, &m);
}

int link_add_bridge(struct nl *n, const char *name, const char *alias,
                    uint32_t mtu, const uint8_t mac[6], struct err *e)
{
    const struct ifinfomsg h = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct nl_msg m = {0};
    nl_begin(n, &m, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &h,
             sizeof(h));
    nl_put_str(&m, IFLA_IFNAME, name);
    nl_put(&m, IFLA_ADDRESS, mac, 6);
    size_t info = nl_nest(&m, IFLA_LINKINFO);
    nl_put_str(&m, IFLA_INFO_KIND, "bridge");
    nl_nest_end(&m, info);
    int code = nl_talk(n, &m);
    if (code == -EOPNOTSUPP)
        return err_set(e, code,
                       "this kernel has no bridges (CONFIG_BRIDGE): modprobe "
                       "bridge, or use --network user");
    if (code < 0)
        return err_set(e, code, "bridge %s: %s", name, strerror(-code));
    code = link_set_bridge(n, name, alias, mtu);
    return code < 0 ? err_set(e, code, "bridge %s: %s", name, strerror(-code))
                    : 0;
}

int link_add_address(struct nl *n, int index, const struct net_addr *a,
                     struct err *e)
{
    const struct ifaddrmsg h = {
        .ifa_family = a->v6 ? AF_INET6 : AF_INET,
        .ifa_prefixlen = a->prefix,
        .ifa_flags = a->v6 ? IFA_F_NODAD : 0,
        .ifa_index = (uint32_t)index,
    };
    const size_t size = a->v6 ? 16 : 4;
    struct nl_msg m = {0};
    nl_begin(n, &m, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &h,
             sizeof(h));
    nl_put(&m, IFA_LOCAL, a->b, size);
    nl_put(&m, IFA_ADDRESS, a->b, size);
    int code = nl_talk(n, &m);
    char text[NET_ADDR_TEXT_SIZE];
    net_addr_text(a, true, text);
    return code < 0 ? err_set(e, code, "address %s: %s", text, strerror(-code))
                    : 0;
}

int link_delete(struct nl *n, int index, struct err *e)
{
    const struct ifinfomsg h = {.ifi_index = index};
    struct nl_msg m = {0};
    nl_begin(n, &m, RTM_DELLINK, NLM_F_ACK, &h, sizeof(h));
    int code = nl_talk(n, &m);
    if (code < 0 && code != -ENODEV)
        return err_set(e, code, "interface %d: %s", index, strerror(-code));
    return 0;
}

static int tap_new(const char *name, struct err *e)
{
    AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(e, -errno, "/dev/net/tun: %s", strerror(errno));
    struct ifreq r = {0};
    const int header = sizeof(struct virtio_net_hdr_mrg_rxbuf);
    (void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
    unsigned flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL;
    r.ifr_flags = (short)flags;
    if (ioctl(fd, TUNSETIFF, &r) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
        return err_set(e, -errno, "tap %s: %s", name, strerror(errno));
    return fd_release(&fd);
}

/* A guest's frames choose no way but its own: some kinds reach the bridge's
 * table before any rule. */
static void tap_options(struct nl *n, struct nl_msg *m,
                        const struct link_port *p)
{
    const struct ifinfomsg same = {0};
    const struct ndmsg known = {.ndm_family = PF_BRIDGE,
                                .ndm_ifindex = (int)if_nametoindex(p->name),
                                .ndm_state = NUD_NOARP,
                                .ndm_flags = NTF_MASTER};
    nl_begin(n, m, RTM_NEWLINK, NLM_F_ACK, &same, sizeof(same));
    nl_put_str(m, IFLA_IFNAME, p->name);
    size_t info = nl_nest(m, IFLA_LINKINFO);
    nl_put_str(m, IFLA_INFO_SLAVE_KIND, "bridge");
    size_t data = nl_nest(m, IFLA_INFO_SLAVE_DATA);
    nl_put_u8(m, IFLA_BRPORT_LEARNING, 0);
    nl_put_u8(m, IFLA_BRPORT_ISOLATED, p->isolated);
    nl_put_u8(m, IFLA_BRPORT_MODE, p->hairpin);
    nl_nest_end(m, data);
    nl_nest_end(m, info);
    nl_begin(n, m, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
             &known, sizeof(known));
    nl_put(m, NDA_LLADDR, p->mac, sizeof(p->mac));
}

/* Three messages, one system call: the bridge's options need its port first.
 * The host says and hears nothing on the tap itself. */
static int tap_plug(struct nl *n, const struct link_port *p)
{
    const struct ifinfomsg h = {.ifi_flags = IFF_UP | IFF_NOARP,
                                .ifi_change = IFF_UP | IFF_NOARP};
    struct nl_msg m = {0};
    nl_begin(n, &m, RTM_SETLINK, NLM_F_ACK, &h, sizeof(h));
    nl_put_str(&m, IFLA_IFNAME, p->name);
    nl_put_u32(&m, IFLA_MTU, p->mtu);
    nl_put(&m, IFLA_IFALIAS, p->alias, strlen(p->alias));
    if (p->bridge != 0)
        nl_put_u32(&m, IFLA_MASTER, (uint32_t)p->bridge);
    if (p->bridge != 0)
        tap_options(n, &m, p);
    return nl_talk(n, &m);
}

int link_add_tap(struct nl *n, const struct link_port *p, struct err *e)
{
    AUTO_CLOSE int fd = tap_new(p->name, e);
    if (fd < 0)
        return fd;
    /* The host speaks to guests through the bridge alone. */
    (void)link_sysctl("ipv6/conf", p->name, "disable_ipv6", "1");
    int code = tap_plug(n, p);
    return code < 0 ? err_set(e, code, "tap %s: %s", p->name, strerror(-code))
                    : fd_release(&fd);
}
