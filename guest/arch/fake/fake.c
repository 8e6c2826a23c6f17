// SPDX-License-Identifier: Apache-2.0
/* A processor made of host memory and coroutines. */
#include "guest/arch/fake/fake.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#undef current

#include "abi/boot.h"
#include "abi/linux/errno.h"

#include "guest/arch/arch.h"
#include "guest/arch/fake/smp.h"
#include "guest/core/aspace.h"
#include "guest/core/cpu.h"
#include "guest/core/fdt.h"
#include "guest/core/main.h"
#include "guest/core/page.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/fs/file.h"

uint64_t fake_physmap;
uint64_t fake_kernel_end;
int fake_panicked;
void (*fake_child)(void);
static struct boot_info fake_boot;
static nsec_t fake_now = 1000000;
static nsec_t fake_alarm = NSEC_NEVER;
static const char *fake_bad_start;
static size_t fake_bad_size;
static int fake_paged;
static void *fake_ram;
static size_t fake_ram_size;

const uint16_t arch_elf_machine = 62;
const char arch_platform[] = "x86_64";

struct cpu *arch_this_cpu(void)
{
    return fake_smp ? fake_smp_cpu() : &cpus[0];
}

struct task *arch_current(void)
{
    return arch_this_cpu()->current;
}

void fake_init(size_t ram)
{
    fake_init_cpus(ram, 1);
}

void fake_init_cpus(size_t ram, unsigned count)
{
    if (fake_ram != NULL)
        (void)munmap(fake_ram, fake_ram_size);
    fake_ram_size = ram;
    fake_ram = mmap(NULL, ram, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fake_ram == MAP_FAILED)
        abort();
    __asan_unpoison_memory_region(fake_ram, ram); /* kmem.c of the last run */
    fake_physmap = (uintptr_t)fake_ram;
    fake_kernel_end = 0x300000;
    fake_boot = (struct boot_info){
        .magic = BOOT_MAGIC,
        .version = BOOT_VERSION,
        .size = sizeof(fake_boot),
        .platform = BOOT_PLATFORM_KVM,
        .cpu_count = count,
        .ram = {{0, ram}},
        .low_end = 0x100000,
        .small_end = 0x400000 + ((ram / 256 + 0x1fffff) & ~UINT64_C(0x1fffff)),
    };
    boot_info = &fake_boot;
    cpu_possible = count;
    page_init(&fake_boot);
    sched_init();
    struct process *p = process_new(NULL);
    struct task *t = p != NULL ? task_new(p, "test") : NULL;
    if (t == NULL || arch_task_init(t, NULL, NULL) < 0)
        abort();
    t->state = TASK_RUNNING;
    t->on_cpu = true;
    cpus[0].online = true;
    cpus[0].current = t;
}

void fake_bad(const void *start, size_t size)
{
    fake_bad_start = start;
    fake_bad_size = size;
}

void fake_paging(int on)
{
    fake_paged = on;
}

void fake_clock_add(uint64_t ns)
{
    fake_now += ns;
    if (fake_now >= fake_alarm) {
        fake_alarm = NSEC_NEVER;
        timer_interrupt();
    }
}

void arch_cpu_init(struct cpu *c)
{
    (void)c;
}

/* Nothing runs until the next timer: let the clock jump there. */
void arch_halt(void)
{
    if (fake_smp) {
        fake_smp_halt();
        return;
    }
    if (fake_alarm == NSEC_NEVER) {
        fprintf(stderr, "fake: every task sleeps for ever\n");
        abort();
    }
    fake_clock_add(fake_alarm > fake_now ? fake_alarm - fake_now : 0);
}

void arch_timer_set(nsec_t deadline)
{
    if (fake_smp)
        fake_smp_timer(deadline);
    else
        fake_alarm = deadline;
}

void arch_kick(uint32_t cpu)
{
    if (fake_smp)
        fake_smp_kick(cpu);
}

uint32_t arch_irq_line(const void *cells, unsigned index)
{
    return fdt_cell(cells, index);
}

int arch_irq_enable_line(uint32_t line)
{
    (void)line;
    return 0;
}

nsec_t arch_clock(void)
{
    return fake_smp ? fake_smp_clock() : (fake_now += 10);
}

uint64_t arch_clock_wall_base(void)
{
    return UINT64_C(1700000000) * NSEC_PER_SEC;
}

uint64_t arch_counter(void)
{
    return arch_clock();
}

uint64_t arch_entry_counter(void)
{
    return 0;
}

static __thread struct task *fake_from; /* who ran before the switch */

/* Out of line: the thread may be another one after a switch. */
static void __attribute__((noinline)) fake_set_from(struct task *t)
{
    fake_from = t;
}

static struct task *__attribute__((noinline)) fake_get_from(void)
{
    return fake_from;
}

static void fake_trampoline(void)
{
    sched_switched(fake_get_from());
    struct task *t = arch_current();
    if (t->arch.fn != NULL)
        t->arch.fn(t->arch.arg);
    else
        fake_child(); /* a forked child returns to user mode */
    abort();          /* neither may return */
}

int arch_task_init(struct task *t, void (*fn)(void *arg), void *arg)
{
    ucontext_t *uc = calloc(1, sizeof(*uc));
    if (uc == NULL || getcontext(uc) < 0)
        return -ENOMEM;
    t->arch.context = uc;
    t->arch.fn = fn;
    t->arch.arg = arg;
    t->arch.regs.nr = -1;
    uc->uc_stack.ss_sp = malloc(1 << 18); /* ASan needs more than 16 KiB */
    uc->uc_stack.ss_size = 1 << 18;
    makecontext(uc, fake_trampoline, 0);
    return 0;
}

int arch_task_fork(struct task *child, const struct task *parent, uint64_t sp,
                   bool set_tls, uint64_t tls)
{
    (void)parent;
    (void)sp;
    child->arch.tls = set_tls ? tls : parent->arch.tls;
    return arch_task_init(child, NULL, NULL);
}

void arch_task_fini(struct task *t)
{
    ucontext_t *uc = t->arch.context;
    if (uc != NULL)
        free(uc->uc_stack.ss_sp);
    free(uc);
    t->arch.context = NULL;
}

struct task *arch_switch(struct task *prev, struct task *next)
{
    fake_set_from(prev);
    if (prev != next)
        (void)swapcontext(prev->arch.context, next->arch.context);
    return fake_get_from();
}

struct arch_regs *arch_task_regs(const struct task *t)
{
    return (struct arch_regs *)(uintptr_t)&t->arch.regs;
}

void arch_regs_exec(struct task *t, uint64_t entry, uint64_t sp)
{
    t->arch.regs = (struct arch_regs){.ip = entry, .sp = sp, .nr = -1};
}

void arch_enter_user(void)
{
    abort();
}

uint64_t arch_regs_ip(const struct arch_regs *r)
{
    return r->ip;
}

void arch_regs_set_ip(struct arch_regs *r, uint64_t ip)
{
    r->ip = ip;
}

uint64_t arch_regs_sp(const struct arch_regs *r)
{
    return r->sp;
}

int64_t arch_regs_result(const struct arch_regs *r)
{
    return r->result;
}

void arch_regs_set_result(struct arch_regs *r, int64_t v)
{
    r->result = v;
}

int64_t arch_regs_syscall(const struct arch_regs *r)
{
    return r->nr;
}

void arch_regs_restart(struct arch_regs *r, uint64_t nr)
{
    r->nr = (int64_t)nr;
}

int arch_signal_frame(struct task *t, const struct k_sigaction *sa,
                      const struct lx_siginfo *si, uint64_t mask,
                      bool on_altstack)
{
    (void)si;
    (void)mask;
    (void)on_altstack;
    t->arch.regs.ip = sa->handler;
    return 0;
}

int arch_signal_return(struct task *t, uint64_t *mask)
{
    (void)t;
    *mask = 0;
    return 0;
}

uint64_t arch_min_sigstack(void)
{
    return 2048;
}

int arch_aspace_init(struct arch_aspace *as)
{
    paddr_t pa = page_table_alloc();
    if (pa == 0)
        return -ENOMEM;
    *as = (struct arch_aspace){.root = page_virt(pa)};
    return 0;
}

void arch_aspace_fini(struct arch_aspace *as)
{
    if (as->root != NULL)
        page_table_free(page_phys(as->root));
    as->root = NULL;
}

void arch_aspace_switch(struct arch_aspace *as)
{
    (void)as;
}

uint64_t *arch_root(struct arch_aspace *as)
{
    return as->root;
}

void arch_root_set(struct arch_aspace *as, unsigned index, uint64_t entry)
{
    as->root[index] = entry;
}

void arch_flush(struct arch_aspace *as, uint64_t start, uint64_t end)
{
    (void)start;
    (void)end;
    as->flushes++;
}

void arch_barrier(struct arch_aspace *as)
{
    as->flushes++;
}

void arch_sync_icache(void *page, size_t size)
{
    (void)page;
    (void)size;
}

/* Host address behind a user address, or NULL: a page-table walk. */
static char *fake_walk(uint64_t va, bool write)
{
    struct process *p = arch_current()->proc;
    if (p == NULL || p->aspace == NULL)
        return NULL;
    uint64_t *table = p->aspace->arch.root;
    for (unsigned level = 3;; level--) {
        unsigned shift = PAGE_SHIFT + 9 * level;
        uint64_t e = table[(va >> shift) & 511];
        if (!arch_pte_present(e))
            return NULL;
        if (arch_pte_is_leaf(e, level)) {
            if (write && !arch_pte_writable(e))
                return NULL;
            return (char *)page_virt(arch_pte_pa(e)) +
                   (va & ((UINT64_C(1) << shift) - 1));
        }
        table = page_virt(arch_pte_pa(e));
    }
}

static bool fake_in_ram(uint64_t a)
{
    return a - fake_physmap < fake_ram_size;
}

/* One byte at a time when paging: slow and sure. */
static char *fake_user(uint64_t va, bool write)
{
    uint64_t bad = (uintptr_t)fake_bad_start;
    if (va - bad < fake_bad_size)
        return NULL;
    if (!fake_paged || fake_in_ram(va))
        return (char *)(uintptr_t)va; /* NOLINT: host memory is user memory */
    struct vma_info m;
    struct process *p = arch_current()->proc;
    bool region =
        p != NULL && p->aspace != NULL && aspace_find_vma(p->aspace, va, &m);
    if (region && m.file != NULL)
        file_put(m.file);
    if (!region || va < m.start)
        return (char *)(uintptr_t)va; /* NOLINT: a buffer of the test */
    int signo, code;
    char *at = fake_walk(va, write);
    if (at == NULL &&
        aspace_fault(va, write ? FAULT_WRITE : FAULT_READ, &signo, &code) == 0)
        at = fake_walk(va, write);
    return at;
}

size_t arch_copy_user(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *t = fake_user((uintptr_t)to + i, true);
        const char *f = fake_user((uintptr_t)from + i, false);
        if (t == NULL || f == NULL)
            return n - i;
        *t = *f;
    }
    return 0;
}

int arch_user_load32(uint64_t at, uint32_t *out)
{
    const void *p = fake_user(at, false);
    if (p == NULL)
        return -EFAULT;
    *out = __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
    return 0;
}

int arch_user_cmpxchg32(uint64_t at, uint32_t expect, uint32_t desired,
                        uint32_t *old)
{
    void *p = fake_user(at, true);
    if (p == NULL)
        return -EFAULT;
    *old = expect;
    (void)__atomic_compare_exchange_n((uint32_t *)p, old, desired, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    return 0;
}

void arch_log(const char *text, unsigned size)
{
    (void)fwrite(text, 1, size, stderr);
}

void arch_poweroff(void)
{
    fake_panicked = 1;
    abort();
}

unsigned arch_backtrace(uint64_t *out, unsigned max)
{
    (void)out;
    (void)max;
    return 0;
}

int64_t arch_sys_prctl(const uint64_t *a)
{
    (void)a;
    return -EINVAL;
}

uint64_t arch_hwcap(unsigned index)
{
    (void)index;
    return 0;
}

int arch_cpuinfo(char *to, size_t size, uint32_t cpu)
{
    return snprintf(to, size, "model name\t: fake %u\n", cpu);
}
