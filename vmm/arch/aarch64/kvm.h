// SPDX-License-Identifier: Apache-2.0
/* Private to arch/aarch64. */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>

#include "vmm/arch/kvm.h"

struct arch_vm;
struct err;

/* Create and reset every vCPU: CPU 0 ready to run, the others off until PSCI
 * CPU_ON. Before the GIC is started, which fixes their number. */
int cpus_create(struct arch_vm *vm, struct err *e);
