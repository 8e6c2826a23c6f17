// SPDX-License-Identifier: Apache-2.0
/* /proc/PID/{stat,statm,status,limits,schedstat,io}. */
#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/arch/arch.h"
#include "guest/core/aspace.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/procfs.h"
#include "guest/fs/tty.h"

#define TICK_NS UINT64_C(10000000) /* USER_HZ is 100 */
#define KIB(x)  ((unsigned long)((x) >> 10))

typedef unsigned long ul;

/* Numbers of a process, gathered under its locks. */
struct snapshot {
    struct task *task;
    char state;
    int32_t ppid, pgid, sid, tpgid;
    uint32_t tty; /* device number */
    uint32_t threads;
    nsec_t utime, stime;
    uint64_t pending, shared_pending, blocked, ignored, caught;
    struct aspace *as; /* reference or NULL */
};

static char task_state(const struct process *p, const struct task *t)
{
    if (p->zombie)
        return 'Z';
    switch (t->state) {
    case TASK_RUNNING: return 'R';
    case TASK_SLEEPING: return 'S';
    case TASK_DEADLY: return 'D';
    case TASK_STOPPED: return 'T';
    case TASK_DEAD: return 'Z';
    }
    return 'S';
}

static void snap_signals(struct snapshot *s, const struct process *p)
{
    s->pending = s->task->pending.set;
    s->shared_pending = p->pending.set;
    s->blocked = s->task->sigmask;
    for (unsigned i = 0; p->sighand != NULL && i < SIG_COUNT; i++) {
        uint64_t h = p->sighand->action[i].handler;
        if (h == LX_SIG_IGN)
            s->ignored |= UINT64_C(1) << i;
        else if (h != LX_SIG_DFL)
            s->caught |= UINT64_C(1) << i;
    }
}

static void snap_times(struct snapshot *s, struct process *p, bool whole)
{
    sched_times(s->task, &s->utime, &s->stime);
    if (!whole)
        return;
    s->utime = p->utime;
    s->stime = p->stime;
    LIST_FOR(it, &p->threads)
    {
        nsec_t user, system;
        sched_times(LIST_ENTRY(it, struct task, thread_node), &user, &system);
        s->utime += user;
        s->stime += system;
    }
}

static void snap_tree(struct snapshot *s, const struct process *p)
{
    s->ppid = p->parent != NULL ? p->parent->pid : 0;
    s->pgid = p->pgid;
    s->tpgid = -1;
    if (p->session == NULL)
        return;
    s->sid = p->session->id;
    if (p->session->tty != NULL) {
        s->tty = (uint32_t)tty_rdev(p->session->tty);
        s->tpgid = tty_pgrp(p->session->tty);
    }
}

/* -ESRCH when it was reaped. snap_fini afterwards. */
static int snap_init(struct snapshot *s, const struct pseudo_ref *r)
{
    struct process *p = r->proc;
    *s = (struct snapshot){0};
    s->task = proc_ref_task(r);
    if (s->task == NULL)
        return -ESRCH;
    mutex_lock(&proc_lock);
    snap_tree(s, p);
    mutex_unlock(&proc_lock);
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    s->state = task_state(p, s->task);
    s->threads = p->thread_count;
    snap_signals(s, p);
    snap_times(s, p, r->arg != PROC_ALONE);
    spin_unlock_irq(&p->sig_lock, flags);
    s->as = process_aspace(p);
    return 0;
}

static void snap_fini(struct snapshot *s)
{
    if (s->as != NULL)
        aspace_put(s->as);
    task_put(s->task);
}

/* --- stat --- */

static void stat_head(struct text *t, const struct pseudo_ref *r,
                      const struct snapshot *s)
{
    const struct process *p = r->proc;
    text_printf(t, "%d (%s) %c %d %d %d %u %d %u %lu %lu %lu %lu ",
                s->task->tid, s->task->name, s->state, s->ppid, s->pgid, s->sid,
                s->tty, s->tpgid, 0x400100u, (ul)p->min_faults,
                (ul)p->cmin_faults, (ul)p->maj_faults, (ul)p->cmaj_faults);
    text_printf(t, "%lu %lu %lu %lu 20 0 %u 0 %lu ", (ul)(s->utime / TICK_NS),
                (ul)(s->stime / TICK_NS), (ul)(p->cutime / TICK_NS),
                (ul)(p->cstime / TICK_NS), s->threads,
                (ul)(p->start / TICK_NS));
}

int proc_stat(struct text *t, const struct pseudo_ref *r)
{
    struct snapshot s;
    int e = snap_init(&s, r);
    if (e < 0)
        return e;
    static const struct aspace none;
    const struct aspace *as = s.as != NULL ? s.as : &none;
    stat_head(t, r, &s);
    text_printf(t, "%lu %lu %lu 1 1 %lu 0 0 ", (ul)as->mapped,
                (ul)(as->rss_anon + as->rss_file),
                (ul)r->proc->rlimits[LX_RLIMIT_RSS].cur, (ul)as->stack_top);
    text_printf(t, "%lu %lu %lu %lu 0 0 0 17 %u 0 0 0 0 0 ", (ul)s.pending,
                (ul)s.blocked, (ul)s.ignored, (ul)s.caught, s.task->cpu);
    text_printf(t, "0 0 %lu %lu %lu %lu %lu %d\n", (ul)as->brk_start,
                (ul)as->arg_start, (ul)as->arg_end, (ul)as->env_start,
                (ul)as->env_end, r->proc->exit_status);
    snap_fini(&s);
    return 0;
}

int proc_statm(struct text *t, const struct pseudo_ref *r)
{
    struct aspace *as = process_aspace(r->proc);
    if (as == NULL) {
        text_printf(t, "0 0 0 0 0 0 0\n");
        return 0;
    }
    text_printf(t, "%lu %lu %lu 0 0 %lu 0\n", (ul)(as->mapped >> PAGE_SHIFT),
                (ul)(as->rss_anon + as->rss_file), (ul)as->rss_file,
                (ul)(as->data >> PAGE_SHIFT));
    aspace_put(as);
    return 0;
}

/* --- status --- */

static const char *state_name(char c)
{
    switch (c) {
    case 'R': return "running";
    case 'S': return "sleeping";
    case 'D': return "disk sleep";
    case 'T': return "stopped";
    default: return "zombie";
    }
}

static void status_ids(struct text *t, const struct process *p,
                       const struct cred *c)
{
    text_printf(t, "Uid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid,
                c->fsuid);
    text_printf(t, "Gid:\t%u\t%u\t%u\t%u\n", c->gid, c->egid, c->sgid,
                c->fsgid);
    text_printf(t, "FDSize:\t%u\nGroups:\t",
                p->files != NULL ? p->files->room : 0);
    for (uint32_t i = 0; i < cred_group_count(c); i++)
        text_printf(t, "%s%u", i > 0 ? " " : "", c->groups->id[i]);
    text_printf(t, " \n");
}

static void status_memory(struct text *t, const struct aspace *as)
{
    ul rss = (ul)(as->rss_anon + as->rss_file) * 4;
    text_printf(t, "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8lu kB\n",
                KIB(MAX(as->mapped_max, as->mapped)), KIB(as->mapped),
                KIB(as->locked));
    text_printf(t, "VmPin:\t%8lu kB\nVmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\n", 0ul,
                MAX((ul)as->rss_max * 4, rss), rss);
    text_printf(t, "RssAnon:\t%8lu kB\nRssFile:\t%8lu kB\nRssShmem:\t%8lu kB\n",
                (ul)as->rss_anon * 4, (ul)as->rss_file * 4, 0ul);
    text_printf(t, "VmData:\t%8lu kB\nVmStk:\t%8lu kB\nVmExe:\t%8lu kB\n",
                KIB(as->data), 0ul, 0ul);
    text_printf(t, "VmLib:\t%8lu kB\nVmPTE:\t%8lu kB\nVmSwap:\t%8lu kB\n", 0ul,
                (ul)as->tables * 4, 0ul);
}

static void status_signals(struct text *t, const struct process *p,
                           const struct snapshot *s, const struct cred *c)
{
    text_printf(t, "Threads:\t%u\nSigQ:\t%u/%lu\n", s->threads,
                p->pending.count, (ul)p->rlimits[LX_RLIMIT_SIGPENDING].cur);
    text_printf(t, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n",
                (ul)s->pending, (ul)s->shared_pending, (ul)s->blocked);
    text_printf(t, "SigIgn:\t%016lx\nSigCgt:\t%016lx\n", (ul)s->ignored,
                (ul)s->caught);
    text_printf(t, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\n",
                (ul)c->inheritable, (ul)c->permitted, (ul)c->caps);
    text_printf(t, "CapBnd:\t%016lx\nCapAmb:\t%016lx\nNoNewPrivs:\t%d\n",
                (ul)c->bounding, (ul)c->ambient, c->no_new_privs);
    text_printf(t, "Seccomp:\t0\nSeccomp_filters:\t0\n");
}

static void status_cpus(struct text *t, const struct task *task)
{
    uint64_t all =
        cpu_possible >= 64 ? UINT64_MAX : (UINT64_C(1) << cpu_possible) - 1;
    uint64_t mask = task->affinity & all;
    text_printf(t, "Cpus_allowed:\t%lx\nCpus_allowed_list:\t", (ul)mask);
    const char *comma = "";
    for (unsigned i = 0; i < cpu_possible; i++) {
        if ((mask >> i & 1) == 0)
            continue;
        unsigned first = i;
        while (i + 1 < cpu_possible && (mask >> (i + 1) & 1) != 0)
            i++;
        text_printf(t, "%s%u", comma, first);
        if (i > first)
            text_printf(t, "-%u", i);
        comma = ",";
    }
    text_printf(t, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

int proc_status(struct text *t, const struct pseudo_ref *r)
{
    const struct process *p = r->proc;
    struct snapshot s;
    int e = snap_init(&s, r);
    if (e < 0)
        return e;
    struct fsctx *fs = process_fs(r->proc);
    text_printf(t, "Name:\t%s\nUmask:\t%04o\nState:\t%c (%s)\n", s.task->name,
                fs != NULL ? fs->umask : 0, s.state, state_name(s.state));
    if (fs != NULL)
        fsctx_put(fs);
    text_printf(t, "Tgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
                p->pid, s.task->tid, s.ppid);
    struct cred cred;
    cred_get(&cred, s.task);
    status_ids(t, p, &cred);
    text_printf(t, "NStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", p->pid,
                s.task->tid, s.pgid, s.sid);
    if (s.as != NULL)
        status_memory(t, s.as);
    text_printf(t, "CoreDumping:\t0\nTHP_enabled:\t1\n");
    status_signals(t, p, &s, &cred);
    cred_fini(&cred);
    status_cpus(t, s.task);
    text_printf(t,
                "voluntary_ctxt_switches:\t%lu\n"
                "nonvoluntary_ctxt_switches:\t%lu\n",
                (ul)s.task->switches, 0ul);
    snap_fini(&s);
    return 0;
}

int proc_schedstat(struct text *t, const struct pseudo_ref *r)
{
    const struct task *task = proc_ref_task(r);
    if (task == NULL)
        return -ESRCH;
    text_printf(t, "%lu 0 %lu\n", (ul)sched_cpu_time(task), (ul)task->switches);
    return 0;
}

/* --- limits --- */

static void limit_value(struct text *t, uint64_t v)
{
    char s[24];
    if (v == LX_RLIM_INFINITY)
        (void)kstrcpy(s, "unlimited", sizeof(s));
    else
        (void)ksnprintf(s, sizeof(s), "%lu", (ul)v);
    text_printf(t, "%-20s ", s);
}

int proc_limits(struct text *t, const struct pseudo_ref *r)
{
    static const struct {
        const char *name, *unit;
    } limits[RLIMIT_COUNT] = {
        {"Max cpu time", "seconds"},     {"Max file size", "bytes"},
        {"Max data size", "bytes"},      {"Max stack size", "bytes"},
        {"Max core file size", "bytes"}, {"Max resident set", "bytes"},
        {"Max processes", "processes"},  {"Max open files", "files"},
        {"Max locked memory", "bytes"},  {"Max address space", "bytes"},
        {"Max file locks", "locks"},     {"Max pending signals", "signals"},
        {"Max msgqueue size", "bytes"},  {"Max nice priority", ""},
        {"Max realtime priority", ""},   {"Max realtime timeout", "us"},
    };
    text_printf(t, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit",
                "Hard Limit", "Units");
    for (unsigned i = 0; i < RLIMIT_COUNT; i++) {
        text_printf(t, "%-25s ", limits[i].name);
        limit_value(t, r->proc->rlimits[i].cur);
        limit_value(t, r->proc->rlimits[i].max);
        text_printf(t, "%-10s\n", limits[i].unit);
    }
    return 0;
}

int proc_io(struct text *t, const struct pseudo_ref *r)
{
    struct io_count c = {.calls = {0}};
    struct task *task = proc_ref_task(r);
    struct process *p = r->proc;
    if (task == NULL)
        return -ESRCH;
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    if (r->arg == PROC_ALONE) {
        c = task->io;
    } else {
        c = p->io;
        LIST_FOR(it, &p->threads)
        io_count_add(&c, &LIST_ENTRY(it, struct task, thread_node)->io);
    }
    spin_unlock_irq(&p->sig_lock, flags);
    task_put(task);
    /* Nothing comes from a disk. */
    text_printf(t,
                "rchar: %lu\nwchar: %lu\nsyscr: %lu\nsyscw: %lu\n"
                "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
                (ul)c.bytes[0], (ul)c.bytes[1], (ul)c.calls[0], (ul)c.calls[1]);
    return 0;
}
