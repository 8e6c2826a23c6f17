// SPDX-License-Identifier: Apache-2.0
/* limpet images: what the store has, in docker's columns. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/sizetext.h"
#include "cli/common.h"
#include "cli/human.h"
#include "cli/table.h"
#include "cli/verb_args.h"
#include "supervisor/imagelist.h"

enum { IMAGES_SHORT_ID = 12 };

static const struct opt images_flags[] = {
    {"all", 'a', false, 'a', "the same: there are no intermediate images"},
    {"digests", 0, false, 'D', "also what the names lead to in the registry"},
    {"filter", 'f', true, 0, "filters come with a later release"},
    {"format", 0, true, 'F', "table or json"},
    {"help", 0, false, 'h', "print this"},
    {"no-trunc", 0, false, 'N', "whole IDs"},
    {"quiet", 'q', false, 'q', "IDs only"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {"tree", 0, false, 0, "every platform is an image of its own here"},
    {0},
};

struct images_options {
    bool digests, json, whole, quiet;
    const char *name; /* only these, or NULL */
};

/* Text of one line. */
struct images_row {
    char repository[REGNAME_TEXT_SIZE];
    char tag[REGNAME_TAG_SIZE];
    char digest[80];
    char id[80];
    char ago[64];
    char size[32];
};

static void images_repository(const struct imagelist_entry *x,
                              struct images_row *r)
{
    struct regname bare = x->name;
    bare.tag[0] = '\0';
    bare.digest[0] = '\0';
    if (x->name.host[0] != '\0')
        regname_familiar(&bare, r->repository);
    else
        (void)snprintf(r->repository, sizeof(r->repository), "%s",
                       x->ref[0] != '\0' ? x->ref : "<none>");
    (void)snprintf(r->tag, sizeof(r->tag), "%s",
                   x->name.tag[0] != '\0' ? x->name.tag : "<none>");
}

static void images_fill(const struct imagelist_entry *x,
                        const struct images_options *o, struct images_row *r)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    images_repository(x, r);
    (void)snprintf(r->digest, sizeof(r->digest), "%s%s",
                   x->root[0] != '\0' ? "sha256:" : "<none>", x->root);
    (void)snprintf(r->id, sizeof(r->id), "%s%.*s", o->whole ? "sha256:" : "",
                   o->whole ? SHA256_HEX_SIZE : IMAGES_SHORT_ID, x->config);
    if (x->created_ns == 0) {
        (void)snprintf(r->ago, sizeof(r->ago), "N/A");
    } else {
        char text[48];
        human_duration((int64_t)now.tv_sec * 1000000000 - x->created_ns, text,
                       sizeof(text));
        (void)snprintf(r->ago, sizeof(r->ago), "%s ago", text);
    }
    sizetext(x->size, r->size, sizeof(r->size));
}

static void images_print_json(const struct imagelist_entry *x,
                              const struct images_row *r)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "ID", r->id,
                          "Repository", r->repository, "Tag", r->tag, "Digest",
                          r->digest, "CreatedSince", r->ago, "Size", r->size,
                          "Platform", x->platform);
    AUTO_FREE char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (text != NULL)
        (void)printf("%s\n", text);
}

/* REPOSITORY[:TAG] as docker compares it. */
static bool images_wanted(const struct imagelist_entry *x, const char *name)
{
    struct regname want;
    struct err ignored;
    if (name == NULL)
        return true;
    if (x->name.host[0] == '\0' || regname_parse(name, &want, &ignored) < 0)
        return strcmp(x->ref, name) == 0;
    const char *slash = strrchr(name, '/');
    bool tagged = strchr(slash != NULL ? slash : name, ':') != NULL;
    return strcmp(want.host, x->name.host) == 0 &&
           strcmp(want.repo, x->name.repo) == 0 &&
           (!tagged || strcmp(want.tag, x->name.tag) == 0);
}

static void images_print_table(const struct images_row *rows, size_t count,
                               const struct images_options *o)
{
    struct table_row *lines = calloc(count + 1, sizeof(*lines));
    if (lines == NULL)
        return;
    for (size_t i = 0; i <= count; i++) {
        const struct images_row *r = i > 0 ? &rows[i - 1] : NULL;
        size_t c = 0;
        lines[i].cell[c++] = r != NULL ? r->repository : "REPOSITORY";
        lines[i].cell[c++] = r != NULL ? r->tag : "TAG";
        if (o->digests)
            lines[i].cell[c++] = r != NULL ? r->digest : "DIGEST";
        lines[i].cell[c++] = r != NULL ? r->id : "IMAGE ID";
        lines[i].cell[c++] = r != NULL ? r->ago : "CREATED";
        lines[i].cell[c++] = r != NULL ? r->size : "SIZE";
    }
    table_print(lines, count + 1, o->digests ? 6 : 5, table_colours());
    free(lines);
}

/* The images of the store, then those of the shared one; *out to be freed. */
static int images_read(const struct state *s, struct imagelist_entry **out,
                       size_t *count, struct err *e)
{
    struct imagelist_entry *more = NULL;
    size_t n = 0;
    int code = imagelist_read(s->root, out, count, e);
    if (code < 0 || s->shared < 0)
        return code;
    code = imagelist_read(s->shared, &more, &n, e);
    struct imagelist_entry *all =
        code == 0 ? reallocarray(*out, *count + n + 1, sizeof(*all)) : NULL;
    if (all != NULL) {
        for (size_t i = 0; i < n; i++)
            all[*count + i] = more[i];
        *out = all;
        *count += n;
    } else {
        code = code < 0 ? code : err_set(e, -ENOMEM, "out of memory");
        free(*out);
    }
    free(more);
    return code;
}

static int images_print(const struct state *s, const struct images_options *o,
                        struct err *e)
{
    struct imagelist_entry *list = NULL;
    size_t count = 0;
    int code = images_read(s, &list, &count, e);
    if (code < 0)
        return code;
    AUTO_FREE struct images_row *rows = calloc(count + 1, sizeof(*rows));
    size_t n = 0;
    for (size_t i = 0; rows != NULL && i < count; i++) {
        if (!images_wanted(&list[i], o->name))
            continue;
        images_fill(&list[i], o, &rows[n]);
        if (o->quiet)
            (void)printf("%s\n", rows[n].id);
        else if (o->json)
            images_print_json(&list[i], &rows[n]);
        n++;
    }
    if (rows != NULL && !o->quiet && !o->json)
        images_print_table(rows, n, o);
    free(list);
    return 0;
}

int cli_images(int argc, char **argv)
{
    struct images_options o = {0};
    struct verb_args a = {.verb = "images", .table = images_flags, .max = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f)) {
        bool on = f.value[0] == 't';
        if (f.id == 'D')
            o.digests = on;
        else if (f.id == 'N')
            o.whole = on;
        else if (f.id == 'q')
            o.quiet = on;
        else if (f.id == 'F')
            verb_args_format(&a, f.value, &o.json);
    }
    if (a.done)
        return a.status;
    o.name = a.reader.rest_count > 0 ? a.reader.rest[0] : NULL;
    struct state s;
    if (cli_open_state(a.root, &s, &a.e) < 0)
        return cli_error(&a.e);
    int code = images_print(&s, &o, &a.e);
    state_fini(&s);
    return code < 0 ? cli_error(&a.e) : 0;
}
