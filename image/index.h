// SPDX-License-Identifier: Apache-2.0
/*
 * The index of one layer: its tar entries in order, checked and normalised,
 * without file contents. The file layers/HEX.index; docs/image.md.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define INDEX_MAGIC "LIMPETIX"
enum {
    INDEX_VERSION = 1,
    INDEX_PATH_MAX = 4095, /* bytes of a path or a link target */
    INDEX_NAME_MAX = 255,
    INDEX_SIZE_MAX = 1 << 30,
    INDEX_ENTRY_MAX = 4 << 20, /* entries of a layer */
};

enum index_kind {
    INDEX_FILE = 1,
    INDEX_DIR,
    INDEX_SYMLINK,
    INDEX_HARDLINK,
    INDEX_CHAR,
    INDEX_BLOCK,
    INDEX_FIFO,
    INDEX_WHITEOUT, /* the path goes away */
    INDEX_OPAQUE,   /* what lower layers have in the directory goes away */
    INDEX_KIND_END,
};

struct index_head {
    char magic[8];
    uint32_t version;
    uint32_t entry_count;
    uint64_t index_size; /* bytes of this file */
    uint64_t data_size;  /* bytes used in the data file, whole blocks */
};
static_assert(sizeof(struct index_head) == 32, "index format");

/* Followed by xattrs (as EROFS entries), path and link, padded to 8. The path
 * has no "", ".", ".." components and no leading slash; "" is the root. */
struct index_record {
    uint32_t size; /* of the whole record */
    uint8_t kind;  /* enum index_kind */
    uint8_t zero;
    uint16_t mode; /* permission bits, 07777 */
    uint32_t uid;
    uint32_t gid;
    int64_t mtime;
    uint32_t mtime_ns;
    uint32_t rdev; /* as EROFS encodes it */
    uint64_t file_size;
    uint32_t block; /* first block in the data file */
    uint32_t xattr_size;
    uint16_t path_size;
    uint16_t link_size;
    uint32_t zero2;
};
static_assert(sizeof(struct index_record) == 56, "index format");

/* One entry, unpacked; pointers are borrowed, strings are not terminated. */
struct index_entry {
    struct index_record r;
    const uint8_t *xattrs;
    const char *path;
    const char *link;
};

/* A writer; `fd` borrowed. index_writer_fini() frees. */
struct index_writer {
    int fd;
    uint8_t *buffer;
    size_t used;
    struct index_head head;
};
int index_writer_init(struct index_writer *w, int fd, struct err *e);
/* r.size and the reserved fields are filled in here. */
int index_writer_add(struct index_writer *w, const struct index_entry *entry,
                     struct err *e);
int index_writer_finish(struct index_writer *w, uint64_t data_size,
                        struct err *e);
void index_writer_fini(struct index_writer *w);

/* An index mapped for reading; index_fini() unmaps and takes a zeroed one. */
struct index {
    uint8_t *map;
    size_t size;
    struct index_head head;
};
int index_open(struct index *x, int dirfd, const char *name, struct err *e);
void index_fini(struct index *x);
/* The entry at *at (0: the first) and moves *at on. 1, 0 at the end, -EBADMSG
 * for a damaged file. */
int index_next(const struct index *x, size_t *at, struct index_entry *out);
