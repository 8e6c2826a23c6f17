// SPDX-License-Identifier: Apache-2.0
/* New threads and processes: clone(2). */
#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/arch/arch.h"
#include "guest/core/aspace.h"
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/pidfd.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/path.h"

#define CLONE_NAMESPACES                                                       \
    (LX_CLONE_NEWNS | LX_CLONE_NEWCGROUP | LX_CLONE_NEWUTS | LX_CLONE_NEWIPC | \
     LX_CLONE_NEWUSER | LX_CLONE_NEWPID | LX_CLONE_NEWNET | LX_CLONE_NEWTIME)
#define CLONE_THREAD_NEEDS                                                     \
    (LX_CLONE_VM | LX_CLONE_SIGHAND | LX_CLONE_FS | LX_CLONE_FILES)

static int clone_check(const struct clone_args *ca)
{
    uint64_t f = ca->flags;

    /* Threads share what struct process holds, so a thread with files or a
     * working directory of its own is not to be had. */
    if ((f & LX_CLONE_THREAD) != 0 &&
        (f & CLONE_THREAD_NEEDS) != CLONE_THREAD_NEEDS)
        return -EINVAL;
    if ((f & LX_CLONE_SIGHAND) != 0 && (f & LX_CLONE_VM) == 0)
        return -EINVAL;
    if ((f & LX_CLONE_SIGHAND) != 0 && (f & LX_CLONE_CLEAR_SIGHAND) != 0)
        return -EINVAL;
    if ((f & LX_CLONE_INTO_CGROUP) != 0)
        return -EINVAL; /* as a kernel without it */
    if ((f & LX_CLONE_PIDFD) != 0 &&
        (f & (LX_CLONE_THREAD | LX_CLONE_DETACHED)) != 0)
        return -EINVAL;
    if ((f & LX_CLONE_PIDFD) != 0 && (f & LX_CLONE_PARENT_SETTID) != 0 &&
        ca->pidfd == ca->parent_tid)
        return -EINVAL; /* clone(2) has one argument for both */
    if ((f & LX_CLONE_FS) != 0 &&
        (f & (LX_CLONE_NEWNS | LX_CLONE_NEWUSER)) != 0)
        return -EINVAL;
    if ((f & CLONE_NAMESPACES) != 0)
        return -EPERM;
    if ((f & LX_CLONE_PARENT) != 0 && current()->proc == proc_init)
        return -EINVAL;
    if (ca->exit_signal < 0 || ca->exit_signal > SIG_COUNT)
        return -EINVAL;
    return 0;
}

struct clone_uid_count {
    uint32_t uid, threads;
};

static void clone_count_uid(struct process *p, void *arg)
{
    struct clone_uid_count *c = arg;

    if (p->cred.uid == c->uid)
        c->threads += p->thread_count;
}

/* RLIMIT_NPROC: threads of the real user, unless privileged. */
static int clone_check_limit(struct process *p)
{
    uint64_t max = p->rlimits[LX_RLIMIT_NPROC].cur;
    struct clone_uid_count c = {.uid = current()->cred.uid};

    if (max == LX_RLIM_INFINITY || cred_capable(p, LX_CAP_SYS_RESOURCE) ||
        cred_capable(p, LX_CAP_SYS_ADMIN))
        return 0;
    process_each(clone_count_uid, &c);
    return c.threads >= max ? -EAGAIN : 0;
}

static int clone_sighand(struct process *child, struct process *parent,
                         uint64_t flags)
{
    if ((flags & LX_CLONE_SIGHAND) != 0) {
        child->sighand = parent->sighand;
        __atomic_fetch_add(&child->sighand->refs, 1, __ATOMIC_RELAXED);
        return 0;
    }
    child->sighand = kmalloc(sizeof(*child->sighand));
    if (child->sighand == NULL)
        return -ENOMEM;
    unsigned long irq = spin_lock_irq(&parent->sig_lock);
    *child->sighand = *parent->sighand;
    spin_unlock_irq(&parent->sig_lock, irq);
    child->sighand->refs = 1;
    if ((flags & LX_CLONE_CLEAR_SIGHAND) != 0)
        for (unsigned i = 0; i < SIG_COUNT; i++)
            if (child->sighand->action[i].handler != LX_SIG_IGN)
                child->sighand->action[i] = (struct k_sigaction){0};
    return 0;
}

static int clone_aspace(struct process *child, struct process *parent,
                        uint64_t flags)
{
    if ((flags & LX_CLONE_VM) != 0) {
        aspace_get(parent->aspace);
        child->aspace = parent->aspace;
        return 0;
    }
    child->aspace = aspace_new_child();
    if (child->aspace == NULL)
        return -ENOMEM;
    return aspace_fork(child->aspace, parent->aspace);
}

static int clone_resources(struct process *child, struct process *parent,
                           uint64_t flags)
{
    int r = clone_sighand(child, parent, flags);

    if (r < 0)
        return r;
    if ((flags & LX_CLONE_FILES) != 0)
        child->files = process_files(parent);
    else
        child->files = fdtable_clone(parent->files);
    if ((flags & LX_CLONE_FS) != 0)
        child->fs = process_fs(parent);
    else
        child->fs = fsctx_clone(parent->fs);
    if (child->files == NULL || child->fs == NULL)
        return -ENOMEM;
    child->exe = parent->exe;
    if (child->exe != NULL)
        file_get(child->exe);
    return clone_aspace(child, parent, flags);
}

/* A child that never ran. */
static void clone_discard(struct process *p, struct task *t, bool thread)
{
    if (thread) {
        if (t != NULL) {
            pid_free(t->tid);
            task_put(t);
        }
        return;
    }
    if (p->aspace != NULL)
        aspace_put(p->aspace);
    if (p->files != NULL)
        fdtable_put(p->files);
    if (p->fs != NULL)
        fsctx_put(p->fs);
    if (p->exe != NULL)
        file_put(p->exe);
    pid_free(p->pid);
    p->leader = NULL;
    if (t != NULL) {
        task_put(t); /* the leader's */
        task_put(t);
    }
    process_put(p);
}

static void clone_task_state(struct task *t, const struct task *me,
                             const struct clone_args *ca)
{
    uint64_t f = ca->flags;

    t->sigmask = me->restore_sigmask ? me->saved_sigmask : me->sigmask;
    t->affinity = me->affinity;
    t->stretch = me->stretch;
    t->timer_slack_of =
        me->timer_slack != 0 ? me->timer_slack : me->timer_slack_of;
    if (!me->reset_on_fork || me->rt_priority == 0)
        t->policy = me->policy;
    if (!me->reset_on_fork)
        t->rt_priority = me->rt_priority;
    if ((f & (LX_CLONE_VM | LX_CLONE_VFORK)) != LX_CLONE_VM)
        t->altstack = me->altstack;
    if ((f & LX_CLONE_VM) == 0 && me->rseq != 0) {
        t->rseq = me->rseq;
        t->rseq_size = me->rseq_size;
        t->rseq_sig = me->rseq_sig;
        t->rseq_cpu = me->rseq_cpu; /* its memory is a copy */
    }
    if ((f & LX_CLONE_CHILD_CLEARTID) != 0)
        t->clear_tid = ca->child_tid;
    if ((f & LX_CLONE_CHILD_SETTID) != 0) {
        t->set_tid = ca->child_tid;
        t->work = true;
    }
}

/* The child becomes visible: from here on it can be signalled. */
static int clone_publish(struct process *p, struct task *t,
                         const struct clone_args *ca)
{
    struct process *me = current()->proc;
    bool thread = (ca->flags & LX_CLONE_THREAD) != 0;
    int r = 0;

    if (thread)
        return task_publish(t) < 0 ? -ERESTARTNOINTR : 0;
    mutex_lock(&proc_lock);
    bool sibling = (ca->flags & LX_CLONE_PARENT) != 0;
    p->exit_signal = sibling ? me->exit_signal : ca->exit_signal;
    p->pgid = me->pgid;
    p->session = me->session;
    session_get(p->session);
    /* A signal for the group must not miss the child: SIGINT while forking
     * is dealt with first, then the call starts again. */
    if (signal_pending(current())) {
        r = -ERESTARTNOINTR;
    } else {
        process_publish(p, sibling ? me->parent : me);
        (void)task_publish(t);
    }
    mutex_unlock(&proc_lock);
    return r;
}

static void clone_wait_vfork(struct process *p)
{
    int r;

    WAIT_FOR(r, &p->vfork_wait, p->vfork_done, WAIT_DEADLY, NSEC_NEVER);
    (void)r; /* killed: the child goes on alone */
}

/* Everything the child needs before it becomes visible. */
static int clone_build(struct process *p, const struct clone_args *ca,
                       struct task **out, int *pidfd)
{
    struct task *me = current();
    bool thread = (ca->flags & LX_CLONE_THREAD) != 0;
    struct task *t = task_new(p, me->name);

    *out = t;
    if (t == NULL)
        return -EAGAIN;
    int r = thread ? 0 : clone_resources(p, me->proc, ca->flags);
    if (r < 0)
        return r;
    clone_task_state(t, me, ca);
    r = arch_task_fork(t, me, ca->stack, (ca->flags & LX_CLONE_SETTLS) != 0,
                       ca->tls);
    if (r < 0)
        return r;
    if ((ca->flags & LX_CLONE_PARENT_SETTID) != 0 &&
        put_user_u32(uptr(ca->parent_tid), (uint32_t)t->tid) < 0)
        return -EFAULT;
    if ((ca->flags & LX_CLONE_PIDFD) == 0)
        return 0;
    /* After the child's table was copied: it does not get this one. */
    *pidfd = pidfd_new(p, 0);
    if (*pidfd < 0)
        return *pidfd;
    return put_user_u32(uptr(ca->pidfd), (uint32_t)*pidfd);
}

int64_t task_clone(const struct clone_args *ca)
{
    struct process *me = current()->proc;
    bool thread = (ca->flags & LX_CLONE_THREAD) != 0;
    bool vfork = !thread && (ca->flags & LX_CLONE_VFORK) != 0;
    struct task *t = NULL;
    int pidfd = -1;
    int r = clone_check(ca);

    if (r == 0)
        r = clone_check_limit(me);
    if (r == 0)
        r = pid_take(ca->set_tid);
    if (r < 0)
        return r;
    struct process *p = thread ? me : process_new(me);
    if (p != NULL)
        r = clone_build(p, ca, &t, &pidfd);
    (void)pid_take(0); /* should nobody have had it */
    if (p == NULL)
        return -EAGAIN;
    if (r == 0)
        r = clone_publish(p, t, ca);
    if (r < 0) {
        if (pidfd >= 0)
            (void)fd_close(pidfd);
        clone_discard(p, t, thread);
        return r;
    }
    int32_t tid = t->tid;
    process_get(p);
    if (!thread && p->rlimits[LX_RLIMIT_CPU].cur != LX_RLIM_INFINITY)
        cputimer_start(p);
    if (vfork) {
        sched_start_here(t);
        clone_wait_vfork(p);
    } else {
        sched_start(t); /* may be gone already after this */
    }
    process_put(p);
    return tid;
}
