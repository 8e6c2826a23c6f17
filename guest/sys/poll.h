// SPDX-License-Identifier: Apache-2.0
/* Timeouts of poll, select, epoll as deadlines. */
#pragma once

#include "guest/core/types.h"

/* Of a struct timespec in user memory; NULL: never. 0: at once. -EFAULT,
 * -EINVAL. */
int deadline_from_timespec(uptr_t at, nsec_t *deadline);
nsec_t deadline_from_ms(int64_t ms); /* negative: never */
/* A temporary signal mask from user memory (NULL: none), and its end when the
 * call was not cut short by a signal. */
int temp_mask_begin(uptr_t set, uint64_t size);
void temp_mask_end(uptr_t set, int64_t result);
