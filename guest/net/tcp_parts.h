// SPDX-License-Identifier: Apache-2.0
/*
 * Between the files of TCP. The socket is locked unless it says otherwise; who
 * sent something calls net_flush() when nothing is locked any more.
 */
#pragma once

#include "guest/net/tcp_impl.h"

struct message;
struct uio;

/* A segment that came in: of a right length, nothing else is sure. */
struct tcp_seg {
    struct packet *p;       /* from the payload on; NULL: taken */
    uint32_t seq, end, ack; /* end: with SYN and FIN */
    uint32_t size;          /* payload bytes */
    uint16_t sport, dport;
    uint16_t window, mss; /* mss 0: no option */
    uint16_t urgent;      /* with TCP_URG: bytes to behind the urgent one */
    uint8_t flags, wscale;
    bool has_scale, sack_ok, has_ts;
    uint32_t ts_val, ts_ecr;
    unsigned sack_count;
    struct {
        uint32_t seq, end;
    } sack[TCP_SACKS];
};

/* --- tcp.c --- */
extern struct inet_table tcp_table;
extern uint32_t tcp_orphans;               /* atomic */
struct tcp_sock *tcp_new(uint16_t family); /* NULL: memory */
void tcp_unlock(struct tcp_sock *t);
void tcp_wake(struct tcp_sock *t, uint32_t events);
/* It is over; `error` (positive, or 0) is for the program. */
void tcp_done(struct tcp_sock *t, int error);
void tcp_time_wait(struct tcp_sock *t);
void tcp_set_error(struct tcp_sock *t, int error);
/* May there be `n` more without an owner? */
bool tcp_orphan_room(void);

/* --- tcp_segment.c --- */
int tcp_parse(struct packet *p, struct tcp_seg *g); /* not locked; -EINVAL */
/* Options into `to` (40 bytes): bytes, a multiple of four. */
uint32_t tcp_options_syn(const struct tcp_sock *t, uint8_t *to, bool reply);
uint32_t tcp_options(const struct tcp_sock *t, uint8_t *to);
/* RST to who sent g, as RFC 9293, 3.10.7.1 says. Nothing needs be locked. */
void tcp_reply_reset(const struct tcp_seg *g);
uint32_t tcp_ts_now(void); /* ms */

/* --- tcp_secret.c --- */
uint64_t tcp_hash(const void *data, uint32_t n, unsigned key);
/* RFC 6528; RFC 7323, 5.4 */
void tcp_secret(const struct inet_sock *k, uint32_t *isn, uint32_t *ts_off);

/* --- tcp_data.c --- */
void tcp_data_free(struct tcp_data *d);
void tcp_data_purge(struct list *l);
struct tcp_data *tcp_data_inline(uint32_t room); /* NULL: memory */
struct tcp_data *tcp_data_page(paddr_t page, uint32_t off, uint32_t size);
uint8_t *tcp_data_at(const struct tcp_data *d);
bool tcp_memory_room(void);     /* more may be queued */
bool tcp_memory_pressure(void); /* buffers do not grow now */
uint32_t tcp_buffer_max(bool send);

/* --- tcp_out.c --- */
/* What may go goes. `more`: more follows at once, a small rest waits. */
void tcp_output(struct tcp_sock *t, bool more);
void tcp_send_ack(struct tcp_sock *t);
/* `seq` is ours to choose: keep-alives ask with an old one. */
void tcp_send_control(struct tcp_sock *t, uint8_t flags, uint32_t seq);
void tcp_send_reset(struct tcp_sock *t);
void tcp_send_syn(struct tcp_sock *t); /* or SYN-ACK; again, too */
/* Bytes [seq, end) and a FIN if it is there. Bytes that went (sequence
 * numbers), or -errno. */
int64_t tcp_transmit(struct tcp_sock *t, uint32_t seq, uint32_t end,
                     uint8_t flags);
void tcp_send_probe(struct tcp_sock *t);
void tcp_sync_mss(struct tcp_sock *t);
int tcp_find_route(struct tcp_sock *t); /* 0 or -errno */
uint32_t tcp_advertised_mss(const struct tcp_sock *t);
uint32_t tcp_in_flight(const struct tcp_sock *t);
uint32_t tcp_select_window(struct tcp_sock *t); /* bytes */

/* --- tcp_tx.c --- */
struct tcp_tx *tcp_tx_new(struct tcp_sock *t, uint32_t seq, uint32_t end);
/* Cut at `at`, inside it: the second half, or NULL: memory, too many. */
struct tcp_tx *tcp_tx_split(struct tcp_sock *t, struct tcp_tx *x, uint32_t at);
void tcp_tx_lose(struct tcp_sock *t, struct tcp_tx *x);
void tcp_tx_drop(struct tcp_sock *t, struct tcp_tx *x); /* not counted */
void tcp_tx_purge(struct tcp_sock *t);

struct tcp_acked {      /* what an acknowledgement told */
    uint32_t una;       /* before it */
    uint32_t delivered; /* bytes, cumulative or selective */
    uint32_t cumulative;
    int64_t rtt; /* us; -1: no sample */
    bool has_ts;
    uint32_t ts_ecr;
    bool dsack, sacked; /* a duplicate was told; something new was */
    bool old_data;      /* a byte that was sent once was acknowledged */
};
void tcp_tx_ack(struct tcp_sock *t, const struct tcp_seg *g,
                struct tcp_acked *a);
void tcp_tx_sack(struct tcp_sock *t, const struct tcp_seg *g,
                 struct tcp_acked *a);
void tcp_rack_update(struct tcp_sock *t, const struct tcp_tx *x,
                     const struct tcp_acked *a);
void tcp_rack_detect(struct tcp_sock *t);

/* --- tcp_recover.c --- */
void tcp_recover(struct tcp_sock *t, const struct tcp_seg *g,
                 const struct tcp_acked *a);
void tcp_enter_loss(struct tcp_sock *t);
void tcp_retransmit(struct tcp_sock *t); /* what is lost, as cwnd permits */
void tcp_cwnd_init(struct tcp_sock *t);
void tcp_cwnd_idle(struct tcp_sock *t);
void tcp_measure(struct tcp_sock *t, int64_t rtt_us);
void tcp_arm_send(struct tcp_sock *t);    /* the clock of what is in flight */
nsec_t tcp_rto(const struct tcp_sock *t); /* with backoff */

/* --- tcp_cubic.c --- */
const struct tcp_cc *tcp_cc_find(const char *name); /* NULL */

/* --- tcp_timer.c --- */
void tcp_timers_init(void);
void tcp_clock_set(struct tcp_sock *t, enum tcp_clock c, nsec_t deadline);
void tcp_clock_clear(struct tcp_sock *t, enum tcp_clock c);
void tcp_clock_stop(struct tcp_sock *t); /* all; it will not be used again */
void tcp_clock_due(struct tcp_sock *t, enum tcp_clock c); /* tcp_expire.c */
void tcp_keep_start(struct tcp_sock *t);

/* --- tcp_in.c, tcp_ack.c --- */
void tcp_input(struct packet *p); /* not locked */
void tcp_segment(struct tcp_sock *t, struct tcp_seg *g);
/* false: the segment is to be dropped. */
bool tcp_ack(struct tcp_sock *t, const struct tcp_seg *g);
void tcp_challenge(struct tcp_sock *t);
void tcp_established(struct tcp_sock *t, const struct tcp_seg *g);
void tcp_syn_options(struct tcp_sock *t, const struct tcp_seg *g);
/* The program has room again: grow buffer, wake. */
void tcp_send_space(struct tcp_sock *t);

/* --- tcp_recv_queue.c --- */
/* g's payload, in the window at least in part, into the queues. */
void tcp_queue_segment(struct tcp_sock *t, struct tcp_seg *g);
void tcp_ranges_purge(struct tcp_sock *t);
void tcp_ack_decide(struct tcp_sock *t); /* now, or later */
void tcp_tune_receive(struct tcp_sock *t);

/* --- tcp_urgent.c --- */
/* The last byte of the stream is urgent now. */
void tcp_urgent_send(struct tcp_sock *t);
/* What a segment at `seq` tells; 0: nothing. */
uint16_t tcp_urgent_pointer(const struct tcp_sock *t, uint32_t seq);
/* What g tells, before its bytes are queued. */
void tcp_urgent_take(struct tcp_sock *t, const struct tcp_seg *g);
bool tcp_at_mark(const struct tcp_sock *t);
/* How many of the `n` bytes from `seq` on one piece may have: it ends before
 * the mark, where reading stops if there was `some`. apart: that one byte is
 * not part of what read(2) gives. */
uint32_t tcp_urgent_limit(const struct tcp_sock *t, uint32_t seq, uint32_t n,
                          bool some, bool *apart);
/* copied_seq moved on. */
void tcp_urgent_passed(struct tcp_sock *t);
/* Bytes for read(2), up to the mark. */
uint32_t tcp_unread(const struct tcp_sock *t);
bool tcp_readable(const struct tcp_sock *t); /* as poll(2) tells */
int64_t tcp_recv_urgent(struct tcp_sock *t, struct message *m); /* locks */

/* --- tcp_listen.c --- */
void tcp_listen_segment(struct tcp_sock *l, struct tcp_seg *g); /* unlocks */
/* The handshake is complete: false if nobody wants it now. */
bool tcp_child_ready(struct tcp_sock *t);
void tcp_child_leave(struct tcp_sock *t);  /* off its listener's queues */
void tcp_listen_close(struct tcp_sock *l); /* not locked */
int tcp_listen(struct socket *s, int backlog);
int tcp_accept(struct socket *s, bool nonblock, struct socket **out);

/* --- tcp_conn.c --- */
int tcp_connect(struct socket *s, const struct net_addr *a, bool nonblock);
int tcp_shutdown(struct socket *s, int how);
void tcp_release(struct socket *s);
void tcp_queue_fin(struct tcp_sock *t);
uint8_t tcp_window_scale(const struct tcp_sock *t);

/* --- tcp_send.c, tcp_recv.c, tcp_poll.c, tcp_option.c, tcp_info.c --- */
int64_t tcp_send(struct socket *s, struct message *m);
int64_t tcp_recv(struct socket *s, struct message *m);
uint32_t tcp_poll(struct socket *s, struct poll_table *pt);
bool tcp_send_room(const struct tcp_sock *t); /* memory for more of it */
bool tcp_writable(const struct tcp_sock *t);
int tcp_option(struct socket *s, struct socket_option *o);
int tcp_info(struct tcp_sock *t, struct socket_option *o); /* not locked */
