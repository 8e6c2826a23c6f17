// SPDX-License-Identifier: Apache-2.0
/*
 * System V semaphores: semget(2), semop(2), semtimedop(2), semctl(2), and what
 * SEM_UNDO takes back at a process's end. One mutex guards all sets.
 */
#include <arch_types.h>

#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/core/kmem.h"
#include "guest/core/list.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/core/wait.h"
#include "guest/sys/calls_proc.h"
#include "guest/sys/ipc.h"
#include "guest/sys/timespec.h"

#define SEMMSL   32000
#define SEMMNI   32000
#define SEMMNS   (1u << 20) /* semaphores of all sets: kernel memory */
#define SEMOPM   500
#define SEMVMX   32767
#define UNDO_MAX 4096u /* processes times sets */

#define SEM_UNDO     0x1000
#define GETPID       11
#define GETVAL       12
#define GETALL       13
#define GETNCNT      14
#define GETZCNT      15
#define SETVAL       16
#define SETALL       17
#define SEM_STAT     18
#define SEM_INFO     19
#define SEM_STAT_ANY 20

struct lx_sembuf {
    uint16_t num;
    int16_t op, flags;
};

struct sem {
    uint16_t value;
    int32_t pid; /* of the last operation */
};

struct sem_undo { /* of one process */
    struct list node;
    const struct process *proc; /* identity, never followed */
    int16_t adjust[];
};

struct sem_sleeper { /* on the stack of semop(2) */
    struct list node;
    uint16_t num;
    bool zero; /* waits for 0, not for more */
};

struct semset {
    struct ipc_perm perm; /* first */
    uint32_t count;
    int64_t otime, ctime;
    struct list undos, sleeping;
    struct waitq wait;
    uint32_t sleepers; /* who still look at it */
    bool removed;
    struct sem sem[];
};

struct lx_semid64_ds { /* asm/sembuf.h: x86-64 has a word after each time */
    struct lx_ipc64_perm perm;
    int64_t otime[1 + ARCH_SEMID_PAD];
    int64_t ctime[1 + ARCH_SEMID_PAD];
    uint64_t nsems, unused[2];
};

static struct ipc_ids sem_ids = IPC_IDS(sem_ids, SEMMNI);
static uint32_t sem_total, sem_undos; /* sem_ids.lock */

static struct semset *semset_of(struct ipc_perm *p)
{
    return CONTAINER_OF(p, struct semset, perm);
}

static void semset_free_unused(struct semset *s)
{
    if (s->removed && s->sleepers == 0)
        kfree(s);
}

/* --- semget(2) --- */

static int semset_new(int32_t key, int count, int flags)
{
    if (count == 0 || count > SEMMSL)
        return -EINVAL;
    if (sem_total + (uint32_t)count > SEMMNS)
        return -ENOSPC;
    struct semset *s = kzalloc(sizeof(*s) + (size_t)count * sizeof(struct sem));
    if (s == NULL)
        return -ENOMEM;
    int r = ipc_add(&sem_ids, &s->perm, key, flags);
    if (r < 0) {
        kfree(s);
        return r;
    }
    s->count = (uint32_t)count;
    s->ctime = ipc_now();
    list_init(&s->undos);
    list_init(&s->sleeping);
    waitq_init(&s->wait);
    sem_total += s->count;
    return r;
}

int64_t sys_semget(const uint64_t *a)
{
    int count = (int)a[1];
    int flags = (int)a[2];
    struct ipc_perm *p;

    if (count < 0 || count > SEMMSL)
        return -EINVAL;
    mutex_lock(&sem_ids.lock);
    int r = ipc_get(&sem_ids, (int32_t)a[0], flags, &p);
    if (r == 0 && p == NULL) {
        r = semset_new((int32_t)a[0], count, flags);
    } else if (r == 0) {
        r = (uint32_t)count > semset_of(p)->count
                ? -EINVAL
                : ipc_access(p, (uint32_t)flags);
        r = r == 0 ? p->id : r;
    }
    mutex_unlock(&sem_ids.lock);
    return r;
}

/* --- SEM_UNDO --- */

static struct sem_undo *undo_find(const struct semset *s,
                                  const struct process *p)
{
    LIST_FOR(it, &s->undos)
    {
        struct sem_undo *u = LIST_ENTRY(it, struct sem_undo, node);
        if (u->proc == p)
            return u;
    }
    return NULL;
}

static void undo_free(struct sem_undo *u)
{
    list_remove(&u->node);
    sem_undos--;
    kfree(u);
}

static void undo_exit(struct process *p)
{
    if (__atomic_load_n(&sem_undos, __ATOMIC_RELAXED) == 0)
        return;
    mutex_lock(&sem_ids.lock);
    for (uint32_t i = 0; i < sem_ids.room; i++) {
        struct semset *s =
            sem_ids.slot[i] != NULL ? semset_of(sem_ids.slot[i]) : NULL;
        struct sem_undo *u = s != NULL ? undo_find(s, p) : NULL;
        if (u == NULL)
            continue;
        for (uint32_t k = 0; k < s->count; k++) {
            int32_t v = s->sem[k].value + u->adjust[k];
            if (u->adjust[k] != 0)
                s->sem[k].pid = p->pid;
            s->sem[k].value = (uint16_t)MIN(MAX(v, 0), SEMVMX);
        }
        s->otime = ipc_now();
        undo_free(u);
        waitq_wake(&s->wait, 0, WAKE_ALL);
    }
    mutex_unlock(&sem_ids.lock);
}

/* The caller's, made if need be. */
static struct sem_undo *undo_get(struct semset *s)
{
    const struct process *me = current()->proc;
    struct sem_undo *u = undo_find(s, me);

    if (u != NULL || sem_undos >= UNDO_MAX)
        return u;
    u = kzalloc(sizeof(*u) + s->count * sizeof(u->adjust[0]));
    if (u == NULL)
        return NULL;
    __atomic_store_n(&process_at_exit, undo_exit, __ATOMIC_RELAXED);
    u->proc = me;
    list_init(&u->node);
    list_add_tail(&s->undos, &u->node);
    sem_undos++;
    return u;
}

/* --- semop(2) --- */

struct semop {
    struct lx_sembuf *ops;
    unsigned count;
    bool alter, undo;
    nsec_t deadline;
};

/* One operation: 0, 1 it has to wait, or -ERANGE. */
static int sem_apply(struct semset *s, const struct lx_sembuf *op,
                     struct sem_undo *u)
{
    struct sem *m = &s->sem[op->num];
    int32_t v = m->value + op->op;

    if (op->op == 0)
        return m->value != 0;
    if (v < 0)
        return 1;
    if (v > SEMVMX)
        return -ERANGE;
    if ((op->flags & SEM_UNDO) != 0) {
        int32_t adjust = u->adjust[op->num] - op->op;
        if (adjust < -SEMVMX - 1 || adjust > SEMVMX)
            return -ERANGE;
        u->adjust[op->num] = (int16_t)adjust;
    }
    m->value = (uint16_t)v;
    return 0;
}

/* All operations or none: 0, 1 for waiting on ops[*at], -ERANGE. */
static int sem_try(struct semset *s, const struct semop *o, struct sem_undo *u,
                   unsigned *at)
{
    int r = 0;
    unsigned i = 0;

    while (r == 0 && i < o->count)
        r = sem_apply(s, &o->ops[i++], u);
    if (r == 0) {
        for (unsigned k = 0; k < o->count; k++)
            s->sem[o->ops[k].num].pid = current()->proc->pid;
        s->otime = ipc_now();
        if (o->alter)
            waitq_wake(&s->wait, 0, WAKE_ALL);
        return 0;
    }
    *at = --i;
    while (i-- > 0) { /* take back what was done */
        const struct lx_sembuf *op = &o->ops[i];
        s->sem[op->num].value = (uint16_t)(s->sem[op->num].value - op->op);
        if ((op->flags & SEM_UNDO) != 0 && op->op != 0)
            u->adjust[op->num] = (int16_t)(u->adjust[op->num] + op->op);
    }
    return r;
}

/* The lock is given up until something changes. 0, -EINTR, -EAGAIN; -EIDRM,
 * and then the set is not to be touched. */
static int sem_sleep(struct semset *s, const struct lx_sembuf *op,
                     nsec_t deadline)
{
    struct sem_sleeper sl = {.num = op->num, .zero = op->op == 0};
    struct waiter w;

    list_init(&sl.node);
    list_add_tail(&s->sleeping, &sl.node);
    s->sleepers++;
    waiter_init(&w);
    waitq_add(&s->wait, &w);
    mutex_unlock(&sem_ids.lock);
    int r = wait_sleep(WAIT_SIGNALS, deadline);
    waiter_done(&w);
    mutex_lock(&sem_ids.lock);
    list_remove(&sl.node);
    s->sleepers--;
    bool removed = s->removed;
    semset_free_unused(s);
    if (removed)
        return -EIDRM;
    if (r == -ETIMEDOUT)
        return -EAGAIN;
    return r < 0 ? -EINTR : 0;
}

static int sem_check(const struct semset *s, const struct semop *o)
{
    for (unsigned i = 0; i < o->count; i++)
        if (o->ops[i].num >= s->count)
            return -EFBIG;
    return ipc_access(&s->perm, o->alter ? 0222 : 0444);
}

static int sem_operate(int32_t id, const struct semop *o)
{
    struct ipc_perm *p;
    struct sem_undo *u = NULL;
    unsigned at = 0;
    int r = ipc_find(&sem_ids, id, &p);

    if (r == 0)
        r = sem_check(semset_of(p), o);
    if (r < 0)
        return r;
    struct semset *s = semset_of(p);
    for (;;) {
        /* A SETALL meanwhile has taken it away, so each time. */
        u = o->undo ? undo_get(s) : NULL;
        if (o->undo && u == NULL)
            return -ENOMEM;
        r = sem_try(s, o, u, &at);
        if (r <= 0)
            return r;
        if ((o->ops[at].flags & IPC_NOWAIT) != 0)
            return -EAGAIN;
        r = sem_sleep(s, &o->ops[at], o->deadline);
        if (r < 0)
            return r;
    }
}

static int64_t do_semop(const uint64_t *a, nsec_t deadline)
{
    struct semop o = {.count = (unsigned)a[2], .deadline = deadline};

    if (a[2] == 0 || (int32_t)a[0] < 0)
        return -EINVAL;
    if (a[2] > SEMOPM)
        return -E2BIG;
    o.ops = kmalloc(a[2] * sizeof(*o.ops));
    if (o.ops == NULL)
        return -ENOMEM;
    int r = copy_from_user(o.ops, uptr(a[1]), a[2] * sizeof(*o.ops));
    for (unsigned i = 0; r == 0 && i < o.count; i++) {
        o.alter = o.alter || o.ops[i].op != 0;
        o.undo =
            o.undo || ((o.ops[i].flags & SEM_UNDO) != 0 && o.ops[i].op != 0);
    }
    if (r == 0) {
        mutex_lock(&sem_ids.lock);
        r = sem_operate((int32_t)a[0], &o);
        mutex_unlock(&sem_ids.lock);
    }
    kfree(o.ops);
    return r;
}

int64_t sys_semop(const uint64_t *a)
{
    return do_semop(a, NSEC_NEVER);
}

int64_t sys_semtimedop(const uint64_t *a)
{
    struct lx_timespec ts;
    nsec_t ns;

    if (a[3] == 0)
        return do_semop(a, NSEC_NEVER);
    if (copy_from_user(&ts, uptr(a[3]), sizeof(ts)) < 0)
        return -EFAULT;
    if (timespec_to_nsec(&ts, &ns) < 0)
        return -EINVAL;
    return do_semop(a, timespec_after(clock_now(), ns));
}

/* --- semctl(2) --- */

static int64_t sem_info(int cmd, uint64_t to)
{
    /* struct seminfo: map mni mns mnu msl opm ume usz vmx aem */
    int32_t v[10] = {(int32_t)SEMMNS, SEMMNI, (int32_t)SEMMNS, (int32_t)SEMMNS,
                     SEMMSL,          SEMOPM, SEMOPM,          20,
                     SEMVMX,          SEMVMX};

    mutex_lock(&sem_ids.lock);
    int64_t r = ipc_last(&sem_ids);
    if (cmd == SEM_INFO) {
        v[7] = (int32_t)sem_ids.used;
        v[9] = (int32_t)sem_total;
    }
    mutex_unlock(&sem_ids.lock);
    return copy_to_user(uptr(to), v, sizeof(v)) < 0 ? -EFAULT : r;
}

static int64_t sem_stat(int cmd, int32_t id, uint64_t to)
{
    struct ipc_perm *p;
    struct lx_semid64_ds ds = {.nsems = 0};

    mutex_lock(&sem_ids.lock);
    int r = ipc_look(&sem_ids, id, cmd == IPC_STAT, cmd == SEM_STAT_ANY, &p);
    if (r == 0) {
        const struct semset *s = semset_of(p);
        ipc_stat(p, &ds.perm);
        ds.otime[0] = s->otime;
        ds.ctime[0] = s->ctime;
        ds.nsems = s->count;
        r = cmd == IPC_STAT ? 0 : p->id;
    }
    mutex_unlock(&sem_ids.lock);
    if (r >= 0 && copy_to_user(uptr(to), &ds, sizeof(ds)) < 0)
        return -EFAULT;
    return r;
}

static void sem_remove(struct semset *s)
{
    while (!list_empty(&s->undos))
        undo_free(LIST_ENTRY(s->undos.next, struct sem_undo, node));
    ipc_remove(&sem_ids, &s->perm);
    sem_total -= s->count;
    s->removed = true;
    waitq_wake(&s->wait, 0, WAKE_ALL);
    semset_free_unused(s);
}

static int64_t sem_change(int cmd, int32_t id, const struct lx_semid64_ds *to)
{
    struct ipc_perm *p;

    mutex_lock(&sem_ids.lock);
    int r = ipc_own(&sem_ids, id, &p);
    if (r == 0 && cmd == IPC_SET) {
        r = ipc_set(p, &to->perm);
        if (r == 0)
            semset_of(p)->ctime = ipc_now();
    } else if (r == 0) {
        sem_remove(semset_of(p));
    }
    mutex_unlock(&sem_ids.lock);
    return r;
}

static int64_t sem_sleeping(const struct semset *s, uint32_t num, bool zero)
{
    int64_t n = 0;

    LIST_FOR(it, &s->sleeping)
    {
        const struct sem_sleeper *sl = LIST_ENTRY(it, struct sem_sleeper, node);
        n += sl->num == num && sl->zero == zero;
    }
    return n;
}

/* The commands about one semaphore; `value` for SETVAL. */
static int64_t sem_one(struct semset *s, int cmd, uint32_t num, int32_t value)
{
    if (num >= s->count)
        return -EINVAL;
    switch (cmd) {
    case GETVAL: return s->sem[num].value;
    case GETPID: return s->sem[num].pid;
    case GETNCNT: return sem_sleeping(s, num, false);
    case GETZCNT: return sem_sleeping(s, num, true);
    default: break;
    }
    if (value < 0 || value > SEMVMX)
        return -ERANGE;
    LIST_FOR(it, &s->undos)
    LIST_ENTRY(it, struct sem_undo, node)->adjust[num] = 0;
    s->sem[num].value = (uint16_t)value;
    s->sem[num].pid = current()->proc->pid;
    s->ctime = ipc_now();
    waitq_wake(&s->wait, 0, WAKE_ALL);
    return 0;
}

static int64_t sem_value(int cmd, const uint64_t *a)
{
    struct ipc_perm *p;

    mutex_lock(&sem_ids.lock);
    int64_t r =
        ipc_use(&sem_ids, (int32_t)a[0], cmd == SETVAL ? 0222 : 0444, &p);
    if (r == 0)
        r = sem_one(semset_of(p), cmd, (uint32_t)a[1], (int32_t)a[3]);
    mutex_unlock(&sem_ids.lock);
    return r;
}

static int sem_set_all(struct semset *s, const uint16_t *values)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (values[i] > SEMVMX)
            return -ERANGE;
    for (uint32_t i = 0; i < s->count; i++) {
        s->sem[i].value = values[i];
        s->sem[i].pid = current()->proc->pid;
    }
    while (!list_empty(&s->undos))
        undo_free(LIST_ENTRY(s->undos.next, struct sem_undo, node));
    s->ctime = ipc_now();
    waitq_wake(&s->wait, 0, WAKE_ALL);
    return 0;
}

/* GETALL, SETALL: user memory is copied with the mutex held; a page fault
 * takes none of ours. */
static int sem_copy_all(struct semset *s, int cmd, uptr_t at)
{
    size_t size = s->count * sizeof(uint16_t);
    uint16_t *v = kmalloc(size);
    int r;

    if (v == NULL)
        return -ENOMEM;
    if (cmd == SETALL) {
        r = copy_from_user(v, at, size);
        r = r == 0 ? sem_set_all(s, v) : r;
    } else {
        for (uint32_t i = 0; i < s->count; i++)
            v[i] = s->sem[i].value;
        r = copy_to_user(at, v, size);
    }
    kfree(v);
    return r;
}

static int64_t sem_all(int cmd, int32_t id, uint64_t at)
{
    struct ipc_perm *p;

    mutex_lock(&sem_ids.lock);
    int r = ipc_use(&sem_ids, id, cmd == SETALL ? 0222 : 0444, &p);
    if (r == 0)
        r = sem_copy_all(semset_of(p), cmd, uptr(at));
    mutex_unlock(&sem_ids.lock);
    return r;
}

int64_t sys_semctl(const uint64_t *a)
{
    int cmd = (int)a[2];
    int32_t id = (int32_t)a[0];
    struct lx_semid64_ds ds;

    if (id < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case SEM_INFO: return sem_info(cmd, a[3]);
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY: return sem_stat(cmd, id, a[3]);
    case GETALL:
    case SETALL: return sem_all(cmd, id, a[3]);
    case GETPID:
    case GETVAL:
    case GETNCNT:
    case GETZCNT:
    case SETVAL: return sem_value(cmd, a);
    case IPC_SET:
        if (copy_from_user(&ds, uptr(a[3]), sizeof(ds)) < 0)
            return -EFAULT;
        return sem_change(cmd, id, &ds);
    case IPC_RMID: return sem_change(cmd, id, NULL);
    default: return -EINVAL;
    }
}

int sem_show(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "       key      semid perms      nsems   uid   gid  cuid  "
                   "cgid      otime      ctime\n");
    mutex_lock(&sem_ids.lock);
    for (uint32_t i = 0; i < sem_ids.room; i++) {
        if (sem_ids.slot[i] == NULL)
            continue;
        const struct semset *s = semset_of(sem_ids.slot[i]);
        const struct ipc_perm *p = &s->perm;
        text_printf(t, "%10d %10d  %4o %10u %5u %5u %5u %5u %10ld %10ld\n",
                    p->key, p->id, p->mode, s->count, p->uid, p->gid, p->cuid,
                    p->cgid, (long)s->otime, (long)s->ctime);
    }
    mutex_unlock(&sem_ids.lock);
    return 0;
}
