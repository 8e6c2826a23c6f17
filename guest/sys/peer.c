// SPDX-License-Identifier: Apache-2.0
/* Looking into other processes: process_vm_readv(2), kcmp(2),
 * pidfd_getfd(2). */
#include "abi/linux/errno.h"
#include "abi/linux/proc.h"

#include "guest/core/aspace.h"
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/pidfd.h"
#include "guest/core/sched.h"
#include "guest/core/signal.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/fs/file.h"
#include "guest/sys/calls_proc.h"
#include "guest/sys/fsutil.h"

#define CAP_SYS_PTRACE 19

/* ptrace(2), access checks, with the real ids. */
static bool peer_allowed(const struct process *p)
{
    const struct process *me = current()->proc;
    const struct cred *c = &current()->cred;
    const struct cred *o = &p->cred;

    if (p == me || cred_capable(me, CAP_SYS_PTRACE))
        return true;
    return p->dumpable && c->uid == o->uid && c->uid == o->euid &&
           c->uid == o->suid && c->gid == o->gid && c->gid == o->egid &&
           c->gid == o->sgid && (o->permitted & ~c->permitted) == 0;
}

/* The process of a thread that we may look into, with a reference; or
 * -errno. */
static int peer_find(int32_t tid, struct process **out)
{
    int r = -ESRCH;

    mutex_lock(&proc_lock);
    struct process *p = process_find(tid);
    if (p == NULL) {
        const struct task *t = task_find(tid);
        p = t != NULL ? t->proc : NULL;
    }
    if (p != NULL)
        r = peer_allowed(p) ? 0 : -EPERM;
    if (r == 0) {
        process_get(p);
        *out = p;
    }
    mutex_unlock(&proc_lock);
    return r;
}

/* --- process_vm_readv(2), process_vm_writev(2) --- */

/* One segment over there; bytes, or -EFAULT when not one could be moved. */
static int64_t peer_segment(struct aspace *as, struct uio *u,
                            const struct uio_seg *there, char *page, bool write)
{
    uint64_t done = 0;

    while (done < there->size && u->left > 0) {
        uint64_t at = there->base + done;
        uint64_t n = MIN(there->size - done, PAGE_SIZE - (at & PAGE_MASK));
        int64_t got;
        n = MIN(n, u->left);
        if (write) {
            got = uio_get(u, page, n);
            if (got > 0)
                got = (int64_t)aspace_copy_in(as, at, page, (size_t)got);
        } else {
            got = (int64_t)aspace_copy_out(as, page, at, n);
            if (got > 0)
                got = uio_put(u, page, (uint64_t)got);
        }
        if (got > 0)
            done += (uint64_t)got;
        if (got != (int64_t)n)
            return done > 0 ? (int64_t)done : -EFAULT;
        sched_point();
    }
    return (int64_t)done;
}

static int64_t peer_copy(struct aspace *as, struct uio *u,
                         const struct uio *there, bool write)
{
    char *page = kmalloc(PAGE_SIZE);
    int64_t done = 0;

    if (page == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < there->count && u->left > 0; i++) {
        if (signal_fatal_pending(current()))
            break;
        int64_t n = peer_segment(as, u, &there->segs[i], page, write);
        if (n > 0)
            done += n;
        else if (n < 0 && done == 0)
            done = n;
        if (n < 0 || (uint64_t)n != there->segs[i].size)
            break;
    }
    kfree(page);
    return done;
}

static int64_t peer_transfer(const uint64_t *a, bool write)
{
    struct uio u, there;
    struct uio_seg *segs = NULL, *far = NULL;
    struct process *p = NULL;

    if (a[5] != 0)
        return -EINVAL;
    int64_t r = uio_user_vec(&u, &segs, uptr(a[1]), a[2]);
    if (r == 0 && u.left > 0)
        r = uio_far_vec(&there, &far, uptr(a[3]), a[4]);
    if (r == 0 && u.left > 0 && there.left > 0)
        r = peer_find((int32_t)a[0], &p);
    struct aspace *as = p != NULL ? process_aspace(p) : NULL;
    if (as != NULL) {
        r = peer_copy(as, &u, &there, write);
        aspace_put(as);
    } else if (p != NULL) {
        r = -ESRCH;
    }
    if (p != NULL)
        process_put(p);
    kfree(segs);
    kfree(far);
    return r;
}

int64_t sys_process_vm_readv(const uint64_t *a)
{
    return peer_transfer(a, false);
}

int64_t sys_process_vm_writev(const uint64_t *a)
{
    return peer_transfer(a, true);
}

/* --- kcmp(2) --- */

enum kcmp_type {
    KCMP_FILE,
    KCMP_VM,
    KCMP_FILES,
    KCMP_FS,
    KCMP_SIGHAND,
    KCMP_IO,
    KCMP_SYSVSEM,
    KCMP_TYPES,
};

/* What is compared: an address never shown. */
static int kcmp_object(struct process *p, int type, uint64_t fd, uintptr_t *out)
{
    struct fdtable *t;
    struct file *f = NULL;

    switch (type) {
    case KCMP_VM: *out = (uintptr_t)p->aspace; return 0;
    case KCMP_FILES: *out = (uintptr_t)p->files; return 0;
    case KCMP_FS: *out = (uintptr_t)p->fs; return 0;
    case KCMP_SIGHAND: *out = (uintptr_t)p->sighand; return 0;
    case KCMP_IO:
    case KCMP_SYSVSEM: *out = 0; return 0; /* nobody has any */
    default: break;
    }
    t = process_files(p);
    if (t != NULL && fd <= INT32_MAX)
        f = fd_of(t, (int)fd, NULL);
    if (t != NULL)
        fdtable_put(t);
    *out = (uintptr_t)f;
    if (f != NULL)
        file_put(f);
    return f != NULL ? 0 : -EBADF;
}

int64_t sys_kcmp(const uint64_t *a)
{
    static uint64_t secret; /* the order tells nothing of addresses */
    struct process *p[2] = {NULL, NULL};
    uintptr_t v[2] = {0, 0};
    int type = (int)a[2];

    int r = peer_find((int32_t)a[0], &p[0]);
    if (r == 0)
        r = peer_find((int32_t)a[1], &p[1]);
    if (r == 0 && (type < 0 || type >= KCMP_TYPES))
        r = -EINVAL;
    for (unsigned i = 0; r == 0 && i < 2; i++)
        r = kcmp_object(p[i], type, a[3 + i], &v[i]);
    for (unsigned i = 0; i < 2; i++)
        if (p[i] != NULL)
            process_put(p[i]);
    if (r < 0 || v[0] == v[1])
        return r;
    if (secret == 0)
        secret = krandom_u64() | 1;
    return v[0] * secret < v[1] * secret ? 1 : 2;
}

/* --- pidfd_getfd(2) --- */

int64_t sys_pidfd_getfd(const uint64_t *a)
{
    struct file *f = NULL;
    int64_t r = 0;

    if (a[2] != 0)
        return -EINVAL;
    struct process *p = pidfd_get(arg_fd(a[0]));
    if (p == NULL)
        return -EBADF;
    mutex_lock(&proc_lock);
    if (p->zombie)
        r = -ESRCH;
    else if (!peer_allowed(p))
        r = -EPERM;
    mutex_unlock(&proc_lock);
    struct fdtable *t = r == 0 ? process_files(p) : NULL;
    if (r == 0)
        r = t != NULL ? -EBADF : -ESRCH;
    if (t != NULL) {
        f = fd_of(t, arg_fd(a[1]), NULL);
        fdtable_put(t);
    }
    process_put(p);
    if (f == NULL)
        return r;
    int fd = fd_install(f, 0, true);
    if (fd < 0)
        file_put(f);
    return fd;
}
