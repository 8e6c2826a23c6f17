// SPDX-License-Identifier: Apache-2.0
#include "image/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include "image/data.h"

enum { STORE_RECORD_MAX = 16 << 20 };

static int store_fail(const struct store *s, const char *what, struct err *e)
{
    int code = -errno;
    return err_set(e, code, "%s/%s: %s", s->path, what, strerror(-code));
}

static int store_lock(const struct store *s, const char *name, int how,
                      struct err *e)
{
    AUTO_CLOSE int fd =
        openat(s->root, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return store_fail(s, name, e);
    int r;
    do
        r = flock(fd, how);
    while (r < 0 && errno == EINTR);
    return r < 0 ? store_fail(s, name, e) : fd_release(&fd);
}

static int store_make_dirs(const struct store *s, struct err *e)
{
    static const char *const dirs[] = {"images", "meta",  "layers", "refs",
                                       "tmp",    "locks", "blobs"};
    bool fresh = false;
    for (size_t i = 0; i < ARRAY_COUNT(dirs); i++) {
        if (mkdirat(s->root, dirs[i], 0755) == 0)
            fresh = true;
        else if (errno != EEXIST)
            return store_fail(s, dirs[i], e);
    }
    /* What is in them later is synced there, they themselves only here. */
    return fresh ? store_sync_dirs(s, (const char *const[]){".", ".."}, 2, e)
                 : 0;
}

/* Who may not write does without, and without a lock that he cannot take:
 * docs/store.md. */
static int store_lock_shared(const struct store *s, struct err *e)
{
    int fd = store_lock(s, "lock", LOCK_SH, e);
    if (fd != -EROFS && fd != -EACCES)
        return fd;
    AUTO_CLOSE int mine = openat(s->root, "lock", O_RDONLY | O_CLOEXEC);
    return mine >= 0 && flock(mine, LOCK_SH) == 0 ? fd_release(&mine) : 0;
}

int store_open(struct store *s, const char *path, struct err *e)
{
    *s = (struct store){.path = path};
    int code = path_mkdirs(path, e);
    if (code < 0)
        return code;
    s->root = code;
    code = store_make_dirs(s, e);
    if (code == 0)
        code = store_lock_shared(s, e);
    if (code < 0) {
        store_close(s);
        return code;
    }
    s->lock = code;
    return 0;
}

void store_close(struct store *s)
{
    if (s->lock > 0)
        (void)close(s->lock);
    if (s->root > 0)
        (void)close(s->root);
    *s = (struct store){0};
}

/* Whoever makes a temporary file has it locked until it is renamed. */
static void store_sweep_one(int dir, const char *name)
{
    AUTO_CLOSE int fd =
        openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        (void)unlinkat(dir, name, 0);
}

int store_sweep(const struct store *s, struct err *e)
{
    int fd = openat(s->root, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL)
        return store_fail(s, "tmp", e);
    const struct dirent *d;
    while ((d = readdir(dir)) != NULL)
        store_sweep_one(fd, d->d_name);
    (void)closedir(dir);
    return 0;
}

int store_lock_item(const struct store *s, const char *hex, bool wait,
                    struct err *e)
{
    char name[STORE_NAME_SIZE];
    (void)snprintf(name, sizeof(name), "locks/%.2s", hex);
    struct err busy;
    int fd = store_lock(s, name, LOCK_EX | (wait ? 0 : LOCK_NB), &busy);
    if (fd < 0 && (wait || fd != -EWOULDBLOCK))
        *e = busy;
    return fd;
}

int store_temp_open(struct store *s, struct store_temp *t, struct err *e)
{
    struct stat st;
    /* A sweeper may come between open and flock: then once more. */
    for (;;) {
        (void)snprintf(t->name, sizeof(t->name), "tmp/%ld.%u", (long)getpid(),
                       s->temps++);
        AUTO_CLOSE int fd = openat(s->root, t->name,
                                   O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 && errno == EEXIST)
            continue;
        if (fd < 0)
            return store_fail(s, t->name, e);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            if (errno != EWOULDBLOCK)
                return store_fail(s, t->name, e);
            continue;
        }
        if (fstat(fd, &st) == 0 && st.st_nlink == 1) {
            t->fd = fd_release(&fd);
            t->sealed = false;
            return 0;
        }
    }
}

int store_temp_write(struct store *s, struct store_temp *t, const void *data,
                     size_t size, struct err *e)
{
    int code = store_temp_open(s, t, e);
    if (code < 0)
        return code;
    code = path_write_all(t->fd, data, size);
    return code < 0 ? err_set(e, code, "%s/%s: %s", s->path, t->name,
                              strerror(-code))
                    : 0;
}

int store_temp_seal(const struct store *s, struct store_temp *t, bool align,
                    struct err *e)
{
    struct stat st;
    if (t->fd <= 0 || t->sealed)
        return 0;
    if (fstat(t->fd, &st) < 0)
        return store_fail(s, t->name, e);
    off_t unit = align ? DATA_ALIGN_SIZE : 1;
    off_t size = (st.st_size + unit - 1) / unit * unit;
    if ((size != st.st_size && ftruncate(t->fd, size) < 0) ||
        fchmod(t->fd, 0444) < 0)
        return store_fail(s, t->name, e);
    (void)sync_file_range(t->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    t->sealed = true;
    return 0;
}

int store_temp_commit(const struct store *s, struct store_temp *t,
                      const char *name, struct err *e)
{
    if (t->fd <= 0)
        return 0;
    int code = store_temp_seal(s, t, false, e);
    if (code < 0)
        return code;
    if (fsync(t->fd) < 0 || renameat(s->root, t->name, s->root, name) < 0)
        return store_fail(s, name, e);
    (void)close(t->fd);
    t->fd = 0;
    return 0;
}

void store_temp_drop(struct store *s, struct store_temp *t)
{
    if (t->fd <= 0)
        return;
    (void)close(t->fd);
    (void)unlinkat(s->root, t->name, 0);
    t->fd = 0;
}

int store_sync_dirs(const struct store *s, const char *const *dirs,
                    size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        AUTO_CLOSE int fd =
            openat(s->root, dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) < 0)
            return store_fail(s, dirs[i], e);
    }
    return 0;
}

bool store_has(const struct store *s, const char *name)
{
    struct stat st;
    return fstatat(s->root, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode);
}

static bool store_is_hex(const char *text)
{
    return strlen(text) == SHA256_HEX_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
}

bool store_has_image(const struct store *s, const char *hex)
{
    char name[STORE_NAME_SIZE];
    AUTO_FREE char *text = NULL;
    size_t size;
    struct err ignored;
    (void)snprintf(name, sizeof(name), "images/%s.json", hex);
    if (path_read(s->root, name, STORE_RECORD_MAX, &text, &size, &ignored) < 0)
        return false;
    json_t *doc = json_parse(text, size, name, &ignored);
    json_t *files = NULL;
    bool ok = doc != NULL &&
              json_get_arr(doc, "files", name, &files, &ignored) == 0 &&
              json_array_size(files) > 0;
    for (size_t i = 0; ok && i < json_array_size(files); i++) {
        const char *file = json_string_value(json_array_get(files, i));
        ok = file != NULL && store_has(s, file);
    }
    json_decref(doc);
    return ok;
}

int store_find_ref(const struct store *s, const char *key,
                   char hex[SHA256_HEX_SIZE])
{
    char name[STORE_NAME_SIZE];
    AUTO_FREE char *text = NULL;
    struct err ignored;
    (void)snprintf(name, sizeof(name), "refs/%s", key);
    if (path_read(s->root, name, 1 << 16, &text, NULL, &ignored) < 0)
        return -ENOENT;
    text[strcspn(text, "\n")] = '\0';
    if (!store_is_hex(text) || !store_has_image(s, text))
        return -ENOENT;
    memcpy(hex, text, SHA256_HEX_SIZE);
    return 0;
}

int store_read_origin(const struct store *s, const char *key,
                      char root[SHA256_HEX_SIZE], char challenge[1024])
{
    char name[STORE_NAME_SIZE];
    AUTO_FREE char *text = NULL;
    struct err ignored;
    char *save = NULL;
    (void)snprintf(name, sizeof(name), "refs/%s", key);
    if (path_read(s->root, name, 1 << 16, &text, NULL, &ignored) < 0)
        return -ENOENT;
    const char *line = strtok_r(text, "\n", &save);
    for (unsigned i = 0; i < 2 && line != NULL; i++)
        line = strtok_r(NULL, "\n", &save);
    if (line == NULL || strncmp(line, "sha256:", 7) != 0 ||
        !store_is_hex(line + 7))
        return -ENOENT;
    memcpy(root, line + 7, SHA256_HEX_SIZE);
    line = strtok_r(NULL, "\n", &save);
    (void)snprintf(challenge, 1024, "%s", line != NULL ? line : "");
    return 0;
}

int store_put_ref(struct store *s, const char *key, const char *hex,
                  const char *text, struct err *e)
{
    char name[STORE_NAME_SIZE];
    struct buf b = {0};
    (void)snprintf(name, sizeof(name), "refs/%s", key);
    buf_printf(&b, "%s\n%s\n", hex, text);
    struct store_temp t = {0};
    int code = b.failed != 0 ? err_set(e, b.failed, "%s: too long", name)
                             : store_temp_write(s, &t, b.data, b.size, e);
    /* The reference names documents that were put there after the record. */
    if (code == 0)
        code = store_sync_dirs(s, (const char *const[]){"blobs"}, 1, e);
    if (code == 0)
        code = store_temp_commit(s, &t, name, e);
    if (code == 0)
        code = store_sync_dirs(s, (const char *const[]){"refs"}, 1, e);
    store_temp_drop(s, &t);
    buf_fini(&b);
    return code;
}
