// SPDX-License-Identifier: Apache-2.0
/* The entropy device. Virtio 1.2, section 5.4. */
#include "vmm/virtio/rng.h"

#include <string.h>
#include <sys/random.h>

#include "abi/virtio_mmio.h"

#define RNG_BUDGET 8   /* requests before other sources get a turn */
#define RNG_CHUNK  256 /* bytes per request; getrandom never blocks for it */

static void rng_notify(struct virtio_dev *vd, uint16_t qi)
{
    struct virtq *q = &vd->queue[qi];
    struct virtq_chain c;
    int budget = RNG_BUDGET;
    while (budget-- > 0) {
        int got = virtq_pop(q, &c);
        if (got < 0)
            virtio_fail(vd, qi);
        if (got < 0 || (got == 0 && !virtq_arm(q)))
            break;
        if (got == 0)
            continue;
        uint8_t bytes[RNG_CHUNK];
        ssize_t n = getrandom(bytes, sizeof(bytes), 0);
        size_t put = virtq_copy_in(&c, 0, bytes, n < 0 ? 0 : (size_t)n);
        explicit_bzero(bytes, sizeof(bytes));
        virtq_push(q, &c, (uint32_t)put);
    }
    if (budget < 0)
        virtio_kick(vd, qi);
    virtio_signal(vd, qi);
}

static void rng_start(struct virtio_dev *vd)
{
    (void)virtq_arm(&vd->queue[0]);
}

static void rng_stop(struct virtio_dev *vd)
{
    (void)vd;
}

void virtio_rng_init(struct virtio_rng *r)
{
    static const struct virtio_ops ops = {
        .name = "rng",
        .type = VIRTIO_ID_RNG,
        .queue_count = 1,
        .queue_size = 8,
        .start = rng_start,
        .notify = rng_notify,
        .stop = rng_stop,
    };
    memset(r, 0, sizeof(*r));
    r->vd.ops = &ops;
    r->vd.features = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX;
}
