// SPDX-License-Identifier: Apache-2.0
#include "supervisor/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"
#include "base/sha256.h"
#include "supervisor/names.h"

enum { STATE_NAME_TRIES = 64, STATE_VM_PATH = 96 };

static int state_open_shared(struct state *s, struct err *e)
{
    const char *path = getenv("LIMPET_SHARED");
    if (path == NULL || path[0] == '\0')
        return 0;
    s->shared = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->shared >= 0)
        return 0;
    int code = -errno;
    state_fini(s);
    return err_set(e, code, "LIMPET_SHARED: %s: %s", path, strerror(-code));
}

int state_open(struct state *s, const char *root, struct err *e)
{
    s->shared = -1;
    s->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->root < 0)
        s->root = path_mkdirs(root, e);
    if (s->root < 0)
        return s->root;
    (void)snprintf(s->path, sizeof(s->path), "%s", root);
    return state_open_shared(s, e);
}

void state_fini(struct state *s)
{
    if (s->root > 0)
        (void)close(s->root);
    if (s->shared > 0)
        (void)close(s->shared);
    s->root = s->shared = -1;
}

static void state_vm_path(const char *id, char out[STATE_VM_PATH])
{
    (void)snprintf(out, STATE_VM_PATH, "vms/%s", id);
}

static int state_make_dir(const struct state *s, struct state_vm *vm,
                          struct err *e)
{
    uint8_t raw[SHA256_SIZE];
    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return err_set(e, -errno, "getrandom: %s", strerror(errno));
    sha256_hex(raw, vm->id);

    char path[STATE_VM_PATH];
    state_vm_path(vm->id, path);
    int rc = mkdirat(s->root, path, 0700);
    if (rc < 0 && errno == ENOENT) {
        (void)mkdirat(s->root, "vms", 0700);
        (void)mkdirat(s->root, "names", 0700);
        rc = mkdirat(s->root, path, 0700);
    }
    if (rc < 0)
        return err_set(e, -errno, "%s/%s: %s", s->path, path, strerror(errno));
    vm->dir = path_open(s->root, path, O_RDONLY | O_DIRECTORY, e);
    if (vm->dir < 0)
        return vm->dir;
    vm->lock = path_open(vm->dir, "lock", O_RDWR | O_CREAT | O_EXCL, e);
    if (vm->lock < 0)
        return vm->lock;
    if (flock(vm->lock, LOCK_EX | LOCK_NB) < 0)
        return err_set(e, -errno, "%s/lock: %s", path, strerror(errno));
    return 0;
}

int state_create(const struct state *s, const char *name, struct state_vm *vm,
                 struct err *e)
{
    *vm = (struct state_vm){.dir = -1,
                            .lock = -1,
                            .exit = -1,
                            .log = -1,
                            .vmm_log = -1,
                            .listen = -1};
    int code = state_make_dir(s, vm, e);
    for (int i = 0; code == 0; i++) {
        if (name != NULL)
            (void)snprintf(vm->name, sizeof(vm->name), "%s", name);
        else
            names_random(i, vm->name, sizeof(vm->name));
        code = names_claim(s, vm->name, vm->id, e);
        if (code != -EEXIST || name != NULL || i == STATE_NAME_TRIES)
            break;
        code = 0;
    }
    if (code < 0) {
        if (vm->dir >= 0)
            (void)state_remove(s, vm->id, NULL, NULL);
        state_vm_fini(vm);
    }
    return code;
}

/* Through /proc, because a socket's path has 108 bytes and ours may be
 * longer. */
static int state_listen(struct state_vm *vm, struct err *e)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    (void)snprintf(sun.sun_path, sizeof(sun.sun_path),
                   "/proc/self/fd/%d/ctl.sock", vm->dir);
    vm->listen = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (vm->listen < 0 ||
        bind(vm->listen, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
        listen(vm->listen, 16) < 0)
        return err_set(e, -errno, "ctl.sock of %.12s: %s", vm->id,
                       strerror(errno));
    return 0;
}

int state_forget_ports(const struct state *s, const struct state_info *i,
                       struct err *e)
{
    AUTO_CLOSE int dir = state_dir(s, i->id, e);
    if (dir < 0)
        return dir;
    json_t *config = json_copy(i->config);
    if (config != NULL)
        (void)json_object_set_new(config, "ports", json_array());
    AUTO_FREE char *text =
        config != NULL ? json_dumps(config, JSON_COMPACT) : NULL;
    json_decref(config);
    if (text == NULL)
        return err_set(e, -ENOMEM, "config.json: out of memory");
    return path_replace(dir, "config.json", text, strlen(text), 0, e);
}

int state_start(struct state_vm *vm, const json_t *config, bool keep_log,
                struct err *e)
{
    AUTO_FREE char *text = json_dumps(config, JSON_COMPACT);
    if (text == NULL)
        return err_set(e, -ENOMEM, "config.json: out of memory");
    int code = path_replace(vm->dir, "config.json", text, strlen(text), 0, e);
    if (code < 0)
        return code;

    const int flags = O_RDWR | O_CREAT | O_APPEND;
    vm->vmm_log = path_open(vm->dir, "vmm.log", flags, e);
    if (vm->vmm_log < 0)
        return vm->vmm_log;
    if (keep_log) {
        vm->log = path_open(vm->dir, "log", flags, e);
        if (vm->log < 0)
            return vm->log;
    }
    code = state_listen(vm, e);
    if (code < 0)
        return code;
    vm->exit = path_open(vm->dir, "exit.json", flags, e);
    return vm->exit < 0 ? vm->exit : 0;
}

void state_set_pid(const struct state_vm *vm, pid_t pid)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)pid);
    /* Readers cope with a lock without a pid: it is being started. */
    if (pwrite(vm->lock, text, (size_t)n, 0) != n)
        (void)!ftruncate(vm->lock, 0);
}

void state_vm_fini(struct state_vm *vm)
{
    int *fds[] = {&vm->dir, &vm->lock,    &vm->exit,
                  &vm->log, &vm->vmm_log, &vm->listen};
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
        if (*fds[i] > 0)
            (void)close(*fds[i]);
        *fds[i] = -1;
    }
}

int state_dir(const struct state *s, const char *id, struct err *e)
{
    char path[STATE_VM_PATH];
    state_vm_path(id, path);
    return path_open(s->root, path, O_RDONLY | O_DIRECTORY, e);
}

void state_record(int exit_fd, const struct instance_exit *x)
{
    struct stat st;
    if (fstat(exit_fd, &st) < 0 || st.st_size > 0)
        return;
    json_t *o =
        json_pack("{s:s, s:I, s:s}", "kind", instance_kind_name(x->kind),
                  "code", (json_int_t)x->code, "message", x->msg);
    AUTO_FREE char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    struct buf line = {0};
    if (text != NULL)
        buf_printf(&line, "%s\n", text);
    if (line.size > 0)
        (void)path_write_all(exit_fd, line.data, line.size);
    buf_fini(&line);
}

int state_remove(const struct state *s, const char *id, const char *name,
                 struct err *e)
{
    /* config.json first: without it nobody lists the rest. */
    static const char *const files[] = {"config.json", "ctl.sock", "exit.json",
                                        "log",         "vmm.log",  "lock"};
    if (name != NULL)
        names_release(s, name, id);
    AUTO_CLOSE int dir = state_dir(s, id, e);
    if (dir < 0)
        return dir == -ENOENT ? 0 : dir;
    for (size_t i = 0; i < ARRAY_COUNT(files); i++)
        if (unlinkat(dir, files[i], 0) < 0 && errno != ENOENT)
            return err_set(e, -errno, "%.12s/%s: %s", id, files[i],
                           strerror(errno));
    char path[STATE_VM_PATH];
    state_vm_path(id, path);
    if (unlinkat(s->root, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_set(e, -errno, "%s/%s: %s", s->path, path, strerror(errno));
    return 0;
}
