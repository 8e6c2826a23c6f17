// SPDX-License-Identifier: Apache-2.0
/*
 * Round trips, the same static program natively and in a VM: nanoseconds, the
 * median of 31 batches. bench-roundtrip call|pipe [pin]: getppid(2), or a byte
 * through pipes to another process and back; "pin": all on CPU 0.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BATCHES = 31, CALLS = 20000, TURNS = 500 };

struct pipes {
    int to[2], from[2];
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double batch_calls(void)
{
    double from = now_ns();
    for (int i = 0; i < CALLS; i++)
        (void)syscall(SYS_getppid);
    return (now_ns() - from) / CALLS;
}

static double batch_turns(const struct pipes *p)
{
    char byte = 0;
    double from = now_ns();
    for (int i = 0; i < TURNS; i++)
        if (write(p->to[1], &byte, 1) != 1 || read(p->from[0], &byte, 1) != 1)
            exit(1);
    return (now_ns() - from) / TURNS;
}

/* The other process ends with the first one's end of the pipe. */
static void start_echo(struct pipes *p)
{
    char byte;
    if (pipe(p->to) < 0 || pipe(p->from) < 0)
        exit(1);
    pid_t pid = fork();
    if (pid < 0)
        exit(1);
    if (pid != 0)
        return;
    (void)close(p->to[1]);
    while (read(p->to[0], &byte, 1) == 1)
        if (write(p->from[1], &byte, 1) != 1)
            break;
    _exit(0);
}

int main(int argc, char **argv)
{
    double ns[BATCHES];
    struct pipes p;
    int turns = argc > 1 && strcmp(argv[1], "pipe") == 0;
    if (argc > 2) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(0, &one);
        if (sched_setaffinity(0, sizeof(one), &one) < 0)
            return 1;
    }
    if (turns)
        start_echo(&p);
    for (int b = 0; b < BATCHES; b++)
        ns[b] = turns ? batch_turns(&p) : batch_calls();
    qsort(ns, BATCHES, sizeof(ns[0]), compare);
    printf("%.1f\n", ns[BATCHES / 2]);
    return 0;
}
