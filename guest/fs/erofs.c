// SPDX-License-Identifier: Apache-2.0
/* EROFS: Documentation/filesystems/erofs of the format, and docs/image.md. */
#include "guest/fs/erofs.h"

#include "abi/linux/errno.h"
#include "abi/linux/stat.h"

#include "guest/core/klib.h"

#define EROFS_MAGIC       0xe0f5e1e2u
#define EROFS_SUPER       1024u
#define EROFS_SLOT        32u
#define EROFS_INCOMPAT_OK 1u /* says something about compressed files only */
#define EROFS_PLAIN       0u
#define EROFS_INLINE      2u

struct erofs_super {
    uint32_t magic, checksum, compat;
    uint8_t blkszbits, extslots;
    uint16_t root_nid;
    uint64_t inos, build_time;
    uint32_t build_nsec, blocks, meta_blkaddr, xattr_blkaddr;
    uint8_t uuid[16], volume[16];
    uint32_t incompat;
    uint8_t rest[44];
};
ABI_SIZE(struct erofs_super, 128);

struct erofs_compact {
    uint16_t format, xattr_icount, mode, nlink;
    uint32_t size, reserved, u, ino;
    uint16_t uid, gid;
    uint32_t reserved2;
};
ABI_SIZE(struct erofs_compact, 32);

struct erofs_extended {
    uint16_t format, xattr_icount, mode, reserved;
    uint64_t size;
    uint32_t u, ino, uid, gid;
    int64_t mtime;
    uint32_t mtime_nsec, nlink;
    uint8_t reserved2[16];
};
ABI_SIZE(struct erofs_extended, 64);

int erofs_copy(const struct erofs *e, uint64_t off, void *to, size_t n)
{
    uint8_t *at = to;
    while (n > 0) {
        size_t part = MIN(n, (size_t)(PAGE_SIZE - (off & PAGE_MASK)));
        const void *from = image_at(e->img, off, part);
        if (from == NULL)
            return -EIO;
        memcpy(at, from, part);
        at += part;
        off += part;
        n -= part;
    }
    return 0;
}

int erofs_open(struct erofs *e, struct image *img)
{
    struct erofs_super sb;
    *e = (struct erofs){.img = img};
    if (erofs_copy(e, EROFS_SUPER, &sb, sizeof(sb)) < 0)
        return -EIO;
    if (sb.magic != EROFS_MAGIC || sb.blkszbits != PAGE_SHIFT ||
        (sb.incompat & ~EROFS_INCOMPAT_OK) != 0)
        return -EINVAL;
    e->size = MIN((uint64_t)sb.blocks * PAGE_SIZE, image_size(img));
    e->meta = (uint64_t)sb.meta_blkaddr * PAGE_SIZE;
    e->root_nid = sb.root_nid;
    e->inos = sb.inos;
    struct erofs_inode root;
    int r = erofs_inode(e, e->root_nid, &root);
    if (r == 0 && (root.mode & LX_S_IFMT) != LX_S_IFDIR)
        r = -EIO;
    return r;
}

/* --- inodes --- */

/* [off, off + n) is inside what block addresses may reach. */
static bool erofs_inside(const struct erofs *e, uint64_t off, uint64_t n)
{
    return off <= e->size && n <= e->size - off;
}

/* Where the contents are; `u` is the block address or device number, `end`
 * the first byte behind inode and xattrs. */
static int erofs_place(const struct erofs *e, struct erofs_inode *i,
                       uint32_t layout, uint32_t u, uint64_t end)
{
    uint32_t type = i->mode & LX_S_IFMT;
    if (type == LX_S_IFCHR || type == LX_S_IFBLK) {
        i->rdev = u;
        i->size = 0;
        return 0;
    }
    if (type == LX_S_IFIFO || type == LX_S_IFSOCK) {
        i->size = 0;
        return 0;
    }
    if (type != LX_S_IFREG && type != LX_S_IFDIR && type != LX_S_IFLNK)
        return -EIO;
    if (i->size > e->size)
        return -EIO;
    uint64_t stored = ROUND_UP(i->size, PAGE_SIZE);
    if (layout == EROFS_INLINE) {
        stored = ROUND_DOWN(i->size, PAGE_SIZE);
        i->tail = end;
        if (!erofs_inside(e, end, i->size - stored) ||
            (end & PAGE_MASK) + (i->size - stored) > PAGE_SIZE)
            return -EIO;
    } else if (layout != EROFS_PLAIN) {
        return -EIO; /* compressed or chunked: not ours */
    }
    i->data = (uint64_t)u * PAGE_SIZE;
    return stored == 0 || erofs_inside(e, i->data, stored) ? 0 : -EIO;
}

static int erofs_inode_extended(const struct erofs *e, uint64_t at,
                                struct erofs_inode *i)
{
    struct erofs_extended x;
    if (erofs_copy(e, at, &x, sizeof(x)) < 0)
        return -EIO;
    i->mode = x.mode;
    i->uid = x.uid;
    i->gid = x.gid;
    i->nlink = x.nlink;
    i->size = x.size;
    i->mtime = x.mtime;
    i->mtime_nsec = x.mtime_nsec < NSEC_PER_SEC ? x.mtime_nsec : 0;
    uint64_t end = at + sizeof(x);
    if (x.xattr_icount != 0) {
        i->xattr = end;
        i->xattr_size = 12 + (x.xattr_icount - 1u) * 4;
    }
    return erofs_place(e, i, x.format >> 1 & 7, x.u, end + i->xattr_size);
}

static int erofs_inode_compact(const struct erofs *e, uint64_t at,
                               struct erofs_inode *i)
{
    struct erofs_compact c;
    if (erofs_copy(e, at, &c, sizeof(c)) < 0)
        return -EIO;
    i->mode = c.mode;
    i->uid = c.uid;
    i->gid = c.gid;
    i->nlink = c.nlink;
    i->size = c.size;
    uint64_t end = at + sizeof(c);
    if (c.xattr_icount != 0) {
        i->xattr = end;
        i->xattr_size = 12 + (c.xattr_icount - 1u) * 4;
    }
    return erofs_place(e, i, c.format >> 1 & 7, c.u, end + i->xattr_size);
}

int erofs_inode(const struct erofs *e, uint64_t nid, struct erofs_inode *out)
{
    uint16_t format;
    if (nid > (e->size >> 5) || e->meta > e->size)
        return -EIO;
    uint64_t at = e->meta + nid * EROFS_SLOT;
    *out = (struct erofs_inode){.nid = nid};
    if (!erofs_inside(e, at, EROFS_SLOT) ||
        erofs_copy(e, at, &format, sizeof(format)) < 0)
        return -EIO;
    return (format & 1) != 0 ? erofs_inode_extended(e, at, out)
                             : erofs_inode_compact(e, at, out);
}

/* --- contents --- */

/* Up to `n` bytes at `pos` of the contents, without crossing a block. */
static const void *erofs_bytes(const struct erofs *e,
                               const struct erofs_inode *i, uint64_t pos,
                               size_t n)
{
    uint64_t full = ROUND_DOWN(i->size, PAGE_SIZE);
    if (i->tail != 0 && pos >= full)
        return image_at(e->img, i->tail + (pos - full), n);
    return image_at(e->img, i->data + pos, n);
}

int64_t erofs_pread(const struct erofs *e, const struct erofs_inode *i,
                    void *to, size_t n, uint64_t pos)
{
    if (pos >= i->size)
        return 0;
    n = (size_t)MIN((uint64_t)n, i->size - pos);
    for (size_t done = 0; done < n;) {
        uint64_t at = pos + done;
        size_t part = MIN(n - done, (size_t)(PAGE_SIZE - (at & PAGE_MASK)));
        const void *from = erofs_bytes(e, i, at, part);
        if (from == NULL)
            return -EIO;
        memcpy((uint8_t *)to + done, from, part);
        done += part;
    }
    return (int64_t)n;
}

int erofs_page(const struct erofs *e, const struct erofs_inode *i,
               uint64_t index, paddr_t *pa, uint64_t *run)
{
    uint64_t pages =
        i->tail != 0 ? i->size / PAGE_SIZE : (i->size + PAGE_MASK) / PAGE_SIZE;
    if (index >= pages)
        return i->tail != 0 && index == pages ? -ENODATA : -EIO;
    int r = image_page(e->img, i->data + index * PAGE_SIZE, pa, run);
    if (r == 0)
        *run = MIN(*run, pages - index);
    return r;
}

/* --- directories --- */

struct erofs_block { /* one directory block */
    const uint8_t *at;
    uint32_t size;
    uint32_t count;
};

static uint16_t load16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static uint64_t erofs_dir_blocks(const struct erofs_inode *dir)
{
    return (dir->size + PAGE_MASK) / PAGE_SIZE;
}

static int erofs_block_get(const struct erofs *e, const struct erofs_inode *dir,
                           uint64_t index, struct erofs_block *b)
{
    uint64_t pos = index * PAGE_SIZE;
    b->size = (uint32_t)MIN(PAGE_SIZE, dir->size - pos);
    if (b->size < 12)
        return -EIO;
    b->at = erofs_bytes(e, dir, pos, b->size);
    if (b->at == NULL)
        return -EIO;
    uint32_t first = load16(b->at + 8);
    if (first % 12 != 0 || first == 0 || first > b->size)
        return -EIO;
    b->count = first / 12;
    return 0;
}

static int erofs_block_entry(const struct erofs_block *b, uint32_t index,
                             struct erofs_dirent *out)
{
    static const uint8_t types[8] = {0, 8, 4, 2, 6, 1, 12, 10};
    const uint8_t *at = b->at + index * 12;
    uint32_t start = load16(at + 8);
    uint32_t end = index + 1 < b->count ? load16(at + 12 + 8) : b->size;
    if (start < b->count * 12 || start >= end || end > b->size)
        return -EIO;
    memcpy(&out->nid, at, sizeof(out->nid));
    uint8_t type = at[10];
    out->type = type < sizeof(types) ? types[type] : 0;
    out->name = (const char *)b->at + start;
    out->name_size = strnlen(out->name, end - start);
    if (out->name_size == 0 || out->name_size > 255)
        return -EIO;
    return 0;
}

/* Order of unsigned bytes, a prefix first. */
static int erofs_name_compare(const char *a, size_t a_size, const char *b,
                              size_t b_size)
{
    int c = memcmp(a, b, MIN(a_size, b_size));
    if (c != 0 || a_size == b_size)
        return c;
    return a_size < b_size ? -1 : 1;
}

/* Last block whose first name is not behind `name` goes into *b. */
static int erofs_find_block(const struct erofs *e,
                            const struct erofs_inode *dir, const char *name,
                            size_t size, struct erofs_block *b)
{
    uint64_t low = 0;
    uint64_t high = erofs_dir_blocks(dir);
    if (high == 0)
        return -ENOENT;
    while (high - low > 1) {
        uint64_t mid = low + (high - low) / 2;
        struct erofs_dirent d;
        int r = erofs_block_get(e, dir, mid, b);
        if (r == 0)
            r = erofs_block_entry(b, 0, &d);
        if (r < 0)
            return r;
        if (erofs_name_compare(d.name, d.name_size, name, size) <= 0)
            low = mid;
        else
            high = mid;
    }
    return erofs_block_get(e, dir, low, b);
}

int erofs_lookup(const struct erofs *e, const struct erofs_inode *dir,
                 const char *name, size_t size, struct erofs_dirent *out)
{
    struct erofs_block b;
    int r = erofs_find_block(e, dir, name, size, &b);
    if (r < 0)
        return r;
    uint32_t low = 0;
    uint32_t high = b.count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        r = erofs_block_entry(&b, mid, out);
        if (r < 0)
            return r;
        int c = erofs_name_compare(out->name, out->name_size, name, size);
        if (c == 0)
            return 0;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return -ENOENT;
}

/* The cursor is block * 512 + entry: a block has at most 341. */
int erofs_readdir(const struct erofs *e, const struct erofs_inode *dir,
                  uint64_t *pos, struct erofs_dirent *out)
{
    for (;;) {
        uint64_t block = *pos >> 9;
        uint32_t index = (uint32_t)(*pos & 511);
        if (block >= erofs_dir_blocks(dir))
            return 0;
        struct erofs_block b;
        int r = erofs_block_get(e, dir, block, &b);
        if (r < 0)
            return r;
        if (index >= b.count) {
            *pos = (block + 1) << 9;
            continue;
        }
        r = erofs_block_entry(&b, index, out);
        if (r == 0 && memchr(out->name, '/', out->name_size) != NULL)
            r = -EIO;
        if (r < 0)
            return r;
        (*pos)++;
        return 1;
    }
}

/* --- extended attributes --- */

int erofs_xattr_next(const struct erofs *e, const struct erofs_inode *i,
                     uint32_t *pos, struct erofs_xattr *out)
{
    static const char *const prefixes[] = {NULL,
                                           "user.",
                                           "system.posix_acl_access",
                                           "system.posix_acl_default",
                                           "trusted.",
                                           NULL,
                                           "security."};
    uint8_t head[12];
    if (i->xattr_size == 0)
        return 0;
    if (*pos == 0) {
        if (erofs_copy(e, i->xattr, head, sizeof(head)) < 0)
            return -EIO;
        *pos = 12 + 4u * head[4]; /* behind ids of shared ones */
    }
    if (*pos >= i->xattr_size || i->xattr_size - *pos < 4)
        return 0;
    if (erofs_copy(e, i->xattr + *pos, head, 4) < 0)
        return -EIO;
    uint32_t name_size = head[0];
    out->value_size = load16(head + 2);
    uint32_t total = 4 + name_size + out->value_size;
    if (total > i->xattr_size - *pos)
        return -EIO;
    const char *prefix =
        head[1] < ARRAY_COUNT(prefixes) ? prefixes[head[1]] : NULL;
    if (prefix == NULL)
        return -EIO;
    size_t at = kstrcpy(out->name, prefix, sizeof(out->name));
    if (erofs_copy(e, i->xattr + *pos + 4, out->name + at, name_size) < 0)
        return -EIO;
    out->name[at + name_size] = '\0';
    out->value = i->xattr + *pos + 4 + name_size;
    *pos = (uint32_t)ROUND_UP(*pos + total, 4u);
    return 1;
}
