// SPDX-License-Identifier: Apache-2.0
/* Receiving on AF_UNIX sockets. unix(7), recv(2). */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/uio.h"
#include "guest/fs/file.h"
#include "guest/fs/poll.h"
#include "guest/net/unix_impl.h"

#define OVERFLOW_ID 65534u

/* --- what comes with the data --- */

static void give_cred(struct message *m, const struct unix_packet *p)
{
    static const struct lx_ucred unknown = {0, OVERFLOW_ID, OVERFLOW_ID};
    m->control.cred = p->control.has_cred ? p->control.cred : unknown;
    m->control.has_cred = true;
}

static bool same_cred(const struct message *m, const struct unix_packet *p)
{
    static const struct lx_ucred unknown = {0, OVERFLOW_ID, OVERFLOW_ID};
    const struct lx_ucred *c =
        p->control.has_cred ? &p->control.cred : &unknown;
    return memcmp(c, &m->control.cred, sizeof(*c)) == 0;
}

/* MSG_PEEK: the files stay and come, too. */
static struct scm_files *files_copy(const struct scm_files *s)
{
    size_t size = sizeof(*s) + s->count * sizeof(s->files[0]);
    struct scm_files *n = kmalloc(size);
    if (n == NULL)
        return NULL;
    memcpy(n, s, size);
    for (uint32_t i = 0; i < n->count; i++)
        file_get(n->files[i]);
    return n;
}

/* `s` or NULL; taken over, or copied. read_lock held. */
static int give_files(struct message *m, struct scm_files *s, bool copy)
{
    if (s != NULL && copy) {
        s = files_copy(s);
        if (s == NULL)
            return -ENOMEM;
    }
    if (s != NULL) {
        scm_files_free(m->control.files);
        m->control.files = s;
    }
    return 0;
}

static void give_addr(struct message *m, const struct unix_packet *p)
{
    if (m->addr == NULL)
        return;
    spin_lock(&unix_lock);
    m->addr->size = 0;
    if (p->from->name != NULL)
        *m->addr = p->from->name->addr;
    spin_unlock(&unix_lock);
}

/* Bytes that a peek does not look at: SO_PEEK_OFF. */
static uint32_t peek_skip(const struct unix_sock *u, bool peek)
{
    return peek && u->peek_off > 0 ? (uint32_t)u->peek_off : 0;
}

/* `n` bytes were peeked at or read. read_lock held. */
static void peek_moved(struct unix_sock *u, bool peek, uint32_t n)
{
    if (u->peek_off < 0)
        return;
    uint32_t at = (uint32_t)u->peek_off;
    uint32_t to = peek ? at + n : at - MIN(at, n);
    u->peek_off = (int32_t)MIN(to, (uint32_t)INT32_MAX);
}

/* Is there anything a reader would not wait for, behind `skip` bytes? */
static bool recv_ready(struct unix_sock *u, uint32_t skip)
{
    spin_lock(&unix_lock);
    bool r = (u->queue_count != 0 && (skip == 0 || u->queue_bytes > skip)) ||
             u->s.error != 0 || (u->shut & UNIX_SHUT_RECV) != 0;
    spin_unlock(&unix_lock);
    return r;
}

static int recv_wait(struct unix_sock *u, uint32_t skip, nsec_t deadline)
{
    int r;
    WAIT_FOR(r, &u->s.in_wait, recv_ready(u, skip), WAIT_SIGNALS, deadline);
    return r < 0 ? socket_wait_error(r, u->s.recv_timeout) : 0;
}

/* Nothing to read: 0 at the end, or -errno; -EAGAIN: wait. unix_lock held. */
static int recv_empty(struct unix_sock *u)
{
    int r = socket_error(&u->s);
    if (r == 0 && (u->shut & UNIX_SHUT_RECV) == 0)
        r = -EAGAIN;
    return r;
}

/* --- datagrams and records --- */

/* Those who found our queue full may go on. unix_lock held. */
static void wake_senders(struct unix_sock *u)
{
    waitq_wake(&u->room_wait, EPOLLOUT, WAKE_ALL);
    LIST_FOR(it, &u->senders)
    {
        struct unix_sock *s = LIST_ENTRY(it, struct unix_sock, sender_node);
        if (s != u->peer)
            waitq_wake(&s->s.out_wait, EPOLLOUT | EPOLLWRNORM, 1);
    }
}

/* The packet that byte *skip of all is in, and where in it. unix_lock held. */
static struct unix_packet *dgram_at(struct unix_sock *u, uint32_t *skip)
{
    LIST_FOR(it, &u->queue)
    {
        struct unix_packet *p = LIST_ENTRY(it, struct unix_packet, node);
        if (*skip == 0 || *skip < p->size)
            return p;
        *skip -= p->size;
    }
    return NULL;
}

/* The first packet, off the queue unless `peek`, which leaves out *skip bytes;
 * a reference. NULL: *why. */
static struct unix_packet *dgram_take(struct unix_sock *u, bool peek,
                                      uint32_t *skip, int *why)
{
    struct unix_packet *p = NULL;
    spin_lock(&unix_lock);
    p = dgram_at(u, skip);
    if (p == NULL) {
        *why = recv_empty(u);
    } else {
        bool full = unix_queue_full(u);
        if (peek)
            p->refs++;
        else
            unix_packet_remove(u, p);
        if (full && !peek)
            wake_senders(u);
    }
    spin_unlock(&unix_lock);
    return p;
}

static int64_t dgram_give(struct unix_sock *u, struct message *m,
                          struct unix_packet *p, uint32_t skip)
{
    bool peek = (m->flags & LX_MSG_PEEK) != 0;
    uint32_t n = (uint32_t)MIN(m->u->left, (uint64_t)(p->size - skip));
    give_addr(m, p);
    if (n < p->size - skip)
        m->got |= LX_MSG_TRUNC;
    int64_t r = unix_packet_read(p, skip, n, m->u);
    if (r >= 0)
        peek_moved(u, peek, peek ? n : p->size);
    if (r >= 0 && socket_option_on(&u->s, LX_SO_PASSCRED))
        give_cred(m, p);
    if (r >= 0) {
        int e = give_files(m, p->control.files, peek);
        if (!peek)
            p->control.files = NULL;
        if (e < 0)
            r = e;
    }
    if (r >= 0 && (m->flags & LX_MSG_TRUNC) != 0)
        r = p->size - skip;
    return r;
}

static int64_t dgram_recv(struct unix_sock *u, struct message *m)
{
    nsec_t deadline = socket_deadline(u->s.recv_timeout);
    bool peek = (m->flags & LX_MSG_PEEK) != 0;
    bool wait = (m->flags & LX_MSG_DONTWAIT) == 0;
    if (u->s.type == LX_SOCK_SEQPACKET && u->state != UNIX_ESTABLISHED)
        return -ENOTCONN;
    for (;;) {
        int r = 0;
        mutex_lock(&u->read_lock);
        uint32_t skip = peek_skip(u, peek);
        uint32_t at = skip;
        struct unix_packet *p = dgram_take(u, peek, &at, &r);
        int64_t n = p != NULL ? dgram_give(u, m, p, at) : 0;
        mutex_unlock(&u->read_lock);
        if (p != NULL) {
            unix_packet_put(p);
            return n;
        }
        /* A datagram socket without a writer has no end, only silence. */
        if (r == 0 && !wait && u->s.type == LX_SOCK_DGRAM)
            return -EAGAIN;
        if (r != -EAGAIN || !wait)
            return r;
        r = recv_wait(u, skip, deadline);
        if (r < 0)
            return r;
    }
}

/* --- streams --- */

struct stream_read {
    struct unix_sock *u;
    struct message *m;
    int64_t done;
    const struct unix_packet *at; /* peek: the last one seen */
    bool peek, check_cred;
    uint32_t skip; /* peek: bytes to leave out */
};

/* The next packet to read from, or NULL and *why. */
static struct unix_packet *stream_next(const struct stream_read *s, int *why)
{
    struct unix_packet *p = NULL;
    spin_lock(&unix_lock);
    const struct list *prev = s->at != NULL ? &s->at->node : &s->u->queue;
    if (prev->next != &s->u->queue)
        p = LIST_ENTRY(prev->next, struct unix_packet, node);
    else
        *why = s->done > 0 ? 0 : recv_empty(s->u);
    spin_unlock(&unix_lock);
    return p;
}

/* `n` bytes were read. The files, given with the first of them, leave the
 * packet while the collector may not look at it. */
static struct scm_files *stream_consume(struct unix_sock *u,
                                        struct unix_packet *p, uint32_t n,
                                        bool *gone)
{
    spin_lock(&unix_lock);
    struct scm_files *s = p->control.files;
    p->off += n;
    u->queue_bytes -= n;
    *gone = p->off == p->size;
    if (*gone)
        unix_packet_remove(u, p);
    else if (s != NULL)
        unix_inflight_sub(s);
    p->control.files = NULL;
    spin_unlock(&unix_lock);
    return s;
}

/* Read from one packet. 1: go on; 0: this is all; -errno. */
static int stream_read_one(struct stream_read *s, struct unix_packet *p)
{
    struct message *m = s->m;
    if (s->check_cred && !same_cred(m, p))
        return 0; /* two writers are not mixed */
    if (!s->check_cred && socket_option_on(&s->u->s, LX_SO_PASSCRED)) {
        give_cred(m, p);
        s->check_cred = true;
    }
    if (m->addr != NULL && s->done == 0)
        give_addr(m, p);
    uint32_t from = p->off + s->skip;
    uint32_t n = (uint32_t)MIN(m->u->left, (uint64_t)(p->size - from));
    int64_t r = unix_packet_read(p, from, n, m->u);
    if (r < 0)
        return (int)r;
    s->skip = 0;
    s->done += n;
    peek_moved(s->u, s->peek, n);
    bool gone = false;
    struct scm_files *files =
        s->peek ? p->control.files : stream_consume(s->u, p, n, &gone);
    int e = give_files(m, files, s->peek);
    if (gone)
        unix_packet_put(p);
    s->at = s->peek ? p : NULL;
    return e < 0 ? e : files == NULL;
}

/* What is there now. 0: done; -EAGAIN: nothing (more) is there. */
static int stream_read_some(struct stream_read *s)
{
    do {
        int why = 0;
        struct unix_packet *p = stream_next(s, &why);
        if (p == NULL)
            return s->done > 0 ? -EAGAIN : why;
        if (s->peek && s->skip >= p->size - p->off) {
            s->skip -= p->size - p->off;
            s->at = p;
            continue;
        }
        int r = stream_read_one(s, p);
        if (r <= 0)
            return r;
    } while (s->m->u->left > 0);
    return 0;
}

static int64_t stream_recv(struct unix_sock *u, struct message *m)
{
    struct stream_read s = {.u = u, .m = m};
    nsec_t deadline = socket_deadline(u->s.recv_timeout);
    s.peek = (m->flags & LX_MSG_PEEK) != 0;
    bool all = (m->flags & LX_MSG_WAITALL) != 0;
    uint64_t target = all ? m->u->left : MIN(u->s.rcvlowat, m->u->left);
    target = MAX(target, UINT64_C(1));
    if (u->state != UNIX_ESTABLISHED)
        return -EINVAL;
    int r;
    for (;;) {
        mutex_lock(&u->read_lock);
        if (s.done == 0) {
            s.at = NULL;
            s.skip = peek_skip(u, s.peek);
        }
        uint32_t skip = s.skip;
        r = stream_read_some(&s);
        mutex_unlock(&u->read_lock);
        if (r != -EAGAIN || (uint64_t)s.done >= target ||
            (m->flags & LX_MSG_DONTWAIT) != 0)
            break;
        if (s.peek && s.done > 0)
            break;
        r = recv_wait(u, skip, deadline);
        if (r < 0)
            break;
        if (s.done > 0 && u->queue_count == 0)
            break; /* the end, or an error for the next call */
    }
    return s.done > 0 ? s.done : r;
}

int64_t unix_recv(struct socket *s, struct message *m)
{
    struct unix_sock *u = unix_of(s);
    if ((m->flags & LX_MSG_OOB) != 0)
        return -EOPNOTSUPP;
    return s->type == LX_SOCK_STREAM ? stream_recv(u, m) : dgram_recv(u, m);
}
