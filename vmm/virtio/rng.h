// SPDX-License-Identifier: Apache-2.0
/* The entropy device: getrandom(2) of the host. */
#pragma once

#include "vmm/virtio/virtio.h"

struct virtio_rng {
    struct virtio_dev vd; /* first member */
};

void virtio_rng_init(struct virtio_rng *r);
