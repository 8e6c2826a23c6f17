// SPDX-License-Identifier: Apache-2.0
/* Sockets as files, and the table of families. */
#include "guest/net/socket.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"

#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/uio.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/net/inet_impl.h"
#include "guest/net/netlink.h"
#include "guest/net/unix.h"

static const struct net_family *const families[] = {
    &unix_family, &inet_family, &inet6_family, &netlink_family};

const struct net_family *net_family_find(int family)
{
    for (unsigned i = 0; i < ARRAY_COUNT(families); i++) {
        if (families[i]->family == family)
            return families[i];
    }
    return NULL;
}

void socket_init(struct socket *s, uint16_t family, uint16_t type)
{
    s->family = family;
    s->type = type;
    s->sndbuf = SOCKET_BUFFER;
    s->rcvbuf = SOCKET_BUFFER;
    s->rcvlowat = 1;
    s->send_timeout = NSEC_NEVER;
    s->recv_timeout = NSEC_NEVER;
    waitq_init(&s->in_wait);
    waitq_init(&s->out_wait);
}

int socket_create(int family, uint32_t type, int protocol, struct socket **out)
{
    if (family < 0 || family >= LX_AF_MAX)
        return -EAFNOSUPPORT;
    if (type >= LX_SOCK_MAX)
        return -EINVAL;
    const struct net_family *f = net_family_find(family);
    return f == NULL ? -EAFNOSUPPORT : f->create(type, protocol, out);
}

int socket_error(struct socket *s)
{
    if (__atomic_load_n(&s->error, __ATOMIC_RELAXED) == 0)
        return 0;
    return -__atomic_exchange_n(&s->error, 0, __ATOMIC_ACQ_REL);
}

int socket_wait_error(int r, nsec_t timeout)
{
    if (r == -ETIMEDOUT)
        return -EAGAIN;
    return r == -ERESTARTSYS && timeout != NSEC_NEVER ? -EINTR : r;
}

nsec_t socket_deadline(nsec_t timeout)
{
    return timeout == NSEC_NEVER ? NSEC_NEVER : clock_now() + timeout;
}

/* --- the file --- */

static int64_t sockfile_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct socket *s = f->data;
    struct message m = {.u = u};
    (void)pos;
    if (u->left == 0)
        return 0;
    if (u->nowait || (f->flags & LX_O_NONBLOCK) != 0)
        m.flags = LX_MSG_DONTWAIT;
    int64_t r = s->io->recv(s, &m);
    control_fini(&m.control); /* read(2) has no place for them */
    return r;
}

static int64_t sockfile_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct socket *s = f->data;
    struct message m = {.u = u};
    (void)pos;
    if (u->nowait || (f->flags & LX_O_NONBLOCK) != 0)
        m.flags = LX_MSG_DONTWAIT;
    if (u->more)
        m.flags |= LX_MSG_MORE;
    return s->io->send(s, &m);
}

static uint32_t sockfile_poll(struct file *f, struct poll_table *pt)
{
    struct socket *s = f->data;
    return s->io->poll(s, pt);
}

static int64_t sockfile_ioctl(struct file *f, uint32_t cmd, uint64_t arg)
{
    struct socket *s = f->data;
    int64_t r = s->io->ioctl(s, cmd, arg);
    /* netdevice(7): any socket will do; glibc takes one of AF_UNIX. */
    return r == -ENOTTY ? inet_device_ioctl(s, cmd, arg) : r;
}

static void sockfile_release(struct file *f)
{
    struct socket *s = f->data;
    s->io->release(s);
}

static const struct file_ops socket_file_ops = {
    .read = sockfile_read,
    .write = sockfile_write,
    .poll = sockfile_poll,
    .ioctl = sockfile_ioctl,
    .mmap = file_no_mmap,
    .release = sockfile_release,
};

struct socket *socket_of(const struct file *f)
{
    return f->ops == &socket_file_ops ? f->data : NULL;
}

int socket_file_new(struct socket *s, uint32_t flags, struct file **out)
{
    struct inode *i = anon_inode(LX_S_IFSOCK | 0777, "socket");
    struct file *f =
        i != NULL ? file_new(&socket_file_ops, i, LX_O_RDWR | flags) : NULL;
    if (i != NULL) {
        i->uid = current()->cred.fsuid;
        i->gid = current()->cred.fsgid;
        inode_put(i);
    }
    if (f == NULL) {
        s->io->release(s);
        return -ENOMEM;
    }
    f->mode |= FILE_STREAM;
    f->data = s;
    /* Pairs with those who look for the file of a socket in a queue. */
    __atomic_store_n(&s->file, f, __ATOMIC_RELEASE);
    *out = f;
    return 0;
}
