// SPDX-License-Identifier: Apache-2.0
/* getrusage(2) for its callers. */
#pragma once

#include "abi/linux/proc.h"

struct process;

enum rusage_who {
    RUSAGE_SELF = 0,      /* the process */
    RUSAGE_CHILDREN = -1, /* those it has waited for */
    RUSAGE_BOTH = -2,     /* what wait4(2) tells of a child */
    RUSAGE_THREAD = 1,    /* the current thread */
};

void rusage_of(struct process *p, enum rusage_who who, struct lx_rusage *out);
