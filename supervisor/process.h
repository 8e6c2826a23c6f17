// SPDX-License-Identifier: Apache-2.0
/* The main program of a container: the image's wishes and the user's. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/user.h"

struct err;

/* What the user asked for; all borrowed, NULL where nothing was said. */
struct process_options {
    const char *entrypoint; /* replaces the image's, and drops its Cmd */
    char *const *args;      /* replace the image's Cmd */
    size_t arg_count;
    const json_t *env; /* array: "K=V" sets, "K" removes; in order */
    const char *workdir;
    const char *user;
    const char *hostname; /* never NULL */
    bool tty;
};

struct process {
    json_t *args; /* owned array of strings, not empty */
    json_t *env;  /* owned array of "K=V" */
    char cwd[4096];
    struct user user;
};

/* Combine as docker does. `image` is images/HEX.json and not trusted. */
int process_make(const json_t *image, const struct process_options *o,
                 struct process *out, struct err *e);
void process_fini(struct process *p);

/* Set ("K=V") or remove ("K") in an array of "K=V"; replaces in place. */
int process_env_set(json_t *env, const char *entry);
