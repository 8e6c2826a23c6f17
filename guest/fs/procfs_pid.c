// SPDX-License-Identifier: Apache-2.0
/* /proc/PID and /proc/PID/task/TID: the tables and the short files. */
#include "abi/linux/errno.h"
#include "abi/linux/stat.h"

#include "guest/core/klib.h"
#include "guest/core/task.h"
#include "guest/fs/procfs.h"

#define OOM_ADJ_MAX 1000

struct task *proc_ref_task(const struct pseudo_ref *r)
{
    mutex_lock(&proc_lock);
    struct task *t = r->task != NULL ? r->task : r->proc->leader;
    if (t != NULL)
        task_get(t);
    mutex_unlock(&proc_lock);
    return t;
}

/* --- short files --- */

static int show_comm(struct text *t, const struct pseudo_ref *r)
{
    struct task *task = proc_ref_task(r);
    if (task == NULL)
        return -ESRCH;
    text_printf(t, "%s\n", task->name);
    task_put(task);
    return 0;
}

static int store_comm(const struct pseudo_ref *r, const char *data, size_t n)
{
    if (r->proc != current()->proc)
        return -EINVAL;
    struct task *task = proc_ref_task(r);
    if (task == NULL)
        return -ESRCH;
    char name[TASK_NAME_SIZE] = {0};
    memcpy(name, data, MIN(n, sizeof(name) - 1));
    char *end = strchr(name, '\n');
    if (end != NULL)
        *end = '\0';
    memcpy(task->name, name, sizeof(name));
    task_put(task);
    return 0;
}

static int show_cgroup(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "0::/\n");
    return 0;
}

static int show_cpuset(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "/\n");
    return 0;
}

static int show_oom_score(struct text *t, const struct pseudo_ref *r)
{
    text_printf(t, "%d\n", MAX(0, 667 + r->proc->oom_score_adj * 2 / 3));
    return 0;
}

static int show_oom_adj(struct text *t, const struct pseudo_ref *r)
{
    text_printf(t, "%d\n", r->proc->oom_score_adj);
    return 0;
}

static int store_oom_adj(const struct pseudo_ref *r, const char *data, size_t n)
{
    bool negative = n > 0 && data[0] == '-';
    size_t i = negative ? 1 : 0;
    int32_t v = 0;
    if (i == n || data[i] < '0' || data[i] > '9')
        return -EINVAL;
    for (; i < n && data[i] >= '0' && data[i] <= '9'; i++) {
        v = v * 10 + (data[i] - '0');
        if (v > OOM_ADJ_MAX)
            return -EINVAL;
    }
    v = negative ? -v : v;
    if (v < r->proc->oom_score_adj && !cred_capable(current()->proc, 24))
        return -EACCES; /* CAP_SYS_RESOURCE */
    r->proc->oom_score_adj = v;
    return 0;
}

static int show_zero(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "0");
    return 0;
}

static int show_coredump_filter(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "00000033\n");
    return 0;
}

static int show_personality(struct text *t, const struct pseudo_ref *r)
{
    text_printf(t, "%08x\n", r->proc->personality);
    return 0;
}

static int show_no_loginuid(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "4294967295");
    return 0;
}

static int show_id_map(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "%10u %10u %10u\n", 0u, 0u, 4294967295u);
    return 0;
}

static int show_setgroups(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "allow\n");
    return 0;
}

/* What a file of both directories looks like: of a process its leader's. */
#define COMMON_FILES                                                           \
    PROC_REG("stat", 0444, proc_stat), PROC_REG("statm", 0444, proc_statm),    \
        PROC_REG("status", 0444, proc_status),                                 \
        PROC_REG("cmdline", 0444, proc_cmdline),                               \
        PROC_REG("environ", 0400, proc_environ),                               \
        PROC_REG("auxv", 0400, proc_auxv), PROC_REG("maps", 0444, proc_maps),  \
        PROC_REG("smaps", 0444, proc_smaps),                                   \
        PROC_REG("smaps_rollup", 0444, proc_smaps_rollup),                     \
        {.name = "mounts",                                                     \
         .mode = LX_S_IFREG | 0444,                                            \
         .show = proc_mounts,                                                  \
         .polled = true},                                                      \
        {.name = "mountinfo",                                                  \
         .mode = LX_S_IFREG | 0444,                                            \
         .show = proc_mountinfo,                                               \
         .polled = true},                                                      \
        PROC_REG("limits", 0444, proc_limits),                                 \
        PROC_REG("cgroup", 0444, show_cgroup),                                 \
        PROC_REG("cpuset", 0444, show_cpuset),                                 \
        PROC_REG("oom_score", 0444, show_oom_score),                           \
        PROC_REG("wchan", 0444, show_zero),                                    \
        PROC_REG("schedstat", 0444, proc_schedstat),                           \
        PROC_REG("io", 0400, proc_io),                                         \
        PROC_REG("personality", 0400, show_personality),                       \
        PROC_REG("loginuid", 0444, show_no_loginuid),                          \
        PROC_REG("sessionid", 0444, show_no_loginuid),                         \
        PROC_REG("uid_map", 0444, show_id_map),                                \
        PROC_REG("gid_map", 0444, show_id_map),                                \
        PROC_REG("setgroups", 0444, show_setgroups),                           \
        PROC_DIR("fd", 0500, &proc_fd_dir),                                    \
        PROC_DIR("fdinfo", 0555, &proc_fdinfo_dir),                            \
        PROC_DIR("net", 0555, &proc_net_dir),                                  \
        PROC_DIR("ns", 0511, &proc_ns_dir),                                    \
        {.name = "comm",                                                       \
         .mode = LX_S_IFREG | 0644,                                            \
         .show = show_comm,                                                    \
         .store = store_comm},                                                 \
        {.name = "oom_score_adj",                                              \
         .mode = LX_S_IFREG | 0644,                                            \
         .show = show_oom_adj,                                                 \
         .store = store_oom_adj},                                              \
        {.name = "exe",                                                        \
         .mode = LX_S_IFLNK | 0777,                                            \
         .show = proc_exe,                                                     \
         .magic = proc_exe_open},                                              \
        {.name = "cwd",                                                        \
         .mode = LX_S_IFLNK | 0777,                                            \
         .show = proc_cwd,                                                     \
         .magic = proc_cwd_open},                                              \
    {                                                                          \
        .name = "root", .mode = LX_S_IFLNK | 0777, .show = proc_root,          \
        .magic = proc_root_open                                                \
    }

/* --- task/TID --- */

static const struct pseudo_node tid_nodes[] = {COMMON_FILES};
static const struct pseudo_dir tid_dir = PSEUDO_DIR(tid_nodes);
static const struct pseudo_node tid_node = PROC_DIR("TID", 0555, &tid_dir);

const struct pseudo_node *proc_task_find(const struct pseudo_ref *r,
                                         const char *name,
                                         struct pseudo_ref *child)
{
    int64_t tid = pseudo_number(name);
    if (tid <= 0 || tid > INT32_MAX)
        return NULL;
    mutex_lock(&proc_lock);
    struct task *t = task_find((int32_t)tid);
    bool mine = t != NULL && t->proc == r->proc;
    if (mine) {
        *child =
            (struct pseudo_ref){.proc = r->proc, .task = t, .arg = PROC_ALONE};
        process_get(r->proc);
        task_get(t);
    }
    mutex_unlock(&proc_lock);
    return mine ? &tid_node : NULL;
}

/* Cursor: the last tid seen. A dead leader still counts, as on Linux. */
static bool task_next(const struct pseudo_ref *r, uint64_t *cursor,
                      char name[24])
{
    struct process *p = r->proc;
    int32_t best = 0;
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    LIST_FOR(it, &p->threads)
    {
        const struct task *t = LIST_ENTRY(it, struct task, thread_node);
        if ((uint64_t)t->tid > *cursor && (best == 0 || t->tid < best))
            best = t->tid;
    }
    if (p->leader != NULL && (uint64_t)p->pid > *cursor &&
        (best == 0 || p->pid < best))
        best = p->pid;
    spin_unlock_irq(&p->sig_lock, flags);
    if (best == 0)
        return false;
    *cursor = (uint64_t)best;
    (void)ksnprintf(name, 24, "%d", best);
    return true;
}

static const struct pseudo_dir task_dir = {
    .find = proc_task_find,
    .next = task_next,
    .next_mode = LX_S_IFDIR,
};

static const struct pseudo_node pid_nodes[] = {
    COMMON_FILES,
    PROC_DIR("task", 0555, &task_dir),
    PROC_REG("coredump_filter", 0444, show_coredump_filter),
};
const struct pseudo_dir proc_pid_dir = PSEUDO_DIR(pid_nodes);
