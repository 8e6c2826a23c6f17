// SPDX-License-Identifier: Apache-2.0
/* Netlink sockets: requests are answered while they are sent, into the queue
 * of their own socket. netlink(7). */
#include "guest/net/netlink.h"

#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/core/usercopy.h"
#include "guest/fs/poll.h"
#include "guest/net/inet_impl.h"
#include "guest/net/netif.h"

#define NL_PART     8192u  /* bytes of one datagram of a dump, at most */
#define NL_SEND_MAX 65536u /* bytes of requests in one datagram */
#define HEAD        ((uint32_t)sizeof(struct lx_nlmsghdr))

struct nl_part { /* one datagram for the program */
    struct list node;
    uint32_t size;
    uint8_t data[];
};

struct nl_sock {
    struct socket s; /* first */
    struct spinlock lock;
    struct mutex read_lock;
    struct list queue; /* struct nl_part */
    uint32_t bytes;    /* of memory in the queue */
    uint32_t pid, groups;
    bool bound;
};

static const struct socket_ops nl_ops;
static const struct socket_io_ops nl_io_ops;

static struct nl_sock *nl_of(struct socket *s)
{
    return CONTAINER_OF(s, struct nl_sock, s);
}

/* --- life --- */

static int nl_create(uint32_t type, int protocol, struct socket **out)
{
    if (type != LX_SOCK_RAW && type != LX_SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    if (protocol != LX_NETLINK_ROUTE)
        return -EPROTONOSUPPORT;
    int r = net_start();
    if (r < 0)
        return r;
    struct nl_sock *n = kzalloc(sizeof(*n));
    if (n == NULL)
        return -ENOMEM;
    socket_init(&n->s, LX_AF_NETLINK, (uint16_t)type);
    n->s.ops = &nl_ops;
    n->s.io = &nl_io_ops;
    n->s.protocol = LX_NETLINK_ROUTE;
    mutex_init(&n->read_lock);
    list_init(&n->queue);
    *out = &n->s;
    return 0;
}

static uint32_t part_charge(const struct nl_part *p)
{
    return (uint32_t)sizeof(*p) + p->size;
}

static void nl_release(struct socket *s)
{
    struct nl_sock *n = nl_of(s);
    LIST_FOR_SAFE(it, next, &n->queue)
    kfree(LIST_ENTRY(it, struct nl_part, node));
    kfree(n);
}

/* --- building --- */

/* What was built goes into the queue, in memory of its size; the buffer stays.
 */
static void nl_flush(struct nl_out *o)
{
    struct nl_sock *n = o->to;
    if (o->size == 0)
        return;
    struct nl_part *p = kmalloc(sizeof(*p) + o->size);
    if (p == NULL) {
        o->lost = true;
        o->size = 0;
        return;
    }
    list_init(&p->node);
    p->size = o->size;
    memcpy(p->data, o->data, o->size);
    o->size = 0;
    spin_lock(&n->lock);
    bool fits = n->bytes + part_charge(p) <= n->s.rcvbuf;
    if (fits) {
        list_add_tail(&n->queue, &p->node);
        n->bytes += part_charge(p);
    }
    spin_unlock(&n->lock);
    if (!fits) {
        o->lost = true;
        kfree(p);
        return;
    }
    waitq_wake(&n->s.in_wait, EPOLLIN | EPOLLRDNORM, 1);
}

/* `n` more bytes, zeroed to the next multiple of 4. NULL: no room. */
static void *nl_room(struct nl_out *o, uint32_t n)
{
    if (o->data == NULL || NL_PART - o->size < LX_NLA_ALIGN(n)) {
        o->lost = true;
        return NULL;
    }
    void *at = o->data + o->size;
    memset(at, 0, LX_NLA_ALIGN(n));
    o->size += LX_NLA_ALIGN(n);
    return at;
}

void nl_begin(struct nl_out *o, uint16_t type, const void *head, uint32_t n)
{
    /* No message of ours is longer than 1 KiB. */
    if (o->data != NULL && NL_PART - o->size < 2048)
        nl_flush(o);
    if (o->data == NULL)
        o->data = kmalloc(NL_PART);
    o->start = o->size;
    struct lx_nlmsghdr h = {
        .type = type, .flags = o->flags, .seq = o->seq, .pid = o->to->pid};
    void *at = nl_room(o, HEAD);
    if (at != NULL)
        memcpy(at, &h, sizeof(h));
    at = nl_room(o, n);
    if (at != NULL)
        memcpy(at, head, n);
}

void nl_attr(struct nl_out *o, uint16_t type, const void *data, uint32_t n)
{
    struct lx_rtattr a = {.size = (uint16_t)(sizeof(a) + n), .type = type};
    uint8_t *at = nl_room(o, a.size);
    if (at == NULL)
        return;
    memcpy(at, &a, sizeof(a));
    memcpy(at + sizeof(a), data, n);
}

void nl_attr_u32(struct nl_out *o, uint16_t type, uint32_t v)
{
    nl_attr(o, type, &v, sizeof(v));
}

void nl_end(struct nl_out *o)
{
    uint32_t size = o->size - o->start;
    if (o->data != NULL && size >= HEAD)
        memcpy(o->data + o->start, &size, sizeof(size));
}

const void *nl_find(const struct nl_request *r, uint32_t head, uint16_t type,
                    uint32_t *n)
{
    uint32_t at = LX_NLA_ALIGN(head);
    while (at < r->size && r->size - at >= sizeof(struct lx_rtattr)) {
        struct lx_rtattr a;
        memcpy(&a, r->body + at, sizeof(a));
        if (a.size < sizeof(a) || a.size > r->size - at)
            return NULL;
        if ((a.type & LX_NLA_TYPE_MASK) == type) {
            *n = a.size - (uint32_t)sizeof(a);
            return r->body + at + sizeof(a);
        }
        at += LX_NLA_ALIGN(a.size);
    }
    return NULL;
}

/* --- requests --- */

static void nl_error(struct nl_out *o, const struct nl_request *r, int error)
{
    int32_t e = error;
    o->flags = 0;
    nl_begin(o, LX_NLMSG_ERROR, &e, sizeof(e));
    void *at = nl_room(o, HEAD);
    if (at != NULL)
        memcpy(at, &r->h, HEAD);
    uint32_t n = error != 0 ? MIN(r->size, 1024u) : 0;
    at = n != 0 ? nl_room(o, n) : NULL;
    if (at != NULL)
        memcpy(at, r->body, n);
    nl_end(o);
}

static int nl_serve(struct nl_out *o, const struct nl_request *r)
{
    int32_t zero = 0;
    bool get = (r->h.type - LX_RTM_NEWLINK) % 4 == 2;
    if (r->h.type < LX_RTM_NEWLINK)
        return 0; /* NLMSG_NOOP and others for nobody */
    if (get && (r->h.flags & LX_NLM_F_DUMP) != 0) {
        o->flags = LX_NLM_F_MULTI;
        int e = rtnl_dump(o, r);
        if (e < 0)
            return e;
        nl_begin(o, LX_NLMSG_DONE, &zero, sizeof(zero));
        nl_end(o);
        return 1; /* an answer of its own */
    }
    if (get) {
        int e = rtnl_get(o, r);
        return e < 0 ? e : 1;
    }
    if (!cred_capable(current()->proc, LX_CAP_NET_ADMIN))
        return -EPERM;
    return rtnl_set(r);
}

static void nl_handle(struct nl_sock *n, const uint8_t *data, uint32_t size)
{
    struct nl_out o = {.to = n};
    while (size >= HEAD) {
        struct nl_request r;
        memcpy(&r.h, data, HEAD);
        if (r.h.size < HEAD || r.h.size > size)
            break;
        r.body = data + HEAD;
        r.size = r.h.size - HEAD;
        o.seq = r.h.seq;
        o.flags = 0;
        if ((r.h.flags & LX_NLM_F_REQUEST) != 0) {
            int e = nl_serve(&o, &r);
            if (e < 0 || (e == 0 && (r.h.flags & LX_NLM_F_ACK) != 0))
                nl_error(&o, &r, MIN(e, 0));
            nl_flush(&o);
        }
        uint32_t step = MIN(LX_NLA_ALIGN(r.h.size), size);
        data += step;
        size -= step;
    }
    kfree(o.data);
    if (o.lost)
        n->s.error = ENOBUFS;
    net_flush(); /* announcements */
}

/* --- socket_ops --- */

static int nl_addr(const struct net_addr *a, struct lx_sockaddr_nl *nl)
{
    if (a->size < sizeof(*nl))
        return -EINVAL;
    memcpy(nl, a->data, sizeof(*nl));
    return nl->family == LX_AF_NETLINK ? 0 : -EINVAL;
}

/* The process's own id first, then others nobody has: never compared. */
static void nl_autobind(struct nl_sock *n)
{
    static uint32_t next;
    if (n->bound)
        return;
    n->pid = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) == 0
                 ? (uint32_t)current()->proc->pid
                 : 0xfffff000u - next;
    n->bound = true;
}

static int nl_bind(struct socket *s, const struct net_addr *a)
{
    struct nl_sock *n = nl_of(s);
    struct lx_sockaddr_nl nl;
    int r = nl_addr(a, &nl);
    if (r < 0)
        return r;
    if (n->bound && nl.pid != n->pid && nl.pid != 0)
        return -EINVAL;
    n->groups = nl.groups;
    if (nl.pid != 0) {
        n->pid = nl.pid;
        n->bound = true;
    }
    nl_autobind(n);
    return 0;
}

static int nl_connect(struct socket *s, const struct net_addr *a, bool nonblock)
{
    struct lx_sockaddr_nl nl;
    (void)nonblock;
    int r = nl_addr(a, &nl);
    if (r == 0 && nl.pid != 0)
        r = -ECONNREFUSED; /* nobody but the kernel is there */
    if (r == 0)
        nl_autobind(nl_of(s));
    return r;
}

static int nl_listen(struct socket *s, int backlog)
{
    (void)s;
    (void)backlog;
    return -EOPNOTSUPP;
}

static int nl_accept(struct socket *s, bool nonblock, struct socket **out)
{
    (void)s;
    (void)nonblock;
    (void)out;
    return -EOPNOTSUPP;
}

static int nl_name(struct socket *s, bool peer, struct net_addr *out)
{
    struct nl_sock *n = nl_of(s);
    struct lx_sockaddr_nl nl = {.family = LX_AF_NETLINK};
    if (!peer) {
        nl.pid = n->pid;
        nl.groups = n->groups;
    }
    out->size = sizeof(nl);
    memcpy(out->data, &nl, sizeof(nl));
    return 0;
}

static int nl_shutdown(struct socket *s, int how)
{
    (void)s;
    (void)how;
    return -EOPNOTSUPP;
}

/* --- socket_io_ops --- */

static int64_t nl_send(struct socket *s, struct message *m)
{
    struct nl_sock *n = nl_of(s);
    struct lx_sockaddr_nl nl;
    uint64_t size = m->u->left;
    if ((m->flags & LX_MSG_OOB) != 0)
        return -EOPNOTSUPP;
    if (m->addr != NULL && nl_addr(m->addr, &nl) < 0)
        return -EINVAL;
    if (m->addr != NULL && nl.pid != 0)
        return -ECONNREFUSED;
    if (size > NL_SEND_MAX)
        return -EMSGSIZE;
    nl_autobind(n);
    uint8_t *data = kmalloc(MAX(size, UINT64_C(1)));
    if (data == NULL)
        return -ENOBUFS;
    int64_t r = (int64_t)size;
    if (size > 0 && uio_get(m->u, data, size) != (int64_t)size)
        r = -EFAULT;
    else
        nl_handle(n, data, (uint32_t)size);
    kfree(data);
    return r;
}

static struct nl_part *nl_take(struct nl_sock *n, bool peek, int *why)
{
    struct nl_part *p = NULL;
    *why = socket_error(&n->s);
    if (*why < 0)
        return NULL;
    *why = -EAGAIN;
    spin_lock(&n->lock);
    if (!list_empty(&n->queue)) {
        p = LIST_ENTRY(n->queue.next, struct nl_part, node);
        if (!peek) {
            list_remove(&p->node);
            n->bytes -= part_charge(p);
        }
    }
    spin_unlock(&n->lock);
    return p;
}

static int64_t nl_give(struct nl_sock *n, struct message *m,
                       const struct nl_part *p)
{
    uint32_t size = (uint32_t)MIN(m->u->left, (uint64_t)p->size);
    if (size < p->size)
        m->got |= LX_MSG_TRUNC;
    if (size > 0 && uio_put(m->u, p->data, size) != (int64_t)size)
        return -EFAULT;
    if (m->addr != NULL)
        (void)nl_name(&n->s, true, m->addr);
    return (m->flags & LX_MSG_TRUNC) != 0 ? p->size : size;
}

static int64_t nl_recv(struct socket *s, struct message *m)
{
    struct nl_sock *n = nl_of(s);
    bool peek = (m->flags & LX_MSG_PEEK) != 0;
    nsec_t deadline = socket_deadline(s->recv_timeout);
    if ((m->flags & LX_MSG_OOB) != 0)
        return -EOPNOTSUPP;
    for (;;) {
        int r;
        mutex_lock(&n->read_lock);
        struct nl_part *p = nl_take(n, peek, &r);
        int64_t got = p != NULL ? nl_give(n, m, p) : 0;
        mutex_unlock(&n->read_lock);
        if (p != NULL && !peek)
            kfree(p);
        if (p != NULL)
            return got;
        if (r != -EAGAIN || (m->flags & LX_MSG_DONTWAIT) != 0)
            return r;
        WAIT_FOR(r, &s->in_wait, n->bytes != 0 || s->error != 0, WAIT_SIGNALS,
                 deadline);
        if (r < 0)
            return socket_wait_error(r, s->recv_timeout);
    }
}

static uint32_t nl_poll(struct socket *s, struct poll_table *pt)
{
    struct nl_sock *n = nl_of(s);
    uint32_t bits = EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
    poll_add(pt, &s->in_wait);
    spin_lock(&n->lock);
    if (!list_empty(&n->queue))
        bits |= EPOLLIN | EPOLLRDNORM;
    if (s->error != 0)
        bits |= EPOLLERR;
    spin_unlock(&n->lock);
    return bits;
}

static int64_t nl_ioctl(struct socket *s, uint32_t cmd, uint64_t arg)
{
    return inet_device_ioctl(s, cmd, arg);
}

/* Memberships are kept: there are no news to send. */
static int nl_option(struct socket *s, struct socket_option *o)
{
    int32_t v;
    (void)s;
    if (o->level == LX_SOL_SOCKET)
        return -ENOPROTOOPT;
    if (o->level != LX_SOL_NETLINK || !o->set || o->name < 1 ||
        o->name > LX_NETLINK_GET_STRICT_CHK)
        return -ENOPROTOOPT;
    return socket_option_get(o, &v, sizeof(v));
}

static const struct socket_ops nl_ops = {
    .bind = nl_bind,
    .connect = nl_connect,
    .listen = nl_listen,
    .accept = nl_accept,
    .name = nl_name,
    .shutdown = nl_shutdown,
};

static const struct socket_io_ops nl_io_ops = {
    .send = nl_send,
    .recv = nl_recv,
    .poll = nl_poll,
    .ioctl = nl_ioctl,
    .option = nl_option,
    .release = nl_release,
};

static int nl_pair(struct socket *a, struct socket *b)
{
    (void)a;
    (void)b;
    return -EOPNOTSUPP;
}

const struct net_family netlink_family = {
    .family = LX_AF_NETLINK,
    .create = nl_create,
    .pair = nl_pair,
};
