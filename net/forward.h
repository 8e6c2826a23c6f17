// SPDX-License-Identifier: Apache-2.0
/* Routing through this host: switched on for networks, and for nothing else. */
#pragma once

#include <stdbool.h>

struct err;
struct nl;
struct store;

/* Switch it on where it is off, and then keep what is not ours from passing.
 * What an administrator had on stays as it is. */
int forward_enable(struct store *s, struct nl *filter, bool v6, struct err *e);
/* The last network is gone: off again, if it was us, and nothing else here
 * looks as if it were routed for; says what it did. `route` is of
 * NETLINK_ROUTE. Before the tables go. */
void forward_disable(struct store *s, struct nl *route);
/* Fresh tables: the same again, if it was us. */
int forward_restore(struct store *s, struct nl *filter, struct err *e);
