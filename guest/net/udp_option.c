// SPDX-License-Identifier: Apache-2.0
/* Options of UDP. udp(7). */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/net/dgram.h"
#include "guest/net/udp.h"

static int udp_set(struct dgram_sock *d, const struct socket_option *o)
{
    int32_t v;
    int code = socket_option_get(o, &v, sizeof(v));
    if (code < 0)
        return code;
    switch (o->name) {
    case LX_UDP_SEGMENT:
        if (v < 0 || v > 0xffff)
            return -EINVAL;
        d->segment = (uint16_t)v;
        return 0;
    case LX_UDP_GRO: d->accept_segments = v != 0; return 0;
    case LX_UDP_CORK: return udp_cork_set(d, v != 0);
    default: return -ENOPROTOOPT;
    }
}

static int udp_get(const struct dgram_sock *d, struct socket_option *o)
{
    int32_t v = 0;
    switch (o->name) {
    case LX_UDP_SEGMENT: v = d->segment; break;
    case LX_UDP_GRO: v = d->accept_segments; break;
    case LX_UDP_CORK: v = udp_corked(d); break;
    default: return -ENOPROTOOPT;
    }
    return socket_option_put(o, &v, sizeof(v));
}

int udp_option(struct socket *s, struct socket_option *o)
{
    struct dgram_sock *d = dgram_of(s);
    if (o->level != LX_IPPROTO_UDP)
        return inet_option(s, o);
    return o->set ? udp_set(d, o) : udp_get(d, o);
}
