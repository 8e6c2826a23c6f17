// SPDX-License-Identifier: Apache-2.0
#include "net/nl.h"

#include <linux/netlink.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/err.h"

enum {
    NL_RECEIVE = 64 << 10, /* more than the kernel puts in one datagram */
    NL_BATCH_MAX = 4 << 20,
    NL_PATIENCE_S = 60,
    NL_TYPE_MASK = 0x3fff, /* NLA_TYPE_MASK, which is negative */
};

int nl_open(struct nl *n, int protocol, struct err *e)
{
    const int size = NL_BATCH_MAX;
    const struct timeval patience = {.tv_sec = NL_PATIENCE_S};
    n->seq = 0;
    n->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (n->fd < 0)
        return err_set(e, -errno, "netlink: %s", strerror(errno));
    (void)setsockopt(n->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
    (void)setsockopt(n->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    (void)setsockopt(n->fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
                     sizeof(patience));
    return 0;
}

void nl_close(struct nl *n)
{
    if (n->fd >= 0)
        (void)close(n->fd);
    n->fd = -1;
}

static void nl_pad(struct nl_msg *m)
{
    static const uint8_t zero[NLMSG_ALIGNTO];
    buf_add(&m->b, zero, NLMSG_ALIGN(m->b.size) - m->b.size);
}

/* The length of the newest message. */
static void nl_finish(struct nl_msg *m)
{
    uint32_t size = (uint32_t)(m->b.size - m->at);
    if (m->b.failed == 0)
        memcpy(m->b.data + m->at, &size, sizeof(size));
}

void nl_begin(struct nl *n, struct nl_msg *m, uint16_t type, uint16_t flags,
              const void *head, size_t head_size)
{
    m->b.max = NL_BATCH_MAX;
    struct nlmsghdr h = {.nlmsg_type = type,
                         .nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST),
                         .nlmsg_seq = ++n->seq};
    m->at = m->b.size;
    buf_add(&m->b, &h, sizeof(h));
    buf_add(&m->b, head, head_size);
    nl_pad(m);
    nl_finish(m);
}

void nl_put(struct nl_msg *m, uint16_t type, const void *data, size_t size)
{
    const struct nlattr a = {.nla_len = (uint16_t)(sizeof(a) + size),
                             .nla_type = type};
    buf_add(&m->b, &a, sizeof(a));
    if (size > 0)
        buf_add(&m->b, data, size);
    nl_pad(m);
    nl_finish(m);
}

void nl_put_str(struct nl_msg *m, uint16_t type, const char *s)
{
    nl_put(m, type, s, strlen(s) + 1);
}

void nl_put_u32(struct nl_msg *m, uint16_t type, uint32_t v)
{
    nl_put(m, type, &v, sizeof(v));
}

void nl_put_u8(struct nl_msg *m, uint16_t type, uint8_t v)
{
    nl_put(m, type, &v, sizeof(v));
}

size_t nl_nest(struct nl_msg *m, uint16_t type)
{
    size_t at = m->b.size;
    nl_put(m, (uint16_t)(type | NLA_F_NESTED), NULL, 0);
    return at;
}

void nl_nest_end(struct nl_msg *m, size_t nest)
{
    uint16_t size = (uint16_t)(m->b.size - nest);
    if (m->b.failed == 0)
        memcpy(m->b.data + nest, &size, sizeof(size));
}

/* What one datagram says. */
struct nl_reply {
    uint32_t last; /* sequence number that ends the conversation */
    int code;      /* first error */
    bool done;
    struct nl_reader *reader; /* of a dump, or NULL */
};

static void nl_take(struct nl_reply *r, const struct nlmsghdr *h,
                    const uint8_t *data, size_t size)
{
    if (h->nlmsg_type == NLMSG_DONE) {
        r->done = true;
    } else if (h->nlmsg_type == NLMSG_ERROR && size >= sizeof(int)) {
        int code;
        memcpy(&code, data, sizeof(code));
        if (code != 0 && r->code == 0)
            r->code = code;
        r->done = h->nlmsg_seq == r->last || r->done;
    } else if (r->reader != NULL) {
        r->reader->each(r->reader, h->nlmsg_type, data, size);
    }
}

static void nl_walk(struct nl_reply *r, const uint8_t *at, size_t left)
{
    struct nlmsghdr h;
    while (left >= sizeof(h)) {
        memcpy(&h, at, sizeof(h));
        if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > left)
            return;
        nl_take(r, &h, at + sizeof(h), h.nlmsg_len - sizeof(h));
        size_t step = NLMSG_ALIGN(h.nlmsg_len);
        step = step < left ? step : left;
        at += step;
        left -= step;
    }
}

/* The kernel answers a request within send(2): what is not there by then
 * (`wait` false) never comes. */
static int nl_send(struct nl *n, struct nl_msg *m, struct nl_reply *r,
                   bool wait)
{
    static alignas(8) uint8_t in[NL_RECEIVE];
    int code = m->b.failed;
    r->last = n->seq;
    if (code == 0 && send(n->fd, m->b.data, m->b.size, 0) < 0)
        code = -errno;
    buf_fini(&m->b);
    while (code == 0 && !r->done) {
        ssize_t got = recv(n->fd, in, sizeof(in), wait ? 0 : MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN && !wait)
            break;
        if (got <= 0)
            return got < 0 ? -errno : -EPIPE;
        nl_walk(r, in, (size_t)got);
    }
    return code < 0 ? code : r->code;
}

int nl_talk(struct nl *n, struct nl_msg *m)
{
    struct nl_reply r = {0};
    return nl_send(n, m, &r, false);
}

int nl_dump(struct nl *n, struct nl_msg *m, struct nl_reader *reader)
{
    struct nl_reply r = {.reader = reader};
    return nl_send(n, m, &r, true);
}

bool nl_attr_next(const uint8_t **at, size_t *left, struct nl_attr *out)
{
    struct nlattr a;
    if (*left < sizeof(a))
        return false;
    memcpy(&a, *at, sizeof(a));
    if (a.nla_len < sizeof(a) || a.nla_len > *left)
        return false;
    *out = (struct nl_attr){.type = a.nla_type & NL_TYPE_MASK,
                            .data = *at + sizeof(a),
                            .size = a.nla_len - sizeof(a)};
    size_t step = ((size_t)a.nla_len + 3) & ~(size_t)3;
    step = step < *left ? step : *left;
    *at += step;
    *left -= step;
    return true;
}

uint32_t nl_attr_u32(const struct nl_attr *a)
{
    uint32_t v = 0;
    if (a->size >= sizeof(v))
        memcpy(&v, a->data, sizeof(v));
    return v;
}
