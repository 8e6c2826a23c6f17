// SPDX-License-Identifier: Apache-2.0
/*
 * Networks of a container that runs: it gets an interface on another one, or
 * gives one back. Whoever is killed in between leaves nothing but what the
 * keeper takes back: a tap lives as long as an fd of it is open.
 */
#pragma once

#include "net/net.h"

struct err;
struct state;
struct state_info;

/* Strings are borrowed. */
struct network_connect {
    const char *libexec; /* directory of our programs */
    const char *network; /* name or ID */
    bool has4, has6;     /* --ip, --ip6 */
    struct net_addr ip4, ip6;
    const char *const *aliases; /* at most NETWORK_ALIASES_MAX */
    unsigned alias_count;
};

/* The guest has it, with its addresses, when this returns; else nothing is
 * left. A guest that does not answer within 10 s: -ETIMEDOUT. */
int network_connect(const struct state *s, const struct state_info *vm,
                    const struct network_connect *w, struct err *e);

/* A guest that does not answer within 10 s, or `force`: it is taken away all
 * the same. When this returns its address is free and its ports are closed. */
int network_disconnect(const struct state *s, const struct state_info *vm,
                       const struct network_connect *w, bool force,
                       struct err *e);
