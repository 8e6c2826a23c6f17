// SPDX-License-Identifier: Apache-2.0
/* The command line and the files of an emulated VM. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/ctl.h"

#include "net/net.h"

struct err;
struct host;
struct imagespec;

struct qemu {
    char path[4096]; /* of the emulator */
    bool arm;        /* -M virt instead of -M microvm */
    uint64_t memory; /* bytes */
    unsigned cpus;
    int kernel; /* fds, borrowed */
    int blob;
    int disk;                   /* VMDK descriptor */
    int log;                    /* its own messages */
    int debug;                  /* stream socket, the guest's debug port */
    int ports[BOOT_PORT_COUNT]; /* stream sockets, one per port */
    unsigned net_count;
    struct net_iface net[NET_IFACES_MAX]; /* fds borrowed */
};

/* Find the emulator in PATH. -ENOENT with what to install. */
int qemu_find(const struct host *h, char out[4096], struct err *e);

/* A VMDK descriptor in a memfd that shows the image's files one after another
 * as one disk. Returns the fd. */
int qemu_make_disk(const struct imagespec *image, struct err *e);

/* Start it; the fds above are passed on. Its pid, or a negative errno. */
pid_t qemu_spawn(const struct qemu *q);
