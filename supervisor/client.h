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

/*
 * Read one message. 1: it was CTL_EXIT, in *out; 0: something else, ignored;
 * -EPIPE: the monitor is gone; -EPROTO: it sent nonsense.
 */
int client_read_exit(int fd, struct instance_exit *out, struct err *e);

/* The same until CTL_EXIT; -ETIMEDOUT after timeout_ms (-1: never). */
int client_wait_exit(int fd, int timeout_ms, struct instance_exit *out,
                     struct err *e);
