// SPDX-License-Identifier: Apache-2.0
/* AF_UNIX, seen from outside. unix(7). */
#pragma once

#include "guest/net/socket.h"

struct pseudo_ref;
struct text;

extern const struct net_family unix_family;
int unix_show(struct text *t, const struct pseudo_ref *r); /* /proc/net/unix */
