// SPDX-License-Identifier: Apache-2.0
/* The monitor's jail (docs/security.md). A layer that the surroundings forbid
 * is logged by name and left out; it never stops the VM. */
#pragma once

struct err;
struct vm_config;

/* Close every fd the configuration does not name. Call first. Returns one more
 * than the highest fd left. */
unsigned sandbox_close_fds(const struct vm_config *c);

/*
 * Own namespaces, an empty read-only root, no capabilities, no_new_privs,
 * lower limits (`fds` from sandbox_close_fds()). Call once, single-threaded;
 * afterwards no path can be opened.
 */
void sandbox_enter(unsigned fds);

enum sandbox_list {
    SANDBOX_DEVICE, /* the event loop */
    SANDBOX_VCPU,   /* KVM_RUN and little else */
};

/* Allow the calling thread only the calls of `list`, for ever; any other call
 * kills the process. */
int sandbox_lock(enum sandbox_list list, struct err *e);

/* Write the calls of every list to `fd`, one `list call` per line. */
void sandbox_print(int fd);
