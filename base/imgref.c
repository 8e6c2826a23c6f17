// SPDX-License-Identifier: Apache-2.0
#include "base/imgref.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"

enum { IMGREF_INDEX_MAX = 4 << 20 }; /* bytes of an index.json */

static const struct {
    const char *prefix;
    enum imgref_kind kind;
} imgref_kinds[] = {
    {"oci:", IMGREF_OCI},
    {"oci-archive:", IMGREF_OCI_ARCHIVE},
    {"docker-archive:", IMGREF_DOCKER_ARCHIVE},
};

int imgref_parse(const char *text, struct imgref *out, struct err *e)
{
    for (size_t i = 0; i < ARRAY_COUNT(imgref_kinds); i++) {
        size_t n = strlen(imgref_kinds[i].prefix);
        if (strncmp(text, imgref_kinds[i].prefix, n) != 0)
            continue;

        const char *path = text + n;
        const char *slash = strrchr(path, '/');
        const char *colon = strchr(slash != NULL ? slash : path, ':');
        size_t len = colon != NULL ? (size_t)(colon - path) : strlen(path);
        const char *tag = colon != NULL ? colon + 1 : "";
        if (len == 0 || len >= sizeof(out->path) ||
            strlen(tag) >= sizeof(out->tag))
            return err_set(e, -EINVAL, "%.200s: no path, or too long", text);
        *out = (struct imgref){.kind = imgref_kinds[i].kind};
        memcpy(out->path, path, len);
        memcpy(out->tag, tag, strlen(tag) + 1);
        return 0;
    }
    *out = (struct imgref){.kind = IMGREF_REGISTRY};
    struct err inner;
    if (regname_parse(text, &out->name, &inner) < 0)
        return err_set(e, -EINVAL,
                       "%s (files: oci:DIR[:TAG], oci-archive:FILE[:TAG], "
                       "docker-archive:FILE[:TAG])",
                       inner.msg);
    char name[REGNAME_TEXT_SIZE];
    regname_text(&out->name, name);
    memcpy(out->path, name, sizeof(name));
    return 0;
}

static int imgref_layout_key(const struct imgref *r, const char *real,
                             const char *arch, struct buf *key, struct err *e)
{
    AUTO_CLOSE int dir = path_open(AT_FDCWD, real, O_RDONLY | O_DIRECTORY, e);
    if (dir < 0)
        return dir;
    AUTO_FREE char *index = NULL;
    size_t size;
    struct err inner;
    int code =
        path_read(dir, "index.json", IMGREF_INDEX_MAX, &index, &size, &inner);
    if (code < 0)
        return err_set(e, code, "%s: not an OCI layout: %s", r->path,
                       inner.msg);
    char digest[SHA256_HEX_SIZE];
    sha256_text(index, size, digest);
    buf_printf(key, "oci:%s:%s@%s:%s", real, r->tag, digest, arch);
    return 0;
}

int imgref_key(const struct imgref *r, const char *arch,
               char out[SHA256_HEX_SIZE], struct err *e)
{
    if (r->kind == IMGREF_REGISTRY) {
        char text[REGNAME_TEXT_SIZE + 64];
        int n = snprintf(text, sizeof(text), "docker://%s:%s", r->path, arch);
        sha256_text(text, (size_t)n, out);
        return 0;
    }
    AUTO_FREE char *real = realpath(r->path, NULL);
    struct stat st;
    if (real == NULL || stat(real, &st) < 0) {
        int code = -errno;
        return err_set(e, code, "%s: %s", r->path, strerror(-code));
    }

    struct buf key = {0};
    int code = 0;
    if (r->kind == IMGREF_OCI)
        code = imgref_layout_key(r, real, arch, &key, e);
    else
        buf_printf(
            &key, "%s%s:%s@%lld-%lld-%llu:%s", imgref_kinds[r->kind].prefix,
            real, r->tag, (long long)st.st_size,
            (long long)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
            (unsigned long long)st.st_ino, arch);
    if (code == 0 && key.failed != 0)
        code = err_set(e, key.failed, "%s: name too long", r->path);
    if (code == 0)
        sha256_text(key.data, key.size, out);
    buf_fini(&key);
    return code;
}
