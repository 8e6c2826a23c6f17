// SPDX-License-Identifier: Apache-2.0
#include "supervisor/board_livetree.h"

#include <dirent.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"
#include "supervisor/board_tree.h"

/* Room for the header and the reservation list beside the tree itself. */
enum { LIVETREE_ROOM = TREE_SIZE_MAX - 4096 };

/* One directory that is being read. */
struct livetree_level {
    DIR *dir;
    bool children; /* properties come first in a blob, then nodes */
};

struct livetree {
    void *blob;
    struct livetree_level level[TREE_DEPTH_MAX + 1];
    int depth; /* levels open; 0: done */
};

static int livetree_code(int rc)
{
    return rc == 0 ? 0 : rc == -FDT_ERR_NOSPACE ? -EFBIG : -EINVAL;
}

/* Takes fd. */
static int livetree_enter(struct livetree *l, int fd, const char *name)
{
    if (l->depth > TREE_DEPTH_MAX) {
        (void)close(fd);
        return -EFBIG;
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }
    l->level[l->depth++] = (struct livetree_level){.dir = dir};
    return livetree_code(fdt_begin_node(l->blob, name));
}

static int livetree_leave(struct livetree *l)
{
    (void)closedir(l->level[--l->depth].dir);
    return livetree_code(fdt_end_node(l->blob));
}

static int livetree_property(struct livetree *l, int dir, const char *name)
{
    AUTO_FREE char *data = NULL;
    size_t size;
    int code = path_read(dir, name, TREE_SIZE_MAX, &data, &size, NULL);
    if (code == -EACCES)
        return 0; /* security-sensitive ones are root's */
    /* The kernel shows a node's name as a property. */
    if (code < 0 || strcmp(name, "name") == 0)
        return code;
    return livetree_code(fdt_property(l->blob, name, data, (int)size));
}

static int livetree_entry(struct livetree *l, const struct dirent *entry)
{
    const struct livetree_level *top = &l->level[l->depth - 1];
    int dir = dirfd(top->dir);
    struct stat st;
    if (entry->d_name[0] == '.' ||
        fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (S_ISREG(st.st_mode) && !top->children)
        return livetree_property(l, dir, entry->d_name);
    if (!S_ISDIR(st.st_mode) || !top->children)
        return 0;
    int fd = openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : livetree_enter(l, fd, entry->d_name);
}

static int livetree_walk(struct livetree *l)
{
    int code = 0;
    while (code == 0 && l->depth > 0) {
        struct livetree_level *top = &l->level[l->depth - 1];
        errno = 0;
        const struct dirent *entry = readdir(top->dir);
        if (entry != NULL) {
            code = livetree_entry(l, entry);
        } else if (errno != 0) {
            code = -errno;
        } else if (!top->children) {
            top->children = true;
            rewinddir(top->dir);
        } else {
            code = livetree_leave(l);
        }
    }
    while (l->depth > 0)
        (void)closedir(l->level[--l->depth].dir);
    return code;
}

int livetree_pack(const char *path, char **blob, size_t *size, struct err *e)
{
    struct livetree l = {.blob = calloc(1, TREE_SIZE_MAX)};
    *blob = l.blob;
    if (l.blob == NULL)
        return err_set(e, -ENOMEM, "%s: out of memory", path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code =
        fd < 0 ? -errno : livetree_code(fdt_create(l.blob, LIVETREE_ROOM));
    if (code == 0)
        code = livetree_code(fdt_finish_reservemap(l.blob));
    if (code == 0)
        code = livetree_enter(&l, fd, "");
    else if (fd >= 0)
        (void)close(fd);
    if (code == 0)
        code = livetree_walk(&l);
    if (code == 0)
        code = livetree_code(fdt_finish(l.blob));
    if (code < 0) {
        free(l.blob);
        *blob = NULL;
        return err_set(e, code, "%s: %s", path,
                       code == -EFBIG ? "too large for a device tree"
                                      : strerror(-code));
    }
    *size = fdt_totalsize(l.blob);
    return 0;
}
