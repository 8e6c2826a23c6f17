// SPDX-License-Identifier: Apache-2.0
/* Signals: actions, masks, stacks, queues, siginfo, restarts, faults. */
#include <poll.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <ucontext.h>

#include "tests/guest/conform/t.h"

#ifndef SEGV_MAPERR
#define SEGV_MAPERR 1
#define SEGV_ACCERR 2
#endif

struct ksigaction {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static siginfo_t info;
static int order[16], orders;
static sigjmp_buf back;

static void on_info(int signo, siginfo_t *si, void *uc)
{
    (void)uc;
    info = *si;
    t_hits++;
    if (orders < 16)
        order[orders++] = signo;
}

static void take(int signo, int flags)
{
    struct sigaction sa = {.sa_sigaction = on_info,
                           .sa_flags = SA_SIGINFO | flags};

    t_hits = 0;
    orders = 0;
    memset(&info, 0, sizeof(info));
    sigaction(signo, &sa, NULL);
}

static void say(const char *label)
{
    t_say(label, "signo=%d errno=%d code=%d pid=%d uid=%d value=%d",
          info.si_signo, info.si_errno, info.si_code, info.si_pid == getpid(),
          (int)info.si_uid,
          info.si_code < 0 && info.si_code != SI_TKILL ? info.si_value.sival_int
                                                       : 0);
}

static void actions(void)
{
    struct ksigaction k = {.handler = (void *)t_handler, .flags = 0xffffffff},
                      old;
    uint64_t mask = ~0ull;

    T("kill_action", SC(rt_sigaction, SIGKILL, &k, NULL, 8));
    T("stop_action", SC(rt_sigaction, SIGSTOP, &k, NULL, 8));
    T("kill_read", SC(rt_sigaction, SIGKILL, NULL, &old, 8));
    T("zero", SC(rt_sigaction, 0, NULL, &old, 8));
    T("65", SC(rt_sigaction, 65, NULL, &old, 8));
    T("64", SC(rt_sigaction, 64, NULL, &old, 8));
    T("size", SC(rt_sigaction, SIGUSR1, NULL, &old, 4));
    T("ptr", SC(rt_sigaction, SIGUSR1, BAD_PTR, NULL, 8));
    T("ptr_old", SC(rt_sigaction, SIGUSR1, NULL, BAD_PTR, 8));
    k.mask = ~0ull;
    k.flags = 0x04000000 | 0x400 | 0x800 | SA_RESTART;
    T("set", SC(rt_sigaction, SIGUSR1, &k, NULL, 8));
    SC(rt_sigaction, SIGUSR1, NULL, &old, 8);
    t_say("set_is", "flags=%#lx mask=%#lx", old.flags, (unsigned long)old.mask);
    T("mask_how", SC(rt_sigprocmask, 9, &mask, NULL, 8));
    T("mask_how_null", SC(rt_sigprocmask, 9, NULL, &mask, 8));
    T("mask_size", SC(rt_sigprocmask, 0, &mask, NULL, 16));
    T("mask_ptr", SC(rt_sigprocmask, 0, BAD_PTR, NULL, 8));
    T("mask_old_ptr", SC(rt_sigprocmask, 0, NULL, BAD_PTR, 8));
    mask = ~0ull;
    T("mask_all", SC(rt_sigprocmask, 2, &mask, NULL, 8));
    SC(rt_sigprocmask, 0, NULL, &mask, 8);
    t_say("mask_all_is", "%#lx", (unsigned long)mask);
    raise(SIGUSR1);
    raise(SIGUSR2);
    T("pending", SC(rt_sigpending, &mask, 8));
    t_say("pending_is", "%#lx", (unsigned long)mask);
    T("pending_size", SC(rt_sigpending, &mask, 4));
    T("pending_size_big", SC(rt_sigpending, &mask, 16));
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    SC(rt_sigpending, &mask, 8);
    t_say("ignored_pending", "%#lx", (unsigned long)mask);
    mask = 0;
    SC(rt_sigprocmask, 2, &mask, NULL, 8);
    k = (struct ksigaction){0};
    SC(rt_sigaction, SIGUSR1, NULL, &k, 8);
    T("ign_is", k.handler == (void *)SIG_IGN);
}

static volatile int depth, most;

static void nested(int signo)
{
    depth++;
    most = depth > most ? depth : most;
    if (t_hits++ < 3)
        raise(signo);
    depth--;
}

static void flags(void)
{
    struct sigaction sa = {.sa_handler = nested, .sa_flags = SA_NODEFER}, old;

    sigaction(SIGUSR1, &sa, NULL);
    t_hits = 0;
    raise(SIGUSR1);
    t_say("nodefer", "hits=%d depth=%d", t_hits, most);
    sa.sa_flags = 0;
    sigaction(SIGUSR1, &sa, NULL);
    t_hits = most = 0;
    raise(SIGUSR1);
    t_say("defer", "hits=%d depth=%d", t_hits, most);
    t_catch(SIGUSR1, SA_RESETHAND);
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &old);
    YES("resethand", old.sa_handler == SIG_DFL && t_hits == 1);
    t_say("resethand_flags", "%#x", old.sa_flags & 0xf8000007);
    take(SIGUSR1, 0);
    raise(SIGUSR1);
    say("raise");
    kill(getpid(), SIGUSR1);
    say("kill");
    union sigval v = {.sival_int = 77};
    sigqueue(getpid(), SIGUSR1, v);
    say("sigqueue");
    SC(tgkill, getpid(), getpid(), SIGUSR1);
    say("tgkill");
    SC(tkill, getpid(), SIGUSR1);
    say("tkill");
    T("tgkill_other", SC(tgkill, 1, getpid(), 0));
    T("tgkill_zero", SC(tgkill, 0, getpid(), 0));
    T("tgkill_neg", SC(tgkill, getpid(), -1, 0));
    T("tgkill_esrch", SC(tgkill, getpid(), 99999, 0));
    T("tgkill_sig", SC(tgkill, getpid(), getpid(), 65));
    T("tkill_zero", SC(tkill, 0, 0));
    T("tkill_esrch", SC(tkill, 99999, 0));
    T("kill_sig", kill(getpid(), 65));
    T("kill_neg_sig", kill(getpid(), -1));
    T("kill_esrch", kill(99999, 0));
    T("kill_pgrp_esrch", kill(-99999, 0));
    T("kill_int_min", kill(INT_MIN, 0));
    siginfo_t si = {.si_code = SI_QUEUE};
    T("queue_user", SC(rt_sigqueueinfo, getpid(), SIGUSR1, &si));
    si.si_code = SI_USER;
    T("queue_si_user", SC(rt_sigqueueinfo, getpid(), SIGUSR1, &si));
    T("queue_si_user_init", SC(rt_sigqueueinfo, 1, 0, &si));
    si.si_code = SI_TKILL;
    T("queue_si_tkill_init", SC(rt_sigqueueinfo, 1, 0, &si));
    T("queue_ptr", SC(rt_sigqueueinfo, getpid(), SIGUSR1, BAD_PTR));
    T("queue_sig", SC(rt_sigqueueinfo, getpid(), 65, &si));
    T("tgqueue", SC(rt_tgsigqueueinfo, getpid(), getpid(), SIGUSR1, &si));
}

static void queues(void)
{
    sigset_t all, one;
    siginfo_t si;
    struct timespec none = {0, 0}, bad = {0, -1}, some = {0, 20000000};
    union sigval v = {.sival_int = 0};

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int i = 0; i < 3; i++) {
        v.sival_int = i;
        sigqueue(getpid(), 40, v);
        sigqueue(getpid(), SIGUSR1, v);
    }
    sigqueue(getpid(), 36, v);
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    T("wait_usr1", sigtimedwait(&one, &si, &none));
    t_say("wait_usr1_value", "%d %d", si.si_value.sival_int, si.si_code);
    T("wait_usr1_gone", sigtimedwait(&one, &si, &none));
    sigaddset(&one, 40);
    sigaddset(&one, 36);
    T("wait_rt", sigwaitinfo(&one, &si));
    for (int i = 0; i < 3; i++) {
        T("wait_rt40", sigwaitinfo(&one, &si));
        T("wait_rt40_value", si.si_value.sival_int);
    }
    T("wait_time", sigtimedwait(&one, &si, &some));
    T("wait_bad", sigtimedwait(&one, &si, &bad));
    T("wait_ptr", SC(rt_sigtimedwait, BAD_PTR, &si, &none, 8));
    T("wait_size", SC(rt_sigtimedwait, &one, &si, &none, 16));
    sigqueue(getpid(), 40, v);
    T("wait_info_ptr", SC(rt_sigtimedwait, &one, BAD_PTR, &none, 8));
    T("wait_null_info", SC(rt_sigtimedwait, &one, NULL, &none, 8));
    take(SIGUSR1, 0);
    take(SIGUSR2, 0);
    take(SIGTERM, 0);
    take(35, 0);
    take(34, 0);
    kill(getpid(), SIGTERM);
    sigqueue(getpid(), 35, v);
    sigqueue(getpid(), 34, v);
    kill(getpid(), SIGUSR2);
    kill(getpid(), SIGUSR1);
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    t_say("order", "%d %d %d %d %d", order[0], order[1], order[2], order[3],
          order[4]);
    struct rlimit rl = {4, 4};
    setrlimit(RLIMIT_SIGPENDING, &rl);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    int n = 0;
    while (n < 10 && sigqueue(getpid(), 40, v) == 0)
        n++;
    T("limit_errno", n == 10 ? 0 : -1);
    T("limit_more_than_4", n <= 4);
    T("limit_kill", kill(getpid(), SIGUSR1));
}

static char altmem[65536];

static void on_alt(int signo)
{
    char here;
    stack_t ss, other = {.ss_sp = altmem, .ss_size = sizeof(altmem)};

    (void)signo;
    t_hits++;
    sigaltstack(NULL, &ss);
    t_say("alt_inside", "on=%d flags=%#x",
          &here >= altmem && &here < altmem + sizeof(altmem), ss.ss_flags);
    T("alt_change_inside", sigaltstack(&other, NULL));
}

static int overflow(int n)
{
    volatile char big[65536];

    big[0] = (char)n;
    return n < 0 ? 0 : overflow(n + 1) + big[0];
}

static void on_overflow(int signo, siginfo_t *si, void *uc)
{
    (void)uc;
    t_say("overflow", "%d code=%d", signo, si->si_code);
    _exit(33);
}

static void overflow_child(void)
{
    stack_t ss = {.ss_sp = altmem, .ss_size = sizeof(altmem)};
    struct sigaction sa = {.sa_sigaction = on_overflow,
                           .sa_flags = SA_ONSTACK | SA_SIGINFO};
    struct rlimit rl = {1 << 20, RLIM_INFINITY};

    setrlimit(RLIMIT_STACK, &rl);
    sigaltstack(&ss, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    (void)overflow(0);
}

static void overflow_plain(void)
{
    struct rlimit rl = {1 << 20, RLIM_INFINITY};

    setrlimit(RLIMIT_STACK, &rl);
    t_catch(SIGSEGV, 0);
    (void)overflow(0);
}

static void altstack(void)
{
    stack_t ss = {.ss_sp = altmem, .ss_size = sizeof(altmem)}, old;
    struct sigaction sa = {.sa_handler = on_alt, .sa_flags = SA_ONSTACK};

    T("alt_none", sigaltstack(NULL, &old));
    t_say("alt_none_is", "%#x", old.ss_flags);
    T("alt_set", sigaltstack(&ss, NULL));
    T("alt_get", sigaltstack(NULL, &old));
    t_say("alt_is", "%d %#x %zu", old.ss_sp == altmem, old.ss_flags,
          old.ss_size);
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    ss.ss_size = 100;
    T("alt_small", SC(sigaltstack, &ss, NULL));
    ss.ss_size = sizeof(altmem);
    ss.ss_flags = 77;
    T("alt_flags", SC(sigaltstack, &ss, NULL));
    ss.ss_flags = SS_ONSTACK;
    T("alt_onstack", SC(sigaltstack, &ss, NULL));
    ss.ss_flags = (int)0x80000000;
    T("alt_autodisarm", SC(sigaltstack, &ss, NULL));
    sigaltstack(NULL, &old);
    t_say("alt_autodisarm_is", "%#x", old.ss_flags);
    T("alt_ptr", SC(sigaltstack, BAD_PTR, NULL));
    T("alt_old_ptr", SC(sigaltstack, NULL, BAD_PTR));
    ss.ss_flags = SS_DISABLE;
    T("alt_disable", SC(sigaltstack, &ss, NULL));
    t_child("overflow_alt", overflow_child);
    t_child("overflow_plain", overflow_plain);
}

static void on_fault(int signo, siginfo_t *si, void *uc)
{
    (void)uc;
    info = *si;
    siglongjmp(back, signo);
}

#define FAULT(label, expr, base)                                               \
    do {                                                                       \
        int s_ = sigsetjmp(back, 1);                                           \
        if (s_ == 0) {                                                         \
            expr;                                                              \
            t_say(label, "no fault");                                          \
        } else {                                                               \
            t_say(label, "sig=%d code=%d off=%ld", s_, info.si_code,           \
                  (long)((uintptr_t)info.si_addr - (uintptr_t)(base)));        \
        }                                                                      \
    } while (0)

static void faults(void)
{
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    volatile int zero = 0, one = 1;
    int fd = t_file("f", 100);
    char *ro, *none, *file, *gone;

    (void)zero; /* used on x86-64 */
    (void)one;
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    sigaction(SIGFPE, &sa, NULL);
    sigaction(SIGILL, &sa, NULL);
    sigaction(SIGTRAP, &sa, NULL);
    ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    file = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    gone = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(gone, 4096);
    FAULT("null", *(volatile char *)NULL, 0);
    FAULT("null_write", *(volatile char *)16 = 1, 0);
    FAULT("write_ro", *(volatile char *)(ro + 5) = 1, ro);
    FAULT("read_none", (void)*(volatile char *)(none + 7), none);
    FAULT("unmapped", (void)*(volatile char *)(gone + 9), gone);
    FAULT("past_eof", (void)*(volatile char *)(file + 5000), file);
    FAULT("past_eof_write", *(volatile char *)(file + 5001) = 1, file);
    FAULT("in_last_page", (void)*(volatile char *)(file + 200), file);
    FAULT("exec_nx", ((void (*)(void))ro)(), ro);
    FAULT("kernel", (void)*(volatile char *)KERNEL_PTR, 0);
    FAULT("noncanonical", (void)*(volatile char *)0x8000000000000000ul, 0);
#if defined(__x86_64__)
    FAULT("div", one = one / zero, info.si_addr);
    FAULT("ud2", __asm__ volatile("ud2"), info.si_addr);
    FAULT("int3", __asm__ volatile("int3"), info.si_addr);
    FAULT("hlt", __asm__ volatile("hlt"), 0);
    FAULT("cli", __asm__ volatile("cli"), 0);
#endif
    ftruncate(fd, 0);
    FAULT("truncated", (void)*(volatile char *)file, file);
}

static void segv_default(void)
{
    signal(SIGSEGV, SIG_IGN);
    *(volatile char *)8 = 1;
}

static void segv_blocked(void)
{
    sigset_t s;

    t_catch(SIGSEGV, 0);
    sigemptyset(&s);
    sigaddset(&s, SIGSEGV);
    sigprocmask(SIG_BLOCK, &s, NULL);
    *(volatile char *)8 = 1;
}

static void bad_stack(void)
{
    stack_t ss = {.ss_sp = (void *)4096, .ss_size = 65536};
    struct sigaction sa = {.sa_handler = t_handler, .sa_flags = SA_ONSTACK};

    signal(SIGSEGV, SIG_DFL);
    sigaltstack(&ss, NULL);
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
}

int main(void)
{
    t_begin("sig");
    actions();
    flags();
    t_child("queues", queues);
    altstack();
    faults();
    t_child("segv_ignored", segv_default);
    t_child("segv_blocked", segv_blocked);
    t_child("bad_stack", bad_stack);
    return 0;
}
