// SPDX-License-Identifier: Apache-2.0
/* xattr(7). The first change copies those of the image. */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/fs/tmpfs.h"

#define XATTR_COUNT_MAX 256 /* per inode: keeps one from eating the memory */

struct tmpfs_xattr {
    struct list node; /* in tmpfs_node.xattrs */
    char *name;
    void *value;
    size_t size;
};

static void xattr_free(struct tmpfs_xattr *x)
{
    list_remove(&x->node);
    kfree(x->name);
    kfree(x->value);
    kfree(x);
}

void tmpfs_free_xattrs(struct tmpfs_node *n)
{
    LIST_FOR_SAFE(it, next, &n->xattrs)
    xattr_free(LIST_ENTRY(it, struct tmpfs_xattr, node));
}

static struct tmpfs_xattr *xattr_new(const char *name, size_t size)
{
    struct tmpfs_xattr *x = kzalloc(sizeof(*x));
    if (x == NULL)
        return NULL;
    list_init(&x->node);
    x->name = kstrdup(name);
    x->value = kmalloc(MAX(size, (size_t)1));
    x->size = size;
    if (x->name == NULL || x->value == NULL) {
        xattr_free(x);
        return NULL;
    }
    return x;
}

static struct tmpfs_xattr *xattr_find(struct tmpfs_node *n, const char *name)
{
    LIST_FOR(it, &n->xattrs)
    {
        struct tmpfs_xattr *x = LIST_ENTRY(it, struct tmpfs_xattr, node);
        if (strcmp(x->name, name) == 0)
            return x;
    }
    return NULL;
}

/* The image's attribute `name` into *x. 0, -ENODATA, -EIO. */
static int xattr_find_lower(struct tmpfs_node *n, const char *name,
                            struct erofs_xattr *x)
{
    uint32_t pos = 0;
    for (;;) {
        int r = erofs_xattr_next(&tmpfs_sb(&n->i)->lower, &n->lower, &pos, x);
        if (r < 0)
            return r;
        if (r == 0)
            return -ENODATA;
        if (strcmp(x->name, name) == 0)
            return 0;
    }
}

int64_t tmpfs_getxattr(struct inode *i, const char *name, void *to, size_t size)
{
    struct tmpfs_node *n = tmpfs_node(i);
    if (n->has_lower && !n->xattr_own) {
        struct erofs_xattr lower;
        int r = xattr_find_lower(n, name, &lower);
        if (r < 0)
            return r;
        if (size == 0)
            return lower.value_size;
        if (lower.value_size > size)
            return -ERANGE;
        r = erofs_copy(&tmpfs_sb(i)->lower, lower.value, to, lower.value_size);
        return r < 0 ? r : (int64_t)lower.value_size;
    }
    const struct tmpfs_xattr *x = xattr_find(n, name);
    if (x == NULL)
        return -ENODATA;
    if (size != 0 && x->size > size)
        return -ERANGE;
    if (size != 0)
        memcpy(to, x->value, x->size);
    return (int64_t)x->size;
}

/* Copy the image's attributes so that they can be changed. */
static int xattr_own(struct tmpfs_node *n)
{
    if (n->xattr_own || !n->has_lower)
        return 0;
    const struct erofs *e = &tmpfs_sb(&n->i)->lower;
    uint32_t pos = 0;
    for (;;) {
        struct erofs_xattr lower;
        int r = erofs_xattr_next(e, &n->lower, &pos, &lower);
        if (r == 0)
            break;
        struct tmpfs_xattr *x =
            r < 0 ? NULL : xattr_new(lower.name, lower.value_size);
        if (r > 0)
            r = x == NULL
                    ? -ENOMEM
                    : erofs_copy(e, lower.value, x->value, lower.value_size);
        if (x != NULL)
            list_add_tail(&n->xattrs, &x->node);
        if (r < 0) {
            tmpfs_free_xattrs(n);
            return r;
        }
    }
    n->xattr_own = true;
    return 0;
}

static unsigned xattr_count(const struct tmpfs_node *n)
{
    unsigned count = 0;
    LIST_FOR(it, &n->xattrs)
    count++;
    return count;
}

int tmpfs_setxattr(struct inode *i, const char *name, const void *value,
                   size_t size, uint32_t flags)
{
    struct tmpfs_node *n = tmpfs_node(i);
    int r = xattr_own(n);
    if (r < 0)
        return r;
    struct tmpfs_xattr *old = xattr_find(n, name);
    if (old != NULL && (flags & LX_XATTR_CREATE) != 0)
        return -EEXIST;
    if (old == NULL && (value == NULL || (flags & LX_XATTR_REPLACE) != 0))
        return -ENODATA;
    if (value != NULL) {
        if (old == NULL && xattr_count(n) >= XATTR_COUNT_MAX)
            return -ENOSPC;
        struct tmpfs_xattr *x = xattr_new(name, size);
        if (x == NULL)
            return -ENOMEM;
        memcpy(x->value, value, size);
        list_add_tail(&n->xattrs, &x->node);
    }
    if (old != NULL)
        xattr_free(old);
    inode_touch(i, false);
    tmpfs_changed(i);
    return 0;
}

/* One more name; to is NULL when only the length is wanted. */
static int xattr_list_add(char *to, size_t size, size_t *at, const char *name)
{
    size_t n = strlen(name) + 1;
    if (size != 0) {
        if (n > size - *at)
            return -ERANGE;
        memcpy(to + *at, name, n);
    }
    *at += n;
    return 0;
}

int64_t tmpfs_listxattr(struct inode *i, char *to, size_t size)
{
    struct tmpfs_node *n = tmpfs_node(i);
    size_t at = 0;
    int r = 0;
    if (n->has_lower && !n->xattr_own) {
        struct erofs_xattr x;
        uint32_t pos = 0;
        while (r == 0) {
            r = erofs_xattr_next(&tmpfs_sb(i)->lower, &n->lower, &pos, &x);
            if (r == 0)
                break;
            r = r < 0 ? r : xattr_list_add(to, size, &at, x.name);
        }
        return r < 0 ? r : (int64_t)at;
    }
    LIST_FOR(it, &n->xattrs)
    {
        r = xattr_list_add(to, size, &at,
                           LIST_ENTRY(it, struct tmpfs_xattr, node)->name);
        if (r < 0)
            return r;
    }
    return (int64_t)at;
}
