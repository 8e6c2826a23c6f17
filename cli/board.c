// SPDX-License-Identifier: Apache-2.0
/* limpet board: what this machine is, and how we know. */
#include "supervisor/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "cli/common.h"
#include "cli/table.h"
#include "cli/verb_args.h"
#include "supervisor/board_fact.h"

enum { BOARD_ROWS = 128 };

static const struct opt board_flags[] = {
    {"dtb", 0, true, 'd', "device tree of another machine"},
    {"format", 0, true, 'F', "table or json"},
    {"help", 0, false, 'h', "print this"},
    {"profile", 0, true, 'p', "your own facts, over all others"},
    {0},
};

/* ---- values as text ---- */

static void board_say_bytes(json_int_t n, struct buf *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t u = 0;
    double v = (double)n;
    for (; v >= 1024 && u + 1 < ARRAY_COUNT(units); u++)
        v /= 1024;
    buf_printf(out, "%.4g %s", v, units[u]);
}

static const char *board_member(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : "";
}

static void board_say_entry(enum board_kind kind, const json_t *v,
                            struct buf *out)
{
    switch (kind) {
    case BOARD_CLUSTERS:
        buf_printf(out, "%lld x %s",
                   (long long)json_integer_value(json_object_get(v, "count")),
                   board_member(v, "cpu"));
        break;
    case BOARD_SERIALS:
        buf_printf(out, "%s %s%s%s%s", board_member(v, "compatible"),
                   board_member(v, "address"),
                   board_member(v, "alias")[0] != '\0' ? " " : "",
                   board_member(v, "alias"),
                   json_is_true(json_object_get(v, "stdout")) ? " (console)"
                                                              : "");
        break;
    case BOARD_DEVICES:
        buf_printf(out, "%s %s", board_member(v, "kind"),
                   board_member(v, "path"));
        break;
    case BOARD_COUNTS:
        buf_printf(out, "%lld", (long long)json_integer_value(v));
        break;
    case BOARD_STRING:
    case BOARD_COUNT:
    case BOARD_BYTES:
    case BOARD_BOOL:
    case BOARD_STRINGS: buf_printf(out, "%s", json_string_value(v)); break;
    }
}

static void board_say(enum board_kind kind, const json_t *v, struct buf *out)
{
    if (kind == BOARD_STRING)
        buf_printf(out, "%s", json_string_value(v));
    else if (kind == BOARD_COUNT)
        buf_printf(out, "%lld", (long long)json_integer_value(v));
    else if (kind == BOARD_BYTES)
        board_say_bytes(json_integer_value(v), out);
    else if (kind == BOARD_BOOL)
        buf_printf(out, "%s", json_is_true(v) ? "yes" : "no");
    else if (json_array_size(v) == 0)
        buf_printf(out, "none");
    for (size_t i = 0; kind >= BOARD_STRINGS && i < json_array_size(v); i++) {
        buf_printf(out, "%s", i > 0 ? ", " : "");
        board_say_entry(kind, json_array_get(v, i), out);
    }
}

/* ---- the table ---- */

struct board_rows {
    struct table_row row[BOARD_ROWS];
    char *value[BOARD_ROWS]; /* owned */
    size_t count;
};

static void board_add_row(struct board_rows *t, const char *name,
                          const json_t *fact)
{
    const struct board_fact *f = board_fact_find(name);
    const json_t *old = json_object_get(fact, "instead_of");
    struct buf b = {0};
    if (f == NULL || t->count == BOARD_ROWS)
        return;
    board_say(f->kind, json_object_get(fact, "value"), &b);
    if (old != NULL) {
        buf_printf(&b, " (instead of ");
        board_say(f->kind, old, &b);
        buf_printf(&b, ")");
    }
    bool guess = json_is_true(json_object_get(fact, "unverified"));
    const char *source = board_member(fact, "source");
    t->value[t->count] = b.data;
    t->row[t->count] = (struct table_row){
        .cell = {name, b.data, board_member(fact, "from"),
                 guess && source[0] == '\0' ? "unverified" : source,
                 guess && source[0] != '\0' ? "unverified" : ""}};
    t->count++;
}

static void board_print_table(const struct board *b, const char *dtb)
{
    struct board_rows t = {
        .row = {{.cell = {"FACT", "VALUE", "FROM", "SOURCE"}}}, .count = 1};
    const char *name;
    const json_t *fact;
    /* In the order of the list, then the labels, which have any name. */
    for (const struct board_fact *f = board_facts; f->name != NULL; f++)
        if ((fact = json_object_get(b->facts, f->name)) != NULL)
            board_add_row(&t, f->name, fact);
    json_object_foreach(b->facts, name, fact)
    {
        if (strncmp(name, "labels.", 7) == 0)
            board_add_row(&t, name, fact);
    }
    if (b->profile != NULL)
        (void)printf("Board: %s (profile %s)\n\n", board_title(b),
                     board_name(b));
    else
        (void)printf("Board: unknown: no profile fits %s, so these are the "
                     "facts found\n\n",
                     dtb != NULL ? dtb : "this machine");
    table_print(t.row, t.count, 5, false);
    for (size_t i = 0; i < json_array_size(b->warnings); i++)
        (void)printf("%snote: %s\n", i == 0 ? "\n" : "",
                     json_string_value(json_array_get(b->warnings, i)));
    for (size_t i = 0; i < t.count; i++)
        free(t.value[i]);
}

static int board_print_json(const struct board *b, struct err *e)
{
    json_t *o = board_to_json(b);
    AUTO_FREE char *text =
        o != NULL ? json_dumps(o, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
    json_decref(o);
    if (text == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    (void)printf("%s\n", text);
    return 0;
}

int cli_board(int argc, char **argv)
{
    char profiles[PATH_MAX];
    const char *sysroot = getenv("LIMPET_DOCTOR_ROOT"); /* tests */
    const char *kvm = getenv("LIMPET_KVM");
    struct board_query q = {.sysroot = sysroot != NULL ? sysroot : "",
                            .kvm = kvm != NULL ? kvm : "/dev/kvm",
                            .profiles = profiles};
    struct verb_args a = {.verb = "board", .table = board_flags};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    bool json = false;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f)) {
        if (f.id == 'd')
            q.dtb = f.value;
        else if (f.id == 'p')
            q.override = f.value;
        else
            verb_args_format(&a, f.value, &json);
    }
    if (a.done)
        return a.status;
    if (a.reader.rest_count > 0) {
        (void)err_set(&a.e, -EINVAL, "board takes no arguments");
        return cli_usage_error("board", &a.e);
    }
    struct board b;
    board_profiles_dir(profiles);
    if (board_find(&b, &q, &a.e) < 0)
        return cli_error(&a.e);
    int code = 0;
    if (json)
        code = board_print_json(&b, &a.e);
    else
        board_print_table(&b, q.dtb);
    board_fini(&b);
    return code < 0 ? cli_error(&a.e) : 0;
}
