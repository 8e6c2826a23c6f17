// SPDX-License-Identifier: Apache-2.0
/* How the VM ended: the exit record and the CTL_EXIT frame. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/ctl.h"

enum { REPORT_JSON_MAX = 2048 };

struct report {
    struct ctl_exit exit; /* msg_size counts `message` */
    char message[CTL_MSG_MAX + 1];
};

/* A report of ours: the VM died with `code` because of `why`. */
void report_monitor(struct report *r, uint32_t code, const char *why);

/* The guest kernel panicked: `line` of its log says why (hostile). */
void report_panic(struct report *r, uint32_t code, const char *line);

/* From the payload of a guest's CTL_EXIT (hostile). False if it is not one. */
bool report_from_guest(struct report *r, const void *payload, size_t size);

/* One line of JSON with newline; returns its size. */
size_t report_json(const struct report *r, char out[REPORT_JSON_MAX]);

/* A CTL_EXIT frame; returns its size. */
size_t report_frame(const struct report *r, uint8_t out[CTL_FRAME_MAX]);
