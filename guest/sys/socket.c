// SPDX-License-Identifier: Apache-2.0
/* Sockets: made, named, connected, asked. */
#include "guest/net/socket.h"

#include "abi/linux/fcntl.h"

#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/sys/calls_net.h"
#include "guest/sys/fsutil.h"

/* --- arguments --- */

int socket_arg(uint64_t fd, struct file **f, struct socket **s)
{
    *f = fd_get(arg_fd(fd));
    if (*f == NULL)
        return -EBADF;
    *s = socket_of(*f);
    if (*s == NULL) {
        file_put(*f);
        return -ENOTSOCK;
    }
    return 0;
}

int addr_get(struct net_addr *a, uint64_t from, int64_t size)
{
    *a = (struct net_addr){.size = 0};
    if (size < 0 || size > (int64_t)sizeof(a->data))
        return -EINVAL;
    a->size = (uint32_t)size;
    return size == 0 ? 0 : copy_from_user(a->data, uptr(from), a->size);
}

int addr_put(const struct net_addr *a, uint64_t to, int32_t room)
{
    if (room < 0)
        return -EINVAL;
    return copy_to_user(uptr(to), a->data, MIN(a->size, (uint32_t)room));
}

/* (address, pointer to its length) as accept and getsockname have them. */
static int addr_put_sized(const struct net_addr *a, uint64_t to, uint64_t size)
{
    int32_t room;
    if (copy_from_user(&room, uptr(size), sizeof(room)) < 0)
        return -EFAULT;
    int r = addr_put(a, to, room);
    return r < 0 ? r : put_user_u32(uptr(size), a->size);
}

/* --- made --- */

/* Type and flags; -EINVAL. */
static int type_flags(uint32_t arg, uint32_t *type, uint32_t *flags)
{
    *type = arg & LX_SOCK_TYPE_MASK;
    *flags = arg & ~LX_SOCK_TYPE_MASK;
    return (*flags & ~(LX_SOCK_CLOEXEC | LX_SOCK_NONBLOCK)) != 0 ? -EINVAL : 0;
}

/* `s` becomes a file with descriptor; it is released on failure. */
static int64_t socket_install(struct socket *s, uint32_t flags)
{
    struct file *f;
    int r = socket_file_new(s, flags & LX_SOCK_NONBLOCK, &f);
    if (r < 0)
        return r;
    int fd = fd_install(f, 0, (flags & LX_SOCK_CLOEXEC) != 0);
    if (fd < 0)
        file_put(f);
    return fd;
}

int64_t sys_socket(const uint64_t *a)
{
    uint32_t type, flags;
    struct socket *s;
    int r = type_flags((uint32_t)a[1], &type, &flags);
    if (r == 0)
        r = socket_create((int32_t)a[0], type, (int32_t)a[2], &s);
    return r < 0 ? r : socket_install(s, flags);
}

static int pair_create(const uint64_t *a, uint32_t type, struct socket *s[2])
{
    int r = socket_create((int32_t)a[0], type, (int32_t)a[2], &s[0]);
    if (r < 0)
        return r;
    r = socket_create((int32_t)a[0], type, (int32_t)a[2], &s[1]);
    if (r < 0) {
        s[0]->io->release(s[0]);
        return r;
    }
    r = net_family_find(s[0]->family)->pair(s[0], s[1]);
    if (r < 0) {
        s[0]->io->release(s[0]);
        s[1]->io->release(s[1]);
    }
    return r;
}

int64_t sys_socketpair(const uint64_t *a)
{
    uint32_t type, flags;
    struct socket *s[2];
    int r = type_flags((uint32_t)a[1], &type, &flags);
    if (r == 0)
        r = pair_create(a, type, s);
    if (r < 0)
        return r;
    int64_t fd = socket_install(s[0], flags);
    if (fd < 0) {
        s[1]->io->release(s[1]);
        return fd;
    }
    int64_t fd2 = socket_install(s[1], flags);
    if (fd2 < 0) {
        (void)fd_close((int)fd);
        return fd2;
    }
    const int32_t fds[2] = {(int32_t)fd, (int32_t)fd2};
    r = copy_to_user(uptr(a[3]), fds, sizeof(fds));
    if (r < 0) {
        (void)fd_close((int)fd);
        (void)fd_close((int)fd2);
    }
    return r;
}

/* --- named and connected --- */

static bool socket_nonblock(const struct file *f)
{
    return (f->flags & LX_O_NONBLOCK) != 0;
}

int64_t sys_bind(const uint64_t *a)
{
    struct file *f;
    struct socket *s;
    struct net_addr addr;
    int r = socket_arg(a[0], &f, &s);
    if (r < 0)
        return r;
    r = addr_get(&addr, a[1], (int32_t)a[2]);
    if (r == 0)
        r = s->ops->bind(s, &addr);
    file_put(f);
    return r;
}

int64_t sys_connect(const uint64_t *a)
{
    struct file *f;
    struct socket *s;
    struct net_addr addr;
    int r = socket_arg(a[0], &f, &s);
    if (r < 0)
        return r;
    r = addr_get(&addr, a[1], (int32_t)a[2]);
    if (r == 0)
        r = s->ops->connect(s, &addr, socket_nonblock(f));
    file_put(f);
    return r;
}

int64_t sys_listen(const uint64_t *a)
{
    struct file *f;
    struct socket *s;
    int r = socket_arg(a[0], &f, &s);
    if (r < 0)
        return r;
    r = s->ops->listen(s, (int32_t)a[1]);
    file_put(f);
    return r;
}

/* The name of the other end, if the program wants it. */
static int accept_addr(struct socket *s, uint64_t addr, uint64_t size)
{
    struct net_addr peer = {.size = 0};
    if (addr == 0)
        return 0;
    if (s->ops->name(s, true, &peer) < 0)
        return -ECONNABORTED;
    return addr_put_sized(&peer, addr, size);
}

static int64_t do_accept(const uint64_t *a, uint32_t flags)
{
    struct file *f;
    struct socket *s, *got;
    if ((flags & ~(LX_SOCK_CLOEXEC | LX_SOCK_NONBLOCK)) != 0)
        return -EINVAL;
    int r = socket_arg(a[0], &f, &s);
    if (r < 0)
        return r;
    r = fd_room();
    if (r == 0)
        r = s->ops->accept(s, socket_nonblock(f), &got);
    file_put(f);
    if (r == 0) {
        r = accept_addr(got, a[1], a[2]);
        if (r < 0)
            got->io->release(got);
    }
    return r < 0 ? r : socket_install(got, flags);
}

int64_t sys_accept(const uint64_t *a)
{
    return do_accept(a, 0);
}

int64_t sys_accept4(const uint64_t *a)
{
    return do_accept(a, (uint32_t)a[3]);
}

static int64_t do_name(const uint64_t *a, bool peer)
{
    struct file *f;
    struct socket *s;
    struct net_addr addr = {.size = 0};
    int r = socket_arg(a[0], &f, &s);
    if (r < 0)
        return r;
    r = s->ops->name(s, peer, &addr);
    file_put(f);
    return r < 0 ? r : addr_put_sized(&addr, a[1], a[2]);
}

int64_t sys_getsockname(const uint64_t *a)
{
    return do_name(a, false);
}

int64_t sys_getpeername(const uint64_t *a)
{
    return do_name(a, true);
}

int64_t sys_shutdown(const uint64_t *a)
{
    struct file *f;
    struct socket *s;
    int r = socket_arg(a[0], &f, &s);
    if (r < 0)
        return r;
    r = s->ops->shutdown(s, (int32_t)a[1]);
    file_put(f);
    return r;
}

/* --- options --- */

int64_t sys_setsockopt(const uint64_t *a)
{
    struct file *f;
    struct socket *s;
    if ((int32_t)a[4] < 0)
        return -EINVAL;
    int r = socket_arg(a[0], &f, &s);
    if (r < 0)
        return r;
    struct socket_option o = {.level = (int32_t)a[1],
                              .name = (int32_t)a[2],
                              .set = true,
                              .value = uptr(a[3]),
                              .size = (uint32_t)a[4]};
    r = socket_option(s, &o);
    file_put(f);
    return r;
}

int64_t sys_getsockopt(const uint64_t *a)
{
    struct file *f;
    struct socket *s;
    int32_t size;
    int r = socket_arg(a[0], &f, &s);
    if (r < 0)
        return r;
    if (copy_from_user(&size, uptr(a[4]), sizeof(size)) < 0)
        r = -EFAULT;
    else if (size < 0)
        r = -EINVAL;
    if (r == 0) {
        struct socket_option o = {.level = (int32_t)a[1],
                                  .name = (int32_t)a[2],
                                  .value = uptr(a[3]),
                                  .size = (uint32_t)size};
        r = socket_option(s, &o);
        if (r == 0 || r == -ERANGE) {
            int e = put_user_u32(uptr(a[4]), o.size);
            r = e < 0 ? e : r;
        }
    }
    file_put(f);
    return r;
}
