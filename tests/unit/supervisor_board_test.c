// SPDX-License-Identifier: Apache-2.0
/* Device trees that are wrong, profiles that are wrong, and the schema's
 * documentation. BOARD_DOC, BOARD_DIR: docs/boards.md and boards/. */
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"
#include "supervisor/board_fact.h"
#include "supervisor/board_fdt.h"
#include "supervisor/board_host.h"
#include "supervisor/board_livetree.h"
#include "supervisor/board_profile.h"
#include "supervisor/kvmprobe.h"

enum { BLOB = 64 << 10 };

/* ---- device trees ---- */

struct tree_case {
    uint64_t blob[BLOB / 8];
    json_t *facts, *warnings;
    struct err e;
};

static void must(int rc)
{
    assert_true(rc >= 0);
}

static void begin(struct tree_case *t)
{
    *t = (struct tree_case){.facts = json_object(), .warnings = json_array()};
    must(fdt_create_empty_tree(t->blob, BLOB));
}

static int node(struct tree_case *t, int parent, const char *name)
{
    int n = fdt_add_subnode(t->blob, parent, name);
    must(n);
    return n;
}

static int read_size(struct tree_case *t, size_t size)
{
    return board_fdt_read(t->blob, size, "t", t->facts, t->warnings, &t->e);
}

static void end(struct tree_case *t)
{
    json_decref(t->facts);
    json_decref(t->warnings);
}

static json_int_t count(const struct tree_case *t, const char *name)
{
    const json_t *f = json_object_get(t->facts, name);
    return f == NULL ? -1 : json_integer_value(json_object_get(f, "value"));
}

static bool warned(const struct tree_case *t, const char *text)
{
    for (size_t i = 0; i < json_array_size(t->warnings); i++)
        if (strstr(json_string_value(json_array_get(t->warnings, i)), text))
            return true;
    return false;
}

/* Two CPUs, one mapped; a GIC; a serial port behind a bus. */
static void make_good(struct tree_case *t)
{
    void *f = t->blob;
    begin(t);
    must(fdt_setprop_string(f, 0, "model", "A \x1b[31m\xff board"));
    must(fdt_setprop_u32(f, 0, "#address-cells", 2));
    must(fdt_setprop_u32(f, 0, "#size-cells", 1));
    int bus = node(t, 0, "soc");
    must(fdt_setprop_u32(f, bus, "#address-cells", 1));
    must(fdt_setprop_u32(f, bus, "#size-cells", 1));
    fdt32_t ranges[] = {cpu_to_fdt32(0x1000), cpu_to_fdt32(1), 0,
                        cpu_to_fdt32(0x1000)};
    must(fdt_setprop(f, bus, "ranges", ranges, sizeof(ranges)));
    int port = node(t, bus, "serial@1800");
    fdt32_t reg[] = {cpu_to_fdt32(0x1800), cpu_to_fdt32(16)};
    must(fdt_setprop(f, port, "reg", reg, sizeof(reg)));
    int cpus = node(t, 0, "cpus");
    int cpu = node(t, cpus, "cpu@0");
    must(fdt_setprop_string(f, cpu, "device_type", "cpu"));
    must(fdt_setprop_string(f, cpu, "compatible", "arm,cortex-a53"));
    must(fdt_setprop_u32(f, cpu, "phandle", 7));
}

static void test_good(void **unused)
{
    (void)unused;
    struct tree_case t;
    make_good(&t);
    assert_int_equal(read_size(&t, BLOB), 0);
    assert_int_equal(count(&t, "cpus"), 1);
    assert_int_equal(count(&t, "gic.version"), 0);
    const json_t *model = json_object_get(t.facts, "model");
    assert_string_equal(json_string_value(json_object_get(model, "value")),
                        "A ?[31m? board");
    const json_t *serial = json_array_get(
        json_object_get(json_object_get(t.facts, "serial"), "value"), 0);
    assert_string_equal(json_string_value(json_object_get(serial, "address")),
                        "0x100000800");
    end(&t);
}

/* Every shorter length, and every word of the header and the structure set to
 * something hostile: an error or facts, never a crash (the sanitizers watch).
 */
static void test_damaged(void **unused)
{
    (void)unused;
    static const uint32_t hostile[] = {0, 1, 0x7fffffff, 0xffffffff, 3, 9};
    struct tree_case good;
    make_good(&good);
    must(fdt_pack(good.blob));
    size_t size = fdt_totalsize(good.blob);
    for (size_t n = 0; n < size; n++) {
        struct err e;
        json_t *facts = json_object();
        void *cut = malloc(n + 1);
        memcpy(cut, good.blob, n);
        assert_true(board_fdt_read(cut, n, "t", facts, facts, &e) < 0);
        free(cut);
        json_decref(facts);
    }
    for (size_t at = 0; at + 4 <= size; at += 4) {
        for (size_t h = 0; h < ARRAY_COUNT(hostile); h++) {
            struct tree_case t = {.facts = json_object(),
                                  .warnings = json_array()};
            fdt32_t word = cpu_to_fdt32(hostile[h]);
            memcpy(t.blob, good.blob, size);
            memcpy((char *)t.blob + at, &word, sizeof(word));
            (void)read_size(&t, size);
            end(&t);
        }
    }
    end(&good);
}

static void test_cells(void **unused)
{
    (void)unused;
    static const uint32_t bad[] = {0, 3, 5, 0xffffffff};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct tree_case t;
        make_good(&t);
        int bus = fdt_path_offset(t.blob, "/soc");
        must(fdt_setprop_inplace_u32(t.blob, bus, "#size-cells", bad[i]));
        assert_int_equal(read_size(&t, BLOB), 0);
        assert_true(warned(&t, "do not fit") || bad[i] == 0);
        assert_int_equal(count(&t, "cpus"), 1);
        end(&t);
    }
}

/* phandles that name themselves, nothing, or go round. */
static void test_cyclic(void **unused)
{
    (void)unused;
    struct tree_case t;
    make_good(&t);
    void *f = t.blob;
    must(fdt_setprop_u32(f, 0, "phandle", 1));
    must(fdt_setprop_u32(f, 0, "interrupt-parent", 1));
    int map = node(&t, fdt_path_offset(f, "/cpus"), "cpu-map");
    int cluster = node(&t, map, "cluster0");
    must(fdt_setprop_u32(f, cluster, "phandle", 9));
    static const uint32_t refs[] = {9, 7, 7, 99, 0, 0xffffffff};
    for (size_t i = 0; i < ARRAY_COUNT(refs); i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "core%zu", i);
        int core = node(&t, fdt_path_offset(f, "/cpus/cpu-map/cluster0"), name);
        must(fdt_setprop_u32(f, core, "cpu", refs[i]));
    }
    assert_int_equal(read_size(&t, BLOB), 0);
    assert_int_equal(json_array_size(t.warnings), 5);
    assert_true(warned(&t, "names no CPU, or one twice"));
    assert_int_equal(count(&t, "cpus"), 1);
    end(&t);
}

static void test_bounds(void **unused)
{
    (void)unused;
    struct tree_case t;
    begin(&t);
    int at = 0;
    for (int i = 0; i < 70; i++)
        at = node(&t, at, "n");
    assert_int_equal(read_size(&t, BLOB), -EINVAL);
    assert_non_null(strstr(t.e.msg, "more than 64 levels"));
    end(&t);

    char name[300];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    begin(&t);
    must(fdt_setprop_u32(t.blob, 0, name, 1));
    assert_int_equal(read_size(&t, BLOB), -EINVAL);
    assert_non_null(strstr(t.e.msg, "longer than 255 bytes"));
    end(&t);

    size_t large = (2 << 20) + 8;
    void *blob = calloc(1, large);
    assert_non_null(blob);
    struct err e;
    assert_int_equal(board_fdt_read(blob, large, "t", NULL, NULL, &e), -EFBIG);
    free(blob);
}

/* A memory node of 2^64 - 1 bytes, and 40 that overflow together. */
static void test_hostile_memory(void **unused)
{
    (void)unused;
    struct tree_case t;
    make_good(&t);
    must(fdt_setprop_u32(t.blob, 0, "#size-cells", 2));
    int m = node(&t, 0, "memory@0");
    must(fdt_setprop_string(t.blob, m, "device_type", "memory"));
    fdt32_t reg[4] = {0, 0, 0xffffffff, 0xffffffff};
    must(fdt_setprop(t.blob, m, "reg", reg, sizeof(reg)));
    assert_int_equal(read_size(&t, BLOB), 0);
    assert_int_equal(count(&t, "memory.total"), -1);
    assert_true(warned(&t, "/memory@0: sizes that make no sense"));
    end(&t);
}

/* ---- profiles ---- */

static const char good_profile[] =
    "{\"schema\":1,\"name\":\"x\",\"title\":\"X\",\"match\":["
    "{\"compatible\":\"a,b\"}],\"facts\":{\"cpus\":{\"value\":4,"
    "\"source\":\"s\"}}}";

static int load(const char *text, bool override, json_t **out, struct err *e)
{
    char path[] = "/tmp/limpet-board-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(path_write_all(fd, text, strlen(text)), 0);
    (void)close(fd);
    int code = profile_load(path, override, out, e);
    (void)unlink(path);
    return code;
}

static void test_bad_profiles(void **unused)
{
    (void)unused;
    static const struct {
        const char *facts; /* in place of the good one's */
        const char *want;
    } rows[] = {
        {"\"cpus\":{\"value\":\"4\",\"source\":\"s\"}", "must be a count"},
        {"\"cpus\":{\"value\":-1,\"source\":\"s\"}", "must be a count"},
        {"\"cpus\":{\"value\":4}", "needs a \"source\", or \"unverified\""},
        {"\"cpus\":{\"value\":4,\"unverified\":false}", "needs a \"source\""},
        {"\"cpus\":{\"value\":4,\"source\":1}", "must be a string"},
        {"\"cpus\":{\"value\":4,\"sorce\":\"s\"}", "unknown key \"sorce\""},
        {"\"cpus\":4", "must be an object with a \"value\""},
        {"\"cpuz\":{\"value\":4,\"source\":\"s\"}", "unknown fact \"cpuz\""},
        {"\"labels.\":{\"value\":\"\",\"source\":\"s\"}", "unknown fact"},
        {"\"clusters\":{\"value\":[{\"cpu\":\"a\"}],\"source\":\"s\"}",
         "must be a list of {cpu, count}"},
        {"\"serial\":{\"value\":[{\"path\":\"a\",\"x\":1}],\"source\":\"s\"}",
         "must be a list of {path"},
    };
    struct err e;
    json_t *p;
    assert_int_equal(load(good_profile, false, &p, &e), 0);
    json_decref(p);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text),
                       "{\"schema\":1,\"name\":\"x\",\"title\":\"X\","
                       "\"match\":[],\"facts\":{%s}}",
                       rows[i].facts);
        assert_int_equal(load(text, false, &p, &e), -EINVAL);
        if (strstr(e.msg, rows[i].want) == NULL)
            fail_msg("%s: %s", rows[i].facts, e.msg);
        assert_null(strchr(e.msg, '\n'));
    }
}

static void test_malformed(void **unused)
{
    (void)unused;
    struct err e;
    json_t *p;
    char text[sizeof(good_profile)];
    for (size_t n = 0; n + 1 < sizeof(good_profile); n++) {
        memcpy(text, good_profile, n);
        text[n] = '\0';
        assert_int_equal(load(text, false, &p, &e), -EINVAL);
        assert_null(p);
    }
    assert_int_equal(load("{\"schema\":2,\"facts\":{}}", true, &p, &e),
                     -EINVAL);
    assert_non_null(strstr(e.msg, "\"schema\" must be 1"));
    assert_int_equal(load("{\"schema\":1,\"facts\":{}}", false, &p, &e),
                     -EINVAL);
    assert_int_equal(load("{\"schema\":1,\"facts\":{}}", true, &p, &e), 0);
    json_decref(p);
}

static void test_scores(void **unused)
{
    (void)unused;
    static const struct {
        const char *rules;
        int least, most;
    } rows[] = {
        {"{\"compatible\":\"a,b\"}", 10000, 10000},
        {"{\"compatible\":\"c,d\"}", 9999, 9999},
        {"{\"compatible\":\"e,f\"}", 0, 0},
        {"{\"compatible\":\"a,b\",\"dmi\":{\"board_name\":\"x\"}}", 0, 0},
        {"{\"dmi\":{\"product_name\":\"Super*\"}}", 2001, 2001},
        {"{\"cpu\":{\"family\":\"6\",\"model\":\"190\"}}", 1002, 1002},
        {"{\"cpu\":{\"family\":\"6\",\"model\":\"19\"}}", 0, 0},
    };
    struct board_ids ids = {
        .compatible = json_pack("[s, s]", "a,b", "c,d"),
        .dmi = json_pack("{s:s}", "product_name", "Super 7"),
        .cpu = json_pack("{s:s, s:s}", "family", "6", "model", "190")};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char text[512];
        struct err e;
        json_t *p;
        (void)snprintf(text, sizeof(text),
                       "{\"schema\":1,\"name\":\"x\",\"title\":\"X\","
                       "\"match\":[%s],\"facts\":{}}",
                       rows[i].rules);
        assert_int_equal(load(text, false, &p, &e), 0);
        assert_in_range(profile_score(p, &ids), rows[i].least, rows[i].most);
        json_decref(p);
    }
    json_decref(ids.compatible);
    json_decref(ids.dmi);
    json_decref(ids.cpu);
}

/* ---- the rest ---- */

static void test_documented(void **unused)
{
    (void)unused;
    char *doc;
    size_t size;
    assert_int_equal(path_read(-100, BOARD_DOC, 1 << 20, &doc, &size, NULL), 0);
    size_t rows = 0;
    for (const struct board_fact *f = board_facts; f->name != NULL; f++) {
        char row[256];
        size_t n = strlen(f->name);
        (void)snprintf(row, sizeof(row), "\n| `%s%s` | %s | %s |", f->name,
                       f->name[n - 1] == '.' ? "*" : "",
                       board_kind_name(f->kind), f->text);
        if (strstr(doc, row) == NULL)
            fail_msg("docs/boards.md has no line %s", row + 1);
        rows++;
    }
    const char *table =
        strstr(doc, "\n| fact | kind | what |\n|---|---|---|\n");
    assert_non_null(table);
    for (table = strchr(table + 26, '\n'); strncmp(table, "\n| `", 4) == 0;
         table = strchr(table + 1, '\n'))
        rows--;
    assert_int_equal(rows, 0);
    free(doc);
}

static void test_lines(void **unused)
{
    (void)unused;
    static const char text[] = "model\t: 190\nmodel name\t: N100\nx:\nlast : y";
    char out[256];
    board_line(text, "model", out);
    assert_string_equal(out, "190");
    board_line(text, "model name", out);
    assert_string_equal(out, "N100");
    board_line(text, "x", out);
    assert_string_equal(out, "");
    board_line(text, "last", out);
    assert_string_equal(out, "y");
    board_line(text, "las", out);
    assert_string_equal(out, "");
}

static void test_kvm_kinds(void **unused)
{
    (void)unused;
    struct kvmprobe p = {.step = KVMPROBE_GOOD};
    assert_string_equal(kvmprobe_kind(&p, "flags : fpu vmx"), "vmx");
    assert_string_equal(kvmprobe_kind(&p, "fpu svm sse"), "svm");
    assert_string_equal(kvmprobe_kind(&p, "fpu xvmx svms"), "unknown");
    p.pvm = true;
    assert_string_equal(kvmprobe_kind(&p, "svm"), "pvm");
    p.ipa_bits = 40;
    assert_string_equal(kvmprobe_kind(&p, ""), "el2");
    p.step = KVMPROBE_VM;
    assert_string_equal(kvmprobe_kind(&p, "vmx"), "none");
    kvmprobe_run("/nonexistent", &p);
    assert_int_equal(p.step, KVMPROBE_OPEN);
    assert_int_equal(p.code, -ENOENT);
    kvmprobe_run("/dev/null", &p);
    assert_int_equal(p.step, KVMPROBE_API);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_cyclic),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_documented),
        cmocka_unit_test(test_bad_profiles),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_kvm_kinds),
        cmocka_unit_test(test_hostile_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
