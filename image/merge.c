// SPDX-License-Identifier: Apache-2.0
#include "image/merge.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "image/index.h"
#include "image/spill.h"
#include "image/tree.h"

static size_t merge_parent_size(const char *path, size_t size)
{
    const char *slash = memrchr(path, '/', size);
    return slash != NULL ? (size_t)(slash - path) : 0;
}

static void merge_base(const struct index_entry *x, const char **name,
                       size_t *size)
{
    size_t parent = merge_parent_size(x->path, x->r.path_size);
    size_t at = parent > 0 ? parent + 1 : 0;
    *name = x->path + at;
    *size = x->r.path_size - at;
}

static int merge_whiteout(struct tree *t, const struct index_entry *x,
                          struct err *e)
{
    struct tree_node *n;
    struct err ignored;
    bool opaque = x->r.kind == INDEX_OPAQUE;
    int code = tree_resolve(t, x->path, x->r.path_size,
                            opaque ? TREE_FOLLOW : 0, &n, &ignored);
    if (code == -ENOMEM)
        return err_set(e, code, "out of memory");
    if (code < 0 || n == NULL)
        return 0; /* hides nothing */
    if (!opaque && n != t->root)
        tree_remove(t, n);
    while (opaque && n->first != NULL)
        tree_remove(t, n->first);
    return 0;
}

static mode_t merge_mode(const struct index_record *r)
{
    static const mode_t types[INDEX_KIND_END] = {
        [INDEX_FILE] = S_IFREG,    [INDEX_DIR] = S_IFDIR,
        [INDEX_SYMLINK] = S_IFLNK, [INDEX_CHAR] = S_IFCHR,
        [INDEX_BLOCK] = S_IFBLK,   [INDEX_FIFO] = S_IFIFO,
    };
    return types[r->kind] | (r->mode & 07777);
}

static void merge_fill(struct tree_inode *i, const struct index_entry *x,
                       uint32_t layer)
{
    i->mode = merge_mode(&x->r);
    i->uid = x->r.uid;
    i->gid = x->r.gid;
    i->rdev = x->r.rdev;
    i->mtime = x->r.mtime;
    i->mtime_ns = x->r.mtime_ns;
    i->layer = layer;
    i->block = x->r.block;
    i->xattr_size = x->r.xattr_size;
    i->xattrs = x->xattrs;
    i->size = x->r.kind == INDEX_SYMLINK ? x->r.link_size : x->r.file_size;
    i->link = x->link;
}

static int merge_find_target(struct tree *t, const struct index_entry *x,
                             struct tree_inode **out, struct err *e)
{
    struct tree_node *n;
    int shown = x->r.link_size > 120 ? 120 : x->r.link_size;
    int code = tree_resolve(t, x->link, x->r.link_size, 0, &n, e);
    if (code < 0)
        return err_wrap(e, "hard link to %.*s", shown, x->link);
    if (n == NULL)
        return err_set(e, -EINVAL, "hard link to %.*s, which is missing", shown,
                       x->link);
    if (S_ISDIR(n->inode->mode))
        return err_set(e, -EINVAL, "hard link to %.*s, a directory", shown,
                       x->link);
    *out = n->inode;
    return 0;
}

static int merge_entry(struct tree *t, const struct index_entry *x,
                       uint32_t layer, struct err *e)
{
    if (x->r.path_size == 0) {
        merge_fill(t->root->inode, x, layer);
        return 0;
    }
    struct tree_node *dir;
    int code =
        tree_resolve(t, x->path, merge_parent_size(x->path, x->r.path_size),
                     TREE_FOLLOW | TREE_CREATE, &dir, e);
    struct tree_inode *inode = NULL;
    if (code == 0 && x->r.kind == INDEX_HARDLINK)
        code = merge_find_target(t, x, &inode, e);
    if (code < 0)
        return code;
    if (!S_ISDIR(dir->inode->mode))
        return err_set(e, -ENOTDIR, "its parent is not a directory");

    const char *name;
    size_t size;
    merge_base(x, &name, &size);
    struct tree_node *old = tree_child(t, dir, name, size);
    if (inode == NULL && old != NULL && x->r.kind == INDEX_DIR &&
        S_ISDIR(old->inode->mode)) {
        merge_fill(old->inode, x, layer);
        return 0;
    }
    if (old != NULL && inode != NULL && old->inode == inode)
        return 0;
    if (inode == NULL) {
        inode = tree_new_inode(t, e);
        if (inode == NULL)
            return e->code;
        merge_fill(inode, x, layer);
    }
    if (old != NULL)
        tree_remove(t, old);
    return tree_add(t, dir, name, size, inode, e) != NULL ? 0 : e->code;
}

int merge_layer(struct tree *t, const struct index *x, uint32_t layer,
                struct err *e)
{
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        struct index_entry entry;
        int more;
        while ((more = index_next(x, &at, &entry)) > 0) {
            spill_step(t->spill);
            bool hides =
                entry.r.kind == INDEX_WHITEOUT || entry.r.kind == INDEX_OPAQUE;
            if (hides != (pass == 0))
                continue;
            int code = hides ? merge_whiteout(t, &entry, e)
                             : merge_entry(t, &entry, layer, e);
            if (code < 0) {
                int n = entry.r.path_size > 120 ? 120 : entry.r.path_size;
                return err_wrap(e, "entry %.*s", n, entry.path);
            }
        }
        if (more < 0)
            return err_set(e, more, "damaged layer index");
    }
    return 0;
}
