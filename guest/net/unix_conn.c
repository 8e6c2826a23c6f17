// SPDX-License-Identifier: Apache-2.0
/* AF_UNIX connections: made, accepted, shut down, released. unix(7). */
#include "abi/linux/errno.h"

#include "guest/core/kmem.h"
#include "guest/core/timer.h"
#include "guest/fs/poll.h"
#include "guest/net/unix_impl.h"

#define POLL_ENDED (EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLHUP | EPOLLOUT)

void unix_set_peer(struct unix_sock *u, struct unix_sock *peer)
{
    struct unix_sock *old = u->peer;
    list_remove(&u->sender_node);
    u->peer = peer;
    if (peer != NULL) {
        unix_get(peer);
        list_add_tail(&peer->senders, &u->sender_node);
    }
    if (old != NULL)
        unix_put(old);
}

/* All packets of `from` move to `to`; unix_lock held. */
static void queue_take(struct unix_sock *from, struct list *to)
{
    while (!list_empty(&from->queue)) {
        struct unix_packet *p =
            LIST_ENTRY(from->queue.next, struct unix_packet, node);
        unix_packet_remove(from, p);
        list_add_tail(to, &p->node);
    }
}

static void queue_free(struct list *l)
{
    while (!list_empty(l)) {
        struct unix_packet *p = LIST_ENTRY(l->next, struct unix_packet, node);
        list_remove(&p->node);
        unix_packet_put(p);
    }
}

/* --- datagrams --- */

/* `u` no longer talks to `old`: what came is dropped, and `old`, if it talks
 * to us, is told. unix_lock held. */
static void dgram_disconnected(struct unix_sock *u, struct unix_sock *old,
                               struct list *dropped)
{
    queue_take(u, dropped);
    waitq_wake(&u->room_wait, 0, WAKE_ALL);
    if (!old->dead && old->peer == u) {
        old->s.error = ECONNRESET;
        unix_wake_all(old, EPOLLERR);
    }
}

static int dgram_set_peer(struct unix_sock *u, struct unix_sock *peer)
{
    struct list dropped;
    int r = 0;
    list_init(&dropped);
    spin_lock(&unix_lock);
    struct unix_sock *old = u->peer;
    if (peer != NULL && peer->peer != NULL && peer->peer != u) {
        r = -EPERM; /* it takes from its own peer only */
    } else {
        if (old != NULL && old != peer)
            dgram_disconnected(u, old, &dropped);
        unix_set_peer(u, peer);
        u->state = peer != NULL ? UNIX_ESTABLISHED : UNIX_CLOSE;
        waitq_wake(&u->s.out_wait, EPOLLOUT, WAKE_ALL);
    }
    spin_unlock(&unix_lock);
    queue_free(&dropped);
    return r;
}

static int dgram_connect(struct unix_sock *u, const struct net_addr *a)
{
    if (a->size >= sizeof(a->family) && a->family == LX_AF_UNSPEC)
        return dgram_set_peer(u, NULL);
    int r = unix_addr_check(a);
    if (r == 0 && socket_option_on(&u->s, LX_SO_PASSCRED))
        r = unix_autobind(u);
    struct unix_sock *other;
    if (r == 0)
        r = unix_find(a, u->s.type, &other);
    if (r < 0)
        return r;
    r = dgram_set_peer(u, other);
    spin_lock(&unix_lock);
    unix_put(other);
    spin_unlock(&unix_lock);
    return r;
}

/* --- streams --- */

struct connector { /* what a connection needs, made before the lock */
    struct unix_sock *u, *embryo;
    struct unix_cred *cred;
};

static bool listener_ready(const struct unix_sock *l)
{
    return l->dead || l->state != UNIX_LISTEN ||
           (l->shut & UNIX_SHUT_RECV) != 0 || l->pending_count <= l->backlog;
}

/* unix_lock held. -EAGAIN: the listener's queue is full. */
static int connect_link(struct connector *c, struct unix_sock *l)
{
    struct unix_sock *u = c->u, *e = c->embryo;
    if (l->dead || l->state != UNIX_LISTEN || (l->shut & UNIX_SHUT_RECV) != 0)
        return -ECONNREFUSED;
    if (!listener_ready(l))
        return -EAGAIN;
    if (u->state != UNIX_CLOSE)
        return u->state == UNIX_ESTABLISHED ? -EISCONN : -EINVAL;
    unix_set_peer(u, e);
    unix_set_peer(e, u);
    u->state = UNIX_ESTABLISHED;
    e->state = UNIX_ESTABLISHED;
    e->name = l->name;
    if (e->name != NULL)
        e->name->refs++;
    e->s.options |= l->s.options & 1ull << LX_SO_PASSCRED;
    e->peer_cred = c->cred;
    u->peer_cred = l->cred;
    if (l->cred != NULL)
        l->cred->refs++;
    list_add_tail(&l->pending, &e->pending_node);
    l->pending_count++;
    waitq_wake(&l->s.in_wait, EPOLLIN | EPOLLRDNORM, 1);
    *c = (struct connector){.u = u};
    return 0;
}

static bool listener_ready_locked(const struct unix_sock *l)
{
    spin_lock(&unix_lock);
    bool r = listener_ready(l);
    spin_unlock(&unix_lock);
    return r;
}

/* Try once; waits for room first if it must and may. -EAGAIN from inside means
 * try again, from here that it may not wait. */
static int connect_try(struct connector *c, const struct net_addr *a,
                       bool nonblock, nsec_t deadline)
{
    struct unix_sock *l;
    for (;;) {
        int r = unix_find(a, c->u->s.type, &l);
        if (r < 0)
            return r;
        spin_lock(&unix_lock);
        r = connect_link(c, l);
        spin_unlock(&unix_lock);
        bool again = false;
        if (r == -EAGAIN && !nonblock) {
            WAIT_FOR(r, &l->room_wait, listener_ready_locked(l), WAIT_SIGNALS,
                     deadline);
            again = r == 0;
            r = socket_wait_error(r, c->u->s.send_timeout);
        }
        spin_lock(&unix_lock);
        unix_put(l);
        spin_unlock(&unix_lock);
        if (!again)
            return r;
    }
}

static int stream_connect(struct unix_sock *u, const struct net_addr *a,
                          bool nonblock)
{
    struct connector c = {.u = u};
    int r = unix_addr_check(a);
    if (r == 0 && socket_option_on(&u->s, LX_SO_PASSCRED))
        r = unix_autobind(u);
    if (r < 0)
        return r;
    c.embryo = unix_new(u->s.type);
    c.cred = unix_cred_new();
    r = c.embryo != NULL && c.cred != NULL
            ? connect_try(&c, a, nonblock, socket_deadline(u->s.send_timeout))
            : -ENOMEM;
    spin_lock(&unix_lock);
    if (c.embryo != NULL)
        unix_put(c.embryo);
    unix_cred_put(c.cred);
    spin_unlock(&unix_lock);
    return r;
}

int unix_connect(struct socket *s, const struct net_addr *a, bool nonblock)
{
    struct unix_sock *u = unix_of(s);
    return s->type == LX_SOCK_DGRAM ? dgram_connect(u, a)
                                    : stream_connect(u, a, nonblock);
}

int unix_listen(struct socket *s, int backlog)
{
    struct unix_sock *u = unix_of(s);
    if (s->type == LX_SOCK_DGRAM)
        return -EOPNOTSUPP;
    struct unix_cred *c = unix_cred_new();
    if (c == NULL)
        return -ENOMEM;
    int r = 0;
    spin_lock(&unix_lock);
    if (u->name == NULL || u->state == UNIX_ESTABLISHED) {
        r = -EINVAL;
    } else {
        struct unix_cred *old = u->cred;
        u->backlog = MIN((uint32_t)backlog, (uint32_t)SOMAXCONN);
        u->state = UNIX_LISTEN;
        s->listening = true;
        u->cred = c;
        c = old;
        waitq_wake(&u->room_wait, 0, WAKE_ALL);
        unix_wake_all(u, 0);
    }
    unix_cred_put(c);
    spin_unlock(&unix_lock);
    return r;
}

/* Take the first that waits; true: there was one, or it is no use to wait. */
static bool accept_take(struct unix_sock *l, struct unix_sock **out)
{
    bool ended;
    spin_lock(&unix_lock);
    ended = l->state != UNIX_LISTEN || (l->shut & UNIX_SHUT_RECV) != 0;
    if (!list_empty(&l->pending)) {
        *out = LIST_ENTRY(l->pending.next, struct unix_sock, pending_node);
        list_remove(&(*out)->pending_node);
        l->pending_count--;
        waitq_wake(&l->room_wait, EPOLLOUT, WAKE_ALL);
    }
    spin_unlock(&unix_lock);
    return ended || *out != NULL;
}

int unix_accept(struct socket *s, bool nonblock, struct socket **out)
{
    struct unix_sock *l = unix_of(s), *got = NULL;
    if (s->type == LX_SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (!s->listening)
        return -EINVAL;
    nsec_t deadline = socket_deadline(s->recv_timeout);
    int r = 0;
    if (!accept_take(l, &got)) {
        if (nonblock)
            return -EAGAIN;
        WAIT_FOR(r, &s->in_wait, accept_take(l, &got), WAIT_SIGNALS, deadline);
    }
    if (got == NULL)
        return r == 0 ? -EINVAL : socket_wait_error(r, s->recv_timeout);
    *out = &got->s;
    return 0;
}

int unix_pair(struct socket *a, struct socket *b)
{
    struct unix_sock *ua = unix_of(a), *ub = unix_of(b);
    struct unix_cred *c = unix_cred_new();
    if (c == NULL)
        return -ENOMEM;
    c->refs = 2;
    spin_lock(&unix_lock);
    unix_set_peer(ua, ub);
    unix_set_peer(ub, ua);
    ua->peer_cred = c;
    ub->peer_cred = c;
    ua->state = UNIX_ESTABLISHED;
    ub->state = UNIX_ESTABLISHED;
    spin_unlock(&unix_lock);
    return 0;
}

/* --- the end --- */

int unix_shutdown(struct socket *s, int how)
{
    static const uint8_t ours[] = {UNIX_SHUT_RECV, UNIX_SHUT_SEND,
                                   UNIX_SHUT_BOTH};
    static const uint8_t theirs[] = {UNIX_SHUT_SEND, UNIX_SHUT_RECV,
                                     UNIX_SHUT_BOTH};
    struct unix_sock *u = unix_of(s);
    if (how < LX_SHUT_RD || how > LX_SHUT_RDWR)
        return -EINVAL;
    spin_lock(&unix_lock);
    u->shut |= ours[how];
    unix_wake_all(u, POLL_ENDED);
    waitq_wake(&u->room_wait, 0, WAKE_ALL);
    struct unix_sock *peer = u->peer;
    if (peer != NULL && s->type != LX_SOCK_DGRAM) {
        peer->shut |= theirs[how];
        unix_wake_all(peer, POLL_ENDED);
    }
    spin_unlock(&unix_lock);
    return 0;
}

/* unix_lock held. What it held goes to `packets` and `embryos`. */
static void release_locked(struct unix_sock *u, bool embryo,
                           struct list *packets, struct list *embryos)
{
    struct unix_sock *peer = u->peer;
    bool unread = u->queue_count != 0 || embryo;
    unix_unbind(u);
    list_remove(&u->all_node);
    u->dead = true;
    u->shut = UNIX_SHUT_BOTH;
    u->state = UNIX_CLOSE;
    __atomic_store_n(&u->s.file, NULL, __ATOMIC_RELEASE);
    if (peer != NULL && u->s.type != LX_SOCK_DGRAM) {
        peer->shut = UNIX_SHUT_BOTH;
        if (unread)
            peer->s.error = ECONNRESET;
        unix_wake_all(peer, POLL_ENDED | (unread ? EPOLLERR : 0));
    }
    unix_set_peer(u, NULL);
    LIST_FOR(it, &u->senders)
    {
        struct unix_sock *s = LIST_ENTRY(it, struct unix_sock, sender_node);
        waitq_wake(&s->s.out_wait, EPOLLOUT, WAKE_ALL);
    }
    queue_take(u, packets);
    while (!list_empty(&u->pending)) {
        struct list *n = u->pending.next;
        list_remove(n);
        list_add_tail(embryos, n);
    }
    u->pending_count = 0;
    waitq_wake(&u->room_wait, 0, WAKE_ALL);
}

void unix_release(struct socket *s)
{
    struct unix_sock *u = unix_of(s);
    struct list packets, embryos;
    list_init(&packets);
    list_init(&embryos);
    spin_lock(&unix_lock);
    release_locked(u, s->file == NULL, &packets, &embryos);
    while (!list_empty(&embryos)) {
        struct unix_sock *e =
            LIST_ENTRY(embryos.next, struct unix_sock, pending_node);
        list_remove(&e->pending_node);
        release_locked(e, true, &packets, &embryos);
        unix_put(e);
    }
    struct path path = u->path;
    u->path = (struct path){NULL, NULL};
    spin_unlock(&unix_lock);
    queue_free(&packets);
    path_put(&path);
    spin_lock(&unix_lock);
    unix_put(u);
    spin_unlock(&unix_lock);
    unix_gc();
}
