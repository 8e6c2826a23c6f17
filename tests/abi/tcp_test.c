// SPDX-License-Identifier: Apache-2.0
/* Our TCP header, options and TCP_INFO against the headers of the building
 * machine. */
#define _GNU_SOURCE
#include "abi/linux/tcp.h"

#include <assert.h>
#include <linux/tcp.h>
#include <stddef.h>

#define SAME(member)                                                           \
    static_assert(offsetof(struct lx_tcp_info, member) ==                      \
                          offsetof(struct tcp_info, tcpi_##member) &&          \
                      sizeof(((struct lx_tcp_info *)0)->member) ==             \
                          sizeof(((struct tcp_info *)0)->tcpi_##member),       \
                  "tcpi_" #member)
#define VALUE(name) static_assert(LX_##name == name, #name)

static_assert(sizeof(struct lx_tcphdr) == sizeof(struct tcphdr), "tcphdr");
static_assert(offsetof(struct lx_tcphdr, window) ==
                  offsetof(struct tcphdr, window),
              "window");
static_assert(offsetof(struct lx_tcphdr, check) ==
                  offsetof(struct tcphdr, check),
              "check");
SAME(state);
SAME(options);
SAME(rto);
SAME(unacked);
SAME(last_data_sent);
SAME(pmtu);
SAME(rtt);
SAME(snd_cwnd);
SAME(rcv_space);
SAME(total_retrans);
SAME(pacing_rate);
SAME(bytes_acked);
SAME(notsent_bytes);
SAME(data_segs_out);
SAME(delivery_rate);
SAME(delivered);
SAME(bytes_retrans);
SAME(snd_wnd);

VALUE(TCP_NODELAY);
VALUE(TCP_MAXSEG);
VALUE(TCP_CORK);
VALUE(TCP_KEEPIDLE);
VALUE(TCP_KEEPINTVL);
VALUE(TCP_KEEPCNT);
VALUE(TCP_SYNCNT);
VALUE(TCP_LINGER2);
VALUE(TCP_DEFER_ACCEPT);
VALUE(TCP_WINDOW_CLAMP);
VALUE(TCP_INFO);
VALUE(TCP_QUICKACK);
VALUE(TCP_CONGESTION);
VALUE(TCP_USER_TIMEOUT);
VALUE(TCP_FASTOPEN);
VALUE(TCP_TIMESTAMP);
VALUE(TCP_NOTSENT_LOWAT);
static_assert(LX_TCPI_OPT_SACK == TCPI_OPT_SACK, "TCPI_OPT_SACK");
static_assert(LX_TCP_CA_LOSS == TCP_CA_Loss, "TCP_CA_Loss");

int main(void)
{
    return 0;
}
