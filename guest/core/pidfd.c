// SPDX-License-Identifier: Apache-2.0
/* Files that name a process. pidfd_open(2) */
#include "guest/core/pidfd.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/poll.h"

#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/poll.h"

static uint32_t pidfd_poll(struct file *f, struct poll_table *pt)
{
    struct process *p = f->data; /* of every pidfd */

    poll_add(pt, &p->exit_wait);
    return p->zombie ? EPOLLIN | EPOLLRDNORM : 0;
}

static void pidfd_release(struct file *f)
{
    process_put(f->data);
}

static const struct file_ops pidfd_ops = {
    .read = file_no_read,
    .write = file_no_write,
    .poll = pidfd_poll,
    .ioctl = file_no_ioctl,
    .mmap = file_no_mmap,
    .release = pidfd_release,
};

int pidfd_new(struct process *p, uint32_t open_flags)
{
    struct inode *i = anon_inode(0600, "pidfd");

    if (i == NULL)
        return -ENOMEM;
    struct file *f = file_new(&pidfd_ops, i, LX_O_RDWR | open_flags);
    inode_put(i);
    if (f == NULL)
        return -ENOMEM;
    process_get(p);
    f->data = p;
    f->mode |= FILE_STREAM;
    int fd = fd_install(f, 0, true);
    if (fd < 0)
        file_put(f);
    return fd;
}

struct process *pidfd_get(int fd)
{
    struct file *f = fd_get(fd);
    struct process *p = NULL;

    if (f == NULL)
        return NULL;
    if (f->ops == &pidfd_ops) {
        p = f->data;
        process_get(p);
    }
    file_put(f);
    return p;
}
