// SPDX-License-Identifier: Apache-2.0
/* Toy guest on x86-64: x2APIC through PVM hypercalls, halt until one comes. */
#include "abi/ctl.h"

#include "tests/vmm/toy.h"

void toy_trap(uint64_t vector, uint64_t rip);
extern char toy_vectors[];
uint8_t *toy_vif;

const uint64_t toy_physmap = BOOT_PHYSMAP_X86;

static uint64_t hypercall(uint64_t nr, uint64_t a, uint64_t b)
{
    __asm__ volatile("int $0x1b"
                     : "+a"(nr)
                     : "b"(a), "c"(b)
                     : "memory", "rdx", "rsi");
    return nr;
}

void toy_trap(uint64_t vector, uint64_t rip)
{
    if (vector < 32) {
        toy_say_at("toy: exception", vector);
        toy_say_at("toy: at", rip);
        toy_leave(CTL_PANIC, (uint32_t)vector);
    }
    toy_interrupts[vector]++;
    (void)hypercall(4099, 0x80b, 0); /* EOI */
}

struct gate {
    uint16_t low, selector, type, mid;
    uint32_t high, zero;
};

struct table {
    uint16_t size;
    uint64_t base;
} __attribute__((packed));

void toy_interrupts_on(uint32_t irq)
{
    static uint64_t gdt[8] = {0,
                              0,
                              0x00af9b000000ffff,
                              0x00cf93000000ffff,
                              0,
                              0x00cff3000000ffff,
                              0x00affb000000ffff};
    static struct gate idt[256];
    (void)irq; /* every vector */
    for (unsigned i = 0; i < 256; i++) {
        uint64_t at = (uintptr_t)toy_vectors + 16 * (uint64_t)i;
        idt[i] = (struct gate){
            (uint16_t)at,         0x10, 0x8e00, (uint16_t)(at >> 16),
            (uint32_t)(at >> 32), 0};
    }
    struct table g = {sizeof(gdt) - 1, (uintptr_t)gdt};
    struct table t = {sizeof(idt) - 1, (uintptr_t)idt};
    __asm__ volatile("lgdt %0; lidt %1" : : "m"(g), "m"(t));
    toy_vif = PHYS(toy_boot->vif_gpa);
    (void)hypercall(4099, 0x1b, 0xfee00000 | 0xd00); /* x2APIC, BSP */
    (void)hypercall(4099, 0x80f, 0x1ff);             /* enable */
    (void)hypercall(4099, 0x808, 0);                 /* TPR */
}

void toy_halt_for(volatile uint32_t *count, uint32_t old)
{
    while (*count == old) {
        *toy_vif = 1;
        (void)hypercall(4105, 0, 0);
    }
}

uint64_t toy_counter(void)
{
    uint32_t lo;
    uint32_t hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

uint64_t toy_gpa_of(const void *p)
{
    uint64_t va = (uintptr_t)p;
    return va >= BOOT_KERNEL_X86 ? va - BOOT_KERNEL_X86 : va - BOOT_PHYSMAP_X86;
}

uint32_t toy_irq_number(const uint8_t *cells, uint32_t i)
{
    return cells[4 * i + 7]; /* after the configuration change; < 256 */
}

void toy_see_node(const char *compatible)
{
    (void)compatible;
}

void toy_start_cpus(uint32_t count)
{
    (void)count;
}

void toy_crash(void)
{
    __asm__ volatile("ud2"); /* no IDT */
}

void toy_off(void)
{
    toy_crash();
}

void toy_pause(void)
{
    __builtin_ia32_pause();
}
