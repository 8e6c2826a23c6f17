// SPDX-License-Identifier: Apache-2.0
/* rseq(2): registration, CPU numbers, sequences that start again; and
 * membarrier(2). */
#include <pthread.h>

#include "tests/guest/conform/t.h"

#if defined(__aarch64__) /* what the C libraries register with */
#define SIG 0xd428bc00u
#else
#define SIG 0x53053053u
#endif

struct area {
    uint32_t cpu_id_start, cpu_id;
    uint64_t cs;
    uint32_t flags, node_id, mm_cid, pad;
} __attribute__((aligned(32)));

struct sequence {
    uint32_t version, flags;
    uint64_t start, size, abort;
} __attribute__((aligned(32)));

static struct area area;

/* glibc registers its own: away with it. */
static void away(void)
{
#ifdef __GLIBC__
    extern const ptrdiff_t __rseq_offset;
    extern const unsigned __rseq_size;
    if (__rseq_size != 0)
        SC(rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, 1,
           SIG);
#endif
}

static long enter(void)
{
    area.cpu_id = 77;
    return SC(rseq, &area, sizeof(area), 0, SIG);
}

static void errors(void)
{
    T("unaligned", SC(rseq, (char *)&area + 8, 32, 0, SIG));
    T("short", SC(rseq, &area, 16, 0, SIG));
    T("flags", SC(rseq, &area, 32, 2, SIG));
    T("none", SC(rseq, &area, 32, 1, SIG));
    T("enter", enter());
    T("again", enter());
    T("again_sig", SC(rseq, &area, 32, 0, 1));
    T("again_size", SC(rseq, &area, 64, 0, SIG));
    T("leave_sig", SC(rseq, &area, 32, 1, 1));
    T("leave_other", SC(rseq, &area + 1, 32, 1, SIG));
    T("leave", SC(rseq, &area, 32, 1, SIG));
    YES("left", area.cpu_id == UINT32_MAX && area.cpu_id_start == 0);
    T("leave_again", SC(rseq, &area, 32, 1, SIG));
}

static long pin(int cpu)
{
    unsigned long mask = 1ul << cpu;

    return SC(sched_setaffinity, 0, sizeof(mask), &mask);
}

static void in_child(void)
{
    unsigned cpu = 99;

    SC(getcpu, &cpu, NULL, NULL);
    _exit(area.cpu_id == cpu && area.cpu_id_start == cpu ? 6 : 7);
}

static void numbers(void)
{
    T("enter", enter());
    pin(0);
    YES("cpu0", area.cpu_id == 0 && area.cpu_id_start == 0);
    bool two = false; /* CPUs of a new VM may join late */
    for (int i = 0; i < 200 && !two; i++, t_sleep_ms(1))
        two = pin(1) == 0;
    YES("cpu1", !two || (area.cpu_id == 1 && area.cpu_id_start == 1));
    pin(0);
    YES("cpu0_again", area.cpu_id == 0);
    t_child("fork", in_child);
    area.cs = 0;
}

#if defined(__x86_64__)
/* Stay in a sequence until something interrupts it. `bad`: with a wrong word
 * before the abort address. Returns how often it was entered: 1. */
static int stay(int bad)
{
    static struct sequence seq;
    int left = 0;

    __asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, 8(%[seq])\n"
                     "lea 2f(%%rip), %%rcx; sub %%rax, %%rcx\n"
                     "mov %%rcx, 16(%[seq])\n"
                     "lea 4f(%%rip), %%rax; lea 6f(%%rip), %%rcx\n"
                     "test %[bad], %[bad]; cmovnz %%rcx, %%rax\n"
                     "mov %%rax, 24(%[seq])\n"
                     "mov %[seq], 8(%[area])\n"
                     "1: pause; jmp 1b; nop\n"
                     "2: jmp 5f\n"
                     ".long 0x53053053\n"
                     "4: movl $1, %[left]; jmp 5f\n"
                     ".long 0x12345678\n"
                     "6: movl $2, %[left]\n"
                     "5:\n"
                     : [left] "+r"(left)
                     : [seq] "r"(&seq), [area] "r"(&area), [bad] "r"(bad)
                     : "rax", "rcx", "memory", "cc");
    return left;
}

static void stay_badly(void)
{
    signal(SIGALRM, t_handler);
    t_alarms();
    stay(1);
    _exit(1);
}

static volatile int stop;

static void *flusher(void *arg)
{
    pin(1);
    while (!stop) {
        t_sleep_ms(5);
        if (SC(membarrier, 128, 0, 0) < 0)
            return arg;
    }
    return NULL;
}

static void sequences(void)
{
    signal(SIGALRM, t_handler);
    t_hits = 0;
    t_alarms();
    int left = 1;
    while (left == 1 && t_hits == 0) /* something else may displace us */
        left = stay(0);
    alarm(0);
    YES("signal", left == 1 && t_hits >= 1 && area.cs == 0);
    pid_t pid = fork();
    while (pid == 0)
        ; /* on the same CPU: one displaces the other */
    YES("preempted", stay(0) == 1 && area.cs == 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    t_child("bad", stay_badly);

    pthread_t t;
    T("barrier_first", SC(membarrier, 128, 0, 0));
    T("barrier_register", SC(membarrier, 256, 0, 0));
    pthread_create(&t, NULL, flusher, &area);
    YES("barrier", stay(0) == 1);
    stop = 1;
    void *result;
    pthread_join(t, &result);
    YES("barrier_ok", result == NULL);
    t_calm();
}
#else
static void sequences(void)
{
}
#endif

static void barriers(void)
{
    long all = SC(membarrier, 0, 0, 0);

    YES("query", (all & 0x1ff) == 0x1ff);
    T("global", SC(membarrier, 1, 0, 0));
    T("global_expedited", SC(membarrier, 2, 0, 0));
    T("private_first", SC(membarrier, 8, 0, 0));
    T("private_register", SC(membarrier, 16, 0, 0));
    T("private", SC(membarrier, 8, 0, 0));
    T("core_first", SC(membarrier, 32, 0, 0));
    T("core_register", SC(membarrier, 64, 0, 0));
    T("core", SC(membarrier, 32, 0, 0));
    T("global_register", SC(membarrier, 4, 0, 0));
    T("flags", SC(membarrier, 8, 1, 0));
    T("unknown", SC(membarrier, 1 << 20, 0, 0));
}

int main(void)
{
    t_begin("rseq");
    away();
    errors();
    numbers();
    sequences();
    barriers();
    return 0;
}
