// SPDX-License-Identifier: Apache-2.0
/* Options of Internet sockets, control messages, ioctls: ip(7), ipv6(7),
 * netdevice(7). In a network namespace of its own with lo up. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/guest/conform/t.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef IP_RECVTTL
#define IP_RECVTTL 12
#endif
#ifndef IPV6_RECVPKTINFO
#define IPV6_RECVPKTINFO 49
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

static int u4, u6;

static void say_get(const char *label, int fd, int level, int name)
{
    unsigned char v[64] = {0};
    socklen_t n = sizeof(int);
    int r = getsockopt(fd, level, name, v, &n);
    int i;
    memcpy(&i, v, sizeof(i));
    if (r < 0)
        t_value(label, r);
    else
        t_say(label, "%d size %d", i, (int)n);
}

static void set_get(const char *label, int fd, int level, int name, int v)
{
    T(label, setsockopt(fd, level, name, &v, sizeof(v)));
    say_get(label, fd, level, name);
}

static void each(int level, int most, const char *kind, int fd)
{
    char label[64];
    for (int name = 1; name < most; name++) {
        if (level == IPPROTO_IP &&
            (name == 4 || name == 5 || name == 7 || name == 9 || name == 16 ||
             name == 17 || name == 18 || name == 23 || name == 32 ||
             (name >= 36 && name <= 48) || name > 50 || name == 22 ||
             name == 50 || name == 35 || name == 14))
            continue;
        (void)snprintf(label, sizeof(label), "each.%s_%d", kind, name);
        say_get(label, fd, level, name);
    }
}

static void numbers(void)
{
    static const int values[] = {-2, -1, 0, 1, 5, 6, 255, 256};
    static const struct {
        int level, name;
        const char *label;
    } o[] = {
        {IPPROTO_IP, IP_TTL, "num.ttl"},
        {IPPROTO_IP, IP_TOS, "num.tos"},
        {IPPROTO_IP, IP_MULTICAST_TTL, "num.mttl"},
        {IPPROTO_IP, IP_MULTICAST_LOOP, "num.mloop"},
        {IPPROTO_IP, IP_MTU_DISCOVER, "num.mtud"},
        {IPPROTO_IP, IP_PKTINFO, "num.pktinfo"},
        {IPPROTO_IP, IP_RECVTTL, "num.recvttl"},
        {IPPROTO_IP, IP_RECVTOS, "num.recvtos"},
        {IPPROTO_IP, IP_RECVERR, "num.recverr"},
        {IPPROTO_IP, 49, "num.mall"},
        {IPPROTO_IP, 21, "num.minttl"},
        {IPPROTO_IP, IP_FREEBIND, "num.freebind"},
        {IPPROTO_IPV6, IPV6_UNICAST_HOPS, "num.hops"},
        {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, "num.mhops"},
        {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, "num.mloop6"},
        {IPPROTO_IPV6, IPV6_RECVPKTINFO, "num.pktinfo6"},
        {IPPROTO_IPV6, 67, "num.tclass"},
        {IPPROTO_IPV6, 51, "num.recvhops"},
        {IPPROTO_IPV6, 23, "num.mtud6"},
    };
    for (unsigned i = 0; i < sizeof(o) / sizeof(o[0]); i++) {
        int fd = o[i].level == IPPROTO_IP ? u4 : u6;
        for (unsigned k = 0; k < sizeof(values) / sizeof(values[0]); k++)
            set_get(o[i].label, fd, o[i].level, o[i].name, values[k]);
        unsigned char byte = 1;
        T(o[i].label, setsockopt(fd, o[i].level, o[i].name, &byte, 1));
        T(o[i].label, setsockopt(fd, o[i].level, o[i].name, &byte, 0));
        T(o[i].label, setsockopt(fd, o[i].level, o[i].name, BAD_PTR, 4));
        socklen_t n = 1;
        T(o[i].label, getsockopt(fd, o[i].level, o[i].name, &byte, &n));
        t_say(o[i].label, "size %d", (int)n);
    }
}

static void levels(void)
{
    say_get("level.v6_on_v4", u4, IPPROTO_IPV6, IPV6_V6ONLY);
    say_get("level.v4_on_v6", u6, IPPROTO_IP, IP_TTL);
    say_get("level.unknown", u4, 77, 1);
    say_get("level.udp_bad", u4, SOL_UDP, 200);
    set_get("level.segment", u4, SOL_UDP, UDP_SEGMENT, 100);
    set_get("level.segment_off", u4, SOL_UDP, UDP_SEGMENT, 0);
    set_get("level.segment_big", u4, SOL_UDP, UDP_SEGMENT, 70000);
    say_get("level.mtu", u4, IPPROTO_IP, 14);
    int on = 1;
    T("level.broadcast",
      setsockopt(u4, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)));
    char name[32] = "lo";
    T("level.device", setsockopt(u4, SOL_SOCKET, SO_BINDTODEVICE, name, 3));
    socklen_t n = sizeof(name);
    memset(name, 0, sizeof(name));
    T("level.device_get",
      getsockopt(u4, SOL_SOCKET, SO_BINDTODEVICE, name, &n));
    t_say("level.device_name", "%s %d", name, (int)n);
    T("level.device_none",
      setsockopt(u4, SOL_SOCKET, SO_BINDTODEVICE, "nope", 5));
    T("level.device_off", setsockopt(u4, SOL_SOCKET, SO_BINDTODEVICE, "", 0));
    set_get("level.ifindex", u4, SOL_SOCKET, 62, 1);
    set_get("level.ifindex_off", u4, SOL_SOCKET, 62, 0);
    set_get("level.ifindex_bad", u4, SOL_SOCKET, 62, 99);
    set_get("level.ifindex_end", u4, SOL_SOCKET, 62, 0);
}

static void members(void)
{
    struct ip_mreqn m = {.imr_ifindex = 1};
    struct in_addr a;
    inet_pton(AF_INET, "239.1.2.3", &m.imr_multiaddr);
    T("group.join", setsockopt(u4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, 12));
    T("group.again", setsockopt(u4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, 12));
    T("group.short", setsockopt(u4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, 7));
    T("group.leave", setsockopt(u4, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, 12));
    T("group.gone", setsockopt(u4, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, 12));
    m.imr_ifindex = 77;
    T("group.no_dev", setsockopt(u4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, 12));
    m.imr_ifindex = 0;
    T("group.no_route", setsockopt(u4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, 12));
    inet_pton(AF_INET, "127.0.0.1", &m.imr_address);
    T("group.by_addr", setsockopt(u4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, 8));
    inet_pton(AF_INET, "10.1.2.3", &m.imr_multiaddr);
    T("group.unicast", setsockopt(u4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, 8));
    inet_pton(AF_INET, "127.0.0.1", &a);
    T("group.if", setsockopt(u4, IPPROTO_IP, IP_MULTICAST_IF, &a, 4));
    socklen_t n = 4;
    memset(&a, 0, 4);
    T("group.if_get", getsockopt(u4, IPPROTO_IP, IP_MULTICAST_IF, &a, &n));
    t_say("group.if_value", "%#x", ntohl(a.s_addr));
    inet_pton(AF_INET, "192.0.2.1", &a);
    T("group.if_bad", setsockopt(u4, IPPROTO_IP, IP_MULTICAST_IF, &a, 4));
    struct ipv6_mreq m6 = {.ipv6mr_interface = 1};
    inet_pton(AF_INET6, "ff02::1234", &m6.ipv6mr_multiaddr);
    T("group.join6", setsockopt(u6, IPPROTO_IPV6, 20, &m6, sizeof(m6)));
    T("group.again6", setsockopt(u6, IPPROTO_IPV6, 20, &m6, sizeof(m6)));
    T("group.leave6", setsockopt(u6, IPPROTO_IPV6, 21, &m6, sizeof(m6)));
    T("group.gone6", setsockopt(u6, IPPROTO_IPV6, 21, &m6, sizeof(m6)));
    int one = 1, bad = 99;
    T("group.if6", setsockopt(u6, IPPROTO_IPV6, IPV6_MULTICAST_IF, &one, 4));
    T("group.if6_bad",
      setsockopt(u6, IPPROTO_IPV6, IPV6_MULTICAST_IF, &bad, 4));
}

/* A multicast datagram through lo, and what comes with it. */
static void say_control(const char *label, int fd)
{
    char data[64], control[256];
    struct iovec v = {data, sizeof(data)};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    t_arrives(fd, POLLIN);
    ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
    if (n < 0) {
        t_value(label, n);
        return;
    }
    t_say(label, "%ld bytes, flags %#x", (long)n, (unsigned)m.msg_flags);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        char hex[128] = "";
        size_t size = c->cmsg_len - CMSG_LEN(0);
        for (size_t i = 0; i < size && i < 32; i++)
            (void)snprintf(hex + 2 * i, 3, "%02x", CMSG_DATA(c)[i]);
        t_say(label, "level %d type %d len %d %s", c->cmsg_level, c->cmsg_type,
              (int)c->cmsg_len, hex);
    }
}

/* Time for another one to come. */
static void say_once(const char *label, int fd)
{
    char c;
    t_sleep_ms(20);
    T(label, recv(fd, &c, 1, MSG_DONTWAIT));
}

static void controls(void)
{
    int rx = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(6001)};
    struct ip_mreqn m = {.imr_ifindex = 1};
    bind(rx, (void *)&a, sizeof(a));
    inet_pton(AF_INET, "239.1.2.3", &m.imr_multiaddr);
    setsockopt(rx, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m));
    setsockopt(rx, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
    setsockopt(rx, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
    setsockopt(rx, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
    setsockopt(rx, IPPROTO_IP, 20, &on, sizeof(on));
    int tx = socket(AF_INET, SOCK_DGRAM, 0), ttl = 7, tos = 0x10;
    inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
    setsockopt(tx, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
    setsockopt(tx, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
    T("control.send", sendto(tx, "abc", 3, 0, (void *)&a, sizeof(a)));
    say_control("control.unicast", rx);
    a.sin_addr = m.imr_multiaddr;
    T("control.no_route", sendto(tx, "abc", 3, 0, (void *)&a, sizeof(a)));
    struct ip_mreqn via = {.imr_ifindex = 1};
    inet_pton(AF_INET, "127.0.0.1", &via.imr_address);
    T("control.via",
      setsockopt(tx, IPPROTO_IP, IP_MULTICAST_IF, &via, sizeof(via)));
    T("control.group", sendto(tx, "group", 5, 0, (void *)&a, sizeof(a)));
    say_control("control.group_recv", rx);
    int off = 0;
    setsockopt(tx, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof(off));
    struct sockaddr_in b = {.sin_family = AF_INET, .sin_port = htons(6001)};
    inet_pton(AF_INET, "255.255.255.255", &b.sin_addr);
    T("control.broadcast", sendto(tx, "x", 1, 0, (void *)&b, sizeof(b)));
    inet_pton(AF_INET, "127.255.255.255", &b.sin_addr);
    T("control.broadcast_lo", sendto(tx, "x", 1, 0, (void *)&b, sizeof(b)));
    /* Control messages that go out. */
    char buf[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(4)] = {0};
    struct iovec v = {buf, 2};
    inet_pton(AF_INET, "127.0.0.1", &b.sin_addr);
    struct msghdr h = {.msg_name = &b,
                       .msg_namelen = sizeof(b),
                       .msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = buf,
                       .msg_controllen = sizeof(buf)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    struct in_pktinfo pi = {.ipi_ifindex = 1};
    inet_pton(AF_INET, "127.0.0.9", &pi.ipi_spec_dst);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(pi));
    memcpy(CMSG_DATA(c), &pi, sizeof(pi));
    c = CMSG_NXTHDR(&h, c);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_TTL;
    c->cmsg_len = CMSG_LEN(4);
    ttl = 33;
    memcpy(CMSG_DATA(c), &ttl, 4);
    T("control.sendmsg", sendmsg(tx, &h, 0));
    say_control("control.sendmsg_recv", rx);
    ttl = 0;
    memcpy(CMSG_DATA(c), &ttl, 4);
    T("control.bad_ttl", sendmsg(tx, &h, 0));
    c->cmsg_type = 99;
    T("control.bad_type", sendmsg(tx, &h, 0));
    c->cmsg_level = 99;
    T("control.other_level", sendmsg(tx, &h, 0));
    say_control("control.other_recv", rx);
    close(rx);
    close(tx);
}

/* A hop limit of 0 is meant, and is not the default. */
static void no_hops(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(6003)};
    struct sockaddr_in6 b = {.sin6_family = AF_INET6, .sin6_port = htons(6004)};
    struct ip_mreqn m = {.imr_ifindex = 1};
    int rx = socket(AF_INET, SOCK_DGRAM, 0), on = 1, zero = 0;
    int tx = socket(AF_INET, SOCK_DGRAM, 0);
    int rx6 = socket(AF_INET6, SOCK_DGRAM, 0);
    int tx6 = socket(AF_INET6, SOCK_DGRAM, 0);
    bind(rx, (void *)&a, sizeof(a));
    bind(rx6, (void *)&b, sizeof(b));
    inet_pton(AF_INET, "239.1.2.4", &m.imr_multiaddr);
    setsockopt(rx, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m));
    setsockopt(rx, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
    setsockopt(rx6, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on));
    setsockopt(tx, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof(m));
    T("zero.ttl", setsockopt(tx, IPPROTO_IP, IP_MULTICAST_TTL, &zero, 4));
    a.sin_addr = m.imr_multiaddr;
    T("zero.group", sendto(tx, "a", 1, 0, (void *)&a, sizeof(a)));
    say_control("zero.group_recv", rx);
    say_once("zero.group_once", rx);
    b.sin6_addr = in6addr_loopback;
    T("zero.default", sendto(tx6, "abc", 3, 0, (void *)&b, sizeof(b)));
    say_control("zero.default_recv", rx6);
    T("zero.uhops", setsockopt(tx6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &zero, 4));
    T("zero.host", sendto(tx6, "abcd", 4, 0, (void *)&b, sizeof(b)));
    say_control("zero.host_recv", rx6);
    close(rx), close(tx), close(rx6), close(tx6);
}

static void segments(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(6009)};
    char data[1000], got[2000];
    int rx = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = 400;
    int tx = socket(AF_INET, SOCK_DGRAM, 0);
    inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
    bind(rx, (void *)&a, sizeof(a));
    for (int i = 0; i < 1000; i++)
        data[i] = (char)i;
    T("gso.set", setsockopt(tx, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)));
    T("gso.send", sendto(tx, data, 1000, 0, (void *)&a, sizeof(a)));
    for (int i = 0; i < 4; i++) {
        if (i < 3)
            t_arrives(rx, POLLIN);
        ssize_t n = recv(rx, got, sizeof(got), 0);
        T("gso.recv", n);
        if (n > 0)
            YES("gso.same", memcmp(got, data + 400 * i, (size_t)n) == 0);
    }
    close(rx);
    close(tx);
}

static void devices(void)
{
    struct ifreq q = {.ifr_name = "lo"};
    T("dev.index", ioctl(u4, SIOCGIFINDEX, &q));
    t_say("dev.index_value", "%d", q.ifr_ifindex);
    T("dev.flags", ioctl(u4, SIOCGIFFLAGS, &q));
    t_say("dev.flags_value", "%#x", (unsigned)q.ifr_flags);
    T("dev.mtu", ioctl(u4, SIOCGIFMTU, &q));
    t_say("dev.mtu_value", "%d", q.ifr_mtu);
    T("dev.addr", ioctl(u4, SIOCGIFADDR, &q));
    struct sockaddr_in *in = (void *)&q.ifr_addr;
    t_say("dev.addr_value", "%#x %d", ntohl(in->sin_addr.s_addr),
          in->sin_family);
    T("dev.mask", ioctl(u4, SIOCGIFNETMASK, &q));
    t_say("dev.mask_value", "%#x", ntohl(in->sin_addr.s_addr));
    T("dev.hw", ioctl(u4, SIOCGIFHWADDR, &q));
    t_say("dev.hw_value", "%d", q.ifr_hwaddr.sa_family);
    T("dev.metric", ioctl(u4, SIOCGIFMETRIC, &q));
    t_say("dev.metric_value", "%d", q.ifr_metric);
    T("dev.qlen", ioctl(u4, SIOCGIFTXQLEN, &q));
    t_say("dev.qlen_value", "%d", q.ifr_qlen);
    q.ifr_ifindex = 1;
    T("dev.name", ioctl(u4, SIOCGIFNAME, &q));
    t_say("dev.name_value", "%s", q.ifr_name);
    q.ifr_ifindex = 77;
    T("dev.no_name", ioctl(u4, SIOCGIFNAME, &q));
    strcpy(q.ifr_name, "nope");
    T("dev.none", ioctl(u4, SIOCGIFFLAGS, &q));
    struct ifreq all[4];
    struct ifconf c = {.ifc_len = 0};
    T("dev.conf_size", ioctl(u4, SIOCGIFCONF, &c));
    t_say("dev.conf_size_value", "%d", c.ifc_len);
    c.ifc_len = sizeof(all);
    c.ifc_req = all;
    T("dev.conf", ioctl(u4, SIOCGIFCONF, &c));
    t_say("dev.conf_value", "%d %s", c.ifc_len, all[0].ifr_name);
    T("dev.unknown", ioctl(u4, 0x8999, &q));
    T("dev.fault", ioctl(u4, SIOCGIFFLAGS, BAD_PTR));
    int pipes[2];
    if (pipe(pipes) == 0)
        T("dev.no_socket", ioctl(pipes[0], SIOCGIFFLAGS, &q));
}

int main(void)
{
    t_program = "ipopt";
    u4 = socket(AF_INET, SOCK_DGRAM, 0);
    u6 = socket(AF_INET6, SOCK_DGRAM, 0);
    each(IPPROTO_IP, 50, "ip", u4);
    numbers();
    levels();
    members();
    controls();
    no_hops();
    segments();
    devices();
    return 0;
}
