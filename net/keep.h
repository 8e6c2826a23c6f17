// SPDX-License-Identifier: Apache-2.0
/*
 * The keeper, `limpet-net`: one process per store and network namespace while
 * VMs run there. It holds the sockets of published ports, and takes back
 * what VMs leave. The launcher tells it about each new interface;
 * nothing but the leases is state, so a killed keeper is replaced by the next.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/lease.h"

struct bridge_host;
struct err;
struct store;

enum { KEEP_FDS = 128 }; /* sockets in one message */

/* Launcher to keeper, with `count` sockets. The keeper answers a byte, enum
 * keep_answer, to the one with `last`. */
struct keep_msg {
    /* Of a lease that is written; "": look again, and close the fd that may
     * come along once the sockets of those who have gone are closed. */
    char key[LEASE_KEY_SIZE];
    uint8_t last;
    uint8_t refilled; /* the tables are new: what is the keeper's is missing */
    uint16_t count;
    struct keep_socket {
        uint16_t port; /* index in the lease's ports */
        uint16_t v6;   /* which of its two sockets */
    } at[KEEP_FDS];
};

enum keep_answer {
    KEEP_DONE,
    KEEP_NAMES, /* and its network has a resolver */
};

/* Under the store's lock: a connection to the keeper. Without one, sweeps what
 * a crash or a reboot left, and starts libexec/limpet-net. */
int keep_connect(struct bridge_host *h, const char *libexec, struct err *e);

/* Hand over fds[2 * i] and fds[2 * i + 1], the sockets of port i (-1: none);
 * they stay the caller's. Waits for the keeper if `wait`: enum keep_answer. */
struct keep_add {
    const struct lease *lease;
    const int *fds;
    bool wait, refilled;
};
int keep_add(int fd, const struct keep_add *a, struct err *e);

/* Leases have gone: waits, for some seconds at most, until their ports are
 * closed. */
void keep_forget(int fd);

/* The keeper's whole life: `listener` and `root` are inherited fds. Returns
 * the exit code of the program. */
int keeper_main(int listener, int root);
