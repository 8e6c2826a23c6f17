// SPDX-License-Identifier: Apache-2.0
/*
 * What came: bytes in order for the program, and ranges that wait for others.
 * Pages of packets are kept, small payloads copied. Ranges never overlap nor
 * touch and are few, so that no peer makes us search or hoard.
 */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/timer.h"
#include "guest/fs/poll.h"
#include "guest/net/tcp_parts.h"

#define COPY_MAX   512u  /* bytes that are not worth a page */
#define COPY_ROOM  1984u /* of one, while a reader is behind */
#define CHARGE_MIN 65536u

/* --- lists of data --- */

static struct tcp_data *first_of(const struct list *l)
{
    return LIST_ENTRY(l->next, struct tcp_data, node);
}

static void drop(struct tcp_sock *t, struct tcp_data *d)
{
    list_remove(&d->node);
    t->rcv_charge -= d->charge;
    tcp_data_free(d);
}

static void drop_all(struct tcp_sock *t, struct list *l)
{
    while (!list_empty(l))
        drop(t, first_of(l));
}

static void trim_front(struct tcp_sock *t, struct list *l, uint32_t n)
{
    while (n > 0 && !list_empty(l)) {
        struct tcp_data *d = first_of(l);
        uint32_t part = MIN(n, d->size);
        d->seq += part;
        d->off += part;
        d->size -= part;
        n -= part;
        if (d->size == 0)
            drop(t, d);
    }
}

/* Nothing at `end` or after it stays. */
static void trim_back(struct tcp_sock *t, struct list *l, uint32_t end)
{
    while (!list_empty(l)) {
        struct tcp_data *d = LIST_ENTRY(l->prev, struct tcp_data, node);
        if (seq_lt(d->seq, end)) {
            d->size = MIN(d->size, end - d->seq);
            return;
        }
        drop(t, d);
    }
}

static void splice_tail(struct list *to, struct list *from)
{
    while (!list_empty(from)) {
        struct list *n = from->next;
        list_remove(n);
        list_add_tail(to, n);
    }
}

/* The tail grows by bytes that follow it in its block, or are few. */
static bool join_tail(struct tcp_sock *t, struct list *l,
                      const struct tcp_data *d)
{
    if (list_empty(l))
        return false;
    struct tcp_data *tail = LIST_ENTRY(l->prev, struct tcp_data, node);
    if (tail->seq + tail->size != d->seq)
        return false;
    if (tail->page != 0) {
        if (tail->page != d->page || tail->off + tail->size != d->off)
            return false;
    } else {
        uint32_t room = tail->charge - (uint32_t)sizeof(*tail);
        uint32_t used = tail->off + tail->size;
        if (d->size > COPY_MAX || used > room || room - used < d->size)
            return false;
        memcpy(tail->bytes + used, tcp_data_at(d), d->size);
    }
    tail->size += d->size;
    (void)t;
    return true;
}

static void append(struct tcp_sock *t, struct list *l, struct list *data)
{
    while (!list_empty(data)) {
        struct tcp_data *d = first_of(data);
        if (join_tail(t, l, d)) {
            drop(t, d);
            continue;
        }
        list_remove(&d->node);
        list_add_tail(l, &d->node);
    }
}

static void add(struct tcp_sock *t, struct list *l, struct tcp_data *d,
                uint32_t seq)
{
    d->seq = seq;
    t->rcv_charge += d->charge;
    list_add_tail(l, &d->node);
}

/* All of p's bytes in memory of their own. */
static int copy_packet(struct tcp_sock *t, const struct packet *p, uint32_t seq,
                       struct list *l)
{
    bool behind = !list_empty(&t->recv_queue) || t->range_count != 0;
    uint32_t room = behind && p->size <= COPY_MAX ? COPY_ROOM : p->size;
    struct tcp_data *d = tcp_data_inline(room);
    if (d == NULL)
        return -ENOMEM;
    d->size = p->size;
    packet_copy_out(p, 0, d->bytes, p->size);
    add(t, l, d, seq);
    return 0;
}

/* Payload of `p` as data from `seq` on; p stays the caller's. */
static int take_packet(struct tcp_sock *t, const struct packet *p, uint32_t seq,
                       struct list *l)
{
    if (p->size <= COPY_MAX || p->head_size == p->size)
        return copy_packet(t, p, seq, l);
    if (p->head_size > 0) {
        struct tcp_data *d = tcp_data_inline(p->head_size);
        if (d == NULL)
            return -ENOMEM;
        memcpy(d->bytes, p->head + p->head_off, p->head_size);
        add(t, l, d, seq);
        seq += p->head_size;
    }
    for (unsigned i = 0; i < p->frag_count; i++) {
        const struct packet_frag *f = &p->frags[i];
        struct tcp_data *d = tcp_data_page(f->page, f->off, f->size);
        if (d == NULL)
            return -ENOMEM;
        add(t, l, d, seq);
        seq += f->size;
    }
    return 0;
}

/* --- ranges --- */

static void range_free(struct tcp_sock *t, struct tcp_range *r)
{
    drop_all(t, &r->data);
    list_remove(&r->node);
    t->range_count--;
    kfree(r);
}

void tcp_ranges_purge(struct tcp_sock *t)
{
    while (!list_empty(&t->ranges))
        range_free(t, LIST_ENTRY(t->ranges.next, struct tcp_range, node));
}

static void range_new(struct tcp_sock *t, struct list *before, uint32_t seq,
                      uint32_t end, struct list *data)
{
    struct tcp_range *r = NULL;
    if (t->range_count < TCP_RANGES_MAX)
        r = kmalloc(sizeof(*r));
    if (r == NULL)
        return;
    r->seq = seq;
    r->end = end;
    list_init(&r->data);
    splice_tail(&r->data, data);
    list_add_tail(before, &r->node);
    t->range_count++;
    t->last_range = seq;
}

/* r may have grown into those behind it. */
static void range_merge(struct tcp_sock *t, struct tcp_range *r)
{
    while (r->node.next != &t->ranges) {
        struct tcp_range *n = LIST_ENTRY(r->node.next, struct tcp_range, node);
        if (seq_lt(r->end, n->seq))
            return;
        if (seq_lt(r->end, n->end)) {
            trim_front(t, &n->data, r->end - n->seq);
            append(t, &r->data, &n->data);
            r->end = n->end;
        }
        range_free(t, n);
    }
}

/* [seq, end) joins r, which it touches. What lies behind r of something that
 * began before it is not kept: the peer sends it again. */
static void range_grow(struct tcp_sock *t, struct tcp_range *r, uint32_t seq,
                       uint32_t end, struct list *data)
{
    if (seq_lt(seq, r->seq)) {
        trim_back(t, data, r->seq);
        splice_tail(data, &r->data);
        splice_tail(&r->data, data);
        r->seq = seq;
    } else if (seq_lt(r->end, end)) {
        trim_front(t, data, r->end - seq);
        append(t, &r->data, data);
        r->end = end;
        range_merge(t, r);
    } else { /* RFC 2883, 4.2 */
        t->dsack = true;
        t->dsack_seq = seq;
        t->dsack_end = end;
    }
    t->last_range = r->seq;
}

static void range_insert(struct tcp_sock *t, uint32_t seq, uint32_t end,
                         struct list *data)
{
    struct list *it = t->ranges.next;
    t->oooed++;
    for (; it != &t->ranges; it = it->next) {
        struct tcp_range *r = LIST_ENTRY(it, struct tcp_range, node);
        if (seq_lt(r->end, seq))
            continue;
        if (!seq_lt(end, r->seq)) {
            range_grow(t, r, seq, end, data);
            return;
        }
        break;
    }
    range_new(t, it, seq, end, data);
}

/* Ranges that rcv_nxt reached. */
static void ranges_deliver(struct tcp_sock *t)
{
    while (!list_empty(&t->ranges)) {
        struct tcp_range *r =
            LIST_ENTRY(t->ranges.next, struct tcp_range, node);
        if (seq_lt(t->rcv_nxt, r->seq))
            return;
        if (seq_lt(t->rcv_nxt, r->end)) {
            trim_front(t, &r->data, t->rcv_nxt - r->seq);
            append(t, &t->recv_queue, &r->data);
            t->bytes_received += r->end - t->rcv_nxt;
            t->rcv_nxt = r->end;
        }
        range_free(t, r);
    }
}

/* --- a segment --- */

static void tell_duplicate(struct tcp_sock *t, uint32_t seq, uint32_t end)
{
    t->ack_now = true;
    if (!t->sack_ok || !seq_lt(seq, end))
        return;
    t->dsack = true; /* RFC 2883, 4.1 */
    t->dsack_seq = seq;
    t->dsack_end = end;
}

/* The part of g that is new and in the window; false: none. */
static bool cut_to_window(struct tcp_sock *t, struct tcp_seg *g)
{
    uint32_t edge = t->rcv_wup + t->rcv_wnd, end = g->seq + g->size;
    if (seq_lt(g->seq, t->rcv_nxt)) {
        uint32_t n = t->rcv_nxt - g->seq;
        tell_duplicate(t, g->seq, seq_min(end, t->rcv_nxt));
        if (n >= g->size)
            return false;
        packet_skip(g->p, n);
        g->seq += n;
        g->size -= n;
    }
    if (seq_lt(edge, end)) {
        t->ack_now = true; /* RFC 9293, 3.10.7.4: tell the window */
        if (seq_le(edge, g->seq))
            return false;
        packet_trim(g->p, edge - g->seq);
        g->size = edge - g->seq;
        g->flags &= (uint8_t)~TCP_FIN;
    }
    return true;
}

static bool memory_ok(const struct tcp_sock *t, bool in_order)
{
    if (in_order && list_empty(&t->recv_queue))
        return true; /* progress */
    if (t->rcv_charge > MAX(t->k.s.rcvbuf * 2, CHARGE_MIN))
        return false;
    return in_order || tcp_memory_room();
}

static void note_size(struct tcp_sock *t, const struct packet *p)
{
    uint32_t n = p->gso_size != 0 ? p->gso_size : p->size;
    if (n >= t->rcv_mss)
        t->rcv_mss = n;
    t->data_in += (p->size + n - 1) / MAX(n, 1u);
}

void tcp_queue_segment(struct tcp_sock *t, struct tcp_seg *g)
{
    struct list data;
    list_init(&data);
    if (!cut_to_window(t, g))
        return;
    bool in_order = g->seq == t->rcv_nxt;
    uint32_t end = g->seq + g->size;
    t->last_recv = clock_now();
    note_size(t, g->p);
    if (!memory_ok(t, in_order) || take_packet(t, g->p, g->seq, &data) < 0) {
        drop_all(t, &data); /* as if it had been lost on the way */
        g->flags &= (uint8_t)~TCP_FIN;
        return;
    }
    if (!in_order) {
        range_insert(t, g->seq, end, &data);
        drop_all(t, &data);
        t->ack_now = true; /* RFC 5681, 4.2 */
        return;
    }
    t->ack_due += g->size;
    t->bytes_received += g->size;
    append(t, &t->recv_queue, &data);
    t->rcv_nxt = end;
    if (!list_empty(&t->ranges)) {
        t->ack_now = true;
        ranges_deliver(t);
    }
    if (t->rcv_nxt - t->copied_seq >= t->k.s.rcvlowat ||
        t->rcv_charge > t->k.s.rcvbuf)
        waitq_wake(&t->k.s.in_wait, EPOLLIN | EPOLLRDNORM, WAKE_ALL);
}

/* --- acknowledgements --- */

/* RFC 9293, 3.10.7.4 (MUST-58, MUST-59): what came together is looked at
 * before anything of it is acknowledged. Net thread only. */
static struct {
    bool open;
    struct list socks; /* by batch_node, each with a reference */
} batch = {.socks = LIST_INIT(batch.socks)};

void tcp_batch_begin(void)
{
    batch.open = true;
}

void tcp_batch_end(void)
{
    batch.open = false;
    while (!list_empty(&batch.socks)) {
        struct tcp_sock *t =
            LIST_ENTRY(batch.socks.next, struct tcp_sock, batch_node);
        list_remove(&t->batch_node);
        t->batched = false;
        spin_lock(&t->k.lock);
        tcp_ack_decide(t); /* unless an answer has told it meanwhile */
        tcp_unlock(t);
        inet_put(&t->k);
    }
}

/* May the ACK wait for the rest of what came? Not one of a peer that counts
 * duplicates (RFC 5681, 3.2), nor one that tells of a range or a duplicate
 * which the next could not tell of (RFC 2018, 4; RFC 2883, 4), and the peer
 * shall hear of each quarter of a window. */
static bool batch_defer(struct tcp_sock *t)
{
    bool holes = t->range_count != 0;
    if (!net_on_thread() || !batch.open || t->dsack || (holes && !t->sack_ok) ||
        t->rcv_nxt - t->last_ack > t->rcv_wnd / 4 ||
        (t->batched && holes && t->batch_range != t->last_range))
        return false;
    t->batch_range = t->last_range;
    if (!t->batched) {
        t->batched = true;
        inet_get(&t->k);
        list_add_tail(&batch.socks, &t->batch_node);
    }
    return true;
}

/* RFC 5681, 4.2; RFC 1122, 4.2.3.2: every second segment, or after a while. */
void tcp_ack_decide(struct tcp_sock *t)
{
    bool quick = t->quick_acks > 0 && !t->pingpong;
    if (t->ack_now || (t->ack_due != 0 && quick) ||
        t->ack_due >= 2 * t->rcv_mss) {
        if (!batch_defer(t))
            tcp_send_ack(t);
    } else if (t->ack_due != 0 && t->clock[TCP_CLOCK_DELACK] == NSEC_NEVER) {
        tcp_clock_set(t, TCP_CLOCK_DELACK, clock_now() + TCP_DELACK);
    }
}

/* The window follows what the program reads in a round trip. */
void tcp_tune_receive(struct tcp_sock *t)
{
    nsec_t now = clock_now();
    uint32_t rtt = MAX(t->rcv_rtt, 1000u);
    if (now - t->tune_time < (nsec_t)rtt * 1000)
        return;
    uint32_t copied = t->copied_seq - t->tune_seq;
    if (copied > t->rcv_space) {
        uint64_t want = ((uint64_t)copied * 2 + 16 * t->rcv_mss) * 2;
        want = MIN(want, (uint64_t)tcp_buffer_max(false));
        t->rcv_space = copied;
        if (!t->tune.rcvbuf_fixed && want > t->k.s.rcvbuf &&
            !tcp_memory_pressure())
            t->k.s.rcvbuf = (uint32_t)want;
    }
    t->tune_seq = t->copied_seq;
    t->tune_time = now;
}
