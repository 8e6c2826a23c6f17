// SPDX-License-Identifier: Apache-2.0
/* The store on disk: docs/store.md. Files appear whole or not at all. */
#pragma once

#include <stdbool.h>

#include "base/sha256.h"

struct err;
struct imgref;

enum { STORE_NAME_SIZE = 96 };

struct store {
    const char *path; /* for messages; borrowed */
    int root;         /* 0: not open */
    int lock;         /* shared flock(2), held while open */
    unsigned temps;
};

/* Makes what is missing. store_close() takes a zeroed one. */
int store_open(struct store *s, const char *path, struct err *e);
void store_close(struct store *s);

/* Remove what killed converters left in tmp/: files nobody has locked. */
int store_sweep(const struct store *s, struct err *e);

/*
 * Be the only one to make what `hex` names (a diff_id, a manifest): an fd to
 * close, never held while waiting for another. -EAGAIN without a message when
 * `wait` is false and somebody else is at it. There are 256 such locks.
 */
int store_lock_item(const struct store *s, const char *hex, bool wait,
                    struct err *e);

/* A file under way to its final name. */
struct store_temp {
    int fd; /* 0: none */
    bool sealed;
    char name[STORE_NAME_SIZE];
};

/* New and empty, read-write, locked against sweeping. */
int store_temp_open(struct store *s, struct store_temp *t, struct err *e);
/* A new one with these contents. */
int store_temp_write(struct store *s, struct store_temp *t, const void *data,
                     size_t size, struct err *e);
/* Nothing is written any more: extend to 2 MiB if `align`, 0444, start the
 * disk. Files sealed before the first commit share its journal commit. */
int store_temp_seal(const struct store *s, struct store_temp *t, bool align,
                    struct err *e);
/*
 * Seal, fsync, rename to `name`, close. The name may still be lost at a power
 * cut, until store_sync_dir(). With no file open there is nothing to do.
 */
int store_temp_commit(const struct store *s, struct store_temp *t,
                      const char *name, struct err *e);
/* Remove it unless committed; takes a zeroed one. */
void store_temp_drop(struct store *s, struct store_temp *t);

/* The names in these directories of the store survive a power cut: before a
 * file that says that they are there, and before success is reported. */
int store_sync_dirs(const struct store *s, const char *const *dirs,
                    size_t count, struct err *e);

/* Whether `name` is there, a regular file. */
bool store_has(const struct store *s, const char *name);

/*
 * The image a reference led to: 0 and its name, or -ENOENT. Only an image that
 * is complete counts: its record and every file the record lists.
 */
int store_find_ref(const struct store *s, const char *key,
                   char hex[SHA256_HEX_SIZE]);
/* What a registry's reference led to, and how the registry asked for
 * credentials (1 KiB): lines 3 and 4 of the reference's file. */
int store_read_origin(const struct store *s, const char *key,
                      char root[SHA256_HEX_SIZE], char challenge[1024]);
int store_put_ref(struct store *s, const char *key, const char *hex,
                  const char *text, struct err *e);
bool store_has_image(const struct store *s, const char *hex);
