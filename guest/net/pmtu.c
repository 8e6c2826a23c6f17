// SPDX-License-Identifier: Apache-2.0
/* What ICMP told us of the MTU of paths. RFC 1191, 8201. */
#include "guest/core/timer.h"
#include "guest/net/route.h"

#define PATH_COUNT 64u
#define PATH_AGE   (600 * NSEC_PER_SEC) /* RFC 1191, 6.3 */
#define MIN_MTU4   552u  /* net.ipv4.route.min_pmtu: liars gain little */
#define MIN_MTU6   1280u /* RFC 8200, 5 */

static struct {
    struct spinlock lock;
    uint32_t used; /* atomic: any entry ever */
    struct path {
        struct ip_addr dst;
        uint32_t mtu; /* 0: free */
        nsec_t until;
    } paths[PATH_COUNT]; /* by hash; a newer one takes the place */
} cache;

static struct path *path_slot(const struct ip_addr *dst)
{
    uint32_t h = 0;
    for (unsigned i = 0; i < ARRAY_COUNT(dst->w); i++)
        h = (h ^ dst->w[i]) * UINT32_C(0x9e3779b1);
    return &cache.paths[(h >> 16) % PATH_COUNT];
}

uint32_t path_mtu_check(const struct ip_addr *dst, uint32_t mtu)
{
    return MAX(mtu, ip_is4(dst) ? MIN_MTU4 : MIN_MTU6);
}

void path_mtu_update(const struct ip_addr *dst, uint32_t mtu)
{
    mtu = path_mtu_check(dst, mtu);
    spin_lock(&cache.lock);
    struct path *p = path_slot(dst);
    nsec_t now = clock_now();
    /* Never up within its age: that is for probes. */
    if (!ip_equal(&p->dst, dst) || p->until < now || mtu < p->mtu)
        *p = (struct path){*dst, mtu, now + PATH_AGE};
    __atomic_store_n(&cache.used, 1, __ATOMIC_RELAXED);
    spin_unlock(&cache.lock);
}

uint32_t path_mtu(const struct ip_addr *dst, uint32_t limit)
{
    if (__atomic_load_n(&cache.used, __ATOMIC_RELAXED) == 0)
        return limit;
    spin_lock(&cache.lock);
    const struct path *p = path_slot(dst);
    if (p->mtu != 0 && ip_equal(&p->dst, dst) && p->until >= clock_now())
        limit = MIN(limit, p->mtu);
    spin_unlock(&cache.lock);
    return limit;
}
