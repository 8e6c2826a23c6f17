// SPDX-License-Identifier: Apache-2.0
/* Sending on AF_UNIX sockets. unix(7), send(2). */
#include "abi/linux/errno.h"
#include "abi/linux/signal.h"

#include "guest/core/klib.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/fs/poll.h"
#include "guest/net/unix_impl.h"

#define STREAM_PART 32768u /* bytes of one packet of a stream */
#define DGRAM_LESS  32u    /* largest datagram: so much less than sndbuf */

/* --- waiting for our own room; unix_lock not held --- */

/* 0: `u` may send now; -EAGAIN: not yet; -errno: never. */
static int send_state(struct unix_sock *u)
{
    int r = 0;
    spin_lock(&unix_lock);
    if ((u->shut & UNIX_SHUT_SEND) != 0)
        r = -EPIPE;
    else if (u->s.error != 0)
        r = socket_error(&u->s);
    else if (u->sent >= u->s.sndbuf)
        r = -EAGAIN;
    spin_unlock(&unix_lock);
    return r;
}

static int send_wait(struct unix_sock *u, uint32_t flags, nsec_t deadline)
{
    int state = send_state(u), r;
    if (state != -EAGAIN || (flags & LX_MSG_DONTWAIT) != 0)
        return state;
    WAIT_FOR(r, &u->s.out_wait, (state = send_state(u)) != -EAGAIN,
             WAIT_SIGNALS, deadline);
    return r < 0 ? socket_wait_error(r, u->s.send_timeout) : state;
}

/* --- credentials --- */

/* Does one of both want to know who sent it? unix_lock held. */
static void packet_sign(struct unix_packet *p, const struct unix_sock *from,
                        const struct unix_sock *to)
{
    if (p->control.has_cred)
        return;
    if (!socket_option_on(&from->s, LX_SO_PASSCRED) &&
        !socket_option_on(&to->s, LX_SO_PASSCRED) && to->s.file != NULL)
        return;
    p->control.cred = ucred_current();
    p->control.has_cred = true;
}

static void packet_take_control(struct unix_packet *p, struct control *c)
{
    p->control = *c;
    p->control.raw = NULL; /* for other protocols: stays the caller's */
    p->control.raw_size = 0;
    c->files = NULL;
}

/* --- streams --- */

static int stream_push(struct unix_sock *u, struct unix_packet *p)
{
    int r = -EPIPE;
    spin_lock(&unix_lock);
    struct unix_sock *peer = u->peer;
    if (peer != NULL && !peer->dead && (peer->shut & UNIX_SHUT_RECV) == 0 &&
        (u->shut & UNIX_SHUT_SEND) == 0) {
        packet_sign(p, u, peer);
        unix_packet_push(peer, u, p);
        r = 0;
    }
    spin_unlock(&unix_lock);
    return r;
}

static int stream_send_part(struct unix_sock *u, struct message *m,
                            uint32_t size, nsec_t deadline)
{
    struct unix_packet *p;
    int r = send_wait(u, m->flags, deadline);
    if (r == 0)
        r = unix_packet_new(m->u, size, &p);
    if (r < 0)
        return r;
    packet_take_control(p, &m->control);
    r = stream_push(u, p);
    if (r < 0)
        unix_packet_put(p);
    return r;
}

static void send_sigpipe(void)
{
    struct lx_siginfo si;
    signal_info(&si, LX_SIGPIPE, LX_SI_USER);
    (void)signal_send_task(current(), &si);
}

static int64_t stream_send(struct unix_sock *u, struct message *m)
{
    nsec_t deadline = socket_deadline(u->s.send_timeout);
    int64_t done = 0;
    int r = 0;
    if (m->addr != NULL)
        return u->state == UNIX_ESTABLISHED ? -EISCONN : -EOPNOTSUPP;
    if (u->peer == NULL)
        return -ENOTCONN;
    if ((u->shut & UNIX_SHUT_SEND) != 0)
        r = -EPIPE;
    while (r == 0 && m->u->left > 0) {
        /* A small buffer must hold two, or the ends take turns. */
        uint32_t part = MIN(STREAM_PART, MAX(u->s.sndbuf / 2, 64u) - 64);
        part = (uint32_t)MIN(m->u->left, (uint64_t)MAX(part, 64u));
        r = stream_send_part(u, m, part, deadline);
        if (r == 0)
            done += part;
    }
    if (r == -EPIPE && done == 0 && (m->flags & LX_MSG_NOSIGNAL) == 0)
        send_sigpipe();
    return done > 0 || r == 0 ? done : r;
}

/* --- datagrams and records --- */

static bool dgram_blocked(const struct unix_sock *u, const struct unix_sock *to)
{
    return !to->dead && (to->shut & UNIX_SHUT_RECV) == 0 && to->peer != u &&
           to != u && unix_queue_full(to);
}

static bool dgram_blocked_locked(const struct unix_sock *u,
                                 const struct unix_sock *to)
{
    spin_lock(&unix_lock);
    bool r = dgram_blocked(u, to);
    spin_unlock(&unix_lock);
    return r;
}

/* unix_lock held. -EAGAIN: wait for room at `to`. -ESTALE: it is gone. */
static int dgram_push(struct unix_sock *u, struct unix_sock *to,
                      struct unix_packet *p)
{
    if (to->dead)
        return -ESTALE;
    if (to->peer != NULL && to->peer != u)
        return -EPERM;
    if ((to->shut & UNIX_SHUT_RECV) != 0)
        return -EPIPE;
    if (dgram_blocked(u, to))
        return -EAGAIN;
    packet_sign(p, u, to);
    unix_packet_push(to, u, p);
    return 0;
}

static int dgram_target(struct unix_sock *u, const struct net_addr *a,
                        struct unix_sock **to)
{
    if (a != NULL)
        return unix_find(a, u->s.type, to);
    spin_lock(&unix_lock);
    *to = u->peer;
    if (*to != NULL)
        unix_get(*to);
    spin_unlock(&unix_lock);
    return *to != NULL ? 0 : -ENOTCONN;
}

/* The peer closed its socket: from now on we have none. */
static int dgram_peer_gone(struct unix_sock *u, const struct unix_sock *peer)
{
    spin_lock(&unix_lock);
    if (u->peer == peer && u->s.type == LX_SOCK_DGRAM) {
        unix_set_peer(u, NULL);
        u->state = UNIX_CLOSE;
    }
    spin_unlock(&unix_lock);
    return u->s.type == LX_SOCK_DGRAM ? -ECONNREFUSED : -EPIPE;
}

static int dgram_deliver(struct unix_sock *u, const struct message *m,
                         struct unix_packet *p, nsec_t deadline)
{
    for (;;) {
        struct unix_sock *to;
        int r = dgram_target(u, m->addr, &to);
        if (r < 0)
            return r;
        spin_lock(&unix_lock);
        r = dgram_push(u, to, p);
        spin_unlock(&unix_lock);
        bool again = false;
        if (r == -EAGAIN && (m->flags & LX_MSG_DONTWAIT) == 0) {
            WAIT_FOR(r, &to->room_wait, !dgram_blocked_locked(u, to),
                     WAIT_SIGNALS, deadline);
            again = r == 0;
            r = socket_wait_error(r, u->s.send_timeout);
        } else if (r == -ESTALE && m->addr != NULL) {
            again = true; /* the name may lead elsewhere now */
        } else if (r == -ESTALE) {
            r = dgram_peer_gone(u, to);
        }
        spin_lock(&unix_lock);
        unix_put(to);
        spin_unlock(&unix_lock);
        if (!again)
            return r;
    }
}

static int dgram_check(struct unix_sock *u, struct message *m)
{
    int r = 0;
    if (u->s.type == LX_SOCK_SEQPACKET) {
        r = socket_error(&u->s);
        if (r == 0 && u->state != UNIX_ESTABLISHED)
            r = -ENOTCONN;
        m->addr = NULL;
    }
    if (r == 0 && m->u->left > u->s.sndbuf - DGRAM_LESS)
        r = -EMSGSIZE;
    else if (r == 0 && m->addr != NULL)
        r = unix_addr_check(m->addr);
    else if (r == 0 && u->peer == NULL)
        r = -ENOTCONN;
    if (r == 0 && socket_option_on(&u->s, LX_SO_PASSCRED))
        r = unix_autobind(u);
    return r;
}

static int64_t dgram_send(struct unix_sock *u, struct message *m)
{
    struct unix_packet *p;
    nsec_t deadline = socket_deadline(u->s.send_timeout);
    int64_t size = (int64_t)m->u->left;
    int r = dgram_check(u, m);
    if (r == 0)
        r = send_wait(u, m->flags, deadline);
    if (r == 0)
        r = unix_packet_new(m->u, (uint32_t)size, &p);
    if (r < 0)
        return r;
    packet_take_control(p, &m->control);
    r = dgram_deliver(u, m, p, deadline);
    if (r < 0) {
        unix_packet_put(p);
        return r;
    }
    return size;
}

int64_t unix_send(struct socket *s, struct message *m)
{
    struct unix_sock *u = unix_of(s);
    struct scm_files *f = m->control.files;
    if ((m->flags & LX_MSG_OOB) != 0)
        return -EOPNOTSUPP;
    if (f != NULL) {
        unix_gc();
        f->uid = current()->cred.uid;
        int r = unix_inflight_check(f->uid, f->count);
        if (r < 0)
            return r;
    }
    return s->type == LX_SOCK_STREAM ? stream_send(u, m) : dgram_send(u, m);
}
