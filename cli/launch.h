// SPDX-License-Identifier: Apache-2.0
/* From the options of `limpet run` to a running monitor. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/cpucache.h"
#include "supervisor/host.h"
#include "supervisor/imagespec.h"
#include "supervisor/network.h"
#include "supervisor/process.h"
#include "supervisor/state.h"

struct err;
struct run_opts;

/* fds owned, -1 if not open. */
struct launch {
    struct host host;
    struct state state;
    struct imagespec image;
    struct process process;
    struct network network;
    struct state_vm vm;
    int kvm, kernel, symbols, initrd, phases, null, cpuid;
    int client;               /* our end of the control channel */
    int monitor_client;       /* the monitor's */
    int stdout_fd, stderr_fd; /* the monitor's */
    int stdin_fd;   /* the monitor's stdin; 0 when it reads ours itself */
    int stdin_pump; /* write end, when we read the terminal for it */
    unsigned rows, cols;
    uint64_t memory; /* bytes */
    unsigned vcpus;
    struct network_options net; /* ports owned */
    char hostname[64];
    char hex[65]; /* of the image */
    pid_t pid;    /* the monitor, our child */
    char cpuid_name[CPUCACHE_NAME_SIZE];
    bool kvm_refused; /* why launch_start() failed */
};

/*
 * Everything up to the running monitor. On failure nothing is left behind and
 * *e says why; an empty message means that limpet-image has said it already.
 */
int launch_start(struct launch *l, const struct run_opts *o, struct err *e);
void launch_fini(struct launch *l);

/* One "name nanoseconds" line for the benchmark, if it asked for them. */
void launch_mark(const struct launch *l, const char *phase);
