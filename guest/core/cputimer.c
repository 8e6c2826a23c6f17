// SPDX-License-Identifier: Apache-2.0
/*
 * CPU time has no interrupt of its own: while anything waits for it, a timer
 * looks at it again when it could have been reached, all threads running.
 */
#include "guest/core/cputimer.h"

#include "abi/linux/proc.h"

#include "guest/core/klib.h"
#include "guest/core/ptimer.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"

#define POLL_BUSY (NSEC_PER_SEC / 1000) /* not more often */
#define POLL_IDLE (NSEC_PER_SEC / 100)  /* while no CPU time passes */

static const int cputimer_signal[] = {LX_SIGVTALRM, LX_SIGPROF};

static void cputimer_send(struct process *p, int signo)
{
    struct lx_siginfo si;

    signal_info(&si, signo, LX_SI_KERNEL);
    (void)signal_send(p, &si);
}

/* The signal of `kind` if it is due; less time to the next in *left. */
static int cputimer_due(struct cputimer *c, enum cputimer_kind kind, nsec_t now,
                        nsec_t *left)
{
    int signo = 0;

    if (c->at[kind] == 0)
        return 0;
    if (now >= c->at[kind]) {
        signo = cputimer_signal[kind];
        c->at[kind] = c->interval[kind] != 0 ? now + c->interval[kind] : 0;
    }
    if (c->at[kind] != 0)
        *left = MIN(*left, c->at[kind] - now);
    return signo;
}

/* RLIMIT_CPU: SIGXCPU each second from the soft limit on, then SIGKILL. */
static int cputimer_limit(struct process *p, nsec_t now, nsec_t *left)
{
    struct lx_rlimit64 *l = &p->rlimits[LX_RLIMIT_CPU];
    uint64_t sec = now / NSEC_PER_SEC;
    uint64_t next = MIN(l->cur, l->max);
    int signo = 0;

    if (next >= NSEC_NEVER / NSEC_PER_SEC)
        return 0;
    if (sec >= l->max) {
        signo = LX_SIGKILL;
    } else if (sec >= l->cur) {
        signo = LX_SIGXCPU;
        l->cur = sec + 1;
        next = MIN(l->cur, l->max);
    }
    *left = MIN(*left, next > sec ? next * NSEC_PER_SEC - now : NSEC_PER_SEC);
    return signo;
}

static void cputimer_poll(struct timer *t)
{
    struct process *p = CONTAINER_OF(t, struct process, cputimer.poll);
    struct cputimer *c = &p->cputimer;
    nsec_t user, system;
    nsec_t left = NSEC_NEVER;
    int signo[3];

    process_times(p, &user, &system);
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    signo[0] = cputimer_due(c, CPUTIMER_VIRTUAL, user, &left);
    signo[1] = cputimer_due(c, CPUTIMER_PROF, user + system, &left);
    signo[2] = cputimer_limit(p, user + system, &left);
    nsec_t least = c->seen == user + system ? POLL_IDLE : POLL_BUSY;
    c->seen = user + system;
    uint32_t threads = MAX(p->thread_count, UINT32_C(1));
    bool gone = p->zombie || p->thread_count == 0;
    spin_unlock_irq(&p->sig_lock, flags);
    for (unsigned i = 0; i < ARRAY_COUNT(signo); i++)
        if (signo[i] != 0)
            cputimer_send(p, signo[i]);
    ptimer_cpu_poll(p, user + system, &left);
    if (left != NSEC_NEVER && !gone)
        timer_start(t, clock_now() + MAX(left / threads, least));
}

void cputimer_init(struct process *p)
{
    timer_init(&p->cputimer.poll, cputimer_poll);
}

void cputimer_exit(struct process *p)
{
    (void)timer_stop(&p->cputimer.poll);
}

void cputimer_start(struct process *p)
{
    timer_start(&p->cputimer.poll, clock_now() + POLL_BUSY);
}

static nsec_t cputimer_now(struct process *p, enum cputimer_kind kind)
{
    nsec_t user, system;

    process_times(p, &user, &system);
    return kind == CPUTIMER_VIRTUAL ? user : user + system;
}

void cputimer_get(enum cputimer_kind kind, nsec_t *value, nsec_t *interval)
{
    struct process *p = current()->proc;
    nsec_t now = cputimer_now(p, kind);
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    nsec_t at = p->cputimer.at[kind];

    *value = at == 0 ? 0 : at > now ? at - now : 1;
    *interval = p->cputimer.interval[kind];
    spin_unlock_irq(&p->sig_lock, flags);
}

void cputimer_set(enum cputimer_kind kind, nsec_t value, nsec_t interval,
                  nsec_t *old_value, nsec_t *old_interval)
{
    struct process *p = current()->proc;
    struct cputimer *c = &p->cputimer;
    nsec_t now = cputimer_now(p, kind);

    cputimer_get(kind, old_value, old_interval);
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    c->at[kind] = value != 0 ? now + MIN(value, NSEC_NEVER / 4) : 0;
    c->interval[kind] = value != 0 ? interval : 0;
    spin_unlock_irq(&p->sig_lock, flags);
    if (value != 0)
        cputimer_start(p);
}
