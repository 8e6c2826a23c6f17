// SPDX-License-Identifier: Apache-2.0
/* splice(2), tee(2), vmsplice(2), sendfile(2), copy_file_range(2). */
#define _GNU_SOURCE
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "tests/guest/conform/t.h"

#ifndef SPLICE_F_NONBLOCK
#define SPLICE_F_MOVE     1
#define SPLICE_F_NONBLOCK 2
#define SPLICE_F_MORE     4
#define SPLICE_F_GIFT     8
#endif

static char b[200000];

static long spl(int in, off_t *ioff, int out, off_t *ooff, size_t n,
                unsigned flags)
{
    return SC(splice, in, ioff, out, ooff, n, flags);
}

static void say_fd(const char *label, int fd)
{
    memset(b, 0, 64);
    long r = read(fd, b, 60);
    if (r < 0)
        t_say(label, "%s", t_errno(errno));
    else
        t_say(label, "%ld '%.60s'", r, b);
}

static void refused(void)
{
    int p[2], q[2], f = t_file("f", 100), g = t_file("g", 0);
    off_t off = 0;
    pipe(p);
    pipe(q);
    T("no_pipe", spl(f, NULL, g, NULL, 10, 0));
    T("zero", spl(f, NULL, g, NULL, 0, 0));
    T("flags", spl(f, NULL, p[1], NULL, 10, 99));
    T("bad_in", spl(999, NULL, p[1], NULL, 10, 0));
    T("bad_out", spl(f, NULL, 999, NULL, 10, 0));
    T("pipe_off", spl(p[0], &off, g, NULL, 10, 0));
    T("pipe_off", spl(f, NULL, p[1], &off, 10, 0));
    T("wrong_end", spl(f, NULL, p[0], NULL, 10, 0));
    T("wrong_end", spl(p[1], NULL, g, NULL, 10, 0));
    T("self", spl(p[0], NULL, p[1], NULL, 10, 0));
    T("off_fault", spl(f, BAD_PTR, p[1], NULL, 10, 0));
    off = -5;
    T("off_negative", spl(f, &off, p[1], NULL, 10, 0));
    T("empty_nonblock", spl(p[0], NULL, g, NULL, 10, SPLICE_F_NONBLOCK));
    int app = open("g", O_WRONLY | O_APPEND);
    write(p[1], "x", 1);
    T("append", spl(p[0], NULL, app, NULL, 10, 0));
    int rd = open("g", O_RDONLY);
    T("read_only", spl(p[0], NULL, rd, NULL, 10, 0));
    T("dir", spl(open(".", O_RDONLY), NULL, p[1], NULL, 10, 0));
    T("tee_self", SC(tee, p[0], p[1], 10, 0));
    T("tee_file", SC(tee, f, p[1], 10, 0));
    T("tee_zero", SC(tee, p[0], q[1], 0, 0));
    T("tee_flags", SC(tee, p[0], q[1], 1, 99));
    struct iovec v = {"abc", 3};
    T("vm_file", SC(vmsplice, f, &v, 1, 0));
    T("vm_flags", SC(vmsplice, p[1], &v, 1, 99));
    T("vm_none", SC(vmsplice, p[1], &v, 0, 0));
    T("vm_many", SC(vmsplice, p[1], &v, 2000, 0));
    T("vm_fault", SC(vmsplice, p[1], BAD_PTR, 1, 0));
    T("vm_bad", SC(vmsplice, 999, &v, 1, 0));
}

static void files(void)
{
    int p[2], f = t_file("f", 100), g = t_file("h", 0);
    off_t off = 90;
    pipe(p);
    T("in", spl(f, NULL, p[1], NULL, 10, 0));
    T("in_pos", lseek(f, 0, SEEK_CUR));
    T("in_off", spl(f, &off, p[1], NULL, 50, 0));
    t_say("in_off_is", "%ld %ld", (long)off, (long)lseek(f, 0, SEEK_CUR));
    T("in_end", spl(f, &off, p[1], NULL, 50, 0));
    off = 3;
    T("out", spl(p[0], NULL, g, NULL, 5, SPLICE_F_MOVE));
    T("out_off", spl(p[0], NULL, g, &off, 100, SPLICE_F_MORE));
    t_say("out_off_is", "%ld %ld", (long)off, (long)lseek(g, 0, SEEK_CUR));
    lseek(g, 0, SEEK_SET);
    say_fd("out", g);
    close(p[1]);
    T("out_end", spl(p[0], NULL, g, NULL, 5, 0));
    close(p[0]);
    int big = t_file("big", 0);
    for (int i = 0; i < 200000; i++)
        b[i] = (char)('a' + i % 23);
    write(big, b, 200000);
    lseek(big, 0, SEEK_SET);
    pipe(p);
    T("big_in", spl(big, NULL, p[1], NULL, 200000, 0));
    T("big_full", spl(big, NULL, p[1], NULL, 200000, SPLICE_F_NONBLOCK));
    lseek(g, 0, SEEK_SET);
    T("big_out", spl(p[0], NULL, g, NULL, 200000, 0));
    int s = fork();
    if (s == 0) {
        close(p[0]);
        long r;
        while ((r = spl(big, NULL, p[1], NULL, 30000, 0)) > 0)
            ;
        _exit(r == 0 ? 0 : 1);
    }
    close(p[1]);
    long total = 0, r;
    while ((r = spl(p[0], NULL, g, NULL, 7000, 0)) > 0)
        total += r;
    wait(&s);
    t_say("big_all", "%ld %d", total, s);
    char *back = malloc(200001);
    lseek(g, 0, SEEK_SET);
    T("big_same", read(g, back, 200001));
    YES("big_same", memcmp(back, b, 200000) == 0);
    close(p[0]);
}

static void pipes(void)
{
    int p[2], q[2];
    pipe(p);
    pipe(q);
    write(p[1], "hello world", 11);
    T("tee", SC(tee, p[0], q[1], 5, 0));
    say_fd("tee", q[0]);
    T("tee_all", SC(tee, p[0], q[1], 500, 0));
    say_fd("tee_all", q[0]);
    T("move", spl(p[0], NULL, q[1], NULL, 6, 0));
    T("move", spl(p[0], NULL, q[1], NULL, 60, 0));
    say_fd("move", q[0]);
    T("move_none", spl(p[0], NULL, q[1], NULL, 60, SPLICE_F_NONBLOCK));
    T("tee_none", SC(tee, p[0], q[1], 60, SPLICE_F_NONBLOCK));
    struct iovec v[2] = {{"vm", 2}, {"splice", 6}};
    T("vm", SC(vmsplice, p[1], v, 2, 0));
    say_fd("vm", p[0]);
    write(p[1], "back", 4);
    v[0] = (struct iovec){b, 3};
    T("vm_read", SC(vmsplice, p[0], v, 1, 0));
    t_say("vm_read", "%.3s", b);
    say_fd("vm_rest", p[0]);
    fcntl(q[1], F_SETFL, O_NONBLOCK);
    memset(b, 'z', sizeof(b));
    while (write(q[1], b, 4096) > 0)
        ;
    write(p[1], "full", 4);
    T("move_full", spl(p[0], NULL, q[1], NULL, 4, SPLICE_F_NONBLOCK));
    T("tee_full", SC(tee, p[0], q[1], 4, SPLICE_F_NONBLOCK));
    say_fd("kept", p[0]);
    v[0] = (struct iovec){b, 3};
    T("vm_full", SC(vmsplice, q[1], v, 1, SPLICE_F_NONBLOCK));
    signal(SIGPIPE, t_handler);
    close(q[0]);
    write(p[1], "gone", 4);
    T("move_epipe", spl(p[0], NULL, q[1], NULL, 4, 0));
    T("tee_epipe", SC(tee, p[0], q[1], 4, 0));
    t_say("sigpipe", "%d", t_hits);
    say_fd("kept", p[0]);
    close(p[1]);
    T("move_end", spl(p[0], NULL, q[1], NULL, 4, 0));
    close(p[0]);
    close(q[1]);
    /* Blocks for data and for room; a signal ends it. */
    pipe(p);
    pipe(q);
    t_catch(SIGALRM, 0);
    t_alarms();
    T("wait_eintr", spl(p[0], NULL, q[1], NULL, 4, 0));
    t_calm();
    pid_t me = getpid();
    if (fork() == 0) {
        t_asleep(me);
        write(p[1], "late", 4);
        _exit(0);
    }
    T("wait_data", spl(p[0], NULL, q[1], NULL, 100, 0));
    say_fd("wait_data", q[0]);
    wait(NULL);
}

static void sockets(void)
{
    int p[2], sv[2], f = t_file("s", 26);
    pipe(p);
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    spl(f, NULL, p[1], NULL, 26, 0);
    T("to_socket", spl(p[0], NULL, sv[0], NULL, 26, 0));
    say_fd("to_socket", sv[1]);
    write(sv[1], "from socket", 11);
    T("from_socket", spl(sv[0], NULL, p[1], NULL, 100, 0));
    say_fd("from_socket", p[0]);
    T("socket_none", spl(sv[0], NULL, p[1], NULL, 100, SPLICE_F_NONBLOCK));
    off_t off = 0;
    write(p[1], "x", 1);
    T("socket_off", spl(p[0], NULL, sv[0], &off, 1, 0));
    say_fd("kept", p[0]);
    off = 5;
    T("sendfile", sendfile(sv[0], f, &off, 10));
    t_say("sendfile_off", "%ld", (long)off);
    say_fd("sendfile", sv[1]);
    lseek(f, 20, SEEK_SET);
    T("sendfile_pos", sendfile(sv[0], f, NULL, 100));
    T("sendfile_end", sendfile(sv[0], f, NULL, 100));
    say_fd("sendfile_pos", sv[1]);
    T("sendfile_zero", sendfile(sv[0], f, NULL, 0));
    T("sendfile_socket_in", sendfile(f, sv[0], NULL, 1));
    T("sendfile_bad", sendfile(sv[0], 999, NULL, 1));
    T("sendfile_fault", SC(sendfile, sv[0], f, BAD_PTR, 1));
    off = -1;
    T("sendfile_negative", sendfile(sv[0], f, &off, 1));
    int g = t_file("t", 0);
    off = 0;
    T("sendfile_file", sendfile(g, f, &off, 26));
    int app = open("t", O_WRONLY | O_APPEND);
    off = 0;
    T("sendfile_append", sendfile(app, f, &off, 1));
    off = 0;
    T("sendfile_pipe", sendfile(p[1], f, &off, 6));
    say_fd("sendfile_pipe", p[0]);
    fcntl(sv[0], F_SETFL, O_NONBLOCK);
    while (write(sv[0], b, 4096) > 0)
        ;
    off = 0;
    T("sendfile_full", sendfile(sv[0], f, &off, 10));
    close(sv[1]);
    signal(SIGPIPE, SIG_IGN);
    off = 0;
    T("sendfile_epipe", sendfile(sv[0], f, &off, 10));
}

static void ranges(void)
{
    int f = t_file("c", 100), g = t_file("d", 10), p[2];
    off_t a = 10, z = 5;
#define CFR(i, io, o, oo, n, fl) SC(copy_file_range, i, io, o, oo, n, fl)
    T("range", CFR(f, &a, g, &z, 20, 0));
    t_say("range_is", "%ld %ld %ld", (long)a, (long)z,
          (long)lseek(g, 0, SEEK_END));
    T("range_pos", CFR(f, NULL, g, NULL, 7, 0));
    t_say("range_pos_is", "%ld %ld", (long)lseek(f, 0, SEEK_CUR),
          (long)lseek(g, 0, SEEK_CUR));
    a = 1000;
    T("range_past", CFR(f, &a, g, NULL, 7, 0));
    T("range_zero", CFR(f, NULL, g, NULL, 0, 0));
    T("range_flags", CFR(f, NULL, g, NULL, 1, 1));
    a = 0, z = 50;
    T("range_same", CFR(f, &a, f, &z, 20, 0));
    a = 0, z = 5;
    T("range_overlap", CFR(f, &a, f, &z, 20, 0));
    pipe(p);
    T("range_pipe", CFR(f, NULL, p[1], NULL, 1, 0));
    T("range_dir", CFR(open(".", O_RDONLY), NULL, g, NULL, 1, 0));
    T("range_ro", CFR(f, NULL, open("d", O_RDONLY), NULL, 1, 0));
    T("range_wo", CFR(open("c", O_WRONLY), NULL, g, NULL, 1, 0));
    T("range_append", CFR(f, NULL, open("d", O_WRONLY | O_APPEND), NULL, 1, 0));
    T("range_bad", CFR(999, NULL, g, NULL, 1, 0));
    a = -1;
    T("range_negative", CFR(f, &a, g, NULL, 1, 0));
    T("range_fault", CFR(f, BAD_PTR, g, NULL, 1, 0));
    lseek(g, 0, SEEK_SET);
    say_fd("range_content", g);
}

int main(void)
{
    t_begin("splice");
    refused();
    files();
    pipes();
    sockets();
    ranges();
    return 0;
}
