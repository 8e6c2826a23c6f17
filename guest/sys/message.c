// SPDX-License-Identifier: Apache-2.0
/* Messages of sockets: send and receive. */
#include "abi/linux/fcntl.h"

#include "guest/core/kmem.h"
#include "guest/core/sched.h"
#include "guest/core/timer.h"
#include "guest/core/uio.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/net/socket.h"
#include "guest/sys/calls_net.h"
#include "guest/sys/fsutil.h"
#include "guest/sys/poll.h"

#define IOV_MAX  1024u
#define MMSG_MAX 1024u

struct msg_call { /* one sendmsg or recvmsg */
    struct file *f;
    struct socket *s;
    uint32_t flags;
};

static int msg_begin(struct msg_call *c, uint64_t fd, uint64_t flags)
{
    c->flags = (uint32_t)flags;
    int r = socket_arg(fd, &c->f, &c->s);
    if (r == 0 && (c->f->flags & LX_O_NONBLOCK) != 0)
        c->flags |= LX_MSG_DONTWAIT;
    return r;
}

/* --- one buffer --- */

int64_t sys_sendto(const uint64_t *a)
{
    struct msg_call c;
    struct uio u;
    struct uio_seg seg;
    struct net_addr addr;
    int64_t r = msg_begin(&c, a[0], a[3]);
    if (r < 0)
        return r;
    uio_user(&u, &seg, uptr(a[1]), MIN(a[2], RW_MAX));
    struct message m = {.u = &u, .flags = c.flags};
    if (a[4] != 0) {
        r = addr_get(&addr, a[4], (int32_t)a[5]);
        m.addr = addr.size != 0 ? &addr : NULL;
    }
    if (r == 0)
        r = c.s->io->send(c.s, &m);
    file_put(c.f);
    return r;
}

int64_t sys_recvfrom(const uint64_t *a)
{
    struct msg_call c;
    struct uio u;
    struct uio_seg seg;
    struct net_addr addr = {.size = 0};
    int32_t room;
    int64_t r = msg_begin(&c, a[0], a[3]);
    if (r < 0)
        return r;
    uio_user(&u, &seg, uptr(a[1]), MIN(a[2], RW_MAX));
    struct message m = {.u = &u, .flags = c.flags};
    m.addr = a[4] != 0 ? &addr : NULL;
    r = c.s->io->recv(c.s, &m);
    control_fini(&m.control); /* no place for them */
    file_put(c.f);
    if (r < 0 || a[4] == 0)
        return r;
    if (copy_from_user(&room, uptr(a[5]), sizeof(room)) < 0)
        return -EFAULT;
    int e = addr_put(&addr, a[4], room);
    if (e == 0)
        e = put_user_u32(uptr(a[5]), addr.size);
    return e < 0 ? e : r;
}

/* --- struct msghdr --- */

/* Header and segments from the program. */
static int header_get(struct lx_msghdr *h, uint64_t at, struct uio *u,
                      struct uio_seg **segs)
{
    *segs = NULL;
    if (copy_from_user(h, uptr(at), sizeof(*h)) < 0)
        return -EFAULT;
    if (h->name == 0)
        h->name_size = 0;
    if (h->name_size < 0)
        return -EINVAL;
    h->name_size = MIN(h->name_size, (int32_t)sizeof(struct net_addr) - 4);
    if (h->iov_count > IOV_MAX)
        return -EMSGSIZE;
    return uio_user_vec(u, segs, uptr(h->iov), h->iov_count);
}

static int64_t send_one(const struct msg_call *c, uint64_t at)
{
    struct lx_msghdr h;
    struct uio u;
    struct uio_seg *segs;
    struct net_addr addr;
    struct message m = {.u = &u, .flags = c->flags};
    int64_t r = header_get(&h, at, &u, &segs);
    if (r == 0 && h.name_size > 0) {
        r = addr_get(&addr, h.name, h.name_size);
        m.addr = &addr;
    }
    if (r == 0 && h.control_size > INT32_MAX)
        r = -ENOBUFS;
    if (r == 0)
        r = control_get(&m.control, uptr(h.control), h.control_size);
    if (r == 0)
        r = c->s->io->send(c->s, &m);
    control_fini(&m.control);
    kfree(segs);
    return r;
}

/* What came with the data, into the program's struct msghdr. */
static int header_put(const struct lx_msghdr *h, struct message *m, uint64_t at,
                      bool want_cred)
{
    uint64_t size = h->control_size;
    bool cloexec = (m->flags & LX_MSG_CMSG_CLOEXEC) != 0;
    uint32_t flags = m->got | (m->flags & LX_MSG_CMSG_CLOEXEC);
    int r = 0;
    if (m->addr != NULL) {
        r = addr_put(m->addr, h->name, h->name_size);
        if (r == 0)
            r = put_user_u32(uptr(at + offsetof(struct lx_msghdr, name_size)),
                             m->addr->size);
    }
    flags |=
        control_put(&m->control, want_cred, uptr(h->control), &size, cloexec);
    if (r == 0)
        r = put_user_u32(uptr(at + offsetof(struct lx_msghdr, flags)), flags);
    if (r == 0)
        r = put_user_u64(uptr(at + offsetof(struct lx_msghdr, control_size)),
                         size);
    return r;
}

static int64_t recv_one(const struct msg_call *c, uint64_t at)
{
    struct lx_msghdr h;
    struct uio u;
    struct uio_seg *segs;
    struct net_addr addr = {.size = 0};
    struct message m = {.u = &u, .flags = c->flags};
    int64_t r = header_get(&h, at, &u, &segs);
    if (r == 0) {
        m.addr = h.name != 0 ? &addr : NULL;
        r = c->s->io->recv(c->s, &m);
    }
    if (r >= 0) {
        bool want = socket_option_on(c->s, LX_SO_PASSCRED);
        int e = header_put(&h, &m, at, want);
        r = e < 0 ? e : r;
    }
    control_fini(&m.control);
    kfree(segs);
    return r;
}

int64_t sys_sendmsg(const uint64_t *a)
{
    struct msg_call c;
    int64_t r = msg_begin(&c, a[0], a[2]);
    if (r < 0)
        return r;
    r = send_one(&c, a[1]);
    file_put(c.f);
    return r;
}

int64_t sys_recvmsg(const uint64_t *a)
{
    struct msg_call c;
    int64_t r = msg_begin(&c, a[0], a[2]);
    if (r < 0)
        return r;
    r = recv_one(&c, a[1]);
    file_put(c.f);
    return r;
}

/* --- many --- */

static int mmsg_put_size(uint64_t at, int64_t n)
{
    return put_user_u32(uptr(at + offsetof(struct lx_mmsghdr, size)),
                        (uint32_t)n);
}

int64_t sys_sendmmsg(const uint64_t *a)
{
    struct msg_call c;
    uint32_t n = 0, max = MIN((uint32_t)a[2], MMSG_MAX);
    int64_t r = msg_begin(&c, a[0], a[3]);
    if (r < 0)
        return r;
    for (; n < max; n++) {
        uint64_t at = a[1] + n * sizeof(struct lx_mmsghdr);
        r = send_one(&c, at);
        if (r >= 0)
            r = mmsg_put_size(at, r);
        if (r < 0)
            break;
        sched_point();
    }
    file_put(c.f);
    return n > 0 ? n : r;
}

static int64_t recv_many(struct msg_call *c, const uint64_t *a, nsec_t deadline)
{
    uint32_t n = 0, max = MIN((uint32_t)a[2], MMSG_MAX);
    int64_t r = 0;
    for (; n < max; n++) {
        uint64_t at = a[1] + n * sizeof(struct lx_mmsghdr);
        r = recv_one(c, at);
        if (r >= 0)
            r = mmsg_put_size(at, r);
        if (r < 0)
            break;
        if ((c->flags & LX_MSG_WAITFORONE) != 0)
            c->flags |= LX_MSG_DONTWAIT;
        if (clock_now() >= deadline) {
            n++;
            break;
        }
        sched_point();
    }
    /* An error after the first message is for the next call. */
    if (n > 0 && r < 0 && r != -EAGAIN && r != -ERESTARTSYS && r != -EINTR)
        c->s->error = (int32_t)-r;
    return n > 0 ? n : r;
}

int64_t sys_recvmmsg(const uint64_t *a)
{
    struct msg_call c;
    nsec_t deadline;
    int64_t r = deadline_from_timespec(uptr(a[4]), &deadline);
    if (r == 0)
        r = msg_begin(&c, a[0], a[3]);
    if (r < 0)
        return r;
    r = socket_error(c.s);
    if (r == 0)
        r = recv_many(&c, a, deadline);
    file_put(c.f);
    return r;
}
