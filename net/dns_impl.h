// SPDX-License-Identifier: Apache-2.0
/* Between the parts of the resolver: who asked, and what is forwarded. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/dnsmsg.h"
#include "net/dnszone.h"
#include "net/loop.h"

enum {
    DNS_QUERY_MAX = 4096,
    DNS_SERVER_MS = 2000, /* for one server; then the next */
    DNS_SILENT_MS = 10000,
    DNS_TICK_MS = 250,
    DNS_VM_ASKS = 64, /* under way for one VM */
    DNS_ASKS = 512,   /* for all */
    DNS_VM_CONNS = 8,
    DNS_CONNS = 128,
    DNS_EARLY = 32,
};

struct dnsask;

/* A socket that VMs of one network ask at. */
struct dns_ear {
    struct loop_fd f; /* first */
    struct dns_ear *next;
    struct dns *dns;
    uint32_t network;
    bool udp;
};

/* A VM that asks over TCP, one question after the other. */
struct dns_conn {
    struct loop_fd f; /* first */
    struct dns_conn *next;
    struct dns *dns;
    struct dns_ear *ear;
    uint32_t vm;
    int64_t used_ms;
    struct dnsask *ask; /* under way for it, or NULL */
    size_t in_size;
    uint8_t in[2 + DNS_QUERY_MAX]; /* a length first: RFC 1035, 4.2.2 */
    uint8_t *out;                  /* owned, or NULL: nothing to send */
    size_t out_at, out_size;
};

/* Where an answer goes; conn NULL: over UDP. */
struct dns_from {
    struct dns_ear *ear;
    struct dns_conn *conn;
    struct sockaddr_in peer;
};

/* A question, or a connection, of a VM that nobody has told us of yet. */
struct dns_early {
    struct dns_ear *ear; /* NULL: none */
    int fd;              /* owned: the connection, where the ear is TCP's */
    struct sockaddr_in peer;
    int64_t since_ms;
    size_t size;
    uint8_t m[DNSMSG_UDP_MIN];
};

struct dns {
    struct loop *loop;
    struct dnszone zone;
    struct dns_ear *ears;
    struct dns_conn *conns;
    struct dnsask *asks;
    unsigned ask_count, conn_count;
    uint32_t turn;                     /* where randomness is missing */
    struct dns_early early[DNS_EARLY]; /* the newest, in a ring */
    unsigned early_next;
    struct net_addr found[DNSZONE_ADDRS_MAX];
    uint8_t out[DNSMSG_MAX];
};

/* Send an answer: to `from`, which may be gone afterwards. */
void dns_reply(struct dns *d, const struct dns_from *from, const uint8_t *m,
               size_t size);
/* One without records, to the question that `m` was parsed to (NULL: none). */
void dns_reply_code(struct dns *d, const struct dns_from *from,
                    const uint8_t *m, const struct dnsmsg_query *q,
                    enum dnsmsg_rcode code);

/* --- dnsask.c --- */
/* Ask the servers of `h`, one after the other. -EDQUOT: too much is under way;
 * -ENOENT: it has none. The answer goes to `from`. */
int dnsask_start(struct dns *d, struct dnszone_host *h,
                 const struct dns_from *from, const uint8_t *m, size_t size,
                 const struct dnsmsg_query *q);
/* Forget it; nobody is told. */
void dnsask_free(struct dnsask *a);
/* Forget what a VM asked (ear NULL), or what came in at an ear. */
void dnsask_drop(struct dns *d, uint32_t vm, const struct dns_ear *ear);
void dnsask_tick(struct dns *d, int64_t now_ms);
