// SPDX-License-Identifier: Apache-2.0
/* Descriptors: open, close, dup, pipe, memfd_create. */
#include "guest/fs/file.h"

#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/fs.h"
#include "guest/fs/path.h"
#include "guest/fs/tmpfs.h"
#include "guest/sys/calls_fs.h"
#include "guest/sys/fsutil.h"

static int64_t open_common(int dirfd, uint64_t name, uint32_t flags,
                           uint32_t mode, unsigned resolve)
{
    struct user_name n;
    struct file *f = NULL;
    int r = user_name_get(&n, uptr(name));
    if (r == 0)
        r = fd_room(); /* before anything is created */
    if (r == 0)
        r = file_open(dirfd, n.text, flags | LX_O_LARGEFILE, mode & 07777,
                      resolve, &f);
    user_name_fini(&n);
    if (r < 0)
        return r;
    r = fd_install(f, 0, (flags & LX_O_CLOEXEC) != 0);
    if (r < 0)
        file_put(f);
    return r;
}

int64_t sys_openat(const uint64_t *a)
{
    return open_common(arg_fd(a[0]), a[1], (uint32_t)a[2], (uint32_t)a[3], 0);
}

int64_t sys_open(const uint64_t *a)
{
    return open_common(AT_FDCWD, a[0], (uint32_t)a[1], (uint32_t)a[2], 0);
}

int64_t sys_creat(const uint64_t *a)
{
    return open_common(AT_FDCWD, a[0], LX_O_CREAT | LX_O_WRONLY | LX_O_TRUNC,
                       (uint32_t)a[1], 0);
}

/* struct open_how may grow: what we do not know must be zero. */
static int open_how_get(struct lx_open_how *how, uint64_t from, uint64_t size)
{
    if (size < sizeof(*how))
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (copy_from_user(how, uptr(from), sizeof(*how)) < 0)
        return -EFAULT;
    for (uint64_t at = sizeof(*how); at < size; at++) {
        uint8_t byte;
        if (copy_from_user(&byte, uptr(from + at), 1) < 0)
            return -EFAULT;
        if (byte != 0)
            return -E2BIG;
    }
    return 0;
}

int64_t sys_openat2(const uint64_t *a)
{
    static const struct {
        uint32_t resolve, path;
    } map[] = {
        {LX_RESOLVE_NO_XDEV, PATH_NOXDEV},
        {LX_RESOLVE_NO_MAGICLINKS, PATH_NOMAGIC},
        {LX_RESOLVE_NO_SYMLINKS, PATH_NOLINKS},
        {LX_RESOLVE_BENEATH, PATH_BENEATH},
        {LX_RESOLVE_IN_ROOT, PATH_IN_ROOT},
    };
    struct lx_open_how how;
    int r = open_how_get(&how, a[2], a[3]);
    if (r < 0)
        return r;
    uint64_t resolve = how.resolve;
    unsigned path = 0;
    for (unsigned i = 0; i < ARRAY_COUNT(map); i++) {
        if ((resolve & map[i].resolve) != 0)
            path |= map[i].path;
        resolve &= ~(uint64_t)map[i].resolve;
    }
    const unsigned both = PATH_BENEATH | PATH_IN_ROOT;
    bool makes = (how.flags & LX_O_CREAT) != 0 ||
                 (how.flags & LX_O_TMPFILE) == LX_O_TMPFILE;
    bool path_only = (how.flags & LX_O_PATH) != 0;
    const uint64_t with_path =
        LX_O_PATH | LX_O_DIRECTORY | LX_O_NOFOLLOW | LX_O_CLOEXEC;
    /* Everything is in memory here, so a walk never has to wait. */
    bool cached = (resolve & LX_RESOLVE_CACHED) != 0;
    resolve &= ~(uint64_t)LX_RESOLVE_CACHED;
    if (resolve != 0 || (path_only && (how.flags & ~with_path) != 0) ||
        how.flags > 037777777 || (path & both) == both ||
        (how.mode & ~07777ull) != 0 || (!makes && how.mode != 0))
        return -EINVAL;
    if (cached && (makes || (how.flags & LX_O_TRUNC) != 0))
        return -EAGAIN;
    return open_common(arg_fd(a[0]), a[1], (uint32_t)how.flags,
                       (uint32_t)how.mode, path);
}

int64_t sys_close(const uint64_t *a)
{
    return fd_close(arg_fd(a[0]));
}

#define CLOSE_RANGE_UNSHARE 2u
#define CLOSE_RANGE_CLOEXEC 4u

int64_t sys_close_range(const uint64_t *a)
{
    uint32_t first = (uint32_t)a[0];
    uint32_t last = (uint32_t)a[1];
    uint32_t flags = (uint32_t)a[2];
    struct fdtable *t = current()->proc->files;
    if (first > last ||
        (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) != 0)
        return -EINVAL;
    /* A table shared between processes cannot be left behind while other
     * threads use it. */
    if ((flags & CLOSE_RANGE_UNSHARE) != 0 &&
        __atomic_load_n(&t->refs, __ATOMIC_RELAXED) > 1)
        return -EINVAL;
    for (uint64_t fd = first; fd <= last && fd < t->room; fd++) {
        if ((flags & CLOSE_RANGE_CLOEXEC) != 0)
            (void)fd_flag_cloexec((int)fd, 1);
        else
            (void)fd_close((int)fd);
    }
    return 0;
}

static int64_t dup_to(struct file *f, int fd, bool cloexec)
{
    int r = fd_install_at(f, fd, cloexec);
    if (r < 0)
        file_put(f);
    return r;
}

int64_t sys_dup(const uint64_t *a)
{
    struct file *f = fd_get_any(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    int r = fd_install(f, 0, false);
    if (r < 0)
        file_put(f);
    return r;
}

int64_t sys_dup2(const uint64_t *a)
{
    struct file *f = fd_get_any(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    if (arg_fd(a[0]) == arg_fd(a[1])) {
        file_put(f);
        return arg_fd(a[1]);
    }
    return dup_to(f, arg_fd(a[1]), false);
}

int64_t sys_dup3(const uint64_t *a)
{
    uint32_t flags = (uint32_t)a[2];
    if ((flags & ~LX_O_CLOEXEC) != 0 || arg_fd(a[0]) == arg_fd(a[1]))
        return -EINVAL;
    struct file *f = fd_get_any(arg_fd(a[0]));
    if (f == NULL)
        return -EBADF;
    return dup_to(f, arg_fd(a[1]), flags != 0);
}

static int64_t pipe_common(uint64_t to, uint32_t flags)
{
    const uint32_t known = LX_O_CLOEXEC | LX_O_NONBLOCK | LX_O_DIRECT;
    if ((flags & ~known) != 0)
        return -EINVAL;
    struct file *r, *w;
    int s = pipe_new(&r, &w, flags);
    if (s < 0)
        return s;
    bool cloexec = (flags & LX_O_CLOEXEC) != 0;
    int32_t fds[2] = {-1, -1};
    fds[0] = fd_install(r, 0, cloexec);
    if (fds[0] < 0) {
        file_put(r);
        file_put(w);
        return fds[0];
    }
    fds[1] = fd_install(w, 0, cloexec);
    s = fds[1];
    if (fds[1] < 0)
        file_put(w);
    else
        s = copy_to_user(uptr(to), fds, sizeof(fds));
    if (s < 0) {
        (void)fd_close(fds[0]);
        if (fds[1] >= 0)
            (void)fd_close(fds[1]);
        return s;
    }
    return 0;
}

int64_t sys_pipe2(const uint64_t *a)
{
    return pipe_common(a[0], (uint32_t)a[1]);
}

int64_t sys_pipe(const uint64_t *a)
{
    return pipe_common(a[0], 0);
}

#define MEMFD_NAME_MAX 249

int64_t sys_memfd_create(const uint64_t *a)
{
    char name[MEMFD_NAME_MAX + 8] = "memfd:";
    uint32_t flags = (uint32_t)a[1];
    const uint32_t known = LX_MFD_CLOEXEC | LX_MFD_ALLOW_SEALING |
                           LX_MFD_NOEXEC_SEAL | LX_MFD_EXEC;
    if ((flags & ~known) != 0)
        return -EINVAL;
    int64_t n = strncpy_from_user(name + 6, uptr(a[0]), MEMFD_NAME_MAX + 1);
    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : n;
    struct file *f;
    int r = tmpfs_new_named(name, 0, &f);
    if (r < 0)
        return r;
    struct tmpfs_node *node = tmpfs_node(f->inode);
    if ((flags & (LX_MFD_ALLOW_SEALING | LX_MFD_NOEXEC_SEAL)) == 0)
        node->seals = LX_F_SEAL_SEAL;
    if ((flags & LX_MFD_NOEXEC_SEAL) != 0)
        f->inode->mode &= ~0111u;
    f->flags |= LX_O_LARGEFILE;
    r = fd_install(f, 0, (flags & LX_MFD_CLOEXEC) != 0);
    if (r < 0)
        file_put(f);
    return r;
}
