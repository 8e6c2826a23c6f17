// SPDX-License-Identifier: Apache-2.0
/* The monitor's host side for a guest under QEMU: output, input, frames. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/ctl.h"

#include "base/klog.h"
#include "supervisor/instance.h"

enum { EMUHOST_CLIENTS = 16, EMUHOST_CHUNK = 4096 };

/* fds owned by the process; -1 where there is none. */
struct emuhost {
    int stdin_fd, stdout_fd, stderr_fd, log_fd;
    int listen_fd, exit_fd;
    int qemu;  /* pidfd */
    int debug; /* our end of the kernel's debug port */
    struct klog klog;
    int ports[BOOT_PORT_COUNT];   /* our ends of the guest's ports */
    int clients[EMUHOST_CLIENTS]; /* SOCK_SEQPACKET */
    unsigned notices;             /* passed on so far, to CTL_NOTICES_MAX */
    uint64_t stdin_bytes;         /* sent on port 0 */
    uint8_t frame[CTL_FRAME_MAX]; /* from the guest, being collected */
    size_t frame_size;
};

/* Until the guest ends, QEMU ends or SIGTERM comes. 0 if the guest told how
 * it ended, else -EPIPE; the record is written, the clients are told. */
int emuhost_run(struct emuhost *m);

/* Write the record and tell all clients. `why` may be NULL: x->msg then. */
void emuhost_end(const struct emuhost *m, const struct instance_exit *x,
                 const char *why);
