// SPDX-License-Identifier: Apache-2.0
/* What files are: stat, statx, statfs, access, readlink. */
#include "abi/linux/stat.h"

#include "abi/linux/fcntl.h"

#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/inode.h"
#include "guest/fs/path.h"
#include "guest/sys/calls_fs.h"
#include "guest/sys/fsutil.h"

static int64_t stat_put(const struct inode *i, uint64_t to)
{
    struct lx_stat st = {
        .dev = LX_MKDEV(0, i->sb->dev),
        .ino = i->ino,
        .nlink = i->nlink,
        .mode = i->mode,
        .uid = i->uid,
        .gid = i->gid,
        .rdev = i->rdev,
        .size = (int64_t)i->size,
        .blksize = PAGE_SIZE,
        .blocks = (int64_t)i->blocks,
        .atime = i->atime,
        .mtime = i->mtime,
        .ctime = i->ctime,
    };
    return copy_to_user(uptr(to), &st, sizeof(st));
}

int64_t sys_fstat(const uint64_t *a)
{
    struct file *f = fd_get_any(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    int64_t r = stat_put(f->inode, a[1]);
    file_put(f);
    return r;
}

static bool user_name_empty(uint64_t name)
{
    char c;
    return name == 0 || (copy_from_user(&c, uptr(name), 1) == 0 && c == '\0');
}

static int64_t stat_path(uint64_t dirfd, uint64_t name, uint32_t at_flags,
                         uint64_t to)
{
    struct path p;
    int64_t r = at_path(dirfd, name, at_flags, true, &p);
    if (r < 0)
        return r;
    r = stat_put(p.dentry->inode, to);
    path_put(&p);
    return r;
}

int64_t sys_newfstatat(const uint64_t *a)
{
    uint32_t flags = (uint32_t)a[3];
    const uint32_t known =
        LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH | LX_AT_NO_AUTOMOUNT;
    if ((flags & ~known) != 0)
        return -EINVAL;
    /* The C library's fstat(): not worth a path. */
    if ((flags & LX_AT_EMPTY_PATH) != 0 && arg_fd(a[0]) >= 0 &&
        user_name_empty(a[1]))
        return sys_fstat((const uint64_t[]){a[0], a[2]});
    return stat_path(a[0], a[1], flags, a[2]);
}

int64_t sys_stat(const uint64_t *a)
{
    return stat_path((uint64_t)AT_FDCWD, a[0], 0, a[1]);
}

int64_t sys_lstat(const uint64_t *a)
{
    return stat_path((uint64_t)AT_FDCWD, a[0], LX_AT_SYMLINK_NOFOLLOW, a[1]);
}

static struct lx_statx_time statx_time(const struct lx_timespec *t)
{
    return (struct lx_statx_time){.sec = t->sec, .nsec = (uint32_t)t->nsec};
}

static int64_t statx_put(const struct path *p, uint64_t to)
{
    const struct inode *i = p->dentry->inode;
    struct lx_statx st = {
        .mask = LX_STATX_BASIC_STATS | LX_STATX_BTIME,
        .blksize = PAGE_SIZE,
        .attributes_mask = LX_STATX_ATTR_MOUNT_ROOT,
        .nlink = i->nlink,
        .uid = i->uid,
        .gid = i->gid,
        .mode = (uint16_t)i->mode,
        .ino = i->ino,
        .size = i->size,
        .blocks = i->blocks,
        .atime = statx_time(&i->atime),
        .btime = statx_time(&i->btime),
        .ctime = statx_time(&i->ctime),
        .mtime = statx_time(&i->mtime),
        .rdev_major = LX_MAJOR(i->rdev),
        .rdev_minor = LX_MINOR(i->rdev),
        .dev_minor = i->sb->dev,
    };
    if (p->mount != NULL) {
        st.mask |= LX_STATX_MNT_ID;
        st.mnt_id = p->mount->id;
        if (p->mount->root == p->dentry)
            st.attributes |= LX_STATX_ATTR_MOUNT_ROOT;
    }
    return copy_to_user(uptr(to), &st, sizeof(st));
}

int64_t sys_statx(const uint64_t *a)
{
    uint32_t flags = (uint32_t)a[2];
    const uint32_t known = LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH |
                           LX_AT_NO_AUTOMOUNT | LX_AT_STATX_SYNC_TYPE;
    if ((flags & ~known) != 0 || (a[3] & LX_STATX__RESERVED) != 0 ||
        (flags & LX_AT_STATX_SYNC_TYPE) == LX_AT_STATX_SYNC_TYPE)
        return -EINVAL;
    struct path p;
    int64_t r;
    if ((flags & LX_AT_EMPTY_PATH) != 0 && arg_fd(a[0]) >= 0 &&
        user_name_empty(a[1]))
        r = fd_path(a[0], &p);
    else
        r = at_path(a[0], a[1], flags, true, &p);
    if (r < 0)
        return r;
    r = statx_put(&p, a[4]);
    path_put(&p);
    return r;
}

/* --- statfs(2) --- */

#define ST_VALID 0x20

static int64_t statfs_put(const struct path *p, uint64_t to)
{
    struct lx_statfs st;
    struct superblock *sb = p->dentry->inode->sb;
    sb->ops->statfs(sb, &st);
    st.flags = ST_VALID;
    if (p->mount != NULL) /* the low bits are the same */
        st.flags |= p->mount->flags & 0x40f;
    return copy_to_user(uptr(to), &st, sizeof(st));
}

int64_t sys_statfs(const uint64_t *a)
{
    struct path p;
    int64_t r = at_path((uint64_t)AT_FDCWD, a[0], 0, true, &p);
    if (r < 0)
        return r;
    r = statfs_put(&p, a[1]);
    path_put(&p);
    return r;
}

int64_t sys_fstatfs(const uint64_t *a)
{
    struct path p;
    int64_t r = fd_path(a[0], &p);
    if (r < 0)
        return r;
    r = statfs_put(&p, a[1]);
    path_put(&p);
    return r;
}

/* --- access(2) --- */

static int64_t access_common(uint64_t dirfd, uint64_t name, uint32_t mode,
                             uint32_t flags)
{
    const uint32_t known =
        LX_AT_EACCESS | LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH;
    if ((mode & ~7u) != 0 || (flags & ~known) != 0)
        return -EINVAL;
    struct path p;
    int64_t r = at_path(dirfd, name, flags, true, &p);
    if (r < 0)
        return r;
    if (mode != 0)
        r = (flags & LX_AT_EACCESS) != 0 ? path_access(&p, mode)
                                         : path_access_real(&p, mode);
    path_put(&p);
    return r;
}

int64_t sys_faccessat(const uint64_t *a)
{
    return access_common(a[0], a[1], (uint32_t)a[2], 0);
}

int64_t sys_faccessat2(const uint64_t *a)
{
    return access_common(a[0], a[1], (uint32_t)a[2], (uint32_t)a[3]);
}

int64_t sys_access(const uint64_t *a)
{
    return access_common((uint64_t)AT_FDCWD, a[0], (uint32_t)a[1], 0);
}

/* --- readlink(2) --- */

static int64_t readlink_put(struct inode *i, uint64_t to, uint64_t size)
{
    size_t n = (size_t)MIN(size, (uint64_t)PATH_MAX);
    char *buf = kmalloc(n);
    if (buf == NULL)
        return -ENOMEM;
    int64_t r = i->ops->readlink(i, buf, n);
    if (r > 0 && copy_to_user(uptr(to), buf, (size_t)r) < 0)
        r = -EFAULT;
    kfree(buf);
    return r;
}

static int64_t readlink_common(uint64_t dirfd, uint64_t name, uint64_t to,
                               uint64_t size)
{
    struct path p;
    if ((int32_t)size <= 0)
        return -EINVAL;
    int64_t r = at_path(dirfd, name, LX_AT_EMPTY_PATH, false, &p);
    if (r < 0)
        return r;
    struct inode *i = p.dentry->inode;
    if ((i->mode & LX_S_IFMT) != LX_S_IFLNK)
        r = user_name_empty(name) ? -ENOENT : -EINVAL;
    else
        r = readlink_put(i, to, (uint32_t)size);
    path_put(&p);
    return r;
}

int64_t sys_readlinkat(const uint64_t *a)
{
    return readlink_common(a[0], a[1], a[2], a[3]);
}

int64_t sys_readlink(const uint64_t *a)
{
    return readlink_common((uint64_t)AT_FDCWD, a[0], a[1], a[2]);
}
