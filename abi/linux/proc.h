// SPDX-License-Identifier: Apache-2.0
/* Processes, threads, futexes, limits, clocks. Source: Linux UAPI
 * linux/sched.h, linux/futex.h, linux/wait.h, asm-generic/resource.h,
 * linux/time.h, linux/prctl.h, linux/capability.h, linux/sysinfo.h. */
#pragma once

#include "abi/abi.h"
#include "abi/linux/stat.h"

#define LX_CLONE_NEWTIME        UINT64_C(0x00000080)
#define LX_CLONE_VM             UINT64_C(0x00000100)
#define LX_CLONE_FS             UINT64_C(0x00000200)
#define LX_CLONE_FILES          UINT64_C(0x00000400)
#define LX_CLONE_SIGHAND        UINT64_C(0x00000800)
#define LX_CLONE_PIDFD          UINT64_C(0x00001000)
#define LX_CLONE_PTRACE         UINT64_C(0x00002000)
#define LX_CLONE_VFORK          UINT64_C(0x00004000)
#define LX_CLONE_PARENT         UINT64_C(0x00008000)
#define LX_CLONE_THREAD         UINT64_C(0x00010000)
#define LX_CLONE_NEWNS          UINT64_C(0x00020000)
#define LX_CLONE_SYSVSEM        UINT64_C(0x00040000)
#define LX_CLONE_SETTLS         UINT64_C(0x00080000)
#define LX_CLONE_PARENT_SETTID  UINT64_C(0x00100000)
#define LX_CLONE_CHILD_CLEARTID UINT64_C(0x00200000)
#define LX_CLONE_DETACHED       UINT64_C(0x00400000)
#define LX_CLONE_UNTRACED       UINT64_C(0x00800000)
#define LX_CLONE_CHILD_SETTID   UINT64_C(0x01000000)
#define LX_CLONE_NEWCGROUP      UINT64_C(0x02000000)
#define LX_CLONE_NEWUTS         UINT64_C(0x04000000)
#define LX_CLONE_NEWIPC         UINT64_C(0x08000000)
#define LX_CLONE_NEWUSER        UINT64_C(0x10000000)
#define LX_CLONE_NEWPID         UINT64_C(0x20000000)
#define LX_CLONE_NEWNET         UINT64_C(0x40000000)
#define LX_CLONE_IO             UINT64_C(0x80000000)
#define LX_CLONE_CLEAR_SIGHAND  UINT64_C(0x100000000)
#define LX_CLONE_INTO_CGROUP    UINT64_C(0x200000000)

struct lx_clone_args {
    uint64_t flags;
    uint64_t pidfd;
    uint64_t child_tid;
    uint64_t parent_tid;
    uint64_t exit_signal;
    uint64_t stack; /* lowest byte */
    uint64_t stack_size;
    uint64_t tls;
    uint64_t set_tid;
    uint64_t set_tid_size;
    uint64_t cgroup;
};
ABI_SIZE(struct lx_clone_args, 88);

#define LX_WNOHANG    0x00000001u
#define LX_WUNTRACED  0x00000002u
#define LX_WSTOPPED   LX_WUNTRACED
#define LX_WEXITED    0x00000004u
#define LX_WCONTINUED 0x00000008u
#define LX_WNOWAIT    0x01000000u
#define LX_WNOTHREAD  0x20000000u
#define LX_WALL       0x40000000u
#define LX_WCLONE     0x80000000u
#define LX_P_ALL      0
#define LX_P_PID      1
#define LX_P_PGID     2
#define LX_P_PIDFD    3

#define LX_FUTEX_WAIT           0
#define LX_FUTEX_WAKE           1
#define LX_FUTEX_REQUEUE        3
#define LX_FUTEX_CMP_REQUEUE    4
#define LX_FUTEX_WAKE_OP        5
#define LX_FUTEX_LOCK_PI        6
#define LX_FUTEX_UNLOCK_PI      7
#define LX_FUTEX_TRYLOCK_PI     8
#define LX_FUTEX_WAIT_BITSET    9
#define LX_FUTEX_WAKE_BITSET    10
#define LX_FUTEX_WAIT_REQ_PI    11 /* FUTEX_WAIT_REQUEUE_PI */
#define LX_FUTEX_CMP_REQ_PI     12 /* FUTEX_CMP_REQUEUE_PI */
#define LX_FUTEX_LOCK_PI2       13
#define LX_FUTEX_PRIVATE        128u
#define LX_FUTEX_CLOCK_REALTIME 256u
#define LX_FUTEX_CMD_MASK       (~(LX_FUTEX_PRIVATE | LX_FUTEX_CLOCK_REALTIME))
#define LX_FUTEX_WAITERS        0x80000000u
#define LX_FUTEX_OWNER_DIED     0x40000000u
#define LX_FUTEX_TID_MASK       0x3fffffffu

struct lx_robust_list_head {
    uint64_t next;  /* of the first entry, or of the head itself */
    int64_t offset; /* from an entry to its futex word */
    uint64_t pending;
};
ABI_SIZE(struct lx_robust_list_head, 24);

struct lx_timeval {
    int64_t sec;
    int64_t usec;
};

struct lx_itimerval {
    struct lx_timeval interval, value;
};

struct lx_itimerspec {
    struct lx_timespec interval, value;
};

struct lx_rusage {
    struct lx_timeval utime, stime;
    int64_t maxrss; /* KiB */
    int64_t ixrss, idrss, isrss;
    int64_t minflt, majflt, nswap;
    int64_t inblock, oublock;
    int64_t msgsnd, msgrcv, nsignals;
    int64_t nvcsw, nivcsw;
};
ABI_SIZE(struct lx_rusage, 144);

struct lx_tms {
    int64_t utime, stime, cutime, cstime; /* ticks of 1/100 s */
};

struct lx_sysinfo {
    int64_t uptime;    /* seconds */
    uint64_t loads[3]; /* 1/65536 */
    uint64_t totalram, freeram, sharedram, bufferram;
    uint64_t totalswap, freeswap;
    uint16_t procs;
    uint16_t pad;
    uint32_t pad1;
    uint64_t totalhigh, freehigh;
    uint32_t mem_unit;
    uint32_t pad2;
};
ABI_SIZE(struct lx_sysinfo, 112);

#define LX_UTS_SIZE 65
struct lx_utsname {
    char sysname[LX_UTS_SIZE];
    char nodename[LX_UTS_SIZE];
    char release[LX_UTS_SIZE];
    char version[LX_UTS_SIZE];
    char machine[LX_UTS_SIZE];
    char domainname[LX_UTS_SIZE];
};
ABI_SIZE(struct lx_utsname, 390);

struct lx_sigevent {
    uint64_t value;
    int32_t signo;
    int32_t notify;
    int32_t tid; /* SIGEV_THREAD_ID */
    int32_t pad[11];
};
ABI_SIZE(struct lx_sigevent, 64);
#define LX_SIGEV_SIGNAL    0
#define LX_SIGEV_NONE      1
#define LX_SIGEV_THREAD    2
#define LX_SIGEV_THREAD_ID 4
#define LX_TIMER_ABSTIME   1

#define LX_CLOCK_REALTIME         0
#define LX_CLOCK_MONOTONIC        1
#define LX_CLOCK_PROCESS_CPUTIME  2
#define LX_CLOCK_THREAD_CPUTIME   3
#define LX_CLOCK_MONOTONIC_RAW    4
#define LX_CLOCK_REALTIME_COARSE  5
#define LX_CLOCK_MONOTONIC_COARSE 6
#define LX_CLOCK_BOOTTIME         7
#define LX_CLOCK_REALTIME_ALARM   8
#define LX_CLOCK_BOOTTIME_ALARM   9
#define LX_CLOCK_TAI              11

#define LX_RLIMIT_CPU        0
#define LX_RLIMIT_FSIZE      1
#define LX_RLIMIT_DATA       2
#define LX_RLIMIT_STACK      3
#define LX_RLIMIT_CORE       4
#define LX_RLIMIT_RSS        5
#define LX_RLIMIT_NPROC      6
#define LX_RLIMIT_NOFILE     7
#define LX_RLIMIT_MEMLOCK    8
#define LX_RLIMIT_AS         9
#define LX_RLIMIT_LOCKS      10
#define LX_RLIMIT_SIGPENDING 11
#define LX_RLIMIT_MSGQUEUE   12
#define LX_RLIMIT_NICE       13
#define LX_RLIMIT_RTPRIO     14
#define LX_RLIMIT_RTTIME     15
#define LX_RLIM_INFINITY     UINT64_MAX

#define LX_CAP_KILL         5
#define LX_CAP_SETGID       6
#define LX_CAP_SETUID       7
#define LX_CAP_SETPCAP      8
#define LX_CAP_IPC_LOCK     14
#define LX_CAP_SYS_ADMIN    21
#define LX_CAP_SYS_NICE     23
#define LX_CAP_SYS_RESOURCE 24
#define LX_CAP_SYS_TIME     25
#define LX_CAP_SYSLOG       34
#define LX_CAP_LAST         40
