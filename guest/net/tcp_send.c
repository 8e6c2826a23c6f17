// SPDX-License-Identifier: Apache-2.0
/*
 * Sending. Bytes are copied into page blocks without the lock, and the blocks
 * are shared by packets from then on. Several senders are kept apart by taking
 * the socket's open block away while they fill it. send(2).
 */
#include "abi/linux/errno.h"
#include "abi/linux/signal.h"

#include "guest/core/kmem.h"
#include "guest/core/page.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/uio.h"
#include "guest/fs/poll.h"
#include "guest/net/tcp_parts.h"

#define ORDER_MAX 4u /* 64 KiB */

struct block { /* bytes from off on are free */
    paddr_t page;
    uint32_t off, size;
};

/* --- waiting --- */

/* Locked. 0: it may send; -EAGAIN: not yet; -errno: never. */
static int send_state(struct tcp_sock *t)
{
    int r = 0;
    if (t->k.s.error != 0)
        r = socket_error(&t->k.s);
    else if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECV)
        r = (t->shut & TCP_SHUT_SEND) != 0 ? -EPIPE : -EAGAIN;
    else if (!TCP_IN(t->state, TCP_SET_SEND) || (t->shut & TCP_SHUT_SEND) != 0)
        r = -EPIPE;
    else if (!tcp_send_room(t) || t->send_charge >= t->k.s.sndbuf)
        r = -EAGAIN;
    return r;
}

static int send_state_locked(struct tcp_sock *t)
{
    spin_lock(&t->k.lock);
    int r = send_state(t);
    spin_unlock(&t->k.lock);
    return r;
}

/* Blocked writers go on at a third of free room, as poll(2) tells. */
static int send_wait(struct tcp_sock *t, const struct message *m,
                     nsec_t deadline)
{
    int state = -EAGAIN, r;
    if ((m->flags & LX_MSG_DONTWAIT) != 0)
        return -EAGAIN;
    WAIT_FOR(r, &t->k.s.out_wait, (state = send_state_locked(t)) != -EAGAIN,
             WAIT_SIGNALS, deadline);
    return r < 0 ? socket_wait_error(r, t->k.s.send_timeout) : state;
}

/* --- one part --- */

static int block_take(struct tcp_sock *t, struct block *b, uint64_t left)
{
    *b = (struct block){
        .page = t->block, .off = t->block_off, .size = t->block_size};
    t->block = 0;
    if (b->page != 0 && b->off < b->size)
        return 0;
    if (b->page != 0)
        page_put(b->page);
    unsigned order = 0;
    while (order < ORDER_MAX && PAGE_SIZE << order < left && tcp_memory_room())
        order++;
    b->page = page_alloc(order, 0);
    while (b->page == 0 && order > 0)
        b->page = page_alloc(--order, 0);
    b->off = 0;
    b->size = (uint32_t)PAGE_SIZE << order;
    return b->page != 0 ? 0 : -ENOMEM;
}

static void block_give(struct tcp_sock *t, struct block *b)
{
    bool keep = t->block == 0 && b->off < b->size && t->state != TCP_CLOSE;
    if (keep) {
        t->block = b->page;
        t->block_off = b->off;
        t->block_size = b->size;
    } else {
        page_put(b->page);
    }
}

/* `n` bytes at b's end of the filled part become part of the stream. */
static void push(struct tcp_sock *t, struct block *b, struct tcp_data *d)
{
    struct tcp_data *tail =
        LIST_ENTRY(t->send_queue.prev, struct tcp_data, node);
    if (!list_empty(&t->send_queue) && tail->page == d->page &&
        tail->off + tail->size == d->off) {
        tail->size += d->size;
        t->write_seq += d->size;
        b->off += d->size;
        tcp_data_free(d);
        return;
    }
    d->seq = t->write_seq;
    t->write_seq += d->size;
    t->send_charge += d->charge;
    b->off += d->size;
    list_add_tail(&t->send_queue, &d->node);
}

/* Bytes that were queued, or -errno; -EAGAIN: no room. */
static int64_t send_part(struct tcp_sock *t, struct message *m, bool more)
{
    struct block b = {.page = 0};
    struct tcp_data *d = NULL;
    spin_lock(&t->k.lock);
    int r = send_state(t);
    if (r == 0 && m->u->left > 0)
        r = block_take(t, &b, m->u->left);
    spin_unlock(&t->k.lock);
    if (r < 0 || m->u->left == 0)
        return r;
    uint32_t room = b.size - b.off;
    uint32_t n = (uint32_t)MIN((uint64_t)room, m->u->left);
    int64_t got = uio_get(m->u, (uint8_t *)page_virt(b.page) + b.off, n);
    if (got > 0) {
        d = tcp_data_page(b.page, b.off, (uint32_t)got);
        if (d == NULL)
            got = -ENOMEM;
    }
    spin_lock(&t->k.lock);
    r = got > 0 ? send_state(t) : (int)got;
    if (r == -EAGAIN) /* it had room when it was asked */
        r = 0;
    if (r == 0) {
        push(t, &b, d);
        d = NULL;
        if ((m->flags & LX_MSG_OOB) != 0 && m->u->left == 0)
            tcp_urgent_send(t);
        tcp_output(t, more || m->u->left > 0);
    }
    block_give(t, &b);
    tcp_unlock(t);
    tcp_data_free(d);
    return r < 0 ? r : got;
}

/* --- send --- */

static void send_sigpipe(void)
{
    struct lx_siginfo si;
    signal_info(&si, LX_SIGPIPE, LX_SI_USER);
    (void)signal_send_task(current(), &si);
}

/* What was held for more to come goes. */
static void send_rest(struct tcp_sock *t, const struct message *m)
{
    spin_lock(&t->k.lock);
    if ((m->flags & LX_MSG_OOB) != 0)
        tcp_urgent_send(t);
    tcp_output(t, false);
    tcp_unlock(t);
    net_flush();
}

int64_t tcp_send(struct socket *s, struct message *m)
{
    struct tcp_sock *t = tcp_of(s);
    nsec_t deadline = socket_deadline(s->send_timeout);
    bool more = (m->flags & LX_MSG_MORE) != 0;
    int64_t done = 0, r = 0;
    if ((m->flags & LX_MSG_FASTOPEN) != 0)
        return -EOPNOTSUPP; /* docs/syscalls.md */
    do {
        r = send_part(t, m, more);
        net_flush();
        if (r == -EAGAIN) {
            if (done > 0)
                send_rest(t, m);
            r = send_wait(t, m, deadline);
        } else if (r > 0) {
            done += r;
            r = 0;
        }
    } while (r == 0 && m->u->left > 0);
    if (r < 0 && done > 0) {
        send_rest(t, m);
        return done;
    }
    if (r == -EPIPE && (m->flags & LX_MSG_NOSIGNAL) == 0)
        send_sigpipe();
    return r < 0 ? r : done;
}
