// SPDX-License-Identifier: Apache-2.0
/* ip(7): IP_RECVERR, IPV6_RECVERR and the error queue, over loopback. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/guest/conform/t.h"

#ifndef IPV6_RECVERR
#define IPV6_RECVERR 25
#endif
#define ERRQUEUE 0x2000

static void say_poll(const char *label, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLERR};
    int r = poll(&p, 1, 0);
    t_say(label, "%d %#x", r, (unsigned)p.revents);
}

static void say_queue(const char *label, int fd)
{
    struct sockaddr_in6 from = {0};
    char data[64] = "", control[256];
    struct iovec v = {data, 8};
    struct msghdr m = {.msg_name = &from,
                       .msg_namelen = sizeof(from),
                       .msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &m, ERRQUEUE | MSG_DONTWAIT);
    if (n < 0) {
        t_value(label, n);
        return;
    }
    t_say(label, "%ld %.8s flags %#x to family %d port %d", (long)n, data,
          (unsigned)m.msg_flags, from.sin6_family, ntohs(from.sin6_port));
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        char hex[128] = "";
        size_t size = c->cmsg_len - CMSG_LEN(0);
        for (size_t i = 0; i < size && i < 44; i++)
            (void)snprintf(hex + 2 * i, 3, "%02x", CMSG_DATA(c)[i]);
        t_say(label, "level %d type %d len %d %s", c->cmsg_level, c->cmsg_type,
              (int)c->cmsg_len, hex);
    }
}

static void say_error(const char *label, int fd)
{
    int e = -1;
    socklen_t n = sizeof(e);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n);
    t_say(label, "%s", e == 0 ? "none" : t_errno(e));
}

static void check(const char *what, int fd, void *to, socklen_t size,
                  bool connected)
{
    char label[64], c;
#define L(name) (snprintf(label, sizeof(label), "%s.%s", what, name), label)
    say_queue(L("empty"), fd);
    if (connected)
        T(L("connect"), connect(fd, to, size));
    T(L("send"), connected ? send(fd, "payload-1", 9, 0)
                           : sendto(fd, "payload-1", 9, 0, to, size));
    t_arrives(fd, POLLERR);
    say_poll(L("poll"), fd);
    say_queue(L("queue"), fd);
    say_poll(L("poll_after"), fd);
    say_error(L("error_after"), fd);
    T(L("send2"),
      connected ? send(fd, "x", 1, 0) : sendto(fd, "x", 1, 0, to, size));
    t_arrives(fd, POLLERR);
    T(L("recv"), recv(fd, &c, 1, MSG_DONTWAIT));
    say_poll(L("poll2"), fd);
    say_queue(L("queue2"), fd);
    say_queue(L("queue3"), fd);
}

/* Of datagrams of every small size the sender is told: how many were. */
static void check_sizes(const char *label, int family, void *to, socklen_t size)
{
    static char data[201];
    size_t n = 0;
    bool told = true;
    while (told && n < sizeof(data)) {
        int fd = socket(family, SOCK_DGRAM, 0);
        connect(fd, to, size);
        told = UNTIL(send(fd, data, n, 0) < 0 && errno == ECONNREFUSED);
        n += told;
        close(fd);
    }
    t_say(label, "%zu", n);
}

int main(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(6666)};
    struct sockaddr_in6 b = {.sin6_family = AF_INET6, .sin6_port = htons(6666)};
    int on = 1;
    t_program = "iperr";
    inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
    inet_pton(AF_INET6, "::1", &b.sin6_addr);
    for (int connected = 0; connected < 2; connected++) {
        int x = socket(AF_INET, SOCK_DGRAM, 0);
        int y = socket(AF_INET6, SOCK_DGRAM, 0);
        setsockopt(x, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
        setsockopt(y, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
        check(connected ? "conn4" : "free4", x, &a, sizeof(a), connected);
        check(connected ? "conn6" : "free6", y, &b, sizeof(b), connected);
        close(x);
        close(y);
    }
    check_sizes("sizes4", AF_INET, &a, sizeof(a));
    check_sizes("sizes6", AF_INET6, &b, sizeof(b));
    return 0;
}
