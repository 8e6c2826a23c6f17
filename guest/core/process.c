// SPDX-License-Identifier: Apache-2.0
/* Tasks and processes as objects; the pid table. */
#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/arch/arch.h"
#include "guest/core/aspace.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/log.h"
#include "guest/core/page.h"
#include "guest/core/ptimer.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/path.h"

#define PID_MAX      32768
#define PID_RESERVED 300 /* where numbering restarts, as Linux does */
#define PID_HASH     1024
#define STACK_ORDER  2

struct mutex proc_lock = {.waiters = LIST_INIT(proc_lock.waiters)};
struct list proc_list = LIST_INIT(proc_list);
struct process *proc_init;

/* Guards the pid table, proc_list, and pgid and session of every process, so
 * that they can be read in interrupts (a terminal's ^C). Writers hold
 * proc_lock too. Taken before sig_lock. */
static struct spinlock pid_lock;
static struct task *pid_hash[PID_HASH];
static uint64_t pid_used[PID_MAX / 64];
static int32_t pid_next = 1;
static bool pid_wrapped;
static uint32_t pid_count; /* in use: threads, zombies too */
static uint32_t pid_limit;

uint32_t process_threads_max(void)
{
    return pid_limit;
}

void process_init(void)
{
    struct page_stats s;

    page_stats(&s);
    /* Their stacks may take an eighth of RAM, as in Linux. */
    uint64_t fit = s.total / (8 * TASK_STACK_SIZE / PAGE_SIZE);
    pid_limit = (uint32_t)MIN(MAX(fit, UINT64_C(20)), (uint64_t)PID_MAX);
    aspace_init();
    if (proc_init == NULL)
        return;
    memset(pid_hash, 0, sizeof(pid_hash));
    memset(pid_used, 0, sizeof(pid_used));
    pid_next = 1;
    pid_wrapped = false;
    pid_count = 0;
    list_init(&proc_list);
    mutex_init(&proc_lock);
    proc_init = NULL;
}

/* --- pids --- */

/* A process group or session still has this number. */
static bool pid_named(int32_t pid)
{
    LIST_FOR(it, &proc_list)
    {
        const struct process *p = LIST_ENTRY(it, struct process, all_node);
        if (p->pgid == pid || (p->session != NULL && p->session->id == pid))
            return true;
    }
    return false;
}

int pid_take(int32_t pid)
{
    struct task *me = current();
    int32_t old = me->take_tid;

    me->take_tid = 0;
    if (old != 0)
        pid_free(old);
    if (pid == 0)
        return 0;
    if (pid < 0 || pid >= PID_MAX)
        return -EINVAL;
    unsigned long flags = spin_lock_irq(&pid_lock);
    uint64_t *word = &pid_used[pid / 64];
    uint64_t bit = UINT64_C(1) << (pid % 64);
    int r = (*word & bit) != 0 || pid_named(pid) ? -EEXIST : 0;
    if (r == 0 && pid_count >= pid_limit)
        r = -EAGAIN;
    if (r == 0) {
        *word |= bit;
        pid_count++;
        me->take_tid = pid;
    }
    spin_unlock_irq(&pid_lock, flags);
    return r;
}

int32_t pid_alloc(void)
{
    struct task *me = current();
    if (me != NULL && me->take_tid != 0) {
        int32_t pid = me->take_tid;
        me->take_tid = 0;
        return pid;
    }
    unsigned long flags = spin_lock_irq(&pid_lock);
    int32_t found = -EAGAIN;

    for (unsigned tries = 0; tries < PID_MAX && pid_count < pid_limit;
         tries++) {
        if (pid_next >= PID_MAX) {
            pid_next = PID_RESERVED;
            pid_wrapped = true;
        }
        int32_t pid = pid_next++;
        uint64_t *word = &pid_used[pid / 64];
        uint64_t bit = UINT64_C(1) << (pid % 64);
        if ((*word & bit) != 0 || (pid_wrapped && pid_named(pid)))
            continue;
        *word |= bit;
        pid_count++;
        found = pid;
        break;
    }
    spin_unlock_irq(&pid_lock, flags);
    return found;
}

void pid_free(int32_t pid)
{
    unsigned long flags = spin_lock_irq(&pid_lock);

    pid_used[pid / 64] &= ~(UINT64_C(1) << (pid % 64));
    pid_count--;
    spin_unlock_irq(&pid_lock, flags);
}

static struct task **pid_slot(int32_t tid)
{
    return &pid_hash[(uint32_t)tid % PID_HASH];
}

static void pid_insert(struct task *t)
{
    struct task **slot = pid_slot(t->tid);

    t->hash_next = *slot;
    *slot = t;
}

static void pid_remove(struct task *t)
{
    for (struct task **at = pid_slot(t->tid); *at != NULL;
         at = &(*at)->hash_next) {
        if (*at == t) {
            *at = t->hash_next;
            t->hash_next = NULL;
            return;
        }
    }
}

void task_unhash(struct task *t)
{
    unsigned long flags = spin_lock_irq(&pid_lock);

    pid_remove(t);
    spin_unlock_irq(&pid_lock, flags);
    pid_free(t->tid);
}

void task_succeed(struct task *t, struct task *old)
{
    unsigned long flags = spin_lock_irq(&pid_lock);
    int32_t tid = t->tid;

    pid_remove(old);
    pid_remove(t);
    t->tid = old->tid;
    pid_insert(t);
    task_get(t);
    t->proc->leader = t;
    spin_unlock_irq(&pid_lock, flags);
    pid_free(tid);
    task_put(old);
}

static struct task *pid_find(int32_t tid, bool get)
{
    if (tid <= 0 || tid >= PID_MAX)
        return NULL;
    unsigned long flags = spin_lock_irq(&pid_lock);
    struct task *t = *pid_slot(tid);
    while (t != NULL && t->tid != tid)
        t = t->hash_next;
    if (t != NULL && get)
        task_get(t);
    spin_unlock_irq(&pid_lock, flags);
    return t;
}

struct task *task_find(int32_t tid)
{
    return pid_find(tid, false);
}

struct task *task_find_get(int32_t tid)
{
    return pid_find(tid, true);
}

struct process *process_find(int32_t pid)
{
    struct task *t = task_find(pid);

    return t != NULL && t->proc->pid == pid ? t->proc : NULL;
}

void process_each(void (*fn)(struct process *p, void *arg), void *arg)
{
    unsigned long flags = spin_lock_irq(&pid_lock);

    LIST_FOR(it, &proc_list)
    fn(LIST_ENTRY(it, struct process, all_node), arg);
    spin_unlock_irq(&pid_lock, flags);
}

void process_set_pgid(struct process *p, int32_t pgid)
{
    unsigned long flags = spin_lock_irq(&pid_lock);

    p->pgid = pgid;
    spin_unlock_irq(&pid_lock, flags);
}

struct session *process_set_session(struct process *p, struct session *s)
{
    unsigned long flags = spin_lock_irq(&pid_lock);
    struct session *old = p->session;

    p->session = s;
    p->pgid = s->id;
    spin_unlock_irq(&pid_lock, flags);
    return old;
}

static void process_count_one(struct process *p, void *arg)
{
    uint32_t *n = arg;

    *n += p->thread_count;
}

uint32_t process_count_threads(void)
{
    uint32_t n = 0;

    process_each(process_count_one, &n);
    return n;
}

void process_times(struct process *p, nsec_t *utime, nsec_t *stime)
{
    unsigned long flags = spin_lock_irq(&p->sig_lock);

    *utime = p->utime;
    *stime = p->stime;
    LIST_FOR(it, &p->threads)
    {
        const struct task *t = LIST_ENTRY(it, struct task, thread_node);
        nsec_t user, system;
        sched_times(t, &user, &system);
        *utime += user;
        *stime += system;
    }
    spin_unlock_irq(&p->sig_lock, flags);
}

/* --- tasks --- */

static struct task *task_alloc(const char *name)
{
    struct task *t = kzalloc(sizeof(*t));

    if (t == NULL)
        return NULL;
    paddr_t stack = page_alloc(STACK_ORDER, PAGE_KERNEL);
    if (stack == 0) {
        kfree(t);
        return NULL;
    }
    t->stack = page_virt(stack);
    *(uint64_t *)t->stack = TASK_CANARY;
    t->refs = 1;
    t->state = TASK_DEAD; /* sched_start makes it RUNNING; no wake does */
    t->affinity = UINT64_MAX;
    t->cpu = arch_this_cpu()->id;
    (void)kstrcpy(t->name, name, sizeof(t->name));
    list_init(&t->run_node);
    list_init(&t->thread_node);
    sigpending_init(&t->pending);
    t->altstack.flags = LX_SS_DISABLE;
    return t;
}

struct task *task_new_kernel(const char *name, void (*fn)(void *arg), void *arg)
{
    struct task *t = task_alloc(name);

    if (t != NULL && arch_task_init(t, fn, arg) < 0) {
        task_put(t);
        return NULL;
    }
    return t;
}

struct task *task_new(struct process *p, const char *name)
{
    int32_t tid = p->leader == NULL ? p->pid : pid_alloc();

    if (tid < 0)
        return NULL;
    struct task *t = task_alloc(name);
    if (t == NULL) {
        if (p->leader != NULL)
            pid_free(tid);
        return NULL;
    }
    t->tid = tid;
    t->proc = p;
    process_get(p);
    cred_copy(&t->cred, p->leader == NULL ? &p->cred : &current()->cred);
    if (p->leader == NULL) {
        p->leader = t;
        task_get(t);
    }
    if (p == proc_init && t == p->leader)
        (void)task_publish(t);
    return t;
}

void task_adopt(struct process *p)
{
    struct task *t = current();

    KASSERT(t->proc == NULL && p->leader == NULL);
    t->tid = p->pid;
    t->proc = p;
    process_get(p);
    cred_copy(&t->cred, &p->cred);
    p->leader = t;
    task_get(t);
    (void)task_publish(t);
}

int task_publish(struct task *t)
{
    struct process *p = t->proc;
    unsigned long irq = spin_lock_irq(&pid_lock);

    spin_lock(&p->sig_lock);
    bool dying = p->group_exit || p->single != NULL;
    if (!dying) {
        list_add_tail(&p->threads, &t->thread_node);
        p->thread_count++;
        pid_insert(t);
        if (p->stopped)
            t->work = true;
    }
    spin_unlock(&p->sig_lock);
    spin_unlock_irq(&pid_lock, irq);
    return dying ? -EINTR : 0;
}

void task_get(struct task *t)
{
    __atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
}

void task_free_stack(struct task *t)
{
    if (t->stack == NULL)
        return;
    arch_task_fini(t);
    page_put(page_phys(t->stack));
    t->stack = NULL;
}

void task_put(struct task *t)
{
    if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    task_free_stack(t);
    sigpending_flush(&t->pending);
    cred_fini(&t->cred);
    if (t->proc != NULL)
        process_put(t->proc);
    kfree(t);
}

/* --- processes --- */

static void process_default_limits(struct process *p)
{
    for (unsigned i = 0; i < RLIMIT_COUNT; i++)
        p->rlimits[i] =
            (struct lx_rlimit64){LX_RLIM_INFINITY, LX_RLIM_INFINITY};
    p->rlimits[LX_RLIMIT_STACK].cur = UINT64_C(8) << 20;
    p->rlimits[LX_RLIMIT_CORE].cur = 0;
    p->rlimits[LX_RLIMIT_NOFILE] = (struct lx_rlimit64){1024, 1048576};
    p->rlimits[LX_RLIMIT_MEMLOCK] = (struct lx_rlimit64){8 << 20, 8 << 20};
    p->rlimits[LX_RLIMIT_SIGPENDING] =
        (struct lx_rlimit64){SIG_QUEUE_MAX, SIG_QUEUE_MAX};
    p->rlimits[LX_RLIMIT_MSGQUEUE] = (struct lx_rlimit64){819200, 819200};
    p->rlimits[LX_RLIMIT_NICE] = (struct lx_rlimit64){0, 0};
    p->rlimits[LX_RLIMIT_RTPRIO] = (struct lx_rlimit64){0, 0};
}

/* pid 1: nothing to inherit. */
static int process_first(struct process *p)
{
    p->session = session_new(p->pid);
    p->sighand = kzalloc(sizeof(*p->sighand));
    if (p->session == NULL || p->sighand == NULL)
        return -ENOMEM;
    p->sighand->refs = 1;
    p->pgid = p->pid;
    p->cred.caps = CRED_CAPS_ALL;
    p->cred.permitted = CRED_CAPS_ALL;
    p->cred.bounding = CRED_CAPS_ALL;
    p->unkillable = true;
    p->dumpable = true;
    process_default_limits(p);
    mutex_lock(&proc_lock);
    process_publish(p, NULL);
    mutex_unlock(&proc_lock);
    proc_init = p;
    return 0;
}

static void process_inherit(struct process *p, struct process *parent)
{
    unsigned long flags = spin_lock_irq(&parent->sig_lock);

    cred_copy(&p->cred, &current()->cred);
    memcpy(p->rlimits, parent->rlimits, sizeof(p->rlimits));
    spin_unlock_irq(&parent->sig_lock, flags);
    p->personality = parent->personality;
    p->nice = parent->nice;
    p->ioprio = parent->ioprio;
    p->dumpable = parent->dumpable;
    p->thp_disable = parent->thp_disable;
    p->oom_score_adj = parent->oom_score_adj;
}

struct process *process_new(struct process *parent)
{
    struct process *p = kzalloc(sizeof(*p));

    if (p == NULL)
        return NULL;
    p->refs = 1;
    list_init(&p->all_node);
    list_init(&p->children);
    list_init(&p->sibling);
    list_init(&p->threads);
    list_init(&p->ptimers);
    sigpending_init(&p->pending);
    waitq_init(&p->sigwait);
    waitq_init(&p->child_wait);
    waitq_init(&p->vfork_wait);
    waitq_init(&p->exit_wait);
    ptimer_process_init(p);
    cputimer_init(p);
    p->exit_signal = LX_SIGCHLD;
    p->start = clock_now();
    p->pid = pid_alloc();
    if (p->pid < 0) {
        kfree(p);
        return NULL;
    }
    if (parent != NULL) {
        process_inherit(p, parent);
    } else if (process_first(p) < 0) {
        pid_free(p->pid);
        process_put(p);
        return NULL;
    }
    return p;
}

void process_publish(struct process *p, struct process *parent)
{
    unsigned long flags = spin_lock_irq(&pid_lock);

    list_add_tail(&proc_list, &p->all_node);
    if (parent != NULL) {
        p->parent = parent;
        p->ppid = parent->pid;
        list_add_tail(&parent->children, &p->sibling);
    }
    spin_unlock_irq(&pid_lock, flags);
}

void process_reap(struct process *p)
{
    struct task *leader = p->leader;
    struct session *session = p->session;
    unsigned long flags = spin_lock_irq(&pid_lock);

    list_remove(&p->all_node);
    list_remove(&p->sibling);
    pid_remove(leader);
    p->leader = NULL;
    p->session = NULL;
    spin_unlock_irq(&pid_lock, flags);
    pid_free(p->pid);
    session_put(session);
    task_put(leader);
    process_put(p);
}

void process_get(struct process *p)
{
    __atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
}

void process_put(struct process *p)
{
    if (__atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    sigpending_flush(&p->pending);
    cred_fini(&p->cred);
    if (p->sighand != NULL &&
        __atomic_sub_fetch(&p->sighand->refs, 1, __ATOMIC_ACQ_REL) == 0)
        kfree(p->sighand);
    if (p->session != NULL)
        session_put(p->session);
    kfree(p);
}

struct aspace *process_aspace(struct process *p)
{
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    struct aspace *as = p->aspace;

    if (as != NULL)
        aspace_get(as);
    spin_unlock_irq(&p->sig_lock, flags);
    return as;
}

struct fdtable *process_files(struct process *p)
{
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    struct fdtable *files = p->files;

    if (files != NULL)
        __atomic_fetch_add(&files->refs, 1, __ATOMIC_RELAXED);
    spin_unlock_irq(&p->sig_lock, flags);
    return files;
}

struct fsctx *process_fs(struct process *p)
{
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    struct fsctx *fs = p->fs;

    if (fs != NULL)
        __atomic_fetch_add(&fs->refs, 1, __ATOMIC_RELAXED);
    spin_unlock_irq(&p->sig_lock, flags);
    return fs;
}
