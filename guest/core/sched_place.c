// SPDX-License-Identifier: Apache-2.0
/*
 * Where tasks run. An idle CPU does more work at once, but it costs an
 * interrupt, a halt and what its cache does not have (20 us and more on PVM):
 * what will be done soon here is not worth it.
 */
#include "guest/arch/arch.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/sched.h"
#include "guest/core/sched_impl.h"

#define BRIEF_NS UINT64_C(1000000)

uint64_t sched_online_mask;
uint64_t sched_idle_mask;

uint32_t cpu_online_count(void)
{
    uint32_t n = 0;

    for (uint64_t m = __atomic_load_n(&sched_online_mask, __ATOMIC_RELAXED);
         m != 0; m &= m - 1)
        n++;
    return MAX(n, UINT32_C(1));
}

bool sched_allows(const struct task *t, uint32_t cpu)
{
    return (t->affinity & cpu_bit(cpu)) != 0 ||
           (t->affinity &
            __atomic_load_n(&sched_online_mask, __ATOMIC_RELAXED)) == 0;
}

/* What it wakes runs here. */
bool sched_near(const struct cpu *here)
{
    return (__atomic_load_n(&sched_idle_mask, __ATOMIC_RELAXED) &
            cpu_bit(here->id)) != 0 ||
           (here->current->hands_over &&
            __atomic_load_n(&here->rq.count, __ATOMIC_RELAXED) == 0);
}

/* It slept again soon when it ran last. A server that answers what came in
 * does, and what comes in meanwhile can wait for that. */
static bool sched_brief(const struct task *t)
{
    return t != NULL && t->stretch < BRIEF_NS;
}

/* The same of who runs, and it has not run long by now. */
static bool sched_free_soon(const struct cpu *here)
{
    return sched_brief(here->current) &&
           arch_clock() < here->slice_end - (SLICE_NS - BRIEF_NS);
}

/* Here if sched_near, where it was if nobody is there, else on a CPU with
 * nothing to do, else where it was. */
uint32_t sched_place(const struct task *t, uint32_t prev)
{
    uint64_t online = __atomic_load_n(&sched_online_mask, __ATOMIC_ACQUIRE);
    uint64_t allowed = t->affinity & online;
    uint64_t idle =
        __atomic_load_n(&sched_idle_mask, __ATOMIC_RELAXED) & allowed;
    const struct cpu *here = arch_this_cpu();

    /* A task that is ending makes room at once: its parent goes on here. */
    if (prev == here->id && here->current->exiting && sched_allows(t, prev))
        return prev;
    if ((sched_near(here) || (t->hands_over && sched_free_soon(here))) &&
        (allowed & cpu_bit(here->id)) != 0) {
        __atomic_fetch_and(&sched_idle_mask, ~cpu_bit(here->id),
                           __ATOMIC_RELAXED);
        return here->id;
    }
    if (idle == 0) {
        if (allowed == 0 || (allowed & cpu_bit(prev)) != 0)
            return prev;
        return (uint32_t)__builtin_ctzll(allowed);
    }
    uint32_t id =
        (idle & cpu_bit(prev)) != 0 ? prev : (uint32_t)__builtin_ctzll(idle);
    __atomic_fetch_and(&sched_idle_mask, ~cpu_bit(id), __ATOMIC_RELAXED);
    return id;
}

/* The allowed CPU with the shortest queue; `self` unless another is better by
 * two tasks, or `self` is not allowed. */
static uint32_t sched_shortest(const struct task *t, uint32_t self)
{
    uint64_t online = __atomic_load_n(&sched_online_mask, __ATOMIC_RELAXED);
    uint64_t idle = __atomic_load_n(&sched_idle_mask, __ATOMIC_RELAXED);
    uint32_t best = self;
    uint32_t least = UINT32_MAX;

    if (sched_allows(t, self))
        least = __atomic_load_n(&cpus[self].rq.count, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < cpu_possible; i++) {
        if (i == self || (online & t->affinity & cpu_bit(i)) == 0)
            continue;
        uint32_t n = __atomic_load_n(&cpus[i].rq.count, __ATOMIC_RELAXED);
        if ((idle & cpu_bit(i)) == 0)
            n++; /* the one that runs */
        if (n < least) {
            least = n;
            best = i;
        }
    }
    return best;
}

uint32_t sched_elsewhere(const struct task *t, uint32_t self,
                         const struct task *next)
{
    uint64_t idle = __atomic_load_n(&sched_idle_mask, __ATOMIC_RELAXED);

    if (!t->hands_over)
        return sched_shortest(t, self);
    idle &= t->affinity & ~cpu_bit(self);
    if (idle == 0 || (sched_brief(next) && sched_allows(t, self)))
        return self;
    return (uint32_t)__builtin_ctzll(idle);
}
