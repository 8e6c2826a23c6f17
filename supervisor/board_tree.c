// SPDX-License-Identifier: Apache-2.0
/* Device tree blob -> array of nodes. */
#include "supervisor/board_tree.h"

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"

/* Devicetree specification 0.4, 2.3.5: what a missing property means. */
enum { TREE_ADDRESS_CELLS = 2, TREE_SIZE_CELLS = 1, TREE_VERSION = 17 };

static const char *const tree_names[TREE_NAMES] = {
    [TREE_COMPATIBLE] = "compatible",   [TREE_REG] = "reg",
    [TREE_RANGES] = "ranges",           [TREE_STATUS] = "status",
    [TREE_DEVICE_TYPE] = "device_type", [TREE_INTERRUPTS] = "interrupts",
};

static int tree_bad(const char *where, int rc, struct err *e)
{
    return err_set(e, -EINVAL, "%s: not a good device tree: %s", where,
                   fdt_strerror(rc));
}

/* libfdt looks for the NUL of a property's name at every comparison: a name of
 * a megabyte would make each of them as slow as reading the whole blob. */
static int tree_check_strings(const struct tree *t, const char *where,
                              struct err *e)
{
    const char *s = (const char *)t->blob + fdt_off_dt_strings(t->blob);
    size_t run = 0;
    for (size_t i = 0; i < fdt_size_dt_strings(t->blob); i++) {
        run = s[i] == '\0' ? 0 : run + 1;
        if (run > TREE_STRING_MAX)
            return err_set(e, -EINVAL,
                           "%s: not a good device tree: a property's name is "
                           "longer than %d bytes",
                           where, TREE_STRING_MAX);
    }
    return 0;
}

static int tree_check(struct tree *t, const void *blob, size_t size,
                      const char *where, struct err *e)
{
    if (size > TREE_SIZE_MAX)
        return err_set(e, -EFBIG, "%s: %zu bytes; a device tree has at most %d",
                       where, size, TREE_SIZE_MAX);
    if (size < sizeof(struct fdt_header))
        return err_set(e, -EINVAL,
                       "%s: %zu bytes are too few for a device tree", where,
                       size);
    t->blob = malloc(size);
    if (t->blob == NULL)
        return err_set(e, -ENOMEM, "%s: out of memory", where);
    memcpy(t->blob, blob, size);
    int rc = fdt_check_header(t->blob);
    if (rc == 0 && fdt_totalsize(t->blob) > size)
        rc = -FDT_ERR_TRUNCATED;
    if (rc == 0 && fdt_version(t->blob) < TREE_VERSION)
        rc = -FDT_ERR_BADVERSION;
    if (rc < 0)
        return tree_bad(where, rc, e);
    int code = tree_check_strings(t, where, e);
    if (code < 0)
        return code;
    rc = fdt_check_full(t->blob, size);
    return rc < 0 ? tree_bad(where, rc, e) : 0;
}

static uint32_t tree_one_cell(struct tree_prop p, uint32_t otherwise)
{
    uint32_t v;
    return p.size == sizeof(v) && tree_cell(p, 0, &v) ? v : otherwise;
}

static void tree_note(struct tree_node *n, const char *name, struct tree_prop p)
{
    for (int i = 0; i < TREE_NAMES; i++)
        if (strcmp(name, tree_names[i]) == 0)
            n->prop[i] = p;
    if (strcmp(name, "#address-cells") == 0)
        n->address_cells = tree_one_cell(p, UINT32_MAX);
    else if (strcmp(name, "#size-cells") == 0)
        n->size_cells = tree_one_cell(p, UINT32_MAX);
    else if (strcmp(name, "phandle") == 0 || strcmp(name, "linux,phandle") == 0)
        n->phandle = tree_one_cell(p, 0);
}

static int tree_read_node(struct tree *t, int offset, int depth, int parent)
{
    struct tree_node *n = &t->nodes[t->count];
    int size;
    *n = (struct tree_node){.offset = offset,
                            .parent = parent,
                            .depth = depth,
                            .address_cells = TREE_ADDRESS_CELLS,
                            .size_cells = TREE_SIZE_CELLS};
    n->name = fdt_get_name(t->blob, offset, &size);
    if (n->name == NULL)
        return size;
    int at;
    fdt_for_each_property_offset(at, t->blob, offset)
    {
        const char *name;
        const void *data = fdt_getprop_by_offset(t->blob, at, &name, &size);
        if (data == NULL)
            return size;
        tree_note(n, name, (struct tree_prop){data, (size_t)size});
    }
    if (at != -FDT_ERR_NOTFOUND)
        return at;
    const char *status = tree_string(n->prop[TREE_STATUS], 0);
    n->enabled = (n->prop[TREE_STATUS].data == NULL ||
                  (status != NULL && (strcmp(status, "okay") == 0 ||
                                      strcmp(status, "ok") == 0))) &&
                 (parent < 0 || t->nodes[parent].enabled);
    t->count++;
    return 0;
}

static int tree_read(struct tree *t, const char *where, struct err *e)
{
    int last[TREE_DEPTH_MAX + 1] = {0}; /* latest node of each depth */
    int room = 0;
    int depth = 0;
    int offset = 0;
    while (offset >= 0 && depth >= 0) {
        if (depth > TREE_DEPTH_MAX || t->count == TREE_NODES_MAX)
            return err_set(e, -EINVAL,
                           "%s: not a good device tree: more than %d levels "
                           "or %d nodes",
                           where, TREE_DEPTH_MAX, TREE_NODES_MAX);
        if (t->count == room) {
            room = room == 0 ? 1024 : room * 2;
            struct tree_node *more =
                realloc(t->nodes, (size_t)room * sizeof(*more));
            if (more == NULL)
                return err_set(e, -ENOMEM, "%s: out of memory", where);
            t->nodes = more;
        }
        last[depth] = t->count;
        int rc =
            tree_read_node(t, offset, depth, depth > 0 ? last[depth - 1] : -1);
        if (rc < 0)
            return tree_bad(where, rc, e);
        offset = fdt_next_node(t->blob, offset, &depth);
    }
    if (offset < 0 && offset != -FDT_ERR_NOTFOUND)
        return tree_bad(where, offset, e);
    return 0;
}

int tree_init(struct tree *t, const void *blob, size_t size, const char *where,
              struct err *e)
{
    *t = (struct tree){0};
    int code = tree_check(t, blob, size, where, e);
    if (code == 0)
        code = tree_read(t, where, e);
    if (code < 0)
        tree_fini(t);
    return code;
}

void tree_fini(struct tree *t)
{
    free(t->blob);
    free(t->nodes);
    *t = (struct tree){0};
}

int tree_child(const struct tree *t, int node, int after)
{
    for (int i = (after < 0 ? node : after) + 1;
         i < t->count && t->nodes[i].depth > t->nodes[node].depth; i++)
        if (t->nodes[i].parent == node)
            return i;
    return -1;
}

int tree_find(const struct tree *t, const char *path)
{
    int node = t->count > 0 && path[0] == '/' ? 0 : -1;
    const char *p = path;
    while (node >= 0) {
        p += strspn(p, "/");
        size_t n = strcspn(p, "/");
        if (n == 0)
            break;
        int child = tree_child(t, node, -1);
        while (child >= 0 && (strlen(t->nodes[child].name) != n ||
                              memcmp(t->nodes[child].name, p, n) != 0))
            child = tree_child(t, node, child);
        node = child;
        p += n;
    }
    return node;
}

int tree_by_phandle(const struct tree *t, uint32_t phandle)
{
    if (phandle == 0 || phandle == UINT32_MAX)
        return -1;
    for (int i = 0; i < t->count; i++)
        if (t->nodes[i].phandle == phandle)
            return i;
    return -1;
}

struct tree_prop tree_prop(const struct tree *t, int node, const char *name)
{
    int size;
    const char *data = fdt_getprop(t->blob, t->nodes[node].offset, name, &size);
    return data == NULL ? (struct tree_prop){0}
                        : (struct tree_prop){data, (size_t)size};
}

const char *tree_string(struct tree_prop p, unsigned n)
{
    while (p.data != NULL && p.size > 0) {
        const char *end = memchr(p.data, '\0', p.size);
        if (end == NULL)
            return NULL;
        if (n-- == 0)
            return p.data;
        p.size -= (size_t)(end + 1 - p.data);
        p.data = end + 1;
    }
    return NULL;
}

bool tree_cell(struct tree_prop p, size_t n, uint32_t *out)
{
    if (p.data == NULL || n >= p.size / sizeof(fdt32_t))
        return false;
    fdt32_t v;
    memcpy(&v, p.data + n * sizeof(v), sizeof(v));
    *out = fdt32_to_cpu(v);
    return true;
}

bool tree_is_compatible(const struct tree_node *n, const char *name)
{
    struct tree_prop p = n->prop[TREE_COMPATIBLE];
    size_t want = strlen(name) + 1;
    while (p.data != NULL && p.size >= want) {
        const char *end = memchr(p.data, '\0', p.size);
        if (end == NULL)
            return false;
        size_t size = (size_t)(end + 1 - p.data);
        if (size == want && memcmp(p.data, name, want) == 0)
            return true;
        p.data += size;
        p.size -= size;
    }
    return false;
}

void tree_path(const struct tree *t, int node, char *out, size_t size)
{
    int way[TREE_DEPTH_MAX + 1];
    int n = 0;
    for (int i = node; i > 0; i = t->nodes[i].parent)
        way[n++] = i;
    size_t used = 0;
    (void)snprintf(out, size, "/");
    while (n-- > 0 && used + 1 < size) {
        int wrote =
            snprintf(out + used, size - used, "/%s", t->nodes[way[n]].name);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
}

/* ---- addresses ---- */

static bool tree_cells_good(const struct tree_node *bus)
{
    return bus->address_cells <= TREE_CELLS_MAX &&
           bus->size_cells <= TREE_CELLS_MAX;
}

/* `cells` cells from cell `at`; what is above 64 bits must be zero. */
static int tree_number(struct tree_prop p, size_t at, uint32_t cells,
                       uint64_t *out)
{
    *out = 0;
    for (uint32_t i = 0; i < cells; i++) {
        uint32_t v;
        if (!tree_cell(p, at + i, &v) || (*out >> 32) != 0)
            return -EINVAL;
        *out = *out << 32 | v;
    }
    return 0;
}

int tree_reg_count(const struct tree *t, int node)
{
    const struct tree_node *n = &t->nodes[node];
    if (n->parent < 0 || n->prop[TREE_REG].data == NULL)
        return 0;
    const struct tree_node *bus = &t->nodes[n->parent];
    if (!tree_cells_good(bus) || bus->address_cells + bus->size_cells == 0)
        return -EINVAL;
    size_t entry = sizeof(fdt32_t) * (bus->address_cells + bus->size_cells);
    if (n->prop[TREE_REG].size % entry != 0)
        return -EINVAL;
    return (int)(n->prop[TREE_REG].size / entry);
}

int tree_reg(const struct tree *t, int node, int n, uint64_t *address,
             uint64_t *size)
{
    int count = tree_reg_count(t, node);
    if (count < 0)
        return count;
    if (n >= count)
        return -ENOENT;
    const struct tree_node *bus = &t->nodes[t->nodes[node].parent];
    struct tree_prop p = t->nodes[node].prop[TREE_REG];
    size_t at = (size_t)n * (bus->address_cells + bus->size_cells);
    int code = tree_number(p, at, bus->address_cells, address);
    if (code == 0)
        code = tree_number(p, at + bus->address_cells, bus->size_cells, size);
    return code;
}

/* One step up: *address on the bus `node` -> on the bus it sits on. */
static int tree_step(const struct tree *t, int node, uint64_t *address)
{
    const struct tree_node *n = &t->nodes[node];
    const struct tree_node *up = &t->nodes[n->parent];
    struct tree_prop p = n->prop[TREE_RANGES];
    if (p.data == NULL)
        return -ENOENT;
    if (p.size == 0)
        return 0;
    if (!tree_cells_good(n) || !tree_cells_good(up))
        return -EINVAL;
    size_t entry = (size_t)n->address_cells + up->address_cells + n->size_cells;
    if (entry == 0 || p.size % (entry * sizeof(fdt32_t)) != 0)
        return -EINVAL;
    for (size_t at = 0; at < p.size / sizeof(fdt32_t); at += entry) {
        uint64_t child;
        uint64_t parent;
        uint64_t size;
        /* A PCI range has flags in its first cell: not for us. */
        if (tree_number(p, at, n->address_cells, &child) < 0 ||
            tree_number(p, at + n->address_cells, up->address_cells, &parent) <
                0 ||
            tree_number(p, at + n->address_cells + up->address_cells,
                        n->size_cells, &size) < 0)
            continue;
        if (*address >= child && *address - child < size)
            return __builtin_add_overflow(parent, *address - child, address)
                       ? -EINVAL
                       : 0;
    }
    return -ENOENT;
}

int tree_address(const struct tree *t, int node, uint64_t *out)
{
    uint64_t size;
    int code = tree_reg(t, node, 0, out, &size);
    for (int i = t->nodes[node].parent; code == 0 && i > 0;
         i = t->nodes[i].parent)
        code = tree_step(t, i, out);
    return code;
}
