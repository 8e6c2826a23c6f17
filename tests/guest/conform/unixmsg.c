// SPDX-License-Identifier: Apache-2.0
/* unix(7): datagrams, records, files and credentials in messages, options.
 * Raw calls: musl looks into messages itself. */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/guest/conform/t_inet.h"

#ifndef SCM_CREDENTIALS
#define SCM_CREDENTIALS 2
#endif
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

static socklen_t addr(struct sockaddr_un *a, const char *path)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    strncpy(a->sun_path, path, sizeof(a->sun_path) - 1);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) +
                       1);
}

static int bound(int type, const char *path)
{
    struct sockaddr_un a;
    socklen_t n = addr(&a, path);
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
    if (bind(fd, (struct sockaddr *)&a, n) < 0)
        t_say("bound", "%s: %s", path, t_errno(errno));
    return fd;
}

static int con(int fd, const char *path)
{
    struct sockaddr_un a;
    socklen_t n = addr(&a, path);
    return connect(fd, (struct sockaddr *)&a, n);
}

static long to(int fd, const char *path, const char *text)
{
    struct sockaddr_un a;
    socklen_t n = addr(&a, path);
    return sendto(fd, text, strlen(text), 0, (struct sockaddr *)&a, n);
}

static void say_poll(const char *label, int fd)
{
    struct pollfd p = {.fd = fd, .events = 0x3fff};
    int r = poll(&p, 1, 0);
    t_say(label, "%d %#x", r, (unsigned)p.revents);
}

static void say_from(const char *label, int fd, int flags)
{
    struct sockaddr_un a;
    socklen_t n = sizeof(a);
    char b[64] = "";
    memset(&a, 0, sizeof(a));
    long r = recvfrom(fd, b, 6, flags, (struct sockaddr *)&a, &n);
    if (r < 0)
        t_say(label, "%s", t_errno(errno));
    else
        t_say(label, "%ld '%.6s' %u '%s'", r, b, n, a.sun_path);
}

static void datagrams(void)
{
    int a = bound(SOCK_DGRAM, "a"), b = bound(SOCK_DGRAM, "b");
    int u = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    char buf[8];
    say_poll("poll_new", u);
    T("listen", listen(a, 1));
    T("accept", accept(a, NULL, NULL));
    T("send_alone", send(u, "x", 1, 0));
    T("recv_empty", recv(a, buf, 8, 0));
    T("to", to(u, "a", "hello"));
    T("to_empty", to(u, "a", ""));
    T("to_long", to(b, "a", "longer than six"));
    T("to_none", to(u, "none", "x"));
    say_poll("poll_in", a);
    say_from("peek", a, MSG_PEEK);
    say_from("from_unnamed", a, 0);
    say_from("from_empty", a, 0);
    say_from("from_cut_peek", a, MSG_PEEK | MSG_TRUNC);
    say_from("from_cut", a, MSG_TRUNC);
    say_from("from_none", a, 0);
    T("connect", con(b, "a"));
    T("send", send(b, "one", 3, 0));
    T("to_connected", to(b, "a", "two"));
    T("connect_back", con(a, "b"));
    T("to_taken", to(u, "a", "three"));
    T("connect_taken", con(u, "a"));
    say_from("kept", a, 0);
    T("unconnect", connect(a, &(struct sockaddr){.sa_family = AF_UNSPEC},
                           sizeof(sa_family_t)));
    say_poll("poll_peer_left", b);
    T("send_peer_left", send(b, "x", 1, 0));
    T("send_peer_left", send(b, "x", 1, 0));
    say_from("purged", a, 0);
    say_from("purged", a, 0);
    T("reconnect", con(b, "b"));
    T("self", send(b, "self", 4, 0));
    say_from("self", b, 0);
    T("connect_short", connect(b, (struct sockaddr *)"", 1));
    con(b, "a");
    close(a);
    say_poll("poll_peer_closed", b);
    T("send_closed", send(b, "x", 1, 0));
    T("send_closed", send(b, "x", 1, 0));
    static char big[300000];
    /* Without a peer Linux 6.1 says ENOTCONN, 6.18 EMSGSIZE. */
    a = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    con(u, "b");
    T("too_long_connected", send(u, big, 300000, 0));
    T("large", send(u, big, 100000, 0));
    T("large_got", recv(b, big, sizeof(big), 0));
    int n = 0;
    while (send(u, "x", 1, 0) == 1)
        n++;
    t_say("queue", "%d %s", n, t_errno(errno));
    say_poll("poll_queue_full", u);
    T("to_full", to(a, "b", "x"));
    recv(b, buf, 8, 0);
    say_poll("poll_queue_room", u);
    T("shut_rd", shutdown(b, SHUT_RD));
    T("send_shut", send(u, "x", 1, 0));
    for (int i = 0; i < n; i++)
        recv(b, buf, 8, 0);
    T("recv_shut", recv(b, buf, 8, 0));
    fcntl(b, F_SETFL, 0);
    T("recv_shut_wait", recv(b, buf, 8, 0));
    say_poll("poll_shut", b);
    T("shut_wr", shutdown(u, SHUT_WR));
    T("send_shut_wr", send(u, "x", 1, 0));
    close(a);
    close(b);
    close(u);
}

static void records(void)
{
    int sv[2];
    char b[16];
    t_catch(SIGPIPE, 0);
    int l = bound(SOCK_SEQPACKET, "seq");
    int c = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    say_poll("seq_new", c);
    T("seq_recv_new", recv(c, b, 1, MSG_DONTWAIT));
    T("seq_send_new", send(c, b, 1, MSG_DONTWAIT));
    listen(l, 1);
    T("seq_connect", con(c, "seq"));
    int s = accept(l, NULL, NULL);
    YES("seq_accept", s >= 0);
    T("seq_send", send(c, "onetwo", 6, MSG_EOR));
    T("seq_send", send(c, "", 0, 0));
    T("seq_send", send(c, "three", 5, 0));
    T("seq_recv", recv(s, b, 3, 0));
    T("seq_recv", recv(s, b, 3, MSG_DONTWAIT));
    T("seq_recv", recv(s, b, 16, 0));
    T("seq_none", recv(s, b, 16, MSG_DONTWAIT));
    close(c);
    say_poll("seq_closed", s);
    T("seq_end", recv(s, b, 16, MSG_DONTWAIT));
    t_hits = 0;
    T("seq_send_closed", send(s, "x", 1, 0));
    t_say("seq_sigpipe", "%d", t_hits);
    close(s);
    close(l);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, sv);
    T("pair", write(sv[0], "abc", 3));
    T("pair", write(sv[0], "", 0));
    T("pair_read", read(sv[1], b, 2));
    T("pair_read", read(sv[1], b, 16));
    int n = 0;
    while (n < 100 && send(sv[0], "x", 1, MSG_DONTWAIT) == 1)
        n++;
    t_say("pair_no_queue_limit", "%d", n);
    close(sv[1]);
    say_poll("pair_closed", sv[0]);
    T("pair_send", send(sv[0], "x", 1, 0));
    T("pair_recv", recv(sv[0], b, 1, MSG_DONTWAIT));
    close(sv[0]);
    struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    struct mmsghdr mm[3];
    memset(mm, 0, sizeof(mm));
    for (int i = 0; i < 3; i++)
        mm[i].msg_hdr =
            (struct msghdr){.msg_iov = v, .msg_iovlen = (size_t)i + 1};
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv);
    T("sendmmsg", SC(sendmmsg, sv[0], mm, 3, 0));
    t_say("sendmmsg_sizes", "%u %u %u", mm[0].msg_len, mm[1].msg_len,
          mm[2].msg_len);
    static char out[3][8];
    for (int i = 0; i < 3; i++) {
        v[i] = (struct iovec){out[i], 4};
        mm[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
    }
    T("recvmmsg", SC(recvmmsg, sv[1], mm, 3, MSG_WAITFORONE, NULL));
    t_say("recvmmsg_is", "%u %u %u %#x %s", mm[0].msg_len, mm[1].msg_len,
          mm[2].msg_len, mm[2].msg_hdr.msg_flags, out[2]);
    T("recvmmsg_none", SC(recvmmsg, sv[1], mm, 3, MSG_DONTWAIT, NULL));
    T("sendmmsg_fault", SC(sendmmsg, sv[0], BAD_PTR, 1, 0));
    close(sv[0]);
    close(sv[1]);
}

/* --- control messages --- */

union control {
    struct cmsghdr h;
    char room[4096];
};

static long send_cmsg(int fd, int type, const void *data, size_t size)
{
    union control c;
    struct iovec v = {"d", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
    memset(&c, 0, sizeof(c));
    m.msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = type;
    h->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(h), data, size);
    return SC(sendmsg, fd, &m, MSG_NOSIGNAL);
}

static long recv_cmsg(const char *label, int fd, size_t room, int flags,
                      int *fds)
{
    union control c;
    char b[8];
    struct iovec v = {b, sizeof(b)};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
    memset(&c, 0, sizeof(c));
    m.msg_controllen = room;
    long r = SC(recvmsg, fd, &m, flags);
    if (r < 0) {
        t_say(label, "%s", t_errno(errno));
        return r;
    }
    t_say(label, "%ld flags %#x control %zu", r, (unsigned)m.msg_flags,
          (size_t)m.msg_controllen);
    for (struct cmsghdr *h = m.msg_controllen > 0 ? CMSG_FIRSTHDR(&m) : NULL;
         h != NULL; h = CMSG_NXTHDR(&m, h)) {
        t_say(label, "level %d type %d size %zu", h->cmsg_level, h->cmsg_type,
              (size_t)h->cmsg_len);
        if (h->cmsg_type == SCM_RIGHTS && fds != NULL)
            memcpy(fds, CMSG_DATA(h), h->cmsg_len - CMSG_LEN(0));
        if (h->cmsg_type == SCM_CREDENTIALS) {
            struct ucred u;
            memcpy(&u, CMSG_DATA(h), sizeof(u));
            t_say(label, "cred %d %u %u", u.pid == getpid(), u.uid, u.gid);
        }
    }
    return r;
}

static void rights(void)
{
    int sv[2], p[2], fds[300], got[300] = {0};
    char b[8];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    pipe(p);
    fds[0] = p[0];
    fds[1] = p[1];
    T("rights", send_cmsg(sv[0], SCM_RIGHTS, fds, 8));
    recv_cmsg("rights_got", sv[1], 4096, 0, got);
    T("rights_write", write(got[1], "via", 3));
    T("rights_read", read(p[0], b, 8));
    T("rights_cloexec", fcntl(got[0], F_GETFD));
    close(got[0]);
    close(got[1]);
    send_cmsg(sv[0], SCM_RIGHTS, fds, 8);
    recv_cmsg("rights_peek", sv[1], 4096, MSG_PEEK | MSG_CMSG_CLOEXEC, got);
    T("rights_cloexec", fcntl(got[0], F_GETFD));
    close(got[0]);
    close(got[1]);
    recv_cmsg("rights_one_of_two", sv[1], CMSG_LEN(4), 0, got);
    close(got[0]);
    send_cmsg(sv[0], SCM_RIGHTS, fds, 8);
    recv_cmsg("rights_no_room", sv[1], 8, 0, got);
    send_cmsg(sv[0], SCM_RIGHTS, fds, 8);
    T("rights_by_read", read(sv[1], b, 8));
    fds[1] = 999;
    T("rights_bad", send_cmsg(sv[0], SCM_RIGHTS, fds, 8));
    for (int i = 0; i < 300; i++)
        fds[i] = p[0];
    T("rights_254", send_cmsg(sv[0], SCM_RIGHTS, fds, 254 * 4));
    T("rights_253", send_cmsg(sv[0], SCM_RIGHTS, fds, 253 * 4));
    recv_cmsg("rights_253_got", sv[1], 4096, 0, got);
    for (int i = 0; i < 253; i++)
        close(got[i]);
    T("rights_0", send_cmsg(sv[0], SCM_RIGHTS, fds, 0));
    recv_cmsg("rights_0_got", sv[1], 4096, 0, NULL);
    T("type_bad", send_cmsg(sv[0], 77, fds, 4));
    /* Streams: data before files are one read, files end it. */
    write(sv[0], "aa", 2);
    send_cmsg(sv[0], SCM_RIGHTS, fds, 4);
    write(sv[0], "bb", 2);
    recv_cmsg("rights_glue", sv[1], 4096, 0, got);
    close(got[0]);
    recv_cmsg("rights_glue", sv[1], 4096, 0, NULL);
    struct rlimit old, lim;
    getrlimit(RLIMIT_NOFILE, &old);
    lim = old;
    int top = dup(0);
    close(top);
    lim.rlim_cur = (rlim_t)top + 1;
    send_cmsg(sv[0], SCM_RIGHTS, fds, 12);
    setrlimit(RLIMIT_NOFILE, &lim);
    recv_cmsg("rights_emfile", sv[1], 4096, 0, got);
    setrlimit(RLIMIT_NOFILE, &old);
    close(got[0]);
    struct msghdr m = {0};
    T("sendmsg_fault", SC(sendmsg, sv[0], BAD_PTR, 0));
    T("sendmsg_nothing", SC(sendmsg, sv[0], &m, 0));
    struct iovec v = {"x", 1};
    m.msg_iov = &v;
    m.msg_iovlen = 1025;
    T("sendmsg_many", SC(sendmsg, sv[0], &m, 0));
    T("recvmsg_many", SC(recvmsg, sv[1], &m, MSG_DONTWAIT));
    close(sv[0]);
    close(sv[1]);
    close(p[0]);
    close(p[1]);
}

static void reachable(void)
{
    /* A pipe's end inside a ring of sockets nobody can reach: its reader
     * sees the end once the ring is collected. */
    int sv[2], p[2];
    char b[4];
    pipe(p);
    for (int i = 0; i < 3; i++) {
        socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
        send_cmsg(sv[0], SCM_RIGHTS, &p[1], 4);
        send_cmsg(sv[0], SCM_RIGHTS, &sv[1], 4);
        send_cmsg(sv[1], SCM_RIGHTS, &sv[0], 4);
        close(sv[0]);
        close(sv[1]);
    }
    close(p[1]);
    /* Something that makes the kernel look. */
    struct pollfd f = {.fd = p[0], .events = POLLIN};
    for (int i = 0; i < 1000 && poll(&f, 1, 50) == 0; i++) {
        socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
        close(sv[0]);
        close(sv[1]);
    }
    T("ring_collected", read(p[0], b, 1));
    /* A long chain: each holds the next; closing the first ends all. */
    pipe(p);
    int last = p[1];
    for (int i = 0; i < 5000; i++) {
        socketpair(AF_UNIX, SOCK_DGRAM, 0, sv);
        send_cmsg(sv[0], SCM_RIGHTS, &last, 4);
        close(last);
        close(sv[0]);
        last = sv[1];
    }
    T("chain_quiet", poll(&(struct pollfd){p[0], POLLIN, 0}, 1, 0));
    close(last);
    f = (struct pollfd){.fd = p[0], .events = POLLIN};
    T("chain_ready", poll(&f, 1, 60000));
    T("chain_end", read(p[0], b, 1));
    /* A socket sent through itself and taken back. */
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    int got[4] = {-1};
    send_cmsg(sv[0], SCM_RIGHTS, &sv[1], 4);
    recv_cmsg("own_end", sv[1], 4096, 0, got);
    close(sv[1]);
    T("own_end_write", write(sv[0], "x", 1));
    T("own_end_read", read(got[0], b, 1));
    close(sv[0]);
    close(got[0]);
    close(p[0]);
}

static void limit_child(void)
{
    int sv[2], n = 0;
    setresuid(1234, 1234, 1234);
    struct rlimit lim = {40, 40};
    setrlimit(RLIMIT_NOFILE, &lim);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv);
    while (n < 100 && send_cmsg(sv[0], SCM_RIGHTS, &sv[0], 4) == 1)
        n++;
    t_say("inflight_limit", "%d %s", n, t_errno(errno));
}

static void say_peercred(const char *label, int fd)
{
    struct ucred u;
    socklen_t n = sizeof(u);
    T(label, getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n));
    t_say(label, "%u %s %d %d", n,
          u.pid == getpid() ? "self" : (u.pid == 0 ? "none" : "other"),
          (int)u.uid, (int)u.gid);
}

static void credentials(void)
{
    int sv[2], one = 1;
    struct ucred u = {getpid(), getuid(), getgid()};
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    say_peercred("peercred_pair", sv[0]);
    write(sv[0], "before", 6);
    T("passcred", setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &one, 4));
    recv_cmsg("cred_before", sv[1], 4096, 0, NULL);
    write(sv[0], "after", 5);
    recv_cmsg("cred_after", sv[1], 4096, 0, NULL);
    write(sv[0], "cut", 3);
    recv_cmsg("cred_cut", sv[1], 20, 0, NULL);
    write(sv[0], "none", 4);
    recv_cmsg("cred_no_room", sv[1], 0, 0, NULL);
    T("cred_own", send_cmsg(sv[0], SCM_CREDENTIALS, &u, sizeof(u)));
    recv_cmsg("cred_own_got", sv[1], 4096, 0, NULL);
    u.uid = 77;
    T("cred_root_may", send_cmsg(sv[0], SCM_CREDENTIALS, &u, sizeof(u)));
    write(sv[0], "x", 1);
    recv_cmsg("cred_not_glued", sv[1], 4096, 0, NULL);
    recv_cmsg("cred_not_glued", sv[1], 4096, 0, NULL);
    u.pid = 99999999;
    T("cred_no_pid", send_cmsg(sv[0], SCM_CREDENTIALS, &u, sizeof(u)));
    T("cred_short", send_cmsg(sv[0], SCM_CREDENTIALS, &u, 8));
    gid_t groups[8];
    socklen_t n = sizeof(groups);
    T("peergroups", getsockopt(sv[0], SOL_SOCKET, SO_PEERGROUPS, groups, &n));
    close(sv[0]);
    close(sv[1]);
    int l = bound(SOCK_STREAM, "cr");
    say_peercred("peercred_none", l);
    fcntl(l, F_SETFL, 0);
    listen(l, 1);
    int c = socket(AF_UNIX, SOCK_STREAM, 0);
    con(c, "cr");
    say_peercred("peercred_client", c);
    int s = accept(l, NULL, NULL);
    say_peercred("peercred_server", s);
    close(l);
    close(c);
    close(s);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, sv);
    setresuid(1000, 1000, 1000);
    u = (struct ucred){getpid(), 1000, getgid()};
    T("cred_user_own", send_cmsg(sv[0], SCM_CREDENTIALS, &u, sizeof(u)));
    u.uid = 0;
    T("cred_user_root", send_cmsg(sv[0], SCM_CREDENTIALS, &u, sizeof(u)));
    u.uid = 1000;
    u.pid = 1;
    T("cred_user_pid", send_cmsg(sv[0], SCM_CREDENTIALS, &u, sizeof(u)));
    T("passcred_autobind", setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &one, 4));
    recv_cmsg("cred_dgram", sv[1], 4096, 0, NULL);
}

static void say_option(const char *label, int fd, int name)
{
    int v = -1;
    socklen_t n = sizeof(v);
    int r = getsockopt(fd, SOL_SOCKET, name, &v, &n);
    if (r < 0)
        t_say(label, "%s", t_errno(errno));
    else
        t_say(label, "%d %u", v, n);
}

static int set(int fd, int name, int v)
{
    return setsockopt(fd, SOL_SOCKET, name, &v, sizeof(v));
}

static void options(void)
{
    static const struct {
        const char *name;
        int opt;
    } on[] = {{"debug", SO_DEBUG},           {"reuseaddr", SO_REUSEADDR},
              {"dontroute", SO_DONTROUTE},   {"broadcast", SO_BROADCAST},
              {"keepalive", SO_KEEPALIVE},   {"oobinline", SO_OOBINLINE},
              {"reuseport", SO_REUSEPORT},   {"passcred", SO_PASSCRED},
              {"priority", SO_PRIORITY},     {"rcvlowat", SO_RCVLOWAT},
              {"sndlowat", SO_SNDLOWAT},     {"type", SO_TYPE},
              {"domain", SO_DOMAIN},         {"protocol", SO_PROTOCOL},
              {"acceptconn", SO_ACCEPTCONN}, {"error", SO_ERROR}};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    for (unsigned i = 0; i < sizeof(on) / sizeof(on[0]); i++) {
        say_option(on[i].name, fd, on[i].opt);
        T(on[i].name, set(fd, on[i].opt, 5));
        say_option(on[i].name, fd, on[i].opt);
    }
    static const int sizes[] = {0, 1, 4096, 100000, 212992};
    say_option("sndbuf", fd, SO_SNDBUF);
    say_option("rcvbuf", fd, SO_RCVBUF);
    for (unsigned i = 0; i < 5; i++) {
        T("set_buf", set(fd, SO_SNDBUF, sizes[i]));
        T("set_buf", set(fd, SO_RCVBUF, sizes[i]));
        say_option("sndbuf", fd, SO_SNDBUF);
        say_option("rcvbuf", fd, SO_RCVBUF);
    }
    T("sndbufforce", set(fd, SO_SNDBUFFORCE, 1000000));
    say_option("sndbuf", fd, SO_SNDBUF);
    T("opt_none", set(fd, 999, 1));
    say_option("opt_none", fd, 999);
    int v = 1;
    T("level_none", setsockopt(fd, 77, 1, &v, 4));
    T("level_tcp", setsockopt(fd, 6, 1, &v, 4));
    socklen_t n = 4;
    T("level_tcp", getsockopt(fd, 6, 1, &v, &n));
    T("short", setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &v, 3));
    T("negative", setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &v, (socklen_t)-1));
    T("fault", setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, BAD_PTR, 4));
    n = 2;
    T("cut", getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &n));
    t_say("cut", "%u", n);
    n = (socklen_t)-1;
    T("get_negative", getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &n));
    struct linger l = {1, 5};
    n = sizeof(l);
    T("linger", setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, n));
    l = (struct linger){0, 0};
    T("linger", getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &n));
    t_say("linger", "%d %d %u", l.l_onoff, l.l_linger, n);
    struct timeval tv = {1, 2000000};
    T("timeo_bad", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
    T("timeo_short", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, 8));
    tv = (struct timeval){2, 500000};
    T("timeo", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
    n = sizeof(tv);
    T("timeo", getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &n));
    t_say("timeo", "%ld %ld", (long)tv.tv_sec, (long)tv.tv_usec);
    close(fd);
}

/* --- SO_PEEK_OFF --- */

static int peek_off(int fd)
{
    int v = 77;
    socklen_t n = sizeof(v);

    return getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &v, &n) < 0 ? -errno : v;
}

static void peek_at(const char *label, int fd, int v)
{
    T(label, setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &v, sizeof(v)));
}

static void peeks(int type)
{
    int s[2];

    socketpair(AF_UNIX, type, 0, s);
    T("peek_none", peek_off(s[0]));
    write(s[1], "abcdef", 6);
    write(s[1], "ghij", 4);
    t_recv("peek_plain", s[0], 3, MSG_PEEK);
    t_recv("peek_plain_again", s[0], 3, MSG_PEEK);
    peek_at("peek_zero", s[0], 0);
    t_recv("peek_first", s[0], 2, MSG_PEEK);
    T("peek_off_2", peek_off(s[0]));
    t_recv("peek_second", s[0], 3, MSG_PEEK);
    T("peek_off_3", peek_off(s[0]));
    t_recv("peek_third", s[0], 30, MSG_PEEK);
    T("peek_off_4", peek_off(s[0]));
    t_recv("peek_fourth", s[0], 30, MSG_PEEK);
    t_recv("peek_end", s[0], 30, MSG_PEEK);
    T("peek_off_end", peek_off(s[0]));
    t_recv("read_some", s[0], 4, 0);
    T("peek_off_read", peek_off(s[0]));
    write(s[1], "kl", 2);
    t_recv("peek_new", s[0], 30, MSG_PEEK);
    peek_at("peek_seven", s[0], 3);
    t_recv("peek_from", s[0], 4, MSG_PEEK | MSG_TRUNC);
    peek_at("peek_never", s[0], -1);
    t_recv("peek_never_is", s[0], 4, MSG_PEEK);
    T("peek_off_never", peek_off(s[0]));
    /* Behind what is there: it waits for more. */
    peek_at("peek_far", s[0], 9);
    pid_t me = getpid(), pid = fork();
    if (pid == 0) {
        t_asleep(me);
        write(s[1], "later", 5);
        _exit(0);
    }
    char c = '?';
    T("peek_waits", recv(s[0], &c, 1, MSG_PEEK));
    T("peek_waited", c);
    waitpid(pid, NULL, 0);
    close(s[0]);
    close(s[1]);
}

int main(void)
{
    t_begin("unixmsg");
    datagrams();
    records();
    rights();
    reachable();
    options();
    t_child("limit", limit_child);
    t_child("credentials", credentials);
    peeks(SOCK_STREAM);
    peeks(SOCK_DGRAM);
    peeks(SOCK_SEQPACKET);
    return 0;
}
