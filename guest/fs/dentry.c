// SPDX-License-Identifier: Apache-2.0
/*
 * The name cache. A dentry that nobody uses stays on the LRU list until there
 * are too many of them; a pinned one has a reference of its own and so never
 * gets there.
 */
#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/log.h"
#include "guest/fs/inode.h"
#include "guest/fs/inotify.h"

#define DENTRY_BUCKETS 128  /* at boot; grows by 4 */
#define DENTRY_LRU_MAX 2048 /* unused names kept */

struct spinlock dentry_lock;
static struct list first_buckets[DENTRY_BUCKETS];
static struct list *buckets = first_buckets;
static uint32_t bucket_count = DENTRY_BUCKETS;
static uint32_t hashed_count;
static struct list lru = LIST_INIT(lru); /* oldest first */
static uint32_t lru_count;

static uint32_t dentry_hash(const struct dentry *parent, const char *name,
                            size_t len)
{
    uint32_t h = (uint32_t)((uintptr_t)parent >> 5) * 0x9e3779b1u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)name[i]) * 0x01000193u;
    return h ^ h >> 15;
}

/* A zeroed bucket is an empty one, so that the table costs nothing at boot. */
static struct list *dentry_bucket(uint32_t hash)
{
    struct list *b = &buckets[hash & (bucket_count - 1)];
    if (b->next == NULL)
        list_init(b);
    return b;
}

/* The lock is held. Failing to grow only makes chains longer. */
static void dentry_grow(void)
{
    uint32_t count = bucket_count * 4;
    struct list *table = kzalloc(count * sizeof(*table));
    if (table == NULL)
        return;
    struct list *old = buckets;
    uint32_t old_count = bucket_count;
    buckets = table;
    bucket_count = count;
    for (uint32_t i = 0; i < old_count; i++) {
        if (old[i].next == NULL)
            continue;
        LIST_FOR_SAFE(it, next, &old[i])
        {
            struct dentry *d = LIST_ENTRY(it, struct dentry, hash_node);
            list_remove(it);
            list_add_head(dentry_bucket(d->hash), it);
        }
    }
    if (old != first_buckets)
        kfree(old);
}

struct dentry *dentry_new(struct dentry *parent, const char *name, size_t len)
{
    struct dentry *d = kzalloc(sizeof(*d));
    char *copy = kstrndup(name, len);
    if (d == NULL || copy == NULL) {
        kfree(d);
        kfree(copy);
        return NULL;
    }
    d->refs = 1;
    d->name = copy;
    d->name_size = (uint16_t)len;
    d->unhashed = true;
    list_init(&d->hash_node);
    list_init(&d->children);
    list_init(&d->sibling);
    list_init(&d->lru_node);
    d->parent = d;
    if (parent != NULL) {
        dentry_get(parent);
        d->parent = parent;
        d->hash = dentry_hash(parent, name, len);
    }
    return d;
}

struct dentry *dentry_new_root(struct inode *root)
{
    struct dentry *d = dentry_new(NULL, "", 0);
    if (d == NULL)
        return NULL;
    d->inode = root;
    d->unhashed = false;
    if (root->dir != NULL)
        root->alias = d;
    return d;
}

void dentry_get(struct dentry *d)
{
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
}

/* Off every list; the lock is held and refs is 0. */
static void dentry_forget(struct dentry *d)
{
    if (!list_empty(&d->lru_node)) {
        list_remove(&d->lru_node);
        lru_count--;
    }
    if (!list_empty(&d->hash_node)) {
        list_remove(&d->hash_node);
        hashed_count--;
    }
    list_remove(&d->sibling);
    if (d->inode != NULL && d->inode->alias == d)
        d->inode->alias = NULL;
}

/* One reference less. True: `d` is the caller's to free. Lock held. */
static bool dentry_drop_ref(struct dentry *d)
{
    if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return false;
    bool keep = !d->unhashed && d->parent != d &&
                (d->parent->inode->sb->flags & SB_NOCACHE) == 0;
    if (keep && list_empty(&d->lru_node)) {
        list_add_tail(&lru, &d->lru_node);
        lru_count++;
    }
    if (!keep)
        dentry_forget(d);
    return !keep;
}

/* Free `d` and whatever above it was only there for it. */
static void dentry_free(struct dentry *d)
{
    while (d != NULL) {
        struct dentry *parent = d->parent != d ? d->parent : NULL;
        if (d->inode != NULL && d->inode->nlink == 0 && d->unhashed)
            inotify_gone(d->inode);
        if (d->inode != NULL)
            inode_put(d->inode);
        kfree(d->name);
        kfree(d);
        if (parent == NULL)
            return;
        spin_lock(&dentry_lock);
        bool last = dentry_drop_ref(parent);
        spin_unlock(&dentry_lock);
        d = last ? parent : NULL;
    }
}

void dentry_put(struct dentry *d)
{
    spin_lock(&dentry_lock);
    bool last = dentry_drop_ref(d);
    bool crowded = lru_count > DENTRY_LRU_MAX;
    spin_unlock(&dentry_lock);
    if (last)
        dentry_free(d);
    if (crowded)
        dentry_shrink(DENTRY_LRU_MAX / 16);
}

void dentry_attach(struct dentry *d, struct inode *i)
{
    KASSERT(d->inode == NULL);
    inode_get(i);
    if (i->dir != NULL) {
        spin_lock(&dentry_lock);
        i->alias = d;
        spin_unlock(&dentry_lock);
    }
    /* Walkers look at d->inode without a lock. */
    __atomic_store_n(&d->inode, i, __ATOMIC_RELEASE);
}

/* Out of hash and siblings, to go back under another name; lock held. */
static void dentry_take_out(struct dentry *d)
{
    if (!list_empty(&d->hash_node)) {
        list_remove(&d->hash_node);
        hashed_count--;
    }
    list_remove(&d->sibling);
    d->unhashed = true;
}

static void dentry_put_in(struct dentry *d)
{
    d->hash = dentry_hash(d->parent, d->name, d->name_size);
    d->unhashed = false;
    list_add_head(dentry_bucket(d->hash), &d->hash_node);
    list_add_tail(&d->parent->children, &d->sibling);
    hashed_count++;
}

void dentry_add(struct dentry *d)
{
    spin_lock(&dentry_lock);
    KASSERT(d->unhashed && d->parent != d);
    dentry_put_in(d);
    if (hashed_count > bucket_count * 2)
        dentry_grow();
    spin_unlock(&dentry_lock);
}

void dentry_pin(struct dentry *d)
{
    KASSERT(!d->pinned);
    d->pinned = true;
    dentry_get(d);
}

void dentry_unpin(struct dentry *d)
{
    KASSERT(d->pinned);
    d->pinned = false;
    dentry_put(d);
}

struct dentry *dentry_find(struct dentry *parent, const char *name, size_t len)
{
    uint32_t hash = dentry_hash(parent, name, len);
    spin_lock(&dentry_lock);
    struct list *bucket = dentry_bucket(hash);
    LIST_FOR(it, bucket)
    {
        struct dentry *d = LIST_ENTRY(it, struct dentry, hash_node);
        if (d->hash != hash || d->parent != parent || d->name_size != len ||
            memcmp(d->name, name, len) != 0)
            continue;
        dentry_get(d);
        if (!list_empty(&d->lru_node)) {
            list_remove(&d->lru_node);
            lru_count--;
        }
        spin_unlock(&dentry_lock);
        return d;
    }
    spin_unlock(&dentry_lock);
    return NULL;
}

void dentry_unhash(struct dentry *d)
{
    spin_lock(&dentry_lock);
    dentry_take_out(d);
    spin_unlock(&dentry_lock);
}

int dentry_move(struct dentry *d, struct dentry *parent, const char *name,
                size_t len)
{
    char *copy = kstrndup(name, len);
    if (copy == NULL)
        return -ENOMEM;
    dentry_get(parent);
    spin_lock(&dentry_lock);
    struct dentry *old_parent = d->parent;
    char *old_name = d->name;
    dentry_take_out(d);
    d->parent = parent;
    d->name = copy;
    d->name_size = (uint16_t)len;
    dentry_put_in(d);
    spin_unlock(&dentry_lock);
    kfree(old_name);
    dentry_put(old_parent);
    return 0;
}

void dentry_exchange(struct dentry *a, struct dentry *b)
{
    spin_lock(&dentry_lock);
    dentry_take_out(a);
    dentry_take_out(b);
    struct dentry *parent = a->parent;
    char *name = a->name;
    uint16_t size = a->name_size;
    a->parent = b->parent;
    a->name = b->name;
    a->name_size = b->name_size;
    b->parent = parent;
    b->name = name;
    b->name_size = size;
    dentry_put_in(a);
    dentry_put_in(b);
    spin_unlock(&dentry_lock);
}

void dentry_shrink(unsigned max)
{
    for (unsigned n = 0; n < max; n++) {
        spin_lock(&dentry_lock);
        if (list_empty(&lru)) {
            spin_unlock(&dentry_lock);
            return;
        }
        struct dentry *d = LIST_ENTRY(lru.next, struct dentry, lru_node);
        dentry_forget(d);
        spin_unlock(&dentry_lock);
        dentry_free(d);
    }
}
