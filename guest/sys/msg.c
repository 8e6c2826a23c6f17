// SPDX-License-Identifier: Apache-2.0
/* System V message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2). */
#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/list.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/core/wait.h"
#include "guest/sys/calls_proc.h"
#include "guest/sys/ipc.h"

#define MSGMAX 8192
#define MSGMNB 16384u
#define MSGMNI 32000
/* Of all queues together: kernel memory that programs may fill. */
#define MSG_BYTES_MAX (16u << 20)

#define MSG_NOERROR  010000
#define MSG_EXCEPT   020000
#define MSG_COPY     040000
#define MSG_STAT     11
#define MSG_INFO     12
#define MSG_STAT_ANY 13

struct msg {
    struct list node;
    int64_t type;
    uint64_t size;
    char data[];
};

struct msq {
    struct ipc_perm perm; /* first */
    struct list msgs;
    uint64_t bytes, count, bytes_max;
    int64_t stime, rtime, ctime;
    int32_t lspid, lrpid;
    struct waitq wait; /* senders and receivers */
    uint32_t sleepers; /* who still look at it */
    bool removed;
};

struct lx_msqid64_ds { /* asm-generic/msgbuf.h */
    struct lx_ipc64_perm perm;
    int64_t stime, rtime, ctime;
    uint64_t cbytes, qnum, qbytes;
    int32_t lspid, lrpid;
    uint64_t unused[2];
};
static_assert(sizeof(struct lx_msqid64_ds) == 120, "msgbuf.h");

static struct ipc_ids msg_ids = IPC_IDS(msg_ids, MSGMNI);
static uint64_t msg_bytes, msg_count; /* in all queues; msg_ids.lock */

static struct msq *msq_of(struct ipc_perm *p)
{
    return CONTAINER_OF(p, struct msq, perm);
}

int64_t sys_msgget(const uint64_t *a)
{
    int flags = (int)a[1];
    struct ipc_perm *p;

    mutex_lock(&msg_ids.lock);
    int r = ipc_get(&msg_ids, (int32_t)a[0], flags, &p);
    if (r == 0 && p == NULL) {
        struct msq *q = kzalloc(sizeof(*q));
        r = q != NULL ? ipc_add(&msg_ids, &q->perm, (int32_t)a[0], flags)
                      : -ENOMEM;
        if (r >= 0) {
            list_init(&q->msgs);
            waitq_init(&q->wait);
            q->bytes_max = MSGMNB;
            q->ctime = ipc_now();
        } else {
            kfree(q);
        }
    } else if (r == 0) {
        r = ipc_access(p, (uint32_t)flags);
        r = r == 0 ? p->id : r;
    }
    mutex_unlock(&msg_ids.lock);
    return r;
}

/* Out of its queue; freed by the caller. */
static void msg_take(struct msq *q, struct msg *m)
{
    list_remove(&m->node);
    q->bytes -= m->size;
    q->count--;
    msg_bytes -= m->size + sizeof(*m);
    msg_count--;
}

static void msq_free_unused(struct msq *q)
{
    if (q->removed && q->sleepers == 0)
        kfree(q);
}

/* The lock is given up until something changes. 0, -EINTR or -EIDRM, and then
 * the queue is not to be touched. */
static int msq_sleep(struct msq *q)
{
    struct waiter w;

    q->sleepers++;
    waiter_init(&w);
    waitq_add(&q->wait, &w);
    mutex_unlock(&msg_ids.lock);
    int r = wait_sleep(WAIT_SIGNALS, NSEC_NEVER);
    waiter_done(&w);
    mutex_lock(&msg_ids.lock);
    q->sleepers--;
    bool removed = q->removed;
    msq_free_unused(q);
    if (removed)
        return -EIDRM;
    return r < 0 ? -EINTR : 0;
}

/* --- msgsnd(2) --- */

static bool msq_fits(const struct msq *q, const struct msg *m)
{
    return q->bytes + m->size <= q->bytes_max && q->count < q->bytes_max;
}

static int msg_send(int32_t id, struct msg *m, int flags)
{
    struct ipc_perm *p;
    int r = ipc_use(&msg_ids, id, 0222, &p);
    if (r < 0)
        return r;
    struct msq *q = msq_of(p);
    while (!msq_fits(q, m)) {
        r = (flags & IPC_NOWAIT) != 0 ? -EAGAIN : msq_sleep(q);
        if (r < 0)
            return r;
    }
    if (msg_bytes + m->size + sizeof(*m) > MSG_BYTES_MAX)
        return -ENOMEM;
    list_add_tail(&q->msgs, &m->node);
    q->bytes += m->size;
    q->count++;
    msg_bytes += m->size + sizeof(*m);
    msg_count++;
    q->stime = ipc_now();
    q->lspid = current()->proc->pid;
    waitq_wake(&q->wait, 0, WAKE_ALL);
    return 0;
}

int64_t sys_msgsnd(const uint64_t *a)
{
    uint64_t type;

    if (get_user_u64(&type, uptr(a[1])) < 0)
        return -EFAULT;
    if ((int32_t)a[0] < 0 || a[2] > MSGMAX || (int64_t)type < 1)
        return -EINVAL;
    struct msg *m = kzalloc(sizeof(*m) + a[2]);
    if (m == NULL)
        return -ENOMEM;
    list_init(&m->node);
    m->type = (int64_t)type;
    m->size = a[2];
    int r = copy_from_user(m->data, uptr(a[1] + sizeof(type)), m->size);
    if (r == 0) {
        mutex_lock(&msg_ids.lock);
        r = msg_send((int32_t)a[0], m, (int)a[3]);
        mutex_unlock(&msg_ids.lock);
    }
    if (r < 0)
        kfree(m);
    return r;
}

/* --- msgrcv(2) --- */

static bool msg_wanted(const struct msg *m, int64_t type, int flags)
{
    if (type == 0)
        return true;
    if (type < 0)
        return type == INT64_MIN || m->type <= -type;
    return (m->type == type) == ((flags & MSG_EXCEPT) == 0);
}

static struct msg *msg_pick(const struct msq *q, int64_t type, int flags)
{
    struct msg *best = NULL;
    int64_t index = 0;

    LIST_FOR(it, &q->msgs)
    {
        struct msg *m = LIST_ENTRY(it, struct msg, node);
        if ((flags & MSG_COPY) != 0) {
            if (index++ == type)
                return m;
        } else if (msg_wanted(m, type, flags)) {
            if (type >= 0)
                return m;
            if (best == NULL || m->type < best->type)
                best = m;
        }
    }
    return best;
}

/* A copy for MSG_COPY: the original stays. */
static struct msg *msg_copy(const struct msg *m)
{
    struct msg *c = kmalloc(sizeof(*c) + m->size);

    if (c == NULL)
        return NULL;
    memcpy(c, m, sizeof(*c) + m->size);
    list_init(&c->node);
    return c;
}

static int msg_receive(const uint64_t *a, struct msg **out)
{
    int flags = (int)a[4];
    struct ipc_perm *p;
    struct msg *m;
    int r = ipc_use(&msg_ids, (int32_t)a[0], 0444, &p);
    if (r < 0)
        return r;
    struct msq *q = msq_of(p);
    while ((m = msg_pick(q, (int64_t)a[3], flags)) == NULL) {
        r = (flags & IPC_NOWAIT) != 0 ? -ENOMSG : msq_sleep(q);
        if (r < 0)
            return r;
    }
    if (m->size > a[2] && (flags & MSG_NOERROR) == 0)
        return -E2BIG;
    if ((flags & MSG_COPY) != 0) {
        *out = msg_copy(m);
        return *out != NULL ? 0 : -ENOMEM;
    }
    msg_take(q, m);
    *out = m;
    q->rtime = ipc_now();
    q->lrpid = current()->proc->pid;
    waitq_wake(&q->wait, 0, WAKE_ALL);
    return 0;
}

int64_t sys_msgrcv(const uint64_t *a)
{
    struct msg *m = NULL;
    int flags = (int)a[4];

    if ((int32_t)a[0] < 0 || (int64_t)a[2] < 0)
        return -EINVAL;
    if ((flags & MSG_COPY) != 0 &&
        ((flags & MSG_EXCEPT) != 0 || (flags & IPC_NOWAIT) == 0))
        return -EINVAL;
    mutex_lock(&msg_ids.lock);
    int64_t r = msg_receive(a, &m);
    mutex_unlock(&msg_ids.lock);
    if (r < 0)
        return r;
    uint64_t n = MIN(a[2], m->size);
    r = (int64_t)n;
    if (put_user_u64(uptr(a[1]), (uint64_t)m->type) < 0 ||
        copy_to_user(uptr(a[1] + sizeof(m->type)), m->data, n) < 0)
        r = -EFAULT;
    kfree(m);
    return r;
}

/* --- msgctl(2) --- */

static int64_t msg_info(int cmd, uint64_t to)
{
    /* struct msginfo: pool map max mnb mni ssz tql, and a short */
    int32_t v[8] = {MSGMNI * (int32_t)MSGMNB / 1024,
                    (int32_t)MSGMNB,
                    MSGMAX,
                    (int32_t)MSGMNB,
                    MSGMNI,
                    16,
                    (int32_t)MSGMNB,
                    0xffff};

    mutex_lock(&msg_ids.lock);
    int64_t r = ipc_last(&msg_ids);
    if (cmd == MSG_INFO) {
        v[0] = (int32_t)msg_ids.used;
        v[1] = (int32_t)msg_count;
        v[6] = (int32_t)(msg_bytes - msg_count * sizeof(struct msg));
    }
    mutex_unlock(&msg_ids.lock);
    return copy_to_user(uptr(to), v, sizeof(v)) < 0 ? -EFAULT : r;
}

static int64_t msg_stat(int cmd, int32_t id, uint64_t to)
{
    struct ipc_perm *p;
    struct lx_msqid64_ds ds = {.cbytes = 0};

    mutex_lock(&msg_ids.lock);
    int r = ipc_look(&msg_ids, id, cmd == IPC_STAT, cmd == MSG_STAT_ANY, &p);
    if (r == 0) {
        const struct msq *q = msq_of(p);
        ipc_stat(p, &ds.perm);
        ds.stime = q->stime;
        ds.rtime = q->rtime;
        ds.ctime = q->ctime;
        ds.cbytes = q->bytes;
        ds.qnum = q->count;
        ds.qbytes = q->bytes_max;
        ds.lspid = q->lspid;
        ds.lrpid = q->lrpid;
        r = cmd == IPC_STAT ? 0 : p->id;
    }
    mutex_unlock(&msg_ids.lock);
    if (r >= 0 && copy_to_user(uptr(to), &ds, sizeof(ds)) < 0)
        return -EFAULT;
    return r;
}

static void msq_remove(struct msq *q)
{
    while (!list_empty(&q->msgs)) {
        struct msg *m = LIST_ENTRY(q->msgs.next, struct msg, node);
        msg_take(q, m);
        kfree(m);
    }
    ipc_remove(&msg_ids, &q->perm);
    q->removed = true;
    waitq_wake(&q->wait, 0, WAKE_ALL);
    msq_free_unused(q);
}

static int msq_set(struct msq *q, const struct lx_msqid64_ds *to)
{
    if (to->qbytes > MSGMNB &&
        !cred_capable(current()->proc, LX_CAP_SYS_RESOURCE))
        return -EPERM;
    int r = ipc_set(&q->perm, &to->perm);
    if (r < 0)
        return r;
    q->bytes_max = MIN(to->qbytes, (uint64_t)MSG_BYTES_MAX);
    q->ctime = ipc_now();
    waitq_wake(&q->wait, 0, WAKE_ALL);
    return 0;
}

static int64_t msg_change(int cmd, int32_t id, const struct lx_msqid64_ds *to)
{
    struct ipc_perm *p;

    mutex_lock(&msg_ids.lock);
    int r = ipc_own(&msg_ids, id, &p);
    if (r == 0 && cmd == IPC_SET)
        r = msq_set(msq_of(p), to);
    else if (r == 0)
        msq_remove(msq_of(p));
    mutex_unlock(&msg_ids.lock);
    return r;
}

int64_t sys_msgctl(const uint64_t *a)
{
    int cmd = (int)a[1];
    struct lx_msqid64_ds ds;

    if ((int32_t)a[0] < 0 || cmd < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case MSG_INFO: return msg_info(cmd, a[2]);
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY: return msg_stat(cmd, (int32_t)a[0], a[2]);
    case IPC_SET:
        if (copy_from_user(&ds, uptr(a[2]), sizeof(ds)) < 0)
            return -EFAULT;
        return msg_change(cmd, (int32_t)a[0], &ds);
    case IPC_RMID: return msg_change(cmd, (int32_t)a[0], NULL);
    default: return -EINVAL;
    }
}

int msg_show(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(
        t, "       key      msqid perms      cbytes       qnum lspid lrpid   "
           "uid   gid  cuid  cgid      stime      rtime      ctime\n");
    mutex_lock(&msg_ids.lock);
    for (uint32_t i = 0; i < msg_ids.room; i++) {
        if (msg_ids.slot[i] == NULL)
            continue;
        const struct msq *s = msq_of(msg_ids.slot[i]);
        const struct ipc_perm *p = &s->perm;
        text_printf(t,
                    "%10d %10d  %4o  %10lu %10lu %5d %5d %5u %5u %5u %5u %10ld "
                    "%10ld %10ld\n",
                    p->key, p->id, p->mode, (unsigned long)s->bytes,
                    (unsigned long)s->count, s->lspid, s->lrpid, p->uid, p->gid,
                    p->cuid, p->cgid, (long)s->stime, (long)s->rtime,
                    (long)s->ctime);
    }
    mutex_unlock(&msg_ids.lock);
    return 0;
}
