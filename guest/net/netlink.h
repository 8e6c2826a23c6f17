// SPDX-License-Identifier: Apache-2.0
/* Netlink sockets (netlink(7)): NETLINK_ROUTE only. */
#pragma once

#include "abi/linux/netlink.h"

#include "guest/net/socket.h"

extern const struct net_family netlink_family;

struct nl_sock;

/* A message under construction, in a buffer that goes out when it is full. */
struct nl_out {
    struct nl_sock *to;
    uint32_t seq;
    uint16_t flags; /* of every message: LX_NLM_F_MULTI in dumps */
    uint8_t *data;  /* NL_PART bytes, or NULL */
    uint32_t size, start;
    bool lost; /* memory, or the queue is full */
};

struct nl_request { /* one message of a program, checked to be whole */
    struct lx_nlmsghdr h;
    const uint8_t *body; /* behind h */
    uint32_t size;       /* bytes of body */
};

/* --- netlink.c: building --- */
void nl_begin(struct nl_out *o, uint16_t type, const void *head, uint32_t n);
void nl_attr(struct nl_out *o, uint16_t type, const void *data, uint32_t n);
void nl_attr_u32(struct nl_out *o, uint16_t type, uint32_t v);
void nl_end(struct nl_out *o);
/* The attribute `type` behind the first `head` bytes, *n bytes; NULL. */
const void *nl_find(const struct nl_request *r, uint32_t head, uint16_t type,
                    uint32_t *n);

/* --- rtnetlink.c: answers; 0 or -errno --- */
int rtnl_dump(struct nl_out *o, const struct nl_request *r);
int rtnl_get(struct nl_out *o, const struct nl_request *r);
/* --- rtnl_set.c: CAP_NET_ADMIN was checked --- */
int rtnl_set(const struct nl_request *r);
