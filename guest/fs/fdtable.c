// SPDX-License-Identifier: Apache-2.0
/* Descriptor tables. */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/flock.h"
#include "guest/fs/inode.h"

#define FDTABLE_FIRST 32
#define FDTABLE_MAX   (1u << 18) /* 2 MiB of pointers: the heap's largest */

static size_t fdtable_words(uint32_t room)
{
    return (room + 63) / 64;
}

static int fdtable_alloc(struct fdtable *t, uint32_t room)
{
    t->files = kzalloc(room * sizeof(struct file *));
    t->cloexec = kzalloc(fdtable_words(room) * sizeof(uint64_t));
    if (t->files == NULL || t->cloexec == NULL) {
        kfree(t->files);
        kfree(t->cloexec);
        return -ENOMEM;
    }
    t->room = room;
    return 0;
}

struct fdtable *fdtable_new(void)
{
    struct fdtable *t = kzalloc(sizeof(*t));
    if (t == NULL)
        return NULL;
    t->refs = 1;
    if (fdtable_alloc(t, FDTABLE_FIRST) < 0) {
        kfree(t);
        return NULL;
    }
    return t;
}

static bool fd_cloexec(const struct fdtable *t, uint32_t fd)
{
    return (t->cloexec[fd / 64] >> fd % 64 & 1) != 0;
}

static void fd_set_cloexec(struct fdtable *t, uint32_t fd, bool on)
{
    uint64_t bit = UINT64_C(1) << fd % 64;
    if (on)
        t->cloexec[fd / 64] |= bit;
    else
        t->cloexec[fd / 64] &= ~bit;
}

struct fdtable *fdtable_clone(struct fdtable *t)
{
    struct fdtable *n = kzalloc(sizeof(*n));
    if (n == NULL)
        return NULL;
    n->refs = 1;
    for (;;) {
        /* `room` may grow while we allocate without the lock. */
        uint32_t room = __atomic_load_n(&t->room, __ATOMIC_RELAXED);
        if (fdtable_alloc(n, room) < 0) {
            kfree(n);
            return NULL;
        }
        spin_lock(&t->lock);
        if (t->room == room)
            break;
        spin_unlock(&t->lock);
        kfree(n->files);
        kfree(n->cloexec);
    }
    for (uint32_t fd = 0; fd < t->room; fd++) {
        n->files[fd] = t->files[fd];
        if (n->files[fd] != NULL)
            file_get(n->files[fd]);
    }
    memcpy(n->cloexec, t->cloexec, fdtable_words(t->room) * sizeof(uint64_t));
    n->next = t->next;
    spin_unlock(&t->lock);
    return n;
}

/* The last use of `f` through table `t` under one number. */
static void fd_drop(struct fdtable *t, struct file *f)
{
    if (f->inode->locks != NULL && (f->mode & FILE_PATH) == 0)
        flock_release(f->inode, FLOCK_POSIX, t);
    file_put(f);
}

void fdtable_put(struct fdtable *t)
{
    if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (uint32_t fd = 0; fd < t->room; fd++) {
        if (t->files[fd] != NULL)
            fd_drop(t, t->files[fd]);
    }
    kfree(t->files);
    kfree(t->cloexec);
    kfree(t);
}

static struct file *fd_take(struct fdtable *t, uint32_t fd)
{
    spin_lock(&t->lock);
    struct file *f = fd < t->room ? t->files[fd] : NULL;
    if (f != NULL) {
        t->files[fd] = NULL;
        fd_set_cloexec(t, fd, false);
        t->next = MIN(t->next, fd);
    }
    spin_unlock(&t->lock);
    return f;
}

void fdtable_exec(struct fdtable *t)
{
    for (uint32_t fd = 0; fd < t->room; fd++) {
        if (t->cloexec[fd / 64] == 0) {
            fd |= 63; /* none in this word */
            continue;
        }
        if (!fd_cloexec(t, fd))
            continue;
        struct file *f = fd_take(t, fd);
        if (f != NULL)
            fd_drop(t, f);
    }
}

struct file *fd_of(struct fdtable *t, int fd, bool *cloexec)
{
    spin_lock(&t->lock);
    struct file *f = NULL;
    if (fd >= 0 && (uint32_t)fd < t->room) {
        f = t->files[fd];
        if (f != NULL) {
            file_get(f);
            if (cloexec != NULL)
                *cloexec = fd_cloexec(t, (uint32_t)fd);
        }
    }
    spin_unlock(&t->lock);
    return f;
}

struct file *fd_get_any(int fd)
{
    struct process *p = current()->proc;
    if (p == NULL || p->files == NULL)
        return NULL;
    return fd_of(p->files, fd, NULL);
}

struct file *fd_get(int fd)
{
    struct file *f = fd_get_any(fd);
    if (f != NULL && (f->mode & FILE_PATH) != 0) {
        file_put(f);
        return NULL;
    }
    return f;
}

static uint32_t fd_limit(void)
{
    uint64_t cur = current()->proc->rlimits[LX_RLIMIT_NOFILE].cur;
    return (uint32_t)MIN(cur, (uint64_t)FDTABLE_MAX);
}

/* Make room for descriptor `fd`. Called and returns with the lock held; it is
 * given up in between. */
static int fdtable_grow(struct fdtable *t, uint32_t fd)
{
    while (fd >= t->room) {
        uint32_t room = t->room;
        while (room <= fd)
            room *= 2;
        struct fdtable n = {.refs = 0};
        spin_unlock(&t->lock);
        int r = fdtable_alloc(&n, room);
        spin_lock(&t->lock);
        if (r < 0)
            return r;
        struct file **old_files = n.files;
        uint64_t *old_cloexec = n.cloexec;
        if (n.room > t->room) {
            memcpy(n.files, t->files, t->room * sizeof(struct file *));
            memcpy(n.cloexec, t->cloexec,
                   fdtable_words(t->room) * sizeof(uint64_t));
            old_files = t->files;
            old_cloexec = t->cloexec;
            t->files = n.files;
            t->cloexec = n.cloexec;
            t->room = n.room;
        }
        kfree(old_files);
        kfree(old_cloexec);
    }
    return 0;
}

static uint32_t fd_first_free(const struct fdtable *t, uint32_t from)
{
    while (from < t->room && t->files[from] != NULL)
        from++;
    return from;
}

int fd_install(struct file *f, int min, bool cloexec)
{
    struct fdtable *t = current()->proc->files;
    uint32_t limit = fd_limit();
    int r;
    spin_lock(&t->lock);
    for (;;) {
        uint32_t from = MAX((uint32_t)min, t->next);
        uint32_t fd = fd_first_free(t, from);
        if (fd >= limit) {
            r = -EMFILE;
            break;
        }
        if (fd >= t->room) {
            r = fdtable_grow(t, fd);
            if (r < 0)
                break;
            continue; /* others ran meanwhile */
        }
        t->files[fd] = f;
        fd_set_cloexec(t, fd, cloexec);
        if (from == t->next)
            t->next = fd + 1;
        r = (int)fd;
        break;
    }
    spin_unlock(&t->lock);
    return r;
}

int fd_install_at(struct file *f, int fd, bool cloexec)
{
    struct fdtable *t = current()->proc->files;
    if (fd < 0 || (uint32_t)fd >= fd_limit())
        return -EBADF;
    spin_lock(&t->lock);
    int r = fdtable_grow(t, (uint32_t)fd);
    if (r < 0) {
        spin_unlock(&t->lock);
        return r;
    }
    struct file *old = t->files[fd];
    t->files[fd] = f;
    fd_set_cloexec(t, (uint32_t)fd, cloexec);
    spin_unlock(&t->lock);
    if (old != NULL)
        fd_drop(t, old);
    return fd;
}

int fd_close(int fd)
{
    struct fdtable *t = current()->proc->files;
    struct file *f = fd < 0 ? NULL : fd_take(t, (uint32_t)fd);
    if (f == NULL)
        return -EBADF;
    fd_drop(t, f);
    return 0;
}

int fd_flag_cloexec(int fd, int set)
{
    struct fdtable *t = current()->proc->files;
    int r = -EBADF;
    spin_lock(&t->lock);
    if (fd >= 0 && (uint32_t)fd < t->room && t->files[fd] != NULL) {
        if (set >= 0)
            fd_set_cloexec(t, (uint32_t)fd, set != 0);
        r = fd_cloexec(t, (uint32_t)fd) ? 1 : 0;
    }
    spin_unlock(&t->lock);
    return r;
}

int fd_room(void)
{
    struct fdtable *t = current()->proc->files;
    uint32_t limit = fd_limit();
    spin_lock(&t->lock);
    bool full = fd_first_free(t, t->next) >= limit;
    spin_unlock(&t->lock);
    return full ? -EMFILE : 0;
}
