// SPDX-License-Identifier: Apache-2.0
/*
 * Connections to published ports that no rule redirected: from the host's
 * loopback, and over IPv6 to guests that have none. Bytes are copied both ways;
 * the guest sees its gateway as the peer.
 */
#pragma once

#include "net/helper.h"
#include "net/loop.h"

struct proxy; /* all ports */

struct proxy *proxy_new(struct loop *l); /* NULL: memory */
/* Takes fd. */
void proxy_add(struct proxy *p, const struct helper_msg *m, int fd);
void proxy_drop(struct proxy *p, uint32_t vm);
/* Forget UDP peers, and TCP connections that one side has ended, when they are
 * silent. Call now and then. */
void proxy_tick(struct proxy *p);
