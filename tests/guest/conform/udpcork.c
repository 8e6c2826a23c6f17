// SPDX-License-Identifier: Apache-2.0
/* A datagram in pieces: UDP_CORK of udp(7), MSG_MORE of send(2), SPLICE_F_MORE,
 * of both families. In a network namespace of its own with lo up. */
#include <netinet/udp.h>

#include "tests/guest/conform/t_inet.h"

static char bytes[70000];
static const char *family;

static char *name(const char *what)
{
    static char text[64];
    (void)snprintf(text, sizeof(text), "%s.%s", family, what);
    return text;
}

/* What has arrived: the size and the ends of each datagram. */
static void arrived(const char *what, int fd)
{
    static char in[70000];
    char text[400] = "";
    size_t at = 0;
    for (int i = 0; i < 8; i++) {
        ssize_t n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
        if (n < 0)
            break;
        at += (size_t)snprintf(text + at, sizeof(text) - at, " %zd:%.*s", n,
                               n > 12 ? 4 : (int)n, in);
        if (n > 12)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "..%.4s",
                                   in + n - 4);
    }
    t_say(name(what), "%s", text[0] != '\0' ? text + 1 : "-");
}

static socklen_t loopback(int af, int port, struct sockaddr_in6 *a)
{
    struct sockaddr_in *a4 = (void *)a;
    memset(a, 0, sizeof(*a));
    a->sin6_family = (sa_family_t)af;
    a->sin6_port = htons((uint16_t)port);
    if (af == AF_INET6)
        a->sin6_addr = in6addr_loopback;
    else
        a4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return af == AF_INET6 ? sizeof(*a) : sizeof(*a4);
}

static int receiver(int af, int port)
{
    struct sockaddr_in6 a;
    socklen_t n = loopback(af, port, &a);
    int size = 1 << 20;
    int fd = socket(af, SOCK_DGRAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (bind(fd, (void *)&a, n) < 0)
        t_say("bind", "%s", t_errno(errno));
    return fd;
}

static long cork(int fd, int v)
{
    return setsockopt(fd, IPPROTO_UDP, UDP_CORK, &v, sizeof(v));
}

static void say_cork(const char *what, int fd)
{
    int v = 77;
    socklen_t n = sizeof(v);
    getsockopt(fd, IPPROTO_UDP, UDP_CORK, &v, &n);
    t_say(name(what), "%d", v);
}

static void more(int s, int r)
{
    T(name("more.a"), send(s, "abc", 3, MSG_MORE));
    arrived("more.none", r);
    T(name("more.b"), send(s, "de", 2, MSG_MORE));
    T(name("more.c"), send(s, "f", 1, 0));
    arrived("more.all", r);
    T(name("more.zero"), send(s, "", 0, MSG_MORE));
    arrived("more.zero_none", r);
    T(name("more.zero_end"), send(s, "", 0, 0));
    arrived("more.empty", r);
    struct iovec v[2] = {{"one", 3}, {"two", 3}};
    struct msghdr h = {.msg_iov = v, .msg_iovlen = 2};
    T(name("more.msg"), sendmsg(s, &h, MSG_MORE));
    T(name("more.write"), write(s, "!", 1));
    arrived("more.msg_all", r);
    struct mmsghdr m[3] = {{.msg_hdr = h}, {.msg_hdr = h}, {.msg_hdr = h}};
    T(name("more.mmsg"), sendmmsg(s, m, 3, MSG_MORE));
    arrived("more.mmsg_none", r);
    T(name("more.mmsg_end"), send(s, ".", 1, 0));
    arrived("more.mmsg_all", r);
}

static void corks(int s, int r)
{
    say_cork("cork.first", s);
    T(name("cork.on"), cork(s, 5));
    say_cork("cork.is", s);
    T(name("cork.a"), send(s, "abc", 3, 0));
    T(name("cork.b"), send(s, "de", 2, MSG_MORE));
    arrived("cork.none", r);
    T(name("cork.off"), cork(s, 0));
    arrived("cork.all", r);
    say_cork("cork.was", s);
    T(name("cork.off_nothing"), cork(s, 0));
    T(name("cork.on2"), cork(s, 1));
    T(name("cork.off2"), cork(s, 0));
    arrived("cork.nothing", r);
    T(name("cork.more"), send(s, "xy", 2, MSG_MORE));
    T(name("cork.off_more"), cork(s, 0)); /* sends what MSG_MORE held, too */
    arrived("cork.more_all", r);
    cork(s, 1);
    T(name("cork.again"), send(s, "1", 1, 0));
    cork(s, 1);
    arrived("cork.on_on", r);
    T(name("cork.last"), send(s, "2", 1, 0));
    cork(s, 0);
    arrived("cork.two", r);
    struct iovec v = {bytes, 30};
    for (int i = 0; i < 200; i++)
        if (send(s, v.iov_base, 30, MSG_MORE) != 30)
            t_say(name("cork.many"), "%d %s", i, t_errno(errno));
    send(s, "", 0, 0);
    arrived("cork.many_all", r);
}

static void limits(int af, int s, int r)
{
    size_t most = af == AF_INET6 ? 65527 : 65507;
    T(name("big.first"), send(s, bytes, most - 10, MSG_MORE));
    T(name("big.fits"), send(s, bytes, 10, 0));
    arrived("big.all", r);
    T(name("big.a"), send(s, bytes, most - 10, MSG_MORE));
    T(name("big.over"), send(s, bytes, 11, 0));
    arrived("big.gone", r);
    T(name("big.after"), send(s, "new", 3, 0));
    arrived("big.after_all", r);
    T(name("big.held"), send(s, "held", 4, MSG_MORE));
    T(name("big.huge"), send(s, bytes, 65536, MSG_MORE));
    T(name("big.huge_end"), send(s, "x", 1, 0));
    arrived("big.huge_all", r);
    T(name("big.once"), send(s, bytes, most + 1, MSG_MORE));
    T(name("big.once_end"), send(s, "x", 1, 0));
    arrived("big.once_all", r);
}

static void errors(int af, int s, int r)
{
    struct sockaddr_in6 a;
    socklen_t n = loopback(af, 6099, &a);
    int other = receiver(af, 6099);
    T(name("err.held"), send(s, "held", 4, MSG_MORE));
    T(name("err.fault"), send(s, BAD_PTR, 4, MSG_MORE));
    T(name("err.fault_end"), send(s, "x", 1, 0));
    arrived("err.fault_all", r);
    T(name("err.oob_held"), send(s, "held", 4, MSG_MORE));
    T(name("err.oob"), send(s, "y", 1, MSG_OOB));
    T(name("err.oob_end"), send(s, "x", 1, 0));
    arrived("err.oob_all", r);
    T(name("err.oob_plain"), send(s, "p", 1, MSG_OOB));
    arrived("err.oob_plain_all", r);
    /* Where to is what the first one says. */
    T(name("err.to_held"), sendto(s, "to", 2, MSG_MORE, (void *)&a, n));
    T(name("err.to_end"), send(s, "?", 1, 0));
    arrived("err.to_connected", r);
    arrived("err.to_other", other);
    T(name("err.other_held"), send(s, "a", 1, MSG_MORE));
    T(name("err.other_end"), sendto(s, "b", 1, 0, (void *)&a, n));
    arrived("err.other_connected", r);
    arrived("err.other_other", other);
    int u = socket(af, SOCK_DGRAM, 0);
    T(name("err.nowhere"), send(u, "a", 1, MSG_MORE));
    T(name("err.to"), sendto(u, "a", 1, MSG_MORE, (void *)&a, n));
    T(name("err.no_to"), send(u, "b", 1, MSG_MORE));
    T(name("err.to_nobody"), sendto(u, "c", 1, 0, (void *)&a, n));
    arrived("err.unconnected", other);
    T(name("err.dropped"), sendto(u, "a", 1, MSG_MORE, (void *)&a, n));
    close(u);
    arrived("err.closed", other);
    a.sin6_port = 0;
    T(name("err.port0"), sendto(s, "a", 1, MSG_MORE, (void *)&a, n));
    close(other);
}

/* A datagram that must not be cut. */
static void whole(int af, int s, int r)
{
    int mode = IP_PMTUDISC_DO;
    int level = af == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    int option = af == AF_INET ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER;
    setsockopt(s, level, option, &mode, sizeof(mode));
    T(name("whole.a"), send(s, bytes, 60000, MSG_MORE));
    T(name("whole.b"), send(s, "x", 1, 0));
    arrived("whole.all", r);
    mode = IP_PMTUDISC_WANT;
    setsockopt(s, level, option, &mode, sizeof(mode));
}

static void spliced(int s, int r)
{
    int p[2];
    pipe(p);
    write(p[1], "pipe", 4);
    T(name("splice.more"), splice(p[0], NULL, s, NULL, 4, SPLICE_F_MORE));
    arrived("splice.none", r);
    T(name("splice.end"), send(s, "!", 1, 0));
    arrived("splice.all", r);
    write(p[1], bytes, 10000);
    T(name("splice.long"), splice(p[0], NULL, s, NULL, 10000, 0));
    arrived("splice.long_all", r);
    close(p[0]);
    close(p[1]);
}

/* Cut into segments at its end: UDP_SEGMENT. */
static void segments(int s, int r)
{
    int v = 4;
    setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &v, sizeof(v));
    T(name("segment.a"), send(s, "aaaab", 5, MSG_MORE));
    T(name("segment.b"), send(s, "bbbcc", 5, 0));
    arrived("segment.all", r);
    v = 0;
    setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &v, sizeof(v));
}

static void all_of(int af, int port)
{
    struct sockaddr_in6 a;
    socklen_t n = loopback(af, port, &a);
    int r = receiver(af, port);
    int s = socket(af, SOCK_DGRAM, 0);
    family = af == AF_INET ? "v4" : "v6";
    connect(s, (void *)&a, n);
    more(s, r);
    corks(s, r);
    limits(af, s, r);
    errors(af, s, r);
    whole(af, s, r);
    spliced(s, r);
    segments(s, r);
    T(name("shut"), shutdown(s, SHUT_WR));
    T(name("shut_send"), send(s, "a", 1, MSG_MORE));
    close(s);
    close(r);
}

/* An IPv6 socket that has begun with one family goes on with it. */
static void mixed(void)
{
    struct sockaddr_in6 six;
    struct sockaddr_in6 four;
    int r4 = receiver(AF_INET, 6077);
    int r6 = receiver(AF_INET6, 6077);
    int s = socket(AF_INET6, SOCK_DGRAM, 0);
    family = "mixed";
    loopback(AF_INET6, 6077, &six);
    loopback(AF_INET6, 6077, &four);
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &four.sin6_addr);
    T(name("six"), sendto(s, "a", 1, MSG_MORE, (void *)&six, sizeof(six)));
    T(name("four"), sendto(s, "b", 1, 0, (void *)&four, sizeof(four)));
    T(name("none"), send(s, "c", 1, 0));
    arrived("at6", r6);
    arrived("at4", r4);
    T(name("four2"), sendto(s, "a", 1, MSG_MORE, (void *)&four, sizeof(four)));
    T(name("six2"), sendto(s, "b", 1, 0, (void *)&six, sizeof(six)));
    arrived("at6_2", r6);
    arrived("at4_2", r4);
}

int main(void)
{
    t_program = "udpcork";
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)('a' + i % 26);
    all_of(AF_INET, 6000);
    all_of(AF_INET6, 6001);
    mixed();
    return 0;
}
