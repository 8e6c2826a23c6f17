// SPDX-License-Identifier: Apache-2.0
/*
 * The first process of a stock Linux guest: it does with Linux's system calls
 * what guest/core/container.c does inside our own kernel, from the same record
 * (abi/boot.h) and with the same frames (abi/ctl.h). Plain C over libc.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/boot.h"
#include "abi/ctl.h"

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the record of the container (record.c) ---- */

struct record {
    struct boot_container head;
    char **argv; /* NULL-terminated, into the file */
    char **envv;
    const char *cwd;
    const char *hostname;
    const struct boot_file *files;
    const char *file_data; /* path, data, path, data ... */
    const char *end;
};

/* Read /limpet/container. Ends the VM when it is not a record. */
void record_read(struct record *r);
/* Write its files below /. */
void record_write_files(const struct record *r);

/* ---- modules, devices, file systems (system.c) ---- */

/* /proc, /sys, /dev of init itself. */
void system_mount_own(void);
void system_load_modules(void);
/* Open the console's ports; wait for them. */
void system_open_ports(void);
/* Make the container's root and enter it. */
void system_enter_root(void);
/* `out` gets an absolute directory, made if it is not there. */
int system_make_dirs(const char *path);

/* Ports of the console, non-blocking; -1: not open yet. */
extern int ports[BOOT_PORT_COUNT];

/* How often the kernel has killed something for lack of memory. */
uint64_t system_oom_kills(void);

/* ---- the program (program.c) ---- */

/* Our ends; -1: none. With a terminal `in` and `out` are its master. */
struct program {
    pid_t pid;
    int in;
    int out;
    int err;
};

/* Start it. Ends the VM with CTL_NOEXEC when that fails. */
void program_start(const struct record *r, struct program *p);

/* ---- until it ends (relay.c) ---- */

/* Move bytes and frames until the program has ended and all of its output is
 * in the ports. Returns its wait status. */
int relay_run(const struct record *r, struct program *p);

/* ---- the end (main.c) ---- */

/* Report, power off. `what` may be NULL. */
_Noreturn void stock_exit(enum ctl_exit_kind kind, uint32_t code,
                          const char *what);
/* CTL_PANIC with "what: errno's text". */
_Noreturn void stock_fail(const char *what);
