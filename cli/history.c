// SPDX-License-Identifier: Apache-2.0
/* limpet history: the steps that made an image, from its configuration. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include "base/sha256.h"
#include "base/sizetext.h"
#include "cli/common.h"
#include "cli/human.h"
#include "cli/table.h"
#include "cli/verb_args.h"
#include "supervisor/host.h"
#include "supervisor/imagespec.h"

enum {
    HISTORY_CONFIG_MAX = 4 << 20,
    HISTORY_STEPS_MAX = 4096,
    HISTORY_SHORT_ID = 12,
    HISTORY_SHORT_STEP = 44, /* docker's 45 columns less the ellipsis */
};

static const struct opt history_flags[] = {
    {"format", 0, true, 'F', "table or json"},
    {"help", 0, false, 'h', "print this"},
    {"human", 'H', false, 'H', "sizes and dates for people (default true)"},
    {"no-trunc", 0, false, 'N', "whole IDs and steps"},
    {"quiet", 'q', false, 'q', "IDs only"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};

struct history_options {
    bool json, human, whole, quiet;
};

/* Text of one line. */
struct history_row {
    char id[80];
    char date[64];  /* RFC 3339 */
    char since[64]; /* "2 weeks ago" */
    char *step;     /* owned */
    const char *comment;
    char size[32];
};

static void history_date(const char *created, struct history_row *r)
{
    struct tm t = {0};
    struct timespec now;
    char text[48];
    (void)snprintf(r->date, sizeof(r->date), "N/A");
    (void)snprintf(r->since, sizeof(r->since), "N/A");
    if (created == NULL || strptime(created, "%Y-%m-%dT%H:%M:%S", &t) == NULL)
        return;
    int64_t at = (int64_t)timegm(&t);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)strftime(r->date, sizeof(r->date), "%Y-%m-%dT%H:%M:%SZ", &t);
    human_duration(((int64_t)now.tv_sec - at) * 1000000000, text, sizeof(text));
    (void)snprintf(r->since, sizeof(r->since), "%s ago", text);
}

/* Whole characters only; tabs would spoil the columns. */
static char *history_step(const char *by, bool whole)
{
    char *text = strdup(by != NULL ? by : "");
    if (text == NULL)
        return NULL;
    for (char *p = text; *p != '\0'; p++)
        if (*p == '\t')
            *p = ' ';
    if (whole || human_width(text) <= HISTORY_SHORT_STEP + 1)
        return text;
    size_t n = 0;
    for (int seen = 0; text[n] != '\0'; n++)
        if (((unsigned char)text[n] & 0xc0) != 0x80 &&
            seen++ == HISTORY_SHORT_STEP)
            break;
    static const char dots[] = "\xe2\x80\xa6";
    char *cut = malloc(n + sizeof(dots));
    if (cut != NULL) {
        memcpy(cut, text, n);
        memcpy(cut + n, dots, sizeof(dots));
    }
    free(text);
    return cut;
}

/* What the layer's files have on disk here. */
static uint64_t history_layer_size(const struct state *s, const char *diff_id)
{
    char path[96];
    struct stat st;
    if (diff_id == NULL || strncmp(diff_id, "sha256:", 7) != 0)
        return 0;
    (void)snprintf(path, sizeof(path), "layers/%.64s.data", diff_id + 7);
    return fstatat(s->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0
               ? (uint64_t)st.st_blocks * 512
               : 0;
}

static void history_fill(const json_t *step, uint64_t size,
                         const struct history_options *o, struct history_row *r)
{
    (void)snprintf(r->id, sizeof(r->id), "<missing>");
    history_date(json_string_value(json_object_get(step, "created")), r);
    const char *comment = json_string_value(json_object_get(step, "comment"));
    r->comment = comment != NULL ? comment : "";
    r->step = history_step(
        json_string_value(json_object_get(step, "created_by")), o->whole);
    if (o->human)
        sizetext(size, r->size, sizeof(r->size));
    else
        (void)snprintf(r->size, sizeof(r->size), "%llu",
                       (unsigned long long)size);
}

static void history_print_table(const struct history_row *rows, size_t count,
                                bool human)
{
    AUTO_FREE struct table_row *lines = calloc(count + 1, sizeof(*lines));
    if (lines == NULL)
        return;
    lines[0] =
        (struct table_row){.cell = {"IMAGE", human ? "CREATED" : "CREATED AT",
                                    "CREATED BY", "SIZE", "COMMENT"}};
    for (size_t i = 0; i < count; i++)
        lines[i + 1] = (struct table_row){
            .cell = {rows[i].id, human ? rows[i].since : rows[i].date,
                     rows[i].step, rows[i].size, rows[i].comment}};
    table_print(lines, count + 1, 5, table_colours());
}

static void history_print_json(const struct history_row *r)
{
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "Comment", r->comment,
                  "CreatedAt", r->date, "CreatedBy", r->step, "CreatedSince",
                  r->since, "ID", r->id, "Size", r->size);
    AUTO_FREE char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (text != NULL)
        (void)printf("%s\n", text);
}

/* Newest first, as docker has it; the newest one is the image. */
static int history_print(const struct state *s, const json_t *config,
                         const char *hex, const json_t *layers,
                         const struct history_options *o)
{
    const json_t *steps = json_object_get(config, "history");
    size_t count = json_array_size(steps);
    if (count > HISTORY_STEPS_MAX)
        count = HISTORY_STEPS_MAX;
    AUTO_FREE struct history_row *rows = calloc(count + 1, sizeof(*rows));
    bool ok = rows != NULL;
    size_t layer = 0;
    for (size_t i = 0; ok && i < count; i++) {
        const json_t *step = json_array_get(steps, i);
        uint64_t size = 0;
        if (!json_is_true(json_object_get(step, "empty_layer")))
            size = history_layer_size(
                s, json_string_value(json_array_get(layers, layer++)));
        history_fill(step, size, o, &rows[count - 1 - i]);
        ok = rows[count - 1 - i].step != NULL;
    }
    if (ok && count > 0)
        (void)snprintf(rows[0].id, sizeof(rows[0].id), "%s%.*s",
                       o->whole ? "sha256:" : "",
                       o->whole ? SHA256_HEX_SIZE : HISTORY_SHORT_ID, hex);
    for (size_t i = 0; ok && i < count; i++) {
        if (o->quiet)
            (void)printf("%s\n", rows[i].id);
        else if (o->json)
            history_print_json(&rows[i]);
    }
    if (ok && !o->quiet && !o->json)
        history_print_table(rows, count, o->human);
    for (size_t i = 0; rows != NULL && i < count; i++)
        free(rows[i].step);
    return ok ? 0 : -ENOMEM;
}

static int history_show(const struct state *s, const char *ref, const char *hex,
                        const struct history_options *o, struct err *e)
{
    struct imagespec i;
    char path[96];
    const char *digest = NULL;
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    struct err inner;
    int code = imagespec_open(s->root, hex, &i, e);
    if (code < 0)
        return code;
    code = json_get_str(i.doc, "config", "image", &digest, e);
    if (code == 0 && strncmp(digest, "sha256:", 7) == 0)
        digest += 7;
    (void)snprintf(path, sizeof(path), "blobs/%.64s",
                   digest != NULL ? digest : "");
    if (code == 0) {
        code =
            path_read(s->root, path, HISTORY_CONFIG_MAX, &text, &size, &inner);
        if (code == -ENOENT)
            (void)err_set(e, code,
                          "%.200s: its configuration is not in the store (an "
                          "earlier release converted it); remove the image and "
                          "pull it again",
                          ref);
        else if (code < 0)
            *e = inner;
    }
    json_t *config = code == 0 ? json_parse(text, size, path, e) : NULL;
    if (code == 0)
        code = config == NULL
                   ? -EINVAL
                   : history_print(s, config, digest,
                                   json_object_get(i.doc, "layers"), o);
    if (code == -ENOMEM)
        (void)err_set(e, code, "out of memory");
    json_decref(config);
    imagespec_fini(&i);
    return code;
}

int cli_history(int argc, char **argv)
{
    struct history_options o = {.human = true};
    struct verb_args a = {
        .verb = "history", .table = history_flags, .min = 1, .max = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f)) {
        bool on = f.value[0] == 't';
        if (f.id == 'H')
            o.human = on;
        else if (f.id == 'N')
            o.whole = on;
        else if (f.id == 'q')
            o.quiet = on;
        else if (f.id == 'F')
            verb_args_format(&a, f.value, &o.json);
    }
    if (a.done)
        return a.status;
    struct state s;
    struct host h;
    char hex[SHA256_HEX_SIZE];
    const char *ref = a.reader.rest[0];
    if (host_init(&h, &a.e) < 0 || cli_open_state(a.root, &s, &a.e) < 0)
        return cli_error(&a.e);
    int code = cli_find_image(&s, ref, h.arch, hex, &a.e);
    if (code == 0)
        code = history_show(&s, ref, hex, &o, &a.e);
    state_fini(&s);
    return code < 0 ? cli_error(&a.e) : 0;
}
