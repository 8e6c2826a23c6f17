// SPDX-License-Identifier: Apache-2.0
/* The root of procfs: proc(5). */
#include "guest/fs/procfs.h"

#include "abi/linux/errno.h"
#include "abi/linux/stat.h"

#include "guest/core/klib.h"
#include "guest/core/task.h"
#include "guest/fs/fs.h"

#define PROC_MAGIC 0x9fa0

static int show_self(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "%d", current()->proc->pid);
    return 0;
}

static int show_thread_self(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "%d/task/%d", current()->proc->pid, current()->tid);
    return 0;
}

static int show_self_mounts(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "self/mounts");
    return 0;
}

static int show_swaps(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    return 0;
}

static const struct pseudo_node root_nodes[] = {
    PROC_LNK("self", show_self),
    PROC_LNK("thread-self", show_thread_self),
    PROC_LNK("mounts", show_self_mounts),
    PROC_REG("cpuinfo", 0444, proc_cpuinfo),
    PROC_REG("meminfo", 0444, proc_meminfo),
    PROC_REG("stat", 0444, proc_kstat),
    PROC_REG("uptime", 0444, proc_uptime),
    PROC_REG("loadavg", 0444, proc_loadavg),
    PROC_REG("version", 0444, proc_version),
    PROC_REG("filesystems", 0444, proc_filesystems),
    PROC_REG("devices", 0444, proc_devices),
    PROC_REG("cgroups", 0444, proc_cgroups),
    PROC_REG("vmstat", 0444, proc_vmstat),
    PROC_REG("cmdline", 0444, proc_kcmdline),
    PROC_REG("partitions", 0444, proc_partitions),
    PROC_REG("diskstats", 0444, proc_diskstats),
    PROC_REG("interrupts", 0444, proc_interrupts),
    PROC_REG("locks", 0444, proc_locks),
    PROC_REG("swaps", 0444, show_swaps),
    PROC_DIR("sys", 0555, &proc_sys_dir),
    PROC_DIR("sysvipc", 0555, &proc_sysvipc_dir),
    PROC_DIR("net", 0555, &proc_net_dir),
};

static const struct pseudo_node pid_node = PROC_DIR("PID", 0555, &proc_pid_dir);

/* A number that is any thread's is found, and shows that thread, but listed are
 * only processes. */
static const struct pseudo_node *root_find(const struct pseudo_ref *r,
                                           const char *name,
                                           struct pseudo_ref *child)
{
    int64_t pid = pseudo_number(name);
    (void)r;
    if (pid <= 0 || pid > INT32_MAX)
        return NULL;
    mutex_lock(&proc_lock);
    struct task *t = task_find((int32_t)pid);
    struct process *p = t != NULL ? t->proc : NULL;
    if (p != NULL) {
        process_get(p);
        *child = (struct pseudo_ref){.proc = p};
        if (t != p->leader) {
            task_get(t);
            child->task = t;
        }
    }
    mutex_unlock(&proc_lock);
    return p != NULL ? &pid_node : NULL;
}

/* Cursor: the last pid seen. */
static bool root_next(const struct pseudo_ref *r, uint64_t *cursor,
                      char name[24])
{
    int32_t best = 0;
    (void)r;
    mutex_lock(&proc_lock);
    LIST_FOR(it, &proc_list)
    {
        const struct process *p = LIST_ENTRY(it, struct process, all_node);
        if ((uint64_t)p->pid > *cursor && (best == 0 || p->pid < best))
            best = p->pid;
    }
    mutex_unlock(&proc_lock);
    if (best == 0)
        return false;
    *cursor = (uint64_t)best;
    (void)ksnprintf(name, 24, "%d", best);
    return true;
}

static const struct pseudo_dir root_dir = {
    .nodes = root_nodes,
    .count = ARRAY_COUNT(root_nodes),
    .find = root_find,
    .next = root_next,
    .next_mode = LX_S_IFDIR,
};

int procfs_mount(struct superblock **out)
{
    static const struct pseudo_node root = PROC_DIR("", 0555, &root_dir);
    return pseudo_mount("proc", PROC_MAGIC, &root, out);
}
