// SPDX-License-Identifier: Apache-2.0
/* fork, exit, wait, orphans, job control; the test is pid 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/arch/arch.h"
#include "guest/arch/fake/fake.h"
#include "guest/core/aspace.h"
#include "guest/core/kmem.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/path.h"
#include "guest/sys/calls_proc.h"

static uint64_t none[6];

static int setup(void **state)
{
    (void)state;
    fake_init(16 << 20);
    struct process *p = current()->proc;
    p->aspace = aspace_new();
    p->files = fdtable_new();
    p->fs = kzalloc(sizeof(*p->fs));
    assert_non_null(p->aspace);
    assert_non_null(p->files);
    assert_non_null(p->fs);
    p->fs->refs = 1;
    return 0;
}

static int64_t spawn(void (*fn)(void))
{
    fake_child = fn;
    return sys_fork(none);
}

/* fake_child is looked at when the child first runs. */
static int64_t spawn_now(void (*fn)(void))
{
    int64_t pid = spawn(fn);

    sched_yield();
    return pid;
}

static int64_t wait4(int64_t pid, int32_t *status, uint64_t options)
{
    uint64_t a[] = {(uint64_t)pid, (uintptr_t)status, options, 0};

    return sys_wait4(a);
}

static void do_exit(unsigned code)
{
    (void)sys_exit_group((const uint64_t[]){code});
}

static void exit_7(void)
{
    do_exit(7);
}

static void sleep_for_ever(void)
{
    for (;;) {
        (void)sys_pause(none);
        sched_user_return();
    }
}

static void kill_pid(int64_t pid, int signo)
{
    assert_int_equal(
        sys_kill((const uint64_t[]){(uint64_t)pid, (uint64_t)signo}), 0);
}

static void test_fork_exit_wait(void **state)
{
    (void)state;
    int32_t status = -1;

    assert_int_equal(wait4(-1, &status, 0), -ECHILD);
    int64_t pid = spawn(exit_7);
    assert_true(pid > 1);
    assert_int_equal(wait4(-1, &status, LX_WNOHANG), 0);
    assert_int_equal(wait4(pid + 1, &status, 0), -ECHILD);
    assert_int_equal(wait4(pid, &status, 0), pid);
    assert_int_equal(status, 7 << 8);
    assert_int_equal(wait4(-1, &status, 0), -ECHILD);
    assert_null(process_find((int32_t)pid));
    assert_int_equal(process_count_threads(), 1);
}

static void test_killed_child(void **state)
{
    (void)state;
    int32_t status;
    int64_t pid = spawn_now(sleep_for_ever);

    kill_pid(pid, LX_SIGKILL);
    assert_int_equal(wait4(pid, &status, 0), pid);
    assert_int_equal(status, LX_SIGKILL);
    pid = spawn_now(sleep_for_ever);
    kill_pid(pid, LX_SIGSEGV);
    assert_int_equal(wait4(0, &status, 0), pid);
    assert_int_equal(status, LX_SIGSEGV); /* no core: no 0x80 */
}

static void test_child_signal_and_zombie(void **state)
{
    (void)state;
    struct lx_siginfo si;

    current()->proc->sighand->action[LX_SIGCHLD - 1].handler = 0x400000;
    int64_t pid = spawn_now(exit_7);
    assert_non_null(process_find((int32_t)pid));
    assert_true(process_find((int32_t)pid)->zombie);
    assert_int_equal(signal_dequeue(current(), UINT64_MAX, &si), LX_SIGCHLD);
    assert_int_equal(si.pid, pid);
    assert_int_equal(si.code, LX_CLD_EXITED);
    assert_int_equal(si.chld.status, 7);
    uint64_t a[] = {LX_P_PID, (uint64_t)pid, (uintptr_t)&si,
                    LX_WEXITED | LX_WNOWAIT, 0};
    assert_int_equal(sys_waitid(a), 0);
    assert_int_equal(si.chld.status, 7);
    a[3] = LX_WEXITED;
    assert_int_equal(sys_waitid(a), 0);
    assert_int_equal(sys_waitid(a), -ECHILD);
    a[3] = 0;
    assert_int_equal(sys_waitid(a), -EINVAL);
}

static void test_ignored_children_are_reaped(void **state)
{
    (void)state;
    struct k_sigaction *sa = &current()->proc->sighand->action[LX_SIGCHLD - 1];
    int32_t status;

    sa->handler = LX_SIG_IGN;
    int64_t pid = spawn_now(exit_7);
    assert_null(process_find((int32_t)pid));
    sa->handler = LX_SIG_DFL;
    sa->flags = LX_SA_NOCLDWAIT;
    (void)spawn(exit_7);
    assert_int_equal(wait4(-1, &status, 0), -ECHILD); /* after its end */
}

static int64_t grandchild;

static void parent_of_one(void)
{
    grandchild = spawn_now(sleep_for_ever);
    do_exit(0);
}

static void test_orphans_come_to_pid_1(void **state)
{
    (void)state;
    int32_t status;
    int64_t pid = spawn(parent_of_one);

    assert_int_equal(wait4(pid, &status, 0), pid);
    const struct process *p = process_find((int32_t)grandchild);
    assert_non_null(p);
    assert_ptr_equal(p->parent, proc_init);
    kill_pid(grandchild, LX_SIGTERM);
    assert_int_equal(wait4(-1, &status, 0), grandchild);
    assert_int_equal(status, LX_SIGTERM);
}

static void subreaper_main(void)
{
    (void)sys_prctl((const uint64_t[]){36, 1, 0, 0, 0, 0});
    int64_t pid = spawn(parent_of_one);
    int32_t status;
    bool ok = wait4(pid, &status, 0) == pid;
    ok = ok && process_find((int32_t)grandchild)->parent == current()->proc;
    do_exit(ok ? 3 : 4);
}

static void test_subreaper(void **state)
{
    (void)state;
    int32_t status;
    int64_t pid = spawn(subreaper_main);

    assert_int_equal(wait4(pid, &status, 0), pid);
    assert_int_equal(status, 3 << 8);
    /* Its child came on to us. */
    kill_pid(grandchild, LX_SIGKILL);
    assert_int_equal(wait4(-1, &status, 0), grandchild);
}

static void test_stop_and_continue(void **state)
{
    (void)state;
    int32_t status;
    int64_t pid = spawn_now(sleep_for_ever);

    kill_pid(pid, LX_SIGSTOP);
    assert_int_equal(wait4(pid, &status, LX_WUNTRACED), pid);
    assert_int_equal(status, LX_SIGSTOP << 8 | 0x7f);
    assert_int_equal(wait4(pid, &status, LX_WUNTRACED | LX_WNOHANG), 0);
    kill_pid(pid, LX_SIGCONT);
    assert_int_equal(wait4(pid, &status, LX_WCONTINUED), pid);
    assert_int_equal(status, 0xffff);
    kill_pid(pid, LX_SIGSTOP);
    sched_yield();
    kill_pid(pid, LX_SIGTERM); /* waits for SIGCONT */
    sched_yield();
    assert_int_equal(wait4(pid, &status, LX_WNOHANG), 0);
    kill_pid(pid, LX_SIGCONT);
    assert_int_equal(wait4(pid, &status, 0), pid);
    assert_int_equal(status, LX_SIGTERM);
}

static void test_kill_while_stopped(void **state)
{
    (void)state;
    int32_t status;
    int64_t pid = spawn_now(sleep_for_ever);

    kill_pid(pid, LX_SIGSTOP);
    sched_yield();
    kill_pid(pid, LX_SIGKILL);
    assert_int_equal(wait4(pid, &status, 0), pid);
    assert_int_equal(status, LX_SIGKILL);
}

/* --- threads --- */

static int threads_seen;

static void thread_main(void)
{
    threads_seen++;
    (void)sys_exit(none);
}

static int64_t new_thread(void (*fn)(void))
{
    struct clone_args ca = {.flags = LX_CLONE_VM | LX_CLONE_FS |
                                     LX_CLONE_FILES | LX_CLONE_SIGHAND |
                                     LX_CLONE_THREAD};

    fake_child = fn;
    return task_clone(&ca);
}

static void leader_leaves_first(void)
{
    (void)new_thread(exit_7);
    (void)sys_exit((const uint64_t[]){1});
}

static void test_threads(void **state)
{
    (void)state;
    int32_t status;

    threads_seen = 0;
    int64_t tid = new_thread(thread_main);
    assert_true(tid > 1);
    assert_non_null(task_find((int32_t)tid));
    assert_null(process_find((int32_t)tid));
    assert_int_equal(current()->proc->thread_count, 2);
    sched_yield();
    assert_int_equal(threads_seen, 1);
    assert_int_equal(current()->proc->thread_count, 1);
    assert_null(task_find((int32_t)tid));
    /* The process lives until its last thread ends. */
    int64_t pid = spawn_now(leader_leaves_first);
    assert_int_equal(wait4(pid, &status, 0), pid);
    assert_int_equal(status, 7 << 8);
}

static void thread_sleeps(void)
{
    sleep_for_ever();
}

static int64_t single_tid;

static void thread_execs(void)
{
    single_tid = current()->tid;
    int r = task_single();
    bool ok = r == 0 && current()->tid == current()->proc->pid &&
              current()->proc->leader == current() &&
              task_find((int32_t)single_tid) == NULL &&
              current()->proc->thread_count == 1;
    do_exit(ok ? 5 : 6);
}

static void exec_main(void)
{
    (void)new_thread(thread_sleeps);
    sched_yield();
    (void)new_thread(thread_execs);
    sleep_for_ever();
}

static void test_exec_leaves_one_thread(void **state)
{
    (void)state;
    int32_t status;
    int64_t pid = spawn(exec_main);

    assert_int_equal(wait4(pid, &status, 0), pid);
    assert_int_equal(status, 5 << 8);
    assert_int_equal(process_count_threads(), 1);
}

static void test_clone_rules(void **state)
{
    (void)state;
    static const struct {
        uint64_t flags;
        int64_t error;
    } cases[] = {
        {LX_CLONE_THREAD, -EINVAL},
        {LX_CLONE_THREAD | LX_CLONE_VM | LX_CLONE_SIGHAND, -EINVAL},
        {LX_CLONE_SIGHAND, -EINVAL},
        {LX_CLONE_NEWNS, -EPERM},
        {LX_CLONE_NEWUSER, -EPERM},
        {LX_CLONE_PARENT, -EINVAL}, /* of pid 1 */
        {LX_CLONE_INTO_CGROUP, -EINVAL},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct clone_args ca = {.flags = cases[i].flags, .exit_signal = 17};
        assert_int_equal(task_clone(&ca), cases[i].error);
    }
    assert_int_equal(process_count_threads(), 1);
    uint64_t a[] = {(uintptr_t) & (struct lx_clone_args){.exit_signal = 65},
                    88};
    assert_int_equal(sys_clone3(a), -EINVAL);
    a[1] = 8;
    assert_int_equal(sys_clone3(a), -EINVAL);
}

static void test_process_limit(void **state)
{
    (void)state;
    struct process *p = current()->proc;
    int32_t status;

    p->rlimits[LX_RLIMIT_NPROC].cur = 1;
    int64_t pid = spawn(exit_7); /* root is not limited */
    assert_int_equal(wait4(-1, &status, 0), pid);
    p->cred.caps = current()->cred.caps = 0;
    p->cred.uid = current()->cred.uid = 1000;
    assert_int_equal(spawn(exit_7), -EAGAIN);
}

/* --- groups and sessions --- */

static void session_main(void)
{
    int64_t pid = current()->proc->pid;
    bool ok = sys_setsid(none) == pid && sys_getsid(none) == pid &&
              sys_getpgid(none) == pid && sys_setsid(none) == -EPERM &&
              sys_setpgid(none) == -EPERM;
    do_exit(ok ? 8 : 9);
}

static void test_groups_and_sessions(void **state)
{
    (void)state;
    int32_t status;
    int64_t pid = spawn_now(sleep_for_ever);
    uint64_t own[] = {(uint64_t)pid, 0};
    uint64_t absent[] = {(uint64_t)pid, 3000};

    assert_int_equal(sys_getpgid((const uint64_t[]){(uint64_t)pid}), 1);
    assert_int_equal(sys_setpgid(absent), -EPERM);
    assert_int_equal(sys_setpgid(own), 0);
    assert_int_equal(sys_getpgid((const uint64_t[]){(uint64_t)pid}), pid);
    signal_send_pgrp((int32_t)pid, LX_SIGHUP);
    assert_int_equal(wait4(-pid, &status, 0), pid);
    assert_int_equal(status, LX_SIGHUP);
    pid = spawn(session_main);
    assert_int_equal(wait4(pid, &status, 0), pid);
    assert_int_equal(status, 8 << 8);
}

/* A stopped job whose shell goes away gets SIGHUP and SIGCONT. */
static void shell_main(void)
{
    (void)sys_setsid(none);
    grandchild = spawn_now(sleep_for_ever);
    (void)sys_setpgid((const uint64_t[]){(uint64_t)grandchild, 0});
    kill_pid(grandchild, LX_SIGSTOP);
    sched_yield();
    do_exit(0);
}

static void test_orphaned_stopped_job(void **state)
{
    (void)state;
    int32_t status;
    int64_t pid = spawn(shell_main);

    assert_int_equal(wait4(pid, &status, 0), pid);
    assert_int_equal(wait4(grandchild, &status, 0), grandchild);
    assert_int_equal(status, LX_SIGHUP);
}

static void test_pids_are_not_reused_soon(void **state)
{
    (void)state;
    int32_t status;
    int64_t first = spawn(exit_7);

    assert_int_equal(wait4(-1, &status, 0), first);
    int64_t second = spawn(exit_7);
    assert_int_equal(wait4(-1, &status, 0), second);
    assert_int_equal(second, first + 1);
    for (int i = 0; i < 40000; i++) {
        int32_t pid = pid_alloc();
        assert_true(pid > 1 && pid < 32768);
        pid_free(pid);
    }
    assert_non_null(process_find(1));
}

static bool vfork_ran;

static void vfork_child(void)
{
    vfork_ran = true;
    exit_7();
}

static void test_vfork_waits(void **state)
{
    (void)state;
    int32_t status;

    vfork_ran = false;
    fake_child = vfork_child;
    int64_t pid = sys_vfork(none);
    assert_true(vfork_ran);
    assert_int_equal(wait4(pid, &status, 0), pid);
    assert_int_equal(current()->proc->aspace->refs, 1);
}

static void test_credentials(void **state)
{
    (void)state;
    struct process *p = current()->proc;

    assert_true(cred_capable(p, LX_CAP_SETUID));
    assert_int_equal(
        sys_setresuid((const uint64_t[]){UINT32_MAX, 1000, UINT32_MAX}), 0);
    assert_false(cred_capable(p, LX_CAP_SETUID));
    assert_int_equal(
        sys_setresuid((const uint64_t[]){UINT32_MAX, 0, UINT32_MAX}), 0);
    assert_true(cred_capable(p, LX_CAP_SETUID));
    assert_int_equal(sys_setgroups((const uint64_t[]){65537, 0}), -EINVAL);
    assert_int_equal(sys_setuid((const uint64_t[]){1000}), 0);
    assert_false(cred_capable(p, LX_CAP_SETUID));
    assert_int_equal(p->cred.suid, 1000);
    assert_int_equal(sys_setuid((const uint64_t[]){0}), -EPERM);
    assert_int_equal(sys_setgroups((const uint64_t[]){0, 0}), -EPERM);
}

static void test_pidfd(void **state)
{
    (void)state;
    struct lx_siginfo si;
    int64_t pid = spawn_now(sleep_for_ever);
    int64_t fd = sys_pidfd_open((const uint64_t[]){(uint64_t)pid, 0});
    uint64_t sig[] = {(uint64_t)fd, LX_SIGTERM, 0, 0};
    uint64_t wait[] = {LX_P_PIDFD, (uint64_t)fd, (uintptr_t)&si, LX_WEXITED, 0};
    struct file *f = fd_get((int)fd);

    assert_non_null(f);
    assert_int_equal(f->ops->poll(f, NULL), 0);
    assert_int_equal(sys_pidfd_send_signal(sig), 0);
    sched_yield();
    assert_int_not_equal(f->ops->poll(f, NULL) & 1, 0);
    assert_int_equal(sys_waitid(wait), 0);
    assert_int_equal(si.pid, pid);
    assert_int_equal(sys_pidfd_send_signal(sig), -ESRCH);
    file_put(f);
    assert_int_equal(fd_close((int)fd), 0);
    assert_int_equal(sys_pidfd_send_signal(sig), -EBADF);
    assert_int_equal(sys_pidfd_open((const uint64_t[]){9999, 0}), -ESRCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_fork_exit_wait, setup),
        cmocka_unit_test_setup(test_killed_child, setup),
        cmocka_unit_test_setup(test_child_signal_and_zombie, setup),
        cmocka_unit_test_setup(test_ignored_children_are_reaped, setup),
        cmocka_unit_test_setup(test_orphans_come_to_pid_1, setup),
        cmocka_unit_test_setup(test_subreaper, setup),
        cmocka_unit_test_setup(test_stop_and_continue, setup),
        cmocka_unit_test_setup(test_kill_while_stopped, setup),
        cmocka_unit_test_setup(test_threads, setup),
        cmocka_unit_test_setup(test_exec_leaves_one_thread, setup),
        cmocka_unit_test_setup(test_clone_rules, setup),
        cmocka_unit_test_setup(test_process_limit, setup),
        cmocka_unit_test_setup(test_groups_and_sessions, setup),
        cmocka_unit_test_setup(test_orphaned_stopped_job, setup),
        cmocka_unit_test_setup(test_pids_are_not_reused_soon, setup),
        cmocka_unit_test_setup(test_vfork_waits, setup),
        cmocka_unit_test_setup(test_credentials, setup),
        cmocka_unit_test_setup(test_pidfd, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
