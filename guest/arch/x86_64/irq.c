// SPDX-License-Identifier: Apache-2.0
/* Interrupts: who gets which vector. Handlers run with interrupts off. */
#include "guest/core/irq.h"

#include "guest/arch/x86_64/apic.h"
#include "guest/arch/x86_64/x86.h"
#include "guest/core/cpu.h"
#include "guest/core/fdt.h"
#include "guest/core/timer.h"

void irq_serve(unsigned vector)
{
    struct cpu *c = arch_this_cpu();

    switch (vector) {
    case VEC_TIMER:
        c->arch.deadline = 0;
        platform->eoi();
        c->interrupts++;
        timer_interrupt();
        break;
    case VEC_KICK: /* the way back looks at the run queue */
        platform->eoi();
        break;
    case VEC_FLUSH:
        arch_flush_serve();
        platform->eoi();
        break;
    case VEC_SPURIOUS: break; /* Intel SDM volume 3, 11.9: no EOI */
    default:
        /* QEMU's lines are level-triggered: quiet before the EOI. */
        irq_dispatch(vector - irq_line_bias);
        platform->eoi();
        break;
    }
}

void arch_kick(uint32_t cpu)
{
    platform->ipi(cpu, VEC_KICK);
}

uint32_t arch_irq_line(const void *cells, unsigned index)
{
    return fdt_cell(cells, index);
}

int arch_irq_enable_line(uint32_t line)
{
    return platform->line_enable(line);
}

void arch_halt(void)
{
    platform->halt();
}

void arch_log(const char *text, unsigned size)
{
    if (platform)
        platform->log(text, size);
}

void arch_poweroff(void)
{
    if (platform)
        platform->poweroff();
    for (;;) /* no window to say it through: stop this CPU at least */
        arch_pause();
}
