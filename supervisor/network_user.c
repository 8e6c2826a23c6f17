// SPDX-License-Identifier: Apache-2.0
#include "supervisor/network_user.h"

#include "base/err.h"
#include "net/netns.h"
#include "net/user.h"
#include "supervisor/network.h"

int network_attach_user(const struct network_want *w, const char *argument,
                        const struct network_vm *vm, struct net_iface *i,
                        struct err *e)
{
    struct network_options *o = vm->options;
    static struct port_list none;
    const struct user_want u = {
        .libexec = vm->libexec,
        .said = &w->said,
        .limited = o->limited,
        .egress = o->egress,
        .egress_count = o->egress_count,
        .ports = o->published ? &none : &o->ports,
    };
    (void)argument;
    if (vm->passt->going)
        return err_set(e, -EINVAL, "--network user: once is enough");
    int code = user_attach(&u, i, vm->passt, e);
    o->published = o->published || code == 0;
    return code;
}

int network_attach_netns(const struct network_want *w, const char *argument,
                         const struct network_vm *vm, struct net_iface *i,
                         struct err *e)
{
    const struct netns_want n = {.libexec = vm->libexec,
                                 .path = argument,
                                 .id = vm->id,
                                 .after = vm->after};
    if (w->has_mac || w->said.addr_count > 0 || w->said.has_gateway4 ||
        w->said.has_gateway6)
        return err_set(e, -EINVAL,
                       "--network netns: addresses and MAC are those of the "
                       "interface in it");
    return netns_attach(&n, i, e);
}
