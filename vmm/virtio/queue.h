// SPDX-License-Identifier: Apache-2.0
/*
 * Device side of a split virtqueue (virtio 1.2, 2.7): guest rings in, bounded
 * and copied descriptor chains out. The rings live in guest memory, so every
 * value read from them is hostile and read exactly once. Device thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "abi/virtio_ring.h"

struct gmem;

enum { VIRTQ_SIZE_MAX = 256, VIRTQ_IOV_MAX = 130 };

/* Where the driver put a queue. */
struct virtq_place {
    uint64_t desc; /* guest-physical */
    uint64_t avail;
    uint64_t used;
    uint16_t size; /* descriptors, a power of two */
};

struct virtq {
    const struct gmem *mem;
    struct virtq_place place;
    bool ready;
    bool event_idx;
    bool broken;             /* the driver broke the rules: stopped */
    struct virtq_desc *desc; /* into guest memory, valid while ready */
    struct virtq_avail *avail;
    struct virtq_used *used;
    uint16_t last_avail; /* next entry to take */
    uint16_t used_idx;   /* ours; never read back from the guest */
    uint16_t signalled;  /* used_idx at the last interrupt decision */
};

/* One request: iov[0..out) the device reads, iov[out..out+in) it writes. */
struct virtq_chain {
    uint16_t head;
    uint16_t out;
    uint16_t in;
    uint64_t out_size; /* bytes */
    uint64_t in_size;
    struct iovec iov[VIRTQ_IOV_MAX]; /* pointers into guest memory */
};

/* Start using the rings at q->place; -EINVAL if they are not all RAM, or the
 * size or an alignment is wrong. */
int virtq_start(struct virtq *q, const struct gmem *m, bool event_idx);
void virtq_stop(struct virtq *q);

/*
 * Take the next chain: 1, or 0 when there is none, or -EPROTO when the driver
 * broke the rules; then the queue is `broken` and gives nothing more.
 */
int virtq_pop(struct virtq *q, struct virtq_chain *c);

/* Chains that virtq_pop() could take now. */
uint16_t virtq_waiting(const struct virtq *q);

/* Give a chain back, `written` bytes of it filled. */
void virtq_push(struct virtq *q, const struct virtq_chain *c, uint32_t written);

/* The same in two steps: the driver sees all that was staged at once, when it
 * is published. `head` is of a chain that was popped. */
void virtq_stage(struct virtq *q, uint16_t head, uint32_t written);
void virtq_publish(struct virtq *q);

/* Ask for a doorbell at the next buffer. Returns whether one is already there
 * (then take it; a doorbell may not come). */
bool virtq_arm(struct virtq *q);

/* Whether the driver wants an interrupt for what was pushed since the last
 * call. */
bool virtq_should_signal(struct virtq *q);

/* Copy between a chain's segments and `buf`: the readable ones from byte
 * `off`; the writable ones. Returns the bytes copied, at most `len`. */
size_t virtq_copy_out(const struct virtq_chain *c, uint64_t off, void *buf,
                      size_t len);
size_t virtq_copy_in(const struct virtq_chain *c, uint64_t off, const void *buf,
                     size_t len);

/* The segments that hold bytes [off, off + len) of `iov`; returns how many
 * were put in `out` (at most `max`). */
unsigned virtq_slice(const struct iovec *iov, unsigned count, uint64_t off,
                     uint64_t len, struct iovec *out, unsigned max);
