// SPDX-License-Identifier: Apache-2.0
/* Start and end of the kernel. */
#pragma once

#include "abi/boot.h"
#include "abi/ctl.h"

extern const struct boot_info *boot_info; /* in the physmap, read-only */

/* First C code on every CPU (arch start code), on the boot stack. */
_Noreturn void kernel_main(struct boot_info *bi, uint32_t cpu);

/* The main program ended (wait status), or could not start (errno), or was
 * killed for memory: drain the console, CTL_EXIT, power off. `msg` may be
 * NULL. */
_Noreturn void kernel_exit(enum ctl_exit_kind kind, uint32_t code,
                           const char *msg);
/* First instruction of the main program is next: takes the time stamp once. */
void kernel_mark_user(void);

/* Start container 0 as process 1 and enter it (core/container.c). */
_Noreturn void container_start(void);
