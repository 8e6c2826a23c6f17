// SPDX-License-Identifier: Apache-2.0
/* /proc/PID/{fd,fdinfo,exe,cwd,root,ns,mounts,mountinfo}. */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/fs/epoll.h"
#include "guest/fs/events.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/inotify.h"
#include "guest/fs/procfs.h"

typedef unsigned long ul;

/* May `current` look into this process? As ptrace(2) would allow. */
static int check_access(const struct process *p)
{
    const struct process *me = current()->proc;
    if (p == me || cred_capable(me, 19)) /* CAP_SYS_PTRACE */
        return 0;
    return p->dumpable && current()->cred.fsuid == p->cred.uid &&
                   current()->cred.fsuid == p->cred.euid
               ? 0
               : -EACCES;
}

/* Path of an object as the reader sees it. */
static int add_path(struct text *t, const struct path *p)
{
    char *buf = kmalloc(PAGE_SIZE);
    if (buf == NULL)
        return -ENOMEM;
    struct path root;
    fsctx_get_root(current()->proc->fs, &root);
    const char *name = path_name(p, &root, buf, PAGE_SIZE);
    if (name != NULL)
        text_add(t, name, strlen(name));
    path_put(&root);
    kfree(buf);
    return name != NULL ? 0 : -ENAMETOOLONG;
}

static int add_file_name(struct text *t, const struct file *f)
{
    const struct inode *i = f->inode;
    if (f->path.dentry != NULL && f->path.mount != NULL)
        return add_path(t, &f->path);
    switch (i->mode & LX_S_IFMT) {
    case LX_S_IFIFO: text_printf(t, "pipe:[%lu]", (ul)i->ino); break;
    case LX_S_IFSOCK: text_printf(t, "socket:[%lu]", (ul)i->ino); break;
    case LX_S_IFREG: text_printf(t, "/memfd: (deleted)"); break;
    default: {
        const char *kind = anon_inode_kind(i);
        text_printf(t, "anon_inode:[%s]", kind != NULL ? kind : "?");
    }
    }
    return 0;
}

/* --- fd --- */

static struct file *ref_file(const struct pseudo_ref *r, bool *cloexec)
{
    struct fdtable *files = process_files(r->proc);
    if (files == NULL)
        return NULL;
    struct file *f = fd_of(files, (int)r->arg, cloexec);
    fdtable_put(files);
    return f;
}

static int fd_show(struct text *t, const struct pseudo_ref *r)
{
    bool cloexec;
    int e = check_access(r->proc);
    if (e < 0)
        return e;
    struct file *f = ref_file(r, &cloexec);
    if (f == NULL)
        return -ENOENT;
    e = add_file_name(t, f);
    file_put(f);
    return e;
}

static int fd_open(const struct pseudo_ref *r, struct path *out)
{
    bool cloexec;
    int e = check_access(r->proc);
    if (e < 0)
        return e;
    struct file *f = ref_file(r, &cloexec);
    if (f == NULL)
        return -ENOENT;
    e = path_of_file(f, out);
    file_put(f);
    return e;
}

static bool fd_exists(const struct pseudo_ref *r, int64_t fd)
{
    bool cloexec;
    struct pseudo_ref at = {.proc = r->proc, .arg = (uint64_t)fd};
    struct file *f =
        fd >= 0 && fd <= INT32_MAX ? ref_file(&at, &cloexec) : NULL;
    if (f != NULL)
        file_put(f);
    return f != NULL;
}

static const struct pseudo_node *fd_child(const struct pseudo_ref *r,
                                          const char *name,
                                          const struct pseudo_node *n,
                                          struct pseudo_ref *child)
{
    int64_t fd = pseudo_number(name);
    if (!fd_exists(r, fd))
        return NULL;
    *child = *r;
    child->arg = (uint64_t)fd;
    process_get(r->proc);
    if (r->task != NULL)
        task_get(r->task);
    return n;
}

static const struct pseudo_node fd_node = {
    .name = "FD",
    .mode = LX_S_IFLNK | 0700,
    .show = fd_show,
    .magic = fd_open,
};

static const struct pseudo_node *
fd_find(const struct pseudo_ref *r, const char *name, struct pseudo_ref *child)
{
    return fd_child(r, name, &fd_node, child);
}

/* Cursor: the next descriptor to look at. */
static bool fd_next(const struct pseudo_ref *r, uint64_t *cursor, char name[24])
{
    struct fdtable *files = process_files(r->proc);
    bool found = false;
    if (files == NULL)
        return false;
    spin_lock(&files->lock);
    for (; !found && *cursor < files->room; ++*cursor) {
        found = *fdtable_at(files, (uint32_t)*cursor) != NULL;
        if (found)
            (void)ksnprintf(name, 24, "%lu", (ul)*cursor);
    }
    spin_unlock(&files->lock);
    fdtable_put(files);
    return found;
}

const struct pseudo_dir proc_fd_dir = {
    .find = fd_find,
    .next = fd_next,
    .next_mode = LX_S_IFLNK,
};

/* --- fdinfo --- */

static void fdinfo_kind(struct text *t, struct file *f)
{
    uint64_t v, data;
    uint32_t events;
    int fd;
    if (eventfd_count(f, &v))
        text_printf(t, "eventfd-count: %16lx\n", (ul)v);
    else if (signalfd_mask(f, &v))
        text_printf(t, "sigmask:\t%016lx\n", (ul)v);
    for (unsigned n = 0; epoll_entry(f, n, &fd, &events, &data); n++)
        text_printf(t, "tfd: %8d events: %8x data: %16lx\n", fd, events,
                    (ul)data);
}

static int fdinfo_watches(struct text *t, const struct file *f)
{
    struct inotify_info *list;
    int count = inotify_list(f, &list);
    for (int i = 0; i < count; i++)
        text_printf(t, "inotify wd:%x ino:%lx sdev:%x mask:%x ignored_mask:0\n",
                    (unsigned)list[i].wd, (ul)list[i].ino, list[i].dev,
                    list[i].mask);
    kfree(list);
    return count < 0 ? count : 0;
}

static int fdinfo_show(struct text *t, const struct pseudo_ref *r)
{
    bool cloexec = false;
    int e = check_access(r->proc);
    if (e < 0)
        return e;
    struct file *f = ref_file(r, &cloexec);
    if (f == NULL)
        return -ENOENT;
    text_printf(t, "pos:\t%lu\nflags:\t0%o\nmnt_id:\t%u\nino:\t%lu\n",
                (ul)f->pos, f->flags | (cloexec ? LX_O_CLOEXEC : 0),
                f->path.mount != NULL ? f->path.mount->id : 15,
                (ul)f->inode->ino);
    fdinfo_kind(t, f);
    e = fdinfo_watches(t, f);
    file_put(f);
    return e;
}

static const struct pseudo_node fdinfo_node = {
    .name = "FD",
    .mode = LX_S_IFREG | 0400,
    .show = fdinfo_show,
};

static const struct pseudo_node *fdinfo_find(const struct pseudo_ref *r,
                                             const char *name,
                                             struct pseudo_ref *child)
{
    return fd_child(r, name, &fdinfo_node, child);
}

const struct pseudo_dir proc_fdinfo_dir = {
    .find = fdinfo_find,
    .next = fd_next,
    .next_mode = LX_S_IFREG,
};

/* --- exe, cwd, root --- */

int proc_exe_open(const struct pseudo_ref *r, struct path *out)
{
    struct process *p = r->proc;
    int e = check_access(p);
    if (e < 0)
        return e;
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    struct file *f = p->exe;
    if (f != NULL)
        file_get(f);
    spin_unlock_irq(&p->sig_lock, flags);
    if (f == NULL)
        return -ENOENT;
    e = path_of_file(f, out);
    file_put(f);
    return e;
}

static int fs_open(const struct pseudo_ref *r, struct path *out,
                   void (*get)(struct fsctx *fs, struct path *to))
{
    int e = check_access(r->proc);
    if (e < 0)
        return e;
    struct fsctx *fs = process_fs(r->proc);
    if (fs == NULL)
        return -ENOENT;
    get(fs, out);
    fsctx_put(fs);
    return 0;
}

int proc_cwd_open(const struct pseudo_ref *r, struct path *out)
{
    return fs_open(r, out, fsctx_get_cwd);
}

int proc_root_open(const struct pseudo_ref *r, struct path *out)
{
    return fs_open(r, out, fsctx_get_root);
}

static int show_link(struct text *t, const struct pseudo_ref *r,
                     int (*open)(const struct pseudo_ref *r, struct path *out))
{
    struct path p;
    int e = open(r, &p);
    if (e < 0)
        return e;
    e = add_path(t, &p);
    path_put(&p);
    return e;
}

int proc_exe(struct text *t, const struct pseudo_ref *r)
{
    return show_link(t, r, proc_exe_open);
}

int proc_cwd(struct text *t, const struct pseudo_ref *r)
{
    return show_link(t, r, proc_cwd_open);
}

int proc_root(struct text *t, const struct pseudo_ref *r)
{
    return show_link(t, r, proc_root_open);
}

/* --- ns --- */

/* There is one namespace of each kind, with Linux's numbers, and nothing to do
 * with it: the link's text is also the name of the file that it leads to, which
 * is not listed. */
#define NS_FILE(kind, number)                                                  \
    {                                                                          \
        .name = kind ":[" #number "]", .mode = LX_S_IFREG | 0444,              \
        .ino = UINT64_C(number)                                                \
    }
static const struct pseudo_node ns_files[] = {
    NS_FILE("cgroup", 4026531835), NS_FILE("ipc", 4026531839),
    NS_FILE("mnt", 4026531841),    NS_FILE("net", 4026531840),
    NS_FILE("pid", 4026531836),    NS_FILE("time", 4026531834),
    NS_FILE("user", 4026531837),   NS_FILE("uts", 4026531838),
};

#define NS_SHOW(kind, index)                                                   \
    static int ns_##kind(struct text *t, const struct pseudo_ref *r)           \
    {                                                                          \
        int e = check_access(r->proc);                                         \
        if (e == 0)                                                            \
            text_printf(t, "%s", ns_files[index].name);                        \
        return e;                                                              \
    }
NS_SHOW(cgroup, 0)
NS_SHOW(ipc, 1)
NS_SHOW(mnt, 2)
NS_SHOW(net, 3)
NS_SHOW(pid, 4)
NS_SHOW(time, 5)
NS_SHOW(user, 6)
NS_SHOW(uts, 7)

static const struct pseudo_node ns_nodes[] = {
    PROC_LNK("cgroup", ns_cgroup), PROC_LNK("ipc", ns_ipc),
    PROC_LNK("mnt", ns_mnt),       PROC_LNK("net", ns_net),
    PROC_LNK("pid", ns_pid),       PROC_LNK("pid_for_children", ns_pid),
    PROC_LNK("time", ns_time),     PROC_LNK("time_for_children", ns_time),
    PROC_LNK("user", ns_user),     PROC_LNK("uts", ns_uts),
};

static const struct pseudo_node *
ns_find(const struct pseudo_ref *r, const char *name, struct pseudo_ref *child)
{
    for (unsigned i = 0; i < ARRAY_COUNT(ns_files); i++) {
        if (strcmp(ns_files[i].name, name) != 0 || check_access(r->proc) < 0)
            continue;
        *child = (struct pseudo_ref){.proc = NULL}; /* of no process */
        return &ns_files[i];
    }
    return NULL;
}

const struct pseudo_dir proc_ns_dir = {
    .nodes = ns_nodes,
    .count = ARRAY_COUNT(ns_nodes),
    .find = ns_find,
};

/* --- mounts --- */

static void mount_options(struct text *t, uint32_t flags)
{
    text_printf(t, "%s%s%s%s,relatime", (flags & LX_MS_RDONLY) ? "ro" : "rw",
                (flags & LX_MS_NOSUID) ? ",nosuid" : "",
                (flags & LX_MS_NODEV) ? ",nodev" : "",
                (flags & LX_MS_NOEXEC) ? ",noexec" : "");
}

static int mount_point(struct text *t, const struct mount *m)
{
    if (m->parent == NULL) {
        text_printf(t, "/");
        return 0;
    }
    struct path p = {m->parent, m->at};
    return add_path(t, &p);
}

int proc_mounts(struct text *t, const struct pseudo_ref *r)
{
    int e = 0;
    (void)r;
    LIST_FOR(it, &mount_list)
    {
        const struct mount *m = LIST_ENTRY(it, struct mount, node);
        text_printf(t, "%s ", m->source);
        e = mount_point(t, m);
        if (e < 0)
            break;
        text_printf(t, " %s ", m->sb->type);
        mount_options(t, m->flags);
        text_printf(t, " 0 0\n");
    }
    return e;
}

int proc_mountinfo(struct text *t, const struct pseudo_ref *r)
{
    int e = 0;
    (void)r;
    LIST_FOR(it, &mount_list)
    {
        const struct mount *m = LIST_ENTRY(it, struct mount, node);
        text_printf(t, "%u %u %u:%u / ", m->id,
                    m->parent != NULL ? m->parent->id : 1, m->sb->dev >> 8,
                    m->sb->dev & 0xff);
        e = mount_point(t, m);
        if (e < 0)
            break;
        text_printf(t, " ");
        mount_options(t, m->flags);
        text_printf(t, " - %s %s %s\n", m->sb->type, m->source,
                    (m->flags & LX_MS_RDONLY) ? "ro" : "rw");
    }
    return e;
}
