// SPDX-License-Identifier: Apache-2.0
/* Signals when a file becomes ready: O_ASYNC, F_SETOWN, F_SETSIG of fcntl(2).
 * Pipes, terminals and sockets have them. */
#pragma once

#include "guest/core/types.h"

struct file;

enum fasync_owner { FASYNC_TID, FASYNC_PID, FASYNC_PGRP }; /* F_OWNER_* */

struct fasync_to {      /* struct file.owner */
    int32_t type, pid;  /* enum fasync_owner; 0: nobody */
    uint32_t uid, euid; /* of who said so */
    int32_t signo;      /* F_SETSIG; 0: SIGIO without details */
};

/* Who gets them: 0, -ESRCH, -EINVAL. */
int fasync_set_owner(struct file *f, int32_t type, int32_t pid);
/* O_ASYNC is now so; `fd` is what the signal tells. 0 or -ENOMEM. */
int fasync_set(struct file *f, int fd, bool on);
void fasync_release(struct file *f); /* file_put, last reference */
