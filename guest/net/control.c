// SPDX-License-Identifier: Apache-2.0
/* Control messages of sendmsg and recvmsg: files and credentials. unix(7). */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/net/socket.h"

#define CONTROL_MAX   131072u /* net.core.optmem_max */
#define CAP_SYS_ADMIN 21

struct lx_ucred ucred_current(void)
{
    const struct process *p = current()->proc;
    const struct cred *c = &current()->cred;
    return (struct lx_ucred){p->pid, c->euid, c->egid};
}

void scm_files_free(struct scm_files *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->count; i++)
        file_put(s->files[i]);
    kfree(s);
}

void control_fini(struct control *c)
{
    scm_files_free(c->files);
    c->files = NULL;
    kfree(c->raw);
    c->raw = NULL;
    c->raw_size = 0;
}

/* --- send --- */

/* *s gets room for `n` more files. */
static int files_grow(struct scm_files **s, uint64_t n)
{
    uint32_t have = *s != NULL ? (*s)->count : 0;
    if (n > LX_SCM_MAX_FD - have)
        return -EINVAL;
    struct scm_files *g =
        kzalloc(sizeof(*g) + (have + n) * sizeof(g->files[0]));
    if (g == NULL)
        return -ENOMEM;
    if (have != 0)
        memcpy(g->files, (*s)->files, have * sizeof(g->files[0]));
    g->count = have;
    kfree(*s);
    *s = g;
    return 0;
}

/* More of SCM_RIGHTS: `n` descriptors at `data`. */
static int get_rights(struct control *c, const uint8_t *data, uint64_t n)
{
    int r = n != 0 ? files_grow(&c->files, n) : 0;
    for (uint64_t i = 0; r == 0 && i < n; i++) {
        int32_t fd;
        memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
        struct file *f = fd_get_any(fd);
        if (f == NULL)
            return -EBADF;
        c->files->files[c->files->count++] = f;
    }
    return r;
}

/* May the current process say that it is `u`? */
static int check_ucred(const struct lx_ucred *u)
{
    const struct process *p = current()->proc;
    const struct cred *c = &current()->cred;
    if (u->uid == UINT32_MAX || u->gid == UINT32_MAX)
        return -EINVAL;
    if (u->pid != p->pid && !cred_capable(p, CAP_SYS_ADMIN))
        return -EPERM;
    if (u->uid != c->uid && u->uid != c->euid && u->uid != c->suid &&
        !cred_capable(p, LX_CAP_SETUID))
        return -EPERM;
    if (u->gid != c->gid && u->gid != c->egid && u->gid != c->sgid &&
        !cred_capable(p, LX_CAP_SETGID))
        return -EPERM;
    if (u->pid == p->pid)
        return 0;
    mutex_lock(&proc_lock);
    bool there = process_find(u->pid) != NULL;
    mutex_unlock(&proc_lock);
    return there ? 0 : -ESRCH;
}

/* *other: it is for the protocol. */
static int get_one(struct control *c, const struct lx_cmsghdr *h,
                   const uint8_t *data, bool *other)
{
    uint64_t n = h->size - sizeof(*h);
    if (h->level != LX_SOL_SOCKET) {
        *other = true;
        return 0;
    }
    if (h->type == LX_SCM_RIGHTS)
        return get_rights(c, data, n / sizeof(int32_t));
    if (h->type != LX_SCM_CREDENTIALS || n != sizeof(c->cred))
        return -EINVAL;
    memcpy(&c->cred, data, sizeof(c->cred));
    c->has_cred = true;
    return check_ucred(&c->cred);
}

static int get_all(struct control *c, const uint8_t *data, uint64_t size,
                   bool *other)
{
    uint64_t at = 0;
    while (size - at >= sizeof(struct lx_cmsghdr)) {
        struct lx_cmsghdr h;
        memcpy(&h, data + at, sizeof(h));
        if (h.size < sizeof(h) || h.size > size - at)
            return -EINVAL;
        int r = get_one(c, &h, data + at + sizeof(h), other);
        if (r < 0)
            return r;
        if (LX_CMSG_ALIGN(h.size) >= size - at)
            break;
        at += LX_CMSG_ALIGN(h.size);
    }
    return 0;
}

int control_get(struct control *c, uptr_t from, uint64_t size)
{
    *c = (struct control){.files = NULL};
    if (size == 0)
        return 0;
    if (size > CONTROL_MAX)
        return -ENOBUFS;
    uint8_t *data = kmalloc(size);
    if (data == NULL)
        return -ENOBUFS;
    bool other = false;
    int r = copy_from_user(data, from, size);
    if (r == 0)
        r = get_all(c, data, size, &other);
    if (r == 0 && other) {
        c->raw = data;
        c->raw_size = (uint32_t)size;
        return 0;
    }
    kfree(data);
    if (r < 0)
        control_fini(c);
    return r;
}

/* --- receive --- */

struct control_out { /* where the next message goes */
    uint64_t at, left;
    uint32_t flags;
};

static void put_header(struct control_out *o, int type, uint64_t size)
{
    struct lx_cmsghdr h = {size, LX_SOL_SOCKET, type};
    if (copy_to_user(uptr(o->at), &h, sizeof(h)) < 0)
        o->flags |= LX_MSG_CTRUNC;
}

static void put_advance(struct control_out *o, uint64_t size)
{
    uint64_t n = MIN(LX_CMSG_ALIGN(size), o->left);
    o->at += n;
    o->left -= n;
}

static void put_cred(struct control_out *o, const struct lx_ucred *u)
{
    uint64_t size = sizeof(struct lx_cmsghdr) + sizeof(*u);
    if (o->left < sizeof(struct lx_cmsghdr)) {
        o->flags |= LX_MSG_CTRUNC;
        return;
    }
    if (size > o->left) {
        o->flags |= LX_MSG_CTRUNC;
        size = o->left;
    }
    put_header(o, LX_SCM_CREDENTIALS, size);
    if (copy_to_user(uptr(o->at + sizeof(struct lx_cmsghdr)), u,
                     size - sizeof(struct lx_cmsghdr)) < 0)
        o->flags |= LX_MSG_CTRUNC;
    put_advance(o, size);
}

static void put_rights(struct control_out *o, struct scm_files *s, bool cloexec)
{
    const uint64_t head = sizeof(struct lx_cmsghdr);
    uint64_t room = o->left > head ? (o->left - head) / sizeof(int32_t) : 0;
    uint32_t n = 0;
    for (; n < s->count && n < room; n++) {
        file_get(s->files[n]);
        int fd = fd_install(s->files[n], 0, cloexec);
        if (fd < 0) {
            file_put(s->files[n]);
            break;
        }
        if (put_user_u32(uptr(o->at + head + n * sizeof(int32_t)),
                         (uint32_t)fd) < 0) {
            (void)fd_close(fd);
            break;
        }
    }
    if (n < s->count)
        o->flags |= LX_MSG_CTRUNC;
    if (n == 0)
        return;
    put_header(o, LX_SCM_RIGHTS, head + n * sizeof(int32_t));
    put_advance(o, head + n * sizeof(int32_t));
}

void control_add(struct control *c, int level, int type, const void *data,
                 uint32_t size)
{
    struct lx_cmsghdr h = {sizeof(h) + size, level, type};
    uint32_t n = (uint32_t)LX_CMSG_ALIGN(h.size);
    uint8_t *raw = kzalloc(c->raw_size + n);
    if (raw == NULL)
        return;
    if (c->raw != NULL)
        memcpy(raw, c->raw, c->raw_size);
    memcpy(raw + c->raw_size, &h, sizeof(h));
    memcpy(raw + c->raw_size + sizeof(h), data, size);
    kfree(c->raw);
    c->raw = raw;
    c->raw_size += n;
}

/* As put_cmsg() has it: one that does not fit is cut, and said to be. */
static void put_raw(struct control_out *o, const struct control *c)
{
    for (uint32_t at = 0; at < c->raw_size;) {
        struct lx_cmsghdr h;
        memcpy(&h, c->raw + at, sizeof(h));
        uint32_t next = at + (uint32_t)LX_CMSG_ALIGN(h.size);
        if (o->left < sizeof(h)) {
            o->flags |= LX_MSG_CTRUNC;
            return;
        }
        if (h.size > o->left) {
            o->flags |= LX_MSG_CTRUNC;
            h.size = o->left;
        }
        if (copy_to_user(uptr(o->at), &h, sizeof(h)) < 0 ||
            copy_to_user(uptr(o->at + sizeof(h)), c->raw + at + sizeof(h),
                         h.size - sizeof(h)) < 0)
            o->flags |= LX_MSG_CTRUNC;
        put_advance(o, h.size);
        at = next;
    }
}

uint32_t control_put(struct control *c, bool want_cred, uptr_t to,
                     uint64_t *size, bool cloexec)
{
    struct control_out o = {to.v, to.v != 0 ? *size : 0, 0};
    uint64_t room = o.left;
    if (want_cred)
        put_cred(&o, &c->cred);
    if (c->files != NULL)
        put_rights(&o, c->files, cloexec);
    put_raw(&o, c);
    control_fini(c);
    *size = room - o.left;
    return o.flags;
}
