// SPDX-License-Identifier: Apache-2.0
/* What conformance programs about sockets share. */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/guest/conform/t.h"

/* What recv(2) gives at once: how many bytes, and which. */
static inline void t_recv(const char *label, int fd, size_t size, int flags)
{
    char b[64] = "";
    ssize_t n = recv(fd, b, size, flags | MSG_DONTWAIT);

    if (n < 0)
        t_say(label, "%s", t_errno(errno));
    else
        t_say(label, "%zd '%.*s'", n, (int)n, b);
}

/* Listens at 127.0.0.1; *at says where. */
static inline int t_listener(struct sockaddr_in *at)
{
    socklen_t size = sizeof(*at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *at = (struct sockaddr_in){.sin_family = AF_INET};
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)at, size) < 0 || listen(fd, 10) < 0 ||
        getsockname(fd, (struct sockaddr *)at, &size) < 0)
        t_say("listener", "%s", t_errno(errno));
    return fd;
}

/* Two ends of TCP: who connected, who accepted. */
static inline void t_tcp_pair(int s[2])
{
    struct sockaddr_in at;
    int l = t_listener(&at);

    s[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(s[0], (struct sockaddr *)&at, sizeof(at)) < 0)
        t_say("connect", "%s", t_errno(errno));
    s[1] = accept(l, NULL, NULL);
    close(l);
}
