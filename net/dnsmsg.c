// SPDX-License-Identifier: Apache-2.0
#include "net/dnsmsg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "net/net.h"

/* Third and fourth byte of the header: RFC 1035, 4.1.1. */
#define DNSMSG_QR     UINT8_C(0x80)
#define DNSMSG_OPCODE UINT8_C(0x78)
#define DNSMSG_TC     UINT8_C(0x02)
#define DNSMSG_RD     UINT8_C(0x01)
#define DNSMSG_RA     UINT8_C(0x80)
#define DNSMSG_CD     UINT8_C(0x10) /* RFC 4035, 3.2.2 */
#define DNSMSG_RCODE  UINT8_C(0x0f)

enum {
    DNSMSG_LABEL_MAX = 63,
    DNSMSG_WIRE_MAX = 255,
    DNSMSG_POINTER = 0xc0,
    DNSMSG_CLASS_IN = 1,
    DNSMSG_OPT_SIZE = 11,
    DNSMSG_RECORD = 10, /* type, class, TTL, size */
    DNSMSG_EXTRA_MAX = 8,
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* ---- queries ---- */

/* The name of the question, which nothing can be compressed against, at
 * *at. */
static int parse_name(const uint8_t *m, size_t size, size_t *at,
                      struct dnsmsg_query *q)
{
    size_t start = *at;
    size_t n = 0;
    q->plain = true;
    for (;;) {
        if (*at >= size)
            return -EINVAL;
        size_t label = m[(*at)++];
        if (label == 0)
            break;
        if (label > DNSMSG_LABEL_MAX || label >= size - *at ||
            *at + label - start >= DNSMSG_WIRE_MAX)
            return -EINVAL;
        if (n > 0)
            q->name[n++] = '.';
        for (size_t i = 0; i < label; i++, n++) {
            uint8_t c = lower(m[(*at)++]);
            q->plain = q->plain && c > ' ' && c < 0x7f && c != '.';
            q->name[n] = (char)c;
        }
    }
    q->name[n] = '\0';
    return 0;
}

static int skip_name(const uint8_t *m, size_t size, size_t *at)
{
    for (unsigned labels = 0; labels <= DNSMSG_WIRE_MAX / 2; labels++) {
        if (*at >= size)
            return -EINVAL;
        size_t label = m[(*at)++];
        if (label == 0)
            return 0;
        if ((label & DNSMSG_POINTER) == DNSMSG_POINTER) {
            *at += 1;
            return *at <= size ? 0 : -EINVAL;
        }
        if (label > DNSMSG_LABEL_MAX || label > size - *at)
            return -EINVAL;
        *at += label;
    }
    return -EINVAL;
}

/* What follows the question: of interest is only how much UDP may carry. */
static int parse_extra(const uint8_t *m, size_t size, size_t at,
                       struct dnsmsg_query *q)
{
    unsigned count = get16(m + 10);
    if (count > DNSMSG_EXTRA_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++) {
        if (skip_name(m, size, &at) < 0 || DNSMSG_RECORD > size - at)
            return -EINVAL;
        if (get16(m + at) == DNSMSG_OPT) {
            uint16_t want = get16(m + at + 2);
            q->edns = true;
            q->udp_size = want < DNSMSG_UDP_MIN   ? DNSMSG_UDP_MIN
                          : want > DNSMSG_UDP_MAX ? DNSMSG_UDP_MAX
                                                  : want;
        }
        size_t data = get16(m + at + 8);
        at += DNSMSG_RECORD;
        if (data > size - at)
            return -EINVAL;
        at += data;
    }
    return at == size ? 0 : -EINVAL;
}

int dnsmsg_parse(const uint8_t *m, size_t size, struct dnsmsg_query *q)
{
    size_t at = DNSMSG_HEADER;
    *q = (struct dnsmsg_query){.udp_size = DNSMSG_UDP_MIN};
    if (size < DNSMSG_HEADER || size > DNSMSG_MAX || (m[2] & DNSMSG_QR) != 0)
        return -ENOMSG;
    q->id = get16(m);
    if ((m[2] & DNSMSG_OPCODE) != 0)
        return -EOPNOTSUPP;
    if (get16(m + 4) != 1 || get16(m + 6) != 0 || get16(m + 8) != 0 ||
        parse_name(m, size, &at, q) < 0 || size - at < 4)
        return -EINVAL;
    q->type = get16(m + at);
    q->internet = get16(m + at + 2) == DNSMSG_CLASS_IN;
    q->question = at + 4;
    return parse_extra(m, size, q->question, q);
}

/* ---- answers of others ---- */

bool dnsmsg_answers(const uint8_t *m, size_t size, const uint8_t *query,
                    size_t question)
{
    if (size < DNSMSG_HEADER || memcmp(m, query, 2) != 0 ||
        (m[2] & DNSMSG_QR) == 0 || (m[2] & DNSMSG_OPCODE) != 0)
        return false;
    if (get16(m + 4) == 0)
        return dnsmsg_rcode(m) != DNSMSG_OK;
    if (get16(m + 4) != 1 || size < question)
        return false;
    for (size_t i = DNSMSG_HEADER; i < question - 4; i++)
        if (lower(m[i]) != lower(query[i])) /* lengths are no letters */
            return false;
    return memcmp(m + question - 4, query + question - 4, 4) == 0;
}

enum dnsmsg_rcode dnsmsg_rcode(const uint8_t *m)
{
    return (enum dnsmsg_rcode)(m[3] & DNSMSG_RCODE);
}

size_t dnsmsg_truncate(uint8_t *m, size_t question)
{
    m[2] |= DNSMSG_TC;
    memset(m + 6, 0, 6);
    return question;
}

/* ---- answers of ours ---- */

void dnsmsg_start(struct dnsmsg_reply *r, const uint8_t *m,
                  const struct dnsmsg_query *q, enum dnsmsg_rcode code,
                  size_t max)
{
    r->size = q != NULL ? q->question : DNSMSG_HEADER;
    r->answers = 0;
    r->edns = q != NULL && q->edns;
    r->max = max - (r->edns ? DNSMSG_OPT_SIZE : 0);
    memcpy(r->data, m, r->size);
    memset(r->data + 4, 0, 8);
    r->data[2] = (uint8_t)(DNSMSG_QR | (m[2] & (DNSMSG_OPCODE | DNSMSG_RD)));
    r->data[3] = (uint8_t)(DNSMSG_RA | (m[3] & DNSMSG_CD) | (uint8_t)code);
    put16(r->data + 4, q != NULL);
}

/* A record of the name in the question; where its data goes, or NULL. */
static uint8_t *reply_record(struct dnsmsg_reply *r, unsigned type, size_t size)
{
    if (2 + DNSMSG_RECORD + size > r->max - r->size) {
        r->data[2] |= DNSMSG_TC;
        return NULL;
    }
    uint8_t *p = r->data + r->size;
    put16(p, DNSMSG_POINTER << 8 | DNSMSG_HEADER);
    put16(p + 2, type);
    put16(p + 4, DNSMSG_CLASS_IN);
    put16(p + 6, 0);
    put16(p + 8, DNSMSG_TTL);
    put16(p + 10, (unsigned)size);
    r->size += 2 + DNSMSG_RECORD + size;
    r->answers++;
    return p + 2 + DNSMSG_RECORD;
}

void dnsmsg_add_addr(struct dnsmsg_reply *r, const struct net_addr *a)
{
    const size_t size = a->v6 ? 16 : 4;
    uint8_t *p = reply_record(r, a->v6 ? DNSMSG_AAAA : DNSMSG_A, size);
    if (p != NULL)
        memcpy(p, a->b, size);
}

/* Text to labels; 0 if that is no name. */
static size_t reply_name(const char *text, uint8_t out[DNSMSG_WIRE_MAX])
{
    size_t at = 0;
    while (*text != '\0') {
        size_t n = strcspn(text, ".");
        if (n == 0 || n > DNSMSG_LABEL_MAX || at + n + 2 > DNSMSG_WIRE_MAX)
            return 0;
        out[at++] = (uint8_t)n;
        memcpy(out + at, text, n);
        at += n;
        text += n + (text[n] == '.');
    }
    out[at++] = 0;
    return at;
}

void dnsmsg_add_ptr(struct dnsmsg_reply *r, const char *name)
{
    uint8_t wire[DNSMSG_WIRE_MAX];
    size_t size = reply_name(name, wire);
    uint8_t *p = size > 0 ? reply_record(r, DNSMSG_PTR, size) : NULL;
    if (p != NULL)
        memcpy(p, wire, size);
}

void dnsmsg_end(struct dnsmsg_reply *r)
{
    put16(r->data + 6, r->answers);
    if (!r->edns)
        return;
    uint8_t *p = r->data + r->size;
    memset(p, 0, DNSMSG_OPT_SIZE);
    put16(p + 1, DNSMSG_OPT);
    put16(p + 3, DNSMSG_UDP_MAX);
    put16(r->data + 10, 1);
    r->size += DNSMSG_OPT_SIZE;
}

/* ---- names of addresses ---- */

static int reverse4(const char *name, struct net_addr *out)
{
    for (int i = 3; i >= 0; i--) {
        char digits[4];
        uint64_t v;
        size_t n = strcspn(name, ".");
        if (n == 0 || n >= sizeof(digits) || name[n] != '.')
            return -EINVAL;
        (void)snprintf(digits, sizeof(digits), "%.*s", (int)n, name);
        if (parse_u64(digits, 0, 255, &v) < 0)
            return -EINVAL;
        out->b[i] = (uint8_t)v;
        name += n + 1;
    }
    out->prefix = 32;
    return strcmp(name, "in-addr.arpa") == 0 ? 0 : -EINVAL;
}

/* 32 hexadecimal digits, the last first: RFC 3596, 2.5. */
static int reverse6(const char *name, struct net_addr *out)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 31; i >= 0; i--) {
        const char *at = name[0] != '\0' ? strchr(digits, name[0]) : NULL;
        if (at == NULL || name[1] != '.')
            return -EINVAL;
        out->b[i / 2] |= (uint8_t)((at - digits) << (i % 2 == 0 ? 4 : 0));
        name += 2;
    }
    out->v6 = true;
    out->prefix = 128;
    return strcmp(name, "ip6.arpa") == 0 ? 0 : -EINVAL;
}

int dnsmsg_reverse(const char *name, struct net_addr *out)
{
    *out = (struct net_addr){0};
    if (reverse4(name, out) == 0)
        return 0;
    *out = (struct net_addr){0};
    return reverse6(name, out);
}
