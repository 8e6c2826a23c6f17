// SPDX-License-Identifier: Apache-2.0
/* Toy guest on arm64: a GICv2 or GICv3 on CPU 0, PSCI. */
#include "abi/ctl.h"
#include "boards/virt-arm64/layout.h"

#include "tests/vmm/toy.h"

#define REG(base, off)                                                         \
    (*(volatile uint32_t *)PHYS((base) + (uint64_t)(off))) // NOLINT

#define READ_SYSREG(name)                                                      \
    ({                                                                         \
        uint64_t v_;                                                           \
        __asm__ volatile("mrs %0, " name : "=r"(v_));                          \
        v_;                                                                    \
    })
#define WRITE_SYSREG(name, v)                                                  \
    __asm__ volatile("msr " name ", %0\n\tisb"                                 \
                     :                                                         \
                     : "r"((uint64_t)(v))                                      \
                     : "memory")
#define ICC_PMR     "s3_0_c4_c6_0"
#define ICC_IAR1    "s3_0_c12_c12_0"
#define ICC_EOIR1   "s3_0_c12_c12_1"
#define ICC_SRE     "s3_0_c12_c12_5"
#define ICC_IGRPEN1 "s3_0_c12_c12_7"

#define PSCI_CPU_ON     0xc4000003
#define PSCI_SYSTEM_OFF 0x84000008

enum { VECTOR_IRQ = 5 }; /* of this EL, with its own stack pointer */

void toy_trap(uint64_t vector, uint64_t elr);
extern char toy_start_other[];

const uint64_t toy_physmap = BOOT_KERNEL_ARM;
static bool gic3;

uint64_t toy_counter(void)
{
    return READ_SYSREG("cntvct_el0");
}

uint64_t toy_gpa_of(const void *p)
{
    return (uintptr_t)p - BOOT_KERNEL_ARM;
}

uint32_t toy_irq_number(const uint8_t *cells, uint32_t i)
{
    return 32U + cells[12 * (i + 1) + 7]; /* <SPI n edge>; n < 224 */
}

void toy_see_node(const char *compatible)
{
    static const char name[] = "arm,gic-v3";
    for (unsigned i = 0; i < sizeof(name); i++)
        if (compatible[i] != name[i])
            return;
    gic3 = true;
}

void toy_trap(uint64_t vector, uint64_t elr)
{
    if (vector != VECTOR_IRQ) {
        toy_say_at("toy: exception", READ_SYSREG("esr_el1"));
        toy_say_at("toy: at", elr);
        toy_leave(CTL_PANIC, (uint32_t)vector);
    }
    uint32_t id = gic3 ? (uint32_t)READ_SYSREG(ICC_IAR1) & 0xffffff
                       : REG(BOARD_GICC, 0xc) & 0x3ff;
    if (id < 256)
        toy_interrupts[id]++;
    if (gic3)
        WRITE_SYSREG(ICC_EOIR1, id);
    else
        REG(BOARD_GICC, 0x10) = id;
}

void toy_interrupts_on(uint32_t irq)
{
    uint32_t word = irq / 32;
    uint32_t bit = UINT32_C(1) << irq % 32;
    if (gic3) {
        REG(BOARD_GICD, 0) = 0x12; /* affinity routing, group 1 */
        REG(BOARD_GICD, 0x80 + 4 * word) |= bit;
        WRITE_SYSREG(ICC_SRE, 1);
    } else {
        REG(BOARD_GICD, 0) = 1;
        REG(BOARD_GICD, 0x800 + irq / 4 * 4) |= UINT32_C(1) << irq % 4 * 8;
    }
    REG(BOARD_GICD, 0xc00 + irq / 16 * 4) |= UINT32_C(2) << irq % 16 * 2;
    REG(BOARD_GICD, 0x100 + 4 * word) = bit;
    if (gic3) {
        WRITE_SYSREG(ICC_PMR, 0xff);
        WRITE_SYSREG(ICC_IGRPEN1, 1);
    } else {
        REG(BOARD_GICC, 4) = 0xff;
        REG(BOARD_GICC, 0) = 1;
    }
}

void toy_halt_for(volatile uint32_t *count, uint32_t old)
{
    while (*count == old)
        __asm__ volatile("wfi\n\tmsr daifclr, #2\n\tisb\n\tmsr daifset, #2"
                         :
                         :
                         : "memory");
}

static uint64_t psci(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;
    __asm__ volatile("hvc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                     :
                     : "memory");
    return x0;
}

void toy_start_cpus(uint32_t count)
{
    for (uint64_t i = 1; i < count; i++) {
        uint64_t affinity = i % 16 | i / 16 << 8;
        if (psci(PSCI_CPU_ON, affinity, toy_gpa_of(toy_start_other), i) != 0)
            toy_leave(CTL_EXITED, 99);
    }
}

void toy_crash(void)
{
    __asm__ volatile("udf #0");
}

void toy_off(void)
{
    (void)psci(PSCI_SYSTEM_OFF, 0, 0, 0);
}

void toy_pause(void)
{
    __asm__ volatile("yield");
}
