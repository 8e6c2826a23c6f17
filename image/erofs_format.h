// SPDX-License-Identifier: Apache-2.0
/* The part of the EROFS on-disk format that we write; docs/image.md. */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "EROFS is little-endian, and so are we");

enum {
    EROFS_BLOCK_SIZE = 4096,
    EROFS_BLOCK_BITS = 12,
    EROFS_SUPER_AT = 1024,
    EROFS_SLOT_SIZE = 32, /* an inode number counts these */
    EROFS_ROOT_AT = 1152, /* right behind the superblock */
    EROFS_COMPAT_CHECKSUM = 1,
    EROFS_COMPAT_MTIME = 2,
    EROFS_FORMAT_PLAIN = 1,  /* extended inode, layout 0 */
    EROFS_FORMAT_INLINE = 5, /* extended inode, layout 2 */
    EROFS_XATTR_HEAD_SIZE = 12,
};
#define EROFS_MAGIC UINT32_C(0xE0F5E1E2)

struct erofs_super {
    uint32_t magic;
    uint32_t checksum; /* crc32c of block 0 from here to its end */
    uint32_t feature_compat;
    uint8_t block_bits;
    uint8_t sb_extslots;
    uint16_t root_nid;
    uint64_t inos;
    uint64_t build_time; /* seconds */
    uint32_t build_time_ns;
    uint32_t blocks;
    uint32_t meta_blkaddr;
    uint32_t xattr_blkaddr;
    uint8_t uuid[16];
    uint8_t volume_name[16];
    uint32_t feature_incompat;
    uint8_t unused[44];
};
static_assert(sizeof(struct erofs_super) == 128, "EROFS superblock");
static_assert(offsetof(struct erofs_super, uuid) == 48, "EROFS superblock");

struct erofs_inode {
    uint16_t format; /* EROFS_FORMAT_* */
    uint16_t xattr_count;
    uint16_t mode;
    uint16_t unused;
    uint64_t size;
    uint32_t u; /* first block, or device number */
    uint32_t ino;
    uint32_t uid;
    uint32_t gid;
    uint64_t mtime; /* seconds, two's complement */
    uint32_t mtime_ns;
    uint32_t nlink;
    uint8_t unused2[16];
};
static_assert(sizeof(struct erofs_inode) == 64, "EROFS inode");

struct erofs_dirent {
    uint64_t nid;
    uint16_t name_at; /* from the start of the block */
    uint8_t type;
    uint8_t unused;
} __attribute__((packed));
static_assert(sizeof(struct erofs_dirent) == 12, "EROFS dirent");
