// SPDX-License-Identifier: Apache-2.0
/* What unit tests may ask of arch/fake. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct task;
struct process;

/*
 * RAM of `ram` bytes (multiple of 2 MiB, at least 16 MiB), page_init and
 * sched_init. The calling thread becomes the first task, with a process whose
 * aspace, fdtable and fsctx are as process_new leaves them. Calling it again
 * throws everything away and starts anew.
 */
void fake_init(size_t ram);

/* The same with `count` CPUs; the others join by fake_smp_start(). */
void fake_init_cpus(size_t ram, unsigned count);

/*
 * From now on a host thread per CPU and real time (once per test program). The
 * test stays on CPU 0; kernel tasks run on all of them. Interrupts come only
 * while a CPU halts.
 */
void fake_smp_start(void);

/* Accesses to [start, start + size) fault from now on; size 0 clears all. */
void fake_bad(const void *start, size_t size);

/* Real page faults: when on, user copies to addresses inside the current
 * aspace's regions go through its page tables (aspace_fault on a miss). */
void fake_paging(int on);

/* What the child of a fork or clone runs, as its program; must not return. */
extern void (*fake_child)(void);

/* Move the fake clock. */
void fake_clock_add(uint64_t ns);

/* Reason of the next panic() is expected: longjmps back. Returns 0 at first
 * and 1 after the panic (setjmp style, so a macro). */
extern int fake_panicked;
