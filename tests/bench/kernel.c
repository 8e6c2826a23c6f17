// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel's main paths cost, the same static program natively and in a
 * VM: bench-kernel TEST [ARG...]. Prints medians, one number per line.
 *
 *   pipe [CPU]       round trip of a byte between two processes, ns
 *   futex [CPU]      round trip between two threads, ns
 *   spawn CMD...     fork + exec + wait, us
 *   touch MIB        first touch of fresh malloc memory, ns per 4 KiB; page
 *                    faults of one such pass
 *   read FILE        sequential read, first and second time, MB/s
 *   ring COUNT [CPU] one switch in a ring of processes that touch memory, ns
 *
 * With CPU everything runs on that one.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCHES = 15,
    ROUNDS = 2000,
    SPAWNS = 60,
    PAGE = 4096,
    RING_PAGES = 40,
    RING_ROUNDS = 40,
    CHUNK = 128 << 10,
};

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), compare);
    return v[n / 2];
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static size_t number(const char *text)
{
    return (size_t)strtoul(text, NULL, 10);
}

static void pin(const char *cpu)
{
    cpu_set_t set;
    if (cpu == NULL)
        return;
    CPU_ZERO(&set);
    CPU_SET(number(cpu), &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        fail("sched_setaffinity");
}

/* --- two processes --- */

static void pass(int from, int to)
{
    char c;
    if (read(from, &c, 1) != 1 || write(to, &c, 1) != 1)
        _exit(0);
}

static void bench_pipe(char **args)
{
    int a[2], b[2];
    double ns[BATCHES];
    pin(args[0]);
    if (pipe(a) < 0 || pipe(b) < 0)
        fail("pipe");
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(a[1]);
        for (;;)
            pass(a[0], b[1]);
    }
    for (int k = 0; k < BATCHES; k++) {
        double from = now_ns();
        for (int i = 0; i < ROUNDS; i++) {
            if (write(a[1], "x", 1) != 1)
                fail("write");
            char c;
            if (read(b[0], &c, 1) != 1)
                fail("read");
        }
        ns[k] = (now_ns() - from) / ROUNDS;
    }
    (void)close(a[1]);
    (void)waitpid(pid, NULL, 0);
    printf("%.0f\n", median(ns, BATCHES));
}

/* --- two threads --- */

static uint32_t turn; /* atomic: whose it is */

static void turn_wait(uint32_t mine)
{
    uint32_t t;
    while ((t = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) != mine)
        (void)syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, t, NULL);
}

static void turn_give(uint32_t other)
{
    __atomic_store_n(&turn, other, __ATOMIC_RELEASE);
    (void)syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1);
}

static void *partner(void *arg)
{
    (void)arg;
    for (int i = 0; i < BATCHES * ROUNDS; i++) {
        turn_wait(1);
        turn_give(0);
    }
    return NULL;
}

static void bench_futex(char **args)
{
    pthread_t t;
    double ns[BATCHES];
    pin(args[0]);
    if (pthread_create(&t, NULL, partner, NULL) != 0)
        fail("pthread_create");
    for (int k = 0; k < BATCHES; k++) {
        double from = now_ns();
        for (int i = 0; i < ROUNDS; i++) {
            turn_give(1);
            turn_wait(0);
        }
        ns[k] = (now_ns() - from) / ROUNDS;
    }
    (void)pthread_join(t, NULL);
    printf("%.0f\n", median(ns, BATCHES));
}

/* --- processes that come and go --- */

static void bench_spawn(char **args)
{
    double us[SPAWNS];
    for (int k = 0; k < SPAWNS; k++) {
        int status;
        double from = now_ns();
        pid_t pid = fork();
        if (pid == 0) {
            execv(args[0], args);
            _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            fail(args[0]);
        us[k] = (now_ns() - from) / 1e3;
    }
    printf("%.1f\n", median(us, SPAWNS));
}

/* --- memory --- */

static double touch_once(size_t size)
{
    char *p = malloc(size);
    if (p == NULL)
        fail("malloc");
    double from = now_ns();
    for (size_t at = 0; at < size; at += PAGE)
        *(volatile char *)(p + at) = 1;
    double ns = (now_ns() - from) / (double)(size / PAGE);
    free(p);
    return ns;
}

static void bench_touch(char **args)
{
    size_t size = number(args[0]) << 20;
    double ns[5];
    (void)touch_once(2 * size); /* backed by the host from here on */
    struct rusage before, after;
    for (int k = 0; k < 5; k++) {
        (void)getrusage(RUSAGE_SELF, &before);
        ns[k] = touch_once(size);
        (void)getrusage(RUSAGE_SELF, &after);
    }
    printf("%.0f\n%ld\n", median(ns, 5), after.ru_minflt - before.ru_minflt);
}

/* --- files --- */

static double read_once(const char *path)
{
    static char chunk[CHUNK] __attribute__((aligned(4096)));
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        fail(path);
    double total = 0;
    double from = now_ns();
    for (ssize_t n; (n = read(fd, chunk, sizeof(chunk))) > 0;)
        total += (double)n;
    double ns = now_ns() - from;
    (void)close(fd);
    return total * 1e3 / ns;
}

static void bench_read(char **args)
{
    double first = read_once(args[0]);
    printf("%.0f\n%.0f\n", first, read_once(args[0]));
}

/* --- many processes --- */

/* Takes what comes from the left, touches its memory, passes on. */
static void ring_member(int left, int right, volatile char *mem)
{
    for (;;) {
        for (int i = 0; i < RING_PAGES; i++)
            mem[i * PAGE]++;
        pass(left, right);
    }
}

static void bench_ring(char **args)
{
    size_t count = number(args[0]);
    pin(args[1]);
    volatile char *mem =
        mmap(NULL, (size_t)RING_PAGES * PAGE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int first[2], last;
    if (mem == MAP_FAILED || pipe(first) < 0)
        fail("ring");
    last = first[0];
    for (size_t i = 1; i < count; i++) {
        int next[2];
        if (pipe(next) < 0)
            fail("pipe");
        pid_t pid = fork();
        if (pid < 0)
            fail("fork");
        if (pid == 0) {
            (void)close(first[1]);
            (void)close(next[0]);
            ring_member(last, next[1], mem);
        }
        (void)close(last);
        (void)close(next[1]);
        last = next[0];
    }
    double ns[RING_ROUNDS];
    for (int k = 0; k < RING_ROUNDS; k++) {
        char c = 0;
        double from = now_ns();
        if (write(first[1], &c, 1) != 1 || read(last, &c, 1) != 1)
            fail("ring");
        ns[k] = (now_ns() - from) / (double)count;
    }
    (void)close(first[1]);
    while (wait(NULL) > 0)
        ;
    printf("%.0f\n", median(ns, RING_ROUNDS));
}

static const struct test {
    const char *name;
    void (*run)(char **args);
    int args; /* at least */
} tests[] = {
    {"pipe", bench_pipe, 0},   {"futex", bench_futex, 0},
    {"spawn", bench_spawn, 1}, {"touch", bench_touch, 1},
    {"read", bench_read, 1},   {"ring", bench_ring, 1},
};

int main(int argc, char **argv)
{
    if (argc < 2)
        return 0; /* what spawn runs */
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        if (strcmp(argv[1], tests[i].name) == 0 && argc - 2 >= tests[i].args) {
            tests[i].run(argv + 2);
            return 0;
        }
    (void)fprintf(stderr, "bench-kernel: no such test\n");
    return 2;
}
