// SPDX-License-Identifier: Apache-2.0
/*
 * Locks. The kernel is not preempted inside the kernel: a spinlock that no
 * interrupt handler takes needs no interrupt masking (spin_lock); one that a
 * handler takes needs spin_lock_irq everywhere. No sleeping and no user-memory
 * access under a spinlock. A mutex sleeps.
 *
 * Lock order, outermost first (a later one may be taken under an earlier one):
 *   process tree (proc_lock) > fdtable > inode mutexes (parent before child,
 *   rename: by address) > dentry cache > aspace mutex > inode pages >
 *   pipe/socket/tty > futex_pi.c > futex buckets > pid table (process.c) >
 *   signal state > wait queue > run queue > timer queue > page allocator,
 *   kmem > log.
 *
 * A page fault takes the aspace mutex, then inode page locks: so never touch
 * user memory while holding an inode *page* lock or an aspace mutex.
 */
#pragma once

#include "guest/core/list.h"

struct task;

struct spinlock {
    uint32_t locked; /* 0 or 1; acquire on 0->1, release on 1->0 */
};

/* Kicks of other CPUs (arch_kick) wait until this CPU holds no spinlock: the
 * one that is kicked wants the lock next, and where host CPUs are short its
 * thread may displace ours inside the kick. */
void spin_lock(struct spinlock *l);
void spin_unlock(struct spinlock *l);
/* Also mask interrupts; returns the state for spin_unlock_irq. */
unsigned long spin_lock_irq(struct spinlock *l);
void spin_unlock_irq(struct spinlock *l, unsigned long flags);

struct mutex {
    struct spinlock guard;
    struct task *owner;
    struct list waiters;
};

void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m); /* may sleep, not interruptible */
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
