// SPDX-License-Identifier: Apache-2.0
/* tc: whatever arrives at one interface leaves by another. tc-mirred(8). */
#pragma once

struct err;
struct nl;

/* -EEXIST without a message: there is an ingress qdisc that is not ours. What
 * we left there earlier is replaced. */
int redirect_add(struct nl *n, int from, int to, struct err *e);
/* Only what redirect_add() made; nothing there is no error. */
void redirect_remove(struct nl *n, int from);
