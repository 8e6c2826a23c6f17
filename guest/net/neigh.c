// SPDX-License-Identifier: Apache-2.0
/* The table of neighbours and what becomes of an entry. RFC 4861, 7.3. */
#include "guest/net/neigh.h"

#include "abi/linux/errno.h"
#include "abi/linux/netdev.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/net/ip_impl.h"
#include "guest/net/proto.h"

#define BUCKETS      64u
#define RETRANS      NSEC_PER_SEC        /* RFC 4861, 10: RETRANS_TIMER */
#define TRIES        3u                  /* MAX_UNICAST_SOLICIT */
#define REACHABLE_NS (30 * NSEC_PER_SEC) /* REACHABLE_TIME */
#define DELAY_NS     (5 * NSEC_PER_SEC)  /* DELAY_FIRST_PROBE_TIME */

struct neigh {
    struct list hash_node, all_node; /* all: by last use, oldest first */
    struct netif *netif;
    struct ip_addr addr;
    enum neigh_state state;
    uint8_t mac[6];
    uint8_t tries;
    nsec_t since;      /* confirmed, or entered its state */
    nsec_t next;       /* INCOMPLETE, DELAY, PROBE: when to act */
    struct list queue; /* INCOMPLETE: packets */
    uint32_t queued;
};

static struct {
    struct spinlock lock;
    bool ready;
    struct list buckets[BUCKETS];
    struct list all;
    uint32_t count;
    bool armed;
    struct net_timer timer;
} table;

static void neigh_tick(struct net_work *w);

/* --- the table; lock held --- */

static void table_ready(void)
{
    if (table.ready)
        return;
    for (unsigned i = 0; i < BUCKETS; i++)
        list_init(&table.buckets[i]);
    list_init(&table.all);
    net_timer_init(&table.timer, neigh_tick);
    table.ready = true;
}

static struct list *bucket_of(const struct netif *n, const struct ip_addr *a)
{
    uint32_t h = (a->w[0] ^ a->w[1] ^ a->w[2] ^ a->w[3] ^ n->index) *
                 UINT32_C(0x9e3779b1);
    return &table.buckets[h >> 16 & (BUCKETS - 1)];
}

static struct neigh *neigh_find(const struct netif *n, const struct ip_addr *a)
{
    table_ready();
    LIST_FOR(it, bucket_of(n, a))
    {
        struct neigh *e = LIST_ENTRY(it, struct neigh, hash_node);
        if (e->netif == n && ip_equal(&e->addr, a))
            return e;
    }
    return NULL;
}

static void drop_queue(struct neigh *e)
{
    LIST_FOR_SAFE(it, next, &e->queue)
    packet_free(LIST_ENTRY(it, struct packet, node));
    list_init(&e->queue);
    e->queued = 0;
}

static void neigh_remove(struct neigh *e)
{
    drop_queue(e);
    list_remove(&e->hash_node);
    list_remove(&e->all_node);
    table.count--;
    kfree(e);
}

/* Room for one more: the one used longest ago goes. `force` false: only if
 * there is plenty, for what nobody here asked for. */
static bool make_room(bool force)
{
    if (table.count < NEIGH_MAX / 2 || (force && table.count < NEIGH_MAX))
        return true;
    if (!force)
        return false;
    LIST_FOR(it, &table.all)
    {
        struct neigh *e = LIST_ENTRY(it, struct neigh, all_node);
        if (e->state == NEIGH_PERMANENT)
            continue;
        neigh_remove(e);
        return true;
    }
    return false;
}

static struct neigh *neigh_new(struct netif *n, const struct ip_addr *a,
                               bool force)
{
    struct neigh *e = make_room(force) ? kzalloc(sizeof(*e)) : NULL;
    if (e == NULL)
        return NULL;
    e->netif = n;
    e->addr = *a;
    e->state = NEIGH_FAILED;
    list_init(&e->queue);
    list_add_head(bucket_of(n, a), &e->hash_node);
    list_add_tail(&table.all, &e->all_node);
    table.count++;
    return e;
}

static void neigh_used(struct neigh *e)
{
    list_remove(&e->all_node);
    list_add_tail(&table.all, &e->all_node);
}

static void enter(struct neigh *e, enum neigh_state s, nsec_t wait)
{
    nsec_t now = clock_now();
    e->state = s;
    e->since = now;
    e->next = now + wait;
    e->tries = 0;
    if (wait == 0 || table.armed)
        return;
    table.armed = true;
    net_timer_start(&table.timer, now + MIN(wait, RETRANS));
}

/* --- asking --- */

static void solicit(struct netif *n, const struct ip_addr *a,
                    const uint8_t *mac)
{
    if (ip_is4(a))
        arp_solicit(n, a, mac);
    else
        nd_solicit(n, a, mac);
}

/* Nobody answered: who sent what waits is told (RFC 1122, 2.4). Packets start
 * with their IP header. */
static void report_unreachable(struct list *packets)
{
    LIST_FOR_SAFE(it, next, packets)
    {
        struct packet *p = LIST_ENTRY(it, struct packet, node);
        ip_local_error(p, EHOSTUNREACH);
    }
}

struct tick { /* what is to be done when the lock is free again */
    struct netif *netif;
    struct ip_addr addr;
    uint8_t mac[6];
    bool ask, unicast;
};

/* One entry whose time has come. *more: the timer is still wanted. */
static bool tick_entry(struct neigh *e, nsec_t now, struct tick *t,
                       struct list *failed, bool *more)
{
    if (e->state != NEIGH_INCOMPLETE && e->state != NEIGH_DELAY &&
        e->state != NEIGH_PROBE)
        return false;
    *more = true;
    if (e->next > now)
        return false;
    if (e->state == NEIGH_DELAY) {
        e->state = NEIGH_PROBE;
        e->tries = 0;
    } else if (++e->tries >= TRIES) {
        LIST_FOR_SAFE(it, next, &e->queue)
        {
            list_remove(it);
            list_add_tail(failed, it);
        }
        e->queued = 0;
        e->state = NEIGH_FAILED;
        return false;
    }
    e->next = now + RETRANS;
    *t = (struct tick){.netif = e->netif, .addr = e->addr, .ask = true};
    t->unicast = e->state == NEIGH_PROBE;
    memcpy(t->mac, e->mac, sizeof(t->mac));
    return true;
}

#define TICK_BATCH 8u

static void neigh_tick(struct net_work *w)
{
    struct list failed = LIST_INIT(failed);
    struct tick todo[TICK_BATCH];
    unsigned n = 0;
    bool more = false;
    (void)w;
    spin_lock(&table.lock);
    nsec_t now = clock_now();
    LIST_FOR(it, &table.all)
    {
        struct neigh *e = LIST_ENTRY(it, struct neigh, all_node);
        /* What does not fit waits for the next tick. */
        if (n < TICK_BATCH && tick_entry(e, now, &todo[n], &failed, &more))
            n++;
        else if (n == TICK_BATCH)
            more = true;
    }
    table.armed = more;
    spin_unlock(&table.lock);
    for (unsigned i = 0; i < n; i++)
        solicit(todo[i].netif, &todo[i].addr,
                todo[i].unicast ? todo[i].mac : NULL);
    report_unreachable(&failed);
    if (more)
        net_timer_start(&table.timer,
                        now + (n == TICK_BATCH ? RETRANS / 10 : RETRANS));
}

/* --- out --- */

/* Lock held. true: *mac is where it goes; false: it waits, or is gone. */
static bool resolve(struct neigh *e, struct packet *p, uint8_t *mac, bool *ask)
{
    neigh_used(e);
    switch (e->state) {
    case NEIGH_FAILED:
        enter(e, NEIGH_INCOMPLETE, RETRANS);
        *ask = true;
        break;
    case NEIGH_REACHABLE:
        if (clock_now() - e->since > REACHABLE_NS)
            enter(e, NEIGH_DELAY, DELAY_NS);
        break;
    case NEIGH_STALE: enter(e, NEIGH_DELAY, DELAY_NS); break;
    case NEIGH_INCOMPLETE:
    case NEIGH_DELAY:
    case NEIGH_PROBE:
    case NEIGH_PERMANENT:
    default: break;
    }
    if (e->state != NEIGH_INCOMPLETE) {
        memcpy(mac, e->mac, sizeof(e->mac));
        return true;
    }
    if (e->queued == NEIGH_QUEUE) { /* the newest matter: RFC 1122 2.3.2.2 */
        struct packet *old = LIST_ENTRY(e->queue.next, struct packet, node);
        list_remove(&old->node);
        packet_free(old);
        e->queued--;
    }
    list_add_tail(&e->queue, &p->node);
    e->queued++;
    return false;
}

void neigh_output(struct netif *n, const struct ip_addr *hop, struct packet *p)
{
    uint8_t mac[6];
    bool ask = false, send = false;
    spin_lock(&table.lock);
    struct neigh *e = neigh_find(n, hop);
    if (e == NULL)
        e = neigh_new(n, hop, true);
    if (e != NULL)
        send = resolve(e, p, mac, &ask);
    spin_unlock(&table.lock);
    if (e == NULL) {
        netif_count_stat(&n->stats.tx_dropped, 1);
        packet_free(p);
    } else if (send) {
        ether_send(n, p, mac, ip_is4(hop) ? ETHER_IP4 : ETHER_IP6);
    }
    if (ask)
        solicit(n, hop, NULL);
}

/* --- in --- */

/* RFC 4861, 7.2.5, which suits ARP as well. Lock held. */
static void apply_news(struct neigh *e, const struct neigh_news *news)
{
    bool known = e->state != NEIGH_INCOMPLETE && e->state != NEIGH_FAILED;
    bool differs =
        news->mac != NULL && memcmp(e->mac, news->mac, sizeof(e->mac)) != 0;
    if (e->state == NEIGH_PERMANENT || (!known && news->mac == NULL))
        return;
    if (known && differs && !news->override) {
        if (e->state == NEIGH_REACHABLE)
            enter(e, NEIGH_STALE, 0);
        return;
    }
    if (news->mac != NULL)
        memcpy(e->mac, news->mac, sizeof(e->mac));
    if (news->solicited)
        enter(e, NEIGH_REACHABLE, 0);
    else if (!known || differs)
        enter(e, NEIGH_STALE, 0);
}

void neigh_learn(struct netif *n, const struct neigh_news *news)
{
    struct list ready = LIST_INIT(ready);
    uint8_t mac[6];
    spin_lock(&table.lock);
    struct neigh *e = neigh_find(n, &news->addr);
    if (e == NULL && news->create && news->mac != NULL)
        e = neigh_new(n, &news->addr, false);
    if (e != NULL) {
        apply_news(e, news);
        if (e->state != NEIGH_INCOMPLETE && e->state != NEIGH_FAILED) {
            LIST_FOR_SAFE(it, next, &e->queue)
            {
                list_remove(it);
                list_add_tail(&ready, it);
            }
            e->queued = 0;
        }
        memcpy(mac, e->mac, sizeof(mac));
    }
    spin_unlock(&table.lock);
    LIST_FOR_SAFE(it, next, &ready)
    {
        struct packet *p = LIST_ENTRY(it, struct packet, node);
        list_remove(it);
        ether_send(n, p, mac, ip_is4(&news->addr) ? ETHER_IP4 : ETHER_IP6);
    }
}

/* --- administration --- */

int neigh_set(struct netif *n, const struct ip_addr *addr, const uint8_t *mac)
{
    int r = 0;
    spin_lock(&table.lock);
    struct neigh *e = neigh_find(n, addr);
    if (e == NULL)
        e = neigh_new(n, addr, true);
    if (e != NULL) {
        drop_queue(e);
        memcpy(e->mac, mac, sizeof(e->mac));
        enter(e, NEIGH_PERMANENT, 0);
    } else {
        r = -ENOSPC;
    }
    spin_unlock(&table.lock);
    return r;
}

int neigh_del(struct netif *n, const struct ip_addr *addr)
{
    spin_lock(&table.lock);
    struct neigh *e = neigh_find(n, addr);
    if (e != NULL)
        neigh_remove(e);
    spin_unlock(&table.lock);
    return e != NULL ? 0 : -ENOENT;
}

bool neigh_at(unsigned i, struct neigh_info *out)
{
    bool found = false;
    spin_lock(&table.lock);
    table_ready();
    LIST_FOR(it, &table.all)
    {
        const struct neigh *e = LIST_ENTRY(it, struct neigh, all_node);
        if (i-- != 0)
            continue;
        *out = (struct neigh_info){
            .addr = e->addr, .netif = e->netif->index, .state = e->state};
        memcpy(out->mac, e->mac, sizeof(out->mac));
        found = true;
        break;
    }
    spin_unlock(&table.lock);
    return found;
}

void neigh_flush(struct netif *n)
{
    spin_lock(&table.lock);
    table_ready();
    LIST_FOR_SAFE(it, next, &table.all)
    {
        struct neigh *e = LIST_ENTRY(it, struct neigh, all_node);
        if (e->netif == n)
            neigh_remove(e);
    }
    spin_unlock(&table.lock);
}
