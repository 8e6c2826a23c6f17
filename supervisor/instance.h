// SPDX-License-Identifier: Apache-2.0
/* What a container is, told from facts anyone can read (docs/state.md). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/ctl.h"

struct err;

#define INSTANCE_STATES(X) X(CREATED) X(RUNNING) X(EXITED) X(DEAD)

enum instance_state {
    INSTANCE_NONE, /* never a result */
#define X(n) INSTANCE_##n,
    INSTANCE_STATES(X)
#undef X
};

struct instance_facts {
    bool started;  /* exit.json exists */
    bool locked;   /* the monitor, or its launcher, is alive */
    bool recorded; /* exit.json holds a record */
};

/* The whole policy: total and free of side effects. */
enum instance_state instance_state_of(struct instance_facts f);

/* Lower-case word, as docker's State. */
const char *instance_state_name(enum instance_state s);

/* How a VM ended: struct ctl_exit, or exit.json, checked. */
struct instance_exit {
    uint32_t kind; /* enum ctl_exit_kind */
    uint32_t code;
    char msg[CTL_MSG_MAX + 1]; /* printable text, NUL-terminated */
};

/* Exit code of `limpet run`: the program's, 128 + signal, or 125 to 127. */
int instance_exit_status(const struct instance_exit *x);

/* out->msg from text of the guest: bounded, nothing that steers a terminal. */
void instance_copy_msg(struct instance_exit *out, const char *text,
                       size_t size);

/* One CTL_EXIT payload; `size` is what arrived. -EPROTO if it is not one. */
int instance_exit_decode(const void *payload, size_t size,
                         struct instance_exit *out, struct err *e);

/* First line of exit.json. */
int instance_exit_parse(const char *text, size_t size,
                        struct instance_exit *out, struct err *e);

/* Name of an enum ctl_exit_kind as in exit.json; "unknown" beyond it. */
const char *instance_kind_name(uint32_t kind);
