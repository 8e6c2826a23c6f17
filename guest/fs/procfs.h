// SPDX-License-Identifier: Apache-2.0
/* Between the files of procfs; contents as proc(5) describes them. */
#pragma once

#include "guest/fs/pseudo.h"

struct file;

#define PROC_REG(n, perm, fn)                                                  \
    {                                                                          \
        .name = (n), .mode = LX_S_IFREG | (perm), .show = (fn)                 \
    }
#define PROC_DIR(n, perm, d)                                                   \
    {                                                                          \
        .name = (n), .mode = LX_S_IFDIR | (perm), .dir = (d)                   \
    }
#define PROC_LNK(n, fn)                                                        \
    {                                                                          \
        .name = (n), .mode = LX_S_IFLNK | 0777, .show = (fn)                   \
    }

typedef int proc_show(struct text *t, const struct pseudo_ref *r);
typedef int proc_magic(const struct pseudo_ref *r, struct path *out);

/* procfs_pid.c */
extern const struct pseudo_dir proc_pid_dir; /* /proc/PID */
const struct pseudo_node *proc_task_find(const struct pseudo_ref *r,
                                         const char *name,
                                         struct pseudo_ref *child);
/* `arg` of what is about a thread alone: /proc/PID/task/TID. In /proc/TID the
 * thread is shown too, but the times and counts of its process. */
enum { PROC_ALONE = 1 };
/* The task whose state a file shows: of TID, or the leader. A reference, or
 * NULL when the process was reaped. */
struct task *proc_ref_task(const struct pseudo_ref *r);
/* procfs_status.c */
proc_show proc_stat, proc_statm, proc_status, proc_limits, proc_schedstat,
    proc_io;
/* procfs_mem.c */
proc_show proc_cmdline, proc_environ, proc_auxv, proc_maps, proc_smaps,
    proc_smaps_rollup;
/* procfs_fd.c */
extern const struct pseudo_dir proc_fd_dir, proc_fdinfo_dir, proc_ns_dir;
proc_show proc_mounts, proc_mountinfo, proc_exe, proc_cwd, proc_root;
proc_magic proc_exe_open, proc_cwd_open, proc_root_open;
/* procfs_info.c */
proc_show proc_cpuinfo, proc_meminfo, proc_kstat, proc_uptime, proc_loadavg,
    proc_version, proc_filesystems, proc_devices, proc_cgroups, proc_vmstat,
    proc_kcmdline, proc_partitions, proc_diskstats, proc_interrupts;
/* flock.c */
proc_show proc_locks;
/* sys/ipc.c */
extern const struct pseudo_dir proc_sysvipc_dir;
/* procfs_sys.c */
extern const struct pseudo_dir proc_sys_dir;
/* procfs_sysnet.c */
extern const struct pseudo_dir proc_sys_net_dir;
/* procfs_net.c */
extern const struct pseudo_dir proc_net_dir;
