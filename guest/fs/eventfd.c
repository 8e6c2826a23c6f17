// SPDX-License-Identifier: Apache-2.0
/* eventfd(2): a counter to wait for. */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/poll.h"

#include "guest/core/kmem.h"
#include "guest/core/uio.h"
#include "guest/fs/events.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/poll.h"

#define EVENTFD_MAX (UINT64_MAX - 1)

struct eventfd {
    struct spinlock lock;
    struct waitq waitq;
    uint64_t count;
    bool semaphore;
};

/* Takes what a read gets; 0: nothing there. */
static uint64_t eventfd_take(struct eventfd *e)
{
    spin_lock(&e->lock);
    uint64_t v = e->semaphore && e->count > 0 ? 1 : e->count;
    e->count -= v;
    spin_unlock(&e->lock);
    return v;
}

static bool eventfd_add(struct eventfd *e, uint64_t v)
{
    spin_lock(&e->lock);
    bool fits = v <= EVENTFD_MAX - e->count;
    if (fits)
        e->count += v;
    spin_unlock(&e->lock);
    return fits;
}

static int64_t eventfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct eventfd *e = f->data;
    (void)pos;
    if (u->left < sizeof(uint64_t))
        return -EINVAL;
    uint64_t v = eventfd_take(e);
    if (v == 0 && (f->flags & LX_O_NONBLOCK) != 0)
        return -EAGAIN;
    if (v == 0) {
        int r;
        WAIT_FOR(r, &e->waitq, (v = eventfd_take(e)) != 0, WAIT_SIGNALS,
                 NSEC_NEVER);
        if (r < 0)
            return r;
    }
    waitq_wake(&e->waitq, EPOLLOUT | EPOLLWRNORM, WAKE_ALL);
    return uio_put(u, &v, sizeof(v));
}

static int64_t eventfd_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct eventfd *e = f->data;
    uint64_t v;
    (void)pos;
    if (u->left < sizeof(v))
        return -EINVAL;
    int64_t n = uio_get(u, &v, sizeof(v));
    if (n < 0)
        return n;
    if (n != sizeof(v))
        return -EFAULT;
    if (v == UINT64_MAX)
        return -EINVAL;
    if (!eventfd_add(e, v)) {
        if ((f->flags & LX_O_NONBLOCK) != 0)
            return -EAGAIN;
        int r;
        WAIT_FOR(r, &e->waitq, eventfd_add(e, v), WAIT_SIGNALS, NSEC_NEVER);
        if (r < 0)
            return r;
    }
    waitq_wake(&e->waitq, EPOLLIN | EPOLLRDNORM, WAKE_ALL);
    return sizeof(v);
}

static uint32_t eventfd_poll(struct file *f, struct poll_table *pt)
{
    struct eventfd *e = f->data;
    poll_add(pt, &e->waitq);
    spin_lock(&e->lock);
    uint32_t r =
        (e->count > 0 ? EPOLLIN : 0) | (e->count < EVENTFD_MAX ? EPOLLOUT : 0);
    spin_unlock(&e->lock);
    return r;
}

static void eventfd_release(struct file *f)
{
    kfree(f->data);
}

static const struct file_ops eventfd_ops = {
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .ioctl = file_no_ioctl,
    .mmap = file_no_mmap,
    .release = eventfd_release,
};

int event_file_new(const struct file_ops *ops, const char *kind, uint32_t flags,
                   void *data, struct file **out)
{
    struct inode *i = anon_inode(0600, kind);
    struct file *f = i != NULL ? file_new(ops, i, flags) : NULL;
    if (i != NULL)
        inode_put(i);
    if (f == NULL)
        return -ENOMEM;
    f->mode |= FILE_STREAM;
    f->data = data;
    *out = f;
    return 0;
}

int eventfd_new(uint64_t count, uint32_t flags, struct file **out)
{
    struct eventfd *e = kzalloc(sizeof(*e));
    if (e == NULL)
        return -ENOMEM;
    waitq_init(&e->waitq);
    e->count = count;
    e->semaphore = (flags & LX_EFD_SEMAPHORE) != 0;
    int r = event_file_new(&eventfd_ops, "eventfd",
                           LX_O_RDWR | (flags & LX_EFD_NONBLOCK), e, out);
    if (r < 0)
        kfree(e);
    return r;
}

bool eventfd_count(const struct file *f, uint64_t *count)
{
    const struct eventfd *e = f->data;
    if (f->ops != &eventfd_ops)
        return false;
    *count = __atomic_load_n(&e->count, __ATOMIC_RELAXED);
    return true;
}
