// SPDX-License-Identifier: Apache-2.0
#include "image/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/err.h"
#include "image/spill.h"

enum {
    TREE_CHUNK_SIZE = 1 << 20,
    TREE_BUCKETS_MIN = 1 << 12,
    TREE_PATH_MAX = 16 << 10, /* of what is left to walk, links included */
};

/* Zeroed memory that lives as long as the tree. */
static void *tree_alloc(struct tree *t, size_t size, struct err *e)
{
    size = (size + 15) & ~(size_t)15;
    if (t->chunk == NULL || size > TREE_CHUNK_SIZE - t->chunk_used) {
        t->chunk = spill_alloc(t->spill, TREE_CHUNK_SIZE, e);
        t->chunk_used = 0;
        if (t->chunk == NULL)
            return NULL;
    }
    void *p = t->chunk + t->chunk_used;
    t->chunk_used += size;
    return p;
}

int tree_init(struct tree *t, struct spill *spill, uint64_t names,
              struct err *e)
{
    *t = (struct tree){.spill = spill, .bucket_count = TREE_BUCKETS_MIN};
    while (t->bucket_count < names && t->bucket_count < TREE_INODE_MAX)
        t->bucket_count *= 2;
    /* Names are chosen by whoever made the image; the seed is not, so they
     * cannot all be put into one bucket. It has no influence on the result. */
    if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) < 0)
        t->seed = (uintptr_t)t;
    t->buckets =
        spill_alloc(spill, t->bucket_count * sizeof(struct tree_node *), e);
    if (t->buckets == NULL)
        return e->code;
    t->root = tree_alloc(t, sizeof(*t->root), e);
    struct tree_inode *i = t->root != NULL ? tree_new_inode(t, e) : NULL;
    if (i == NULL)
        return e->code;
    i->mode = S_IFDIR | 0755;
    t->root->parent = t->root;
    t->root->inode = i;
    t->root->name = "";
    return 0;
}

struct tree_inode *tree_new_inode(struct tree *t, struct err *e)
{
    return tree_alloc(t, sizeof(struct tree_inode), e);
}

static uint32_t tree_hash(const struct tree *t, const struct tree_node *dir,
                          const char *name, size_t size)
{
    uint64_t h = t->seed ^ (uintptr_t)dir;
    for (size_t i = 0; i < size; i++) {
        h = (h ^ (uint8_t)name[i]) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    return (uint32_t)(h ^ h >> 17);
}

struct tree_node *tree_child(const struct tree *t, const struct tree_node *dir,
                             const char *name, size_t size)
{
    uint32_t hash = tree_hash(t, dir, name, size);
    spill_step(t->spill);
    struct tree_node *n = t->buckets[hash & (t->bucket_count - 1)];
    while (n != NULL &&
           (n->hash != hash || n->parent != dir || n->name_size != size ||
            memcmp(n->name, name, size) != 0))
        n = n->bucket_next;
    return n;
}

struct tree_node *tree_add(struct tree *t, struct tree_node *dir,
                           const char *name, size_t size,
                           struct tree_inode *inode, struct err *e)
{
    if (t->node_count >= TREE_INODE_MAX) {
        (void)err_set(e, -ENOMEM, "too many files");
        return NULL;
    }
    struct tree_node *n = tree_alloc(t, sizeof(*n), e);
    if (n == NULL)
        return NULL;
    t->node_count++;
    n->parent = dir;
    n->inode = inode;
    n->name = name;
    n->name_size = (uint16_t)size;
    n->hash = tree_hash(t, dir, name, size);
    struct tree_node **b = &t->buckets[n->hash & (t->bucket_count - 1)];
    n->bucket_next = *b;
    *b = n;
    n->next = dir->first;
    if (dir->first != NULL)
        dir->first->prev = n;
    dir->first = n;
    dir->kid_count++;
    return n;
}

void tree_remove(struct tree *t, struct tree_node *n)
{
    struct tree_node **b = &t->buckets[n->hash & (t->bucket_count - 1)];
    while (*b != n)
        b = &(*b)->bucket_next;
    *b = n->bucket_next;
    if (n->prev != NULL)
        n->prev->next = n->next;
    else
        n->parent->first = n->next;
    if (n->next != NULL)
        n->next->prev = n->prev;
    n->parent->kid_count--;
    /* What is below stays in its buckets, under a parent nobody reaches. */
}

/* What is left of a path; following a link puts its target in front. */
struct tree_walker {
    char text[TREE_PATH_MAX];
    size_t at;
    size_t size;
    unsigned links;
};

static int tree_follow(struct tree_walker *w, const struct tree_inode *link,
                       struct err *e)
{
    if (++w->links > TREE_SYMLINK_MAX)
        return err_set(e, -ELOOP, "too many levels of symbolic links");
    size_t rest = w->size - w->at;
    size_t target = (size_t)link->size;
    if (target + 1 + rest > sizeof(w->text))
        return err_set(e, -ENAMETOOLONG, "path too long after links");
    memmove(w->text + target + 1, w->text + w->at, rest);
    memcpy(w->text, link->link, target);
    w->text[target] = '/';
    w->at = 0;
    w->size = target + 1 + rest;
    return 0;
}

static struct tree_node *tree_make_dir(struct tree *t, struct tree_node *dir,
                                       const char *name, size_t size,
                                       struct err *e)
{
    /* The name may be in the walker, which dies before the tree. */
    char *copy = tree_alloc(t, size, e);
    struct tree_inode *i = copy != NULL ? tree_new_inode(t, e) : NULL;
    if (i == NULL)
        return NULL;
    memcpy(copy, name, size);
    i->mode = S_IFDIR | 0755;
    return tree_add(t, dir, copy, size, i, e);
}

/* Next component into *name; its size, 0 when the path is used up. */
static size_t tree_component(struct tree_walker *w, const char **name)
{
    while (w->at < w->size && w->text[w->at] == '/')
        w->at++;
    *name = w->text + w->at;
    const char *slash = memchr(*name, '/', w->size - w->at);
    size_t n = slash != NULL ? (size_t)(slash - *name) : w->size - w->at;
    w->at += n;
    return n;
}

static int tree_step(struct tree *t, struct tree_walker *w, unsigned flags,
                     struct tree_node **at, struct err *e)
{
    const char *name;
    size_t n = tree_component(w, &name);
    struct tree_node *dir = *at;
    if (n == 0 || (n == 1 && name[0] == '.'))
        return 0;
    if (n == 2 && name[0] == '.' && name[1] == '.') {
        *at = dir->parent;
        return 0;
    }
    if (!S_ISDIR(dir->inode->mode))
        return err_set(e, -ENOTDIR,
                       "%.*s is below something that is not a "
                       "directory",
                       (int)n, name);
    struct tree_node *child = tree_child(t, dir, name, n);
    if (child == NULL && (flags & TREE_CREATE) != 0) {
        if (n > UINT8_MAX)
            return err_set(e, -ENAMETOOLONG, "a name of %zu bytes", n);
        child = tree_make_dir(t, dir, name, n, e);
        if (child == NULL)
            return e->code;
    }
    bool last = w->at == w->size;
    if (child != NULL && S_ISLNK(child->inode->mode) &&
        (!last || (flags & TREE_FOLLOW) != 0)) {
        if (child->inode->link[0] == '/')
            *at = t->root;
        return tree_follow(w, child->inode, e);
    }
    *at = child;
    return 0;
}

int tree_resolve(struct tree *t, const char *path, size_t size, unsigned flags,
                 struct tree_node **out, struct err *e)
{
    AUTO_FREE struct tree_walker *w = malloc(sizeof(*w));
    if (w == NULL || size > sizeof(w->text))
        return err_set(e, -ENOMEM, "out of memory");
    memcpy(w->text, path, size);
    w->at = 0;
    w->size = size;
    w->links = 0;
    *out = t->root;
    while (w->at < w->size && *out != NULL) {
        int code = tree_step(t, w, flags, out, e);
        if (code < 0)
            return code;
    }
    return 0;
}
