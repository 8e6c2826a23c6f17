// SPDX-License-Identifier: Apache-2.0
/* /etc/resolv.conf of the host: which servers its guests can use. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "net/net.h"

bool resolv_is_loopback(const struct net_addr *a);

/* Servers of a resolv.conf that are not on the host's own loopback, at most
 * NET_DNS_MAX. `text` is not trusted. Returns how many. */
unsigned resolv_parse(const char *text, bool loopback,
                      struct net_addr out[NET_DNS_MAX]);

#define RESOLV_FILE "/etc/resolv.conf"

/* Those that programs of the host ask, loopback ones included; 8.8.8.8 and
 * 8.8.4.4 where there are none. */
unsigned resolv_own_servers(struct net_addr out[NET_DNS_MAX]);

/* The host's, as docker does: those of systemd-resolved where resolv.conf
 * names only its stub; 8.8.8.8 and 8.8.4.4 where nothing is left. */
unsigned resolv_host_servers(struct net_addr out[NET_DNS_MAX]);

/* What the last "search" or "options" says, blanks between, or "". */
void resolv_line(const char *text, const char *key, char *out, size_t size);
/* The same of the host's file. */
void resolv_host_line(const char *key, char *out, size_t size);
