// SPDX-License-Identifier: Apache-2.0
/* Signals: queueing, who is protected, delivery, restarts, stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "abi/linux/errno.h"
#include "abi/linux/x86_64/nr.h"

#include "guest/arch/arch.h"
#include "guest/arch/fake/fake.h"
#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/sys/calls_proc.h"

#define HANDLER UINT64_C(0x400000)

/* An ordinary process, so that pid 1's protection is out of the way. */
static struct process *proc;
static struct task *thread;

static void run_never(void *arg)
{
    (void)arg;
    fail();
}

static int setup(void **state)
{
    (void)state;
    fake_init(16 << 20);
    proc = process_new(current()->proc);
    assert_non_null(proc);
    proc->sighand = current()->proc->sighand;
    proc->sighand->refs++;
    proc->session = current()->proc->session;
    proc->session->refs++;
    thread = task_new(proc, "other");
    assert_non_null(thread);
    assert_int_equal(arch_task_init(thread, run_never, NULL), 0);
    mutex_lock(&proc_lock);
    process_publish(proc, current()->proc);
    assert_int_equal(task_publish(thread), 0);
    mutex_unlock(&proc_lock);
    return 0;
}

static int send(struct process *p, int signo, int code, uint64_t value)
{
    struct lx_siginfo si;

    signal_info(&si, signo, code);
    si.value = value;
    return signal_send(p, &si);
}

static void set_handler(int signo, uint64_t handler, uint64_t flags)
{
    proc->sighand->action[signo - 1] =
        (struct k_sigaction){.handler = handler, .flags = flags};
}

static void test_plain_signals_do_not_queue(void **state)
{
    (void)state;
    struct lx_siginfo si;

    set_handler(LX_SIGUSR1, HANDLER, 0);
    assert_int_equal(send(proc, LX_SIGUSR1, LX_SI_USER, 1), 0);
    assert_int_equal(send(proc, LX_SIGUSR1, LX_SI_USER, 2), 0);
    assert_true(signal_pending(thread));
    assert_int_equal(signal_dequeue(thread, UINT64_MAX, &si), LX_SIGUSR1);
    assert_int_equal(si.value, 1);
    assert_int_equal(signal_dequeue(thread, UINT64_MAX, &si), 0);
    assert_false(signal_pending(thread));
}

static void test_real_time_signals_queue_in_order(void **state)
{
    (void)state;
    struct lx_siginfo si;

    set_handler(LX_SIGRTMIN, HANDLER, 0);
    set_handler(LX_SIGRTMIN + 1, HANDLER, 0);
    assert_int_equal(send(proc, LX_SIGRTMIN + 1, LX_SI_QUEUE, 9), 0);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(send(proc, LX_SIGRTMIN, LX_SI_QUEUE, i), 0);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(signal_dequeue(thread, UINT64_MAX, &si), LX_SIGRTMIN);
        assert_int_equal(si.value, i);
    }
    assert_int_equal(signal_dequeue(thread, UINT64_MAX, &si), LX_SIGRTMIN + 1);
    assert_int_equal(signal_dequeue(thread, UINT64_MAX, &si), 0);
}

static void test_real_time_queue_is_bounded(void **state)
{
    (void)state;

    set_handler(LX_SIGRTMIN, HANDLER, 0);
    for (unsigned i = 0; i < SIG_QUEUE_MAX; i++)
        assert_int_equal(send(proc, LX_SIGRTMIN, LX_SI_QUEUE, i), 0);
    assert_int_equal(send(proc, LX_SIGRTMIN, LX_SI_QUEUE, 0), -EAGAIN);
    /* A plain one is still noticed. */
    set_handler(LX_SIGUSR1, HANDLER, 0);
    assert_int_equal(send(proc, LX_SIGUSR1, LX_SI_USER, 0), 0);
    assert_true((proc->pending.set & SIG_BIT(LX_SIGUSR1)) != 0);
}

static void test_ignored_signals_leave_no_trace(void **state)
{
    (void)state;

    set_handler(LX_SIGUSR1, LX_SIG_IGN, 0);
    assert_int_equal(send(proc, LX_SIGUSR1, LX_SI_USER, 0), 0);
    assert_int_equal(send(proc, LX_SIGCHLD, LX_SI_USER, 0), 0);
    assert_int_equal(proc->pending.set, 0);
    /* Blocked ones stay: the action may change. */
    thread->sigmask = SIG_BIT(LX_SIGUSR1);
    assert_int_equal(send(proc, LX_SIGUSR1, LX_SI_USER, 0), 0);
    assert_int_equal(proc->pending.set, SIG_BIT(LX_SIGUSR1));
    assert_false(signal_pending(thread));
}

static void test_default_action_ends_the_process(void **state)
{
    (void)state;

    assert_int_equal(send(proc, LX_SIGTERM, LX_SI_USER, 0), 0);
    assert_true(proc->group_exit);
    assert_int_equal(proc->exit_status, LX_SIGTERM);
    assert_true(signal_fatal_pending(thread));
    assert_int_equal(send(proc, LX_SIGKILL, LX_SI_USER, 0), 0);
    assert_int_equal(proc->exit_status, LX_SIGTERM); /* the first one counts */
}

static void test_pid_1_is_shielded(void **state)
{
    (void)state;
    struct process *init = proc_init;

    assert_int_equal(send(init, LX_SIGKILL, LX_SI_USER, 0), 0);
    assert_int_equal(send(init, LX_SIGTERM, LX_SI_USER, 0), 0);
    assert_int_equal(send(init, LX_SIGINT, LX_SI_KERNEL, 0), 0);
    signal_from_monitor(LX_SIGTERM);
    assert_int_equal(init->pending.set, 0);
    assert_false(init->group_exit);
    /* A handler lets a signal in; SIGKILL of the host always acts. */
    set_handler(LX_SIGTERM, HANDLER, 0);
    signal_from_monitor(LX_SIGTERM);
    assert_int_equal(init->pending.set, SIG_BIT(LX_SIGTERM));
    assert_false(init->group_exit);
    signal_from_monitor(LX_SIGKILL);
    assert_true(init->group_exit);
    assert_int_equal(init->exit_status, LX_SIGKILL);
    signal_from_monitor(0);
    signal_from_monitor(65);
}

static void test_own_fault_ends_even_pid_1(void **state)
{
    (void)state;

    current()->sigmask = SIG_BIT(LX_SIGSEGV);
    signal_fault(LX_SIGSEGV, LX_SEGV_MAPERR, 0x1234);
    assert_true(proc_init->group_exit);
    assert_int_equal(proc_init->exit_status, LX_SIGSEGV);
}

static void test_stop_and_cont_cancel(void **state)
{
    (void)state;

    set_handler(LX_SIGCONT, HANDLER, 0);
    set_handler(LX_SIGTSTP, HANDLER, 0);
    assert_int_equal(send(proc, LX_SIGTSTP, LX_SI_USER, 0), 0);
    assert_int_equal(send(proc, LX_SIGCONT, LX_SI_USER, 0), 0);
    assert_int_equal(proc->pending.set, SIG_BIT(LX_SIGCONT));
    assert_int_equal(send(proc, LX_SIGTSTP, LX_SI_USER, 0), 0);
    assert_int_equal(proc->pending.set, SIG_BIT(LX_SIGTSTP));
}

static void test_thread_signal_wins_over_process(void **state)
{
    (void)state;
    struct lx_siginfo si;

    set_handler(LX_SIGUSR1, HANDLER, 0);
    set_handler(LX_SIGUSR2, HANDLER, 0);
    assert_int_equal(send(proc, LX_SIGUSR1, LX_SI_USER, 0), 0);
    signal_info(&si, LX_SIGUSR2, LX_SI_TKILL);
    assert_int_equal(signal_send_task(thread, &si), 0);
    assert_int_equal(signal_dequeue(thread, UINT64_MAX, &si), LX_SIGUSR2);
    assert_int_equal(signal_dequeue(thread, UINT64_MAX, &si), LX_SIGUSR1);
}

/* --- delivery, on the test's own task (pid 1) --- */

static struct arch_regs *in_call(int64_t nr, int64_t result)
{
    struct arch_regs *r = &current()->arch.regs;

    *r = (struct arch_regs){.ip = 0x1000, .nr = nr, .result = result};
    return r;
}

static void interrupt_call(uint64_t flags)
{
    set_handler(LX_SIGUSR1, HANDLER, flags);
    current()->sigmask = 0; /* a handler before left it blocked */
    assert_int_equal(send(proc_init, LX_SIGUSR1, LX_SI_USER, 0), 0);
    sched_user_return();
}

static void test_call_is_restarted_or_not(void **state)
{
    (void)state;
    struct arch_regs *r = in_call(LX_NR_read, -ERESTARTSYS);

    interrupt_call(0);
    assert_int_equal(r->ip, HANDLER);
    assert_int_equal(r->result, -EINTR);
    r = in_call(LX_NR_read, -ERESTARTSYS);
    interrupt_call(LX_SA_RESTART);
    assert_int_equal(r->ip, HANDLER);
    assert_int_equal(r->result, -ERESTARTSYS); /* nr is put back instead */
    r = in_call(LX_NR_pause, -ERESTARTNOHAND);
    interrupt_call(LX_SA_RESTART);
    assert_int_equal(r->result, -EINTR);
    r = in_call(LX_NR_nanosleep, -ERESTART_RESTARTBLOCK);
    interrupt_call(LX_SA_RESTART);
    assert_int_equal(r->result, -EINTR);
}

static void test_no_handler_restarts_quietly(void **state)
{
    (void)state;
    struct arch_regs *r = in_call(LX_NR_nanosleep, -ERESTART_RESTARTBLOCK);

    current()->work = true;
    sched_user_return();
    assert_int_equal(r->nr, LX_NR_restart_syscall);
    assert_false(current()->work);
}

static void test_mask_during_handler(void **state)
{
    (void)state;
    struct task *t = current();

    t->sigmask = 0;
    set_handler(LX_SIGUSR1, HANDLER, LX_SA_RESETHAND);
    proc->sighand->action[LX_SIGUSR1 - 1].mask = SIG_BIT(LX_SIGUSR2);
    (void)in_call(-1, 0);
    assert_int_equal(send(proc_init, LX_SIGUSR1, LX_SI_USER, 0), 0);
    sched_user_return();
    assert_int_equal(t->sigmask, SIG_BIT(LX_SIGUSR1) | SIG_BIT(LX_SIGUSR2));
    assert_int_equal(proc->sighand->action[LX_SIGUSR1 - 1].handler, LX_SIG_DFL);
    t->sigmask = 0;
    set_handler(LX_SIGUSR1, HANDLER, LX_SA_NODEFER);
    assert_int_equal(send(proc_init, LX_SIGUSR1, LX_SI_USER, 0), 0);
    sched_user_return();
    assert_int_equal(t->sigmask, 0);
}

static void test_temporary_mask_is_put_back(void **state)
{
    (void)state;
    struct task *t = current();

    signal_set_mask(SIG_BIT(LX_SIGUSR2));
    signal_set_mask_temp(SIG_BIT(LX_SIGINT) | SIG_BIT(LX_SIGKILL));
    assert_int_equal(t->sigmask, SIG_BIT(LX_SIGINT)); /* never SIGKILL */
    (void)in_call(-1, 0);
    sched_user_return();
    assert_int_equal(t->sigmask, SIG_BIT(LX_SIGUSR2));
    assert_false(t->restore_sigmask);
}

static void test_sigaction_call(void **state)
{
    (void)state;
    struct k_sigaction sa = {.handler = HANDLER, .mask = UINT64_MAX};
    struct k_sigaction old;
    uint64_t a[] = {LX_SIGUSR1, (uintptr_t)&sa, 0, 8};
    uint64_t get[] = {LX_SIGUSR1, 0, (uintptr_t)&old, 8};

    assert_int_equal(sys_rt_sigaction(a), 0);
    assert_int_equal(sys_rt_sigaction(get), 0);
    assert_int_equal(old.handler, HANDLER);
    assert_int_equal(old.mask & SIG_BIT(LX_SIGKILL), 0);
    a[0] = LX_SIGKILL;
    assert_int_equal(sys_rt_sigaction(a), -EINVAL);
    a[0] = 65;
    assert_int_equal(sys_rt_sigaction(a), -EINVAL);
    a[0] = LX_SIGUSR1;
    a[3] = 4;
    assert_int_equal(sys_rt_sigaction(a), -EINVAL);
    fake_bad(&sa, sizeof(sa));
    a[3] = 8;
    assert_int_equal(sys_rt_sigaction(a), -EFAULT);
    fake_bad(NULL, 0);
}

static void test_ignoring_drops_what_is_pending(void **state)
{
    (void)state;
    struct k_sigaction sa = {.handler = LX_SIG_IGN};
    uint64_t a[] = {LX_SIGUSR1, (uintptr_t)&sa, 0, 8};

    set_handler(LX_SIGUSR1, HANDLER, 0);
    signal_set_mask(SIG_BIT(LX_SIGUSR1));
    assert_int_equal(send(proc_init, LX_SIGUSR1, LX_SI_USER, 0), 0);
    assert_int_equal(sys_rt_sigaction(a), 0);
    assert_int_equal(proc_init->pending.set, 0);
}

static void test_kill_call(void **state)
{
    (void)state;
    uint64_t none[] = {4000, 0};
    uint64_t ask[] = {(uint64_t)proc->pid, 0};
    uint64_t bad[] = {(uint64_t)proc->pid, 65};
    uint64_t term[] = {(uint64_t)proc->pid, LX_SIGTERM};

    assert_int_equal(sys_kill(none), -ESRCH);
    assert_int_equal(sys_kill(ask), 0);
    assert_int_equal(sys_kill(bad), -EINVAL);
    current()->cred.caps = 0;
    current()->cred.uid = current()->cred.euid = 1000;
    assert_int_equal(sys_kill(term), -EPERM);
    proc->cred.uid = 1000;
    assert_int_equal(sys_kill(term), 0);
    assert_true(proc->group_exit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_plain_signals_do_not_queue, setup),
        cmocka_unit_test_setup(test_real_time_signals_queue_in_order, setup),
        cmocka_unit_test_setup(test_real_time_queue_is_bounded, setup),
        cmocka_unit_test_setup(test_ignored_signals_leave_no_trace, setup),
        cmocka_unit_test_setup(test_default_action_ends_the_process, setup),
        cmocka_unit_test_setup(test_pid_1_is_shielded, setup),
        cmocka_unit_test_setup(test_own_fault_ends_even_pid_1, setup),
        cmocka_unit_test_setup(test_stop_and_cont_cancel, setup),
        cmocka_unit_test_setup(test_thread_signal_wins_over_process, setup),
        cmocka_unit_test_setup(test_call_is_restarted_or_not, setup),
        cmocka_unit_test_setup(test_no_handler_restarts_quietly, setup),
        cmocka_unit_test_setup(test_mask_during_handler, setup),
        cmocka_unit_test_setup(test_temporary_mask_is_put_back, setup),
        cmocka_unit_test_setup(test_sigaction_call, setup),
        cmocka_unit_test_setup(test_ignoring_drops_what_is_pending, setup),
        cmocka_unit_test_setup(test_kill_call, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
