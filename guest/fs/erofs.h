// SPDX-License-Identifier: Apache-2.0
/*
 * Reader of the EROFS on-disk format as docs/image.md writes it (and compact
 * inodes, inline files). The image is not trusted: whatever is wrong in it
 * gives -EIO. Everything is read in place; no state but the superblock.
 */
#pragma once

#include "guest/core/types.h"
#include "guest/fs/image.h"

struct erofs {
    struct image *img;
    uint64_t size; /* bytes that block addresses may reach */
    uint64_t meta; /* byte where nid 0 is */
    uint64_t root_nid;
    uint64_t inos;
};

struct erofs_inode {
    uint64_t nid;
    uint32_t mode;
    uint32_t uid, gid, nlink;
    uint64_t size;
    uint64_t rdev;
    int64_t mtime;
    uint32_t mtime_nsec;
    uint64_t data;       /* byte of the first full block */
    uint64_t tail;       /* byte of the inline tail; 0: there is none */
    uint64_t xattr;      /* byte of the xattr area */
    uint32_t xattr_size; /* 0: none */
};

struct erofs_dirent {
    uint64_t nid;
    const char *name; /* in the image, not terminated */
    size_t name_size;
    uint32_t type; /* mode >> 12 */
};

struct erofs_xattr {
    char name[280];
    uint64_t value; /* byte in the image */
    uint32_t value_size;
};

int erofs_open(struct erofs *e, struct image *img);
int erofs_inode(const struct erofs *e, uint64_t nid, struct erofs_inode *out);
/* -ENOENT, -EIO. */
int erofs_lookup(const struct erofs *e, const struct erofs_inode *dir,
                 const char *name, size_t size, struct erofs_dirent *out);
/* Entry at cursor *pos (0: first), which moves on. 1, 0 at the end, -EIO. */
int erofs_readdir(const struct erofs *e, const struct erofs_inode *dir,
                  uint64_t *pos, struct erofs_dirent *out);
/* Contents; 0 behind the end. */
int64_t erofs_pread(const struct erofs *e, const struct erofs_inode *i,
                    void *to, size_t n, uint64_t pos);
/* Page for mapping and how many follow it in the file. -ENODATA: it is the
 * inline tail, copy it. */
int erofs_page(const struct erofs *e, const struct erofs_inode *i,
               uint64_t index, paddr_t *pa, uint64_t *run);
/* Entry at cursor *pos (0: first). 1, 0, -EIO. */
int erofs_xattr_next(const struct erofs *e, const struct erofs_inode *i,
                     uint32_t *pos, struct erofs_xattr *out);
/* Bytes of the image itself (xattr values). 0 or -EIO. */
int erofs_copy(const struct erofs *e, uint64_t off, void *to, size_t n);
