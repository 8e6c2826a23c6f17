// SPDX-License-Identifier: Apache-2.0
#include "supervisor/imagelist.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"

enum {
    IMAGELIST_RECORD_MAX = 8 << 20,
    IMAGELIST_REF_MAX = 64 << 10,
    IMAGELIST_ID_MIN = 4, /* digits */
    IMAGELIST_HEX = SHA256_HEX_SIZE - 1,
};

struct imagelist {
    struct imagelist_entry *entries; /* owned */
    size_t count, room;
};

static struct imagelist_entry *imagelist_add(struct imagelist *l)
{
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 16 : l->room * 2;
        struct imagelist_entry *more =
            realloc(l->entries, room * sizeof(*l->entries));
        if (more == NULL)
            return NULL;
        l->entries = more;
        l->room = room;
    }
    struct imagelist_entry *x = &l->entries[l->count++];
    *x = (struct imagelist_entry){.key = ""};
    return x;
}

static bool imagelist_is_hex(const char *text, size_t n)
{
    return strspn(text, "0123456789abcdef") >= n;
}

static void imagelist_digest(const json_t *doc, const char *key,
                             char out[SHA256_HEX_SIZE])
{
    const char *text = json_string_value(json_object_get(doc, key));
    out[0] = '\0';
    if (text != NULL && strncmp(text, "sha256:", 7) == 0 &&
        strlen(text + 7) == IMAGELIST_HEX &&
        imagelist_is_hex(text + 7, IMAGELIST_HEX))
        memcpy(out, text + 7, SHA256_HEX_SIZE);
}

/* RFC 3339 in UTC; fractions of seconds do not matter to people. */
static int64_t imagelist_time(const char *text)
{
    struct tm t = {0};
    if (text == NULL || strptime(text, "%Y-%m-%dT%H:%M:%S", &t) == NULL)
        return 0;
    return (int64_t)timegm(&t) * 1000000000;
}

static uint64_t imagelist_size(int root, const json_t *files)
{
    uint64_t size = 0;
    struct stat st;
    for (size_t i = 0; i < json_array_size(files); i++) {
        const char *name = json_string_value(json_array_get(files, i));
        if (name != NULL && fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            size += (uint64_t)st.st_blocks * 512;
    }
    return size;
}

/* False when the record is damaged. */
static bool imagelist_fill(int root, struct imagelist_entry *x)
{
    char path[SHA256_HEX_SIZE + 16];
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    struct err ignored;
    (void)snprintf(path, sizeof(path), "images/%s.json", x->hex);
    if (path_read(root, path, IMAGELIST_RECORD_MAX, &text, &size, &ignored) < 0)
        return false;
    json_t *doc = json_parse(text, size, path, &ignored);
    if (doc == NULL)
        return false;
    const char *os = json_string_value(json_object_get(doc, "os"));
    const char *arch = json_string_value(json_object_get(doc, "architecture"));
    imagelist_digest(doc, "config", x->config);
    (void)snprintf(x->platform, sizeof(x->platform), "%.15s/%.15s",
                   os != NULL ? os : "?", arch != NULL ? arch : "?");
    x->created_ns =
        imagelist_time(json_string_value(json_object_get(doc, "created")));
    x->size = imagelist_size(root, json_object_get(doc, "files"));
    json_decref(doc);
    return x->config[0] != '\0';
}

/* HEX, the reference, what it led to: lines of refs/KEY. */
static bool imagelist_parse_ref(char *text, struct imagelist_entry *x)
{
    char *save = NULL;
    struct err ignored;
    const char *line = strtok_r(text, "\n", &save);
    if (line == NULL || strlen(line) != IMAGELIST_HEX ||
        !imagelist_is_hex(line, IMAGELIST_HEX))
        return false;
    memcpy(x->hex, line, SHA256_HEX_SIZE);
    line = strtok_r(NULL, "\n", &save);
    (void)snprintf(x->ref, sizeof(x->ref), "%.767s", line != NULL ? line : "");
    if (strncmp(x->ref, "docker://", 9) != 0 ||
        regname_parse(x->ref, &x->name, &ignored) < 0)
        x->name = (struct regname){.host = ""};
    line = strtok_r(NULL, "\n", &save);
    if (line != NULL && strncmp(line, "sha256:", 7) == 0 &&
        strlen(line + 7) == IMAGELIST_HEX)
        memcpy(x->root, line + 7, SHA256_HEX_SIZE);
    return true;
}

static int imagelist_add_ref(int root, const char *key, struct imagelist *l)
{
    char path[SHA256_HEX_SIZE + 8];
    AUTO_FREE char *text = NULL;
    struct err ignored;
    if (strlen(key) != IMAGELIST_HEX || !imagelist_is_hex(key, IMAGELIST_HEX))
        return 0;
    (void)snprintf(path, sizeof(path), "refs/%.64s", key);
    if (path_read(root, path, IMAGELIST_REF_MAX, &text, NULL, &ignored) < 0)
        return 0;
    struct imagelist_entry *x = imagelist_add(l);
    if (x == NULL)
        return -ENOMEM;
    memcpy(x->key, key, SHA256_HEX_SIZE);
    if (!imagelist_parse_ref(text, x) || !imagelist_fill(root, x))
        l->count--;
    return 0;
}

static int imagelist_add_image(int root, const char *file, struct imagelist *l)
{
    if (strlen(file) != IMAGELIST_HEX + 5 ||
        !imagelist_is_hex(file, IMAGELIST_HEX) ||
        strcmp(file + IMAGELIST_HEX, ".json") != 0)
        return 0;
    for (size_t i = 0; i < l->count; i++)
        if (strncmp(l->entries[i].hex, file, IMAGELIST_HEX) == 0)
            return 0;
    struct imagelist_entry *x = imagelist_add(l);
    if (x == NULL)
        return -ENOMEM;
    memcpy(x->hex, file, IMAGELIST_HEX);
    x->hex[IMAGELIST_HEX] = '\0';
    if (!imagelist_fill(root, x))
        l->count--;
    return 0;
}

static int imagelist_walk(int root, const char *name, struct imagelist *l,
                          int (*add)(int root, const char *name,
                                     struct imagelist *l))
{
    int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL)
        return errno == ENOENT ? 0 : -errno;
    int code = 0;
    const struct dirent *d;
    while (code == 0 && (d = readdir(dir)) != NULL)
        code = add(root, d->d_name, l);
    (void)closedir(dir);
    return code;
}

static int imagelist_compare(const void *a, const void *b)
{
    const struct imagelist_entry *x = a;
    const struct imagelist_entry *y = b;
    if (x->created_ns != y->created_ns)
        return x->created_ns > y->created_ns ? -1 : 1;
    return strcmp(x->ref, y->ref);
}

int imagelist_read(int root, struct imagelist_entry **out, size_t *count,
                   struct err *e)
{
    struct imagelist l = {0};
    int code = imagelist_walk(root, "refs", &l, imagelist_add_ref);
    if (code == 0)
        code = imagelist_walk(root, "images", &l, imagelist_add_image);
    if (code < 0) {
        free(l.entries);
        return err_set(e, code, "reading the store: %s", strerror(-code));
    }
    if (l.count > 0)
        qsort(l.entries, l.count, sizeof(*l.entries), imagelist_compare);
    *out = l.entries;
    *count = l.count;
    return 0;
}

int imagelist_find_id(int root, const char *text, char hex[SHA256_HEX_SIZE],
                      struct err *e)
{
    struct imagelist_entry *list = NULL;
    size_t count = 0;
    if (strncmp(text, "sha256:", 7) == 0)
        text += 7;
    size_t n = strlen(text);
    if (n < IMAGELIST_ID_MIN || n > IMAGELIST_HEX || !imagelist_is_hex(text, n))
        return -ENOENT;
    int code = imagelist_read(root, &list, &count, e);
    if (code < 0)
        return code;
    code = -ENOENT;
    for (size_t i = 0; i < count && code != -EEXIST; i++) {
        if (strncmp(list[i].config, text, n) != 0 &&
            strncmp(list[i].hex, text, n) != 0)
            continue;
        if (code == 0 && strcmp(hex, list[i].hex) != 0)
            code = err_set(e, -EEXIST, "%s: several images begin so", text);
        else
            code = 0;
        memcpy(hex, list[i].hex, SHA256_HEX_SIZE);
    }
    free(list);
    return code;
}
