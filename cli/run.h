// SPDX-License-Identifier: Apache-2.0
/* What `limpet run` was asked to do. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/network.h"

struct err;

enum { RUN_IFACE_FLAGS_MAX = 16 };

/* --ip and its like: what network_set() takes. */
struct run_iface_flag {
    const char *key, *value;
};

enum run_pull { RUN_PULL_MISSING, RUN_PULL_ALWAYS, RUN_PULL_NEVER };

/* Strings are borrowed from argv; NULL where nothing was said. */
struct run_opts {
    bool rm, interactive, tty, detach, emulate, help, quiet;
    enum run_pull pull;
    uint64_t memory; /* 0: the default */
    unsigned vcpus;  /* 0: the default */
    const char *workdir, *user, *entrypoint, *name, *hostname, *root;
    const char *platform;
    const char *kernel, *initrd, *cmdline; /* a stock Linux as the guest */
    bool network_default;                  /* no --network was said */
    unsigned network_count;
    struct network_want network[NET_IFACES_MAX]; /* one at least */
    unsigned iface_count;
    struct run_iface_flag iface[RUN_IFACE_FLAGS_MAX];
    struct network_options net;
    bool publish_all;
    struct port_list expose; /* --expose, for publish_all */
    json_t *file_env;        /* owned arrays: --env-file, then -e */
    json_t *flag_env;
    const char *image;
    char **args;
    size_t arg_count;
    char **argv; /* everything after "run", for messages */
    int argc;
};

/* Fills *o from the arguments after "run"; `rest` is room for argc pointers
 * and lives as long as *o. -EINVAL with a message; run_opts_fini() always. */
int run_opts_parse(int argc, char **argv, struct run_opts *o, char **rest,
                   struct err *e);
void run_opts_fini(struct run_opts *o);

/* `-e TEXT` appended to `env`: "K=V" as it is, "K" with the host's value, or
 * as a removal when the host has none. */
int run_env_flag(json_t *env, const char *text, struct err *e);
/* Every line of an --env-file. */
int run_env_file(json_t *env, const char *path, struct err *e);
