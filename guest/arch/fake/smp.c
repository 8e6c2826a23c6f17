// SPDX-License-Identifier: Apache-2.0
/* CPUs as host threads: for stress tests of locks, scheduler and futexes. */
#include "guest/arch/fake/smp.h"

#define sched_yield host_sched_yield /* ours has another type */
#include <pthread.h>
#undef sched_yield
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>

#include "abi/boot.h"

#include "guest/arch/arch.h"
#include "guest/arch/fake/fake.h"
#include "guest/core/cpu.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"

static struct fake_cpu {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool kicked;     /* lock */
    nsec_t deadline; /* its own thread */
} fake_cpus[BOOT_CPU_MAX];

bool fake_smp;
static __thread unsigned fake_id;

/* Out of line: a coroutine may go on in another thread. */
struct cpu *__attribute__((noinline)) fake_smp_cpu(void)
{
    return &cpus[fake_id];
}

uint64_t fake_smp_clock(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

void fake_smp_timer(uint64_t deadline)
{
    fake_cpus[fake_smp_cpu()->id].deadline = deadline;
}

void fake_smp_kick(uint32_t cpu)
{
    struct fake_cpu *f = &fake_cpus[cpu];

    (void)pthread_mutex_lock(&f->lock);
    f->kicked = true;
    (void)pthread_cond_signal(&f->cond);
    (void)pthread_mutex_unlock(&f->lock);
}

void fake_smp_halt(void)
{
    struct fake_cpu *f = &fake_cpus[fake_smp_cpu()->id];
    int r = 0;

    (void)pthread_mutex_lock(&f->lock);
    while (!f->kicked && r == 0 && fake_smp_clock() < f->deadline) {
        struct timespec ts = {
            .tv_sec = (time_t)(f->deadline / NSEC_PER_SEC),
            .tv_nsec = (long)(f->deadline % NSEC_PER_SEC),
        };
        if (f->deadline == NSEC_NEVER)
            (void)pthread_cond_wait(&f->cond, &f->lock);
        else
            r = pthread_cond_timedwait(&f->cond, &f->lock, &ts);
    }
    f->kicked = false;
    (void)pthread_mutex_unlock(&f->lock);
    if (fake_smp_clock() >= f->deadline) {
        f->deadline = NSEC_NEVER;
        timer_interrupt();
    }
}

/* CPU 0 for when the test's task has to leave it. */
static void fake_idle(void *arg)
{
    (void)arg;
    sched_idle();
}

static void *fake_main(void *arg)
{
    struct cpu *c = arg;

    fake_id = c->id;
    sched_idle();
}

void fake_smp_start(void)
{
    pthread_condattr_t attr;

    if (pthread_condattr_init(&attr) != 0 ||
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0)
        abort();
    for (uint32_t i = 0; i < cpu_possible; i++) {
        struct fake_cpu *f = &fake_cpus[i];
        f->deadline = NSEC_NEVER;
        if (pthread_mutex_init(&f->lock, NULL) != 0 ||
            pthread_cond_init(&f->cond, &attr) != 0)
            abort();
        cpus[i].timer_armed = NSEC_NEVER;
        cpus[i].idle->arch.context = calloc(1, sizeof(ucontext_t));
    }
    free(cpus[0].idle->arch.context);
    if (arch_task_init(cpus[0].idle, fake_idle, NULL) < 0)
        abort();
    arch_current()->affinity = 1;
    fake_smp = true;
    sched_join();
    for (uint32_t i = 1; i < cpu_possible; i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, fake_main, &cpus[i]) != 0)
            abort();
        (void)pthread_detach(t);
    }
}
