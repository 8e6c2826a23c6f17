// SPDX-License-Identifier: Apache-2.0
/* limpet inspect: what is known of an image, in docker's shape. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "cli/common.h"
#include "cli/verb_args.h"
#include "supervisor/host.h"
#include "supervisor/imagelist.h"
#include "supervisor/imagespec.h"

static const struct opt inspect_flags[] = {
    {"format", 'f', true, 0, "use jq on the JSON"},
    {"help", 0, false, 'h', "print this"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {"size", 's', false, 0, "the size is always there"},
    {"type", 0, true, 'T', "image; containers come with a later release"},
    {0},
};

/* ["a", "b"] -> {"a": {}, "b": {}} */
static json_t *inspect_set(const json_t *list)
{
    json_t *o = json_object();
    for (size_t i = 0; i < json_array_size(list); i++)
        (void)json_object_set_new(o, json_string_value(json_array_get(list, i)),
                                  json_object());
    return o;
}

static json_t *inspect_config(const json_t *run)
{
    static const struct {
        const char *ours, *theirs;
    } same[] = {
        {"entrypoint", "Entrypoint"},
        {"cmd", "Cmd"},
        {"env", "Env"},
        {"workdir", "WorkingDir"},
        {"user", "User"},
        {"stop_signal", "StopSignal"},
        {"labels", "Labels"},
    };
    json_t *o = json_object();
    for (size_t i = 0; i < ARRAY_COUNT(same); i++)
        (void)json_object_set(o, same[i].theirs,
                              json_object_get(run, same[i].ours));
    (void)json_object_set_new(
        o, "ExposedPorts", inspect_set(json_object_get(run, "exposed_ports")));
    (void)json_object_set_new(o, "Volumes",
                              inspect_set(json_object_get(run, "volumes")));
    return o;
}

static void inspect_names(const struct imagelist_entry *list, size_t count,
                          const char *hex, json_t *o)
{
    json_t *tags = json_array();
    json_t *digests = json_array();
    for (size_t i = 0; i < count; i++) {
        char text[REGNAME_TEXT_SIZE];
        struct regname n = list[i].name;
        if (strcmp(list[i].hex, hex) != 0 || n.host[0] == '\0')
            continue;
        regname_familiar(&n, text);
        if (n.tag[0] != '\0')
            (void)json_array_append_new(tags, json_string(text));
        n.tag[0] = '\0';
        memcpy(n.digest, list[i].root, sizeof(n.digest));
        regname_familiar(&n, text);
        if (n.digest[0] != '\0')
            (void)json_array_append_new(digests, json_string(text));
    }
    (void)json_object_set_new(o, "RepoTags", tags);
    (void)json_object_set_new(o, "RepoDigests", digests);
}

static json_t *inspect_image(const struct imagespec *i, const char *hex,
                             const struct imagelist_entry *list, size_t count)
{
    const json_t *doc = i->doc;
    json_t *o = json_object();
    json_t *rootfs = json_object();
    uint64_t size = 0;
    for (size_t k = 0; k < count; k++)
        if (strcmp(list[k].hex, hex) == 0)
            size = list[k].size;
    (void)json_object_set(o, "Id", json_object_get(doc, "config"));
    inspect_names(list, count, hex, o);
    (void)json_object_set(o, "Created", json_object_get(doc, "created"));
    (void)json_object_set(o, "Architecture",
                          json_object_get(doc, "architecture"));
    (void)json_object_set(o, "Os", json_object_get(doc, "os"));
    (void)json_object_set_new(o, "Size", json_integer((json_int_t)size));
    (void)json_object_set_new(o, "Config",
                              inspect_config(json_object_get(doc, "run")));
    (void)json_object_set_new(rootfs, "Type", json_string("layers"));
    (void)json_object_set(rootfs, "Layers", json_object_get(doc, "layers"));
    (void)json_object_set_new(o, "RootFS", rootfs);
    return o;
}

static int inspect_add(const struct state *s, const char *ref, const char *arch,
                       json_t *to, struct err *e)
{
    char hex[SHA256_HEX_SIZE] = "";
    struct imagespec i = {0};
    struct imagelist_entry *list = NULL;
    size_t count = 0;
    int store = s->root;
    int code = cli_find_image(s, ref, arch, hex, e);
    if (code == -ENOENT && s->shared >= 0 &&
        imagespec_lookup(s->shared, ref, arch, hex, e) == 0) {
        store = s->shared;
        code = 0;
    }
    if (code == 0)
        code = imagespec_open(store, hex, &i, e);
    if (code < 0)
        return code;
    code = imagelist_read(store, &list, &count, e);
    if (code == 0)
        (void)json_array_append_new(to, inspect_image(&i, hex, list, count));
    free(list);
    imagespec_fini(&i);
    return code;
}

int cli_inspect(int argc, char **argv)
{
    struct verb_args a = {.verb = "inspect", .table = inspect_flags, .min = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f))
        if (strcmp(f.value, "image") != 0)
            (void)err_set(&a.e, -EINVAL, "--type %.32s: must be image",
                          f.value);
    if (a.done)
        return a.status;
    struct state s;
    struct host h;
    if (host_init(&h, &a.e) < 0 || cli_open_state(a.root, &s, &a.e) < 0)
        return cli_error(&a.e);
    json_t *all = json_array();
    int status = 0;
    for (int i = 0; i < a.reader.rest_count; i++)
        if (inspect_add(&s, a.reader.rest[i], h.arch, all, &a.e) < 0)
            status = cli_error(&a.e);
    AUTO_FREE char *text = json_dumps(all, JSON_INDENT(4));
    if (text != NULL)
        (void)printf("%s\n", text);
    json_decref(all);
    state_fini(&s);
    return status;
}
