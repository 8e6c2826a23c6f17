// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz SECONDS SEED: as pid 1 of a VM, throws random and boundary arguments at
 * every system call from several processes with several threads each. What it
 * breaks is its own; the kernel has to stay. Prints the seed, then a line when
 * the time is over.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS  3
#define THREADS  3
#define NR_MAX   470
#define ROUND_MS 400

static char *area; /* mapped memory arguments point to */
#define AREA_SIZE (64 << 10)

static uint64_t rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Calls that only end or park the caller, or never return to its stack. */
static int skipped(long nr)
{
    static const long list[] = {SYS_exit,  SYS_exit_group,   SYS_vfork,
                                SYS_pause, SYS_rt_sigreturn, SYS_rt_sigsuspend};

    for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (nr == list[i])
            return 1;
    return 0;
}

static uint64_t argument(uint64_t *s)
{
    static const uint64_t edge[] = {0,
                                    1,
                                    2,
                                    3,
                                    7,
                                    8,
                                    0xff,
                                    0x1000,
                                    0xfff,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    UINT64_MAX,
                                    INT64_MAX,
                                    1ull << 63,
                                    1ull << 47,
                                    (1ull << 47) - 1,
                                    -4096ull,
                                    0xffff8000ull << 32,
                                    -100ull};
    uint64_t r = rnd(s);

    switch (r % 10) {
    case 0: return edge[rnd(s) % (sizeof(edge) / sizeof(edge[0]))];
    case 1: return rnd(s);
    case 2: return rnd(s) & 0xffffffff;
    case 3: return 1ull << (rnd(s) % 64);
    case 4:
    case 5: return rnd(s) % 24; /* a descriptor, a small number */
    case 6: return rnd(s) % 4096;
    default: /* memory: inside, across its end, odd */
        return (uint64_t)area + rnd(s) % (AREA_SIZE + 64);
    }
}

/* Plausible contents, so that calls get beyond their first check. */
static void dirty(uint64_t *s)
{
    uint64_t *word = (uint64_t *)(area + (rnd(s) % (AREA_SIZE - 256) & ~7ull));

    for (int i = 0; i < 8; i++)
        word[i] = argument(s);
    if (rnd(s) % 4 == 0)
        (void)memcpy(word, "/tmp/f", 7);
    if (rnd(s) % 8 == 0)
        (void)memcpy(word, "/proc/self/maps", 16);
}

static void *thread(void *arg)
{
    uint64_t s = (uint64_t)arg | 1;

    for (;;) {
        uint64_t a[6];
        long nr = (long)(rnd(&s) % NR_MAX);
        if (skipped(nr))
            continue;
        if (rnd(&s) % 3 == 0)
            dirty(&s);
        for (int i = 0; i < 6; i++)
            a[i] = argument(&s);
        if (nr == SYS_kill && (int)a[0] < 2)
            continue;
        if (nr == SYS_prlimit64 || nr == SYS_setrlimit)
            continue; /* would only starve the rest */
        (void)syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    return NULL;
}

static void worker(uint64_t seed)
{
    struct rlimit rl = {64 << 20, 64 << 20};
    int p[2];

    area = mmap(NULL, AREA_SIZE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        _exit(1);
    (void)setrlimit(RLIMIT_FSIZE, &rl);
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++)
        (void)dup2(null, i);
    if (pipe(p) == 0)
        (void)open("/tmp/f", O_RDWR | O_CREAT, 0600);
    (void)open("/tmp", O_RDONLY);
    (void)eventfd(1, 0);
    (void)epoll_create1(0);
    (void)open("/dev/ptmx", O_RDWR | O_NOCTTY);
    (void)open("/proc/self/status", O_RDONLY);
    (void)syscall(SYS_memfd_create, "fuzz", 2);
    (void)syscall(SYS_inotify_init1, 0);
    (void)syscall(SYS_socket, 1, 1, 0);
    (void)syscall(SYS_timerfd_create, 1, 0);
    for (uint64_t i = 1; i < THREADS; i++) {
        pthread_t t;
        (void)pthread_create(&t, NULL, thread,
                             (void *)(seed * 31 + i * 0x9e3779b9));
    }
    (void)thread((void *)seed);
}

static double now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Everybody but pid 1 ends, and what they left in /tmp goes. */
static void sweep(void)
{
    (void)kill(-1, SIGKILL);
    while (waitpid(-1, NULL, __WALL) > 0)
        ;
    (void)unlink("/tmp/f");
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 10;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    uint64_t rounds = 0;
    double start = now(), longest = 0;

    if (getpid() != 1) {
        (void)fprintf(stderr, "fuzz: only as pid 1 of a VM\n");
        return 2;
    }
    printf("fuzz: seed %llu\n", (unsigned long long)seed);
    (void)fflush(stdout);
    for (int i = 1; i < 32; i++)
        (void)signal(i, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL);
    while (now() - start < seconds) {
        double from = now();
        for (uint64_t i = 0; i < WORKERS; i++) {
            pid_t pid = fork();
            if (pid == 0) {
                (void)signal(SIGALRM, SIG_DFL);
                worker(seed + rounds * 1000003 + i * 7919 + 1);
            }
        }
        struct timespec ts = {0, ROUND_MS * 1000000l};
        (void)nanosleep(&ts, NULL);
        sweep();
        rounds++;
        if (now() - from > longest)
            longest = now() - from;
    }
    printf("fuzz: done, %llu rounds, the longest took %.1f s\n",
           (unsigned long long)rounds, longest);
    return 0;
}
