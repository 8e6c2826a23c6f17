// SPDX-License-Identifier: Apache-2.0
#include "image/tarpath.h"

#include <string.h>

#include "base/err.h"

#define TARPATH_WH        ".wh."
#define TARPATH_WH_META   ".wh..wh."
#define TARPATH_WH_OPAQUE ".wh..wh..opq"

static size_t tarpath_parent(const struct tarpath *p)
{
    size_t n = p->size;
    while (n > 0 && p->text[n - 1] != '/')
        n--;
    return n > 0 ? n - 1 : 0;
}

static int tarpath_push(struct tarpath *p, const char *name, size_t size,
                        struct err *e)
{
    if (size > INDEX_NAME_MAX)
        return err_set(e, -ENAMETOOLONG, "a name of %zu bytes (255 at most)",
                       size);
    size_t slash = p->size > 0 ? 1 : 0;
    if (size + slash > INDEX_PATH_MAX - p->size)
        return err_set(e, -ENAMETOOLONG, "a path over 4095 bytes");
    if (slash != 0)
        p->text[p->size++] = '/';
    memcpy(p->text + p->size, name, size);
    p->size += size;
    return 0;
}

int tarpath_normalise(const char *name, struct tarpath *out, struct err *e)
{
    out->size = 0;
    int code = 0;
    while (*name != '\0' && code == 0) {
        size_t n = strcspn(name, "/");
        if (n == 2 && name[0] == '.' && name[1] == '.') {
            if (out->size == 0)
                return err_set(e, -EINVAL, "path leaves the root");
            out->size = tarpath_parent(out);
        } else if (n > 0 && !(n == 1 && name[0] == '.')) {
            code = tarpath_push(out, name, n, e);
        }
        name += n + (name[n] == '/' ? 1 : 0);
    }
    out->text[out->size] = '\0';
    return code;
}

int tarpath_whiteout(struct tarpath *p, enum tarpath_kind *kind, struct err *e)
{
    size_t parent = tarpath_parent(p);
    size_t at = parent > 0 ? parent + 1 : 0;
    const char *base = p->text + at;
    *kind = TARPATH_PLAIN;
    if (at > 0 &&
        strncmp(p->text, TARPATH_WH_META, strlen(TARPATH_WH_META)) == 0)
        *kind = TARPATH_IGNORED;
    if (strncmp(base, TARPATH_WH, strlen(TARPATH_WH)) != 0)
        return 0;

    if (strcmp(base, TARPATH_WH_OPAQUE) == 0) {
        *kind = TARPATH_OPAQUE;
        p->size = parent;
    } else if (strncmp(base, TARPATH_WH_META, strlen(TARPATH_WH_META)) == 0) {
        *kind = TARPATH_IGNORED;
    } else {
        const char *victim = base + strlen(TARPATH_WH);
        if (victim[0] == '\0' || strcmp(victim, ".") == 0 ||
            strcmp(victim, "..") == 0)
            return err_set(e, -EINVAL, "a whiteout of \"%s\"", victim);
        *kind = TARPATH_WHITEOUT;
        p->size -= strlen(TARPATH_WH);
        memmove(p->text + at, victim, p->size - at);
    }
    p->text[p->size] = '\0';
    return 0;
}
