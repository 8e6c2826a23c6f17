// SPDX-License-Identifier: Apache-2.0
/* rtnetlink(7) and what libraries make of it: getifaddrs(3), if_nameindex(3).
 * In a network namespace of its own with lo up. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/guest/conform/t.h"

static int nl;
static unsigned seq;

static struct {
    struct nlmsghdr h;
    char body[512];
} req;

static void begin(int type, int flags, const void *body, size_t n)
{
    memset(&req, 0, sizeof(req));
    req.h.nlmsg_len = (unsigned)NLMSG_LENGTH(n);
    req.h.nlmsg_type = (unsigned short)type;
    req.h.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags);
    req.h.nlmsg_seq = ++seq;
    memcpy(req.body, body, n);
}

static void attr(int type, const void *data, size_t n)
{
    struct rtattr *a = (void *)((char *)&req + NLMSG_ALIGN(req.h.nlmsg_len));
    a->rta_type = (unsigned short)type;
    a->rta_len = (unsigned short)RTA_LENGTH(n);
    memcpy(RTA_DATA(a), data, n);
    req.h.nlmsg_len =
        (unsigned)(NLMSG_ALIGN(req.h.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

static long transmit(void)
{
    struct sockaddr_nl to = {.nl_family = AF_NETLINK};
    return sendto(nl, &req, req.h.nlmsg_len, 0, (void *)&to, sizeof(to));
}

/* The answer to a request that only succeeds or fails. */
static void ack(const char *label)
{
    char buf[8192];
    transmit();
    ssize_t n = recv(nl, buf, sizeof(buf), MSG_DONTWAIT);
    struct nlmsghdr *h = (void *)buf;
    if (n < 0) {
        t_value(label, n);
        return;
    }
    if (h->nlmsg_type != NLMSG_ERROR) {
        t_say(label, "type %d", h->nlmsg_type);
        return;
    }
    struct nlmsgerr *e = NLMSG_DATA(h);
    t_say(label, "%s seq %d same %d", e->error ? t_errno(-e->error) : "ok",
          h->nlmsg_seq == seq, e->msg.nlmsg_seq == seq);
}

static void hex(char *to, const void *data, size_t n)
{
    for (size_t i = 0; i < n && i < 16; i++)
        (void)snprintf(to + 2 * i, 3, "%02x", ((const uint8_t *)data)[i]);
}

static void say_attrs(const char *label, struct rtattr *a, int n, uint64_t want)
{
    for (; RTA_OK(a, n); a = RTA_NEXT(a, n)) {
        int type = a->rta_type & 0x3fff;
        char text[64] = "";
        if (type > 63 || (want >> type & 1) == 0)
            continue;
        hex(text, RTA_DATA(a), RTA_PAYLOAD(a));
        t_say(label, "attr %d len %d %s", type, (int)RTA_PAYLOAD(a), text);
    }
}

/* All messages of a dump: what is known of each, attributes in `want`. */
static void dump(const char *label, int type, int family, uint64_t want)
{
    static char buf[65536];
    struct ifinfomsg any = {.ifi_family = (unsigned char)family};
    bool done = false;
    begin(type, NLM_F_DUMP, &any, sizeof(any));
    T(label, transmit() > 0);
    while (!done) {
        ssize_t n = recv(nl, buf, sizeof(buf), MSG_DONTWAIT);
        if (n < 0) {
            t_value(label, n);
            return;
        }
        for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, (size_t)n);
             h = NLMSG_NEXT(h, n)) {
            if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
                t_say(label, "end type %d len %u multi %d", h->nlmsg_type,
                      h->nlmsg_len, (h->nlmsg_flags & NLM_F_MULTI) != 0);
                done = true;
                break;
            }
            size_t head = type == RTM_GETLINK    ? sizeof(struct ifinfomsg)
                          : type == RTM_GETADDR  ? sizeof(struct ifaddrmsg)
                          : type == RTM_GETROUTE ? sizeof(struct rtmsg)
                                                 : sizeof(struct ndmsg);
            char text[64] = "";
            struct rtmsg *rt = NLMSG_DATA(h);
            if (type == RTM_GETROUTE && rt->rtm_table != RT_TABLE_MAIN)
                continue; /* of the local table nothing is told */
            if (type == RTM_GETNEIGH)
                continue; /* Linux has some at lo, of what ran before */
            hex(text, NLMSG_DATA(h), head);
            t_say(label, "type %d multi %d %s", h->nlmsg_type,
                  (h->nlmsg_flags & NLM_F_MULTI) != 0, text);
            say_attrs(label, (void *)((char *)NLMSG_DATA(h) + head),
                      (int)(h->nlmsg_len - NLMSG_HDRLEN - head), want);
        }
    }
}

static uint64_t bit(int n)
{
    return 1ull << n;
}

static void dumps(void)
{
    dump("link", RTM_GETLINK, AF_UNSPEC,
         bit(IFLA_IFNAME) | bit(IFLA_MTU) | bit(IFLA_ADDRESS) |
             bit(IFLA_BROADCAST) | bit(IFLA_OPERSTATE) | bit(IFLA_TXQLEN) |
             bit(IFLA_CARRIER));
    uint64_t addr = bit(IFA_ADDRESS) | bit(IFA_LOCAL) | bit(IFA_LABEL) |
                    bit(IFA_BROADCAST) | bit(IFA_FLAGS);
    dump("addr4", RTM_GETADDR, AF_INET, addr);
    dump("addr6", RTM_GETADDR, AF_INET6, addr);
    uint64_t route = bit(RTA_DST) | bit(RTA_OIF) | bit(RTA_GATEWAY) |
                     bit(RTA_PREFSRC) | bit(RTA_PRIORITY) | bit(RTA_TABLE);
    dump("route4", RTM_GETROUTE, AF_INET, route);
    dump("neigh4", RTM_GETNEIGH, AF_INET, bit(NDA_DST));
}

static void change_addr(const char *label, int type, int flags,
                        const char *text, int bits)
{
    struct ifaddrmsg m = {.ifa_family = AF_INET,
                          .ifa_prefixlen = (unsigned char)bits,
                          .ifa_index = 1};
    struct in_addr a;
    inet_pton(AF_INET, text, &a);
    begin(type, flags | NLM_F_ACK, &m, sizeof(m));
    attr(IFA_LOCAL, &a, 4);
    attr(IFA_ADDRESS, &a, 4);
    ack(label);
}

static void change_route(const char *label, int type, int flags,
                         const char *dst, int bits, const char *via)
{
    struct rtmsg m = {.rtm_family = AF_INET,
                      .rtm_dst_len = (unsigned char)bits,
                      .rtm_table = RT_TABLE_MAIN,
                      .rtm_protocol = RTPROT_BOOT,
                      .rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
                      .rtm_type = RTN_UNICAST};
    struct in_addr a;
    int one = 1;
    begin(type, flags | NLM_F_ACK, &m, sizeof(m));
    inet_pton(AF_INET, dst, &a);
    if (bits)
        attr(RTA_DST, &a, 4);
    if (via) {
        inet_pton(AF_INET, via, &a);
        attr(RTA_GATEWAY, &a, 4);
    } else {
        attr(RTA_OIF, &one, 4);
    }
    ack(label);
}

static void changes(void)
{
    change_addr("set.addr", RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, "10.9.8.7",
                24);
    change_addr("set.addr_again", RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL,
                "10.9.8.7", 24);
    change_addr("set.addr_bits", RTM_NEWADDR, NLM_F_CREATE, "10.9.7.1", 33);
    int add = NLM_F_CREATE | NLM_F_EXCL;
    change_route("set.route_dev", RTM_NEWROUTE, add, "10.77.0.0", 16, NULL);
    change_route("set.route_again", RTM_NEWROUTE, add, "10.77.0.0", 16, NULL);
    change_route("set.route_far", RTM_NEWROUTE, add, "10.78.0.0", 16,
                 "192.0.2.1");
    change_route("set.route_del", RTM_DELROUTE, 0, "10.77.0.0", 16, NULL);
    change_route("set.route_gone", RTM_DELROUTE, 0, "10.77.0.0", 16, NULL);
    change_addr("set.addr_del", RTM_DELADDR, 0, "10.9.8.7", 24);
    change_addr("set.addr_gone", RTM_DELADDR, 0, "10.9.8.7", 24);
    struct ifinfomsg m = {.ifi_index = 99};
    begin(RTM_NEWLINK, NLM_F_ACK, &m, sizeof(m));
    ack("set.link_none");
    begin(RTM_GETLINK, 0, &m, sizeof(m));
    ack("set.get_none");
    m.ifi_index = 1;
    begin(RTM_GETLINK, 0, &m, sizeof(m));
    ack("set.get_lo");
    begin(RTM_NEWADDR, NLM_F_ACK, &m, 2);
    ack("set.short");
    begin(1, NLM_F_ACK, &m, 0);
    ack("set.noop");
}

static void sockets(void)
{
    struct sockaddr_nl a = {.nl_family = AF_NETLINK};
    socklen_t n = sizeof(a);
    OK("sock.raw", socket(AF_NETLINK, SOCK_RAW, 0));
    T("sock.stream", socket(AF_NETLINK, SOCK_STREAM, 0));
    T("sock.protocol", socket(AF_NETLINK, SOCK_RAW, 77));
    T("sock.short", bind(nl, (void *)&a, 8));
    T("sock.bind", bind(nl, (void *)&a, sizeof(a)));
    T("sock.name", getsockname(nl, (void *)&a, &n));
    YES("sock.pid", a.nl_pid == (unsigned)getpid());
    t_say("sock.size", "%d family %d groups %u", (int)n, a.nl_family,
          a.nl_groups);
    char c;
    T("sock.empty", recv(nl, &c, 1, MSG_DONTWAIT));
    T("sock.listen", listen(nl, 1));
    T("sock.shutdown", shutdown(nl, 2));
    struct ifinfomsg any = {0};
    begin(RTM_GETLINK, NLM_F_DUMP, &any, sizeof(any));
    T("sock.send", transmit());
    struct pollfd p = {.fd = nl, .events = POLLIN | POLLOUT};
    T("sock.poll", poll(&p, 1, 1000));
    YES("sock.readable", p.revents & POLLIN);
    YES("sock.peek", recv(nl, &c, 0, MSG_PEEK | MSG_TRUNC) > 100);
    YES("sock.cut", recv(nl, &c, 1, MSG_TRUNC) > 100);
    char rest[8192];
    while (recv(nl, rest, sizeof(rest), MSG_DONTWAIT) > 0)
        ;
}

static void libraries(void)
{
    struct ifaddrs *list = NULL;
    struct if_nameindex *names = if_nameindex();
    T("lib.getifaddrs", getifaddrs(&list));
    for (struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
        char text[64] = "-";
        int family = i->ifa_addr ? i->ifa_addr->sa_family : -1;
        if (family == AF_INET)
            inet_ntop(AF_INET, &((struct sockaddr_in *)i->ifa_addr)->sin_addr,
                      text, sizeof(text));
        else if (family == AF_INET6)
            inet_ntop(AF_INET6,
                      &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr, text,
                      sizeof(text));
        t_say("lib.ifaddr", "%s family %d %s flags %#x", i->ifa_name, family,
              text, i->ifa_flags & 0xffff);
    }
    freeifaddrs(list);
    for (struct if_nameindex *i = names; i && i->if_index; i++)
        t_say("lib.name", "%u %s", i->if_index, i->if_name);
    t_say("lib.index", "%u", if_nametoindex("lo"));
}

int main(void)
{
    t_program = "rtnl";
    nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    sockets();
    dumps();
    changes();
    libraries();
    return 0;
}
