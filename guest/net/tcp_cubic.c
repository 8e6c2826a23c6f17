// SPDX-License-Identifier: Apache-2.0
/* Congestion control: CUBIC (RFC 9438) and Reno (RFC 5681). The state machine
 * of loss is tcp_recover.c's; here is only how the window grows and shrinks. */
#include "guest/core/klib.h"
#include "guest/core/timer.h"
#include "guest/net/tcp_parts.h"

#define CWND_MAX (64u << 20)
#define SCALE    1024u /* of w_est */

/* RFC 5681, 3.1; RFC 3465, 2.2: by bytes. What is left for the other phase. */
static uint32_t slow_start(struct tcp_sock *t, uint32_t acked)
{
    uint32_t room = t->ssthresh > t->cwnd ? t->ssthresh - t->cwnd : 0;
    uint32_t n = MIN(acked, room);
    t->cwnd = MIN(t->cwnd + n, CWND_MAX);
    return acked - n;
}

/* --- Reno --- */

static void reno_init(struct tcp_sock *t)
{
    t->cubic = (struct tcp_cubic_state){0};
}

static uint32_t reno_ssthresh(struct tcp_sock *t)
{
    return MAX(t->cwnd / 2, 2 * t->mss); /* RFC 5681, (4) */
}

static void reno_avoid(struct tcp_sock *t, uint32_t acked)
{
    t->cubic.acked += slow_start(t, acked);
    if (t->cubic.acked >= t->cwnd) {
        t->cubic.acked -= t->cwnd;
        t->cwnd = MIN(t->cwnd + t->mss, CWND_MAX);
    }
}

const struct tcp_cc tcp_reno = {
    .name = "reno",
    .init = reno_init,
    .ssthresh = reno_ssthresh,
    .avoid = reno_avoid,
};

/* --- CUBIC --- */

/* The largest r with r^3 <= v. */
static uint32_t cube_root(uint64_t v)
{
    uint64_t r = 0;
    for (int bit = 20; bit >= 0; bit--) {
        uint64_t n = r | UINT64_C(1) << bit;
        if (n * n * n <= v)
            r = n;
    }
    return (uint32_t)r;
}

static uint32_t cubic_ssthresh(struct tcp_sock *t)
{
    struct tcp_cubic_state *c = &t->cubic;
    uint32_t w = t->cwnd / t->mss;
    /* 4.7, fast convergence: (1 + beta) / 2 */
    c->w_max = w < c->w_last ? w * 17 / 20 : w;
    c->w_last = w;
    c->epoch = 0;
    uint64_t less = (uint64_t)t->cwnd * 7 / 10; /* 4.6 */
    return MAX((uint32_t)less, 2 * t->mss);
}

/* 4.2: congestion avoidance begins (again). K in milliseconds: C is 0.4. */
static void cubic_start(struct tcp_sock *t, nsec_t now)
{
    struct tcp_cubic_state *c = &t->cubic;
    uint32_t w = t->cwnd / t->mss;
    c->epoch = now;
    c->w_est = w * SCALE;
    c->acked = 0;
    c->est_acked = 0;
    if (w < c->w_max) {
        c->k_ms = cube_root((uint64_t)(c->w_max - w) * 2500000000u);
        c->origin = c->w_max;
    } else {
        c->k_ms = 0;
        c->origin = w;
    }
}

/* (1): W_cubic in segments, a round trip ahead. */
static uint32_t cubic_target(const struct tcp_sock *t, nsec_t now)
{
    const struct tcp_cubic_state *c = &t->cubic;
    uint64_t ms = (now - c->epoch) / TCP_MS + t->min_rtt / 1000;
    uint64_t d = ms > c->k_ms ? ms - c->k_ms : c->k_ms - ms;
    d = MIN(d, UINT64_C(1000000)); /* its cube times 4 fits */
    uint64_t delta = d * d * d / 2500000000u;
    if (ms < c->k_ms)
        return delta < c->origin ? c->origin - (uint32_t)delta : 1;
    return (uint32_t)MIN(c->origin + delta, (uint64_t)CWND_MAX);
}

/* 4.3: what Reno would have by now; alpha is 3 * (1 - beta) / (1 + beta). */
static uint32_t cubic_reno(struct tcp_sock *t, uint32_t acked)
{
    struct tcp_cubic_state *c = &t->cubic;
    c->est_acked += acked;
    if (c->est_acked >= t->cwnd) {
        c->est_acked -= t->cwnd;
        c->w_est += SCALE * 9 / 17;
    }
    return c->w_est / SCALE;
}

static void cubic_avoid(struct tcp_sock *t, uint32_t acked)
{
    struct tcp_cubic_state *c = &t->cubic;
    nsec_t now = clock_now();
    acked = slow_start(t, acked);
    if (acked == 0)
        return;
    if (c->epoch == 0)
        cubic_start(t, now);
    uint32_t w = MAX(t->cwnd / t->mss, 1u), reno = cubic_reno(t, acked);
    uint32_t target = cubic_target(t, now);
    target = MIN(MAX(target, reno), w + w / 2); /* 4.4 */
    /* One segment for every w / (target - w) that are acknowledged. */
    uint32_t per = target > w ? t->cwnd / (target - w) : t->cwnd * 100;
    per = MAX(per, t->mss);
    if (c->acked >= per) /* saved while the window was above its curve */
        c->acked = 0;
    c->acked += acked;
    while (c->acked >= per) {
        c->acked -= per;
        t->cwnd = MIN(t->cwnd + t->mss, CWND_MAX);
    }
}

const struct tcp_cc tcp_cubic = {
    .name = "cubic",
    .init = reno_init,
    .ssthresh = cubic_ssthresh,
    .avoid = cubic_avoid,
};

const struct tcp_cc *tcp_cc_find(const char *name)
{
    static const struct tcp_cc *const all[] = {&tcp_cubic, &tcp_reno};
    for (unsigned i = 0; i < ARRAY_COUNT(all); i++) {
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    }
    return NULL;
}
