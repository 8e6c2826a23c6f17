// SPDX-License-Identifier: Apache-2.0
/*
 * Where the kernel (conntrack) sends a UDP flow is decided by its first packet;
 * a peer that does not stop sending keeps that alive, whatever rules say since.
 * So what it remembers is deleted when rules of published UDP ports change.
 * Both are for this network namespace, cost nothing without such ports, and
 * leave everything as it is where the kernel has no ctnetlink.
 */
#pragma once

struct lease;

/* The rules of `l` have been removed: UDP flows to its addresses. */
void conntrack_forget_vm(const struct lease *l);
/* The rules of `l` have been made: UDP flows to its ports that were the host's
 * until now, and would go through the proxy, which has another address. */
void conntrack_forget_host(const struct lease *l);
