// SPDX-License-Identifier: Apache-2.0
/* Calls about the caller: ids, capabilities, scheduling, clocks, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/linux/proc.h"
#include "abi/linux/signal.h"

#include "guest/core/aspace.h"
#include "guest/core/signal.h"
#include "guest/core/timer.h"
#include "guest/sys/calls_proc.h"
#include "tests/unit/guest_fs_env.h"

#define KEEP         UINT32_MAX
#define NOBODY_THERE 9999
/* clock_getcpuclockid(3) */
#define CPU_CLOCK(pid, kind) (~(uint32_t)(pid) << 3 | (kind))

static int setup(void **state)
{
    (void)state;
    fake_init(32 << 20);
    fake_bad(NULL, 0);
    env_root(NULL, 4 << 20);
    current()->cred.caps = CRED_CAPS_ALL;
    if (current()->proc->aspace == NULL)
        current()->proc->aspace = aspace_new();
    assert_non_null(current()->proc->aspace);
    return 0;
}

/* --- ids --- */

static void assert_uids(uint32_t real, uint32_t effective, uint32_t saved)
{
    uint32_t r = 77, e = 77, s = 77;

    assert_int_equal(CALL(getresuid, P(&r), P(&e), P(&s)), 0);
    assert_int_equal(r, real);
    assert_int_equal(e, effective);
    assert_int_equal(s, saved);
    assert_int_equal(CALL(getuid, 0), real);
    assert_int_equal(CALL(geteuid, 0), effective);
}

static void assert_gids(uint32_t real, uint32_t effective, uint32_t saved)
{
    uint32_t r = 77, e = 77, s = 77;

    assert_int_equal(CALL(getresgid, P(&r), P(&e), P(&s)), 0);
    assert_int_equal(r, real);
    assert_int_equal(e, effective);
    assert_int_equal(s, saved);
    assert_int_equal(CALL(getgid, 0), real);
    assert_int_equal(CALL(getegid, 0), effective);
}

static void test_user_ids(void **state)
{
    (void)state;
    uint32_t id = 0;

    assert_uids(0, 0, 0);
    assert_int_equal(CALL(setuid, KEEP), -EINVAL);
    assert_int_equal(CALL(setresuid, 1, 2, 3), 0);
    assert_uids(1, 2, 3);
    assert_int_equal(CALL(setuid, 9), -EPERM);
    assert_int_equal(CALL(setuid, 3), 0);
    assert_uids(1, 3, 3);
    assert_int_equal(CALL(setresuid, 7, KEEP, KEEP), -EPERM);
    assert_int_equal(CALL(setreuid, 5, KEEP), -EPERM);
    assert_int_equal(CALL(setreuid, KEEP, 5), -EPERM);
    assert_int_equal(CALL(setreuid, KEEP, 1), 0);
    assert_uids(1, 1, 3); /* the real id: the saved one stays */
    assert_int_equal(CALL(setreuid, 1, 3), 0);
    assert_uids(1, 3, 3);
    assert_int_equal(CALL(setfsuid, 1), 3);
    assert_int_equal(CALL(setfsuid, 99), 1);
    assert_int_equal(CALL(setfsuid, KEEP), 1);
    fake_bad(&id, sizeof(id));
    assert_int_equal(CALL(getresuid, P(&id), P(&id), P(&id)), -EFAULT);
}

static void test_group_ids(void **state)
{
    (void)state;

    assert_gids(0, 0, 0);
    assert_int_equal(CALL(setgid, KEEP), -EINVAL);
    assert_int_equal(CALL(setresgid, 4, 5, 6), 0);
    assert_gids(4, 5, 6);
    assert_int_equal(CALL(setgid, 8), 0);
    assert_gids(8, 8, 8);
    assert_int_equal(CALL(setregid, 10, 11), 0);
    assert_gids(10, 11, 11);
    assert_int_equal(CALL(setfsgid, 12), 11);
    assert_int_equal(CALL(setfsgid, KEEP), 12);
    assert_int_equal(CALL(setresuid, 1000, 1000, 1000), 0);
    assert_int_equal(CALL(setgid, 50), -EPERM);
    assert_int_equal(CALL(setregid, 50, KEEP), -EPERM);
    assert_int_equal(CALL(setresgid, KEEP, 50, KEEP), -EPERM);
    assert_int_equal(CALL(setfsgid, 50), 12);
    assert_int_equal(CALL(setfsgid, KEEP), 12);
    assert_int_equal(CALL(setgid, 10), 0);
    assert_gids(10, 10, 11);
}

static void test_supplementary_groups(void **state)
{
    (void)state;
    uint32_t ids[] = {30, 10, 20};
    uint32_t got[8] = {0};

    assert_int_equal(CALL(getgroups, 0, 0), 0);
    assert_int_equal(CALL(setgroups, 3, P(ids)), 0);
    assert_int_equal(CALL(getgroups, 0, 0), 3);
    assert_int_equal(CALL(getgroups, 2, P(got)), -EINVAL);
    assert_int_equal(CALL(getgroups, (uint32_t)-1, P(got)), -EINVAL);
    assert_int_equal(CALL(getgroups, 8, P(got)), 3);
    assert_int_equal(got[0] + got[1] + got[2], 60);
    assert_true(cred_in_group(&current()->cred, 20));
    assert_false(cred_in_group(&current()->cred, 21));
    ids[1] = KEEP;
    assert_int_equal(CALL(setgroups, 3, P(ids)), -EINVAL);
    fake_bad(ids, sizeof(ids));
    assert_int_equal(CALL(setgroups, 3, P(ids)), -EFAULT);
    assert_int_equal(CALL(getgroups, 3, P(ids)), -EFAULT);
    assert_int_equal(CALL(getgroups, 0, 0), 3);
    assert_int_equal(CALL(setgroups, 0, 0), 0);
    assert_int_equal(CALL(getgroups, 0, 0), 0);
}

/* --- capabilities --- */

struct cap_user {
    uint32_t effective, permitted, inheritable;
};
#define CAP_V1 0x19980330u
#define CAP_V3 0x20080522u

static void test_capget(void **state)
{
    (void)state;
    uint32_t h[2] = {1, 0};
    struct cap_user d[2] = {{0}};

    assert_int_equal(CALL(capget, P(h), 0), 0); /* which version there is */
    assert_int_equal(h[0], CAP_V3);
    h[0] = 1;
    assert_int_equal(CALL(capget, P(h), P(d)), -EINVAL);
    assert_int_equal(CALL(capget, P(h), P(d)), 0);
    assert_int_equal(d[0].effective, UINT32_MAX);
    assert_int_equal(d[1].permitted, (uint32_t)(CRED_CAPS_ALL >> 32));
    h[0] = CAP_V1;
    d[1].permitted = 5;
    assert_int_equal(CALL(capget, P(h), P(d)), 0);
    assert_int_equal(d[1].permitted, 5); /* one word only */
    h[1] = (uint32_t)-1;
    assert_int_equal(CALL(capget, P(h), P(d)), -EINVAL);
    h[1] = NOBODY_THERE;
    assert_int_equal(CALL(capget, P(h), P(d)), -ESRCH);
    h[1] = 1;
    assert_int_equal(CALL(capget, P(h), P(d)), 0);
    fake_bad(h, sizeof(h));
    assert_int_equal(CALL(capget, P(h), P(d)), -EFAULT);
}

static void test_capset(void **state)
{
    (void)state;
    uint32_t h[2] = {CAP_V3, NOBODY_THERE};
    uint32_t some = 1u << LX_CAP_KILL | 1u << LX_CAP_SETUID;
    struct cap_user d[2] = {{.effective = some, .permitted = some}};

    assert_int_equal(CALL(capset, P(h), P(d)), -EPERM);
    h[1] = 0;
    d[0].effective = UINT32_MAX; /* more than permitted */
    assert_int_equal(CALL(capset, P(h), P(d)), -EPERM);
    d[0].effective = 1u << LX_CAP_KILL;
    assert_int_equal(CALL(capset, P(h), P(d)), 0);
    assert_true(cred_capable(current()->proc, LX_CAP_KILL));
    assert_false(cred_capable(current()->proc, LX_CAP_SETUID));
    assert_int_equal(CALL(setuid, 4), -EPERM); /* root or not */
    d[0].permitted = some | 1u << LX_CAP_SYS_ADMIN;
    assert_int_equal(CALL(capset, P(h), P(d)), -EPERM);
    h[0] = 0;
    assert_int_equal(CALL(capset, P(h), P(d)), -EINVAL);
    fake_bad(d, sizeof(d));
    assert_int_equal(CALL(capset, P(h), P(d)), -EFAULT);
}

/* capabilities(7): what becomes of them when user ids change. */
static void test_capabilities_follow_ids(void **state)
{
    (void)state;
    const struct cred *c = &current()->cred;

    assert_int_equal(CALL(setfsuid, 1000), 0);
    assert_int_equal(c->caps & 1, 0); /* CAP_CHOWN */
    assert_true(cred_capable(current()->proc, LX_CAP_KILL));
    assert_int_equal(CALL(setfsuid, 0), 1000);
    assert_int_equal(c->caps, CRED_CAPS_ALL);
    assert_int_equal(CALL(prctl, 8, 2), -EINVAL);
    assert_int_equal(CALL(prctl, 8, 1), 0); /* PR_SET_KEEPCAPS */
    assert_int_equal(CALL(prctl, 7), 1);
    assert_int_equal(CALL(setresuid, 1000, 1000, 1000), 0);
    assert_int_equal(c->caps, 0);
    assert_int_equal(c->permitted, CRED_CAPS_ALL);
    assert_int_equal(CALL(prctl, 8, 0), 0);
    assert_int_equal(CALL(prctl, 7), 0);
}

static void test_bounding_and_ambient(void **state)
{
    (void)state;
    struct cred *c = &current()->cred;

    assert_int_equal(CALL(prctl, 23, LX_CAP_KILL), 1); /* PR_CAPBSET_READ */
    assert_int_equal(CALL(prctl, 23, LX_CAP_LAST + 1), -EINVAL);
    assert_int_equal(CALL(prctl, 24, LX_CAP_LAST + 1), -EINVAL);
    assert_int_equal(CALL(prctl, 24, LX_CAP_KILL), 0);
    assert_int_equal(CALL(prctl, 23, LX_CAP_KILL), 0);
    assert_int_equal(CALL(prctl, 47, 2, LX_CAP_KILL), -EPERM);
    c->inheritable = UINT64_C(1) << LX_CAP_KILL;
    assert_int_equal(CALL(prctl, 47, 2, LX_CAP_KILL), 0); /* raise */
    assert_int_equal(CALL(prctl, 47, 1, LX_CAP_KILL), 1); /* is set */
    assert_int_equal(CALL(prctl, 47, 3, LX_CAP_KILL), 0); /* lower */
    assert_int_equal(CALL(prctl, 47, 1, LX_CAP_KILL), 0);
    assert_int_equal(CALL(prctl, 47, 2, LX_CAP_KILL), 0);
    assert_int_equal(CALL(prctl, 47, 4, 1), -EINVAL);
    assert_int_equal(CALL(prctl, 47, 4), 0); /* clear all */
    assert_int_equal(CALL(prctl, 47, 1, LX_CAP_KILL), 0);
    assert_int_equal(CALL(prctl, 47, 5, LX_CAP_KILL), -EINVAL);
    assert_int_equal(CALL(prctl, 28, 3), 0); /* SECBIT_NOROOT, locked */
    assert_int_equal(CALL(prctl, 27), 3);
    assert_int_equal(CALL(prctl, 28, 0), -EPERM);
    assert_int_equal(CALL(prctl, 28, 0x103), -EPERM);
    assert_int_equal(CALL(setresuid, 1, 1, 1), 0);
    assert_int_equal(CALL(prctl, 24, 1), -EPERM);
}

/* --- prctl(2) --- */

static void test_prctl_name(void **state)
{
    (void)state;
    char name[] = "a name that is longer than fits";
    char got[16];

    assert_int_equal(CALL(prctl, 15, P(name)), 0);
    assert_int_equal(CALL(prctl, 16, P(got)), 0);
    assert_string_equal(got, "a name that is ");
    name[2] = '\0';
    assert_int_equal(CALL(prctl, 15, P(name)), 0);
    assert_int_equal(CALL(prctl, 16, P(got)), 0);
    assert_string_equal(got, "a ");
    fake_bad(name, sizeof(name));
    assert_int_equal(CALL(prctl, 15, P(name)), -EFAULT);
}

static void test_prctl_flags(void **state)
{
    (void)state;
    uint32_t v = 0;

    assert_int_equal(CALL(prctl, 1, 65), -EINVAL); /* PR_SET_PDEATHSIG */
    assert_int_equal(CALL(prctl, 1, LX_SIGTERM), 0);
    assert_int_equal(CALL(prctl, 2, P(&v)), 0);
    assert_int_equal(v, LX_SIGTERM);
    assert_int_equal(CALL(prctl, 4, 2), -EINVAL); /* PR_SET_DUMPABLE */
    assert_int_equal(CALL(prctl, 4, 1), 0);
    assert_int_equal(CALL(prctl, 3), 1);
    assert_int_equal(CALL(prctl, 4, 0), 0);
    assert_int_equal(CALL(prctl, 3), 0);
    assert_int_equal(CALL(prctl, 36, 1), 0); /* PR_SET_CHILD_SUBREAPER */
    assert_int_equal(CALL(prctl, 37, P(&v)), 0);
    assert_int_equal(v, 1);
    assert_int_equal(CALL(prctl, 41, 1, 1), -EINVAL); /* PR_SET_THP_DISABLE */
    assert_int_equal(CALL(prctl, 41, 1), 0);
    assert_int_equal(CALL(prctl, 42), 1);
    assert_int_equal(CALL(prctl, 21), 0);
    assert_int_equal(CALL(prctl, 13), 0);
    assert_int_equal(CALL(prctl, 14, 1), -EINVAL);
    assert_int_equal(CALL(prctl, 25, P(&v)), 0);
    assert_int_equal(v, 1);
    assert_int_equal(CALL(prctl, 26, 2), -EINVAL);
    assert_int_equal(CALL(prctl, 30), 50000); /* PR_GET_TIMERSLACK */
    assert_int_equal(CALL(prctl, 29, 7), 0);
    assert_int_equal(CALL(prctl, 30), 7);
    assert_int_equal(CALL(prctl, 29, 0), 0);
    assert_int_equal(CALL(prctl, 30), 50000);
    assert_int_equal(CALL(prctl, 39), 0); /* PR_GET_NO_NEW_PRIVS */
    assert_int_equal(CALL(prctl, 38, 0), -EINVAL);
    assert_int_equal(CALL(prctl, 38, 1), 0);
    assert_int_equal(CALL(prctl, 39), 1);
    assert_int_equal(CALL(prctl, 9999), -EINVAL);
}

/* --- scheduling --- */

static int64_t set_policy(int policy, int32_t priority)
{
    return CALL(sched_setscheduler, 0, (uint32_t)policy, P(&priority));
}

static int64_t rr_nsec(void)
{
    struct lx_timespec ts = {-1, -1};

    assert_int_equal(CALL(sched_rr_get_interval, 0, P(&ts)), 0);
    assert_int_equal(ts.sec, 0);
    return ts.nsec;
}

static void test_policies(void **state)
{
    (void)state;
    int32_t prio = 7;

    assert_int_equal(CALL(sched_getscheduler, 0), 0);
    assert_int_equal(rr_nsec(), 4000000);
    assert_int_equal(set_policy(2, 5), 0); /* SCHED_RR */
    assert_int_equal(CALL(sched_getscheduler, 1), 2);
    assert_int_equal(rr_nsec(), 100000000);
    assert_int_equal(CALL(sched_setparam, 0, P(&prio)), 0);
    prio = 100;
    assert_int_equal(CALL(sched_setparam, 0, P(&prio)), -EINVAL);
    assert_int_equal(CALL(sched_getparam, 0, P(&prio)), 0);
    assert_int_equal(prio, 7);
    assert_int_equal(set_policy(1 | 0x40000000, 1), 0);
    assert_int_equal(CALL(sched_getscheduler, 0), 0x40000001);
    assert_int_equal(rr_nsec(), 0);
    assert_int_equal(set_policy(0, 1), -EINVAL);
    assert_int_equal(set_policy(4, 0), -EINVAL);
    assert_int_equal(set_policy(6, 0), -EINVAL);
    assert_int_equal(set_policy(-1, 0), -EINVAL);
    assert_int_equal(CALL(sched_setscheduler, 0, 0, 0), -EINVAL);
    assert_int_equal(CALL(sched_setparam, NOBODY_THERE, P(&prio)), -ESRCH);
    assert_int_equal(CALL(sched_getparam, NOBODY_THERE, P(&prio)), -ESRCH);
    assert_int_equal(CALL(sched_getparam, 0, 0), -EINVAL);
    assert_int_equal(CALL(sched_getscheduler, (uint32_t)-1), -EINVAL);
    assert_int_equal(CALL(sched_rr_get_interval, NOBODY_THERE, 0), -ESRCH);
    fake_bad(&prio, sizeof(prio));
    assert_int_equal(CALL(sched_setparam, 0, P(&prio)), -EFAULT);
    assert_int_equal(CALL(sched_getparam, 0, P(&prio)), -EFAULT);
    assert_int_equal(CALL(sched_get_priority_max, 1), 99);
    assert_int_equal(CALL(sched_get_priority_min, 2), 1);
    assert_int_equal(CALL(sched_get_priority_max, 3), 0);
    assert_int_equal(CALL(sched_get_priority_min, 4), -EINVAL);
    assert_int_equal(CALL(sched_get_priority_max, 99), -EINVAL);
}

static void test_policies_without_rights(void **state)
{
    (void)state;
    struct lx_rlimit64 *limits = current()->proc->rlimits;

    limits[LX_RLIMIT_RTPRIO].cur = 0;
    limits[LX_RLIMIT_NICE].cur = 0;
    assert_int_equal(CALL(setresuid, 1000, 1000, 1000), 0);
    assert_int_equal(set_policy(1, 1), -EPERM);
    limits[LX_RLIMIT_RTPRIO].cur = 10;
    assert_int_equal(set_policy(1, 11), -EPERM);
    assert_int_equal(set_policy(1, 10), 0);
    assert_int_equal(set_policy(5, 0), 0);      /* SCHED_IDLE */
    assert_int_equal(set_policy(0, 0), -EPERM); /* not out of it again */
    limits[LX_RLIMIT_NICE].cur = 20;
    assert_int_equal(set_policy(0x40000000, 0), 0);
    assert_int_equal(set_policy(0, 0), -EPERM); /* reset on fork stays */
}

static void test_affinity(void **state)
{
    (void)state;
    uint64_t mask = 0;
    uint32_t cpu = 7, node = 7;

    assert_int_equal(CALL(sched_getaffinity, 0, 4, P(&mask)), -EINVAL);
    assert_int_equal(CALL(sched_getaffinity, NOBODY_THERE, 8, P(&mask)),
                     -ESRCH);
    assert_int_equal(CALL(sched_setaffinity, 0, 8, P(&mask)), -EINVAL);
    assert_int_equal(CALL(sched_getaffinity, 0, 8, P(&mask)), 8);
    assert_int_equal(mask, 1);
    assert_int_equal(CALL(sched_setaffinity, 1, 1, P(&mask)), 0);
    assert_int_equal(CALL(sched_setaffinity, NOBODY_THERE, 8, P(&mask)),
                     -ESRCH);
    assert_int_equal(CALL(getcpu, P(&cpu), P(&node)), 0);
    assert_int_equal(cpu + node, 0);
    assert_int_equal(CALL(sched_yield, 0), 0);
    fake_bad(&mask, sizeof(mask));
    assert_int_equal(CALL(sched_getaffinity, 0, 8, P(&mask)), -EFAULT);
    assert_int_equal(CALL(sched_setaffinity, 0, 8, P(&mask)), -EFAULT);
    assert_int_equal(CALL(getcpu, P(&mask), 0), -EFAULT);
    assert_int_equal(CALL(getcpu, 0, P(&mask)), -EFAULT);
}

static void test_nice(void **state)
{
    (void)state;

    assert_int_equal(CALL(getpriority, 0, 0), 20);
    assert_int_equal(CALL(setpriority, 0, 1, 5), 0);
    assert_int_equal(CALL(getpriority, 1, 0), 15); /* its group */
    assert_int_equal(CALL(setpriority, 2, 0, (uint32_t)-100), 0);
    assert_int_equal(CALL(getpriority, 2, 0), 40); /* its user */
    assert_int_equal(CALL(setpriority, 0, 0, 100), 0);
    assert_int_equal(CALL(getpriority, 0, 1), 1);
    assert_int_equal(CALL(getpriority, 0, NOBODY_THERE), -ESRCH);
    assert_int_equal(CALL(setpriority, 1, NOBODY_THERE, 0), -ESRCH);
    assert_int_equal(CALL(getpriority, 3, 0), -EINVAL);
    assert_int_equal(CALL(setpriority, 3, 0, 0), -EINVAL);
    struct lx_rlimit64 limit = {.cur = 5, .max = 5};
    assert_int_equal(CALL(setrlimit, LX_RLIMIT_NICE, P(&limit)), 0);
    assert_int_equal(CALL(setresuid, 1000, 1000, 1000), 0);
    assert_int_equal(CALL(setpriority, 0, 0, 0), -EACCES);
    assert_int_equal(CALL(getpriority, 0, 0), 1);
    assert_int_equal(CALL(setpriority, 0, 0, 15), 0);
    assert_int_equal(CALL(setpriority, 0, 0, 14), -EACCES);
}

static void test_io_priorities(void **state)
{
    (void)state;
    uint32_t best_effort = 2u << 13, real_time = 1u << 13;

    assert_int_equal(CALL(ioprio_set, 1, 0, best_effort | 4), 0);
    assert_int_equal(CALL(ioprio_get, 1, 0), best_effort | 4);
    assert_int_equal(CALL(ioprio_set, 1, 0, best_effort | 8), -EINVAL);
    assert_int_equal(CALL(ioprio_set, 1, 0, 4u << 13), -EINVAL);
    assert_int_equal(CALL(ioprio_set, 1, 0, 1), -EINVAL);
    assert_int_equal(CALL(ioprio_set, 2, 0, real_time | 1), 0);
    assert_int_equal(CALL(ioprio_get, 3, 0), real_time | 1);
    assert_int_equal(CALL(ioprio_set, 1, 0, 3u << 13), 0);
    assert_int_equal(CALL(ioprio_get, 0, 0), -EINVAL);
    assert_int_equal(CALL(ioprio_get, 4, 0), -EINVAL);
    assert_int_equal(CALL(ioprio_set, 1, NOBODY_THERE, 0), -ESRCH);
    assert_int_equal(CALL(setresuid, 1000, 1000, 1000), 0);
    assert_int_equal(CALL(ioprio_set, 1, 0, real_time), -EPERM);
}

/* --- clocks --- */

static void test_clock_settings(void **state)
{
    (void)state;
    struct lx_timespec ts = {.sec = 1000, .nsec = 5};
    struct lx_timeval tv = {.sec = 2000, .usec = 7};
    uint64_t sec = 0, zone = 9;

    assert_int_equal(CALL(clock_settime, LX_CLOCK_REALTIME, P(&ts)), 0);
    assert_int_equal(CALL(time, P(&sec)), 1000);
    assert_int_equal(sec, 1000);
    assert_int_equal(CALL(clock_settime, LX_CLOCK_MONOTONIC, P(&ts)), -EINVAL);
    ts.nsec = 1000000000;
    assert_int_equal(CALL(clock_settime, LX_CLOCK_REALTIME, P(&ts)), -EINVAL);
    assert_int_equal(CALL(settimeofday, P(&tv), 0), 0);
    assert_int_equal(CALL(settimeofday, 0, 0), 0);
    tv.usec = 1000000;
    assert_int_equal(CALL(settimeofday, P(&tv), 0), -EINVAL);
    assert_int_equal(CALL(gettimeofday, P(&tv), P(&zone)), 0);
    assert_int_equal(tv.sec, 2000);
    assert_int_equal(zone, 0);
    assert_int_equal(CALL(clock_getres, LX_CLOCK_TAI, P(&ts)), 0);
    assert_int_equal(ts.sec, 0);
    assert_int_equal(ts.nsec, 1);
    assert_int_equal(CALL(clock_getres, LX_CLOCK_TAI, 0), 0);
    assert_int_equal(CALL(clock_getres, 77, P(&ts)), -EINVAL);
    assert_int_equal(CALL(setresuid, 1, 1, 1), 0);
    assert_int_equal(CALL(clock_settime, LX_CLOCK_REALTIME, P(&ts)), -EPERM);
    fake_bad(&ts, sizeof(ts));
    assert_int_equal(CALL(clock_settime, 0, P(&ts)), -EFAULT);
    assert_int_equal(CALL(settimeofday, P(&ts), 0), -EFAULT);
    assert_int_equal(CALL(gettimeofday, P(&ts), 0), -EFAULT);
    assert_int_equal(CALL(time, P(&ts)), -EFAULT);
}

static void test_cpu_clocks(void **state)
{
    (void)state;
    struct lx_timespec ts = {-1, -1};
    struct lx_tms tms = {.cutime = -1};
    struct lx_rusage ru = {.maxrss = -1};

    assert_int_equal(CALL(clock_gettime, CPU_CLOCK(1, 2), P(&ts)), 0);
    assert_true(ts.sec >= 0);
    ts.sec = -1;
    assert_int_equal(CALL(clock_gettime, CPU_CLOCK(0, 6), P(&ts)), 0);
    assert_true(ts.sec >= 0);
    assert_int_equal(CALL(clock_gettime, CPU_CLOCK(NOBODY_THERE, 2), P(&ts)),
                     -EINVAL);
    assert_int_equal(CALL(clock_gettime, CPU_CLOCK(0, 3), P(&ts)), -EINVAL);
    int64_t before = CALL(times, P(&tms));
    assert_true(before >= 0);
    assert_int_equal(tms.cutime, 0);
    fake_clock_add(UINT64_C(50000000));
    assert_in_range(CALL(times, 0) - before, 5, 6);
    assert_int_equal(CALL(getrusage, 0, P(&ru)), 0);
    assert_true(ru.maxrss >= 0);
    ru.maxrss = -1;
    assert_int_equal(CALL(getrusage, (uint32_t)-1, P(&ru)), 0);
    assert_int_equal(ru.maxrss, 0);
    assert_int_equal(ru.utime.sec, 0);
    assert_int_equal(CALL(getrusage, 1, P(&ru)), 0);
    assert_int_equal(CALL(getrusage, 2, P(&ru)), -EINVAL);
    fake_bad(&ru, sizeof(ru));
    assert_int_equal(CALL(getrusage, 0, P(&ru)), -EFAULT);
    assert_int_equal(CALL(times, P(&ru)), -EFAULT);
}

static void test_sleeping_by_clock(void **state)
{
    (void)state;
    struct lx_timespec ts = {.nsec = 2000000};
    nsec_t from = clock_now();

    assert_int_equal(CALL(clock_nanosleep, LX_CLOCK_BOOTTIME, 0, P(&ts), 0), 0);
    assert_true(clock_now() - from >= 2000000);
    ts = (struct lx_timespec){.sec = 1}; /* passed */
    assert_int_equal(CALL(clock_nanosleep, LX_CLOCK_REALTIME, 1, P(&ts), 0), 0);
    assert_int_equal(CALL(clock_nanosleep, LX_CLOCK_THREAD_CPUTIME, 0, 0, 0),
                     -EOPNOTSUPP);
    assert_int_equal(CALL(clock_nanosleep, LX_CLOCK_REALTIME_ALARM, 0, 0, 0),
                     -EINVAL);
    ts.nsec = -1;
    assert_int_equal(CALL(clock_nanosleep, LX_CLOCK_TAI, 0, P(&ts), 0),
                     -EINVAL);
    fake_bad(&ts, sizeof(ts));
    assert_int_equal(CALL(nanosleep, P(&ts), 0), -EFAULT);
    assert_int_equal(CALL(restart_syscall, 0), -EINTR);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_user_ids),
        T(test_group_ids),
        T(test_supplementary_groups),
        T(test_capget),
        T(test_capset),
        T(test_capabilities_follow_ids),
        T(test_bounding_and_ambient),
        T(test_prctl_name),
        T(test_prctl_flags),
        T(test_policies),
        T(test_policies_without_rights),
        T(test_affinity),
        T(test_nice),
        T(test_io_priorities),
        T(test_clock_settings),
        T(test_cpu_clocks),
        T(test_sleeping_by_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
