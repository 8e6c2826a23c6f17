// SPDX-License-Identifier: Apache-2.0
/*
 * Sockets by port and by connection. In a bucket of `bound`, sockets without a
 * peer come first: looking for a listener ends at the first with one.
 */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/net/inet_impl.h"

uint16_t inet_port_first = 32768, inet_port_last = 60999;
/* As docker sets it: a container's programs need not be root for port 80. */
uint16_t inet_unprivileged_port;

static uint64_t hash_secret;

static struct inet_sock *of_bound(struct list *l)
{
    return LIST_ENTRY(l, struct inet_sock, bound_node);
}

static struct inet_sock *of_hash(struct list *l)
{
    return LIST_ENTRY(l, struct inet_sock, hash_node);
}

int inet_table_init(struct inet_table *t, uint32_t bits)
{
    size_t n = (size_t)1 << bits;
    *t = (struct inet_table){.bits = bits};
    t->bound = kmalloc(n * sizeof(struct list));
    t->connected = kmalloc(n * sizeof(struct list));
    if (t->bound == NULL || t->connected == NULL) {
        kfree(t->bound);
        kfree(t->connected);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        list_init(&t->bound[i]);
        list_init(&t->connected[i]);
    }
    if (hash_secret == 0)
        hash_secret = krandom_u64() | 1;
    return 0;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

/* Keyed: peers cannot aim at a bucket. */
static uint64_t hash_four(const struct ip_addr *local,
                          const struct ip_addr *remote, uint16_t lport,
                          uint16_t rport)
{
    uint64_t h = mix(hash_secret, local->q[0]);
    h = mix(h, local->q[1]);
    h = mix(h, remote->q[0]);
    h = mix(h, remote->q[1]);
    return mix(h, (uint64_t)lport << 16 | rport);
}

static struct list *bucket_four(const struct inet_table *t, uint64_t h)
{
    return &t->connected[h >> (64 - t->bits)];
}

static struct list *bucket_port(const struct inet_table *t, uint16_t port)
{
    return &t->bound[port & ((1u << t->bits) - 1)];
}

/* --- conflicts --- */

static bool both_on(const struct inet_sock *a, const struct inet_sock *b,
                    int option)
{
    return socket_option_on(&a->s, option) && socket_option_on(&b->s, option);
}

/* May `a` have the port that `b` has? socket(7): SO_REUSEADDR, SO_REUSEPORT. A
 * listener may come after its old connections, but not beside another. */
static bool may_share(const struct inet_sock *a, const struct inet_sock *b)
{
    if (both_on(a, b, LX_SO_REUSEPORT) && a->uid == b->uid)
        return true;
    return both_on(a, b, LX_SO_REUSEADDR) &&
           (a->s.type != LX_SOCK_STREAM || !b->s.listening);
}

/* An IPv6 socket bound to any, if not v6only, stands for IPv4 too. */
static bool addrs_overlap(const struct inet_sock *k, const struct ip_addr *addr,
                          const struct inet_sock *other)
{
    bool four = ip_is4(addr), four2 = ip_is4(&other->local);
    if (four == four2)
        return ip_is_any(addr) || ip_is_any(&other->local) ||
               ip_equal(addr, &other->local);
    if (four)
        return ip_is_any(&other->local) && !other->v6only;
    return ip_is_any(addr) && !k->v6only;
}

static bool conflicts(const struct inet_sock *k, const struct ip_addr *addr,
                      uint32_t oif, const struct inet_sock *other)
{
    if (oif != 0 && other->oif != 0 && oif != other->oif)
        return false;
    return addrs_overlap(k, addr, other) && !may_share(k, other);
}

static bool port_free(const struct inet_sock *k, const struct ip_addr *addr,
                      uint16_t port, uint32_t oif)
{
    LIST_FOR(it, bucket_port(k->table, port))
    {
        const struct inet_sock *o = of_bound(it);
        if (o != k && o->lport == port && conflicts(k, addr, oif, o))
            return false;
    }
    return true;
}

static struct inet_sock *find_four(const struct inet_table *t,
                                   const struct ip_addr *local,
                                   const struct ip_addr *remote, uint16_t lport,
                                   uint16_t rport)
{
    uint64_t h = hash_four(local, remote, lport, rport);
    LIST_FOR(it, bucket_four(t, h))
    {
        struct inet_sock *k = of_hash(it);
        if (k->lport == lport && k->rport == rport &&
            ip_equal(&k->local, local) && ip_equal(&k->remote, remote))
            return k;
    }
    return NULL;
}

/* Ports that connect(2) chose may serve again, to another peer. */
static bool port_free_to_connect(const struct inet_sock *k, uint16_t port)
{
    LIST_FOR(it, bucket_port(k->table, port))
    {
        const struct inet_sock *o = of_bound(it);
        if (o->lport == port && (o->bound || o->rport == 0) &&
            addrs_overlap(k, &k->local, o))
            return false;
    }
    return find_four(k->table, &k->local, &k->remote, port, k->rport) == NULL;
}

/* --- ephemeral ports --- */

uint16_t inet_port_random(const struct inet_sock *k)
{
    uint32_t span = (uint32_t)inet_port_last - inet_port_first + 1;
    uint64_t r = krandom_u64();
    if (k->rport != 0) /* RFC 6056, 3.3.3: apart for each destination */
        r = mix(r, hash_four(&k->local, &k->remote, 0, k->rport));
    return (uint16_t)(inet_port_first + (uint32_t)(r >> 32) % span);
}

/* Table locked: 0 when every port is taken. */
static uint16_t port_choose(const struct inet_sock *k,
                            const struct ip_addr *addr, uint32_t oif)
{
    uint32_t span = (uint32_t)inet_port_last - inet_port_first + 1;
    uint32_t at = (uint32_t)inet_port_random(k) - inet_port_first;
    bool connect = k->s.type == LX_SOCK_STREAM && k->rport != 0;
    for (uint32_t i = 0; i < span; i++, at = (at + 1) % span) {
        uint16_t port = (uint16_t)(inet_port_first + at);
        if (connect ? port_free_to_connect(k, port)
                    : port_free(k, addr, port, oif))
            return port;
    }
    return 0;
}

/* --- in and out --- */

static void add_bound(struct inet_sock *k)
{
    list_remove(&k->bound_node);
    struct list *b = bucket_port(k->table, k->lport);
    if (!list_empty(&k->hash_node))
        list_add_tail(b, &k->bound_node);
    else
        list_add_head(b, &k->bound_node);
}

int inet_table_bind(struct inet_sock *k, const struct ip_addr *addr,
                    uint16_t port, uint32_t scope)
{
    int r = 0;
    bool named = port != 0;
    spin_lock(&k->table->lock);
    uint32_t oif = scope != 0 ? scope : k->oif;
    if (k->lport != 0)
        r = -EINVAL;
    else if (!named)
        port = port_choose(k, addr, oif);
    else if (!port_free(k, addr, port, oif))
        r = -EADDRINUSE;
    if (r == 0 && port == 0)
        r = -EADDRINUSE;
    if (r == 0) {
        spin_lock(&k->lock);
        k->local = *addr;
        k->lport = port;
        k->oif = oif;
        k->bound = true;
        k->addr_locked = !ip_is_any(addr);
        k->port_locked = named;
        spin_unlock(&k->lock);
        add_bound(k);
    }
    spin_unlock(&k->table->lock);
    return r;
}

int inet_autobind(struct inet_sock *k)
{
    int r = 0;
    spin_lock(&k->table->lock);
    if (k->lport == 0) {
        uint16_t port = port_choose(k, &k->local, k->oif);
        if (port == 0) {
            r = k->rport != 0 ? -EADDRNOTAVAIL : -EAGAIN;
        } else {
            k->lport = port;
            add_bound(k);
        }
    }
    spin_unlock(&k->table->lock);
    return r;
}

int inet_listen_check(struct inet_sock *k)
{
    spin_lock(&k->table->lock);
    bool was = k->s.listening;
    k->s.listening = true; /* so that others see a listener */
    bool ok = port_free(k, &k->local, k->lport, k->oif);
    if (!ok)
        k->s.listening = was;
    spin_unlock(&k->table->lock);
    return ok ? 0 : -EADDRINUSE;
}

int inet_hash(struct inet_sock *k)
{
    int r = 0;
    struct inet_table *t = k->table;
    spin_lock(&t->lock);
    if (k->s.type == LX_SOCK_STREAM &&
        find_four(t, &k->local, &k->remote, k->lport, k->rport) != NULL)
        r = -EADDRNOTAVAIL;
    if (r == 0) {
        uint64_t h = hash_four(&k->local, &k->remote, k->lport, k->rport);
        list_remove(&k->hash_node);
        list_add_head(bucket_four(t, h), &k->hash_node);
        add_bound(k);
    }
    spin_unlock(&t->lock);
    return r;
}

void inet_unhash(struct inet_sock *k)
{
    spin_lock(&k->table->lock);
    list_remove(&k->hash_node);
    list_remove(&k->bound_node);
    spin_unlock(&k->table->lock);
}

void inet_disconnected(struct inet_sock *k)
{
    spin_lock(&k->table->lock);
    list_remove(&k->hash_node);
    if (k->lport != 0)
        add_bound(k);
    else
        list_remove(&k->bound_node);
    spin_unlock(&k->table->lock);
}

/* --- finding --- */

/* How well a socket without a peer suits; -1: not at all. */
static int match_score(const struct inet_sock *k, const struct packet *p,
                       uint16_t dport)
{
    int score = 0;
    if (k->lport != dport || (k->s.type == LX_SOCK_STREAM && !k->s.listening))
        return -1;
    if (k->oif != 0) {
        if (k->oif != p->netif->index)
            return -1;
        score += 4;
    }
    if (ip_is4(&p->dst)) {
        if (k->s.family != LX_AF_INET && !ip_is4(&k->local) &&
            (k->v6only || !ip_is_any(&k->local)))
            return -1;
        score += k->s.family == LX_AF_INET;
    } else if (k->s.family == LX_AF_INET || ip_is4(&k->local)) {
        return -1;
    }
    if (ip_is_any(&k->local))
        return score;
    return ip_equal(&k->local, &p->dst) ? score + 2 : -1;
}

static struct inet_sock *find_bound(const struct inet_table *t,
                                    const struct packet *p, uint64_t hash,
                                    uint16_t dport)
{
    struct inet_sock *best = NULL;
    int most = -1;
    uint32_t same = 0;
    LIST_FOR(it, bucket_port(t, dport))
    {
        struct inet_sock *k = of_bound(it);
        if (!list_empty(&k->hash_node))
            break; /* only connected ones from here on */
        int s = k->rport == 0 ? match_score(k, p, dport) : -1;
        if (s > most) {
            most = s;
            best = k;
            same = 1;
        } else if (s >= 0 && s == most &&
                   socket_option_on(&k->s, LX_SO_REUSEPORT)) {
            /* The n-th of equals takes over with chance 1/n. */
            same++;
            hash = mix(hash, same);
            if ((hash >> 32) * same >> 32 == 0)
                best = k;
        }
    }
    return best;
}

struct inet_sock *inet_find(struct inet_table *t, const struct packet *p,
                            uint16_t sport, uint16_t dport)
{
    spin_lock(&t->lock);
    struct inet_sock *k = find_four(t, &p->dst, &p->src, dport, sport);
    if (k != NULL && k->oif != 0 && k->oif != p->netif->index)
        k = NULL;
    if (k == NULL)
        k = find_bound(t, p, hash_four(&p->dst, &p->src, dport, sport), dport);
    if (k != NULL)
        inet_get(k);
    spin_unlock(&t->lock);
    return k;
}

struct inet_sock *inet_find_four(struct inet_table *t,
                                 const struct ip_addr *local,
                                 const struct ip_addr *remote, uint16_t lport,
                                 uint16_t rport)
{
    spin_lock(&t->lock);
    struct inet_sock *k = find_four(t, local, remote, lport, rport);
    if (k != NULL)
        inet_get(k);
    spin_unlock(&t->lock);
    return k;
}

struct inet_sock *inet_find_local(struct inet_table *t,
                                  const struct ip_addr *local, uint16_t lport)
{
    struct inet_sock *found = NULL;
    spin_lock(&t->lock);
    LIST_FOR(it, bucket_port(t, lport))
    {
        struct inet_sock *k = of_bound(it);
        if (!list_empty(&k->hash_node))
            break;
        bool any = ip_is_any(&k->local) &&
                   (k->s.family != LX_AF_INET || ip_is4(local));
        if (k->lport == lport && (any || ip_equal(&k->local, local))) {
            found = k;
            break;
        }
    }
    if (found != NULL)
        inet_get(found);
    spin_unlock(&t->lock);
    return found;
}

void inet_each(struct inet_table *t, const struct packet *p, uint16_t sport,
               uint16_t dport,
               void (*fn)(struct inet_sock *k, const struct packet *p))
{
    spin_lock(&t->lock);
    LIST_FOR(it, bucket_port(t, dport))
    {
        struct inet_sock *k = of_bound(it);
        if (k->rport != 0 &&
            (k->rport != sport || !ip_equal(&k->remote, &p->src)))
            continue;
        if (match_score(k, p, dport) >= 0)
            fn(k, p);
    }
    spin_unlock(&t->lock);
}
