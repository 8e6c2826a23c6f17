// SPDX-License-Identifier: Apache-2.0
/* The monitor's jail: fds, namespaces, root, rights, limits. */
#include "vmm/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/log.h"
#include "vmm/config.h"

enum { FDS_MAX = 256, FDS_EXTRA = 512 };

static void missing(const char *layer, int code)
{
    log_warn("jail: no %s: %s", layer, strerror(code));
}

/* ---- fds ---- */

static int compare_fds(const void *a, const void *b)
{
    const int *x = a;
    const int *y = b;
    return (*x > *y) - (*x < *y);
}

unsigned sandbox_close_fds(const struct vm_config *c)
{
    int fds[FDS_MAX];
    unsigned n = config_fds(c, fds, ARRAY_COUNT(fds));
    unsigned next = 0;
    qsort(fds, n, sizeof(fds[0]), compare_fds);
    for (unsigned i = 0; i < n; i++) {
        unsigned fd = (unsigned)fds[i];
        if (fd > next && close_range(next, fd - 1, 0) < 0)
            missing("closing of other fds", errno);
        next = fd + 1;
    }
    if (close_range(next, UINT32_MAX, 0) < 0)
        missing("closing of other fds", errno);
    /* 0 to 2 stay taken: a library that prints must not hit a device. */
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd < 3)
        fd = dup(fd);
    if (fd >= 0)
        (void)close(fd);
    return next < 3 ? 3 : next;
}

/* ---- namespaces ---- */

/* What a user namespace makes possible goes in one call with it; without one
 * (forbidden, or root already) each is tried alone and named. */
static bool enter_namespaces(void)
{
    static const struct {
        int flag;
        const char *name;
    } each[] = {
        {CLONE_NEWNS, "mount namespace"},
        {CLONE_NEWNET, "network namespace"},
        {CLONE_NEWIPC, "IPC namespace"},
        {CLONE_NEWUTS, "UTS namespace"},
        {CLONE_NEWCGROUP, "cgroup namespace"},
    };
    int all = 0;
    for (unsigned i = 0; i < ARRAY_COUNT(each); i++)
        all |= each[i].flag;
    if (unshare(CLONE_NEWUSER | all) == 0)
        return true;
    if (unshare(CLONE_NEWUSER) < 0)
        missing("user namespace", errno);
    bool mounts = false;
    for (unsigned i = 0; i < ARRAY_COUNT(each); i++) {
        if (unshare(each[i].flag) < 0)
            missing(each[i].name, errno);
        else if (each[i].flag == CLONE_NEWNS)
            mounts = true;
    }
    return mounts;
}

/* ---- root ---- */

static int empty_root(void)
{
    /* Nothing we mount may reach the host. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("limpet", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=4k,nr_inodes=2,mode=0555") < 0 ||
        chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
        umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return -errno;
    return mount(NULL, "/", NULL,
                 MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV |
                     MS_NOEXEC,
                 NULL) < 0
               ? -errno
               : 0;
}

/* ---- rights and limits ---- */

static void drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version =
                                                _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}, {0}};
    for (unsigned long cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
            break; /* past the last one of this kernel */
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) < 0)
        missing("dropping of capabilities", errno);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        missing("no_new_privs", errno);
}

/* Only ever downwards: raising would need CAP_SYS_RESOURCE. */
static void lower_limit(__rlimit_resource_t what, rlim_t to, const char *name)
{
    struct rlimit now;
    if (getrlimit(what, &now) < 0) {
        missing(name, errno);
        return;
    }
    struct rlimit want = {.rlim_cur = to, .rlim_max = to};
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < to)
        want.rlim_cur = want.rlim_max = now.rlim_max;
    if (setrlimit(what, &want) < 0)
        missing(name, errno);
}

void sandbox_enter(unsigned fds)
{
    bool mounts = enter_namespaces();
    int rc = mounts ? empty_root() : -EPERM;
    if (rc < 0)
        missing("empty root", -rc);
    drop_capabilities();
    lower_limit(RLIMIT_NOFILE, fds + FDS_EXTRA, "limit of open files");
    lower_limit(RLIMIT_CORE, 0, "limit of core dumps");
    lower_limit(RLIMIT_MEMLOCK, 0, "limit of locked memory");
}
