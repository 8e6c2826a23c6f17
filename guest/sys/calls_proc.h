// SPDX-License-Identifier: Apache-2.0
/* System calls of processes, signals, time and the scheduler: X(name). */
#pragma once

#include "guest/sys/sys.h"

/* clang-format off */
#define SYS_CALLS_PROC(X) \
    X(clone) X(clone3) X(exit) X(exit_group) X(wait4) X(waitid) \
    X(getpid) X(getppid) X(gettid) X(getpgid) X(setpgid) X(getsid) X(setsid) \
    X(set_tid_address) X(set_robust_list) X(get_robust_list) X(unshare) \
    X(futex) X(membarrier) X(rseq) \
    X(sched_yield) X(sched_setaffinity) X(sched_getaffinity) \
    X(sched_setscheduler) X(sched_getscheduler) X(sched_setparam) \
    X(sched_getparam) X(sched_get_priority_max) X(sched_get_priority_min) \
    X(sched_rr_get_interval) X(getcpu) X(adjtimex) X(clock_adjtime) \
    X(getpriority) X(setpriority) X(ioprio_set) X(ioprio_get) \
    X(nanosleep) X(clock_nanosleep) X(clock_gettime) X(clock_settime) \
    X(clock_getres) X(gettimeofday) X(settimeofday) X(times) X(getrusage) \
    X(setitimer) X(getitimer) X(timer_create) X(timer_settime) \
    X(timer_gettime) X(timer_getoverrun) X(timer_delete) X(restart_syscall) \
    X(rt_sigaction) X(rt_sigprocmask) X(rt_sigpending) X(rt_sigsuspend) \
    X(rt_sigtimedwait) X(rt_sigqueueinfo) X(rt_tgsigqueueinfo) \
    X(rt_sigreturn) X(sigaltstack) X(kill) X(tkill) X(tgkill) \
    X(pidfd_open) X(pidfd_send_signal) X(pidfd_getfd) X(kcmp) \
    X(process_vm_readv) X(process_vm_writev) \
    X(semget) X(semop) X(semtimedop) X(semctl) \
    X(msgget) X(msgsnd) X(msgrcv) X(msgctl) \
    X(getuid) X(geteuid) X(getgid) X(getegid) X(setuid) X(setgid) \
    X(setreuid) X(setregid) X(setresuid) X(setresgid) X(getresuid) \
    X(getresgid) X(setfsuid) X(setfsgid) X(getgroups) X(setgroups) \
    X(capget) X(capset) X(prctl) X(prlimit64) X(getrlimit) X(setrlimit) \
    X(uname) X(sethostname) X(setdomainname) X(sysinfo) X(getrandom) \
    X(personality) X(syslog) X(seccomp)

#define SYS_CALLS_PROC_LEGACY(X) \
    X(fork) X(vfork) X(getpgrp) X(alarm) X(pause) X(time) X(arch_prctl)
/* clang-format on */

SYS_CALLS_PROC(SYS_DECLARE)
SYS_CALLS_PROC_LEGACY(SYS_DECLARE)
