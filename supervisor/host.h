// SPDX-License-Identifier: Apache-2.0
/* Facts about this host: architecture, sizes, where our programs are. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct err;

struct host {
    const char *arch;       /* as OCI writes it: "amd64" */
    const char *kernel;     /* file name of the guest kernel */
    const char *boot;       /* the same in the form that QEMU starts */
    const char *qemu;       /* the emulator we know how to drive */
    char libexec[PATH_MAX]; /* where limpet-vmm and the kernel are */
};

/* LIMPET_LIBEXEC, else ../libexec/limpet from the directory of the running
 * program, else that directory. */
int host_init(struct host *h, struct err *e);

/* Choose the guests' architecture: `platform` is linux/ARCH, or "linux" or NULL
 * for the host's own. Another than the host's only under emulation. */
int host_set_platform(struct host *h, const char *platform, bool emulate,
                      struct err *e);

/* Open a file of libexec read-only. Returns the fd or a negative errno. */
int host_open(const struct host *h, const char *name, struct err *e);

uint64_t host_memory(void); /* default of -m: bytes, multiple of 2 MiB */
unsigned host_vcpus(void);  /* default of --vcpus */
/* How many our kernel can have under QEMU: it drives no second one on x86. */
unsigned host_emulated_vcpus(const struct host *h);

/* The store's root: `option` (may be NULL), LIMPET_ROOT, or the default. */
int host_root(const char *option, char out[PATH_MAX], struct err *e);
