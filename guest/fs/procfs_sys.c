// SPDX-License-Identifier: Apache-2.0
/* /proc/sys: what sysctl(8) sees. Read-only, but for the host name. */
#include "abi/linux/errno.h"
#include "abi/linux/stat.h"

#include "guest/core/klib.h"
#include "guest/core/page.h"
#include "guest/core/task.h"
#include "guest/core/uts.h"
#include "guest/fs/file.h"
#include "guest/fs/procfs.h"

#define UUID_BYTES 16
#define CAP_ADMIN  21

#define SYS_VALUE(fn, fmt, value)                                              \
    static int fn(struct text *t, const struct pseudo_ref *r)                  \
    {                                                                          \
        (void)r;                                                               \
        text_printf(t, fmt "\n", (value));                                     \
        return 0;                                                              \
    }

/* --- kernel --- */

static int show_ostype(struct text *t, const struct pseudo_ref *r)
{
    struct lx_utsname u;
    (void)r;
    uts_get(&u);
    text_printf(t, "%s\n", u.sysname);
    return 0;
}

static int show_osrelease(struct text *t, const struct pseudo_ref *r)
{
    struct lx_utsname u;
    (void)r;
    uts_get(&u);
    text_printf(t, "%s\n", u.release);
    return 0;
}

static int show_osversion(struct text *t, const struct pseudo_ref *r)
{
    struct lx_utsname u;
    (void)r;
    uts_get(&u);
    text_printf(t, "%s\n", u.version);
    return 0;
}

static int show_hostname(struct text *t, const struct pseudo_ref *r)
{
    struct lx_utsname u;
    (void)r;
    uts_get(&u);
    text_printf(t, "%s\n", u.nodename);
    return 0;
}

static int store_hostname(const struct pseudo_ref *r, const char *data,
                          size_t n)
{
    (void)r;
    if (!cred_capable(current()->proc, CAP_ADMIN))
        return -EPERM;
    if (n > 0 && data[n - 1] == '\n')
        n--;
    return uts_set_hostname(data, n);
}

static int show_domainname(struct text *t, const struct pseudo_ref *r)
{
    struct lx_utsname u;
    (void)r;
    uts_get(&u);
    text_printf(t, "%s\n", u.domainname);
    return 0;
}

static uint64_t ram_pages(void)
{
    struct page_stats s;
    page_stats(&s);
    return s.total;
}

SYS_VALUE(show_pid_max, "%u", 32768u)
SYS_VALUE(show_threads_max, "%u", process_threads_max())
SYS_VALUE(show_cap_last_cap, "%u", 40u)
SYS_VALUE(show_ngroups_max, "%u", (unsigned)CRED_GROUPS_MAX)
SYS_VALUE(show_core_pattern, "%s", "core")
SYS_VALUE(show_one, "%u", 1u)
SYS_VALUE(show_zero, "%u", 0u)
SYS_VALUE(show_two, "%u", 2u)
SYS_VALUE(show_randomize, "%u", 2u)
SYS_VALUE(show_msgmax, "%u", 8192u)
SYS_VALUE(show_shmmax, "%lu", (unsigned long)(ram_pages() * PAGE_SIZE))
SYS_VALUE(show_shmall, "%lu", (unsigned long)ram_pages())
SYS_VALUE(show_shmmni, "%u", 4096u)
SYS_VALUE(show_sem, "%s", "32000\t1024000000\t500\t32000")
SYS_VALUE(show_overflow_id, "%u", 65534u)
SYS_VALUE(show_printk, "%s", "4\t4\t1\t7")

/* --- kernel/random --- */

static void add_uuid(struct text *t, uint8_t u[UUID_BYTES])
{
    u[6] = (uint8_t)((u[6] & 0x0f) | 0x40); /* RFC 4122: version 4 */
    u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
    for (unsigned i = 0; i < UUID_BYTES; i++)
        text_printf(t, "%s%02x",
                    i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
    text_printf(t, "\n");
}

static int show_uuid(struct text *t, const struct pseudo_ref *r)
{
    uint8_t u[UUID_BYTES];
    (void)r;
    krandom(u, sizeof(u));
    add_uuid(t, u);
    return 0;
}

static int show_boot_id(struct text *t, const struct pseudo_ref *r)
{
    static struct mutex lock = {.waiters = LIST_INIT(lock.waiters)};
    static uint8_t id[UUID_BYTES];
    static bool made;
    (void)r;
    mutex_lock(&lock);
    if (!made)
        krandom(id, sizeof(id));
    made = true;
    add_uuid(t, id);
    mutex_unlock(&lock);
    return 0;
}

SYS_VALUE(show_entropy, "%u", 256u)

static const struct pseudo_node random_nodes[] = {
    PROC_REG("uuid", 0444, show_uuid),
    PROC_REG("boot_id", 0444, show_boot_id),
    PROC_REG("entropy_avail", 0444, show_entropy),
    PROC_REG("poolsize", 0444, show_entropy),
};
static const struct pseudo_dir random_dir = PSEUDO_DIR(random_nodes);

static const struct pseudo_node kernel_nodes[] = {
    PROC_REG("ostype", 0444, show_ostype),
    PROC_REG("osrelease", 0444, show_osrelease),
    PROC_REG("version", 0444, show_osversion),
    {.name = "hostname",
     .mode = LX_S_IFREG | 0644,
     .show = show_hostname,
     .store = store_hostname},
    PROC_REG("domainname", 0444, show_domainname),
    PROC_REG("pid_max", 0444, show_pid_max),
    PROC_REG("threads-max", 0444, show_threads_max),
    PROC_REG("cap_last_cap", 0444, show_cap_last_cap),
    PROC_REG("ngroups_max", 0444, show_ngroups_max),
    PROC_REG("core_pattern", 0444, show_core_pattern),
    PROC_REG("core_uses_pid", 0444, show_zero),
    PROC_REG("randomize_va_space", 0444, show_randomize),
    PROC_REG("kptr_restrict", 0444, show_two),
    PROC_REG("dmesg_restrict", 0444, show_one),
    PROC_REG("perf_event_paranoid", 0444, show_two),
    PROC_REG("printk", 0444, show_printk),
    PROC_REG("overflowuid", 0444, show_overflow_id),
    PROC_REG("overflowgid", 0444, show_overflow_id),
    PROC_REG("tainted", 0444, show_zero),
    PROC_REG("msgmax", 0444, show_msgmax),
    PROC_REG("shmmax", 0444, show_shmmax),
    PROC_REG("shmall", 0444, show_shmall),
    PROC_REG("shmmni", 0444, show_shmmni),
    PROC_REG("sem", 0444, show_sem),
    PROC_DIR("random", 0555, &random_dir),
};
static const struct pseudo_dir kernel_dir = PSEUDO_DIR(kernel_nodes);

/* --- vm, fs --- */

/* Memory is reserved without limit and backed on demand. */
SYS_VALUE(show_max_map_count, "%u", 65530u)
SYS_VALUE(show_mmap_min_addr, "%u", 65536u)
SYS_VALUE(show_overcommit_ratio, "%u", 50u)

static const struct pseudo_node vm_nodes[] = {
    PROC_REG("overcommit_memory", 0444, show_one),
    PROC_REG("overcommit_ratio", 0444, show_overcommit_ratio),
    PROC_REG("max_map_count", 0444, show_max_map_count),
    PROC_REG("mmap_min_addr", 0444, show_mmap_min_addr),
    PROC_REG("swappiness", 0444, show_zero),
    PROC_REG("nr_hugepages", 0444, show_zero),
};
static const struct pseudo_dir vm_dir = PSEUDO_DIR(vm_nodes);

#define FILES_MAX 9223372036854775807ul

SYS_VALUE(show_file_max, "%lu", FILES_MAX)
static int show_file_nr(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "%u\t0\t%lu\n", file_count(), FILES_MAX);
    return 0;
}

SYS_VALUE(show_nr_open, "%u", 1048576u)
SYS_VALUE(show_pipe_max, "%u", 1048576u)
SYS_VALUE(show_lease_break, "%u", 45u)
SYS_VALUE(show_watches, "%u", 65536u)

static const struct pseudo_node epoll_nodes[] = {
    PROC_REG("max_user_watches", 0444, show_watches),
};
static const struct pseudo_dir epoll_dir = PSEUDO_DIR(epoll_nodes);

SYS_VALUE(show_queued, "%u", 16384u)
SYS_VALUE(show_instances, "%u", 128u)

static const struct pseudo_node inotify_nodes[] = {
    PROC_REG("max_queued_events", 0444, show_queued),
    PROC_REG("max_user_instances", 0444, show_instances),
    PROC_REG("max_user_watches", 0444, show_watches),
};
static const struct pseudo_dir inotify_dir = PSEUDO_DIR(inotify_nodes);

static const struct pseudo_node fs_nodes[] = {
    PROC_REG("file-max", 0444, show_file_max),
    PROC_REG("file-nr", 0444, show_file_nr),
    PROC_REG("overflowuid", 0444, show_overflow_id),
    PROC_REG("overflowgid", 0444, show_overflow_id),
    PROC_REG("nr_open", 0444, show_nr_open),
    PROC_REG("pipe-max-size", 0444, show_pipe_max),
    PROC_REG("protected_hardlinks", 0444, show_one),
    PROC_REG("protected_symlinks", 0444, show_one),
    PROC_REG("suid_dumpable", 0444, show_zero),
    PROC_REG("leases-enable", 0444, show_one),
    PROC_REG("lease-break-time", 0444, show_lease_break),
    PROC_DIR("epoll", 0555, &epoll_dir),
    PROC_DIR("inotify", 0555, &inotify_dir),
};
static const struct pseudo_dir fs_dir = PSEUDO_DIR(fs_nodes);

static const struct pseudo_node sys_nodes[] = {
    PROC_DIR("kernel", 0555, &kernel_dir),
    PROC_DIR("vm", 0555, &vm_dir),
    PROC_DIR("fs", 0555, &fs_dir),
    PROC_DIR("net", 0555, &proc_sys_net_dir),
};
const struct pseudo_dir proc_sys_dir = PSEUDO_DIR(sys_nodes);
