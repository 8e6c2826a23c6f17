// SPDX-License-Identifier: Apache-2.0
#include "image/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/parse.h"
#include "image/oci.h"

enum { RECORD_FIELDS_MAX = 7 };

uint64_t record_created(const json_t *config_doc)
{
    const char *text =
        json_string_value(json_object_get(config_doc, "created"));
    struct tm tm = {0};
    if (text == NULL)
        return 0;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    time_t t = end != NULL ? timegm(&tm) : 0;
    return t > 0 ? (uint64_t)t : 0;
}

static int record_wrong(const char *key, const char *where, const char *want,
                        struct err *e)
{
    return err_set(e, -EINVAL, "%s: \"%s\" is not %s", where, key, want);
}

/* Member `key` of the image's config when it is there and an array of
 * strings, else []. */
static json_t *record_strings(const json_t *config, const char *key,
                              const char *where, struct err *e)
{
    const json_t *from = json_object_get(config, key);
    json_t *to = json_array();
    if (from == NULL || json_is_null(from))
        return to;
    bool ok = json_is_array(from);
    for (size_t i = 0; ok && i < json_array_size(from); i++) {
        json_t *v = json_array_get(from, i);
        ok = json_is_string(v) && json_array_append(to, v) == 0;
    }
    if (ok)
        return to;
    json_decref(to);
    (void)record_wrong(key, where, "an array of strings", e);
    return NULL;
}

static json_t *record_string(const json_t *config, const char *key,
                             const char *where, struct err *e)
{
    json_t *v = json_object_get(config, key);
    if (v == NULL || json_is_null(v))
        return json_string("");
    if (json_is_string(v))
        return json_incref(v);
    (void)record_wrong(key, where, "a string", e);
    return NULL;
}

/* The keys, in their order, of an object such as {"80/tcp": {}}. */
static json_t *record_keys(const json_t *config, const char *key,
                           const char *where, struct err *e)
{
    json_t *from = json_object_get(config, key);
    json_t *to = json_array();
    if (from == NULL || json_is_null(from))
        return to;
    if (!json_is_object(from)) {
        json_decref(to);
        (void)record_wrong(key, where, "an object", e);
        return NULL;
    }
    const char *name;
    json_t *ignored;
    json_object_foreach(from, name, ignored)(void)
        json_array_append_new(to, json_string(name));
    return to;
}

static json_t *record_labels(const json_t *config, const char *where,
                             struct err *e)
{
    json_t *from = json_object_get(config, "Labels");
    json_t *to = json_object();
    if (from == NULL || json_is_null(from))
        return to;
    bool ok = json_is_object(from);
    const char *name;
    json_t *v;
    json_object_foreach(from, name, v) ok =
        ok && json_is_string(v) && json_object_set(to, name, v) == 0;
    if (ok)
        return to;
    json_decref(to);
    (void)record_wrong("Labels", where, "an object of strings", e);
    return NULL;
}

/* Takes `v`, NULL included. */
static int record_set(json_t *to, const char *key, json_t *v)
{
    return v != NULL && json_object_set_new(to, key, v) == 0 ? 0 : -EINVAL;
}

static int record_fill_run(json_t *run, const json_t *config, const char *where,
                           struct err *e)
{
    static const struct {
        const char *to;
        const char *from;
        json_t *(*read)(const json_t *, const char *, const char *,
                        struct err *);
    } fields[] = {
        {"entrypoint", "Entrypoint", record_strings},
        {"cmd", "Cmd", record_strings},
        {"env", "Env", record_strings},
        {"workdir", "WorkingDir", record_string},
        {"user", "User", record_string},
        {"stop_signal", "StopSignal", record_string},
        {"exposed_ports", "ExposedPorts", record_keys},
        {"volumes", "Volumes", record_keys},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (record_set(run, fields[i].to,
                       fields[i].read(config, fields[i].from, where, e)) < 0)
            return -EINVAL;
    }
    return record_set(run, "labels", record_labels(config, where, e));
}

/* Cut "a:b:c" into fields in place; their number. */
static size_t record_split(char *line, char sep, char **fields, size_t max)
{
    size_t n = 0;
    while (line != NULL && n < max) {
        fields[n++] = line;
        line = strchr(line, sep);
        if (line != NULL)
            *line++ = '\0';
    }
    return n;
}

/* Next line of *text, or NULL; moves *text on. */
static char *record_line(char **text)
{
    char *line = *text;
    if (line == NULL || *line == '\0')
        return NULL;
    char *end = strchr(line, '\n');
    *text = end != NULL ? end + 1 : NULL;
    if (end != NULL)
        *end = '\0';
    return line;
}

/* ["root", 0, 0, "/root"] per well-formed line of passwd(5). */
static json_t *record_users(char *text)
{
    json_t *list = json_array();
    char *line;
    while ((line = record_line(&text)) != NULL) {
        char *f[RECORD_FIELDS_MAX];
        uint64_t uid;
        uint64_t gid;
        if (record_split(line, ':', f, RECORD_FIELDS_MAX) < 6 ||
            parse_u64(f[2], 0, UINT32_MAX - 1, &uid) < 0 ||
            parse_u64(f[3], 0, UINT32_MAX - 1, &gid) < 0)
            continue;
        /* NULL, so nothing is added, when a name is not UTF-8. */
        json_t *user = json_pack("[s, I, I, s]", f[0], (json_int_t)uid,
                                 (json_int_t)gid, f[5]);
        if (user != NULL)
            (void)json_array_append_new(list, user);
    }
    return list;
}

/* ["video", 44, ["app"]] per well-formed line of group(5). */
static json_t *record_groups(char *text)
{
    json_t *list = json_array();
    char *line;
    while ((line = record_line(&text)) != NULL) {
        char *f[RECORD_FIELDS_MAX];
        uint64_t gid;
        size_t n = record_split(line, ':', f, RECORD_FIELDS_MAX);
        if (n < 3 || parse_u64(f[2], 0, UINT32_MAX - 1, &gid) < 0)
            continue;
        json_t *members = json_array();
        char *rest = n > 3 ? f[3] : NULL;
        while (rest != NULL && *rest != '\0') {
            char *name = rest;
            rest = strchr(rest, ',');
            if (rest != NULL)
                *rest++ = '\0';
            (void)json_array_append_new(members, json_string(name));
        }
        json_t *group = json_pack("[s, I, o]", f[0], (json_int_t)gid, members);
        if (group != NULL)
            (void)json_array_append_new(list, group);
    }
    return list;
}

static json_t *record_digest(const char *hex)
{
    return json_sprintf("sha256:%s", hex);
}

static int record_fill_facts(const struct record *r, json_t *o)
{
    const struct oci_image *img = r->image;
    const char *created =
        json_string_value(json_object_get(img->doc, "created"));
    json_t *files = json_array();
    json_t *layers = json_array();
    for (size_t i = 0; i < r->file_count; i++)
        (void)json_array_append_new(files, json_string(r->files[i]));
    for (size_t i = 0; i < img->layer_count; i++)
        (void)json_array_append_new(layers,
                                    record_digest(img->layers[i].diff_id));
    int bad = record_set(o, "version", json_integer(1));
    bad |= record_set(o, "manifest", record_digest(img->manifest));
    bad |= record_set(o, "config", record_digest(img->config));
    bad |= json_object_set(o, "os", json_object_get(img->doc, "os"));
    bad |= json_object_set(o, "architecture",
                           json_object_get(img->doc, "architecture"));
    bad |=
        record_set(o, "created", json_string(created != NULL ? created : ""));
    bad |= record_set(o, "files", files);
    bad |= record_set(o, "size", json_integer((json_int_t)r->size));
    bad |= record_set(o, "layers", layers);
    return bad;
}

json_t *record_read_run(const struct oci_image *image, struct err *e)
{
    char where[128];
    (void)snprintf(where, sizeof(where), "configuration sha256:%s",
                   image->config);
    const json_t *config = json_object_get(image->doc, "config");
    if (config != NULL && !json_is_object(config) && !json_is_null(config)) {
        (void)record_wrong("config", where, "an object", e);
        return NULL;
    }
    json_t *run = json_object();
    (void)err_set(e, -ENOMEM, "%s: out of memory", where);
    if (run != NULL && record_fill_run(run, config, where, e) == 0)
        return run;
    json_decref(run);
    return NULL;
}

char *record_build(const struct record *r, struct err *e)
{
    json_t *o = json_object();
    int bad = record_fill_facts(r, o);
    bad |= json_object_set(o, "run", r->run);
    bad |= record_set(o, "users", record_users(r->passwd));
    bad |= record_set(o, "groups", record_groups(r->group));
    char *text = bad == 0 ? json_dumps(o, JSON_INDENT(1)) : NULL;
    json_decref(o);
    if (text == NULL)
        (void)err_set(e, -ENOMEM, "out of memory");
    return text;
}
