// SPDX-License-Identifier: Apache-2.0
/* Options of TCP sockets, tcp(7) and socket(7); TCP_INFO; /proc/net/tcp;
 * sendfile and splice. In a network namespace of its own with lo up. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "tests/guest/conform/t_inet.h"

static int get_int(int fd, int level, int name)
{
    int v = -12345;
    socklen_t n = sizeof(v);
    return getsockopt(fd, level, name, &v, &n) < 0 ? -errno : v;
}

static long set_int(int fd, int level, int name, int v)
{
    return setsockopt(fd, level, name, &v, sizeof(v));
}

static void close_pair(int s[2])
{
    close(s[0]);
    close(s[1]);
}

/* --- values that are taken, and those that are not --- */

static const struct option {
    const char *name;
    int level, number;
} options[] = {
    {"nodelay", IPPROTO_TCP, TCP_NODELAY},
    {"cork", IPPROTO_TCP, TCP_CORK},
    {"keepidle", IPPROTO_TCP, TCP_KEEPIDLE},
    {"keepintvl", IPPROTO_TCP, TCP_KEEPINTVL},
    {"keepcnt", IPPROTO_TCP, TCP_KEEPCNT},
    {"syncnt", IPPROTO_TCP, TCP_SYNCNT},
    {"linger2", IPPROTO_TCP, TCP_LINGER2},
    {"defer", IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {"user_timeout", IPPROTO_TCP, TCP_USER_TIMEOUT},
    {"maxseg", IPPROTO_TCP, TCP_MAXSEG},
    {"notsent", IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {"quickack", IPPROTO_TCP, TCP_QUICKACK},
    {"keepalive", SOL_SOCKET, SO_KEEPALIVE},
    {"reuseaddr", SOL_SOCKET, SO_REUSEADDR},
    {"reuseport", SOL_SOCKET, SO_REUSEPORT},
    {"oobinline", SOL_SOCKET, SO_OOBINLINE},
    {"sndbuf", SOL_SOCKET, SO_SNDBUF},
    {"rcvbuf", SOL_SOCKET, SO_RCVBUF},
    {"rcvlowat", SOL_SOCKET, SO_RCVLOWAT},
    {"nothing", IPPROTO_TCP, 12345},
};

static void test_values(void)
{
    static const int values[] = {0, 1, 2, 5, 100, 200, 32767, 40000, -1};
    char label[64];
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        const struct option *o = &options[i];
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (o->number != TCP_QUICKACK && o->number != SO_SNDBUF &&
            o->number != SO_RCVBUF) {
            snprintf(label, sizeof(label), "get_%s", o->name);
            t_say(label, "%d", get_int(fd, o->level, o->number));
        }
        for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
            if (values[k] < 0 && o->level == SOL_SOCKET)
                continue; /* the host's limits */
            errno = 0;
            long r = set_int(fd, o->level, o->number, values[k]);
            snprintf(label, sizeof(label), "set_%s_%d", o->name, values[k]);
            t_say(label, "%s %d", r < 0 ? t_errno(errno) : "0",
                  get_int(fd, o->level, o->number));
        }
        snprintf(label, sizeof(label), "short_%s", o->name);
        T(label, setsockopt(fd, o->level, o->number, &values[0], 3));
        snprintf(label, sizeof(label), "fault_%s", o->name);
        T(label, setsockopt(fd, o->level, o->number, BAD_PTR, 4));
        close(fd);
    }
}

static void test_congestion(void)
{
    char name[32] = "";
    socklen_t n = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    T("cc_get", getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &n));
    t_say("cc_size", "%d", (int)n);
    T("cc_set", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
    n = sizeof(name);
    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &n);
    t_say("cc_reno", "%s %d", name, (int)n);
    T("cc_bad", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nosuch", 6));
    T("cc_empty", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "", 0));
    n = 3;
    memset(name, 0, sizeof(name));
    T("cc_short", getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &n));
    t_say("cc_short_is", "%.3s %d", name, (int)n);
    close(fd);
}

/* Two ends that talked, all of it acknowledged. False if the host was so slow
 * that something was sent twice. */
static bool talked(int s[2], struct tcp_info *i)
{
    socklen_t n = sizeof(*i);
    t_tcp_pair(s);
    for (int k = 0; k < 3; k++) {
        char b[100] = "";
        send(s[0], b, 100, 0);
        recv(s[1], b, 100, MSG_WAITALL);
        send(s[1], b, 50, 0);
        recv(s[0], b, 50, MSG_WAITALL);
    }
    (void)UNTIL(getsockopt(s[0], IPPROTO_TCP, TCP_INFO, i, &n) == 0 &&
                i->tcpi_unacked == 0);
    (void)UNTIL(getsockopt(s[1], IPPROTO_TCP, TCP_INFO, i, &n) == 0 &&
                i->tcpi_unacked == 0);
    if (i->tcpi_total_retrans != 0)
        return false;
    n = sizeof(*i);
    getsockopt(s[0], IPPROTO_TCP, TCP_INFO, i, &n);
    return i->tcpi_total_retrans == 0;
}

static void test_info(void)
{
    struct tcp_info i = {0};
    struct sockaddr_in a;
    socklen_t n = sizeof(i);
    int s[2], l = t_listener(&a);
    T("info_listen", getsockopt(l, IPPROTO_TCP, TCP_INFO, &i, &n));
    t_say("info_listen_is", "%d %u %u", i.tcpi_state, i.tcpi_unacked,
          i.tcpi_sacked);
    close(l);
    for (int k = 0; k < 100 && !talked(s, &i); k++)
        close_pair(s);
    n = sizeof(i);
    T("info", getsockopt(s[0], IPPROTO_TCP, TCP_INFO, &i, &n));
    YES("info_size", n >= 232);
    t_say("info_state", "%d %d", i.tcpi_state, i.tcpi_ca_state);
    t_say("info_options", "%#x", i.tcpi_options & 7);
    t_say("info_out", "%u %u %u %u %u", i.tcpi_unacked, i.tcpi_sacked,
          i.tcpi_lost, i.tcpi_retrans, i.tcpi_total_retrans);
    YES("info_cwnd", i.tcpi_snd_cwnd >= 10 && i.tcpi_snd_cwnd < 100);
    YES("info_rtt", i.tcpi_rtt > 0 && i.tcpi_rtt < 100000000);
    YES("info_rto", i.tcpi_rto >= 200000 && i.tcpi_rto <= 120000000);
    YES("info_mss", i.tcpi_snd_mss > 10000 && i.tcpi_pmtu == 65535);
    t_say("info_data", "%llu %u %u", (unsigned long long)i.tcpi_bytes_received,
          i.tcpi_data_segs_in, i.tcpi_data_segs_out);
    n = 8;
    T("info_short", getsockopt(s[0], IPPROTO_TCP, TCP_INFO, &i, &n));
    t_say("info_short_n", "%d", (int)n);
    close_pair(s);
}

static struct {
    long set, none, all;
    int outq;
} held;

/* Two small writes, one segment: the reader never sees the first alone. Not
 * for ever (200 ms), and false if this took half of that. */
static bool hold(int flags)
{
    struct timespec a, b;
    char text[16];
    int s[2];
    t_tcp_pair(s);
    clock_gettime(CLOCK_MONOTONIC, &a);
    held.set = set_int(s[0], IPPROTO_TCP, TCP_CORK, flags == 0);
    send(s[0], "abc", 3, flags);
    held.none = recv(s[1], text, 16, MSG_DONTWAIT) < 0 ? -errno : 0;
    ioctl(s[0], TIOCOUTQ, &held.outq);
    send(s[0], "def", 3, 0);
    set_int(s[0], IPPROTO_TCP, TCP_CORK, 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    held.all = recv(s[1], text, 16, 0);
    close_pair(s);
    return (b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec <
           100000000;
}

static void test_cork(void)
{
    int s[2];
    for (int i = 0; i < 100 && !hold(0); i++)
        ;
    T("cork_set", held.set);
    t_say("cork_none", "%s", t_errno((int)-held.none));
    T("cork_all", held.all);
    for (int i = 0; i < 100 && !hold(MSG_MORE); i++)
        ;
    t_say("more_none", "%s", t_errno((int)-held.none));
    t_say("more_outq", "%d", held.outq);
    T("more_all", held.all);
    t_tcp_pair(s);
    send(s[0], "abc", 3, MSG_MORE);
    struct pollfd p = {.fd = s[1], .events = POLLIN};
    T("more_late", poll(&p, 1, 60000));
    close_pair(s);
}

static void test_defer(void)
{
    struct sockaddr_in a;
    int l = t_listener(&a), s = socket(AF_INET, SOCK_STREAM, 0);
    set_int(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, 100);
    fcntl(l, F_SETFL, O_NONBLOCK);
    T("defer_conn", connect(s, (void *)&a, sizeof(a)));
    usleep(50000);
    T("defer_none", accept(l, NULL, NULL));
    send(s, "x", 1, 0);
    struct pollfd p = {.fd = l, .events = POLLIN};
    T("defer_poll", poll(&p, 1, 60000));
    int c = accept(l, NULL, NULL);
    char b[4];
    T("defer_data", recv(c, b, 4, MSG_DONTWAIT));
    close(c), close(s), close(l);
}

/* --- readiness, edge by edge --- */

static void tell(const char *label, int ep, int ms)
{
    struct epoll_event e[4];
    int n = epoll_wait(ep, e, 4, ms);
    t_say(label, "%d %#x", n, n > 0 ? e[0].events : 0);
}

static void say_epoll(const char *label, int ep)
{
    tell(label, ep, 60000);
}

/* Time for a wrong one to come. */
static void say_none(const char *label, int ep)
{
    tell(label, ep, 100);
}

static void test_edges(void)
{
    char b[16];
    int s[2], ep = epoll_create1(0);
    t_tcp_pair(s);
    struct epoll_event e = {.events =
                                EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
    epoll_ctl(ep, EPOLL_CTL_ADD, s[1], &e);
    say_epoll("edge_first", ep);
    say_none("edge_none", ep);
    send(s[0], "ab", 2, 0);
    say_epoll("edge_data", ep);
    say_none("edge_data_none", ep);
    send(s[0], "cd", 2, 0);
    say_epoll("edge_more", ep);
    recv(s[1], b, 1, 0);
    say_none("edge_partly", ep);
    recv(s[1], b, 16, 0);
    shutdown(s[0], SHUT_WR);
    say_epoll("edge_fin", ep);
    say_none("edge_fin_none", ep);
    close(ep);
    close_pair(s);
}

/* --- ends --- */

/* Whom a RST ended before accept(2) is accepted, and named by it alone. */
static void test_reset_child(void)
{
    struct linger now = {.l_onoff = 1};
    struct sockaddr_in at, own = {0}, peer = {0};
    socklen_t n = sizeof(own), size = sizeof(peer);
    int l = t_listener(&at), s = socket(AF_INET, SOCK_STREAM, 0);
    T("reset_connect", connect(s, (void *)&at, sizeof(at)));
    getsockname(s, (void *)&own, &n);
    t_arrives(l, POLLIN);
    setsockopt(s, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(s);
    int c = (int)OK("reset_accept", accept(l, (void *)&peer, &size));
    t_say("reset_peer", "%d %d", (int)size, peer.sin_family);
    YES("reset_port", peer.sin_port == own.sin_port);
    t_arrives(c, POLLERR);
    T("reset_name", getpeername(c, (void *)&peer, &size));
    close(c);
    close(l);
}

/* Keep-alives go on where the program has said all it will. */
static void test_keepalive(void)
{
    struct tcp_info i = {0};
    socklen_t n = sizeof(i);
    int s[2];
    t_tcp_pair(s);
    set_int(s[0], SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(s[0], IPPROTO_TCP, TCP_KEEPIDLE, 1);
    set_int(s[0], IPPROTO_TCP, TCP_KEEPINTVL, 1);
    shutdown(s[0], SHUT_WR);
    YES("keep_half",
        UNTIL(getsockopt(s[0], IPPROTO_TCP, TCP_INFO, &i, &n) == 0 &&
              i.tcpi_state == 5));
    unsigned before = i.tcpi_segs_out;
    YES("keep_asked",
        UNTIL(getsockopt(s[0], IPPROTO_TCP, TCP_INFO, &i, &n) == 0 &&
              i.tcpi_segs_out >= before + 2));
    close_pair(s);
}

/* --- the IP header --- */

/* The next segment that a raw socket for TCP over IPv6 sees. */
static void say_segment(const char *label, int raw)
{
    char b[64], control[256];
    struct iovec v = {b, sizeof(b)};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    int hops = -1, class = -1;
    t_arrives(raw, POLLIN);
    long n = recvmsg(raw, &m, MSG_DONTWAIT);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); n > 13 && c != NULL;
         c = CMSG_NXTHDR(&m, c))
        memcpy(c->cmsg_type == IPV6_HOPLIMIT ? &hops : &class, CMSG_DATA(c), 4);
    t_say(label, "flags %#x hops %d class %#x", n > 13 ? b[13] : 0, hops,
          class);
}

/* IPV6_UNICAST_HOPS and IPV6_TCLASS of both ends. */
static void test_hops(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6,
                             .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t n = sizeof(a);
    int raw = socket(AF_INET6, SOCK_RAW, IPPROTO_TCP);
    int l = socket(AF_INET6, SOCK_STREAM, 0);
    int s = socket(AF_INET6, SOCK_STREAM, 0);
    T("hops_recv", set_int(raw, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1));
    T("class_recv", set_int(raw, IPPROTO_IPV6, IPV6_RECVTCLASS, 1));
    T("hops_set", set_int(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 7));
    T("class_set", set_int(s, IPPROTO_IPV6, IPV6_TCLASS, 0x4b));
    t_say("class_get", "%#x", get_int(s, IPPROTO_IPV6, IPV6_TCLASS));
    set_int(l, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9);
    set_int(l, IPPROTO_IPV6, IPV6_TCLASS, 0x20);
    bind(l, (void *)&a, n);
    listen(l, 1);
    getsockname(l, (void *)&a, &n);
    T("hops_connect", connect(s, (void *)&a, n));
    int c = accept(l, NULL, NULL);
    say_segment("hops_syn", raw);
    say_segment("hops_syn_ack", raw);
    say_segment("hops_ack", raw);
    send(c, "x", 1, 0);
    say_segment("hops_child", raw);
    t_say("hops_child_get", "%d %#x",
          get_int(c, IPPROTO_IPV6, IPV6_UNICAST_HOPS),
          get_int(c, IPPROTO_IPV6, IPV6_TCLASS));
    close(raw), close(l), close(s), close(c);
}

/* IP_MINTTL (RFC 5082): whoever is farther away is not heard. */
static void test_minttl(void)
{
    struct sockaddr_in a, near, peer = {0};
    socklen_t n = sizeof(near), size = sizeof(peer);
    int l = t_listener(&a);
    int far = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    T("minttl_set", set_int(l, IPPROTO_IP, IP_MINTTL, 200));
    T("minttl_far", connect(far, (void *)&a, sizeof(a)));
    set_int(s, IPPROTO_IP, IP_TTL, 255);
    T("minttl_near", connect(s, (void *)&a, sizeof(a)));
    getsockname(s, (void *)&near, &n);
    int c = accept(l, (void *)&peer, &size);
    YES("minttl_peer", near.sin_port == peer.sin_port);
    struct tcp_info i = {0};
    n = sizeof(i);
    getsockopt(far, IPPROTO_TCP, TCP_INFO, &i, &n);
    t_say("minttl_state", "%d", i.tcpi_state);
    t_say("minttl_child", "%d", get_int(c, IPPROTO_IP, IP_MINTTL));
    set_int(s, IPPROTO_IP, IP_TTL, 199);
    send(s, "x", 1, 0);
    t_sleep_ms(20);
    t_recv("minttl_below", c, 8, 0);
    set_int(s, IPPROTO_IP, IP_TTL, 200);
    t_arrives(c, POLLIN);
    t_recv("minttl_at", c, 8, 0);
    close(l), close(far), close(s), close(c);
}

/* --- files --- */

static void test_files(void)
{
    static char big[300000], back[300000];
    int s[2], fd = open("f", O_RDWR | O_CREAT, 0600), p[2];
    off_t at = 0;
    size_t got = 0;
    ssize_t r;
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 7 + (i >> 8));
    write(fd, big, sizeof(big));
    t_tcp_pair(s);
    if (fork() == 0) {
        close(s[1]);
        while (at < (off_t)sizeof(big) &&
               sendfile(s[0], fd, &at, sizeof(big)) > 0)
            ;
        _exit(0);
    }
    close(s[0]);
    while ((r = recv(s[1], back + got, sizeof(back) - got, 0)) > 0)
        got += (size_t)r;
    wait(NULL);
    YES("sendfile", got == sizeof(big) && memcmp(big, back, got) == 0);
    close(s[1]);
    t_tcp_pair(s);
    pipe(p);
    write(p[1], "through a pipe", 14);
    T("splice_out", splice(p[0], NULL, s[0], NULL, 14, 0));
    T("splice_in", splice(s[1], NULL, p[1], NULL, 100, 0));
    T("splice_got", read(p[0], back, 100));
    t_say("splice_is", "%.14s", back);
    struct stat st;
    fstat(s[0], &st);
    t_say("stat", "%#o", st.st_mode);
    T("lseek", lseek(s[0], 0, SEEK_CUR));
    T("pread", pread(s[0], back, 1, 0));
    close_pair(s);
}

/* --- /proc/net/tcp --- */

static void test_proc(void)
{
    char line[512], text[64];
    struct sockaddr_in a;
    int l = t_listener(&a), found = 0;
    FILE *f = fopen("/proc/net/tcp", "r");
    struct stat st;
    fstat(l, &st);
    snprintf(text, sizeof(text), " 0100007F:%04X 00000000:0000 0A ",
             ntohs(a.sin_port));
    fgets(line, sizeof(line), f);
    YES("proc_head", strstr(line, "local_address rem_address") != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        unsigned long inode = 0;
        unsigned uid = 9;
        const char *at = strstr(line, text);
        if (at == NULL)
            continue;
        found++;
        sscanf(at + strlen(text), "%*s %*s %*s %u %*u %lu", &uid, &inode);
        t_say("proc_uid", "%u", uid);
        YES("proc_inode", inode == st.st_ino);
    }
    t_say("proc_listen", "%d", found);
    fclose(f);
    close(l);
}

/* What a socket says when its connection was refused, and after both ends. */
static void test_over(void)
{
    struct sockaddr_in at;
    socklen_t size = sizeof(at);
    int pair[2], fd = socket(AF_INET, SOCK_STREAM, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};

    close(t_listener(&at));
    T("refused", connect(fd, (struct sockaddr *)&at, sizeof(at)));
    T("refused poll", poll(&p, 1, 0));
    t_say("refused events", "%#x", p.revents);
    t_recv("refused recv", fd, 1, 0);
    close(fd);

    t_tcp_pair(pair);
    shutdown(pair[0], SHUT_WR);
    t_recv("end", pair[1], 1, 0);
    close(pair[1]);
    YES("peer's name goes",
        UNTIL(getpeername(pair[0], (struct sockaddr *)&at, &size) < 0));
    T("its own stays", getsockname(pair[0], (struct sockaddr *)&at, &size));
    close(pair[0]);
}

int main(void)
{
    t_begin("tcpopt");
    test_over();
    test_values();
    test_congestion();
    test_info();
    test_cork();
    test_defer();
    test_edges();
    test_reset_child();
    test_keepalive();
    test_hops();
    test_minttl();
    test_files();
    test_proc();
    return 0;
}
