// SPDX-License-Identifier: Apache-2.0
/* A token bucket: bytes that may pass, refilled at a rate. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct net_bucket {
    uint64_t rate;  /* bytes a second; 0: no limit */
    int64_t burst;  /* bytes it holds */
    int64_t tokens; /* bytes; negative: to be paid back */
    uint64_t last_ns;
};

/* Full, at `now_ns` (CLOCK_MONOTONIC). */
void net_bucket_init(struct net_bucket *b, uint64_t bits_per_second,
                     uint64_t now_ns);
/* May something pass now? Anything may, however long, once there is a token. */
bool net_bucket_open(struct net_bucket *b, uint64_t now_ns);
void net_bucket_take(struct net_bucket *b, uint64_t bytes);
/* Nanoseconds until it is open again, at least 1. */
uint64_t net_bucket_wait(const struct net_bucket *b);
