// SPDX-License-Identifier: Apache-2.0
/* A maker of small EROFS images (docs/image.md) for tests: inodes and tails in
 * the first MK_META bytes, file blocks behind. The memory is exactly as large
 * as the image, so that ASan sees a reader go beyond. */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MK_META 8192u
#define MK_MAX  32768u

struct mk {
    uint8_t *mem; /* page-aligned, MK_MAX bytes */
    uint32_t meta, data;
    uint32_t inos;
};

struct mk_entry {
    const char *name;
    uint64_t nid;
    uint8_t type; /* 1 file, 2 directory, 3 char, 5 fifo, 7 link */
};

struct mk_attr {
    uint16_t mode;
    uint32_t uid, gid, nlink;
    const void *xattrs; /* the whole area, or NULL */
    uint32_t xattr_size;
};

static inline void mk_u16(uint8_t *at, uint16_t v)
{
    memcpy(at, &v, 2);
}

static inline void mk_u32(uint8_t *at, uint32_t v)
{
    memcpy(at, &v, 4);
}

static inline void mk_u64(uint8_t *at, uint64_t v)
{
    memcpy(at, &v, 8);
}

static inline void mk_init(struct mk *m)
{
    void *mem = NULL;
    if (posix_memalign(&mem, 4096, MK_MAX) != 0)
        abort();
    memset(mem, 0, MK_MAX);
    *m = (struct mk){.mem = mem, .meta = 1152, .data = MK_META};
}

/* An inode with `tail` bytes behind it; they stay in one block. */
static inline uint64_t mk_inode(struct mk *m, const struct mk_attr *a,
                                uint64_t size, uint32_t u, const void *tail,
                                uint32_t tail_size)
{
    uint32_t need = 64 + a->xattr_size + tail_size;
    if ((m->meta & 4095) + need > 4096)
        m->meta = (m->meta + 4095) & ~4095u;
    if (m->meta + need > MK_META)
        abort();
    uint8_t *at = m->mem + m->meta;
    mk_u16(at, tail_size != 0 ? 5 : 1);
    mk_u16(at + 2,
           a->xattr_size != 0 ? (uint16_t)((a->xattr_size - 12) / 4 + 1) : 0);
    mk_u16(at + 4, a->mode);
    mk_u64(at + 8, size);
    mk_u32(at + 16, u);
    mk_u32(at + 20, ++m->inos);
    mk_u32(at + 24, a->uid);
    mk_u32(at + 28, a->gid);
    mk_u64(at + 32, 1700000000);
    mk_u32(at + 40, 123456789);
    mk_u32(at + 44, a->nlink != 0 ? a->nlink : 1);
    if (a->xattr_size != 0)
        memcpy(at + 64, a->xattrs, a->xattr_size);
    if (tail_size != 0)
        memcpy(at + 64 + a->xattr_size, tail, tail_size);
    uint64_t nid = m->meta / 32;
    m->meta = (m->meta + need + 31) & ~31u;
    return nid;
}

static inline uint64_t mk_file(struct mk *m, const struct mk_attr *a,
                               const void *data, uint32_t size)
{
    uint32_t block = size != 0 ? m->data / 4096 : 0;
    if (size > MK_MAX - m->data)
        abort();
    if (size != 0)
        memcpy(m->mem + m->data, data, size);
    m->data += (size + 4095) & ~4095u;
    return mk_inode(m, a, size, block, NULL, 0);
}

static inline uint64_t mk_symlink(struct mk *m, const char *target)
{
    const struct mk_attr a = {.mode = 0120777};
    uint32_t n = (uint32_t)strlen(target);
    return mk_inode(m, &a, n, 0, target, n);
}

/* `entries` sorted by name, "." and ".." among them. One block, inline. */
static inline uint64_t mk_dir(struct mk *m, const struct mk_attr *a,
                              const struct mk_entry *entries, uint32_t count)
{
    uint8_t block[4096] = {0};
    uint32_t at = count * 12;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t n = (uint32_t)strlen(entries[i].name);
        mk_u64(block + i * 12, entries[i].nid);
        mk_u16(block + i * 12 + 8, (uint16_t)at);
        block[i * 12 + 10] = entries[i].type;
        memcpy(block + at, entries[i].name, n);
        at += n;
    }
    return mk_inode(m, a, at, 0, block, at);
}

static inline void mk_finish(struct mk *m, uint64_t root_nid)
{
    uint8_t *sb = m->mem + 1024;
    mk_u32(sb, 0xe0f5e1e2u);
    mk_u32(sb + 8, 3);
    sb[12] = 12;
    mk_u16(sb + 14, (uint16_t)root_nid);
    mk_u64(sb + 16, m->inos);
    mk_u32(sb + 36, MK_MAX / 4096);
}

/*
 * The image most tests use:
 *   /big       2 blocks and 100 bytes, byte i is 'a' + i / 1000 % 26
 *   /dir/      0755   /dir/one "one\n" 0644   /dir/two "two\n" 0600 uid 1000
 *   /dir/sub/  /dir/sub/deep "deep\n"
 *   /empty     0 bytes          /hard1, /hard2  one file, 2 names, "hard\n"
 *   /link -> dir/one            /loop -> loop    /up -> ../dir
 *   /null      char 1:3         /x     with user.a=1, security.b=22
 */
#define MK_BIG 8292u

static inline uint8_t mk_big_byte(uint32_t i)
{
    return (uint8_t)('a' + i / 1000 % 26);
}

static inline void mk_standard(struct mk *m)
{
    static const uint8_t xattrs[32] = {[12] = 1, 1, 1, 0, 'a', '1', 0,   0,
                                       1,        6, 2, 0, 'b', '2', '2', 0};
    const struct mk_attr file = {.mode = 0100644};
    const struct mk_attr two = {.mode = 0100600, .uid = 1000, .gid = 1000};
    const struct mk_attr hard = {.mode = 0100644, .nlink = 2};
    const struct mk_attr dir = {.mode = 0040755, .nlink = 2};
    const struct mk_attr with = {
        .mode = 0100644, .xattrs = xattrs, .xattr_size = 28};
    const struct mk_attr null = {.mode = 0020666};
    static uint8_t big[MK_BIG];
    mk_init(m);
    for (uint32_t i = 0; i < MK_BIG; i++)
        big[i] = mk_big_byte(i);
    uint64_t deep = mk_inode(m, &file, 5, 0, "deep\n", 5);
    const struct mk_entry sub_entries[] = {
        {".", 0, 2}, {"..", 0, 2}, {"deep", deep, 1}};
    uint64_t sub = mk_dir(m, &dir, sub_entries, 3);
    const struct mk_entry dir_entries[] = {
        {".", 0, 2},
        {"..", 0, 2},
        {"one", mk_file(m, &file, "one\n", 4), 1},
        {"sub", sub, 2},
        {"two", mk_inode(m, &two, 4, 0, "two\n", 4), 1}};
    struct mk_attr parent = dir;
    parent.nlink = 3;
    uint64_t d = mk_dir(m, &parent, dir_entries, 5);
    uint64_t h = mk_file(m, &hard, "hard\n", 5);
    const struct mk_entry root_entries[] = {
        {".", 0, 2},
        {"..", 0, 2},
        {"big", mk_file(m, &file, big, MK_BIG), 1},
        {"dir", d, 2},
        {"empty", mk_file(m, &file, NULL, 0), 1},
        {"hard1", h, 1},
        {"hard2", h, 1},
        {"link", mk_symlink(m, "dir/one"), 7},
        {"loop", mk_symlink(m, "loop"), 7},
        {"null", mk_inode(m, &null, 0, 1 << 8 | 3, NULL, 0), 3},
        {"up", mk_symlink(m, "../dir"), 7},
        {"x", mk_file(m, &with, "x\n", 2), 1}};
    mk_finish(m, mk_dir(m, &parent, root_entries, 12));
}
