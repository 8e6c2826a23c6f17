// SPDX-License-Identifier: Apache-2.0
/* The same guest under plain QEMU, for machines without KVM. */
#pragma once

#include <sys/types.h>

struct config;
struct err;
struct host;
struct imagespec;

/*
 * Start a process of ours that runs QEMU and plays the monitor's part towards
 * the launcher: the same files, the same frames, the same record. Says on
 * stderr that it emulates. Arguments and result as spawn_function().
 */
pid_t emulate_start(const struct host *h, const struct config *c,
                    const struct imagespec *image, const char **missing,
                    struct err *e);
