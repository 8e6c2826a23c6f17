// SPDX-License-Identifier: Apache-2.0
/* TCP: header, socket options, TCP_INFO. Source: Linux UAPI linux/tcp.h;
 * RFC 9293, 3.1; tests/abi compares. */
#pragma once

#include "abi/abi.h"

#define LX_SOL_TCP 6

#define LX_TCP_NODELAY       1
#define LX_TCP_MAXSEG        2
#define LX_TCP_CORK          3
#define LX_TCP_KEEPIDLE      4
#define LX_TCP_KEEPINTVL     5
#define LX_TCP_KEEPCNT       6
#define LX_TCP_SYNCNT        7
#define LX_TCP_LINGER2       8
#define LX_TCP_DEFER_ACCEPT  9
#define LX_TCP_WINDOW_CLAMP  10
#define LX_TCP_INFO          11
#define LX_TCP_QUICKACK      12
#define LX_TCP_CONGESTION    13
#define LX_TCP_USER_TIMEOUT  18
#define LX_TCP_FASTOPEN      23
#define LX_TCP_TIMESTAMP     24
#define LX_TCP_NOTSENT_LOWAT 25

#define LX_TCPI_OPT_TIMESTAMPS 1
#define LX_TCPI_OPT_SACK       2
#define LX_TCPI_OPT_WSCALE     4

#define LX_TCP_CA_OPEN     0
#define LX_TCP_CA_DISORDER 1
#define LX_TCP_CA_CWR      2
#define LX_TCP_CA_RECOVERY 3
#define LX_TCP_CA_LOSS     4

struct lx_tcphdr { /* all in network order */
    uint16_t source, dest;
    uint32_t seq, ack;
    uint8_t off; /* words of header << 4 */
    uint8_t flags;
    uint16_t window, check, urgent;
};
ABI_SIZE(struct lx_tcphdr, 20);

struct lx_tcp_info {
    uint8_t state, ca_state, retransmits, probes, backoff, options;
    uint8_t wscale; /* send in the low half, receive in the high */
    uint8_t limits;
    uint32_t rto, ato, snd_mss, rcv_mss;              /* us, us, bytes */
    uint32_t unacked, sacked, lost, retrans, fackets; /* segments */
    uint32_t last_data_sent, last_ack_sent;           /* ms ago */
    uint32_t last_data_recv, last_ack_recv;           /* ms ago */
    uint32_t pmtu, rcv_ssthresh, rtt, rttvar;         /* bytes, us */
    uint32_t snd_ssthresh, snd_cwnd, advmss, reordering;
    uint32_t rcv_rtt, rcv_space, total_retrans;
    uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
    uint32_t segs_out, segs_in, notsent_bytes, min_rtt;
    uint32_t data_segs_in, data_segs_out;
    uint64_t delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
    uint32_t delivered, delivered_ce;
    uint64_t bytes_sent, bytes_retrans;
    uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd;
};
ABI_SIZE(struct lx_tcp_info, 232);
