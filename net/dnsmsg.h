// SPDX-License-Identifier: Apache-2.0
/*
 * DNS messages, RFC 1035: as much as a resolver has to understand that answers
 * for a few names and passes on the rest. Every byte comes from strangers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_addr;

enum {
    DNSMSG_HEADER = 12,
    DNSMSG_MAX = 65535,
    DNSMSG_UDP_MIN = 512, /* what everybody takes: RFC 1035, 4.2.1 */
    DNSMSG_UDP_MAX = 4096,
    DNSMSG_NAME_SIZE = 256, /* as text, with its NUL */
    DNSMSG_TTL = 5, /* seconds: containers come and go; docker says 600 */
};

enum dnsmsg_type {
    DNSMSG_A = 1,
    DNSMSG_PTR = 12,
    DNSMSG_AAAA = 28, /* RFC 3596 */
    DNSMSG_OPT = 41,  /* RFC 6891 */
};

enum dnsmsg_rcode {
    DNSMSG_OK = 0,
    DNSMSG_FORMERR = 1,
    DNSMSG_SERVFAIL = 2,
    DNSMSG_NOTIMP = 4,
    DNSMSG_REFUSED = 5,
};

struct dnsmsg_query {
    uint16_t id;
    uint16_t type;
    bool internet; /* class IN */
    bool plain;    /* every label is of printable characters */
    bool edns;
    uint16_t udp_size;           /* most that the asker takes over UDP */
    size_t question;             /* bytes of header and question */
    char name[DNSMSG_NAME_SIZE]; /* lower case, without a dot at its end */
};

/*
 * 0; -ENOMSG: no query, leave it alone; -EINVAL: to be answered with FORMERR;
 * -EOPNOTSUPP: NOTIMP.
 */
int dnsmsg_parse(const uint8_t *m, size_t size, struct dnsmsg_query *q);

/* Does `m` answer `query`, whose first `question` bytes are header and
 * question? Answers that only report an error may leave the question out. */
bool dnsmsg_answers(const uint8_t *m, size_t size, const uint8_t *query,
                    size_t question);
enum dnsmsg_rcode dnsmsg_rcode(const uint8_t *m);

/* An answer being written to `data`. */
struct dnsmsg_reply {
    uint8_t *data;
    size_t size, max; /* with room for what dnsmsg_end() adds */
    unsigned answers;
    bool edns;
};

/* `m` as parsed to `q`, q NULL if it could not be; `max` >= DNSMSG_UDP_MIN. */
void dnsmsg_start(struct dnsmsg_reply *r, const uint8_t *m,
                  const struct dnsmsg_query *q, enum dnsmsg_rcode code,
                  size_t max);
/* To the name that was asked for. What does not fit sets "truncated". */
void dnsmsg_add_addr(struct dnsmsg_reply *r, const struct net_addr *a);
void dnsmsg_add_ptr(struct dnsmsg_reply *r, const char *name);
void dnsmsg_end(struct dnsmsg_reply *r);
/* Cut an answer down to header and question, "truncated". Its new size. */
size_t dnsmsg_truncate(uint8_t *m, size_t question);

/* "4.3.2.1.in-addr.arpa" or the nibbles of ip6.arpa. -EINVAL: neither. */
int dnsmsg_reverse(const char *name, struct net_addr *out);
