// SPDX-License-Identifier: Apache-2.0
#include "supervisor/board_host.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/path.h"
#include "supervisor/board_fact.h"
#include "supervisor/board_fdt.h"
#include "supervisor/board_livetree.h"
#include "supervisor/board_tree.h"
#include "supervisor/kvmprobe.h"

enum { BOARD_FILE_MAX = 1 << 20 };

int board_probe_init(struct board_probe *p, struct err *e)
{
    *p = (struct board_probe){.facts = json_object(),
                              .warnings = json_array(),
                              .ids = {.compatible = json_array(),
                                      .dmi = json_object(),
                                      .cpu = json_object()}};
    if (p->facts == NULL || p->warnings == NULL || p->ids.compatible == NULL ||
        p->ids.dmi == NULL || p->ids.cpu == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    return 0;
}

void board_probe_fini(struct board_probe *p)
{
    json_decref(p->facts);
    json_decref(p->warnings);
    json_decref(p->ids.compatible);
    json_decref(p->ids.dmi);
    json_decref(p->ids.cpu);
    *p = (struct board_probe){0};
}

char *board_read_text(const char *sysroot, const char *path)
{
    char full[PATH_MAX];
    char *text = NULL;
    size_t size;
    int n = snprintf(full, sizeof(full), "%s%s", sysroot, path);
    if (n < 0 || (size_t)n >= sizeof(full) ||
        path_read(AT_FDCWD, full, BOARD_FILE_MAX, &text, &size, NULL) < 0)
        return NULL;
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' '))
        text[--size] = '\0';
    return text;
}

void board_line(const char *text, const char *key, char out[256])
{
    size_t n = strlen(key);
    out[0] = '\0';
    for (const char *p = text; p != NULL && *p != '\0';) {
        const char *end = strchrnul(p, '\n');
        const char *colon = memchr(p, ':', (size_t)(end - p));
        if (strncmp(p, key, n) == 0 && colon != NULL &&
            strspn(p + n, " \t") == (size_t)(colon - p) - n) {
            colon += 1 + strspn(colon + 1, " \t");
            int size = end > colon ? (int)(end - colon) : 0;
            (void)snprintf(out, 256, "%.*s", size < 255 ? size : 255, colon);
            return;
        }
        p = *end != '\0' ? end + 1 : end;
    }
}

/* ---- DMI ---- */

static void board_read_dmi(struct board_probe *p, const char *sysroot)
{
    static const char *const names[] = {
        "sys_vendor",   "product_name", "product_version", "product_family",
        "board_vendor", "board_name",   "board_version",   "bios_vendor"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/sys/class/dmi/id/%s", names[i]);
        AUTO_FREE char *text = board_read_text(sysroot, path);
        if (text != NULL && text[0] != '\0')
            (void)json_object_set_new(p->ids.dmi, names[i],
                                      board_text(text, strlen(text)));
    }
    const char *model =
        json_string_value(json_object_get(p->ids.dmi, "product_name"));
    if (model != NULL)
        board_fact_put(p->facts, "model", json_string(model),
                       "/sys/class/dmi/id/product_name");
}

/* ---- CPUs ---- */

/* MIDR_EL1 implementer 0x41: part numbers as the device tree names them
 * (Arm's Technical Reference Manuals, MIDR_EL1). */
static const struct {
    unsigned part;
    const char *name;
} board_arm_parts[] = {
    {0xd03, "arm,cortex-a53"},  {0xd04, "arm,cortex-a35"},
    {0xd05, "arm,cortex-a55"},  {0xd07, "arm,cortex-a57"},
    {0xd08, "arm,cortex-a72"},  {0xd09, "arm,cortex-a73"},
    {0xd0a, "arm,cortex-a75"},  {0xd0b, "arm,cortex-a76"},
    {0xd0c, "arm,neoverse-n1"}, {0xd0d, "arm,cortex-a77"},
    {0xd40, "arm,neoverse-v1"}, {0xd41, "arm,cortex-a78"},
    {0xd44, "arm,cortex-x1"},   {0xd46, "arm,cortex-a510"},
    {0xd47, "arm,cortex-a710"}, {0xd49, "arm,neoverse-n2"},
    {0xd4f, "arm,neoverse-v2"},
};

/* Name of the CPU in one block of /proc/cpuinfo. */
static void board_cpu_name(const char *block, char out[256])
{
    char part[256];
    char implementer[256];
    board_line(block, "model name", out);
    board_line(block, "CPU part", part);
    board_line(block, "CPU implementer", implementer);
    if (part[0] == '\0')
        return;
    unsigned long number = strtoul(part, NULL, 16);
    (void)snprintf(out, 256, "%.16s:%.16s", implementer, part);
    for (size_t i = 0; i < ARRAY_COUNT(board_arm_parts); i++)
        if (strcmp(implementer, "0x41") == 0 &&
            board_arm_parts[i].part == number)
            (void)snprintf(out, 256, "%s", board_arm_parts[i].name);
}

static void board_count_cpu(json_t *clusters, const char *name)
{
    for (size_t i = 0; i < json_array_size(clusters); i++) {
        json_t *c = json_array_get(clusters, i);
        const json_t *n = json_object_get(c, "count");
        if (strcmp(json_string_value(json_object_get(c, "cpu")), name) != 0)
            continue;
        (void)json_object_set_new(c, "count",
                                  json_integer(json_integer_value(n) + 1));
        return;
    }
    json_t *one = json_pack("{s:o, s:i}", "cpu", board_text(name, strlen(name)),
                            "count", 1);
    if (one != NULL && json_array_size(clusters) < BOARD_LIST_MAX)
        (void)json_array_append_new(clusters, one);
    else
        json_decref(one);
}

/* Without a device tree: kinds of CPU, as clusters. */
static void board_read_cpus(struct board_probe *p, char *text)
{
    json_t *clusters = json_array();
    int count = 0;
    for (char *block = text; block != NULL && *block != '\0';) {
        char *end = strstr(block, "\n\n");
        char number[256];
        char name[256];
        if (end != NULL)
            *end = '\0';
        board_line(block, "processor", number);
        board_cpu_name(block, name);
        if (number[0] != '\0') {
            board_count_cpu(clusters, name[0] != '\0' ? name : "unknown");
            count++;
        }
        block = end != NULL ? end + 2 : NULL;
    }
    if (count > 0) {
        board_fact_put(p->facts, "cpus", json_integer(count), "/proc/cpuinfo");
        board_fact_put(p->facts, "clusters", json_incref(clusters),
                       "/proc/cpuinfo");
    }
    json_decref(clusters);
}

static void board_read_cpuinfo(struct board_probe *p, const char *sysroot,
                               char flags[4096])
{
    static const struct {
        const char *line, *key;
    } lines[] = {
        {"vendor_id", "vendor"},  {"cpu family", "family"},
        {"model", "model"},       {"model name", "name"},
        {"stepping", "stepping"}, {"CPU implementer", "implementer"},
        {"CPU part", "part"},
    };
    flags[0] = '\0';
    AUTO_FREE char *text = board_read_text(sysroot, "/proc/cpuinfo");
    if (text == NULL)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        char value[256];
        board_line(text, lines[i].line, value);
        if (value[0] != '\0')
            (void)json_object_set_new(p->ids.cpu, lines[i].key,
                                      board_text(value, sizeof(value)));
    }
    const char *at = strstr(text, "\nflags");
    if (at != NULL)
        (void)snprintf(flags, 4096, "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
    if (json_object_get(p->facts, "cpus") == NULL)
        board_read_cpus(p, text);
}

/* ---- the rest ---- */

static void board_read_memory(struct board_probe *p, const char *sysroot)
{
    AUTO_FREE char *text = board_read_text(sysroot, "/proc/meminfo");
    char value[256];
    uint64_t kib;
    if (text == NULL)
        return;
    board_line(text, "MemTotal", value);
    value[strcspn(value, " ")] = '\0';
    if (parse_u64(value, 1, UINT64_C(1) << 42, &kib) == 0)
        board_fact_put(p->facts, "memory.total",
                       json_integer((json_int_t)kib * 1024),
                       "/proc/meminfo MemTotal");
}

static void board_read_kernel(struct board_probe *p)
{
    struct utsname u;
    if (uname(&u) == 0) {
        const char *arch = strcmp(u.machine, "x86_64") == 0    ? "amd64"
                           : strcmp(u.machine, "aarch64") == 0 ? "arm64"
                                                               : u.machine;
        board_fact_put(p->facts, "arch", json_string(arch), "uname(2)");
    }
    board_fact_put(p->facts, "page_size", json_integer(sysconf(_SC_PAGESIZE)),
                   "sysconf(3)");
}

static void board_read_kvm(struct board_probe *p, const char *path,
                           const char *flags)
{
    struct kvmprobe k;
    kvmprobe_run(path, &k);
    board_fact_put(p->facts, "kvm.kind", json_string(kvmprobe_kind(&k, flags)),
                   path);
    if (k.step != KVMPROBE_GOOD)
        return;
    if (k.vcpus_max > 0)
        board_fact_put(p->facts, "kvm.vcpus_max", json_integer(k.vcpus_max),
                       "KVM_CAP_MAX_VCPUS");
    if (k.ipa_bits == 0)
        return;
    board_fact_put(p->facts, "kvm.ipa_bits", json_integer(k.ipa_bits),
                   "KVM_CAP_ARM_VM_IPA_SIZE");
    json_t *gics = json_array();
    if (k.vgic3)
        (void)json_array_append_new(gics, json_integer(3));
    if (k.vgic2)
        (void)json_array_append_new(gics, json_integer(2));
    board_fact_put(p->facts, "kvm.gic", gics, "KVM_CREATE_DEVICE_TEST");
}

/* Names of the machine and of its first CPU, for the rules of profiles. */
static void board_take_names(struct board_probe *p)
{
    json_t *list =
        json_object_get(json_object_get(p->facts, "compatible"), "value");
    const json_t *clusters =
        json_object_get(json_object_get(p->facts, "clusters"), "value");
    json_t *cpu = json_object_get(json_array_get(clusters, 0), "cpu");
    if (list != NULL)
        (void)json_array_extend(p->ids.compatible, list);
    if (cpu != NULL)
        (void)json_object_set(p->ids.cpu, "compatible", cpu);
}

/* The tree the kernel runs with, overlays included; its files are readable by
 * all, the boot loader's blob by root only. */
static void board_read_tree(struct board_probe *p, const char *sysroot)
{
    static const char blob_name[] = "/sys/firmware/fdt";
    char path[PATH_MAX];
    AUTO_FREE char *blob = NULL;
    size_t size = 0;
    struct err e = {0};
    int n = snprintf(path, sizeof(path), "%s/proc/device-tree", sysroot);
    if (n < 0 || (size_t)n >= sizeof(path))
        return;
    const char *where = "/proc/device-tree";
    int code = livetree_pack(path, &blob, &size, &e);
    if (code == -ENOENT) {
        where = blob_name;
        (void)snprintf(path, sizeof(path), "%s%s", sysroot, blob_name);
        code = path_read(AT_FDCWD, path, TREE_SIZE_MAX, &blob, &size, &e);
        if (code == -ENOENT)
            return;
    }
    if (code == 0)
        code = board_fdt_read(blob, size, where, p->facts, p->warnings, &e);
    if (code < 0)
        board_warn(p->warnings, "%s", e.msg);
    board_take_names(p);
}

int board_probe_host(struct board_probe *p, const char *sysroot,
                     const char *kvm, struct err *e)
{
    char flags[4096];
    board_read_dmi(p, sysroot);
    board_read_tree(p, sysroot);
    board_read_cpuinfo(p, sysroot, flags);
    board_read_memory(p, sysroot);
    board_read_kernel(p);
    if (kvm != NULL)
        board_read_kvm(p, kvm, flags);
    if (json_object_size(p->facts) == 0)
        return err_set(e, -ENOMEM, "out of memory");
    return 0;
}

int board_probe_file(struct board_probe *p, const char *path, struct err *e)
{
    AUTO_FREE char *blob = NULL;
    size_t size;
    const char *slash = strrchr(path, '/');
    int code = path_read(AT_FDCWD, path, TREE_SIZE_MAX, &blob, &size, e);
    if (code == -EFBIG)
        return err_set(e, code, "%s: a device tree has at most %d bytes", path,
                       TREE_SIZE_MAX);
    if (code == 0)
        code = board_fdt_read(blob, size, slash != NULL ? slash + 1 : path,
                              p->facts, p->warnings, e);
    if (code == 0)
        board_take_names(p);
    return code;
}
