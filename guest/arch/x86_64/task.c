// SPDX-License-Identifier: Apache-2.0
/* Tasks: kernel stacks, segment bases, user registers. */
#include "guest/core/task.h"

#include "abi/linux/errno.h"

#include "guest/arch/x86_64/x86.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/log.h"
#include "guest/core/page.h"
#include "guest/core/sched.h"
#include "guest/core/usercopy.h"

#define ARCH_SET_GS         0x1001
#define ARCH_SET_FS         0x1002
#define ARCH_GET_FS         0x1003
#define ARCH_GET_GS         0x1004
#define ARCH_GET_CPUID      0x1011
#define ARCH_SET_CPUID      0x1012
#define ARCH_GET_XCOMP_SUPP 0x1021
#define ARCH_GET_XCOMP_PERM 0x1022

/* What switch_stack pops. */
struct switch_frame {
    uint64_t r15, r14, r13, r12, rbx, rbp;
    uint64_t ret;
};

extern const char task_start_kernel[], task_start_user[];

struct arch_regs *arch_task_regs(const struct task *t)
{
    return (struct arch_regs *)(void *)((char *)t->stack + TASK_STACK_SIZE -
                                        sizeof(struct arch_regs));
}

static void task_push_frame(struct task *t, const char *start, uint64_t rbx,
                            uint64_t r12)
{
    struct switch_frame *f = (void *)arch_task_regs(t);

    f--;
    *f = (struct switch_frame){.rbx = rbx, .r12 = r12, .ret = (uint64_t)start};
    t->arch.sp = (uint64_t)f;
}

int arch_task_init(struct task *t, void (*fn)(void *arg), void *arg)
{
    t->arch = (struct arch_task){0};
    task_push_frame(t, task_start_kernel, (uint64_t)fn, (uint64_t)arg);
    return 0;
}

void task_run(struct task *prev, void (*fn)(void *arg), void *arg)
{
    sched_switched(prev);
    arch_irq_on();
    fn(arg);
    panic("a kernel task returned");
}

void task_run_user(struct task *prev)
{
    sched_switched(prev);
    user_return_work();
}

/* --- FS and GS bases of programs --- */

/* Of the task whose bases are loaded. */
static uint64_t fs_get(const struct task *t)
{
    uint64_t v;

    if (arch_ring0)
        return t->arch.fs;
    /* PVM programs can use WRFSBASE without telling us. */
    __asm__ volatile("rdfsbase %0" : "=r"(v));
    return v;
}

static void bases_load(struct cpu *c, const struct task *t)
{
    if (!arch_ring0) {
        __asm__ volatile("wrfsbase %0" ::"r"(t->arch.fs));
    } else if (c->arch.fs != t->arch.fs) {
        platform->msr_write(MSR_FS_BASE, t->arch.fs);
        c->arch.fs = t->arch.fs;
    }
    if (c->arch.gs != t->arch.gs) {
        platform->msr_write(MSR_GS_USER, t->arch.gs);
        c->arch.gs = t->arch.gs;
    }
}

static void bases_set(struct task *t, uint64_t fs, uint64_t gs)
{
    unsigned long flags = arch_irq_save();

    t->arch.fs = fs;
    t->arch.gs = gs;
    bases_load(arch_this_cpu(), t);
    arch_irq_restore(flags);
}

int64_t arch_sys_prctl(const uint64_t *a)
{
    struct task *t = arch_current();
    uint64_t v = a[1];

    switch ((uint32_t)a[0]) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (v >= USER_END)
            return -EPERM;
        if (a[0] == ARCH_SET_FS)
            bases_set(t, v, t->arch.gs);
        else
            bases_set(t, fs_get(t), v);
        return 0;
    case ARCH_GET_FS: return put_user_u64(uptr(v), fs_get(t));
    case ARCH_GET_GS: return put_user_u64(uptr(v), t->arch.gs);
    case ARCH_GET_CPUID: return 1; /* CPUID never faults here */
    case ARCH_SET_CPUID: return -ENODEV;
    case ARCH_GET_XCOMP_SUPP:
    case ARCH_GET_XCOMP_PERM: return put_user_u64(uptr(v), fpu_features());
    default: return -EINVAL;
    }
}

/* --- switching --- */

struct task *arch_switch(struct task *prev, struct task *next)
{
    struct cpu *c = arch_this_cpu();

    if (prev->arch.fp && prev->state != TASK_DEAD) {
        fpu_leave(prev);
        prev->arch.fs = fs_get(prev);
    }
    if (next->arch.fp) {
        fpu_enter(c, next);
        bases_load(c, next);
    }
    if (next->stack)
        tables_set_stack(c, (uint64_t)next->stack + TASK_STACK_SIZE);
    c->current = next;
    return switch_stack(prev, next);
}

int arch_task_fork(struct task *child, const struct task *parent, uint64_t sp,
                   bool set_tls, uint64_t tls)
{
    struct arch_regs *r = arch_task_regs(child);

    child->arch = (struct arch_task){0};
    if (set_tls && tls >= USER_END)
        return -EPERM;
    if (fpu_alloc(child) < 0)
        return -ENOMEM;
    unsigned long flags = arch_irq_save(); /* registers are the parent's */
    fpu_save(child->arch.fp);
    arch_irq_restore(flags);
    *r = *arch_task_regs(parent);
    r->rax = 0;
    if (sp)
        r->rsp = sp;
    child->arch.fs = set_tls ? tls : fs_get(parent);
    child->arch.gs = parent->arch.gs;
    task_push_frame(child, task_start_user, 0, 0);
    return 0;
}

void arch_task_fini(struct task *t)
{
    if (t->arch.fp)
        page_put(page_phys(t->arch.fp));
    t->arch.fp = NULL;
}

/* --- a program's registers --- */

void arch_regs_exec(struct task *t, uint64_t entry, uint64_t sp)
{
    if (!t->arch.fp && fpu_alloc(t) < 0) /* the first program only */
        panic("no memory for the first program's registers");
    *arch_task_regs(t) = (struct arch_regs){
        .nr = -1,
        .rip = entry,
        .cs = X86_CS_USER,
        .rflags = X86_IF | 2,
        .rsp = sp,
        .ss = X86_SS_USER,
    };
    fpu_reset(t);
    bases_set(t, 0, 0);
}

void arch_enter_user(void)
{
    struct task *t = arch_current();

    arch_irq_off();
    user_return_work();
    enter_user(arch_task_regs(t));
}

uint64_t arch_regs_ip(const struct arch_regs *r)
{
    return r->rip;
}

void arch_regs_set_ip(struct arch_regs *r, uint64_t ip)
{
    r->rip = ip;
}

uint64_t arch_regs_sp(const struct arch_regs *r)
{
    return r->rsp;
}

int64_t arch_regs_result(const struct arch_regs *r)
{
    return (int64_t)r->rax;
}

void arch_regs_set_result(struct arch_regs *r, int64_t v)
{
    r->rax = (uint64_t)v;
}

int64_t arch_regs_syscall(const struct arch_regs *r)
{
    return r->nr >= 0 ? r->nr : -1;
}

void arch_regs_restart(struct arch_regs *r, uint64_t nr)
{
    r->rax = nr;
    r->rip -= 2; /* SYSCALL is 0f 05 */
    r->rcx = 0;  /* not the fast way back: rcx != rip */
}

unsigned arch_backtrace(uint64_t *out, unsigned max)
{
    const uint64_t *f = __builtin_frame_address(0);
    unsigned count = 0;

    /* A frame is {caller's frame, return address}; frames go up the stack. */
    while (count < max && (uint64_t)f >= BOOT_PHYSMAP_X86 &&
           ((uint64_t)f & 7) == 0 && f[1] >= BOOT_KERNEL_X86) {
        const uint64_t *next = (const uint64_t *)f[0];
        out[count++] = f[1];
        if (next <= f || (uint64_t)next - (uint64_t)f > TASK_STACK_SIZE)
            break;
        f = next;
    }
    return count;
}
