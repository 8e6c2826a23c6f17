// SPDX-License-Identifier: Apache-2.0
/* sysfs: the few files that programs size themselves by, and cgroup v2 limits
 * of the only group there is: this VM. */
#include "guest/fs/sysfs.h"

#include "abi/linux/errno.h"
#include "abi/linux/stat.h"

#include "guest/arch/arch.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/page.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/fs/fs.h"
#include "guest/fs/procfs.h"

#define SYSFS_MAGIC 0x62656572

typedef unsigned long ul;

#define SYS_TEXT(fn, fmt, value)                                               \
    static int fn(struct text *t, const struct pseudo_ref *r)                  \
    {                                                                          \
        (void)r;                                                               \
        text_printf(t, fmt "\n", (value));                                     \
        return 0;                                                              \
    }

/* --- devices/system/cpu --- */

static void add_range(struct text *t, uint32_t count)
{
    if (count > 1)
        text_printf(t, "0-%u\n", count - 1);
    else
        text_printf(t, "0\n");
}

/* Also as "online": the late ones come within milliseconds, and what asks now
 * sizes itself for good. */
static int show_possible(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    add_range(t, cpu_possible);
    return 0;
}

static int show_cpu_topology(struct text *t, const struct pseudo_ref *r)
{
    text_printf(t, "%lu\n", (ul)r->arg);
    return 0;
}

SYS_TEXT(show_zero, "%u", 0u)
SYS_TEXT(show_one, "%u", 1u)

static const struct pseudo_node topology_nodes[] = {
    PROC_REG("core_id", 0444, show_cpu_topology),
    PROC_REG("physical_package_id", 0444, show_zero),
    PROC_REG("thread_siblings_list", 0444, show_cpu_topology),
    PROC_REG("core_cpus_list", 0444, show_cpu_topology),
};
static const struct pseudo_dir topology_dir = PSEUDO_DIR(topology_nodes);

static const struct pseudo_node cpu_nodes[] = {
    PROC_REG("online", 0444, show_one),
    PROC_DIR("topology", 0555, &topology_dir),
};
static const struct pseudo_dir one_cpu_dir = PSEUDO_DIR(cpu_nodes);
static const struct pseudo_node one_cpu = PROC_DIR("cpuN", 0555, &one_cpu_dir);

static const struct pseudo_node *
cpu_find(const struct pseudo_ref *r, const char *name, struct pseudo_ref *child)
{
    (void)r;
    int64_t n = strncmp(name, "cpu", 3) == 0 ? pseudo_number(name + 3) : -1;
    if (n < 0 || n >= cpu_possible)
        return NULL;
    *child = (struct pseudo_ref){.arg = (uint64_t)n};
    return &one_cpu;
}

static bool cpu_next(const struct pseudo_ref *r, uint64_t *cursor,
                     char name[24])
{
    (void)r;
    if (*cursor >= cpu_possible)
        return false;
    (void)ksnprintf(name, 24, "cpu%lu", (ul)*cursor);
    ++*cursor;
    return true;
}

static const struct pseudo_node cpus_nodes[] = {
    PROC_REG("online", 0444, show_possible),
    PROC_REG("possible", 0444, show_possible),
    PROC_REG("present", 0444, show_possible),
};
static const struct pseudo_dir cpus_dir = {
    .nodes = cpus_nodes,
    .count = ARRAY_COUNT(cpus_nodes),
    .find = cpu_find,
    .next = cpu_next,
    .next_mode = LX_S_IFDIR,
};

/* --- devices/system/node: one --- */

static int show_node_cpumap(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "%lx\n",
                (ul)(cpu_possible >= 64 ? UINT64_MAX
                                        : (UINT64_C(1) << cpu_possible) - 1));
    return 0;
}

static int show_node_meminfo(struct text *t, const struct pseudo_ref *r)
{
    struct page_stats s;
    (void)r;
    page_stats(&s);
    text_printf(t, "Node 0 MemTotal: %14lu kB\nNode 0 MemFree:  %14lu kB\n",
                (ul)s.total * 4, (ul)s.free * 4);
    return 0;
}

static const struct pseudo_node node0_nodes[] = {
    PROC_REG("cpulist", 0444, show_possible),
    PROC_REG("cpumap", 0444, show_node_cpumap),
    PROC_REG("meminfo", 0444, show_node_meminfo),
};
static const struct pseudo_dir node0_dir = PSEUDO_DIR(node0_nodes);

static const struct pseudo_node node_nodes[] = {
    PROC_REG("online", 0444, show_zero),
    PROC_REG("possible", 0444, show_zero),
    PROC_DIR("node0", 0555, &node0_dir),
};
static const struct pseudo_dir node_dir = PSEUDO_DIR(node_nodes);

SYS_TEXT(show_clocksource, "%s", "tsc")

static const struct pseudo_node clocksource0_nodes[] = {
    PROC_REG("current_clocksource", 0444, show_clocksource),
    PROC_REG("available_clocksource", 0444, show_clocksource),
};
static const struct pseudo_dir clocksource0_dir =
    PSEUDO_DIR(clocksource0_nodes);
static const struct pseudo_node clocksource_nodes[] = {
    PROC_DIR("clocksource0", 0555, &clocksource0_dir),
};
static const struct pseudo_dir clocksource_dir = PSEUDO_DIR(clocksource_nodes);

static const struct pseudo_node system_nodes[] = {
    PROC_DIR("cpu", 0555, &cpus_dir),
    PROC_DIR("node", 0555, &node_dir),
    PROC_DIR("clocksource", 0555, &clocksource_dir),
};
static const struct pseudo_dir system_dir = PSEUDO_DIR(system_nodes);
static const struct pseudo_node devices_nodes[] = {
    PROC_DIR("system", 0555, &system_dir),
};
static const struct pseudo_dir devices_dir = PSEUDO_DIR(devices_nodes);

/* --- kernel/mm --- */

SYS_TEXT(show_thp, "%s", "[always] madvise never")
SYS_TEXT(show_thp_size, "%u", (unsigned)HUGE_SIZE)

static const struct pseudo_node thp_nodes[] = {
    PROC_REG("enabled", 0444, show_thp),
    PROC_REG("hpage_pmd_size", 0444, show_thp_size),
};
static const struct pseudo_dir thp_dir = PSEUDO_DIR(thp_nodes);
static const struct pseudo_node mm_nodes[] = {
    PROC_DIR("transparent_hugepage", 0555, &thp_dir),
};
static const struct pseudo_dir mm_dir = PSEUDO_DIR(mm_nodes);
static const struct pseudo_node kernel_nodes[] = {
    PROC_DIR("mm", 0555, &mm_dir),
};
static const struct pseudo_dir kernel_dir = PSEUDO_DIR(kernel_nodes);

/* --- fs/cgroup --- */

static uint64_t ram_bytes(void)
{
    struct page_stats s;
    page_stats(&s);
    return s.total * PAGE_SIZE;
}

static uint64_t ram_used(void)
{
    struct page_stats s;
    page_stats(&s);
    return (s.total - s.free) * PAGE_SIZE;
}

static uint64_t ram_peak(void)
{
    struct page_stats s;
    page_stats(&s);
    return s.high * PAGE_SIZE;
}

/* Every process is in the one group there is. */
static int show_procs(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    mutex_lock(&proc_lock);
    LIST_FOR(it, &proc_list)
    text_printf(t, "%d\n", LIST_ENTRY(it, struct process, all_node)->pid);
    mutex_unlock(&proc_lock);
    return 0;
}

static int show_cpu_max(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "%u 100000\n", cpu_possible * 100000);
    return 0;
}

static int show_cpu_stat(struct text *t, const struct pseudo_ref *r)
{
    nsec_t now = clock_now(), busy = 0;
    (void)r;
    for (uint32_t i = 0; i < cpu_possible; i++) {
        nsec_t idle = cpus[i].idle_ns +
                      (cpus[i].idle_since != 0 ? now - cpus[i].idle_since : 0);
        if (cpus[i].online && now > idle)
            busy += now - idle;
    }
    text_printf(t, "usage_usec %lu\n", (ul)(busy / 1000));
    return 0;
}

static int show_memory_stat(struct text *t, const struct pseudo_ref *r)
{
    struct page_stats s;
    (void)r;
    page_stats(&s);
    uint64_t used = s.total - s.free;
    text_printf(t, "anon %lu\nfile %lu\nshmem %lu\n",
                (ul)((used - MIN(used, s.cached)) * PAGE_SIZE),
                (ul)(s.cached * PAGE_SIZE), (ul)(s.cached * PAGE_SIZE));
    return 0;
}

SYS_TEXT(show_controllers, "%s", "cpu memory pids")
SYS_TEXT(show_subtree, "%s", "")
SYS_TEXT(show_type, "%s", "domain")
SYS_TEXT(show_max, "%s", "max")
SYS_TEXT(show_memory_max, "%lu", (ul)ram_bytes())
SYS_TEXT(show_memory_current, "%lu", (ul)ram_used())
SYS_TEXT(show_memory_peak, "%lu", (ul)ram_peak())
SYS_TEXT(show_weight, "%u", 100u)
SYS_TEXT(show_pids_current, "%u", process_count_threads())

static const struct pseudo_node cgroup_nodes[] = {
    PROC_REG("cgroup.controllers", 0444, show_controllers),
    PROC_REG("cgroup.subtree_control", 0444, show_subtree),
    PROC_REG("cgroup.type", 0444, show_type),
    PROC_REG("cgroup.procs", 0444, show_procs),
    PROC_REG("cpu.max", 0444, show_cpu_max),
    PROC_REG("cpu.weight", 0444, show_weight),
    PROC_REG("cpu.stat", 0444, show_cpu_stat),
    PROC_REG("memory.max", 0444, show_memory_max),
    PROC_REG("memory.high", 0444, show_max),
    PROC_REG("memory.current", 0444, show_memory_current),
    PROC_REG("memory.peak", 0444, show_memory_peak),
    PROC_REG("memory.stat", 0444, show_memory_stat),
    PROC_REG("memory.swap.max", 0444, show_zero),
    PROC_REG("memory.swap.current", 0444, show_zero),
    PROC_REG("pids.max", 0444, show_max),
    PROC_REG("pids.current", 0444, show_pids_current),
};
static const struct pseudo_dir cgroup_dir = PSEUDO_DIR(cgroup_nodes);
static const struct pseudo_node fs_nodes[] = {
    PROC_DIR("cgroup", 0555, &cgroup_dir),
};
static const struct pseudo_dir fs_dir = PSEUDO_DIR(fs_nodes);

/* --- the root --- */

static const struct pseudo_dir empty_dir = {.count = 0};

static const struct pseudo_node root_nodes[] = {
    PROC_DIR("devices", 0555, &devices_dir),
    PROC_DIR("kernel", 0555, &kernel_dir),
    PROC_DIR("fs", 0555, &fs_dir),
    PROC_DIR("block", 0555, &empty_dir),
    PROC_DIR("class", 0555, &sysfs_class_dir),
};
static const struct pseudo_dir root_dir = PSEUDO_DIR(root_nodes);

int sysfs_mount(struct superblock **out)
{
    static const struct pseudo_node root = PROC_DIR("", 0555, &root_dir);
    return pseudo_mount("sysfs", SYSFS_MAGIC, &root, out);
}
