// SPDX-License-Identifier: Apache-2.0
#include "net/store.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"

enum {
    STORE_FILE_MAX = 64 << 10,
    STORE_LOCK_MS = 60000,
    STORE_TAG_BYTES = 8,
    STORE_FILE_NAME = STORE_NAME_SIZE + 8,
};

/* ---- the directory ---- */

static int store_make_tag(struct store *s, struct err *e)
{
    uint8_t raw[STORE_TAG_BYTES];
    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return err_set(e, -errno, "getrandom: %s", strerror(errno));
    for (size_t i = 0; i < ARRAY_COUNT(raw); i++)
        (void)snprintf(s->tag + 2 * i, 3, "%02x", raw[i]);
    return path_replace(s->dir, "tag", s->tag, strlen(s->tag), 0, e);
}

static int store_load_tag(struct store *s)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    int code = path_read(s->dir, "tag", 64, &text, &size, NULL);
    if (code < 0 || size != sizeof(s->tag) - 1)
        return code < 0 ? code : -EINVAL;
    memcpy(s->tag, text, sizeof(s->tag));
    return 0;
}

/* Once and for all: two that come first at once must agree. */
static int store_read_tag(struct store *s, struct err *e)
{
    if (store_load_tag(s) == 0)
        return 0;
    int code = store_lock(s, e);
    if (code == 0 && store_load_tag(s) < 0)
        code = store_make_tag(s, e);
    store_unlock(s);
    return code;
}

int store_open(struct store *s, int root, struct err *e)
{
    struct stat st;
    *s = (struct store){.root = root, .dir = -1, .lock = -1};
    if (mkdirat(root, "networks", 0700) == 0) {
        (void)mkdirat(root, "networks/leases", 0700);
        (void)mkdirat(root, "networks/claims", 0700);
    }
    s->dir = path_open(root, "networks", O_RDONLY | O_DIRECTORY, e);
    if (s->dir < 0)
        return s->dir;
    if (stat("/proc/self/ns/net", &st) == 0)
        s->ns = st.st_ino;
    return store_read_tag(s, e);
}

void store_fini(struct store *s)
{
    store_unlock(s);
    if (s->dir > 0)
        (void)close(s->dir);
    s->dir = -1;
}

int store_lock(struct store *s, struct err *e)
{
    int fd = path_open(s->dir, "lock", O_RDWR | O_CREAT, e);
    if (fd < 0)
        return fd;
    for (int ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; ms++) {
        if (errno != EWOULDBLOCK || ms == STORE_LOCK_MS) {
            int code = -errno;
            (void)close(fd);
            return err_set(e, code,
                           "networks/lock: another limpet holds it (fuser "
                           "shows which)");
        }
        const struct timespec step = {.tv_nsec = 1000000};
        (void)nanosleep(&step, NULL);
    }
    s->lock = fd;
    return 0;
}

int store_trylock(struct store *s)
{
    int fd = path_open(s->dir, "lock", O_RDWR | O_CREAT, NULL);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        s->lock = fd;
        return 0;
    }
    int code = fd < 0 ? fd : -errno;
    if (fd >= 0)
        (void)close(fd);
    return code;
}

void store_unlock(struct store *s)
{
    if (s->lock >= 0)
        (void)close(s->lock);
    s->lock = -1;
}

/* ---- names ---- */

int store_check_name(const char *name, struct err *e)
{
    size_t n = strlen(name);
    bool good = n > 0 && n < STORE_NAME_SIZE && isalnum((unsigned char)name[0]);
    for (size_t i = 0; good && i < n; i++)
        good =
            isalnum((unsigned char)name[i]) || strchr("_.-", name[i]) != NULL;
    if (!good)
        return err_set(e, -EINVAL,
                       "invalid network name (%.64s), only "
                       "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62} are allowed",
                       name);
    static const char *const modes[] = {"none", "host", "user", "default"};
    for (size_t i = 0; i < ARRAY_COUNT(modes); i++)
        if (strcmp(name, modes[i]) == 0)
            return err_set(e, -EEXIST,
                           "%s is a mode of --network: choose "
                           "another name",
                           name);
    return 0;
}

bool store_is_made(const struct store_network *w)
{
    return strcmp(w->name, STORE_DEFAULT) != 0;
}

static void store_file(const char *name, char out[STORE_FILE_NAME])
{
    (void)snprintf(out, STORE_FILE_NAME, "%s.json", name);
}

/* ---- JSON ---- */

static void store_put_addr(json_t *o, const char *key, const struct net_addr *a,
                           bool prefix)
{
    char text[NET_ADDR_TEXT_SIZE];
    net_addr_text(a, prefix, text);
    (void)json_object_set_new(o, key, json_string(text));
}

json_t *store_json(const struct store_network *w)
{
    json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:i}",
                          "version", 1, "name", w->name, "id", w->id, "created",
                          w->created, "driver", "bridge", "bridge", w->bridge,
                          "internal", w->internal, "isolated", w->isolated,
                          "ipv6", w->has6, "mtu", (int)w->mtu);
    if (o == NULL)
        return NULL;
    store_put_addr(o, "subnet", &w->subnet4, true);
    store_put_addr(o, "gateway", &w->gateway4, false);
    if (w->has6) {
        store_put_addr(o, "subnet6", &w->subnet6, true);
        store_put_addr(o, "gateway6", &w->gateway6, false);
    }
    (void)json_object_set_new(o, "labels",
                              w->labels != NULL ? json_deep_copy(w->labels)
                                                : json_object());
    return o;
}

static int store_get_addr(const json_t *o, const char *key, const char *where,
                          struct net_addr *out, struct err *e)
{
    const char *text;
    if (json_get_str(o, key, where, &text, e) < 0)
        return e->code;
    if (net_addr_parse(text, out) < 0)
        return err_set(e, -EINVAL, "%s: \"%s\" is no address", where, key);
    return 0;
}

/* A string member into a field of that size. */
static int store_get_text(const json_t *o, const char *key, const char *where,
                          char *out, size_t size)
{
    struct err e;
    const char *text;
    if (json_get_str(o, key, where, &text, &e) < 0 || strlen(text) >= size)
        return -EINVAL;
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int store_get_flags(const json_t *o, const char *where,
                           struct store_network *w, struct err *e)
{
    uint64_t mtu = 0;
    int code = json_get_bool(o, "internal", where, &w->internal, e);
    if (code == 0)
        code = json_get_bool(o, "isolated", where, &w->isolated, e);
    if (code == 0)
        code = json_get_bool(o, "ipv6", where, &w->has6, e);
    if (code == 0)
        code = json_get_u64(o, "mtu", where, NET_MTU_MAX, &mtu, e);
    w->mtu = (uint32_t)mtu;
    return code;
}

static int store_from_json(const json_t *o, const char *where,
                           struct store_network *w, struct err *e)
{
    if (store_get_text(o, "name", where, w->name, sizeof(w->name)) < 0 ||
        store_get_text(o, "id", where, w->id, sizeof(w->id)) < 0 ||
        store_get_text(o, "created", where, w->created, sizeof(w->created)) <
            0 ||
        store_get_text(o, "bridge", where, w->bridge, sizeof(w->bridge)) < 0)
        return err_set(e, -EINVAL, "%s: damaged: remove it", where);
    int code = store_get_flags(o, where, w, e);
    if (code == 0)
        code = store_get_addr(o, "subnet", where, &w->subnet4, e);
    if (code == 0)
        code = store_get_addr(o, "gateway", where, &w->gateway4, e);
    if (code == 0 && w->has6)
        code = store_get_addr(o, "subnet6", where, &w->subnet6, e);
    if (code == 0 && w->has6)
        code = store_get_addr(o, "gateway6", where, &w->gateway6, e);
    w->gateway4.prefix = w->subnet4.prefix;
    w->gateway6.prefix = w->subnet6.prefix;
    if (code == 0)
        w->labels = json_deep_copy(json_object_get(o, "labels"));
    return code;
}

/* ---- files ---- */

static int store_load(const struct store *s, const char *name,
                      struct store_network *out, struct err *e)
{
    char file[STORE_FILE_NAME];
    AUTO_FREE char *text = NULL;
    size_t size;
    *out = (struct store_network){0};
    store_file(name, file);
    int code = path_read(s->dir, file, STORE_FILE_MAX, &text, &size, e);
    if (code < 0)
        return code;
    json_t *o = json_parse(text, size, file, e);
    if (o == NULL)
        return -EINVAL;
    code = store_from_json(o, file, out, e);
    json_decref(o);
    return code;
}

static int store_by_id(const struct store *s, const char *ref,
                       struct store_network *out, struct err *e)
{
    struct store_network *list;
    size_t count;
    size_t found = 0;
    char name[STORE_NAME_SIZE] = "";
    int code = store_list(s, &list, &count, e);
    if (code < 0)
        return code;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(list[i].id, ref, strlen(ref)) != 0)
            continue;
        memcpy(name, list[i].name, sizeof(name));
        found++;
    }
    store_list_free(list, count);
    if (found > 1)
        return err_set(e, -EEXIST,
                       "multiple networks match the ID %.64s: give more of it",
                       ref);
    return found == 1 ? store_load(s, name, out, e) : -ENOENT;
}

int store_read(const struct store *s, const char *ref,
               struct store_network *out, struct err *e)
{
    struct err quiet;
    *out = (struct store_network){0};
    int code = -ENOENT;
    if (store_check_name(ref, &quiet) == 0) {
        code = store_load(s, ref, out, e);
        if (code == -ENOENT)
            code = store_by_id(s, ref, out, e);
    }
    return code == -ENOENT ? err_set(e, code, "network %.64s not found", ref)
                           : code;
}

int store_write(const struct store *s, const struct store_network *w,
                struct err *e)
{
    char file[STORE_FILE_NAME];
    json_t *o = store_json(w);
    AUTO_FREE char *text = o != NULL ? json_dumps(o, JSON_INDENT(1)) : NULL;
    json_decref(o);
    store_file(w->name, file);
    if (text == NULL)
        return err_set(e, -EINVAL, "%s: not UTF-8, or out of memory", file);
    return path_replace(s->dir, file, text, strlen(text), 1, e);
}

int store_remove(const struct store *s, const struct store_network *w,
                 struct err *e)
{
    char file[STORE_FILE_NAME];
    char claims[STORE_FILE_NAME + 16];
    store_file(w->name, file);
    for (int version = 4; version <= 6; version += 2) {
        (void)snprintf(claims, sizeof(claims), "claims/%s/.last%d", w->name,
                       version);
        (void)unlinkat(s->dir, claims, 0);
    }
    (void)snprintf(claims, sizeof(claims), "claims/%s", w->name);
    (void)unlinkat(s->dir, claims, AT_REMOVEDIR);
    if (unlinkat(s->dir, file, 0) < 0 && errno != ENOENT)
        return err_set(e, -errno, "networks/%s: %s", file, strerror(errno));
    return 0;
}

void store_network_fini(struct store_network *w)
{
    json_decref(w->labels);
    w->labels = NULL;
}

static int store_by_name(const void *a, const void *b)
{
    return strcmp(((const struct store_network *)a)->name,
                  ((const struct store_network *)b)->name);
}

int store_list(const struct store *s, struct store_network **out, size_t *count,
               struct err *e)
{
    struct store_network *list = NULL;
    size_t n = 0;
    int code = 0;
    int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (d == NULL && fd >= 0)
        (void)close(fd);
    const struct dirent *de;
    while (code == 0 && d != NULL && (de = readdir(d)) != NULL) {
        char name[STORE_NAME_SIZE];
        size_t size = strlen(de->d_name);
        if (size < 6 || size - 5 >= sizeof(name) ||
            strcmp(de->d_name + size - 5, ".json") != 0)
            continue;
        (void)snprintf(name, sizeof(name), "%.*s", (int)size - 5, de->d_name);
        struct store_network *more = reallocarray(list, n + 1, sizeof(*list));
        if (more == NULL) {
            code = err_set(e, -ENOMEM, "out of memory");
            break;
        }
        list = more;
        code = store_load(s, name, &list[n], e);
        n += code == 0;
        code = code == -ENOENT ? 0 : code; /* just removed */
    }
    if (d != NULL)
        (void)closedir(d);
    if (code < 0) {
        store_list_free(list, n);
        return code;
    }
    if (n > 1)
        qsort(list, n, sizeof(*list), store_by_name);
    *out = list;
    *count = n;
    return 0;
}

void store_list_free(struct store_network *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        store_network_fini(&list[i]);
    free(list);
}
