// SPDX-License-Identifier: Apache-2.0
#include "net/filter.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "net/lease.h"
#include "net/nl.h"
#include "net/plan.h"
#include "net/run.h"
#include "net/store.h"

#define FILTER_TABLE   "limpet"
#define FILTER_VERSION "rules_3" /* a set that only this version has */

enum { FILTER_KEY_MAX = 64, FILTER_ELEMS_MAX = 2, FILTER_NAMES_PORT = 53 };

static const uint8_t filter_families[] = {NFPROTO_BRIDGE, NFPROTO_INET};

/* ---- netlink of nf_tables ---- */

static void filter_message(struct nl *n, struct nl_msg *m, uint16_t type,
                           uint16_t flags, uint8_t family)
{
    const struct nfgenmsg h = {.nfgen_family = family};
    nl_begin(n, m, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &h,
             sizeof(h));
}

static void filter_batch(struct nl *n, struct nl_msg *m, uint16_t type)
{
    const struct nfgenmsg h = {.nfgen_family = AF_UNSPEC,
                               .res_id = htons(NFNL_SUBSYS_NFTABLES)};
    nl_begin(n, m, type, 0, &h, sizeof(h));
}

/* The key of an element: fields, each padded to 4 bytes. */
struct filter_key {
    uint8_t b[FILTER_KEY_MAX];
    size_t size;
};

static void key_add(struct filter_key *k, const void *data, size_t size)
{
    memcpy(k->b + k->size, data, size);
    k->size += (size + 3) & ~(size_t)3;
}

static void key_ifname(struct filter_key *k, const char *name)
{
    char padded[IFNAMSIZ] = {0};
    memcpy(padded, name, strnlen(name, IFNAMSIZ - 1));
    key_add(k, padded, sizeof(padded));
}

static void key_addr(struct filter_key *k, const struct net_addr *a)
{
    key_add(k, a->b, a->v6 ? 16 : 4);
}

static void key_u8(struct filter_key *k, uint8_t v)
{
    key_add(k, &v, sizeof(v));
}

static void key_port(struct filter_key *k, uint16_t port)
{
    uint16_t v = htons(port);
    key_add(k, &v, sizeof(v));
}

/* One set element to add, to delete or to look for. */
struct filter_elem {
    uint8_t family;
    const char *set;
    struct filter_key key, end, data; /* size 0: none */
};

static void elem_value(struct nl_msg *m, uint16_t type,
                       const struct filter_key *k)
{
    if (k->size == 0)
        return;
    size_t nest = nl_nest(m, type);
    nl_put(m, NFTA_DATA_VALUE, k->b, k->size);
    nl_nest_end(m, nest);
}

static void elem_put(struct nl_msg *m, const struct filter_elem *x)
{
    nl_put_str(m, NFTA_SET_ELEM_LIST_TABLE, FILTER_TABLE);
    nl_put_str(m, NFTA_SET_ELEM_LIST_SET, x->set);
    size_t list = nl_nest(m, NFTA_SET_ELEM_LIST_ELEMENTS);
    size_t elem = nl_nest(m, NFTA_LIST_ELEM);
    elem_value(m, NFTA_SET_ELEM_KEY, &x->key);
    elem_value(m, NFTA_SET_ELEM_KEY_END, &x->end);
    elem_value(m, NFTA_SET_ELEM_DATA, &x->data);
    nl_nest_end(m, elem);
    nl_nest_end(m, list);
}

/* Elements are made one after another and go where `add` says. */
struct filter {
    struct nl *n;
    struct nl_msg m;
    bool add;
    bool single; /* a transaction for each: what is missing stops no other */
};

static void filter_open(struct filter *f)
{
    f->m = (struct nl_msg){0};
    filter_batch(f->n, &f->m, NFNL_MSG_BATCH_BEGIN);
}

static int filter_close(struct filter *f)
{
    filter_batch(f->n, &f->m, NFNL_MSG_BATCH_END);
    return nl_talk(f->n, &f->m);
}

static void filter_elem(struct filter *f, const struct filter_elem *x)
{
    struct nl_msg *m = &f->m;
    if (f->single)
        filter_open(f);
    filter_message(f->n, m, f->add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
                   f->add ? NLM_F_CREATE : 0, x->family);
    elem_put(m, x);
    if (f->single)
        (void)filter_close(f);
}

static bool filter_has(struct nl *n, const struct filter_elem *x)
{
    struct nl_msg m = {0};
    filter_message(n, &m, NFT_MSG_GETSETELEM, NLM_F_ACK, x->family);
    elem_put(&m, x);
    return nl_talk(n, &m) == 0;
}

/* What says that a table of this version has been filled. */
static struct filter_elem ready_elem(uint8_t family)
{
    const uint32_t mark = 1;
    struct filter_elem x = {.family = family, .set = FILTER_VERSION};
    key_add(&x.key, &mark, sizeof(mark));
    return x;
}

bool filter_is_ready(struct nl *n)
{
    bool ready = true;
    for (size_t i = 0; i < ARRAY_COUNT(filter_families) && ready; i++) {
        const struct filter_elem x = ready_elem(filter_families[i]);
        ready = filter_has(n, &x);
    }
    return ready;
}

int filter_set_ready(struct nl *n, struct err *e)
{
    struct filter f = {.n = n, .add = true};
    filter_open(&f);
    for (size_t i = 0; i < ARRAY_COUNT(filter_families); i++) {
        const struct filter_elem x = ready_elem(filter_families[i]);
        filter_elem(&f, &x);
    }
    int code = filter_close(&f);
    return code < 0 ? err_set(e, code, "firewall rules: %s", strerror(-code))
                    : 0;
}

int filter_setup(struct err *e)
{
    static const char *const argv[] = {"nft", "-f", "-", NULL};
    struct buf text = {0};
    buf_printf(&text, "%s%s", filter_frames, filter_packets);
    int code = text.failed < 0 ? err_set(e, text.failed, "out of memory")
                               : run_feed(argv, text.data, e);
    buf_fini(&text);
    if (code == -ENOENT)
        return err_set(e, code,
                       "nft is not installed: apt-get install nftables");
    return code < 0 ? err_wrap(e, "firewall rules") : 0;
}

void filter_teardown(struct nl *n)
{
    for (size_t i = 0; i < ARRAY_COUNT(filter_families); i++) {
        struct filter f = {.n = n};
        filter_open(&f);
        filter_message(n, &f.m, NFT_MSG_DELTABLE, 0, filter_families[i]);
        nl_put_str(&f.m, NFTA_TABLE_NAME, FILTER_TABLE);
        (void)filter_close(&f);
    }
}

struct elems_reader {
    struct nl_reader r; /* first */
    bool any;
};

static void elems_take(struct nl_reader *r, uint16_t type, const uint8_t *data,
                       size_t size)
{
    struct nl_attr a;
    if (type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM) ||
        size < sizeof(struct nfgenmsg))
        return;
    data += sizeof(struct nfgenmsg);
    size -= sizeof(struct nfgenmsg);
    while (nl_attr_next(&data, &size, &a))
        if (a.type == NFTA_SET_ELEM_LIST_ELEMENTS && a.size > 0)
            ((struct elems_reader *)r)->any = true;
}

bool filter_is_used(struct nl *n)
{
    static const char *const sets[] = {"bridges", "taps"};
    struct elems_reader r = {.r = {elems_take}};
    for (size_t i = 0; i < ARRAY_COUNT(sets); i++) {
        struct nl_msg m = {0};
        filter_message(n, &m, NFT_MSG_GETSETELEM, NLM_F_DUMP, NFPROTO_INET);
        nl_put_str(&m, NFTA_SET_ELEM_LIST_TABLE, FILTER_TABLE);
        nl_put_str(&m, NFTA_SET_ELEM_LIST_SET, sets[i]);
        (void)nl_dump(n, &m, &r.r); /* none: nobody uses it */
    }
    return r.any;
}

/* ---- what belongs to a network ---- */

/* The last address of a range. */
static struct net_addr range_end(const struct net_addr *range)
{
    struct net_addr out = plan_base(range);
    for (unsigned bit = range->prefix; bit < (range->v6 ? 128U : 32U); bit++)
        out.b[bit / 8] |= (uint8_t)(0x80U >> bit % 8);
    return out;
}

static void network_range(struct filter *f, const struct store_network *w,
                          const struct net_addr *range)
{
    const struct net_addr first = plan_base(range);
    const struct net_addr last = range_end(range);
    struct filter_elem x = {.family = NFPROTO_INET,
                            .set = range->v6 ? "nets6" : "nets4"};
    key_ifname(&x.key, w->bridge);
    key_addr(&x.key, &first);
    key_ifname(&x.end, w->bridge);
    key_addr(&x.end, &last);
    filter_elem(f, &x);
}

/* Port 53 of the gateway. */
static struct filter_elem names_elem(const struct store_network *w, bool udp)
{
    struct filter_elem x = {.family = NFPROTO_INET, .set = "names"};
    key_ifname(&x.key, w->bridge);
    key_addr(&x.key, &w->gateway4);
    key_u8(&x.key, udp ? IPPROTO_UDP : IPPROTO_TCP);
    key_port(&x.key, FILTER_NAMES_PORT);
    return x;
}

/* It leads to `port` of the same address. */
static void network_names(struct filter *f, const struct store_network *w,
                          bool udp, uint16_t port)
{
    struct filter_elem x = names_elem(w, udp);
    if (f->add) {
        key_addr(&x.data, &w->gateway4);
        key_port(&x.data, port);
    }
    filter_elem(f, &x);
}

static struct filter_elem network_elem(const struct store_network *w)
{
    struct filter_elem x = {.family = NFPROTO_INET, .set = "bridges"};
    key_ifname(&x.key, w->bridge);
    return x;
}

static void network_elems(struct filter *f, const struct store_network *w)
{
    struct filter_elem x = network_elem(w);
    filter_elem(f, &x);
    x.set = "internal";
    if (w->internal)
        filter_elem(f, &x);
    x.set = "apart";
    if (w->isolated)
        filter_elem(f, &x);
    x.set = "same";
    key_ifname(&x.key, w->bridge);
    filter_elem(f, &x);
    network_range(f, w, &w->subnet4);
    if (w->has6)
        network_range(f, w, &w->subnet6);
}

/* ---- what belongs to an interface ---- */

static void vm_frames(struct filter *f, const struct lease *l)
{
    struct filter_elem x = {.family = NFPROTO_INET, .set = "taps"};
    key_ifname(&x.key, l->tap);
    filter_elem(f, &x);
    x.family = NFPROTO_BRIDGE;
    filter_elem(f, &x);
    x.set = "caged";
    if (l->limited)
        filter_elem(f, &x);
    x.set = "mac";
    key_add(&x.key, l->mac, sizeof(l->mac));
    filter_elem(f, &x);
    x.set = "src4";
    key_addr(&x.key, &l->ip4);
    if (l->has4)
        filter_elem(f, &x);
    const struct net_addr own[] = {plan_link_local(l->mac), l->ip6};
    for (size_t i = 0; i < (l->has6 ? 2U : 1U); i++) {
        struct filter_elem y = {.family = NFPROTO_BRIDGE, .set = "src6"};
        key_ifname(&y.key, l->tap);
        key_addr(&y.key, &own[i]);
        filter_elem(f, &y);
        y.set = "own6";
        filter_elem(f, &y);
    }
}

static void vm_egress_one(struct filter *f, const struct lease *l,
                          const struct net_addr *range)
{
    const struct net_addr first = plan_base(range);
    const struct net_addr last = range_end(range);
    const struct net_addr *own = range->v6 ? &l->ip6 : &l->ip4;
    if (range->v6 ? !l->has6 : !l->has4)
        return;
    struct filter_elem x = {.set = range->v6 ? "egress6" : "egress4"};
    key_addr(&x.key, own);
    key_addr(&x.key, &first);
    key_addr(&x.end, own);
    key_addr(&x.end, &last);
    x.family = NFPROTO_INET;
    filter_elem(f, &x);
    x.family = NFPROTO_BRIDGE;
    filter_elem(f, &x);
}

static void vm_egress(struct filter *f, const struct lease *l)
{
    if (!l->limited)
        return;
    struct filter_elem x = {.family = NFPROTO_INET, .set = "limited4"};
    key_addr(&x.key, &l->ip4);
    if (l->has4)
        filter_elem(f, &x);
    struct filter_elem y = {.family = NFPROTO_INET, .set = "limited6"};
    key_addr(&y.key, &l->ip6);
    if (l->has6)
        filter_elem(f, &y);
    /* Ranges of a set must not overlap. */
    for (unsigned i = 0; i < l->egress_count; i++)
        if (!plan_is_covered(l->egress, l->egress_count, i))
            vm_egress_one(f, l, &l->egress[i]);
}

/* One redirection of `p` to address `to`. */
static void vm_port(struct filter *f, const struct port *p,
                    const struct net_addr *to)
{
    static const char *const maps[2][2] = {{"at4", "at6"}, {"any4", "any6"}};
    struct filter_elem x = {.family = NFPROTO_INET,
                            .set = maps[p->any][to->v6]};
    if (!p->any)
        key_addr(&x.key, &p->at);
    key_u8(&x.key, p->udp ? IPPROTO_UDP : IPPROTO_TCP);
    key_port(&x.key, p->host);
    if (f->add) {
        key_addr(&x.data, to);
        key_port(&x.data, p->guest);
    }
    filter_elem(f, &x);
}

static void vm_ports(struct filter *f, const struct lease *l)
{
    for (unsigned i = 0; i < l->ports.count; i++) {
        const struct port *p = &l->ports.port[i];
        if (port_is_loopback(p))
            continue; /* the proxy's alone */
        if (l->has4 && (p->any || !p->at.v6))
            vm_port(f, p, &l->ip4);
        if (l->has6 && (p->any || p->at.v6))
            vm_port(f, p, &l->ip6);
    }
}

static void vm_elems(struct filter *f, const struct lease *l)
{
    vm_frames(f, l);
    vm_egress(f, l);
    vm_ports(f, l);
}

int filter_add_network(struct nl *n, const struct store_network *w,
                       struct err *e)
{
    struct filter f = {.n = n, .add = true};
    filter_open(&f);
    network_elems(&f, w);
    int code = filter_close(&f);
    return code < 0 ? err_set(e, code, "firewall rules of network %s: %s",
                              w->name, strerror(-code))
                    : 0;
}

bool filter_has_network(struct nl *n, const struct store_network *w)
{
    const struct filter_elem x = network_elem(w);
    return filter_has(n, &x);
}

int filter_add_names(struct nl *n, const struct store_network *w, uint16_t udp,
                     uint16_t tcp)
{
    filter_remove_names(n, w); /* those of another keeper */
    struct filter f = {.n = n, .add = true};
    filter_open(&f);
    network_names(&f, w, true, udp);
    network_names(&f, w, false, tcp);
    return filter_close(&f);
}

bool filter_has_names(struct nl *n, const struct store_network *w)
{
    const struct filter_elem x = names_elem(w, true);
    return filter_has(n, &x);
}

void filter_remove_names(struct nl *n, const struct store_network *w)
{
    struct filter f = {.n = n, .single = true};
    network_names(&f, w, true, 0);
    network_names(&f, w, false, 0);
}

int filter_add_vm(struct nl *n, const struct lease *l, struct err *e)
{
    struct filter f = {.n = n, .add = true};
    filter_open(&f);
    vm_elems(&f, l);
    int code = filter_close(&f);
    return code < 0 ? err_set(e, code, "firewall rules of %.12s: %s", l->id,
                              strerror(-code))
                    : 0;
}

int filter_stop_routing(struct nl *n, uint8_t family, struct err *e)
{
    struct filter f = {.n = n};
    struct filter_elem x = {.family = NFPROTO_INET, .set = "routed"};
    key_u8(&x.key, family);
    x.key.size = 1; /* only fields of several are padded */
    filter_open(&f);
    filter_elem(&f, &x);
    int code = filter_close(&f);
    return code < 0 && code != -ENOENT
               ? err_set(e, code, "firewall rules: %s", strerror(-code))
               : 0;
}

void filter_remove_network(struct nl *n, const struct store_network *w)
{
    struct filter f = {.n = n, .single = true};
    network_elems(&f, w);
    filter_remove_names(n, w);
}

void filter_remove_vm(struct nl *n, const struct lease *l)
{
    struct filter f = {.n = n};
    filter_open(&f);
    vm_elems(&f, l);
    if (filter_close(&f) == 0)
        return;
    f.single = true;
    vm_elems(&f, l);
}
