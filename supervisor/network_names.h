// SPDX-License-Identifier: Apache-2.0
/* --dns and its like, and the files of a container that come of them. */
#pragma once

struct buf;
struct err;
struct network;
struct network_options;

/* What docker takes, with its messages: -EINVAL. Texts are borrowed. */
int network_add_dns(struct network_options *o, const char *text, struct err *e);
int network_add_search(struct network_options *o, const char *text,
                       struct err *e);
int network_add_dns_option(struct network_options *o, const char *text,
                           struct err *e);
/* NAME:IP or NAME=IP. */
int network_add_host(struct network_options *o, const char *text,
                     struct err *e);

/* The text of /etc/hosts and /etc/resolv.conf. */
void network_write_hosts(const struct network *n,
                         const struct network_options *o, const char *hostname,
                         struct buf *b);
void network_write_resolv(const struct network *n,
                          const struct network_options *o, struct buf *b);
