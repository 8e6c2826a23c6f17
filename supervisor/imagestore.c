// SPDX-License-Identifier: Apache-2.0
#include "supervisor/imagestore.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/imgref.h"
#include "base/json.h"
#include "base/path.h"
#include "supervisor/imagelist.h"
#include "supervisor/state.h"

enum { IMAGESTORE_RECORD_MAX = 8 << 20, IMAGESTORE_HEX = SHA256_HEX_SIZE - 1 };

static int imagestore_lock(const struct state *s, int how, struct err *e)
{
    AUTO_CLOSE int fd =
        openat(s->root, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, how | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return err_set(e, -EBUSY,
                           "%s: an image is being fetched or converted; try "
                           "again when that is done",
                           s->path);
        return err_set(e, -errno, "%s/lock: %s", s->path, strerror(errno));
    }
    return fd_release(&fd);
}

int imagestore_tag(const struct state *s, const char *hex,
                   const struct regname *name, const char *arch, struct err *e)
{
    struct imgref r = {.kind = IMGREF_REGISTRY, .name = *name};
    char text[REGNAME_TEXT_SIZE];
    char key[SHA256_HEX_SIZE];
    char path[SHA256_HEX_SIZE + 8];
    char body[REGNAME_TEXT_SIZE + 128];
    if (name->digest[0] != '\0')
        return err_set(e, -EINVAL, "a digest cannot be given as a name");
    regname_text(name, text);
    memcpy(r.path, text, sizeof(text));
    int code = imgref_key(&r, arch, key, e);
    if (code < 0)
        return code;
    AUTO_CLOSE int lock = imagestore_lock(s, LOCK_SH, e);
    if (lock < 0)
        return lock;
    (void)snprintf(path, sizeof(path), "refs/%s", key);
    int n = snprintf(body, sizeof(body), "%.64s\ndocker://%s\n", hex, text);
    return path_replace(s->root, path, body, (size_t)n, 1, e);
}

/* How many containers were made from `hex`. */
static unsigned imagestore_users(const struct state *s, const char *hex,
                                 struct err *e)
{
    struct state_info *list = NULL;
    size_t count = 0;
    unsigned users = 0;
    if (state_list(s, &list, &count, e) < 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        const char *of =
            json_string_value(json_object_get(list[i].config, "manifest"));
        users += of != NULL && strstr(of, hex) != NULL;
    }
    state_list_free(list, count);
    return users;
}

static void imagestore_unlink(const struct state *s, const char *path,
                              struct imagestore_removed *out)
{
    struct stat st;
    if (fstatat(s->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        unlinkat(s->root, path, 0) == 0)
        out->bytes += (uint64_t)st.st_blocks * 512;
}

/* Names that went from here stay gone before what they needed goes. */
static int imagestore_sync(const struct state *s, const char *dir,
                           struct err *e)
{
    AUTO_CLOSE int fd =
        openat(s->root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    return fd < 0 || fsync(fd) < 0
               ? err_set(e, -errno, "%s/%s: %s", s->path, dir, strerror(errno))
               : 0;
}

/* A JSON file of the store, or NULL: what cannot be read needs nothing. */
static json_t *imagestore_load(const struct state *s, const char *path)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    struct err ignored;
    if (path_read(s->root, path, IMAGESTORE_RECORD_MAX, &text, &size,
                  &ignored) < 0)
        return NULL;
    return json_parse(text, size, path, &ignored);
}

/* Diff_ids of all images' layers as keys of an object. */
static json_t *imagestore_live_layers(const struct state *s,
                                      const struct imagelist_entry *list,
                                      size_t count)
{
    json_t *live = json_object();
    for (size_t i = 0; i < count; i++) {
        char path[SHA256_HEX_SIZE + 16];
        (void)snprintf(path, sizeof(path), "images/%s.json", list[i].hex);
        json_t *doc = imagestore_load(s, path);
        const json_t *layers = json_object_get(doc, "layers");
        for (size_t k = 0; k < json_array_size(layers); k++) {
            const char *id = json_string_value(json_array_get(layers, k));
            if (id != NULL && strncmp(id, "sha256:", 7) == 0)
                (void)json_object_set_new(live, id + 7, json_true());
        }
        json_decref(doc);
    }
    return live;
}

/* Digests of the blobs of all images as keys of an object: documents, and the
 * layers that their manifests list. */
static json_t *imagestore_live_blobs(const struct state *s,
                                     const struct imagelist_entry *list,
                                     size_t count)
{
    json_t *live = json_object();
    for (size_t i = 0; i < count; i++) {
        char path[SHA256_HEX_SIZE + 8];
        (void)json_object_set_new(live, list[i].hex, json_true());
        (void)json_object_set_new(live, list[i].config, json_true());
        (void)json_object_set_new(live, list[i].root, json_true());
        (void)snprintf(path, sizeof(path), "blobs/%s", list[i].hex);
        json_t *doc = imagestore_load(s, path);
        const json_t *layers = json_object_get(doc, "layers");
        for (size_t k = 0; k < json_array_size(layers); k++) {
            const char *id = json_string_value(
                json_object_get(json_array_get(layers, k), "digest"));
            if (id != NULL && strncmp(id, "sha256:", 7) == 0)
                (void)json_object_set_new(live, id + 7, json_true());
        }
        json_decref(doc);
    }
    return live;
}

/* Remove the files of `dir` whose names start with no key of `live`. */
static int imagestore_sweep_dir(const struct state *s, const char *dir,
                                const json_t *live,
                                struct imagestore_removed *out, struct err *e)
{
    int fd = openat(s->root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (d == NULL && errno == ENOENT)
        return 0;
    if (d == NULL)
        return err_set(e, -errno, "%s/%s: %s", s->path, dir, strerror(errno));
    const struct dirent *x;
    while ((x = readdir(d)) != NULL) {
        char id[SHA256_HEX_SIZE];
        char path[PATH_MAX];
        (void)snprintf(id, sizeof(id), "%.64s", x->d_name);
        if (x->d_name[0] == '.' || json_object_get(live, id) != NULL)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, x->d_name);
        imagestore_unlink(s, path, out);
    }
    (void)closedir(d);
    return 0;
}

/* Names half-made (path_replace()) by who was killed: they are longer. */
static void imagestore_sweep_refs(const struct state *s,
                                  struct imagestore_removed *out)
{
    int fd = openat(s->root, "refs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *x;
    while (d != NULL && (x = readdir(d)) != NULL) {
        char path[PATH_MAX];
        if (strlen(x->d_name) <= IMAGESTORE_HEX)
            continue;
        (void)snprintf(path, sizeof(path), "refs/%s", x->d_name);
        imagestore_unlink(s, path, out);
    }
    if (d != NULL)
        (void)closedir(d);
}

/* With the store locked: remove what no record needs. */
static int imagestore_collect(const struct state *s,
                              struct imagestore_removed *out, struct err *e)
{
    struct imagelist_entry *list = NULL;
    size_t count = 0;
    int code = imagestore_sync(s, "images", e);
    if (code == 0)
        code = imagelist_read(s->root, &list, &count, e);
    if (code < 0)
        return code;
    imagestore_sweep_refs(s, out);
    json_t *layers = imagestore_live_layers(s, list, count);
    json_t *metas = json_object();
    json_t *tmp = json_object();
    json_t *blobs = imagestore_live_blobs(s, list, count);
    for (size_t i = 0; i < count; i++)
        (void)json_object_set_new(metas, list[i].hex, json_true());
    code = layers == NULL || metas == NULL || blobs == NULL
               ? err_set(e, -ENOMEM, "out of memory")
               : imagestore_sweep_dir(s, "layers", layers, out, e);
    if (code == 0)
        code = imagestore_sweep_dir(s, "meta", metas, out, e);
    if (code == 0)
        code = imagestore_sweep_dir(s, "blobs", blobs, out, e);
    if (code == 0) /* of killed converters: no other one is running */
        code = imagestore_sweep_dir(s, "tmp", tmp, out, e);
    json_decref(tmp);
    json_decref(layers);
    json_decref(metas);
    json_decref(blobs);
    free(list);
    return code;
}

/* A locked store, what it had when it was locked, what went since. */
struct imagestore_view {
    const struct state *s;
    struct imagelist_entry *list;
    size_t count;
    struct imagestore_removed *out;
};

/* Its names, then its record: without that it does not exist. */
static void imagestore_drop(const struct imagestore_view *v, const char *hex)
{
    char path[SHA256_HEX_SIZE + 16];
    for (size_t i = 0; i < v->count; i++) {
        if (strcmp(v->list[i].hex, hex) != 0 || v->list[i].key[0] == '\0')
            continue;
        (void)snprintf(path, sizeof(path), "refs/%s", v->list[i].key);
        imagestore_unlink(v->s, path, v->out);
        v->out->names++;
    }
    (void)snprintf(path, sizeof(path), "images/%.64s.json", hex);
    imagestore_unlink(v->s, path, v->out);
    v->out->images++;
}

static unsigned imagestore_names(const struct imagestore_view *v,
                                 const char *hex)
{
    unsigned n = 0;
    for (size_t i = 0; i < v->count; i++)
        n += v->list[i].key[0] != '\0' && strcmp(v->list[i].hex, hex) == 0;
    return n;
}

static int imagestore_remove_from(const struct imagestore_view *v,
                                  const char *key, const char *hex, bool force,
                                  struct err *e)
{
    unsigned names = imagestore_names(v, hex);
    if (key != NULL && names > 1) {
        char path[SHA256_HEX_SIZE + 8];
        (void)snprintf(path, sizeof(path), "refs/%.64s", key);
        imagestore_unlink(v->s, path, v->out);
        v->out->names++;
        return 0;
    }
    if (names > 1 && !force)
        return err_set(e, -EBUSY,
                       "image %.12s has %u names; remove them one by one, or "
                       "give -f",
                       hex, names);
    unsigned users = imagestore_users(v->s, hex, e);
    if (users > 0 && !force)
        return err_set(e, -EBUSY,
                       "image %.12s: %u container%s made from it; remove %s "
                       "with limpet rm, or give -f",
                       hex, users, users == 1 ? " is" : "s are",
                       users == 1 ? "it" : "them");
    imagestore_drop(v, hex);
    return imagestore_collect(v->s, v->out, e);
}

int imagestore_remove(const struct state *s, const char *key, const char *hex,
                      bool force, struct imagestore_removed *out, struct err *e)
{
    struct imagestore_view v = {.s = s, .out = out};
    *out = (struct imagestore_removed){0};
    AUTO_CLOSE int lock = imagestore_lock(s, LOCK_EX, e);
    if (lock < 0)
        return lock;
    int code = imagelist_read(s->root, &v.list, &v.count, e);
    if (code == 0)
        code = imagestore_remove_from(&v, key, hex, force, e);
    free(v.list);
    return code;
}

static uint64_t imagestore_total(const struct state *s)
{
    static const char *const dirs[] = {"layers", "meta", "blobs"};
    uint64_t total = 0;
    for (size_t i = 0; i < ARRAY_COUNT(dirs); i++) {
        struct stat st;
        int fd = openat(s->root, dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *x;
        while (d != NULL && (x = readdir(d)) != NULL)
            if (fstatat(fd, x->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISREG(st.st_mode))
                total += (uint64_t)st.st_blocks * 512;
        if (d != NULL)
            (void)closedir(d);
    }
    return total;
}

/* The list is newest first: from its end on. */
static int imagestore_prune_from(const struct imagestore_view *v, bool all,
                                 uint64_t keep, struct err *e)
{
    int code = 0;
    for (size_t i = v->count; i-- > 0 && code == 0;) {
        const char *hex = v->list[i].hex;
        bool named = imagestore_names(v, hex) > 0;
        char path[SHA256_HEX_SIZE + 16];
        (void)snprintf(path, sizeof(path), "images/%s.json", hex);
        if (faccessat(v->s->root, path, F_OK, 0) < 0 || (named && !all))
            continue;
        if (imagestore_users(v->s, hex, e) > 0 ||
            (keep > 0 && imagestore_total(v->s) <= keep))
            continue;
        imagestore_drop(v, hex);
        code = imagestore_collect(v->s, v->out, e);
    }
    return code == 0 ? imagestore_collect(v->s, v->out, e) : code;
}

int imagestore_prune(const struct state *s, bool all, uint64_t keep,
                     struct imagestore_removed *out, struct err *e)
{
    struct imagestore_view v = {.s = s, .out = out};
    *out = (struct imagestore_removed){0};
    AUTO_CLOSE int lock = imagestore_lock(s, LOCK_EX, e);
    if (lock < 0)
        return lock;
    int code = imagelist_read(s->root, &v.list, &v.count, e);
    if (code == 0)
        code = imagestore_prune_from(&v, all, keep, e);
    free(v.list);
    return code;
}
