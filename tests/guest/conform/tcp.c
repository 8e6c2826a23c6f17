// SPDX-License-Identifier: Apache-2.0
/* tcp(7) over loopback, both families: connections, data, ends, readiness,
 * errors. In a network namespace of its own with lo up. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/guest/conform/t.h"

union addr {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

static const char *family_name = "4";
static int family = AF_INET;
static char label_text[64];

static const char *L(const char *name)
{
    snprintf(label_text, sizeof(label_text), "%s%s", name, family_name);
    return label_text;
}

static socklen_t loopback(union addr *a, int port)
{
    memset(a, 0, sizeof(*a));
    a->sa.sa_family = (sa_family_t)family;
    if (family == AF_INET) {
        a->in.sin_port = htons((uint16_t)port);
        a->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof(a->in);
    }
    a->in6.sin6_port = htons((uint16_t)port);
    a->in6.sin6_addr = in6addr_loopback;
    return sizeof(a->in6);
}

static int port_of(int fd)
{
    union addr a;
    socklen_t n = sizeof(a);
    if (getsockname(fd, &a.sa, &n) < 0)
        return -1;
    return ntohs(family == AF_INET ? a.in.sin_port : a.in6.sin6_port);
}

static int listener(int backlog)
{
    union addr a;
    socklen_t n = loopback(&a, 0);
    int fd = socket(family, SOCK_STREAM, 0);
    if (bind(fd, &a.sa, n) < 0 || listen(fd, backlog) < 0)
        t_say("listener", "%s", t_errno(errno));
    return fd;
}

static int dial_port(int port, int flags)
{
    union addr a;
    socklen_t n = loopback(&a, port);
    int fd = socket(family, SOCK_STREAM | flags, 0);
    if (connect(fd, &a.sa, n) < 0 && errno != EINPROGRESS) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static void make_pair(int s[2])
{
    int l = listener(1);
    s[0] = dial_port(port_of(l), 0);
    s[1] = accept(l, NULL, NULL);
    close(l);
}

static void close_pair(int s[2])
{
    close(s[0]);
    close(s[1]);
}

/* What poll says once it says `want`. */
static int poll_wait(int fd, int want)
{
    struct pollfd p = {.fd = fd, .events = 0x3fff & ~0x208};
    (void)UNTIL(poll(&p, 1, 0) >= 0 && (p.revents & want) == want);
    return p.revents;
}

static void say_poll(const char *name, int fd, int want)
{
    t_say(L(name), "%#x", (unsigned)poll_wait(fd, want));
}

static int state_of(int fd)
{
    struct tcp_info i = {0};
    socklen_t n = sizeof(i);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &n) < 0)
        return -1;
    return i.tcpi_state;
}

static void say_state(const char *name, int fd, int want)
{
    (void)UNTIL(state_of(fd) == want);
    t_say(L(name), "%d", state_of(fd));
}

static int get_int(int fd, int level, int name)
{
    int v = -12345;
    socklen_t n = sizeof(v);
    return getsockopt(fd, level, name, &v, &n) < 0 ? -errno : v;
}

static int so_error(int fd)
{
    return get_int(fd, SOL_SOCKET, SO_ERROR);
}

/* Until so much can be read. */
static void queued(int fd, int bytes)
{
    int q;
    (void)UNTIL(ioctl(fd, FIONREAD, &q) == 0 && q >= bytes);
}

/* --- */

static void test_fresh(void)
{
    char b[4];
    int fd = socket(family, SOCK_STREAM, 0);
    union addr a;
    socklen_t n = sizeof(a);
    say_poll("fresh_poll", fd, POLLHUP);
    T(L("fresh_recv"), recv(fd, b, 1, MSG_DONTWAIT));
    T(L("fresh_send"), send(fd, b, 1, MSG_NOSIGNAL));
    T(L("fresh_accept"), accept(fd, NULL, NULL));
    T(L("fresh_peer"), getpeername(fd, &a.sa, &n));
    T(L("fresh_shut"), shutdown(fd, SHUT_RDWR));
    T(L("fresh_shut_bad"), shutdown(fd, 3));
    t_say(L("fresh_state"), "%d", state_of(fd));
    t_say(L("fresh_name"), "%d", port_of(fd));
    close(fd);
    T(L("proto"), socket(family, SOCK_STREAM, IPPROTO_UDP));
    fd = socket(family, SOCK_STREAM, 0);
    t_say(L("domain"), "%d %d %d", get_int(fd, SOL_SOCKET, SO_DOMAIN) == family,
          get_int(fd, SOL_SOCKET, SO_TYPE),
          get_int(fd, SOL_SOCKET, SO_PROTOCOL));
    close(fd);
}

static void test_listen(void)
{
    union addr a;
    socklen_t n;
    char b[4];
    int l = listener(2);
    t_say(L("listen_acc"), "%d", get_int(l, SOL_SOCKET, SO_ACCEPTCONN));
    say_poll("listen_poll", l, 0);
    T(L("listen_recv"), recv(l, b, 1, MSG_DONTWAIT));
    T(L("listen_send"), send(l, b, 1, MSG_NOSIGNAL));
    fcntl(l, F_SETFL, O_NONBLOCK);
    T(L("listen_eagain"), accept(l, NULL, NULL));
    n = loopback(&a, port_of(l));
    T(L("listen_conn"), connect(l, &a.sa, n));
    T(L("listen_again"), listen(l, 5));
    int s = dial_port(port_of(l), 0);
    say_poll("listen_ready", l, POLLIN);
    n = sizeof(a);
    int c = accept4(l, &a.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    t_say(L("accept_addr"), "%d %d", (int)n, a.sa.sa_family == family);
    t_say(L("accept_flags"), "%d %d", (fcntl(c, F_GETFL) & O_NONBLOCK) != 0,
          fcntl(c, F_GETFD));
    T(L("accept_eagain"), recv(c, b, 1, 0));
    T(L("conn_twice"), connect(s, &a.sa, n));
    T(L("conn_listen"), listen(s, 1));
    n = loopback(&a, 0);
    T(L("bind_twice"), bind(l, &a.sa, n));
    int other = socket(family, SOCK_STREAM, 0);
    n = loopback(&a, port_of(l));
    T(L("bind_taken"), bind(other, &a.sa, n));
    T(L("shut_listener"), shutdown(l, SHUT_RD));
    T(L("shut_accept"), accept(l, NULL, NULL));
    say_poll("shut_poll", l, POLLHUP);
    close(l), close(s), close(c), close(other);
}

static void test_refused(void)
{
    int l = listener(1), port = port_of(l);
    close(l);
    T(L("refused"), dial_port(port, 0));
    int s = dial_port(port, SOCK_NONBLOCK);
    if (s >= 0) {
        say_poll("refused_poll", s, POLLERR);
        t_say(L("refused_err"), "%s", t_errno(so_error(s)));
        t_say(L("refused_err2"), "%d", so_error(s));
        close(s);
    }
    union addr a;
    socklen_t n = loopback(&a, port);
    s = socket(family, SOCK_STREAM, 0);
    T(L("refused_1"), connect(s, &a.sa, n));
    T(L("refused_2"), connect(s, &a.sa, n));
    l = socket(family, SOCK_STREAM, 0);
    int on = 1;
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    T(L("refused_bind"), bind(l, &a.sa, n));
    listen(l, 1);
    T(L("refused_then"), connect(s, &a.sa, n));
    close(s), close(l);
    s = socket(family, SOCK_STREAM, 0);
    T(L("conn_short"), connect(s, &a.sa, 1));
    a.sa.sa_family = AF_UNIX;
    T(L("conn_family"), connect(s, &a.sa, n));
    close(s);
}

static void test_connect(void)
{
    union addr a;
    int l = listener(1);
    socklen_t n = loopback(&a, port_of(l));
    int s = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    T(L("nb_conn"), connect(s, &a.sa, n));
    say_poll("nb_poll", s, POLLOUT);
    t_say(L("nb_err"), "%d", so_error(s));
    T(L("nb_again"), connect(s, &a.sa, n));
    T(L("nb_third"), connect(s, &a.sa, n));
    union addr p;
    socklen_t pn = sizeof(p);
    T(L("nb_peer"), getpeername(s, &p.sa, &pn));
    t_say(L("nb_peer_eq"), "%d %d", (int)pn, memcmp(&p, &a, pn) == 0);
    a.sa.sa_family = AF_UNSPEC;
    T(L("unspec"), connect(s, &a.sa, n));
    t_say(L("unspec_state"), "%d", state_of(s));
    close(s), close(l);
    /* to itself: both open at once */
    s = socket(family, SOCK_STREAM, 0);
    n = loopback(&a, 0);
    bind(s, &a.sa, n);
    n = loopback(&a, port_of(s));
    T(L("self"), connect(s, &a.sa, n));
    char b[8] = "";
    T(L("self_send"), send(s, "abc", 3, 0));
    T(L("self_recv"), recv(s, b, 8, 0));
    t_say(L("self_data"), "%s", b);
    close(s);
}

static void test_data(void)
{
    char b[64] = "";
    int s[2];
    make_pair(s);
    T(L("send"), send(s[0], "hello", 5, 0));
    queued(s[1], 5);
    T(L("peek"), recv(s[1], b, 3, MSG_PEEK));
    T(L("peek_all"), recv(s[1], b, 64, MSG_PEEK));
    int q = -1;
    ioctl(s[1], FIONREAD, &q);
    t_say(L("inq"), "%d", q);
    T(L("part"), recv(s[1], b, 2, 0));
    T(L("trunc"), recv(s[1], b, 1, MSG_TRUNC));
    T(L("rest"), recv(s[1], b, 64, 0));
    t_say(L("bytes"), "%.2s", b);
    T(L("none"), recv(s[1], b, 64, MSG_DONTWAIT));
    T(L("recv0"), recv(s[1], b, 0, MSG_DONTWAIT));
    T(L("send0"), send(s[0], b, 0, 0));
    T(L("oob_none"), recv(s[1], b, 1, MSG_OOB));
    struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cdef", 4}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 3};
    T(L("sendmsg"), sendmsg(s[0], &m, 0));
    struct iovec w[2] = {{b, 3}, {b + 10, 10}};
    union addr a;
    m = (struct msghdr){.msg_iov = w,
                        .msg_iovlen = 2,
                        .msg_name = &a,
                        .msg_namelen = sizeof(a)};
    queued(s[1], 6);
    T(L("recvmsg"), recvmsg(s[1], &m, MSG_WAITALL | MSG_DONTWAIT));
    t_say(L("recvmsg_is"), "%.3s %.3s %d %d", b, b + 10, (int)m.msg_namelen,
          m.msg_flags);
    T(L("write"), write(s[1], "xyz", 3));
    T(L("read"), read(s[0], b, 64));
    T(L("fault"), send(s[0], BAD_PTR, 10, 0));
    send(s[0], "fault", 5, 0);
    T(L("recv_fault"), recv(s[1], BAD_PTR, 5, 0));
    T(L("recv_after"), recv(s[1], b, 5, 0));
    T(L("sendto"), sendto(s[0], "q", 1, 0, &a.sa, sizeof(a)));
    (void)UNTIL(ioctl(s[0], TIOCOUTQ, &q) == 0 && q == 0);
    t_say(L("outq"), "%d", q);
    close_pair(s);
}

/* Waits for all of it, across several writes. */
static void test_waitall(void)
{
    char b[64];
    int s[2], one = 10;
    make_pair(s);
    pid_t me = getpid();
    if (fork() == 0) {
        for (int i = 0; i < 5; i++) {
            t_asleep(me);
            send(s[0], "1234567890", 10, 0);
        }
        _exit(0);
    }
    T(L("waitall"), recv(s[1], b, 40, MSG_WAITALL));
    T(L("lowat_set"), setsockopt(s[1], SOL_SOCKET, SO_RCVLOWAT, &one, 4));
    T(L("lowat_recv"), recv(s[1], b, 64, 0));
    wait(NULL);
    send(s[0], "12345", 5, 0);
    queued(s[1], 5);
    say_poll("lowat_poll", s[1], 0);
    send(s[0], "67890", 5, 0);
    say_poll("lowat_poll2", s[1], POLLIN);
    close(s[0]);
    T(L("waitall_eof"), recv(s[1], b, 64, MSG_WAITALL));
    close(s[1]);
    make_pair(s);
    struct timeval tv = {0, 50000};
    setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    T(L("rcvtimeo"), recv(s[1], b, 64, 0));
    send(s[0], "abc", 3, 0);
    queued(s[1], 3);
    T(L("rcvtimeo_all"), recv(s[1], b, 64, MSG_WAITALL));
    close_pair(s);
}

static void test_half(void)
{
    char b[8];
    int s[2];
    make_pair(s);
    say_poll("open_poll", s[0], POLLOUT);
    T(L("shut_wr"), shutdown(s[0], SHUT_WR));
    say_poll("shut_wr_peer", s[1], POLLRDHUP);
    say_poll("shut_wr_self", s[0], POLLOUT);
    say_state("fin_wait2", s[0], 5);
    say_state("close_wait", s[1], 8);
    T(L("eof"), recv(s[1], b, 8, 0));
    T(L("eof2"), recv(s[1], b, 8, MSG_DONTWAIT));
    T(L("wr_epipe"), send(s[0], "x", 1, MSG_NOSIGNAL));
    T(L("other_way"), send(s[1], "back", 4, 0));
    T(L("other_got"), recv(s[0], b, 8, 0));
    T(L("shut_wr2"), shutdown(s[1], SHUT_WR));
    say_poll("both_self", s[1], POLLHUP);
    say_poll("both_peer", s[0], POLLHUP);
    T(L("both_eof"), recv(s[0], b, 8, 0));
    say_state("last_state", s[1], 7);
    T(L("shut_late"), shutdown(s[1], SHUT_WR));
    union addr a;
    socklen_t n = sizeof(a);
    T(L("late_peer"), getpeername(s[1], &a.sa, &n));
    close_pair(s);
    make_pair(s);
    T(L("shut_rd"), shutdown(s[0], SHUT_RD));
    say_poll("shut_rd_self", s[0], POLLRDHUP);
    say_poll("shut_rd_peer", s[1], POLLOUT);
    T(L("shut_rd_recv"), recv(s[0], b, 8, 0));
    T(L("shut_rd_sent"), send(s[1], "data", 4, MSG_NOSIGNAL));
    poll_wait(s[0], POLLIN);
    queued(s[0], 4);
    T(L("shut_rd_got"), recv(s[0], b, 8, MSG_DONTWAIT));
    close_pair(s);
}

static void sigpipe(int sig)
{
    t_hits += sig == SIGPIPE;
}

static void test_reset(void)
{
    char b[8];
    int s[2];
    make_pair(s);
    send(s[0], "unread", 6, 0);
    poll_wait(s[1], POLLIN);
    close(s[1]); /* with unread data: a reset */
    say_poll("rst_poll", s[0], POLLHUP);
    T(L("rst_recv"), recv(s[0], b, 8, 0));
    T(L("rst_recv2"), recv(s[0], b, 8, 0));
    signal(SIGPIPE, sigpipe);
    t_hits = 0;
    T(L("rst_send"), send(s[0], b, 8, 0));
    t_say(L("rst_sigpipe"), "%d", t_hits);
    T(L("rst_nosignal"), send(s[0], b, 8, MSG_NOSIGNAL));
    t_say(L("rst_sigpipe2"), "%d", t_hits);
    close(s[0]);
    make_pair(s);
    struct linger lg = {1, 0};
    setsockopt(s[1], SOL_SOCKET, SO_LINGER, &lg, sizeof(lg));
    send(s[1], "tail", 4, 0);
    poll_wait(s[0], POLLIN);
    close(s[1]);
    poll_wait(s[0], POLLHUP);
    t_say(L("linger0_err"), "%s", t_errno(so_error(s[0])));
    T(L("linger0_recv"), recv(s[0], b, 8, 0));
    T(L("linger0_eof"), recv(s[0], b, 8, 0));
    close(s[0]);
    make_pair(s);
    close(s[1]);
    poll_wait(s[0], POLLRDHUP);
    T(L("closed_send"), send(s[0], "x", 1, MSG_NOSIGNAL));
    poll_wait(s[0], POLLHUP);
    T(L("closed_send2"), send(s[0], "x", 1, MSG_NOSIGNAL));
    T(L("closed_recv"), recv(s[0], b, 8, 0));
    close(s[0]);
    /* not accepted, and then nobody will */
    int l = listener(3);
    s[0] = dial_port(port_of(l), 0);
    poll_wait(l, POLLIN);
    close(l);
    say_poll("unaccepted", s[0], POLLHUP);
    t_say(L("unaccepted_err"), "%s", t_errno(so_error(s[0])));
    close(s[0]);
}

static void test_full(void)
{
    static char big[1 << 16];
    int s[2], small = 4096;
    long sent = 0, got = 0;
    ssize_t r;
    make_pair(s);
    setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    t_say(L("sndbuf"), "%d", get_int(s[0], SOL_SOCKET, SO_SNDBUF));
    small = 100;
    setsockopt(s[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    t_say(L("rcvbuf"), "%d", get_int(s[1], SOL_SOCKET, SO_RCVBUF));
    while ((r = send(s[0], big, sizeof(big), MSG_DONTWAIT)) > 0)
        sent += r;
    int error = errno;
    for (int still = 0; still < 20; still++) { /* acks may still make room */
        t_sleep_ms(1);
        for (; (r = send(s[0], big, sizeof(big), MSG_DONTWAIT)) > 0; still = 0)
            sent += r;
    }
    errno = error;
    t_value(L("full"), r);
    say_poll("full_poll", s[0], 0);
    struct timeval tv = {0, 50000};
    setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    T(L("sndtimeo"), send(s[0], big, 10, 0));
    if (fork() == 0) {
        close(s[1]);
        poll_wait(s[0], POLLOUT);
        _exit(write(s[0], "end", 3) == 3 ? 0 : 1);
    }
    close(s[0]);
    while ((r = recv(s[1], big, sizeof(big), 0)) > 0)
        got += r;
    int st = -1;
    wait(&st);
    YES(L("full_all"), got == sent + 3);
    t_say(L("full_child"), "%d", st);
    close(s[1]);
}

static void test_inherit(void)
{
    int on = 1, l = listener(1), v = 33;
    setsockopt(l, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(l, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(l, IPPROTO_TCP, TCP_KEEPIDLE, &v, sizeof(v));
    setsockopt(l, IPPROTO_TCP, TCP_USER_TIMEOUT, &v, sizeof(v));
    struct linger lg = {1, 5};
    setsockopt(l, SOL_SOCKET, SO_LINGER, &lg, sizeof(lg));
    fcntl(l, F_SETFL, O_NONBLOCK);
    int s = dial_port(port_of(l), 0);
    poll_wait(l, POLLIN);
    int c = accept(l, NULL, NULL);
    socklen_t n = sizeof(lg);
    memset(&lg, 0, sizeof(lg));
    getsockopt(c, SOL_SOCKET, SO_LINGER, &lg, &n);
    t_say(L("inherit"), "%d %d %d %d %d %d %d",
          get_int(c, SOL_SOCKET, SO_KEEPALIVE),
          get_int(c, IPPROTO_TCP, TCP_NODELAY),
          get_int(c, IPPROTO_TCP, TCP_KEEPIDLE),
          get_int(c, IPPROTO_TCP, TCP_USER_TIMEOUT), lg.l_onoff, lg.l_linger,
          fcntl(c, F_GETFL) & O_NONBLOCK);
    t_say(L("inherit_acc"), "%d", get_int(c, SOL_SOCKET, SO_ACCEPTCONN));
    close(s), close(c), close(l);
}

/* A server that starts again finds its old connections in TIME_WAIT. */
static void test_restart(void)
{
    int s[2], l = listener(1), on = 1, port = port_of(l);
    union addr a;
    socklen_t n = loopback(&a, port);
    s[0] = dial_port(port, 0);
    s[1] = accept(l, NULL, NULL);
    close(s[1]);
    close(l);
    poll_wait(s[0], POLLRDHUP);
    close(s[0]);
    l = socket(family, SOCK_STREAM, 0);
    T(L("rebind"), bind(l, &a.sa, n));
    close(l);
    l = socket(family, SOCK_STREAM, 0);
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    T(L("rebind_reuse"), bind(l, &a.sa, n));
    T(L("rebind_listen"), listen(l, 1));
    s[0] = dial_port(port, 0);
    YES(L("rebind_conn"), s[0] >= 0);
    int other = socket(family, SOCK_STREAM, 0);
    setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    T(L("rebind_two"), bind(other, &a.sa, n));
    close(other), close(s[0]), close(l);
}

static void test_reuseport(void)
{
    int l[2], on = 1, hit[2] = {0, 0};
    union addr a;
    socklen_t n = loopback(&a, 0);
    for (int i = 0; i < 2; i++) {
        l[i] = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        T(L("rp_set"), setsockopt(l[i], SOL_SOCKET, SO_REUSEPORT, &on, 4));
        T(L("rp_bind"), bind(l[i], &a.sa, n));
        T(L("rp_listen"), listen(l[i], 128));
        n = loopback(&a, port_of(l[0]));
    }
    for (int i = 0; i < 64; i++) {
        int s = dial_port(port_of(l[0]), 0), c;
        struct pollfd p[2] = {{l[0], POLLIN, 0}, {l[1], POLLIN, 0}};
        poll(p, 2, 60000); /* we are connected before the other end is */
        for (int k = 0; k < 2; k++) {
            c = accept(l[k], NULL, NULL);
            hit[k] += c >= 0;
            close(c);
        }
        close(s);
    }
    YES(L("rp_all"), hit[0] + hit[1] == 64);
    YES(L("rp_spread"), hit[0] > 5 && hit[1] > 5);
    close(l[0]), close(l[1]);
}

/* Connections that wait for accept(). */
static int pending(int fd)
{
    struct tcp_info i = {0};
    socklen_t n = sizeof(i);
    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &n);
    return (int)i.tcpi_unacked;
}

static void test_backlog(void)
{
    int l = listener(1), s[4];
    for (int i = 0; i < 4; i++) {
        s[i] = dial_port(port_of(l), SOCK_NONBLOCK);
        (void)UNTIL(i > 1 || (state_of(s[i]) == 1 && pending(l) == i + 1));
    }
    t_sleep_ms(20);
    t_say(L("backlog"), "%d %d %d %d", state_of(s[0]), state_of(s[1]),
          state_of(s[2]), state_of(s[3]));
    close(s[3]); /* only one tries again */
    int c = accept(l, NULL, NULL);
    struct pollfd p = {.fd = s[2], .events = POLLOUT};
    t_say(L("backlog_later"), "%d %#x", poll(&p, 1, 60000), p.revents);
    for (int i = 0; i < 3; i++)
        close(s[i]);
    close(c), close(l);
}

static void test_dual(void)
{
    char b[4];
    union addr a = {.in6 = {.sin6_family = AF_INET6}};
    int l = socket(AF_INET6, SOCK_STREAM, 0);
    T("dual_bind", bind(l, &a.sa, sizeof(a.in6)));
    T("dual_listen", listen(l, 1));
    family = AF_INET6;
    int port = port_of(l);
    family = AF_INET;
    int s = dial_port(port, 0);
    socklen_t n = sizeof(a);
    int c = accept(l, &a.sa, &n);
    char text[64];
    inet_ntop(AF_INET6, &a.in6.sin6_addr, text, sizeof(text));
    t_say("dual_peer", "%d %s", (int)n, text);
    T("dual_send", send(c, "ab", 2, 0));
    T("dual_recv", recv(s, b, 4, 0));
    close(s), close(c), close(l);
    int on = 1;
    l = socket(AF_INET6, SOCK_STREAM, 0);
    setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    a = (union addr){.in6 = {.sin6_family = AF_INET6}};
    bind(l, &a.sa, sizeof(a.in6));
    listen(l, 1);
    family = AF_INET6;
    port = port_of(l);
    family = AF_INET;
    T("only6", dial_port(port, 0));
    close(l);
}

int main(void)
{
    t_begin("tcp");
    for (int i = 0; i < 2; i++) {
        family = i == 0 ? AF_INET : AF_INET6;
        family_name = i == 0 ? "4" : "6";
        test_fresh();
        test_listen();
        test_refused();
        test_connect();
        test_data();
        test_waitall();
        test_half();
        test_reset();
        test_full();
        test_inherit();
        test_restart();
        test_reuseport();
        test_backlog();
    }
    test_dual();
    return 0;
}
