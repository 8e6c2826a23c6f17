// SPDX-License-Identifier: Apache-2.0
/*
 * Network devices that come and go while the VM runs. Each has a place from the
 * start: interrupt lines and doorbells that KVM knows, registers on the bus
 * only while a device is there (a guest that looks reads all ones). So nothing
 * is asked of KVM, or of a tap, once the jail is complete. Only a client
 * changes anything; the guest's answer completes what a client asked for, no
 * more. Device thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/ctl.h"

#include "vmm/config.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/net.h"

struct bus;
struct loop;
struct plug;

struct plug_ops {
    /* A frame for the guest; false: it takes none now. */
    bool (*tell)(struct plug *p, const void *frame, size_t size);
    /* What became of it, for whoever asked; `client` is plug_ask()'s. */
    void (*answer)(struct plug *p, const void *client, int error);
};

enum plug_state {
    PLUG_FREE,     /* no device */
    PLUG_ADDING,   /* it is there, and the guest was told */
    PLUG_USED,     /* the guest has it, or has had it from its start */
    PLUG_REMOVING, /* the guest was told to give it back */
};

struct plug_slot {
    enum plug_state state;
    uint32_t serial;    /* of what the guest was told last */
    const void *client; /* who waits; NULL: nobody */
    struct virtio_net *net;
    struct virtio_mmio *dev;
    int fd; /* owned while there is a device */
};

struct plug {
    const struct plug_ops *ops;
    struct bus *bus;
    struct loop *loop;
    uint32_t serial;
    unsigned count;
    struct plug_slot slot[CONFIG_NETS_MAX];
};

/* The next place, of a device on `bus`; fd -1: a spare one, which leaves the
 * bus again. At most CONFIG_NETS_MAX. */
void plug_place(struct plug *p, struct virtio_net *net, struct virtio_mmio *dev,
                int fd);

/*
 * CTL_NET_ADD or CTL_NET_REMOVE (`type`) of `client`: the payload, checked
 * here. Takes `fd` (-1: none). Answers at once, or when the guest has.
 */
void plug_ask(struct plug *p, const void *client, uint32_t type,
              const void *payload, size_t size, int fd);
/* CTL_NET_DONE of the guest (hostile). */
void plug_done(struct plug *p, const void *payload, size_t size);
/* The client has gone: what it asked for goes on. */
void plug_forget(struct plug *p, const void *client);
