// SPDX-License-Identifier: Apache-2.0
/* What this host says about itself: device tree, DMI, CPU, memory, KVM. */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct err;

/* What a profile's rules are compared with (docs/boards.md). */
struct board_ids {
    json_t *compatible; /* array of strings, most exact first */
    json_t *dmi;        /* object: "product_name" -> string ... */
    json_t *cpu;        /* object: "vendor", "family", "model", "name" ... */
};

struct board_probe {
    json_t *facts;    /* a set (supervisor/board_fact.h) */
    json_t *warnings; /* array of strings */
    struct board_ids ids;
};

/* -ENOMEM. fini takes a failed one too. */
int board_probe_init(struct board_probe *p, struct err *e);
void board_probe_fini(struct board_probe *p);

/* This machine, with files below `sysroot` ("" outside tests); KVM is the
 * device `kvm`, NULL: do not ask it. A file that is missing is no error. */
int board_probe_host(struct board_probe *p, const char *sysroot,
                     const char *kvm, struct err *e);

/* Another machine, by its device tree file. */
int board_probe_file(struct board_probe *p, const char *path, struct err *e);

/* A line "key : value" of a text as /proc/cpuinfo has them: the value's first
 * 255 bytes, or "" if there is none. */
void board_line(const char *text, const char *key, char out[256]);

/* A small text file below `sysroot`, without the newline at its end. Returns
 * a string to free(), or NULL. */
char *board_read_text(const char *sysroot, const char *path);
