// SPDX-License-Identifier: Apache-2.0
/* The list of facts and their schema. */
#include "supervisor/board_fact.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"

#define BOARD_COUNT_MAX (INT64_C(1) << 53)

const struct board_fact board_facts[] = {
    {"model", BOARD_STRING, "name of the machine as it calls itself"},
    {"compatible", BOARD_STRINGS, "the device tree's, most exact first"},
    {"arch", BOARD_STRING, "amd64 or arm64"},
    {"cpus", BOARD_COUNT, "CPUs"},
    {"clusters", BOARD_CLUSTERS, "CPUs of one kind that share a cluster"},
    {"cpu.start", BOARD_STRING, "how other CPUs are started: psci, spin-table"},
    {"gic.version", BOARD_COUNT, "interrupt controller; 0: it is no GIC"},
    {"gic.compatible", BOARD_STRING, "its device tree name"},
    {"gic.virtual", BOARD_COUNTS, "virtual GICs the hardware has parts for"},
    {"gic.its", BOARD_BOOL, "it can route message-signalled interrupts"},
    {"serial", BOARD_SERIALS, "serial ports that are switched on"},
    {"gpio", BOARD_COUNT, "GPIO controllers that are switched on"},
    {"i2c", BOARD_COUNT, "I2C buses that are switched on"},
    {"spi", BOARD_COUNT, "SPI buses that are switched on"},
    {"iommu", BOARD_STRINGS, "IOMMUs that are switched on"},
    {"memory.total", BOARD_BYTES, "RAM"},
    {"memory.reserved", BOARD_BYTES, "RAM that firmware keeps"},
    {"memory.cma", BOARD_BYTES, "RAM set apart for devices"},
    {"memory.reserve", BOARD_BYTES, "RAM that VMs should leave to the host"},
    {"page_size", BOARD_BYTES, "of the host's kernel"},
    {"kvm.kind", BOARD_STRING, "vmx, svm, pvm, el2 or none"},
    {"kvm.vcpus_max", BOARD_COUNT, "vCPUs of one VM"},
    {"kvm.ipa_bits", BOARD_COUNT, "guest-physical address bits"},
    {"kvm.gic", BOARD_COUNTS, "virtual GICs that KVM makes"},
    {"layout", BOARD_STRING, "header with the memory map, for VMs of ours"},
    {"devices", BOARD_DEVICES, "what may be handed to a VM"},
    {"quirks", BOARD_STRINGS, "what is odd about it"},
    {"labels.", BOARD_STRING, "for placement: any name"},
    {0},
};

static const struct {
    enum board_kind kind;
    const char *name;
} board_kinds[] = {
    {BOARD_STRING, "string"},
    {BOARD_COUNT, "count"},
    {BOARD_BYTES, "bytes"},
    {BOARD_BOOL, "true or false"},
    {BOARD_STRINGS, "list of strings"},
    {BOARD_COUNTS, "list of counts"},
    {BOARD_CLUSTERS, "list of {cpu, count}"},
    {BOARD_SERIALS, "list of {path, compatible?, address?, alias?, stdout?}"},
    {BOARD_DEVICES, "list of {kind, path, note?}"},
};

/* Members of the objects in a list. */
static const struct board_member {
    enum board_kind list;
    const char *name;
    enum board_kind kind;
    bool optional;
} board_members[] = {
    {BOARD_CLUSTERS, "cpu", BOARD_STRING, false},
    {BOARD_CLUSTERS, "count", BOARD_COUNT, false},
    {BOARD_SERIALS, "path", BOARD_STRING, false},
    {BOARD_SERIALS, "compatible", BOARD_STRING, true},
    {BOARD_SERIALS, "address", BOARD_STRING, true},
    {BOARD_SERIALS, "alias", BOARD_STRING, true},
    {BOARD_SERIALS, "stdout", BOARD_BOOL, true},
    {BOARD_DEVICES, "kind", BOARD_STRING, false},
    {BOARD_DEVICES, "path", BOARD_STRING, false},
    {BOARD_DEVICES, "note", BOARD_STRING, true},
};

const char *board_kind_name(enum board_kind kind)
{
    for (size_t i = 0; i < ARRAY_COUNT(board_kinds); i++)
        if (board_kinds[i].kind == kind)
            return board_kinds[i].name;
    return "nothing";
}

const struct board_fact *board_fact_find(const char *name)
{
    for (const struct board_fact *f = board_facts; f->name != NULL; f++) {
        size_t n = strlen(f->name);
        bool prefix = f->name[n - 1] == '.';
        if (prefix ? strncmp(name, f->name, n) == 0 && name[n] != '\0'
                   : strcmp(name, f->name) == 0)
            return f;
    }
    return NULL;
}

static bool board_is_simple(enum board_kind kind, const json_t *value)
{
    if (kind == BOARD_BOOL)
        return json_is_boolean(value);
    if (kind == BOARD_STRING)
        return json_is_string(value) &&
               json_string_length(value) <= BOARD_TEXT_MAX;
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           json_integer_value(value) <= BOARD_COUNT_MAX;
}

static bool board_is_object(enum board_kind list, const json_t *object)
{
    size_t known = 0;
    for (size_t i = 0; i < ARRAY_COUNT(board_members); i++) {
        const struct board_member *m = &board_members[i];
        if (m->list != list)
            continue;
        const json_t *v = json_object_get(object, m->name);
        if (v == NULL ? !m->optional : !board_is_simple(m->kind, v))
            return false;
        known += v != NULL;
    }
    return json_is_object(object) && known == json_object_size(object);
}

static bool board_is_kind(enum board_kind kind, const json_t *value)
{
    if (kind < BOARD_STRINGS)
        return board_is_simple(kind, value);
    if (!json_is_array(value) || json_array_size(value) > BOARD_LIST_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *v = json_array_get(value, i);
        bool good = kind == BOARD_STRINGS  ? board_is_simple(BOARD_STRING, v)
                    : kind == BOARD_COUNTS ? board_is_simple(BOARD_COUNT, v)
                                           : board_is_object(kind, v);
        if (!good)
            return false;
    }
    return true;
}

int board_fact_check(const struct board_fact *f, const json_t *value,
                     const char *where, struct err *e)
{
    if (board_is_kind(f->kind, value))
        return 0;
    return err_set(e, -EINVAL, "%s: the value of \"%s\" must be a %s", where,
                   f->name, board_kind_name(f->kind));
}

void board_fact_put(json_t *set, const char *name, json_t *value,
                    const char *source)
{
    if (value == NULL)
        return;
    json_t *fact = json_pack("{s:o, s:o}", "value", value, "source",
                             board_text(source, strlen(source)));
    if (fact != NULL)
        (void)json_object_set_new(set, name, fact);
}

json_t *board_text(const char *bytes, size_t size)
{
    char text[BOARD_TEXT_MAX + 1];
    size_t n = 0;
    while (n < size && n < BOARD_TEXT_MAX && bytes[n] != '\0') {
        char c = bytes[n];
        text[n++] = (char)(c < ' ' || c > '~' ? '?' : c);
    }
    text[n] = '\0';
    return json_string(text);
}

void board_warn(json_t *warnings, const char *fmt, ...)
{
    char line[BOARD_TEXT_MAX + 1];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (json_array_size(warnings) < BOARD_WARNINGS_MAX)
        (void)json_array_append_new(warnings, board_text(line, sizeof(line)));
}
