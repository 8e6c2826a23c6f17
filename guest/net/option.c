// SPDX-License-Identifier: Apache-2.0
/* Socket options that every family has. socket(7). */
#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/core/klib.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/net/socket.h"

#define SNDBUF_MIN 4608u
#define RCVBUF_MIN 2304u
#define USEC       1000

/* On or off, kept for whom it may concern. */
#define OPTION_BOOLS                                                           \
    (1ull << LX_SO_DEBUG | 1ull << LX_SO_REUSEADDR | 1ull << LX_SO_DONTROUTE | \
     1ull << LX_SO_BROADCAST | 1ull << LX_SO_KEEPALIVE |                       \
     1ull << LX_SO_OOBINLINE | 1ull << LX_SO_PASSCRED |                        \
     1ull << LX_SO_TIMESTAMP | 1ull << LX_SO_TIMESTAMPNS)

static bool option_is_bool(int name)
{
    return name >= 0 && name < 64 && (OPTION_BOOLS >> name & 1) != 0;
}

/* --- set --- */

int socket_option_get(const struct socket_option *o, void *to, uint32_t n)
{
    if (o->size < n)
        return -EINVAL;
    return copy_from_user(to, o->value, n) < 0 ? -EFAULT : 0;
}

static int set_timeout(const struct socket_option *o, nsec_t *to)
{
    struct lx_timeval tv;
    int code = socket_option_get(o, &tv, sizeof(tv));
    if (code < 0)
        return code;
    if (tv.usec < 0 || tv.usec >= 1000000)
        return -EDOM;
    nsec_t ns = NSEC_NEVER;
    if (tv.sec < 0)
        ns = 0; /* at once, as Linux has it */
    else if ((tv.sec != 0 || tv.usec != 0) &&
             (uint64_t)tv.sec < INT64_MAX / NSEC_PER_SEC / 2)
        ns = (uint64_t)tv.sec * NSEC_PER_SEC + (uint64_t)tv.usec * USEC;
    *to = ns;
    return 0;
}

static int set_linger(struct socket *s, const struct socket_option *o)
{
    struct lx_linger l;
    int code = socket_option_get(o, &l, sizeof(l));
    if (code < 0)
        return code;
    s->linger.on = l.on != 0;
    if (l.on != 0)
        s->linger.seconds = l.seconds;
    return 0;
}

/* Twice what was asked, for the bookkeeping; socket(7). */
static uint32_t buffer_size(int32_t v, bool force, uint32_t min)
{
    uint32_t n = force && v < 0 ? 0 : (uint32_t)v;
    n = MIN(n, force ? (uint32_t)INT32_MAX / 2 : SOCKET_BUFFER);
    return MAX(n * 2, min);
}

static int set_int(struct socket *s, int name, int32_t v)
{
    const struct process *p = current()->proc;
    bool admin = cred_capable(p, LX_CAP_NET_ADMIN);
    if (option_is_bool(name)) {
        uint64_t bit = UINT64_C(1) << name;
        if (v != 0)
            __atomic_fetch_or(&s->options, bit, __ATOMIC_RELAXED);
        else
            __atomic_fetch_and(&s->options, ~bit, __ATOMIC_RELAXED);
        return 0;
    }
    switch (name) {
    case LX_SO_SNDBUFFORCE:
    case LX_SO_SNDBUF:
        if (name == LX_SO_SNDBUFFORCE && !admin)
            return -EPERM;
        s->sndbuf = buffer_size(v, name == LX_SO_SNDBUFFORCE, SNDBUF_MIN);
        waitq_wake(&s->out_wait, 0, WAKE_ALL);
        return 0;
    case LX_SO_RCVBUFFORCE:
    case LX_SO_RCVBUF:
        if (name == LX_SO_RCVBUFFORCE && !admin)
            return -EPERM;
        s->rcvbuf = buffer_size(v, name == LX_SO_RCVBUFFORCE, RCVBUF_MIN);
        return 0;
    case LX_SO_RCVLOWAT:
        s->rcvlowat = v < 0 ? INT32_MAX : (uint32_t)MAX(v, 1);
        return 0;
    case LX_SO_PRIORITY:
        if ((v < 0 || v > 6) && !admin)
            return -EPERM;
        s->priority = v;
        return 0;
    case LX_SO_MARK:
        if (!admin)
            return -EPERM;
        s->mark = (uint32_t)v;
        return 0;
    case LX_SO_REUSEPORT: return -EOPNOTSUPP; /* net families have their own */
    default: return -ENOPROTOOPT;
    }
}

static int option_set(struct socket *s, const struct socket_option *o)
{
    int32_t v;
    int code = socket_option_get(o, &v, sizeof(v));
    if (code < 0)
        return code;
    switch (o->name) {
    case LX_SO_RCVTIMEO:
    case LX_SO_RCVTIMEO_NEW: return set_timeout(o, &s->recv_timeout);
    case LX_SO_SNDTIMEO:
    case LX_SO_SNDTIMEO_NEW: return set_timeout(o, &s->send_timeout);
    case LX_SO_LINGER: return set_linger(s, o);
    case LX_SO_TYPE:
    case LX_SO_PROTOCOL:
    case LX_SO_DOMAIN:
    case LX_SO_ERROR: return -ENOPROTOOPT;
    default: return set_int(s, o->name, v);
    }
}

/* --- get --- */

int socket_option_put(struct socket_option *o, const void *from, uint32_t n)
{
    o->size = MIN(o->size, n);
    return copy_to_user(o->value, from, o->size);
}

static int put_timeout(struct socket_option *o, nsec_t ns)
{
    struct lx_timeval tv = {0};
    if (ns != NSEC_NEVER) {
        tv.sec = (int64_t)(ns / NSEC_PER_SEC);
        tv.usec = (int64_t)(ns % NSEC_PER_SEC / USEC);
    }
    return socket_option_put(o, &tv, sizeof(tv));
}

static int get_int(struct socket *s, int name, int32_t *v)
{
    if (option_is_bool(name)) {
        *v = socket_option_on(s, name);
        return 0;
    }
    switch (name) {
    case LX_SO_TYPE: *v = s->type; break;
    case LX_SO_DOMAIN: *v = s->family; break;
    case LX_SO_PROTOCOL: *v = s->protocol; break;
    case LX_SO_ERROR: *v = -socket_error(s); break;
    case LX_SO_SNDBUF: *v = (int32_t)s->sndbuf; break;
    case LX_SO_RCVBUF: *v = (int32_t)s->rcvbuf; break;
    case LX_SO_RCVLOWAT: *v = (int32_t)s->rcvlowat; break;
    case LX_SO_SNDLOWAT: *v = 1; break;
    case LX_SO_PRIORITY: *v = s->priority; break;
    case LX_SO_MARK: *v = (int32_t)s->mark; break;
    case LX_SO_REUSEPORT: *v = 0; break;
    case LX_SO_ACCEPTCONN: *v = s->listening; break;
    default: return -ENOPROTOOPT;
    }
    return 0;
}

static int get_peer_name(struct socket *s, struct socket_option *o)
{
    struct net_addr a;
    int r = s->ops->name(s, true, &a);
    if (r < 0)
        return -ENOTCONN;
    if (a.size < o->size)
        return -EINVAL;
    return copy_to_user(o->value, a.data, o->size);
}

static int option_get(struct socket *s, struct socket_option *o)
{
    int32_t v = 0;
    switch (o->name) {
    case LX_SO_RCVTIMEO:
    case LX_SO_RCVTIMEO_NEW: return put_timeout(o, s->recv_timeout);
    case LX_SO_SNDTIMEO:
    case LX_SO_SNDTIMEO_NEW: return put_timeout(o, s->send_timeout);
    case LX_SO_LINGER:
        return socket_option_put(o, &s->linger, sizeof(s->linger));
    case LX_SO_PEERNAME: return get_peer_name(s, o);
    default: break;
    }
    int r = get_int(s, o->name, &v);
    return r < 0 ? r : socket_option_put(o, &v, sizeof(v));
}

int socket_option(struct socket *s, struct socket_option *o)
{
    int r = s->io->option(s, o);
    if (r != -ENOPROTOOPT || o->level != LX_SOL_SOCKET)
        return r;
    return o->set ? option_set(s, o) : option_get(s, o);
}
