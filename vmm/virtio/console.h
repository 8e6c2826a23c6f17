// SPDX-License-Identifier: Apache-2.0
/*
 * The console: stdin and stdout on port 0, stderr on port 1, control frames on
 * port 2 (abi/ctl.h). Output is never dropped: while a reader is slow its
 * buffers stay taken. A driver that did the handshake itself gets nothing on a
 * port before it has opened it (Linux would drop it). Device thread only.
 */
#pragma once

#include "abi/ctl.h"

#include "vmm/crilog.h"
#include "vmm/loop.h"
#include "vmm/stream.h"
#include "vmm/virtio/virtio.h"

struct err;
struct console_peer;
struct virtio_console;

/* What the console tells the rest of the monitor. */
struct console_peer_ops {
    /* Bytes of the control port; a frame may arrive in pieces. */
    void (*bytes)(struct console_peer *p, const uint8_t *data, size_t size);
    /* stdin ended after `sent` bytes on port 0. */
    void (*stdin_eof)(struct console_peer *p, uint64_t sent);
    /* There is room again for console_send(). */
    void (*writable)(struct console_peer *p);
    /* Some output was written, or none is left. */
    void (*written)(struct console_peer *p);
};

struct console_peer {
    const struct console_peer_ops *ops;
};

struct console_streams {
    struct stream in;
    struct stream out;
    struct stream err;
    int log_fd; /* CRI log; -1: none */
};

/* One direction of one port. */
struct console_flow {
    struct loop_source source; /* first member */
    struct virtio_console *console;
    struct stream stream;
    struct crilog log;
    uint16_t queue;
    bool held;     /* `chain` is taken and not yet given back */
    bool finished; /* end of file, or the reader is gone */
    bool skipped;  /* the rest of `chain` cannot be written */
    bool warned;   /* that this happens */
    bool ending;   /* only `left` chains are still taken */
    uint16_t left;
    uint64_t done; /* bytes of `chain` already written */
    uint64_t total;
    struct virtq_chain chain;
};

struct virtio_console {
    struct virtio_dev vd; /* first member */
    struct loop *loop;
    struct console_peer *peer;
    struct console_flow in;
    struct console_flow out[2]; /* stdout, stderr */
    bool open[BOOT_PORT_COUNT]; /* by the guest */
    size_t pending_size;        /* bytes for the control port's reader */
    uint8_t pending[4 * CTL_FRAME_MAX];
    unsigned events_size;
    struct {
        uint8_t size;
        uint8_t data[32];
    } events[16]; /* messages for the control receive queue */
};

int virtio_console_init(struct virtio_console *c, struct loop *l,
                        const struct console_streams *streams,
                        struct console_peer *peer, struct err *e);

/* Queue one control frame for the guest; false when there is no room now. */
bool console_send(struct virtio_console *c, const void *frame, size_t size);

/* Take the control frames that are there, whether or not their doorbell has
 * been heard. */
void console_collect(struct virtio_console *c);

/* Take no output that the guest adds from now on. */
void console_end(struct virtio_console *c);

/* Take what the guest has put in the output queues; true when all of it has
 * been written or has nobody left to read it. */
bool console_drained(struct virtio_console *c);
