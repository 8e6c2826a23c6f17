// SPDX-License-Identifier: Apache-2.0
/* LD_PRELOAD: a program that forgot to sync, for tests that must notice. */
#include <fcntl.h>
#include <unistd.h>

int fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

int sync_file_range(int fd, off64_t at, off64_t size, unsigned flags)
{
    (void)fd;
    (void)at;
    (void)size;
    (void)flags;
    return 0;
}
