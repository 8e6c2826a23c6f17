// SPDX-License-Identifier: Apache-2.0
/* The JSON configuration of limpet-vmm (docs/vmm.md). */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct network;
struct network_options;
struct process;

/* fds borrowed; -1 where there is none. */
struct config {
    const char *name;
    int kvm_fd, kernel_fd, symbols_fd;
    bool stock; /* kernel_fd is a stock Linux, with these: */
    int initrd_fd;
    const char *cmdline; /* NULL: nothing to add */
    uint64_t memory;     /* bytes, multiple of 2 MiB */
    unsigned vcpus;
    const int *image_fds;
    size_t image_count;
    int stdin_fd, stdout_fd, stderr_fd, log_fd;
    int client_fd, listen_fd, lock_fd, exit_fd, vmm_log_fd, phases_fd;
    int cpuid_cache_fd;
    bool tty, stdin_open, report_start;
    unsigned rows, cols;
    const struct process *process;
    const struct network *network; /* may be empty */
    const struct network_options *options;
    const char *hostname;
};

/* As text in a new memfd, at offset 0. Returns the fd or a negative errno. */
int config_write(const struct config *c, struct err *e);
