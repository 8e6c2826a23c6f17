// SPDX-License-Identifier: Apache-2.0
/* epoll(7): level, edge, one-shot, exclusive, nested; what is refused. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "tests/guest/conform/t.h"

static struct epoll_event got[16];

static int ctl(int e, int op, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.u64 = (uint64_t)fd};
    return epoll_ctl(e, op, fd, &ev);
}

static void look(const char *label, int e)
{
    int n = epoll_wait(e, got, 16, 0);
    t_say(label, "%d %#x", n, n > 0 ? got[0].events : 0);
}

static void put(int fd)
{
    write(fd, "xy", 2);
}

static void take(int fd)
{
    char b[64];
    read(fd, b, sizeof(b));
}

static void refused(void)
{
    int p[2], e = epoll_create1(0), file = t_file("f", 4);
    pipe(p);
    T("create_bad", epoll_create1(1));
    T("create_zero", SC(epoll_create, 0));
    T("cloexec", fcntl(epoll_create1(EPOLL_CLOEXEC), F_GETFD));
    T("add_bad_fd", ctl(e, EPOLL_CTL_ADD, 999, EPOLLIN));
    T("add_bad_ep", ctl(999, EPOLL_CTL_ADD, p[0], EPOLLIN));
    T("add_not_ep", ctl(p[0], EPOLL_CTL_ADD, p[1], EPOLLIN));
    T("add_self", ctl(e, EPOLL_CTL_ADD, e, EPOLLIN));
    T("add_file", ctl(e, EPOLL_CTL_ADD, file, EPOLLIN));
    T("add_dir", ctl(e, EPOLL_CTL_ADD, open(".", O_RDONLY), EPOLLIN));
    T("mod_none", ctl(e, EPOLL_CTL_MOD, p[0], EPOLLIN));
    T("del_none", ctl(e, EPOLL_CTL_DEL, p[0], EPOLLIN));
    T("add", ctl(e, EPOLL_CTL_ADD, p[0], EPOLLIN));
    T("add_twice", ctl(e, EPOLL_CTL_ADD, p[0], EPOLLIN));
    T("op_bad", ctl(e, 9, p[0], EPOLLIN));
    T("fault", epoll_ctl(e, EPOLL_CTL_ADD, p[1], BAD_PTR));
    T("del_null", epoll_ctl(e, EPOLL_CTL_DEL, p[0], NULL));
    T("wait_zero", epoll_wait(e, got, 0, 0));
    T("wait_negative", SC(epoll_wait, e, got, -1, 0));
    T("wait_not_ep", epoll_wait(p[0], got, 1, 0));
    T("wait_bad", epoll_wait(999, got, 1, 0));
    ctl(e, EPOLL_CTL_ADD, p[1], EPOLLOUT);
    T("wait_fault", SC(epoll_wait, e, BAD_PTR, 1, 0));
    T("read", read(e, got, 8));
    T("write", write(e, got, 8));
    T("lseek", lseek(e, 0, SEEK_CUR));
    int d = dup(p[1]);
    T("add_dup", ctl(e, EPOLL_CTL_ADD, d, EPOLLOUT));
    look("two_of_dup", e);
    close(p[1]);
    look("one_closed_still_open", e);
    close(d);
    look("gone", e);
    T("wakeup_flag", ctl(e, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLWAKEUP));
    close(e);
    close(p[0]);
}

/* Files of /proc and /sys: some can be polled. */
static void pseudo_files(void)
{
    static const char *const names[] = {
        "/proc/self/mounts",        "/proc/self/mountinfo",
        "/proc/self/stat",          "/proc/self/status",
        "/proc/self/maps",          "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/pid_max", "/proc/meminfo",
    };
    int e = epoll_create1(0);

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        T(names[i] + 6, ctl(e, EPOLL_CTL_ADD, open(names[i], O_RDONLY), 0));
    ctl(e, EPOLL_CTL_ADD, open("/proc/self/mounts", O_RDONLY), EPOLLIN);
    look("mounts_ready", e);
    close(e);
}

static void kinds(void)
{
    int p[2], e = epoll_create1(0);
    pipe(p);
    ctl(e, EPOLL_CTL_ADD, p[0], EPOLLIN);
    look("level_none", e);
    put(p[1]);
    look("level", e);
    look("level_again", e);
    take(p[0]);
    look("level_taken", e);
    ctl(e, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET);
    put(p[1]);
    look("edge", e);
    look("edge_again", e);
    put(p[1]);
    look("edge_more", e);
    ctl(e, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET);
    look("edge_mod", e);
    take(p[0]);
    look("edge_taken", e);
    put(p[1]);
    take(p[0]);
    look("edge_came_and_went", e);
    ctl(e, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT);
    put(p[1]);
    look("oneshot", e);
    put(p[1]);
    look("oneshot_again", e);
    ctl(e, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT);
    look("oneshot_armed", e);
    close(p[1]);
    look("oneshot_hup_masked", e);
    ctl(e, EPOLL_CTL_MOD, p[0], 0);
    look("hup_unasked", e);
    take(p[0]);
    look("hup_level", e);
    ctl(e, EPOLL_CTL_DEL, p[0], 0);
    look("deleted", e);
    close(p[0]);
    pipe(p);
    ctl(e, EPOLL_CTL_ADD, p[1], EPOLLOUT | EPOLLET);
    look("out_edge", e);
    look("out_edge_again", e);
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    static char big[65536];
    write(p[1], big, sizeof(big));
    look("out_full", e);
    for (int i = 0; i < 16; i++)
        read(p[0], big, 4096);
    look("out_room", e);
    close(p[0]);
    look("out_err", e);
    close(p[1]);
    close(e);
}

static void order(void)
{
    /* Ready ones take turns: with room for one each comes up. */
    int e = epoll_create1(0), fd[4];
    char seen[64] = "";
    for (int i = 0; i < 4; i++) {
        fd[i] = eventfd(1, 0);
        struct epoll_event ev = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        epoll_ctl(e, EPOLL_CTL_ADD, fd[i], &ev);
    }
    for (int i = 0; i < 8; i++) {
        epoll_wait(e, got, 1, 0);
        snprintf(seen + strlen(seen), 8, "%u", got[0].data.u32);
    }
    t_say("round_robin", "%s", seen);
    for (int i = 0; i < 4; i++)
        close(fd[i]);
    close(e);
}

static void nested(void)
{
    int p[2], in = epoll_create1(0), out = epoll_create1(0);
    pipe(p);
    ctl(in, EPOLL_CTL_ADD, p[0], EPOLLIN);
    T("nest", ctl(out, EPOLL_CTL_ADD, in, EPOLLIN));
    look("nest_quiet", out);
    put(p[1]);
    look("nest_ready", out);
    struct pollfd f = {.fd = out, .events = POLLIN};
    T("nest_poll", poll(&f, 1, 0));
    look("nest_inner", in);
    take(p[0]);
    look("nest_taken", out);
    T("loop", ctl(in, EPOLL_CTL_ADD, out, EPOLLIN));
    ctl(out, EPOLL_CTL_MOD, in, EPOLLIN | EPOLLET);
    put(p[1]);
    look("nest_edge", out);
    look("nest_edge_again", out);
    T("exclusive_nest",
      ctl(epoll_create1(0), EPOLL_CTL_ADD, in, EPOLLIN | EPOLLEXCLUSIVE));
    close(in);
    look("nest_closed", out);
    int chain[8], deep = 0;
    chain[0] = epoll_create1(0);
    for (int i = 1; i < 8; i++) {
        chain[i] = epoll_create1(0);
        if (ctl(chain[i], EPOLL_CTL_ADD, chain[i - 1], EPOLLIN) < 0) {
            t_say("deep_refused", "%s", t_errno(errno));
            break;
        }
        deep++;
    }
    t_say("deep", "%d", deep);
    ctl(chain[0], EPOLL_CTL_ADD, p[0], EPOLLIN);
    look("deep_ready", chain[deep]);
    close(p[0]);
    close(p[1]);
    close(out);
}

static int shared;
static volatile pid_t tid[4];

static void *waiter(void *arg)
{
    struct epoll_event ev[1];
    *(volatile pid_t *)arg = (pid_t)SC(gettid);
    if (epoll_wait(shared, ev, 1, -1) == 1)
        __atomic_fetch_add(&t_hits, 1, __ATOMIC_RELAXED);
    return NULL;
}

static int only_one; /* told to all */

static void *own_waiter(void *arg)
{
    int e = epoll_create1(0), fd = shared;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLET};
    epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev);
    ctl(e, EPOLL_CTL_ADD, only_one, EPOLLIN);
    *(volatile pid_t *)arg = (pid_t)SC(gettid);
    if (epoll_wait(e, &ev, 1, -1) == 1 && ev.data.u64 != (uint64_t)only_one)
        __atomic_fetch_add(&t_hits, 1, __ATOMIC_RELAXED);
    close(e);
    return NULL;
}

/* Four of them, asleep in epoll_wait. */
static void start(pthread_t t[4], void *(*fn)(void *))
{
    t_hits = 0;
    for (int i = 0; i < 4; i++) {
        tid[i] = 0;
        pthread_create(&t[i], NULL, fn, (void *)&tid[i]);
    }
    for (int i = 0; i < 4; i++)
        t_thread_asleep(&tid[i]);
}

/* Until whoever was woken has come through: the rest sleep. */
static void settle(int hits)
{
    (void)UNTIL(t_hits >= hits);
    for (int i = 0; i < 4; i++)
        (void)UNTIL(strchr("S?ZX", t_state(tid[i])) != NULL);
}

static void threads(void)
{
    pthread_t t[4];
    int fd = eventfd(0, EFD_SEMAPHORE);
    uint64_t v = 1;
    shared = epoll_create1(0);
    ctl(shared, EPOLL_CTL_ADD, fd, EPOLLIN);
    start(t, waiter);
    write(fd, &v, 8);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    t_say("level_wakes_all", "%d", t_hits);
    close(fd);
    close(shared);
    fd = eventfd(0, 0);
    shared = epoll_create1(0);
    ctl(shared, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT);
    start(t, waiter);
    write(fd, &v, 8);
    settle(1);
    t_say("oneshot_wakes", "%d", t_hits);
    for (int i = 0; i < 3; i++) {
        ctl(shared, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT);
        settle(i + 2);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    t_say("oneshot_each", "%d", t_hits);
    close(fd);
    close(shared);
    fd = eventfd(0, 0);
    int e = epoll_create1(0);
    T("exclusive", ctl(e, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE));
    T("exclusive_mod", ctl(e, EPOLL_CTL_MOD, fd, EPOLLIN));
    T("exclusive_oneshot",
      ctl(e, EPOLL_CTL_ADD, 0, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT));
    close(e);
    shared = fd;
    only_one = eventfd(0, 0);
    start(t, own_waiter);
    write(fd, &v, 8);
    settle(1);
    YES("exclusive_some", t_hits >= 1);
    write(only_one, &v, 8);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    close(only_one);
    close(fd);
}

static void waits(void)
{
    int e = epoll_create1(0), fd = eventfd(0, 0);
    struct epoll_event ev[1];
    ctl(e, EPOLL_CTL_ADD, fd, EPOLLIN);
    T("timeout", epoll_wait(e, ev, 1, 30));
    t_catch(SIGALRM, SA_RESTART);
    t_alarms();
    T("eintr_restart", epoll_wait(e, ev, 1, -1));
    sigset_t set, old, pends;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, &old);
    T("masked", epoll_pwait(e, ev, 1, 100, NULL));
    YES("pends",
        UNTIL(sigpending(&pends) == 0 && sigismember(&pends, SIGALRM)));
    alarm(0);
    sigemptyset(&set);
    t_hits = 0;
    T("unmasked_by_call", epoll_pwait(e, ev, 1, -1, &set));
    t_say("handled", "%d", t_hits);
    sigset_t now;
    sigprocmask(SIG_SETMASK, &old, &now);
    t_say("mask_back", "%d", sigismember(&now, SIGALRM));
    T("pwait_size", SC(epoll_pwait, e, ev, 1, 0, &set, 4));
    struct timespec ts = {0, 20000000};
    T("pwait2", SC(epoll_pwait2, e, ev, 1, &ts, NULL, 8));
    ts.tv_nsec = 1000000000;
    T("pwait2_bad", SC(epoll_pwait2, e, ev, 1, &ts, NULL, 8));
    t_calm();
    close(e);
    close(fd);
}

/* All that is ready comes at once, if there is room for it. */
static void many(void)
{
    enum { COUNT = 700 };
    static struct epoll_event got[COUNT + 100];
    static bool seen[COUNT];
    int ep = epoll_create1(0), fds[COUNT], n, fresh = 0;

    for (int i = 0; i < COUNT; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        fds[i] = eventfd(1, 0);
        epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e);
    }
    for (int round = 0; round < 2; round++) {
        memset(seen, 0, sizeof(seen));
        fresh = 0;
        n = epoll_wait(ep, got, COUNT + 100, 0);
        for (int i = 0; i < n; i++) {
            fresh += !seen[got[i].data.u32];
            seen[got[i].data.u32] = true;
        }
        T("many", n);
        T("many_fresh", fresh);
    }
    T("some", epoll_wait(ep, got, 600, 0));
    T("one", epoll_wait(ep, got, 1, 0));
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    close(ep);
}

int main(void)
{
    t_begin("epoll");
    refused();
    pseudo_files();
    kinds();
    order();
    nested();
    threads();
    waits();
    many();
    return 0;
}
