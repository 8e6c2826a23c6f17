// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "cli/common.h"
#include "cli/human.h"
#include "cli/verb_args.h"
#include "net/port.h"

enum { PS_COLUMNS = 7, PS_COMMAND_MAX = 20, PS_GAP = 3 };

static const struct opt ps_flags[] = {
    {"all", 'a', false, 'a', "also those that do not run"},
    {"filter", 'f', true, 0, "filters come with a later release"},
    {"format", 0, true, 'F', "table or json"},
    {"help", 0, false, 'h', "print this"},
    {"last", 'n', true, 0, "use ps -a | head"},
    {"latest", 'l', false, 0, "use ps -a | head -2"},
    {"no-trunc", 0, false, 'N', "whole IDs and commands"},
    {"quiet", 'q', false, 'q', "IDs only"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {"size", 's', false, 0, "sizes come with a later release"},
    {0},
};

struct ps_options {
    bool all, json, whole, quiet;
};

/* One line of the table; each cell is owned. */
struct ps_row {
    char *cell[PS_COLUMNS];
};

static const char *const ps_titles[PS_COLUMNS] = {
    "CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"};

/* The command in double quotes, shortened as docker does. Bytes that could
 * steer a terminal become '?'. */
static void ps_command(const struct state_info *i, bool whole, struct buf *out)
{
    struct buf all = {0};
    const json_t *args = json_object_get(i->config, "command");
    for (size_t n = 0; n < json_array_size(args); n++)
        buf_printf(&all, "%s%s", n > 0 ? " " : "",
                   json_string_value(json_array_get(args, n)));
    size_t max =
        whole || all.size <= PS_COMMAND_MAX ? all.size : PS_COMMAND_MAX - 1;
    while (max > 0 && max < all.size &&
           ((unsigned char)all.data[max] & 0xc0) == 0x80)
        max--; /* not inside a character */
    buf_printf(out, "\"");
    for (size_t n = 0; n < max; n++) {
        unsigned char c = (unsigned char)all.data[n];
        buf_printf(out, "%c", c < ' ' || c == 127 ? '?' : c);
    }
    buf_printf(out, "%s\"", max < all.size ? "\xe2\x80\xa6" : "");
    buf_fini(&all);
}

static int64_t ps_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void ps_status(const struct state_info *i, struct buf *out)
{
    char ago[64];
    switch (i->state) {
    case INSTANCE_RUNNING:
        human_duration(ps_now() - i->started_ns, ago, sizeof(ago));
        buf_printf(out, "Up %s", ago);
        break;
    case INSTANCE_EXITED:
        human_duration(ps_now() - i->finished_ns, ago, sizeof(ago));
        buf_printf(out, "Exited (%d) %s ago", instance_exit_status(&i->exit),
                   ago);
        break;
    case INSTANCE_DEAD: buf_printf(out, "Dead (125)"); break;
    case INSTANCE_CREATED:
    case INSTANCE_NONE: buf_printf(out, "Created"); break;
    }
}

/* Only of those that run: a port is free once its container has ended. */
static void ps_ports(const struct state_info *i, struct buf *out)
{
    struct port_list l = {0};
    buf_printf(out, "%s", "");
    if (i->state == INSTANCE_RUNNING &&
        port_list_from_json(&l, json_object_get(i->config, "ports"),
                            "config.json", NULL) == 0) {
        AUTO_FREE char *text = port_list_text(&l);
        buf_printf(out, "%s", text != NULL ? text : "");
    }
    port_list_fini(&l);
}

static void ps_fill(const struct state_info *i, const struct ps_options *o,
                    struct ps_row *row)
{
    struct buf b[PS_COLUMNS] = {0};
    char ago[64];
    buf_printf(&b[0], "%.*s", o->whole ? STATE_ID_SIZE : STATE_SHORT_ID, i->id);
    buf_printf(&b[1], "%s", i->image);
    ps_command(i, o->whole, &b[2]);
    human_duration(ps_now() - i->created_ns, ago, sizeof(ago));
    buf_printf(&b[3], "%s ago", ago);
    ps_status(i, &b[4]);
    ps_ports(i, &b[5]);
    buf_printf(&b[6], "%s", i->name);
    for (size_t c = 0; c < PS_COLUMNS; c++)
        row->cell[c] = b[c].data;
}

static void ps_row_fini(struct ps_row *row)
{
    for (size_t c = 0; c < PS_COLUMNS; c++)
        free(row->cell[c]);
}

static void ps_print_json(const struct state_info *i, const struct ps_row *row)
{
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "ID",
                  row->cell[0], "Image", row->cell[1], "Command", row->cell[2],
                  "CreatedAt", i->created, "RunningFor", row->cell[3], "Status",
                  row->cell[4], "State", instance_state_name(i->state), "Ports",
                  row->cell[5], "Names", row->cell[6]);
    AUTO_FREE char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (text != NULL)
        (void)printf("%s\n", text);
}

static void ps_print_table(const struct ps_row *rows, size_t count)
{
    size_t width[PS_COLUMNS];
    for (size_t c = 0; c < PS_COLUMNS; c++) {
        width[c] = strlen(ps_titles[c]);
        for (size_t r = 0; r < count; r++) {
            size_t n = human_width(rows[r].cell[c]);
            width[c] = n > width[c] ? n : width[c];
        }
    }
    for (size_t r = 0; r <= count; r++) {
        for (size_t c = 0; c < PS_COLUMNS; c++) {
            const char *s = r == 0 ? ps_titles[c] : rows[r - 1].cell[c];
            int pad = c + 1 == PS_COLUMNS
                          ? 0
                          : (int)(width[c] - human_width(s)) + PS_GAP;
            (void)printf("%s%*s", s, pad, "");
        }
        (void)printf("\n");
    }
}

static int ps_print(const struct state *s, const struct ps_options *o,
                    struct err *e)
{
    struct state_info *list;
    size_t count;
    int code = state_list(s, &list, &count, e);
    if (code < 0)
        return code;
    struct ps_row *rows = calloc(count + 1, sizeof(*rows));
    size_t n = 0;
    for (size_t i = 0; rows != NULL && i < count; i++) {
        if (!o->all && list[i].state != INSTANCE_RUNNING)
            continue;
        ps_fill(&list[i], o, &rows[n]);
        if (o->quiet)
            (void)printf("%s\n", rows[n].cell[0]);
        else if (o->json)
            ps_print_json(&list[i], &rows[n]);
        n++;
    }
    if (!o->quiet && !o->json && rows != NULL)
        ps_print_table(rows, n);
    for (size_t i = 0; i < n; i++)
        ps_row_fini(&rows[i]);
    free(rows);
    state_list_free(list, count);
    return 0;
}

int cli_ps(int argc, char **argv)
{
    struct ps_options o = {0};
    struct verb_args a = {.verb = "ps", .table = ps_flags};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f)) {
        bool on = f.value[0] == 't';
        if (f.id == 'a')
            o.all = on;
        else if (f.id == 'N')
            o.whole = on;
        else if (f.id == 'q')
            o.quiet = on;
        else
            verb_args_format(&a, f.value, &o.json);
    }
    if (a.done)
        return a.status;
    if (a.reader.rest_count > 0) {
        (void)err_set(&a.e, -EINVAL, "ps takes no arguments");
        return cli_usage_error("ps", &a.e);
    }
    struct state s;
    if (cli_open_state(a.root, &s, &a.e) < 0)
        return cli_error(&a.e);
    int code = ps_print(&s, &o, &a.e);
    state_fini(&s);
    return code < 0 ? cli_error(&a.e) : 0;
}
