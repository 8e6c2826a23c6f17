// SPDX-License-Identifier: Apache-2.0
/* Byte streams over virtio-console ports (abi/ctl.h: enum boot_port). */
#pragma once

#include "abi/ctl.h"

#include "guest/core/types.h"
#include "guest/core/wait.h"

/* Output: queue bytes, returns how many were taken (0: full, wait on
 * console_out_waitq). Any context. A port that does not exist takes and
 * forgets everything. */
size_t console_write(enum boot_port port, const void *data, size_t n);
/* Both, one after the other, or nothing: 0, or -EAGAIN. Any context. */
int console_write_frame(enum boot_port port, const void *head, size_t head_size,
                        const void *data, size_t n);
/* 0: full, and an interrupt was asked for. */
size_t console_room(enum boot_port port);
size_t console_queued(enum boot_port port); /* bytes not yet taken */
struct waitq *console_out_waitq(enum boot_port port);
/* The same without a copy, for one writer at a time: contiguous room at *at
 * (0: full), then how much of it was filled. */
size_t console_reserve(enum boot_port port, char **at);
void console_commit(enum boot_port port, size_t n);

/* Input, one reader at a time: bytes there are now, at *at until skipped. 0:
 * none, and an interrupt was asked for. */
size_t console_peek(enum boot_port port, const char **at);
void console_skip(enum boot_port port, size_t n);
/* Input: bytes available now, 0 none. Any context. */
size_t console_read(enum boot_port port, void *to, size_t n);
bool console_eof(enum boot_port port); /* and no byte is left */
/* No byte comes after the first `count` ones. */
void console_set_eof(enum boot_port port, uint64_t count);
struct waitq *console_in_waitq(enum boot_port port);
/* In interrupt context, instead of waking, when bytes came. */
void console_set_input(enum boot_port port, void (*fn)(void));

/* Before first use: buffers. 0 or -ENOMEM. Any context, may be repeated. */
int console_prepare_out(enum boot_port port);
int console_prepare_in(enum boot_port port);

/* Wait (polling if need be) until all output was taken by the monitor. */
void console_drain(void);
/* Frames on BOOT_PORT_CTL. 0, or -EAGAIN when there is no room for all of it.
 * Any context. */
int ctl_send(uint32_t type, const void *payload, uint32_t size);
/* Start: sink for klog, handler for CTL_SIGNAL, CTL_WINSIZE, CTL_STDIN_EOF. */
void ctl_init(void);
/* CTL_WINSIZE goes to fn, interrupt context. */
void ctl_set_winsize(void (*fn)(uint16_t rows, uint16_t cols));
