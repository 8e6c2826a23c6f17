// SPDX-License-Identifier: Apache-2.0
/* Making and ending processes and threads; their ids. */
#include "abi/linux/proc.h"

#include "guest/arch/arch.h"
#include "guest/core/klib.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/path.h"
#include "guest/sys/calls_proc.h"

#define CAP_CHECKPOINT_RESTORE 40

int64_t sys_clone(const uint64_t *a)
{
    struct clone_args ca = {
        .flags = (uint32_t)a[0] & ~UINT64_C(0xff),
        .exit_signal = (int32_t)(a[0] & 0xff),
        .stack = a[1],
        .parent_tid = a[2],
        .child_tid = a[ARCH_CLONE_ARG_CTID],
        .tls = a[ARCH_CLONE_ARG_TLS],
        .pidfd = a[2],
    };

    return task_clone(&ca);
}

/* The number the child gets: there is one pid namespace. */
static int clone_set_tid(const struct lx_clone_args *u, int32_t *out)
{
    if (u->set_tid_size == 0)
        return 0;
    if (u->set_tid_size > 1)
        return -EINVAL;
    if (copy_from_user(out, uptr(u->set_tid), sizeof(*out)) < 0)
        return -EFAULT;
    if (*out < 1)
        return -EINVAL;
    return cred_capable(current()->proc, LX_CAP_SYS_ADMIN) ||
                   cred_capable(current()->proc, CAP_CHECKPOINT_RESTORE)
               ? 0
               : -EPERM;
}

int64_t sys_clone3(const uint64_t *a)
{
    struct lx_clone_args u = {0};
    uint64_t size = a[1];

    if (size > PAGE_SIZE)
        return -E2BIG;
    if (size < 64) /* the first version */
        return -EINVAL;
    if (copy_from_user(&u, uptr(a[0]), MIN(size, sizeof(u))) < 0)
        return -EFAULT;
    for (uint64_t i = sizeof(u); i < size; i += sizeof(uint64_t)) {
        uint64_t more = 0;
        size_t n = MIN(size - i, sizeof(more));
        if (copy_from_user(&more, uptr(a[0] + i), n) < 0)
            return -EFAULT;
        if (more != 0)
            return -E2BIG;
    }
    if ((u.flags & 0xff) != 0 || u.exit_signal > SIG_COUNT ||
        (u.stack == 0) != (u.stack_size == 0) ||
        u.stack + u.stack_size < u.stack ||
        (u.set_tid == 0) != (u.set_tid_size == 0) ||
        (u.flags & (LX_CLONE_DETACHED | ~UINT64_C(0x3ffffffff))) != 0)
        return -EINVAL;
    if ((u.flags & (LX_CLONE_THREAD | LX_CLONE_PARENT)) != 0 &&
        u.exit_signal != 0)
        return -EINVAL;
    struct clone_args ca = {
        .flags = u.flags,
        .exit_signal = (int32_t)u.exit_signal,
        .stack = u.stack != 0 ? u.stack + u.stack_size : 0,
        .tls = u.tls,
        .parent_tid = u.parent_tid,
        .child_tid = u.child_tid,
        .pidfd = u.pidfd,
    };
    int r = clone_set_tid(&u, &ca.set_tid);
    return r < 0 ? r : task_clone(&ca);
}

int64_t sys_fork(const uint64_t *a)
{
    (void)a;
    return task_clone(&(struct clone_args){.exit_signal = LX_SIGCHLD});
}

int64_t sys_vfork(const uint64_t *a)
{
    (void)a;
    return task_clone(&(struct clone_args){
        .flags = LX_CLONE_VM | LX_CLONE_VFORK, .exit_signal = LX_SIGCHLD});
}

int64_t sys_exit(const uint64_t *a)
{
    task_exit((int32_t)(a[0] & 0xff) << 8);
}

int64_t sys_exit_group(const uint64_t *a)
{
    task_exit_group((int32_t)(a[0] & 0xff) << 8);
}

/* What other processes share with this one becomes its own. */
static int unshare_process(struct process *p, bool fs, bool files)
{
    struct fsctx *own_fs = NULL;
    struct fdtable *own_files = NULL;

    if (fs && __atomic_load_n(&p->fs->refs, __ATOMIC_ACQUIRE) > 1)
        own_fs = fsctx_clone(p->fs);
    else
        fs = false;
    if (files && __atomic_load_n(&p->files->refs, __ATOMIC_ACQUIRE) > 1)
        own_files = fdtable_clone(p->files);
    else
        files = false;
    bool failed = (fs && own_fs == NULL) || (files && own_files == NULL);
    if (!failed) {
        unsigned long flags = spin_lock_irq(&p->sig_lock);
        struct fsctx *f = p->fs;
        struct fdtable *t = p->files;
        if (fs) {
            p->fs = own_fs;
            own_fs = f;
        }
        if (files) {
            p->files = own_files;
            own_files = t;
        }
        spin_unlock_irq(&p->sig_lock, flags);
    }
    if (own_fs != NULL)
        fsctx_put(own_fs);
    if (own_files != NULL)
        fdtable_put(own_files);
    return failed ? -ENOMEM : 0;
}

/* Threads share one process's files and directories here, so they cannot be
 * taken apart for one of several. */
int64_t sys_unshare(const uint64_t *a)
{
    const uint64_t own = LX_CLONE_FS | LX_CLONE_FILES;
    const uint64_t alone = LX_CLONE_THREAD | LX_CLONE_SIGHAND | LX_CLONE_VM;
    const uint64_t spaces = LX_CLONE_NEWNS | LX_CLONE_NEWCGROUP |
                            LX_CLONE_NEWUTS | LX_CLONE_NEWIPC |
                            LX_CLONE_NEWUSER | LX_CLONE_NEWPID |
                            LX_CLONE_NEWNET | LX_CLONE_NEWTIME;
    struct process *p = current()->proc;
    bool single = p->thread_count == 1;

    if ((a[0] & ~(own | alone | spaces | LX_CLONE_SYSVSEM)) != 0)
        return -EINVAL;
    if ((a[0] & (alone | own)) != 0 && !single)
        return -EINVAL;
    if ((a[0] & spaces) != 0)
        return -EPERM;
    return unshare_process(p, (a[0] & LX_CLONE_FS) != 0,
                           (a[0] & LX_CLONE_FILES) != 0);
}

/* --- ids --- */

int64_t sys_getpid(const uint64_t *a)
{
    (void)a;
    return current()->proc->pid;
}

int64_t sys_gettid(const uint64_t *a)
{
    (void)a;
    return current()->tid;
}

int64_t sys_getppid(const uint64_t *a)
{
    (void)a;
    return __atomic_load_n(&current()->proc->ppid, __ATOMIC_RELAXED);
}

/* pid 0: the caller's. proc_lock held; NULL: ESRCH. */
static struct process *proc_by_pid(uint64_t pid)
{
    return (int32_t)pid == 0 ? current()->proc : process_find((int32_t)pid);
}

int64_t sys_getpgid(const uint64_t *a)
{
    mutex_lock(&proc_lock);
    const struct process *p = proc_by_pid(a[0]);
    int64_t r = p != NULL ? p->pgid : -ESRCH;
    mutex_unlock(&proc_lock);
    return r;
}

int64_t sys_getpgrp(const uint64_t *a)
{
    (void)a;
    return current()->proc->pgid;
}

int64_t sys_getsid(const uint64_t *a)
{
    mutex_lock(&proc_lock);
    const struct process *p = proc_by_pid(a[0]);
    int64_t r = p != NULL ? p->session->id : -ESRCH;
    mutex_unlock(&proc_lock);
    return r;
}

static bool proc_group_in_session(int32_t pgid, const struct session *s)
{
    LIST_FOR(it, &proc_list)
    {
        const struct process *p = LIST_ENTRY(it, struct process, all_node);
        if (p->pgid == pgid && p->session == s)
            return true;
    }
    return false;
}

static int proc_may_setpgid(const struct process *p, int32_t pgid)
{
    const struct process *me = current()->proc;

    if (p == NULL || (p != me && p->parent != me))
        return -ESRCH;
    if (p->session != me->session)
        return -EPERM;
    if (p != me && p->execed)
        return -EACCES;
    if (p->session->id == p->pid)
        return -EPERM; /* a session leader stays where it is */
    if (pgid != p->pid && !proc_group_in_session(pgid, me->session))
        return -EPERM;
    return 0;
}

int64_t sys_setpgid(const uint64_t *a)
{
    int32_t pgid = (int32_t)(a[1] != 0 ? a[1] : a[0]);

    if (pgid < 0)
        return -EINVAL;
    mutex_lock(&proc_lock);
    struct process *p = proc_by_pid(a[0]);
    if (p != NULL && pgid == 0)
        pgid = p->pid;
    int r = proc_may_setpgid(p, pgid);
    if (r == 0)
        process_set_pgid(p, pgid);
    mutex_unlock(&proc_lock);
    return r;
}

int64_t sys_setsid(const uint64_t *a)
{
    struct process *p = current()->proc;
    struct session *s = session_new(p->pid);
    struct session *old = NULL;
    int64_t r = -EPERM;

    (void)a;
    if (s == NULL)
        return -ENOMEM;
    mutex_lock(&proc_lock);
    bool leads = p->session->id == p->pid;
    LIST_FOR(it, &proc_list)
    if (LIST_ENTRY(it, struct process, all_node)->pgid == p->pid)
        leads = true;
    if (!leads) {
        old = process_set_session(p, s);
        r = p->pid;
    }
    mutex_unlock(&proc_lock);
    session_put(leads ? s : old);
    return r;
}

int64_t sys_set_tid_address(const uint64_t *a)
{
    current()->clear_tid = a[0];
    return current()->tid;
}

int64_t sys_set_robust_list(const uint64_t *a)
{
    if (a[1] != sizeof(struct lx_robust_list_head))
        return -EINVAL;
    current()->robust_list = a[0];
    current()->robust_size = a[1];
    return 0;
}

int64_t sys_get_robust_list(const uint64_t *a)
{
    uint64_t head = 0;
    int r = -ESRCH;

    mutex_lock(&proc_lock);
    const struct task *t =
        (int32_t)a[0] == 0 ? current() : task_find((int32_t)a[0]);
    if (t != NULL && t->proc != current()->proc)
        r = -EPERM;
    else if (t != NULL)
        r = 0;
    if (r == 0)
        head = t->robust_list;
    mutex_unlock(&proc_lock);
    if (r == 0)
        r = put_user_u64(uptr(a[2]), sizeof(struct lx_robust_list_head));
    if (r == 0)
        r = put_user_u64(uptr(a[1]), head);
    return r;
}
