// SPDX-License-Identifier: Apache-2.0
/* Token buckets. */
#include "vmm/virtio/bucket.h"

__extension__ typedef unsigned __int128 wide;

#define NS_PER_SECOND UINT64_C(1000000000)
#define BURST_NS      UINT64_C(20000000) /* what passes at once after a rest */
#define BURST_MIN     INT64_C(131072)    /* two of the largest frames */

void net_bucket_init(struct net_bucket *b, uint64_t bits_per_second,
                     uint64_t now_ns)
{
    *b = (struct net_bucket){.rate = bits_per_second / 8, .last_ns = now_ns};
    uint64_t burst = b->rate / (NS_PER_SECOND / BURST_NS);
    b->burst = burst < (uint64_t)BURST_MIN ? BURST_MIN : (int64_t)burst;
    b->tokens = b->burst;
}

/* Until it is full. */
static uint64_t fill_ns(const struct net_bucket *b)
{
    uint64_t room = (uint64_t)b->burst - (uint64_t)b->tokens;
    return (uint64_t)((wide)room * NS_PER_SECOND / b->rate) + 1;
}

bool net_bucket_open(struct net_bucket *b, uint64_t now_ns)
{
    if (b->rate == 0)
        return true;
    uint64_t ns = now_ns - b->last_ns;
    if (ns > NS_PER_SECOND && ns > fill_ns(b)) { /* else nothing overflows */
        b->last_ns = now_ns;
        b->tokens = b->burst;
    }
    ns = now_ns - b->last_ns;
    uint64_t more = (uint64_t)((wide)b->rate * ns / NS_PER_SECOND);
    if (more > 0) { /* else the time counts again at the next call */
        b->last_ns = now_ns;
        b->tokens += (int64_t)more;
        if (b->tokens > b->burst)
            b->tokens = b->burst;
    }
    return b->tokens > 0;
}

void net_bucket_take(struct net_bucket *b, uint64_t bytes)
{
    if (b->rate != 0)
        b->tokens -= (int64_t)bytes;
}

uint64_t net_bucket_wait(const struct net_bucket *b)
{
    if (b->rate == 0 || b->tokens > 0)
        return 1;
    uint64_t need = (uint64_t)(1 - b->tokens);
    return (uint64_t)((wide)need * NS_PER_SECOND / b->rate) + 1;
}
