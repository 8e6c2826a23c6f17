// SPDX-License-Identifier: Apache-2.0
/* unix(7): streams, their names, connections and ends. */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/guest/conform/t.h"

static socklen_t addr(struct sockaddr_un *a, const char *path)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    if (path[0] == '@') {
        memcpy(a->sun_path + 1, path + 1, strlen(path) - 1);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                           strlen(path));
    }
    strncpy(a->sun_path, path, sizeof(a->sun_path));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) +
                       1);
}

static int bound(int type, const char *path)
{
    struct sockaddr_un a;
    socklen_t n = addr(&a, path);
    int fd = socket(AF_UNIX, type, 0);
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

static void say_poll(const char *label, int fd)
{
    struct pollfd p = {.fd = fd, .events = 0x3fff};
    int r = poll(&p, 1, 0);
    t_say(label, "%d %#x", r, (unsigned)p.revents);
}

static void say_name(const char *label, int fd, bool peer)
{
    struct sockaddr_un a;
    socklen_t n = sizeof(a);
    memset(&a, 'x', sizeof(a));
    int r = peer ? getpeername(fd, (struct sockaddr *)&a, &n)
                 : getsockname(fd, (struct sockaddr *)&a, &n);
    if (r < 0) {
        t_say(label, "%s", t_errno(errno));
        return;
    }
    bool abstract = n > 2 && a.sun_path[0] == '\0';
    t_say(label, "%u %u %s%.*s", a.sun_family, n, abstract ? "@" : "",
          (int)(n > 2 ? n - 2 - abstract : 0), a.sun_path + abstract);
}

static void create(void)
{
    T("socket_family_bad", socket(-1, SOCK_STREAM, 0));
    T("socket_family_bad", socket(46, SOCK_STREAM, 0));
    T("socket_type_bad", socket(AF_UNIX, 15, 0));
    T("socket_type_bad", socket(AF_UNIX, -1, 0));
    T("socket_type_bad", socket(AF_UNIX, 0, 0));
    T("socket_type_bad", socket(AF_UNIX, SOCK_RDM, 0));
    T("socket_flag_bad", socket(AF_UNIX, SOCK_STREAM | 0x100, 0));
    T("socket_protocol", socket(AF_UNIX, SOCK_STREAM, 2));
    OK("socket_protocol", close(socket(AF_UNIX, SOCK_STREAM, AF_UNIX)));
    int fd = socket(AF_UNIX, SOCK_RAW, 0), v = 0;
    socklen_t n = sizeof(v);
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &n);
    t_say("raw_is", "%d", v);
    close(fd);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    T("cloexec", fcntl(fd, F_GETFD));
    t_say("flags", "%#x", (unsigned)fcntl(fd, F_GETFL));
    T("lseek", lseek(fd, 0, SEEK_SET));
    char c;
    T("pread", pread(fd, &c, 1, 0));
    T("fsync", fsync(fd));
    T("ftruncate", ftruncate(fd, 0));
    OK("mmap", (long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
    struct stat st;
    T("fstat", fstat(fd, &st));
    t_say("fstat_is", "%o %ld %d", st.st_mode, (long)st.st_size,
          (int)st.st_nlink);
    char link[64] = "", want[64], path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    YES("readlink", readlink(path, link, sizeof(link) - 1) > 0);
    snprintf(want, sizeof(want), "socket:[%lu]", (unsigned long)st.st_ino);
    YES("readlink_is", strcmp(link, want) == 0);
    T("open_proc", open(path, O_RDWR));
    close(fd);
    int sv[2];
    T("pair_inet", socketpair(AF_UNIX, SOCK_RDM, 0, sv));
    T("pair_fault", SC(socketpair, AF_UNIX, SOCK_STREAM, 0, BAD_PTR));
    T("pair_bad", socketpair(AF_UNIX, SOCK_STREAM | 0x400, 0, sv));
    T("not_a_socket", listen(0, 1));
    T("bad_fd", listen(-1, 1));
}

static void names(void)
{
    struct sockaddr_un a;
    socklen_t n;
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    say_name("unbound", fd, false);
    say_name("unconnected", fd, true);
    n = addr(&a, "s1");
    T("bind_short", bind(fd, (struct sockaddr *)&a, 1));
    T("bind_negative", bind(fd, (struct sockaddr *)&a, (socklen_t)-1));
    T("bind_long", bind(fd, (struct sockaddr *)&a, 129));
    T("bind_111", bind(fd, (struct sockaddr *)&a, 111));
    T("bind_fault", bind(fd, BAD_PTR, n));
    a.sun_family = AF_INET;
    T("bind_family", bind(fd, (struct sockaddr *)&a, n));
    a.sun_family = AF_UNIX;
    umask(027);
    T("bind", bind(fd, (struct sockaddr *)&a, n));
    umask(022);
    stat("s1", &st);
    t_say("bind_mode", "%o %u", st.st_mode, st.st_uid);
    say_name("bind_name", fd, false);
    n = addr(&a, "s2");
    T("bind_again", bind(fd, (struct sockaddr *)&a, n));
    T("bind_again_file", access("s2", F_OK));
    T("open_it", open("s1", O_RDWR));
    OK("open_path", open("s1", O_PATH));
    int fd2 = socket(AF_UNIX, SOCK_STREAM, 0);
    n = addr(&a, "s1");
    T("bind_taken", bind(fd2, (struct sockaddr *)&a, n));
    n = addr(&a, "none/s1");
    T("bind_nodir", bind(fd2, (struct sockaddr *)&a, n));
    n = addr(&a, "s1/x");
    T("bind_notdir", bind(fd2, (struct sockaddr *)&a, n));
    memset(a.sun_path, 'p', sizeof(a.sun_path));
    T("bind_full", bind(fd2, (struct sockaddr *)&a, sizeof(a)));
    n = sizeof(a);
    T("full_name", getsockname(fd2, (struct sockaddr *)&a, &n));
    t_say("full_size", "%u", n);
    n = 4;
    memset(&a, 'x', sizeof(a));
    T("cut_name", getsockname(fd, (struct sockaddr *)&a, &n));
    t_say("cut", "%u %.4s", n, a.sun_path);
    n = (socklen_t)-1;
    T("name_negative", getsockname(fd, (struct sockaddr *)&a, &n));
    n = sizeof(a);
    T("name_fault", getsockname(fd, BAD_PTR, &n));
    T("name_fault", getsockname(fd, (struct sockaddr *)&a, BAD_PTR));
    close(fd);
    close(fd2);
    T("stays", access("s1", F_OK));
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    T("connect_stale", con(fd, "s1"));
    T("connect_none", con(fd, "none"));
    close(t_file("plain", 1));
    T("connect_file", con(fd, "plain"));
    T("connect_dir", con(fd, "."));
    fd2 = bound(SOCK_DGRAM, "dg");
    T("connect_type", con(fd, "dg"));
    T("connect_abstract_none", con(fd, "@none.conform"));
    close(fd);
    close(fd2);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sa_family_t family = AF_UNIX;
    T("autobind", bind(fd, (struct sockaddr *)&family, sizeof(family)));
    n = sizeof(a);
    getsockname(fd, (struct sockaddr *)&a, &n);
    t_say("autobind_is", "%u %d %d", n, a.sun_path[0],
          strspn(a.sun_path + 1, "0123456789abcdef") >= 5);
    T("autobind_again", bind(fd, (struct sockaddr *)&family, sizeof(family)));
    close(fd);
    fd = bound(SOCK_STREAM, "@abs.conform");
    say_name("abstract", fd, false);
    fd2 = socket(AF_UNIX, SOCK_STREAM, 0);
    n = addr(&a, "@abs.conform");
    T("abstract_taken", bind(fd2, (struct sockaddr *)&a, n));
    T("abstract_longer", bind(fd2, (struct sockaddr *)&a, n + 1));
    close(fd2);
    fd2 = socket(AF_UNIX, SOCK_DGRAM, 0);
    T("abstract_other_type", bind(fd2, (struct sockaddr *)&a, n));
    close(fd);
    close(fd2);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    T("abstract_free", bind(fd, (struct sockaddr *)&a, n));
    close(fd);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    fchmod(fd, 0600);
    n = addr(&a, "s3");
    T("bind_fchmod", bind(fd, (struct sockaddr *)&a, n));
    stat("s3", &st);
    t_say("bind_fchmod_mode", "%o", st.st_mode);
    close(fd);
}

static void permissions(void)
{
    int l = bound(SOCK_STREAM, "perm");
    listen(l, 1);
    chmod("perm", 0755);
    if (setresuid(1000, 1000, 1000) < 0)
        t_say("setuid", "%s", t_errno(errno));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    T("connect_eacces", con(fd, "perm"));
    struct sockaddr_un a;
    socklen_t n = addr(&a, "mine");
    T("bind_eacces", bind(fd, (struct sockaddr *)&a, n));
    int v = 1;
    T("sndbufforce", setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &v, sizeof(v)));
    T("mark", setsockopt(fd, SOL_SOCKET, SO_MARK, &v, sizeof(v)));
    v = 7;
    T("priority", setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &v, sizeof(v)));
}

static void states(void)
{
    int l = socket(AF_UNIX, SOCK_STREAM, 0);
    char b[8];
    say_poll("poll_new", l);
    T("listen_unbound", listen(l, 1));
    T("accept_unbound", accept(l, NULL, NULL));
    T("recv_new", recv(l, b, 1, MSG_DONTWAIT));
    T("send_new", send(l, b, 1, MSG_NOSIGNAL));
    T("shutdown_new", shutdown(l, SHUT_RDWR));
    T("shutdown_bad", shutdown(l, 3));
    say_poll("poll_shut", l);
    close(l);
    l = bound(SOCK_STREAM, "st");
    int c = socket(AF_UNIX, SOCK_STREAM, 0);
    T("connect_before_listen", con(c, "st"));
    T("listen", listen(l, 0));
    say_poll("poll_listen", l);
    T("listen_again", listen(l, 1));
    T("listen_negative", listen(l, -1));
    listen(l, 1);
    T("send_listener", send(l, b, 1, MSG_NOSIGNAL));
    T("recv_listener", recv(l, b, 1, MSG_DONTWAIT));
    int v = 0;
    T("inq_listener", ioctl(l, FIONREAD, &v));
    fcntl(l, F_SETFL, O_NONBLOCK);
    T("accept_empty", accept(l, NULL, NULL));
    T("accept4_bad", accept4(l, NULL, NULL, 1));
    T("connect_self", con(l, "st"));
    fcntl(c, F_SETFL, O_NONBLOCK);
    T("connect", con(c, "st"));
    say_poll("poll_connected", c);
    say_poll("poll_pending", l);
    T("connect_again", con(c, "st"));
    say_name("client", c, false);
    say_name("client_peer", c, true);
    T("send_early", send(c, "early", 5, 0));
    int c2 = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int c3 = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    T("connect_2", con(c2, "st"));
    T("connect_full", con(c3, "st"));
    T("bind_connected", bind(c, (struct sockaddr *)"\1\0", 2));
    struct sockaddr_un a;
    socklen_t n = sizeof(a);
    memset(&a, 0, sizeof(a));
    int s = accept4(l, (struct sockaddr *)&a, &n, SOCK_CLOEXEC);
    t_say("accepted", "%d %u %d", s >= 0, n, fcntl(s, F_GETFD));
    t_say("accepted_flags", "%#x", (unsigned)fcntl(s, F_GETFL));
    say_name("server", s, false);
    T("recv_early", recv(s, b, sizeof(b), 0));
    T("connect_3", con(c3, "st"));
    T("listen_connected", listen(s, 1));
    T("accept_connected", accept(s, NULL, NULL));
    close(l);
    say_poll("poll_refused", c3);
    T("recv_reset", recv(c3, b, 1, 0));
    T("recv_after_reset", recv(c3, b, 1, 0));
    T("send_after_reset", send(c3, b, 1, MSG_NOSIGNAL));
    T("connect_gone", con(c3, "st"));
    say_name("peer_after", c, true);
    close(c);
    close(c2);
    close(c3);
    close(s);
}

static void ends(void)
{
    int sv[2], v;
    char b[16];
    socklen_t n = sizeof(v);
    signal(SIGPIPE, t_handler);
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    say_poll("poll_pair", sv[0]);
    T("write", write(sv[0], "hello", 5));
    say_poll("poll_in", sv[1]);
    T("inq", ioctl(sv[1], FIONREAD, &v));
    t_say("inq_is", "%d", v);
    T("peek", recv(sv[1], b, 3, MSG_PEEK));
    T("read", read(sv[1], b, 2));
    T("peek_rest", recv(sv[1], b, 16, MSG_PEEK));
    T("shut_wr", shutdown(sv[0], SHUT_WR));
    say_poll("poll_shut_wr", sv[0]);
    say_poll("poll_peer_wr", sv[1]);
    T("read_rest", read(sv[1], b, 16));
    T("read_end", read(sv[1], b, 16));
    t_hits = 0;
    T("send_shut", send(sv[0], "x", 1, 0));
    t_say("sigpipe", "%d", t_hits);
    T("send_nosignal", send(sv[0], "x", 1, MSG_NOSIGNAL));
    T("write_shut", write(sv[0], "x", 1));
    t_say("sigpipe", "%d", t_hits);
    T("other_way", write(sv[1], "back", 4));
    T("other_way_read", read(sv[0], b, 16));
    T("shut_rd", shutdown(sv[0], SHUT_RD));
    say_poll("poll_both", sv[0]);
    say_poll("poll_both_peer", sv[1]);
    T("send_to_shut_rd", send(sv[1], "x", 1, MSG_NOSIGNAL));
    close(sv[0]);
    say_poll("poll_closed", sv[1]);
    close(sv[1]);

    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    T("left", write(sv[0], "unread", 6));
    T("left", write(sv[1], "kept", 4));
    close(sv[1]); /* with "unread" in its queue */
    say_poll("poll_reset", sv[0]);
    T("so_error", getsockopt(sv[0], SOL_SOCKET, SO_ERROR, &v, &n));
    t_say("so_error_is", "%d", v);
    say_poll("poll_reset_taken", sv[0]);
    T("read_kept", read(sv[0], b, 16));
    T("read_then", read(sv[0], b, 16));
    T("write_then", send(sv[0], "x", 1, MSG_NOSIGNAL));
    close(sv[0]);

    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    T("empty_send", send(sv[0], b, 0, 0));
    T("empty_recv", recv(sv[1], b, 0, MSG_DONTWAIT));
    T("recv_none", recv(sv[1], b, 1, MSG_DONTWAIT));
    T("send_fault", send(sv[0], BAD_PTR, 1, 0));
    T("recv_fault_none", recv(sv[1], BAD_PTR, 1, MSG_DONTWAIT));
    write(sv[0], "abc", 3);
    T("recv_fault", recv(sv[1], BAD_PTR, 1, 0));
    T("recv_kept", recv(sv[1], b, 16, 0));
    struct sockaddr_un a;
    n = addr(&a, "st");
    T("sendto_stream", sendto(sv[0], "x", 1, 0, (struct sockaddr *)&a, n));
    struct timeval tv = {0, 30000};
    T("rcvtimeo", setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
    T("recv_timeout", recv(sv[0], b, 1, 0));
    T("sndtimeo", setsockopt(sv[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
    static char big[65536];
    long total = 0, r;
    while ((r = send(sv[0], big, sizeof(big), 0)) == (long)sizeof(big))
        total += r;
    YES("send_timeout", r == -1 ? errno == EAGAIN : r > 0);
    YES("send_some", total > 65536);
    say_poll("poll_full", sv[0]);
    while (recv(sv[1], big, sizeof(big), MSG_DONTWAIT) > 0)
        ;
    say_poll("poll_drained", sv[0]);
    T("outq", ioctl(sv[0], TIOCOUTQ, &v));
    t_say("outq_is", "%d", v);
    T("ioctl_bad", ioctl(sv[0], 0x1234, &v));
    close(sv[0]);
    close(sv[1]);
    signal(SIGPIPE, SIG_DFL);
}

static void sigpipe_child(void)
{
    int sv[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    close(sv[1]);
    write(sv[0], "x", 1);
}

/* A part each time the reader sleeps (or has gone on). */
static void waitall_child(int fd, pid_t reader)
{
    for (int i = 0; i < 4; i++) {
        t_asleep(reader);
        write(fd, "abcd", 4);
    }
    _exit(0);
}

static void blocking(void)
{
    int sv[2];
    char b[32];
    pid_t me = getpid();
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    if (fork() == 0)
        waitall_child(sv[1], me);
    T("waitall", recv(sv[0], b, 10, MSG_WAITALL));
    close(sv[1]);
    T("waitall_end", recv(sv[0], b, 32, MSG_WAITALL));
    wait(NULL);
    close(sv[0]);
    int v = 6;
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    T("rcvlowat", setsockopt(sv[0], SOL_SOCKET, SO_RCVLOWAT, &v, sizeof(v)));
    if (fork() == 0)
        waitall_child(sv[1], me);
    YES("lowat", recv(sv[0], b, 32, 0) >= 6);
    wait(NULL);
    close(sv[0]);
    close(sv[1]);
    /* Interrupted: without and with a timeout. */
    t_catch(SIGALRM, 0);
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    t_alarms();
    T("eintr", recv(sv[0], b, 1, 0));
    t_catch(SIGALRM, SA_RESTART);
    struct timeval tv = {1000, 0};
    setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    T("eintr_timeout", recv(sv[0], b, 1, 0));
    t_calm();
    close(sv[0]);
    close(sv[1]);
    /* accept and connect block, a signal or room ends it. */
    int l = bound(SOCK_STREAM, "blk");
    listen(l, 0);
    int c1 = socket(AF_UNIX, SOCK_STREAM, 0), c2;
    con(c1, "blk");
    pid_t pid = fork();
    if (pid == 0) {
        c2 = socket(AF_UNIX, SOCK_STREAM, 0);
        _exit(con(c2, "blk") == 0 ? 7 : 8);
    }
    t_asleep(pid);
    int status, s = accept(l, NULL, NULL);
    waitpid(pid, &status, 0);
    t_say("connect_waited", "%d", WEXITSTATUS(status));
    close(s);
    close(accept(l, NULL, NULL));
    t_catch(SIGALRM, 0);
    t_alarms();
    T("accept_eintr", accept(l, NULL, NULL));
    t_calm();
    setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0, 20000},
               sizeof(struct timeval));
    T("accept_timeout", accept(l, NULL, NULL));
    T("listener_shutdown", shutdown(l, SHUT_RD));
    T("accept_shut", accept(l, NULL, NULL));
    T("connect_shut", con(socket(AF_UNIX, SOCK_STREAM, 0), "blk"));
    t_child("sigpipe_kills", sigpipe_child);
}

static void edge(void)
{
    int sv[2], e = epoll_create1(0);
    struct epoll_event ev = {.events =
                                 EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP},
                       got[4];
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv);
    epoll_ctl(e, EPOLL_CTL_ADD, sv[0], &ev);
#define EP(label)                                                              \
    do {                                                                       \
        int n_ = epoll_wait(e, got, 4, 0);                                     \
        t_say(label, "%d %#x", n_, n_ > 0 ? got[0].events : 0);                \
    } while (0)
    EP("et_first");
    EP("et_quiet");
    write(sv[1], "a", 1);
    EP("et_in");
    EP("et_quiet");
    write(sv[1], "b", 1);
    EP("et_more");
    char b[8];
    read(sv[0], b, 1);
    EP("et_read_one");
    read(sv[0], b, 8);
    EP("et_read_all");
    shutdown(sv[1], SHUT_WR);
    EP("et_rdhup");
    EP("et_quiet");
    close(sv[1]);
    EP("et_hup");
    close(sv[0]);
    EP("et_gone");
    close(e);
}

/* Control messages of other protocols are passed over. */
static void foreign(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    static char data[100000];
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(64)];
    } c = {.h = {.cmsg_len = CMSG_LEN(64),
                 .cmsg_level = 0, /* IPPROTO_IP */
                 .cmsg_type = 1}};
    for (int i = 0; i < 3; i++) {
        int sv[2];
        long sent = 0, got = 0;
        socketpair(AF_UNIX, types[i], 0, sv);
        for (int k = 0; k < 50; k++) {
            struct iovec v = {data, k == 0 && i == 0 ? sizeof(data) : 100};
            struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
            m.msg_control = &c;
            m.msg_controllen = sizeof(c);
            sent += sendmsg(sv[0], &m, 0);
            v.iov_len = sizeof(data);
            m.msg_controllen = sizeof(c);
            got += recvmsg(sv[1], &m, 0);
            T("foreign controllen", m.msg_controllen);
        }
        while (got < sent)
            got += recv(sv[1], data, sizeof(data), 0);
        T("foreign sent", sent);
        T("foreign got", got);
        close(sv[0]);
        close(sv[1]);
    }
}

int main(void)
{
    t_begin("unix");
    foreign();
    create();
    names();
    states();
    ends();
    blocking();
    edge();
    t_child("permissions", permissions);
    return 0;
}
