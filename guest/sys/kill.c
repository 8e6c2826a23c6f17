// SPDX-License-Identifier: Apache-2.0
/* kill(2) and its relatives. */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/proc.h"

#include "guest/core/pidfd.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/procfs.h"
#include "guest/sys/calls_proc.h"

static bool kill_allowed(const struct process *to, int signo)
{
    const struct process *me = current()->proc;
    const struct cred *c = &current()->cred;

    if (me == to || cred_capable(me, LX_CAP_KILL))
        return true;
    if (signo == LX_SIGCONT && me->session == to->session)
        return true;
    return c->euid == to->cred.uid || c->euid == to->cred.suid ||
           c->uid == to->cred.uid || c->uid == to->cred.suid;
}

static void kill_info(struct lx_siginfo *si, int signo, int code)
{
    signal_info(si, signo, code);
    si->pid = current()->proc->pid;
    si->uid = current()->cred.uid;
}

/* proc_lock held. Signal 0 only asks. */
static int kill_process(struct process *p, const struct lx_siginfo *si)
{
    if (!kill_allowed(p, si->signo))
        return -EPERM;
    return si->signo != 0 ? signal_send(p, si) : 0;
}

/* pgid 0: everybody but pid 1 and the caller. */
static int kill_many(int32_t pgid, const struct lx_siginfo *si)
{
    int r = -ESRCH;
    bool sent = false;

    LIST_FOR(it, &proc_list)
    {
        struct process *p = LIST_ENTRY(it, struct process, all_node);
        if (pgid != 0 ? p->pgid != pgid
                      : p == proc_init || p == current()->proc)
            continue;
        int one = kill_process(p, si);
        sent = sent || one == 0;
        r = one;
    }
    return sent ? 0 : r;
}

int64_t sys_kill(const uint64_t *a)
{
    int32_t pid = (int32_t)a[0];
    int signo = (int)a[1];
    struct lx_siginfo si;
    int r;

    if (signo < 0 || signo > SIG_COUNT)
        return -EINVAL;
    if (pid == INT32_MIN)
        return -ESRCH;
    kill_info(&si, signo, LX_SI_USER);
    mutex_lock(&proc_lock);
    if (pid > 0) {
        struct process *p = process_find(pid);
        if (p == NULL) { /* a thread's id names its process here */
            struct task *t = task_find(pid);
            p = t != NULL ? t->proc : NULL;
        }
        r = p != NULL ? kill_process(p, &si) : -ESRCH;
    } else if (pid == -1) {
        r = kill_many(0, &si);
    } else {
        r = kill_many(pid == 0 ? current()->proc->pgid : -pid, &si);
    }
    mutex_unlock(&proc_lock);
    return r;
}

/* tgid 0: any process. */
static int kill_thread(int32_t tgid, int32_t tid, const struct lx_siginfo *si)
{
    int r = -ESRCH;

    mutex_lock(&proc_lock);
    struct task *t = task_find(tid);
    if (t != NULL && !t->exiting && (tgid == 0 || t->proc->pid == tgid)) {
        r = kill_allowed(t->proc, si->signo) ? 0 : -EPERM;
        if (r == 0 && si->signo != 0)
            r = signal_send_task(t, si);
    }
    mutex_unlock(&proc_lock);
    return r;
}

static int64_t kill_tid(int32_t tgid, int32_t tid, int signo)
{
    struct lx_siginfo si;

    if (signo < 0 || signo > SIG_COUNT || tid <= 0)
        return -EINVAL;
    kill_info(&si, signo, LX_SI_TKILL);
    return kill_thread(tgid, tid, &si);
}

int64_t sys_tkill(const uint64_t *a)
{
    return kill_tid(0, (int32_t)a[0], (int)a[1]);
}

int64_t sys_tgkill(const uint64_t *a)
{
    if ((int32_t)a[0] <= 0)
        return -EINVAL;
    return kill_tid((int32_t)a[0], (int32_t)a[1], (int)a[2]);
}

/* A program may not pretend to be the kernel or kill(2) to others. */
static int kill_user_info(uint64_t at, int signo, bool self,
                          struct lx_siginfo *si)
{
    if (signo < 0 || signo > SIG_COUNT)
        return -EINVAL;
    if (copy_from_user(si, uptr(at), sizeof(*si)) < 0)
        return -EFAULT;
    si->signo = signo;
    if ((si->code >= 0 || si->code == LX_SI_TKILL) && !self)
        return -EPERM;
    /* Codes with a meaning inside this kernel. */
    if (si->code == LX_SI_KERNEL || si->code == LX_SI_TIMER)
        return -EPERM;
    return 0;
}

int64_t sys_rt_sigqueueinfo(const uint64_t *a)
{
    int32_t pid = (int32_t)a[0];
    struct lx_siginfo si;
    int r = kill_user_info(a[2], (int)a[1], pid == current()->proc->pid, &si);

    if (r < 0)
        return r;
    mutex_lock(&proc_lock);
    struct process *p = process_find(pid);
    r = p != NULL ? kill_process(p, &si) : -ESRCH;
    mutex_unlock(&proc_lock);
    return r;
}

int64_t sys_rt_tgsigqueueinfo(const uint64_t *a)
{
    struct lx_siginfo si;
    bool self = (int32_t)a[0] == current()->proc->pid;
    int r = kill_user_info(a[3], (int)a[2], self, &si);

    if (r < 0)
        return r;
    if ((int32_t)a[0] <= 0 || (int32_t)a[1] <= 0)
        return -EINVAL;
    return kill_thread((int32_t)a[0], (int32_t)a[1], &si);
}

/* --- pidfds --- */

int64_t sys_pidfd_open(const uint64_t *a)
{
    if ((int32_t)a[0] <= 0 || (a[1] & ~(uint64_t)LX_O_NONBLOCK) != 0)
        return -EINVAL;
    mutex_lock(&proc_lock);
    struct process *p = process_find((int32_t)a[0]);
    bool thread = p == NULL && task_find((int32_t)a[0]) != NULL;
    if (p != NULL)
        process_get(p);
    mutex_unlock(&proc_lock);
    if (p == NULL)
        return thread ? -EINVAL : -ESRCH;
    int fd = pidfd_new(p, (uint32_t)a[1]);
    process_put(p);
    return fd;
}

/* A pidfd, or an open /proc/PID; a reference. */
static struct process *kill_pidfd(int fd)
{
    struct process *p = pidfd_get(fd);
    struct file *f = p == NULL ? fd_get(fd) : NULL;

    if (f != NULL) {
        p = pseudo_process(f->inode, &proc_pid_dir);
        file_put(f);
    }
    return p;
}

int64_t sys_pidfd_send_signal(const uint64_t *a)
{
    int signo = (int)a[1];
    struct lx_siginfo si;
    int r = 0;

    if (a[3] != 0 || signo < 0 || signo > SIG_COUNT)
        return -EINVAL;
    struct process *p = kill_pidfd((int)a[0]);
    if (p == NULL)
        return -EBADF;
    kill_info(&si, signo, LX_SI_USER);
    if (a[2] != 0) {
        uint32_t named = 0;
        r = copy_from_user(&named, uptr(a[2]), sizeof(named));
        if (r == 0 && named != (uint32_t)signo)
            r = -EINVAL;
        if (r == 0)
            r = kill_user_info(a[2], signo, p == current()->proc, &si);
    }
    if (r == 0) {
        mutex_lock(&proc_lock);
        /* A reaped process is nobody's any more. */
        r = process_find(p->pid) == p ? kill_process(p, &si) : -ESRCH;
        mutex_unlock(&proc_lock);
    }
    process_put(p);
    return r;
}
