// SPDX-License-Identifier: Apache-2.0
/* One process, one VM: all that main() and tests need. */
#pragma once

#include <stdint.h>

struct vm_config;

/*
 * Enter the jail, run the VM, report how it ended to the log, exit_fd and the
 * clients. 0 when the guest sent CTL_EXIT, else a negative errno. The process
 * must then _exit() at once: vCPU threads are still there, the jail allows
 * little else, and nothing more needs to be said. `start_ns` is when main()
 * began.
 */
int vmm_run(const struct vm_config *c, uint64_t start_ns);
