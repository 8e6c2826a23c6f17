// SPDX-License-Identifier: Apache-2.0
/* Finding our ports on a console device; private to guest/virtio. */
#pragma once

#include "abi/ctl.h"

#include "guest/virtio/virtio.h"

/* Number of the virtio port that is `boot_port`, for each; -1: not there.
 * Preset devices: as abi/ctl.h says; others: the handshake of 5.3.6.2, by
 * name. The device is started. */
int ports_find(struct virtio_device *d, int32_t ids[BOOT_PORT_COUNT]);
