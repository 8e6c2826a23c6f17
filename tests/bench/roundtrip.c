// SPDX-License-Identifier: Apache-2.0
/* Null system call round trip, the same static program natively and in a VM:
 * prints the median of 31 batches of getppid(2), nanoseconds per call. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BATCHES = 31, CALLS = 20000 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    double ns[BATCHES];
    for (int b = 0; b < BATCHES; b++) {
        struct timespec from, to;
        (void)clock_gettime(CLOCK_MONOTONIC, &from);
        for (int i = 0; i < CALLS; i++)
            (void)syscall(SYS_getppid);
        (void)clock_gettime(CLOCK_MONOTONIC, &to);
        ns[b] = ((double)(to.tv_sec - from.tv_sec) * 1e9 +
                 (double)(to.tv_nsec - from.tv_nsec)) /
                CALLS;
    }
    qsort(ns, BATCHES, sizeof(ns[0]), compare);
    printf("%.1f\n", ns[BATCHES / 2]);
    return 0;
}
