// SPDX-License-Identifier: Apache-2.0
/* Benchmark milestones. */
#include "vmm/phases.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

uint64_t phases_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void phases_mark(int fd, const char *name, uint64_t ns)
{
    char line[96];
    if (fd < 0)
        return;
    int n =
        snprintf(line, sizeof(line), "%s %llu\n", name, (unsigned long long)ns);
    if (n > 0 && (size_t)n < sizeof(line)) {
        ssize_t put = write(fd, line, (size_t)n);
        (void)put; /* a benchmark's loss only */
    }
}
