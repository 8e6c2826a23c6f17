// SPDX-License-Identifier: Apache-2.0
/*
 * Deadlines of sockets: one wheel of milliseconds for all of them, driven by
 * one timer of the net thread. A socket is in it once, at its first deadline
 * or before: moving one back costs nothing, as every acknowledgement does. Who
 * is in the wheel has a reference.
 */
#include "guest/core/timer.h"
#include "guest/net/tcp_parts.h"

#define SLOTS  256u
#define LEVELS 3u
#define TICK   TCP_MS

static struct spinlock wheel_lock;
static struct list wheel[LEVELS][SLOTS];
static uint32_t wheel_count[LEVELS];
static uint64_t wheel_now;              /* tick that is done */
static nsec_t wheel_armed = NSEC_NEVER; /* when wheel_timer fires */
static struct net_timer wheel_timer;

static uint64_t ticks_up(nsec_t at)
{
    return at / TICK + 1;
}

/* Where a deadline belongs, seen from wheel_now; wheel_lock held. */
static unsigned wheel_level(uint64_t tick)
{
    uint64_t far = tick - wheel_now;
    return far < SLOTS ? 0 : far < SLOTS * SLOTS ? 1 : 2;
}

static struct list *wheel_slot(uint64_t tick, unsigned level)
{
    return &wheel[level][tick >> (8 * level) & (SLOTS - 1)];
}

/* The tick at which it is looked at next: its own, or when its slot moves. */
static uint64_t wheel_insert(struct tcp_sock *t)
{
    uint64_t tick = ticks_up(t->wheel_at);
    uint64_t max = wheel_now + (uint64_t)SLOTS * SLOTS * (SLOTS - 1);
    tick = MIN(MAX(tick, wheel_now + 1), max);
    unsigned level = wheel_level(tick);
    t->wheel_level = (uint8_t)level;
    list_add_tail(wheel_slot(tick, level), &t->wheel_node);
    wheel_count[level]++;
    return tick >> (8 * level) << (8 * level);
}

static void wheel_remove(struct tcp_sock *t)
{
    list_remove(&t->wheel_node);
    wheel_count[t->wheel_level]--;
}

/* The first tick at which there is something to do; UINT64_MAX: none. */
static uint64_t wheel_next(void)
{
    uint64_t tick = UINT64_MAX;
    for (unsigned level = 0; level < LEVELS; level++) {
        unsigned shift = 8 * level;
        uint64_t base = wheel_now >> shift;
        for (uint64_t i = 1; wheel_count[level] != 0 && i <= SLOTS; i++) {
            if (!list_empty(&wheel[level][(base + i) & (SLOTS - 1)])) {
                tick = MIN(tick, (base + i) << shift);
                break;
            }
        }
    }
    return tick;
}

static void wheel_arm(uint64_t tick)
{
    if (tick == UINT64_MAX || tick * TICK >= wheel_armed)
        return;
    wheel_armed = tick * TICK;
    net_timer_start(&wheel_timer, wheel_armed);
}

/* Those of a coarser level come nearer. */
static void wheel_cascade(unsigned level)
{
    struct list *slot = wheel_slot(wheel_now, level), moved;
    list_init(&moved);
    while (!list_empty(slot)) {
        struct list *n = slot->next;
        wheel_remove(LIST_ENTRY(n, struct tcp_sock, wheel_node));
        list_add_tail(&moved, n);
    }
    while (!list_empty(&moved)) {
        struct list *n = moved.next;
        list_remove(n);
        (void)wheel_insert(LIST_ENTRY(n, struct tcp_sock, wheel_node));
    }
}

/* One tick on, or to `end`; false: `end` is reached. wheel_lock held. */
static bool wheel_step(uint64_t end)
{
    uint64_t next = wheel_next();
    if (next > end) {
        wheel_now = MAX(wheel_now, end);
        return false;
    }
    wheel_now = next;
    if ((next & (SLOTS * SLOTS - 1)) == 0)
        wheel_cascade(2);
    if ((next & (SLOTS - 1)) == 0)
        wheel_cascade(1);
    return true;
}

/* --- one socket --- */

static void put_in_wheel(struct tcp_sock *t, nsec_t deadline)
{
    spin_lock(&wheel_lock);
    if (deadline < t->wheel_at) {
        if (list_empty(&t->wheel_node))
            inet_get(&t->k);
        else
            wheel_remove(t);
        if (wheel_count[0] + wheel_count[1] + wheel_count[2] == 0)
            wheel_now = clock_now() / TICK;
        t->wheel_at = deadline;
        wheel_arm(wheel_insert(t));
    }
    spin_unlock(&wheel_lock);
}

void tcp_clock_set(struct tcp_sock *t, enum tcp_clock c, nsec_t deadline)
{
    t->clock[c] = deadline;
    if (deadline < t->wheel_at)
        put_in_wheel(t, deadline);
}

void tcp_clock_clear(struct tcp_sock *t, enum tcp_clock c)
{
    t->clock[c] = NSEC_NEVER;
}

void tcp_clock_stop(struct tcp_sock *t)
{
    for (unsigned c = 0; c < TCP_CLOCK_COUNT; c++)
        t->clock[c] = NSEC_NEVER;
    spin_lock(&wheel_lock);
    bool was = !list_empty(&t->wheel_node);
    if (was)
        wheel_remove(t);
    t->wheel_at = NSEC_NEVER;
    spin_unlock(&wheel_lock);
    if (was)
        inet_put(&t->k); /* not the last: who locked it has one */
}

/* It left the wheel; its reference is ours. */
static void socket_tick(struct tcp_sock *t)
{
    nsec_t now = clock_now(), next = NSEC_NEVER;
    spin_lock(&t->k.lock);
    for (unsigned c = 0; c < TCP_CLOCK_COUNT; c++) {
        if (t->clock[c] <= now) {
            t->clock[c] = NSEC_NEVER;
            tcp_clock_due(t, (enum tcp_clock)c);
        }
    }
    for (unsigned c = 0; c < TCP_CLOCK_COUNT; c++)
        next = MIN(next, t->clock[c]);
    if (next != NSEC_NEVER)
        put_in_wheel(t, next);
    tcp_unlock(t);
    inet_put(&t->k);
}

static void wheel_run(struct net_work *w)
{
    uint64_t end = clock_now() / TICK;
    (void)w;
    spin_lock(&wheel_lock);
    wheel_armed = NSEC_NEVER;
    while (wheel_step(end)) {
        struct list *slot = wheel_slot(wheel_now, 0);
        while (!list_empty(slot)) {
            struct tcp_sock *t =
                LIST_ENTRY(slot->next, struct tcp_sock, wheel_node);
            wheel_remove(t);
            t->wheel_at = NSEC_NEVER;
            spin_unlock(&wheel_lock);
            socket_tick(t);
            spin_lock(&wheel_lock);
        }
    }
    wheel_arm(wheel_next());
    spin_unlock(&wheel_lock);
}

void tcp_timers_init(void)
{
    for (unsigned level = 0; level < LEVELS; level++) {
        for (unsigned i = 0; i < SLOTS; i++)
            list_init(&wheel[level][i]);
        wheel_count[level] = 0;
    }
    wheel_now = clock_now() / TICK;
    wheel_armed = NSEC_NEVER;
    net_timer_init(&wheel_timer, wheel_run);
}
