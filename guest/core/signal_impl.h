// SPDX-License-Identifier: Apache-2.0
/* Between the files of the signal code. sig_lock is held unless said. */
#pragma once

#include "guest/core/signal.h"

#define SIG_KERNEL_ONLY (SIG_BIT(LX_SIGKILL) | SIG_BIT(LX_SIGSTOP))
#define SIG_SYNCHRONOUS                                                        \
    (SIG_BIT(LX_SIGSEGV) | SIG_BIT(LX_SIGBUS) | SIG_BIT(LX_SIGILL) |           \
     SIG_BIT(LX_SIGTRAP) | SIG_BIT(LX_SIGFPE) | SIG_BIT(LX_SIGSYS))
#define SIG_DEFAULT_IGNORE                                                     \
    (SIG_BIT(LX_SIGCHLD) | SIG_BIT(LX_SIGCONT) | SIG_BIT(LX_SIGURG) |          \
     SIG_BIT(LX_SIGWINCH))
#define SIG_DEFAULT_STOP                                                       \
    (SIG_BIT(LX_SIGSTOP) | SIG_BIT(LX_SIGTSTP) | SIG_BIT(LX_SIGTTIN) |         \
     SIG_BIT(LX_SIGTTOU))

/* One pending signal of `set`, the thread's own first. 0: none. */
int signal_take_locked(struct task *t, uint64_t set, struct lx_siginfo *si);
/* Make every thread of `p` but one look at its flags; `fatal` wakes those in
 * deadly sleeps and stopped ones too. */
void signal_rouse_all(struct process *p, const struct task *but, bool fatal);
/* The action for `signo` was changed: pending ones that are now ignored go. */
void signal_action_set(struct process *p, int signo);
/* End a stop. */
void signal_continue(struct process *p);
/* A thread went away: others take its signals; true if that completed a stop
 * and the parent is to be told. */
bool signal_thread_gone(struct process *p);
/* signal_parent() and a wake of its wait4. Takes proc_lock: no sig_lock. */
void signal_tell_parent(struct process *p, int code, int32_t status);
/* SIGCHLD for the parent of `p` with a CLD_* code; proc_lock held instead of
 * sig_lock. True: the parent ignores children, reap it at once. */
bool signal_parent(struct process *p, int code, int32_t status);
/* Is p's group an orphaned one: nobody in it has a parent in another group of
 * the same session. proc_lock held instead; `but` counts as gone. */
bool signal_pgrp_orphaned(int32_t pgid, const struct process *but);
