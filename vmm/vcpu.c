// SPDX-License-Identifier: Apache-2.0
/* One thread per vCPU. */
#include "vmm/vcpu.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/sandbox.h"

int vcpu_shared_init(struct vcpu_shared *s, struct arch_vm *arch,
                     unsigned count, struct err *e)
{
    *s = (struct vcpu_shared){.arch = arch, .count = count};
    (void)sem_init(&s->ready, 0, 0);
    (void)sem_init(&s->go, 0, 0);
    (void)sem_init(&s->others, 0, 0);
    s->request_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->request_fd < 0)
        return err_set(e, -errno, "eventfd: %s", strerror(errno));
    return 0;
}

static void wait_for(sem_t *s)
{
    while (sem_wait(s) < 0 && errno == EINTR)
        ;
}

static void hand_over(struct vcpu *v, enum vcpu_state state)
{
    uint64_t one = 1;
    __atomic_store_n(&v->state, state, __ATOMIC_RELEASE);
    ssize_t n = write(v->shared->request_fd, &one, sizeof(one));
    (void)n; /* a full counter wakes as well */
}

void vcpu_answer(struct vcpu *v)
{
    __atomic_store_n(&v->state, VCPU_RUNNING, __ATOMIC_RELEASE);
    (void)sem_post(&v->answered);
}

static void count_exit(struct vcpu *v)
{
    uint32_t n = v->exit_count;
    if (n < VCPU_EXITS_KEPT)
        v->exit_counter[n] = arch_counter();
    __atomic_store_n(&v->exit_count, n + 1, __ATOMIC_RELEASE);
}

uint32_t vcpu_exits_until(const struct vcpu *v, uint64_t until)
{
    uint32_t count = __atomic_load_n(&v->exit_count, __ATOMIC_ACQUIRE);
    uint32_t kept = count < VCPU_EXITS_KEPT ? count : VCPU_EXITS_KEPT;
    uint32_t n = 0;
    while (n < kept && v->exit_counter[n] <= until)
        n++;
    return n == VCPU_EXITS_KEPT ? count : n;
}

static int run(struct vcpu *v)
{
    for (;;) {
        struct err *e = &v->failure;
        if (arch_vcpu_run(&v->arch, &v->request, e) < 0)
            return e->code;
        count_exit(v);
        if (v->request.kind == ARCH_EXIT_AGAIN)
            continue;
        hand_over(v, VCPU_ASKING);
        wait_for(&v->answered);
    }
}

static int create(struct vcpu *v)
{
    return arch_vcpu_init(&v->arch, v->shared->arch, v->index, &v->failure);
}

static int boot(struct vcpu *v)
{
    struct arch_entry entry = v->shared->entry;
    entry.stack += v->index * v->shared->stack_stride;
    entry.vif += v->index * v->shared->vif_stride;
    return arch_vcpu_boot(&v->arch, &entry, &v->failure);
}

/* CPU 0: the set-up of the others waits, so that it has the host to itself. */
static int start_first(struct vcpu *v)
{
    struct vcpu_shared *s = v->shared;
    if (create(v) < 0)
        return v->failure.code;
    (void)sem_post(&s->ready);
    if (arch_vcpu_prepare(&v->arch, &v->failure) < 0)
        return v->failure.code;
    wait_for(&s->go);
    int rc = boot(v);
    for (unsigned i = 1; i < s->count; i++)
        (void)sem_post(&s->others);
    return rc;
}

static int start_other(struct vcpu *v)
{
    wait_for(&v->shared->others);
    return create(v) < 0 ? v->failure.code : boot(v);
}

static void *thread_main(void *arg)
{
    struct vcpu *v = arg;
    int rc = sandbox_lock(SANDBOX_VCPU, &v->failure);
    if (rc == 0)
        rc = v->index == 0 ? start_first(v) : start_other(v);
    if (rc == 0)
        (void)run(v);
    hand_over(v, VCPU_FAILED);
    if (v->index == 0) /* somebody may still wait for it */
        (void)sem_post(&v->shared->ready);
    return NULL;
}

int vcpu_start(struct vcpu *v, struct vcpu_shared *s, unsigned index,
               struct err *e)
{
    pthread_attr_t attr;
    *v = (struct vcpu){.shared = s, .index = index};
    (void)sem_init(&v->answered, 0, 0);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, VCPU_STACK_SIZE);
    int rc = pthread_create(&v->thread, &attr, thread_main, v);
    (void)pthread_attr_destroy(&attr);
    if (rc != 0)
        return err_set(e, -rc, "start the thread of vCPU %u: %s", index,
                       strerror(rc));
    return 0;
}
