// SPDX-License-Identifier: Apache-2.0
/*
 * Control frames between guest, monitor and clients (abi/ctl.h). The guest's
 * side is a byte stream, each client is a SOCK_SEQPACKET socket. Device
 * thread only.
 */
#pragma once

#include "abi/ctl.h"

#include "vmm/loop.h"
#include "vmm/virtio/console.h"

struct ctl;
struct ctl_client;
struct err;
struct report;

enum { CTL_CLIENTS_MAX = 16 };

/* What the VM does about frames of the guest. */
struct ctl_ops {
    /* CTL_EXIT, checked. */
    void (*exited)(struct ctl *c, const struct report *r);
    /* CTL_LOG: text of the guest's kernel, hostile. */
    void (*logged)(struct ctl *c, const char *text, size_t size);
    /* Some output was written, or none is left. */
    void (*written)(struct ctl *c);
    /* CTL_NET_ADD or CTL_NET_REMOVE of a client: takes `fd` (-1: none). NULL:
     * there is nothing of the kind. */
    void (*net_asked)(struct ctl *c, const struct ctl_client *from,
                      const struct ctl_header *h, int fd);
    /* CTL_NET_DONE of the guest: any bytes. */
    void (*net_done)(struct ctl *c, const void *payload, size_t size);
    /* Nobody is to be answered there any more. */
    void (*gone)(struct ctl *c, const struct ctl_client *client);
};

struct ctl_client {
    struct loop_source source; /* first member */
    struct ctl *ctl;
    bool used;
};

struct ctl {
    struct console_peer peer; /* first member */
    const struct ctl_ops *ops;
    struct loop *loop;
    struct virtio_console *console;
    struct ctl_client client[CTL_CLIENTS_MAX];
    struct ctl_client listener; /* `used`: there is one */
    uint8_t in[CTL_FRAME_MAX];  /* a frame of the guest, so far */
    size_t in_size;
    unsigned notices; /* passed on so far, to CTL_NOTICES_MAX */
    bool deaf;        /* the guest broke the framing: nothing more is read */
};

void ctl_init(struct ctl *c, struct loop *l, const struct ctl_ops *ops,
              struct virtio_console *console);

/* Serve a client and a listening socket; -1: none. Both are borrowed. */
int ctl_attach(struct ctl *c, int client_fd, int listen_fd, struct err *e);

/* Queue a frame for the guest; false: it has not read those before. */
bool ctl_tell(struct ctl *c, const void *frame, size_t size);
/* Send one message to a client, if it can take it. */
void ctl_answer(const struct ctl_client *to, const void *frame, size_t size);
/* Send one message to all clients; a client that cannot take it misses it. */
void ctl_broadcast(struct ctl *c, const void *frame, size_t size);
