// SPDX-License-Identifier: Apache-2.0
/* Device tree -> facts: CPUs, GIC, serial ports, memory, buses. */
#include "supervisor/board_fdt.h"

#include <libfdt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "supervisor/board_fact.h"
#include "supervisor/board_tree.h"

enum { FDT_CPUS_MAX = 512, FDT_PATH = 200 };

/* `where` names the blob, in sources and warnings. */
struct fdt_reader {
    struct tree tree;
    const char *where;
    json_t *facts, *warnings;
    const char *serial[BOARD_LIST_MAX]; /* paths of the aliases serialN */
};

static void fdt_put(struct fdt_reader *r, const char *name, json_t *value,
                    int node)
{
    char source[BOARD_TEXT_MAX];
    char path[FDT_PATH];
    tree_path(&r->tree, node, path, sizeof(path));
    (void)snprintf(source, sizeof(source), "%s:%s", r->where, path);
    board_fact_put(r->facts, name, value, source);
}

static void fdt_warn(struct fdt_reader *r, int node, const char *what)
{
    char path[FDT_PATH];
    tree_path(&r->tree, node, path, sizeof(path));
    board_warn(r->warnings, "%s:%s: %s", r->where, path, what);
}

static json_t *fdt_text(struct tree_prop p)
{
    const char *s = tree_string(p, 0);
    return s != NULL ? board_text(s, p.size) : NULL;
}

static bool fdt_has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* ---- the root ---- */

static void fdt_read_root(struct fdt_reader *r)
{
    const struct tree_node *root = &r->tree.nodes[0];
    json_t *list = json_array();
    const char *s;
    for (unsigned i = 0;
         i < BOARD_LIST_MAX &&
         (s = tree_string(root->prop[TREE_COMPATIBLE], i)) != NULL;
         i++)
        (void)json_array_append_new(list, board_text(s, BOARD_TEXT_MAX));
    if (json_array_size(list) > 0)
        fdt_put(r, "compatible", json_incref(list), 0);
    json_decref(list);
    fdt_put(r, "model", fdt_text(tree_prop(&r->tree, 0, "model")), 0);
}

/* ---- CPUs ---- */

struct fdt_cpu {
    int node;
    int cluster; /* node of the cpu-map, or -1 */
};

static bool fdt_is_cpu(const struct tree_node *n)
{
    const char *type = tree_string(n->prop[TREE_DEVICE_TYPE], 0);
    const char *status = tree_string(n->prop[TREE_STATUS], 0);
    bool is = type != NULL ? strcmp(type, "cpu") == 0
                           : fdt_has_prefix(n->name, "cpu@");
    /* "disabled" ones wait to be started, "fail" ones never run. */
    return is && (status == NULL || !fdt_has_prefix(status, "fail"));
}

static const char *fdt_cpu_type(const struct fdt_reader *r,
                                const struct fdt_cpu *c)
{
    const char *s =
        tree_string(r->tree.nodes[c->node].prop[TREE_COMPATIBLE], 0);
    return s != NULL ? s : "unknown";
}

/* The nearest node above `leaf` called cluster*, or the map itself. */
static int fdt_cluster_of(const struct tree *t, int leaf, int map)
{
    int i = leaf;
    while (i != map && !fdt_has_prefix(t->nodes[i].name, "cluster"))
        i = t->nodes[i].parent;
    return i;
}

static void fdt_read_map(struct fdt_reader *r, struct fdt_cpu *cpus, int count)
{
    const struct tree *t = &r->tree;
    int map = tree_find(t, "/cpus/cpu-map");
    if (map < 0)
        return;
    int seen = 0;
    for (int i = map + 1;
         i < t->count && t->nodes[i].depth > t->nodes[map].depth; i++) {
        struct tree_prop p = tree_prop(t, i, "cpu");
        uint32_t phandle;
        if (!tree_cell(p, 0, &phandle))
            continue;
        int node = ++seen <= FDT_CPUS_MAX ? tree_by_phandle(t, phandle) : -1;
        int c = 0;
        while (c < count && cpus[c].node != node)
            c++;
        if (c == count || cpus[c].cluster >= 0)
            fdt_warn(r, i, "names no CPU, or one twice");
        else
            cpus[c].cluster = fdt_cluster_of(t, i, map);
    }
}

/* CPUs of one kind in one cluster, in the order of the first of each. */
static json_t *fdt_clusters(const struct fdt_reader *r,
                            const struct fdt_cpu *cpus, int count)
{
    json_t *list = json_array();
    bool taken[FDT_CPUS_MAX] = {false};
    for (int i = 0; i < count; i++) {
        if (taken[i] || json_array_size(list) == BOARD_LIST_MAX)
            continue;
        const char *type = fdt_cpu_type(r, &cpus[i]);
        int n = 0;
        for (int k = i; k < count; k++) {
            if (taken[k] || cpus[k].cluster != cpus[i].cluster ||
                strcmp(fdt_cpu_type(r, &cpus[k]), type) != 0)
                continue;
            taken[k] = true;
            n++;
        }
        json_t *one = json_pack("{s:o, s:i}", "cpu",
                                board_text(type, BOARD_TEXT_MAX), "count", n);
        if (one != NULL)
            (void)json_array_append_new(list, one);
    }
    return list;
}

static void fdt_read_cpus(struct fdt_reader *r)
{
    const struct tree *t = &r->tree;
    struct fdt_cpu cpus[FDT_CPUS_MAX];
    int count = 0;
    int top = tree_find(t, "/cpus");
    if (top < 0) {
        fdt_warn(r, 0, "no /cpus");
        return;
    }
    for (int i = tree_child(t, top, -1); i >= 0; i = tree_child(t, top, i))
        if (fdt_is_cpu(&t->nodes[i]) && count < FDT_CPUS_MAX)
            cpus[count++] = (struct fdt_cpu){.node = i, .cluster = -1};
    if (count == 0)
        return;
    fdt_read_map(r, cpus, count);
    fdt_put(r, "cpus", json_integer(count), top);
    fdt_put(r, "clusters", fdt_clusters(r, cpus, count), top);
    fdt_put(r, "cpu.start",
            fdt_text(tree_prop(t, cpus[0].node, "enable-method")),
            cpus[0].node);
}

/* ---- interrupt controller ---- */

static const struct {
    const char *compatible;
    int version;
} fdt_gics[] = {
    {"arm,gic-400", 2},       {"arm,cortex-a15-gic", 2},
    {"arm,cortex-a7-gic", 2}, {"arm,cortex-a9-gic", 1},
    {"qcom,msm-qgic2", 2},    {"arm,pl390", 1},
    {"arm,eb11mp-gic", 1},    {"arm,arm11mp-gic", 1},
    {"arm,gic-v3", 3},        {"qcom,msm8996-gic-v3", 3},
    {"arm,gic-v5", 5},
};

/* Virtual GICs: both kinds need the maintenance interrupt; a GICv2 for guests
 * needs the GICV registers, which a GICv3 may have too (devicetree bindings
 * arm,gic.yaml and arm,gic-v3.yaml: order of `reg`). */
static json_t *fdt_virtual_gics(struct fdt_reader *r, int node, int version)
{
    const struct tree *t = &r->tree;
    json_t *list = json_array();
    int regs = tree_reg_count(t, node);
    uint32_t regions = 1;
    (void)tree_cell(tree_prop(t, node, "#redistributor-regions"), 0, &regions);
    if (regs < 0)
        fdt_warn(r, node,
                 "its reg does not fit the #address-cells and "
                 "#size-cells above it");
    if (t->nodes[node].prop[TREE_INTERRUPTS].data == NULL)
        return list;
    if (version == 3)
        (void)json_array_append_new(list, json_integer(3));
    if ((version == 2 && regs >= 4) ||
        (version == 3 && regs >= 4 && (uint32_t)regs - 4 >= regions))
        (void)json_array_append_new(list, json_integer(2));
    return list;
}

static bool fdt_has_its(const struct tree *t, int gic)
{
    for (int i = gic + 1;
         i < t->count && t->nodes[i].depth > t->nodes[gic].depth; i++)
        if (t->nodes[i].enabled &&
            tree_is_compatible(&t->nodes[i], "arm,gic-v3-its"))
            return true;
    return false;
}

static bool fdt_take_gic(struct fdt_reader *r, int node)
{
    const struct tree_node *n = &r->tree.nodes[node];
    for (size_t k = 0; k < ARRAY_COUNT(fdt_gics); k++) {
        if (!tree_is_compatible(n, fdt_gics[k].compatible))
            continue;
        int version = fdt_gics[k].version;
        fdt_put(r, "gic.version", json_integer(version), node);
        fdt_put(r, "gic.compatible", json_string(fdt_gics[k].compatible), node);
        fdt_put(r, "gic.virtual", fdt_virtual_gics(r, node, version), node);
        fdt_put(r, "gic.its", json_boolean(fdt_has_its(&r->tree, node)), node);
        return true;
    }
    return false;
}

static void fdt_read_gic(struct fdt_reader *r)
{
    const struct tree *t = &r->tree;
    uint32_t phandle;
    /* The one that everything is connected to by default; there may be others
     * behind it. */
    if (tree_cell(tree_prop(t, 0, "interrupt-parent"), 0, &phandle)) {
        int node = tree_by_phandle(t, phandle);
        if (node < 0)
            fdt_warn(r, 0, "interrupt-parent names no node");
        else if (t->nodes[node].enabled && fdt_take_gic(r, node))
            return;
    }
    for (int i = 0; i < t->count; i++)
        if (t->nodes[i].enabled &&
            t->nodes[i].prop[TREE_COMPATIBLE].data != NULL &&
            fdt_take_gic(r, i))
            return;
    fdt_put(r, "gic.version", json_integer(0), 0);
}

/* ---- serial ports ---- */

/* The node that /chosen/stdout-path means: a path or an alias, up to ':'. */
static int fdt_stdout(const struct tree *t)
{
    int chosen = tree_find(t, "/chosen");
    if (chosen < 0)
        return -1;
    const char *s = tree_string(tree_prop(t, chosen, "stdout-path"), 0);
    char name[FDT_PATH];
    if (s == NULL || strcspn(s, ":") >= sizeof(name))
        return -1;
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(s, ":"), s);
    if (name[0] == '/')
        return tree_find(t, name);
    int aliases = tree_find(t, "/aliases");
    const char *path =
        aliases < 0 ? NULL : tree_string(tree_prop(t, aliases, name), 0);
    return path != NULL ? tree_find(t, path) : -1;
}

/* Once for all ports: a search walks all of /aliases. */
static void fdt_read_aliases(struct fdt_reader *r)
{
    const struct tree *t = &r->tree;
    int aliases = tree_find(t, "/aliases");
    for (int i = 0; aliases >= 0 && i < BOARD_LIST_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "serial%d", i);
        r->serial[i] = tree_string(tree_prop(t, aliases, name), 0);
    }
}

static json_t *fdt_alias(const struct fdt_reader *r, const char *path)
{
    for (int i = 0; i < BOARD_LIST_MAX; i++)
        if (r->serial[i] != NULL && strcmp(r->serial[i], path) == 0)
            return json_sprintf("serial%d", i);
    return NULL;
}

static json_t *fdt_serial(struct fdt_reader *r, int node, int console)
{
    const struct tree *t = &r->tree;
    char path[FDT_PATH];
    uint64_t address;
    tree_path(t, node, path, sizeof(path));
    json_t *o = json_pack("{s:o}", "path", board_text(path, sizeof(path)));
    json_t *type = fdt_text(t->nodes[node].prop[TREE_COMPATIBLE]);
    json_t *alias = fdt_alias(r, path);
    if (type != NULL)
        (void)json_object_set_new(o, "compatible", type);
    if (alias != NULL)
        (void)json_object_set_new(o, "alias", alias);
    if (node == console)
        (void)json_object_set_new(o, "stdout", json_true());
    int code = tree_address(t, node, &address);
    if (code == 0) {
        char text[24];
        (void)snprintf(text, sizeof(text), "0x%llx",
                       (unsigned long long)address);
        (void)json_object_set_new(o, "address", json_string(text));
    } else if (code == -EINVAL) {
        fdt_warn(r, node,
                 "its reg or the ranges above it do not fit the "
                 "#address-cells and #size-cells");
    }
    return o;
}

/* By the generic name, or by hardware whose nodes are often named after it. */
static bool fdt_is_serial(const struct tree_node *n)
{
    return n->enabled && n->prop[TREE_REG].data != NULL &&
           (fdt_has_prefix(n->name, "serial@") ||
            fdt_has_prefix(n->name, "uart@") ||
            tree_is_compatible(n, "arm,pl011") ||
            tree_is_compatible(n, "arm,sbsa-uart") ||
            tree_is_compatible(n, "snps,dw-apb-uart") ||
            tree_is_compatible(n, "ns16550a"));
}

static void fdt_read_serial(struct fdt_reader *r)
{
    const struct tree *t = &r->tree;
    json_t *list = json_array();
    int console = fdt_stdout(t);
    fdt_read_aliases(r);
    for (int i = 0; i < t->count && json_array_size(list) < BOARD_LIST_MAX; i++)
        if (fdt_is_serial(&t->nodes[i]))
            (void)json_array_append_new(list, fdt_serial(r, i, console));
    fdt_put(r, "serial", list, 0);
}

/* ---- buses ---- */

static void fdt_read_buses(struct fdt_reader *r)
{
    const struct tree *t = &r->tree;
    json_t *iommu = json_array();
    int gpio = 0;
    int i2c = 0;
    int spi = 0;
    for (int i = 0; i < t->count; i++) {
        const struct tree_node *n = &t->nodes[i];
        if (!n->enabled)
            continue;
        i2c += fdt_has_prefix(n->name, "i2c@");
        spi += fdt_has_prefix(n->name, "spi@");
        gpio += fdt_has_prefix(n->name, "gpio@") &&
                tree_prop(t, i, "gpio-controller").data != NULL;
        if (fdt_has_prefix(n->name, "iommu@") &&
            json_array_size(iommu) < BOARD_LIST_MAX) {
            json_t *name = fdt_text(n->prop[TREE_COMPATIBLE]);
            if (name != NULL)
                (void)json_array_append_new(iommu, name);
        }
    }
    fdt_put(r, "gpio", json_integer(gpio), 0);
    fdt_put(r, "i2c", json_integer(i2c), 0);
    fdt_put(r, "spi", json_integer(spi), 0);
    fdt_put(r, "iommu", iommu, 0);
}

/* ---- memory ---- */

/* Sum of the sizes in `reg`; what is nonsense counts as nothing, loudly. */
static uint64_t fdt_sum_reg(struct fdt_reader *r, int node)
{
    uint64_t sum = 0;
    int count = tree_reg_count(&r->tree, node);
    for (int i = 0; i < count; i++) {
        uint64_t at;
        uint64_t size;
        if (tree_reg(&r->tree, node, i, &at, &size) < 0 ||
            __builtin_add_overflow(sum, size, &sum) ||
            sum > (UINT64_C(1) << 52))
            count = -EINVAL;
    }
    if (count < 0) {
        fdt_warn(r, node, "sizes that make no sense");
        return 0;
    }
    return sum;
}

static uint64_t fdt_sum_reserved(struct fdt_reader *r, int top)
{
    const struct tree *t = &r->tree;
    uint64_t sum = 0;
    for (int i = tree_child(t, top, -1); i >= 0; i = tree_child(t, top, i))
        if (t->nodes[i].enabled)
            sum += fdt_sum_reg(r, i) & ((UINT64_C(1) << 52) - 1);
    return sum <= UINT64_C(1) << 52 ? sum : 0;
}

/* Size of the default area for devices, fixed or placed by the kernel. */
static void fdt_read_cma(struct fdt_reader *r, int top)
{
    const struct tree *t = &r->tree;
    for (int i = tree_child(t, top, -1); i >= 0; i = tree_child(t, top, i)) {
        if (!t->nodes[i].enabled ||
            tree_prop(t, i, "linux,cma-default").data == NULL)
            continue;
        struct tree_prop p = tree_prop(t, i, "size");
        uint32_t high = 0;
        uint32_t low = 0;
        bool wide = p.size == 2 * sizeof(low);
        uint64_t size = 0;
        if (tree_cell(p, 0, &high) && wide && tree_cell(p, 1, &low))
            size = (uint64_t)high << 32 | low;
        else if (p.size == sizeof(high))
            size = high;
        else
            size = fdt_sum_reg(r, i);
        if (size > 0 && size <= UINT64_C(1) << 52)
            fdt_put(r, "memory.cma", json_integer((json_int_t)size), i);
        return;
    }
}

static void fdt_read_memory(struct fdt_reader *r)
{
    const struct tree *t = &r->tree;
    uint64_t sum = 0;
    int last = -1;
    for (int i = tree_child(t, 0, -1); i >= 0; i = tree_child(t, 0, i)) {
        const char *type = tree_string(t->nodes[i].prop[TREE_DEVICE_TYPE], 0);
        if (type == NULL || strcmp(type, "memory") != 0 || !t->nodes[i].enabled)
            continue;
        uint64_t more = fdt_sum_reg(r, i);
        if (more > 0 && sum + more <= UINT64_C(1) << 52) {
            sum += more;
            last = i;
        }
    }
    if (last >= 0) /* else the boot loader writes it */
        fdt_put(r, "memory.total", json_integer((json_int_t)sum), last);
    int top = tree_find(t, "/reserved-memory");
    if (top < 0)
        return;
    uint64_t kept = fdt_sum_reserved(r, top);
    if (kept > 0)
        fdt_put(r, "memory.reserved", json_integer((json_int_t)kept), top);
    fdt_read_cma(r, top);
}

int board_fdt_read(const void *blob, size_t size, const char *where,
                   json_t *facts, json_t *warnings, struct err *e)
{
    struct fdt_reader r = {
        .where = where, .facts = facts, .warnings = warnings};
    int code = tree_init(&r.tree, blob, size, where, e);
    if (code < 0)
        return code;
    fdt_read_root(&r);
    fdt_read_cpus(&r);
    fdt_read_gic(&r);
    fdt_read_serial(&r);
    fdt_read_buses(&r);
    fdt_read_memory(&r);
    tree_fini(&r.tree);
    return 0;
}
