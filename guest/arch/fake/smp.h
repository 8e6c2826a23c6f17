// SPDX-License-Identifier: Apache-2.0
/* Between fake.c and smp.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cpu;

extern bool fake_smp;
struct cpu *fake_smp_cpu(void);
void fake_smp_halt(void);
void fake_smp_kick(uint32_t cpu);
void fake_smp_timer(uint64_t deadline);
uint64_t fake_smp_clock(void);
