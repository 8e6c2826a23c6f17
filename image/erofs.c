// SPDX-License-Identifier: Apache-2.0
#include "image/erofs.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "image/data.h"
#include "image/erofs_format.h"
#include "image/forward.h"
#include "image/spill.h"
#include "image/tree.h"

/* All names in the order they are written: the root, then the sorted children
 * of each directory in turn, so that one directory's inodes are neighbours. */
struct erofs_plan {
    struct tree_node **nodes;
    size_t count;
    uint64_t end; /* first free byte of the inode area */
    uint64_t blocks_end;
    uint64_t inode_count;
    const struct erofs_spec *spec;
    struct spill *spill;
    int fd;
    /* Both go up: inodes with their tails, and blocks of directories. */
    struct forward inodes, blocks;
    uint64_t data_at; /* first block behind the metadata file */
};

static int erofs_compare_names(const char *a, size_t a_size, const char *b,
                               size_t b_size)
{
    int c = memcmp(a, b, a_size < b_size ? a_size : b_size);
    if (c != 0)
        return c;
    return (a_size > b_size) - (a_size < b_size);
}

static int erofs_compare(const void *pa, const void *pb, void *spill)
{
    const struct tree_node *a = *(struct tree_node *const *)pa;
    const struct tree_node *b = *(struct tree_node *const *)pb;
    spill_step(spill);
    return erofs_compare_names(a->name, a->name_size, b->name, b->name_size);
}

static int erofs_flatten(struct erofs_plan *p, struct tree *t, struct err *e)
{
    p->nodes = spill_alloc(p->spill,
                           (t->node_count + 1) * sizeof(struct tree_node *), e);
    if (p->nodes == NULL)
        return e->code;
    p->nodes[0] = t->root;
    p->count = 1;
    for (size_t i = 0; i < p->count; i++) {
        struct tree_node *dir = p->nodes[i];
        dir->kids_at = (uint32_t)p->count;
        spill_step(p->spill);
        for (struct tree_node *n = dir->first; n != NULL; n = n->next) {
            p->nodes[p->count++] = n;
            spill_step(p->spill);
        }
        qsort_r(p->nodes + dir->kids_at, dir->kid_count,
                sizeof(struct tree_node *), erofs_compare, p->spill);
    }
    return 0;
}

/* Walks a directory's entries in order, "." and ".." at their places. */
struct erofs_cursor {
    const struct erofs_plan *plan;
    const struct tree_node *dir;
    uint32_t kid;
    unsigned dots; /* how many of "." and ".." are behind us */
    const char *name;
    size_t size;
    const struct tree_inode *inode;
};

static bool erofs_next(struct erofs_cursor *c)
{
    const struct tree_node *kid = NULL;
    spill_step(c->plan->spill);
    if (c->kid < c->dir->kid_count)
        kid = c->plan->nodes[c->dir->kids_at + c->kid];
    if (c->dots < 2 &&
        (kid == NULL || erofs_compare_names("..", c->dots + 1, kid->name,
                                            kid->name_size) < 0)) {
        c->name = "..";
        c->size = ++c->dots;
        c->inode = c->dots == 1 ? c->dir->inode : c->dir->parent->inode;
        return true;
    }
    if (kid == NULL)
        return false;
    c->kid++;
    c->name = kid->name;
    c->size = kid->name_size;
    c->inode = kid->inode;
    return true;
}

static uint64_t erofs_dir_size(const struct erofs_plan *p,
                               const struct tree_node *dir)
{
    struct erofs_cursor c = {.plan = p, .dir = dir};
    uint64_t full = 0;
    size_t used = 0;
    while (erofs_next(&c)) {
        size_t need = sizeof(struct erofs_dirent) + c.size;
        if (used + need > EROFS_BLOCK_SIZE) {
            full++;
            used = 0;
        }
        used += need;
    }
    return full * EROFS_BLOCK_SIZE + used;
}

static uint64_t erofs_align(uint64_t at, uint64_t size)
{
    return (at + size - 1) / size * size;
}

static uint64_t erofs_xattr_area(const struct tree_inode *i)
{
    return i->xattr_size != 0 ? EROFS_XATTR_HEAD_SIZE + i->xattr_size : 0;
}

static bool erofs_has_tail(const struct tree_inode *i)
{
    return S_ISDIR(i->mode) || S_ISLNK(i->mode);
}

/* Give the inode its place; the first one, the root, finds room in block 0 or
 * at the start of block 1. */
static void erofs_place(struct erofs_plan *p, struct tree_inode *i)
{
    uint64_t body = sizeof(struct erofs_inode) + erofs_xattr_area(i);
    uint64_t tail = erofs_has_tail(i) ? i->size % EROFS_BLOCK_SIZE : 0;
    i->plain = tail == 0 || body + tail > EROFS_BLOCK_SIZE;
    /* What must not cross a block boundary. */
    uint64_t unit = i->plain ? sizeof(struct erofs_inode) : body + tail;
    uint64_t at = erofs_align(p->end, EROFS_SLOT_SIZE);
    if (at % EROFS_BLOCK_SIZE + unit > EROFS_BLOCK_SIZE)
        at = erofs_align(at, EROFS_BLOCK_SIZE);
    i->nid = at / EROFS_SLOT_SIZE;
    i->number = (uint32_t)++p->inode_count;
    p->end = at + body + (i->plain ? 0 : tail);
}

static int erofs_check_contents(const struct erofs_plan *p,
                                const struct tree_inode *i, struct err *e)
{
    if (i->layer >= p->spec->layer_count)
        return err_set(e, -EBADMSG, "damaged layer index");
    uint64_t used = p->spec->layers[i->layer].used;
    if (i->size > 0 && (i->block >= used ||
                        (i->size - 1) / EROFS_BLOCK_SIZE >= used - i->block))
        return err_set(e, -EBADMSG, "damaged layer index: file outside data");
    return 0;
}

static int erofs_lay_out(struct erofs_plan *p, struct err *e)
{
    p->end = EROFS_ROOT_AT;
    for (size_t k = 0; k < p->count; k++) {
        const struct tree_node *n = p->nodes[k];
        struct tree_inode *i = n->inode;
        spill_step(p->spill);
        if (S_ISDIR(i->mode)) {
            i->size = erofs_dir_size(p, n);
            i->nlink += 2;
            if (k > 0)
                n->parent->inode->nlink++;
        } else {
            i->nlink++;
        }
        if (i->number != 0)
            continue;
        if (S_ISREG(i->mode)) {
            int code = erofs_check_contents(p, i, e);
            if (code < 0)
                return code;
        }
        erofs_place(p, i);
    }

    uint64_t block = erofs_align(p->end, EROFS_BLOCK_SIZE) / EROFS_BLOCK_SIZE;
    for (size_t k = 0; k < p->count; k++) {
        struct tree_inode *i = p->nodes[k]->inode;
        spill_step(p->spill);
        if (!erofs_has_tail(i) || i->plain_block != 0)
            continue;
        uint64_t whole = i->size / EROFS_BLOCK_SIZE;
        if (i->plain)
            whole = erofs_align(i->size, EROFS_BLOCK_SIZE) / EROFS_BLOCK_SIZE;
        i->plain_block = whole != 0 ? (uint32_t)block : 0;
        block += whole;
    }
    p->blocks_end = block;
    p->data_at = erofs_align(block * EROFS_BLOCK_SIZE, DATA_ALIGN_SIZE) /
                 EROFS_BLOCK_SIZE;
    if (p->data_at + p->spec->data_blocks > UINT32_MAX)
        return err_set(e, -EFBIG, "image over 16 TiB");
    return 0;
}

static uint8_t erofs_type(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG: return 1;
    case S_IFDIR: return 2;
    case S_IFCHR: return 3;
    case S_IFBLK: return 4;
    case S_IFIFO: return 5;
    default: return 7;
    }
}

/* Byte `at` (a block boundary) of a directory or link target, `size` bytes. */
static void erofs_put(struct erofs_plan *p, const struct tree_inode *i,
                      uint64_t at, const void *data, size_t size)
{
    if (!i->plain && at == i->size / EROFS_BLOCK_SIZE * EROFS_BLOCK_SIZE)
        forward_put(&p->inodes,
                    i->nid * EROFS_SLOT_SIZE + sizeof(struct erofs_inode) +
                        erofs_xattr_area(i),
                    data, size);
    else
        forward_put(&p->blocks,
                    (uint64_t)i->plain_block * EROFS_BLOCK_SIZE + at, data,
                    size);
}

/* `count` entries from `c` on as one block, byte `at` of the directory. */
static void erofs_write_dir_block(struct erofs_plan *p, struct erofs_cursor *c,
                                  size_t count, uint64_t at)
{
    uint8_t block[EROFS_BLOCK_SIZE] = {0};
    size_t name_at = count * sizeof(struct erofs_dirent);
    for (size_t k = 0; k < count && erofs_next(c); k++) {
        struct erofs_dirent d = {
            .nid = c->inode->nid,
            .name_at = (uint16_t)name_at,
            .type = erofs_type(c->inode->mode),
        };
        memcpy(block + k * sizeof(d), &d, sizeof(d));
        memcpy(block + name_at, c->name, c->size);
        name_at += c->size;
    }
    erofs_put(p, c->dir->inode, at, block, name_at);
}

static void erofs_write_dir(struct erofs_plan *p, const struct tree_node *dir)
{
    struct erofs_cursor ahead = {.plan = p, .dir = dir};
    struct erofs_cursor behind = ahead;
    uint64_t at = 0;
    size_t used = 0;
    size_t count = 0;
    while (erofs_next(&ahead)) {
        size_t need = sizeof(struct erofs_dirent) + ahead.size;
        if (used + need > EROFS_BLOCK_SIZE) {
            erofs_write_dir_block(p, &behind, count, at);
            at += EROFS_BLOCK_SIZE;
            used = 0;
            count = 0;
        }
        used += need;
        count++;
    }
    erofs_write_dir_block(p, &behind, count, at);
}

static void erofs_write_inode(struct erofs_plan *p, const struct tree_inode *i)
{
    struct erofs_inode d = {
        .format = i->plain ? EROFS_FORMAT_PLAIN : EROFS_FORMAT_INLINE,
        .mode = (uint16_t)i->mode,
        .size = i->size,
        .u = i->plain_block,
        .ino = i->number,
        .uid = i->uid,
        .gid = i->gid,
        .mtime = (uint64_t)i->mtime,
        .mtime_ns = i->mtime_ns,
        .nlink = i->nlink,
    };
    if (S_ISREG(i->mode) && i->size > 0)
        d.u = (uint32_t)(p->data_at + p->spec->layers[i->layer].at + i->block);
    else if (S_ISCHR(i->mode) || S_ISBLK(i->mode))
        d.u = i->rdev;
    uint64_t at = i->nid * EROFS_SLOT_SIZE;
    if (i->xattr_size != 0)
        d.xattr_count = (uint16_t)(i->xattr_size / 4 + 1);
    forward_put(&p->inodes, at, &d, sizeof(d));
    if (i->xattr_size != 0)
        forward_put(&p->inodes, at + sizeof(d) + EROFS_XATTR_HEAD_SIZE,
                    i->xattrs, i->xattr_size);
    if (S_ISLNK(i->mode))
        erofs_put(p, i, 0, i->link, (size_t)i->size);
}

static uint32_t erofs_crc32c(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (UINT32_C(0x82f63b78) & (0U - (crc & 1)));
    }
    return crc;
}

/* The checksum covers the first inodes, too. */
static int erofs_write_super(const struct erofs_plan *p, struct err *e)
{
    struct erofs_super s = {
        .magic = EROFS_MAGIC,
        .feature_compat = EROFS_COMPAT_CHECKSUM | EROFS_COMPAT_MTIME,
        .block_bits = EROFS_BLOCK_BITS,
        .root_nid = (uint16_t)p->nodes[0]->inode->nid,
        .inos = p->inode_count,
        .build_time = p->spec->build_time,
        .blocks = (uint32_t)(p->data_at + p->spec->data_blocks),
    };
    memcpy(s.uuid, p->spec->uuid, sizeof(s.uuid));
    uint8_t block[EROFS_BLOCK_SIZE];
    uint8_t *to = block + EROFS_SUPER_AT;
    if (pread(p->fd, block, sizeof(block), 0) != (ssize_t)sizeof(block))
        return err_set(e, -EIO, "reading metadata back");
    memcpy(to, &s, sizeof(s));
    s.checksum = erofs_crc32c(to, EROFS_BLOCK_SIZE - EROFS_SUPER_AT);
    memcpy(to, &s, sizeof(s));
    return pwrite(p->fd, block, sizeof(block), 0) == (ssize_t)sizeof(block)
               ? 0
               : err_set(e, -EIO, "writing metadata: superblock");
}

static int erofs_write_nodes(struct erofs_plan *p, struct err *e)
{
    uint32_t number = 0;
    for (size_t k = 0; k < p->count; k++) {
        const struct tree_node *n = p->nodes[k];
        spill_step(p->spill);
        if (n->inode->number > number) {
            erofs_write_inode(p, n->inode);
            number = n->inode->number;
        }
        if (S_ISDIR(n->inode->mode))
            erofs_write_dir(p, n);
    }
    int code = forward_finish(&p->inodes, e);
    return code == 0 ? forward_finish(&p->blocks, e) : code;
}

static int erofs_write_all(struct erofs_plan *p, struct tree *t, uint64_t *size,
                           struct err *e)
{
    int code = erofs_flatten(p, t, e);
    if (code == 0)
        code = erofs_lay_out(p, e);
    if (code < 0)
        return code;
    assert(p->blocks_end > 0);
    *size = p->blocks_end * EROFS_BLOCK_SIZE;
    if (ftruncate(p->fd, (off_t)*size) < 0)
        return err_set(e, -errno, "writing metadata: %s", strerror(errno));
    code = forward_init(&p->inodes, p->fd, e);
    if (code == 0)
        code = forward_init(&p->blocks, p->fd, e);
    if (code == 0)
        code = erofs_write_nodes(p, e);
    return code == 0 ? erofs_write_super(p, e) : code;
}

int erofs_write(struct tree *t, const struct erofs_spec *spec, int fd,
                uint64_t *size, struct err *e)
{
    struct erofs_plan p = {.spec = spec, .spill = t->spill, .fd = fd};
    int code = erofs_write_all(&p, t, size, e);
    forward_fini(&p.inodes);
    forward_fini(&p.blocks);
    return code;
}
