// SPDX-License-Identifier: Apache-2.0
#include "guest/fs/fsboot.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/log.h"
#include "guest/core/task.h"
#include "guest/fs/fs.h"
#include "guest/fs/inode.h"
#include "guest/fs/path.h"
#include "guest/fs/tty.h"

#define DEV_LIMIT UINT64_C(0x10000)   /* bytes of files in /dev itself */
#define SHM_LIMIT UINT64_C(0x4000000) /* of /dev/shm, as docker has it */

int fs_boot_root(void)
{
    struct image *img;
    struct superblock *sb;
    int r = image_find(&img);
    if (r == 0)
        r = tmpfs_mount("overlay", img, 0, &sb);
    if (r == 0 && mount_new(sb, NULL, NULL, "overlay") == NULL)
        r = -ENOMEM;
    return r;
}

int fs_mkdirs(const char *path)
{
    char *copy = kstrdup(path);
    if (copy == NULL)
        return -ENOMEM;
    int r = 0;
    for (char *at = copy + 1; r == 0 && at != NULL;) {
        at = strchr(at, '/');
        if (at != NULL)
            *at = '\0';
        r = fs_mkdir(AT_FDCWD, copy, 0755);
        if (r == -EEXIST)
            r = 0;
        if (at != NULL)
            *at++ = '/';
    }
    kfree(copy);
    return r;
}

struct boot_mount {
    const char *at;
    const char *source;
    uint32_t flags; /* MS_* */
    uint32_t mode;  /* of a directory made for it */
    int (*make)(struct superblock **out);
};

static int dev_mount(struct superblock **out)
{
    return tmpfs_mount("tmpfs", NULL, DEV_LIMIT, out);
}

static int shm_mount(struct superblock **out)
{
    int r = tmpfs_mount("tmpfs", NULL, SHM_LIMIT, out);
    if (r == 0)
        (*out)->root->inode->mode = LX_S_IFDIR | 01777;
    return r;
}

#define LOCKED_DOWN (LX_MS_NOSUID | LX_MS_NODEV | LX_MS_NOEXEC)

static const struct boot_mount boot_mounts[] = {
    {"/proc", "proc", LOCKED_DOWN, 0555, procfs_mount},
    {"/dev", "tmpfs", LX_MS_NOSUID, 0755, dev_mount},
    {"/dev/pts", "devpts", LX_MS_NOSUID | LX_MS_NOEXEC, 0755, devpts_mount},
    {"/dev/shm", "shm", LOCKED_DOWN, 01777, shm_mount},
    {"/sys", "sysfs", LOCKED_DOWN | LX_MS_RDONLY, 0555, sysfs_mount},
};

static int boot_mount_one(const struct boot_mount *m)
{
    struct superblock *sb;
    struct path at;
    unsigned flags = PATH_FOLLOW | PATH_DIR;
    int r = path_walk(AT_FDCWD, m->at, flags, &at);
    if (r == -ENOENT) {
        r = fs_mkdir(AT_FDCWD, m->at, m->mode);
        if (r == 0)
            r = path_walk(AT_FDCWD, m->at, flags, &at);
    }
    if (r < 0)
        return r;
    r = m->make(&sb);
    if (r == 0) {
        struct mount *mnt = mount_new(sb, at.mount, at.dentry, m->source);
        if (mnt != NULL)
            mnt->flags = m->flags;
        else
            r = -ENOMEM;
    }
    path_put(&at);
    return r;
}

static const struct boot_node {
    const char *name;
    uint32_t major, minor, mode;
} boot_nodes[] = {
    {"/dev/null", 1, 3, 0666},    {"/dev/zero", 1, 5, 0666},
    {"/dev/full", 1, 7, 0666},    {"/dev/random", 1, 8, 0666},
    {"/dev/urandom", 1, 9, 0666}, {"/dev/tty", 5, 0, 0666},
    {"/dev/console", 5, 1, 0620}, {"/dev/ptmx", 5, 2, 0666},
};

static const struct boot_link {
    const char *name, *target;
} boot_links[] = {
    {"/dev/fd", "/proc/self/fd"},
    {"/dev/stdin", "/proc/self/fd/0"},
    {"/dev/stdout", "/proc/self/fd/1"},
    {"/dev/stderr", "/proc/self/fd/2"},
};

int fs_boot(void)
{
    int r = 0;
    const char *what = "";
    tty_devices_register();
    for (unsigned i = 0; r == 0 && i < ARRAY_COUNT(boot_mounts); i++) {
        what = boot_mounts[i].at;
        r = boot_mount_one(&boot_mounts[i]);
    }
    for (unsigned i = 0; r == 0 && i < ARRAY_COUNT(boot_nodes); i++) {
        const struct boot_node *n = &boot_nodes[i];
        what = n->name;
        r = fs_mknod(AT_FDCWD, n->name, LX_S_IFCHR | n->mode,
                     LX_MKDEV(n->major, n->minor));
    }
    for (unsigned i = 0; r == 0 && i < ARRAY_COUNT(boot_links); i++) {
        what = boot_links[i].name;
        r = fs_symlink(boot_links[i].target, AT_FDCWD, what);
    }
    if (r < 0)
        klog(KLOG_ERROR, "boot: %s: error %d", what, -r);
    return r;
}
