// SPDX-License-Identifier: Apache-2.0
/* Ring 0 helpers shared by the KVM and QEMU platforms. */
#pragma once

#include "guest/core/types.h"

struct arch_aspace;

void ring0_msr_write(uint32_t msr, uint64_t value);
void ring0_root_load(paddr_t root);
void ring0_flush(struct arch_aspace *as, uint64_t start, uint64_t end);
void ring0_halt(void);
