// SPDX-License-Identifier: Apache-2.0
/*
 * Restartable sequences, rseq(2): a thread's CPU number in its own memory, and
 * short code that starts again elsewhere when it was interrupted. Linux UAPI
 * linux/rseq.h.
 */
#pragma once

#include "abi/abi.h"

#include "guest/core/types.h"

struct task;
struct process;

#define LX_RSEQ_SIZE       32 /* of the first version: what we know of it */
#define LX_RSEQ_UNREGISTER 1u

struct lx_rseq {
    uint32_t cpu_id_start, cpu_id;
    uint64_t cs; /* address of struct lx_rseq_cs, or 0 */
    uint32_t flags;
    uint32_t node_id, mm_cid;
    uint32_t pad;
};
ABI_SIZE(struct lx_rseq, LX_RSEQ_SIZE);

struct lx_rseq_cs {
    uint32_t version, flags;
    uint64_t start, size, abort;
};
ABI_SIZE(struct lx_rseq_cs, 32);

/* rseq(2) of the current thread. 0, -EINVAL, -EPERM, -EBUSY, -EFAULT. */
int rseq_register(uint64_t at, uint32_t size, uint32_t sig);
int rseq_unregister(uint64_t at, uint32_t size, uint32_t sig);
/* `t` came on a CPU; run-queue lock held. */
void rseq_switched(struct task *t, uint32_t cpu);
/* Before the current task returns to its program; may fault. */
void rseq_resume(struct task *t);
/* A handler is about to run: out of the sequence first. 0 or -EFAULT. */
int rseq_signal(struct task *t);
/* Every thread of `p` that runs starts its sequence again (membarrier(2)). */
void rseq_restart_all(struct process *p);
