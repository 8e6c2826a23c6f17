// SPDX-License-Identifier: Apache-2.0
/* Tasks: kernel stacks, user registers, thread pointers, FP registers. */
#include "guest/core/task.h"

#include "abi/linux/errno.h"

#include "guest/arch/aarch64/arm.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/log.h"
#include "guest/core/sched.h"

#define FP_NO_CPU UINT32_MAX

/* What switch_stack pops. */
struct switch_frame {
    uint64_t x29, x30;
    uint64_t x19, x20, x21, x22, x23, x24, x25, x26, x27, x28;
};
ABI_SIZE(struct switch_frame, 96);

extern const char task_start_kernel[], task_start_user[];

struct arch_regs *arch_task_regs(const struct task *t)
{
    return (struct arch_regs *)(void *)((char *)t->stack + TASK_STACK_SIZE -
                                        sizeof(struct arch_regs));
}

static void task_push_frame(struct task *t, const char *start, uint64_t x19,
                            uint64_t x20)
{
    struct switch_frame *f = (void *)arch_task_regs(t);

    f--;
    *f = (struct switch_frame){.x19 = x19, .x20 = x20, .x30 = (uint64_t)start};
    t->arch.sp = (uint64_t)f;
}

int arch_task_init(struct task *t, void (*fn)(void *arg), void *arg)
{
    memset(&t->arch, 0, sizeof(t->arch));
    t->arch.fp_cpu = FP_NO_CPU;
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

/* --- FP: saved when a program leaves the CPU, loaded again only if another
 * program's came in between; kernel code never touches them --- */

void fp_sync(struct task *t)
{
    unsigned long flags = arch_irq_save();
    fp_save(&t->arch.fp);
    arch_irq_restore(flags);
}

void fp_reload(struct task *t)
{
    unsigned long flags = arch_irq_save();
    struct cpu *c = arch_this_cpu();

    fp_load(&t->arch.fp);
    c->arch.fp_owner = t;
    t->arch.fp_cpu = c->id;
    arch_irq_restore(flags);
}

static void user_enter(struct cpu *c, struct task *t)
{
    if (c->arch.fp_owner != t || t->arch.fp_cpu != c->id) {
        fp_load(&t->arch.fp);
        c->arch.fp_owner = t;
        t->arch.fp_cpu = c->id;
    }
    ARM_WRITE("tpidr_el0", t->arch.tls);
}

/* --- switching --- */

struct task *arch_switch(struct task *prev, struct task *next)
{
    struct cpu *c = arch_this_cpu();

    if (prev->arch.user && prev->state != TASK_DEAD) {
        fp_save(&prev->arch.fp);
        prev->arch.tls = ARM_READ("tpidr_el0");
    }
    if (next->arch.user)
        user_enter(c, next);
    c->current = next;
    return switch_stack(prev, next);
}

int arch_task_fork(struct task *child, const struct task *parent, uint64_t sp,
                   bool set_tls, uint64_t tls)
{
    struct arch_regs *r = arch_task_regs(child);

    memset(&child->arch, 0, sizeof(child->arch));
    child->arch.user = true;
    child->arch.fp_cpu = FP_NO_CPU;
    fp_sync(child); /* the registers are the parent's */
    child->arch.tls = set_tls ? tls : ARM_READ("tpidr_el0");
    *r = *arch_task_regs(parent);
    r->x[0] = 0;
    if (sp)
        r->sp = sp;
    task_push_frame(child, task_start_user, 0, 0);
    return 0;
}

void arch_task_fini(struct task *t)
{
    (void)t;
}

/* --- a program's registers --- */

void arch_regs_exec(struct task *t, uint64_t entry, uint64_t sp)
{
    *arch_task_regs(t) = (struct arch_regs){.nr = -1, .pc = entry, .sp = sp};
    memset(&t->arch.fp, 0, sizeof(t->arch.fp));
    t->arch.user = true;
    t->arch.tls = 0;
    t->arch.fault_addr = 0;
    t->arch.fault_esr = 0;
    ARM_WRITE("tpidr_el0", 0);
    fp_reload(t);
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
    return r->pc;
}

void arch_regs_set_ip(struct arch_regs *r, uint64_t ip)
{
    r->pc = ip;
}

uint64_t arch_regs_sp(const struct arch_regs *r)
{
    return r->sp;
}

int64_t arch_regs_result(const struct arch_regs *r)
{
    return (int64_t)r->x[0];
}

void arch_regs_set_result(struct arch_regs *r, int64_t v)
{
    r->x[0] = (uint64_t)v;
}

int64_t arch_regs_syscall(const struct arch_regs *r)
{
    return r->nr;
}

void arch_regs_restart(struct arch_regs *r, uint64_t nr)
{
    r->x[0] = r->orig_x0;
    r->x[8] = nr;
    r->pc -= 4; /* SVC */
}

int64_t arch_sys_prctl(const uint64_t *a)
{
    (void)a;
    return -ENOSYS; /* arch_prctl(2) is x86's */
}

unsigned arch_backtrace(uint64_t *out, unsigned max)
{
    const uint64_t *f = __builtin_frame_address(0);
    unsigned count = 0;

    /* A frame is {caller's frame, return address}; frames go up the stack. */
    while (count < max && (uint64_t)f >= ARCH_PHYSMAP &&
           ((uint64_t)f & 7) == 0 && f[1] >= ARCH_PHYSMAP) {
        const uint64_t *next = (const uint64_t *)f[0];
        out[count++] = f[1];
        if (next <= f || (uint64_t)next - (uint64_t)f > TASK_STACK_SIZE)
            break;
        f = next;
    }
    return count;
}
