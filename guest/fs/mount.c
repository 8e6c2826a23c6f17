// SPDX-License-Identifier: Apache-2.0
#include "guest/core/kmem.h"
#include "guest/fs/inode.h"

struct list mount_list = LIST_INIT(mount_list);

struct mount *mount_new(struct superblock *sb, struct mount *parent,
                        struct dentry *at, const char *source)
{
    static uint32_t next_id = 20;
    struct mount *m = kzalloc(sizeof(*m));
    if (m == NULL)
        return NULL;
    m->sb = sb;
    m->parent = parent;
    m->root = sb->root;
    dentry_get(m->root);
    m->id = __atomic_add_fetch(&next_id, 1, __ATOMIC_RELAXED);
    m->refs = 1;
    m->source = source;
    list_init(&m->node);
    if (at != NULL) {
        dentry_get(at);
        m->at = at;
        /* Walkers look without a lock: pairs with path_cross. */
        __atomic_store_n(&at->mount, m, __ATOMIC_RELEASE);
    }
    if (at != NULL || list_empty(&mount_list))
        list_add_tail(&mount_list, &m->node);
    return m;
}
