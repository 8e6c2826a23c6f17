// SPDX-License-Identifier: Apache-2.0
/* Options of TCP sockets. tcp(7), socket(7). */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/timer.h"
#include "guest/core/usercopy.h"
#include "guest/net/tcp_parts.h"

#define CC_NAME_SIZE  16
#define KEEP_TIME_MAX 32767
#define KEEP_CNT_MAX  127
#define SYN_CNT_MAX   127
#define MSS_MAX       32767
#define LINGER2_MAX   120 /* s; more is this: TCP_FIN_TIMEOUT_MAX */
#define LINGER2_FIRST 60
#define DEFER_FIRST   1 /* s: the first retransmission of a SYN-ACK */

/* --- seconds and retransmissions --- */

/* How many SYN-ACKs `seconds` are: 1, 2, 4 ... apart. */
static uint8_t defer_retries(int32_t seconds)
{
    uint8_t n = 0;
    int32_t at = DEFER_FIRST, step = DEFER_FIRST;
    if (seconds <= 0)
        return 0;
    for (n = 1; seconds > at && n < UINT8_MAX; n++) {
        step = MIN(step * 2, (int32_t)(TCP_RTO_MAX / NSEC_PER_SEC));
        at += step;
    }
    return n;
}

static int32_t defer_seconds(uint8_t retries)
{
    int32_t at = retries > 0 ? DEFER_FIRST : 0, step = DEFER_FIRST;
    for (uint8_t n = 1; n < retries; n++) {
        step = MIN(step * 2, (int32_t)(TCP_RTO_MAX / NSEC_PER_SEC));
        at += step;
    }
    return at;
}

/* --- set; locked --- */

static void set_quickack(struct tcp_sock *t, int32_t v)
{
    t->pingpong = v == 0;
    if (v == 0)
        return;
    t->quick_acks = MAX(t->quick_acks, (uint8_t)2);
    if (t->ack_due != 0 && TCP_IN(t->state, TCP_SET_RECV | TCP_SET_SEND))
        tcp_send_ack(t);
}

static int set_keep(struct tcp_sock *t, int name, int32_t v)
{
    if (name == LX_TCP_KEEPCNT) {
        if (v < 1 || v > KEEP_CNT_MAX)
            return -EINVAL;
        t->tune.keep_count = (uint8_t)v;
        return 0;
    }
    if (v < 1 || v > KEEP_TIME_MAX)
        return -EINVAL;
    if (name == LX_TCP_KEEPINTVL) {
        t->tune.keep_interval = (uint32_t)v;
        return 0;
    }
    t->tune.keep_idle = (uint32_t)v;
    tcp_keep_start(t);
    return 0;
}

static int set_limits(struct tcp_sock *t, int name, int32_t v)
{
    switch (name) {
    case LX_TCP_MAXSEG:
        if (v != 0 && (v < (int32_t)TCP_MSS_MIN || v > MSS_MAX))
            return -EINVAL;
        t->tune.user_mss = (uint16_t)v;
        return 0;
    case LX_TCP_SYNCNT:
        if (v < 1 || v > SYN_CNT_MAX)
            return -EINVAL;
        t->tune.syn_retries = (uint8_t)v;
        return 0;
    case LX_TCP_LINGER2:
        t->tune.linger2 = v < 0 ? -1 : v > LINGER2_MAX ? LINGER2_MAX : v;
        return 0;
    case LX_TCP_WINDOW_CLAMP:
        if (v == 0 && t->state != TCP_CLOSE)
            return -EINVAL;
        t->tune.window_clamp = v == 0 ? 0 : (uint32_t)MAX(v, 2304 / 2);
        return 0;
    case LX_TCP_USER_TIMEOUT:
        if (v < 0)
            return -EINVAL;
        t->tune.user_timeout = (uint32_t)v;
        return 0;
    case LX_TCP_FASTOPEN: /* taken: every client falls back to a handshake */
        if (v < 0 || !TCP_IN(t->state, 1u << TCP_CLOSE | 1u << TCP_LISTEN))
            return -EINVAL;
        t->tune.fastopen = (uint32_t)v;
        return 0;
    default: return -ENOPROTOOPT;
    }
}

static int set_int(struct tcp_sock *t, int name, int32_t v)
{
    switch (name) {
    case LX_TCP_NODELAY:
        t->tune.nodelay = v != 0;
        if (v != 0)
            tcp_output(t, false);
        return 0;
    case LX_TCP_CORK:
        t->tune.cork = v != 0;
        if (v == 0)
            tcp_output(t, false);
        return 0;
    case LX_TCP_QUICKACK: set_quickack(t, v); return 0;
    case LX_TCP_KEEPIDLE:
    case LX_TCP_KEEPINTVL:
    case LX_TCP_KEEPCNT: return set_keep(t, name, v);
    case LX_TCP_DEFER_ACCEPT: t->tune.defer_accept = defer_retries(v); return 0;
    case LX_TCP_NOTSENT_LOWAT:
        t->tune.notsent_lowat = (uint32_t)v;
        tcp_send_space(t);
        return 0;
    default: return set_limits(t, name, v);
    }
}

static int set_congestion(struct tcp_sock *t, const struct socket_option *o)
{
    char name[CC_NAME_SIZE] = {0};
    if (o->size < 1)
        return -EINVAL;
    if (copy_from_user(name, o->value, MIN(o->size, CC_NAME_SIZE - 1u)) < 0)
        return -EFAULT;
    const struct tcp_cc *cc = tcp_cc_find(name);
    if (cc == NULL)
        return -ENOENT;
    spin_lock(&t->k.lock);
    t->tune.cc = cc;
    cc->init(t);
    spin_unlock(&t->k.lock);
    return 0;
}

static int option_set(struct tcp_sock *t, const struct socket_option *o)
{
    int32_t v;
    if (o->name == LX_TCP_CONGESTION)
        return set_congestion(t, o);
    int code = socket_option_get(o, &v, sizeof(v));
    if (code < 0)
        return code;
    spin_lock(&t->k.lock);
    int r = set_int(t, o->name, v);
    tcp_unlock(t);
    net_flush();
    return r;
}

/* --- get --- */

static int32_t get_maxseg(const struct tcp_sock *t)
{
    bool idle = TCP_IN(t->state, 1u << TCP_CLOSE | 1u << TCP_LISTEN);
    return idle && t->tune.user_mss != 0 ? t->tune.user_mss : (int32_t)t->mss;
}

static int get_int(const struct tcp_sock *t, int name, int32_t *v)
{
    const struct tcp_tune *u = &t->tune;
    switch (name) {
    case LX_TCP_NODELAY: *v = u->nodelay; break;
    case LX_TCP_CORK: *v = u->cork; break;
    case LX_TCP_MAXSEG: *v = get_maxseg(t); break;
    case LX_TCP_KEEPIDLE: *v = (int32_t)u->keep_idle; break;
    case LX_TCP_KEEPINTVL: *v = (int32_t)u->keep_interval; break;
    case LX_TCP_KEEPCNT: *v = u->keep_count; break;
    case LX_TCP_SYNCNT: *v = u->syn_retries; break;
    case LX_TCP_LINGER2:
        *v = u->linger2 != 0 ? u->linger2 : LINGER2_FIRST;
        break;
    case LX_TCP_DEFER_ACCEPT: *v = defer_seconds(u->defer_accept); break;
    case LX_TCP_WINDOW_CLAMP: *v = (int32_t)u->window_clamp; break;
    case LX_TCP_QUICKACK: *v = !t->pingpong; break;
    case LX_TCP_USER_TIMEOUT: *v = (int32_t)u->user_timeout; break;
    case LX_TCP_FASTOPEN: *v = (int32_t)u->fastopen; break;
    case LX_TCP_NOTSENT_LOWAT: *v = (int32_t)u->notsent_lowat; break;
    case LX_TCP_TIMESTAMP: *v = (int32_t)(tcp_ts_now() + t->ts_off); break;
    default: return -ENOPROTOOPT;
    }
    return 0;
}

static int option_get(struct tcp_sock *t, struct socket_option *o)
{
    char name[CC_NAME_SIZE] = {0};
    int32_t v = 0;
    if (o->name == LX_TCP_INFO)
        return tcp_info(t, o);
    if (o->name == LX_TCP_CONGESTION) {
        (void)kstrcpy(name, t->tune.cc->name, sizeof(name));
        return socket_option_put(o, name, sizeof(name));
    }
    int r = get_int(t, o->name, &v);
    return r < 0 ? r : socket_option_put(o, &v, sizeof(v));
}

/* --- those of SOL_SOCKET that mean more here --- */

static int option_socket(struct tcp_sock *t, struct socket_option *o)
{
    int32_t v;
    if (!o->set || o->size < sizeof(v) ||
        copy_from_user(&v, o->value, sizeof(v)) < 0)
        return -ENOPROTOOPT;
    spin_lock(&t->k.lock);
    switch (o->name) {
    case LX_SO_SNDBUF:
    case LX_SO_SNDBUFFORCE: t->tune.sndbuf_fixed = true; break;
    case LX_SO_RCVBUF:
    case LX_SO_RCVBUFFORCE: t->tune.rcvbuf_fixed = true; break;
    case LX_SO_KEEPALIVE:
        if (v == 0) {
            if (t->state != TCP_TIME_WAIT)
                tcp_clock_clear(t, TCP_CLOCK_KEEP);
        } else if (!socket_option_on(&t->k.s, LX_SO_KEEPALIVE)) {
            t->k.s.options |= UINT64_C(1) << LX_SO_KEEPALIVE;
            tcp_keep_start(t);
        }
        break;
    default: break;
    }
    spin_unlock(&t->k.lock);
    return -ENOPROTOOPT; /* the common code sets it */
}

int tcp_option(struct socket *s, struct socket_option *o)
{
    struct tcp_sock *t = tcp_of(s);
    if (o->level == LX_SOL_TCP)
        return o->set ? option_set(t, o) : option_get(t, o);
    int r = inet_option(s, o);
    if (r == -ENOPROTOOPT && o->level == LX_SOL_SOCKET)
        return option_socket(t, o);
    return r;
}
