// SPDX-License-Identifier: Apache-2.0
/*
 * Futexes. A waiter queues itself first and looks at the word after that: a
 * waker changes the word first and looks at the queue after that. So no lock
 * is held while user memory is touched.
 */
#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/core/aspace.h"
#include "guest/core/futex_impl.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/core/wait.h"
#include "guest/fs/file.h"

#define FUTEX_BUCKETS 256
#define FUTEX_SHARED  0x01u       /* MAP_SHARED */
#define ROBUST_MAX    2048        /* entries walked at exit, as Linux */
#define ROBUST_PI     UINT64_C(1) /* in an entry's address: a PI mutex */

static struct futex_bucket futex_table[FUTEX_BUCKETS];

struct futex_bucket *futex_bucket(const struct futex_key *k)
{
    uint64_t h = (k->space ^ (k->at >> 2)) * UINT64_C(0x9e3779b97f4a7c15);

    return &futex_table[h >> 56];
}

void futex_lock(struct futex_bucket *b)
{
    spin_lock(&b->lock);
    if (b->waiters.next == NULL)
        list_init(&b->waiters);
}

bool futex_same(const struct futex_key *a, const struct futex_key *b)
{
    return a->space == b->space && a->at == b->at;
}

int futex_key(uptr_t at, bool shared, struct futex_key *key)
{
    struct aspace *as = current()->proc->aspace;
    struct vma_info m;

    if ((at.v & 3) != 0)
        return -EINVAL;
    key->space = (uintptr_t)as;
    key->at = at.v;
    if (at.v >= USER_END)
        return -EFAULT;
    if (!shared)
        return 0;
    if (!aspace_find_vma(as, at.v, &m))
        return -EFAULT;
    if (at.v < m.start || m.prot == 0) {
        if (m.file != NULL)
            file_put(m.file);
        return -EFAULT; /* Linux looks at the page to find the key */
    }
    if (at.v >= m.start && (m.flags & FUTEX_SHARED) != 0 && m.file != NULL) {
        key->space = (uintptr_t)m.file->inode;
        key->at = at.v - m.start + m.offset;
    }
    if (m.file != NULL)
        file_put(m.file);
    return 0;
}

/* --- waiting --- */

void futex_enqueue(struct futex_waiter *w)
{
    struct futex_bucket *b = futex_bucket(&w->key);

    futex_lock(b);
    list_add_tail(&b->waiters, &w->node);
    w->bucket = b;
    spin_unlock(&b->lock);
}

bool futex_dequeue(struct futex_waiter *w)
{
    for (;;) {
        if (__atomic_load_n(&w->woken, __ATOMIC_ACQUIRE))
            return true;
        struct futex_bucket *b = __atomic_load_n(&w->bucket, __ATOMIC_RELAXED);
        spin_lock(&b->lock);
        if (b == w->bucket && !w->woken) {
            list_remove(&w->node);
            spin_unlock(&b->lock);
            return false;
        }
        spin_unlock(&b->lock);
    }
}

static int64_t futex_wake_key(const struct futex_key *key, uint32_t max,
                              uint32_t bits);

/* Queued already: 0 when it is right to sleep. */
static int futex_check(uptr_t at, uint32_t val)
{
    uint32_t now;

    if (user_load32(at, &now) < 0)
        return -EFAULT;
    return now == val ? 0 : -EAGAIN;
}

int futex_wait(uptr_t at, bool shared, uint32_t val, uint32_t bits,
               nsec_t deadline)
{
    struct futex_waiter w = {.bits = bits, .task = current()};
    int r = futex_key(at, shared, &w.key);

    if (r < 0 || bits == 0)
        return r < 0 ? r : -EINVAL;
    list_init(&w.node);
    r = futex_check(at, val); /* most that fail do so here, without a lock */
    if (r < 0)
        return r;
    futex_enqueue(&w);
    r = futex_check(at, val);
    if (r < 0) {
        /* A wake that hit us was meant for somebody who sleeps. */
        if (futex_dequeue(&w))
            (void)futex_wake_key(&w.key, 1, bits);
        return r;
    }
    while (r == 0) {
        sched_prepare(TASK_SLEEPING);
        if (__atomic_load_n(&w.woken, __ATOMIC_ACQUIRE))
            break;
        r = wait_sleep(WAIT_SIGNALS, deadline);
    }
    sched_unprepare();
    return futex_dequeue(&w) ? 0 : r;
}

/* --- waking --- */

static void futex_release(struct futex_waiter *w)
{
    struct task *t = w->task;

    list_remove(&w->node);
    /* Under the bucket's lock, and the sleeper takes that lock unless it sees
     * this store: so the task must not be touched after it. Keep it alive. */
    task_get(t);
    __atomic_store_n(&w->woken, true, __ATOMIC_SEQ_CST);
    (void)sched_wake(t);
    task_put(t);
}

/* How many; -EINVAL if somebody waits there for something else. */
static int64_t futex_wake_key(const struct futex_key *key, uint32_t max,
                              uint32_t bits)
{
    struct futex_bucket *b = futex_bucket(key);
    int64_t n = 0;

    /* Full barrier: the caller's change of the word comes before this look. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    struct list *first = __atomic_load_n(&b->waiters.next, __ATOMIC_RELAXED);
    if (first == NULL || first == &b->waiters)
        return 0;
    futex_lock(b);
    LIST_FOR_SAFE(it, next, &b->waiters)
    {
        struct futex_waiter *w = LIST_ENTRY(it, struct futex_waiter, node);
        if (n == max)
            break;
        if (!futex_same(&w->key, key) || (w->bits & bits) == 0)
            continue;
        if (w->pi != NULL) {
            n = -EINVAL;
            break;
        }
        futex_release(w);
        n++;
    }
    spin_unlock(&b->lock);
    return n;
}

bool futex_waited(const struct futex_key *key)
{
    struct futex_bucket *b = futex_bucket(key);
    const struct list *first =
        __atomic_load_n(&b->waiters.next, __ATOMIC_RELAXED);
    bool found = false;

    if (first == NULL || first == &b->waiters)
        return false;
    futex_lock(b);
    LIST_FOR(it, &b->waiters)
    {
        if (futex_same(&LIST_ENTRY(it, struct futex_waiter, node)->key, key)) {
            found = true;
            break;
        }
    }
    spin_unlock(&b->lock);
    return found;
}

int64_t futex_wake(uptr_t at, bool shared, uint32_t max, uint32_t bits)
{
    struct futex_key key;
    int r = futex_key(at, shared, &key);

    if (r < 0 || bits == 0)
        return r < 0 ? r : -EINVAL;
    int64_t n = futex_wake_key(&key, max, bits);
    return n == 0 && futex_pi_waited(&key) ? -EINVAL : n;
}

/* For a thread that ends: one waiter, wherever it looks. */
static void futex_wake_dead(uint64_t at)
{
    struct futex_key key;
    int r = futex_key(uptr(at), true, &key);

    if (r != -EINVAL) /* of unmapped memory the private key */
        (void)futex_wake_key(&key, 1, UINT32_MAX);
}

/* --- requeue --- */

static void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    futex_lock(a < b ? a : b);
    if (a != b)
        futex_lock(a < b ? b : a);
}

static void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    spin_unlock(&a->lock);
    if (a != b)
        spin_unlock(&b->lock);
}

int64_t futex_requeue(const struct futex_requeue *r)
{
    struct futex_key from, to;
    uint32_t woken = 0;
    uint32_t moved = 0;
    int err = futex_key(r->from, r->shared, &from);

    if (err == 0)
        err = futex_key(r->to, r->shared, &to);
    if (err == 0 && r->compare)
        err = futex_check(r->from, r->expect);
    if (err < 0)
        return err;
    struct futex_bucket *a = futex_bucket(&from);
    struct futex_bucket *b = futex_bucket(&to);
    futex_lock_two(a, b);
    LIST_FOR_SAFE(it, next, &a->waiters)
    {
        struct futex_waiter *w = LIST_ENTRY(it, struct futex_waiter, node);
        if (!futex_same(&w->key, &from))
            continue;
        if (w->pi != NULL && (woken < r->wake || moved < r->move)) {
            err = -EINVAL;
            break;
        }
        if (woken < r->wake) {
            futex_release(w);
            woken++;
        } else if (moved < r->move) {
            moved++;
            if (futex_same(&from, &to))
                continue;
            w->key = to;
            list_remove(&w->node);
            list_add_tail(&b->waiters, &w->node);
            __atomic_store_n(&w->bucket, b, __ATOMIC_RELAXED);
        } else {
            break;
        }
    }
    futex_unlock_two(a, b);
    return err < 0 ? err : (int64_t)woken + (r->compare ? moved : 0);
}

/* --- wake-op --- */

/* linux/futex.h: op 4 bits (the top one: shift), cmp 4, oparg 12, cmparg 12. */
static int futex_apply(uptr_t at, uint32_t op, uint32_t *old)
{
    uint32_t arg = op >> 12 & 0xfff;

    if ((arg & 0x800) != 0)
        arg |= 0xfffff000;
    if ((op >> 28 & 8) != 0)
        arg = UINT32_C(1) << (arg & 31);
    if (user_load32(at, old) < 0)
        return -EFAULT;
    for (;;) {
        uint32_t expect = *old;
        uint32_t to;
        switch (op >> 28 & 7) {
        case 0: to = arg; break;
        case 1: to = expect + arg; break;
        case 2: to = expect | arg; break;
        case 3: to = expect & ~arg; break;
        case 4: to = expect ^ arg; break;
        default: return -ENOSYS;
        }
        if (user_cmpxchg32(at, expect, to, old) < 0)
            return -EFAULT;
        if (*old == expect)
            return 0;
        sched_point();
    }
}

static int futex_compare(uint32_t op, uint32_t value)
{
    int32_t arg = (int32_t)(op << 20) >> 20;
    int32_t old = (int32_t)value;

    switch (op >> 24 & 15) {
    case 0: return old == arg;
    case 1: return old != arg;
    case 2: return old < arg;
    case 3: return old <= arg;
    case 4: return old > arg;
    case 5: return old >= arg;
    default: return -ENOSYS;
    }
}

int64_t futex_wake_op(const struct futex_wake_op *w)
{
    struct futex_key a, b;
    uint32_t old;
    int r = futex_key(w->a, w->shared, &a);

    if (r == 0)
        r = futex_key(w->b, w->shared, &b);
    if (r == 0)
        r = futex_apply(w->b, w->op, &old);
    if (r < 0)
        return r;
    r = futex_compare(w->op, old);
    if (r < 0)
        return r;
    int64_t n = futex_wake_key(&a, w->max_a, UINT32_MAX);
    if (n < 0 || r == 0)
        return n;
    int64_t m = futex_wake_key(&b, w->max_b, UINT32_MAX);
    return m < 0 ? m : n + m;
}

/* --- the end of a thread --- */

/* A mutex that the dead thread held: say so in the word, wake one. */
static void futex_owner_died(uint64_t at, int32_t tid, bool pending, bool pi)
{
    uint32_t val;

    if ((at & 3) != 0 || user_load32(uptr(at), &val) < 0)
        return;
    /* It died between unlocking and waking: wake on its behalf. */
    if (pending && !pi && val == 0)
        futex_wake_dead(at);
    while ((val & LX_FUTEX_TID_MASK) == (uint32_t)tid) {
        uint32_t to = (val & LX_FUTEX_WAITERS) | LX_FUTEX_OWNER_DIED;
        uint32_t old;
        if (user_cmpxchg32(uptr(at), val, to, &old) < 0)
            return;
        if (old == val) {
            if (!pi && (val & LX_FUTEX_WAITERS) != 0)
                futex_wake_dead(at); /* else futex_pi_exit() does it */
            return;
        }
        val = old;
    }
}

static void futex_walk_robust(struct task *t)
{
    struct lx_robust_list_head head;

    if (copy_from_user(&head, uptr(t->robust_list), sizeof(head)) < 0)
        return;
    uint64_t offset = (uint64_t)head.offset;
    uint64_t pending = head.pending & ~ROBUST_PI;
    uint64_t at = head.next;
    for (unsigned i = 0; i < ROBUST_MAX && (at & ~ROBUST_PI) != t->robust_list;
         i++) {
        uint64_t next;
        bool pi = (at & ROBUST_PI) != 0;
        at &= ~ROBUST_PI;
        bool end = get_user_u64(&next, uptr(at)) < 0;
        if (at != pending)
            futex_owner_died(at + offset, t->tid, false, pi);
        if (end)
            break;
        at = next;
        sched_point();
    }
    if (pending != 0)
        futex_owner_died(pending + offset, t->tid, true,
                         (head.pending & ROBUST_PI) != 0);
}

void futex_task_exit(struct task *t)
{
    struct aspace *as = t->proc->aspace;

    if (as == NULL) {
        futex_pi_exit(t);
        return;
    }
    if (t->robust_list != 0)
        futex_walk_robust(t);
    t->robust_list = 0;
    futex_pi_exit(t);
    /* Nobody can look when the memory goes away with this thread. */
    if (t->clear_tid != 0 &&
        __atomic_load_n(&as->refs, __ATOMIC_RELAXED) + t->proc->thread_count >
            2) {
        (void)put_user_u32(uptr(t->clear_tid), 0);
        futex_wake_dead(t->clear_tid);
    }
    t->clear_tid = 0;
}

void futex_task_exec(struct task *t)
{
    futex_task_exit(t);
    t->pi_gone = false;
}
