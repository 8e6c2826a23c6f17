// SPDX-License-Identifier: Apache-2.0
/* Extended attributes. xattr(7). */
#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/inotify.h"
#include "guest/fs/path.h"
#include "guest/sys/calls_fs.h"
#include "guest/sys/fsutil.h"

/* Which file a call names: by path, by path without following, by fd. */
enum by { BY_PATH, BY_LINK, BY_FD };

static int xattr_path(enum by by, uint64_t arg, struct path *out)
{
    if (by == BY_FD) {
        struct file *f = fd_get(arg_fd(arg));
        if (f == NULL)
            return -EBADF;
        int r = path_of_file(f, out);
        file_put(f);
        return r;
    }
    return at_path((uint64_t)AT_FDCWD, arg, 0, by == BY_PATH, out);
}

static int xattr_name(uint64_t from, char name[LX_XATTR_NAME_MAX + 1])
{
    int64_t n = strncpy_from_user(name, uptr(from), LX_XATTR_NAME_MAX + 1);
    if (n == 0 || n == -ENAMETOOLONG)
        return -ERANGE;
    return n < 0 ? (int)n : 0;
}

/* A name space and nothing in it. */
static bool is_prefix(const char *name)
{
    return strcmp(name, "user.") == 0 || strcmp(name, "trusted.") == 0 ||
           strcmp(name, "security.") == 0 || strcmp(name, "system.") == 0;
}

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* "user.": on files and directories only. */
static int xattr_check_user(struct inode *i, bool write)
{
    const struct process *proc = current()->proc;
    uint32_t type = i->mode & LX_S_IFMT;
    if (type != LX_S_IFREG && type != LX_S_IFDIR)
        return write ? -EPERM : -ENODATA;
    if (write && type == LX_S_IFDIR && (i->mode & LX_S_ISVTX) != 0 &&
        current()->cred.fsuid != i->uid && !cred_capable(proc, LX_CAP_FOWNER))
        return -EPERM;
    return inode_access(i, write ? 2 : 4);
}

/* Who may touch which name space. */
static int xattr_check(const struct path *p, const char *name, bool write)
{
    bool admin = cred_capable(current()->proc, LX_CAP_SYS_ADMIN);
    if (write && p->mount != NULL && (p->mount->flags & LX_MS_RDONLY) != 0)
        return -EROFS;
    int r = -EOPNOTSUPP;
    if (has_prefix(name, "user."))
        r = xattr_check_user(p->dentry->inode, write);
    else if (has_prefix(name, "trusted."))
        r = admin ? 0 : write ? -EPERM : -ENODATA;
    else if (has_prefix(name, "security."))
        r = !write || admin ? 0 : -EPERM;
    else if (has_prefix(name, "system."))
        r = write ? -EOPNOTSUPP : 0;
    return r == 0 && is_prefix(name) ? -EINVAL : r;
}

static int64_t xattr_set(const struct path *p, const uint64_t *a)
{
    char name[LX_XATTR_NAME_MAX + 1];
    struct inode *i = p->dentry->inode;
    if ((a[4] & ~(uint64_t)(LX_XATTR_CREATE | LX_XATTR_REPLACE)) != 0)
        return -EINVAL;
    int r = xattr_name(a[1], name);
    if (r == 0 && a[3] > LX_XATTR_SIZE_MAX)
        r = -E2BIG;
    if (r == 0)
        r = xattr_check(p, name, true);
    if (r < 0)
        return r;
    void *value = kmalloc(MAX(a[3], UINT64_C(1)));
    if (value == NULL)
        return -ENOMEM;
    if (copy_from_user(value, uptr(a[2]), a[3]) < 0) {
        r = -EFAULT;
    } else {
        mutex_lock(&i->lock);
        r = i->ops->setxattr(i, name, value, a[3], (uint32_t)a[4]);
        mutex_unlock(&i->lock);
        if (r == 0)
            inotify_dentry(p->dentry, IN_ATTRIB);
    }
    kfree(value);
    return r;
}

static int64_t xattr_remove(const struct path *p, const uint64_t *a)
{
    char name[LX_XATTR_NAME_MAX + 1];
    struct inode *i = p->dentry->inode;
    int r = xattr_name(a[1], name);
    if (r == 0)
        r = xattr_check(p, name, true);
    if (r < 0)
        return r;
    mutex_lock(&i->lock);
    r = i->ops->setxattr(i, name, NULL, 0, LX_XATTR_REPLACE);
    mutex_unlock(&i->lock);
    if (r == 0)
        inotify_dentry(p->dentry, IN_ATTRIB);
    return r;
}

/* A getter's result to the user: `name` NULL lists. */
static int64_t xattr_read(struct inode *i, const char *name, uint64_t to,
                          uint64_t size)
{
    size = MIN(size, (uint64_t)LX_XATTR_SIZE_MAX);
    void *buf = kmalloc(MAX(size, UINT64_C(1)));
    if (buf == NULL)
        return -ENOMEM;
    mutex_lock(&i->lock);
    int64_t r = name != NULL ? i->ops->getxattr(i, name, buf, size)
                             : i->ops->listxattr(i, buf, size);
    mutex_unlock(&i->lock);
    if (r > 0 && size != 0 && copy_to_user(uptr(to), buf, (size_t)r) < 0)
        r = -EFAULT;
    kfree(buf);
    return r;
}

static int64_t xattr_get(const struct path *p, const uint64_t *a)
{
    char name[LX_XATTR_NAME_MAX + 1];
    int r = xattr_name(a[1], name);
    if (r == 0)
        r = xattr_check(p, name, false);
    return r < 0 ? r : xattr_read(p->dentry->inode, name, a[2], a[3]);
}

static int64_t xattr_list(const struct path *p, const uint64_t *a)
{
    return xattr_read(p->dentry->inode, NULL, a[1], a[2]);
}

static int64_t xattr_call(enum by by, const uint64_t *a,
                          int64_t (*fn)(const struct path *p,
                                        const uint64_t *a))
{
    struct path p;
    int64_t r = xattr_path(by, a[0], &p);
    if (r < 0)
        return r;
    r = fn(&p, a);
    path_put(&p);
    return r;
}

#define XATTR_CALL(name, by, fn)                                               \
    int64_t sys_##name(const uint64_t *a)                                      \
    {                                                                          \
        return xattr_call(by, a, fn);                                          \
    }

XATTR_CALL(setxattr, BY_PATH, xattr_set)
XATTR_CALL(lsetxattr, BY_LINK, xattr_set)
XATTR_CALL(fsetxattr, BY_FD, xattr_set)
XATTR_CALL(getxattr, BY_PATH, xattr_get)
XATTR_CALL(lgetxattr, BY_LINK, xattr_get)
XATTR_CALL(fgetxattr, BY_FD, xattr_get)
XATTR_CALL(listxattr, BY_PATH, xattr_list)
XATTR_CALL(llistxattr, BY_LINK, xattr_list)
XATTR_CALL(flistxattr, BY_FD, xattr_list)
XATTR_CALL(removexattr, BY_PATH, xattr_remove)
XATTR_CALL(lremovexattr, BY_LINK, xattr_remove)
XATTR_CALL(fremovexattr, BY_FD, xattr_remove)
