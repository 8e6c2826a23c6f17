// SPDX-License-Identifier: Apache-2.0
/* Files that are events: eventfd(2), timerfd_create(2), signalfd(2). */
#pragma once

#include "guest/core/types.h"

struct file;
struct file_ops;
struct lx_itimerspec;

/* An anonymous stream file with `data`, which stays the caller's on failure. */
int event_file_new(const struct file_ops *ops, const char *kind, uint32_t flags,
                   void *data, struct file **out);

int eventfd_new(uint64_t count, uint32_t flags, struct file **out);
bool eventfd_count(const struct file *f, uint64_t *count); /* fdinfo */

int timerfd_new(int clock, uint32_t flags, struct file **out);
/* -EINVAL if `f` is not one. */
int timerfd_set(struct file *f, uint32_t flags, const struct lx_itimerspec *to,
                struct lx_itimerspec *old);
int timerfd_get(struct file *f, struct lx_itimerspec *now);

int signalfd_new(uint64_t mask, uint32_t flags, struct file **out);
int signalfd_set(struct file *f, uint64_t mask); /* -EINVAL: not one */
bool signalfd_mask(const struct file *f, uint64_t *mask);
