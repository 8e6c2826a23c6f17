// SPDX-License-Identifier: Apache-2.0
/* Options of Internet sockets. ip(7), ipv6(7), udp(7). */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/core/usercopy.h"
#include "guest/net/inet.h"
#include "guest/net/udp.h"

static int option_reuseport(struct socket *s, struct socket_option *o)
{
    int32_t v = socket_option_on(s, LX_SO_REUSEPORT);
    uint64_t bit = UINT64_C(1) << LX_SO_REUSEPORT;
    if (!o->set)
        return socket_option_put(o, &v, sizeof(v));
    if (o->size < sizeof(v))
        return -EINVAL;
    if (copy_from_user(&v, o->value, sizeof(v)) < 0)
        return -EFAULT;
    if (v != 0)
        __atomic_fetch_or(&s->options, bit, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&s->options, ~bit, __ATOMIC_RELAXED);
    return 0;
}

static int option_v6only(struct inet_sock *k, struct socket_option *o)
{
    int32_t v = k->v6only;
    if (!o->set)
        return socket_option_put(o, &v, sizeof(v));
    if (o->size < sizeof(v) || k->lport != 0)
        return -EINVAL;
    if (copy_from_user(&v, o->value, sizeof(v)) < 0)
        return -EFAULT;
    k->v6only = v != 0;
    return 0;
}

int inet_option(struct socket *s, struct socket_option *o)
{
    if (o->level == LX_IPPROTO_IPV6 && s->family == LX_AF_INET6 &&
        o->name == LX_IPV6_V6ONLY)
        return option_v6only(inet_of(s), o);
    if (o->level == LX_SOL_SOCKET && o->name == LX_SO_REUSEPORT)
        return option_reuseport(s, o);
    return -ENOPROTOOPT;
}

int64_t inet_ioctl(struct socket *s, uint32_t cmd, uint64_t arg)
{
    (void)s, (void)cmd, (void)arg;
    return -ENOTTY;
}

int udp_option(struct socket *s, struct socket_option *o)
{
    return inet_option(s, o);
}
