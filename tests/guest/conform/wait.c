// SPDX-License-Identifier: Apache-2.0
/* wait4(2) and waitid(2): which children, which events, what they report. */
#include "tests/guest/conform/t.h"

#ifndef __WALL
#define __WALL   0x40000000
#define __WCLONE 0x80000000
#endif

static pid_t child_exit(int code)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(code);
    return pid;
}

static pid_t child_pause(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        alarm(T_LIMIT_S);
        for (;;)
            pause();
    }
    return pid;
}

static void say_info(const char *label, const siginfo_t *si, pid_t pid)
{
    t_say(label, "signo=%d errno=%d code=%d pid=%d uid=%d status=%d",
          si->si_signo, si->si_errno, si->si_code, si->si_pid == pid,
          (int)si->si_uid, si->si_status);
}

/* Wait until the child is a zombie without reaping it. */
static void until_dead(pid_t pid)
{
    siginfo_t si;

    (void)waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
}

static void codes(void)
{
    static const int code[] = {0, 1, 255, 256, 257, -1};
    struct rusage ru;
    int status;

    for (unsigned i = 0; i < 6; i++) {
        pid_t pid = child_exit(code[i]);
        YES("exit_pid", wait4(pid, &status, 0, &ru) == pid);
        t_say("exit_status", "%#x", status);
    }
    static const int sig[] = {SIGTERM, SIGKILL, SIGSEGV, SIGALRM, 34, 64};
    for (unsigned i = 0; i < 6; i++) {
        pid_t pid = child_pause();
        T("kill", kill(pid, sig[i]));
        YES("killed_pid", wait4(pid, &status, 0, NULL) == pid);
        t_say("killed_status", "%#x", status & ~0x80);
    }
}

static void errors(void)
{
    siginfo_t si;
    int status;
    pid_t pid;

    T("none", SC(wait4, -1, &status, 0, NULL));
    T("none_nohang", SC(wait4, -1, &status, WNOHANG, NULL));
    T("not_mine", SC(wait4, 1, &status, 0, NULL));
    T("bad_flags", SC(wait4, -1, &status, 0x100, NULL));
    T("nowait_flag", SC(wait4, -1, &status, WNOWAIT, NULL));
    T("exited_flag", SC(wait4, -1, &status, WEXITED, NULL));
    T("int_min", SC(wait4, INT_MIN, &status, 0, NULL));
    T("pgrp_none", SC(wait4, -99999, &status, 0, NULL));
    T("id_no_event", SC(waitid, P_ALL, 0, &si, 0, NULL));
    T("id_nohang_only", SC(waitid, P_ALL, 0, &si, WNOHANG, NULL));
    T("id_bad_flags", SC(waitid, P_ALL, 0, &si, WEXITED | 0x100, NULL));
    T("id_bad_which", SC(waitid, 77, 0, &si, WEXITED, NULL));
    T("id_pid_zero", SC(waitid, P_PID, 0, &si, WEXITED, NULL));
    T("id_pid_neg", SC(waitid, P_PID, -5, &si, WEXITED, NULL));
    T("id_pgid_neg", SC(waitid, P_PGID, -5, &si, WEXITED, NULL));
    T("id_none", SC(waitid, P_ALL, 0, &si, WEXITED, NULL));
    T("id_pidfd_bad", SC(waitid, 3, 999, &si, WEXITED, NULL));
    T("id_pidfd_neg", SC(waitid, 3, -1, &si, WEXITED, NULL));
    T("id_pidfd_file", SC(waitid, 3, 1, &si, WEXITED, NULL));
    pid = child_exit(3);
    until_dead(pid);
    T("fault_status", SC(wait4, pid, BAD_PTR, 0, NULL));
    T("fault_gone", SC(wait4, pid, &status, 0, NULL));
    pid = child_exit(3);
    until_dead(pid);
    T("fault_rusage", SC(wait4, pid, NULL, 0, KERNEL_PTR));
    pid = child_exit(3);
    until_dead(pid);
    T("fault_info", SC(waitid, P_PID, pid, BAD_PTR, WEXITED, NULL));
    T("fault_info_gone", SC(wait4, pid, NULL, 0, NULL));
    pid = child_exit(3);
    T("id_null_info", SC(waitid, P_PID, pid, NULL, WEXITED, NULL));
}

static void nohang(void)
{
    siginfo_t si;
    int status = 77;
    pid_t pid = child_pause();

    T("nohang", SC(wait4, pid, &status, WNOHANG, NULL));
    T("nohang_status", status);
    memset(&si, 0x55, sizeof(si));
    T("id_nohang", SC(waitid, P_PID, pid, &si, WEXITED | WNOHANG, NULL));
    say_info("id_nohang_info", &si, 0);
    kill(pid, SIGKILL);
    memset(&si, 0x55, sizeof(si));
    T("id_nowait", SC(waitid, P_PID, pid, &si, WEXITED | WNOWAIT, NULL));
    say_info("id_nowait_info", &si, pid);
    memset(&si, 0x55, sizeof(si));
    T("id_again", SC(waitid, P_ALL, 0, &si, WEXITED, NULL));
    say_info("id_again_info", &si, pid);
    T("id_gone", SC(waitid, P_ALL, 0, &si, WEXITED, NULL));
}

static void stops(void)
{
    siginfo_t si;
    int status;
    pid_t pid = child_pause();

    setpgid(pid, pid); /* not an orphaned group: SIGTSTP has an effect */
    kill(pid, SIGSTOP);
    YES("stop_pid", wait4(pid, &status, WUNTRACED, NULL) == pid);
    t_say("stop_status", "%#x", status);
    T("stop_once", SC(wait4, pid, &status, WUNTRACED | WNOHANG, NULL));
    kill(pid, SIGCONT);
    YES("cont_pid", wait4(pid, &status, WCONTINUED, NULL) == pid);
    t_say("cont_status", "%#x", status);
    T("cont_once", SC(wait4, pid, &status, WCONTINUED | WNOHANG, NULL));
    kill(pid, SIGTSTP);
    T("tstp", SC(waitid, P_PID, pid, &si, WSTOPPED | WNOWAIT, NULL));
    say_info("tstp_info", &si, pid);
    T("tstp_again", SC(waitid, P_PID, pid, &si, WSTOPPED, NULL));
    T("tstp_gone", SC(waitid, P_PID, pid, &si, WSTOPPED | WNOHANG, NULL));
    T("tstp_gone_pid", si.si_pid);
    kill(pid, SIGCONT);
    T("id_cont", SC(waitid, P_PID, pid, &si, WCONTINUED, NULL));
    say_info("id_cont_info", &si, pid);
    kill(pid, SIGSTOP);
    T("stopped", SC(waitid, P_PID, pid, &si, WSTOPPED, NULL));
    kill(pid, SIGTERM); /* stays pending while stopped */
    T("stopped_term", SC(wait4, pid, &status, WNOHANG, NULL));
    kill(pid, SIGCONT);
    YES("term_pid", wait4(pid, &status, 0, NULL) == pid);
    t_say("term_status", "%#x", status);
    pid = child_pause();
    kill(pid, SIGSTOP);
    T("stopped2", SC(waitid, P_PID, pid, &si, WSTOPPED, NULL));
    kill(pid, SIGKILL);
    YES("stop_kill", wait4(pid, &status, WUNTRACED, NULL) == pid);
    t_say("stop_kill_status", "%#x", status);
}

static void groups(void)
{
    siginfo_t si;
    int status;
    pid_t a = child_pause(), b = child_exit(4);

    T("setpgid", setpgid(a, a));
    YES("own_group", wait4(0, &status, 0, NULL) == b);
    T("own_group_none", SC(wait4, 0, &status, 0, NULL));
    T("other_group", SC(wait4, -a, &status, WNOHANG, NULL));
    T("id_group", SC(waitid, P_PGID, a, &si, WEXITED | WNOHANG, NULL));
    T("id_own_group", SC(waitid, P_PGID, 0, &si, WEXITED | WNOHANG, NULL));
    kill(-a, SIGUSR1);
    YES("group_dead", wait4(-a, &status, 0, NULL) == a);
    int fd = (int)SC(pidfd_open, a = child_exit(9), 0);
    T("pidfd", SC(waitid, 3, fd, &si, WEXITED, NULL));
    say_info("pidfd_info", &si, a);
    T("pidfd_again", SC(waitid, 3, fd, &si, WEXITED, NULL));
    close(fd);
}

static pid_t raw_clone(unsigned long flags)
{
    pid_t pid = (pid_t)SC(clone, flags, 0, 0, 0, 0);

    if (pid == 0)
        _exit(6);
    return pid;
}

static void clones(void)
{
    int status;
    pid_t pid = raw_clone(0);

    (void)UNTIL(t_state(pid) == 'Z');
    T("silent_plain", SC(wait4, -1, &status, WNOHANG, NULL));
    YES("silent_wclone", SC(wait4, -1, &status, __WCLONE, NULL) == pid);
    signal(SIGUSR2, SIG_IGN);
    pid = raw_clone(SIGUSR2);
    (void)UNTIL(t_state(pid) == 'Z');
    T("usr2_plain", SC(wait4, pid, &status, WNOHANG, NULL));
    YES("usr2_wall", SC(wait4, pid, &status, __WALL, NULL) == pid);
    pid = raw_clone(SIGCHLD);
    T("chld_wclone", SC(wait4, pid, &status, __WCLONE, NULL));
    YES("chld_wall", SC(wait4, pid, &status, __WALL, NULL) == pid);
}

static void ignored(void)
{
    int status;

    signal(SIGCHLD, SIG_IGN);
    pid_t pid = child_exit(5);
    T("ignored", SC(wait4, pid, &status, 0, NULL));
    struct sigaction sa = {.sa_handler = t_handler, .sa_flags = SA_NOCLDWAIT};
    sigaction(SIGCHLD, &sa, NULL);
    pid = child_exit(5);
    long r;
    do {
        r = SC(wait4, pid, &status, 0, NULL);
    } while (r < 0 && errno == EINTR);
    T("nocldwait", r);
    YES("nocldwait_signal", t_hits > 0);
    t_catch(SIGCHLD, SA_NOCLDSTOP);
    pid = child_pause();
    kill(pid, SIGSTOP);
    YES("nocldstop_pid", wait4(pid, &status, WUNTRACED, NULL) == pid);
    kill(pid, SIGCONT);
    YES("nocldstop_cont", wait4(pid, &status, WCONTINUED, NULL) == pid);
    YES("nocldstop_quiet", t_hits == 0);
    kill(pid, SIGKILL);
    while (wait4(pid, &status, 0, NULL) < 0 && errno == EINTR)
        ;
    YES("chld_signal", t_hits == 1);
    signal(SIGCHLD, SIG_DFL);
}

static int step_fd;

static void on_step(int signo)
{
    (void)signo;
    t_hits++;
    write(step_fd, "s", 1);
}

static void interrupted(void)
{
    int status;
    pid_t me = getpid(), pid = child_pause();

    int step[2];
    char c = 0;
    pipe(step); /* a byte for each signal handled */
    step_fd = step[1];
    struct sigaction sa = {.sa_handler = on_step};
    sigaction(SIGUSR1, &sa, NULL);
    if (fork() == 0) {
        t_asleep(me);
        kill(me, SIGUSR1);
        read(step[0], &c, 1);
        read(step[0], &c, 1); /* and it is back from the call */
        t_asleep(me);
        kill(me, SIGUSR2);
        read(step[0], &c, 1);
        t_asleep(me);
        kill(pid, SIGKILL);
        _exit(0);
    }
    T("eintr", SC(wait4, pid, &status, 0, NULL));
    t_hits = 0;
    sa.sa_flags = SA_RESTART;
    sigaction(SIGUSR2, &sa, NULL);
    write(step_fd, "b", 1);
    YES("restart", SC(wait4, pid, &status, 0, NULL) == pid);
    T("restart_hits", t_hits);
    wait(NULL);
}

int main(void)
{
    t_begin("wait");
    codes();
    errors();
    nohang();
    stops();
    groups();
    clones();
    ignored();
    interrupted();
    return 0;
}
