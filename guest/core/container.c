// SPDX-License-Identifier: Apache-2.0
/*
 * Container 0: from the record in boot memory (abi/boot.h) to its main
 * program. The first kernel task becomes process 1.
 */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/arch/arch.h"
#include "guest/core/exec.h"
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/log.h"
#include "guest/core/main.h"
#include "guest/core/page.h"
#include "guest/core/task.h"
#include "guest/core/uts.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/fsboot.h"
#include "guest/fs/inode.h"
#include "guest/fs/namei.h"
#include "guest/fs/tty.h"
#include "guest/net/boot.h"
#include "guest/virtio/console.h"

/* What is left of the record's strings. The record is the monitor's, so it is
 * trusted, but a bug there shall end in words, not in a wild read. */
struct strings {
    const char *at, *end;
};

struct container {
    struct boot_container rec;
    const struct boot_file *files;
    const struct boot_netif *netifs;
    const struct boot_route *routes;
    struct strings rest; /* after hostname */
    const char *argv;    /* argc strings one after another */
    const char *envv;
    const char *cwd, *hostname;
};

static _Noreturn void container_fail(const char *what, int r)
{
    klog(KLOG_ERROR, "container: %s: error %d", what, -r);
    kernel_exit(CTL_NOEXEC, (uint32_t)-r, what);
}

static const char *strings_next(struct strings *s)
{
    size_t left = (size_t)(s->end - s->at);
    size_t len = strnlen(s->at, left);
    if (len == left)
        panic("boot data: container strings end too soon");
    const char *text = s->at;
    s->at += len + 1;
    return text;
}

/* The routes of all interfaces, bytes; too much of a bad record. */
static uint64_t container_routes_size(const struct container *c)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < c->rec.netif_count; i++)
        count += c->netifs[i].route_count;
    return count * sizeof(struct boot_route);
}

static void container_netifs(const struct container *c)
{
    const struct boot_route *routes = c->routes;
    for (uint32_t i = 0; i < c->rec.netif_count; i++) {
        (void)netif_configure(&c->netifs[i], routes); /* it has told */
        routes += c->netifs[i].route_count;
    }
}

static void container_read(struct container *c)
{
    const char *base = page_virt(boot_info->cont_gpa);
    uint64_t room = boot_info->cont_size;
    if (boot_info->cont_count == 0 || room < sizeof(c->rec))
        panic("boot data: there is no container");
    memcpy(&c->rec, base, sizeof(c->rec));
    const struct boot_container *r = &c->rec;
    uint64_t netifs =
        sizeof(*r) + (uint64_t)r->file_count * sizeof(struct boot_file);
    uint64_t routes =
        netifs + (uint64_t)r->netif_count * sizeof(struct boot_netif);
    c->files = (const void *)(base + sizeof(*r));
    c->netifs = (const void *)(base + netifs);
    c->routes = (const void *)(base + routes);
    if (r->size > room || r->strings_off > r->size || routes > r->strings_off ||
        container_routes_size(c) > r->strings_off - routes ||
        r->gid_count > BOOT_GID_MAX || r->argc == 0)
        panic("boot data: container record is malformed");
    struct strings s = {base + r->strings_off, base + r->size};
    c->argv = s.at;
    for (uint32_t i = 0; i < r->argc; i++)
        (void)strings_next(&s);
    c->envv = s.at;
    for (uint32_t i = 0; i < r->envc; i++)
        (void)strings_next(&s);
    c->cwd = strings_next(&s);
    c->hostname = strings_next(&s);
    c->rest = s;
}

static void container_files(struct container *c)
{
    for (uint32_t i = 0; i < c->rec.file_count; i++) {
        struct boot_file f;
        memcpy(&f, &c->files[i], sizeof(f));
        const char *path = strings_next(&c->rest);
        if (f.size > (size_t)(c->rest.end - c->rest.at))
            panic("boot data: file %s is cut off", path);
        int r = fs_write_file(path, f.mode & 07777, c->rest.at, f.size);
        c->rest.at += f.size;
        if (r < 0)
            container_fail(path, r);
    }
}

static void container_process(const struct container *c)
{
    struct process *p = process_new(NULL);
    if (p == NULL)
        container_fail("process 1", -ENOMEM);
    p->fs = fsctx_clone(NULL);
    p->files = fdtable_new();
    if (p->fs == NULL || p->files == NULL)
        container_fail("process 1", -ENOMEM);
    p->fs->umask = 0; /* until the program starts */
    if (c->rec.nofile_hard != 0)
        p->rlimits[LX_RLIMIT_NOFILE] =
            (struct lx_rlimit64){c->rec.nofile_soft, c->rec.nofile_hard};
    task_adopt(p);
}

static void container_cwd(const struct container *c)
{
    struct path p;
    const char *cwd = c->cwd[0] != '\0' ? c->cwd : "/";
    int r = path_walk(AT_FDCWD, cwd, PATH_FOLLOW | PATH_DIR, &p);
    if (r == -ENOENT && cwd[0] == '/') {
        r = fs_mkdirs(cwd);
        if (r == 0)
            r = path_walk(AT_FDCWD, cwd, PATH_FOLLOW | PATH_DIR, &p);
    }
    if (r < 0)
        container_fail(cwd, r);
    fsctx_set_cwd(current()->proc->fs, &p);
    path_put(&p);
}

static void container_cred(const struct container *c)
{
    const struct boot_container *r = &c->rec;
    struct cred cred = current()->cred;
    cred.uid = cred.euid = cred.suid = cred.fsuid = r->uid;
    cred.gid = cred.egid = cred.sgid = cred.fsgid = r->gid;
    if (r->gid_count != 0) {
        cred.groups = cred_groups_new(r->gid_count);
        if (cred.groups == NULL)
            container_fail("its groups", -ENOMEM);
        memcpy(cred.groups->id, r->gids, r->gid_count * sizeof(r->gids[0]));
        cred_groups_sort(cred.groups);
    }
    cred_commit(&cred);
    if (r->gid_count != 0)
        cred_groups_put(cred.groups);
    cred_exec(UINT32_MAX, UINT32_MAX); /* capabilities */
    current()->proc->dumpable = true;
}

static void container_stdio(const struct container *c)
{
    struct file *files[3];
    bool tty = (c->rec.flags & BOOT_CONT_TTY) != 0;
    int r =
        console_open_stdio(tty, (c->rec.flags & BOOT_CONT_STDIN) != 0, files);
    for (unsigned fd = 0; r >= 0 && fd < ARRAY_COUNT(files); fd++)
        r = fd_install(files[fd], (int)fd, false);
    if (r < 0)
        container_fail("standard input and output", r);
    if (tty && c->rec.rows != 0) {
        struct lx_winsize w = {.row = c->rec.rows, .col = c->rec.cols};
        tty_set_winsize(tty_console, &w);
    }
}

/* --- the program --- */

static int program_args(const struct container *c, struct exec_args *args)
{
    struct strings s = {c->argv, c->rest.end};
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < c->rec.argc; i++)
        r = exec_args_add(args, strings_next(&s), false);
    for (uint32_t i = 0; r == 0 && i < c->rec.envc; i++)
        r = exec_args_add(args, strings_next(&s), true);
    return r;
}

static int program_exec(const struct container *c, const char *name)
{
    struct file *f;
    int r = exec_open(AT_FDCWD, name, PATH_FOLLOW, &f);
    if (r < 0)
        return r;
    struct exec_args args = {0};
    r = program_args(c, &args);
    if (r == 0)
        r = exec_program(f, name, &args);
    exec_args_fini(&args);
    file_put(f);
    return r;
}

static const char *container_env(const struct container *c, const char *name)
{
    struct strings s = {c->envv, c->rest.end};
    size_t len = strlen(name);
    for (uint32_t i = 0; i < c->rec.envc; i++) {
        const char *e = strings_next(&s);
        if (strncmp(e, name, len) == 0 && e[len] == '=')
            return e + len + 1;
    }
    return NULL;
}

/* execvp(3): the first that can be executed; EACCES counts more than ENOENT.
 * `full` has PATH_MAX bytes. */
static int program_search(const struct container *c, char *full)
{
    int result = -ENOENT;
    const char *dir = container_env(c, "PATH");
    if (c->argv[0] == '\0')
        return -ENOENT;
    while (dir != NULL) {
        const char *end = strchr(dir, ':');
        size_t len = end != NULL ? (size_t)(end - dir) : strlen(dir);
        if (len < PATH_MAX &&
            (size_t)ksnprintf(full, PATH_MAX, "%.*s%s%s", (int)len, dir,
                              len > 0 ? "/" : "", c->argv) < PATH_MAX) {
            int r = program_exec(c, full);
            if (r == -EACCES)
                result = r;
            else if (r != -ENOENT && r != -ENOTDIR)
                return r;
        }
        dir = end != NULL ? end + 1 : NULL;
    }
    return result;
}

static void container_exec(const struct container *c)
{
    if (strchr(c->argv, '/') != NULL) {
        int r = program_exec(c, c->argv);
        if (r < 0)
            container_fail(c->argv, r);
        return;
    }
    char *full = kmalloc(PATH_MAX);
    int r = full != NULL ? program_search(c, full) : -ENOMEM;
    kfree(full);
    if (r < 0)
        container_fail(c->argv, r);
}

void container_start(void)
{
    struct container *c = kzalloc(sizeof(*c));
    if (c == NULL)
        panic("no memory for the container");
    container_read(c);
    int r = fs_boot_root();
    if (r < 0)
        container_fail("the root image", r);
    container_process(c);
    r = fs_boot();
    if (r < 0)
        container_fail("the root file system", r);
    container_files(c);
    (void)uts_set_hostname(c->hostname, strlen(c->hostname));
    container_netifs(c);
    container_cwd(c);
    container_cred(c);
    container_stdio(c);
    current()->proc->fs->umask = c->rec.umask & 0777;
    container_exec(c);
    if ((c->rec.flags & BOOT_CONT_REPORT) != 0)
        (void)ctl_send(CTL_STARTED, "", 0);
    kfree(c);
    kernel_mark_user();
    arch_enter_user();
}
