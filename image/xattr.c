// SPDX-License-Identifier: Apache-2.0
#include "image/xattr.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"

struct xattr {
    uint8_t prefix;
    int order; /* in the archive */
    const char *name;
    size_t name_size;
    const void *value;
    size_t value_size;
};

static const struct {
    const char *text;
    uint8_t index;
    uint8_t whole; /* the prefix is all of the name */
} xattr_prefixes[] = {
    {"user.", 1, 0},
    {"system.posix_acl_access", 2, 1},
    {"system.posix_acl_default", 3, 1},
    {"trusted.", 4, 0},
    {"security.", 6, 0},
};

/* 1 when EROFS has an index for the prefix of `name`. */
static int xattr_split(const char *name, struct xattr *x)
{
    for (size_t i = 0; i < ARRAY_COUNT(xattr_prefixes); i++) {
        size_t n = strlen(xattr_prefixes[i].text);
        if (strncmp(name, xattr_prefixes[i].text, n) != 0 ||
            (name[n] != '\0') == xattr_prefixes[i].whole)
            continue;
        x->prefix = xattr_prefixes[i].index;
        x->name = name + n;
        x->name_size = strlen(x->name);
        return 1;
    }
    return 0;
}

static int xattr_same_name(const struct xattr *a, const struct xattr *b)
{
    return a->prefix == b->prefix && strcmp(a->name, b->name) == 0;
}

static int xattr_compare(const void *pa, const void *pb)
{
    const struct xattr *a = pa;
    const struct xattr *b = pb;
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    int c = strcmp(a->name, b->name);
    return c != 0 ? c : a->order - b->order;
}

static int xattr_put(const struct xattr *x, uint8_t *out, uint32_t *size,
                     struct err *e)
{
    size_t n = 4 + x->name_size + x->value_size;
    size_t whole = (n + 3) & ~(size_t)3;
    if (x->name_size > UINT8_MAX || x->value_size > UINT16_MAX ||
        whole > XATTR_AREA_MAX - *size)
        return err_set(e, -E2BIG, "extended attribute %.60s is too large",
                       x->name);
    uint8_t *p = out + *size;
    memset(p + whole - 4, 0, 4);
    p[0] = (uint8_t)x->name_size;
    p[1] = x->prefix;
    p[2] = (uint8_t)(x->value_size & 0xff);
    p[3] = (uint8_t)(x->value_size >> 8);
    memcpy(p + 4, x->name, x->name_size);
    if (x->value_size > 0)
        memcpy(p + 4 + x->name_size, x->value, x->value_size);
    *size += (uint32_t)whole;
    return 0;
}

int xattr_encode(struct archive_entry *entry, uint8_t *out, uint32_t *size,
                 struct err *e)
{
    *size = 0;
    int count = archive_entry_xattr_reset(entry);
    if (count <= 0)
        return 0;
    AUTO_FREE struct xattr *list = calloc((size_t)count, sizeof(*list));
    if (list == NULL)
        return err_set(e, -ENOMEM, "out of memory");

    size_t used = 0;
    const char *name;
    const void *value;
    size_t value_size;
    while (used < (size_t)count &&
           archive_entry_xattr_next(entry, &name, &value, &value_size) ==
               ARCHIVE_OK) {
        struct xattr *x = &list[used];
        /* libarchive hands them out last first. */
        x->order = -(int)used;
        x->value = value;
        x->value_size = value_size;
        if (name != NULL && xattr_split(name, x))
            used++;
    }
    qsort(list, used, sizeof(*list), xattr_compare);
    for (size_t i = 0; i < used; i++) {
        if (i + 1 < used && xattr_same_name(&list[i], &list[i + 1]))
            continue;
        int code = xattr_put(&list[i], out, size, e);
        if (code < 0)
            return code;
    }
    return 0;
}
