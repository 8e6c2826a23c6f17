// SPDX-License-Identifier: Apache-2.0
#include "net/dnszone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/plan.h"

static struct dnszone_net *zone_net(const struct dnszone *z, uint32_t number)
{
    struct dnszone_net *n = z->nets;
    while (n != NULL && n->n.number != number)
        n = n->next;
    return n;
}

struct dnszone_host *dnszone_by_number(const struct dnszone *z, uint32_t number)
{
    struct dnszone_host *h = z->hosts;
    while (h != NULL && h->vm.number != number)
        h = h->next;
    return h;
}

void dnszone_set_network(struct dnszone *z, const struct dnszone_network *n)
{
    struct dnszone_net *old = zone_net(z, n->number);
    if (old == NULL) {
        old = calloc(1, sizeof(*old));
        if (old == NULL)
            return;
        old->next = z->nets;
        z->nets = old;
    }
    old->n = *n;
}

/* Names of containers are unique: who had this one has ended, and the keeper is
 * about to notice. */
static void zone_retire(struct dnszone *z, const struct dnszone_vm *v)
{
    for (struct dnszone_host *h = z->hosts; h != NULL; h = h->next)
        if (v->name_count > 0 && h->vm.name_count > 0 &&
            strcmp(h->vm.name[0], v->name[0]) == 0 &&
            strcmp(h->vm.id, v->id) != 0)
            h->vm.name_count = 0;
}

void dnszone_set_vm(struct dnszone *z, const struct dnszone_vm *v)
{
    zone_retire(z, v);
    struct dnszone_host *old = dnszone_by_number(z, v->number);
    if (old == NULL) {
        old = calloc(1, sizeof(*old));
        if (old == NULL)
            return;
        old->next = z->hosts;
        z->hosts = old;
    }
    old->vm = *v;
}

void dnszone_drop_network(struct dnszone *z, uint32_t number)
{
    struct dnszone_net **at = &z->nets;
    while (*at != NULL && (*at)->n.number != number)
        at = &(*at)->next;
    struct dnszone_net *old = *at;
    if (old == NULL)
        return;
    *at = old->next;
    free(old);
}

void dnszone_drop_vm(struct dnszone *z, uint32_t number)
{
    struct dnszone_host **at = &z->hosts;
    while (*at != NULL && (*at)->vm.number != number)
        at = &(*at)->next;
    struct dnszone_host *old = *at;
    if (old == NULL)
        return;
    *at = old->next;
    free(old);
}

void dnszone_fini(struct dnszone *z)
{
    while (z->hosts != NULL)
        dnszone_drop_vm(z, z->hosts->vm.number);
    while (z->nets != NULL)
        dnszone_drop_network(z, z->nets->n.number);
}

struct dnszone_host *dnszone_asker(const struct dnszone *z, uint32_t network,
                                   const uint8_t ip4[4])
{
    for (struct dnszone_host *h = z->hosts; h != NULL; h = h->next)
        if (h->vm.network == network && h->vm.has4 &&
            memcmp(h->vm.ip4.b, ip4, 4) == 0)
            return h;
    return NULL;
}

/* Is the asker on that network, with any of its interfaces? */
static bool zone_shares(const struct dnszone *z,
                        const struct dnszone_host *asker, uint32_t network)
{
    if (asker->vm.network == network)
        return true;
    for (const struct dnszone_host *h = z->hosts; h != NULL; h = h->next)
        if (h->vm.network == network && strcmp(h->vm.id, asker->vm.id) == 0)
            return true;
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
    for (const struct dnszone_host *h = z->hosts;
         h != NULL && count < DNSZONE_ADDRS_MAX; h = h->next) {
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
    for (const struct dnszone_host *h = z->hosts; h != NULL; h = h->next) {
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
    for (const struct dnszone_net *n = z->nets; n != NULL; n = n->next)
        if (!n->n.internal && zone_shares(z, asker, n->n.number))
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
