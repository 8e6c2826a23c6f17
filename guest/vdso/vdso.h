// SPDX-License-Identifier: Apache-2.0
/*
 * The page that the kernel shares read-only with the vDSO in every program. It
 * lies right below the image. Only the kernel writes; all but wall_base is
 * fixed before the first program runs.
 */
#pragma once

#include "guest/core/types.h"

struct vdso_data {
    uint64_t counter_base; /* raw counter at CLOCK_MONOTONIC 0 */
    uint64_t ns_per_tick;  /* << shift; 0: ask the kernel */
    uint32_t shift;
    uint32_t pad;
    uint64_t wall_base; /* atomic: CLOCK_REALTIME - CLOCK_MONOTONIC */
};
