// SPDX-License-Identifier: Apache-2.0
/* pipe(7): capacity, atomicity, packets, ends, SIGPIPE. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "tests/guest/conform/t.h"

static char big[2 << 20];

static void create(void)
{
    int p[2];
    struct stat st;
    T("bad_flags", pipe2(p, O_APPEND));
    T("fault", SC(pipe2, BAD_PTR, 0));
    T("flags", pipe2(p, O_CLOEXEC | O_NONBLOCK));
    t_say("flags", "%#x %#x %d", (unsigned)fcntl(p[0], F_GETFL),
          (unsigned)fcntl(p[1], F_GETFL), fcntl(p[0], F_GETFD));
    fstat(p[0], &st);
    t_say("stat", "%o %d %ld", st.st_mode, (int)st.st_nlink, (long)st.st_size);
    T("read_empty", read(p[0], big, 1));
    T("read_none", read(p[0], big, 0));
    T("read_wrong_end", read(p[1], big, 1));
    T("write_wrong_end", write(p[0], big, 1));
    T("write_none", write(p[1], big, 0));
    T("lseek", lseek(p[0], 0, SEEK_SET));
    T("pread", pread(p[0], big, 1, 0));
    T("pwrite", pwrite(p[1], big, 1, 0));
    T("truncate", ftruncate(p[1], 0));
    T("fsync", fsync(p[1]));
    OK("mmap", (long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, p[0], 0));
    T("write_fault", SC(write, p[1], BAD_PTR, 1));
    write(p[1], "abc", 3);
    T("read_fault", SC(read, p[0], BAD_PTR, 3));
    T("read_kept", read(p[0], big, 3));
    struct iovec v[3] = {{"one", 3}, {NULL, 0}, {"three", 5}};
    T("writev", writev(p[1], v, 3));
    char a[2], b[8];
    v[0] = (struct iovec){a, 2};
    v[1] = (struct iovec){b, 8};
    T("readv", readv(p[0], v, 2));
    t_say("readv", "%.2s %.6s", a, b);
    int n = -1;
    write(p[1], "12345", 5);
    ioctl(p[1], FIONREAD, &n);
    t_say("fionread", "%d", n);
    close(p[0]);
    close(p[1]);
}

static long fill(int fd, size_t part)
{
    long n = 0, r;
    while ((r = write(fd, big, part)) > 0)
        n += r;
    return n;
}

static void capacity(void)
{
    int p[2];
    pipe2(p, O_NONBLOCK);
    T("size", fcntl(p[0], F_GETPIPE_SZ));
    t_say("fill_4096", "%ld", fill(p[1], 4096));
    t_say("full", "%s", t_errno(errno));
    T("one_more", write(p[1], "x", 1));
    struct pollfd f = {p[1], POLLOUT, 0};
    T("poll_full", poll(&f, 1, 0));
    read(p[0], big, 4095);
    T("poll_almost", poll(&f, 1, 0));
    read(p[0], big, 1);
    T("poll_page", poll(&f, 1, 0));
    T("atomic_fits", write(p[1], big, 4096));
    read(p[0], big, 4000);
    T("atomic_refused", write(p[1], big, 4001));
    T("big_in_part", write(p[1], big, 100000) > 0);
    T("shrink_busy", fcntl(p[0], F_SETPIPE_SZ, 4096));
    while (read(p[0], big, sizeof(big)) > 0)
        ;
    T("shrink", fcntl(p[0], F_SETPIPE_SZ, 1));
    T("fill_small", fill(p[1], 1));
    T("grow_full", fcntl(p[1], F_SETPIPE_SZ, 5000));
    T("grown_write", write(p[1], big, 4096));
    T("content", read(p[0], big, sizeof(big)));
    T("grow_max", fcntl(p[1], F_SETPIPE_SZ, 1 << 20));
    T("fill_max", fill(p[1], 65536));
    T("size_zero", fcntl(p[1], F_SETPIPE_SZ, 0));
    T("size_negative", fcntl(p[1], F_SETPIPE_SZ, -1));
    T("size_file", fcntl(t_file("f", 1), F_GETPIPE_SZ));
    close(p[0]);
    close(p[1]);
    if (fork() == 0) {
        setresuid(1000, 1000, 1000);
        pipe(p);
        T("user_max", fcntl(p[1], F_SETPIPE_SZ, 1 << 20));
        T("user_above", fcntl(p[1], F_SETPIPE_SZ, 2 << 20));
        _exit(0);
    }
    wait(NULL);
}

static void packets(void)
{
    int p[2];
    char b[8192];
    pipe2(p, O_DIRECT | O_NONBLOCK);
    YES("direct", (fcntl(p[1], F_GETFL) & O_DIRECT) != 0);
    T("packet", write(p[1], "first", 5));
    T("packet", write(p[1], "second", 6));
    T("packet_none", write(p[1], "", 0));
    T("packet_cut", read(p[0], b, 3));
    T("packet_next", read(p[0], b, 100));
    T("packet_end", read(p[0], b, 100));
    T("packet_long", write(p[1], big, 6000));
    T("packet_part", read(p[0], b, 8192));
    T("packet_part", read(p[0], b, 8192));
    int n = 0;
    while (write(p[1], "x", 1) == 1)
        n++;
    t_say("packet_slots", "%d", n);
    struct pollfd f = {p[1], POLLOUT, 0};
    T("packet_poll_full", poll(&f, 1, 0));
    int count = -1;
    ioctl(p[0], FIONREAD, &count);
    t_say("packet_fionread", "%d", count);
    read(p[0], b, 1);
    T("packet_poll_room", poll(&f, 1, 0));
    while (read(p[0], b, 1) == 1)
        ;
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    write(p[1], "ab", 2);
    write(p[1], "cd", 2);
    fcntl(p[1], F_SETFL, O_NONBLOCK | O_DIRECT);
    write(p[1], "ef", 2);
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    write(p[1], "gh", 2);
    T("mixed", read(p[0], b, 100));
    t_say("mixed", "%.6s", b);
    T("mixed", read(p[0], b, 100));
    T("mixed", read(p[0], b, 100));
    close(p[0]);
    close(p[1]);
}

/* A signal when it is full ends it with what went in. */
static void write_eintr(int p[2])
{
    t_calm();
    t_catch(SIGALRM, 0);
    pid_t me = getpid(), pid = fork();

    if (pid == 0) {
        t_asleep(me);
        kill(me, SIGALRM);
        _exit(0);
    }
    T("write_eintr_part", write(p[1], big, sizeof(big)));
    waitpid(pid, NULL, 0);
    t_alarms();
}

static void ends(void)
{
    int p[2];
    char b[8];
    pipe(p);
    write(p[1], "left", 4);
    close(p[1]);
    T("after_close", read(p[0], b, 8));
    T("end", read(p[0], b, 8));
    close(p[0]);
    pipe(p);
    close(p[0]);
    t_catch(SIGPIPE, 0);
    T("epipe", write(p[1], "x", 1));
    t_say("sigpipe", "%d", t_hits);
    T("epipe_none", write(p[1], "", 0));
    signal(SIGPIPE, SIG_IGN);
    T("epipe_ignored", write(p[1], "x", 1));
    signal(SIGPIPE, SIG_DFL);
    close(p[1]);
    pipe(p);
    pid_t pid = fork();
    if (pid == 0) {
        close(p[0]);
        write(p[1], big, sizeof(big));
        _exit(0);
    }
    close(p[1]);
    t_asleep(pid);
    read(p[0], big, 1000);
    close(p[0]);
    int status;
    waitpid(pid, &status, 0);
    t_say("writer_killed", "%d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    t_catch(SIGALRM, 0);
    pipe(p);
    t_alarms();
    T("read_eintr", read(p[0], b, 1));
    write_eintr(p);
    T("write_eintr", write(p[1], big, 1));
    t_calm();
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
    OK("reopen", open(path, O_WRONLY | O_NONBLOCK));
    close(p[0]);
    close(p[1]);
}

static int shared[2];

static void *writer(void *arg)
{
    static char rows[4][4096];
    int id = (int)(long)arg;
    memset(rows[id], 'A' + id, 4096);
    for (int i = 0; i < 200; i++)
        write(shared[1], rows[id], 4096);
    return NULL;
}

static void atomicity(void)
{
    pthread_t t[4];
    char b[4096];
    int mixed = 0;
    long total = 0;
    pipe(shared);
    for (long i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, writer, (void *)i);
    while (total < 4L * 200 * 4096) {
        size_t got = 0;
        while (got < 4096) {
            long r = read(shared[0], b + got, 4096 - got);
            if (r <= 0)
                break;
            got += (size_t)r;
        }
        for (int i = 1; i < 4096; i++)
            mixed += b[i] != b[0];
        total += 4096;
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    t_say("atomic", "%d", mixed);
}

int main(void)
{
    t_begin("pipe");
    create();
    capacity();
    packets();
    ends();
    atomicity();
    return 0;
}
