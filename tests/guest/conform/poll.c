// SPDX-License-Identifier: Apache-2.0
/* poll(2), ppoll(2), select(2), pselect(2): readiness of each kind of file. */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#include "tests/guest/conform/t.h"

static void ask(const char *label, int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events, .revents = 0x7fff};
    int r = poll(&p, 1, 0);
    t_say(label, "%d %#x", r, (unsigned)p.revents);
}

static void files(void)
{
    int p[2], fd = t_file("f", 10);
    ask("file", fd, 0x3fff);
    ask("file_out", fd, POLLOUT);
    ask("dir", open(".", O_RDONLY), 0x3fff);
    ask("null", open("/dev/null", O_RDWR), 0x3fff);
    ask("zero", open("/dev/zero", O_RDWR), 0x3fff);
    ask("bad", 999, POLLIN);
    ask("negative", -1, POLLIN);
    ask("opath", open("f", O_PATH), POLLIN);
    pipe(p);
    ask("pipe_empty", p[0], 0x3fff);
    ask("pipe_room", p[1], 0x3fff);
    write(p[1], "x", 1);
    ask("pipe_data", p[0], 0x3fff);
    ask("pipe_data_unasked", p[0], POLLOUT);
    ask("pipe_data_rdnorm", p[0], POLLRDNORM);
    close(p[1]);
    ask("pipe_data_hup", p[0], 0x3fff);
    char c;
    read(p[0], &c, 1);
    ask("pipe_hup", p[0], 0x3fff);
    ask("pipe_hup_unasked", p[0], 0);
    close(p[0]);
    pipe(p);
    close(p[0]);
    ask("pipe_err", p[1], 0x3fff);
    close(p[1]);
    mkfifo("ff", 0600);
    int r = open("ff", O_RDONLY | O_NONBLOCK);
    ask("fifo_new", r, 0x3fff);
    int w = open("ff", O_WRONLY);
    close(w);
    ask("fifo_left", r, 0x3fff);
    int rw = open("ff", O_RDWR);
    ask("fifo_rw", rw, 0x3fff);
    write(rw, "x", 1);
    ask("fifo_rw_data", rw, 0x3fff);
    close(rw);
    close(r);
    int ev = eventfd(0, 0);
    ask("eventfd_zero", ev, 0x3fff);
    uint64_t v = 0xfffffffffffffffe;
    write(ev, &v, 8);
    ask("eventfd_full", ev, 0x3fff);
    ask("epoll", epoll_create1(0), 0x3fff);
    ask("timerfd", timerfd_create(CLOCK_MONOTONIC, 0), 0x3fff);
}

static void calls(void)
{
    int p[2];
    pipe(p);
    struct pollfd f[3] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}, {-5, 7, 9}};
    T("count", poll(f, 3, 0));
    t_say("count_is", "%#x %#x %#x", (unsigned)f[0].revents,
          (unsigned)f[1].revents, (unsigned)f[2].revents);
    T("timeout", poll(f, 1, 20));
    T("none", poll(NULL, 0, 20));
    T("fault", SC(poll, BAD_PTR, 1, 0));
    struct rlimit old, lim;
    getrlimit(RLIMIT_NOFILE, &old);
    lim = old;
    lim.rlim_cur = 8;
    setrlimit(RLIMIT_NOFILE, &lim);
    static struct pollfd many[16];
    T("too_many", poll(many, 16, 0));
    setrlimit(RLIMIT_NOFILE, &old);
    struct timespec ts = {0, 1000000000};
    T("ppoll_bad", SC(ppoll, f, 1, &ts, NULL, 8));
    ts = (struct timespec){-1, 0};
    T("ppoll_negative", SC(ppoll, f, 1, &ts, NULL, 8));
    ts = (struct timespec){0, 10000000};
    T("ppoll_size", SC(ppoll, f, 1, &ts, &ts, 4));
    T("ppoll", SC(ppoll, f, 1, &ts, NULL, 8));
    YES("ppoll_left", ts.tv_sec == 0 && ts.tv_nsec == 0);
    t_catch(SIGALRM, SA_RESTART);
    t_alarms();
    T("eintr", poll(f, 1, -1));
    sigset_t set, waits;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    ts = (struct timespec){0, 80000000};
    T("blocked", ppoll(f, 1, &ts, NULL));
    YES("pends",
        UNTIL(sigpending(&waits) == 0 && sigismember(&waits, SIGALRM)));
    alarm(0);
    sigemptyset(&set);
    t_hits = 0;
    T("unblocked", ppoll(f, 1, NULL, &set));
    t_say("handled", "%d", t_hits);
    sigprocmask(SIG_SETMASK, &set, NULL);
    t_calm();
    close(p[0]);
    close(p[1]);
}

static void sets(void)
{
    int p[2], q[2];
    pipe(p);
    pipe(q);
    fd_set r, w, x;
    struct timeval tv = {0, 0};
#define SET(fd)                                                                \
    do {                                                                       \
        FD_ZERO(&r);                                                           \
        FD_ZERO(&w);                                                           \
        FD_ZERO(&x);                                                           \
        FD_SET(fd, &r);                                                        \
        FD_SET(fd, &w);                                                        \
        FD_SET(fd, &x);                                                        \
        tv = (struct timeval){0, 0};                                           \
    } while (0)
#define SEL(label, fd)                                                         \
    do {                                                                       \
        SET(fd);                                                               \
        int n_ = select(fd + 1, &r, &w, &x, &tv);                              \
        t_say(label, "%d %d%d%d", n_, FD_ISSET(fd, &r) != 0,                   \
              FD_ISSET(fd, &w) != 0, FD_ISSET(fd, &x) != 0);                   \
    } while (0)
    SEL("read_end", p[0]);
    SEL("write_end", p[1]);
    write(p[1], "x", 1);
    SEL("read_data", p[0]);
    close(q[1]);
    SEL("read_hup", q[0]);
    close(q[0]);
    pipe(q);
    close(q[0]);
    SEL("write_err", q[1]);
    close(q[1]);
    int sv[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    SEL("socket", sv[0]);
    close(sv[1]);
    SEL("socket_hup", sv[0]);
    close(sv[0]);
    int file = t_file("g", 1);
    SEL("file", file);
    SET(500);
    T("bad_fd", select(501, &r, NULL, NULL, &tv));
    T("negative", select(-1, &r, NULL, NULL, &tv));
    SET(p[0]);
    T("below", select(p[0], &r, NULL, NULL, &tv));
    tv = (struct timeval){0, -1};
    T("tv_bad", select(1, NULL, NULL, NULL, &tv));
    tv = (struct timeval){0, 20000};
    T("sleep", select(0, NULL, NULL, NULL, &tv));
    t_say("sleep_left", "%ld %ld", (long)tv.tv_sec, (long)tv.tv_usec);
    T("fault", SC(select, 1, BAD_PTR, NULL, NULL, NULL));
    SET(p[0]);
    tv.tv_sec = 1000;
    T("at_once", select(p[0] + 1, &r, NULL, NULL, &tv));
    YES("at_once_left", tv.tv_sec >= 500 && tv.tv_sec <= 1000);
    struct timespec ts = {0, 10000000};
    T("pselect", pselect(0, NULL, NULL, NULL, &ts, NULL));
    YES("pselect_kept", ts.tv_nsec == 10000000);
    struct {
        const void *set;
        size_t size;
    } arg = {&ts, 4};
    T("pselect_size", SC(pselect6, 0, NULL, NULL, NULL, NULL, &arg));
    t_catch(SIGALRM, SA_RESTART);
    t_alarms();
    T("eintr", select(0, NULL, NULL, NULL, NULL));
    t_calm();
}

int main(void)
{
    t_begin("poll");
    files();
    calls();
    sets();
    return 0;
}
