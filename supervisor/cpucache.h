// SPDX-License-Identifier: Apache-2.0
/*
 * What KVM says about this host's CPU, kept in ROOT/cache so that a monitor
 * need not ask (0.3 ms). The name is the host kernel's release, the kind of KVM
 * and its device node; the monitor checks the CPU and that the file is whole.
 */
#pragma once

#include <sys/types.h>

struct host;
struct state;

enum { CPUCACHE_NAME_SIZE = 64 };

/* The file for `kvm`, or -1. name is "" where there can be none. */
int cpucache_open(const struct state *s, int kvm,
                  char name[CPUCACHE_NAME_SIZE]);

/* Make the file called `name` by limpet-vmm and drop those of other kernels.
 * Any number of writers: it appears whole. Failure is silent: no cache. */
void cpucache_fill(const struct host *h, const struct state *s, int kvm,
                   const char *name);
