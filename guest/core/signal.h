// SPDX-License-Identifier: Apache-2.0
/*
 * Signals: queueing, actions, delivery. signal(7), sigaction(2). The layouts
 * are Linux's (abi/linux/signal.h). State is guarded by process.sig_lock.
 */
#pragma once

#include "abi/linux/signal.h"

#include "guest/core/list.h"

struct task;
struct process;

#define SIG_COUNT     64
#define SIG_BIT(n)    (UINT64_C(1) << ((n)-1))
#define SIG_QUEUE_MAX 1024 /* queued infos per process: RLIMIT_SIGPENDING */

struct k_sigaction { /* kernel form of rt_sigaction(2), x86-64 and arm64 */
    uint64_t handler;
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

struct sighand { /* refcounted; sig_lock */
    uint32_t refs;
    struct k_sigaction action[SIG_COUNT];
};

struct sigpending {
    uint64_t set;      /* SIG_BIT of what is pending */
    struct list queue; /* struct sigqueue (core/signal.c) */
    uint32_t count;    /* infos on the queue */
};

/* To a process (any thread) or one thread. 0, or -EAGAIN (queue full, real-time
 * signals only). No permission check. Any context, takes sig_lock. */
int signal_send(struct process *p, const struct lx_siginfo *si);
int signal_send_task(struct task *t, const struct lx_siginfo *si);
/* To every process of a group; SI_KERNEL. proc_lock need not be held. */
void signal_send_pgrp(int32_t pgid, int signo);
/* From the host (CTL_SIGNAL) to pid 1, as a parent pid namespace's: SIGKILL and
 * SIGSTOP act, others only with a handler. Any context. */
void signal_from_monitor(int signo);
/* A kernel-made siginfo. */
void signal_info(struct lx_siginfo *si, int signo, int code);
/* The current task did something wrong (SIGSEGV, SIGBUS, SIGFPE, SIGILL,
 * SIGTRAP): delivered even if blocked or ignored (then it is fatal). */
void signal_fault(int signo, int code, uint64_t addr);

/* Anything for the current task to deal with that is not blocked. */
bool signal_pending(const struct task *t);
bool signal_fatal_pending(const struct task *t);
/* Set the mask of the current task and re-evaluate. */
void signal_set_mask(uint64_t mask);
/* Temporary mask until the next return to user (ppoll, rt_sigsuspend). */
void signal_set_mask_temp(uint64_t mask);
/* From sched_user_return: deliver, stop, restart system calls. */
void signal_deliver(void);
/* exec(2), when it can no longer fail: handlers to default, altstack off, POSIX
 * timers gone, clear_tid and the robust list forgotten. May sleep. */
void signal_exec(struct task *t);
void sigpending_init(struct sigpending *p);
void sigpending_flush(struct sigpending *p);
/* Take one pending signal in `set` (signalfd, sigtimedwait). 0: none. */
int signal_dequeue(struct task *t, uint64_t set, struct lx_siginfo *si);
