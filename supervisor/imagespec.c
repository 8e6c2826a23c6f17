// SPDX-License-Identifier: Apache-2.0
#include "supervisor/imagespec.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/imgref.h"
#include "base/json.h"
#include "base/path.h"
#include "supervisor/imagelist.h"

enum { IMAGESPEC_JSON_MAX = 8 << 20, IMAGESPEC_HEX = SHA256_HEX_SIZE - 1 };

/* Through refs/KEY. */
static int imagespec_lookup_key(int root, const char *key, char hex[65])
{
    char path[SHA256_HEX_SIZE + 8];
    char text[IMAGESPEC_HEX + 1] = "";
    (void)snprintf(path, sizeof(path), "refs/%s", key);
    AUTO_CLOSE int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text)) != (ssize_t)sizeof(text))
        return -ENOENT;
    if (strspn(text, "0123456789abcdef") != IMAGESPEC_HEX ||
        text[IMAGESPEC_HEX] != '\n')
        return -ENOENT;
    memcpy(hex, text, IMAGESPEC_HEX);
    hex[IMAGESPEC_HEX] = '\0';
    char image[SHA256_HEX_SIZE + 16];
    (void)snprintf(image, sizeof(image), "images/%s.json", hex);
    return faccessat(root, image, F_OK, 0) < 0 ? -ENOENT : 0;
}

int imagespec_lookup(int root, const char *ref, const char *arch, char hex[65],
                     struct err *e)
{
    struct imgref r;
    char key[SHA256_HEX_SIZE];
    int code = imgref_parse(ref, &r, e);
    if (code == 0)
        code = imgref_key(&r, arch, key, e);
    if (code < 0)
        return code == -ENOENT ? -EINVAL : code;
    code = imagespec_lookup_key(root, key, hex);
    if (code == -ENOENT && r.kind == IMGREF_REGISTRY)
        code = imagelist_find_id(root, ref, hex, e);
    return code;
}

const char *imagespec_file(const struct imagespec *i, size_t index)
{
    return json_string_value(
        json_array_get(json_object_get(i->doc, "files"), index));
}

static int imagespec_open_file(int root, const char *name, struct err *e)
{
    bool known = name != NULL && (strncmp(name, "meta/", 5) == 0 ||
                                  strncmp(name, "layers/", 7) == 0);
    if (!known || strchr(strchr(name, '/') + 1, '/') != NULL)
        return err_set(e, -EINVAL, "\"files\" names something strange");
    return path_open(root, name, O_RDONLY | O_NOFOLLOW, e);
}

int imagespec_open(int root, const char *hex, struct imagespec *out,
                   struct err *e)
{
    char path[96];
    (void)snprintf(path, sizeof(path), "images/%.64s.json", hex);
    memset(out, 0, sizeof(*out));
    AUTO_FREE char *text = NULL;
    size_t size;
    int code = path_read(root, path, IMAGESPEC_JSON_MAX, &text, &size, e);
    if (code < 0)
        return code;
    out->doc = json_parse(text, size, path, e);
    if (out->doc == NULL)
        return -EINVAL;

    json_t *files;
    code = json_get_arr(out->doc, "files", path, &files, e);
    if (code == 0 && (json_array_size(files) == 0 ||
                      json_array_size(files) > IMAGESPEC_FILES_MAX))
        code =
            err_set(e, -EINVAL, "%s: %zu files", path, json_array_size(files));
    for (size_t i = 0; code == 0 && i < json_array_size(files); i++) {
        int fd = imagespec_open_file(root, imagespec_file(out, i), e);
        if (fd < 0)
            code = err_wrap(e, "%s", path);
        else
            out->fds[out->fd_count++] = fd;
    }
    if (code < 0)
        imagespec_fini(out);
    return code;
}

void imagespec_fini(struct imagespec *i)
{
    for (size_t n = 0; n < i->fd_count; n++)
        (void)close(i->fds[n]);
    i->fd_count = 0;
    json_decref(i->doc);
    i->doc = NULL;
}
