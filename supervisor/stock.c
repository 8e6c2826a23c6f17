// SPDX-License-Identifier: Apache-2.0
#include "supervisor/stock.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/stock.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/cpio.h"
#include "base/err.h"
#include "base/path.h"
#include "supervisor/host.h"

enum {
    STOCK_DEP_MAX = 16 << 20,    /* bytes of modules.dep */
    STOCK_FILE_MAX = 16 << 20,   /* of one module */
    STOCK_INITRD_MAX = 64 << 20, /* of all */
    STOCK_LIST_MAX = 64,         /* modules */
    STOCK_MODE_DIR = 040755,
    STOCK_MODE_FILE = 0100644,
    STOCK_MODE_PROGRAM = 0100755,
};

/* What the devices and the root need. A kernel that has one built in does not
 * list it in modules.dep. */
static const char *const stock_wanted[] = {
    "virtio_mmio",    "virtio_blk", "virtio_console", "virtio_rng",
    "crc32c_generic", "erofs",      "overlay",
};

struct stock_list {
    const char *dep; /* text of modules.dep */
    size_t count;
    struct {
        const char *path; /* into `dep`, relative to the modules' directory */
        size_t size;
    } module[STOCK_LIST_MAX];
};

/* Lines of modules.dep: "kernel/a/b.ko: kernel/c/d.ko kernel/e/f.ko", what is
 * needed first comes last. */

static size_t stock_word(const char *at)
{
    return strcspn(at, ": \n");
}

/* Path "kernel/drivers/char/virtio-rng.ko.xz" is module "virtio_rng". */
static bool stock_is(const char *path, size_t size, const char *name)
{
    size_t from = size;
    while (from > 0 && path[from - 1] != '/')
        from--;
    for (; *name != '\0'; name++, from++)
        if (from == size || (path[from] == '-' ? '_' : path[from]) != *name)
            return false;
    return size - from >= 3 && memcmp(path + from, ".ko", 3) == 0;
}

static int stock_list_add(struct stock_list *l, const char *path, size_t size,
                          struct err *e)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->module[i].size == size &&
            memcmp(l->module[i].path, path, size) == 0)
            return 0;
    if (l->count == STOCK_LIST_MAX)
        return err_set(e, -E2BIG, "modules.dep: too many dependencies");
    l->module[l->count].path = path;
    l->module[l->count++].size = size;
    return 0;
}

/* The module of one line and, before it, what it needs. */
static int stock_list_line(struct stock_list *l, const char *line,
                           struct err *e)
{
    const size_t own = stock_word(line);
    const char *at = line + strcspn(line, "\n");
    while (at > line + own) {
        const char *end = at;
        while (at > line + own && at[-1] != ' ' && at[-1] != ':')
            at--;
        if (end > at && stock_list_add(l, at, (size_t)(end - at), e) < 0)
            return e->code;
        if (at > line + own)
            at--;
    }
    return stock_list_add(l, line, own, e);
}

static int stock_list_find(struct stock_list *l, const char *name,
                           struct err *e)
{
    const char *line = l->dep;
    while (*line != '\0') {
        if (stock_is(line, stock_word(line), name))
            return stock_list_line(l, line, e);
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return 0; /* built in, or init will miss it */
}

/* ---- the archive ---- */

static int stock_add_file(struct buf *out, int dir, const char *path,
                          const char *name, unsigned mode, struct err *e)
{
    AUTO_FREE char *data = NULL;
    size_t size;
    int code = path_read(dir, path, STOCK_FILE_MAX, &data, &size, e);
    if (code == 0)
        cpio_add(out, name, mode, data, size);
    return code;
}

static int stock_add_modules(struct buf *out, int dir,
                             const struct stock_list *l, struct err *e)
{
    struct buf names = {0};
    int code = 0;
    for (size_t i = 0; i < l->count && code == 0; i++) {
        char path[PATH_MAX];
        char name[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%.*s", (int)l->module[i].size,
                       l->module[i].path);
        const char *base = strrchr(path, '/');
        base = base != NULL ? base + 1 : path;
        (void)snprintf(name, sizeof(name), STOCK_DIR "/%.200s", base);
        code = stock_add_file(out, dir, path, name, STOCK_MODE_FILE, e);
        buf_printf(&names, "%s\n", base);
    }
    cpio_add(out, STOCK_MODULES, STOCK_MODE_FILE, names.data, names.size);
    if (code == 0 && names.failed != 0)
        code = err_set(e, names.failed, "list of modules");
    buf_fini(&names);
    return code;
}

static int stock_fill(const struct host *h, int modules, const char *dep,
                      struct buf *out, struct err *e)
{
    struct stock_list list = {.dep = dep};
    for (size_t i = 0; i < ARRAY_COUNT(stock_wanted); i++)
        if (stock_list_find(&list, stock_wanted[i], e) < 0)
            return e->code;
    AUTO_CLOSE int libexec = path_open(AT_FDCWD, h->libexec, O_DIRECTORY, e);
    if (libexec < 0)
        return libexec;
    cpio_add(out, STOCK_DIR, STOCK_MODE_DIR, NULL, 0);
    int code = stock_add_file(out, libexec, "limpet-stock-init", "init",
                              STOCK_MODE_PROGRAM, e);
    if (code == 0)
        code = stock_add_modules(out, modules, &list, e);
    cpio_end(out);
    if (code == 0 && out->failed != 0)
        code = err_set(e, out->failed, "initrd: %s", strerror(-out->failed));
    return code;
}

static int stock_memfd(const struct buf *b, struct err *e)
{
    AUTO_CLOSE int fd = memfd_create("limpet-initrd", MFD_CLOEXEC);
    if (fd < 0)
        return err_set(e, -errno, "memfd_create: %s", strerror(errno));
    int code = path_write_all(fd, b->data, b->size);
    if (code < 0)
        return err_set(e, code, "initrd: %s", strerror(-code));
    return fd_release(&fd);
}

/* ---- where the modules are ---- */

static int stock_open_modules(const char *kernel, char path[PATH_MAX],
                              struct err *e)
{
    const char *base = strrchr(kernel, '/');
    const size_t dir = base != NULL ? (size_t)(base - kernel) + 1 : 0;
    base = kernel + dir;
    const char *version = strchr(base, '-');
    if (version == NULL)
        return err_set(e, -EINVAL,
                       "--kernel %s: its name does not end in -VERSION, so "
                       "its modules cannot be found: give it an --initrd",
                       kernel);
    int n = snprintf(path, PATH_MAX, "%.*s../lib/modules/%s", (int)dir, kernel,
                     version + 1);
    if (n < 0 || n >= PATH_MAX)
        return err_set(e, -ENAMETOOLONG, "--kernel: its name is too long");
    int fd = path_open(AT_FDCWD, path, O_DIRECTORY, NULL);
    if (fd < 0)
        return err_set(e, -ENOENT,
                       "--kernel %s: its modules are not in %s: unpack the "
                       "whole package, or give it an --initrd",
                       kernel, path);
    return fd;
}

int stock_initrd(const struct host *h, const char *kernel, struct err *e)
{
    char path[PATH_MAX];
    AUTO_FREE char *dep = NULL;
    size_t size;
    AUTO_CLOSE int modules = stock_open_modules(kernel, path, e);
    if (modules < 0)
        return modules;
    if (path_read(modules, "modules.dep", STOCK_DEP_MAX, &dep, &size, NULL) < 0)
        return err_set(e, -ENOENT,
                       "%s: there is no modules.dep: make it with depmod(8), "
                       "for an unpacked package depmod -b DIRECTORY VERSION",
                       path);
    struct buf out = {.max = STOCK_INITRD_MAX};
    int code = stock_fill(h, modules, dep, &out, e);
    if (code == 0)
        code = stock_memfd(&out, e);
    buf_fini(&out);
    return code;
}
