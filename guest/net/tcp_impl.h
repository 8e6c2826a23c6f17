// SPDX-License-Identifier: Apache-2.0
/*
 * What a TCP socket is. inet_sock.lock guards every field here that does not
 * say otherwise. Lock order: a connection, then its listener, then wheel_lock
 * (tcp_timer.c). Tables come before sockets: so a socket leaves them after it
 * was unlocked, tcp_unlock().
 */
#pragma once

#include "abi/linux/tcp.h"

#include "guest/net/inet.h"

#define TCP_FIN 0x01u
#define TCP_SYN 0x02u
#define TCP_RST 0x04u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u
#define TCP_URG 0x20u

enum tcp_state { /* as /proc/net/tcp and TCP_INFO tell */
                 TCP_ESTABLISHED = 1,
                 TCP_SYN_SENT,
                 TCP_SYN_RECV,
                 TCP_FIN_WAIT1,
                 TCP_FIN_WAIT2,
                 TCP_TIME_WAIT,
                 TCP_CLOSE,
                 TCP_CLOSE_WAIT,
                 TCP_LAST_ACK,
                 TCP_LISTEN,
                 TCP_CLOSING,
};
#define TCP_IN(state, set) ((1u << (state) & (set)) != 0)
#define TCP_SET_SEND       /* data may go out */                               \
    (1u << TCP_ESTABLISHED | 1u << TCP_CLOSE_WAIT)
#define TCP_SET_RECV /* data may come in */                                    \
    (1u << TCP_ESTABLISHED | 1u << TCP_FIN_WAIT1 | 1u << TCP_FIN_WAIT2)

enum tcp_clock {                 /* a socket's deadlines */
                 TCP_CLOCK_SEND, /* enum tcp_wait says for what */
                 TCP_CLOCK_DELACK,
                 TCP_CLOCK_KEEP, /* keep-alive, FIN_WAIT2, TIME_WAIT */
                 TCP_CLOCK_COUNT
};
enum tcp_link { TCP_LINK_NONE, TCP_LINK_CONNECTING, TCP_LINK_MADE };
enum tcp_wait { TCP_WAIT_RTO, TCP_WAIT_TLP, TCP_WAIT_REO, TCP_WAIT_PROBE };

#define TCP_MS           UINT64_C(1000000)
#define TCP_RTO_MIN      (200 * TCP_MS)
#define TCP_RTO_MAX      (120 * NSEC_PER_SEC)
#define TCP_RTO_FIRST    (1 * NSEC_PER_SEC) /* RFC 6298, 2.1 */
#define TCP_DELACK       (40 * TCP_MS)
#define TCP_TIME_WAIT_NS (60 * NSEC_PER_SEC)
#define TCP_INIT_CWND    10 /* RFC 6928 */
#define TCP_DUP_THRESH   3  /* RFC 5681, 3.2 */
#define TCP_MSS_MIN      88u
#define TCP_MSS_DEFAULT  536u /* RFC 9293, 3.7.1 */
#define TCP_PART         65536u
#define TCP_TX_MAX       8192u /* records of what is in flight */
#define TCP_RANGES_MAX   128u  /* holes in what came */
#define TCP_SACKS        4
#define TCP_SHUT_RECV    1u
#define TCP_SHUT_SEND    2u
#define TCP_SHUT_BOTH    3u

enum tcp_urgent { /* what is known of the byte */
                  TCP_URGENT_NONE,
                  TCP_URGENT_COMES,
                  TCP_URGENT_THERE,
                  TCP_URGENT_READ,
};

/* Bytes of a stream, on their way from or to a program. */
struct tcp_data {
    struct list node;
    paddr_t page;    /* a block, with a reference; 0: the bytes follow */
    uint32_t seq;    /* of the first */
    uint32_t off;    /* in the block */
    uint32_t size;   /* never 0 */
    uint32_t charge; /* bytes of memory */
    uint8_t bytes[];
};

/* What was sent at once and is not acknowledged. */
struct tcp_tx {
    struct list node;
    nsec_t time; /* sent last */
    uint32_t seq, end;
    bool sacked, lost, again; /* again: sent again since it was lost */
    bool ever;                /* sent more than once */
};

/* Bytes that came before others; by seq, with holes between. */
struct tcp_range {
    struct list node;
    struct list data; /* struct tcp_data, side by side */
    uint32_t seq, end;
};

struct tcp_sock;
struct tcp_cc { /* congestion control. RFC 5681, 9438 */
    const char *name;
    void (*init)(struct tcp_sock *t);
    uint32_t (*ssthresh)(struct tcp_sock *t);          /* something was lost */
    void (*avoid)(struct tcp_sock *t, uint32_t acked); /* bytes */
};
extern const struct tcp_cc tcp_cubic, tcp_reno;

struct tcp_cubic_state {
    uint32_t w_max, w_last;    /* segments */
    uint32_t w_est, est_acked; /* 1/1024 segments; bytes */
    uint64_t k_ms;
    nsec_t epoch;    /* 0: none */
    uint32_t origin; /* segments */
    uint32_t acked;  /* bytes not yet turned into window */
};

struct tcp_tune { /* what a program chose; children have it from listeners */
    bool nodelay, cork, sndbuf_fixed, rcvbuf_fixed;
    uint8_t syn_retries, keep_count, defer_accept;
    uint16_t user_mss;
    uint32_t keep_idle, keep_interval; /* seconds */
    uint32_t user_timeout;             /* ms; 0: by retries */
    int32_t linger2;                   /* seconds; 0: default, -1: none */
    uint32_t notsent_lowat, window_clamp;
    uint32_t fastopen;
    const struct tcp_cc *cc;
};

struct tcp_sock {
    struct inet_sock k; /* first */
    uint8_t state, shut;
    uint8_t link;       /* enum tcp_link */
    bool eof;           /* the peer's FIN was reached */
    bool dead;          /* its file is gone */
    bool hashed;        /* in the table, or going there */
    bool unhash;        /* out of it at the next tcp_unlock() */
    bool embryo;        /* made by a listener, nobody has accepted it */
    bool counted;       /* in tcp_orphans */
    int32_t soft_error; /* ICMP told: the reason if it times out */
    struct tcp_tune tune;
    struct ip_route route;
    nsec_t route_time; /* 0: look again */

    /* Sending. RFC 9293, 3.3.1 */
    uint32_t iss, snd_una, snd_nxt, snd_wnd, snd_wl1, snd_wl2, max_window;
    uint32_t write_seq; /* behind the last byte; the FIN, if any, is there */
    uint32_t snd_sml;   /* end of the last small segment: Minshall */
    uint32_t mss;       /* payload bytes of a full segment now */
    uint32_t peer_mss;  /* what the peer takes, options not counted */
    uint32_t pmtu;      /* ICMP told; 0: as the route says */
    bool fin_queued;    /* FIN after write_seq */
    bool snd_urgent;    /* up to snd_up */
    uint32_t snd_up;    /* behind the urgent byte */
    uint8_t snd_scale, rcv_scale;
    bool ts_ok, sack_ok, scale_ok;
    struct list send_queue;   /* struct tcp_data from snd_una on */
    struct tcp_data *send_at; /* where snd_nxt is, or a bit before */
    struct list tx;           /* struct tcp_tx, by seq */
    uint32_t tx_count;
    uint32_t send_charge;
    paddr_t block; /* the rest of one, for what comes next */
    uint32_t block_off, block_size;

    /* Round trips. RFC 6298 */
    uint32_t srtt, rttvar; /* us; srtt 0: not known */
    nsec_t rto;
    uint32_t min_rtt; /* us */
    uint8_t backoff, retries, probes;
    nsec_t retry_since; /* the first of these; 0 */

    /* Congestion and recovery, bytes. RFC 5681, 6675, 6937, 8985 */
    uint8_t ca; /* LX_TCP_CA_* */
    uint32_t cwnd, ssthresh, high_seq;
    uint32_t sacked_out, lost_out, again_out, dup_acks;
    uint32_t prr_delivered, prr_out, prr_flight;
    bool cwnd_limited, reordered, tlp_again;
    uint32_t tlp_end; /* what the probe sent; tlp_on */
    bool tlp_on, undo_ok;
    uint32_t undo_cwnd, undo_ssthresh, undo_ts;
    nsec_t rack_time;
    uint32_t rack_end, rack_rtt; /* us */
    uint8_t reo_factor;          /* quarters of min_rtt to wait, less one */
    uint32_t fack;               /* highest SACKed */
    struct tcp_cubic_state cubic;

    /* Receiving */
    uint32_t irs, rcv_nxt, rcv_wup, rcv_wnd, copied_seq;
    uint32_t rcv_mss, rcv_space, rcv_charge;
    uint32_t ts_recent, ts_off, last_ack;
    nsec_t ts_recent_time;
    struct list recv_queue;           /* struct tcp_data from copied_seq on */
    struct list ranges;               /* struct tcp_range */
    uint32_t range_count, last_range; /* seq of the one that grew last */
    uint32_t dsack_seq, dsack_end;    /* to tell with the next ACK */
    bool dsack, ack_now, pingpong, peer_fin;
    uint32_t peer_fin_seq; /* where the FIN is that came */
    uint8_t urgent;        /* enum tcp_urgent */
    uint8_t urgent_byte;
    bool has_hole;
    uint32_t urgent_seq; /* of the byte: the mark */
    uint32_t hole;       /* an older one that nobody shall see */
    uint8_t quick_acks;
    /* Net thread only, while frames come in: its ACK waits for the last one */
    bool batched;
    struct list batch_node;
    uint32_t batch_range; /* last_range then */
    uint32_t ack_due;     /* bytes not acknowledged yet */
    uint32_t tune_seq;    /* receive buffer tuning: copied_seq then */
    nsec_t tune_time;
    uint32_t rcv_rtt; /* us */
    nsec_t challenge_time;
    nsec_t syn_time;        /* the first SYN or SYN-ACK went */
    struct mutex read_lock; /* one reader; keeps recv_queue's head alive */

    /* Deadlines; wheel_node and wheel_at: wheel_lock too */
    nsec_t clock[TCP_CLOCK_COUNT];
    uint8_t wait; /* enum tcp_wait */
    struct list wheel_node;
    nsec_t wheel_at;
    uint8_t wheel_level;

    /* A listener, and what it made (theirs: listener->k.lock) */
    struct list pending, ready; /* SYN_RECV; to accept */
    uint32_t pending_count, ready_count, backlog;
    nsec_t cookie_time;        /* when one was sent; 0 */
    struct tcp_sock *listener; /* reference */
    struct list child_node;
    bool child_linked, child_ready;

    /* TCP_INFO */
    nsec_t last_sent, last_ack_sent, last_recv, last_ack_recv;
    uint64_t bytes_acked, bytes_received, bytes_sent, bytes_again;
    uint32_t segs_in, segs_out, data_in, data_out, total_again, dsacks, oooed;
    uint32_t delivered;
};

static inline struct tcp_sock *tcp_of(struct socket *s)
{
    return CONTAINER_OF(s, struct tcp_sock, k.s);
}

static inline struct tcp_sock *tcp_of_inet(struct inet_sock *k)
{
    return CONTAINER_OF(k, struct tcp_sock, k);
}

/* Bytes that came in order and were not read. */
static inline uint32_t tcp_queued(const struct tcp_sock *t)
{
    return t->rcv_nxt - t->eof - t->copied_seq;
}

/* Sequence numbers. RFC 9293, 3.4 */
static inline bool seq_lt(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) <= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
    return seq_lt(a, b) ? b : a;
}

static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
    return seq_lt(a, b) ? a : b;
}
