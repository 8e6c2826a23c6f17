// SPDX-License-Identifier: Apache-2.0
/*
 * One thread per vCPU. It only runs the guest: whatever needs a device is
 * handed to the device thread, which answers while this thread sleeps; so
 * devices need no locks and this thread almost no system calls.
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vmm/arch/arch.h"

enum { VCPU_EXITS_KEPT = 64, VCPU_STACK_SIZE = 128 * 1024 };

enum vcpu_state {
    VCPU_RUNNING = 0,
    VCPU_ASKING, /* `request` is for the device thread */
    VCPU_FAILED, /* `failure` says why; the thread is gone */
};

/* What all vCPUs of a VM share. The device thread owns it. */
struct vcpu_shared {
    struct arch_vm *arch;
    int request_fd; /* eventfd: some vCPU is asking or has failed */
    sem_t ready;    /* posted once, by CPU 0: arch facts known, or failed */
    sem_t go;       /* posted once: memory and `entry` are complete */
    sem_t others;   /* posted by CPU 0 per other CPU when it is about to run */
    unsigned count; /* of vCPUs */
    struct arch_entry entry; /* of CPU 0; others at a fixed distance */
    uint64_t stack_stride;
    uint64_t vif_stride;
};

struct vcpu {
    struct vcpu_shared *shared;
    unsigned index;
    pthread_t thread;
    struct arch_vcpu arch; /* its thread only */
    enum vcpu_state state; /* atomic; release/acquire hands the rest over */
    struct arch_exit request;
    sem_t answered;
    struct err failure;
    uint32_t exit_count;                    /* atomic */
    uint64_t exit_counter[VCPU_EXITS_KEPT]; /* of the first exits */
};

int vcpu_shared_init(struct vcpu_shared *s, struct arch_vm *arch,
                     unsigned count, struct err *e);

/* Start the thread; it creates its vCPU (CPU 0 at once, the others when CPU 0
 * is about to run) and runs it. */
int vcpu_start(struct vcpu *v, struct vcpu_shared *s, unsigned index,
               struct err *e);

/* Device thread: let an asking vCPU go on. */
void vcpu_answer(struct vcpu *v);

/* Exits to the monitor up to counter value `until` (all of them when it lies
 * past the first VCPU_EXITS_KEPT). Any thread. */
uint32_t vcpu_exits_until(const struct vcpu *v, uint64_t until);
