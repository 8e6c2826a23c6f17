// SPDX-License-Identifier: Apache-2.0
/* Terminals and job control: sessions, foreground groups. credentials(7),
 * setsid(2), tcsetpgrp(3). tty.session and tty.pgrp change under proc_lock. */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/signal_impl.h"
#include "guest/core/task.h"
#include "guest/fs/tty_impl.h"

bool tty_is_mine(const struct tty *t)
{
    const struct session *s = current()->proc->session;
    return s != NULL && __atomic_load_n(&s->tty, __ATOMIC_RELAXED) == t;
}

static bool signal_is_off(const struct task *t, int signo)
{
    return (t->sigmask & SIG_BIT(signo)) != 0 ||
           t->proc->sighand->action[signo - 1].handler == LX_SIG_IGN;
}

int tty_check_job(struct tty *t, int signo)
{
    const struct task *me = current();
    int32_t pgid = me->proc->pgid;
    if (!tty_is_mine(t) || t->pgrp == 0 || pgid == t->pgrp)
        return 0;
    if (signal_is_off(me, signo))
        return signo == LX_SIGTTIN ? -EIO : 0;
    mutex_lock(&proc_lock);
    bool orphaned = signal_pgrp_orphaned(pgid, NULL);
    mutex_unlock(&proc_lock);
    if (orphaned)
        return -EIO;
    signal_send_pgrp(pgid, signo);
    return -ERESTARTSYS;
}

/* proc_lock is held, and neither side has a partner. */
static void tty_join(struct tty *t, struct process *p)
{
    tty_get(t);
    session_get(p->session);
    p->session->tty = t;
    t->session = p->session;
    t->pgrp = p->pgid;
}

/* proc_lock is held. The caller puts what is returned. */
static struct session *tty_part(struct tty *t)
{
    struct session *s = t->session;
    t->session = NULL;
    t->pgrp = 0;
    if (s != NULL)
        s->tty = NULL;
    return s;
}

static bool is_leader(const struct process *p)
{
    return p->session->id == p->pid;
}

void tty_open_job(struct tty *t, uint32_t open_flags)
{
    struct process *p = current()->proc;
    if ((open_flags & LX_O_NOCTTY) != 0)
        return;
    mutex_lock(&proc_lock);
    if (is_leader(p) && p->session->tty == NULL && t->session == NULL)
        tty_join(t, p);
    mutex_unlock(&proc_lock);
}

int tty_set_controlling(struct tty *t, bool steal)
{
    struct process *p = current()->proc;
    struct session *old = NULL;
    int r = 0;
    mutex_lock(&proc_lock);
    if (is_leader(p) && t->session == p->session) {
        mutex_unlock(&proc_lock);
        return 0;
    }
    if (!is_leader(p) || p->session->tty != NULL)
        r = -EPERM;
    else if (t->session != NULL && !(steal && cred_capable(p, 21)))
        r = -EPERM; /* 21: CAP_SYS_ADMIN */
    else if (t->session != NULL)
        old = tty_part(t);
    if (r == 0)
        tty_join(t, p);
    mutex_unlock(&proc_lock);
    if (old != NULL) {
        session_put(old);
        tty_put(t);
    }
    return r;
}

/* Signals first: who is told must still be found by the group. */
static void leave(struct tty *t, int32_t also)
{
    mutex_lock(&proc_lock);
    int32_t pgrp = t->pgrp;
    struct session *s = tty_part(t);
    mutex_unlock(&proc_lock);
    if (s == NULL)
        return;
    if (also > 0) {
        signal_send_pgrp(also, LX_SIGHUP);
        signal_send_pgrp(also, LX_SIGCONT);
    }
    if (pgrp > 0 && pgrp != also) {
        signal_send_pgrp(pgrp, LX_SIGHUP);
        signal_send_pgrp(pgrp, LX_SIGCONT);
    }
    session_put(s);
    tty_put(t);
}

void tty_leave_session(struct tty *t, bool hangup)
{
    mutex_lock(&proc_lock);
    int32_t leader = hangup && t->session != NULL ? t->session->id : 0;
    mutex_unlock(&proc_lock);
    leave(t, leader);
}

static struct tty *session_tty(struct session *s)
{
    mutex_lock(&proc_lock);
    struct tty *t = s->tty;
    if (t != NULL)
        tty_get(t);
    mutex_unlock(&proc_lock);
    return t;
}

void tty_session_exit(struct session *s)
{
    struct tty *t = s->tty != NULL ? session_tty(s) : NULL;
    if (t == NULL)
        return;
    leave(t, 0);
    tty_put(t);
}

int tty_give_up(struct tty *t)
{
    struct process *p = current()->proc;
    if (!tty_is_mine(t))
        return -ENOTTY;
    if (is_leader(p))
        leave(t, 0);
    return 0;
}

static bool pgrp_in_session(int32_t pgrp, const struct session *s, bool *exists)
{
    *exists = false;
    LIST_FOR(it, &proc_list)
    {
        const struct process *p = LIST_ENTRY(it, struct process, all_node);
        if (p->pgid != pgrp)
            continue;
        *exists = true;
        return p->session == s;
    }
    return false;
}

int tty_set_pgrp(struct tty *t, int32_t pgrp)
{
    int r = tty_check_job(t, LX_SIGTTOU);
    if (r < 0)
        return r;
    if (pgrp < 0)
        return -EINVAL;
    mutex_lock(&proc_lock);
    struct session *mine = current()->proc->session;
    bool exists;
    if (mine->tty != t || t->session != mine)
        r = -ENOTTY;
    else if (!pgrp_in_session(pgrp, mine, &exists))
        r = exists ? -EPERM : -ESRCH;
    else
        t->pgrp = pgrp;
    mutex_unlock(&proc_lock);
    return r;
}

int tty_session_id(struct tty *t, int32_t *id)
{
    mutex_lock(&proc_lock);
    *id = t->session != NULL ? t->session->id : 0;
    mutex_unlock(&proc_lock);
    return *id != 0 ? 0 : -ENOTTY;
}
