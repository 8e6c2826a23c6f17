// SPDX-License-Identifier: Apache-2.0
/* From path names to dentries. path_resolution(7). */
#pragma once

#include "guest/core/lock.h"
#include "guest/core/types.h"

struct dentry;
struct inode;
struct mount;

struct path {
    struct mount *mount;   /* NULL: an object without a name */
    struct dentry *dentry; /* reference held; NULL: empty path */
};

void path_put(struct path *p);
void path_copy(struct path *to, const struct path *from);

/* Root, current directory and umask of a process (CLONE_FS shares it). */
struct fsctx {
    uint32_t refs;
    struct spinlock lock; /* root, cwd */
    struct path root, cwd;
    uint32_t umask;
};
/* fs NULL: at the root of the first mount, umask 022. NULL: memory. */
struct fsctx *fsctx_clone(struct fsctx *fs);
void fsctx_put(struct fsctx *fs);
void fsctx_get_root(struct fsctx *fs, struct path *out); /* takes references */
void fsctx_get_cwd(struct fsctx *fs, struct path *out);
void fsctx_set_cwd(struct fsctx *fs, const struct path *p);
void fsctx_set_root(struct fsctx *fs, const struct path *p);

#define PATH_FOLLOW  (1u << 0) /* a final symbolic link is followed */
#define PATH_PARENT  (1u << 1) /* stop before the last component */
#define PATH_DIR     (1u << 2) /* must be a directory */
#define PATH_EMPTY   (1u << 3) /* AT_EMPTY_PATH: "" means dirfd itself */
#define PATH_NOXDEV  (1u << 4) /* openat2 RESOLVE_* */
#define PATH_BENEATH (1u << 5)
#define PATH_NOLINKS (1u << 6)
#define PATH_IN_ROOT (1u << 7)
#define PATH_NOMAGIC (1u << 8)
#define AT_FDCWD     (-100)

/* Walk `name` (kernel memory) from dirfd (an fd or AT_FDCWD) as the current
 * process. 0 and *out, or -ENOENT, -ENOTDIR, -EACCES, -ELOOP,
 * -ENAMETOOLONG, -EBADF, -ENOMEM. */
int path_walk(int dirfd, const char *name, unsigned flags, struct path *out);
/* As path_walk, stopping before the last component: *dir is its directory and
 * last[NAME_MAX + 1] the component ("." and ".." possible; trailing slashes
 * reported in *slash). */
int path_walk_parent(int dirfd, const char *name, unsigned flags,
                     struct path *dir, char *last, bool *slash);
/* A name from user memory: short ones need no allocation. fini in any case.
 * 0, -EFAULT, -ENAMETOOLONG, -ENOMEM. */
struct user_name {
    char *text; /* small, or owned */
    char small[160];
};
int user_name_get(struct user_name *n, uptr_t from);
void user_name_fini(struct user_name *n);
/* path_walk with the name from user memory. */
int path_walk_user(int dirfd, uptr_t name, unsigned flags, struct path *out);
/* One more component below a locked-or-not directory; mounts are crossed. */
int path_lookup(const struct path *dir, const char *name, struct path *out);

/* Absolute path as seen from `root` into buf[size]; returns a pointer into it.
 * " (deleted)" is added as Linux does. ERR: NULL, name too long. */
char *path_name(const struct path *p, const struct path *root, char *buf,
                size_t size);

/* Is `root` on the way up from `p`. */
bool path_below(const struct path *p, const struct path *root);

/* MAY_* as of access(2): X 1, W 2, R 4. 0 or -EACCES (or -EROFS for W). */
int path_access(const struct path *p, unsigned may);
int inode_access(struct inode *i, unsigned may);
int path_access_real(const struct path *p, unsigned may); /* by real ids */

/* Operations with permission checks, used by sys/ and by boot code; all by
 * kernel-memory names. 0 or -errno. */
int fs_mknod(int dirfd, const char *name, uint32_t mode, uint64_t rdev);
int fs_mkdir(int dirfd, const char *name, uint32_t mode);
int fs_symlink(const char *target, int dirfd, const char *name);
/* Whole small file, replaced; parents made. Boot: /etc/hosts and friends. */
int fs_write_file(const char *name, uint32_t mode, const void *data,
                  size_t size);
