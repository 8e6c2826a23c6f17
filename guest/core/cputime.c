// SPDX-License-Identifier: Apache-2.0
/* CPU time of tasks: whose time passes, the program's or the kernel's. */
#include "guest/arch/arch.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"

void sched_enter_kernel(void)
{
    struct task *t = current();
    nsec_t now = arch_clock();

    t->utime += now - t->entered;
    t->entered = now;
    t->in_user = false;
}

void sched_leave_kernel(void)
{
    struct task *t = current();
    nsec_t now = arch_clock();

    t->stime += now - t->entered;
    t->entered = now;
    t->in_user = true;
}

void sched_times(const struct task *t, nsec_t *utime, nsec_t *stime)
{
    nsec_t entered = t->entered;
    bool in_user = t->in_user;

    *utime = t->utime;
    *stime = t->stime;
    if (__atomic_load_n(&t->on_cpu, __ATOMIC_RELAXED) &&
        t->state == TASK_RUNNING) {
        nsec_t now = arch_clock();
        if (now > entered)
            *(in_user ? utime : stime) += now - entered;
    }
}

nsec_t sched_cpu_time(const struct task *t)
{
    nsec_t utime, stime;

    sched_times(t, &utime, &stime);
    return utime + stime;
}
