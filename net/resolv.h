// SPDX-License-Identifier: Apache-2.0
/* /etc/resolv.conf of the host: which servers its guests can use. */
#pragma once

#include <stddef.h>

#include "net/net.h"

/* Servers of a resolv.conf that are not on the host's own loopback, at most
 * NET_DNS_MAX. `text` is not trusted. Returns how many. */
unsigned resolv_parse(const char *text, bool loopback,
                      struct net_addr out[NET_DNS_MAX]);

/* The host's, as docker does: those of systemd-resolved where resolv.conf
 * names only its stub; 8.8.8.8 and 8.8.4.4 where nothing is left. */
unsigned resolv_host_servers(struct net_addr out[NET_DNS_MAX]);

/* What "search" says, blanks between, or "". */
void resolv_search(const char *text, char *out, size_t size);
