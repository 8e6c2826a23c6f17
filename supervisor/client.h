// SPDX-License-Identifier: Apache-2.0
/* Control frames to and from a monitor (abi/ctl.h), one per message. */
#pragma once

#include <stdint.h>

struct err;
struct instance_exit;

/* Connect to the ctl.sock in `dir`. fd, or -ECONNREFUSED / -ENOENT. */
int client_connect(int dir, struct err *e);

int client_send_signal(int fd, unsigned signo);
int client_send_winsize(int fd, unsigned rows, unsigned cols);

struct ctl_net;
/*
 * CTL_NET_ADD with the fd of a tap, or CTL_NET_REMOVE (fd -1), and what became
 * of it: 0 or the error that monitor or guest said; -ETIMEDOUT, -EPIPE: the VM
 * has ended.
 */
int client_net(int fd, uint32_t type, const struct ctl_net *m, int tap,
               int timeout_ms);

/* What client_read() got. */
enum client_event {
    CLIENT_NOTHING, /* or what we do not know: ignored */
    CLIENT_EXIT,    /* the VM ended: *out */
    CLIENT_STARTED, /* the main program runs */
    CLIENT_KILLED,  /* out->msg names a process killed for memory */
};

/*
 * Read one message: an enum client_event, -EPIPE: the monitor is gone, or
 * -EPROTO: it sent nonsense.
 */
int client_read(int fd, struct instance_exit *out, struct err *e);

/* The same until CTL_EXIT; -ETIMEDOUT after timeout_ms (-1: never). */
int client_wait_exit(int fd, int timeout_ms, struct instance_exit *out,
                     struct err *e);
