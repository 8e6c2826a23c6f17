// SPDX-License-Identifier: Apache-2.0
/* What the helper may still do: speak on sockets. */
#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "net/helper.h"

enum {
    JAIL_ID = 65534, /* nobody, nogroup */
    JAIL_MEMORY_MB = 512,
};

/* socket(2) is in here by number; its families are looked at besides. */
static const uint32_t jail_calls[] = {
    SYS_read,        SYS_write,       SYS_close,         SYS_recvfrom,
    SYS_sendto,      SYS_recvmsg,     SYS_sendmsg,       SYS_accept4,
    SYS_connect,     SYS_shutdown,    SYS_getsockopt,    SYS_setsockopt,
    SYS_epoll_ctl,   SYS_epoll_pwait, SYS_epoll_create1, SYS_fcntl,
    SYS_mmap,        SYS_munmap,      SYS_mremap,        SYS_brk,
    SYS_madvise,     SYS_exit_group,  SYS_clock_gettime, SYS_getrandom,
    SYS_pread64,     SYS_fstat,       SYS_rt_sigreturn,  SYS_lseek,
    SYS_getsockname,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
};

enum {
    JAIL_CALLS = ARRAY_COUNT(jail_calls),
    JAIL_PROGRAM = 2 * JAIL_CALLS + 24
};

static struct sock_filter jail_load(size_t offset)
{
    return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                        (uint32_t)offset);
}

static struct sock_filter jail_return(uint32_t what)
{
    return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what);
}

/* If it is `value` the next instruction runs, else it is skipped. */
static struct sock_filter jail_if(uint32_t value)
{
    return (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
}

/* `sockets`: new ones, of the Internet families. `victim`: may be killed. */
static int jail_filter(bool sockets, uint32_t victim, struct err *e)
{
    struct sock_filter f[JAIL_PROGRAM];
    unsigned short n = 0;
    f[n++] = jail_load(offsetof(struct seccomp_data, arch));
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, JAIL_ARCH,
                                          1, 0);
    f[n++] = jail_return(SECCOMP_RET_KILL_PROCESS);
    f[n++] = jail_load(offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < JAIL_CALLS; i++) {
        f[n++] = jail_if(jail_calls[i]);
        f[n++] = jail_return(SECCOMP_RET_ALLOW);
    }
    if (victim != 0) {
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                              SYS_kill, 0, 4);
        f[n++] = jail_load(offsetof(struct seccomp_data, args));
        f[n++] = jail_if(victim);
        f[n++] = jail_return(SECCOMP_RET_ALLOW);
        f[n++] = jail_return(SECCOMP_RET_KILL_PROCESS);
    }
    if (!sockets)
        f[n++] = jail_return(SECCOMP_RET_KILL_PROCESS);
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket,
                                          1, 0);
    f[n++] = jail_return(SECCOMP_RET_KILL_PROCESS);
    f[n++] = jail_load(offsetof(struct seccomp_data, args));
    f[n++] = jail_if(AF_INET);
    f[n++] = jail_return(SECCOMP_RET_ALLOW);
    f[n++] = jail_if(AF_INET6);
    f[n++] = jail_return(SECCOMP_RET_ALLOW);
    f[n++] = jail_return(SECCOMP_RET_KILL_PROCESS);
    const struct sock_fprog p = {.len = n, .filter = f};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) < 0)
        return err_set(e, -errno, "seccomp: %s", strerror(errno));
    return 0;
}

static void jail_limit(void)
{
    const struct rlimit none = {0, 0};
    const struct rlimit memory = {(rlim_t)JAIL_MEMORY_MB << 20,
                                  (rlim_t)JAIL_MEMORY_MB << 20};
    (void)setrlimit(RLIMIT_NPROC, &none);
    (void)setrlimit(RLIMIT_FSIZE, &none);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)setrlimit(RLIMIT_AS, &memory);
}

static int jail_drop_ids(struct err *e)
{
    struct __user_cap_header_struct head = {.version =
                                                _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[2] = {0};
    if (setgroups(0, NULL) < 0 || setresgid(JAIL_ID, JAIL_ID, JAIL_ID) < 0 ||
        setresuid(JAIL_ID, JAIL_ID, JAIL_ID) < 0)
        return err_set(e, -errno, "setresuid: %s", strerror(errno));
    if (syscall(SYS_capset, &head, none) < 0)
        return err_set(e, -errno, "capset: %s", strerror(errno));
    return 0;
}

static int jail_close(bool drop, bool sockets, uint32_t victim, struct err *e)
{
    int code = drop ? jail_drop_ids(e) : 0;
    if (code < 0)
        return code;
    jail_limit();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_set(e, -errno, "prctl: %s", strerror(errno));
    return jail_filter(sockets, victim, e);
}

int jail_enter(int empty, struct err *e)
{
    /* What else there is to see: nothing, from an empty directory. */
    (void)unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
    if (fchdir(empty) < 0 || chroot(".") < 0 || chdir("/") < 0)
        return err_set(e, -errno, "chroot: %s", strerror(errno));
    (void)close(empty);
    return jail_close(true, true, 0, e);
}

int jail_shut(int victim, struct err *e)
{
    return jail_close(geteuid() == 0, false, (uint32_t)victim, e);
}
