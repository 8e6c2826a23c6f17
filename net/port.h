// SPDX-License-Identifier: Apache-2.0
/* Published ports: what -p means, and the sockets that keep them taken. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/net.h"

struct err;

enum { PORT_MAX = 1024 }; /* of one container */

struct port {
    bool any;           /* every address of the host */
    struct net_addr at; /* else this one */
    bool udp;
    uint16_t host; /* 0: to be chosen (-P) */
    uint16_t guest;
};

struct port_list {
    struct port *port; /* owned */
    unsigned count;
};

/* "[IP:][HOST:]GUEST[/tcp|udp]", HOST and GUEST may be ranges of equal length.
 * Appends; -EINVAL with docker's words. */
int port_parse(struct port_list *l, const char *text, struct err *e);
int port_add(struct port_list *l, const struct port *p, struct err *e);
/* "80/tcp" of an image's ExposedPorts, for -P; a range too. */
int port_expose(struct port_list *l, const char *text, struct err *e);
/* Only for programs of the host: 127.0.0.0/8 or ::1. */
bool port_is_loopback(const struct port *p);
void port_list_fini(struct port_list *l);

json_t *port_list_json(const struct port_list *l);
int port_list_from_json(struct port_list *l, const json_t *array,
                        const char *where, struct err *e);

/* "0.0.0.0:8080->80/tcp, ..." as docker's PORTS column; owned, NULL: memory.
 * */
char *port_list_text(const struct port_list *l);

/*
 * Take the port on the host: listening (TCP) or bound (UDP) sockets, so that
 * nobody else gets it and connections that no rule redirects arrive at the
 * proxy. Fills fds[0] (IPv4) and fds[1] (IPv6), -1 where there is none; chooses
 * p->host if it is 0. -EADDRINUSE with a message.
 */
int port_take(struct port *p, int fds[2], struct err *e);
/* The message of port_take() for an errno, negative; returns it. */
int port_refused(const struct port *p, int code, struct err *e);
/* Cannot both be taken; ports to be chosen can. */
bool port_overlaps(const struct port *a, const struct port *b);
