// SPDX-License-Identifier: Apache-2.0
/* The error queue of a datagram socket: IP_RECVERR, MSG_ERRQUEUE. ip(7). */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/uio.h"
#include "guest/net/dgram.h"

#define ERRORS_MAX  64u   /* kept of a socket; more are lost */
#define PAYLOAD_MAX 1280u /* bytes of what was sent, as it was quoted */

struct dgram_report {
    struct list node;
    struct ip_report r;
    uint16_t port;
    uint32_t size;
    uint8_t data[];
};

void dgram_report(struct dgram_sock *d, const struct packet *p, uint32_t head,
                  uint16_t port, const struct ip_report *r)
{
    uint32_t n = MIN(p->size - MIN(p->size, head), PAYLOAD_MAX);
    struct dgram_report *e = kmalloc(sizeof(*e) + n);
    if (e == NULL)
        return;
    *e = (struct dgram_report){.r = *r, .port = port, .size = n};
    if (n > 0)
        packet_copy_out(p, head, e->data, n);
    spin_lock(&d->k.lock);
    bool fits = d->error_count < ERRORS_MAX && !d->dead;
    if (fits) {
        list_add_tail(&d->errors, &e->node);
        d->error_count++;
    }
    spin_unlock(&d->k.lock);
    if (!fits)
        kfree(e);
}

void dgram_free_errors(struct dgram_sock *d)
{
    LIST_FOR_SAFE(it, next, &d->errors)
    kfree(LIST_ENTRY(it, struct dgram_report, node));
}

/* struct sock_extended_err and the address of who said it. */
static void give_error(const struct inet_sock *k, const struct dgram_report *e,
                       struct message *m)
{
    struct {
        struct lx_sock_extended_err ee;
        union {
            struct lx_sockaddr_in in;
            struct lx_sockaddr_in6 in6;
        };
    } b = {.ee = {.err = (uint32_t)e->r.error,
                  .origin = e->r.origin,
                  .type = e->r.type,
                  .code = e->r.code,
                  .info = e->r.info}};
    uint32_t size = sizeof(b.ee);
    if (k->s.family == LX_AF_INET) {
        b.in = (struct lx_sockaddr_in){.family = LX_AF_INET,
                                       .addr = ip_to4(&e->r.offender)};
        size += (uint32_t)sizeof(b.in);
    } else {
        b.in6 = (struct lx_sockaddr_in6){.family = LX_AF_INET6};
        memcpy(b.in6.addr, e->r.offender.b, sizeof(b.in6.addr));
        size += (uint32_t)sizeof(b.in6);
    }
    if (e->r.origin == LX_SO_EE_ORIGIN_LOCAL)
        memset(&b.in6, 0, sizeof(b.in6)); /* AF_UNSPEC: it was us */
    bool six = k->s.family == LX_AF_INET6;
    control_add(&m->control, six ? LX_IPPROTO_IPV6 : LX_IPPROTO_IP,
                six ? LX_IPV6_RECVERR : LX_IP_RECVERR, &b, size);
}

int64_t dgram_recv_error(struct dgram_sock *d, struct message *m)
{
    struct dgram_report *e = NULL;
    spin_lock(&d->k.lock);
    if (!list_empty(&d->errors)) {
        e = LIST_ENTRY(d->errors.next, struct dgram_report, node);
        list_remove(&e->node);
        d->error_count--;
    }
    bool more = !list_empty(&d->errors);
    spin_unlock(&d->k.lock);
    if (e == NULL)
        return -EAGAIN;
    if (!more) /* what was pending was this one's */
        (void)socket_error(&d->k.s);
    uint64_t n = MIN(m->u->left, (uint64_t)e->size);
    int64_t r = (int64_t)n;
    if (n > 0 && uio_put(m->u, e->data, n) != (int64_t)n)
        r = -EFAULT;
    m->got |= LX_MSG_ERRQUEUE | (n < e->size ? LX_MSG_TRUNC : 0);
    if (m->addr != NULL)
        inet_addr_put(&d->k, &e->r.dst, e->port, 0, m->addr);
    give_error(&d->k, e, m);
    kfree(e);
    return r;
}
