// SPDX-License-Identifier: Apache-2.0
/* System calls of this topic: X(name). */
#pragma once

#include "guest/sys/sys.h"

/* clang-format off */
#define SYS_CALLS_MM(X) \
    X(mmap) X(munmap) X(mprotect) X(mremap) X(madvise) X(brk) X(msync) \
    X(mincore) X(mlock) X(mlock2) X(munlock) X(mlockall) X(munlockall) \
    X(shmget) X(shmat) X(shmdt) X(shmctl) \
    X(execve) X(execveat)

#define SYS_CALLS_MM_LEGACY(X)
/* clang-format on */

SYS_CALLS_MM(SYS_DECLARE)
SYS_CALLS_MM_LEGACY(SYS_DECLARE)
