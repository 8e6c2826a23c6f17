// SPDX-License-Identifier: Apache-2.0
/* AF_UNIX sockets: life, options, readiness. unix(7). */
#include "guest/net/unix.h"

#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/poll.h"
#include "guest/fs/pseudo.h"
#include "guest/net/unix_impl.h"

struct spinlock unix_lock;
struct list unix_all = LIST_INIT(unix_all);

static const struct socket_ops unix_ops;
static const struct socket_io_ops unix_io_ops;

/* --- life --- */

struct unix_sock *unix_new(uint16_t type)
{
    struct unix_sock *u = kzalloc(sizeof(*u));
    if (u == NULL)
        return NULL;
    socket_init(&u->s, LX_AF_UNIX, type);
    u->s.ops = &unix_ops;
    u->s.io = &unix_io_ops;
    u->refs = 1;
    u->backlog = UNIX_DGRAM_MAX;
    u->peek_off = -1;
    mutex_init(&u->read_lock);
    waitq_init(&u->room_wait);
    list_init(&u->hash_node);
    list_init(&u->senders);
    list_init(&u->sender_node);
    list_init(&u->queue);
    list_init(&u->pending);
    list_init(&u->pending_node);
    list_init(&u->gc_node);
    spin_lock(&unix_lock);
    list_add_tail(&unix_all, &u->all_node);
    spin_unlock(&unix_lock);
    return u;
}

void unix_get(struct unix_sock *u)
{
    u->refs++;
}

void unix_put(struct unix_sock *u)
{
    if (--u->refs != 0)
        return;
    list_remove(&u->all_node);
    if (u->name != NULL && --u->name->refs == 0)
        kfree(u->name);
    unix_cred_put(u->cred);
    unix_cred_put(u->peer_cred);
    kfree(u);
}

struct unix_cred *unix_cred_new(void)
{
    const struct cred *c = &current()->cred;
    uint32_t n = cred_group_count(c);
    struct unix_cred *uc = kmalloc(sizeof(*uc) + n * sizeof(uc->groups[0]));
    if (uc == NULL)
        return NULL;
    uc->refs = 1;
    uc->cred = ucred_current();
    uc->group_count = n;
    if (n != 0)
        memcpy(uc->groups, c->groups->id, n * sizeof(uc->groups[0]));
    return uc;
}

void unix_cred_put(struct unix_cred *c)
{
    if (c != NULL && --c->refs == 0)
        kfree(c);
}

void unix_wake_all(struct unix_sock *u, uint32_t events)
{
    waitq_wake(&u->s.in_wait, events, WAKE_ALL);
    waitq_wake(&u->s.out_wait, events, WAKE_ALL);
}

static int unix_create(uint32_t type, int protocol, struct socket **out)
{
    if (protocol != 0 && protocol != LX_AF_UNIX)
        return -EPROTONOSUPPORT;
    if (type == LX_SOCK_RAW) /* as BSD had it */
        type = LX_SOCK_DGRAM;
    if (type != LX_SOCK_STREAM && type != LX_SOCK_DGRAM &&
        type != LX_SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    struct unix_sock *u = unix_new((uint16_t)type);
    if (u == NULL)
        return -ENOMEM;
    *out = &u->s;
    return 0;
}

/* --- readiness --- */

bool unix_has_room(const struct unix_sock *u)
{
    return u->state != UNIX_LISTEN && u->sent * 4 <= u->s.sndbuf;
}

bool unix_queue_full(const struct unix_sock *u)
{
    return u->queue_count > u->backlog;
}

static uint32_t unix_poll(struct socket *s, struct poll_table *pt)
{
    struct unix_sock *u = unix_of(s);
    uint32_t bits = 0;
    poll_add(pt, &s->in_wait);
    poll_add(pt, &s->out_wait);
    spin_lock(&unix_lock);
    if (s->error != 0)
        bits |= EPOLLERR;
    if (u->shut == UNIX_SHUT_BOTH)
        bits |= EPOLLHUP;
    if ((u->shut & UNIX_SHUT_RECV) != 0)
        bits |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
    if (u->queue_count != 0 || u->pending_count != 0)
        bits |= EPOLLIN | EPOLLRDNORM;
    if (s->type != LX_SOCK_DGRAM && u->state == UNIX_CLOSE)
        bits |= EPOLLHUP;
    const struct unix_sock *peer = u->peer;
    bool full = s->type == LX_SOCK_DGRAM && peer != NULL && peer->peer != u &&
                !peer->dead && unix_queue_full(peer);
    if (unix_has_room(u) && !full)
        bits |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
    spin_unlock(&unix_lock);
    return bits;
}

/* --- ioctl, options --- */

static int64_t unix_ioctl(struct socket *s, uint32_t cmd, uint64_t arg)
{
    struct unix_sock *u = unix_of(s);
    uint64_t n = 0;
    spin_lock(&unix_lock);
    bool listening = u->state == UNIX_LISTEN;
    if (cmd == LX_SIOCOUTQ)
        n = u->sent;
    else if (s->type != LX_SOCK_DGRAM)
        n = u->queue_bytes;
    else if (!list_empty(&u->queue))
        n = LIST_ENTRY(u->queue.next, struct unix_packet, node)->size;
    spin_unlock(&unix_lock);
    switch (cmd) {
    case LX_SIOCINQ:
        if (listening)
            return -EINVAL;
        break;
    case LX_SIOCOUTQ: break;
    case LX_SIOCATMARK: n = 0; break;
    default: return -ENOTTY;
    }
    return put_user_u32(uptr(arg), (uint32_t)MIN(n, (uint64_t)INT32_MAX));
}

static int get_peer_groups(struct socket_option *o, const struct unix_cred *c)
{
    uint32_t n = c->group_count * (uint32_t)sizeof(c->groups[0]);
    uint32_t room = o->size;
    o->size = n;
    if (room < n)
        return -ERANGE;
    return copy_to_user(o->value, c->groups, n);
}

static int get_peer_cred(struct unix_sock *u, struct socket_option *o)
{
    static const struct lx_ucred nobody = {0, UINT32_MAX, UINT32_MAX};
    int r;
    spin_lock(&unix_lock);
    struct unix_cred *c = u->peer_cred;
    if (c != NULL)
        c->refs++;
    spin_unlock(&unix_lock);
    if (o->name == LX_SO_PEERCRED)
        r = socket_option_put(o, c != NULL ? &c->cred : &nobody,
                              sizeof(nobody));
    else
        r = c == NULL ? -ENODATA : get_peer_groups(o, c);
    spin_lock(&unix_lock);
    unix_cred_put(c);
    spin_unlock(&unix_lock);
    return r;
}

static int peek_option(struct unix_sock *u, struct socket_option *o)
{
    int32_t off;
    if (!o->set)
        return socket_option_put(o, &u->peek_off, sizeof(u->peek_off));
    int code = socket_option_get(o, &off, sizeof(off));
    if (code < 0)
        return code;
    mutex_lock(&u->read_lock);
    u->peek_off = off;
    mutex_unlock(&u->read_lock);
    return 0;
}

static int unix_option(struct socket *s, struct socket_option *o)
{
    if (o->level != LX_SOL_SOCKET)
        return -EOPNOTSUPP;
    if (o->name == LX_SO_PEEK_OFF)
        return peek_option(unix_of(s), o);
    if (!o->set && (o->name == LX_SO_PEERCRED || o->name == LX_SO_PEERGROUPS))
        return get_peer_cred(unix_of(s), o);
    return -ENOPROTOOPT;
}

static const struct socket_ops unix_ops = {
    .bind = unix_bind,
    .connect = unix_connect,
    .listen = unix_listen,
    .accept = unix_accept,
    .name = unix_name_of,
    .shutdown = unix_shutdown,
};

static const struct socket_io_ops unix_io_ops = {
    .send = unix_send,
    .recv = unix_recv,
    .poll = unix_poll,
    .ioctl = unix_ioctl,
    .option = unix_option,
    .release = unix_release,
};

const struct net_family unix_family = {
    .family = LX_AF_UNIX,
    .create = unix_create,
    .pair = unix_pair,
};

/* --- /proc/net/unix --- */

static void show_name(struct text *t, const struct unix_name *n)
{
    const char *path = (const char *)n->addr.data + sizeof(uint16_t);
    size_t size = n->addr.size - sizeof(uint16_t);
    text_add(t, " ", 1);
    if (path[0] != '\0') {
        text_add(t, path, strnlen(path, size));
        return;
    }
    for (size_t i = 0; i < size; i++)
        text_add(t, path[i] == '\0' ? "@" : &path[i], 1);
}

int unix_show(struct text *t, const struct pseudo_ref *r)
{
    static const char head[] =
        "Num       RefCount Protocol Flags    Type St Inode Path\n";
    (void)r;
    text_add(t, head, sizeof(head) - 1);
    spin_lock(&unix_lock);
    LIST_FOR(it, &unix_all)
    {
        const struct unix_sock *u = LIST_ENTRY(it, struct unix_sock, all_node);
        bool up = u->state == UNIX_ESTABLISHED;
        unsigned st = u->s.file != NULL ? (up ? 3 : 1) : (up ? 2 : 4);
        text_printf(t, "%016lx: %08X %08X %08X %04X %02X %5lu", 0ul, u->refs,
                    0u, u->state == UNIX_LISTEN ? 0x10000u : 0u, u->s.type, st,
                    u->s.file != NULL ? (unsigned long)u->s.file->inode->ino
                                      : 0ul);
        if (u->name != NULL)
            show_name(t, u->name);
        text_add(t, "\n", 1);
    }
    spin_unlock(&unix_lock);
    return 0;
}
