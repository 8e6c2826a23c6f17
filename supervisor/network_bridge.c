// SPDX-License-Identifier: Apache-2.0
#include "supervisor/network_bridge.h"

#include <string.h>

#include "base/err.h"
#include "net/attach.h"
#include "supervisor/network.h"

/* --ip and --ip6; one of each at most. */
static int bridge_said(const struct network_want *w, struct attach_want *out,
                       struct err *e)
{
    for (unsigned i = 0; i < w->said.addr_count; i++) {
        const struct net_addr *a = &w->said.addr[i];
        bool *has = a->v6 ? &out->has6 : &out->has4;
        if (*has)
            return err_set(e, -EINVAL,
                           "--network %s: one address of each family", w->mode);
        *has = true;
        *(a->v6 ? &out->ip6 : &out->ip4) = *a;
    }
    if (w->said.has_gateway4 || w->said.has_gateway6)
        return err_set(e, -EINVAL,
                       "--gateway: the gateway is network %s's: say it to "
                       "limpet network create",
                       w->mode);
    return 0;
}

int network_attach_bridge(const struct network_want *w,
                          const struct network_vm *vm, struct net_iface *i,
                          struct err *e)
{
    struct network_options *o = vm->options;
    bool internal = false;
    struct attach_want a = {
        .libexec = vm->libexec,
        .id = vm->id,
        .name = vm->name,
        .hostname = vm->hostname,
        .network = w->mode,
        .slot = vm->slot,
        .has_mac = w->has_mac,
        .dns = w->said.dns_count > 0 ? w->said.dns : o->dns,
        .dns_count = w->said.dns_count > 0 ? w->said.dns_count : o->dns_count,
        .aliases = o->alias,
        .alias_count = o->alias_count,
        .limited = o->limited,
        .egress = o->egress,
        .egress_count = o->egress_count,
        /* Ports belong to the first interface that can have them. */
        .ports = o->published ? NULL : &o->ports,
        .internal = &internal,
    };
    memcpy(a.mac, w->said.mac, sizeof(a.mac));
    int code = bridge_said(w, &a, e);
    if (code == 0)
        code = attach_bridge(vm->root, &a, i, e);
    o->published = o->published || (code == 0 && !internal);
    o->internal = o->internal || internal;
    return code;
}
