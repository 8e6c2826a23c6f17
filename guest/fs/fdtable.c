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
#define FDTABLE_MAX   (FDTABLE_PART * FDTABLE_PARTS)

static size_t fdtable_words(uint32_t room)
{
    return (room + 63) / 64;
}

static uint32_t fdtable_part_room(uint32_t room, unsigned part)
{
    uint32_t before = part * FDTABLE_PART;
    return room > before ? MIN(room - before, FDTABLE_PART) : 0;
}

static void fdtable_free(struct fdtable *t)
{
    for (unsigned i = 0; i < FDTABLE_PARTS; i++)
        kfree(t->files[i]);
    kfree(t->cloexec);
}

/* The storage of a zeroed table. */
static int fdtable_alloc(struct fdtable *t, uint32_t room)
{
    bool fits = true;
    for (unsigned i = 0; i < FDTABLE_PARTS; i++) {
        uint32_t n = fdtable_part_room(room, i);
        t->files[i] = n != 0 ? kzalloc(n * sizeof(struct file *)) : NULL;
        fits = fits && (n == 0 || t->files[i] != NULL);
    }
    t->cloexec = kzalloc(fdtable_words(room) * sizeof(uint64_t));
    if (!fits || t->cloexec == NULL) {
        fdtable_free(t);
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

/* Room for all that are open. Lock held. */
static uint32_t fdtable_used(const struct fdtable *t)
{
    uint32_t fd = t->room;
    while (fd > FDTABLE_FIRST && *fdtable_at(t, fd - 1) == NULL)
        fd--;
    uint32_t room = FDTABLE_FIRST;
    while (room < fd)
        room *= 2;
    return room;
}

struct fdtable *fdtable_clone(struct fdtable *t)
{
    struct fdtable *n = kzalloc(sizeof(*n));
    if (n == NULL)
        return NULL;
    n->refs = 1;
    spin_lock(&t->lock);
    for (;;) {
        /* What is used may grow while we allocate without the lock. */
        uint32_t room = fdtable_used(t);
        if (n->room >= room)
            break;
        spin_unlock(&t->lock);
        fdtable_free(n);
        if (fdtable_alloc(n, room) < 0) {
            kfree(n);
            return NULL;
        }
        spin_lock(&t->lock);
    }
    for (uint32_t fd = 0; fd < MIN(t->room, n->room); fd++) {
        struct file *f = *fdtable_at(t, fd);
        *fdtable_at(n, fd) = f;
        if (f != NULL)
            file_get(f);
    }
    memcpy(n->cloexec, t->cloexec,
           fdtable_words(MIN(t->room, n->room)) * sizeof(uint64_t));
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
        if (*fdtable_at(t, fd) != NULL)
            fd_drop(t, *fdtable_at(t, fd));
    }
    fdtable_free(t);
    kfree(t);
}

static struct file *fd_take(struct fdtable *t, uint32_t fd)
{
    spin_lock(&t->lock);
    struct file *f = fd < t->room ? *fdtable_at(t, fd) : NULL;
    if (f != NULL) {
        *fdtable_at(t, fd) = NULL;
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
        f = *fdtable_at(t, (uint32_t)fd);
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

/* The entries of `t` to the larger `n`, and the storage of both exchanged. */
static void fdtable_move(struct fdtable *t, struct fdtable *n)
{
    for (unsigned i = 0; i < FDTABLE_PARTS; i++) {
        struct file **old = t->files[i];
        uint32_t used = fdtable_part_room(t->room, i);
        if (used != 0)
            memcpy(n->files[i], old, used * sizeof(struct file *));
        t->files[i] = n->files[i];
        n->files[i] = old;
    }
    uint64_t *old = t->cloexec;
    memcpy(n->cloexec, old, fdtable_words(t->room) * sizeof(uint64_t));
    t->cloexec = n->cloexec;
    n->cloexec = old;
    t->room = n->room;
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
        if (n.room > t->room)
            fdtable_move(t, &n);
        spin_unlock(&t->lock);
        fdtable_free(&n);
        spin_lock(&t->lock);
    }
    return 0;
}

static uint32_t fd_first_free(const struct fdtable *t, uint32_t from)
{
    while (from < t->room && *fdtable_at(t, from) != NULL)
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
        *fdtable_at(t, fd) = f;
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
    struct file **at = fdtable_at(t, (uint32_t)fd);
    struct file *old = *at;
    *at = f;
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
    if (fd >= 0 && (uint32_t)fd < t->room &&
        *fdtable_at(t, (uint32_t)fd) != NULL) {
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
