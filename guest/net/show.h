// SPDX-License-Identifier: Apache-2.0
/* /proc/net; proc(5). Each is a pseudo_node's show. */
#pragma once

#include "guest/fs/pseudo.h"

int net_show_dev(struct text *t, const struct pseudo_ref *r);
int net_show_udp(struct text *t, const struct pseudo_ref *r);
int net_show_udp6(struct text *t, const struct pseudo_ref *r);
int net_show_route(struct text *t, const struct pseudo_ref *r);
int net_show_route6(struct text *t, const struct pseudo_ref *r);
int net_show_if_inet6(struct text *t, const struct pseudo_ref *r);
int net_show_arp(struct text *t, const struct pseudo_ref *r);
int net_show_igmp(struct text *t, const struct pseudo_ref *r);
int net_show_snmp(struct text *t, const struct pseudo_ref *r);
