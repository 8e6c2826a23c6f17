// SPDX-License-Identifier: Apache-2.0
#include "net/dnszone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/plan.h"

static struct dnszone_host *host_of(struct dnszone_node *n)
{
    return (struct dnszone_host *)n;
}

static struct dnszone_net *net_of(struct dnszone_node *n)
{
    return (struct dnszone_net *)n;
}

/* ---- lists ---- */

/* Where the node is, or would be. */
static struct dnszone_node **node_at(struct dnszone_node **list,
                                     uint32_t number)
{
    while (*list != NULL && (*list)->number != number)
        list = &(*list)->next;
    return list;
}

static struct dnszone_node *node_find(struct dnszone_node *list,
                                      uint32_t number)
{
    return *node_at(&list, number);
}

/* The one there is, or a new one of `size` bytes; NULL: no memory. */
static struct dnszone_node *node_need(struct dnszone_node **list,
                                      uint32_t number, size_t size)
{
    struct dnszone_node *n = node_find(*list, number);
    if (n == NULL) {
        n = calloc(1, size);
        if (n == NULL)
            return NULL;
        *n = (struct dnszone_node){.next = *list, .number = number};
        *list = n;
    }
    return n;
}

static void node_drop(struct dnszone_node **list, uint32_t number)
{
    struct dnszone_node **at = node_at(list, number);
    struct dnszone_node *old = *at;
    if (old == NULL)
        return;
    *at = old->next;
    free(old);
}

static struct dnszone_net *zone_net(const struct dnszone *z, uint32_t number)
{
    return net_of(node_find(z->nets, number));
}

struct dnszone_host *dnszone_by_number(const struct dnszone *z, uint32_t number)
{
    return host_of(node_find(z->hosts, number));
}

void dnszone_set_network(struct dnszone *z, const struct dnszone_network *n)
{
    struct dnszone_net *to =
        net_of(node_need(&z->nets, n->number, sizeof(struct dnszone_net)));
    if (to != NULL)
        to->n = *n;
}

/* Names of containers are unique, upper case and lower being two: who had this
 * one has ended, and the keeper is about to notice. */
static void zone_retire(struct dnszone *z, const struct dnszone_vm *v)
{
    for (struct dnszone_node *n = z->hosts; n != NULL; n = n->next) {
        struct dnszone_host *h = host_of(n);
        if (v->container[0] != '\0' &&
            strcmp(h->vm.container, v->container) == 0 &&
            strcmp(h->vm.id, v->id) != 0)
            h->vm.name_count = 0;
    }
}

void dnszone_set_vm(struct dnszone *z, const struct dnszone_vm *v)
{
    zone_retire(z, v);
    struct dnszone_host *to =
        host_of(node_need(&z->hosts, v->number, sizeof(struct dnszone_host)));
    if (to != NULL)
        to->vm = *v;
}

void dnszone_drop_network(struct dnszone *z, uint32_t number)
{
    node_drop(&z->nets, number);
}

void dnszone_drop_vm(struct dnszone *z, uint32_t number)
{
    node_drop(&z->hosts, number);
}

void dnszone_fini(struct dnszone *z)
{
    while (z->hosts != NULL)
        node_drop(&z->hosts, z->hosts->number);
    while (z->nets != NULL)
        node_drop(&z->nets, z->nets->number);
}

/* ---- questions ---- */

struct dnszone_host *dnszone_asker(const struct dnszone *z, uint32_t network,
                                   const uint8_t ip4[4])
{
    for (struct dnszone_node *n = z->hosts; n != NULL; n = n->next) {
        struct dnszone_host *h = host_of(n);
        if (h->vm.network == network && h->vm.has4 &&
            memcmp(h->vm.ip4.b, ip4, 4) == 0)
            return h;
    }
    return NULL;
}

/* Is the asker on that network, with any of its interfaces? */
static bool zone_shares(const struct dnszone *z,
                        const struct dnszone_host *asker, uint32_t network)
{
    if (asker->vm.network == network)
        return true;
    for (struct dnszone_node *n = z->hosts; n != NULL; n = n->next) {
        const struct dnszone_host *h = host_of(n);
        if (h->vm.network == network && strcmp(h->vm.id, asker->vm.id) == 0)
            return true;
    }
    return false;
}

static bool zone_is_called(const struct dnszone_host *h, const char *name,
                           size_t size)
{
    for (unsigned i = 0; i < h->vm.name_count && i < DNSZONE_NAMES_MAX; i++)
        if (strncmp(h->vm.name[i], name, size) == 0 &&
            h->vm.name[i][size] == '\0')
            return true;
    return false;
}

/* By its names alone, or with the network's behind a dot. */
static bool zone_matches(const struct dnszone *z, const struct dnszone_host *h,
                         const char *name)
{
    size_t size = strlen(name);
    const struct dnszone_net *n = zone_net(z, h->vm.network);
    if (n == NULL || size >= LEASE_NAME_SIZE + STORE_NAME_SIZE)
        return false;
    if (size < LEASE_NAME_SIZE && zone_is_called(h, name, size))
        return true;
    size_t tail = strlen(n->n.name);
    if (size <= tail + 1 || name[size - tail - 1] != '.' ||
        strcasecmp(name + size - tail, n->n.name) != 0)
        return false;
    size -= tail + 1;
    return size < LEASE_NAME_SIZE && zone_is_called(h, name, size);
}

int dnszone_find(const struct dnszone *z, const struct dnszone_host *asker,
                 const char *name, bool v6,
                 struct net_addr out[DNSZONE_ADDRS_MAX])
{
    int count = 0;
    bool known = false;
    for (struct dnszone_node *n = z->hosts;
         n != NULL && count < DNSZONE_ADDRS_MAX; n = n->next) {
        const struct dnszone_host *h = host_of(n);
        if (!zone_matches(z, h, name) || !zone_shares(z, asker, h->vm.network))
            continue;
        known = true;
        if (v6 ? h->vm.has6 : h->vm.has4)
            out[count++] = v6 ? h->vm.ip6 : h->vm.ip4;
    }
    return known ? count : -ENOENT;
}

int dnszone_reverse(const struct dnszone *z, const struct dnszone_host *asker,
                    const struct net_addr *a,
                    char out[LEASE_NAME_SIZE + STORE_NAME_SIZE])
{
    for (struct dnszone_node *i = z->hosts; i != NULL; i = i->next) {
        const struct dnszone_host *h = host_of(i);
        const struct net_addr *own = a->v6 ? &h->vm.ip6 : &h->vm.ip4;
        const struct dnszone_net *n = zone_net(z, h->vm.network);
        if (!(a->v6 ? h->vm.has6 : h->vm.has4) || n == NULL ||
            h->vm.name_count == 0 ||
            memcmp(own->b, a->b, a->v6 ? 16 : 4) != 0 ||
            !zone_shares(z, asker, h->vm.network))
            continue;
        (void)snprintf(out, LEASE_NAME_SIZE + STORE_NAME_SIZE, "%s.%s",
                       h->vm.name[0], n->n.name);
        return 0;
    }
    return -ENOENT;
}

/* One network that leads out is enough. */
static bool zone_leads_out(const struct dnszone *z,
                           const struct dnszone_host *asker)
{
    for (struct dnszone_node *i = z->nets; i != NULL; i = i->next)
        if (!net_of(i)->n.internal && zone_shares(z, asker, i->number))
            return true;
    return false;
}

/* --egress: a name of somebody's own domain would carry anything out. */
static bool zone_may_reach(const struct dnszone_vm *v, const struct net_addr *a)
{
    bool may = !v->limited;
    for (unsigned i = 0; !may && i < v->egress_count && i < LEASE_EGRESS_MAX;
         i++)
        may = plan_contains(&v->egress[i], a);
    return may;
}

unsigned dnszone_servers(const struct dnszone *z,
                         const struct dnszone_host *asker,
                         struct net_addr out[NET_DNS_MAX])
{
    const struct dnszone_vm *v = &asker->vm;
    bool own = v->dns_count > 0;
    const struct net_addr *list = own ? v->dns : z->servers.server;
    unsigned count = own ? v->dns_count : z->servers.count;
    unsigned n = 0;
    if (!zone_leads_out(z, asker))
        return 0;
    for (unsigned i = 0; i < count && i < NET_DNS_MAX; i++)
        if (zone_may_reach(v, &list[i]))
            out[n++] = list[i];
    return n;
}
