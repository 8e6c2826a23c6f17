// SPDX-License-Identifier: Apache-2.0
/* Toy guest: what its portable part and its processor's part ask of each
 * other. */
#pragma once

#include <stdint.h>

#include "abi/boot.h"

/* Guest-physical address 0 as a pointer; defined by the processor's part. */
extern const uint64_t toy_physmap;

#define PHYS(gpa) ((void *)(uintptr_t)(toy_physmap + (gpa)))

/* Interrupts taken, by number as toy_irq_number() gives it. */
extern volatile uint32_t toy_interrupts[256];
extern struct boot_info *toy_boot;

/* ---- the processor's part ---- */

uint64_t toy_counter(void);
uint64_t toy_gpa_of(const void *p);

/* Queue `i`'s interrupt from the `interrupts` cells of the FDT. */
uint32_t toy_irq_number(const uint8_t *cells, uint32_t i);

/* A node of the tree with this `compatible`. */
void toy_see_node(const char *compatible);

/* Take interrupts `irq` from now on. */
void toy_interrupts_on(uint32_t irq);

/* Sleep until *count is no longer `old`. */
void toy_halt_for(volatile uint32_t *count, uint32_t old);

/* Make CPUs 1..count-1 enter toy_main(), if they do not by themselves. */
void toy_start_cpus(uint32_t count);

/* Die as a kernel without exception handlers does; or switch off. */
void toy_crash(void);
void toy_off(void);

/* ---- the portable part ---- */

void toy_main(struct boot_info *info, uint64_t cpu);
/* "text [<16 digits>]", as the monitor wants addresses. */
void toy_say_at(const char *s, uint64_t v);
__attribute__((noreturn)) void toy_leave(uint32_t kind, uint32_t code);
void toy_pause(void);
