// SPDX-License-Identifier: Apache-2.0
/* wait4(2), waitid(2). */
#include "abi/linux/fcntl.h"
#include "abi/linux/proc.h"

#include "guest/core/pidfd.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/sys/calls_proc.h"
#include "guest/sys/rusage.h"

#define STATUS_STOPPED   0x7f
#define STATUS_CONTINUED 0xffff

struct wait_query {
    int which; /* LX_P_* */
    int32_t id;
    uint32_t options;
    bool nonblock; /* a pidfd with O_NONBLOCK: EAGAIN instead of waiting */
};

struct wait_result {
    int32_t pid;
    uint32_t uid;
    int32_t status; /* wait4's */
    int32_t code;   /* CLD_* */
    int32_t value;  /* siginfo status */
    struct lx_rusage usage;
};

static bool wait_eligible(const struct process *c, const struct wait_query *q)
{
    if (q->which == LX_P_PID && c->pid != q->id)
        return false;
    if (q->which == LX_P_PGID && c->pgid != q->id)
        return false;
    if ((q->options & LX_WALL) != 0)
        return true;
    return (c->exit_signal != LX_SIGCHLD) == ((q->options & LX_WCLONE) != 0);
}

static void wait_took_zombie(struct process *c, struct wait_result *r)
{
    int signo = c->exit_status & 0x7f;

    r->status = c->exit_status;
    r->code = signo != 0 ? LX_CLD_KILLED : LX_CLD_EXITED;
    r->value = signo != 0 ? signo : (c->exit_status >> 8) & 0xff;
}

static bool wait_took_stop(struct process *c, const struct wait_query *q,
                           struct wait_result *r)
{
    bool keep = (q->options & LX_WNOWAIT) != 0;
    bool took = true;
    unsigned long flags = spin_lock_irq(&c->sig_lock);

    if ((q->options & LX_WSTOPPED) != 0 && c->stop_report) {
        r->status = (c->stop_sig << 8) | STATUS_STOPPED;
        r->code = LX_CLD_STOPPED;
        r->value = c->stop_sig;
        c->stop_report = keep;
    } else if ((q->options & LX_WCONTINUED) != 0 && c->cont_report) {
        r->status = STATUS_CONTINUED;
        r->code = LX_CLD_CONTINUED;
        r->value = LX_SIGCONT;
        c->cont_report = keep;
    } else {
        took = false;
    }
    spin_unlock_irq(&c->sig_lock, flags);
    return took;
}

static void wait_reap(struct process *c)
{
    struct process *me = current()->proc;

    me->cutime += c->utime + c->cutime;
    me->cstime += c->stime + c->cstime;
    me->cmin_faults += c->min_faults + c->cmin_faults;
    me->cmaj_faults += c->maj_faults + c->cmaj_faults;
    process_reap(c);
}

/* proc_lock held. 1: *r is filled; 0: children, but nothing yet; -ECHILD. */
static int wait_look(const struct wait_query *q, struct wait_result *r)
{
    struct process *me = current()->proc;
    int found = -ECHILD;

    LIST_FOR(it, &me->children)
    {
        struct process *c = LIST_ENTRY(it, struct process, sibling);
        if (!wait_eligible(c, q))
            continue;
        found = 0;
        bool dead = c->zombie && (q->options & LX_WEXITED) != 0;
        if (dead)
            wait_took_zombie(c, r);
        else if (c->zombie || !wait_took_stop(c, q, r))
            continue;
        r->pid = c->pid;
        r->uid = c->cred.uid;
        rusage_of(c, RUSAGE_BOTH, &r->usage);
        if (dead && (q->options & LX_WNOWAIT) == 0)
            wait_reap(c);
        return 1;
    }
    return found;
}

static int wait_locked_look(const struct wait_query *q, struct wait_result *r)
{
    mutex_lock(&proc_lock);
    int found = wait_look(q, r);
    mutex_unlock(&proc_lock);
    return found;
}

/* 1, 0 (WNOHANG) or -errno. */
static int wait_for_child(const struct wait_query *q, struct wait_result *res)
{
    struct process *me = current()->proc;
    int found = wait_locked_look(q, res);
    int r = 0;

    if (found != 0 || (q->options & LX_WNOHANG) != 0)
        return found;
    if (q->nonblock)
        return -EAGAIN;
    WAIT_FOR(r, &me->child_wait, (found = wait_locked_look(q, res)) != 0,
             WAIT_SIGNALS, NSEC_NEVER);
    return r < 0 ? r : found;
}

int64_t sys_wait4(const uint64_t *a)
{
    int32_t pid = (int32_t)a[0];
    uint32_t options = (uint32_t)a[2];
    struct wait_query q = {.which = LX_P_ALL, .options = options | LX_WEXITED};
    struct wait_result r = {.pid = 0};

    if ((options & ~(LX_WNOHANG | LX_WUNTRACED | LX_WCONTINUED | LX_WNOTHREAD |
                     LX_WALL | LX_WCLONE)) != 0)
        return -EINVAL;
    if (pid == INT32_MIN)
        return -ESRCH;
    if (pid > 0) {
        q.which = LX_P_PID;
        q.id = pid;
    } else if (pid != -1) {
        q.which = LX_P_PGID;
        q.id = pid == 0 ? current()->proc->pgid : -pid;
    }
    int found = wait_for_child(&q, &r);
    if (found <= 0)
        return found;
    if (a[1] != 0 && put_user_u32(uptr(a[1]), (uint32_t)r.status) < 0)
        return -EFAULT;
    if (a[3] != 0 && copy_to_user(uptr(a[3]), &r.usage, sizeof(r.usage)) < 0)
        return -EFAULT;
    return r.pid;
}

static int wait_id_query(const uint64_t *a, struct wait_query *q)
{
    uint32_t options = (uint32_t)a[3];
    uint32_t events = LX_WEXITED | LX_WSTOPPED | LX_WCONTINUED;

    if ((options & ~(events | LX_WNOHANG | LX_WNOWAIT | LX_WNOTHREAD | LX_WALL |
                     LX_WCLONE)) != 0 ||
        (options & events) == 0)
        return -EINVAL;
    *q = (struct wait_query){
        .which = (int)a[0], .id = (int32_t)a[1], .options = options};
    switch (q->which) {
    case LX_P_ALL: return 0;
    case LX_P_PID: return q->id > 0 ? 0 : -EINVAL;
    case LX_P_PGID:
        if (q->id == 0)
            q->id = current()->proc->pgid;
        return q->id > 0 ? 0 : -EINVAL;
    case LX_P_PIDFD: {
        if (q->id < 0)
            return -EINVAL;
        struct process *p = pidfd_get(q->id);
        if (p == NULL)
            return -EBADF;
        struct file *f = fd_get(q->id);
        if (f != NULL) {
            q->nonblock = (f->flags & LX_O_NONBLOCK) != 0;
            file_put(f);
        }
        q->which = LX_P_PID;
        q->id = p->pid;
        process_put(p);
        return 0;
    }
    default: return -EINVAL;
    }
}

int64_t sys_waitid(const uint64_t *a)
{
    struct wait_query q;
    struct wait_result r = {.pid = 0};
    struct lx_siginfo si;
    int err = wait_id_query(a, &q);

    if (err < 0)
        return err;
    int found = wait_for_child(&q, &r);
    /* Written even when there is no child: zeros. */
    signal_info(&si, found > 0 ? LX_SIGCHLD : 0, r.code);
    si.pid = r.pid;
    si.uid = r.uid;
    si.chld.status = r.value;
    if (a[2] != 0 && copy_to_user(uptr(a[2]), &si, sizeof(si)) < 0)
        return -EFAULT;
    if (found < 0)
        return found;
    if (found != 0 && a[4] != 0 &&
        copy_to_user(uptr(a[4]), &r.usage, sizeof(r.usage)) < 0)
        return -EFAULT;
    return 0;
}
