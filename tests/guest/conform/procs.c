// SPDX-License-Identifier: Apache-2.0
/* clone, clone3, vfork, exec, prctl, sessions, groups, pidfd. */
#include <linux/sched.h>
#include <sys/prctl.h>

#include "tests/guest/conform/t.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#define CLEAR_SIGHAND 0x100000000ull

static char stack[65536] __attribute__((aligned(16)));
static volatile int shared;

static int child_fn(void *arg)
{
    shared = *(int *)arg;
    return 5;
}

static void say_wait(const char *label, pid_t pid)
{
    int status = -1;
    pid_t r = waitpid(pid, &status, __WALL);

    t_say(label, "%d %#x", r == pid, status);
}

static void clones(void)
{
    int value = 42, tid = 0, fd = -1;
    pid_t pid;

    OK("vm", pid = clone(child_fn, stack + sizeof(stack), CLONE_VM | SIGCHLD,
                         &value));
    say_wait("vm_wait", pid);
    T("vm_shared", shared);
    value = 43;
    OK("copy", pid = clone(child_fn, stack + sizeof(stack), SIGCHLD, &value));
    say_wait("copy_wait", pid);
    T("copy_not_shared", shared);
    value = 44;
    OK("vfork", pid = clone(child_fn, stack + sizeof(stack),
                            CLONE_VM | CLONE_VFORK | SIGCHLD, &value));
    T("vfork_shared", shared);
    say_wait("vfork_wait", pid);
    OK("settid", pid = clone(child_fn, stack + sizeof(stack),
                             CLONE_PARENT_SETTID | SIGCHLD, &value, &tid));
    YES("settid_is", tid == pid);
    say_wait("settid_wait", pid);
    T("cleartid", pid = clone(child_fn, stack + sizeof(stack),
                              CLONE_VM | CLONE_CHILD_CLEARTID |
                                  CLONE_PARENT_SETTID | SIGCHLD,
                              &value, &tid, NULL, &tid) > 0);
    say_wait("cleartid_wait", -1);
    T("cleartid_zero", tid);
    OK("pidfd", pid = clone(child_fn, stack + sizeof(stack),
                            CLONE_PIDFD | SIGCHLD, &value, &fd));
    YES("pidfd_fd", fd > 2 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    say_wait("pidfd_wait", pid);
    close(fd);
    T("sighand_no_vm", SC(clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0));
    T("thread_no_sighand", SC(clone, CLONE_THREAD | CLONE_VM, 0, 0, 0, 0));
    T("fs_newns", SC(clone, CLONE_FS | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0));
    T("pidfd_settid",
      SC(clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &tid, 0, 0));
    T("pidfd_thread",
      SC(clone, CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, 0, &tid, 0, 0));
}

static long clone3(struct clone_args *ca, size_t size)
{
    long r = SC(clone3, ca, size);

    if (r == 0)
        _exit(7);
    return r;
}

static long clone_as(const void *tid, uint64_t count)
{
    struct clone_args ca = {.exit_signal = SIGCHLD,
                            .set_tid = (uintptr_t)tid,
                            .set_tid_size = count};

    return clone3(&ca, sizeof(ca));
}

static void set_tids(void)
{
    pid_t tid = fork();

    if (tid == 0)
        _exit(0);
    waitpid(tid, NULL, 0);
    YES("set_tid", clone_as(&tid, 1) == tid);
    T("set_tid_zombie", clone_as(&tid, 1));
    say_wait("set_tid_wait", tid);
    YES("set_tid_again", clone_as(&tid, 1) == tid);
    say_wait("set_tid_again_wait", tid);
    T("set_tid_none", clone_as(NULL, 1));
    T("set_tid_no_size", clone_as(&tid, 0));
    T("set_tid_many", clone_as(&tid, 33));
    T("set_tid_ptr", clone_as(BAD_PTR, 1));
    T("set_tid_taken", clone_as(&(pid_t){getpid()}, 1));
    T("set_tid_zero", clone_as(&(pid_t){0}, 1));
    T("set_tid_neg", clone_as(&(pid_t){-5}, 1));
    T("set_tid_big", clone_as(&(pid_t){1 << 23}, 1));
    pid_t pid = fork();
    if (pid == 0) {
        if (setuid(1000) == 0)
            T("set_tid_user", clone_as(&tid, 1));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void clones3(void)
{
    struct clone_args ca = {.exit_signal = SIGCHLD};
    struct {
        struct clone_args ca;
        uint64_t more;
    } big = {.ca = {.exit_signal = SIGCHLD}};
    int fd = -1;
    long pid;

    OK("c3", pid = clone3(&ca, sizeof(ca)));
    say_wait("c3_wait", (pid_t)pid);
    OK("c3_v0", pid = clone3(&ca, 64));
    say_wait("c3_v0_wait", (pid_t)pid);
    T("c3_small", clone3(&ca, 56));
    T("c3_huge", clone3(&ca, 5000));
    OK("c3_big", pid = clone3(&big.ca, sizeof(big)));
    say_wait("c3_big_wait", (pid_t)pid);
    big.more = 1;
    T("c3_big_set", clone3(&big.ca, sizeof(big)));
    T("c3_ptr", SC(clone3, BAD_PTR, sizeof(ca)));
    ca.exit_signal = 65;
    T("c3_signal", clone3(&ca, sizeof(ca)));
    ca.exit_signal = 0x111;
    T("c3_signal_high", clone3(&ca, sizeof(ca)));
    ca = (struct clone_args){.exit_signal = SIGCHLD, .flags = SIGCHLD};
    T("c3_flags_signal", clone3(&ca, sizeof(ca)));
    ca = (struct clone_args){.exit_signal = SIGCHLD, .flags = CLONE_DETACHED};
    T("c3_detached", clone3(&ca, sizeof(ca)));
    ca =
        (struct clone_args){.exit_signal = SIGCHLD, .flags = UINT64_C(1) << 50};
    T("c3_unknown", clone3(&ca, sizeof(ca)));
    ca = (struct clone_args){.exit_signal = SIGCHLD, .stack = 4096};
    T("c3_stack_no_size", clone3(&ca, sizeof(ca)));
    ca = (struct clone_args){.exit_signal = SIGCHLD, .stack_size = 4096};
    T("c3_size_no_stack", clone3(&ca, sizeof(ca)));
    ca = (struct clone_args){
        .exit_signal = SIGCHLD, .flags = CLONE_PIDFD, .pidfd = (uintptr_t)&fd};
    OK("c3_pidfd", pid = clone3(&ca, sizeof(ca)));
    say_wait("c3_pidfd_wait", (pid_t)pid);
    YES("c3_pidfd_fd", fd > 2);
    T("c3_pidfd_signal", SC(pidfd_send_signal, fd, 0, NULL, 0));
    close(fd);
    set_tids();
    ca = (struct clone_args){.exit_signal = SIGCHLD,
                             .flags = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND};
    T("c3_thread_signal", clone3(&ca, sizeof(ca)));
    signal(SIGUSR1, t_handler);
    ca = (struct clone_args){.exit_signal = SIGCHLD, .flags = CLEAR_SIGHAND};
    pid = SC(clone3, &ca, sizeof(ca));
    if (pid == 0) {
        struct sigaction sa;
        sigaction(SIGUSR1, NULL, &sa);
        _exit(sa.sa_handler == SIG_DFL ? 3 : 4);
    }
    say_wait("c3_clear_sighand", (pid_t)pid);
    ca = (struct clone_args){
        .exit_signal = SIGCHLD, .set_tid = 8, .set_tid_size = 33};
    T("c3_set_tid_many", clone3(&ca, sizeof(ca)));
    ca = (struct clone_args){.exit_signal = SIGCHLD, .set_tid = 8};
    T("c3_set_tid_zero", clone3(&ca, sizeof(ca)));
    ca = (struct clone_args){.exit_signal = SIGCHLD, .set_tid_size = 1};
    T("c3_set_tid_null", clone3(&ca, sizeof(ca)));
}

static void vforks(void)
{
    pid_t pid = vfork();

    if (pid == 0) {
        shared = 77;
        _exit(3);
    }
    T("vfork_runs_first", shared);
    say_wait("vfork_exit", pid);
    pid = vfork();
    if (pid == 0) {
        (void)execl("/no/such", "x", (char *)NULL);
        _exit(errno == ENOENT ? 12 : 13);
    }
    say_wait("vfork_exec_fail", pid);
}

static void sessions(void)
{
    pid_t child = fork();

    if (child == 0) {
        for (;;)
            pause();
    }
    YES("getpgrp", getpgrp() == getpgid(0) && getpgid(getpid()) == getpgrp());
    T("getpgid_esrch", getpgid(99999));
    T("getpgid_neg", getpgid(-1));
    T("getsid_esrch", getsid(99999));
    YES("getsid", getsid(0) == getsid(child));
    T("setpgid_child", setpgid(child, child));
    YES("setpgid_child_is", getpgid(child) == child);
    T("setpgid_back", setpgid(child, getpgrp()));
    T("setpgid_neg", setpgid(child, -1));
    T("setpgid_no_group", setpgid(child, 99999));
    T("setpgid_esrch", setpgid(99999, 0));
    T("setpgid_init", setpgid(1, 0));
    T("setpgid_parent", setpgid(getppid(), 0));
    T("setpgid_pid_neg", setpgid(-5, 0));
    T("setpgid_self", setpgid(0, 0));
    YES("setpgid_self_is", getpgrp() == getpid());
    T("setsid_leader", setsid());
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    child = fork();
    if (child == 0) {
        YES("setsid", setsid() == getpid());
        YES("setsid_is", getsid(0) == getpid() && getpgrp() == getpid());
        T("setsid_again", setsid());
        T("setpgid_leader", setpgid(0, 0));
        T("setpgid_other_session", setpgid(0, getppid()));
        pid_t g = fork();
        if (g == 0)
            _exit(setpgid(0, getppid()) == 0 ? 1 : errno);
        say_wait("setpgid_in_session", g);
        T("tty_open", open("/dev/tty", O_RDWR));
        _exit(0);
    }
    say_wait("session_child", child);
    child = fork();
    if (child == 0) {
        setsid();
        pid_t g = fork();
        if (g == 0) {
            pause();
            _exit(0);
        }
        T("kill_group", kill(0, 0));
        T("setpgid_exec_no", setpgid(g, g));
        kill(g, SIGKILL);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void subreaper_child(void)
{
    pid_t me = getpid();

    T("sub_set", prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    int on = 0;
    T("sub_get", prctl(PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0));
    T("sub_get_is", on);
    pid_t a = fork();
    if (a == 0) {
        if (fork() == 0) {
            int n = 0;
            while (getppid() != me && n++ < 200)
                t_sleep_ms(10);
            _exit(getppid() == me ? 21 : 22);
        }
        _exit(1);
    }
    say_wait("sub_child", a);
    say_wait("sub_grandchild", -1);
    int r = 0;
    pid_t g = fork();
    if (g == 0) {
        prctl(PR_GET_CHILD_SUBREAPER, &r, 0, 0, 0);
        _exit(r);
    }
    say_wait("sub_not_inherited", g);
}

static void pdeathsig_child(void)
{
    int p[2], sig = -1;
    char b = 'x';

    pipe(p);
    if (fork() == 0) {
        pid_t g = fork();
        if (g == 0) {
            t_catch(SIGUSR1, 0);
            prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
            write(p[1], &b, 1);
            while (t_hits == 0)
                t_sleep_ms(5);
            write(p[1], "d", 1);
            _exit(0);
        }
        read(p[0], &b, 1);
        _exit(0);
    }
    wait(NULL);
    read(p[0], &b, 1);
    t_say("pdeath", "%c", b);
    T("pdeath_bad", prctl(PR_SET_PDEATHSIG, 65, 0, 0, 0));
    T("pdeath_set", prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0));
    T("pdeath_get", prctl(PR_GET_PDEATHSIG, &sig, 0, 0, 0));
    T("pdeath_sig", sig);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_GET_PDEATHSIG, &sig, 0, 0, 0);
        _exit(sig);
    }
    say_wait("pdeath_fork_clears", pid);
}

static void prctls(void)
{
    char name[17] = "";

    T("name", prctl(PR_SET_NAME, "a-name-that-is-too-long", 0, 0, 0));
    T("name_get", prctl(PR_GET_NAME, name, 0, 0, 0));
    t_say("name_is", "%s", name);
    T("name_ptr", prctl(PR_SET_NAME, BAD_PTR, 0, 0, 0));
    T("nnp", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    T("nnp_bad", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    T("nnp_extra", prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0));
    T("nnp_set", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    T("nnp_is", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    T("timing", prctl(PR_GET_TIMING, 0, 0, 0, 0));
    T("timerslack", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
    T("timerslack_set", prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0));
    T("timerslack_is", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
    T("timerslack_zero", prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0));
    T("timerslack_default", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
    T("thp_get", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    T("thp_set", prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    T("thp_is", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    T("seccomp_get", prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
    T("unknown", prctl(9999, 0, 0, 0, 0));
    T("tsc_ptr", prctl(PR_GET_TSC, BAD_PTR, 0, 0, 0));
    T("vma_name", prctl(0x53564d41, 0, BAD_PTR, 4096, 0));
    T("personality", SC(personality, 0xffffffff));
}

static void execs(void)
{
    char *none[] = {NULL};
    char *argv[] = {"x", NULL};
    char *bad[] = {"x", (char *)BAD_PTR, NULL};
    static char big[200000];
    char *huge[] = {big, NULL};
    int fd;

    T("exec_missing", execve("/no/such", argv, none));
    T("exec_dir", execve("/tmp", argv, none));
    T("exec_empty", execve("", argv, none));
    T("exec_ptr", SC(execve, BAD_PTR, argv, none));
    T("exec_argv_ptr", SC(execve, "/proc/self/exe", BAD_PTR, none));
    T("exec_arg_ptr", SC(execve, "/proc/self/exe", bad, none));
    memset(big, 'a', sizeof(big) - 1);
    T("exec_arg_128k", SC(execve, "/proc/self/exe", huge, none));
    close(t_file("data", 10));
    T("exec_no_x", execve("data", argv, none));
    chmod("data", 0755);
    T("exec_format", execve("data", argv, none));
    close(open("empty", O_CREAT | O_RDWR, 0755));
    T("exec_empty_file", execve("empty", argv, none));
    fd = open("script", O_CREAT | O_RDWR, 0755);
    write(fd, "#!/no/interpreter\n", 18);
    T("exec_busy", execve("script", argv, none));
    close(fd);
    T("exec_no_interp", execve("script", argv, none));
    fd = open("script2", O_CREAT | O_RDWR, 0755);
    write(fd, "#!\n", 3);
    close(fd);
    T("exec_blank_interp", execve("script2", argv, none));
    fd = open("script3", O_CREAT | O_RDWR, 0755);
    write(fd, "#!./script3\n", 12);
    close(fd);
    T("exec_loop", execve("script3", argv, none));
    T("execveat_flag", SC(execveat, AT_FDCWD, "data", argv, none, 0x1));
    T("execveat_empty", SC(execveat, 1, "", argv, none, 0));
    symlink("data", "dl");
    T("execveat_nofollow",
      SC(execveat, AT_FDCWD, "dl", argv, none, AT_SYMLINK_NOFOLLOW));
    fd = open("/proc/self/exe", O_RDWR);
    T("txtbsy", fd);
}

/* A script by a descriptor that exec closes: its interpreter, which is no
 * program here, could not open it. */
static void exec_scripts(void)
{
    char *none[] = {NULL};
    char *argv[] = {"x", NULL};
    int fd = open("script4", O_CREAT | O_RDWR, 0755);

    close(t_file("noprogram", 10));
    chmod("noprogram", 0755);
    write(fd, "#!./noprogram\n", 14);
    close(fd);
    fd = open("script4", O_RDONLY);
    T("script_fd", SC(execveat, fd, "", argv, none, AT_EMPTY_PATH));
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    T("script_cloexec", SC(execveat, fd, "", argv, none, AT_EMPTY_PATH));
    fd = open(".", O_RDONLY);
    T("script_at", SC(execveat, fd, "script4", argv, none, 0));
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    T("script_at_cloexec", SC(execveat, fd, "script4", argv, none, 0));
    T("script_absolute", SC(execveat, fd, "/no", argv, none, 0));
    fd = open("noprogram", O_RDONLY | O_CLOEXEC);
    T("noprogram_cloexec", SC(execveat, fd, "", argv, none, AT_EMPTY_PATH));
}

static void pidfds(void)
{
    pid_t pid = fork();
    siginfo_t si = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};

    if (pid == 0) {
        for (;;)
            pause();
    }
    int fd = (int)OK("pidfd_open", SC(pidfd_open, pid, 0));
    T("pidfd_cloexec", fcntl(fd, F_GETFD));
    T("pidfd_flag", SC(pidfd_open, pid, 1));
    T("pidfd_neg", SC(pidfd_open, -1, 0));
    T("pidfd_zero", SC(pidfd_open, 0, 0));
    T("pidfd_esrch", SC(pidfd_open, 99999, 0));
    T("pidfd_sig0", SC(pidfd_send_signal, fd, 0, NULL, 0));
    T("pidfd_sig_bad", SC(pidfd_send_signal, fd, 65, NULL, 0));
    T("pidfd_sig_flag", SC(pidfd_send_signal, fd, 0, NULL, 8));
    T("pidfd_sig_info", SC(pidfd_send_signal, fd, SIGUSR2, &si, 0));
    T("pidfd_sig_file", SC(pidfd_send_signal, 1, 0, NULL, 0));
    T("pidfd_sig_badfd", SC(pidfd_send_signal, 999, 0, NULL, 0));
    T("pidfd_read", read(fd, &si, 8));
    T("pidfd_kill", SC(pidfd_send_signal, fd, SIGKILL, NULL, 0));
    waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
    T("pidfd_zombie", SC(pidfd_send_signal, fd, 0, NULL, 0));
    T("pidfd_zombie_open", SC(pidfd_open, pid, 0) >= 0);
    waitpid(pid, NULL, 0);
    T("pidfd_gone", SC(pidfd_send_signal, fd, 0, NULL, 0));
    pid = fork();
    if (pid == 0)
        pause();
    fd = (int)SC(pidfd_open, pid, O_NONBLOCK);
    T("pidfd_nonblock_wait", waitid(3, (id_t)fd, &si, WEXITED));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* /proc/PID below which somebody has a file open, before and after the wait. */
static void gone_dir(const char *label, const char *below)
{
    char path[64], name[64], b[16];
    struct stat st;
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    (void)snprintf(path, sizeof(path), "/proc/%d%s", pid, below);
    int fd = open(path, O_RDONLY);
    (void)snprintf(path, sizeof(path), "/proc/%d", pid);
    YES(label, fd >= 0 && access(path, F_OK) == 0);
    waitpid(pid, NULL, 0);
    T("gone_access", access(path, F_OK));
    T("gone_stat", stat(path, &st));
    T("gone_open", open(path, O_RDONLY | O_DIRECTORY));
    (void)snprintf(name, sizeof(name), "/proc/%d/status", pid);
    T("gone_status", open(name, O_RDONLY));
    YES("gone_at", openat(fd, "status", O_RDONLY) < 0);
    T("gone_list", SC(getdents64, fd, b, sizeof(b)));
    close(fd);
    T("gone_closed", access(path, F_OK));
}

/* What is listed below a process goes as it does. */
static void proc_gone(void)
{
    char path[64];

    gone_dir("gone_dir", "");
    gone_dir("gone_file", "/stat");
    gone_dir("gone_fd", "/fd");
    gone_dir("gone_task", "/task");
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    int info = open(path, O_RDONLY);
    T("fdinfo_here", access(path, F_OK));
    close(fd);
    T("fdinfo_gone", access(path, F_OK));
    T("fdinfo_again", dup2(info, fd) == fd ? access(path, F_OK) : -1);
}

int main(void)
{
    t_begin("procs");
    clones();
    clones3();
    vforks();
    t_child("sessions", sessions);
    t_child("subreaper", subreaper_child);
    t_child("pdeathsig", pdeathsig_child);
    t_child("prctls", prctls);
    t_child("execs", execs);
    t_child("exec_scripts", exec_scripts);
    pidfds();
    proc_gone();
    return 0;
}
