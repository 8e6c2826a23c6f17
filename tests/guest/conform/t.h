// SPDX-License-Identifier: Apache-2.0
/*
 * What a conformance program prints with: one line "program.label value" per
 * fact, and every fact depends on the kernel only, so that the host's kernel
 * must print the same. Static, one program per area, glibc and musl.
 */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Calls that arm64 never had: ENOSYS there. */
#if !defined(SYS_poll)
#define SYS_epoll_wait   -1
#define SYS_epoll_create -1
#define SYS_poll         -1
#define SYS_select       -1
#define SYS_dup2         -1
#define SYS_pause        -1
#endif

/* A result: the value when it is not -1, else the name of errno. */
#define T(label, expr) t_value(label, (long)(expr))
/* The same where the value says nothing (a descriptor, an address): "ok". */
#define OK(label, expr) t_ok(label, (long)(expr))
/* A fact: 1 or 0. */
#define YES(label, expr) t_say(label, "%d", (expr) ? 1 : 0)
/* A raw call, for what the libraries wrap or lack. */
#define SC(name, ...) syscall(SYS_##name, ##__VA_ARGS__)

/* Programs wait for events, never for time: hosts may be a hundred times slower
 * than this one and stall for seconds. A sleep may give something wrong a
 * chance to show; nothing may depend on what happened during it. */

/* Seconds after which a hang ends by SIGALRM. */
#define T_LIMIT_S 140

/* Whether `cond` comes true, half a minute and more being for ever. */
#define UNTIL(cond)                                                            \
    ({                                                                         \
        int n_ = 0;                                                            \
        while (!(cond) && n_++ < 30000)                                        \
            t_sleep_ms(1);                                                     \
        n_ < 30000;                                                            \
    })

/* An address no program has, and one no kernel lets a program have. */
#define BAD_PTR    ((void *)8)
#define KERNEL_PTR ((void *)0xffff800000000000ul)

static const char *t_program = "?";
static volatile int t_hits; /* t_handler() ran */
static volatile int t_last; /* with this signal */

static inline const char *t_errno(int code)
{
    static char number[16];
#define E(n)                                                                   \
    case n: return #n
    switch (code) {
        E(EPERM);
        E(ENOENT);
        E(ESRCH);
        E(EINTR);
        E(EIO);
        E(ENXIO);
        E(E2BIG);
        E(ENOEXEC);
        E(EBADF);
        E(ECHILD);
        E(EAGAIN);
        E(ENOMEM);
        E(EACCES);
        E(EFAULT);
        E(EBUSY);
        E(EEXIST);
        E(EXDEV);
        E(ENODEV);
        E(ENOTDIR);
        E(EISDIR);
        E(EINVAL);
        E(ENFILE);
        E(EMFILE);
        E(ENOTTY);
        E(ETXTBSY);
        E(EFBIG);
        E(ENOSPC);
        E(ESPIPE);
        E(EROFS);
        E(EMLINK);
        E(EPIPE);
        E(EDOM);
        E(ERANGE);
        E(EDEADLK);
        E(ENAMETOOLONG);
        E(ENOLCK);
        E(ENOSYS);
        E(ENOTEMPTY);
        E(ELOOP);
        E(ENODATA);
        E(ETIME);
        E(EOVERFLOW);
        E(EOPNOTSUPP);
        E(ETIMEDOUT);
        E(EALREADY);
        E(EINPROGRESS);
        E(EBADFD);
        E(EOWNERDEAD);
        E(ENOTBLK);
        E(ECANCELED);
    default: break;
    }
#undef E
    (void)snprintf(number, sizeof(number), "E%d", code);
    return number;
}

/* One write per line: children may print too. */
__attribute__((format(printf, 2, 3))) static inline void
t_say(const char *label, const char *format, ...)
{
    char line[512];
    int n = snprintf(line, sizeof(line) - 1, "%s.%s ", t_program, label);
    va_list ap;

    va_start(ap, format);
    n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, ap);
    va_end(ap);
    if (n > (int)sizeof(line) - 2)
        n = (int)sizeof(line) - 2;
    line[n] = '\n';
    if (write(1, line, (size_t)n + 1) < 0)
        _exit(99);
}

static inline long t_value(const char *label, long value)
{
    int code = errno;

    if (value == -1)
        t_say(label, "%s", t_errno(code));
    else
        t_say(label, "%ld", value);
    return value;
}

static inline long t_ok(const char *label, long value)
{
    int code = errno;

    t_say(label, "%s", value == -1 ? t_errno(code) : "ok");
    return value;
}

static inline void t_handler(int signo)
{
    t_hits++;
    t_last = signo;
}

/* Count `signo`; returns what sigaction(2) does. */
static inline int t_catch(int signo, int flags)
{
    struct sigaction sa = {.sa_handler = t_handler, .sa_flags = flags};

    t_hits = 0;
    return sigaction(signo, &sa, NULL);
}

static inline void t_sleep_ms(long ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
        ;
}

/* SIGALRM again and again: one that comes before the call blocks does no harm.
 * Whoever blocks it keeps it blocked until t_calm(). */
static inline void t_alarms(void)
{
    struct itimerval it = {{0, 30000}, {0, 30000}};

    setitimer(ITIMER_REAL, &it, NULL);
}

static inline void t_calm(void)
{
    (void)alarm(T_LIMIT_S);
    (void)signal(SIGALRM, SIG_DFL);
}

/* Of a process or a thread: the letter in its /proc/ID/stat, '?' once gone. */
static inline char t_state(pid_t id)
{
    char b[512];
    ssize_t n;
    int fd;

    (void)snprintf(b, sizeof(b), "/proc/%d/stat", id);
    fd = open(b, O_RDONLY);
    n = fd < 0 ? 0 : read(fd, b, sizeof(b) - 1);
    if (fd >= 0)
        close(fd);
    b[n > 0 ? n : 0] = '\0';
    const char *end = strrchr(b, ')');
    return end == NULL ? '?' : end[2];
}

/* Wait until it sleeps. To be sure in which call, it says before that it runs:
 * by fork(), or with a variable. */
static inline void t_asleep(pid_t id)
{
    if (!UNTIL(t_state(id) == 'S'))
        (void)!write(1, "never asleep\n", 13);
}

/* A thread has come to its call: `tid` is set by itself just before. */
static inline void t_thread_asleep(volatile pid_t *tid)
{
    (void)UNTIL(*tid != 0);
    t_asleep(*tid);
}

/* Even over lo something sent may take its time to arrive: until poll(2) says
 * all of `events`. */
static inline void t_arrives(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    (void)UNTIL(poll(&p, 1, 0) == 1 && (p.revents & events) == events);
}

/* Run `fn` in a child: its wait status as "exit N", "signal N". */
static inline void t_child(const char *label, void (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(T_LIMIT_S);
        fn();
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        t_say(label, "no child: %s", t_errno(errno));
    else if (WIFSIGNALED(status))
        t_say(label, "signal %d", WTERMSIG(status));
    else
        t_say(label, "exit %d", WEXITSTATUS(status));
}

/* A new directory under /tmp as working directory; a hang ends by SIGALRM. */
static inline void t_begin(const char *program)
{
    static char folder[64];

    t_program = program;
    alarm(T_LIMIT_S);
    (void)snprintf(folder, sizeof(folder), "/tmp/%s.%d", program, getpid());
    (void)umask(022);
    if (mkdir(folder, 0755) < 0 || chdir(folder) < 0)
        t_say("begin", "no %s: %s", folder, t_errno(errno));
}

/* An open file with `size` bytes of 'a', 'b', ... */
static inline int t_file(const char *name, size_t size)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

    for (size_t i = 0; i < size; i++) {
        char c = (char)('a' + i % 26);
        if (write(fd, &c, 1) != 1)
            break;
    }
    (void)lseek(fd, 0, SEEK_SET);
    return fd;
}
