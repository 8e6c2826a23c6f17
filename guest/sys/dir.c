// SPDX-License-Identifier: Apache-2.0
/* Names: directories, links, renames, current directory and root. */
#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/inotify.h"
#include "guest/fs/namei.h"
#include "guest/fs/path.h"
#include "guest/sys/calls_fs.h"
#include "guest/sys/fsutil.h"

/* --- getdents64(2) --- */

#define DENTS_CHUNK 32768u

struct dir_emit {
    uint8_t *buf;
    size_t size, used;
    bool old;  /* getdents(2) */
    bool full; /* an entry was refused */
};

static bool dents_emit(struct dir_emit *e, const char *name, size_t len,
                       uint64_t ino, uint32_t type, uint64_t next_pos)
{
    const size_t head = e->old ? offsetof(struct lx_dirent, name)
                               : offsetof(struct lx_dirent64, name);
    /* The name's end, and for the old form the type in the last byte. */
    size_t size = ROUND_UP(head + len + (e->old ? 2 : 1), 8u);
    e->full = size > e->size - e->used;
    if (e->full)
        return false;
    uint8_t *at = e->buf + e->used;
    memset(at, 0, size);
    struct lx_dirent64 d = {.ino = ino,
                            .off = (int64_t)next_pos,
                            .reclen = (uint16_t)size,
                            .type = (uint8_t)type};
    memcpy(at, &d, e->old ? head : offsetof(struct lx_dirent64, name));
    memcpy(at + head, name, len);
    if (e->old)
        at[size - 1] = (uint8_t)type;
    e->used += size;
    return true;
}

static int64_t dents_read(struct file *f, struct dir_emit *e)
{
    struct inode *i = f->inode;
    if (i->dir == NULL)
        return -ENOTDIR;
    mutex_lock(&f->pos_lock);
    mutex_lock(&i->lock);
    uint64_t pos = f->pos;
    int r = i->dir->readdir(i, &pos, dents_emit, e);
    mutex_unlock(&i->lock);
    f->pos = pos;
    mutex_unlock(&f->pos_lock);
    if (e->used == 0 && e->full)
        return -EINVAL; /* not even one fits */
    return r < 0 && e->used == 0 ? r : (int64_t)e->used;
}

static int64_t dents_common(const uint64_t *a, bool old)
{
    struct file *f = fd_get(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    size_t want = (uint32_t)a[2];
    struct dir_emit e = {.size = MIN(want, (size_t)DENTS_CHUNK), .old = old};
    int64_t r;
    e.buf = kmalloc(MAX(e.size, (size_t)8));
    if (e.buf == NULL)
        r = -ENOMEM;
    else
        r = dents_read(f, &e);
    if (r >= 0)
        inotify_dentry(f->path.dentry, IN_ACCESS);
    if (r > 0 && copy_to_user(uptr(a[1]), e.buf, (size_t)r) < 0)
        r = -EFAULT;
    kfree(e.buf);
    file_put(f);
    return r;
}

int64_t sys_getdents64(const uint64_t *a)
{
    return dents_common(a, false);
}

int64_t sys_getdents(const uint64_t *a)
{
    return dents_common(a, true);
}

/* --- where we are --- */

int64_t sys_getcwd(const uint64_t *a)
{
    struct fsctx *fs = current()->proc->fs;
    struct path cwd, root;
    char *buf = kmalloc(PATH_MAX);
    if (buf == NULL)
        return -ENOMEM;
    fsctx_get_cwd(fs, &cwd);
    fsctx_get_root(fs, &root);
    int64_t r = -ENAMETOOLONG;
    const char *name = path_name(&cwd, &root, buf, PATH_MAX);
    if (cwd.dentry->unhashed && cwd.dentry->parent != cwd.dentry) {
        r = -ENOENT;
    } else if (name != NULL) {
        static const char outside[] = "(unreachable)"; /* after chroot(2) */
        const size_t more = sizeof(outside) - 1;
        if (!path_below(&cwd, &root) && (size_t)(name - buf) >= more) {
            memcpy(buf + (name - buf) - more, outside, more);
            name -= more;
        }
        size_t n = strlen(name) + 1;
        r = n > a[1]                                ? -ERANGE
            : copy_to_user(uptr(a[0]), name, n) < 0 ? -EFAULT
                                                    : (int64_t)n;
    }
    path_put(&cwd);
    path_put(&root);
    kfree(buf);
    return r;
}

static int64_t chdir_path(struct path *p)
{
    int64_t r = -ENOTDIR;
    if (p->dentry->inode->dir != NULL)
        r = inode_access(p->dentry->inode, 1);
    if (r == 0)
        fsctx_set_cwd(current()->proc->fs, p);
    path_put(p);
    return r;
}

int64_t sys_chdir(const uint64_t *a)
{
    struct path p;
    int64_t r = at_path((uint64_t)AT_FDCWD, a[0], 0, true, &p);
    return r < 0 ? r : chdir_path(&p);
}

int64_t sys_fchdir(const uint64_t *a)
{
    struct path p;
    int64_t r = fd_path(a[0], &p);
    return r < 0 ? r : chdir_path(&p);
}

int64_t sys_chroot(const uint64_t *a)
{
    struct path p;
    int64_t r = at_path((uint64_t)AT_FDCWD, a[0], 0, true, &p);
    if (r < 0)
        return r;
    if (p.dentry->inode->dir == NULL)
        r = -ENOTDIR;
    else
        r = inode_access(p.dentry->inode, 1);
    if (r == 0 && !cred_capable(current()->proc, LX_CAP_SYS_CHROOT))
        r = -EPERM;
    if (r == 0)
        fsctx_set_root(current()->proc->fs, &p);
    path_put(&p);
    return r;
}

int64_t sys_umask(const uint64_t *a)
{
    return __atomic_exchange_n(&current()->proc->fs->umask,
                               (uint32_t)a[0] & 0777, __ATOMIC_RELAXED);
}

/* The tree of mounts is made at boot and stays: no namespace to change. */
/* Nothing can be mounted, but a bad name is told first. */
static int64_t mount_refuse(uint64_t name)
{
    struct user_name n;
    int r = user_name_get(&n, uptr(name));
    user_name_fini(&n);
    return r < 0 ? r : -EPERM;
}

int64_t sys_mount(const uint64_t *a)
{
    int64_t r = a[0] != 0 ? mount_refuse(a[0]) : -EPERM;
    return r == -EPERM ? mount_refuse(a[1]) : r;
}

int64_t sys_umount2(const uint64_t *a)
{
    return mount_refuse(a[0]);
}

int64_t sys_pivot_root(const uint64_t *a)
{
    (void)a;
    return -EPERM;
}

/* --- making names --- */

static int64_t mkdir_at(int dirfd, uint64_t name, uint32_t mode)
{
    struct user_name n;
    int r = user_name_get(&n, uptr(name));
    if (r == 0)
        r = fs_mkdir(dirfd, n.text, mode);
    user_name_fini(&n);
    return r;
}

int64_t sys_mkdirat(const uint64_t *a)
{
    return mkdir_at(arg_fd(a[0]), a[1], (uint32_t)a[2]);
}

int64_t sys_mkdir(const uint64_t *a)
{
    return mkdir_at(AT_FDCWD, a[0], (uint32_t)a[1]);
}

static int64_t mknod_at(int dirfd, uint64_t name, uint32_t mode, uint64_t dev)
{
    struct user_name n;
    switch (mode & LX_S_IFMT) {
    case 0: mode |= LX_S_IFREG; break;
    case LX_S_IFREG:
    case LX_S_IFIFO:
    case LX_S_IFSOCK:
    case LX_S_IFCHR:
    case LX_S_IFBLK: break;
    case LX_S_IFDIR: return -EPERM;
    default: return -EINVAL;
    }
    bool device =
        (mode & LX_S_IFMT) == LX_S_IFCHR || (mode & LX_S_IFMT) == LX_S_IFBLK;
    int r = user_name_get(&n, uptr(name));
    if (r == 0)
        r = fs_mknod(dirfd, n.text, mode & (LX_S_IFMT | 07777),
                     device ? (uint32_t)dev : 0);
    user_name_fini(&n);
    return r;
}

int64_t sys_mknodat(const uint64_t *a)
{
    return mknod_at(arg_fd(a[0]), a[1], (uint32_t)a[2], a[3]);
}

int64_t sys_mknod(const uint64_t *a)
{
    return mknod_at(AT_FDCWD, a[0], (uint32_t)a[1], a[2]);
}

static int64_t symlink_at(uint64_t target, int dirfd, uint64_t name)
{
    struct user_name t, n = {.text = n.small};
    int r = user_name_get(&t, uptr(target));
    if (r == 0)
        r = user_name_get(&n, uptr(name));
    if (r == 0)
        r = fs_symlink(t.text, dirfd, n.text);
    user_name_fini(&n);
    user_name_fini(&t);
    return r;
}

int64_t sys_symlinkat(const uint64_t *a)
{
    return symlink_at(a[0], arg_fd(a[1]), a[2]);
}

int64_t sys_symlink(const uint64_t *a)
{
    return symlink_at(a[0], AT_FDCWD, a[1]);
}

static int64_t link_at(uint64_t old_fd, uint64_t old, int new_fd, uint64_t name,
                       uint32_t flags)
{
    struct user_name n;
    struct path p = {NULL, NULL};
    if ((flags & ~(LX_AT_SYMLINK_FOLLOW | LX_AT_EMPTY_PATH)) != 0)
        return -EINVAL;
    int r = user_name_get(&n, uptr(name));
    if (r == 0)
        r = at_path(old_fd, old, flags & LX_AT_EMPTY_PATH,
                    (flags & LX_AT_SYMLINK_FOLLOW) != 0, &p);
    if (r == 0)
        r = namei_link(&p, new_fd, n.text);
    path_put(&p);
    user_name_fini(&n);
    return r;
}

int64_t sys_linkat(const uint64_t *a)
{
    return link_at(a[0], a[1], arg_fd(a[2]), a[3], (uint32_t)a[4]);
}

int64_t sys_link(const uint64_t *a)
{
    return link_at((uint64_t)AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}

/* --- removing and moving them --- */

static int64_t unlink_at(int dirfd, uint64_t name, bool rmdir)
{
    struct user_name n;
    int r = user_name_get(&n, uptr(name));
    if (r == 0)
        r = namei_unlink(dirfd, n.text, rmdir);
    user_name_fini(&n);
    return r;
}

int64_t sys_unlinkat(const uint64_t *a)
{
    uint32_t flags = (uint32_t)a[2];
    if ((flags & ~LX_AT_REMOVEDIR) != 0)
        return -EINVAL;
    return unlink_at(arg_fd(a[0]), a[1], flags != 0);
}

int64_t sys_unlink(const uint64_t *a)
{
    return unlink_at(AT_FDCWD, a[0], false);
}

int64_t sys_rmdir(const uint64_t *a)
{
    return unlink_at(AT_FDCWD, a[0], true);
}

int64_t sys_renameat2(const uint64_t *a)
{
    struct user_name from, to = {.text = to.small};
    int r = user_name_get(&from, uptr(a[1]));
    if (r == 0)
        r = user_name_get(&to, uptr(a[3]));
    if (r == 0)
        r = namei_rename(arg_fd(a[0]), from.text, arg_fd(a[2]), to.text,
                         (unsigned)a[4]);
    user_name_fini(&to);
    user_name_fini(&from);
    return r;
}

int64_t sys_renameat(const uint64_t *a)
{
    return sys_renameat2((const uint64_t[]){a[0], a[1], a[2], a[3], 0});
}

int64_t sys_rename(const uint64_t *a)
{
    const uint64_t here = (uint64_t)AT_FDCWD;
    return sys_renameat2((const uint64_t[]){here, a[0], here, a[1], 0});
}
