// SPDX-License-Identifier: Apache-2.0
/* The vDSO: vdso(7), clock_gettime(2), time(2), getcpu(2). */
#define _GNU_SOURCE
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/auxv.h>
#include <sys/time.h>

#include "tests/guest/conform/t.h"

typedef int clock_fn(clockid_t id, struct timespec *ts);
typedef int day_fn(struct timeval *tv, void *tz);
typedef long time_fn(long *t);
typedef long cpu_fn(unsigned *cpu, unsigned *node, void *unused);

static const char *image;

static const ElfW(Dyn) * dynamic(ElfW(Sxword) tag)
{
    const ElfW(Ehdr) *e = (const void *)image;
    const ElfW(Phdr) *p = (const void *)(image + e->e_phoff);

    for (int i = 0; i < e->e_phnum; i++) {
        if (p[i].p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *d = (const void *)(image + p[i].p_offset);
        for (; d->d_tag != DT_NULL; d++)
            if (d->d_tag == tag)
                return d;
    }
    return NULL;
}

/* By DT_HASH, as musl looks it up. */
static const void *find(const char *name)
{
    const ElfW(Word) *hash =
        (const void *)(image + dynamic(DT_HASH)->d_un.d_ptr);
    const ElfW(Sym) *sym =
        (const void *)(image + dynamic(DT_SYMTAB)->d_un.d_ptr);
    const char *text = image + dynamic(DT_STRTAB)->d_un.d_ptr;

    for (ElfW(Word) i = 0; i < hash[1]; i++)
        if (strcmp(text + sym[i].st_name, name) == 0)
            return image + sym[i].st_value;
    return NULL;
}

/* As the architecture names it; vdso(7). */
static const void *find_call(const char *name)
{
    char full[64];
    const void *p;

    snprintf(full, sizeof(full), "__vdso_%s", name);
    p = find(full);
    if (p != NULL)
        return p;
    snprintf(full, sizeof(full), "__kernel_%s", name);
    return find(full);
}

/* Not every architecture has these two. */
static long plain_time(long *t)
{
    return (*t = time(NULL));
}
static long plain_cpu(unsigned *cpu, unsigned *node, void *unused)
{
    return SC(getcpu, cpu, node, unused);
}

static int has_segment(ElfW(Word) type)
{
    const ElfW(Ehdr) *e = (const void *)image;
    const ElfW(Phdr) *p = (const void *)(image + e->e_phoff);

    for (int i = 0; i < e->e_phnum; i++)
        if (p[i].p_type == type)
            return 1;
    return 0;
}

static int64_t ns(const struct timespec *t)
{
    return t->tv_sec * 1000000000 + t->tv_nsec;
}

/* Between two system calls, and never back. `slack`: coarse clocks lag. */
static int agrees(clock_fn *fn, clockid_t id, int64_t slack)
{
    struct timespec a, b, c;
    int64_t last = 0;

    for (int i = 0; i < 1000; i++) {
        if (SC(clock_gettime, id, &a) < 0 || fn(id, &b) != 0 ||
            SC(clock_gettime, id, &c) < 0)
            return 0;
        if (b.tv_nsec < 0 || b.tv_nsec > 999999999 || ns(&b) < last ||
            ns(&a) > ns(&b) + slack || ns(&b) > ns(&c) + slack)
            return 0;
        last = ns(&b);
    }
    return 1;
}

static void clocks(void)
{
    union {
        const void *p;
        clock_fn *clock;
        day_fn *day;
        time_fn *time;
    } f, g, h;
    struct timespec now;
    struct timeval tv = {0};
    long t = 0;

    f.p = find_call("clock_gettime");
    g.p = find_call("gettimeofday");
    h.p = find_call("time");
    YES("symbols", f.p != NULL && g.p != NULL);
    if (f.p == NULL || g.p == NULL)
        return;
    if (h.p == NULL)
        h.time = plain_time;
    YES("realtime", agrees(f.clock, CLOCK_REALTIME, 0));
    YES("monotonic", agrees(f.clock, CLOCK_MONOTONIC, 0));
    YES("boottime", agrees(f.clock, CLOCK_BOOTTIME, 0));
    YES("coarse", agrees(f.clock, CLOCK_MONOTONIC_COARSE, 20000000));
    YES("cpu", agrees(f.clock, CLOCK_PROCESS_CPUTIME_ID, 0));
    T("bad", f.clock(999, &now));
    T("day", g.day(&tv, NULL));
    T("day_none", g.day(NULL, NULL));
    SC(clock_gettime, CLOCK_REALTIME, &now);
    YES("day_true", now.tv_sec - tv.tv_sec <= 2 && tv.tv_usec < 1000000);
    YES("time", now.tv_sec - h.time(&t) <= 2 && now.tv_sec - t <= 2);
}

static sigjmp_buf back;
static void *volatile fault_at;

static void on_fault(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    fault_at = info->si_addr;
    siglongjmp(back, 1);
}

static long store_time(long *t)
{
    return *(volatile long *)t = 0;
}

static void give_bad(const char *name)
{
    union {
        const void *p;
        clock_fn *clock;
        day_fn *day;
        time_fn *time;
    } f;

    f.p = find_call(name);
    if (f.p == NULL)
        f.time = store_time;
    if (strstr(name, "clock") != NULL)
        f.clock(CLOCK_REALTIME, BAD_PTR);
    else if (strstr(name, "day") != NULL)
        f.day(BAD_PTR, NULL);
    else
        f.time(BAD_PTR);
}

/* A bad pointer faults in the program, at its first byte. */
static void bad_pointers(void)
{
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    static const char *const names[] = {"clock_gettime", "gettimeofday",
                                        "time"};

    sigaction(SIGSEGV, &sa, NULL);
    for (volatile int i = 0; i < 3; i++) {
        fault_at = NULL;
        if (sigsetjmp(back, 1) == 0)
            give_bad(names[i]);
        t_say("bad_pointer", "%s %p", names[i], fault_at);
    }
    signal(SIGSEGV, SIG_DFL);
}

static void cpus(void)
{
    union {
        const void *p;
        cpu_fn *cpu;
    } f;
    unsigned cpu = 99, node = 99;
    cpu_set_t set;

    f.p = find_call("getcpu");
    if (f.p == NULL)
        f.cpu = plain_cpu;
    YES("getcpu", f.cpu(&cpu, &node, NULL) == 0);
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    sched_setaffinity(0, sizeof(set), &set);
    YES("getcpu_pinned", f.cpu(&cpu, &node, NULL) == 0 && cpu == 0);
    YES("getcpu_null", f.cpu(NULL, NULL, NULL) == 0);
}

static void in_child(void)
{
    struct timespec a, b;

    SC(clock_gettime, CLOCK_MONOTONIC, &a);
    clock_gettime(CLOCK_MONOTONIC, &b);
    _exit(ns(&b) >= ns(&a) ? 3 : 4);
}

static void write_it(void)
{
    *(volatile char *)(uintptr_t)image = 1;
}

static void maps(void)
{
    char line[256];
    int vvar = 0, vdso = 0;
    FILE *f = fopen("/proc/self/maps", "r");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        vvar +=
            strstr(line, "[vvar]") != NULL && strstr(line, " r--p ") != NULL;
        vdso +=
            strstr(line, "[vdso]") != NULL && strstr(line, " r-xp ") != NULL;
    }
    YES("maps", vvar == 1 && vdso == 1);
    if (f != NULL)
        fclose(f);
}

int main(void)
{
    t_begin("vdso");
    image = (const char *)getauxval(AT_SYSINFO_EHDR);
    YES("there", image != NULL && memcmp(image, ELFMAG, SELFMAG) == 0);
    if (image == NULL)
        return 1;
    YES("unwind", has_segment(PT_GNU_EH_FRAME));
    YES("soname", strcmp(image + dynamic(DT_STRTAB)->d_un.d_ptr +
                             dynamic(DT_SONAME)->d_un.d_val,
                         "linux-vdso.so.1") == 0);
    YES("versions", dynamic(DT_VERDEF) != NULL && dynamic(DT_VERSYM) != NULL);
    clocks();
    bad_pointers();
    cpus();
    t_child("fork", in_child);
    t_child("write", write_it);
    maps();
    return 0;
}
