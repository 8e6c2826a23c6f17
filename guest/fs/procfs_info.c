// SPDX-License-Identifier: Apache-2.0
/* Files in /proc about the whole system. */
#include "abi/linux/errno.h"

#include "guest/arch/arch.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/oom.h"
#include "guest/core/page.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/uts.h"
#include "guest/fs/procfs.h"

#define TICK_NS     UINT64_C(10000000) /* USER_HZ is 100 */
#define CPUINFO_MAX 2000

typedef unsigned long ul;

int proc_cpuinfo(struct text *t, const struct pseudo_ref *r)
{
    char *one = kmalloc(CPUINFO_MAX);
    (void)r;
    if (one == NULL)
        return -ENOMEM;
    for (uint32_t cpu = 0; cpu < cpu_possible; cpu++) {
        if (!cpus[cpu].online)
            continue;
        int n = arch_cpuinfo(one, CPUINFO_MAX, cpu);
        text_printf(t, "processor\t: %u\n", cpu);
        text_add(t, one, (size_t)MIN(n, CPUINFO_MAX - 1));
        text_printf(t, "\n");
    }
    kfree(one);
    return 0;
}

static void mem_line(struct text *t, const char *name, uint64_t pages)
{
    text_printf(t, "%-16s%8lu kB\n", name, (ul)(pages * (PAGE_SIZE / 1024)));
}

int proc_meminfo(struct text *t, const struct pseudo_ref *r)
{
    struct page_stats s;
    (void)r;
    page_stats(&s);
    uint64_t used = s.total - s.free;
    uint64_t other = used - MIN(used, s.cached);
    mem_line(t, "MemTotal:", s.total);
    mem_line(t, "MemFree:", s.free);
    /* What files hold is tmpfs: it cannot be given up. */
    mem_line(t, "MemAvailable:", s.free);
    mem_line(t, "Buffers:", 0);
    mem_line(t, "Cached:", s.cached);
    mem_line(t, "SwapCached:", 0);
    mem_line(t, "Active:", other);
    mem_line(t, "Inactive:", 0);
    mem_line(t, "SwapTotal:", 0);
    mem_line(t, "SwapFree:", 0);
    mem_line(t, "Dirty:", 0);
    mem_line(t, "Writeback:", 0);
    mem_line(t, "AnonPages:", other);
    mem_line(t, "Mapped:", 0);
    mem_line(t, "Shmem:", s.cached);
    mem_line(t, "Slab:", 0);
    mem_line(t, "SReclaimable:", 0);
    mem_line(t, "SUnreclaim:", 0);
    mem_line(t, "CommitLimit:", s.total);
    mem_line(t, "Committed_AS:", used);
    text_printf(t, "HugePages_Total:       0\nHugePages_Free:        0\n"
                   "HugePages_Rsvd:        0\nHugePages_Surp:        0\n"
                   "Hugepagesize:       2048 kB\n");
    return 0;
}

/* --- stat --- */

struct cpu_times { /* ticks */
    ul user, system, idle;
};

/* The tasks' times cannot be told apart by CPU: what is not idle is shared out
 * as user and system in the proportion of all of them. */
static void times_all(nsec_t *user, nsec_t *system)
{
    *user = 0;
    *system = 0;
    mutex_lock(&proc_lock);
    LIST_FOR(it, &proc_list)
    {
        const struct process *p = LIST_ENTRY(it, struct process, all_node);
        *user += p->utime + p->cutime;
        *system += p->stime + p->cstime;
    }
    mutex_unlock(&proc_lock);
}

static struct cpu_times times_of(const struct cpu *c, nsec_t user,
                                 nsec_t system)
{
    nsec_t now = clock_now();
    nsec_t idle = c->idle_ns + (c->idle_since != 0 ? now - c->idle_since : 0);
    nsec_t busy = now > idle ? now - idle : 0;
    /* Milliseconds, so that the product does not overflow. */
    uint64_t all = (user + system) / 1000000, part = system / 1000000;
    nsec_t sys = all > 0 ? busy / all * part : busy;
    return (struct cpu_times){(ul)((busy - MIN(sys, busy)) / TICK_NS),
                              (ul)(sys / TICK_NS), (ul)(idle / TICK_NS)};
}

static void times_line(struct text *t, const char *name,
                       const struct cpu_times *c)
{
    text_printf(t, "%s %lu 0 %lu %lu 0 0 0 0 0 0\n", name, c->user, c->system,
                c->idle);
}

int proc_kstat(struct text *t, const struct pseudo_ref *r)
{
    struct cpu_times sum = {0};
    nsec_t user, system;
    uint64_t switches = 0, interrupts = 0;
    (void)r;
    times_all(&user, &system);
    for (uint32_t i = 0; i < cpu_possible; i++) {
        if (!cpus[i].online)
            continue;
        struct cpu_times c = times_of(&cpus[i], user, system);
        sum.user += c.user;
        sum.system += c.system;
        sum.idle += c.idle;
        switches += cpus[i].switches;
        interrupts += cpus[i].interrupts;
    }
    times_line(t, "cpu ", &sum);
    for (uint32_t i = 0; i < cpu_possible; i++) {
        char name[16];
        if (!cpus[i].online)
            continue;
        struct cpu_times c = times_of(&cpus[i], user, system);
        (void)ksnprintf(name, sizeof(name), "cpu%u", i);
        times_line(t, name, &c);
    }
    text_printf(t, "intr %lu\nctxt %lu\nbtime %lu\n", (ul)interrupts,
                (ul)switches,
                (ul)((clock_wall() - clock_now()) / NSEC_PER_SEC));
    text_printf(t, "processes %u\nprocs_running %u\nprocs_blocked 0\n",
                process_count_threads(), sched_runnable());
    return 0;
}

int proc_interrupts(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "    ");
    for (uint32_t i = 0; i < cpu_possible; i++)
        text_printf(t, "       CPU%-4u", i);
    text_printf(t, "\nALL:");
    for (uint32_t i = 0; i < cpu_possible; i++)
        text_printf(t, " %13lu", (ul)cpus[i].interrupts);
    text_printf(t, "\n");
    return 0;
}

int proc_uptime(struct text *t, const struct pseudo_ref *r)
{
    nsec_t now = clock_now(), idle = 0;
    (void)r;
    for (uint32_t i = 0; i < cpu_possible; i++)
        if (cpus[i].online)
            idle += cpus[i].idle_ns +
                    (cpus[i].idle_since != 0 ? now - cpus[i].idle_since : 0);
    text_printf(t, "%lu.%02lu %lu.%02lu\n", (ul)(now / NSEC_PER_SEC),
                (ul)(now % NSEC_PER_SEC / TICK_NS), (ul)(idle / NSEC_PER_SEC),
                (ul)(idle % NSEC_PER_SEC / TICK_NS));
    return 0;
}

int proc_loadavg(struct text *t, const struct pseudo_ref *r)
{
    uint32_t load[3];
    int32_t last = 0;
    (void)r;
    sched_loadavg(load);
    mutex_lock(&proc_lock);
    LIST_FOR(it, &proc_list) /* the newest process is the last one */
    last = LIST_ENTRY(it, struct process, all_node)->pid;
    mutex_unlock(&proc_lock);
    text_printf(t, "%u.%02u %u.%02u %u.%02u %u/%u %d\n", load[0] / 100,
                load[0] % 100, load[1] / 100, load[1] % 100, load[2] / 100,
                load[2] % 100, sched_runnable(), process_count_threads(), last);
    return 0;
}

int proc_version(struct text *t, const struct pseudo_ref *r)
{
    struct lx_utsname u;
    (void)r;
    uts_get(&u);
    text_printf(t, "%s version %s (limpet) %s\n", u.sysname, u.release,
                u.version);
    return 0;
}

static int show_lines(struct text *t, const char *lines)
{
    text_add(t, lines, strlen(lines));
    return 0;
}

int proc_filesystems(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    return show_lines(t, "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\n"
                         "nodev\tdevpts\nnodev\toverlay\nnodev\tpipefs\n"
                         "\terofs\n");
}

int proc_devices(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    return show_lines(t, "Character devices:\n  1 mem\n  5 /dev/tty\n"
                         "  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\n"
                         "Block devices:\n");
}

int proc_cgroups(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    return show_lines(t, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
                         "cpu\t0\t1\t1\nmemory\t0\t1\t1\npids\t0\t1\t1\n");
}

int proc_kcmdline(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    return show_lines(t, "\n");
}

int proc_partitions(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    return show_lines(t, "major minor  #blocks  name\n\n");
}

int proc_diskstats(struct text *t, const struct pseudo_ref *r)
{
    (void)t, (void)r;
    return 0;
}

int proc_vmstat(struct text *t, const struct pseudo_ref *r)
{
    struct page_stats s;
    uint64_t minor = 0, major = 0;
    (void)r;
    page_stats(&s);
    mutex_lock(&proc_lock);
    LIST_FOR(it, &proc_list)
    {
        const struct process *p = LIST_ENTRY(it, struct process, all_node);
        minor += p->min_faults;
        major += p->maj_faults;
    }
    mutex_unlock(&proc_lock);
    text_printf(t, "nr_free_pages %lu\nnr_file_pages %lu\nnr_shmem %lu\n",
                (ul)s.free, (ul)s.cached, (ul)s.cached);
    text_printf(t,
                "pgfault %lu\npgmajfault %lu\npswpin 0\npswpout 0\n"
                "oom_kill %lu\n",
                (ul)(minor + major), (ul)major, (ul)oom_kill_count());
    return 0;
}
