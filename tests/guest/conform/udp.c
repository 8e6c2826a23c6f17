// SPDX-License-Identifier: Apache-2.0
/* udp(7), ip(7), ipv6(7) over loopback: names, data, errors. In a network
 * namespace of its own with lo up. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/guest/conform/t.h"

static struct sockaddr_in in4(const char *ip, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_port = htons((uint16_t)port);
    inet_pton(AF_INET, ip, &a.sin_addr);
    return a;
}

static struct sockaddr_in6 in6(const char *ip, int port)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6};
    a.sin6_port = htons((uint16_t)port);
    inet_pton(AF_INET6, ip, &a.sin6_addr);
    return a;
}

#define AT(a) (struct sockaddr *)&(a), sizeof(a)

static int udp4(const char *ip, int port)
{
    struct sockaddr_in a = in4(ip, port);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (bind(fd, AT(a)) < 0)
        t_say("udp4", "%s:%d %s", ip, port, t_errno(errno));
    return fd;
}

static void say_poll(const char *label, int fd)
{
    struct pollfd p = {.fd = fd, .events = 0x3fff};
    int r = poll(&p, 1, 0);
    t_say(label, "%d %#x", r, (unsigned)p.revents);
}

static void say_name(const char *label, int fd, int peer)
{
    struct sockaddr_in6 a = {0};
    socklen_t n = sizeof(a);
    char text[64] = "?";
    int r = peer ? getpeername(fd, (void *)&a, &n)
                 : getsockname(fd, (void *)&a, &n);
    if (r < 0) {
        t_value(label, r);
        return;
    }
    struct sockaddr_in *v4 = (void *)&a;
    if (a.sin6_family == AF_INET)
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    else
        inet_ntop(AF_INET6, &a.sin6_addr, text, sizeof(text));
    int port = ntohs(a.sin6_port);
    t_say(label, "%d %s %d scope %u", (int)n, text,
          port >= 32768 ? 99999 : port,
          a.sin6_family == AF_INET6 ? a.sin6_scope_id : 0);
}

static void say_from(const char *label, int fd, int flags, size_t room)
{
    struct sockaddr_in6 a = {0};
    socklen_t n = sizeof(a);
    char data[256] = "";
    char text[64] = "-";
    t_arrives(fd, POLLIN);
    ssize_t r = recvfrom(fd, data, room, flags, (void *)&a, &n);
    if (r < 0) {
        t_value(label, r);
        return;
    }
    struct sockaddr_in *v4 = (void *)&a;
    if (a.sin6_family == AF_INET)
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    else if (a.sin6_family == AF_INET6)
        inet_ntop(AF_INET6, &a.sin6_addr, text, sizeof(text));
    t_say(label, "%ld %.16s from %s size %d", (long)r, data, text, (int)n);
}

static void create(void)
{
    OK("create.dgram", socket(AF_INET, SOCK_DGRAM, 0));
    OK("create.dgram_udp", socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP));
    T("create.dgram_tcp", socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
    T("create.stream_udp", socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    T("create.seqpacket", socket(AF_INET, SOCK_SEQPACKET, 0));
    T("create.proto_300", socket(AF_INET, SOCK_DGRAM, 300));
    T("create.proto_neg", socket(AF_INET, SOCK_DGRAM, -1));
    T("create.raw_0", socket(AF_INET, SOCK_RAW, 0));
    T("create.type_9", socket(AF_INET, 9, 0));
    OK("create.dgram6", socket(AF_INET6, SOCK_DGRAM, 0));
    int sv[2];
    T("create.pair", socketpair(AF_INET, SOCK_DGRAM, 0, sv));
}

static void names(void)
{
    struct sockaddr_in a = in4("127.0.0.1", 5001);
    struct sockaddr_in6 b = in6("::1", 5001);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    say_name("name.unbound", fd, 0);
    say_name("name.unbound_peer", fd, 1);
    T("bind.short", bind(fd, (void *)&a, 8));
    T("bind.family6", bind(fd, AT(b)));
    a.sin_family = AF_UNIX;
    T("bind.unix", bind(fd, AT(a)));
    a = in4("192.0.2.1", 5001);
    T("bind.foreign", bind(fd, AT(a)));
    a = in4("127.0.0.1", 5001);
    T("bind.good", bind(fd, AT(a)));
    T("bind.again", bind(fd, AT(a)));
    say_name("name.bound", fd, 0);
    int fd2 = socket(AF_INET, SOCK_DGRAM, 0);
    T("bind.taken", bind(fd2, AT(a)));
    a = in4("0.0.0.0", 5001);
    T("bind.any_taken", bind(fd2, AT(a)));
    a = in4("127.0.0.2", 5001);
    T("bind.other_loopback", bind(fd2, AT(a)));
    say_name("name.other", fd2, 0);
    close(fd2);
    fd2 = socket(AF_INET, SOCK_DGRAM, 0);
    a = in4("0.0.0.0", 0);
    T("bind.port0", bind(fd2, AT(a)));
    say_name("name.port0", fd2, 0);
    T("listen", listen(fd, 1));
    T("accept", accept(fd, NULL, NULL));
    close(fd);
    close(fd2);
}

static void reuse(void)
{
    struct sockaddr_in a = in4("127.0.0.1", 5010);
    int one = 1;
    for (int mode = 0; mode < 2; mode++) {
        int opt = mode == 0 ? SO_REUSEADDR : SO_REUSEPORT;
        int x = socket(AF_INET, SOCK_DGRAM, 0);
        int y = socket(AF_INET, SOCK_DGRAM, 0);
        int z = socket(AF_INET, SOCK_DGRAM, 0);
        T("reuse.set", setsockopt(x, SOL_SOCKET, opt, &one, sizeof(one)));
        T("reuse.set2", setsockopt(y, SOL_SOCKET, opt, &one, sizeof(one)));
        int got = 7;
        socklen_t n = sizeof(got);
        T("reuse.get", getsockopt(y, SOL_SOCKET, opt, &got, &n));
        t_say("reuse.value", "%d", got);
        T("reuse.first", bind(x, AT(a)));
        T("reuse.second", bind(y, AT(a)));
        T("reuse.without", bind(z, AT(a)));
        close(x);
        close(y);
        close(z);
    }
}

static void data(void)
{
    struct sockaddr_in a = in4("127.0.0.1", 5020);
    struct sockaddr_in b = in4("127.0.0.1", 5021);
    int x = udp4("127.0.0.1", 5020), y = udp4("127.0.0.1", 5021);
    char big[4096] = "big";
    say_poll("data.poll_empty", x);
    T("data.recv_empty", recv(x, big, 1, 0));
    T("data.send", sendto(y, "hello", 5, 0, AT(a)));
    t_arrives(x, POLLIN);
    say_poll("data.poll", x);
    int q = -1;
    T("data.inq", ioctl(x, FIONREAD, &q));
    t_say("data.inq_value", "%d", q);
    say_from("data.peek", x, MSG_PEEK, 64);
    say_from("data.peek_trunc", x, MSG_PEEK | MSG_TRUNC, 2);
    say_from("data.recv", x, 0, 64);
    T("data.empty", sendto(y, "", 0, 0, AT(a)));
    say_from("data.recv_empty_one", x, 0, 64);
    T("data.three", sendto(y, "abc", 3, 0, AT(a)));
    say_from("data.cut", x, 0, 2);
    T("data.gone", recv(x, big, 1, 0));
    T("data.large", sendto(y, big, sizeof(big), 0, AT(a)));
    t_arrives(x, POLLIN);
    T("data.large_recv", recv(x, big, sizeof(big), 0));
    T("data.no_dest", send(y, "x", 1, 0));
    T("data.oob", sendto(y, "x", 1, MSG_OOB, AT(a)));
    T("data.connect", connect(y, AT(a)));
    say_name("data.peer", y, 1);
    T("data.send_conn", send(y, "conn", 4, 0));
    say_from("data.recv_conn", x, 0, 64);
    T("data.to_other", sendto(y, "self", 4, 0, AT(b)));
    int z = udp4("127.0.0.1", 5022);
    T("data.stranger", sendto(z, "str", 3, 0, AT(b)));
    T("data.refused", recv(z, big, 1, 0));
    T("data.refused_peer", recv(y, big, 16, 0));
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    T("data.disconnect", connect(y, &none, sizeof(none)));
    say_name("data.no_peer", y, 1);
    say_name("data.still_bound", y, 0);
    T("data.stranger2", sendto(z, "str", 3, 0, AT(b)));
    say_from("data.from_stranger", y, 0, 64);
    char *huge = calloc(1, 70000);
    T("data.max", sendto(y, huge, 65507, 0, AT(a)));
    T("data.over", sendto(y, huge, 65508, 0, AT(a)));
    T("data.far_over", sendto(y, huge, 70000, 0, AT(a)));
    t_arrives(x, POLLIN);
    T("data.max_recv", recv(x, huge, 70000, 0));
    struct sockaddr_in far = in4("192.0.2.7", 9);
    T("data.unreach", sendto(y, "x", 1, 0, AT(far)));
    far = in4("127.0.0.1", 0);
    T("data.port0", sendto(y, "x", 1, 0, AT(far)));
    far = in4("0.0.0.0", 5020);
    T("data.any", sendto(y, "any", 3, 0, AT(far)));
    say_from("data.any_recv", x, 0, 64);
    free(huge);
    close(x);
    close(y);
    close(z);
}

static void refused(void)
{
    struct sockaddr_in a = in4("127.0.0.1", 5090);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    T("refused.connect", connect(fd, AT(a)));
    say_name("refused.name", fd, 0);
    T("refused.send", send(fd, "x", 1, 0));
    t_arrives(fd, POLLERR);
    say_poll("refused.poll", fd);
    int e = -1;
    socklen_t n = sizeof(e);
    T("refused.get", getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n));
    t_say("refused.error", "%s", t_errno(e));
    T("refused.send2", send(fd, "x", 1, 0));
    t_arrives(fd, POLLERR);
    T("refused.send3", send(fd, "x", 1, 0));
    char c;
    T("refused.recv", recv(fd, &c, 1, 0));
    T("refused.shutdown", shutdown(fd, SHUT_RD));
    T("refused.recv_shut", recv(fd, &c, 1, 0));
    T("refused.shutdown_wr", shutdown(fd, SHUT_WR));
    say_poll("refused.poll_shut", fd);
    T("refused.send_shut", send(fd, "x", 1, MSG_NOSIGNAL));
    T("refused.bad_how", shutdown(fd, 3));
    close(fd);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    T("refused.shut_unconnected", shutdown(fd, SHUT_RDWR));
    close(fd);
}

static void six(void)
{
    struct sockaddr_in6 any = in6("::", 5030), one = in6("::1", 5030);
    struct sockaddr_in6 mapped = in6("::ffff:127.0.0.1", 5031);
    struct sockaddr_in a = in4("127.0.0.1", 5030);
    int on = 1, got = -1;
    socklen_t n = sizeof(got);
    int x = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int y = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int v4 = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    T("six.v6only", getsockopt(x, IPPROTO_IPV6, IPV6_V6ONLY, &got, &n));
    t_say("six.v6only_value", "%d", got);
    T("six.bind", bind(x, AT(any)));
    say_name("six.name", x, 0);
    T("six.v4_taken", bind(v4, AT(a)));
    T("six.to", sendto(y, "six", 3, 0, AT(one)));
    say_from("six.recv", x, 0, 64);
    T("six.v4_to", sendto(v4, "four", 4, 0, AT(a)));
    say_from("six.v4_recv", x, 0, 64);
    int z = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    T("six.bind_mapped", bind(z, AT(mapped)));
    say_name("six.mapped_name", z, 0);
    T("six.v4_dest", sendto(z, "down", 4, 0, AT(a)));
    say_from("six.v4_dest_recv", x, 0, 64);
    T("six.mapped_to_6", sendto(z, "x", 1, 0, AT(one)));
    int w = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    T("six.only", setsockopt(w, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
    T("six.only_to_4", sendto(w, "x", 1, 0, AT(a)));
    mapped = in6("::ffff:127.0.0.1", 5033);
    T("six.only_bind_mapped", bind(w, AT(mapped)));
    any = in6("::", 5034);
    T("six.only_bind", bind(w, AT(any)));
    struct sockaddr_in b = in4("0.0.0.0", 5034);
    T("six.only_beside_4", bind(v4 = socket(AF_INET, SOCK_DGRAM, 0), AT(b)));
    T("six.set_late",
      setsockopt(w, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
    T("six.short", bind(socket(AF_INET6, SOCK_DGRAM, 0), (void *)&any, 20));
    T("six.family4", bind(socket(AF_INET6, SOCK_DGRAM, 0), AT(a)));
    struct sockaddr_in6 ll = in6("fe80::1", 1);
    T("six.link_local", bind(socket(AF_INET6, SOCK_DGRAM, 0), AT(ll)));
    struct sockaddr_in6 far = in6("2001:db8::1", 9);
    T("six.unreach", sendto(y, "x", 1, 0, AT(far)));
    one = in6("::1", 5099);
    T("six.connect", connect(y, AT(one)));
    say_name("six.connect_name", y, 0);
    T("six.send", send(y, "x", 1, 0));
    char c;
    t_arrives(y, POLLERR);
    T("six.refused", recv(y, &c, 1, 0));
    far = in6("::", 5030);
    T("six.connect_any", connect(y, AT(far)));
    say_name("six.connect_any_peer", y, 1);
}

int main(int argc, char **argv)
{
    (void)argc;
    t_program = "udp";
    (void)argv;
    create();
    names();
    reuse();
    data();
    refused();
    six();
    return 0;
}
