// SPDX-License-Identifier: Apache-2.0
#include "guest/fs/pagetree.h"

#include "abi/linux/errno.h"

#include "guest/core/kmem.h"

#define FAN_BITS   6
#define FAN        (1u << FAN_BITS)
#define HEIGHT_MAX 9 /* 2^54 pages: more than INT64_MAX bytes */

struct node {
    uint64_t at[FAN];
};

static struct node *node_of(uint64_t word)
{
    return (struct node *)(uintptr_t)word;
}

/* Indexes below this fit under `height` levels of nodes. */
static uint64_t height_span(uint32_t height)
{
    return UINT64_C(1) << (FAN_BITS * height);
}

static unsigned slot_of(uint64_t index, uint32_t level)
{
    return (unsigned)(index >> (FAN_BITS * level)) & (FAN - 1);
}

uint64_t pagetree_get(const struct pagetree *t, uint64_t index)
{
    if (index >= height_span(t->height))
        return 0;
    uint64_t word = t->root;
    for (uint32_t level = t->height; level > 0 && word != 0; level--)
        word = node_of(word)->at[slot_of(index, level - 1)];
    return word;
}

static int pagetree_grow(struct pagetree *t, uint64_t index)
{
    while (index >= height_span(t->height)) {
        if (t->height == HEIGHT_MAX)
            return -EFBIG;
        if (t->root != 0) {
            struct node *n = kzalloc(sizeof(*n));
            if (n == NULL)
                return -ENOMEM;
            n->at[0] = t->root;
            t->root = (uintptr_t)n;
        }
        t->height++;
    }
    return 0;
}

int pagetree_set(struct pagetree *t, uint64_t index, uint64_t value)
{
    if (value == 0 && pagetree_get(t, index) == 0)
        return 0;
    int r = pagetree_grow(t, index);
    if (r < 0)
        return r;
    uint64_t *word = &t->root;
    for (uint32_t level = t->height; level > 0; level--) {
        if (*word == 0) {
            struct node *n = kzalloc(sizeof(*n));
            if (n == NULL)
                return -ENOMEM;
            *word = (uintptr_t)n;
        }
        word = &node_of(*word)->at[slot_of(index, level - 1)];
    }
    *word = value;
    return 0;
}

/* The entry at `index`, or how far to skip because nothing is there. */
static uint64_t pagetree_probe(const struct pagetree *t, uint64_t index,
                               uint64_t *skip)
{
    uint64_t word = t->root;
    uint32_t level = t->height;
    while (level > 0 && word != 0) {
        level--;
        word = node_of(word)->at[slot_of(index, level)];
    }
    *skip = height_span(level);
    return word;
}

uint64_t pagetree_next(const struct pagetree *t, uint64_t index,
                       uint64_t *value)
{
    while (index < height_span(t->height)) {
        uint64_t skip;
        *value = pagetree_probe(t, index, &skip);
        if (*value != 0)
            return index;
        index = (index / skip + 1) * skip;
    }
    return UINT64_MAX;
}

void pagetree_fini(struct pagetree *t)
{
    /* Post-order without recursion: the path of nodes, and where in each. */
    struct node *path[HEIGHT_MAX + 1];
    unsigned slot[HEIGHT_MAX + 1];
    unsigned depth = 0;
    if (t->height > 0 && t->root != 0) {
        path[0] = node_of(t->root);
        slot[0] = 0;
        depth = 1;
    }
    while (depth > 0) {
        struct node *n = path[depth - 1];
        unsigned s = slot[depth - 1]++;
        if (s == FAN) {
            kfree(n);
            depth--;
        } else if (depth < t->height && n->at[s] != 0) {
            path[depth] = node_of(n->at[s]);
            slot[depth] = 0;
            depth++;
        }
    }
    *t = (struct pagetree){0, 0};
}
