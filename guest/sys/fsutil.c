// SPDX-License-Identifier: Apache-2.0
#include "guest/sys/fsutil.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/inotify.h"
#include "guest/fs/path.h"

int at_path(uint64_t dirfd, uint64_t name, uint32_t at_flags, bool follow,
            struct path *out)
{
    unsigned flags = follow ? PATH_FOLLOW : 0;
    if ((at_flags & LX_AT_SYMLINK_NOFOLLOW) != 0)
        flags = 0;
    if ((at_flags & LX_AT_EMPTY_PATH) != 0)
        flags |= PATH_EMPTY;
    return path_walk_user(arg_fd(dirfd), uptr(name), flags, out);
}

int fd_path(uint64_t fd, struct path *out)
{
    struct file *f = fd_get_any(arg_fd(fd));
    if (f == NULL)
        return -EBADF;
    int r = path_of_file(f, out);
    file_put(f);
    return r;
}

int path_setattr(const struct path *p, const struct iattr *a)
{
    struct inode *i = p->dentry->inode;
    if (p->mount != NULL && (p->mount->flags & LX_MS_RDONLY) != 0)
        return -EROFS;
    mutex_lock(&i->lock);
    int r = i->ops->setattr(i, a);
    mutex_unlock(&i->lock);
    uint32_t times = a->valid & (IATTR_ATIME | IATTR_MTIME);
    uint32_t other = a->valid & (IATTR_MODE | IATTR_UID | IATTR_GID);
    if (r == 0 && (other != 0 || times == (IATTR_ATIME | IATTR_MTIME)))
        inotify_dentry(p->dentry, IN_ATTRIB);
    else if (r == 0 && times != 0)
        inotify_dentry(p->dentry, times == IATTR_ATIME ? IN_ACCESS : IN_MODIFY);
    return r;
}
