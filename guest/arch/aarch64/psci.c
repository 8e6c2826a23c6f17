// SPDX-License-Identifier: Apache-2.0
/* PSCI (Arm DEN 0022), messages and power-off. */
#include "guest/arch/aarch64/arm.h"
#include "guest/arch/aarch64/board.h"
#include "guest/core/klib.h"
#include "guest/core/lock.h"
#include "guest/core/main.h"

#define PSCI_CPU_ON     UINT64_C(0xc4000003)
#define PSCI_SYSTEM_OFF UINT64_C(0x84000008)

#define BOOT_CALL_TEXT 512 /* bytes of one BOOT_CALL_LOG */

/* PL011 (Arm DDI 0183): data and flag registers. */
#define UART_DR   0x00
#define UART_FR   0x18
#define UART_FULL (1u << 5)
#define UART_WAIT 100000

static enum { PSCI_NONE, PSCI_HVC, PSCI_SMC } conduit;
static volatile uint32_t *uart; /* NULL: not under a loader of Linux */

void psci_init(void)
{
    uint32_t size;

    if (!board.psci.off)
        return;
    const char *method = fdt_prop(&board.psci, "method", &size);
    if (method && size == 4 && strcmp(method, "hvc") == 0)
        conduit = PSCI_HVC;
    else if (method && size == 4 && strcmp(method, "smc") == 0)
        conduit = PSCI_SMC;
}

/* SMC calling convention (Arm DEN 0028): x0..x3 in, x0 out, x0..x17 lost. */
static int64_t psci_call(uint64_t fn, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = fn;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;

    if (conduit == PSCI_HVC)
        __asm__ volatile("hvc #0"
                         : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"x4", "x5",
                           "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                           "x14", "x15", "x16", "x17", "memory");
    else
        __asm__ volatile("smc #0"
                         : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"x4", "x5",
                           "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                           "x14", "x15", "x16", "x17", "memory");
    return (int64_t)x0;
}

bool psci_cpu_on(uint64_t mpidr, paddr_t entry, uint64_t context)
{
    return conduit != PSCI_NONE &&
           psci_call(PSCI_CPU_ON, mpidr, entry, context) == 0;
}

static void boot_call(uint32_t call, uint32_t value)
{
    if (boot_info && boot_info->console_gpa)
        *(volatile uint32_t *)PHYS(boot_info->console_gpa + call) = value;
}

void arch_poweroff(void)
{
    if (conduit != PSCI_NONE)
        (void)psci_call(PSCI_SYSTEM_OFF, 0, 0, 0);
    boot_call(BOOT_CALL_POWEROFF, 0);
    for (;;) /* no way to say it: stop this CPU at least */
        __asm__ volatile("wfi");
}

/* --- messages --- */

void uart_set(paddr_t at)
{
    uart = PHYS(at);
}

static void uart_log(const char *text, unsigned size)
{
    for (; size > 0; size--, text++) {
        for (unsigned i = 0; i < UART_WAIT && (uart[UART_FR / 4] & UART_FULL);
             i++)
            arch_pause();
        uart[UART_DR / 4] = (uint8_t)*text;
    }
}

static void boot_call_log(const char *text, unsigned size)
{
    static union {
        struct boot_log log;
        char room[sizeof(struct boot_log) + BOOT_CALL_TEXT];
    } line;
    static struct spinlock lock; /* irq-safe; leaf */

    while (size > 0) {
        unsigned long flags = spin_lock_irq(&lock);
        line.log.size = MIN(size, (unsigned)BOOT_CALL_TEXT);
        memcpy(line.log.text, text, line.log.size);
        text += line.log.size;
        size -= line.log.size;
        boot_call(BOOT_CALL_LOG, (uint32_t)VIRT(&line));
        spin_unlock_irq(&lock, flags);
    }
}

void arch_log(const char *text, unsigned size)
{
    if (uart)
        uart_log(text, size);
    else
        boot_call_log(text, size);
}
