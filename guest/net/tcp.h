// SPDX-License-Identifier: Apache-2.0
/* TCP, seen from outside: net/inet.h has the rest. tcp(7). */
#pragma once

struct pseudo_ref;
struct text;

int tcp_show(struct text *t, const struct pseudo_ref *r);  /* /proc/net/tcp */
int tcp6_show(struct text *t, const struct pseudo_ref *r); /* tcp6 */
