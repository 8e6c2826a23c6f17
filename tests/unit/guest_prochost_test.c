// SPDX-License-Identifier: Apache-2.0
/* procfs and sysfs about the whole machine: form and values of each file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/core/timer.h"
#include "guest/core/uio.h"
#include "tests/unit/guest_fs_env.h"
#include "tests/unit/guest_net_env.h"

static struct superblock *proc, *sys;
static char text[1 << 14];

static int setup_group(void **state)
{
    (void)state;
    net_env_init();
    env_root(NULL, 4 << 20);
    assert_int_equal(procfs_mount(&proc), 0);
    assert_int_equal(sysfs_mount(&sys), 0);
    return 0;
}

/* A name below a directory, which is let go; NULL: there is none. */
static struct inode *child(struct superblock *sb, struct inode *dir,
                           const char *name)
{
    struct inode *found = NULL;
    struct dentry *d = dentry_new(sb->root, name, strlen(name));
    if (dir->dir != NULL && dir->dir->lookup(dir, d) == 0) {
        found = d->inode;
        inode_get(found);
    }
    dentry_put(d);
    inode_put(dir);
    return found;
}

static struct inode *find(struct superblock *sb, const char *path)
{
    struct inode *at = sb->root->inode;
    char copy[128], *save = NULL;
    (void)snprintf(copy, sizeof(copy), "%s", path);
    inode_get(at);
    for (char *part = strtok_r(copy, "/", &save); part != NULL && at != NULL;
         part = strtok_r(NULL, "/", &save))
        at = child(sb, at, part);
    return at;
}

/* All of a file, in `text`. */
static const char *slurp(struct superblock *sb, const char *path)
{
    struct inode *i = find(sb, path);
    uint64_t pos = 0;
    int64_t n;
    if (i == NULL)
        fail_msg("%s is not there", path);
    struct file *f = file_new(i->file_ops, i, LX_O_RDONLY);
    do {
        struct uio u;
        struct uio_seg seg;
        uio_kernel(&u, &seg, text + pos, sizeof(text) - 1 - pos);
        n = f->ops->read(f, &u, &pos);
    } while (n > 0);
    assert_int_equal(n, 0);
    text[pos] = '\0';
    file_put(f);
    inode_put(i);
    return text;
}

static int64_t spew(const char *path, const char *data)
{
    struct inode *i = find(proc, path);
    struct uio u;
    struct uio_seg seg;
    uint64_t pos = 0;
    char copy[64];
    assert_non_null(i);
    struct file *f = file_new(i->file_ops, i, LX_O_WRONLY);
    (void)snprintf(copy, sizeof(copy), "%s", data);
    uio_kernel(&u, &seg, copy, strlen(copy));
    int64_t n = f->ops->write(f, &u, &pos);
    file_put(f);
    inode_put(i);
    return n;
}

static void assert_has(const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

struct known {
    const char *path, *contents;
};

static void check_known(struct superblock *sb, const struct known *k)
{
    for (; k->path != NULL; k++)
        if (strcmp(slurp(sb, k->path), k->contents) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", k->path, text, k->contents);
}

/* proc(5): /proc/sys/kernel, vm and fs. */
static void test_sysctl(void **state)
{
    (void)state;
    static const struct known all[] = {
        {"sys/kernel/ostype", "Linux\n"},
        {"sys/kernel/domainname", "(none)\n"},
        {"sys/kernel/pid_max", "32768\n"},
        {"sys/kernel/cap_last_cap", "40\n"},
        {"sys/kernel/core_pattern", "core\n"},
        {"sys/kernel/core_uses_pid", "0\n"},
        {"sys/kernel/randomize_va_space", "2\n"},
        {"sys/kernel/kptr_restrict", "2\n"},
        {"sys/kernel/dmesg_restrict", "1\n"},
        {"sys/kernel/printk", "4\t4\t1\t7\n"},
        {"sys/kernel/msgmax", "8192\n"},
        {"sys/kernel/shmmni", "4096\n"},
        {"sys/kernel/sem", "32000\t1024000000\t500\t32000\n"},
        {"sys/kernel/random/entropy_avail", "256\n"},
        {"sys/vm/overcommit_memory", "1\n"},
        {"sys/vm/overcommit_ratio", "50\n"},
        {"sys/vm/max_map_count", "65530\n"},
        {"sys/vm/mmap_min_addr", "65536\n"},
        {"sys/vm/swappiness", "0\n"},
        {"sys/fs/file-max", "9223372036854775807\n"},
        {"sys/fs/nr_open", "1048576\n"},
        {"sys/fs/pipe-max-size", "1048576\n"},
        {"sys/fs/epoll/max_user_watches", "65536\n"},
        {NULL, NULL},
    };
    struct page_stats s;
    page_stats(&s);
    check_known(proc, all);
    assert_int_equal(strtoull(slurp(proc, "sys/kernel/shmall"), NULL, 10),
                     s.total);
    assert_int_equal(strtoull(slurp(proc, "sys/kernel/shmmax"), NULL, 10),
                     s.total * 4096);
    assert_true(strtoul(slurp(proc, "sys/kernel/threads-max"), NULL, 10) > 0);
    assert_int_equal(strtoul(slurp(proc, "sys/kernel/ngroups_max"), NULL, 10),
                     CRED_GROUPS_MAX);
    assert_int_equal(spew("sys/kernel/pid_max", "5\n"), -EINVAL);
}

static void test_version(void **state)
{
    (void)state;
    char release[64], all[256];
    (void)snprintf(release, sizeof(release), "%s",
                   slurp(proc, "sys/kernel/osrelease"));
    release[strcspn(release, "\n")] = '\0';
    (void)snprintf(all, sizeof(all), "Linux version %s (limpet) %s", release,
                   slurp(proc, "sys/kernel/version"));
    assert_string_equal(slurp(proc, "version"), all);
}

/* ip(7), tcp(7), socket(7), ipv6(7). */
static void test_sysctl_net(void **state)
{
    (void)state;
    static const struct known all[] = {
        {"sys/net/core/somaxconn", "4096\n"},
        {"sys/net/core/optmem_max", "131072\n"},
        {"sys/net/core/netdev_max_backlog", "8192\n"},
        {"sys/net/unix/max_dgram_qlen", "10\n"},
        {"sys/net/ipv4/ip_forward", "0\n"},
        {"sys/net/ipv4/ip_default_ttl", "64\n"},
        {"sys/net/ipv4/ping_group_range", "0\t2147483647\n"},
        {"sys/net/ipv4/icmp_echo_ignore_broadcasts", "1\n"},
        {"sys/net/ipv4/igmp_max_memberships", "20\n"},
        {"sys/net/ipv4/ipfrag_time", "30\n"},
        {"sys/net/ipv4/ipfrag_high_thresh", "1048576\n"},
        {"sys/net/ipv4/tcp_congestion_control", "cubic\n"},
        {"sys/net/ipv6/bindv6only", "0\n"},
        {"sys/net/ipv6/ip6frag_time", "60\n"},
        {"sys/net/ipv6/conf/all/disable_ipv6", "0\n"},
        {"sys/net/ipv6/conf/default/hop_limit", "64\n"},
        {NULL, NULL},
    };
    check_known(proc, all);
    char max[32];
    (void)snprintf(max, sizeof(max), "%s",
                   slurp(proc, "sys/net/core/rmem_max"));
    assert_true(strtoul(max, NULL, 10) >= 4096);
    assert_string_equal(slurp(proc, "sys/net/core/wmem_default"), max);
}

/* ip(7): ip_local_port_range; two numbers, the first not above the second. */
static void test_port_range(void **state)
{
    (void)state;
    const char *file = "sys/net/ipv4/ip_local_port_range";
    static const char *const bad[] = {
        "5000\n",  "6000 5000\n",    "0 10\n", "1 x\n",
        "1 65536", "1000 2000 3000", "-1 5\n",
    };
    assert_string_equal(slurp(proc, file), "32768\t60999\n");
    assert_int_equal(spew(file, " 1024\t65535\n"), 12);
    assert_string_equal(slurp(proc, file), "1024\t65535\n");
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(spew(file, bad[i]), -EINVAL);
    env_user(1000);
    assert_int_equal(spew(file, "1 2\n"), -EPERM);
    env_user(0);
    assert_string_equal(slurp(proc, file), "1024\t65535\n");
    assert_int_equal(spew(file, "32768 60999"), 11);
}

static void test_unprivileged_port(void **state)
{
    (void)state;
    const char *file = "sys/net/ipv4/ip_unprivileged_port_start";
    assert_int_equal(spew(file, "1024\n"), 5);
    assert_string_equal(slurp(proc, file), "1024\n");
    assert_int_equal(spew(file, "65536\n"), -EINVAL);
    assert_int_equal(spew(file, "80 81\n"), -EINVAL);
    env_user(1000);
    assert_int_equal(spew(file, "0\n"), -EPERM);
    env_user(0);
    assert_int_equal(spew(file, "0"), 1);
    assert_string_equal(slurp(proc, file), "0\n");
}

/* proc(5), /proc/net: a heading, then a line of so many columns for each. */
static void test_proc_net(void **state)
{
    (void)state;
    unsigned dst, gateway, flags, mask;
    slurp(proc, "net/dev");
    assert_has("Inter-|   Receive ");
    assert_has("    lo: ");
    assert_has("  eth0: ");
    slurp(proc, "net/route");
    const char *line = strstr(text, "eth0\t");
    assert_non_null(line);
    assert_int_equal(sscanf(line, "eth0 %x %x %x %*d %*u %*u %x", &dst,
                            &gateway, &flags, &mask),
                     4);
    assert_int_equal(dst, 0x0000000a); /* 10.0.0.0 in network order */
    assert_int_equal(gateway, 0);
    assert_int_equal(flags, 1); /* RTF_UP */
    assert_int_equal(mask, 0x00ffffff);
    slurp(proc, "net/if_inet6");
    assert_has("20010db8000000000000000000000001 02 40 00 80     eth0\n");
    slurp(proc, "net/arp");
    assert_int_equal(strncmp(text, "IP address       HW type     Flags ", 35),
                     0);
    slurp(proc, "net/snmp");
    assert_has("Ip: Forwarding DefaultTTL ");
    assert_has("\nUdp: InDatagrams ");
    assert_int_equal(strncmp(slurp(proc, "net/tcp"), "  sl  local_addr", 16),
                     0);
}

/* sysfs-class-net of the kernel's Documentation/ABI. */
static void test_class_net(void **state)
{
    (void)state;
    static const struct known all[] = {
        {"class/net/eth0/address", "02:00:00:00:00:01\n"},
        {"class/net/eth0/carrier", "1\n"},
        {"class/net/eth0/ifindex", "2\n"},
        {"class/net/eth0/mtu", "1500\n"},
        {"class/net/eth0/operstate", "up\n"},
        {"class/net/eth0/tx_queue_len", "1000\n"},
        {"class/net/eth0/type", "1\n"},
        {"class/net/lo/address", "00:00:00:00:00:00\n"},
        {"class/net/lo/ifindex", "1\n"},
        {"class/net/lo/operstate", "unknown\n"},
        {"class/net/lo/type", "772\n"},
        {NULL, NULL},
    };
    static const char *const counts[] = {
        "rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "multicast",
        "tx_bytes", "tx_packets", "tx_errors", "tx_dropped",
    };
    uint64_t *values = (uint64_t[]){11, 12, 13, 14, 15, 16, 17, 18, 19};
    struct netif_stats was = net_eth.stats;
    check_known(sys, all);
    assert_int_equal(strtoul(slurp(sys, "class/net/eth0/flags"), NULL, 16) &
                         LX_IFF_UP,
                     LX_IFF_UP);
    assert_null(find(sys, "class/net/eth9"));
    net_eth.stats = (struct netif_stats){.rx_bytes = 11,
                                         .rx_packets = 12,
                                         .rx_errors = 13,
                                         .rx_dropped = 14,
                                         .multicast = 15,
                                         .tx_bytes = 16,
                                         .tx_packets = 17,
                                         .tx_errors = 18,
                                         .tx_dropped = 19};
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "class/net/eth0/statistics/%s",
                       counts[i]);
        assert_int_equal(strtoul(slurp(sys, path), NULL, 10), values[i]);
    }
    net_eth.stats = was;
}

/* One CPU, one node, the group of everything. */
static void test_sysfs(void **state)
{
    (void)state;
    static const struct known all[] = {
        {"devices/system/cpu/possible", "0\n"},
        {"devices/system/cpu/cpu0/online", "1\n"},
        {"devices/system/cpu/cpu0/topology/core_id", "0\n"},
        {"devices/system/cpu/cpu0/topology/physical_package_id", "0\n"},
        {"devices/system/node/online", "0\n"},
        {"devices/system/node/node0/cpulist", "0\n"},
        {"devices/system/node/node0/cpumap", "1\n"},
        {"kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"},
        {"kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n"},
        {"fs/cgroup/cgroup.controllers", "cpu memory pids\n"},
        {"fs/cgroup/cgroup.type", "domain\n"},
        {"fs/cgroup/cgroup.procs", "1\n"},
        {"fs/cgroup/cpu.weight", "100\n"},
        {"fs/cgroup/memory.high", "max\n"},
        {"fs/cgroup/memory.swap.max", "0\n"},
        {"fs/cgroup/pids.max", "max\n"},
        {"fs/cgroup/cgroup.subtree_control", "\n"},
        {NULL, NULL},
    };
    unsigned long total, left, now, peak;
    struct page_stats s;
    page_stats(&s);
    check_known(sys, all);
    assert_int_equal(sscanf(slurp(sys, "devices/system/node/node0/meminfo"),
                            "Node 0 MemTotal: %lu kB\nNode 0 MemFree: %lu kB",
                            &total, &left),
                     2);
    assert_int_equal(total, s.total * 4);
    assert_in_range(left, 1, total);
    now = strtoul(slurp(sys, "fs/cgroup/memory.current"), NULL, 10);
    peak = strtoul(slurp(sys, "fs/cgroup/memory.peak"), NULL, 10);
    assert_in_range(now, 4096, peak + 4096 * 16);
    assert_in_range(peak, 4096, total * 1024);
    assert_true(strtoul(slurp(sys, "fs/cgroup/pids.current"), NULL, 10) >= 1);
    assert_int_equal(sscanf(slurp(sys, "fs/cgroup/memory.stat"),
                            "anon %lu\nfile %lu\n", &now, &left),
                     2);
}

/* Time passes, and this CPU never was idle. */
static void test_cpu_stat(void **state)
{
    (void)state;
    unsigned long before, after;
    const char *file = "fs/cgroup/cpu.stat";
    assert_int_equal(sscanf(slurp(sys, file), "usage_usec %lu\n", &before), 1);
    fake_clock_add(NSEC_PER_SEC);
    assert_int_equal(sscanf(slurp(sys, file), "usage_usec %lu\n", &after), 1);
    assert_in_range(after, before + 1000000, before + 1100000);
}

/* proc(5): stat, uptime, loadavg, vmstat, interrupts. */
static void test_counters(void **state)
{
    (void)state;
    unsigned long v[10], up, up_later, running, threads;
    assert_int_equal(sscanf(slurp(proc, "stat"),
                            "cpu  %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu\n",
                            &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6],
                            &v[7], &v[8], &v[9]),
                     10);
    assert_has("\ncpu0 ");
    assert_null(strstr(text, "\ncpu1 "));
    assert_has("\nintr ");
    assert_has("\nctxt ");
    assert_has("\nbtime ");
    assert_has("\nprocesses ");
    assert_has("\nprocs_blocked 0\n");
    assert_int_equal(sscanf(slurp(proc, "uptime"), "%lu.%*2u %*u.%*2u\n", &up),
                     1);
    fake_clock_add(7 * NSEC_PER_SEC);
    assert_int_equal(sscanf(slurp(proc, "uptime"), "%lu.", &up_later), 1);
    assert_in_range(up_later, up + 7, up + 8);
    assert_int_equal(sscanf(slurp(proc, "loadavg"),
                            "%*u.%*2u %*u.%*2u %*u.%*2u %lu/%lu 1\n", &running,
                            &threads),
                     2);
    assert_in_range(threads, 1, 100);
    slurp(proc, "vmstat");
    assert_int_equal(strncmp(text, "nr_free_pages ", 14), 0);
    assert_has("\npgfault ");
    assert_has("\noom_kill 0\n");
    slurp(proc, "interrupts");
    assert_has("CPU0");
    assert_null(strstr(text, "CPU1"));
}

static void test_lists(void **state)
{
    (void)state;
    static const struct known all[] = {
        {"cmdline", "\n"},
        {"partitions", "major minor  #blocks  name\n\n"},
        {"diskstats", ""},
        {NULL, NULL},
    };
    check_known(proc, all);
    slurp(proc, "filesystems");
    assert_has("nodev\ttmpfs\n");
    assert_has("nodev\tproc\n");
    slurp(proc, "devices");
    assert_has("Character devices:\n  1 mem\n");
    assert_has("\nBlock devices:\n");
    slurp(proc, "cgroups");
    assert_has("#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
    assert_has("\nmemory\t0\t1\t1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sysctl),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_sysctl_net),
        cmocka_unit_test(test_port_range),
        cmocka_unit_test(test_unprivileged_port),
        cmocka_unit_test(test_proc_net),
        cmocka_unit_test(test_class_net),
        cmocka_unit_test(test_sysfs),
        cmocka_unit_test(test_cpu_stat),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, setup_group, NULL);
}
