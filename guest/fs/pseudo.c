// SPDX-License-Identifier: Apache-2.0
#include "guest/fs/pseudo.h"

#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/fs/file.h"
#include "guest/fs/generic.h"
#include "guest/fs/inode.h"

#define TEXT_FIRST 512u
#define TEXT_MAX   (1u << 20)
#define STORE_MAX  4095u

struct pseudo_inode {
    struct inode inode; /* first: freed as one */
    const struct pseudo_node *node;
    struct pseudo_ref ref; /* references held */
};

/* --- text --- */

static bool text_grow(struct text *t, size_t more)
{
    size_t room = t->room != 0 ? t->room : TEXT_FIRST;
    while (room - t->used < more && room < TEXT_MAX)
        room *= 2;
    char *data = room - t->used >= more ? kmalloc(room) : NULL;
    if (data == NULL) {
        t->failed = true;
        return false;
    }
    memcpy(data, t->data, t->used);
    kfree(t->data);
    t->data = data;
    t->room = room;
    return true;
}

void text_add(struct text *t, const void *data, size_t n)
{
    if (t->failed || (t->room - t->used < n && !text_grow(t, n)))
        return;
    memcpy(t->data + t->used, data, n);
    t->used += n;
}

void text_printf(struct text *t, const char *fmt, ...)
{
    for (;;) {
        size_t room = t->room - t->used;
        va_list ap;
        va_start(ap, fmt);
        char *to = t->data != NULL ? t->data + t->used : NULL;
        int n = kvsnprintf(to, room, fmt, ap);
        va_end(ap);
        if (t->failed || n < 0)
            return;
        if ((size_t)n < room) {
            t->used += (size_t)n;
            return;
        }
        if (!text_grow(t, (size_t)n + 1))
            return;
    }
}

/* --- inodes --- */

static struct pseudo_inode *pseudo_of(struct inode *i)
{
    return CONTAINER_OF(i, struct pseudo_inode, inode);
}

static void ref_get(const struct pseudo_ref *r)
{
    if (r->proc != NULL)
        process_get(r->proc);
    if (r->task != NULL)
        task_get(r->task);
}

static void ref_put(const struct pseudo_ref *r)
{
    if (r->task != NULL)
        task_put(r->task);
    if (r->proc != NULL)
        process_put(r->proc);
}

/* Has what it is about been reaped? */
static bool ref_gone(const struct pseudo_ref *r)
{
    if (r->proc == NULL)
        return false;
    mutex_lock(&proc_lock);
    const struct task *t =
        task_find(r->task != NULL ? r->task->tid : r->proc->pid);
    bool gone = t == NULL || t->proc != r->proc;
    mutex_unlock(&proc_lock);
    return gone;
}

/* The same for each look at the same thing: programs compare. */
static uint64_t pseudo_ino(const struct pseudo_node *n,
                           const struct pseudo_ref *r)
{
    if (n->ino != 0)
        return n->ino;
    uint64_t h = (uintptr_t)n;
    if (r->proc != NULL)
        h = h * 31 + (uint32_t)r->proc->pid;
    if (r->task != NULL)
        h = h * 31 + (uint32_t)r->task->tid;
    h = (h * 31 + r->arg) * UINT64_C(0x9e3779b97f4a7c15);
    return (h >> 16) | 1;
}

static int pseudo_setattr(struct inode *i, const struct iattr *a)
{
    (void)i; /* O_TRUNC is fine, as on Linux */
    return (a->valid & ~IATTR_SIZE) == 0 ? 0 : -EPERM;
}

static int pseudo_text(struct inode *i, struct text *t)
{
    const struct pseudo_inode *p = pseudo_of(i);
    int r = p->node->show != NULL ? p->node->show(t, &p->ref) : 0;
    return r == 0 && t->failed ? -ENOMEM : r;
}

static int64_t pseudo_readlink(struct inode *i, char *to, size_t size)
{
    struct text t = {0};
    int64_t r = -EINVAL;
    if ((i->mode & LX_S_IFMT) == LX_S_IFLNK)
        r = pseudo_text(i, &t);
    if (r == 0) {
        r = (int64_t)MIN(t.used, size);
        memcpy(to, t.data, (size_t)r);
    }
    kfree(t.data);
    return r;
}

static const struct inode_ops pseudo_inode_ops = {
    .setattr = pseudo_setattr,
    .readlink = pseudo_readlink,
    .getxattr = inode_no_getxattr,
    .setxattr = inode_no_setxattr,
    .listxattr = inode_no_listxattr,
    .get_page = inode_no_get_page,
};

static int pseudo_magic(struct inode *i, struct path *out)
{
    const struct pseudo_inode *p = pseudo_of(i);
    return p->node->magic(&p->ref, out);
}

/* --- open files: data is struct text * of the last read from the start --- */

static int64_t pseudo_read_locked(struct file *f, struct uio *u, uint64_t *pos)
{
    struct text *t = f->data;
    if (t == NULL) {
        t = kzalloc(sizeof(*t));
        if (t == NULL)
            return -ENOMEM;
        f->data = t;
        t->failed = true; /* nothing was made yet */
    }
    if (*pos == 0 || t->failed) {
        kfree(t->data);
        *t = (struct text){.data = NULL};
        int r = pseudo_text(f->inode, t);
        if (r < 0) {
            t->failed = true;
            return r;
        }
    }
    if (*pos >= t->used)
        return 0;
    int64_t n = uio_put(u, t->data + *pos, t->used - *pos);
    if (n > 0)
        *pos += (uint64_t)n;
    return n;
}

static int64_t pseudo_read(struct file *f, struct uio *u, uint64_t *pos)
{
    mutex_lock(&f->inode->lock);
    int64_t r = pseudo_read_locked(f, u, pos);
    mutex_unlock(&f->inode->lock);
    return r;
}

static int64_t pseudo_write(struct file *f, struct uio *u, uint64_t *pos)
{
    const struct pseudo_inode *p = pseudo_of(f->inode);
    if (p->node->store == NULL)
        return -EINVAL;
    size_t size = (size_t)MIN(u->left, (uint64_t)STORE_MAX);
    char *data = kmalloc(size + 1);
    if (data == NULL)
        return -ENOMEM;
    int64_t n = uio_get(u, data, size);
    if (n >= 0) {
        data[n] = '\0';
        int r = p->node->store(&p->ref, data, (size_t)n);
        if (r < 0)
            n = r;
        else
            *pos += (uint64_t)n;
    }
    kfree(data);
    return n;
}

static void pseudo_release(struct file *f)
{
    struct text *t = f->data;
    if (t != NULL)
        kfree(t->data);
    kfree(t);
}

/* Not file_always_ready() itself: epoll(7) refuses what has that. */
static uint32_t pseudo_poll(struct file *f, struct poll_table *pt)
{
    return file_always_ready(f, pt);
}

static const struct file_ops pseudo_file_ops = {
    .read = pseudo_read,
    .write = pseudo_write,
    .poll = file_always_ready,
    .ioctl = file_no_ioctl,
    .mmap = file_no_mmap,
    .release = pseudo_release,
};

/* Files about the system, and what else says so. */
static const struct file_ops pseudo_polled_ops = {
    .read = pseudo_read,
    .write = pseudo_write,
    .poll = pseudo_poll,
    .ioctl = file_no_ioctl,
    .mmap = file_no_mmap,
    .release = pseudo_release,
};

/* --- directories --- */

static const struct dir_ops pseudo_dir_ops;

/* Takes over the references of *ref, also on failure. */
static struct inode *pseudo_inode_new(struct superblock *sb,
                                      const struct pseudo_node *n,
                                      const struct pseudo_ref *ref)
{
    struct pseudo_inode *p = kzalloc(sizeof(*p));
    if (p == NULL) {
        ref_put(ref);
        return NULL;
    }
    struct inode *i = &p->inode;
    inode_init(i, sb, n->mode);
    i->ino = pseudo_ino(n, ref);
    i->ops = &pseudo_inode_ops;
    p->node = n;
    p->ref = *ref;
    if (ref->proc != NULL) {
        i->uid = ref->proc->cred.euid;
        i->gid = ref->proc->cred.egid;
    }
    if (n->dir != NULL) {
        i->dir = &pseudo_dir_ops;
        i->nlink = 2;
    } else if ((n->mode & LX_S_IFMT) == LX_S_IFREG) {
        i->file_ops = ref->proc == NULL || n->polled ? &pseudo_polled_ops
                                                     : &pseudo_file_ops;
    }
    if (n->magic != NULL)
        i->magic = pseudo_magic;
    return i;
}

static const struct pseudo_node *pseudo_find(const struct pseudo_inode *p,
                                             const char *name,
                                             struct pseudo_ref *child)
{
    const struct pseudo_dir *d = p->node->dir;
    for (unsigned i = 0; i < d->count; i++) {
        if (strcmp(d->nodes[i].name, name) != 0)
            continue;
        *child = p->ref;
        ref_get(child);
        return &d->nodes[i];
    }
    return d->find != NULL ? d->find(&p->ref, name, child) : NULL;
}

static int pseudo_lookup(struct inode *dir, struct dentry *d)
{
    struct pseudo_ref ref = {0};
    if (ref_gone(&pseudo_of(dir)->ref))
        return -ENOENT;
    const struct pseudo_node *n = pseudo_find(pseudo_of(dir), d->name, &ref);
    if (n == NULL)
        return -ENOENT;
    struct inode *i = pseudo_inode_new(dir->sb, n, &ref);
    if (i == NULL)
        return -ENOMEM;
    dentry_attach(d, i);
    inode_put(i);
    return 0;
}

bool pseudo_stale(struct inode *dir, const struct dentry *d)
{
    if (dir->dir != &pseudo_dir_ops)
        return false;
    const struct pseudo_inode *p = pseudo_of(dir);
    if (ref_gone(&p->ref))
        return true;
    if (p->node->dir->find == NULL)
        return false;
    struct pseudo_ref now = {0};
    const struct pseudo_node *n = pseudo_find(p, d->name, &now);
    if (n == NULL || d->inode == NULL) {
        ref_put(&now);
        return n != NULL || d->inode != NULL;
    }
    const struct pseudo_inode *c = pseudo_of(d->inode);
    bool same =
        n == c->node && now.proc == c->ref.proc && now.task == c->ref.task;
    ref_put(&now);
    return !same;
}

typedef bool emit_fn(struct dir_emit *e, const char *name, size_t len,
                     uint64_t ino, uint32_t type, uint64_t next_pos);

/* Positions: "." 0, ".." 1, the nodes, then cursors of the coming and going
 * names. */
static int pseudo_readdir(struct inode *dir, uint64_t *pos, emit_fn *emit,
                          struct dir_emit *e)
{
    const struct pseudo_inode *p = pseudo_of(dir);
    const struct pseudo_dir *d = p->node->dir;
    if (ref_gone(&p->ref))
        return -ENOENT;
    for (; *pos < 2; ++*pos)
        if (!emit(e, "..", *pos + 1, dir->ino, LX_S_IFDIR >> 12, *pos + 1))
            return 0;
    for (; *pos < 2 + d->count; ++*pos) {
        const struct pseudo_node *n = &d->nodes[*pos - 2];
        if (!emit(e, n->name, strlen(n->name), pseudo_ino(n, &p->ref),
                  n->mode >> 12, *pos + 1))
            return 0;
    }
    uint64_t base = 2 + d->count;
    char name[24];
    uint64_t cursor = *pos - base;
    while (d->next != NULL && d->next(&p->ref, &cursor, name)) {
        if (!emit(e, name, strlen(name), cursor + 1, d->next_mode >> 12,
                  base + cursor))
            return 0;
        *pos = base + cursor;
    }
    return 0;
}

static const struct dir_ops pseudo_dir_ops = {
    .lookup = pseudo_lookup,
    .create = dir_no_create,
    .link = dir_no_link,
    .unlink = dir_no_unlink,
    .rename = dir_no_rename,
    .readdir = pseudo_readdir,
};

/* --- mounting --- */

static void pseudo_evict(struct inode *i)
{
    ref_put(&pseudo_of(i)->ref);
}

static void pseudo_statfs(struct superblock *sb, struct lx_statfs *out)
{
    out->type = (int64_t)sb->priv[0];
    out->bsize = PAGE_SIZE;
    out->namelen = NAME_MAX;
}

static const struct superblock_ops pseudo_sb_ops = {
    .evict = pseudo_evict,
    .statfs = pseudo_statfs,
};

int pseudo_mount(const char *type, uint32_t magic,
                 const struct pseudo_node *root, struct superblock **out)
{
    const struct pseudo_ref nothing = {0};
    struct superblock *sb = kzalloc(sizeof(*sb));
    if (sb == NULL)
        return -ENOMEM;
    sb->ops = &pseudo_sb_ops;
    sb->type = type;
    sb->dev = sb_new_dev();
    sb->flags = SB_NOCACHE;
    sb->priv[0] = magic;
    struct inode *i = pseudo_inode_new(sb, root, &nothing);
    sb->root = i != NULL ? dentry_new_root(i) : NULL;
    if (sb->root == NULL) {
        if (i != NULL)
            inode_put(i);
        kfree(sb);
        return -ENOMEM;
    }
    *out = sb;
    return 0;
}

int64_t pseudo_number(const char *name)
{
    int64_t n = 0;
    size_t len = strnlen(name, 10);
    if (len == 0 || len == 10 || (name[0] == '0' && len > 1))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        n = n * 10 + (name[i] - '0');
    }
    return n;
}

struct process *pseudo_process(struct inode *i, const struct pseudo_dir *dir)
{
    if (i->ops != &pseudo_inode_ops)
        return NULL;
    const struct pseudo_inode *p = CONTAINER_OF(i, struct pseudo_inode, inode);
    if (p->node->dir != dir || p->ref.proc == NULL)
        return NULL;
    process_get(p->ref.proc);
    return p->ref.proc;
}
