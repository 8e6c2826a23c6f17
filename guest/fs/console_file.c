// SPDX-License-Identifier: Apache-2.0
/*
 * The container's stdin, stdout and stderr without a terminal: streams over
 * console ports that look like pipes to fstat(2). One ops table per port, so
 * that a file opened anew through /proc/self/fd/1 works like the first.
 */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"

#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/inode.h"
#include "guest/fs/poll.h"
#include "guest/fs/tty.h"
#include "guest/virtio/console.h"

/* One reader, one writer per port at a time; never held while waiting. */
static struct mutex in_lock = {.waiters = LIST_INIT(in_lock.waiters)};
static struct mutex out_locks[] = {
    [BOOT_PORT_STDIO] = {.waiters = LIST_INIT(out_locks[0].waiters)},
    [BOOT_PORT_STDERR] = {.waiters = LIST_INIT(out_locks[1].waiters)},
};

/* Bytes, 0: none at the moment. */
static int64_t stdin_take(struct uio *u)
{
    const char *at;
    mutex_lock(&in_lock);
    size_t have = console_peek(BOOT_PORT_STDIO, &at);
    int64_t r = have > 0 ? uio_put(u, at, have) : 0;
    if (r > 0)
        console_skip(BOOT_PORT_STDIO, (size_t)r);
    mutex_unlock(&in_lock);
    return r;
}

static int64_t stdin_read(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)pos;
    int64_t r;
    if (u->left == 0)
        return 0;
    if (console_prepare_in(BOOT_PORT_STDIO) < 0)
        return -ENOMEM;
    for (;;) {
        r = stdin_take(u);
        if (r != 0 || console_eof(BOOT_PORT_STDIO))
            return r;
        if ((f->flags & LX_O_NONBLOCK) != 0)
            return -EAGAIN;
        int e;
        const char *at;
        WAIT_FOR(e, console_in_waitq(BOOT_PORT_STDIO),
                 console_peek(BOOT_PORT_STDIO, &at) > 0 ||
                     console_eof(BOOT_PORT_STDIO),
                 WAIT_SIGNALS, NSEC_NEVER);
        if (e < 0)
            return e;
    }
}

static uint32_t stdin_poll(struct file *f, struct poll_table *pt)
{
    (void)f;
    const char *at;
    poll_add(pt, console_in_waitq(BOOT_PORT_STDIO));
    if (console_peek(BOOT_PORT_STDIO, &at) > 0)
        return EPOLLIN | EPOLLRDNORM;
    return console_eof(BOOT_PORT_STDIO) ? EPOLLHUP : 0;
}

static int64_t stdin_ioctl(struct file *f, uint32_t cmd, uint64_t arg)
{
    (void)f;
    if (cmd != LX_FIONREAD)
        return -ENOTTY;
    const char *at;
    size_t have = console_peek(BOOT_PORT_STDIO, &at);
    return put_user_u32(uptr(arg), (uint32_t)have);
}

/* One piece straight into the port's ring. 0: full. */
static int64_t output_put(enum boot_port port, struct uio *u)
{
    char *at;
    mutex_lock(&out_locks[port]);
    size_t room = console_reserve(port, &at);
    int64_t r = room > 0 ? uio_get(u, at, room) : 0;
    if (r > 0)
        console_commit(port, (size_t)r);
    mutex_unlock(&out_locks[port]);
    return r;
}

static int64_t output_write(enum boot_port port, struct file *f, struct uio *u)
{
    int64_t done = 0;
    if (console_prepare_out(port) < 0)
        return -ENOMEM;
    while (u->left > 0) {
        int64_t r = output_put(port, u);
        if (r == 0 && (f->flags & LX_O_NONBLOCK) != 0) {
            r = -EAGAIN;
        } else if (r == 0) {
            int e;
            WAIT_FOR(e, console_out_waitq(port), console_room(port) > 0,
                     WAIT_SIGNALS, NSEC_NEVER);
            r = e;
        } else if (r > 0) {
            done += r;
        }
        if (r < 0)
            return done > 0 ? done : r;
    }
    return done;
}

static int64_t stdout_write(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)pos;
    return output_write(BOOT_PORT_STDIO, f, u);
}

static int64_t stderr_write(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)pos;
    return output_write(BOOT_PORT_STDERR, f, u);
}

static uint32_t output_poll(enum boot_port port, struct poll_table *pt)
{
    poll_add(pt, console_out_waitq(port));
    return console_room(port) > 0 ? EPOLLOUT | EPOLLWRNORM : 0;
}

static uint32_t stdout_poll(struct file *f, struct poll_table *pt)
{
    (void)f;
    return output_poll(BOOT_PORT_STDIO, pt);
}

static uint32_t stderr_poll(struct file *f, struct poll_table *pt)
{
    (void)f;
    return output_poll(BOOT_PORT_STDERR, pt);
}

static int64_t output_read(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)u, (void)pos;
    return -EBADF;
}

static int64_t stdin_write(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)u, (void)pos;
    return -EBADF;
}

static const struct file_ops stdio_ops[3] = {
    {
        .read = stdin_read,
        .write = stdin_write,
        .poll = stdin_poll,
        .ioctl = stdin_ioctl,
        .mmap = file_no_mmap,
        .release = file_no_release,
    },
    {
        .read = output_read,
        .write = stdout_write,
        .poll = stdout_poll,
        .ioctl = file_no_ioctl,
        .mmap = file_no_mmap,
        .release = file_no_release,
    },
    {
        .read = output_read,
        .write = stderr_write,
        .poll = stderr_poll,
        .ioctl = file_no_ioctl,
        .mmap = file_no_mmap,
        .release = file_no_release,
    },
};

static int stream_open(unsigned fd, struct file **out)
{
    struct inode *i = anon_inode(LX_S_IFIFO | 0600, "pipe");
    if (i == NULL)
        return -ENOMEM;
    const struct process *p = current()->proc;
    if (p != NULL) { /* a non-root program may reopen them by name */
        i->uid = current()->cred.uid;
        i->gid = current()->cred.gid;
    }
    i->file_ops = &stdio_ops[fd];
    struct file *f =
        file_new(&stdio_ops[fd], i, fd == 0 ? LX_O_RDONLY : LX_O_WRONLY);
    inode_put(i);
    if (f == NULL)
        return -ENOMEM;
    f->mode |= FILE_STREAM;
    *out = f;
    return 0;
}

static int stdio_open_one(bool tty, bool has_stdin, unsigned fd,
                          struct file **out)
{
    if (tty)
        return file_open(AT_FDCWD, "/dev/console", LX_O_RDWR, 0, 0, out);
    if (fd == 0 && !has_stdin)
        return file_open(AT_FDCWD, "/dev/null", LX_O_RDONLY, 0, 0, out);
    return stream_open(fd, out);
}

int console_open_stdio(bool tty, bool has_stdin, struct file *out[3])
{
    int r = tty ? tty_console_start() : 0;
    for (unsigned fd = 0; fd < 3; fd++) {
        out[fd] = NULL;
        if (r == 0)
            r = stdio_open_one(tty, has_stdin, fd, &out[fd]);
    }
    for (unsigned fd = 0; r < 0 && fd < 3; fd++)
        if (out[fd] != NULL)
            file_put(out[fd]);
    return r;
}
