// SPDX-License-Identifier: Apache-2.0
/*
 * Netlink: messages built by hand, because the launcher is static and starts
 * in less time than a library would take to load. man 7 netlink. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct err;

struct nl {
    int fd; /* owned; -1: closed */
    uint32_t seq;
};

/* One or more messages that go out together. Zero-initialise; nl_talk() and
 * nl_dump() free it. */
struct nl_msg {
    struct buf b;
    size_t at; /* of the newest message's header */
};

struct nl_attr {
    uint16_t type; /* without NLA_F_* */
    const uint8_t *data;
    size_t size;
};

/* NETLINK_ROUTE or NETLINK_NETFILTER. */
int nl_open(struct nl *n, int protocol, struct err *e);
void nl_close(struct nl *n);

/* Append a message that starts with the family's header `head`. NLM_F_REQUEST
 * is implied. */
void nl_begin(struct nl *n, struct nl_msg *m, uint16_t type, uint16_t flags,
              const void *head, size_t head_size);
void nl_put(struct nl_msg *m, uint16_t type, const void *data, size_t size);
void nl_put_str(struct nl_msg *m, uint16_t type, const char *s);
void nl_put_u32(struct nl_msg *m, uint16_t type, uint32_t v);
void nl_put_u8(struct nl_msg *m, uint16_t type, uint8_t v);
size_t nl_nest(struct nl_msg *m, uint16_t type);
void nl_nest_end(struct nl_msg *m, size_t nest);

/* Send all; the first error that the kernel has, or 0. */
int nl_talk(struct nl *n, struct nl_msg *m);

/* What a dump finds: called for each message, with what follows its netlink
 * header. Embed it in a struct with the caller's state. */
struct nl_reader {
    void (*each)(struct nl_reader *r, uint16_t type, const uint8_t *data,
                 size_t size);
};
int nl_dump(struct nl *n, struct nl_msg *m, struct nl_reader *r);

/* The next attribute of [*at, *at + *left); false at the end or at nonsense. */
bool nl_attr_next(const uint8_t **at, size_t *left, struct nl_attr *out);
uint32_t nl_attr_u32(const struct nl_attr *a); /* 0 if it is not one */
