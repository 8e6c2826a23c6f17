// SPDX-License-Identifier: Apache-2.0
/* Virtio console. Source: VIRTIO 1.2, section 5.3. */
#pragma once

#include "abi/abi.h"

#define VIRTIO_CONSOLE_F_SIZE      (UINT64_C(1) << 0)
#define VIRTIO_CONSOLE_F_MULTIPORT (UINT64_C(1) << 1)

/* 5.3.4 */
struct virtio_console_config {
    uint16_t cols;
    uint16_t rows;
    uint32_t max_nr_ports;
    uint32_t emerg_wr;
};

/* Queues, 5.3.2: port 0, control, then pairs from port 1. */
#define VIRTIO_CONSOLE_RXQ(port) ((port) == 0 ? 0 : 2 * (port) + 2)
#define VIRTIO_CONSOLE_TXQ(port) ((port) == 0 ? 1 : 2 * (port) + 3)
#define VIRTIO_CONSOLE_CTL_RXQ   2
#define VIRTIO_CONSOLE_CTL_TXQ   3
#define VIRTIO_CONSOLE_QUEUES(n) (2 * (n) + 2) /* n ports */

/* 5.3.6.2 */
struct virtio_console_control {
    uint32_t id;    /* port */
    uint16_t event; /* enum virtio_console_event */
    uint16_t value;
};

enum virtio_console_event {
    VIRTIO_CONSOLE_DEVICE_READY = 0,
    VIRTIO_CONSOLE_DEVICE_ADD = 1,
    VIRTIO_CONSOLE_DEVICE_REMOVE = 2,
    VIRTIO_CONSOLE_PORT_READY = 3,
    VIRTIO_CONSOLE_CONSOLE_PORT = 4,
    VIRTIO_CONSOLE_RESIZE = 5,
    VIRTIO_CONSOLE_PORT_OPEN = 6,
    VIRTIO_CONSOLE_PORT_NAME = 7, /* name follows, no NUL */
};

ABI_SIZE(struct virtio_console_config, 12);
ABI_SIZE(struct virtio_console_control, 8);
