// SPDX-License-Identifier: Apache-2.0
#include "net/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/fdsend.h"
#include "base/iov.h"
#include "base/log.h"
#include "net/dns.h"
#include "net/dnszone.h"
#include "net/loop.h"
#include "net/proxy.h"

enum { HELPER_TICK_MS = 5000 };

int helper_send(int fd, const struct helper_msg *m, int pass)
{
    return helper_send_data(fd, m, sizeof(*m), pass);
}

int helper_send_data(int fd, const void *data, size_t size, int pass)
{
    return fd_send(fd, data, size, &pass, pass >= 0);
}

/* ---- the child ---- */

struct helper {
    struct loop_fd f; /* first: to the keeper */
    struct loop loop;
    struct proxy *proxy;
    struct dns *dns;
};

/* One message; `kind` says which. */
union helper_any {
    uint32_t kind;
    struct helper_msg m;
    struct dnszone_network network;
    struct dnszone_vm vm;
    struct dnszone_servers servers;
};

/* -1 where there was none. */
static int helper_passed_fd(struct msghdr *h)
{
    int fd = -1;
    const struct cmsghdr *c = CMSG_FIRSTHDR(h);
    if (c != NULL && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(fd)))
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

/* Our own program sends them, yet what it says is as long as it should be. */
static bool helper_is_whole(const union helper_any *any, size_t size)
{
    switch (any->kind) {
    case HELPER_NETWORK: return size == sizeof(any->network);
    case HELPER_VM: return size == sizeof(any->vm);
    case HELPER_SERVERS: return size == sizeof(any->servers);
    default: return size == sizeof(any->m);
    }
}

static void helper_take(struct helper *x, const union helper_any *any, int fd)
{
    const struct helper_msg *m = &any->m;
    switch (any->kind) {
    case HELPER_PROXY:
        if (fd >= 0)
            proxy_add(x->proxy, m, fd);
        return;
    case HELPER_LISTEN:
        if (fd >= 0)
            dns_listen(x->dns, m->vm, m->udp != 0, fd);
        return;
    case HELPER_DROP:
        proxy_drop(x->proxy, m->vm);
        dns_drop_vm(x->dns, m->vm);
        break;
    case HELPER_LEAVE: dns_drop_network(x->dns, m->vm); break;
    case HELPER_NETWORK:
        dnszone_set_network(dns_zone(x->dns), &any->network);
        break;
    case HELPER_VM: dns_set_vm(x->dns, &any->vm); break;
    case HELPER_SERVERS: dns_zone(x->dns)->servers = any->servers; break;
    default: break;
    }
    if (fd >= 0)
        (void)close(fd);
}

static void helper_ready(struct loop_fd *f, uint32_t events)
{
    struct helper *x = (struct helper *)f;
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    static union helper_any any;
    struct iovec v = {.iov_base = &any, .iov_len = sizeof(any)};
    struct msghdr h = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.space,
                       .msg_controllen = sizeof(control.space)};
    (void)events;
    ssize_t n = recvmsg(f->fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < (ssize_t)sizeof(any.kind) || !helper_is_whole(&any, (size_t)n))
        _exit(0); /* the keeper is gone */
    helper_take(x, &any, helper_passed_fd(&h));
}

static void helper_run(int fd, int empty)
{
    struct helper x = {.f = {.fd = fd, .ready = helper_ready}};
    struct err e;
    if (loop_open(&x.loop, &e) < 0 || (x.proxy = proxy_new(&x.loop)) == NULL ||
        (x.dns = dns_new(&x.loop)) == NULL ||
        loop_watch(&x.loop, &x.f, EPOLLIN) < 0)
        _exit(1);
    if (jail_enter(empty, &e) < 0) {
        log_error("helper: %s", e.msg);
        _exit(1);
    }
    for (;;) {
        int soon = dns_tick(x.dns);
        loop_run(&x.loop, soon >= 0 ? soon : HELPER_TICK_MS);
        proxy_tick(x.proxy);
    }
}

int helper_start(int empty, int *pid, struct err *e)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, -errno, "socketpair: %s", strerror(errno));
    pid_t keeper = getpid();
    pid_t child = fork();
    if (child < 0) {
        (void)close(pair[0]);
        (void)close(pair[1]);
        return err_set(e, -errno, "fork: %s", strerror(errno));
    }
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != keeper)
            _exit(0);
        /* 0 to 2 stay; everything else of the keeper's goes. */
        int fd = dup3(pair[1], 3, O_CLOEXEC) == 3 ? 3 : -1;
        int dir = dup3(empty, 4, O_CLOEXEC) == 4 ? 4 : -1;
        (void)close_range(5, ~0U, 0);
        helper_run(fd, dir);
    }
    (void)close(pair[1]);
    *pid = child;
    return pair[0];
}
