// SPDX-License-Identifier: Apache-2.0
/* futex: waits, wakes, requeues, operations, robust lists; scheduling calls;
 * limits; system information. */
#include <linux/futex.h>
#include <pthread.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "tests/guest/conform/t.h"

#define FX(...) SC(futex, __VA_ARGS__)

static uint32_t word, word2, *shared;
static volatile int woken;
static volatile pid_t tid[4];

static void *waiter(void *arg)
{
    *(volatile pid_t *)arg = (pid_t)SC(gettid);
    if (FX(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == 0)
        __atomic_fetch_add(&woken, 1, __ATOMIC_RELAXED);
    return arg;
}

static void basics(void)
{
    struct timespec short_ = {0, 10000000}, bad = {0, 1000000000},
                    neg = {-1, 0}, past = {0, 1};

    T("wait_differs", FX(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
    T("wait_time", FX(&word, FUTEX_WAIT, 0, &short_, NULL, 0));
    T("wait_bad_time", FX(&word, FUTEX_WAIT, 0, &bad, NULL, 0));
    T("wait_neg_time", FX(&word, FUTEX_WAIT, 0, &neg, NULL, 0));
    T("wait_bad_differs", FX(&word, FUTEX_WAIT, 1, &bad, NULL, 0));
    T("bitset_zero", FX(&word, FUTEX_WAIT_BITSET, 0, &short_, NULL, 0));
    T("bitset_past", FX(&word, FUTEX_WAIT_BITSET, 0, &past, NULL, -1));
    T("bitset_real",
      FX(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, NULL, -1));
    T("wait_real",
      FX(&word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
    T("wake_bitset_zero", FX(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
    T("wait_odd", FX((char *)&word + 1, FUTEX_WAIT, 0, &short_, NULL, 0));
    T("wake_odd", FX((char *)&word + 1, FUTEX_WAKE, 1, NULL, NULL, 0));
    T("wake_none", FX(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
    T("unknown", FX(&word, 77, 0, NULL, NULL, 0));
    T("fd_op", FX(&word, 2, 0, NULL, NULL, 0));
    T("wake_real",
      FX(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
    T("cmp_requeue_differs", FX(&word, FUTEX_CMP_REQUEUE, 1, 1, &word2, 7));
    T("requeue_neg", FX(&word, FUTEX_REQUEUE, 1, -1, &word2, 0));
    T("requeue_none", FX(&word, FUTEX_REQUEUE, 1, 1, &word2, 0));
}

static void threads(void)
{
    pthread_t t[4];

    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, waiter, (void *)&tid[i]);
    for (int i = 0; i < 4; i++)
        t_thread_asleep(&tid[i]);
    T("wake_one", FX(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    T("cmp_requeue", FX(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &word2, 0));
    T("wake_rest", FX(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0));
    T("wake_moved", FX(&word2, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0));
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    T("woken", woken);
    word2 = 5;
    /* word2 = 5 + 3; wake on word2 if its old value was > 4 */
    T("wake_op", FX(&word, FUTEX_WAKE_OP, 1, 1, &word2,
                    FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_GT, 4)));
    T("wake_op_is", word2);
    T("wake_op_xor", FX(&word, FUTEX_WAKE_OP, 1, 1, &word2,
                        FUTEX_OP(FUTEX_OP_XOR, 1, FUTEX_OP_CMP_EQ, 4)));
    T("wake_op_xor_is", word2);
    T("wake_op_shift", FX(&word, FUTEX_WAKE_OP, 1, 1, &word2,
                          FUTEX_OP((FUTEX_OP_OR | 8), 4, FUTEX_OP_CMP_NE, 4)));
    T("wake_op_shift_is", word2);
    T("wake_op_bad",
      FX(&word, FUTEX_WAKE_OP, 1, 1, &word2, FUTEX_OP(7, 4, 0, 4)));
}

static void between(void)
{
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(FX(shared, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : errno);
    t_asleep(pid);
    T("shared_private_wake", FX(shared, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    T("shared_wake", FX(shared, FUTEX_WAKE, 1, NULL, NULL, 0));
    waitpid(pid, &status, 0);
    T("shared_status", status);
    struct {
        struct robust_list_head h;
        struct robust_list l;
        uint32_t lock;
    } *r = (void *)(shared + 16);
    pid = fork();
    if (pid == 0) {
        r->h.list.next = &r->l;
        r->l.next = &r->h.list;
        r->h.futex_offset = (long)((char *)&r->lock - (char *)&r->l);
        r->h.list_op_pending = NULL;
        r->lock = (uint32_t)SC(gettid) | FUTEX_WAITERS;
        _exit(SC(set_robust_list, &r->h, sizeof(r->h)) == 0 ? 0 : errno);
    }
    waitpid(pid, &status, 0);
    t_say("robust", "%d %#x", status, r->lock);
    T("robust_size", SC(set_robust_list, &r->h, 5));
    void *head;
    size_t size;
    T("get_robust_esrch", SC(get_robust_list, 99999, &head, &size));
    T("get_robust", SC(get_robust_list, 0, &head, &size));
    T("get_robust_size", size);
}

static void scheduling(void)
{
    uint64_t mask[16] = {0};
    struct sched_param sp = {0};
    unsigned cpu = 99, node = 99;
    struct timespec ts;

    YES("getaffinity", SC(sched_getaffinity, 0, sizeof(mask), mask) >= 8);
    T("getaffinity_small", SC(sched_getaffinity, 0, 0, mask));
    T("getaffinity_odd", SC(sched_getaffinity, 0, 9, mask));
    T("getaffinity_esrch", SC(sched_getaffinity, 99999, 128, mask));
    T("setaffinity_none", SC(sched_setaffinity, 0, 8, &(uint64_t){0}));
    T("setaffinity_far", SC(sched_setaffinity, 0, 8, &(uint64_t){1ull << 63}));
    T("setaffinity", SC(sched_setaffinity, 0, 8, &(uint64_t){1}));
    SC(sched_getaffinity, 0, 8, mask);
    T("setaffinity_is", mask[0]);
    T("getcpu", SC(getcpu, &cpu, &node, NULL));
    t_say("getcpu_is", "%u %u", cpu, node);
    T("getscheduler", SC(sched_getscheduler, 0));
    T("getscheduler_neg", SC(sched_getscheduler, -1));
    T("getscheduler_esrch", SC(sched_getscheduler, 99999));
    T("setscheduler_bad", SC(sched_setscheduler, 0, 99, &sp));
    T("setscheduler_batch", SC(sched_setscheduler, 0, SCHED_BATCH, &sp));
    T("setscheduler_batch_is", SC(sched_getscheduler, 0));
    T("setscheduler_other", SC(sched_setscheduler, 0, SCHED_OTHER, &sp));
    sp.sched_priority = 5;
    T("setscheduler_other_prio", SC(sched_setscheduler, 0, SCHED_OTHER, &sp));
    T("getparam", SC(sched_getparam, 0, &sp));
    T("getparam_is", sp.sched_priority);
    for (int i = 0; i < 7; i++) {
        T("prio_max", SC(sched_get_priority_max, i));
        T("prio_min", SC(sched_get_priority_min, i));
    }
    T("rr", SC(sched_rr_get_interval, 0, &ts));
    T("rr_esrch", SC(sched_rr_get_interval, 99999, &ts));
    T("yield", SC(sched_yield));
    T("getpriority", SC(getpriority, PRIO_PROCESS, 0));
    T("getpriority_which", SC(getpriority, 9, 0));
    T("getpriority_esrch", SC(getpriority, PRIO_PROCESS, 99999));
    T("setpriority", SC(setpriority, PRIO_PROCESS, 0, 100));
    T("setpriority_is", SC(getpriority, PRIO_PROCESS, 0));
    T("setpriority_back", SC(setpriority, PRIO_PROCESS, 0, 0));
    T("getpriority_pgrp", SC(getpriority, PRIO_PGRP, 0));
}

static int set_policy(int policy, int priority)
{
    struct sched_param sp = {.sched_priority = priority};

    return (int)SC(sched_setscheduler, 0, policy, &sp);
}

static void real_time(void)
{
    struct sched_param sp = {0};
    struct timespec ts;
    int reset = SCHED_RESET_ON_FORK, status;

    T("fifo", set_policy(SCHED_FIFO, 10));
    T("fifo_is", SC(sched_getscheduler, 0));
    T("fifo_param", SC(sched_getparam, 0, &sp));
    T("fifo_priority", sp.sched_priority);
    T("fifo_zero", set_policy(SCHED_FIFO, 0));
    T("fifo_100", set_policy(SCHED_FIFO, 100));
    T("fifo_interval", SC(sched_rr_get_interval, 0, &ts));
    YES("fifo_no_slice", ts.tv_sec == 0 && ts.tv_nsec == 0);
    sp.sched_priority = 20;
    T("setparam", SC(sched_setparam, 0, &sp));
    T("setparam_null", SC(sched_setparam, 0, NULL));
    T("setparam_bad", SC(sched_setparam, 99999, BAD_PTR));
    T("policy_neg", SC(sched_setscheduler, 0, -1, &sp));
    T("rr", set_policy(SCHED_RR | reset, 20));
    T("rr_is", SC(sched_getscheduler, 0));
    pid_t pid = fork();
    if (pid == 0)
        _exit((int)SC(sched_getscheduler, 0));
    waitpid(pid, &status, 0);
    T("reset_child", status);
    if (setuid(1000) < 0)
        return;
    T("user_drops_reset", set_policy(SCHED_RR, 20));
    T("user_same", set_policy(SCHED_RR | reset, 20));
    T("user_raises", set_policy(SCHED_RR | reset, 30));
    T("user_lowers", set_policy(SCHED_RR | reset, 5));
    T("user_fifo", set_policy(SCHED_FIFO | reset, 5));
    T("user_other", set_policy(SCHED_OTHER | reset, 0));
    T("user_pid_1", SC(sched_setscheduler, 1, SCHED_BATCH, &(int){0}));
    T("user_idle", set_policy(SCHED_IDLE | reset, 0));
    T("user_leaves_idle", set_policy(SCHED_BATCH | reset, 0));
    T("user_is", SC(sched_getscheduler, 0));
}

static void limit_calls(void)
{
    struct rlimit rl, old;

    for (int i = 0; i < 16; i++) {
        T("rl_get", SC(prlimit64, 0, i, NULL, &old));
        T("rl_set_same", SC(prlimit64, 0, i, &old, NULL));
    }
    T("rl_16", SC(prlimit64, 0, 16, NULL, &old));
    rl = (struct rlimit){10, 5};
    T("rl_order", SC(prlimit64, 0, RLIMIT_CORE, &rl, NULL));
    T("rl_esrch", SC(prlimit64, 99999, RLIMIT_CORE, NULL, &old));
    rl = (struct rlimit){1 << 21, 1 << 21};
    T("rl_nofile_max", SC(prlimit64, 0, RLIMIT_NOFILE, &rl, NULL));
    rl = (struct rlimit){5, 10};
    T("rl_core", SC(prlimit64, 0, RLIMIT_CORE, &rl, &old));
    T("rl_core_get", SC(prlimit64, 0, RLIMIT_CORE, NULL, &old));
    t_say("rl_core_is", "%ld %ld", (long)old.rlim_cur, (long)old.rlim_max);
    if (setuid(1000) < 0)
        return;
    rl.rlim_max = 11;
    T("rl_raise", SC(prlimit64, 0, RLIMIT_CORE, &rl, NULL));
    rl.rlim_max = 9;
    T("rl_lower", SC(prlimit64, 0, RLIMIT_CORE, &rl, NULL));
    T("rl_other", SC(prlimit64, 1, RLIMIT_CORE, NULL, &old));
    rl = (struct rlimit){0, 0};
    T("rl_nproc", SC(prlimit64, 0, RLIMIT_NPROC, &rl, NULL));
    T("rl_fork", fork());
}

static void facts(void)
{
    struct utsname u;
    struct sysinfo si;
    char b[300];

    T("uname", SC(uname, &u));
    t_say("uname_is", "%s %s", u.sysname, u.machine);
    T("sethostname_long", SC(sethostname, b, 65));
    T("sethostname_neg", SC(sethostname, b, -1));
    T("sysinfo", SC(sysinfo, &si));
    YES("sysinfo_ok", si.totalram > 0 && si.freeram <= si.totalram &&
                          si.mem_unit == 1 && si.procs > 0);
    T("getrandom", SC(getrandom, b, 300, 0));
    T("getrandom_flags", SC(getrandom, b, 300, 8));
    T("getrandom_both", SC(getrandom, b, 300, 6));
    T("getrandom_random", SC(getrandom, b, 16, 2));
    T("getrandom_zero", SC(getrandom, b, 0, 0));
    YES("gettid", SC(gettid) == getpid());
    YES("set_tid_address", SC(set_tid_address, &word) == SC(gettid));
    T("nr_9999", syscall(9999));
    T("nr_neg", syscall(-5));
    T("personality", SC(personality, 0xffffffff));
    T("personality_set", SC(personality, 0x0040000));
    T("personality_is", SC(personality, 0));
}

int main(void)
{
    t_begin("futexes");
    basics();
    threads();
    between();
    t_child("scheduling", scheduling);
    t_child("real_time", real_time);
    t_child("limit_calls", limit_calls);
    facts();
    return 0;
}
