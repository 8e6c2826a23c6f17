// SPDX-License-Identifier: Apache-2.0
/* The end of threads and processes, and what parents learn of it. */
#include "abi/ctl.h"
#include "abi/linux/errno.h"

#include "guest/arch/arch.h"
#include "guest/core/aspace.h"
#include "guest/core/futex.h"
#include "guest/core/klib.h"
#include "guest/core/main.h"
#include "guest/core/ptimer.h"
#include "guest/core/sched.h"
#include "guest/core/signal_impl.h"
#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/path.h"
#include "guest/fs/tty.h"

#define TICK_NS (NSEC_PER_SEC / 100) /* USER_HZ of siginfo and times(2) */

/* --- telling the parent --- */

bool signal_parent(struct process *p, int code, int32_t status)
{
    struct process *parent = p->parent;
    struct lx_siginfo si;
    bool ended = code == LX_CLD_EXITED || code == LX_CLD_KILLED;
    int signo = ended ? p->exit_signal : LX_SIGCHLD;

    if (parent == NULL)
        return true;
    signal_info(&si, LX_SIGCHLD, code);
    si.signo = signo;
    si.pid = p->pid;
    si.uid = p->cred.uid;
    si.chld.status = status;
    si.chld.utime = (int64_t)(p->utime / TICK_NS);
    si.chld.stime = (int64_t)(p->stime / TICK_NS);
    unsigned long flags = spin_lock_irq(&parent->sig_lock);
    const struct k_sigaction *sa = &parent->sighand->action[LX_SIGCHLD - 1];
    bool ignored = sa->handler == LX_SIG_IGN;
    uint64_t sa_flags = sa->flags;
    spin_unlock_irq(&parent->sig_lock, flags);
    bool reap = ended && signo == LX_SIGCHLD &&
                (ignored || (sa_flags & LX_SA_NOCLDWAIT) != 0);
    bool quiet = (ended && signo == LX_SIGCHLD && ignored) ||
                 (!ended && (sa_flags & LX_SA_NOCLDSTOP) != 0);
    if (signo != 0 && !quiet)
        (void)signal_send(parent, &si);
    return reap;
}

static bool exit_tell_parent(struct process *p)
{
    int32_t status = p->exit_status;
    int signo = status & 0x7f;
    bool reap = signal_parent(p, signo != 0 ? LX_CLD_KILLED : LX_CLD_EXITED,
                              signo != 0 ? signo : (status >> 8) & 0xff);

    if (p->parent != NULL)
        waitq_wake(&p->parent->child_wait, 0, WAKE_ALL);
    return reap;
}

/* --- orphans; proc_lock held --- */

static struct process *exit_new_parent(const struct process *p)
{
    for (struct process *a = p->parent; a != NULL; a = a->parent)
        if (a->subreaper && !a->zombie && a->thread_count != 0)
            return a;
    return proc_init;
}

static bool exit_group_stopped(int32_t pgid)
{
    LIST_FOR(it, &proc_list)
    {
        const struct process *p = LIST_ENTRY(it, struct process, all_node);
        if (p->pgid == pgid && p->stopped && !p->zombie)
            return true;
    }
    return false;
}

/* POSIX: a group that becomes orphaned with a stopped member gets SIGHUP and
 * SIGCONT. `gone` counts as dead; `child` is in the group in question. */
static void exit_check_group(const struct process *gone,
                             const struct process *child)
{
    const struct process *parent = child == gone ? gone->parent : gone;

    if (parent == NULL || child->session != parent->session ||
        child->pgid == parent->pgid)
        return; /* the link that breaks did not keep the group alive */
    if (!signal_pgrp_orphaned(child->pgid, gone) ||
        !exit_group_stopped(child->pgid))
        return;
    signal_send_pgrp(child->pgid, LX_SIGHUP);
    signal_send_pgrp(child->pgid, LX_SIGCONT);
}

static void exit_give_away(struct process *child, struct process *to)
{
    list_remove(&child->sibling);
    child->parent = to;
    __atomic_store_n(&child->ppid, to->pid, __ATOMIC_RELAXED);
    list_add_tail(&to->children, &child->sibling);
    if (child->pdeath_sig != 0) {
        struct lx_siginfo si;
        signal_info(&si, child->pdeath_sig, LX_SI_USER);
        (void)signal_send(child, &si);
    }
    child->exit_signal = LX_SIGCHLD;
    if (child->zombie && exit_tell_parent(child))
        process_reap(child);
}

static void exit_orphans(struct process *p)
{
    struct process *to = exit_new_parent(p);

    LIST_FOR_SAFE(it, next, &p->children)
    {
        struct process *child = LIST_ENTRY(it, struct process, sibling);
        struct process *group = child;
        bool zombie = child->zombie;
        exit_give_away(child, to);
        if (!zombie)
            exit_check_group(p, group);
    }
    exit_check_group(p, p);
}

/* --- the process --- */

void (*process_at_exit)(struct process *p);

static _Noreturn void exit_kernel(const struct process *p)
{
    int signo = p->exit_status & 0x7f;

    if (p->oom_killed) {
        char who[40];
        (void)ksnprintf(who, sizeof(who), "%s (pid %d)",
                        p->leader != NULL ? p->leader->name : "?", p->pid);
        kernel_exit(CTL_OOM, (uint32_t)signo, who);
    }
    if (signo != 0)
        kernel_exit(CTL_SIGNALLED, (uint32_t)signo, NULL);
    kernel_exit(CTL_EXITED, (uint32_t)(p->exit_status >> 8) & 0xff, NULL);
}

/* What the process holds, given back without locks. */
static void exit_release(struct process *p)
{
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    struct aspace *as = p->aspace;
    struct fdtable *files = p->files;
    struct fsctx *fs = p->fs;
    struct file *exe = p->exe;

    p->aspace = NULL;
    p->files = NULL;
    p->fs = NULL;
    p->exe = NULL;
    spin_unlock_irq(&p->sig_lock, flags);
    if (as != NULL) {
        arch_aspace_switch(NULL);
        aspace_put(as);
    }
    process_vfork_release(p);
    if (files != NULL)
        fdtable_put(files);
    if (fs != NULL)
        fsctx_put(fs);
    if (exe != NULL)
        file_put(exe);
}

static void exit_process(struct process *p)
{
    if (p == proc_init)
        exit_kernel(p);
    (void)timer_stop(&p->alarm);
    cputimer_exit(p);
    ptimer_exit(p);
    void (*at_exit)(struct process * p) =
        __atomic_load_n(&process_at_exit, __ATOMIC_RELAXED);
    if (at_exit != NULL)
        at_exit(p);
    exit_release(p);
    if (p->session->id == p->pid)
        tty_session_exit(p->session);
    mutex_lock(&proc_lock);
    exit_orphans(p);
    p->zombie = true;
    bool reap = exit_tell_parent(p);
    waitq_wake(&p->exit_wait, 0, WAKE_ALL);
    if (reap)
        process_reap(p);
    mutex_unlock(&proc_lock);
}

void process_vfork_release(struct process *p)
{
    if (__atomic_exchange_n(&p->vfork_done, true, __ATOMIC_ACQ_REL))
        return;
    waitq_wake(&p->vfork_wait, 0, WAKE_ALL);
}

/* --- threads --- */

/* Off the process's list; true if it was the last one. */
static bool exit_leave(struct task *t)
{
    struct process *p = t->proc;
    unsigned long flags = spin_lock_irq(&p->sig_lock);

    list_remove(&t->thread_node);
    nsec_t user, system;
    sched_times(t, &user, &system);
    p->utime += user;
    p->stime += system;
    io_count_add(&p->io, &t->io);
    bool last = --p->thread_count == 0;
    if (last && !p->group_exit) {
        p->group_exit = true;
        p->exit_status = p->leader->exit_code;
    }
    bool stopped = signal_thread_gone(p);
    int32_t sig = p->stop_sig;
    spin_unlock_irq(&p->sig_lock, flags);
    if (stopped)
        signal_tell_parent(p, LX_CLD_STOPPED, sig);
    return last;
}

void task_exit(int32_t status)
{
    struct task *t = current();
    struct process *p = t->proc;

    if (p == NULL)
        sched_exit();
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    t->exiting = true;
    t->exit_code = status;
    spin_unlock_irq(&p->sig_lock, flags);
    /* From here no signal cuts a sleep short, so the page faults in this
     * succeed. */
    futex_task_exit(t);
    bool leader = p->leader == t;
    process_get(p);
    if (exit_leave(t)) {
        exit_process(p);
    } else {
        waitq_wake(&p->exit_wait, 0, WAKE_ALL);
    }
    if (!leader) {
        mutex_lock(&proc_lock); /* as task_find() promises its callers */
        task_unhash(t);
        mutex_unlock(&proc_lock);
    }
    process_put(p);
    sched_exit();
}

void task_exit_group(int32_t status)
{
    struct task *t = current();
    struct process *p = t->proc;
    unsigned long flags = spin_lock_irq(&p->sig_lock);

    if (!p->group_exit) {
        p->group_exit = true;
        p->exit_status = status;
        signal_rouse_all(p, t, true);
    }
    status = p->exit_status;
    spin_unlock_irq(&p->sig_lock, flags);
    task_exit(status);
}

int task_single(void)
{
    struct task *t = current();
    struct process *p = t->proc;
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    int r = 0;

    if (p->group_exit || p->single != NULL) {
        spin_unlock_irq(&p->sig_lock, flags);
        return -EINTR;
    }
    if (p->thread_count > 1) {
        p->single = t;
        signal_rouse_all(p, t, true);
    }
    spin_unlock_irq(&p->sig_lock, flags);
    WAIT_FOR(r, &p->exit_wait, p->thread_count == 1, WAIT_DEADLY, NSEC_NEVER);
    p->single = NULL;
    if (r < 0)
        return -EINTR;
    if (p->leader == t)
        return 0;
    mutex_lock(&proc_lock);
    task_succeed(t, p->leader);
    mutex_unlock(&proc_lock);
    return 0;
}
