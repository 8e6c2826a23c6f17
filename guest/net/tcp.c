// SPDX-License-Identifier: Apache-2.0
/* TCP sockets: made, found, ended. RFC 9293; tcp(7). */
#include "guest/net/tcp.h"

#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/page.h"
#include "guest/core/timer.h"
#include "guest/core/usercopy.h"
#include "guest/fs/poll.h"
#include "guest/net/proto.h"
#include "guest/net/route.h"
#include "guest/net/tcp_parts.h"

#define PROTO_TCP    6
#define TABLE_BITS   12
#define SNDBUF_FIRST 87040u /* grows: tcp_send_space() */
#define RCVBUF_FIRST                                                           \
    131072u                 /* net.ipv4.tcp_rmem: grows, tcp_tune_receive()    \
                             */
#define ORPHAN_SHARE 65536u /* bytes of memory for each that may be */

struct inet_table tcp_table;
uint32_t tcp_orphans;

bool tcp_orphan_room(void)
{
    static uint32_t max; /* written once with the same value */
    if (__atomic_load_n(&max, __ATOMIC_RELAXED) == 0) {
        struct page_stats st;
        page_stats(&st);
        uint64_t n = st.total * PAGE_SIZE / ORPHAN_SHARE;
        __atomic_store_n(&max, (uint32_t)MAX(n, UINT64_C(256)),
                         __ATOMIC_RELAXED);
    }
    return __atomic_load_n(&tcp_orphans, __ATOMIC_RELAXED) <
           __atomic_load_n(&max, __ATOMIC_RELAXED);
}

/* --- the end --- */

static void drop_block(struct tcp_sock *t)
{
    if (t->block != 0)
        page_put(t->block);
    t->block = 0;
}

static void tcp_free(struct inet_sock *k)
{
    struct tcp_sock *t = tcp_of_inet(k);
    tcp_data_purge(&t->send_queue);
    tcp_data_purge(&t->recv_queue);
    tcp_ranges_purge(t);
    tcp_tx_purge(t);
    drop_block(t);
    if (t->listener != NULL)
        inet_put(&t->listener->k);
    kfree(t);
}

void tcp_unlock(struct tcp_sock *t)
{
    bool out = t->unhash;
    t->unhash = false;
    spin_unlock(&t->k.lock);
    if (!out)
        return;
    inet_unhash(&t->k);
    inet_put(&t->k); /* the table's */
}

void tcp_wake(struct tcp_sock *t, uint32_t events)
{
    waitq_wake(&t->k.s.in_wait, events, WAKE_ALL);
    waitq_wake(&t->k.s.out_wait, events, WAKE_ALL);
}

void tcp_set_error(struct tcp_sock *t, int error)
{
    __atomic_store_n(&t->k.s.error, error, __ATOMIC_RELEASE);
}

/* What cannot be sent any more goes; what came may still be read. */
static void drop_queues(struct tcp_sock *t)
{
    tcp_tx_purge(t);
    tcp_data_purge(&t->send_queue);
    t->send_at = NULL;
    t->send_charge = 0;
    t->fin_queued = false;
    drop_block(t);
    tcp_ranges_purge(t);
    if (t->dead)
        tcp_data_purge(&t->recv_queue);
}

static void end_orphan(struct tcp_sock *t)
{
    if (t->counted)
        __atomic_fetch_sub(&tcp_orphans, 1, __ATOMIC_RELAXED);
    t->counted = false;
}

void tcp_done(struct tcp_sock *t, int error)
{
    if (t->state == TCP_CLOSE)
        return;
    t->state = TCP_CLOSE;
    t->shut = TCP_SHUT_BOTH;
    t->unhash = t->hashed;
    t->hashed = false;
    if (error != 0)
        tcp_set_error(t, error);
    tcp_clock_stop(t);
    drop_queues(t);
    end_orphan(t);
    tcp_wake(t, EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM | EPOLLRDHUP |
                    EPOLLHUP | (error != 0 ? EPOLLERR : 0));
    if (t->embryo)
        tcp_child_leave(t);
}

/* RFC 9293, 3.6.1: 2 MSL, of which Linux makes 60 s. */
void tcp_time_wait(struct tcp_sock *t)
{
    if (!tcp_orphan_room() && t->dead) {
        tcp_done(t, 0);
        return;
    }
    t->state = TCP_TIME_WAIT;
    t->shut = TCP_SHUT_BOTH;
    tcp_clock_clear(t, TCP_CLOCK_SEND);
    tcp_clock_clear(t, TCP_CLOCK_DELACK);
    tcp_clock_set(t, TCP_CLOCK_KEEP, clock_now() + TCP_TIME_WAIT_NS);
    drop_queues(t);
    tcp_wake(t, EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLHUP);
}

/* --- the beginning --- */

static int name_of(struct socket *s, bool peer, struct net_addr *out)
{
    const struct tcp_sock *t = tcp_of(s);
    uint32_t none = 1u << TCP_CLOSE | 1u << TCP_LISTEN | 1u << TCP_SYN_SENT |
                    1u << TCP_TIME_WAIT;
    if (s->file == NULL) /* accept(2) names whom a RST ended, too */
        none = 0;
    if (peer && TCP_IN(t->state, none))
        return -ENOTCONN;
    return inet_name(s, peer, out);
}

static const struct socket_ops tcp_ops = {
    .bind = inet_bind,
    .connect = tcp_connect,
    .listen = tcp_listen,
    .accept = tcp_accept,
    .name = name_of,
    .shutdown = tcp_shutdown,
};

static int64_t tcp_ioctl(struct socket *s, uint32_t cmd, uint64_t arg)
{
    struct tcp_sock *t = tcp_of(s);
    uint32_t n = 0;
    if (cmd != LX_SIOCINQ && cmd != LX_SIOCOUTQ && cmd != LX_SIOCATMARK)
        return inet_ioctl(s, cmd, arg);
    spin_lock(&t->k.lock);
    bool listening = t->state == TCP_LISTEN;
    if (cmd == LX_SIOCINQ)
        n = tcp_unread(t);
    else if (cmd == LX_SIOCATMARK)
        n = tcp_at_mark(t);
    else if (cmd == LX_SIOCOUTQ && t->state != TCP_SYN_SENT &&
             t->state != TCP_SYN_RECV && t->state != TCP_CLOSE)
        n = t->write_seq - t->snd_una;
    if ((int32_t)n < 0) /* the FIN is acknowledged */
        n = 0;
    spin_unlock(&t->k.lock);
    if (listening)
        return -EINVAL;
    return put_user_u32(uptr(arg), n);
}

static const struct socket_io_ops tcp_io_ops = {
    .send = tcp_send,
    .recv = tcp_recv,
    .poll = tcp_poll,
    .ioctl = tcp_ioctl,
    .option = tcp_option,
    .release = tcp_release,
};

static const struct tcp_tune tune_first = {
    .syn_retries = 6,
    .keep_count = 9,
    .keep_idle = 7200,
    .keep_interval = 75,
    .cc = &tcp_cubic,
};

struct tcp_sock *tcp_new(uint16_t family)
{
    struct tcp_sock *t = kzalloc(sizeof(*t));
    if (t == NULL)
        return NULL;
    inet_init(&t->k, family, LX_SOCK_STREAM, &tcp_table);
    t->k.s.ops = &tcp_ops;
    t->k.s.io = &tcp_io_ops;
    t->k.s.protocol = PROTO_TCP;
    t->k.s.sndbuf = MIN(SNDBUF_FIRST, tcp_buffer_max(true));
    t->k.s.rcvbuf = RCVBUF_FIRST;
    t->k.free = tcp_free;
    t->state = TCP_CLOSE;
    t->tune = tune_first;
    t->mss = TCP_MSS_DEFAULT;
    t->peer_mss = TCP_MSS_DEFAULT;
    t->rto = TCP_RTO_FIRST;
    list_init(&t->send_queue);
    list_init(&t->tx);
    list_init(&t->recv_queue);
    list_init(&t->ranges);
    list_init(&t->wheel_node);
    list_init(&t->pending);
    list_init(&t->ready);
    list_init(&t->child_node);
    mutex_init(&t->read_lock);
    t->wheel_at = NSEC_NEVER;
    for (unsigned i = 0; i < TCP_CLOCK_COUNT; i++)
        t->clock[i] = NSEC_NEVER;
    return t;
}

int tcp_create(uint16_t family, int protocol, struct socket **out)
{
    if (protocol != 0 && protocol != PROTO_TCP)
        return -EPROTONOSUPPORT;
    struct tcp_sock *t = tcp_new(family);
    if (t == NULL)
        return -ENOBUFS;
    *out = &t->k.s;
    return 0;
}

int tcp_init(void)
{
    tcp_timers_init();
    return inet_table_init(&tcp_table, TABLE_BITS);
}

/* --- from IP --- */

/* What an ICMP message about [our sequence number] changes. RFC 5927; RFC 1122,
 * 4.2.3.9: only a connection that is not made yet ends. false: a forged one. */
static bool take_error(struct tcp_sock *t, uint32_t seq, int error,
                       uint32_t info)
{
    if (seq_lt(seq, t->snd_una) || !seq_lt(seq, t->snd_nxt))
        return false;
    if (error == EMSGSIZE) {
        uint32_t mtu = path_mtu_check(&t->k.remote, info);
        if (info == 0 || (t->pmtu != 0 && mtu >= t->pmtu))
            return true;
        t->pmtu = mtu;
        t->route_time = 0;
        tcp_sync_mss(t);
        if (!list_empty(&t->tx))
            tcp_tx_lose(t, LIST_ENTRY(t->tx.next, struct tcp_tx, node));
        tcp_retransmit(t);
    } else if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECV) {
        tcp_done(t, error);
    } else {
        t->soft_error = error;
    }
    return true;
}

static bool tcp_error(const struct ip_addr *src, const struct ip_addr *dst,
                      const uint8_t *head, uint32_t size, int error, bool hard,
                      uint32_t info)
{
    uint16_t ports[2];
    uint32_t seq;
    (void)hard;
    bool ours = false;
    if (size < sizeof(ports) + sizeof(seq))
        return false;
    memcpy(ports, head, sizeof(ports));
    memcpy(&seq, head + sizeof(ports), sizeof(seq));
    struct inet_sock *k =
        inet_find_four(&tcp_table, src, dst, be16(ports[0]), be16(ports[1]));
    if (k == NULL)
        return false;
    struct tcp_sock *t = tcp_of_inet(k);
    spin_lock(&k->lock);
    if (t->state != TCP_LISTEN && t->state != TCP_CLOSE)
        ours = take_error(t, be32(seq), error, info);
    tcp_unlock(t);
    inet_put(k);
    return ours;
}

const struct ip_protocol tcp_protocol = {
    .number = PROTO_TCP,
    .input = tcp_input,
    .error = tcp_error,
};
