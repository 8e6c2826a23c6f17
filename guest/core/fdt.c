// SPDX-License-Identifier: Apache-2.0
#include "guest/core/fdt.h"

#include "abi/linux/errno.h"

#include "guest/core/klib.h"

/* DTSpec 0.4, 5.2 and 5.4.1. */
#define FDT_MAGIC      0xd00dfeedu
#define FDT_BEGIN_NODE 1u
#define FDT_END_NODE   2u
#define FDT_PROP       3u
#define FDT_NOP        4u
#define FDT_HEADER     40u

static const uint8_t *fdt_struct;
static const char *fdt_strings;
static uint32_t fdt_struct_size, fdt_strings_size;

static uint32_t be32(const void *p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, sizeof(v)); /* one load, not a call */
    return __builtin_bswap32(v);
}

int fdt_init(const void *blob, size_t size)
{
    const uint8_t *b = blob;
    if (size < FDT_HEADER || be32(b) != FDT_MAGIC || be32(b + 4) > size)
        return -EINVAL;

    uint32_t total = be32(b + 4);
    uint32_t struct_off = be32(b + 8);
    uint32_t strings_off = be32(b + 12);
    uint32_t strings_size = be32(b + 32);
    uint32_t struct_size = be32(b + 36);
    if (struct_off > total || struct_size > total - struct_off ||
        strings_off > total || strings_size > total - strings_off ||
        strings_size == 0 || b[strings_off + strings_size - 1] != 0)
        return -EINVAL;
    fdt_struct = b + struct_off;
    fdt_struct_size = struct_size;
    fdt_strings = (const char *)b + strings_off;
    fdt_strings_size = strings_size;
    return 0;
}

/* One token of the structure block. */
struct fdt_token {
    uint32_t kind;
    const char *name; /* property */
    const void *data;
    uint32_t size;
};

/* Reads the token at *off and moves *off behind it. False at the end, or when
 * the block is not well-formed. */
static bool fdt_token(uint32_t *off, struct fdt_token *t)
{
    if (fdt_struct_size - *off < 4 || *off > fdt_struct_size)
        return false;
    *t = (struct fdt_token){.kind = be32(fdt_struct + *off)};
    uint32_t left = fdt_struct_size - *off - 4;
    uint32_t used = 4;
    if (t->kind == FDT_BEGIN_NODE) {
        const char *name = (const char *)fdt_struct + *off + 4;
        uint32_t last = 3; /* zeros fill the word with the end */
        while (last < left && name[last] != '\0')
            last += 4;
        if (last >= left)
            return false;
        used += last + 1;
    } else if (t->kind == FDT_PROP) {
        if (left < 8)
            return false;
        t->size = be32(fdt_struct + *off + 4);
        uint32_t name_off = be32(fdt_struct + *off + 8);
        if (t->size > left - 8 || name_off >= fdt_strings_size)
            return false;
        t->data = fdt_struct + *off + 12;
        t->name = fdt_strings + name_off;
        used += (uint32_t)ROUND_UP(t->size + 8, UINT64_C(4));
    } else if (t->kind != FDT_END_NODE && t->kind != FDT_NOP) {
        return false;
    }
    *off += used;
    return true;
}

const void *fdt_prop(const struct fdt_node *n, const char *name, uint32_t *size)
{
    struct fdt_token t;
    uint32_t off = n->off;
    while (fdt_token(&off, &t)) {
        if (t.kind == FDT_BEGIN_NODE || t.kind == FDT_END_NODE)
            break; /* properties come before children */
        if (t.kind != FDT_PROP || strcmp(t.name, name) != 0)
            continue;
        if (size != NULL)
            *size = t.size;
        return t.data;
    }
    return NULL;
}

const char *fdt_list_next(const struct fdt_value *v, uint32_t *off)
{
    const char *list = v->data;
    if (*off >= v->size || list[v->size - 1] != '\0')
        return NULL;
    const char *s = list + *off;
    *off += (uint32_t)strlen(s) + 1;
    return s;
}

bool fdt_has(const struct fdt_value *v, const char *text)
{
    uint32_t off = 0;
    const char *s;
    while ((s = fdt_list_next(v, &off)) != NULL)
        if (strcmp(s, text) == 0)
            return true;
    return false;
}

/* Properties come right after the beginning of the node that they belong to. */
bool fdt_walk(struct fdt_walk *w, struct fdt_value *out)
{
    struct fdt_token t;
    while (fdt_token(&w->off, &t)) {
        if (t.kind == FDT_BEGIN_NODE)
            w->node.off = w->off;
        if (t.kind != FDT_PROP || w->node.off == 0)
            continue;
        *out = (struct fdt_value){t.name, t.data, t.size};
        return true;
    }
    return false;
}

bool fdt_next_compatible(struct fdt_node *n, const char *compat)
{
    struct fdt_walk w = {.off = n->off};
    struct fdt_value v;
    while (fdt_walk(&w, &v)) {
        if (strcmp(v.name, "compatible") == 0 && fdt_has(&v, compat)) {
            *n = w.node;
            return true;
        }
    }
    return false;
}

uint32_t fdt_cell(const void *prop, unsigned index)
{
    return be32((const uint8_t *)prop + 4 * (size_t)index);
}

uint64_t fdt_cell2(const void *prop, unsigned index)
{
    return (uint64_t)fdt_cell(prop, index) << 32 | fdt_cell(prop, index + 1);
}
