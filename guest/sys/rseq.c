// SPDX-License-Identifier: Apache-2.0
/* rseq(2) and membarrier(2). */
#include "guest/core/rseq.h"

#include "guest/arch/arch.h"
#include "guest/core/aspace.h"
#include "guest/core/task.h"
#include "guest/sys/calls_proc.h"

int64_t sys_rseq(const uint64_t *a)
{
    uint32_t size = (uint32_t)a[1];
    uint32_t sig = (uint32_t)a[3];

    if ((int32_t)a[2] == LX_RSEQ_UNREGISTER)
        return rseq_unregister(a[0], size, sig);
    return (int32_t)a[2] != 0 ? -EINVAL : rseq_register(a[0], size, sig);
}

/* --- membarrier(2): Linux UAPI linux/membarrier.h --- */

enum membarrier_command { /* bits, for the query */
                          MEMBARRIER_QUERY = 0,
                          MEMBARRIER_GLOBAL = 1 << 0,
                          MEMBARRIER_GLOBAL_EXPEDITED = 1 << 1,
                          MEMBARRIER_REGISTER_GLOBAL = 1 << 2,
                          MEMBARRIER_PRIVATE = 1 << 3,
                          MEMBARRIER_REGISTER_PRIVATE = 1 << 4,
                          MEMBARRIER_CORE = 1 << 5,
                          MEMBARRIER_REGISTER_CORE = 1 << 6,
                          MEMBARRIER_RSEQ = 1 << 7,
                          MEMBARRIER_REGISTER_RSEQ = 1 << 8,
                          MEMBARRIER_REGISTRATIONS = 1 << 9,
};
#define MEMBARRIER_ALL      1023
#define MEMBARRIER_FLAG_CPU 1

static int membarrier_global(void)
{
    mutex_lock(&proc_lock);
    LIST_FOR(it, &proc_list)
    {
        struct process *p = LIST_ENTRY(it, struct process, all_node);
        struct aspace *as = process_aspace(p);
        if (as == NULL)
            continue;
        arch_barrier(&as->arch);
        aspace_put(as);
    }
    mutex_unlock(&proc_lock);
    return 0;
}

/* `command` is allowed once the bit above it was registered. */
static int membarrier_private(uint32_t command)
{
    struct process *p = current()->proc;
    uint32_t have = __atomic_load_n(&p->aspace->membarrier, __ATOMIC_RELAXED);

    if ((have & command << 1) == 0)
        return -EPERM;
    if (command == MEMBARRIER_RSEQ)
        rseq_restart_all(p);
    arch_barrier(&p->aspace->arch);
    return 0;
}

int64_t sys_membarrier(const uint64_t *a)
{
    struct aspace *as = current()->proc->aspace;
    uint32_t command = (uint32_t)a[0];
    uint32_t flags = (uint32_t)a[1];

    if (flags != 0 &&
        (command != MEMBARRIER_RSEQ || flags != MEMBARRIER_FLAG_CPU))
        return -EINVAL;
    switch ((enum membarrier_command)command) {
    case MEMBARRIER_QUERY: return MEMBARRIER_ALL;
    case MEMBARRIER_GLOBAL:
    case MEMBARRIER_GLOBAL_EXPEDITED: return membarrier_global();
    case MEMBARRIER_PRIVATE:
    case MEMBARRIER_CORE:
    case MEMBARRIER_RSEQ: return membarrier_private(command);
    case MEMBARRIER_REGISTER_GLOBAL:
    case MEMBARRIER_REGISTER_PRIVATE:
    case MEMBARRIER_REGISTER_CORE:
    case MEMBARRIER_REGISTER_RSEQ:
        __atomic_fetch_or(&as->membarrier, command, __ATOMIC_RELAXED);
        return 0;
    case MEMBARRIER_REGISTRATIONS:
        return __atomic_load_n(&as->membarrier, __ATOMIC_RELAXED);
    default: return -EINVAL;
    }
}
