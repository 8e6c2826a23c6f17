// SPDX-License-Identifier: Apache-2.0
/*
 * The urgent byte. RFC 9293, 3.8.5; RFC 6093: as everybody has it, the pointer
 * of a segment is behind the byte, there is one at a time, and it is apart from
 * the stream unless SO_OOBINLINE. tcp(7), recv(2).
 */
#include "abi/linux/errno.h"
#include "abi/linux/socket.h"

#include "guest/core/uio.h"
#include "guest/fs/poll.h"
#include "guest/net/tcp_parts.h"

/* --- out --- */

void tcp_urgent_send(struct tcp_sock *t)
{
    t->snd_urgent = true;
    t->snd_up = t->write_seq;
}

uint16_t tcp_urgent_pointer(const struct tcp_sock *t, uint32_t seq)
{
    if (!t->snd_urgent || !seq_lt(seq, t->snd_up))
        return 0;
    return (uint16_t)MIN(t->snd_up - seq, 0xffffu);
}

/* --- in --- */

static bool in_line(const struct tcp_sock *t)
{
    return socket_option_on(&t->k.s, LX_SO_OOBINLINE);
}

/* The pointer of g, if it tells of a byte that is news. */
static void take_pointer(struct tcp_sock *t, const struct tcp_seg *g)
{
    uint32_t at = g->seq + g->urgent - (g->urgent != 0);
    if (seq_lt(at, t->rcv_nxt) ||
        (t->urgent != TCP_URGENT_NONE && seq_le(at, t->urgent_seq)))
        return;
    /* A reader that stands at the one before never sees it. */
    if (tcp_at_mark(t) && !in_line(t) && t->copied_seq != t->rcv_nxt) {
        t->has_hole = true;
        t->hole = t->copied_seq;
    }
    t->urgent = TCP_URGENT_COMES;
    t->urgent_seq = at;
    waitq_wake(&t->k.s.in_wait, POLL_URGENT, WAKE_ALL);
}

void tcp_urgent_take(struct tcp_sock *t, const struct tcp_seg *g)
{
    if ((g->flags & TCP_URG) != 0)
        take_pointer(t, g);
    uint32_t off = t->urgent_seq - g->seq;
    if (t->urgent != TCP_URGENT_COMES || off >= g->size)
        return;
    packet_copy_out(g->p, off, &t->urgent_byte, 1);
    t->urgent = TCP_URGENT_THERE;
    waitq_wake(&t->k.s.in_wait, EPOLLIN | EPOLLPRI | EPOLLRDNORM, WAKE_ALL);
}

bool tcp_at_mark(const struct tcp_sock *t)
{
    return t->urgent != TCP_URGENT_NONE && t->urgent_seq == t->copied_seq;
}

/* Is the byte at `seq` not part of what read(2) gives? */
static bool is_apart(const struct tcp_sock *t, uint32_t seq)
{
    return (t->has_hole && t->hole == seq) ||
           (t->urgent != TCP_URGENT_NONE && t->urgent_seq == seq &&
            !in_line(t));
}

uint32_t tcp_urgent_limit(const struct tcp_sock *t, uint32_t seq, uint32_t n,
                          bool some, bool *apart)
{
    uint32_t hole = t->hole - seq, mark = t->urgent_seq - seq;
    if (t->has_hole && hole != 0)
        n = MIN(n, hole);
    if (t->urgent != TCP_URGENT_NONE && (mark != 0 || some))
        n = MIN(n, mark);
    *apart = is_apart(t, seq);
    return *apart ? MIN(n, 1u) : n;
}

void tcp_urgent_passed(struct tcp_sock *t)
{
    if (t->has_hole && seq_lt(t->hole, t->copied_seq))
        t->has_hole = false;
    if (t->urgent != TCP_URGENT_NONE && seq_lt(t->urgent_seq, t->copied_seq))
        t->urgent = TCP_URGENT_NONE;
}

uint32_t tcp_unread(const struct tcp_sock *t)
{
    uint32_t n = tcp_queued(t), mark = t->urgent_seq - t->copied_seq;
    if (t->urgent != TCP_URGENT_NONE && !in_line(t))
        n = MIN(n, mark);
    return t->has_hole && n != 0 ? n - 1 : n;
}

bool tcp_readable(const struct tcp_sock *t)
{
    uint32_t used = tcp_queued(t), seq = t->copied_seq;
    for (; used != 0 && is_apart(t, seq); seq++)
        used--;
    return used != 0 && (used >= t->k.s.rcvlowat ||
                         t->rcv_charge > t->k.s.rcvbuf || t->rcv_wnd == 0);
}

int64_t tcp_recv_urgent(struct tcp_sock *t, struct message *m)
{
    uint8_t byte = 0;
    int64_t r = 1;
    spin_lock(&t->k.lock);
    if (in_line(t) || t->urgent == TCP_URGENT_NONE ||
        t->urgent == TCP_URGENT_READ)
        r = -EINVAL;
    else if (t->urgent == TCP_URGENT_COMES)
        r = t->state == TCP_CLOSE || (t->shut & TCP_SHUT_RECV) != 0 ? 0
                                                                    : -EAGAIN;
    else
        byte = t->urgent_byte;
    if (r > 0 && (m->flags & LX_MSG_PEEK) == 0)
        t->urgent = TCP_URGENT_READ;
    spin_unlock(&t->k.lock);
    if (r <= 0)
        return r;
    m->got |= LX_MSG_OOB;
    if (m->u->left == 0) {
        m->got |= LX_MSG_TRUNC;
        return 0;
    }
    return (m->flags & LX_MSG_TRUNC) != 0 || uio_put(m->u, &byte, 1) == 1
               ? 1
               : -EFAULT;
}
